"""What executors tell becomes what clients see: statuses that only go forward, events merged into attempts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flyte_lite.devbox.services.details import attempts, fill_details
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.actions import Action, ActionKey
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

P = phase_pb2
QUEUED, INITIALIZING, RUNNING = P.ACTION_PHASE_QUEUED, P.ACTION_PHASE_INITIALIZING, P.ACTION_PHASE_RUNNING
SUCCEEDED, FAILED, ABORTED = P.ACTION_PHASE_SUCCEEDED, P.ACTION_PHASE_FAILED, P.ACTION_PHASE_ABORTED
TIMED_OUT, PAUSED = P.ACTION_PHASE_TIMED_OUT, P.ACTION_PHASE_PAUSED
KEY = ActionKey("p", "d", "r")


@pytest.fixture
def state() -> Iterator[State]:
    made = State()
    made.actions.create(action(), b"", b"")
    yield made
    made.close()


def action(phase: int = QUEUED, attempts: int = 1) -> Action:
    return Action(
        *KEY,
        parent="",
        grp="",
        action_type=1,
        phase=phase,
        attempts=attempts,
        cache_status=0,
        created_at=1_000_000,
        ended_at=None,
        duration_ms=None,
        run_source="RUN_SOURCE_CLI",
        executed_by=None,
        created_by_subject=None,
        task_project=None,
        task_domain=None,
        task_name=None,
        task_version=None,
        task_type="python",
        short_name="",
        environment="",
        function_name="",
        input_uri="",
        abort_reason=None,
    )


def event(
    phase: P.ActionPhase.ValueType, at: int, *, attempt: int = 1, version: int = 0, reported: int = 0, **more: object
) -> run_definition_pb2.ActionEvent:
    made = run_definition_pb2.ActionEvent(attempt=attempt, phase=phase, version=version, **more)  # type: ignore[arg-type]
    made.id.run.project, made.id.run.domain, made.id.run.name, made.id.name = KEY
    made.updated_time.FromSeconds(at)
    made.reported_time.FromSeconds(reported or at)
    return made


def now(state: State) -> Action:
    found = state.actions.get(KEY)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("present", "new", "taken"),
    [
        (QUEUED, RUNNING, True),
        (RUNNING, RUNNING, True),
        (RUNNING, QUEUED, False),
        (SUCCEEDED, RUNNING, False),
        (SUCCEEDED, FAILED, True),
        (FAILED, RUNNING, True),
        (TIMED_OUT, QUEUED, True),
        (ABORTED, FAILED, False),
        (PAUSED, SUCCEEDED, True),
        (PAUSED, RUNNING, False),
    ],
)
def test_a_status_goes_forward_only(state: State, present: int, new: int, taken: bool) -> None:
    state.actions.set_status(KEY, RUNNING, 1, 0, 2_000_000)
    if present != RUNNING:
        state.database.run("UPDATE action SET phase = ?", (present,))

    assert state.actions.set_status(KEY, new, 2, 1, 3_000_000) == taken

    assert now(state).phase == (new if taken else present)
    assert now(state).attempts == (2 if taken else 1)


def test_the_first_end_stays(state: State) -> None:
    state.actions.set_status(KEY, FAILED, 1, 0, 1_500_000)
    state.actions.set_status(KEY, RUNNING, 2, 0, 2_000_000)
    state.actions.set_status(KEY, SUCCEEDED, 2, 0, 3_000_000)
    state.actions.abort(KEY, "late", 4_000_000)

    assert (now(state).ended_at, now(state).duration_ms) == (1_500_000, 500)
    assert now(state).phase == ABORTED


def test_a_status_of_an_unknown_action_is_taken_silently(state: State) -> None:
    assert not state.actions.set_status(KEY._replace(run="other"), RUNNING, 1, 0, 1)
    assert not state.actions.abort(KEY._replace(run="other"), "why", 1)


def test_events_are_kept_once_and_in_the_order_of_their_reports(state: State) -> None:
    assert state.events.add(event(RUNNING, 3, reported=20))
    assert state.events.add(event(QUEUED, 8, reported=10))
    assert not state.events.add(event(RUNNING, 9, reported=5))
    assert state.events.add(event(RUNNING, 9, version=1, reported=30))

    assert [(each.phase, each.version) for each in state.events.of(KEY)] == [(QUEUED, 0), (RUNNING, 0), (RUNNING, 1)]


def test_an_attempt_has_a_transition_for_each_phase() -> None:
    (attempt,) = attempts(
        [event(QUEUED, 1), event(INITIALIZING, 2), event(RUNNING, 3), event(RUNNING, 4, version=1), event(SUCCEEDED, 9)]
    )

    steps = [
        (step.phase, step.start_time.seconds, step.end_time.seconds if step.HasField("end_time") else None)
        for step in attempt.phase_transitions
    ]
    assert steps == [(QUEUED, 1, 2), (INITIALIZING, 2, 3), (RUNNING, 3, 9), (SUCCEEDED, 9, 9)]
    assert (attempt.phase, attempt.start_time.seconds, attempt.end_time.seconds) == (SUCCEEDED, 1, 9)


def test_the_first_end_of_an_attempt_stands() -> None:
    first = event(SUCCEEDED, 6, outputs={"output_uri": "first"})
    second = event(SUCCEEDED, 8, version=1, outputs={"output_uri": "second"})
    aborted = event(ABORTED, 9, cluster_events=[{"message": "aborted"}])

    (attempt,) = attempts([event(RUNNING, 3, outputs={"output_uri": "zero"}), first, second, aborted])

    assert attempt.outputs.output_uri == "first"
    assert (attempt.phase, attempt.end_time.seconds) == (SUCCEEDED, 6)
    assert [step.phase for step in attempt.phase_transitions] == [RUNNING, SUCCEEDED]
    assert [told.message for told in attempt.cluster_events] == ["aborted"]


def test_logs_are_merged_by_name_and_the_newest_wins() -> None:
    (attempt,) = attempts(
        [
            event(RUNNING, 3, log_info=[{"name": "user", "uri": "1"}, {"name": "b", "uri": "2"}]),
            event(RUNNING, 5, version=1, log_info=[{"name": "user", "uri": "3"}]),
        ]
    )

    assert [(log.name, log.uri) for log in attempt.log_info] == [("b", "2"), ("user", "3")]


def test_logs_are_available_once_a_pod_is_known() -> None:
    (before,) = attempts([event(QUEUED, 1)])
    (after,) = attempts([event(RUNNING, 1, log_context={"primary_pod_name": "p"}), event(ABORTED, 2)])

    assert not before.logs_available
    assert after.logs_available
    assert after.log_context.primary_pod_name == "p"


def test_the_error_of_the_last_attempt_is_the_action_s() -> None:
    told = [event(FAILED, 2, error_info={"message": "one"}), event(FAILED, 4, attempt=2, error_info={"message": "two"})]
    counted, ahead = run_definition_pb2.ActionDetails(), run_definition_pb2.ActionDetails()

    fill_details(counted, action(FAILED, attempts=2), told, b"")
    fill_details(ahead, action(FAILED, attempts=3), told, b"")

    assert counted.error_info.message == "two"
    assert not ahead.HasField("error_info")


def test_an_abort_without_a_call_has_no_reason() -> None:
    details = run_definition_pb2.ActionDetails()

    fill_details(details, action(ABORTED), [event(FAILED, 2, error_info={"message": "boom"})], b"")

    assert details.WhichOneof("result") == "abort_info"
    assert details.abort_info.reason == ""
    assert details.attempts[0].error_info.message == "boom"
