"""A devbox with more runs than workers: all of them end, in order, and leave nothing behind in its process."""

from __future__ import annotations

from pathlib import Path

import pytest
from devbox_load import WORKERS, flood

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it is measured in /proc")


def test_runs_are_carried_out_in_order_and_leave_nothing(tmp_path: Path) -> None:
    seen = flood(100, tmp_path)

    # Workers take them in order, and tell so a moment later, side by side.
    begun = sorted(range(len(seen["begun"])), key=seen["begun"].__getitem__)
    assert all(abs(place - run) < WORKERS for place, run in enumerate(begun))
    # None ends before one that came long before it has begun.
    assert all(seen["ended"][run] > seen["begun"][run - WORKERS] for run in range(WORKERS, len(begun)))
    assert seen["after"]["threads"] <= seen["before"]["threads"]
    assert seen["after"]["files"] <= seen["before"]["files"]
    assert seen["after"]["children"] <= seen["before"]["children"] == 1, "the reaper alone"
    assert seen["after"]["kilobytes"] - seen["before"]["kilobytes"] < 3000
