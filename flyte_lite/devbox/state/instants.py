"""Protobuf's instants as numbers that fit the database; protobuf's own conversions refuse what others may send."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flyte_lite.idl.google.protobuf.timestamp_pb2 import Timestamp

# The years 1 to 9999, which are all that can be told again.
FIRST, LAST = -62_135_596_800, 253_402_300_799
_MOST = 2**63 - 1


def microseconds(instant: Timestamp) -> int:
    """Since 1970; the nearest one that can be told, if it is none."""
    seconds = min(max(instant.seconds + instant.nanos // 10**9, FIRST), LAST)
    return seconds * 10**6 + instant.nanos % 10**9 // 1000


def nanoseconds(instant: Timestamp) -> int:
    """Since 1970; the nearest one that fits 64 bits, if it does not."""
    return min(max(instant.seconds * 10**9 + instant.nanos, -_MOST), _MOST)
