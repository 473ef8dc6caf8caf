"""What is said otherwise of a deployed task: its place in the specification, and how such a task is launched."""

from __future__ import annotations

import copy
import datetime
import pickle
from typing import Any

import pytest
from fakes import FakeChannel
from launching import a_task, client, launchable, plain

import flyte_lite as flyte
from flyte_lite.errors import OptionError, RemoteTaskUsageError
from flyte_lite.idl.flyteidl2.task import task_service_pb2
from flyte_lite.remote import TaskDetails


@pytest.fixture
def channel() -> FakeChannel:
    return launchable()


def deployed(answer: task_service_pb2.GetTaskDetailsResponse | None = None) -> TaskDetails:
    """A task with a container that has something of everything."""
    if answer is None:
        answer = a_task()
        template = answer.details.spec.task_template
        template.container.image = "img"
        template.container.env.add(key="OLD", value="1")
        template.container.resources.requests.add(name=1, value="1")
        template.metadata.retries.retries = 1
        template.metadata.timeout.FromSeconds(10)
        template.metadata.timeouts.deadline.FromSeconds(99)
        template.security_context.run_as.k8s_service_account = "old"
        template.security_context.secrets.add(key="old")
        template.extended_resources.shared_memory.size_limit = "1Gi"
    return TaskDetails(answer.details, FakeChannel().session())


def template(task: TaskDetails) -> Any:
    return task.pb2.spec.task_template


def env(task: TaskDetails) -> dict[str, str]:
    return {item.key: item.value for item in template(task).container.env}


def entries(listed: Any) -> list[tuple[int, str]]:
    return [(item.name, item.value) for item in listed]


def test_nothing_said_changes_nothing_but_how_it_is_launched() -> None:
    task = deployed()

    same = task.override()

    assert same.pb2 == task.pb2
    assert (same.overridden, task.overridden) == (True, False)


def test_each_has_its_place_and_the_task_itself_stays() -> None:
    task = deployed()
    before = type(task.pb2).FromString(task.pb2.SerializeToString())

    other = task.override(
        short_name="sn",
        resources=flyte.Resources(cpu=(1, 2), memory="1Gi", gpu="A100:2", disk="9Gi", shm="auto"),
        retries=3,
        timeout=60,
        env_vars={"NEW": "2"},
        secrets=["a-key", flyte.Secret("k", group="g", mount="/etc/flyte/secrets")],
        service_account="sa",
        cache=flyte.Cache("override", version_override="v7", serialize=True, ignored_inputs=("x",), max_age=5),
        queue="q",
        produces_artifacts=True,
        max_inline_io_bytes=7,
    )

    spec, made = other.pb2.spec, template(other)
    assert spec.short_name == "sn"
    assert entries(made.container.resources.requests) == [(1, "1"), (3, "1Gi"), (2, "2"), (5, "9Gi")]
    assert entries(made.container.resources.limits) == [(1, "2")]
    assert (made.extended_resources.gpu_accelerator.device, made.extended_resources.gpu_accelerator.device_class) == (
        "nvidia-tesla-a100",
        0,
    )
    shared = made.extended_resources.shared_memory
    assert (shared.mount_path, shared.mount_name, shared.size_limit) == ("/dev/shm", "flyte-shm", "")
    assert made.metadata.retries.retries == 3
    assert made.metadata.timeout.seconds == 60
    assert not made.metadata.HasField("timeouts")
    assert env(other) == {"NEW": "2"}
    secrets = [(each.group, each.key, each.mount_requirement, each.env_var) for each in made.security_context.secrets]
    assert secrets == [("", "a-key", 1, "A_KEY"), ("g", "k", 2, "")]
    assert made.security_context.run_as.k8s_service_account == "sa"
    assert made.metadata.discoverable
    assert made.metadata.discovery_version == "v7"
    assert made.metadata.cache_serializable
    assert list(made.metadata.cache_ignore_input_vars) == ["x"]
    assert made.metadata.cache_max_age.seconds == 5
    assert made.metadata.produces_artifacts
    assert (other.queue, other.overriden_queue, other.max_inline_io_bytes) == ("q", "q", 7)
    assert task.pb2 == before
    assert task.queue is None


def test_what_a_task_says_of_itself_can_be_read() -> None:
    task = deployed()

    other = task.override(cache=flyte.Cache("override", version_override="v", max_age=5), secrets="s")

    assert task.cache.behavior == "disable"
    assert (other.cache.behavior, other.cache.version_override) == ("override", "v")
    assert other.cache.max_age == datetime.timedelta(seconds=5)
    assert (task.secrets, other.secrets) == (["old"], ["s"])
    assert [entries(each) for each in task.resources] == [[(1, "1")], []]
    other.pb2.spec.task_template.metadata.discovery_version = ""
    assert other.cache.behavior == "auto"


