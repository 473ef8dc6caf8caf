from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional, Union

import pytest

from flyte_lite import errors
from flyte_lite._clock import Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.transport import Answer
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.method import Method
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

READ: Method[Any, Any] = Method(run_service_pb2, "RunService", "GetRunDetails", safe=True)
WRITE: Method[Any, Any] = Method(run_service_pb2, "RunService", "AbortRun", safe=False)
OK = Answer(200, "OK", {"content-type": ["application/proto"]}, b"")


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float, cancel: Optional[Cancel] = None) -> None:
        self.now += seconds


Outcome = Union[Answer, Exception, Callable[[], Answer]]


class FakeTransport:
    """Stands where the network is: keeps what was asked, and gives one outcome after the other."""

    def __init__(self, clock: FakeClock, *outcomes: Outcome) -> None:
        self.clock = clock
        self.outcomes = list(outcomes)
        self.asked: list[tuple[Any, ...]] = []

    def exchange(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, Union[str, Sequence[str]]],
        body: Optional[bytes],
        deadline: Deadline,
        limit: int,
    ) -> Answer:
        sent = {name: value if isinstance(value, str) else ", ".join(value) for name, value in headers.items()}
        self.asked.append((method, origin, target, sent, body, deadline, limit))
        self.clock.now += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome() if not isinstance(outcome, Answer) else outcome

    def headers(self, name: str) -> list[Optional[str]]:
        return [{key.lower(): value for key, value in asked[3].items()}.get(name) for asked in self.asked]


class Bench:
    def __init__(self, *outcomes: Outcome, **options: Any) -> None:
        self.clock = FakeClock()
        self.transport = FakeTransport(self.clock, *outcomes)
        options.setdefault("retry", RetryPolicy(retries=3, base=2.0, cap=100.0))
        self.channel = Channel(
            self.transport,  # type: ignore[arg-type]
            Origin("https", "flyte.example", 443),
            "/base",
            clock=self.clock,
            draw=lambda: 0.5,
            **options,
        )

    def call(
        self,
        method: Method[Any, Any] = READ,
        seconds: Optional[float] = 100,
        cancel: Optional[Cancel] = None,
        **options: Any,
    ) -> Any:
        request = run_service_pb2.GetRunDetailsRequest(run_id=identifier_pb2.RunIdentifier(name="r"))
        return self.channel.unary(method, request, deadline=Deadline(self.clock, seconds, cancel), **options)


def lost() -> Exception:
    return errors.ConnectionLostError("lost")


def test_a_call_is_one_request() -> None:
    bench = Bench(OK, limit=77)

    reply = bench.call()

    assert isinstance(reply.message, run_service_pb2.GetRunDetailsResponse)
    assert reply.attempts == 1
    method, origin, target, headers, body, _, limit = bench.transport.asked[0]
    assert (method, str(origin), target) == (
        "POST",
        "https://flyte.example:443",
        "/base/flyteidl2.workflow.RunService/GetRunDetails",
    )
    assert body == b"\x0a\x03\x22\x01r"
    assert limit == 77
    assert headers["Connect-Timeout-Ms"] == "100000"
    assert len(headers["x-request-id"]) == 32


def test_retries_keep_the_request_id_and_tell_what_is_left() -> None:
    bench = Bench(lost(), lost(), OK)

    assert bench.call().attempts == 3

    assert len(set(bench.transport.headers("x-request-id"))) == 1
    # 1 s an attempt, then half of 2 s and half of 4 s of waiting
    assert bench.transport.headers("connect-timeout-ms") == ["100000", "98000", "95000"]
    assert len({asked[5] for asked in bench.transport.asked}) == 1, "one deadline for everything"


def test_each_call_has_an_id_of_its_own() -> None:
    bench = Bench(OK, OK)
    bench.call()
    bench.call()

    assert len(set(bench.transport.headers("x-request-id"))) == 2


def test_a_write_is_not_repeated_unless_it_was_not_sent() -> None:
    with pytest.raises(errors.ConnectionLostError) as caught:
        Bench(lost()).call(WRITE)
    assert caught.value.attempts == 1

    assert Bench(errors.ConnectFailedError("down"), OK).call(WRITE).attempts == 2
    assert Bench(lost(), OK).call(WRITE, repeatable=True).attempts == 2


def test_the_error_tells_the_whole_story() -> None:
    bench = Bench(lost(), lost(), lost(), lost())

    with pytest.raises(errors.ConnectionLostError) as caught:
        bench.call()

    error = caught.value
    assert error.method == "RunService/GetRunDetails"
    assert error.endpoint == "https://flyte.example:443"
    assert error.attempts == 4
    assert error.elapsed == 4 + 1 + 2 + 4
    assert [error.request_id] == list(set(bench.transport.headers("x-request-id")))
    assert str(error) == (
        "RunService/GetRunDetails at https://flyte.example:443: unavailable: lost (after 4 attempts in 11.0 s) "
        f"[request id {error.request_id}]"
    )


def test_an_error_answer_becomes_its_class() -> None:
    answer = Answer(404, "Not Found", {"content-type": ["application/json"]}, b'{"code":"not_found","message":"gone"}')

    with pytest.raises(errors.NotFoundError, match="gone") as caught:
        Bench(answer).call()

    assert caught.value.attempts == 1


