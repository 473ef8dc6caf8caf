"""Lists that change while they are read: none is lost, none comes twice, and memory does not grow."""

from __future__ import annotations

import datetime
import gc
import itertools
import random
import tracemalloc
from typing import Any

import pytest
from fakes import FakeChannel
from run_list import FAILED, RUNNING, SECOND, START, SUCCEEDED, RunList, names, numbered, runs

from flyte_lite.idl.flyteidl2.workflow import run_service_pb2


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("step", [SECOND, 1000, 0], ids=["sparse", "dense", "all at once"])
@pytest.mark.parametrize("seed", range(3))
def test_what_leaves_and_comes_loses_nothing_and_gives_nothing_twice(direction: Any, step: int, seed: int) -> None:
    """Runs end and begin between any two pages. Those that run all the time come, each once, in order."""
    draw = random.Random(seed)
    kept = numbered(1000, step)
    ended: set[str] = set()
    fresh = itertools.count()

    def change(page: int) -> None:
        running = [name for name, phase in kept.phase.items() if phase == RUNNING]
        for name in draw.sample(running, min(len(running), draw.choice([0, 10, 150]))):
            kept.phase[name] = draw.choice([SUCCEEDED, FAILED])
            ended.add(name)
        for _ in range(draw.choice([0, 5, 250])):
            kept.add(f"s{next(fresh):05}", 1000 * step + draw.randrange(1000))

    kept.between = change
    found = names(runs(kept.channel()).listall(in_phase="running", sort_by=("created_at", direction), limit=None))

    assert len(found) == len(set(found)), "none twice"
    assert {f"r{nth:05}" for nth in range(1000)} - ended - set(found) == set(), "none lost"
    own = [name for name in found if name.startswith("r")]
    assert own == sorted(own, reverse=direction == "desc")


def test_offsets_alone_would_lose_some() -> None:
    """The test above can fail: the same changes, by the server's tokens alone."""
    kept = numbered(2000)
    kept.timeless = set(kept.created)
    kept.between = lambda page: kept.phase.update({f"r{nth:05}": SUCCEEDED for nth in range(page * 100)})

    found = names(runs(kept.channel()).listall(in_phase="running", limit=None))

    assert len(set(found)) < 1900


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_a_server_that_passes_over_times_gives_none_twice_either(direction: Any) -> None:
    draw = random.Random(5)
    kept = numbered(3000, 1000)

    def timeless(request: run_service_pb2.ListRunsRequest) -> Any:
        for asked in request.request.filters:
            if asked.field == "created_at":
                request.request.filters.remove(asked)
        for name in draw.sample([name for name, phase in kept.phase.items() if phase == RUNNING], 20):
            kept.phase[name] = SUCCEEDED
        return kept.answer(request)

    channel = FakeChannel().on("RunService/ListRuns", timeless)
    found = names(runs(channel).listall(in_phase="running", sort_by=("created_at", direction), limit=None))

    assert len(found) == len(set(found))
    assert len(found) > 1000