def test_a_second_change_keeps_the_first() -> None:
    first = deployed().override(queue="q", retries=4, env_vars={"A": "1"}, max_inline_io_bytes=5)

    second = first.override(timeout=5)

    assert (second.queue, second.max_inline_io_bytes) == ("q", 5)
    assert template(second).metadata.retries.retries == 4
    assert template(second).metadata.timeout.seconds == 5
    assert env(second) == {"A": "1"}


@pytest.mark.parametrize(
    ("given", "count"), [(2, 2), (0, 1), (flyte.RetryStrategy(0), 0), (flyte.RetryStrategy(5), 5)], ids=str
)
def test_retries(given: Any, count: int) -> None:
    assert template(deployed().override(retries=given)).metadata.retries.retries == count


def test_waits_between_retries() -> None:
    second = datetime.timedelta(seconds=1)

    made = template(deployed().override(retries=flyte.RetryStrategy(2, flyte.Backoff(second / 2, 2.0, 9 * second))))

    backoff = made.metadata.retries.backoff
    assert (backoff.base.nanos, backoff.factor, backoff.cap.seconds) == (500_000_000, 2.0, 9)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (5, (5, None, None)),
        (datetime.timedelta(minutes=1), (60, None, None)),
        (0, (None, None, None)),
        (flyte.Timeout(max_queued_time=7), (None, 7, None)),
        (flyte.Timeout(1, 2, datetime.timedelta(seconds=3)), (1, 2, 3)),
    ],
    ids=str,
)
def test_limits_take_the_place_of_all_there_were(given: Any, seconds: tuple[Any, ...]) -> None:
    metadata = template(deployed().override(timeout=given)).metadata

    found = (
        metadata.timeout.seconds if metadata.HasField("timeout") else None,
        metadata.timeouts.queued_timeout.seconds if metadata.timeouts.HasField("queued_timeout") else None,
        metadata.timeouts.deadline.seconds if metadata.timeouts.HasField("deadline") else None,
    )
    assert found == seconds


def test_empty_ones_take_away() -> None:
    other = deployed().override(env_vars={}, secrets=[], resources=flyte.Resources())

    assert env(other) == {}
    assert other.secrets == []
    assert [list(each) for each in other.resources] == [[], []]
    assert not template(other).HasField("extended_resources")
    assert template(other).security_context.run_as.k8s_service_account == "old"


