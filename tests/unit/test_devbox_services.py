"""The services, asked directly: what is stored, what is refused, and with which words."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Optional

import pytest

from flyte_lite import errors
from flyte_lite.devbox._refusal import ConnectionDropped
from flyte_lite.devbox.services.auth_metadata import AuthMetadataService
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.cluster import ClusterService
from flyte_lite.devbox.services.dataproxy import DataProxyService
from flyte_lite.devbox.services.identity import IdentityService
from flyte_lite.devbox.services.project import ProjectService
from flyte_lite.devbox.services.run import RunService
from flyte_lite.devbox.services.task import TaskService
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2, identity_pb2
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.common import list_pb2, phase_pb2
from flyte_lite.idl.flyteidl2.core import types_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.project import project_service_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, task_definition_pb2, task_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

CALL = Call({"host": "localhost:1"})
P = phase_pb2


class Recorder:
    """An executor that only remembers what it was given."""

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.aborted: list[str] = []

    def submit(self, key: ActionKey) -> None:
        self.submitted.append(key.run)

    def abort(self, key: ActionKey) -> None:
        self.aborted.append(key.run)


class Box:
    """The services around one state."""

    def __init__(self) -> None:
        self.state = State()
        self.executor = Recorder()
        self.projects = ProjectService(self.state)
        self.tasks = TaskService(self.state)
        self.runs = RunService(self.state, self.executor)
        self.data = DataProxyService(self.state)

    def deploy(self, name: str = "env.add", version: str = "v1", **spec: object) -> None:
        request = task_service_pb2.DeployTaskRequest(task_id=task_id(name, version))
        request.spec.task_template.type = "python"
        request.spec.short_name = name.rpartition(".")[2]
        request.spec.environment.name = "env"
        default = request.spec.default_inputs.add(name="x").parameter
        default.var.type.simple = types_pb2.INTEGER
        default.default.scalar.primitive.integer = 7
        if "description" in spec:
            request.spec.documentation.short_description = str(spec["description"])
        self.tasks.deploy_task(request, CALL)

    def create(self, name: str = "r1", **headers: str) -> run_definition_pb2.Run:
        return self.runs.create_run(creation(name), Call(headers)).run

    def details(self, name: str = "r1") -> run_definition_pb2.RunDetails:
        request = run_service_pb2.GetRunDetailsRequest(run_id=creation(name).run_id)
        return self.runs.get_run_details(request, CALL).details

    def listed(self, **request: object) -> list[str]:
        response = self.runs.list_runs(run_service_pb2.ListRunsRequest(**request), CALL)  # type: ignore[arg-type]
        return [run.action.id.run.name for run in response.runs]


@pytest.fixture
def box() -> Iterator[Box]:
    made = Box()
    yield made
    made.state.close()


def task_id(name: str = "env.add", version: str = "v1") -> task_definition_pb2.TaskIdentifier:
    return task_definition_pb2.TaskIdentifier(
        org="ignored", project="flytesnacks", domain="development", name=name, version=version
    )


def creation(
    name: str = "r1", task: Optional[task_definition_pb2.TaskIdentifier] = None
) -> run_service_pb2.CreateRunRequest:
    request = run_service_pb2.CreateRunRequest(task_id=task or task_id())
    request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", name
    return request


def integer(name: str, value: int) -> common_pb2.NamedLiteral:
    literal = common_pb2.NamedLiteral(name=name)
    literal.value.scalar.primitive.integer = value
    return literal


# Projects


def test_a_devbox_starts_with_one_project_of_three_domains(box: Box) -> None:
    found = box.projects.list_projects(project_service_pb2.ListProjectsRequest(), CALL).projects.projects

    assert [project.id for project in found] == ["flytesnacks"]
    assert [domain.id for domain in found[0].domains] == ["development", "production", "staging"]


def test_projects_are_created_once_and_updated_as_a_whole(box: Box) -> None:
    project = project_service_pb2.Project(id="p", name="P", description="d", labels={"values": {"a": "b"}})
    box.projects.create_project(project_service_pb2.CreateProjectRequest(project=project), CALL)

    with pytest.raises(errors.AlreadyExistsError, match="project already exists: p"):
        box.projects.create_project(project_service_pb2.CreateProjectRequest(project=project), CALL)
    box.projects.update_project(project_service_pb2.UpdateProjectRequest(project={"id": "p", "name": "Q"}), CALL)

    found = box.projects.get_project(project_service_pb2.GetProjectRequest(id="p"), CALL).project
    assert (found.name, found.description, dict(found.labels.values)) == ("Q", "", {})


def test_a_project_needs_an_id_and_must_be_there(box: Box) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=r"project\.id is required"):
        box.projects.create_project(project_service_pb2.CreateProjectRequest(), CALL)
    with pytest.raises(errors.InvalidArgumentError, match="id is required"):
        box.projects.get_project(project_service_pb2.GetProjectRequest(), CALL)
    with pytest.raises(errors.NotFoundError, match="project not found: x"):
        box.projects.get_project(project_service_pb2.GetProjectRequest(id="x"), CALL)
    with pytest.raises(errors.NotFoundError):
        box.projects.update_project(project_service_pb2.UpdateProjectRequest(project={"id": "x"}), CALL)
    long = project_service_pb2.Project(id="y", description="d" * 301)
    with pytest.raises(errors.InternalError, match="too long"):
        box.projects.create_project(project_service_pb2.CreateProjectRequest(project=long), CALL)


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ("", ["flytesnacks", "a", "b"]),
        ("contains(identifier,a)", ["flytesnacks", "a"]),
        ("eq(state,1)", ["c"]),
        ("ne(name,nA)+contains(name,n)", ["flytesnacks", "b", "c"]),
        ("value_in(identifier,a;c)", ["a", "c"]),
        ("value_in(identifier,a)", ["a"]),
        (" EQ( description , d (b) ) ", ["b"]),
        ("eq(identifier,a),eq(identifier,b)", []),
    ],
)
def test_the_filter_language_of_projects(box: Box, filters: str, ids: list[str]) -> None:
    for id in "abc":
        project = project_service_pb2.Project(id=id, name=f"n{id.upper()}", description=f"d ({id})")
        box.projects.create_project(project_service_pb2.CreateProjectRequest(project=project), CALL)
    archived = project_service_pb2.Project(id="c", name="nC", state=project_service_pb2.PROJECT_STATE_ARCHIVED)
    box.projects.update_project(project_service_pb2.UpdateProjectRequest(project=archived), CALL)

    response = box.projects.list_projects(project_service_pb2.ListProjectsRequest(filters=filters), CALL)

    assert [project.id for project in response.projects.projects] == ids


@pytest.mark.parametrize("filters", ["eq(identifier,a)+", "eq(nope,a)", "like(name,a)", "name=a"])
def test_a_filter_of_projects_that_can_t_be_read_is_refused(box: Box, filters: str) -> None:
    with pytest.raises(errors.InvalidArgumentError):
        box.projects.list_projects(project_service_pb2.ListProjectsRequest(filters=filters), CALL)


def test_pages_of_projects_have_a_token_while_they_are_full(box: Box) -> None:
    request = project_service_pb2.ListProjectsRequest(limit=1, token="0abc", sort_by={"key": "identifier"})

    assert box.projects.list_projects(request, CALL).projects.token == "1"

    request.token = "1"
    assert not box.projects.list_projects(request, CALL).projects.projects


# Tasks


def test_a_task_comes_back_as_it_was_deployed(box: Box) -> None:
    box.deploy(description="s" * 300)

    details = box.tasks.get_task_details(task_service_pb2.GetTaskDetailsRequest(task_id=task_id()), CALL).details

    assert details.task_id.name == "env.add"
    assert details.task_id.org == ""
    assert details.metadata.short_name == "add"
    assert details.metadata.environment_name == "env"
    assert details.metadata.short_description == "s" * 255
    assert details.spec.default_inputs[0].parameter.default.scalar.primitive.integer == 7


def test_deploying_again_overwrites_but_does_not_make_it_newer(box: Box) -> None:
    box.deploy(version="v1")
    box.deploy(version="v2")
    box.deploy(version="v1", description="again")

    listed = box.tasks.list_tasks(task_service_pb2.ListTasksRequest(), CALL)
    details = box.tasks.get_task_details(task_service_pb2.GetTaskDetailsRequest(task_id=task_id()), CALL).details

    assert [task.task_id.version for task in listed.tasks] == ["v2"]
    assert details.metadata.short_description == "again"


def test_what_can_t_be_deployed(box: Box) -> None:
    request = task_service_pb2.DeployTaskRequest(task_id=task_id())

    with pytest.raises(errors.InternalError, match="Marshal called with nil"):
        box.tasks.deploy_task(request, CALL)
    request.task_id.project = "nope"
    with pytest.raises(errors.NotFoundError, match='project "nope" not found'):
        box.tasks.deploy_task(request, CALL)
    with pytest.raises(errors.InternalError, match="failed to validate project"):
        box.tasks.deploy_task(task_service_pb2.DeployTaskRequest(), CALL)


def test_tasks_are_listed_by_name_with_totals(box: Box) -> None:
    for name, version in (("env.a", "v1"), ("env.b", "v1"), ("env.a", "v2")):
        box.deploy(name, version)
    request = task_service_pb2.ListTasksRequest(project_id={"name": "flytesnacks", "domain": "development"})
    request.request.filters.add(field="name", function=list_pb2.Filter.EQUAL, values=["env.a"])
    request.request.limit = 1

    response = box.tasks.list_tasks(request, CALL)

    assert [(task.task_id.name, task.task_id.version) for task in response.tasks] == [("env.a", "v2")]
    assert (response.metadata.total, response.metadata.filtered_total) == (2, 1)
    assert response.tasks[0].HasField("task_summary")
    # The page is full, so there is a token although nothing follows.
    assert response.token == "1"


def test_an_empty_page_of_tasks_counts_nothing(box: Box) -> None:
    box.deploy()
    request = task_service_pb2.ListTasksRequest(known_filters=[{"deployed_by": "x"}])

    response = box.tasks.list_tasks(request, CALL)

    assert response.HasField("metadata")
    assert (len(response.tasks), response.metadata.total, response.metadata.filtered_total) == (0, 0, 0)


def test_versions_come_newest_first(box: Box) -> None:
    for version in ("v1", "v3", "v2"):
        box.deploy(version=version)
    name = {"project": "flytesnacks", "domain": "development", "name": "env.add"}

    response = box.tasks.list_versions(task_service_pb2.ListVersionsRequest(task_name=name), CALL)

    assert [version.version for version in response.versions] == ["v2", "v3", "v1"]


# Runs


def test_a_run_is_queued_at_once_and_handed_to_the_executor(box: Box) -> None:
    box.deploy()

    run = box.create("r1")

    assert run.action.id.name == "a0"
    assert run.action.metadata.task.short_name == "add"
    assert run.action.metadata.funtion_name == "env.add"
    assert run.action.metadata.environment_name == "env"
    assert run.action.status.phase == P.ACTION_PHASE_QUEUED
    assert run.action.status.attempts == 1
    assert box.executor.submitted == ["r1"]


def test_a_name_makes_one_run_however_often_it_is_sent(box: Box) -> None:
    box.deploy()
    box.deploy(version="v2")
    first = box.create("r1")

    again = box.runs.create_run(creation("r1", task_id(version="v2")), CALL).run

    assert again == first
    assert box.executor.submitted == ["r1"]
    assert box.listed() == ["r1"]


def test_the_inputs_of_the_last_creation_stand(box: Box) -> None:
    box.deploy()
    box.create("r1")
    request = creation("r1")
    request.inputs.literals.append(integer("x", 2))
    box.runs.create_run(request, CALL)

    data = box.data.get_action_data(dataproxy_service_pb2.GetActionDataRequest(action_id=box.details().action.id), CALL)

    assert [literal.value.scalar.primitive.integer for literal in data.inputs.literals] == [2]


def test_defaults_are_filled_in_and_nothing_is_checked(box: Box) -> None:
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
def test_a_run_s_name_is_a_label(box: Box, name: str) -> None:
    box.deploy()

    with pytest.raises(errors.InvalidArgumentError, match="DNS-1035"):
        box.create(name)


def test_a_run_s_name_has_thirty_letters_at_most(box: Box) -> None:
    box.deploy()
    box.create("a" * 30)

    with pytest.raises(errors.InvalidArgumentError, match="must be no more than 30 characters"):
        box.create("a" * 31)


def test_without_a_name_the_server_makes_one(box: Box) -> None:
    box.deploy()
    request = creation()
    request.project_id.name, request.project_id.domain = "flytesnacks", "staging"

    run = box.runs.create_run(request, CALL).run.action.id.run

    assert len(run.name) == 20
    assert run.name[0] == "r"
    assert run.domain == "staging"


def test_what_is_missing_for_a_run(box: Box) -> None:
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


def test_a_run_of_a_spec_takes_its_id_from_the_template(box: Box) -> None:
    request = creation()
    request.task_spec.task_template.type = "python"
    bare = box.runs.create_run(request, CALL).run.action.metadata
    request.run_id.name = "r2"
    request.task_spec.task_template.id.name = "env.x"
    named = box.runs.create_run(request, CALL).run.action.metadata

    assert not bare.task.HasField("id")
    assert (named.task.id.name, named.funtion_name) == ("env.x", "env.x")


def test_the_run_spec_comes_back_with_the_storage_filled_in(box: Box) -> None:
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
def test_only_newer_runtimes_are_told_when_the_run_started(box: Box, version: str, told: bool) -> None:
    request = creation()
    request.task_spec.task_template.metadata.runtime.version = version
    request.run_start_time.FromSeconds(5)
    box.runs.create_run(request, CALL)

    assert box.details().run_spec.HasField("run_start_time") == told


def test_inputs_may_be_in_another_folder_but_not_in_another_store(box: Box) -> None:
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


def test_an_abort_is_seen_at_once_and_the_last_reason_stands(box: Box) -> None:
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


def test_what_is_not_there_is_not_found(box: Box) -> None:
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


def test_a_missing_id_message_drops_the_connection(box: Box) -> None:
    with pytest.raises(ConnectionDropped):
        box.runs.get_run_details(run_service_pb2.GetRunDetailsRequest(), CALL)
    with pytest.raises(ConnectionDropped):
        box.runs.abort_run(run_service_pb2.AbortRunRequest(), CALL)
    with pytest.raises(ConnectionDropped):
        box.runs.get_action_details(run_service_pb2.GetActionDetailsRequest(action_id={"name": "a0"}), CALL)


def test_runs_are_listed_by_phase_and_then_newest_first(box: Box) -> None:
    box.deploy()
    for name in ("r1", "r2", "r3"):
        box.create(name)
    box.state.actions.set_status(ActionKey("flytesnacks", "development", "r2"), P.ACTION_PHASE_RUNNING, 1, 0, 1)

    assert box.listed() == ["r3", "r1", "r2"]


def test_tokens_of_runs_are_exact(box: Box) -> None:
    box.deploy()
    for name in ("r1", "r2", "r3"):
        box.create(name)
    page = {"limit": 2, "sort_by_fields": [{"key": "run_name", "direction": list_pb2.Sort.ASCENDING}]}

    first = box.runs.list_runs(run_service_pb2.ListRunsRequest(request=page), CALL)  # type: ignore[arg-type]
    last = box.runs.list_runs(run_service_pb2.ListRunsRequest(request={**page, "token": "1"}), CALL)  # type: ignore[arg-type]

    assert (len(first.runs), first.token) == (2, "2")
    assert (len(last.runs), last.token) == (2, "")


def test_scopes_of_runs(box: Box) -> None:
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


def test_listed_actions_say_little(box: Box) -> None:
    box.deploy()
    box.create()

    listed = box.runs.list_actions(run_service_pb2.ListActionsRequest(run_id=creation().run_id), CALL).actions

    assert [action.id.name for action in listed] == ["a0"]
    assert listed[0].HasField("metadata")
    assert listed[0].metadata == run_definition_pb2.ActionMetadata()
    assert listed[0].status.phase == P.ACTION_PHASE_QUEUED


def test_data_of_actions_has_moved(box: Box) -> None:
    with pytest.raises(errors.UnimplementedError, match="DataProxyService"):
        box.runs.get_action_data(run_service_pb2.GetActionDataRequest(), CALL)


# Inputs by address


@pytest.mark.parametrize(
    ("inputs", "hash"),
    [
        ([("a", 40), ("b", 7)], "UnOJT15LQG8"),
        ([("b", 7), ("a", 40)], "LgBNxP9YDj8"),
        ([("a", 40)], "pw3z1ztpzQQ"),
        ([], "y_Kc5IQiIyU"),
        ([("i", 1)], "YxrdFPYCNtc"),
    ],
)
def test_uploaded_inputs_are_named_by_the_hash_that_the_real_server_makes(
    box: Box, inputs: list[tuple[str, int]], hash: str
) -> None:
    """The hashes were recorded on the real server."""
    box.deploy()
    request = dataproxy_service_pb2.UploadInputsRequest(task_id=task_id())
    request.project_id.name, request.project_id.domain = "flytesnacks", "development"
    request.inputs.SetInParent()
    request.inputs.literals.extend(integer(*each) for each in inputs)

    offloaded = box.data.upload_inputs(request, CALL).offloaded_input_data

    assert offloaded.inputs_hash == hash
    assert offloaded.uri == f"s3://flyte-data/uploads/flytesnacks/development/offloaded-inputs/{hash}"


def test_a_run_may_name_uploaded_inputs(box: Box) -> None:
    box.deploy()
    upload = dataproxy_service_pb2.UploadInputsRequest(task_id=task_id(), base_dir="s3://flyte-data/else/")
    upload.project_id.name, upload.project_id.domain, upload.project_id.organization = "flytesnacks", "staging", "acme"
    upload.inputs.literals.append(integer("x", 5))
    offloaded = box.data.upload_inputs(upload, CALL).offloaded_input_data
    request = creation()
    request.offloaded_input_data.CopyFrom(offloaded)
    box.runs.create_run(request, CALL)

    data = box.data.get_action_data(dataproxy_service_pb2.GetActionDataRequest(action_id=box.details().action.id), CALL)

    assert offloaded.uri.startswith("s3://flyte-data/else/acme/flytesnacks/staging/offloaded-inputs/")
    assert data.inputs_uri == f"{offloaded.uri}/inputs.pb"
    assert [literal.value.scalar.primitive.integer for literal in data.inputs.literals] == [5]


def test_what_is_missing_for_uploaded_inputs(box: Box) -> None:
    box.deploy()
    request = dataproxy_service_pb2.UploadInputsRequest()

    def refused() -> str:
        with pytest.raises(errors.CallError) as caught:
            box.data.upload_inputs(request, CALL)
        return f"{caught.value.code}: {caught.value.message}"

    assert refused() == "invalid_argument: id is required"
    request.project_id.name = "nope"
    assert refused() == 'not_found: project "nope" not found'
    request.project_id.name = "flytesnacks"
    assert refused() == "invalid_argument: task is required"
    request.task_id.CopyFrom(task_id("env.gone"))
    assert refused() == (
        "not_found: failed to get task: not_found: task not found: {flytesnacks development env.gone v1}"
    )
    request.task_id.CopyFrom(task_id())
    assert refused() == "internal: failed to write inputs: proto: Marshal called with nil"


# Callers


def jwt(**claims: str) -> str:
    return "e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".sig"


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer opaque"}, {"authorization": "Bearer a.b!.c"}, {"authorization": "Basic x"}],
)
def test_without_an_identity_nobody_is_known(headers: dict[str, str]) -> None:
    with pytest.raises(errors.UnauthenticatedError, match="no authenticated identity"):
        IdentityService().user_info(identity_pb2.UserInfoRequest(), Call(headers))


def test_a_token_or_a_load_balancer_tells_who_calls() -> None:
    token = jwt(sub="u1", email="a@b.c", given_name="Ada", family_name="L", name="Ada L", preferred_username="ada")
    ask = identity_pb2.UserInfoRequest()

    by_token = IdentityService().user_info(ask, Call({"authorization": f"Bearer {token}"}))
    by_data = IdentityService().user_info(ask, Call({"x-amzn-oidc-data": token, "x-amzn-oidc-identity": "other"}))
    by_name = IdentityService().user_info(ask, Call({"x-amzn-oidc-identity": "other"}))

    assert (by_token.subject, by_token.name, by_token.email) == ("u1", "Ada L", "a@b.c")
    assert by_token.preferred_username == ""
    assert by_data == by_token
    assert by_name == identity_pb2.UserInfoResponse(subject="other")


def test_runs_record_who_made_them(box: Box) -> None:
    box.deploy()
    box.create("r1", authorization=f"Bearer {jwt(sub='u1', given_name='Ada')}")
    box.create("r2")
    by_u1 = {"filters": [{"field": "created_by_subject", "values": ["u1"]}]}

    assert box.listed(request=by_u1) == ["r1"]
    assert box.details("r1").action.metadata.executed_by.user.spec.first_name == "Ada"
    assert not box.details("r2").action.metadata.HasField("executed_by")


def test_the_data_plane_is_where_the_caller_is() -> None:
    ask = payload_pb2.SelectClusterRequest()

    plain = ClusterService().select_cluster(ask, Call({"host": "box:1"}))
    proxied = ClusterService().select_cluster(ask, Call({"host": "box", "x-forwarded-proto": "https"}))

    assert (plain.cluster_endpoint, plain.cluster) == ("http://box:1", "")
    assert proxied.cluster_endpoint == "https://box"


def test_nobody_has_to_sign_in() -> None:
    service = AuthMetadataService()

    config = service.get_public_client_config(auth_service_pb2.GetPublicClientConfigRequest(), CALL)

    assert config == auth_service_pb2.GetPublicClientConfigResponse(authorization_metadata_key="authorization")
    with pytest.raises(errors.UnimplementedError, match="oauth2 metadata is not configured"):
        service.get_oauth2_metadata(auth_service_pb2.GetOAuth2MetadataRequest(), CALL)
