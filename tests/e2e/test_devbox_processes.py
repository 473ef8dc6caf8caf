"""Processes of the devbox: timeouts, aborts, the limit of workers, and nothing left behind."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from devbox_client import ENDS, Client, alive, steps, tell, wait_for

from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import phase_pb2

P = phase_pb2


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Devbox() as box:
        yield Client(box)


def test_a_timeout_ends_an_attempt(client: Client) -> None:
    @client.box.task(name="life.slow", version="v1", timeout=0.5)
    def slow() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)

    action = client.run("life.slow")

    assert action.status.phase == P.ACTION_PHASE_TIMED_OUT
    assert action.attempts[-1].error_info.message == "the attempt took longer than the 0.5 s that the task allows"
    assert 500 <= action.status.duration_ms < 5000


def test_an_abort_kills_the_task_and_what_it_started(client: Client, tmp_path: Path) -> None:
    @client.box.task(name="life.family", version="v1")
    def family(pids: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        tell(pids, f"{os.getpid()} {child.pid}")
        time.sleep(60)

    pids = tmp_path / "pids"
    run = client.create("life.family", pids=str(pids))
    assert wait_for(pids.exists)
    family_pids = [int(pid) for pid in pids.read_text().split()]
    assert all(map(alive, family_pids))

    client.abort(run, "enough")

    action = client.action(run)
    assert action.status.phase == P.ACTION_PHASE_ABORTED
    assert action.abort_info.reason == "enough"
    assert wait_for(lambda: not any(map(alive, family_pids)))
    assert wait_for(lambda: client.action(run).attempts[-1].phase == P.ACTION_PHASE_ABORTED)
    ended = client.action(run)
    assert steps(ended.attempts[0])[-2:] == ["RUNNING", "ABORTED"]
    assert ended.status.end_time == action.status.end_time
    assert ended.attempts[0].cluster_events[-1].message == "aborted"


def test_what_a_task_leaves_behind_ends_with_it(client: Client) -> None:
    @client.box.task(name="life.orphan", version="v1")
    def orphan() -> int:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid

    action = client.run("life.orphan")

    # It was killed before the run ended, but Linux closes the files of what it kills, which is what a devbox sees, a
    # moment before it counts it as dead.
    assert wait_for(lambda: not alive(client.outputs(action)["o0"]))


def test_an_abort_of_what_waits_or_has_ended(tmp_path: Path) -> None:
    with Devbox(workers=1) as box:
        client = Client(box)
        gate = tmp_path / "gate"

        @box.task(name="life.wait", version="v1")
        def wait(gate: str) -> str:
            while not Path(gate).exists():
                time.sleep(0.01)
            return "done"

        first = client.create("life.wait", gate=str(gate))
        second = client.create("life.wait", gate=str(gate))
        client.until(first, P.ACTION_PHASE_RUNNING)
        assert client.action(second).status.phase == P.ACTION_PHASE_QUEUED
        client.abort(second)
        gate.touch()
        ended = client.until(first, P.ACTION_PHASE_SUCCEEDED)
        client.abort(first, "late")
        aborted = client.action(first)
        third = client.until(client.create("life.wait", gate=str(gate)), *ENDS)

        waiting = client.action(second)
        assert waiting.abort_info.reason == "User requested abort"
        assert steps(waiting.attempts[0]) == ["QUEUED", "ABORTED"]
        assert not waiting.attempts[0].logs_available
        assert box.logs(second) == []
        assert aborted.status.phase == P.ACTION_PHASE_ABORTED
        assert aborted.status.end_time == ended.status.end_time
        assert aborted.attempts[0].phase == P.ACTION_PHASE_SUCCEEDED
        assert client.outputs(aborted) == {}
        assert third.status.phase == P.ACTION_PHASE_SUCCEEDED


def test_no_more_workers_than_allowed_run_at_a_time(tmp_path: Path) -> None:
    @dataclasses.dataclass
    class Span:
        begin: float
        end: float

    with Devbox(workers=2) as box:
        client = Client(box)

        @box.task(name="life.span", version="v1")
        def span(folder: str) -> tuple[float, float]:
            begin = time.monotonic()
            # The first two meet; a machine that is busy need not begin others side by side.
            (Path(folder) / str(os.getpid())).touch()
            assert wait_for(lambda: len(list(Path(folder).iterdir())) >= 2)
            time.sleep(0.15)
            return begin, time.monotonic()

        met = tmp_path / "met"
        met.mkdir()
        runs = [client.create("life.span", folder=str(met)) for _ in range(6)]
        spans = [Span(*client.outputs(client.until(run, P.ACTION_PHASE_SUCCEEDED)).values()) for run in runs]

    def at_once(moment: float) -> int:
        return sum(each.begin <= moment < each.end for each in spans)

    assert max(at_once(each.begin) for each in spans) == 2


def test_closing_kills_what_runs(tmp_path: Path) -> None:
    with Devbox() as box:
        client = Client(box)

        @box.task(name="life.endless", version="v1")
        def endless(pid: str) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            tell(pid, str(os.getpid()))
            time.sleep(60)

        pids = [tmp_path / f"pid{number}" for number in range(3)]
        for pid in pids:
            client.create("life.endless", pid=str(pid))
        assert wait_for(lambda: any(pid.exists() for pid in pids))
        began = time.monotonic()

    # Half a second on a machine that has nothing else to do.
    assert time.monotonic() - began < 10
    assert wait_for(lambda: not any(alive(int(pid.read_text())) for pid in pids if pid.exists()))


def test_a_killed_devbox_leaves_no_process(tmp_path: Path) -> None:
    script = tmp_path / "box.py"
    script.write_text(
        "import http.client, json, os, subprocess, sys, time\n"
        "from flyte_lite.devbox import Devbox\n"
        "with Devbox() as box:\n"
        "    @box.task(name='life.endless', version='v1')\n"
        "    def endless(pids: str) -> None:\n"
        "        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "        with open(pids + '.part', 'w') as file:\n"
        "            file.write(f'{os.getpid()} {child.pid}')\n"
        "        os.rename(pids + '.part', pids)\n"
        "        while True:\n"
        "            pass\n"
        "    id = {'project': 'flytesnacks', 'domain': 'development'}\n"
        "    request = {'runId': {**id, 'name': 'r'}, 'taskId': {**id, 'name': 'life.endless', 'version': 'v1'},\n"
        "        'inputs': {'literals': [{'name': 'pids', 'value': {'scalar': {'primitive': "
        "{'stringValue': sys.argv[1]}}}}]}}\n"
        "    connection = http.client.HTTPConnection(box.endpoint[7:])\n"
        "    connection.request('POST', '/flyteidl2.workflow.RunService/CreateRun', json.dumps(request),\n"
        "        {'Content-Type': 'application/json'})\n"
        "    assert connection.getresponse().status == 200\n"
        "    time.sleep(60)\n"
    )
    pids = tmp_path / "pids"
    root = str(Path(__file__).parents[2])
    with subprocess.Popen([sys.executable, str(script), str(pids)], env={**os.environ, "PYTHONPATH": root}) as devbox:
        try:
            assert wait_for(pids.exists)
            family = [int(pid) for pid in pids.read_text().split()]
            assert all(map(alive, family))
        finally:
            devbox.kill()

    assert wait_for(lambda: not any(map(alive, family)))
