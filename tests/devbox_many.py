"""Many runs on one devbox that are waited for together."""

from __future__ import annotations

import time
from typing import Any

from flyte_lite import Client
from flyte_lite.devbox import Devbox
from flyte_lite.remote import Run

PLACE = {"project": "flytesnacks", "domain": "development"}
PAGE = 200


def launch_and_wait(count: int) -> None:
    """Launch so many, wait for all, and look at what that took."""
    with Devbox(workers=4) as box, Client(box.endpoint, **PLACE) as client:

        @box.task(name="many.square", version="v1")
        def square(x: int) -> int:
            return x * x

        task = client.tasks.get("many.square", version="v1")
        runs = [client.run(task, x=number) for number in range(count)]
        box.calls.clear()

        began = time.monotonic()
        done = client.wait_all(runs, timeout=600)

        took = time.monotonic() - began
        rounds = rounds_of(box)
        print(f"{count} runs in {took:.1f} s: {len(rounds)} rounds, {sum(map(len, rounds))} calls")
        check_rounds(rounds, count)
        assert [call.rpc for call in box.calls if call.rpc != "RunService/ListRuns"] == [], "a call for a run"
        assert all(mine is theirs for mine, theirs in zip(done, runs))
        assert {run.phase for run in done} == {"succeeded"}
        assert [run.outputs()[0] for run in done[:: max(1, count // 20)]] == [
            number**2 for number in range(0, count, max(1, count // 20))
        ]
        # As somebody else sees them, who has not waited: one round.
        again = [Run(run.pb2, run._session) for run in runs]
        for run in again:
            run.pb2.action.status.Clear()
        box.calls.clear()
        client.wait_all(again, timeout=60)
        assert len(box.calls) == -(-count // PAGE)


def rounds_of(box: Devbox) -> list[list[Any]]:
    """The requests of each round. A round asks for each run that is left once, so it ends before one comes again."""
    rounds: list[list[Any]] = []
    seen: set[str] = set()
    for call in box.calls.of("RunService/ListRuns"):
        (named,) = call.request.request.filters
        if not rounds or not seen.isdisjoint(named.values):
            rounds.append([])
            seen = set()
        rounds[-1].append((call.started, list(named.values)))
        seen.update(named.values)
    return rounds


def check_rounds(rounds: list[list[Any]], count: int) -> None:
    """Each takes the calls that it must, and they come at the pace of a wait."""
    assert sum(len(names) for _, names in rounds[0]) == count
    for calls in rounds:
        pending = sum(len(names) for _, names in calls)
        assert len(calls) == -(-pending // PAGE)
    began = rounds[0][0][0]
    for earlier, later in zip(rounds, rounds[1:]):
        # Measured from the end of a round, which took no time to speak of, on a machine that is busy.
        waited = later[0][0] - earlier[-1][0]
        assert waited >= 0.9 * min(10, max(0.2, 0.05 * (earlier[-1][0] - began))) - 0.01
