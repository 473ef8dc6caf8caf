"""The devbox's promises in full: what CI shows with a few rounds and runs, with hundreds of them."""

from __future__ import annotations

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devbox_crash import Load
from devbox_load import flood, out_of_order

from flyte_lite import Client
from flyte_lite.devbox import Devbox

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


def test_two_hundred_children_in_threads_and_one_hundred_in_a_row() -> None:
    with Devbox() as box, Client(box.endpoint, project="flytesnacks", domain="development") as client:

        @box.task(name="many.leaf", version="v1")
        def leaf(n: int) -> int:
            return n * n

        @box.task(name="many.wide", version="v1")
        def wide(n: int) -> list[int]:
            with ThreadPoolExecutor(n) as pool:
                return list(pool.map(leaf, range(n)))

        @box.task(name="many.row", version="v1")
        def row(n: int) -> list[int]:
            return [leaf(i) for i in range(n)]

        for name, count in (("many.wide", 200), ("many.row", 100)):
            run = client.run(client.tasks.get(name, version="v1"), n=count)
            run.wait(timeout=300)
            assert run.outputs()[0] == [n * n for n in range(count)]
            assert len(list(client.actions.listall(run.name))) == count + 1
