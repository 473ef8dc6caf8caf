from __future__ import annotations

import random
from collections.abc import Callable
from typing import Optional

import pytest

from flyte_lite import errors
from flyte_lite._rpc.retry import RetryPolicy, pushback
from flyte_lite._rpc.wire_error import WireError
from flyte_lite.errors import CallError, Code, ErrorDetail

POLICY = RetryPolicy(retries=3, base=1.0, cap=4.0)


def retry_info(seconds: int, nanos: int = 0) -> ErrorDetail:
    """google.rpc.RetryInfo{retry_delay{seconds, nanos}}, by hand."""
    duration = b"\x08" + _varint(seconds) + (b"\x10" + _varint(nanos) if nanos else b"")
    return ErrorDetail("google.rpc.RetryInfo", b"\x0a" + bytes([len(duration)]) + duration)


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def answered(code: Code, *details: ErrorDetail, headers: Optional[dict[str, list[str]]] = None) -> CallError:
    return WireError(code, "said", details).to_exception(headers or {})


# What is repeated: (a safe call, any call), without and with the server's own delay.
NEVER, READS, PUSHED = (False, False), (True, False), "only with the server's delay"
BY_CODE = {
    Code.CANCELED: NEVER,
    Code.UNKNOWN: NEVER,
    Code.INVALID_ARGUMENT: NEVER,
    Code.DEADLINE_EXCEEDED: NEVER,
    Code.NOT_FOUND: NEVER,
    Code.ALREADY_EXISTS: NEVER,
    Code.PERMISSION_DENIED: NEVER,
    Code.RESOURCE_EXHAUSTED: PUSHED,
    Code.FAILED_PRECONDITION: NEVER,
    Code.ABORTED: NEVER,
    Code.OUT_OF_RANGE: NEVER,
    Code.UNIMPLEMENTED: NEVER,
    Code.INTERNAL: READS,
    Code.UNAVAILABLE: READS,
    Code.DATA_LOSS: NEVER,
    Code.UNAUTHENTICATED: NEVER,
}


@pytest.mark.parametrize("code", list(Code))
@pytest.mark.parametrize("pushed", [False, True])
@pytest.mark.parametrize("safe", [False, True])
def test_each_code(code: Code, pushed: bool, safe: bool) -> None:
    wanted = BY_CODE[code]
    again = pushed if wanted is PUSHED else wanted[0] and safe

    delay = POLICY.delay(answered(code, *([retry_info(2)] if pushed else [])), 1, safe, None, 0.5)

    assert delay == ((2.0 if pushed else 0.5) if again else None)


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize(
    ("error", "reads", "writes"),
    [
        (errors.ConnectFailedError("x"), True, True),
        (errors.ConnectionLostError("x"), True, False),
        (errors.UnavailableError("no token now", Code.UNAVAILABLE, sent=False), True, True),
        (errors.TlsError("x"), False, False),
        (errors.EndpointError("a bare 400", Code.INTERNAL), False, False),
        (errors.EndpointError("a page", Code.UNKNOWN), False, False),
        (errors.CallTimeoutError("x", Code.DEADLINE_EXCEEDED, sent=False), False, False),
        (errors.CanceledError("x", Code.CANCELED, sent=False), False, False),
    ],
)
def test_each_failure_of_the_network(error: CallError, reads: bool, writes: bool, safe: bool) -> None:
    assert (POLICY.delay(error, 1, safe, None, 1.0) is not None) == (reads if safe else writes)


@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 4.0), (5, 4.0), (400, 4.0), (5000, 4.0)]
)
def test_the_wait_doubles_up_to_its_cap_and_is_drawn_from_nothing_to_that(attempt: int, longest: float) -> None:
    policy = RetryPolicy(retries=10_000, base=1.0, cap=4.0)
    error = errors.ConnectFailedError("x")

    assert policy.delay(error, attempt, False, None, 1.0) == longest
    assert policy.delay(error, attempt, False, None, 0.25) == longest / 4
    assert policy.delay(error, attempt, False, None, 0.0) == 0.0


@pytest.mark.parametrize(("retries", "attempt", "again"), [(0, 1, False), (1, 1, True), (1, 2, False), (3, 3, True)])
def test_after_so_many_retries_it_is_over(retries: int, attempt: int, again: bool) -> None:
    delay = RetryPolicy(retries=retries).delay(errors.ConnectFailedError("x"), attempt, True, None, 1.0)

    assert (delay is not None) == again


