"""Actions while they live: followed, timed, ended, listed, blamed, repeated."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest

import flyte_lite as flyte
from flyte_lite import Cancel, Client, _session
from flyte_lite.devbox import Devbox
from flyte_lite.errors import WaitTimeoutError
from flyte_lite.idl.flyteidl2.core import execution_pb2
from flyte_lite.idl.flyteidl2.workflow import internal_run_service_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import Action, ActionDetails, Run, Task

PROJECT, DOMAIN = "flytesnacks", "development"
UTC = datetime.timezone.utc
SECOND = datetime.timedelta(seconds=1)


@pytest.fixture(autouse=True)
def initialized(box: Devbox) -> Iterator[Client]:
    with flyte.init(endpoint=box.endpoint, project=PROJECT, domain=DOMAIN) as client:
        yield client
    _session.set_default(None)


@pytest.fixture(scope="module")
def finished(box: Devbox) -> str:
    """The name of a run that greeted Ada twice."""
    with flyte.Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client:
        run = client.run(client.tasks.get("greetings.hello", version="v1"), name="Ada", times=2)
        run.wait(timeout=60)
        return run.name


class Teller:
    """What an executor tells the server of actions, told by hand."""

    def __init__(self, box: Devbox, run: str) -> None:
        self._endpoint = box.endpoint
        self._run = Run.get(run).pb2.action.id.run

    def _call(self, method: str, request: Any, response: Any) -> None:
        with flyte.remote.create_channel(self._endpoint) as channel:
            call = channel.unary_unary(
                f"/flyteidl2.workflow.InternalRunService/{method}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=response.FromString,
            )
            call(request, timeout=10)

    def child(self, name: str) -> None:
        request = internal_run_service_pb2.RecordActionRequest(parent="a0")
        request.action_id.run.CopyFrom(self._run)
        request.action_id.name = name
        request.task.id.CopyFrom(Task.get("greetings.hello", version="v1").pb2.task_id)
        self._call("RecordAction", request, internal_run_service_pb2.RecordActionResponse)

    def event(self, name: str, phase: int, at: int = 0, **more: Any) -> None:
        request = internal_run_service_pb2.RecordActionEventsRequest()
        event = request.events.add(attempt=1, phase=phase, **more)
        event.id.run.CopyFrom(self._run)
        event.id.name = name
        event.updated_time.FromSeconds(1_700_000_000 + at)
        event.reported_time.FromSeconds(1_700_000_000 + at)
        self._call("RecordActionEvents", request, internal_run_service_pb2.RecordActionEventsResponse)

    def status(self, name: str, phase: int) -> None:
        request = internal_run_service_pb2.UpdateActionStatusRequest()
        request.action_id.run.CopyFrom(self._run)
        request.action_id.name = name
        request.status.phase = phase
        self._call("UpdateActionStatus", request, internal_run_service_pb2.UpdateActionStatusResponse)


@pytest.fixture
def sleeping() -> Iterator[Run]:
    run = flyte.run(Task.get("greetings.sleep", version="v1"), seconds=60)
    run.wait(wait_for="running", timeout=60)
    yield run
    run.abort()
    run.wait(timeout=60)


def test_the_times_of_an_action(box: Devbox, sleeping: Run) -> None:
    tell = Teller(box, sleeping.name)
    tell.child("timed")
    for phase, at in ((1, 0), (2, 1), (3, 3), (4, 7), (5, 15)):
        tell.event("timed", phase, at)
    tell.status("timed", 5)

    details = Action.get(run_name=sleeping.name, name="timed").details()

    assert [(each.phase, each.duration.total_seconds()) for each in details.get_phase_transitions()][:4] == [
        ("queued", 1),
        ("waiting_for_resources", 2),
        ("initializing", 4),
        ("running", 8),
    ]
    assert details.get_phase_transitions()[0].start_time == datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert details.phase_durations["running"] == 8 * SECOND
    assert details.queued_time == SECOND
    assert details.waiting_for_resources_time == 2 * SECOND
    assert details.initializing_time == 4 * SECOND
    assert details.running_time == 8 * SECOND
    assert details.runtime > datetime.timedelta(0)
    assert details.parent_name == "a0"


def test_an_editor_is_waited_for(box: Devbox, sleeping: Run) -> None:
    log = execution_pb2.TaskLog(uri="/editor/x", name="vscode", ready=True, link_type=execution_pb2.TaskLog.IDE)
    Teller(box, sleeping.name).event("a0", 4, version=9, log_info=[log])

    address = sleeping.get_debug_url(timeout=30)

    assert address is not None
    assert address.startswith("http://127.0.0.1")
    assert address.endswith("/editor/x")


def test_an_action_is_followed_and_ended(sleeping: Run) -> None:
    action = Action.get(run_name=sleeping.name)
    details = action.details()
    assert details.is_running
    action.wait(wait_for="logs-ready", timeout=60)
    assert action.details().logs_available()
    own, by_id = details.watch_updates(timeout=60), ActionDetails.watch(action.action_id, timeout=60)
    of_run, of_action = sleeping.watch(timeout=60), action.watch(timeout=60)
    for watch in (own, by_id, of_run, of_action):
        assert next(watch).is_running

    action.abort("that will do")

    for watch in (own, by_id, of_run, of_action):
        *_, last = watch
        assert last.phase is ActionPhase.ABORTED
    assert details.phase is action.phase is sleeping.phase is ActionPhase.ABORTED
    assert details.abort_info is not None
    assert details.abort_info.reason == "that will do"


def test_an_action_is_brought_up_to_date(sleeping: Run) -> None:
    action = Action.get(run_name=sleeping.name)
    sleeping.abort()
    sleeping.wait(timeout=60)
    assert not action.done()

    assert action.sync() is action

    assert action.done()


def test_actions_are_listed(finished: str) -> None:
    (action,) = Action.listall(finished, in_phase="succeeded")

    assert (action.run_name, action.name) == (finished, "a0")
    assert list(Action.listall(finished, in_phase="failed")) == []


def test_tasks_are_listed() -> None:
    (task,) = Task.listall(by_task_name="greetings.hello")

    assert (task.name, task.version) == ("greetings.hello", "v1")
    assert task.entrypoint is False
    assert task.url.endswith(f"/v2/domain/{DOMAIN}/project/{PROJECT}/tasks/greetings.hello")


def test_the_action_to_blame_is_found() -> None:
    run = flyte.run(Task.get("numbers.divide", version="v1"), a=1.0, b=0.0)
    run.wait(timeout=60)

    blamed = run.first_failure()

    assert blamed is not None
    assert blamed.name == "a0"
    assert "division by zero" in blamed.error_message


def test_what_a_run_was_made_of_is_said(finished: str) -> None:
    again = flyte.rerun(finished, times=1)
    again.wait(timeout=60)

    relation = Action.get(run_name=again.name).relation

    assert again.outputs()[0] == "hello Ada"
    assert relation is not None
    assert relation.related_to.name == finished


def test_runs_are_waited_for_together(initialized: Client) -> None:
    client = initialized
    task = Task.get("greetings.hello", version="v1")
    for wait_all, as_completed in ((flyte.wait_all, flyte.as_completed), (client.wait_all, client.as_completed)):
        runs = [flyte.run(task, name=name) for name in ("Ada", "Bo", "Cy")]

        assert {run.name for run in as_completed(runs, timeout=60)} == {run.name for run in runs}
        assert [run.outputs()[0] for run in wait_all(runs, timeout=60)] == ["hello Ada", "hello Bo", "hello Cy"]


def test_a_wait_that_can_be_canceled_rests_between_its_questions(
    box: Devbox, initialized: Client, sleeping: Run
) -> None:
    run = initialized.scoped(cancel=Cancel()).runs.get(sleeping.name)
    before = len(box.calls.of("RunService/ListRuns"))

    with pytest.raises(WaitTimeoutError):
        run.wait(timeout=1)

    assert 1 <= len(box.calls.of("RunService/ListRuns")) - before <= 8
