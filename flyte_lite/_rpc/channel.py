"""Typed calls: a method and a message in, a message or an error out, with deadline, retries and one line of log."""

from __future__ import annotations

import logging
import random
import re
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, Optional

from flyte_lite._clock import SYSTEM_CLOCK, Clock, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.transport import Transport
from flyte_lite._repeat import repeat
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.method import Method, Req, Res
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import CallError, CallTimeoutError, CanceledError, Code

if TYPE_CHECKING:
    from google.protobuf.message import Message

_log = logging.getLogger("flyte_lite")
# Never the shared generator: a script that seeds it wants its own numbers undisturbed, and ours unpredictable.
_random = random.SystemRandom()

DEFAULT_LIMIT = 64 * 1024 * 1024


class Reply(Generic[Res]):
    """What a call brought.

    Attributes:
        message: The answer.
        attempts: How often it was asked; more than 1 means that an earlier request may have taken effect too.
    """

    __slots__ = ("attempts", "message")

    def __init__(self, message: Res, attempts: int) -> None:
        self.message = message
        self.attempts = attempts


class Channel:
    """The calls of one server.

    Args:
        transport: The door to the network.
        origin: Where the server is.
        prefix: Path before every method's path, without a slash at its end; "" for none.
        retry: When to try again.
        protocol: How a call looks on the wire.
        clock: What deadlines are measured on.
        limit: Most bytes of one answer, packed or unpacked.
        draw: Numbers from 0 to 1 for the jitter of retries.
    """

    def __init__(
        self,
        transport: Transport,
        origin: Origin,
        prefix: str = "",
        *,
        retry: Optional[RetryPolicy] = None,
        protocol: Optional[Connect] = None,
        clock: Clock = SYSTEM_CLOCK,
        limit: int = DEFAULT_LIMIT,
        draw: Callable[[], float] = _random.random,
    ) -> None:
        self.transport = transport
        self.origin = origin
        self.prefix = prefix
        self.clock = clock
        self._retry = retry or RetryPolicy()
        self._protocol = protocol or Connect()
        self._limit = limit
        self._draw = draw

    def to(self, scheme: str, host: str, port: int, prefix: str) -> Channel:
        """A channel to another server, over the same pool and by the same rules."""
        return Channel(
            self.transport,
            Origin(scheme, host, port),
            prefix,
            retry=self._retry,
            protocol=self._protocol,
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
        headers: Optional[Mapping[str, str]] = None,
    ) -> Reply[Res]:
        """One call: one message there, one back.

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
        started = self.clock.monotonic()
        safe = repeatable or method.safe
        further = _checked(headers) if headers else {}
        request_id = further.pop("x-request-id", "") or secrets.token_hex(16)
        body = self._protocol.body(request)
        tries = 0
        sent = False

        def attempt(number: int) -> Res:
            nonlocal tries
            if deadline.canceled:
                raise CanceledError("the call was canceled", Code.CANCELED, sent=False)
            left = deadline.left()
            if left == 0.0:
                raise CallTimeoutError("no time was left to send the request", Code.DEADLINE_EXCEEDED, sent=False)
            tries = number
            head = self._protocol.head(left)
            head["x-request-id"] = request_id
            if further:
                head = {**further, **head}
            answer = self.transport.exchange(
                "POST", self.origin, self.prefix + method.path, head, body, deadline, self._limit
            )
            return self._protocol.answer(method.response, *answer, limit=self._limit)

        def again(number: int, value: Optional[Message], error: Optional[Exception]) -> Optional[float]:
            nonlocal sent
            if not isinstance(error, CallError):
                return None
            sent = sent or error.sent
            return self._retry.delay(error, number, safe, deadline.left(), self._draw())

        try:
            result = repeat(attempt, again, deadline)
        except CallError as error:
            error.sent = error.sent or sent
            error.method = str(method)
            error.endpoint = str(self.origin)
            error.attempts = max(tries, 1)
            error.elapsed = self.clock.monotonic() - started
            error.request_id = request_id
            self._note(method, error.code.value, tries, started, len(body), 0, request_id)
            raise
        if _log.isEnabledFor(logging.DEBUG):
            self._note(method, "ok", tries, started, len(body), result.ByteSize(), request_id)
        return Reply(result, tries)

    def _note(
        self, method: Method[Req, Res], code: str, tries: int, started: float, sent: int, received: int, request_id: str
    ) -> None:
        _log.debug(
            "%s %s attempts=%d ms=%.1f sent=%d received=%d request_id=%s",
            method,
            code,
            tries,
            (self.clock.monotonic() - started) * 1000,
            sent,
            received,
            request_id,
        )


# What the protocol and HTTP say for themselves; a second one would contradict them.
_OURS = {"accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "host"}
_OURS |= {"transfer-encoding", "user-agent"}


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by lower-case name, without those that are ours to send.

    Checked here, as http.client repeats a bad value in its error, and the value may be a token.
    """
    checked = {}
    for given, value in headers.items():
        name = given.lower()
        if not re.fullmatch(r"[0-9a-z_.-]+", name):
            raise ValueError(f"{name[:40]!r} is not the name of a header")
        if not re.fullmatch(r"[\x20-\x7e]*", value):
            raise ValueError(
                f"the value of the header {name} has characters that HTTP does not take, such as a line end"
            )
        if name not in _OURS and not name.startswith("connect-"):
            checked[name] = value
    return checked