def test_the_limit_holds_after_unpacking_too() -> None:
    import gzip

    headers = {"content-type": ["application/proto"], "content-encoding": ["gzip"]}
    answer = Answer(200, "OK", headers, gzip.compress(b"\0" * 1000))

    with pytest.raises(errors.AnswerTooLargeError, match="limit of 999"):
        Bench(answer, limit=999).call()


def test_no_time_left_sends_nothing() -> None:
    bench = Bench()

    with pytest.raises(errors.CallTimeoutError) as caught:
        bench.call(seconds=0)

    assert bench.transport.asked == []
    assert (caught.value.attempts, caught.value.sent) == (1, False)


def test_a_canceled_token_sends_nothing() -> None:
    bench, cancel = Bench(), Cancel()
    cancel.cancel()

    with pytest.raises(errors.CanceledError) as caught:
        bench.call(cancel=cancel)

    assert bench.transport.asked == []
    assert not caught.value.sent


def test_a_cancel_between_two_attempts_is_a_cancel() -> None:
    cancel = Cancel()

    def lose_and_cancel() -> Answer:
        cancel.cancel()
        raise lost()

    bench = Bench(lose_and_cancel)

    with pytest.raises(errors.CanceledError) as caught:
        bench.call(cancel=cancel)

    assert caught.value.sent, "the first attempt may have taken effect"
    assert len(bench.transport.asked) == 1


@pytest.mark.parametrize("first", [lost(), errors.ConnectFailedError("down")])
def test_what_was_sent_once_was_sent_though_the_last_attempt_found_nobody(first: errors.CallError) -> None:
    down = errors.ConnectFailedError("down")

    with pytest.raises(errors.ConnectFailedError) as caught:
        Bench(first, down, down, down).call()

    assert caught.value.attempts == 4
    assert caught.value.sent is (not isinstance(first, errors.ConnectFailedError))


def test_the_last_error_is_kept_when_no_time_is_left_for_another_try() -> None:
    bench = Bench(lost(), lost(), lost())

    with pytest.raises(errors.ConnectionLostError) as caught:
        bench.call(seconds=4.5)  # 1 + 1 of waiting + 1; the next wait of 2 s would end after it

    assert caught.value.attempts == 2


def test_without_a_deadline_no_timeout_is_sent() -> None:
    bench = Bench(OK)
    bench.call(seconds=None)

    assert bench.transport.headers("connect-timeout-ms") == [None]


def test_further_headers_are_sent_but_never_instead_of_ours() -> None:
    bench = Bench(OK)
    bench.call(
        headers={
            "Authorization": "Bearer t",
            "content-type": "text/plain",
            "CONTENT-LENGTH": "7",
            "connect-timeout-ms": "1",
            "Accept-Encoding": "br",
            "Host": "other",
        }
    )

    headers = bench.transport.asked[0][3]
    names = [name.lower() for name in headers]
    assert len(names) == len(set(names))
    assert headers["authorization"] == "Bearer t"
    assert headers["Content-Type"] == "application/proto"
    assert headers["Accept-Encoding"] == "gzip"
    assert headers["Connect-Timeout-Ms"] == "100000"
    assert "content-length" not in names
    assert "host" not in names


def test_a_request_id_may_be_given() -> None:
    bench = Bench(lost(), errors.TlsError("x"))

    with pytest.raises(errors.TlsError) as caught:
        bench.call(headers={"X-Request-Id": "mine"})

    assert bench.transport.headers("x-request-id") == ["mine", "mine"]
    assert caught.value.request_id == "mine"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", "Bearer hidden\n"),
        ("authorization", "Bearer hidden\r\nx-evil: 1"),
        ("authorization", "Bearer hidd\u00e9n"),
        ("x y", "hidden"),
        ("", "hidden"),
        ("x:", "hidden"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(name: str, value: str) -> None:
    bench = Bench()

    with pytest.raises(ValueError, match="header") as caught:
        bench.call(headers={name: value})

    assert "hidd" not in str(caught.value)
    assert bench.transport.asked == []


def test_a_fault_of_our_own_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError):
        Bench(ZeroDivisionError()).call()


def test_one_line_of_log_for_a_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="flyte_lite")
    bench = Bench(lost(), OK)
    bench.call(headers={"authorization": "Bearer hidden", "x-request-id": "id-1"})

    assert [record.getMessage() for record in caplog.records] == [
        "RunService/GetRunDetails ok attempts=2 ms=3000.0 sent=10 received=0 request_id=id-1"
    ]


def test_one_line_of_log_for_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="flyte_lite")
    with pytest.raises(errors.TlsError):
        Bench(errors.TlsError("x")).call(headers={"x-request-id": "id-1"})

    assert [record.getMessage() for record in caplog.records] == [
        "RunService/GetRunDetails unavailable attempts=1 ms=1000.0 sent=5 received=0 request_id=id-1"
    ]


def test_nothing_is_logged_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Bench(lost(), OK).call()

    assert caplog.records == []


def test_a_channel_to_another_server_keeps_the_rules() -> None:
    bench = Bench(errors.ConnectFailedError("x"), OK, limit=5)
    other = bench.channel.to("http", "other", 80, "")

    reply = other.unary(READ, run_service_pb2.GetRunDetailsRequest(), deadline=Deadline(bench.clock, 9))

    assert reply.attempts == 2
    assert bench.transport.asked[0][1] == Origin("http", "other", 80)
    assert bench.transport.asked[0][6] == 5


def test_the_code_is_the_same_text_everywhere() -> None:
    assert f"{Code.NOT_FOUND}" == str(Code.NOT_FOUND) == Code.NOT_FOUND.value == "not_found"
