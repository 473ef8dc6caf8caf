"""Typed calls: methods and messages in, messages or errors out; deadline, retries, credentials and log included."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from typing import Any, Generic, Optional, cast

from flyte_lite._clock import SYSTEM_CLOCK, Clock, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.transport import OpenAnswer, Transport
from flyte_lite._rpc.call import Call, Interceptor, Reply, Result, Stream, chain
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.headers import Headers, Metadata, checked, merged
from flyte_lite._rpc.interceptors import Credentials, authenticate, identify, observe, retry
from flyte_lite._rpc.method import Method, Req, Res
from flyte_lite._rpc.protocol import AnswerReader, Protocol
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import CallError, CallTimeoutError, CanceledError, Code, UnimplementedError

# Never the shared generator: a script that seeds it wants its own numbers undisturbed, and ours unpredictable.
_random = random.SystemRandom()

DEFAULT_LIMIT = 64 * 1024 * 1024
DEFAULT_IDLE = 60.0
"""Seconds without a byte after which a stream ends if nobody says otherwise."""
# Bytes of an answer that is no stream; it is an error, or a stranger's page.
_MOST_REFUSAL = 1024 * 1024


class Channel:
    """The calls of one server.

    Args:
        transport: The door to the network.
        origin: Where the server is.
        prefix: Path before every method's path, without a slash at its end; "" for none.
        protocol: How calls look on the wire; None is Connect in binary.
        retry: When to try again.
        credentials: Who calls; None shows nothing.
        interceptors: Around each call with all its attempts, the first outermost.
        clock: What deadlines are measured on.
        limit: Most bytes of one message of an answer, packed or unpacked.
        draw: Numbers from 0 to 1 for the jitter of retries.
    """

    def __init__(
        self,
        transport: Transport,
        origin: Origin,
        prefix: str = "",
        *,
        protocol: Optional[Protocol] = None,
        retry: Optional[RetryPolicy] = None,
        credentials: Optional[Credentials] = None,
        interceptors: Sequence[Interceptor] = (),
        clock: Clock = SYSTEM_CLOCK,
        limit: int = DEFAULT_LIMIT,
        draw: Callable[[], float] = _random.random,
    ) -> None:
        self.transport = transport
        self.origin = origin
        self.prefix = prefix
        self.clock = clock
        self._protocol = protocol or Connect()
        self._retry = retry or RetryPolicy()
        self.credentials = credentials
        self._interceptors = tuple(interceptors)
        self._limit = limit
        self._draw = draw
        self._proceed = self._chain()

    def _chain(self) -> Callable[[Call], Result]:
        each_call = (identify, observe(str(self.origin)), *self._interceptors, retry(self._retry, self._draw))
        each_attempt = () if self.credentials is None else (authenticate(self.credentials),)
        return chain([*each_call, *each_attempt], self._attempt)

    def __repr__(self) -> str:
        return f"Channel({self.origin}{self.prefix})"

    def to(self, scheme: str, host: str, port: int, prefix: str, *, shows: bool = True) -> Channel:
        """A channel to another server, over the same pool, by the same rules and, if it `shows` any, credentials."""
        other = copy(self)
        other.origin, other.prefix = Origin(scheme, host, port), prefix
        if not shows:
            other.credentials = None
        other._proceed = other._chain()
        return other

    def once(self, credentials: Optional[Credentials]) -> Channel:
        """A channel to the same server that asks each thing only once, with these credentials or none."""
        other = copy(self)
        other._retry, other.credentials = RetryPolicy(retries=0), credentials
        other._proceed = other._chain()
        return other

    def unary(
        self,
        method: Method[Req, Res],
        request: Req,
        *,
        deadline: Deadline,
        repeatable: bool = False,
        headers: Optional[Metadata] = None,
    ) -> Reply[Res]:
        """One message there, one back.

        Args:
            method: What to call.
            request: What to send.
            deadline: The end of everything, retries too, and who may end it sooner.
            repeatable: True if this very request does no harm when done twice, though its method may.
            headers: Further headers; those of the protocol can't be replaced, but `x-request-id` can.

        Raises:
            ValueError: A further header can't be sent as it is.
            CallError: See `flyte_lite.errors`. After retries it is the last error, with `attempts` filled in.
        """
        call = Call(method, "unary", (request,), deadline, headers)
        call.safe = repeatable or method.safe
        return self._reply(call)

    def client_stream(
        self,
        method: Method[Req, Res],
        requests: Iterable[Req],
        *,
        deadline: Deadline,
        headers: Optional[Metadata] = None,
    ) -> Reply[Res]:
        """Any number of messages there, each as soon as it comes out of `requests`, and one back; see `unary`.

        What `requests` raises ends the call and is raised here. It is only ever sent again if it is a list or a tuple,
        and nothing of it was sent or the server refused it unread: for its credentials, or until later.
        """
        return self._reply(Call(method, "client_stream", requests, deadline, headers))

    def server_stream(
        self,
        method: Method[Req, Res],
        request: Req,
        *,
        deadline: Deadline,
        idle: Optional[float] = DEFAULT_IDLE,
        headers: Optional[Metadata] = None,
        resume: Optional[Callable[[Res], Optional[Res]]] = None,
    ) -> Stream[Res]:
        """One message there, any number back. It returns when the first of those, or the end, has come.

        Args:
            method: What to call.
            request: What to send.
            deadline: The end of everything, up to the last message.
            idle: Seconds without a byte after which the stream ends with `CallTimeoutError`; None is never.
            headers: See `unary`.
            resume: Says what is new in a message, or None if nothing is. It is asked about every message, and lets the
                request be made again when the stream breaks after its first one. None does not.

        Raises:
            ValueError: See `unary`.
            CallError: It failed before the first message; what happens later, `next` raises.
        """
        call = Call(method, "server_stream", (request,), deadline, headers)
        call.safe, call.idle, call.resume = method.safe, idle, resume
        return cast("Stream[Res]", self._proceed(call))

    def bidi_stream(
        self,
        method: Method[Req, Res],
        requests: Iterable[Req],
        *,
        deadline: Deadline,
        idle: Optional[float] = DEFAULT_IDLE,
        headers: Optional[Metadata] = None,
    ) -> Stream[Res]:
        """Any number of messages there, and when all are sent any number back (HTTP/1.1 has no more than that).

        See `client_stream` and `server_stream`.
        """
        call = Call(method, "bidi_stream", requests, deadline, headers)
        call.idle = idle
        return cast("Stream[Res]", self._proceed(call))

    def _reply(self, call: Call) -> Reply[Any]:
        reply = cast("Reply[Any]", self._proceed(call))
        reply.attempts = call.attempts
        return reply

    def _attempt(self, call: Call) -> Result:
        _check(call.deadline, sent=False)
        call.attempts += 1
        try:
            if call.kind == "unary" and isinstance(self._protocol, Connect):
                return self._unary(self._protocol, call)
            stream = self._open(call)
            return stream if call.kind in ("server_stream", "bidi_stream") else _only(stream)
        except CallError as error:
            call.sent = call.sent or error.sent
            raise

    def _unary(self, protocol: Connect, call: Call) -> Reply[Any]:
        (message,) = call.messages
        method = call.method
        verb, target, head, body = protocol.unary(method, self.prefix + method.path, message, call.deadline.left())
        # Checked once more, as interceptors may have changed them.
        headers = {**checked(call.headers), **head}
        call.bytes_sent += len(body or b"")
        answer = self.transport.exchange(verb, self.origin, target, headers, body, call.deadline, self._limit)
        call.bytes_received += len(answer.body)
        return Reply(*protocol.answer(method.response, *answer, self._limit))

    def _open(self, call: Call) -> Stream[Any]:
        protocol = self._protocol
        outgoing: Any = (_counted(protocol.envelope(message), call) for message in call.messages)
        if call.kind in ("unary", "server_stream"):
            # One message is one body: chunks are for what is not there yet, and some servers take none.
            outgoing = b"".join(outgoing)
        target = self.prefix + call.method.path
        headers = {**checked(call.headers), **protocol.stream_head(call.deadline.left())}
        answer = self.transport.open("POST", self.origin, target, headers, outgoing, call.deadline, idle=call.idle)
        try:
            reader = protocol.reader(call.method.response, answer.status, answer.headers, self._limit)
            if reader is None:
                said = (answer.status, answer.reason, answer.headers, answer.read(_MOST_REFUSAL))
                protocol.refuse(protocol.family, *said, _MOST_REFUSAL)
        except BaseException:
            answer.close()
            raise
        incoming = _Incoming(answer, reader, call)
        messages = incoming.messages()
        for first in messages:
            return Stream(incoming.after(first, messages), incoming)
        return Stream(iter(()), incoming)


class _Incoming(Generic[Res]):
    """An answer that is a stream. One thread reads its messages; any may end it."""

    def __init__(self, answer: OpenAnswer, reader: AnswerReader[Res], call: Call) -> None:
        self._answer = answer
        self._reader = reader
        self._call = call
        self._closed = False

    @property
    def headers(self) -> Headers:
        return self._answer.headers

    @property
    def trailers(self) -> Headers:
        return self._reader.trailers

    def messages(self) -> Iterator[Res]:
        answer, reader, call, deadline = self._answer, self._reader, self._call, self._call.deadline
        try:
            while True:
                message = reader.next()
                if message is not None:
                    if self._closed or deadline.over:
                        self._check()
                    yield message
                elif reader.ended or not (piece := answer.read_some()):
                    self._check()
                    reader.over(answer.finish())
                    return
                else:
                    call.bytes_received += len(piece)
                    reader.feed(piece)
        except CallError as error:
            error.headers = error.headers or answer.headers
            if reader.ended:
                # All has come, and was an error; the connection is as good as new.
                answer.finish()
            self._check()
            raise
        finally:
            answer.close()

    def after(self, first: Res, messages: Iterator[Res]) -> Iterator[Res]:
        """What `messages` has behind its first one, with that."""
        try:
            self._check()
            yield first
            yield from messages
        finally:
            self._answer.close()

    def _check(self) -> None:
        _check(self._call.deadline, sent=True)
        if self._closed:
            raise CanceledError("the stream was closed", Code.CANCELED)

    def close(self) -> None:
        self._closed = True
        self._answer.close()


def _check(deadline: Deadline, *, sent: bool) -> None:
    # Also of what has come already: who has given up a call wants nothing more of it.
    if deadline.canceled:
        raise CanceledError("the call was canceled", Code.CANCELED, sent=sent)
    if deadline.expired:
        text = f"no whole answer within {deadline.seconds:g} s" if sent else "no time was left to send the request"
        raise CallTimeoutError(text, Code.DEADLINE_EXCEEDED, sent=sent)


def _only(stream: Stream[Any]) -> Reply[Any]:
    with stream:
        message = next(stream, None)
        if message is not None and next(stream, None) is None:
            return Reply(message, stream.headers, stream.trailers)
        text = f"the server sent {'no' if message is None else 'more than one'} message, where there must be one"
        raise UnimplementedError(text, Code.UNIMPLEMENTED, headers=merged(stream.headers, stream.trailers))


def _counted(envelope: bytes, call: Call) -> bytes:
    call.bytes_sent += len(envelope)
    return envelope
