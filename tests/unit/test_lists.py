"""Actions and tasks in lists, and the action that is to blame for a run's failure."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from fakes import FakeChannel

from flyte_lite._client import Client
from flyte_lite.errors import CallTimeoutError, Code, InvalidArgumentError
from flyte_lite.idl.flyteidl2.common import list_pb2, run_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2, task_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote import Action, Run, Task

RUNNING, SUCCEEDED, FAILED, ABORTED, TIMED_OUT = 4, 5, 6, 7, 8


def client(channel: FakeChannel) -> Client:
    return Client._over(channel.session())


def action(
    name: str, parent: str = "", phase: int = SUCCEEDED, ended: Optional[int] = None
) -> run_definition_pb2.Action:
    made = run_definition_pb2.Action()
    made.id.name, made.id.run.name = name, "r1"
    made.id.run.project, made.id.run.domain = "p2", "d2"
    made.metadata.parent = parent
    made.status.phase = phase  # type: ignore[assignment]
    if ended is not None:
        made.status.end_time.seconds = ended
    return made


class Steps:
    """A run's actions, listed as the open-source server lists them."""

    def __init__(self, *actions: run_definition_pb2.Action) -> None:
        self._actions = actions
        self.channel = FakeChannel()
        self.channel.on("RunService/ListActions", self._list)
        self.channel.on("RunService/GetActionDetails", self._details)

    def _list(self, request: run_service_pb2.ListActionsRequest) -> Any:
        found = list(self._actions)
        for asked in request.request.filters:
            if asked.field == "parent_name":
                return InvalidArgumentError("invalid filter field: parent_name", Code.INVALID_ARGUMENT)
            assert asked.field == "phase"
            found = [each for each in found if str(each.status.phase) in asked.values]
        return run_service_pb2.ListActionsResponse(actions=found)

    def _details(self, request: run_service_pb2.GetActionDetailsRequest) -> Any:
        told = run_service_pb2.GetActionDetailsResponse()
        (found,) = (each for each in self._actions if each.id.name == request.action_id.name)
        told.details.id.CopyFrom(found.id)
        told.details.metadata.CopyFrom(found.metadata)
        told.details.status.CopyFrom(found.status)
        told.details.error_info.message = f"{found.id.name} broke"
        return told

    @property
    def run(self) -> Run:
        root = self._actions[0]
        return client(self.channel).runs(run_definition_pb2.Run(action=root))


# Actions.


def test_children_are_found_where_the_server_does_not_look_for_parents() -> None:
    steps = Steps(action("a0"), action("a1", "a0"), action("a2", "a1"), action("a3", "a0"))
    listall = client(steps.channel).actions.listall

    assert [each.name for each in listall("r1", parent_name="a0")] == ["a1", "a3"]
    assert [each.name for each in listall("r1", parent_name="a1")] == ["a2"]
    assert [each.name for each in listall("r1", parent_name="a0", limit=1)] == ["a1"]
    asked = [[each.field for each in told.request.filters] for told in steps.channel.asked("RunService/ListActions")]
    assert asked == [["parent_name"], [], [], []]


def test_actions_are_of_a_run_in_any_project() -> None:
    steps = Steps(action("a0"))

    (found,) = client(steps.channel).actions.listall("r1", project="p2", domain="d2")

    assert type(found) is Action
    run = steps.channel.asked("RunService/ListActions")[0].run_id
    assert (run.project, run.domain, run.name) == ("p2", "d2", "r1")


def test_actions_of_no_run_are_refused() -> None:
    with pytest.raises(ValueError, match="for_run_name="):
        client(FakeChannel()).actions.listall("")


def test_an_action_is_got_by_position_as_by_name() -> None:
    steps = Steps(action("a0"), action("a1", "a0"))
    get = client(steps.channel).actions.get

    assert get(None, "r1", "a1") == get(run_name="r1", name="a1")
    assert get(run_name="r1").name == "a0"
    with pytest.raises(ValueError, match="run_name="):
        get("r1")


