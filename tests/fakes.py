"""Stand-ins at the seams of the package: a clock that only turns when told, a channel that answers by table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional, Union

from flyte_lite._clock import Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._rpc.call import Reply
from flyte_lite._rpc.method import Method
from flyte_lite._session import Scope, Session
from flyte_lite.errors import CallError, CallTimeoutError, CanceledError, Code


class FakeClock:
    """Time passes only in `sleep` and by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now

    def sleep(self, seconds: float, cancel: Optional[Cancel] = None) -> None:
        self.slept.append(seconds)
        self.now += seconds


Answer = Union[Any, CallError, Callable[[Any], Any]]


class FakeChannel:
    """Answers each method from what it was told; the last answer is repeated for ever.

    Attributes:
        calls: Method and a copy of the request, in order.
        attempts: What replies say.
        deadline: That of the last call.
    """

    def __init__(self, clock: Optional[FakeClock] = None) -> None:
        self.clock = clock or FakeClock()
        self.origin = Origin("http", "fake", 80)
        self.prefix = ""
        self.attempts = 1
        self.deadline = Deadline(self.clock, None)
        self.calls: list[tuple[str, Any]] = []
        self.others: dict[str, FakeChannel] = {}
        self._answers: dict[str, list[Answer]] = {}

    def on(self, method: str, *answers: Answer) -> FakeChannel:
        """Answer `Service/Method` with these, in this order: a message, an error, or a function of the request."""
        self._answers[method] = list(answers)
        return self

    def unary(
        self, method: Method[Any, Any], request: Any, *, deadline: Deadline, repeatable: bool = False
    ) -> Reply[Any]:
        self.deadline = deadline
        if deadline.canceled:
            raise CanceledError("canceled", Code.CANCELED)
        if deadline.expired:
            raise CallTimeoutError("no time left", Code.DEADLINE_EXCEEDED)
        kept = type(request)()
        kept.CopyFrom(request)
        self.calls.append((str(method), kept))
        answers = self._answers[str(method)]
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        if callable(answer) and not isinstance(answer, CallError):
            answer = answer(request)
        if isinstance(answer, CallError):
            answer.attempts = self.attempts
            raise answer
        return Reply(answer, {}, {}, self.attempts)

    def to(self, scheme: str, host: str, port: int, prefix: str) -> FakeChannel:
        other = FakeChannel(self.clock)
        other.origin = Origin(scheme, host, port)
        other._answers = self._answers
        self.others[f"{scheme}://{host}:{port}{prefix}"] = other
        return other

    def asked(self, method: str) -> list[Any]:
        """Requests of one method."""
        return [request for name, request in self.calls if name == method]

    def session(self, timeout: Optional[float] = 30.0, cancel: Optional[Cancel] = None) -> Session:
        """A session over this channel, for project p in domain d."""
        return Session(self, Scope("", "p", "d"), "http://console", timeout=timeout, cancel=cancel)  # type: ignore[arg-type]
