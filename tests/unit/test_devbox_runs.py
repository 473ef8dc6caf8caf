"""RunService, asked directly: creation, lists, aborts, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from devbox_services import CALL, Services, creation, integer, task_id

from flyte_lite import errors
from flyte_lite.devbox._refusal import ConnectionDropped
from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.idl.flyteidl2.common import list_pb2, phase_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

P = phase_pb2


@pytest.fixture
def box() -> Iterator[Services]:
    made = Services()
    yield made
    made.state.close()


def test_a_run_is_queued_at_once_and_handed_to_the_executor(box: Services) -> None:
    box.deploy()

    run = box.create("r1")

    assert run.action.id.name == "a0"
    assert run.action.metadata.task.short_name == "add"
    assert run.action.metadata.funtion_name == "env.add"
    assert run.action.metadata.environment_name == "env"
    assert run.action.status.phase == P.ACTION_PHASE_QUEUED
    assert run.action.status.attempts == 1
    assert box.executor.submitted == ["r1"]


def test_a_name_makes_one_run_however_often_it_is_sent(box: Services) -> None:
    box.deploy()
    box.deploy(version="v2")
    first = box.create("r1")

    again = box.runs.create_run(creation("r1", task_id(version="v2")), CALL).run

    assert again == first
    assert box.executor.submitted == ["r1"]
    assert box.listed() == ["r1"]


def test_the_inputs_of_the_last_creation_stand(box: Services) -> None:
    box.deploy()
    box.create("r1")
    request = creation("r1")
    request.inputs.literals.append(integer("x", 2))
    box.runs.create_run(request, CALL)

    data = box.data.get_action_data(dataproxy_service_pb2.GetActionDataRequest(action_id=box.details().action.id), CALL)

    assert [literal.value.scalar.primitive.integer for literal in data.inputs.literals] == [2]


def test_defaults_are_filled_in_and_nothing_is_checked(box: Services) -> None:
    box.deploy()
    request = creation("r1")
    request.inputs.literals.append(integer("unknown", 1))
    box.runs.create_run(request, CALL)

    data = box.data.get_action_data(dataproxy_service_pb2.GetActionDataRequest(action_id=box.details().action.id), CALL)

    assert {literal.name: literal.value.scalar.primitive.integer for literal in data.inputs.literals} == {
        "unknown": 1,
        "x": 7,
    }
    assert data.inputs_uri == "s3://flyte-data/flytesnacks/development/r1/inputs/inputs.pb"
    assert data.HasField("outputs")
    assert data.outputs_uri == ""


@pytest.mark.parametrize("name", ["", "A", "1a", "a_b", "a.b", "a-", "-a", "é", "a\n"])
def test_a_run_s_name_is_a_label(box: Services, name: str) -> None:
    box.deploy()

    with pytest.raises(errors.InvalidArgumentError, match="DNS-1035"):
        box.create(name)


def test_a_run_s_name_has_thirty_letters_at_most(box: Services) -> None:
    box.deploy()
    box.create("a" * 30)

    with pytest.raises(errors.InvalidArgumentError, match="must be no more than 30 characters"):
        box.create("a" * 31)


def test_without_a_name_the_server_makes_one(box: Services) -> None:
    box.deploy()
    request = creation()
    request.project_id.name, request.project_id.domain = "flytesnacks", "staging"

    run = box.runs.create_run(request, CALL).run.action.id.run

    assert len(run.name) == 20
    assert run.name[0] == "r"
    assert run.domain == "staging"


def test_what_is_missing_for_a_run(box: Services) -> None:
    box.deploy()
    nameless = creation()
    nameless.ClearField("id")
    elsewhere = creation()
    elsewhere.run_id.project = "nope"
    nowhere = creation()
    nowhere.run_id.project = ""
    taskless = creation()
    taskless.ClearField("task")
    triggered = creation()
    triggered.trigger_name.name = "tr"

    for request, code, words in (
        (nameless, "invalid_argument", "invalid run ID type"),
        (elsewhere, "not_found", 'project "nope" not found'),
        (nowhere, "internal", "failed to validate project: invalid_argument: id is required"),
        (creation("r1", task_id(version="v9")), "unknown", "task not found: {flytesnacks development env.add v9}"),
        (creation("r1", task_id(version="")), "unknown", "task not found: {flytesnacks development env.add }"),
        (taskless, "internal", "failed to create task spec model: Marshal called with nil"),
        (triggered, "not_found", 'trigger "tr" not found: trigger not found: ///tr: sql: no rows in result set'),
    ):
        with pytest.raises(errors.CallError) as caught:
            box.runs.create_run(request, CALL)
        assert (caught.value.code.value, caught.value.message) == (code, words)
    assert box.listed() == []


def test_a_run_of_a_spec_takes_its_id_from_the_template(box: Services) -> None:
    request = creation()
    request.task_spec.task_template.type = "python"
    bare = box.runs.create_run(request, CALL).run.action.metadata
    request.run_id.name = "r2"
    request.task_spec.task_template.id.name = "env.x"
    named = box.runs.create_run(request, CALL).run.action.metadata

    assert not bare.task.HasField("id")
    assert (named.task.id.name, named.funtion_name) == ("env.x", "env.x")


def test_the_run_spec_comes_back_with_the_storage_filled_in(box: Services) -> None:
    box.deploy()
    request = creation()
    request.run_spec.labels.values["a"] = "b"
    request.run_spec.interruptible.value = True
    box.runs.create_run(request, CALL)

    spec = box.details().run_spec

    assert spec.labels.values["a"] == "b"
    assert spec.interruptible.value
    assert spec.raw_data_storage.raw_data_prefix == "s3://flyte-data"
    assert not spec.HasField("run_start_time")


@pytest.mark.parametrize(("version", "told"), [("", False), ("2.3.5", False), ("2.3.6", True), ("10.0.0b1", True)])
def test_only_newer_runtimes_are_told_when_the_run_started(box: Services, version: str, told: bool) -> None:
    request = creation()
    request.task_spec.task_template.metadata.runtime.version = version
    request.run_start_time.FromSeconds(5)
    box.runs.create_run(request, CALL)

    assert box.details().run_spec.HasField("run_start_time") == told


def test_inputs_may_be_in_another_folder_but_not_in_another_store(box: Services) -> None:
    box.deploy()
    request = creation()
    request.run_spec.run_base_dir = "s3://flyte-data/base/"
    box.runs.create_run(request, CALL)
    uris = run_service_pb2.GetActionDataURIsRequest(action_id=box.details().action.id)

    found = box.runs.get_action_data_uris(uris, CALL)

    assert found.inputs_uri == "s3://flyte-data/base/flytesnacks/development/r1/inputs/inputs.pb"
    request.run_id.name, request.run_spec.run_base_dir = "r2", "s3://elsewhere"
    with pytest.raises(errors.InternalError):
        box.runs.create_run(request, CALL)


def test_an_abort_is_seen_at_once_and_the_last_reason_stands(box: Services) -> None:
    box.deploy()
    run_id = creation().run_id
    box.create()

    box.runs.abort_run(run_service_pb2.AbortRunRequest(run_id=run_id), CALL)
    first = box.details().action
    box.runs.abort_run(run_service_pb2.AbortRunRequest(run_id=run_id, reason=""), CALL)
    second = box.details().action
    box.runs.abort_action(run_service_pb2.AbortActionRequest(action_id=first.id, reason=""), CALL)
    third = box.details().action

    assert first.status.phase == P.ACTION_PHASE_ABORTED
    assert first.abort_info.reason == "User requested abort"
    assert second.WhichOneof("result") == "abort_info"
    assert second.abort_info.reason == ""
    assert third.abort_info.reason == "User requested abort"
    assert first.status.end_time == third.status.end_time
    assert box.executor.aborted == ["r1"] * 3


def test_what_is_not_there_is_not_found(box: Services) -> None:
    run_id = creation("gone").run_id
    action_id = {"run": run_id, "name": "a0"}

    for refused, words in (
        (
            lambda: box.runs.get_run_details(run_service_pb2.GetRunDetailsRequest(run_id=run_id), CALL),
            "run not found: flytesnacks/development/gone",
        ),
        (
            lambda: box.runs.abort_run(run_service_pb2.AbortRunRequest(run_id=run_id), CALL),
            "run not found: flytesnacks/development/gone",
        ),
        (
            lambda: box.runs.get_action_details(run_service_pb2.GetActionDetailsRequest(action_id=action_id), CALL),
            "action not found: action not found",
        ),
        (
            lambda: box.data.get_action_data(dataproxy_service_pb2.GetActionDataRequest(action_id=action_id), CALL),
            "action not found: action not found",
        ),
        (
            lambda: box.runs.abort_action(run_service_pb2.AbortActionRequest(action_id=action_id), CALL),
            "action not found: a0",
        ),
        (
            lambda: box.runs.get_action_log_context(
                run_service_pb2.GetActionLogContextRequest(action_id=action_id, attempt=1), CALL
            ),
            'no event found for action run:{project:"flytesnacks" domain:"development" name:"gone"} name:"a0"'
            " attempt 1",
        ),
    ):
        with pytest.raises(errors.NotFoundError) as caught:
            refused()
        assert caught.value.message == words


def test_a_missing_id_message_drops_the_connection(box: Services) -> None:
    with pytest.raises(ConnectionDropped):
        box.runs.get_run_details(run_service_pb2.GetRunDetailsRequest(), CALL)
    with pytest.raises(ConnectionDropped):
        box.runs.abort_run(run_service_pb2.AbortRunRequest(), CALL)
    with pytest.raises(ConnectionDropped):
        box.runs.get_action_details(run_service_pb2.GetActionDetailsRequest(action_id={"name": "a0"}), CALL)


def test_runs_are_listed_by_phase_and_then_newest_first(box: Services) -> None:
    box.deploy()
    for name in ("r1", "r2", "r3"):
        box.create(name)
    box.state.actions.set_status(ActionKey("flytesnacks", "development", "r2"), P.ACTION_PHASE_RUNNING, 1, 0, 1)

    assert box.listed() == ["r3", "r1", "r2"]


def test_tokens_of_runs_are_exact(box: Services) -> None:
    box.deploy()
    for name in ("r1", "r2", "r3"):
        box.create(name)
    page = {"limit": 2, "sort_by_fields": [{"key": "run_name", "direction": list_pb2.Sort.ASCENDING}]}

    first = box.runs.list_runs(run_service_pb2.ListRunsRequest(request=page), CALL)  # type: ignore[arg-type]
    last = box.runs.list_runs(run_service_pb2.ListRunsRequest(request={**page, "token": "1"}), CALL)  # type: ignore[arg-type]

    assert (len(first.runs), first.token) == (2, "2")
    assert (len(last.runs), last.token) == (2, "")


def test_scopes_of_runs(box: Services) -> None:
    box.deploy()
    box.deploy("env.sub")
    box.create("r1")
    box.runs.create_run(creation("r2", task_id("env.sub")), CALL)
    name = {"project": "flytesnacks", "domain": "development", "name": "env.sub"}

    assert box.listed(task_name=name) == ["r2"]
    assert box.listed(task_id={**name, "version": "v1"}) == ["r2"]
    assert box.listed(task_id=name) == []
    assert box.listed(project_id={"name": "flytesnacks"}) == []
    assert sorted(box.listed(project_id={"name": "flytesnacks", "domain": "development"})) == ["r1", "r2"]
    assert sorted(box.listed(org="any")) == ["r1", "r2"]
    assert box.listed(trigger_name={"name": "tr"}) == []
    assert box.listed(paused_actions_only=True) == []


def test_listed_actions_say_little(box: Services) -> None:
    box.deploy()
    box.create()

    listed = box.runs.list_actions(run_service_pb2.ListActionsRequest(run_id=creation().run_id), CALL).actions

    assert [action.id.name for action in listed] == ["a0"]
    assert listed[0].HasField("metadata")
    assert listed[0].metadata == run_definition_pb2.ActionMetadata()
    assert listed[0].status.phase == P.ACTION_PHASE_QUEUED


def test_data_of_actions_has_moved(box: Services) -> None:
    with pytest.raises(errors.UnimplementedError, match="DataProxyService"):
        box.runs.get_action_data(run_service_pb2.GetActionDataRequest(), CALL)
