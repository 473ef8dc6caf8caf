"""Stand-ins at the seams of the package: a clock that only turns when told, a channel that answers by table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, Optional, Union
from urllib.parse import parse_qsl

from flyte_lite._clock import Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.transport import Answer as HttpAnswer
from flyte_lite._rpc.call import Reply, Stream
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
        idles: What each stream was allowed to be idle, in seconds.
        transport: None, unless a test puts one there.
        credentials: None; nothing is shown to nobody.
    """

    def __init__(self, clock: Optional[FakeClock] = None) -> None:
        self.clock = clock or FakeClock()
        self.origin = Origin("http", "fake", 80)
        self.prefix = ""
        self.attempts = 1
        self.deadline = Deadline(self.clock, None)
        self.idles: list[Optional[float]] = []
        self.transport: Any = None
        self.credentials: Any = None
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

    def server_stream(
        self, method: Method[Any, Any], request: Any, *, deadline: Deadline, idle: Optional[float] = None, **_: Any
    ) -> Stream[Any]:
        """Answers are lists of messages, errors to raise in their place, and functions to call on the way."""
        items = iter(self.unary(method, request, deadline=deadline).message)
        self.idles.append(idle)
        messages = self._messages(items, deadline)
        for first in messages:
            return Stream(_after(first, messages), _Source())
        return Stream(iter(()), _Source())

    def _messages(self, items: Iterator[Any], deadline: Deadline) -> Iterator[Any]:
        for item in items:
            if deadline.canceled:
                raise CanceledError("canceled", Code.CANCELED)
            if deadline.expired:
                raise CallTimeoutError("no time left", Code.DEADLINE_EXCEEDED)
            if isinstance(item, BaseException):
                raise item
            if callable(item):
                item()
            else:
                yield item

    def to(self, scheme: str, host: str, port: int, prefix: str, *, shows: bool = True) -> FakeChannel:
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


class _Source:
    headers: dict[str, list[str]] = {}  # noqa: RUF012 - never changed
    trailers: dict[str, list[str]] = {}  # noqa: RUF012

    def close(self) -> None: ...


def _after(first: Any, messages: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from messages


class FakeWeb:
    """Stands where the network is: answers by address, keeps what was asked, and lets no time pass by itself.

    Attributes:
        asked: Address, form and headers (by lower-case name) of each request, in order.
    """

    def __init__(self, clock: Optional[FakeClock] = None) -> None:
        self.clock = clock or FakeClock()
        self.asked: list[WebRequest] = []
        self._answers: dict[str, list[WebAnswer]] = {}

    def on(self, url: str, *answers: WebAnswer) -> FakeWeb:
        """Answer an address (without its query) with these, in this order; the last one is repeated for ever."""
        self._answers[url] = list(answers)
        return self

    def exchange(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, Any],
        body: Optional[bytes],
        deadline: Deadline,
        limit: int,
    ) -> HttpAnswer:
        usual = origin.port == (443 if origin.scheme == "https" else 80)
        path, _, query = target.partition("?")
        url = f"{origin.scheme}://{origin.host}{'' if usual else f':{origin.port}'}{path}"
        kept = {name.lower(): value for name, value in headers.items()}
        is_form = kept.get("content-type") == "application/x-www-form-urlencoded"
        form = dict(parse_qsl((body or b"").decode(), keep_blank_values=True)) if is_form else {}
        self.asked.append(WebRequest(method, url, query, form, kept, body, deadline))
        answers = self._answers.get(url, [HttpAnswer(404, "Not Found", {}, b"")])
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, dict):
            answer = web_answer(answer)
        assert isinstance(answer, HttpAnswer)
        return answer

    def open(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, Any],
        body: Any,
        deadline: Deadline,
        *,
        idle: Optional[float] = None,
    ) -> NoReturn:
        """The same, where the answer is an error."""
        raise AssertionError(self.exchange(method, origin, target, headers, body, deadline, 0))

    def requests(self, url: str) -> list[WebRequest]:
        """Those to one address."""
        return [request for request in self.asked if request.url == url]


class WebRequest(NamedTuple):
    method: str
    url: str
    query: str
    form: dict[str, str]
    headers: dict[str, Any]
    body: Optional[bytes]
    deadline: Deadline


def web_answer(fields: Any, status: int = 200, reason: str = "OK", **headers: str) -> HttpAnswer:
    """An answer in JSON."""
    kept = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return HttpAnswer(status, reason, {"content-type": ["application/json"], **kept}, json.dumps(fields).encode())


WebAnswer = Union[HttpAnswer, dict[str, Any], Exception]
