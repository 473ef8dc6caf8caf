"""What a call of a task makes, without processes: names, refusals, what is found of an earlier attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Optional

import pytest

from flyte_lite.devbox._child import error_of
from flyte_lite.devbox._declare import Declaration, deployable
from flyte_lite.devbox.children import MAX_DEPTH, Children, action_name, call_hash
from flyte_lite.devbox.messages import ANSWER, CALL, CANCEL, Messages, parted, with_header
from flyte_lite.devbox.record import Record
from flyte_lite.devbox.services import Call
from flyte_lite.devbox.services.creation import Creation
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.actions import Action, ActionKey
from flyte_lite.errors import (
    ActionAbortedError,
    DeadlineExceededError,
    OOMError,
    RemoteTaskNotFoundError,
    RuntimeSystemError,
    RuntimeUserError,
    TaskTimeoutError,
)
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.core import tasks_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, run_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

P = phase_pb2
PLACE = ("flytesnacks", "development")


class FakeExecutor:
    """Takes actions up, and says when they are over as it is told to."""

    def __init__(self) -> None:
        self.did: list[tuple[str, str]] = []
        self.listeners: dict[str, Callable[[], None]] = {}

    def submit(self, key: ActionKey) -> None:
        self.did.append(("submit", key.name))

    def repeat(self, key: ActionKey) -> None:
        self.did.append(("repeat", key.name))

    def abort(self, key: ActionKey) -> None:
        self.did.append(("abort", key.name))

    def listen(self, key: ActionKey, then: Callable[[], None]) -> None:
        self.listeners[key.name] = then


class FakeProcess:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.sent = b""
        self.pokes = 0

    def send(self, data: bytes) -> None:
        self.sent += data

    def poke(self) -> None:
        self.pokes += 1

    def answers(self) -> list[tuple[dict[str, Any], bytes]]:
        sent, self.sent = self.sent, b""
        found = list(Messages().of(sent))
        assert all(kind == ANSWER for kind, _ in found)
        return [parted(body) for _, body in found]


class FakeSlot:
    """Is there again when it is said to be."""

    def __init__(self) -> None:
        self.had = True

    def lend(self) -> int:
        return 1

    def claim(self, attempt: int, then: Callable[[], None]) -> None:
        assert attempt == 1
        if self.had:
            then()

    def allows(self) -> bool:
        return self.had


def double(n: int, by: int = 2) -> int:
    return n * by


class Rig:
    """A parent that runs, in a state of its own."""

    def __init__(self, depth: int = 0) -> None:
        self.state = State()
        task = deployable(double, Declaration(name="env.double", version="v1"), *PLACE)
        self.state.bundles.put(task.spec.task_template.metadata.code_bundle_uri, task.bundle)
        self.state.tasks.deploy(task.key, task.spec.SerializeToString(), "env", ("", ""), self.state.now())
        request = run_service_pb2.CreateRunRequest()
        request.run_id.project, request.run_id.domain, request.run_id.name = *PLACE, "r1"
        request.task_id.project, request.task_id.domain = PLACE
        request.task_id.name, request.task_id.version = "env.double", "v1"
        self.parent, _ = Creation(self.state).create(request, Call({}))
        self.depth = depth
        self.executor, self.process, self.slot = FakeExecutor(), FakeProcess(), FakeSlot()
        self.children = self.attempt()

    def close(self) -> None:
        self.state.close()

    def attempt(self) -> Children:
        spec = run_pb2.RunSpec()
        spec.raw_data_storage.raw_data_prefix = "s3://flyte-data"
        record = Record(self.state, self.parent.key, spec)
        given: Any = (self.slot, self.process)
        return Children(self.state, self.executor, self.parent, self.depth, spec, record, *given)

    def call(self, number: int, n: int, name: str = "env.double", children: Optional[Children] = None) -> None:
        inputs = common_pb2.Inputs()
        inputs.literals.add(name="n").value.scalar.primitive.integer = n
        header = {"number": number, "name": name, "version": "v1", "group": "g"}
        (children or self.children).take(CALL, with_header(header, inputs.SerializeToString()))

    def end(self, name: str, phase: P.ActionPhase.ValueType, **told: Any) -> None:
        key = self.parent.key._replace(name=name)
        spec = run_pb2.RunSpec()
        spec.raw_data_storage.raw_data_prefix = "s3://flyte-data"
        record = Record(self.state, key, spec)
        if phase == P.ACTION_PHASE_SUCCEEDED:
            self.state.objects.put(record.outputs_uri(1), b"outputs")
        record.phase(1, phase, **told)
        self.executor.listeners.pop(name)()

    def child(self, name: str) -> Action:
        found = self.state.actions.get(self.parent.key._replace(name=name))
        assert found is not None
        return found


@pytest.fixture
def rig() -> Iterator[Rig]:
    with closing(Rig()) as rig:
        yield rig


def test_a_call_makes_an_action_and_its_outputs_are_the_answer(rig: Rig) -> None:
    rig.call(1, n=3)

    ((did, name),) = rig.executor.did
    assert did == "submit"
    assert rig.children.made
    child = rig.child(name)
    assert (child.parent, child.grp, child.task_name, child.phase) == ("a0", "g", "env.double", P.ACTION_PHASE_QUEUED)
    assert child.input_uri == f"s3://flyte-data/flytesnacks/development/r1/{name}/inputs.pb"
    given = common_pb2.Inputs.FromString(rig.state.objects.get(child.input_uri) or b"")
    assert [literal.name for literal in given.literals] == ["n", "by"]
    assert rig.process.answers() == []

    rig.end(name, P.ACTION_PHASE_SUCCEEDED)
    rig.children.attend()

    assert rig.process.answers() == [({"number": 1, "error": None}, b"outputs")]


def test_answers_wait_for_the_slot(rig: Rig) -> None:
    rig.call(1, n=3)
    rig.slot.had = False
    rig.end(rig.executor.did[0][1], P.ACTION_PHASE_SUCCEEDED)
    rig.children.attend()
    assert rig.process.answers() == []

    rig.slot.had = True
    rig.children.attend()

    assert [header["number"] for header, _ in rig.process.answers()] == [1]


def test_equal_calls_have_names_of_their_own_and_the_same_ones_in_the_next_attempt(rig: Rig) -> None:
    for number in (1, 2):
        rig.call(number, n=3)
    first, second = (name for _, name in rig.executor.did)
    assert first != second
    rig.end(first, P.ACTION_PHASE_SUCCEEDED)
    error = run_definition_pb2.ErrorInfo(message="bad", kind=run_definition_pb2.ErrorInfo.KIND_USER, code="ValueError")
    rig.end(second, P.ACTION_PHASE_FAILED, error=error)
    rig.executor.did.clear()

    again = rig.attempt()
    for number in (7, 8):
        rig.call(number, n=3, children=again)

    # The one is taken over, the other gets one more attempt.
    assert rig.executor.did == [("repeat", second)]
    assert set(rig.executor.listeners) == {first, second}


@pytest.mark.parametrize(
    ("phase", "error"),
    [
        (P.ACTION_PHASE_FAILED, {"phase": "FAILED", "code": "E", "message": "bad", "user": True}),
        (P.ACTION_PHASE_TIMED_OUT, {"phase": "TIMED_OUT", "code": "E", "message": "bad", "user": True}),
    ],
)
def test_what_ended_without_outputs_says_why(rig: Rig, phase: P.ActionPhase.ValueType, error: dict[str, Any]) -> None:
    rig.call(1, n=3)
    told = run_definition_pb2.ErrorInfo(message="bad", kind=run_definition_pb2.ErrorInfo.KIND_USER, code="E")
    rig.end(rig.executor.did[0][1], phase, error=told)
    rig.children.attend()

    assert rig.process.answers() == [({"number": 1, "error": error}, b"")]


def test_an_aborted_child_is_named(rig: Rig) -> None:
    rig.call(1, n=3)
    name = rig.executor.did[0][1]
    rig.end(name, P.ACTION_PHASE_ABORTED)
    rig.children.attend()

    ((header, _),) = rig.process.answers()
    assert header["error"]["phase"] == "ABORTED"
    assert header["error"]["message"] == f"Action {name} was aborted, aborting current Action a0"


def test_who_gives_up_has_it_aborted(rig: Rig) -> None:
    rig.call(1, n=3)
    name = rig.executor.did[0][1]

    rig.children.take(CANCEL, with_header({"number": 1}))
    rig.end(name, P.ACTION_PHASE_ABORTED)
    rig.children.attend()

    assert rig.executor.did[1:] == [("abort", name)]
    assert rig.process.answers() == []


def test_what_is_not_deployed_is_refused_by_name(rig: Rig) -> None:
    rig.call(1, n=3, name="env.other")

    ((header, _),) = rig.process.answers()
    assert header["error"]["phase"] == "NOT_FOUND"
    assert "task env.other version v1 is not deployed in flytesnacks/development" in header["error"]["message"]
    assert not rig.children.made


def test_calls_go_so_deep_and_no_deeper() -> None:
    with closing(Rig(depth=MAX_DEPTH - 1)) as rig:
        rig.call(1, n=3)
        assert len(rig.executor.did) == 1

    with closing(Rig(depth=MAX_DEPTH)) as rig:
        rig.call(1, n=3)

        ((header, _),) = rig.process.answers()
        assert header["error"]["code"] == "RecursionError"
        assert rig.executor.did == []


def test_a_parent_that_was_aborted_makes_nothing_more(rig: Rig) -> None:
    rig.state.actions.abort(rig.parent.key, "enough", rig.state.now())

    rig.call(1, n=3)

    assert rig.executor.did == []
    assert rig.process.answers() == []


def test_a_parent_has_no_attempts_while_it_has_children(rig: Rig) -> None:
    rig.state.actions.set_status(rig.parent.key, P.ACTION_PHASE_RUNNING, 1, 0, rig.state.now())

    rig.call(1, n=3)

    assert rig.child("a0").attempts == 0


def test_a_name_has_25_letters_and_says_which_call_it_is() -> None:
    template = tasks_pb2.TaskTemplate()
    template.id.name = "env.double"
    inputs = common_pb2.Inputs()
    inputs.literals.add(name="n").value.scalar.primitive.integer = 1
    other = common_pb2.Inputs()
    other.literals.add(name="n").value.scalar.primitive.integer = 2

    calls = [
        call_hash("a0", template, inputs, ""),
        call_hash("a0", template, other, ""),
        call_hash("a0", template, inputs, "g"),
        call_hash("a1", template, inputs, ""),
    ]
    names = [action_name(call, number) for call in calls for number in (1, 2)]

    assert len(set(names)) == len(names)
    assert {len(name) for name in names} == {25}
    assert all(name.isalnum() and name == name.lower() for name in names)
    assert action_name(calls[0], 1) == action_name(call_hash("a0", template, inputs, ""), 1)


def test_inputs_that_the_cache_passes_over_name_nothing() -> None:
    template = tasks_pb2.TaskTemplate()
    template.metadata.cache_ignore_input_vars.append("n")
    inputs = common_pb2.Inputs()
    inputs.literals.add(name="n").value.scalar.primitive.integer = 1

    assert call_hash("a0", template, inputs, "") == call_hash("a0", template, common_pb2.Inputs(), "")


@pytest.mark.parametrize(
    ("phase", "code", "user", "kind"),
    [
        ("NOT_FOUND", "x", False, RemoteTaskNotFoundError),
        ("ABORTED", "x", True, ActionAbortedError),
        ("TIMED_OUT", "DeadlineExceededError", True, DeadlineExceededError),
        ("TIMED_OUT", "x", True, TaskTimeoutError),
        ("FAILED", "OOMKilled", True, OOMError),
        ("FAILED", "ValueError", True, RuntimeUserError),
        ("FAILED", "WorkerDied", False, RuntimeSystemError),
    ],
)
def test_each_end_is_an_exception(phase: str, code: str, user: bool, kind: type[Exception]) -> None:
    error = error_of(phase, code, "what it was", user)

    assert type(error) is kind
    assert str(error) == "what it was"