def test_a_run_whose_time_of_creation_moves_back_is_not_lost() -> None:
    """The open-source server writes whole seconds over it when the execution begins."""
    kept = RunList()
    for nth in range(1000):
        # So that a page ends in the middle of a second.
        kept.add(f"r{nth:05}", SECOND // 2 + nth * 20_000)

    def truncate(page: int) -> None:
        if page == 1:
            for name in list(kept.created)[200:]:
                kept.created[name] = kept.created[name] // SECOND * SECOND

    kept.between = truncate
    found = names(runs(kept.channel()).listall(limit=None))

    assert sorted(found) == sorted(kept.created)


@pytest.mark.parametrize("lag", [1, 30 * SECOND], ids=["a microsecond", "half a minute"])
def test_a_server_whose_rows_show_another_time_is_read_by_its_tokens(lag: int) -> None:
    """Hosted servers may show when a run began, not when it was made."""
    kept = numbered(1000, step=SECOND // 10)
    kept.lag = lag

    found = names(runs(kept.channel()).listall(limit=None))

    assert found == sorted(kept.created)


def test_a_server_that_can_not_begin_at_a_time_is_read_by_its_tokens() -> None:
    kept = numbered(500)
    kept.unknown = {"created_at"}
    listall = runs(kept.channel()).listall

    assert names(listall(limit=None)) == sorted(kept.created)
    first = len(kept.pages)
    assert names(listall(limit=None)) == sorted(kept.created)
    # It is told once.
    assert (first, len(kept.pages)) == (4, 7)


def test_all_that_was_seen_may_leave() -> None:
    kept = numbered(600)
    found: list[str] = []
    kept.between = lambda page: kept.phase.update(dict.fromkeys(found, SUCCEEDED))

    for run in runs(kept.channel()).listall(in_phase="running", limit=None):
        found.append(run.name)  # noqa: PERF401 - one by one, as the list changes with it

    assert found == [f"r{nth:05}" for nth in range(600)]


def test_only_rows_of_one_time_are_looked_through_here() -> None:
    kept = numbered(400, step=0)
    for nth in range(1000):
        kept.add(f"s{nth:05}", (nth + 60) * SECOND)

    assert len(names(runs(kept.channel()).listall(in_phase="running", limit=None))) == 1400
    asked = ["phase" in [each.field for each in page.filters] for page in kept.pages]
    assert asked[0]
    assert asked[-3:] == [True, True, True]
    assert False in asked


def test_rows_without_times_are_read_by_tokens() -> None:
    kept = numbered(500)
    kept.timeless = set(kept.created)

    assert names(runs(kept.channel()).listall(limit=None)) == sorted(kept.created)
    assert [page.token for page in kept.pages] == ["", "200", "400"]


def test_from_a_row_without_a_time_on_tokens_do() -> None:
    """They are those of the list that began at a time, not of the whole one."""
    kept = numbered(1000)
    kept.timeless = {"r00500"}

    assert names(runs(kept.channel()).listall(limit=None)) == sorted(kept.created)


def test_another_order_is_kept() -> None:
    kept = numbered(450)
    for nth in range(0, 450, 2):
        kept.phase[f"r{nth:05}"] = FAILED

    found = names(runs(kept.channel()).listall(sort_by=("phase", "desc"), limit=None))

    assert found == sorted(kept.created, key=lambda name: (kept.phase[name], name), reverse=True)
    assert [page.token for page in kept.pages] == ["", "200", "400"]


def test_a_row_that_moves_ahead_in_another_order_comes_once() -> None:
    kept = numbered(450)
    kept.between = lambda page: kept.phase.update({f"r{nth:05}": SUCCEEDED for nth in range(150)} if page else {})

    found = names(runs(kept.channel()).listall(sort_by=("phase", "asc"), limit=None))

    assert len(found) == len(set(found))


def test_sparse_pages_cost_no_more_calls_than_there_are_pages() -> None:
    kept = numbered(2000)

    assert len(names(runs(kept.channel()).listall(limit=None))) == 2000
    # Two runs of 200 come again on each page but the first.
    assert len(kept.pages) <= 11


def test_the_limit_holds_where_rows_come_again() -> None:
    kept = numbered(1000, step=SECOND // 50)

    assert names(runs(kept.channel()).listall(limit=450)) == [f"r{nth:05}" for nth in range(450)]
    assert [page.limit for page in kept.pages[:2]] == [200, 200]
    assert kept.pages[-1].limit < 200


def test_memory_does_not_grow_with_the_list() -> None:
    def peak(count: int) -> int:
        channel = FakeChannel()

        def answer(request: run_service_pb2.ListRunsRequest) -> Any:
            channel.calls.clear()
            at = 0
            for each in request.request.filters:
                bound = datetime.datetime.fromisoformat(each.values[0]).timestamp()
                at = round(bound - START // SECOND)
            told = run_service_pb2.ListRunsResponse(token="more" if at + request.request.limit < count else "")
            for nth in range(at, min(count, at + request.request.limit)):
                action = told.runs.add().action
                action.id.name, action.id.run.name = "a0", f"r{nth}"
                action.status.start_time.seconds = START // SECOND + nth
            return told

        channel.on("RunService/ListRuns", answer)
        listall = runs(channel).listall
        assert sum(1 for _ in listall(limit=300)) == 300
        gc.collect()
        tracemalloc.start()
        assert sum(1 for _ in listall(limit=None)) == count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20_000) < 1.3 * peak(2_000)
