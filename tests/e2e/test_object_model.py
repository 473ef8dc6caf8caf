"""What runs, actions and tasks tell of themselves: each name once, as a devbox answers."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator

import pytest

import flyte_lite as flyte
from flyte_lite import _session
from flyte_lite.devbox import Devbox
from flyte_lite.errors import RuntimeUserError
from flyte_lite.models import ActionPhase
from flyte_lite.remote import Action, ActionDetails, Run, RunDetails, Task, TaskDetails

PROJECT, DOMAIN = "flytesnacks", "development"


@pytest.fixture(autouse=True)
def initialized(box: Devbox) -> Iterator[None]:
    with flyte.init(endpoint=box.endpoint, project=PROJECT, domain=DOMAIN):
        yield
    _session.set_default(None)


@pytest.fixture(scope="module")
def finished(box: Devbox) -> str:
    """The name of a run that greeted Ada twice."""
    with flyte.Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client:
        task = client.tasks.get("greetings.hello", version="v1")
        run = client.with_runcontext(labels={"team": "ml"}).run(task, name="Ada", times=2)
        run.wait(timeout=60)
        return run.name


@pytest.fixture(scope="module")
def failed(box: Devbox) -> str:
    """The name of a run that divided by zero."""
    with flyte.Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client:
        run = client.run(client.tasks.get("numbers.divide", version="v1"), a=1.0, b=0.0)
        run.wait(timeout=60)
        return run.name


def test_a_run(finished: str) -> None:
    run = Run.get(finished)

    assert run.name == finished
    assert run.phase is ActionPhase.SUCCEEDED
    assert run.raw_phase == 5
    assert run.done()
    assert dict(run.pb2.labels) == {"team": "ml"}
    assert run.to_dict()["action"]["status"]["phase"] == "ACTION_PHASE_SUCCEEDED"
    assert json.loads(run.to_json()) == run.to_dict()


def test_a_run_s_details(finished: str) -> None:
    for details in (RunDetails.get(finished), RunDetails.get_details(Run.get(finished).pb2.action.id.run)):
        assert details.name == finished
        assert details.task_name == "greetings.hello"
        assert details.action_id.name == "a0"
        assert details.action_id.run.project == PROJECT
        assert details.action_details.name == "a0"
        assert details.done()
        assert details.inputs() == {"name": "Ada", "times": 2}
        assert details.outputs()[0] == "hello Ada, hello Ada"


@pytest.mark.parametrize("full", [False, True])
def test_an_action(finished: str, full: bool) -> None:
    action = ActionDetails.get(run_name=finished, name="a0") if full else Action.get(run_name=finished)

    assert action.name == "a0"
    assert action.run_name == finished
    assert action.task_name == "greetings.hello"
    assert action.parent_name is None
    assert action.action_id.run.name == finished
    assert action.phase is ActionPhase.SUCCEEDED
    assert action.raw_phase == 5
    assert action.done()
    assert action.to_dict()["id"]["run"]["name"] == finished


def test_an_action_s_details(finished: str) -> None:
    action = Action.get(run_name=finished)
    assert action.start_time is not None

    for details in (action.details(), ActionDetails.get_details(action.action_id)):
        assert details.status.phase == 5
        assert details.metadata.task.id.name == "greetings.hello"
        assert details.attempts == 1
        assert details.error_info is None
        assert details.error_message == ""
        assert details.abort_info is None
        assert [entry.key for entry in details.interface().inputs.variables] == ["name", "times"]
        assert details.status.start_time.ToDatetime(tzinfo=datetime.timezone.utc) == action.start_time


def test_a_failed_action_says_why(failed: str) -> None:
    details = Action.get(run_name=failed).details()

    assert details.error_info is not None
    assert details.error_info.code.endswith("ZeroDivisionError")
    assert "division by zero" in details.error_message
    with pytest.raises(RuntimeUserError, match="division by zero"):
        details.raise_for_status()


def test_inputs_are_a_dict_and_a_message(finished: str) -> None:
    run = Run.get(finished)
    inputs = run.inputs()

    assert inputs.get("name") == "Ada"
    assert inputs.get("nobody", 3) == 3
    assert dict(inputs.items()) == inputs.copy() == {"name": "Ada", "times": 2}
    assert sorted(map(str, inputs.values())) == ["2", "Ada"]
    assert [item["name"] for item in inputs.to_dict()["literals"]] == ["name", "times"]
    assert json.loads(inputs.to_json()) == inputs.to_dict()
    assert run.input_literals()["times"].scalar.primitive.integer == 2
    assert run.typed_inputs({"times": int}) == {"times": 2}
    assert inputs.setdefault("times", 7) == 2
    assert inputs.pop("times") == 2
    assert inputs.popitem() == ("name", "Ada")
    assert inputs == {}


def test_outputs_are_a_tuple_and_a_message(finished: str) -> None:
    run = Run.get(finished)
    outputs = run.outputs()

    assert outputs.named_outputs == {"o0": "hello Ada, hello Ada"}
    assert outputs.index("hello Ada, hello Ada") == 0
    assert outputs.count("hello Ada, hello Ada") == 1
    assert [item["name"] for item in outputs.to_dict()["literals"]] == ["o0"]
    assert json.loads(outputs.to_json()) == outputs.to_dict()
    assert run.output_literals()["o0"].scalar.primitive.string_value == "hello Ada, hello Ada"
    assert run.typed_outputs({"o0": str}) == {"o0": "hello Ada, hello Ada"}


def test_a_task() -> None:
    for task in (
        TaskDetails.fetch("greetings.hello", version="v1"),
        TaskDetails.get("greetings.hello", auto_version="latest").fetch(),
        Task.get("greetings.hello", version="v1").fetch(),
    ):
        assert (task.name, task.version) == ("greetings.hello", "v1")
        assert task.task_type == "python"
        assert task.required_args == ("name",)
        assert task.default_input_args == ("times",)
        assert [entry.key for entry in task.typed_interface.outputs.variables] == ["o0"]
        assert task.interface.required_inputs() == ["name"]
        assert task.interface.get_input_types() == {"name": str, "times": int}
        assert task.json_schema["required"] == ["name"]
        assert task.to_dict()["taskId"]["name"] == "greetings.hello"
