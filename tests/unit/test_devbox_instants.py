"""Instants as numbers, also those that protobuf itself refuses."""

from __future__ import annotations

import pytest

from flyte_lite.devbox.state.instants import microseconds, nanoseconds
from flyte_lite.idl.google.protobuf import timestamp_pb2


@pytest.mark.parametrize(
    ("seconds", "nanos", "micro", "nano"),
    [
        (0, 0, 0, 0),
        (1_700_000_000, 123_456_789, 1_700_000_000_123_456, 1_700_000_000_123_456_789),
        (-1, 500_000_000, -500_000, -500_000_000),
        (1, -1, 999_999, 999_999_999),
        (1, 2_000_000_001, 3_000_000, 3_000_000_001),
        (2**63 - 1, 0, 253_402_300_799_000_000, 2**63 - 1),
        (-(2**63), 0, -62_135_596_800_000_000, -(2**63 - 1)),
    ],
)
def test_every_instant_is_a_number(seconds: int, nanos: int, micro: int, nano: int) -> None:
    instant = timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)

    assert (microseconds(instant), nanoseconds(instant)) == (micro, nano)
    timestamp_pb2.Timestamp().FromMicroseconds(micro)
