"""The devbox's promises in full: what CI shows with a few rounds and runs, with hundreds of them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from devbox_crash import Load
from devbox_load import flood, out_of_order

RUNS = 1000


def test_two_hundred_rounds_of_kill_9_under_load(tmp_path: Path) -> None:
    seed = int(os.environ.get("DEVBOX_CRASH_SEED") or secrets.randbelow(10**6))
    print(f"DEVBOX_CRASH_SEED={seed}")
    load = Load(tmp_path / "state", seed)

    for number in range(200):
        load.round(load.dice.uniform(0.05, 1.0))
        if number % 10 == 9:
            load.finish()

    print(f"{len(load.runs)} runs, {len(load.tasks)} tasks, {sum(load.lines.values())} lines")
    assert len(load.outputs) == len(load.runs) > 200


def test_a_thousand_runs_on_four_workers_in_order_of_arrival(tmp_path: Path) -> None:
    seen = flood(RUNS, tmp_path)

    assert out_of_order(seen) <= 0.05
    assert seen["after"]["threads"] <= seen["before"]["threads"]
    assert seen["after"]["files"] <= seen["before"]["files"]
    assert seen["after"]["children"] <= seen["before"]["children"] == 1, "the reaper alone"
    assert seen["after"]["kilobytes"] - seen["before"]["kilobytes"] < 3000


def test_a_thousand_runs_in_memory_take_what_they_keep() -> None:
    seen = flood(RUNS)

    # Inputs, outputs, a specification, four events and a line of log each.
    assert seen["after"]["kilobytes"] - seen["before"]["kilobytes"] < 16 * RUNS
