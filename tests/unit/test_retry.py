from __future__ import annotations

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
