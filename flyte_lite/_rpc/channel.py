"""Typed calls: methods and messages in, messages or errors out; deadline, retries, credentials and log included."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Optional, cast

from flyte_lite._clock import SYSTEM_CLOCK, Clock, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.transport import OpenAnswer, Transport
from flyte_lite._rpc.call import Call, Interceptor, Kind, Reply, Result, Stream, chain
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
        self._credentials = credentials
        self._interceptors = tuple(interceptors)
        self._limit = limit
        self._draw = draw
        self._proceed = self._chain()

    def _chain(self) -> Callable[[Call], Result]:
        each_call = (identify, observe(self.origin), *self._interceptors, retry(self._retry, self._draw))
        each_attempt = () if self._credentials is None else (authenticate(self._credentials),)
        return chain([*each_call, *each_attempt], self._attempt)

    def __repr__(self) -> str:
        return f"Channel({self.origin}{self.prefix})"

    def to(self, scheme: str, host: str, port: int, prefix: str) -> Channel:
        """A channel to another server, over the same pool and by the same rules."""
        return Channel(
            self.transport,
            Origin(scheme, host, port),
            prefix,
            protocol=self._protocol,
            retry=self._retry,
            credentials=self._credentials,
            interceptors=self._interceptors,
            clock=self.clock,
            limit=self._limit,
            draw=self._draw,
        )

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
        return self._single("unary", method, (request,), deadline, headers, repeatable or method.safe)

    def client_stream(
        self,
        method: Method[Req, Res],
        requests: Iterable[Req],
        *,
        deadline: Deadline,
        headers: Optional[Metadata] = None,
    ) -> Reply[Res]:
        """Any number of messages there, each as soon as it comes out of `requests`, and one back; see `unary`.

        What `requests` raises ends the call and is raised here. It is only ever sent again if it is a list or a tuple
        and surely nothing of it was sent.
        """
        return self._single("client_stream", method, requests, deadline, headers, False)

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
        call = Call(
            method, "server_stream", (request,), _given(headers), deadline, safe=method.safe, idle=idle, resume=resume
        )
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
        return cast(
            "Stream[Res]", self._proceed(Call(method, "bidi_stream", requests, _given(headers), deadline, idle=idle))
        )

    def _single(
        self,
        kind: Kind,
        method: Method[Req, Res],
        requests: Iterable[Req],
        deadline: Deadline,
        headers: Optional[Metadata],
        safe: bool,
    ) -> Reply[Res]:
        call = Call(method, kind, requests, _given(headers), deadline, safe=safe)
        reply = cast("Reply[Res]", self._proceed(call))
        reply.attempts = call.attempts
        return reply

    def _attempt(self, call: Call) -> Result:
        deadline = call.deadline
        _check(deadline, sent=False)
        left = deadline.left()
        call.attempts += 1
        try:
            if call.kind == "unary" and isinstance(self._protocol, Connect):
                return self._unary(self._protocol, call, left)
            stream = self._open(call, left)
            return stream if call.kind in ("server_stream", "bidi_stream") else _only(stream)
        except CallError as error:
            call.sent = call.sent or error.sent
            raise

    def _unary(self, protocol: Connect, call: Call, left: Optional[float]) -> Reply[Any]:
        (message,) = call.messages
        method = call.method
        request = protocol.unary(method, self.prefix + method.path, message, left)
        if request.body is not None:
            call.bytes_sent += len(request.body)
        status, reason, headers, body = self.transport.exchange(
            request.verb,
            self.origin,
            request.target,
            _joined(request.head, call.headers),
            request.body,
            call.deadline,
            self._limit,
        )
        call.bytes_received += len(body)
        return Reply(*protocol.answer(method.response, status, reason, headers, body, self._limit))

    def _open(self, call: Call, left: Optional[float]) -> Stream[Any]:
        protocol = self._protocol
        outgoing = (_counted(protocol.envelope(message), call) for message in call.messages)
        # One message is one body: chunks are for what is not there yet, and some servers take none.
        single = call.kind in ("unary", "server_stream")
        answer = self.transport.open(
            "POST",
            self.origin,
            self.prefix + call.method.path,
            _joined(protocol.stream_head(left), call.headers),
            b"".join(outgoing) if single else outgoing,
            call.deadline,
            idle=call.idle,
        )
        try:
            reader = protocol.reader(call.method.response, answer.status, answer.headers, self._limit)
            if reader is None:
                body = answer.read(min(self._limit, _MOST_REFUSAL))
                protocol.refuse(answer.status, answer.reason, answer.headers, body, protocol.family, self._limit)
        except BaseException:
            answer.close()
            raise
        incoming = _Incoming(answer, reader, call)
        messages = incoming.messages()
        try:
            first = next(messages)
        except StopIteration:
            return Stream(iter(()), incoming)
        return Stream(_after(first, messages), incoming)


class _Incoming(Generic[Res]):
    """An answer that is a stream. One thread reads its messages; any may end it."""

    def __init__(self, answer: OpenAnswer, reader: AnswerReader[Res], call: Call) -> None:
        self._answer = answer
        self._reader = reader
        self._call = call
        self._reading = False
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
                    _check(deadline, sent=True)
                    yield message
                elif reader.ended:
                    reader.over(answer.finish())
                    return
                else:
                    piece = self._read_some()
                    if not piece:
                        reader.over()
                        return
                    call.bytes_received += len(piece)
                    reader.feed(piece)
        except CallError:
            if reader.ended:
                # All has come, and was an error; the connection is as good as new.
                answer.finish()
            _check(deadline, sent=True)
            raise
        finally:
            answer.close()

    def _read_some(self) -> bytes:
        # Each says what it is about to do before it looks at what the other does, so one of them notices.
        self._reading = True
        try:
            if self._closed:
                raise CanceledError("the stream was closed", Code.CANCELED)
            return self._answer.read_some()
        finally:
            self._reading = False

    def close(self) -> None:
        self._closed = True
        if self._reading:
            # What another thread is reading from can't be closed, only be ended.
            self._answer.abort()
        else:
            self._answer.close()


def _check(deadline: Deadline, *, sent: bool) -> None:
    # Also of what has come already: who has given up a call wants nothing more of it.
    if deadline.canceled:
        raise CanceledError("the call was canceled", Code.CANCELED, sent=sent)
    if deadline.expired:
        what = "the answer was not over" if sent else "no time was left to send the request"
        seconds = f" after {deadline.seconds:g} s" if sent else ""
        raise CallTimeoutError(f"{what}{seconds}", Code.DEADLINE_EXCEEDED, sent=sent)


def _after(first: Res, messages: Iterator[Res]) -> Iterator[Res]:
    yield first
    yield from messages


def _only(stream: Stream[Any]) -> Reply[Any]:
    with stream:
        message = next(stream, None)
        if message is not None and next(stream, None) is None:
            return Reply(message, stream.headers, stream.trailers)
        came = "no message" if message is None else "more than one message"
        raise UnimplementedError(
            f"the server sent {came}, where there must be one",
            Code.UNIMPLEMENTED,
            headers=merged(stream.headers, stream.trailers),
        )


def _counted(envelope: bytes, call: Call) -> bytes:
    call.bytes_sent += len(envelope)
    return envelope


def _joined(head: dict[str, str], own: Headers) -> dict[str, Any]:
    joined: dict[str, Any] = {name: values[0] if len(values) == 1 else values for name, values in own.items()}
    joined.update(head)
    return joined


def _given(metadata: Optional[Metadata]) -> Headers:
    return checked(metadata) if metadata else {}