def test_results_are_not_kept() -> None:
    kept = deployed().override(cache=flyte.Cache("override", version_override="v", ignored_inputs="x", max_age=1))

    metadata = template(kept.override(cache="disable")).metadata

    assert not metadata.discoverable
    assert metadata.discovery_version == ""
    assert list(metadata.cache_ignore_input_vars) == []
    assert not metadata.HasField("cache_max_age")


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"image": "i"}, RemoteTaskUsageError, "image is not known; a deployed task can be given another short_name, "),
        ({"env_var": {}}, RemoteTaskUsageError, r"env_var is not known \(did you mean env_vars\?\)"),
        ({"retries": -1}, OptionError, "override of task env.add: count of a RetryStrategy is -1"),
        ({"retries": "2"}, OptionError, "count of a RetryStrategy is '2'"),
        ({"timeout": "1m"}, OptionError, "max_runtime of a Timeout is '1m'"),
        ({"resources": {"cpu": 1}}, OptionError, r"resources is \{'cpu': 1\}; give Resources"),
        ({"cache": "auto"}, OptionError, "makes its version where the task is deployed"),
        ({"cache": "override"}, OptionError, "without a version"),
        ({"cache": "perhaps"}, OptionError, "behavior of a Cache is 'perhaps'"),
        ({"env_vars": "A=secret"}, OptionError, "env_vars is str; give a dict of texts"),
        ({"env_vars": {"A": 1}}, OptionError, r"env_vars\['A'\] is int; names and values are text"),
        ({"secrets": 5}, OptionError, "secrets is int; give a name, a Secret, or a list of them"),
        ({"secrets": [5]}, OptionError, "secrets is list; give a name"),
        ({"secrets": "a.b"}, OptionError, "can't be a variable's name"),
        ({"queue": 5}, OptionError, "queue is 5; give a text"),
        ({"short_name": 5}, OptionError, "short_name is 5; give a text"),
        ({"service_account": b"a"}, OptionError, "service_account is b'a'; give a text"),
        ({"produces_artifacts": 1}, OptionError, "produces_artifacts is 1; give True or False"),
        ({"max_inline_io_bytes": True}, OptionError, "max_inline_io_bytes is True; give an int"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_can_not_be_said(channel: FakeChannel, given: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        deployed().override(**given)
    # Before anything is asked.
    with pytest.raises(error, match=text):
        client(channel).tasks.get("env.add", version="v1").override(**given)
    assert channel.calls == []


def test_a_device_needs_a_name_where_it_counts() -> None:
    with pytest.raises(OptionError, match="a Device without a name"):
        deployed().override(resources=flyte.Resources(gpu=flyte.Device(1, "GPU")))


def a_pod(**config: str) -> TaskDetails:
    answer = a_task()
    made: Any = answer.details.spec.task_template
    made.k8s_pod.pod_spec.update(
        {
            "containers": [
                {"name": "side", "env": [{"name": "S", "value": "1"}]},
                {"name": "main", "image": "i", "resources": {"claims": [{"name": "c"}], "limits": {"cpu": "9"}}},
            ]
        }
    )
    for key, value in config.items():
        made.config[key] = value
    return deployed(answer)


def test_in_a_pod_the_container_of_the_task_is_changed() -> None:
    other = a_pod(primary_container_name="main").override(
        env_vars={"A": "1"}, resources=flyte.Resources(cpu=(1, 2), gpu=1, disk="1Gi")
    )

    side, main = template(other).k8s_pod.pod_spec["containers"]
    assert dict(side)["env"][0]["name"] == "S"
    assert [dict(each) for each in main["env"]] == [{"name": "A", "value": "1"}]
    resources = main["resources"]
    assert dict(resources["requests"]) == {"cpu": "1", "gpu": "1", "ephemeral-storage": "1Gi"}
    assert dict(resources["limits"]) == {"cpu": "2"}
    assert resources["claims"][0]["name"] == "c"
    assert main["image"] == "i"


def test_a_pod_that_does_not_say_which_container_it_is() -> None:
    with pytest.raises(
        RemoteTaskUsageError, match="a pod without a container named 'gone', so which of its 2 is meant"
    ):
        a_pod(primary_container_name="gone").override(env_vars={"A": "1"})


def test_a_task_without_a_container_has_no_resources() -> None:
    answer = a_task()
    answer.details.spec.task_template.sql.statement = "select 1"

    assert template(deployed(answer).override(retries=2)).metadata.retries.retries == 2
    with pytest.raises(RemoteTaskUsageError, match="has no container, so it has neither resources nor an environment"):
        deployed(answer).override(env_vars={"A": "1"})


def on_a_mac() -> TaskDetails:
    answer = a_task()
    container = answer.details.spec.task_template.container
    container.env.add(key="_F_APPLE_SILICON_EXECUTION", value="host")
    container.env.add(key="OLD", value="1")
    return deployed(answer)


def test_what_sends_a_task_to_a_mac_is_not_the_user_s_to_lose() -> None:
    assert env(on_a_mac().override(env_vars={"NEW": "1"})) == {"NEW": "1", "_F_APPLE_SILICON_EXECUTION": "host"}
    assert env(on_a_mac().override(resources=flyte.Resources(gpu="AppleSilicon"))) == env(on_a_mac())
    assert env(on_a_mac().override(resources=flyte.Resources(cpu=1))) == {"OLD": "1"}
    in_container = {"FLYTE_APPLE_SILICON_EXECUTION": "container"}
    assert env(on_a_mac().override(env_vars=in_container)) == in_container
    with pytest.raises(RemoteTaskUsageError, match="can't be moved to gpu='AppleSilicon'"):
        deployed().override(resources=flyte.Resources(gpu="AppleSilicon"))


def test_copies_and_pickles_are_launched_as_the_task_is() -> None:
    task = deployed().override(queue="q", retries=2, max_inline_io_bytes=3)

    for twin in (copy.copy(task), copy.deepcopy(task), pickle.loads(pickle.dumps(task))):
        assert twin.pb2 == task.pb2
        assert (twin.overridden, twin.queue, twin.max_inline_io_bytes) == (True, "q", 3)


def test_it_is_launched_by_its_specification(channel: FakeChannel) -> None:
    mine = client(channel)
    answer = a_task()
    answer.details.spec.task_template.metadata.cache_ignore_input_vars.append("y")
    channel.on("TaskService/GetTaskDetails", answer)
    lazy = mine.tasks.get("env.add", version="v1").override(retries=5, queue="q")
    assert channel.calls == []

    mine.run(lazy, x=1)
    mine.with_runcontext(queue="q2").run(lazy.fetch(), x=1)

    uploads, creates = channel.asked("DataProxyService/UploadInputs"), channel.asked("RunService/CreateRun")
    for request in (*uploads, *creates):
        assert request.WhichOneof("task") == "task_spec"
        assert request.task_spec.task_template.metadata.retries.retries == 5
    assert plain(uploads[0].inputs.literals) == {"x": 1, "y": "dflt", "z": None}
    assert [create.run_spec.queue for create in creates] == ["q", "q2"]
    assert len(channel.asked("TaskService/GetTaskDetails")) == 1


def test_a_lazy_task_is_changed_again_and_keeps_the_first_change(channel: FakeChannel) -> None:
    mine = client(channel)
    task = mine.tasks.get("env.add", version="v1")

    twice = task.override(queue="q").override(retries=2).fetch()

    assert (twice.queue, template(twice).metadata.retries.retries) == ("q", 2)
    assert not task.fetch().overridden
    assert len(channel.asked("TaskService/GetTaskDetails")) == 1
