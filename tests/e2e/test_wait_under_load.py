"""Waiting for and watching runs of a server that does what the real one does, under load and otherwise."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flyte_lite import Client
from flyte_lite.devbox import Devbox
from flyte_lite.errors import RuntimeSystemError, RuntimeUserError, TaskTimeoutError
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.remote import Run

SOON = 30.0
PLACE = {"project": "flytesnacks", "domain": "development"}
SUCCEEDED, FAILED = phase_pb2.ACTION_PHASE_SUCCEEDED, phase_pb2.ACTION_PHASE_FAILED


@pytest.fixture(scope="module")
def loaded() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="load.nap", version="v1")
        def nap(seconds: float) -> str:
            time.sleep(seconds)
            return "awake"

        @box.task(name="load.third", version="v1", retries=2)
        def third() -> str:
            import os

            if os.environ["FLYTE_ATTEMPT_NUMBER"] != "2":
                raise ValueError("not yet")
            time.sleep(0.4)
            return "at last"

        @box.task(name="load.fail", version="v1")
        def fail() -> str:
            raise ValueError("never")

        @box.task(name="load.nothing", version="v1")
        def nothing() -> None:
            pass

        @box.task(name="load.parent", version="v1")
        def parent() -> str:
            return nap(1.0)

        @box.task(name="load.late", version="v1", timeout=0.3)
        def late() -> None:
            time.sleep(60)

        yield box


@pytest.fixture
def box(loaded: Devbox) -> Devbox:
    loaded.reset()
    return loaded


@pytest.fixture
def client(box: Devbox) -> Iterator[Client]:
    with Client(box.endpoint, **PLACE) as client:
        yield client


def launch(client: Client, name: str, *args: Any) -> Run:
    return client.run(client.tasks.get(f"load.{name}", version="v1"), *args)


def phases(run: Run) -> list[str]:
    return [details.phase.value for details in run.watch(timeout=SOON)]


def test_not_found_of_a_run_that_exists_is_not_believed(box: Devbox, client: Client) -> None:
    one, *others = (launch(client, "nap", 0.2) for _ in range(3))
    box.faults.on("RunService/ListRuns").not_found(times=2).fail("unknown", times=1)
    box.faults.on("RunService/GetActionDetails").not_found(times=3)

    one.wait(timeout=SOON)
    done = client.wait_all(others, timeout=SOON)

    assert one.phase == "succeeded"
    assert all(run.phase == "succeeded" for run in done)
    assert phases(one) == ["succeeded"]
    assert len(box.faults) == 0


def test_a_database_that_takes_too_long_is_waited_out(box: Devbox, client: Client) -> None:
    run = launch(client, "nap", 0.2)
    # What the real server makes of a deadline that passes in its database.
    text = "failed to list actions: timeout: context deadline exceeded"
    box.faults.on("RunService/ListRuns").fail("internal", text, times=4)

    run.wait(timeout=SOON)

    assert run.phase == "succeeded"


def test_updates_that_a_stream_loses_for_good_are_seen_all_the_same(box: Devbox, client: Client) -> None:
    for stream in ("WatchActionDetails", "WatchActions", "WatchRuns"):
        box.faults.on(f"RunService/{stream}").skip_messages(None, after=0)
    run = launch(client, "nap", 0.3)
    box.calls.clear()

    assert phases(run)[-1] == "succeeded"
    run.wait(timeout=SOON)
    client.wait_all([run], timeout=SOON)

    assert {call.rpc for call in box.calls} == {"RunService/GetActionDetails"}, "nothing hangs on a stream"


def test_an_attempt_that_failed_is_not_the_end(box: Devbox, client: Client) -> None:
    # A stream would end here, and the status has had its end.
    box.defects.recorded_failures = True
    run = launch(client, "third")

    seen = list(run.watch(timeout=SOON, interval=0.1))

    again = [each for each in seen if each.status.attempts > 1 and not each.done()]
    assert any(each.status.HasField("end_time") for each in again), "an end_time of what goes on"
    assert any(attempt.phase == FAILED for each in again for attempt in each.pb2.attempts)
    assert seen[-1].phase == "succeeded"
    assert seen[-1].attempts == 3
    # Measured to the end of the last attempt, not to that of the first one.
    assert seen[-1].runtime.total_seconds() > 0.4
    assert all(each.runtime.total_seconds() < SOON for each in seen)
    assert run.outputs()[0] == "at last"


@pytest.mark.parametrize("way", ["wait", "wait_all"])
def test_an_end_time_is_not_an_end(box: Devbox, client: Client, way: str) -> None:
    box.defects.recorded_failures = True
    run = launch(client, "third")

    if way == "wait":
        run.wait(timeout=SOON)
    else:
        client.wait_all([run.name, run], timeout=SOON)

    assert run.phase == "succeeded"
    assert run.outputs()[0] == "at last"


@pytest.mark.parametrize(("task", "last", "phase"), [("nap", SUCCEEDED, "succeeded"), ("fail", FAILED, "failed")])
def test_an_event_comes_before_its_status(box: Devbox, client: Client, task: str, last: int, phase: str) -> None:
    box.defects.late_statuses = 1.0
    run = launch(client, task, *([0.1] if task == "nap" else []))

    seen = list(run.watch(timeout=SOON, interval=0.1))

    early = [each for each in seen if each.pb2.attempts and each.pb2.attempts[-1].phase == last and not each.done()]
    assert [each.phase.value for each in early] == ["running"], "the attempt has ended, the run has not"
    assert seen[-1].phase == phase
    other = launch(client, task, *([0.1] if task == "nap" else []))
    other.wait(timeout=SOON)
    assert other.phase == phase
    if task == "nap":
        assert other.outputs()[0] == "awake"
    else:
        with pytest.raises(RuntimeUserError, match="never"):
            other.raise_for_status()


def test_a_failure_may_come_without_a_cause(box: Devbox, client: Client) -> None:
    box.defects.failures_without_cause = True
    run = launch(client, "nothing")

    run.wait(timeout=SOON)

    assert run.phase == "failed"
    with pytest.raises(RuntimeSystemError, match="does not say why"):
        run.raise_for_status()


def test_a_timeout_has_its_error_in_its_last_attempt(box: Devbox, client: Client) -> None:
    run = launch(client, "late")

    *_, last = run.watch(timeout=SOON)

    assert last.phase == "timed_out"
    assert last.error_info is None
    with pytest.raises(TaskTimeoutError):
        run.raise_for_status()


def test_a_log_is_ready_before_its_run_has_ended(box: Devbox, client: Client) -> None:
    run = launch(client, "nap", 20.0)

    run.wait(wait_for="logs-ready", timeout=SOON)

    assert not run.done()
    assert run.details().action_details.logs_available()
    run.wait(wait_for="running", timeout=SOON)
    action = run.action
    run.abort("seen enough")
    action.wait(timeout=SOON)
    assert action.phase == "aborted"


def test_a_parent_whose_attempts_are_0_while_a_child_runs(box: Devbox, client: Client) -> None:
    run = launch(client, "parent")

    meanwhile = []
    for details in run.watch(timeout=SOON, interval=0.1):
        if details.status.attempts == 0:
            meanwhile.append(details)

    assert meanwhile, "the real server says so"
    assert {(each.phase.value, each.attempts) for each in meanwhile} == {("running", 1)}
    assert all(each.logs_available() and each.running_time for each in meanwhile)
    assert details.attempts == details.status.attempts == 1
    assert details.phase == "succeeded"


def test_a_child_is_waited_for_and_watched_as_a_run_is(box: Devbox, client: Client) -> None:
    run = launch(client, "parent")
    child = None
    while child is None:
        assert not run.sync().done()
        time.sleep(0.05)
        child = next((action for action in client.actions.listall(run.name) if action.parent_name == "a0"), None)

    *_, last = child.watch(timeout=SOON)
    waited = client.actions.get(run_name=run.name, name=child.name)
    waited.wait(timeout=SOON)

    assert child.phase == last.phase == waited.phase == "succeeded"
    assert last.name == child.name
    run.wait(timeout=SOON)


SCRIPT = """
import sys
from flyte_lite import Client

with Client(sys.argv[1], project="flytesnacks", domain="development") as client:
    run = client.runs.get(sys.argv[2])
    if sys.argv[3] == "wait":
        run.wait(quiet=False)
    else:
        client.wait_all([run], quiet=False)
"""


@pytest.mark.parametrize(
    ("way", "hint"),
    [
        ("wait", "run {0}: it goes on; Run.get('{0}').abort() ends it"),
        ("wait_all", "1 run: they go on; Run.get(name).abort() ends one of them"),
    ],
    ids=["wait", "wait_all"],
)
def test_ctrl_c_ends_the_waiting_and_not_the_run(box: Devbox, client: Client, way: str, hint: str) -> None:
    run = launch(client, "nap", 20.0)
    run.wait(wait_for="running", timeout=SOON)
    words = [sys.executable, "-c", SCRIPT, box.endpoint, run.name, way]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        shown = child.stderr.readline()
        child.send_signal(signal.SIGINT)
        errors = child.stderr.read()

    assert "running" in shown
    assert child.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert hint.format(run.name) in errors
    assert not run.sync().done()
    run.abort()
