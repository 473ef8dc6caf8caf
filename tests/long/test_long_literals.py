"""A hundred thousand literals, types and values that are nearly right, others each time."""

from __future__ import annotations

import os
import secrets

from literal_fuzz import Fuzzer


def test_what_is_nearly_right_is_converted_or_refused() -> None:
    seed = int(os.environ.get("LITERAL_FUZZ_SEED") or secrets.randbelow(10**6))
    print(f"LITERAL_FUZZ_SEED={seed}")
    fuzzer = Fuzzer(seed)

    fuzzer.run(100_000)

    print(dict(fuzzer.outcomes))
    assert fuzzer.outcomes["reading: done"] > 20_000
    assert fuzzer.outcomes["writing: done"] > 10_000
