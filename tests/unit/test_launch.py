"""Launching: what is sent, in which order, what is refused before anything is sent, and what a retry may do."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
from fakes import FakeChannel
from launching import a_task, client, existing, launch, launchable, plain

from flyte_lite._client import Client
from flyte_lite._clock import Cancel
from flyte_lite._launch import names
from flyte_lite.errors import (
    AlreadyExistsError,
    CallError,
    CallTimeoutError,
    CanceledError,
    Code,
    ConnectFailedError,
    ConnectionLostError,
    InputsError,
    InvalidArgumentError,
    NotFoundError,
    OptionError,
    RemoteTaskNotFoundError,
    RemoteTaskUsageError,
    UnimplementedError,
)
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.core import literals_pb2
from flyte_lite.idl.flyteidl2.task import task_service_pb2


@pytest.fixture
def channel() -> FakeChannel:
    return launchable()


def test_the_calls_and_their_order(channel: FakeChannel) -> None:
    run = launch(channel, x=1)

    assert [name for name, _ in channel.calls] == [
        "TaskService/GetTaskDetails",
        "ClusterService/SelectCluster",
        "DataProxyService/UploadInputs",
        "RunService/CreateRun",
    ]
    (create,) = channel.asked("RunService/CreateRun")
    (upload,) = channel.asked("DataProxyService/UploadInputs")
    assert create.run_id == upload.run_id
    assert (create.run_id.project, create.run_id.domain, create.run_id.name) == ("p", "d", run.name)
    assert create.task_id.version == "v1"
    assert create.offloaded_input_data.uri == "s3://b/i"
    assert run.created is True
    assert run.phase == "queued"


def test_defaults_are_filled_in_and_an_optional_input_may_be_left_out(channel: FakeChannel) -> None:
    launch(channel, x=1)

    (upload,) = channel.asked("DataProxyService/UploadInputs")
    assert [item.name for item in upload.inputs.literals] == ["x", "y", "z"]
    assert plain(upload.inputs.literals) == {"x": 1, "y": "dflt", "z": None}


def test_inputs_go_by_position_too(channel: FakeChannel) -> None:
    launch(channel, 1, "a", z=3)

    (upload,) = channel.asked("DataProxyService/UploadInputs")
    assert plain(upload.inputs.literals) == {"x": 1, "y": "a", "z": 3}


def test_every_problem_is_in_one_error_and_nothing_is_created(channel: FakeChannel) -> None:
    with pytest.raises(InputsError) as caught:
        launch(channel, y=5, zz=1)

    text = str(caught.value)
    assert "env.add" in text
    assert "x is missing (int)" in text
    assert "y: expected str, got int 5" in text
    assert "zz is unknown (did you mean z?)" in text
    assert "(x: int, y: str = default, z: int | None)" in text
    assert "Nothing was created" in text
    assert len(caught.value.problems) == 3
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)
    assert [name for name, _ in channel.calls] == ["TaskService/GetTaskDetails"]


def test_positions_that_are_too_many_or_given_twice(channel: FakeChannel) -> None:
    with pytest.raises(InputsError, match=r"4 positional inputs are given and there are 3; x is given twice"):
        launch(channel, 1, "a", None, 4, x=2)


def test_servers_without_clusters_and_uploads_get_the_inputs_inline(channel: FakeChannel) -> None:
    channel.on("ClusterService/SelectCluster", UnimplementedError("no", Code.UNIMPLEMENTED))
    channel.on("DataProxyService/UploadInputs", UnimplementedError("no", Code.UNIMPLEMENTED))

    launch(channel, x=1)

    (create,) = channel.asked("RunService/CreateRun")
    assert plain(create.inputs.literals)["x"] == 1
    assert not create.HasField("offloaded_input_data")


def test_the_cluster_is_asked_for_once(channel: FakeChannel) -> None:
    mine = client(channel)
    task = mine.tasks.get("env.add", version="v1")

    mine.run(task, x=1)
    mine.run(task, x=2)

    assert len(channel.asked("ClusterService/SelectCluster")) == 1
    assert len(channel.asked("TaskService/GetTaskDetails")) == 1


def test_a_launch_looks_its_task_up_under_its_own_cancel(channel: FakeChannel) -> None:
    cancel = Cancel()
    cancel.cancel()
    mine = client(channel)

    with pytest.raises(CanceledError):
        mine.scoped(cancel=cancel).run(mine.tasks.get("env.add", version="v1"), x=1)

    assert channel.calls == []


def test_a_launch_looks_its_task_up_within_its_own_timeout(channel: FakeChannel) -> None:
    def slow(request: Any) -> Any:
        channel.clock.now += 10
        answer = task_service_pb2.ListTasksResponse()
        answer.tasks.add().task_id.version = "v1"
        return answer

    channel.on("TaskService/ListTasks", slow)
    mine = client(channel)

    with pytest.raises(CallTimeoutError):
        mine.scoped(timeout=5).run(mine.tasks.get("env.add", auto_version="latest"), x=1)

    assert [name for name, _ in channel.calls] == ["TaskService/ListTasks"]


def test_a_cluster_elsewhere_gets_the_upload(channel: FakeChannel) -> None:
    channel.on(
        "ClusterService/SelectCluster", payload_pb2.SelectClusterResponse(cluster_endpoint="https://c1.example.com")
    )

    launch(channel, x=1)

    (other,) = channel.others.values()
    assert list(channel.others) == ["https://c1.example.com:443"]
    assert [name for name, _ in other.calls] == ["DataProxyService/UploadInputs"]
    assert channel.asked("DataProxyService/UploadInputs") == []


def test_a_cluster_never_takes_the_call_from_https_to_http(channel: FakeChannel) -> None:
    channel.origin = channel.origin._replace(scheme="https", port=443)
    channel.on(
        "ClusterService/SelectCluster", payload_pb2.SelectClusterResponse(cluster_endpoint="http://c1.example.com")
    )

    launch(channel, x=1)

    assert list(channel.others) == ["https://c1.example.com:443"]


@pytest.mark.parametrize(("scheme", "cluster"), [("http", "http://c1:8089"), ("https", "https://c1:8089")])
def test_a_cluster_named_without_a_scheme_is_spoken_to_as_the_control_plane_is(
    channel: FakeChannel, scheme: str, cluster: str
) -> None:
    channel.origin = channel.origin._replace(scheme=scheme)
    channel.on("ClusterService/SelectCluster", payload_pb2.SelectClusterResponse(cluster_endpoint="dns:///c1:8089"))

    launch(channel, x=1)

    assert list(channel.others) == [cluster]


def test_a_server_behind_tls_that_names_itself_with_http_is_still_itself(channel: FakeChannel) -> None:
    channel.origin = channel.origin._replace(scheme="https", port=443)
    channel.on("ClusterService/SelectCluster", payload_pb2.SelectClusterResponse(cluster_endpoint="http://fake"))

    launch(channel, x=1)

    assert channel.others == {}


def test_every_option_has_its_place_in_the_request(channel: FakeChannel) -> None:
    mine = client(channel)

    run = mine.with_runcontext(
        name="my-run",
        project="p2",
        domain="d2",
        labels={"a": "b"},
        annotations={"n": "1"},
        env_vars={"E": "1", "LOG_LEVEL": "10"},
        interruptible=False,
        overwrite_cache=True,
        cache_lookup_scope="project-domain",
        service_account="sa",
        queue="q1",
        raw_data_path="s3://raw",
        run_base_dir="s3://base",
        max_action_concurrency=4,
        custom_context={"c": "1"},
        debug=True,
    ).run(mine.tasks.get("env.add", version="v1"), x=1)

    (create,) = channel.asked("RunService/CreateRun")
    (upload,) = channel.asked("DataProxyService/UploadInputs")
    spec = create.run_spec
    assert (create.run_id.name, create.run_id.project, create.run_id.domain) == ("my-run", "p2", "d2")
    assert create.task_id.project == "p"
    assert dict(spec.labels.values) == {"a": "b"}
    assert dict(spec.annotations.values) == {"n": "1"}
    assert {item.key: item.value for item in spec.envs.values} == {
        "E": "1",
        "LOG_LEVEL": "10",
        "LOG_FORMAT": "console",
        "USER_LOG_LEVEL": "20",
        "_F_E_VS": "1",
    }
    assert spec.HasField("interruptible")
    assert spec.interruptible.value is False
    assert spec.overwrite_cache
    assert spec.cache_config.overwrite_cache
    assert spec.cache_config.cache_lookup_scope == 2
    assert spec.security_context.run_as.k8s_service_account == "sa"
    assert spec.queue == "q1"
    assert spec.raw_data_storage.raw_data_prefix == "s3://raw"
    assert spec.run_base_dir == upload.base_dir == "s3://base"
    assert spec.max_action_concurrency == 4
    assert [(item.key, item.value) for item in upload.inputs.context] == [("c", "1")]
    assert run.created is None  # some servers answer a taken name with the run that has it


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "a" * 31}, r"\(31 characters\) is not one: it needs 1 to 30 lower-case letters"),
        ({"name": "Nightly"}, "lower-case"),
        ({"name": "1st"}, "a letter first"),
        ({"name": "a-"}, "no dash last"),
        ({"name": ""}, "is not one"),
        ({"name": "a", "idempotency_key": "k"}, "not both"),
        ({"idempotency_key": ""}, "idempotency_key is empty"),
        ({"env_vars": {"A": 1}}, r"env_vars\['A'\] is int"),
        ({"env_vars": "A=1"}, "env_vars is str; give a dict of texts"),
        ({"annotations": {"A": "\ud800"}}, r"annotations\['A'\] is no text that can be sent"),
        ({"name": 5}, "name is int 5; give a text"),
        ({"idempotency_key": b"k"}, "idempotency_key is bytes b'k'; give a text"),
        ({"project": 5}, "project is int 5; give a text"),
        ({"queue": 5}, "queue is int 5; give a text"),
        ({"raw_data_path": 5}, "raw_data_path is int 5; give a text"),
        ({"service_account": "\ud800"}, "service_account is str"),
        ({"queue": ["q"]}, r"queue is list \['q'\]; give a text"),
        ({"interruptible": "no"}, "interruptible is str 'no'; give True or False"),
        ({"overwrite_cache": "x" * 99}, r"overwrite_cache is str 'x+\.\.\.x+'; give True or False"),
        ({"max_action_concurrency": "4"}, "max_action_concurrency is str '4'; give an int"),
        ({"labels": {1: "a"}}, r"labels\[1\]"),
        ({"max_action_concurrency": 1}, "2 or more"),
        ({"cache_lookup_scope": "galaxy"}, "global, project-domain"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_options_are_refused_before_any_call(channel: FakeChannel, options: dict[str, Any], text: str) -> None:
    mine = client(channel)

    with pytest.raises(OptionError, match=text):
        mine.with_runcontext(**options).run(mine.tasks.get("env.add", version="v1"), x=1)
    assert channel.calls == []


EXECUTION = {
    "RUN_NAME": "r1",
    "_U_ORG_NAME": "o",
    "FLYTE_INTERNAL_EXECUTION_PROJECT": "p",
    "FLYTE_INTERNAL_EXECUTION_DOMAIN": "d",
}


@pytest.mark.parametrize(
    ("changed", "org", "found"),
    [
        ({}, "o", True),
        ({"_U_ORG_NAME": ""}, "o", True),
        ({"_U_ORG_NAME": ""}, "", False),
        ({"_U_ORG_NAME": "other"}, "o", False),
        ({"FLYTE_INTERNAL_EXECUTION_PROJECT": "other"}, "o", False),
        ({"FLYTE_INTERNAL_EXECUTION_DOMAIN": ""}, "o", False),
        ({"RUN_NAME": ""}, "o", False),
    ],
    ids=str,
)
def test_a_run_that_a_task_launches_says_so(
    channel: FakeChannel, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], org: str, found: bool
) -> None:
    for name, value in {**EXECUTION, **changed}.items():
        monkeypatch.setenv(name, value)
    mine = Client._over(channel.session().scoped(org=org))

    mine.run(mine.tasks.get("env.add", version="v1"), x=1)

    (create,) = channel.asked("RunService/CreateRun")
    assert create.run_spec.HasField("relation") is found
    if found:
        assert create.run_spec.relation.relation_type == 3
        related = create.run_spec.relation.related_to
        assert (related.org, related.project, related.domain, related.name) == ("o", "p", "d", "r1")


def test_what_is_not_a_deployed_task_is_refused(channel: FakeChannel) -> None:
    with pytest.raises(RemoteTaskUsageError, match=r"Task\.get"):
        client(channel).run(lambda x: x, x=1)  # type: ignore[arg-type]


def test_a_generated_name_that_is_taken_was_taken_by_our_own_first_try(channel: FakeChannel) -> None:
    channel.attempts = 2
    channel.on("RunService/CreateRun", AlreadyExistsError("exists", Code.ALREADY_EXISTS))
    channel.on("RunService/GetRunDetails", existing)

    run = launch(channel, x=1)

    assert run.created is True
    assert run.name == channel.asked("RunService/CreateRun")[0].run_id.name


def test_a_chosen_name_that_is_taken_is_an_error_where_the_server_says_so(channel: FakeChannel) -> None:
    channel.on("RunService/CreateRun", AlreadyExistsError("exists", Code.ALREADY_EXISTS))
    mine = client(channel)

    with pytest.raises(AlreadyExistsError, match=r"a run mine already in project p, domain d \(exists\); give another"):
        mine.with_runcontext(name="mine").run(mine.tasks.get("env.add", version="v1"), x=1)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionLostError("lost"), True),
        (CallTimeoutError("no whole answer", Code.DEADLINE_EXCEEDED), True),
        (CanceledError("canceled", Code.CANCELED), True),
        (ConnectFailedError("closed"), False),
        (InvalidArgumentError("no", Code.INVALID_ARGUMENT), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_lost_answer_names_the_run_that_may_be_there(channel: FakeChannel, error: CallError, told: bool) -> None:
    channel.on("RunService/CreateRun", error)

    with pytest.raises(type(error)) as caught:
        launch(channel, x=1)

    name = channel.asked("RunService/CreateRun")[0].run_id.name
    assert (f"may have been made all the same, as {name}" in str(caught.value)) is told


def keyed(channel: FakeChannel, key: str = "k", **options: Any) -> Any:
    mine = client(channel)
    return mine.with_runcontext(idempotency_key=key, **options).run(mine.tasks.get("env.add", version="v1"), x=1)


def test_a_key_asks_first_and_creates_if_there_is_none(channel: FakeChannel) -> None:
    channel.on("RunService/GetRunDetails", NotFoundError("none", Code.NOT_FOUND))

    run = keyed(channel)

    assert run.created is True
    assert channel.asked("RunService/GetRunDetails")[0].run_id.name == run.name
    assert names.NAME.fullmatch(run.name)
    assert len(run.name) <= 30


def test_a_key_that_was_used_gives_the_run_that_there_is(channel: FakeChannel) -> None:
    channel.on("RunService/GetRunDetails", existing)

    run = keyed(channel)

    assert run.created is False
    assert run.done()
    assert channel.asked("RunService/CreateRun") == []
    assert channel.asked("DataProxyService/UploadInputs") == []


def test_a_key_whose_create_was_tried_twice_can_not_tell(channel: FakeChannel) -> None:
    channel.attempts = 2
    channel.on("RunService/GetRunDetails", NotFoundError("none", Code.NOT_FOUND))

    assert keyed(channel).created is None


def test_a_key_that_somebody_else_used_meanwhile_gives_their_run(channel: FakeChannel) -> None:
    channel.on("RunService/GetRunDetails", NotFoundError("none", Code.NOT_FOUND), existing)
    channel.on("RunService/CreateRun", AlreadyExistsError("exists", Code.ALREADY_EXISTS))

    assert keyed(channel).created is False


def test_a_key_that_is_taken_at_the_second_try_may_have_been_taken_by_the_first(channel: FakeChannel) -> None:
    channel.attempts = 2
    channel.on("RunService/GetRunDetails", NotFoundError("none", Code.NOT_FOUND), existing)
    channel.on("RunService/CreateRun", AlreadyExistsError("exists", Code.ALREADY_EXISTS))

    assert keyed(channel).created is None


def test_a_key_names_the_task_and_not_its_version(channel: FakeChannel) -> None:
    channel.on("RunService/GetRunDetails", NotFoundError("none", Code.NOT_FOUND))
    first = keyed(channel).name
    channel.on("TaskService/GetTaskDetails", a_task("v2"))

    assert keyed(channel).name == first
    assert keyed(channel, "other").name != first
    assert keyed(channel, project="p2").name != first


def test_a_key_makes_the_same_name_in_every_release() -> None:
    place = identifier_pb2.ProjectIdentifier(organization="o", name="p", domain="d")

    assert names.keyed_name("orders-1", place, "env.add") == "kbr5aj4pvkfvki3yvqxbzmrjeo7aaq"


def test_every_part_of_what_a_key_stands_for_counts_by_itself() -> None:
    def name(key: str = "k", org: str = "o", project: str = "p", domain: str = "d", task: str = "t") -> str:
        place = identifier_pb2.ProjectIdentifier(organization=org, name=project, domain=domain)
        return names.keyed_name(key, place, task)

    made = [name(), name("k2"), name(org="o2"), name(project="p2"), name(domain="d2"), name(task="t2")]
    shifted = [name("ko", ""), name(project="pd", domain=""), name(domain="", task="dt")]

    assert len({*made, *shifted}) == 9


def test_names_do_not_come_from_the_generator_that_scripts_seed() -> None:
    made = set()
    for _ in range(50):
        random.seed(1)
        made.add(names.new_name())

    assert len(made) == 50
    assert all(len(name) == 20 and names.NAME.fullmatch(name) for name in made)


def test_two_processes_with_one_seed_do_not_share_a_name() -> None:
    code = "import random; random.seed(7); from flyte_lite._launch.names import new_name; print(new_name())"

    made = {
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout for _ in "ab"
    }

    assert len(made) == 2


def test_latest_is_found_first_and_then_kept(channel: FakeChannel) -> None:
    listed = task_service_pb2.ListTasksResponse()
    listed.tasks.add().task_id.version = "v9"
    channel.on("TaskService/ListTasks", listed)
    task = client(channel).tasks.get("env.add", auto_version="latest")
    assert channel.calls == []

    assert task.required_args == ("x", "z")
    assert task.default_input_args == ("y",)

    (listing,) = channel.asked("TaskService/ListTasks")
    assert listing.request.limit == 1
    assert listing.request.sort_by.key == "created_at"
    assert listing.request.filters[0].values == ["env.add"]
    (asked,) = channel.asked("TaskService/GetTaskDetails")
    assert asked.task_id.version == "v9"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "needs either version"),
        ({"version": "v1", "auto_version": "latest"}, "needs either version"),
        ({"auto_version": "newest"}, 'the only one known here is "latest"'),
        ({"auto_version": "current"}, "inside a running task"),
    ],
    ids=["neither", "both", "unknown", "current"],
)
def test_versions_that_can_not_be_meant(channel: FakeChannel, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        client(channel).tasks.get("env.add", **options)


def test_an_unknown_version_lists_those_there_are(channel: FakeChannel) -> None:
    channel.on("TaskService/GetTaskDetails", NotFoundError("no", Code.NOT_FOUND))
    versions = task_service_pb2.ListVersionsResponse()
    versions.versions.add(version="v2")
    versions.versions.add(version="v1")
    channel.on("TaskService/ListVersions", versions)

    with pytest.raises(
        RemoteTaskNotFoundError, match=r"env.add version v9 is not deployed in project p, domain d; .* v2, v1"
    ):
        client(channel).tasks.get("env.add", version="v9").fetch()


def test_an_unknown_task_names_what_is_close(channel: FakeChannel) -> None:
    nothing, some = task_service_pb2.ListTasksResponse(), task_service_pb2.ListTasksResponse()
    some.tasks.add().task_id.name = "env.add"
    channel.on("TaskService/ListTasks", nothing, some)

    with pytest.raises(RemoteTaskNotFoundError, match=r"env.ad is not deployed .* env.add"):
        client(channel).tasks.get("env.ad", auto_version="latest").fetch()


def test_a_project_with_nothing_in_it_is_suspected(channel: FakeChannel) -> None:
    channel.on("TaskService/ListTasks", task_service_pb2.ListTasksResponse())

    with pytest.raises(RemoteTaskNotFoundError, match="nothing is deployed there at all, so check project and domain"):
        client(channel).tasks.get("env.add", auto_version="latest", project="typo").fetch()


def test_no_answer_to_a_second_question_hides_the_first(channel: FakeChannel) -> None:
    channel.on(
        "TaskService/ListTasks", task_service_pb2.ListTasksResponse(), InvalidArgumentError("no", Code.INVALID_ARGUMENT)
    )

    with pytest.raises(RemoteTaskNotFoundError, match="check name, project and domain"):
        client(channel).tasks.get("env.add", auto_version="latest").fetch()


def test_a_deployed_task_can_not_be_called(channel: FakeChannel) -> None:
    task = client(channel).tasks.get("env.add", version="v1")

    with pytest.raises(RemoteTaskUsageError, match=r"flyte_lite\.run\(task"):
        task(x=1)
    assert repr(task) == "LazyEntity(name=env.add)"
    with pytest.raises(AttributeError):
        task.no_such_thing  # noqa: B018
    assert channel.calls == []


def test_a_literal_of_the_task_s_own_default_is_sent_as_it_is(channel: FakeChannel) -> None:
    odd = a_task()
    odd.details.spec.default_inputs[0].parameter.default.CopyFrom(literals_pb2.Literal(hash="kept"))
    channel.on("TaskService/GetTaskDetails", odd)

    launch(channel, x=1)

    assert channel.asked("DataProxyService/UploadInputs")[0].inputs.literals[1].value.hash == "kept"
