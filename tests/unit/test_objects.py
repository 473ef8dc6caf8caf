"""What every object of the model can do: be compared, copied, pickled, and shown."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any, Callable

import pytest
from fakes import FakeChannel

from flyte_lite import _session, remote
from flyte_lite.errors import NotInitializedError
from flyte_lite.idl.flyteidl2.task import task_definition_pb2, task_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.remote import (
    Action,
    ActionDetails,
    LazyEntity,
    Run,
    RunDetails,
    Task,
    TaskDetails,
)
from flyte_lite.remote._base import Resource

HOSTILE = "<img src=x onerror='alert(1)'>&"


@pytest.fixture(autouse=True)
def no_default() -> None:
    _session.set_default(None)


def fill(pb2: Any, name: str) -> Any:
    pb2.id.name, pb2.id.run.name, pb2.id.run.project, pb2.id.run.domain = "a0", name, "p", "d"
    pb2.status.phase = 5
    pb2.status.start_time.seconds = 1_700_000_000
    pb2.status.end_time.seconds = 1_700_000_007
    pb2.metadata.task.id.name = "env.task"
    return pb2


def run(name: str) -> run_definition_pb2.Run:
    made = run_definition_pb2.Run()
    fill(made.action, name)
    return made


def run_details(name: str) -> run_definition_pb2.RunDetails:
    made = run_definition_pb2.RunDetails()
    fill(made.action, name)
    return made


def task(pb2: Any, name: str) -> Any:
    pb2.task_id.name, pb2.task_id.version, pb2.task_id.project, pb2.task_id.domain = name, "v1", "p", "d"
    return pb2


MAKE: dict[str, Callable[[str], Any]] = {
    "Run": run,
    "RunDetails": run_details,
    "Action": lambda name: fill(run_definition_pb2.Action(), name),
    "ActionDetails": lambda name: fill(run_definition_pb2.ActionDetails(), name),
    "Task": lambda name: task(task_definition_pb2.Task(), name),
    "TaskDetails": lambda name: task(task_definition_pb2.TaskDetails(), name),
}
CLASSES = {
    name: getattr(remote, name)
    for name in remote.__all__
    if isinstance(getattr(remote, name), type) and issubclass(getattr(remote, name), Resource)
}


def made(kind: str, name: str = "one") -> Any:
    return CLASSES[kind](MAKE[kind](name), FakeChannel().session())


def test_each_class_of_the_model_is_here() -> None:
    assert sorted(MAKE) == sorted(CLASSES)


@pytest.mark.parametrize("kind", MAKE)
def test_equal_is_what_says_the_same(kind: str) -> None:
    assert made(kind) == made(kind)
    assert made(kind) != made(kind, "other")
    assert made(kind) != MAKE[kind]("one")
    assert made(kind) == CLASSES[kind].bind(FakeChannel().session())(MAKE[kind]("one"))
    with pytest.raises(TypeError, match="unhashable"):
        hash(made(kind))


def test_what_says_the_same_of_another_kind_is_not_equal() -> None:
    assert Run(run("one")) != Action(run("one").action)


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_is_equal_and_changes_alone(kind: str, remake: Callable[[Any], Any]) -> None:
    first = made(kind)

    again = remake(first)

    assert type(again) is type(first)
    assert again == first
    assert again._session is first._session
    again.pb2.Clear()
    assert again != first
    assert first == made(kind)


def test_the_copy_of_a_runs_details_has_a_root_of_its_own() -> None:
    first = RunDetails(run_details("one"), FakeChannel().session())
    assert first.action_details.run_name == "one"

    again = copy.copy(first)
    again.pb2.action.id.run.name = "other"

    assert again.action_details.run_name == "other"
    assert first.action_details.run_name == "one"


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_equal_and_has_no_session(kind: str, protocol: int) -> None:
    first = made(kind)

    again = pickle.loads(pickle.dumps(first, protocol))

    assert type(again) is type(first)
    assert again == first
    assert again._own_session is None


def test_a_pickle_knows_whether_its_run_was_made() -> None:
    for created in (True, False, None):
        first = Run(run("one"), FakeChannel().session(), created=created)

        assert pickle.loads(pickle.dumps(first)).created is created
        assert copy.copy(first).created is created


def test_a_class_of_the_users_is_pickled_as_itself() -> None:
    again = pickle.loads(pickle.dumps(Mine(run("one"))))

    assert type(again) is Mine


class Mine(Run):
    """At the top of a module, where pickle finds it."""


@pytest.mark.parametrize("kind", MAKE)
def test_the_repr_is_a_line_that_names_it(kind: str) -> None:
    text = repr(made(kind))

    assert text.startswith(f"{kind}(")
    assert "=one" in text
    assert "\n" not in text
    assert len(text) < 120


@pytest.mark.parametrize("kind", MAKE)
def test_a_notebook_shows_it_and_runs_nothing(kind: str) -> None:
    html = made(kind, HOSTILE)._repr_html_()

    assert html.startswith(f"<table><caption>{kind}</caption>")
    assert "&lt;img src=x onerror=&#x27;alert(1)&#x27;&gt;&amp;" in html
    assert "<img" not in html


def test_a_run_in_a_notebook_has_phase_task_times_and_a_link() -> None:
    html = made("Run")._repr_html_()

    for text in ("succeeded", "env.task", "2023-11-14 22:13:20+00:00", "2023-11-14 22:13:27+00:00"):
        assert f">{text}</td>" in html
    assert '<a href="http://console/v2/domain/d/project/p/runs/one">' in html


def test_a_run_that_goes_on_has_no_end_in_a_notebook() -> None:
    """The server keeps the time of an end when the run is tried again."""
    going = made("Run")
    going.pb2.action.status.phase = 4

    html = going._repr_html_()

    assert "ended" not in html
    assert "22:13:27" not in html


def test_nothing_but_an_address_becomes_a_link() -> None:
    odd = Action(fill(run_definition_pb2.Action(), "javascript:alert(1)"), FakeChannel().session())

    assert "<a " not in odd._repr_html_()


@pytest.mark.parametrize("kind", MAKE)
def test_it_is_told_as_json(kind: str) -> None:
    told = made(kind).to_dict()

    assert json.loads(made(kind).to_json()) == told
    assert made(kind).to_json().splitlines()[1].startswith('  "')


def test_json_is_that_of_protobuf() -> None:
    details = ActionDetails(MAKE["ActionDetails"]("one"))
    details.pb2.status.duration_ms = 7_000

    assert details.to_dict() == {
        "id": {"run": {"project": "p", "domain": "d", "name": "one"}, "name": "a0"},
        "metadata": {"task": {"id": {"name": "env.task"}}},
        "status": {
            "phase": "ACTION_PHASE_SUCCEEDED",
            "startTime": "2023-11-14T22:13:20Z",
            "endTime": "2023-11-14T22:13:27Z",
            "durationMs": "7000",
        },
    }


def test_what_differs_beside_the_message_is_not_equal() -> None:
    class Kept(Task):
        _compared = ("queue",)
        queue = "one"

    first, other = Kept(MAKE["Task"]("one")), Kept(MAKE["Task"]("one"))
    assert first == other
    other.queue = "two"
    assert first != other


# A task that was not looked up yet.


def deployed(channel: FakeChannel) -> FakeChannel:
    answer = task_service_pb2.GetTaskDetailsResponse(details=task(task_definition_pb2.TaskDetails(), "env.task"))
    return channel.on("TaskService/GetTaskDetails", answer)


def lazy(channel: FakeChannel, version: str = "v1") -> LazyEntity:
    return Task.bind(channel.session()).get("env.task", version=version)


def test_a_task_to_look_up_is_equal_by_what_it_asks_for() -> None:
    assert lazy(FakeChannel()) == lazy(FakeChannel())
    assert hash(lazy(FakeChannel())) == hash(lazy(FakeChannel()))
    assert lazy(FakeChannel()) != lazy(FakeChannel(), "v2")
    assert lazy(FakeChannel()) != "env.task"
    assert lazy(FakeChannel()).override(queue="q") == lazy(FakeChannel()).override(queue="q")
    assert lazy(FakeChannel()).override(queue="q") != lazy(FakeChannel())


@pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_the_copy_of_a_task_to_look_up_asks_the_same_server(remake: Callable[[Any], Any]) -> None:
    channel = deployed(FakeChannel())

    again = remake(lazy(channel).override(queue="q"))

    assert channel.calls == []
    assert again.queue == "q"
    assert len(channel.asked("TaskService/GetTaskDetails")) == 1


def test_a_pickled_task_to_look_up_asks_the_default_server_for_the_same() -> None:
    first = lazy(FakeChannel()).override(short_name="other")

    again = pickle.loads(pickle.dumps(first))

    assert again == first
    with pytest.raises(NotInitializedError):
        again.fetch()
    channel = deployed(FakeChannel())
    _session.set_default(channel.session())
    assert again.version == "v1"
    assert again.fetch().overridden
    (asked,) = channel.asked("TaskService/GetTaskDetails")
    assert (asked.task_id.project, asked.task_id.domain, asked.task_id.name) == ("p", "d", "env.task")
    _session.set_default(None)


def test_what_was_found_is_pickled_with_it() -> None:
    first = lazy(deployed(FakeChannel()))
    first.fetch()

    again = pickle.loads(pickle.dumps(first))

    assert again.fetch() == first.fetch()
    assert repr(again) == "TaskDetails(name=env.task, version=v1)"


def test_an_overridden_task_is_another_and_stays_so_in_a_pickle() -> None:
    plain = TaskDetails(MAKE["TaskDetails"]("one"))

    changed = plain.override(queue="q")

    assert changed.pb2 == plain.pb2
    assert changed != plain
    assert pickle.loads(pickle.dumps(changed)) == changed
    assert copy.copy(changed).queue == "q"
