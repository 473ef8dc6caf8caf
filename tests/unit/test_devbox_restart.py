"""What a devbox makes of what an earlier one left: the rule, and its application to a state in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from flyte_lite.devbox import Devbox
from flyte_lite.devbox.clock import DevboxClock
from flyte_lite.devbox.executor import Executor
from flyte_lite.devbox.record import Record
from flyte_lite.devbox.restart import Restart, restart
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.details import attempts
from flyte_lite.devbox.services.run import RunService
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.devbox.state.unfinished import unfinished
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.task import run_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

QUEUED = phase_pb2.ACTION_PHASE_QUEUED
INITIALIZING = phase_pb2.ACTION_PHASE_INITIALIZING
RUNNING = phase_pb2.ACTION_PHASE_RUNNING
SUCCEEDED = phase_pb2.ACTION_PHASE_SUCCEEDED
FAILED = phase_pb2.ACTION_PHASE_FAILED
ABORTED = phase_pb2.ACTION_PHASE_ABORTED
P = phase_pb2.ActionPhase.ValueType


@pytest.mark.parametrize(
    ("phase", "attempt", "told", "retries", "what"),
    [
        (QUEUED, 1, (), 0, Restart.QUEUE),
        (QUEUED, 1, (QUEUED,), 0, Restart.QUEUE),
        (RUNNING, 2, (QUEUED,), 1, Restart.QUEUE),
        (INITIALIZING, 1, (QUEUED, INITIALIZING), 0, Restart.FAIL),
        (INITIALIZING, 1, (QUEUED, INITIALIZING), 1, Restart.REPEAT),
        (RUNNING, 1, (QUEUED, INITIALIZING, RUNNING), 2, Restart.REPEAT),
        (RUNNING, 2, (QUEUED, INITIALIZING, RUNNING), 2, Restart.REPEAT),
        (RUNNING, 3, (QUEUED, INITIALIZING, RUNNING), 2, Restart.FAIL),
        (ABORTED, 1, (), 0, Restart.ABORT),
        (ABORTED, 1, (QUEUED, RUNNING), 3, Restart.ABORT),
        (ABORTED, 1, (QUEUED, RUNNING, ABORTED), 3, Restart.NOTHING),
        (ABORTED, 1, (QUEUED, RUNNING, SUCCEEDED), 3, Restart.NOTHING),
        (SUCCEEDED, 1, (QUEUED, RUNNING, SUCCEEDED), 3, Restart.NOTHING),
        (FAILED, 1, (QUEUED, RUNNING, FAILED), 3, Restart.NOTHING),
    ],
)
def test_the_rule(phase: P, attempt: int, told: tuple[P, ...], retries: int, what: Restart) -> None:
    assert restart(phase, attempt, told, retries) is what


class NoExecutor:
    def submit(self, key: ActionKey) -> None:
        pass

    def abort(self, key: ActionKey) -> None:
        pass


KEYS = {name: ActionKey("flytesnacks", "development", name) for name in ("queued", "begun", "spare", "aborted", "told")}


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A folder whose devbox was killed with a run in each situation."""
    box = Devbox(state=tmp_path)

    @box.task(name="env.once", version="v1")
    def once() -> int:
        return 1

    @box.task(name="env.often", version="v1", retries=1)
    def often() -> int:
        return 1

    state = box._state
    runs = RunService(state, NoExecutor())
    for name, key in KEYS.items():
        request = run_service_pb2.CreateRunRequest()
        request.run_id.project, request.run_id.domain, request.run_id.name = key.project, key.domain, name
        request.task_id.project, request.task_id.domain, request.task_id.version = key.project, key.domain, "v1"
        request.task_id.name = "env.often" if name == "spare" else "env.once"
        runs.create_run(request, Call({}))
        record = Record(state, key, run_pb2.RunSpec())
        if name != "queued":
            record.phase(1, QUEUED)
            record.phase(1, INITIALIZING)
            record.phase(1, RUNNING, started_at=1)
        if name in ("aborted", "told"):
            state.actions.abort(key, "enough", state.now())
        if name == "told":
            record.phase(1, ABORTED, "aborted")
    box.close()
    return tmp_path


def told(state: State, name: str) -> list[run_definition_pb2.ActionAttempt]:
    return attempts(state.events.of(KEYS[name]))


def test_what_is_unfinished_is_found_in_order(left: Path) -> None:
    state = State(folder=left)

    assert [key.run for key in unfinished(state.database)] == ["queued", "begun", "spare", "aborted"]
    state.close()


def test_each_is_taken_up_as_the_rule_says(left: Path) -> None:
    clock = DevboxClock()
    state = State(clock, left)
    # Without workers, so what is queued stays so.
    executor = Executor(state, clock, 0)
    # It comes before its turn, and gets the place that it has.
    executor.submit(KEYS["spare"])
    executor.restart()

    (queued,) = told(state, "queued")
    (begun,) = told(state, "begun")
    first, second = told(state, "spare")
    (aborted,) = told(state, "aborted")
    failed = state.actions.get(KEYS["begun"])
    assert [queued.phase, begun.phase, first.phase, second.phase, aborted.phase] == [
        QUEUED,
        FAILED,
        RUNNING,
        QUEUED,
        ABORTED,
    ]
    assert failed is not None
    assert failed.phase == FAILED
    assert begun.error_info.kind == run_definition_pb2.ErrorInfo.KIND_SYSTEM
    assert begun.error_info.message == "the devbox stopped while attempt 1 ran"
    assert [undertaking.key.run for undertaking in executor._queue] == ["queued", "spare"]
    assert [len(told(state, name)) for name in KEYS] == [1, 1, 2, 1, 1]
    # Whoever hears of it a second time changes nothing.
    executor.submit(KEYS["queued"])
    assert len(executor._queue) == 2
    executor.close()
    state.close()
