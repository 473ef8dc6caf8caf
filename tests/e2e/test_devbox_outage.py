"""A devbox that nobody can reach for a while, and what its logs are like afterwards."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from devbox_client import Client, tell, wait_for
from devbox_tail import tail

from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import phase_pb2

P = phase_pb2
RUNNING, SUCCEEDED, FAILED = P.ACTION_PHASE_RUNNING, P.ACTION_PHASE_SUCCEEDED, P.ACTION_PHASE_FAILED


def declare(box: Devbox) -> Client:
    @box.task(name="outage.count", version="v1", retries=1)
    def count(folder: str) -> int:
        # A line for each file that is there; ends with the one that is called "end".
        number = 0
        while True:
            if (Path(folder) / str(number)).exists():
                print(f"line {number}", flush=True)
                number += 1
            elif (Path(folder) / "end").exists():
                return number
            time.sleep(0.005)

    @box.task(name="outage.once", version="v1")
    def once() -> None:
        print("it begins", flush=True)
        time.sleep(60)

    return Client(box)


@pytest.fixture
def client() -> Iterator[Client]:
    with Devbox() as box:
        yield declare(box)


def write(folder: Path, *numbers: int) -> None:
    for number in numbers:
        tell(str(folder / str(number)), "")


def test_a_task_goes_on_and_its_log_is_whole_afterwards(client: Client, tmp_path: Path) -> None:
    run = client.create("outage.count", folder=str(tmp_path))
    client.until(run, RUNNING)
    write(tmp_path, 0, 1)
    before = tail(client, run)
    assert before.wait(2) == ["line 0", "line 1"]

    with client.box.outage():
        assert before.wait_for_end() == "dropped"
        write(tmp_path, 2, 3)
        assert wait_for(lambda: len(client.box.logs(run)) == 4)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(client.box.endpoint.partition("//")[2].split(":"), timeout=5)  # type: ignore[arg-type]

    after = tail(client, run)
    assert after.wait(4) == [f"line {number}" for number in range(4)]
    write(tmp_path, 4)
    (tmp_path / "end").touch()
    assert after.wait_for_end() == "ended"
    assert after.lines() == [f"line {number}" for number in range(5)]
    assert client.outputs(client.until(run, SUCCEEDED)) == {"o0": 5}


def test_it_is_at_the_same_place_afterwards(client: Client) -> None:
    endpoint = client.box.endpoint
    connection = http.client.HTTPConnection(endpoint.partition("//")[2], timeout=10)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b"OK"

    for _ in range(2):
        with client.box.outage():
            pass

    assert client.box.endpoint == endpoint
    assert connection.sock.recv(1) == b"", "an idle connection is still open"
    connection.close()
    assert client.action(client.create("outage.count", folder="/nowhere")).id.name == "a0"


def test_a_devbox_may_be_closed_meanwhile() -> None:
    box = Devbox()
    with pytest.raises(RuntimeError, match="not running"), box.outage():
        pass
    box.start()
    with box.outage():
        box.close()
    with pytest.raises(RuntimeError, match="not running"), box.outage():
        pass


def test_a_devbox_that_was_closed_repeats_the_attempt_and_its_log(tmp_path: Path) -> None:
    state, files = tmp_path / "state", tmp_path / "files"
    files.mkdir()
    with Devbox(state=state) as box:
        client = declare(box)
        port = int(box.endpoint.rpartition(":")[2])
        run = client.create("outage.count", folder=str(files))
        write(files, 0, 1)
        first = tail(client, run)
        assert first.wait(2) == ["line 0", "line 1"]
    assert first.wait_for_end() == "dropped"

    with Devbox(state=state, port=port) as box:
        client = Client(box)
        write(files, 2)
        second = tail(client, run, attempt=2)
        assert second.wait(3) == ["line 0", "line 1", "line 2"]
        gone = tail(client, run, attempt=1)
        assert gone.wait_for_end() == f"pod {run}-a0-0 not found in namespace flyte"
        assert box.logs(run) == ["line 0", "line 1", "line 0", "line 1", "line 2"]
        (files / "end").touch()
        assert second.wait_for_end() == "ended"
        assert client.until(run, SUCCEEDED).status.attempts == 2


def test_the_log_of_an_attempt_that_a_stop_has_ended_can_be_read(tmp_path: Path) -> None:
    with Devbox(state=tmp_path) as box:
        client = declare(box)
        run = client.create("outage.once")
        reader = tail(client, run)
        assert reader.wait(1) == ["it begins"]
    assert reader.wait_for_end() == "dropped"

    with Devbox(state=tmp_path) as box:
        client = Client(box)
        assert client.until(run, FAILED).error_info.message == "the devbox stopped while attempt 1 ran"
        reader = tail(client, run)
        assert reader.wait_for_end() == "ended"
        assert reader.lines() == ["it begins"]
