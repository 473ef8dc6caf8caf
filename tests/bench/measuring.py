"""The tools of the benchmarks: children that are timed, and the table that is printed at the end."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

FOLDER = Path(__file__).parent
PROJECT, DOMAIN, RUN = "flytesnacks", "development", "measured"


class Row(NamedTuple):
    what: str
    measured: str
    budget: str


class Table:
    """Rows in the order in which they were measured."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, what: str, measured: str, budget: str = "") -> None:
        self.rows.append(Row(what, measured, budget))

    def ratio(self, what: str, ours: list[float], theirs: list[float], most: float, form: str = "{:.0f}") -> None:
        """A row of ours against theirs, which fails if ours is more than `most` of theirs.

        The share is the median of the rounds' own shares, so that a slow moment counts for both, or that of the
        quickest rounds: others at work on the machine only ever add. What gets slower for good moves both.

        Args:
            ours: One number a round.
            theirs: As many.
            form: How one of the numbers looks, such as "{:.0f} ms".
        """
        share = min(median(mine / other for mine, other in zip(ours, theirs)), min(ours) / min(theirs))
        self.add(what, f"{form.format(median(ours))} to {form.format(median(theirs))} = {share:.2f}", f"{most:.2f}")
        assert share <= most, f"{what}: ours is {share:.2f} of theirs, budget {most:.2f}"

    def __str__(self) -> str:
        rows = [Row("what", "ours (to the official SDK's)", "budget"), *self.rows]
        wide = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, wide)).rstrip() for row in rows]
        return "\n".join([lines[0], "  ".join("-" * width for width in wide), *lines[1:]])


class Child:
    """A script in a fresh interpreter, of which one line of output matters.

    Attributes:
        ms: From the start of the process to its line, one a round.
        lines: What it said, in words.
    """

    def __init__(self, environ: dict[str, str], script: str, *args: str) -> None:
        self._command = [sys.executable, "-c", textwrap.dedent(script), *args]
        self._environ = environ
        self.ms: list[float] = []
        self.lines: list[list[str]] = []

    def start(self, *, counts: bool = True) -> None:
        """Run it once, and note when its line came and what it says."""
        started = time.perf_counter()
        with subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, env=self._environ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            ms = 1000 * (time.perf_counter() - started)
        assert process.returncode == 0, self._command
        if counts:
            self.ms.append(ms)
            self.lines.append(line.split())

    def column(self, nth: int) -> list[float]:
        """One number of each round's line."""
        return [float(line[nth]) for line in self.lines]

    def median(self, nth: int) -> float:
        return median(self.column(nth))


def in_turns(children: list[Child], rounds: int) -> None:
    """One round to warm up what is kept on disk, then one after the other, so that a slow moment hits all of them."""
    for nth in range(rounds + 1):
        for child in children:
            child.start(counts=nth > 0)


# Linux hands getrusage's peak down from the parent through exec, so a child of a big process seems big.
PEAK = """
def peak_kb():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except FileNotFoundError:
        import resource, sys
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak
"""
