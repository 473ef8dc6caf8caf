"""Runs on the devbox: what goes in and out, how they fail, attempts, the cache, files."""

from __future__ import annotations

import asyncio
import enum
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest
from devbox_client import Client, steps, wait_for
from punctual import promptly

from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.core import catalog_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

P = phase_pb2
KIND = run_definition_pb2.ErrorInfo


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Devbox() as box:
        yield Client(box)


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

    # Usually below 100 ms; the machine may be busy with other tests.
    assert promptly(1.0, lambda: client.run("life.quick").status.duration_ms / 1000, tries=20)


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


def endless(how: str) -> str:
    return endless(how)


def end(how: str) -> str:
    if how == "silent":
        raise Silent
    if how == "unpicklable":
        raise Unpicklable
    if how == "half a character":
        raise ValueError("\ud800")
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
        return endless(how)
    return "?"


@pytest.mark.parametrize(
    ("how", "kind", "code", "message"),
    [
        ("silent", KIND.KIND_USER, "Silent", "(its text can't be had)"),
        ("unpicklable", KIND.KIND_USER, "Unpicklable", "can't travel"),
        ("half a character", KIND.KIND_USER, "ValueError", "?"),
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