def test_what_a_run_repeats_is_its_relation() -> None:
    again = action("a0")
    again.metadata.relation.relation_type = run_pb2.RELATION_TYPE_RERUN
    again.metadata.relation.related_to.name = "r0"

    relation = Action(again).relation

    assert relation is not None
    assert relation.related_to.name == "r0"
    assert Action(action("a0")).relation is None


# The first failure.

A0_FAILED = action("a0", phase=FAILED, ended=90)


@pytest.mark.parametrize(
    ("steps", "blamed"),
    [
        ([A0_FAILED], "a0"),
        ([A0_FAILED, action("a1", "a0", FAILED, 80)], "a1"),
        ([A0_FAILED, action("a1", "a0", FAILED, 80), action("a2", "a1", FAILED, 70)], "a2"),
        # The one that ended first, in whatever order they began.
        ([A0_FAILED, action("a1", "a0", FAILED, 80), action("a2", "a0", FAILED, 50)], "a2"),
        ([A0_FAILED, action("a1", "a0", FAILED, 80), action("a2", "a0", TIMED_OUT, 50)], "a2"),
        ([A0_FAILED, action("a1", "a0", FAILED), action("a2", "a0", FAILED, 50)], "a2"),
        # Aborted because the other failed.
        ([A0_FAILED, action("a1", "a0", ABORTED, 10), action("a2", "a0", FAILED, 50)], "a2"),
        # Its parent went on; what the root failed of is its own.
        ([A0_FAILED, action("a1", "a0", SUCCEEDED, 80), action("a2", "a1", FAILED, 50)], "a0"),
        ([action("a0", phase=TIMED_OUT, ended=9), action("a1", "a0", ABORTED, 10)], "a0"),
        # Everything below is aborted with it, without a reason.
        ([action("a0", phase=ABORTED, ended=9), action("a1", "a0", ABORTED, 5)], "a0"),
        ([action("a0", phase=ABORTED, ended=9), action("a1", "a0", FAILED, 5)], "a1"),
        # It goes on, and so may a failure be forgiven yet.
        ([action("a0", phase=RUNNING), action("a1", "a0", FAILED, 5), action("a2", "a1", FAILED, 4)], "a2"),
        ([action("a0", phase=RUNNING), action("a1", "a0", SUCCEEDED, 5)], None),
        # A server that makes an action its own parent.
        ([action("a0", phase=RUNNING), action("a1", "a1", FAILED, 5)], "a1"),
        # What no server should say.
        ([A0_FAILED, action("a1", "a1", FAILED, 5)], "a0"),
        ([action("a0", "a0", FAILED, 5)], "a0"),
    ],
)
def test_the_deepest_action_that_failed_is_to_blame(
    steps: list[run_definition_pb2.Action], blamed: Optional[str]
) -> None:
    kept = Steps(*steps)

    found = kept.run.first_failure()

    assert (found and found.name) == blamed
    assert found is None or found.error_message == f"{blamed} broke"
    # In the run's own place, which is not the session's.
    assert kept.channel.asked("RunService/ListActions")[0].run_id.project == "p2"
    assert len(kept.channel.calls) == (1 if blamed is None else 2)


def test_a_run_that_succeeded_has_no_failure_and_costs_no_call() -> None:
    kept = Steps(action("a0"), action("a1", "a0", FAILED, 5))

    assert kept.run.first_failure() is None
    assert kept.channel.calls == []


def test_the_first_failure_has_one_deadline() -> None:
    kept = Steps(A0_FAILED, action("a1", "a0", FAILED, 5))

    def slow(request: run_service_pb2.ListActionsRequest) -> Any:
        kept.channel.clock.now += 20
        told = kept._list(request)
        told.token = f"{request.request.token}+"
        return told

    kept.channel.on("RunService/ListActions", slow)
    with pytest.raises(CallTimeoutError):
        kept.run.first_failure()
    assert len(kept.channel.asked("RunService/ListActions")) == 2
    assert kept.channel.asked("RunService/GetActionDetails") == []


# Tasks.


def task(name: str, version: str = "v1", deployed: Optional[int] = None) -> task_definition_pb2.Task:
    made = task_definition_pb2.Task()
    made.task_id.name, made.task_id.version, made.task_id.project, made.task_id.domain = name, version, "p", "d"
    if deployed is not None:
        made.metadata.deployed_at.seconds = deployed
    return made


