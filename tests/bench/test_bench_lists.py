"""Lists of runs, against a server that only writes bytes made beforehand: how fast, and how much memory."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from measuring import FOLDER, Table

RUNS, ROUNDS = 10_000, 9
MANY = 100_000
# Kilobytes that a list ten times as long may take beyond.
MORE = 1_500


@contextlib.contextmanager
def talking(environ: dict[str, str], *command: str) -> Iterator[subprocess.Popen[str]]:
    """A script of this folder, for as long as it is needed."""
    with subprocess.Popen(
        [sys.executable, str(FOLDER / command[0]), *command[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def listed(process: subprocess.Popen[str]) -> tuple[int, float, int]:
    """List once: how many came, in how many milliseconds, and kilobytes of memory so far at most."""
    assert process.stdin is not None
    process.stdin.write("1\n")
    process.stdin.flush()
    count, seconds, peak = said(process).split()
    return int(count), 1000 * float(seconds), int(peak)


def test_lists_come_at_twice_the_official_rate(environ: dict[str, str], table: Table) -> None:
    ours, theirs = [], []
    with contextlib.ExitStack() as stack:
        endpoint = said(stack.enter_context(talking(environ, "serve_runs.py", str(RUNS))))
        first = stack.enter_context(talking(environ, "list_runs.py", "flyte_lite", endpoint))
        other = stack.enter_context(talking(environ, "list_runs.py", "official", endpoint))
        for nth in range(ROUNDS + 1):
            for process, times in ((first, ours), (other, theirs)):
                count, ms, _ = listed(process)
                assert count == RUNS
                # The first makes the pages.
                if nth:
                    times.append(ms)
    table.ratio(f"Run.listall of {RUNS:,}", ours, theirs, 0.5, "{:.0f} ms")


def test_a_longer_list_takes_no_more_memory(environ: dict[str, str], table: Table) -> None:
    peaks = []
    for count in (RUNS, MANY):
        with talking(environ, "serve_runs.py", str(count)) as server:
            endpoint = said(server)
            with talking(environ, "list_runs.py", "flyte_lite", endpoint) as process:
                came, _, peak = listed(process)
                assert came == count
                peaks.append(peak)
    more = peaks[1] - peaks[0]
    table.add(f"Run.listall of {MANY:,}: memory beyond that of {RUNS:,}", f"{more} KB", f"<= {MORE} KB")
    assert more <= MORE
