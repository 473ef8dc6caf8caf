"""Logs of processes that run, as those see them who read along."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from devbox_client import Client, steps, tell, wait_for
from devbox_tail import Tail, tail

from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import phase_pb2

P = phase_pb2
RUNNING, SUCCEEDED, ABORTED = P.ACTION_PHASE_RUNNING, P.ACTION_PHASE_SUCCEEDED, P.ACTION_PHASE_ABORTED


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Devbox(workers=4) as box:

        @box.task(name="logs.gated", version="v1", retries=1)
        def gated(folder: str) -> None:
            # Before each step it waits for a file; the last step ends it.
            def gate(number: int) -> None:
                while not (Path(folder) / str(number)).exists():
                    time.sleep(0.005)

            print("one", flush=True)
            gate(1)
            print("two", file=sys.stderr)
            print("half of", end="", flush=True)
            gate(2)
            print(" a line", flush=True)
            gate(3)
            print("the end", end="")
            if os.environ["FLYTE_ATTEMPT_NUMBER"] == "0" and (Path(folder) / "fail").exists():
                raise SystemExit(3)

        @box.task(name="logs.long", version="v1")
        def long() -> None:
            print("x" * 70_000 + "y" * 130_000 + "z")
            print("short")

        @box.task(name="logs.many", version="v1")
        def many(count: int) -> None:
            for number in range(count):
                print(f"line {number}")

        yield Client(box)


def open_gates(folder: Path, *numbers: int) -> None:
    for number in numbers:
        tell(str(folder / str(number)), "")


def refusal(client: Client, run: str, attempt: int = 1) -> str:
    """What somebody is told who asks once."""
    return Tail(client, run, attempt, again=("nothing",)).wait_for_end()


def asked(run: str, attempt: int = 1) -> str:
    return f'action run:{{project:"flytesnacks" domain:"development" name:"{run}"}} name:"a0" attempt {attempt}'


def test_lines_come_as_they_are_written_and_the_end_soon_after(client: Client, tmp_path: Path) -> None:
    run = client.create("logs.gated", folder=str(tmp_path))
    reader = tail(client, run)
    assert reader.wait(1) == ["one"]
    open_gates(tmp_path, 1)
    assert reader.wait(2) == ["one", "two"]
    time.sleep(0.05)
    assert reader.lines() == ["one", "two"], "a line is told before it has ended"
    open_gates(tmp_path, 2)
    assert reader.wait(3) == ["one", "two", "half of a line"]
    open_gates(tmp_path, 3)

    assert reader.wait_for_end() == "ended"

    assert reader.lines() == ["one", "two", "half of a line", "the end"]
    (attempt,) = client.action(run).attempts
    times = [line.timestamp.ToMicroseconds() for message in reader.messages() for line in message.logs[0].lines]
    assert times == sorted(times)
    assert attempt.start_time.ToMicroseconds() < times[0] <= times[-1] <= attempt.end_time.ToMicroseconds()
    assert attempt.end_time.ToMicroseconds() - times[0] < 30e6


def test_whoever_comes_later_is_told_the_same(client: Client) -> None:
    run = client.run("logs.many", count=2500).id.run.name

    reader = tail(client, run)

    assert reader.wait_for_end() == "ended"
    assert reader.lines() == [f"line {number}" for number in range(2500)]
    assert {len(message.logs[0].lines) for message in reader.messages()} == {100}


def test_a_long_line_is_one_line(client: Client) -> None:
    reader = tail(client, client.create("logs.long"))

    assert reader.wait_for_end() == "ended"
    long, short = reader.lines()
    assert (long, short) == ("x" * 70_000 + "y" * 130_000 + "z", "short")


def test_many_may_read_and_leave(client: Client, tmp_path: Path) -> None:
    run = client.create("logs.gated", folder=str(tmp_path))
    readers = [tail(client, run) for _ in range(20)]
    for reader in readers:
        assert reader.wait(1) == ["one"]
    calls = client.box.calls.of("DataProxyService/TailLogs")[-20:]

    for reader in readers[::2]:
        reader.close()

    assert wait_for(lambda: sum(call.finished is not None for call in calls if call.code is None) == 10)
    open_gates(tmp_path, 1, 2, 3)
    for reader in readers[1::2]:
        assert reader.wait_for_end() == "ended"
        assert reader.lines() == ["one", "two", "half of a line", "the end"]


def test_the_log_of_an_attempt_that_was_repeated_is_gone(client: Client, tmp_path: Path) -> None:
    (tmp_path / "fail").touch()
    run = client.create("logs.gated", folder=str(tmp_path))
    first = tail(client, run)
    assert first.wait(1) == ["one"]
    open_gates(tmp_path, 1, 2, 3)

    assert first.wait_for_end() == "ended"
    second = tail(client, run, attempt=2)
    assert second.wait_for_end() == "ended"

    assert second.lines() == ["one", "two", "half of a line", "the end"]
    assert first.lines()[:3] == second.lines()[:3]
    assert refusal(client, run) == f"pod {run}-a0-0 not found in namespace flyte"
    assert [attempt.logs_available for attempt in client.action(run).attempts] == [True, True]


def test_an_abort_ends_it_and_takes_it_away(client: Client, tmp_path: Path) -> None:
    run = client.create("logs.gated", folder=str(tmp_path))
    reader = tail(client, run)
    assert reader.wait(1) == ["one"]

    client.abort(run)

    assert reader.wait_for_end() == "ended"
    assert reader.lines() == ["one"]
    assert wait_for(lambda: steps(client.action(run).attempts[0])[-1] == "ABORTED")
    assert refusal(client, run) == f"no log context found for {asked(run)}"


def test_what_is_not_there_yet_is_refused() -> None:
    with Devbox(workers=1) as box:
        box.task(name="logs.sleep", version="v1")(time_out)
        one = Client(box)
        first, second = one.create("logs.sleep"), one.create("logs.sleep")
        one.until(first, RUNNING)

        assert refusal(one, second) == f"no log context found for {asked(second)}"
        assert refusal(one, first, attempt=2) == f"no event found for {asked(first, 2)}"
        assert refusal(one, first, attempt=0) == f"no event found for {asked(first, 0)}"
        assert refusal(one, "nothere") == f"no event found for {asked('nothere')}"


def time_out() -> None:
    time.sleep(60)
