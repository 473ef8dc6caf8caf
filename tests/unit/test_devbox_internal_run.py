"""InternalRunService and EventsProxyService, and what clients see of what they were told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from devbox_services import CALL, Services, action_id, task_id

from flyte_lite import errors
from flyte_lite.devbox._refusal import ConnectionDropped
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2
from flyte_lite.idl.flyteidl2.workflow import (
    events_proxy_service_pb2,
    internal_run_service_pb2,
    run_definition_pb2,
    run_service_pb2,
)

P = phase_pb2
QUEUED, RUNNING, SUCCEEDED = P.ACTION_PHASE_QUEUED, P.ACTION_PHASE_RUNNING, P.ACTION_PHASE_SUCCEEDED
FAILED, ABORTED, PAUSED = P.ACTION_PHASE_FAILED, P.ACTION_PHASE_ABORTED, P.ACTION_PHASE_PAUSED
TIMED_OUT, RECOVERED = P.ACTION_PHASE_TIMED_OUT, P.ACTION_PHASE_RECOVERED


@pytest.fixture
def box() -> Iterator[Services]:
    made = Services()
    made.deploy()
    made.create("r1")
    yield made
    made.state.close()


def action(box: Services, name: str = "a0") -> run_definition_pb2.ActionDetails:
    request = run_service_pb2.GetActionDetailsRequest(action_id=action_id(name))
    return box.runs.get_action_details(request, CALL).details


@pytest.mark.parametrize(
    ("present", "news", "taken"),
    [
        (QUEUED, RUNNING, True),
        (RUNNING, RUNNING, True),
        (RUNNING, QUEUED, False),
        (SUCCEEDED, FAILED, True),
        (SUCCEEDED, RUNNING, False),
        (ABORTED, TIMED_OUT, True),
        (ABORTED, SUCCEEDED, False),
        (FAILED, QUEUED, True),
        (TIMED_OUT, RUNNING, True),
        (PAUSED, SUCCEEDED, True),
        (PAUSED, RUNNING, False),
        (RECOVERED, ABORTED, False),
    ],
)
def test_older_news_is_passed_over(box: Services, present: int, news: int, taken: bool) -> None:
    box.tell(present)

    box.tell(news)

    assert action(box).status.phase == (news if taken else present)


def test_attempts_and_the_cache_are_overwritten(box: Services) -> None:
    box.tell(RUNNING, attempts=3)
    assert action(box).status.attempts == 3

    box.tell(RUNNING, attempts=0)

    assert action(box).status.attempts == 0


def test_the_first_end_stands(box: Services) -> None:
    box.tell(FAILED, start_time=100, end_time=102)
    box.tell(RUNNING)
    box.tell(SUCCEEDED, end_time=200)

    status = action(box).status

    assert (status.start_time.seconds, status.end_time.seconds, status.duration_ms) == (100, 102, 2000)


def test_an_end_before_the_beginning_took_no_time(box: Services) -> None:
    box.tell(FAILED, end_time=1)

    assert action(box).status.duration_ms == 0


def test_an_end_that_nobody_timed_is_a_millisecond_after_the_beginning_or_more(box: Services) -> None:
    box.create("r2")
    box.tell(SUCCEEDED, run="r2")

    status = box.details("r2").action.status

    took = status.end_time.ToMicroseconds() - status.start_time.ToMicroseconds()
    assert took >= 1000
    assert status.duration_ms == took // 1000


def test_an_end_that_was_timed_is_taken_as_it_is(box: Services) -> None:
    box.tell(SUCCEEDED, start_time=100, end_time=100)

    assert (action(box).status.end_time.seconds, action(box).status.duration_ms) == (100, 0)


def test_news_of_nothing_known_is_no_error(box: Services) -> None:
    box.tell(RUNNING, "nope")

    with pytest.raises(errors.NotFoundError):
        action(box, "nope")


def test_a_status_of_nothing_at_all_drops_the_connection(box: Services) -> None:
    with pytest.raises(ConnectionDropped):
        box.internal.update_action_status(internal_run_service_pb2.UpdateActionStatusRequest(), CALL)


def test_a_child_is_recorded_once(box: Services) -> None:
    box.child("c1")
    box.child("c1", parent="other", task="env.other")

    child = action(box, "c1")

    assert (child.metadata.parent, child.metadata.task.id.name) == ("a0", "env.child")
    assert child.metadata.task.short_name == "env.child"
    assert not child.HasField("task")
    assert child.status.phase == QUEUED


def test_an_action_of_no_kind_is_refused_inside_the_answer(box: Services) -> None:
    request = internal_run_service_pb2.RecordActionRequest(action_id=action_id("c1"))

    response = box.internal.record_action(request, CALL)

    assert (response.status.code, response.action_id.name) == (3, "c1")
    with pytest.raises(errors.NotFoundError):
        action(box, "c1")


def test_a_condition_is_answered(box: Services) -> None:
    request = internal_run_service_pb2.RecordActionRequest(action_id=action_id("k1"), parent="a0")
    request.condition.name = "ok?"
    request.condition.type.simple = types_pb2.BOOLEAN
    box.internal.record_action(request, CALL)
    box.tell(PAUSED, "k1")
    answer = internal_run_service_pb2.UpdateActionStatusRequest(action_id=action_id("k1"))
    answer.status.phase = SUCCEEDED
    answer.output.CopyFrom(literals_pb2.Literal())
    answer.output.scalar.primitive.boolean = True
    box.internal.update_action_status(answer, CALL)

    found = action(box, "k1")

    assert found.metadata.condition.type.simple == types_pb2.BOOLEAN
    assert found.condition.name == "ok?"
    assert found.signal_info.output.scalar.primitive.boolean


def test_a_trace_is_told_when_it_is_over(box: Services) -> None:
    request = internal_run_service_pb2.RecordActionRequest(action_id=action_id("t1"), parent="a0", input_uri="s3://in")
    request.trace.name = "square"
    request.trace.start_time.FromSeconds(100)
    request.trace.end_time.FromSeconds(101)
    request.trace.outputs.output_uri = "s3://out"
    box.internal.record_action(request, CALL)

    found = action(box, "t1")
    uris = run_service_pb2.GetActionDataURIsRequest(action_id=action_id("t1"))

    assert found.metadata.trace.name == "square"
    assert (found.status.phase, found.status.duration_ms) == (SUCCEEDED, 1000)
    assert box.runs.get_action_data_uris(uris, CALL).outputs_uri == "s3://out"


def test_the_earliest_end_of_an_attempt_stands(box: Services) -> None:
    box.event(RUNNING, at=10)
    box.event(FAILED, at=30, version=1, error_info=run_definition_pb2.ErrorInfo(message="late"))
    box.event(FAILED, at=20, error_info=run_definition_pb2.ErrorInfo(message="early"))

    (attempt,) = action(box).attempts

    assert (attempt.error_info.message, attempt.end_time.seconds) == ("early", 20)


def test_a_phase_and_version_are_taken_once(box: Services) -> None:
    box.event(RUNNING, at=10, cluster="first")
    box.event(RUNNING, at=11, cluster="second")

    assert action(box).attempts[0].cluster == "first"


def test_events_may_come_before_their_run_and_belong_to_it_then(box: Services) -> None:
    request = events_proxy_service_pb2.RecordRequest()
    request.events.add(id=action_id(run="r2"), attempt=1, phase=RUNNING)
    box.events.record(request, CALL)

    box.create("r2")

    (attempt,) = box.details("r2").action.attempts
    assert attempt.phase == RUNNING
    assert not attempt.HasField("start_time")


def test_each_phase_is_a_step_once_and_nothing_follows_an_end(box: Services) -> None:
    for at, phase in enumerate((QUEUED, RUNNING, QUEUED, FAILED, SUCCEEDED)):
        box.event(phase, at=at + 1, version=at)

    steps = action(box).attempts[0].phase_transitions

    assert [(step.phase, step.start_time.seconds, step.end_time.seconds) for step in steps] == [
        (QUEUED, 1, 2),
        (RUNNING, 2, 4),
        (FAILED, 4, 4),
    ]


def test_the_last_event_tells_the_outputs_and_any_tells_the_report(box: Services) -> None:
    told = run_definition_pb2.ActionEvent().outputs
    told.output_uri, told.report_uri = "s3://out", "s3://report"
    box.event(RUNNING, at=1, outputs=told)
    box.event(SUCCEEDED, at=2)

    outputs = action(box).attempts[0].outputs

    assert (outputs.output_uri, outputs.report_uri) == ("", "s3://report")


def test_only_the_newest_event_tells_where_the_log_is(box: Services) -> None:
    def asked() -> str:
        request = run_service_pb2.GetActionLogContextRequest(action_id=action_id(), attempt=1)
        return box.runs.get_action_log_context(request, CALL).log_context.primary_pod_name

    context = run_definition_pb2.ActionEvent().log_context
    context.primary_pod_name = "pod"
    with pytest.raises(errors.NotFoundError, match="no event found"):
        asked()
    box.event(RUNNING, at=1, log_context=context)
    assert asked() == "pod"
    box.event(ABORTED, at=2)
    with pytest.raises(errors.NotFoundError, match="no log context found"):
        asked()


def test_a_run_of_a_recorded_task_stays_queued_until_it_is_driven(box: Services) -> None:
    assert action(box).status.phase == QUEUED
    box.tell(RUNNING)
    box.event(SUCCEEDED, at=1)
    assert action(box).status.phase == RUNNING
    box.tell(SUCCEEDED)

    assert box.details("r1").action.status.phase == SUCCEEDED
    assert task_id().name == action(box).metadata.task.id.name
