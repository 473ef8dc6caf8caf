"""Twenty thousand requests that are nearly right, others each time."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from devbox_fuzz import survives


def test_requests_that_are_nearly_right_do_no_harm(tmp_path: Path) -> None:
    seed = int(os.environ.get("DEVBOX_FUZZ_SEED") or secrets.randbelow(10**6))
    survives(tmp_path / "state", seed, 20_000)
