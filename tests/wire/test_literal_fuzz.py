"""A few thousand literals, types and values that are nearly right; `tox -e long` has a hundred thousand others."""

from __future__ import annotations

import google.protobuf
import pytest
from google.protobuf.internal import api_implementation
from literal_fuzz import Fuzzer

pytest.importorskip("msgpack")
_VERSION = tuple(int(part) for part in google.protobuf.__version__.split(".")[:2])


@pytest.fixture(autouse=True)
def a_protobuf_that_lives() -> None:
    if _VERSION < (4, 25) and api_implementation.Type() == "upb":
        pytest.skip("this protobuf's own decoder ends the process at bytes that are no message")


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_nearly_right_is_converted_or_refused(seed: int) -> None:
    fuzzer = Fuzzer(seed)

    fuzzer.run(1_500)

    # Much of it is still understood, or nothing much was tried.
    assert fuzzer.outcomes["reading: done"] > 300
    assert fuzzer.outcomes["writing: done"] > 150
