"""A devbox under load that is killed at a random moment, again and again, and what must be true of it all the time.

What was acknowledged is what somebody was told: a run by the answer to CreateRun, a task by that to DeployTask, outputs
by GetActionData, log lines by whoever read them. The parent writes down only what it was told.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from devbox_client import wait_for

from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.devbox.state.tasks import TaskKey
from flyte_lite.idl.flyteidl2.common import phase_pb2

PLACE = {"project": "flytesnacks", "domain": "development"}
MARK = "FLYTE_LITE_TEST_MARK"
ROOT = str(Path(__file__).parents[1])
SUCCEEDED = "ACTION_PHASE_SUCCEEDED"

# Tells the lines of a log that it was asked for, because reading a log over the wire is the tests' of that call.
SERVE = """
import os, subprocess, sys, time
from flyte_lite.devbox import Devbox

with Devbox(state=sys.argv[1], workers=3) as box:
    @box.task(name="crash.work", version="v1", retries=100_000)
    def work(number: int, seconds: float) -> str:
        print("begin", number, flush=True)
        child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"])
        for step in range(5):
            print("step", step, flush=True)
            time.sleep(seconds / 5)
        return f"{number} " + "x" * 20_000

    print(box.endpoint, flush=True)
    for line in sys.stdin:
        print(len(box.logs(line.strip())), flush=True)