@pytest.mark.parametrize(("left", "delay"), [(None, 2.0), (2.1, 2.0), (2.0, None), (0.0, None)])
def test_no_wait_goes_past_the_deadline(left: Optional[float], delay: Optional[float]) -> None:
    assert POLICY.delay(answered(Code.UNAVAILABLE, retry_info(2)), 1, True, left, 1.0) == delay


@pytest.mark.parametrize(
    ("details", "header", "seconds"),
    [
        ((), None, None),
        ((), "3", 3.0),
        ((), " 0 ", 0.0),
        ((), "Wed, 21 Oct 2026 07:28:00 GMT", None),
        ((), "-1", None),
        ((), "1.5", None),
        ((), "\u0663", None),
        ((), "9" * 400, None),
        ((retry_info(1, 500_000_000),), None, 1.5),
        ((retry_info(1),), "3", 1.0),
        ((ErrorDetail("google.rpc.Help", b"\x0a\x02\x08\x01"), retry_info(7)), None, 7.0),
        ((ErrorDetail("google.rpc.RetryInfo", b""),), "3", 3.0),
        ((ErrorDetail("google.rpc.RetryInfo", b"\x0a"),), None, None),
        ((ErrorDetail("google.rpc.RetryInfo", b"\x0a\x03\xff\xff\xff"),), "3", 3.0),
        ((ErrorDetail("google.rpc.RetryInfo", b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x01"),), None, 0.0),  # below nothing
    ],
)
def test_pushback_is_read_from_the_detail_or_the_header(
    details: tuple[ErrorDetail, ...], header: Optional[str], seconds: Optional[float]
) -> None:
    headers = {} if header is None else {"retry-after": [header]}

    assert pushback(answered(Code.UNAVAILABLE, *details, headers=headers)) == seconds


def test_an_answer_that_is_too_large_is_no_reason_to_ask_again_whatever_it_says() -> None:
    error = errors.AnswerTooLargeError("over the limit of 9 bytes", {"retry-after": ["1"]})

    assert RetryPolicy().delay(error, 1, safe=False, left=30.0, draw=0.5) is None
    assert RetryPolicy().delay(error, 1, safe=True, left=30.0, draw=0.5) is None


# -- the whole decision as one table: what went wrong, whether a repeat does harm, what the server asks for, how often
# -- it was tried, and how much time is left


def bare(kind: type[CallError], code: Code) -> Callable[[dict[str, list[str]], tuple[ErrorDetail, ...]], CallError]:
    return lambda headers, details: kind("x", code, headers=headers, details=details)


def dressed(error: CallError, headers: dict[str, list[str]], details: tuple[ErrorDetail, ...]) -> CallError:
    error.headers, error.details = headers, details
    return error


YES, SAFE, NO, ASKED = "always", "if safe", "never", "if asked"
"""When it is repeated."""
ERRORS: list[tuple[str, Callable[[dict[str, list[str]], tuple[ErrorDetail, ...]], CallError], str]] = [
    ("no connection", lambda h, d: dressed(errors.ConnectFailedError("x"), h, d), YES),
    ("lost", lambda h, d: dressed(errors.ConnectionLostError("x"), h, d), SAFE),
    ("certificate", lambda h, d: dressed(errors.TlsError("x"), h, d), NO),
    ("too large", lambda h, d: dressed(errors.AnswerTooLargeError("x"), h, d), NO),
    ("bare 400", bare(errors.EndpointError, Code.INTERNAL), NO),
    ("bare 500", bare(errors.EndpointError, Code.UNKNOWN), NO),
    ("bare 404", bare(errors.EndpointError, Code.UNIMPLEMENTED), NO),
    ("bare 503", bare(errors.UnavailableError, Code.UNAVAILABLE), SAFE),
    ("bare 401", bare(errors.UnauthenticatedError, Code.UNAUTHENTICATED), NO),
    ("timeout here", bare(errors.CallTimeoutError, Code.DEADLINE_EXCEEDED), NO),
    ("cancel here", bare(errors.CanceledError, Code.CANCELED), NO),
    *(
        (code.value, lambda h, d, code=code: WireError(code, "said", d).to_exception(h), when)  # type: ignore[misc]
        for code, when in {
            **dict.fromkeys(Code, NO),
            Code.RESOURCE_EXHAUSTED: ASKED,
            Code.INTERNAL: SAFE,
            Code.UNAVAILABLE: SAFE,
        }.items()
    ),
]
NEVERMORE = -1.0
DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
PUSHES: list[tuple[str, dict[str, list[str]], tuple[ErrorDetail, ...], Optional[float]]] = [
    ("nothing", {}, (), None),
    ("RetryInfo", {}, (retry_info(2, 500_000_000),), 2.5),
    ("RetryInfo of nothing", {}, (ErrorDetail("google.rpc.RetryInfo", b"\x0a\x00"),), 0.0),
    ("seconds", {"retry-after": ["7"]}, (), 7.0),
    ("no seconds", {"retry-after": ["0"]}, (), 0.0),
    ("a date", {"retry-after": ["Wed, 21 Oct 2026 07:28:05 GMT"], "date": [DATE]}, (), 5.0),
    ("a date in another zone", {"retry-after": ["Wed, 21 Oct 2026 09:28:05 +0200"], "date": [DATE]}, (), 5.0),
    ("a date that has passed", {"retry-after": ["Wed, 21 Oct 2026 07:27:00 GMT"], "date": [DATE]}, (), 0.0),
    ("a date and no date", {"retry-after": [DATE]}, (), None),
    ("milliseconds", {"grpc-retry-pushback-ms": ["1500"]}, (), 1.5),
    ("no milliseconds", {"grpc-retry-pushback-ms": ["0"]}, (), 0.0),
    ("milliseconds before seconds", {"grpc-retry-pushback-ms": ["1500"], "retry-after": ["7"]}, (), 1.5),
    ("RetryInfo before all", {"grpc-retry-pushback-ms": ["1500"], "retry-after": ["7"]}, (retry_info(1),), 1.0),
    ("not again", {"grpc-retry-pushback-ms": ["-1"]}, (), NEVERMORE),
    ("not again, whatever else", {"grpc-retry-pushback-ms": ["-1"], "retry-after": ["7"]}, (retry_info(1),), NEVERMORE),
    ("what no number is", {"grpc-retry-pushback-ms": ["soon"]}, (), NEVERMORE),
    ("more than can be", {"grpc-retry-pushback-ms": ["9" * 30]}, (), NEVERMORE),
    ("words", {"retry-after": ["soon"]}, (), None),
]


@pytest.mark.parametrize(("name", "push", "details", "asked"), PUSHES, ids=[row[0] for row in PUSHES])
@pytest.mark.parametrize(("error", "make", "when"), ERRORS, ids=[row[0] for row in ERRORS])
def test_the_decision(
    error: str,
    make: Callable[[dict[str, list[str]], tuple[ErrorDetail, ...]], CallError],
    when: str,
    name: str,
    push: dict[str, list[str]],
    details: tuple[ErrorDetail, ...],
    asked: Optional[float],
) -> None:
    policy = RetryPolicy(retries=2, base=1.0, cap=16.0)
    for safe in (False, True):
        for attempt in (1, 2, 3):
            for left in (None, 100.0, 1.0, 0.5, 0.25, 0.0):
                again = attempt <= 2 and asked != NEVERMORE
                again = again and {YES: True, SAFE: safe, NO: False, ASKED: asked is not None}[when]
                wait = 0.5 * 2 ** (attempt - 1) if asked is None else asked
                wanted = wait if again and (left is None or wait < left) else None

                assert policy.delay(make(push, details), attempt, safe, left, 0.5) == wanted, (safe, attempt, left)


@pytest.mark.parametrize("name", ["retry-after", "date", "grpc-retry-pushback-ms"])
def test_no_header_breaks_the_decision(name: str) -> None:
    """Whatever a server says, the call ends with its own error."""
    draw = random.Random(5)
    parts = ["Wed", ",", " ", "21", "Oct", "2026", "07:28:00", "GMT", "+0200", "9" * 30, ":", "-", "99999", "\xff", ""]
    odd = ["Wed, 21 Oct " + "9" * 30 + " 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 +" + "9" * 20, "Wed, 21 Oct 0 0 +9"]
    for value in odd + ["".join(draw.choices(parts, k=draw.randrange(9))) for _ in range(3000)]:
        headers = {"retry-after": ["Wed, 21 Oct 2026 07:28:05 GMT"], "date": [DATE], name: [value]}

        delay = POLICY.delay(answered(Code.UNAVAILABLE, headers=headers), 1, True, None, 0.5)

        assert delay is None or delay >= 0, value


def test_no_detail_breaks_the_decision() -> None:
    draw = random.Random(6)
    for _ in range(3000):
        data = b"\x0a" + bytes(draw.randrange(256) for _ in range(draw.randrange(14)))
        delay = POLICY.delay(answered(Code.UNAVAILABLE, ErrorDetail("google.rpc.RetryInfo", data)), 1, True, None, 0.5)

        assert delay is None or delay >= 0, data
