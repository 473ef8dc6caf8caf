"""What tasks do to their own output: closed, endless, huge, no text; and what becomes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from devbox_client import Client

from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import phase_pb2

P = phase_pb2


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Devbox() as box:
        yield Client(box)


def misuse(how: str) -> str:
    print("before", flush=True)
    if how == "close":
        sys.stdout.close()
        sys.stderr.close()
    elif how == "close the files below":
        os.close(1)
        os.close(2)
    elif how == "put nothing there":
        sys.stdout = sys.stderr = None
    elif how == "close all":
        os.closerange(1, 3)
        sys.stdin.close()
    elif how == "close, then fail":
        sys.stdout.close()
        sys.stderr.close()
        raise ValueError("closed")
    return "done"


@pytest.mark.parametrize("how", ["close", "close the files below", "put nothing there", "close all"])
def test_a_task_that_closes_its_output_succeeds(client: Client, how: str) -> None:
    client.box.task(name="output.misuse", version="v1")(misuse)

    action = client.run("output.misuse", how=how)

    assert client.outputs(action) == {"o0": "done"}
    assert client.box.logs(action.id.run.name) == ["before"]


def test_a_task_that_closes_its_output_and_fails_says_why(client: Client) -> None:
    client.box.task(name="output.misuse", version="v1")(misuse)

    error = client.run("output.misuse", how="close, then fail").error_info

    assert (error.code, error.message) == ("ValueError", "closed")


def test_a_task_that_closes_everything_ends_all_the_same(client: Client) -> None:
    @client.box.task(name="output.none", version="v1")
    def none() -> None:
        os.closerange(0, 1000)

    error = client.run("output.none").error_info

    assert (error.code, error.message[-18:]) == ("WorkerDied", "and told no result")


def test_very_long_lines_are_cut_but_no_letter_is_lost(client: Client) -> None:
    @client.box.task(name="output.long", version="v1")
    def long() -> None:
        os.write(1, b"short\n\n")
        for _ in range(300_000):
            os.write(1, "\u00e4\u20ac".encode())
        os.write(1, b"\n" + b"x" * 600_000 + b"\nend")

    action = client.run("output.long")

    log = client.box.logs(action.id.run.name)
    assert action.status.phase == P.ACTION_PHASE_SUCCEEDED
    assert (log[:2], log[-1]) == (["short", ""], "end")
    assert "".join(log[2:-1]) == "\u00e4\u20ac" * 300_000 + "x" * 600_000
    assert max(map(len, log)) <= 1 << 18


def test_many_lines_come_in_order(client: Client) -> None:
    @client.box.task(name="output.many", version="v1")
    def many() -> None:
        sys.stdout.reconfigure(line_buffering=False)  # type: ignore[union-attr]
        print("\n".join(map(str, range(50_000))))

    action = client.run("output.many")

    assert client.box.logs(action.id.run.name) == list(map(str, range(50_000)))


def test_outputs_and_inputs_of_ten_megabytes(client: Client) -> None:
    @client.box.task(name="output.huge", version="v1")
    def huge(text: str) -> str:
        return text + "!"

    text = "\u00e4" * 5_000_000

    assert client.outputs(client.run("output.huge", text=text)) == {"o0": text + "!"}


def test_a_huge_error_is_cut(client: Client) -> None:
    @client.box.task(name="output.wordy", version="v1")
    def wordy() -> None:
        raise ValueError("x" * 1_000_000)

    assert client.run("output.wordy").error_info.message == "x" * 65536