"""


class Load:
    """What was acknowledged so far, by any of the devboxes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.dice = random.Random(seed)
        self.mark = uuid.uuid4().hex
        self.runs: dict[str, int] = {}
        self.tasks: list[str] = []
        self.outputs: dict[str, str] = {}
        self.lines: dict[str, int] = {}
        self._number = 0
        self._killed = threading.Event()

    def round(self, seconds: float) -> None:
        """Start a devbox on the folder, load it, kill it after `seconds` of that, and look for orphans."""
        environment = {**os.environ, "PYTHONPATH": ROOT, MARK: self.mark}
        with subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        ) as devbox:
            assert devbox.stdout is not None
            address = devbox.stdout.readline().strip().partition("//")[2]
            assert address, "the devbox did not start"
            threads = [
                threading.Thread(target=self._until_killed, args=(work, address))
                for work in (self._create, self._create, self._deploy, self._read)
            ]
            threads.append(threading.Thread(target=self._read_logs, args=(devbox,)))
            self._killed.clear()
            for thread in threads:
                thread.start()
            time.sleep(seconds)
            devbox.kill()
            self._killed.set()
            for thread in threads:
                thread.join()
        assert wait_for(lambda: not self.orphans()), self.orphans()

    def rounds(self, number: int, told: int) -> None:
        """So many rounds of a second at most, and longer ones until `told` things of each kind were acknowledged.

        On a machine that is slow or busy, no task gets far in a second.
        """
        for _ in range(number):
            self.round(self.dice.uniform(0.05, 1.0))
            self.check()
        seconds = 1.0
        while min(len(self.runs), len(self.tasks), sum(self.lines.values())) < told:
            seconds *= 1.5
            assert seconds < 100, f"{len(self.runs)} runs, {len(self.tasks)} tasks, {sum(self.lines.values())} lines"
            self.round(self.dice.uniform(0.5, 1.0) * seconds)
            self.check()

    def finish(self) -> None:
        """Let a last devbox end every run, and hold the state against what was acknowledged."""
        with subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ROOT, MARK: self.mark},
        ) as devbox:
            assert devbox.stdout is not None
            address = devbox.stdout.readline().strip().partition("//")[2]
            connection = http.client.HTTPConnection(address, timeout=10)
            for run in self.runs:
                if run not in self.outputs:
                    request = {"runId": {**PLACE, "name": run}}
                    end = time.monotonic() + 60
                    phase = ""
                    while phase != SUCCEEDED:
                        assert time.monotonic() < end, (run, phase)
                        details = _call(connection, "workflow.RunService/GetRunDetails", request)
                        phase = details["details"]["action"]["status"]["phase"]
                        time.sleep(0.01)
                    self._read_one(connection, run)
            connection.close()
            devbox.kill()
        self.check()

    def check(self) -> None:
        """Nothing that was acknowledged is missing, and nothing is half there."""
        state = State(folder=self.folder)
        try:
            ((sound,),) = state.database.all("PRAGMA integrity_check")
            assert sound == "ok"
            for run, number in self.runs.items():
                action = state.actions.get(ActionKey(*PLACE.values(), run))
                assert action is not None, f"run {run} is lost"
                assert state.objects.get(action.input_uri), f"the inputs of run {run} are lost"
                lines = [line.text for line in state.logs.of(action.key)]
                assert len(lines) >= self.lines.get(run, 0), f"lines of run {run} are lost"
                assert set(lines) <= {f"begin {number}", *(f"step {step}" for step in range(5))}
                events = state.events.of(action.key)
                ended = [event for event in events if event.phase == phase_pb2.ACTION_PHASE_SUCCEEDED]
                assert len(ended) == (action.phase == phase_pb2.ACTION_PHASE_SUCCEEDED)
                for event in ended:
                    outputs = state.objects.get(event.outputs.output_uri)
                    assert outputs, f"run {run} succeeded without outputs"
                    assert f"{number} xxx".encode() in outputs
                    last = [line.text for line in state.logs.of(action.key, event.attempt)]
                    assert last == [f"begin {number}", *(f"step {step}" for step in range(5))]
            for run, value in self.outputs.items():
                assert value == f"{self.runs[run]} " + "x" * 20_000
                action = state.actions.get(ActionKey(*PLACE.values(), run))
                assert action is not None
                assert action.phase == phase_pb2.ACTION_PHASE_SUCCEEDED, f"the outputs of run {run} are lost"
            for version in self.tasks:
                found = state.tasks.get(TaskKey(*PLACE.values(), "crash.foreign", version))
                assert found is not None, f"version {version} is lost"
        finally:
            state.close()

    def orphans(self) -> list[int]:
        """Processes that a devbox of ours, or a task, has started and that are still there."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                marked = self.mark.encode() in (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if marked and state != "Z":
                found.append(int(entry.name))
        return found

    def _until_killed(self, work: Any, address: str) -> None:
        connection = http.client.HTTPConnection(address, timeout=10)
        try:
            while not self._killed.is_set():
                work(connection)
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def _create(self, connection: http.client.HTTPConnection) -> None:
        self._number += 1
        number = self._number
        name = f"r{number}-{uuid.uuid4().hex[:8]}"
        request = {
            "runId": {**PLACE, "name": name},
            "taskId": {**PLACE, "name": "crash.work", "version": "v1"},
            "inputs": {
                "literals": [
                    {"name": "number", "value": {"scalar": {"primitive": {"integer": str(number)}}}},
                    {"name": "seconds", "value": {"scalar": {"primitive": {"floatValue": 0.05}}}},
                ]
            },
        }
        _call(connection, "workflow.RunService/CreateRun", request)
        self.runs[name] = number
        time.sleep(self.dice.uniform(0.1, 0.4))

    def _deploy(self, connection: http.client.HTTPConnection) -> None:
        version = uuid.uuid4().hex
        task = {**PLACE, "name": "crash.foreign", "version": version}
        _call(connection, "task.TaskService/DeployTask", {"taskId": task, "spec": {"shortName": "foreign"}})
        self.tasks.append(version)
        time.sleep(self.dice.uniform(0.0, 0.1))

    def _read(self, connection: http.client.HTTPConnection) -> None:
        for run in [run for run in list(self.runs) if run not in self.outputs]:
            self._read_one(connection, run)
        time.sleep(0.01)

    def _read_one(self, connection: http.client.HTTPConnection, run: str) -> None:
        action = {"run": {**PLACE, "name": run}, "name": "a0"}
        data = _call(connection, "dataproxy.DataProxyService/GetActionData", {"actionId": action})
        for literal in data.get("outputs", {}).get("literals", ()):
            self.outputs[run] = literal["value"]["scalar"]["primitive"]["stringValue"]

    def _read_logs(self, devbox: subprocess.Popen[str]) -> None:
        assert devbox.stdin is not None
        assert devbox.stdout is not None
        while not self._killed.is_set():
            # The oldest that are not known to have ended: those that run.
            for run in [run for run in list(self.runs) if run not in self.outputs][:4] or list(self.runs)[-1:]:
                try:
                    os.write(devbox.stdin.fileno(), f"{run}\n".encode())
                except BrokenPipeError:
                    return
                told = devbox.stdout.readline()
                if not told.endswith("\n"):
                    return
                self.lines[run] = int(told)
            time.sleep(0.01)


def _call(connection: http.client.HTTPConnection, method: str, request: Any) -> Any:
    headers = {"Content-Type": "application/json"}
    connection.request("POST", f"/flyteidl2.{method}", json.dumps(request), headers)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return json.loads(body)