class Deployed:
    """Tasks, of which some are entry points."""

    def __init__(self, *tasks: task_definition_pb2.Task, entrypoints: tuple[str, ...] = (), heeds: bool = True) -> None:
        self._tasks = tasks
        self._entrypoints = entrypoints
        self._heeds = heeds
        self.channel = FakeChannel()
        self.channel.on("TaskService/ListTasks", self._list)
        self.channel.on("TaskService/GetTaskDetails", self._details)

    def _list(self, request: task_service_pb2.ListTasksRequest) -> Any:
        found = list(self._tasks)
        for asked in request.request.filters:
            if asked.function == list_pb2.Filter.CONTAINS:
                # In a database's pattern, _ is any letter.
                found = [each for each in found if asked.values[0] in each.task_id.name.replace("X", "_")]
            elif asked.field in ("name", "version"):
                found = [each for each in found if getattr(each.task_id, asked.field) == asked.values[0]]
        if self._heeds:
            for known in request.known_filters:
                found = [each for each in found if (each.task_id.name in self._entrypoints) == known.is_entrypoint]
        at, size = int(request.request.token or 0), request.request.limit
        return task_service_pb2.ListTasksResponse(
            # A token for a page that is full, whether more follows or not.
            tasks=found[at : at + size],
            token=str(at + size) if len(found[at : at + size]) == size else "",
        )

    def _details(self, request: task_service_pb2.GetTaskDetailsRequest) -> Any:
        told = task_service_pb2.GetTaskDetailsResponse()
        told.details.task_id.CopyFrom(request.task_id)
        told.details.spec.task_template.metadata.is_entrypoint = request.task_id.name in self._entrypoints
        return told


def test_an_environment_is_the_beginning_of_a_name() -> None:
    kept = Deployed(task("my_env.a"), task("other.my_env.b"), task("myXenv.c"), task("my_env2.d"))

    assert [each.name for each in client(kept.channel).tasks.listall(by_task_env="my_env")] == ["my_env.a"]


def test_the_last_page_is_trimmed_and_a_full_one_is_no_end() -> None:
    kept = Deployed(*(task(f"e.t{nth:03}", deployed=nth * 60) for nth in range(400)))
    listall = client(kept.channel).tasks.listall

    assert len(list(listall(limit=350))) == 350
    assert len(list(listall(limit=None))) == 400
    assert len(list(listall())) == 100


def test_each_version_is_a_row() -> None:
    kept = Deployed(task("e.t", "v1"), task("e.t", "v2"))

    found = list(client(kept.channel).tasks.listall(by_task_name="e.t"))

    assert all(type(each) is Task for each in found)
    assert [each.version for each in found] == ["v1", "v2"]


@pytest.mark.parametrize("heeds", [True, False], ids=["heeded", "ignored"])
@pytest.mark.parametrize("wanted", [True, False], ids=["entrypoints", "others"])
def test_entrypoints_are_found_whether_the_server_looks_or_not(heeds: bool, wanted: bool) -> None:
    kept = Deployed(task("e.a"), task("e.main"), task("e.b"), entrypoints=("e.main",), heeds=heeds)
    listall = client(kept.channel).tasks.listall

    expected = ["e.main"] if wanted else ["e.a", "e.b"]
    assert [each.name for each in listall(entrypoint=wanted)] == expected
    asked = len(kept.channel.asked("TaskService/ListTasks"))
    assert [each.name for each in listall(entrypoint=wanted)] == expected
    # A server that does not look is asked about that once.
    assert len(kept.channel.asked("TaskService/ListTasks")) - asked == (2 if heeds else 1)
    assert (kept.channel.asked("TaskService/GetTaskDetails") == []) is heeds


def test_what_a_task_in_a_list_shows() -> None:
    kept = Deployed(task("e.t/1"))
    (found,) = client(kept.channel).tasks.listall()

    assert found.url == "http://console/v2/domain/d/project/p/tasks/e.t%2F1"
    assert found.entrypoint is False
