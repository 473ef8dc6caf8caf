"""TriggerService, and triggers in tasks and runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from devbox_services import CALL, Services, creation, integer, task_id

from flyte_lite import errors
from flyte_lite.idl.flyteidl2.common import identifier_pb2, list_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, task_service_pb2
from flyte_lite.idl.flyteidl2.trigger import trigger_definition_pb2, trigger_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2


@pytest.fixture
def box() -> Iterator[Services]:
    made = Services()
    yield made
    made.state.close()


def name_of(name: str = "tr", task: str = "env.add") -> identifier_pb2.TriggerName:
    return identifier_pb2.TriggerName(project="flytesnacks", domain="development", name=name, task_name=task)


def deploy(
    box: Services, name: str = "tr", *, active: bool = False, version: str = "v1", revision: int = 0
) -> trigger_definition_pb2.TriggerDetails:
    request = trigger_service_pb2.DeployTriggerRequest(name=name_of(name), revision=revision)
    request.spec.active = active
    request.spec.task_version = version
    request.automation_spec.schedule.cron.expression = "0 5 * * *"
    return box.triggers.deploy_trigger(request, CALL).trigger


def get(box: Services, name: str = "tr", task: str = "env.add") -> trigger_definition_pb2.TriggerDetails:
    request = trigger_service_pb2.GetTriggerDetailsRequest(name=name_of(name, task))
    return box.triggers.get_trigger_details(request, CALL).trigger


def switch(box: Services, active: bool, *names: str) -> None:
    request = trigger_service_pb2.UpdateTriggersRequest(names=[name_of(name) for name in names], active=active)
    box.triggers.update_triggers(request, CALL)


def delete(box: Services, *names: str) -> None:
    request = trigger_service_pb2.DeleteTriggersRequest(names=[name_of(name) for name in names])
    box.triggers.delete_triggers(request, CALL)


def listed(box: Services, *filters: list_pb2.Filter, **request: object) -> list[str]:
    wanted = trigger_service_pb2.ListTriggersRequest(**request)  # type: ignore[arg-type]
    wanted.request.filters.extend(filters)
    return [each.id.name.name for each in box.triggers.list_triggers(wanted, CALL).triggers]


def test_each_change_is_a_revision_and_none_is_lost(box: Services) -> None:
    deploy(box)
    deploy(box, version="v2")
    switch(box, True, "tr")
    switch(box, True, "tr")
    delete(box, "tr")
    deploy(box, active=True)

    history = box.triggers.get_trigger_revision_history(
        trigger_service_pb2.GetTriggerRevisionHistoryRequest(name=name_of()), CALL
    )

    names = trigger_definition_pb2.TriggerRevisionAction
    assert [
        (each.id.revision, names.Name(each.action)[len("TRIGGER_REVISION_ACTION_") :]) for each in history.triggers
    ] == [
        (5, "DEPLOY"),
        (4, "DELETE"),
        (3, "ACTIVATE"),
        (2, "DEPLOY"),
        (1, "DEPLOY"),
    ]


def test_a_revision_is_as_it_was(box: Services) -> None:
    deploy(box)
    deploy(box, version="v2", active=True)
    id = identifier_pb2.TriggerIdentifier(name=name_of(), revision=1)

    request = trigger_service_pb2.GetTriggerRevisionDetailsRequest(id=id)
    first = box.triggers.get_trigger_revision_details(request, CALL).trigger

    assert (first.spec.task_version, first.spec.active) == ("v1", False)
    id.revision = 9
    request = trigger_service_pb2.GetTriggerRevisionDetailsRequest(id=id)
    with pytest.raises(errors.NotFoundError) as caught:
        box.triggers.get_trigger_revision_details(request, CALL)
    assert caught.value.message == (
        "trigger revision not found: flytesnacks/development/env.add/tr@9: sql: no rows in result set"
    )


def test_a_stale_revision_is_refused(box: Services) -> None:
    deploy(box, revision=7)
    deploy(box, revision=1)

    with pytest.raises(errors.InternalError, match="optimistic lock failure"):
        deploy(box, revision=1)

    assert get(box).id.revision == 2


def test_updated_at_moves_only_with_active(box: Services) -> None:
    first = deploy(box)

    again = deploy(box)
    other = deploy(box, active=True)

    assert again.status.updated_at == first.status.updated_at
    assert again.status.deployed_at != first.status.deployed_at
    assert other.status.updated_at == other.status.deployed_at


def test_only_schedules_count_as_automation(box: Services) -> None:
    request = trigger_service_pb2.DeployTriggerRequest(name=name_of())
    request.spec.SetInParent()
    request.automation_spec.type = common_pb2.TYPE_SCHEDULE
    request.automation_spec.schedule.kickoff_time_input_arg = "t"

    kept = box.triggers.deploy_trigger(request, CALL).trigger.automation_spec

    assert kept.type == common_pb2.TYPE_NONE
    assert kept.schedule.kickoff_time_input_arg == "t"


def test_no_specification_and_no_cron_expression_are_refused(box: Services) -> None:
    with pytest.raises(errors.InternalError):
        box.triggers.deploy_trigger(trigger_service_pb2.DeployTriggerRequest(name=name_of()), CALL)
    request = trigger_service_pb2.DeployTriggerRequest(name=name_of())
    request.spec.SetInParent()
    request.automation_spec.schedule.cron_expression = "bad"
    with pytest.raises(errors.InvalidArgumentError) as caught:
        box.triggers.deploy_trigger(request, CALL)

    assert caught.value.message == (
        'trigger "tr" has invalid cron expression: invalid cron expression "bad":'
        " expected exactly 5 fields, found 1: [bad]"
    )
    assert listed(box) == []


def test_a_deleted_one_is_gone_and_a_task_may_be_left_out(box: Services) -> None:
    deploy(box)

    assert get(box, task="").id.name.task_name == "env.add"
    delete(box, "tr", "unknown")
    with pytest.raises(errors.NotFoundError, match=r"trigger not found: flytesnacks/development/env\.add/tr: sql"):
        get(box)


def test_lists_have_active_ones_first_and_can_be_narrowed(box: Services) -> None:
    deploy(box, "a")
    deploy(box, "b", version="v2")
    deploy(box, "c", active=True)
    project = identifier_pb2.ProjectIdentifier(name="flytesnacks", domain="development")

    assert listed(box, project_id=project) == ["c", "b", "a"]
    assert listed(box, task_id=task_id(version="v2")) == ["b"]
    for word, found in (("true", ["c"]), ("f", ["b", "a"]), ("OFF", ["b", "a"]), ("1", ["c"])):
        wanted = list_pb2.Filter(field="active", function=list_pb2.Filter.EQUAL, values=[word])
        assert listed(box, wanted) == found
    for word in ("maybe", "o", ""):
        with pytest.raises(errors.InternalError):
            listed(box, list_pb2.Filter(field="active", function=list_pb2.Filter.EQUAL, values=[word]))


def with_triggers(box: Services, version: str, *names: str, cron: str = "@daily") -> None:
    request = task_service_pb2.DeployTaskRequest(task_id=task_id(version=version))
    request.spec.task_template.type = "python"
    for name in names:
        trigger = request.triggers.add(name=name)
        trigger.spec.inputs.literals.append(integer("x", 3))
        trigger.automation_spec.schedule.cron.expression = cron
    box.tasks.deploy_task(request, CALL)


def summary(box: Services, version: str) -> str:
    request = task_service_pb2.GetTaskDetailsRequest(task_id=task_id(version=version))
    found = box.tasks.get_task_details(request, CALL).details.metadata.triggers_summary
    kind = found.WhichOneof("summary")
    return {"details": found.details.name, "stats": str(found.stats.total), None: ""}[kind]


def test_a_task_brings_its_triggers_and_takes_others_away(box: Services) -> None:
    with_triggers(box, "v1", "a", "b")
    assert (listed(box), summary(box, "v1")) == (["b", "a"], "2")

    with_triggers(box, "v2", "b")
    assert (listed(box), summary(box, "v2"), summary(box, "v1")) == (["b"], "b", "")
    assert get(box, "b").spec.inputs.literals[0].name == "x"

    with_triggers(box, "v3")
    assert listed(box) == ["b"]


def test_nothing_is_stored_if_one_schedule_is_none(box: Services) -> None:
    with pytest.raises(
        errors.InvalidArgumentError, match='invalid_argument: invalid_argument: trigger "a" has invalid cron'
    ):
        with_triggers(box, "v1", "a", cron="nonsense")

    with pytest.raises(errors.NotFoundError):
        summary(box, "v1")


def test_tasks_can_be_found_by_their_triggers(box: Services) -> None:
    with_triggers(box, "v1", "a")
    box.deploy("env.other")

    def found(field: str, value: str) -> list[str]:
        request = task_service_pb2.ListTasksRequest()
        request.request.filters.add(field=field, function=list_pb2.Filter.EQUAL, values=[value])
        return [task.task_id.name for task in box.tasks.list_tasks(request, CALL).tasks]

    assert found("trigger_name", "a") == ["env.add"]
    assert found("total_triggers", "0") == ["env.other"]
    assert found("active_triggers", "1") == []


def fire(box: Services, run: str, **more: object) -> run_service_pb2.CreateRunRequest:
    request = creation(run)
    request.trigger_name.CopyFrom(name_of())
    for field, value in more.items():
        getattr(request, field).CopyFrom(value)
    box.runs.create_run(request, CALL)
    return request


def test_a_run_of_a_trigger_is_of_its_task_and_tells_so(box: Services) -> None:
    box.deploy()
    deploy(box)

    fire(box, "r1")

    action = box.details("r1").action
    assert (action.metadata.trigger_name, action.metadata.trigger_id.revision) == ("tr", 1)
    assert action.metadata.task.id.version == "v1"
    assert get(box).status.HasField("triggered_at")
    assert box.listed(trigger_name=name_of()) == ["r1"]


def test_only_what_a_trigger_has_by_address_goes_into_its_runs(box: Services) -> None:
    box.deploy()
    request = trigger_service_pb2.DeployTriggerRequest(name=name_of())
    request.spec.task_version = "v1"
    request.spec.offloaded_input_data.uri = "s3://flyte-data/there"
    request.spec.run_spec.envs.values.add(key="K", value="V")
    box.triggers.deploy_trigger(request, CALL)

    fire(box, "r1")
    fire(box, "r2", inputs=common_pb2.Inputs())

    def inputs_uri(run: str) -> str:
        ask = run_service_pb2.GetActionDataURIsRequest(action_id=box.details(run).action.id)
        return box.runs.get_action_data_uris(ask, CALL).inputs_uri

    assert inputs_uri("r1") == "s3://flyte-data/there/inputs.pb"
    assert inputs_uri("r2") == "s3://flyte-data/flytesnacks/development/r2/inputs/inputs.pb"
    assert box.details("r1").run_spec.envs.values[0].key == "K"


def test_a_trigger_that_is_not_there_or_whose_task_is_not_makes_no_run(box: Services) -> None:
    with pytest.raises(errors.NotFoundError, match='trigger "tr" not found: trigger not found: flytesnacks/'):
        fire(box, "r1")
    deploy(box)
    with pytest.raises(errors.RpcError) as caught:
        fire(box, "r1")

    assert caught.value.code is errors.Code.UNKNOWN
    assert box.listed() == []


def test_inputs_may_be_uploaded_for_a_trigger(box: Services) -> None:
    request = dataproxy_service_pb2.UploadInputsRequest(trigger_name=name_of(), inputs=common_pb2.Inputs())
    request.project_id.name = "flytesnacks"
    with pytest.raises(errors.NotFoundError):
        box.data.upload_inputs(request, CALL)
    box.deploy()
    deploy(box)

    assert box.data.upload_inputs(request, CALL).offloaded_input_data.uri
