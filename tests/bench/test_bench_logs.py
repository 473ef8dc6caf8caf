"""Lines of a log, against a server that only writes bytes made beforehand: how many a second."""

from __future__ import annotations

import contextlib

from measuring import Table
from test_bench_lists import said, talking

LINES, TOGETHER, ROUNDS = 20_000, 100, 5
# The log of the first attempt comes in large messages, that of the second line by line.
ATTEMPTS = {1: "in messages of 100", 2: "one by one"}


def test_logs_come_faster_than_the_official_sdk_reads_them(environ: dict[str, str], table: Table) -> None:
    ours: dict[int, list[float]] = {attempt: [] for attempt in ATTEMPTS}
    theirs: dict[int, list[float]] = {attempt: [] for attempt in ATTEMPTS}
    with contextlib.ExitStack() as stack:
        endpoint = said(stack.enter_context(talking(environ, "serve_logs.py", str(LINES), str(TOGETHER))))
        first = stack.enter_context(talking(environ, "read_logs.py", "flyte_lite", endpoint))
        other = stack.enter_context(talking(environ, "read_logs.py", "official", endpoint))
        for nth in range(ROUNDS + 1):
            for attempt in ATTEMPTS:
                for process, times in ((first, ours), (other, theirs)):
                    assert process.stdin is not None
                    process.stdin.write(f"{attempt}\n")
                    process.stdin.flush()
                    count, seconds = said(process).split()
                    assert int(count) == LINES
                    if nth:
                        times[attempt].append(1000 * float(seconds))
    for attempt, how in ATTEMPTS.items():
        table.ratio(f"get_logs of {LINES:,} lines, {how}", ours[attempt], theirs[attempt], 0.25, "{:.0f} ms")
