"""Whether a failed call is worth another try, and when: a decision without I/O, clock or dice of its own."""

from __future__ import annotations

import contextlib
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Optional

from flyte_lite import errors
from flyte_lite.errors import CallError, Code

_RETRY_INFO = "google.rpc.RetryInfo"


class RetryPolicy(NamedTuple):
    """How failed calls are repeated.

    Attributes:
        retries: Most repeats of one call; 0 never repeats.
        base: Seconds of the first wait at its longest; each further one may be twice as long.
        cap: Seconds of any wait at its longest.
    """

    retries: int = 3
    base: float = 0.5
    cap: float = 10.0

    def delay(self, error: CallError, attempt: int, safe: bool, left: Optional[float], draw: float) -> Optional[float]:
        """Seconds to wait before trying again, or None to give up.

        Args:
            error: What attempt number `attempt` (from 1) ended with.
            safe: True if doing the call twice is as good as once.
            left: Seconds left of the call's deadline; None has no end.
            draw: A number from 0 to 1 ("full jitter": clients that failed together must not come back together).
        """
        if attempt > self.retries or not _worth_it(error, safe) or _unwanted(error):
            return None
        asked = pushback(error)
        if asked is None and error.code is Code.RESOURCE_EXHAUSTED:
            return None  # only the server knows when there is room again
        delay = asked if asked is not None else draw * min(self.cap, self.base * 2.0 ** min(attempt - 1, 99))
        return None if left is not None and delay >= left else delay


def _worth_it(error: CallError, safe: bool) -> bool:
    if isinstance(error, errors.TlsError):
        return False
    # Refused before anything was done.
    if isinstance(error, (errors.ConnectFailedError, errors.RateLimitedError)):
        return True
    # Not by its code: a bare HTTP 400 stands for internal as well, and that one will not get better.
    # What was not sent has done nothing: a token could not be had in time, say.
    return (safe or not error.sent) and (error.code is Code.UNAVAILABLE or isinstance(error, errors.InternalError))


def _unwanted(error: CallError) -> bool:
    # Below zero, or no number: a gRPC server does not want to be asked again at all.
    said = _header(error, "grpc-retry-pushback-ms")
    return bool(said) and _number(said) is None


def pushback(error: CallError) -> Optional[float]:
    """Seconds that the server asks to be left alone, in a detail or a header; None if it asks for nothing."""
    from google.protobuf.message import DecodeError

    from flyte_lite.idl.google.protobuf import duration_pb2

    for detail in error.details:
        # RetryInfo is one field, `retry_delay = 1`: a tag byte and the length of the Duration that follows.
        if detail.type == _RETRY_INFO and detail.value[:1] == b"\x0a" and len(detail.value) >= 2:
            with contextlib.suppress(DecodeError):  # what can't be read asks for nothing
                delay = duration_pb2.Duration.FromString(detail.value[2 : 2 + detail.value[1]])
                return max(0.0, float(delay.seconds) + delay.nanos / 1e9)
    milliseconds = _number(_header(error, "grpc-retry-pushback-ms"))
    return _after(error) if milliseconds is None else milliseconds / 1000


def _after(error: CallError) -> Optional[float]:
    value = _header(error, "retry-after")
    # A date is held against the date of the answer, because clocks differ.
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(_header(error, "date"))
        return max(0.0, wait.total_seconds())
    return _number(value)


def _number(value: str) -> Optional[float]:
    # Ten digits are three hundred years; more would become infinity.
    return float(value) if value.isascii() and value.isdigit() and len(value) <= 10 else None


def _header(error: CallError, name: str) -> str:
    return error.headers.get(name, [""])[0].strip()
