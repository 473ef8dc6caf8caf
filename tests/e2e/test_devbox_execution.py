"""Runs on the devbox: real processes, their ends of every kind, and nothing left behind."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from flyte_lite import _literals
from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.core import catalog_pb2, types_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

P = phase_pb2
KIND = run_definition_pb2.ErrorInfo
ENDS = (P.ACTION_PHASE_SUCCEEDED, P.ACTION_PHASE_FAILED, P.ACTION_PHASE_ABORTED, P.ACTION_PHASE_TIMED_OUT)
PATIENCE = 30.0


class Client:
    """Just enough of one."""

    def __init__(self, box: Devbox) -> None:
        self.box = box
        self.made = 0

    def call(self, path: str, request: Any, response: Any) -> Any:
        connection = http.client.HTTPConnection(self.box.endpoint.partition("//")[2], timeout=10)
        headers = {"Content-Type": "application/proto"}
        connection.request("POST", f"/flyteidl2.{path}", request.SerializeToString(), headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        return response.FromString(body)

    def create(self, task: str, **inputs: Any) -> str:
        self.made += 1
        name = f"r{self.made}"
        request = run_service_pb2.CreateRunRequest()
        request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", name
        request.task_id.project, request.task_id.domain = "flytesnacks", "development"
        request.task_id.name, request.task_id.version = task, "v1"
        for key, value in inputs.items():
            kind = _literals.types.literal_type(type(value))
            request.inputs.literals.add(name=key, value=_literals.to_literal(value, kind))
        self.call("workflow.RunService/CreateRun", request, run_service_pb2.CreateRunResponse)
        return name

    def action(self, run: str) -> run_definition_pb2.ActionDetails:
        request = run_service_pb2.GetRunDetailsRequest()
        request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", run
        response = self.call("workflow.RunService/GetRunDetails", request, run_service_pb2.GetRunDetailsResponse)
        details: run_definition_pb2.ActionDetails = response.details.action
        return details

    def until(self, run: str, *phases: int) -> run_definition_pb2.ActionDetails:
        end = time.monotonic() + PATIENCE
        while True:
            action = self.action(run)
            if action.status.phase in phases:
                return action
            assert time.monotonic() < end, f"{action}\n{self.box.logs(run)}"
            time.sleep(0.01)

    def run(self, task: str, **inputs: Any) -> run_definition_pb2.ActionDetails:
        return self.until(self.create(task, **inputs), *ENDS)

    def outputs(self, action: run_definition_pb2.ActionDetails) -> dict[str, Any]:
        request = dataproxy_service_pb2.GetActionDataRequest(action_id=action.id)
        response = self.call(
            "dataproxy.DataProxyService/GetActionData", request, dataproxy_service_pb2.GetActionDataResponse
        )
        declared = action.task.task_template.interface.outputs.variables
        kinds: dict[str, types_pb2.LiteralType] = {variable.key: variable.value.type for variable in declared}
        return {
            literal.name: _literals.from_literal(literal.value, kinds[literal.name])
            for literal in response.outputs.literals
        }

    def abort(self, run: str, reason: Optional[str] = None) -> None:
        request = run_service_pb2.AbortRunRequest(reason=reason)
        request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", run
        self.call("workflow.RunService/AbortRun", request, run_service_pb2.AbortRunResponse)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Devbox() as box:
        yield Client(box)


def steps(attempt: run_definition_pb2.ActionAttempt) -> list[str]:
    return [P.ActionPhase.Name(step.phase)[len("ACTION_PHASE_") :] for step in attempt.phase_transitions]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    except NotADirectoryError:  # no /proc here
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return state != "Z"


def tell(file: str, text: str) -> None:
    # Whoever waits for the file finds it whole.
    Path(file + ".part").write_text(text)
    Path(file + ".part").rename(file)


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_a_run_goes_from_queued_to_succeeded(client: Client) -> None:
    @client.box.task(name="life.hello", version="v1")
    def hello(name: str) -> str:
        print("greeting", name)
        return f"hello {name}"

    action = client.run("life.hello", name="bob")

    (attempt,) = action.attempts
    assert client.outputs(action) == {"o0": "hello bob"}
    assert action.status.phase == attempt.phase == P.ACTION_PHASE_SUCCEEDED
    assert steps(attempt) == ["QUEUED", "INITIALIZING", "RUNNING", "SUCCEEDED"]
    times = [step.start_time.ToNanoseconds() for step in attempt.phase_transitions]
    assert times == sorted(times)
    assert abs(times[-1] / 1e9 - time.time()) < 60
    assert action.status.end_time.ToNanoseconds() >= times[-1]
    assert action.status.attempts == 1
    assert attempt.logs_available
    assert attempt.log_context.primary_pod_name == f"{action.id.run.name}-a0-0"
    assert attempt.outputs.output_uri.endswith(f"/flytesnacks/development/{action.id.run.name}/a0/1/outputs.pb")
    assert client.box.logs(action.id.run.name) == ["greeting bob"]


def test_an_attempt_of_a_small_task_is_quick(client: Client) -> None:
    @client.box.task(name="life.quick", version="v1")
    def quick() -> int:
        return 1

    took = []
    for _ in range(3):
        action = client.run("life.quick")
        took.append(action.status.duration_ms)

    # Usually below 100 ms; the machine may be busy with other tests.
    assert min(took) < 1000


class Color(enum.Enum):
    RED = "r"
    GREEN = "g"


def test_values_of_many_types_go_in_and_out(client: Client) -> None:
    @client.box.task(name="life.types", version="v1")
    def types(i: int, f: float, c: Color = Color.RED, xs: Optional[list[int]] = None) -> tuple[float, list[Color]]:
        assert isinstance(c, Color)
        assert xs is None
        return i + f, [Color.GREEN if c is Color.RED else Color.RED]

    assert client.outputs(client.run("life.types", i=1, f=0.5)) == {"o0": 1.5, "o1": ["GREEN"]}


def test_a_task_may_return_nothing_or_be_a_coroutine(client: Client) -> None:
    @client.box.task(name="life.nothing", version="v1")
    def nothing() -> None:
        return None

    @client.box.task(name="life.later", version="v1")
    async def later(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    ended = client.run("life.nothing")

    assert ended.status.phase == P.ACTION_PHASE_SUCCEEDED
    assert client.outputs(ended) == {}
    assert client.outputs(client.run("life.later", x=1)) == {"o0": 2}


def test_an_exception_fails_the_run_and_its_traceback_is_logged(client: Client) -> None:
    @client.box.task(name="life.fail", version="v1")
    def fail(text: str) -> int:
        raise ValueError(text)

    action = client.run("life.fail", text="boom")

    error = action.error_info
    assert action.status.phase == P.ACTION_PHASE_FAILED
    assert (error.kind, error.code, error.message) == (KIND.KIND_USER, "ValueError", "boom")
    assert action.attempts[-1].error_info == error
    log = client.box.logs(action.id.run.name)
    assert log[0] == "Traceback (most recent call last):"
    assert log[-1] == "ValueError: boom"
    assert any(line.endswith("in fail") for line in log)
    assert not any("flyte_lite/devbox" in line for line in log)
    assert client.outputs(action) == {}


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("can't travel")
        self.lock = threading.Lock()


def end(how: str) -> str:
    if how == "silent":
        raise Silent
    if how == "unpicklable":
        raise Unpicklable
    if how == "exit":
        sys.exit(3)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "wrong":
        return 7  # type: ignore[return-value]
    if how == "os._exit":
        os._exit(3)
    if how == "os._exit(0)":
        os._exit(0)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "recursion":
        return end(how)
    return "?"


@pytest.mark.parametrize(
    ("how", "kind", "code", "message"),
    [
        ("silent", KIND.KIND_USER, "Silent", "(its text can't be had)"),
        ("unpicklable", KIND.KIND_USER, "Unpicklable", "can't travel"),
        ("exit", KIND.KIND_USER, "SystemExit", "the task called sys.exit(3)"),
        ("interrupt", KIND.KIND_USER, "KeyboardInterrupt", ""),
        ("wrong", KIND.KIND_USER, "LiteralError", "its result: expected"),
        ("recursion", KIND.KIND_USER, "RecursionError", "maximum recursion depth exceeded"),
        (
            "os._exit",
            KIND.KIND_SYSTEM,
            "WorkerDied",
            "the task's process ended with exit code 3 and told no result",
        ),
        (
            "os._exit(0)",
            KIND.KIND_SYSTEM,
            "WorkerDied",
            "the task's process ended with exit code 0 and told no result",
        ),
        ("kill", KIND.KIND_SYSTEM, "WorkerDied", "the task's process was killed by SIGKILL"),
    ],
)
def test_every_end_is_a_result(client: Client, how: str, kind: KIND.Kind.ValueType, code: str, message: str) -> None:
    client.box.task(name="life.end", version="v1")(end)

    error = client.run("life.end", how=how).error_info

    assert (error.kind, error.code) == (kind, code)
    assert error.message.startswith(message)


def test_inputs_that_do_not_fit_fail_the_run(client: Client) -> None:
    @client.box.task(name="life.one", version="v1")
    def one(x: int) -> int:
        return x

    missing = client.run("life.one").error_info
    unknown = client.run("life.one", x=1, y=2).error_info
    wrong = client.run("life.one", x="text").error_info

    assert "missing 1 required positional argument: 'x'" in missing.message
    assert unknown.message == "one() got an unexpected keyword argument 'y'"
    assert (wrong.code, wrong.message[:3]) == ("LiteralError", "x: ")
    assert {missing.kind, unknown.kind, wrong.kind} == {KIND.KIND_USER}


def test_output_is_captured_as_it_comes(client: Client, tmp_path: Path) -> None:
    @client.box.task(name="life.chatty", version="v1")
    def chatty(gate: str) -> None:
        print("out")
        print("err", file=sys.stderr)
        os.write(1, b"\xff\xfe bytes\n")
        subprocess.run(["/bin/sh", "-c", "echo child"], check=True)
        assert not sys.stdin.read()
        while not Path(gate).exists():
            time.sleep(0.01)
        os.write(1, b"no end of line")

    gate = tmp_path / "gate"
    run = client.create("life.chatty", gate=str(gate))

    assert wait_for(lambda: len(client.box.logs(run)) == 4)
    assert client.action(run).status.phase == P.ACTION_PHASE_RUNNING
    gate.touch()
    client.until(run, P.ACTION_PHASE_SUCCEEDED)
    assert client.box.logs(run) == ["out", "err", "\ufffd\ufffd bytes", "child", "no end of line"]


def test_a_failed_attempt_is_repeated(client: Client) -> None:
    @client.box.task(name="life.flaky", version="v1", retries=2)
    def flaky(good: int) -> str:
        attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
        print("attempt", attempt)
        if attempt < good:
            raise RuntimeError(f"attempt {attempt}")
        return os.environ["RUN_NAME"] + "/" + os.environ["ACTION_NAME"]

    good = client.run("life.flaky", good=1)
    bad = client.run("life.flaky", good=9)

    assert client.outputs(good) == {"o0": good.id.run.name + "/a0"}
    assert good.status.attempts == 2
    # As on the real server, what is repeated never ends.
    assert [attempt.phase for attempt in good.attempts] == [P.ACTION_PHASE_RUNNING, P.ACTION_PHASE_SUCCEEDED]
    assert steps(good.attempts[1]) == ["QUEUED", "INITIALIZING", "RUNNING", "SUCCEEDED"]
    assert client.box.logs(good.id.run.name, attempt=2) == ["attempt 1"]
    assert (bad.status.phase, bad.status.attempts) == (P.ACTION_PHASE_FAILED, 3)
    assert bad.error_info.message == "attempt 2"


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
    assert wait_for(lambda: not any(map(alive, family_pids)), 2.0)
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

    assert not alive(client.outputs(action)["o0"])


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
        def span() -> tuple[float, float]:
            begin = time.monotonic()
            time.sleep(0.15)
            return begin, time.monotonic()

        runs = [client.create("life.span") for _ in range(6)]
        spans = [Span(*client.outputs(client.until(run, P.ACTION_PHASE_SUCCEEDED)).values()) for run in runs]

    def at_once(moment: float) -> int:
        return sum(each.begin <= moment < each.end for each in spans)

    assert max(at_once(each.begin) for each in spans) == 2


def test_cached_outputs_are_used_again(client: Client) -> None:
    @client.box.task(name="life.cached", version="v1", cache=True)
    def cached(n: int) -> str:
        return f"{n} {os.getpid()}"

    first = client.run("life.cached", n=1)
    again = client.run("life.cached", n=1)
    other = client.run("life.cached", n=2)

    assert first.status.cache_status == other.status.cache_status == catalog_pb2.CACHE_POPULATED
    assert again.status.cache_status == again.attempts[0].cache_status == catalog_pb2.CACHE_HIT
    assert client.outputs(again) == client.outputs(first) != client.outputs(other)
    assert steps(again.attempts[0]) == ["SUCCEEDED"]
    assert again.attempts[0].outputs.output_uri != first.attempts[0].outputs.output_uri


def test_a_file_is_deployed_and_run_with_the_modules_beside_it(client: Client, tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_greetings.py").write_text("def word():\n    return 'hi'\n")
    (tmp_path / "greetings.py").write_text(
        "from __future__ import annotations\n"
        "import neighbour_of_greetings\n"
        "from flyte_lite.devbox import task\n"
        "@task(version='v1')\n"
        "def hello(name: str) -> str:\n"
        "    return f'{neighbour_of_greetings.word()} {helper(name)}'\n"
        "def helper(name): return name.title()\n"
    )
    client.box.deploy(tmp_path / "greetings.py")

    assert client.outputs(client.run("greetings.hello", name="bob")) == {"o0": "hi Bob"}


def test_tasks_declared_before_the_start_see_what_is_defined_below_them() -> None:
    box = Devbox()

    @box.task(name="life.early", version="v1")
    def early() -> str:
        return later()

    def later() -> str:
        return "late"

    with box:
        client = Client(box)
        assert client.outputs(client.run("life.early")) == {"o0": "late"}


def test_a_run_of_a_deployed_task_without_a_function_stays_queued(client: Client) -> None:
    request = run_service_pb2.CreateRunRequest()
    request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", "foreign"
    request.task_spec.task_template.metadata.code_bundle_uri = "s3://flyte-data/uploads/x.tar.gz"
    client.call("workflow.RunService/CreateRun", request, run_service_pb2.CreateRunResponse)

    action = client.action("foreign")

    assert action.status.phase == P.ACTION_PHASE_QUEUED
    assert not action.attempts


def test_closing_kills_what_runs(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with Devbox() as box:
        client = Client(box)

        @box.task(name="life.endless", version="v1")
        def endless(pid: str) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            tell(pid, str(os.getpid()))
            time.sleep(60)

        for _ in range(3):
            client.create("life.endless", pid=str(pid))
        assert wait_for(pid.exists)
        began = time.monotonic()

    assert time.monotonic() - began < 2.0
    assert not alive(int(pid.read_text()))


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

    assert wait_for(lambda: not any(map(alive, family)), 5.0)
