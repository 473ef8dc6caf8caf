"""A devbox with more runs than workers: all of them end, in order, and leave nothing behind in its process."""

from __future__ import annotations

from pathlib import Path

import pytest
from devbox_load import flood, out_of_order

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it is measured in /proc")


def test_runs_are_carried_out_in_order_and_leave_nothing(tmp_path: Path) -> None:
    seen = flood(100, tmp_path)

    assert out_of_order(seen) <= 0.05
    assert seen["after"]["threads"] <= seen["before"]["threads"]
    assert seen["after"]["files"] <= seen["before"]["files"]
    assert seen["after"]["children"] <= seen["before"]["children"] == 1, "the reaper alone"
    assert seen["after"]["kilobytes"] - seen["before"]["kilobytes"] < 3000
