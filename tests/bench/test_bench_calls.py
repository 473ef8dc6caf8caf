"""One call after the other, over one connection: how many a second, and what each leaves behind."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

import pytest
from measuring import DOMAIN, FOLDER, PROJECT, RUN, Child, Table

ROUNDS, CALLS = 9, 100


class Caller:
    """`call_again.py` as one of its clients, for as long as it is open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.clock: list[float] = []
        self.processor: list[float] = []

    def call(self, number: int, *, counts: bool = True) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        clock, processor = map(float, self._process.stdout.readline().split())
        if counts:
            self.clock.append(clock / number)
            self.processor.append(processor / number)


@pytest.fixture(scope="module")
def callers(environ: dict[str, str], endpoint: str) -> Iterator[dict[str, Caller]]:
    """Each of them, after as many rounds in turns."""
    callers: dict[str, Caller] = {}
    with contextlib.ExitStack() as stack:
        for who in ("flyte_lite", "channel", "official", "adapter", "urllib3", "http_client"):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(FOLDER / "call_again.py"), who, endpoint, PROJECT, DOMAIN, RUN],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=environ,
                )
            )
            callers[who] = Caller(process)
        for nth in range(ROUNDS + 1):
            for caller in callers.values():
                caller.call(CALLS, counts=nth > 0)
        yield callers


def test_calls_are_no_slower_than_the_official_ones(callers: dict[str, Caller], table: Table) -> None:
    ours, theirs = callers["flyte_lite"], callers["official"]
    for who, caller in callers.items():
        table.add(
            f"Run.get again and again: {who}",
            f"{1 / median(caller.clock):.0f} a second, {1000 * median(caller.processor):.2f} ms of processor each",
        )
    for who in ("urllib3", "http_client"):
        share = median(mine / bare for mine, bare in zip(ours.clock, callers[who].clock))
        table.add(f"time of a call, to bare {who}", f"{share:.2f}")
    ms = [[1000 * seconds for seconds in caller.clock] for caller in (ours, theirs)]
    table.ratio("time of a call", ms[0], ms[1], 1.0, "{:.2f} ms")


def test_the_channel_adds_little_to_the_bare_request(callers: dict[str, Caller], table: Table) -> None:
    ours, bare, theirs = (
        [1000 * seconds for seconds in callers[who].processor] for who in ("channel", "adapter", "official")
    )
    table.ratio("processor of a unary call, to bare requests", ours, bare, 1.35, "{:.3f} ms")
    table.ratio("processor of a unary call", ours, theirs, 0.5, "{:.3f} ms")


LEFT_BEHIND = """
import gc, sys, tracemalloc
from flyte_lite import Client

get = Client(sys.argv[1], project=sys.argv[2], domain=sys.argv[3]).runs.get
for _ in range(500):
    get(sys.argv[4])
gc.collect()
before = sys.getallocatedblocks()
for _ in range(1000):
    get(sys.argv[4])
gc.collect()
kept = (sys.getallocatedblocks() - before) / 1000
gc.disable()
before = sys.getallocatedblocks()
for _ in range(200):
    get(sys.argv[4])
cyclic = (sys.getallocatedblocks() - before) / 200
tracemalloc.start()
get(sys.argv[4])
held = tracemalloc.get_traced_memory()[0]
tracemalloc.reset_peak() if hasattr(tracemalloc, "reset_peak") else None
get(sys.argv[4])
peak = tracemalloc.get_traced_memory()[1] - held
print(kept, cyclic, peak / 1024)
"""


def test_a_call_leaves_nothing_behind(environ: dict[str, str], endpoint: str, table: Table) -> None:
    child = Child(environ, LEFT_BEHIND, endpoint, PROJECT, DOMAIN, RUN)
    child.start()

    kept, cyclic, peak = map(float, child.lines[0])
    table.add("a call: blocks of memory that stay", f"{kept:.2f}", "0.5")
    table.add("a call: blocks that only the garbage collector frees", f"{cyclic:.1f}")
    table.add("a call: memory while it lasts", f"{peak:.0f} KB")
    assert kept <= 0.5
