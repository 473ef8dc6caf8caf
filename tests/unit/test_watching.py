"""Waiting for actions and watching, on a clock that turns by hand."""

from __future__ import annotations

import math
import pickle
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

import pytest
from fakes import FakeChannel

from flyte_lite._clock import Cancel
from flyte_lite.errors import (
    CanceledError,
    Code,
    InternalError,
    NotFoundError,
    UnavailableError,
    WaitTimeoutError,
)
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import ActionPhase, PhaseTransitionInfo
from flyte_lite.remote import Action, ActionDetails, Run

QUEUED, INITIALIZING, RUNNING, SUCCEEDED, FAILED, TIMED_OUT, PAUSED = 1, 3, 4, 5, 6, 8, 9
LIST, DETAILS, DATA = "RunService/ListRuns", "RunService/GetActionDetails", "DataProxyService/GetActionData"
CLUSTER = "ClusterService/SelectCluster"
AWAY = UnavailableError("away", Code.UNAVAILABLE)
UTC = timezone.utc


def an_action(name: str = "step", phase: int = QUEUED) -> run_definition_pb2.Action:
    action = run_definition_pb2.Action()
    action.id.name, action.id.run.name, action.id.run.project, action.id.run.domain = name, "r1", "p", "d"
    action.status.phase = phase  # type: ignore[assignment]  # an enum's number
    return action


def told(
    phase: int, *attempts: dict[str, Any], name: str = "step", **status: Any
) -> run_service_pb2.GetActionDetailsResponse:
    details = run_definition_pb2.ActionDetails(id=an_action(name).id, attempts=attempts)
    details.status.CopyFrom(run_definition_pb2.ActionStatus(phase=phase, **status))  # type: ignore[arg-type]
    return run_service_pb2.GetActionDetailsResponse(details=details)


def action_over(channel: FakeChannel, phase: int = QUEUED, **session: Any) -> Action:
    return Action(an_action(phase=phase), channel.session(**session))


def run_over(channel: FakeChannel, phase: int = QUEUED) -> Run:
    return Run(run_definition_pb2.Run(action=an_action("a0", phase)), channel.session())


def test_a_child_is_waited_for_by_its_details_as_no_list_has_its_name() -> None:
    channel = FakeChannel().on(DETAILS, told(RUNNING), told(SUCCEEDED))
    action = action_over(channel)

    action.wait(quiet=True)

    assert action.phase is ActionPhase.SUCCEEDED
    assert [method for method, _ in channel.calls] == [DETAILS, DETAILS]


def test_a_root_is_waited_for_as_its_run_is() -> None:
    listed = run_service_pb2.ListRunsResponse(runs=[{"action": an_action("a0", SUCCEEDED)}])
    channel = FakeChannel().on(LIST, listed)
    action = Action(an_action("a0"), channel.session())

    action.wait(quiet=True)

    assert action.done()
    assert [method for method, _ in channel.calls] == [LIST]


@pytest.mark.parametrize("make", [action_over, run_over], ids=["action", "run"])
def test_logs_are_ready_when_an_attempt_says_so(make: Callable[[FakeChannel], Any]) -> None:
    channel = FakeChannel().on(
        DETAILS,
        told(QUEUED),
        told(RUNNING, {"attempt": 1}),
        # The status of a parent says 0 attempts while its children run.
        told(RUNNING, {"attempt": 1, "logs_available": True}, attempts=0),
    )
    step = make(channel)

    step.wait(quiet=True, wait_for="logs-ready")

    assert step.phase is ActionPhase.RUNNING
    assert len(channel.calls) == 3


def test_an_end_is_enough_for_whatever_is_waited_for() -> None:
    for wait_for in ("running", "logs-ready"):
        channel = FakeChannel().on(DETAILS, told(FAILED))
        action = action_over(channel)
        action.wait(True, wait_for)  # type: ignore[arg-type]
        assert action.done()


def test_an_attempt_that_has_ended_is_not_the_end_of_its_action() -> None:
    # The real server tells the event some time before the status.
    early = told(RUNNING, {"attempt": 1, "phase": SUCCEEDED})
    channel = FakeChannel().on(DETAILS, early, early, told(SUCCEEDED, {"attempt": 1, "phase": SUCCEEDED}))
    action = action_over(channel)

    action.wait(quiet=True)

    assert len(channel.calls) == 3
    channel.on(DETAILS, early, early, told(SUCCEEDED, {"attempt": 1, "phase": SUCCEEDED}))
    assert [details.phase for details in action_over(channel).watch()] == ["running", "succeeded"]


def test_too_long_a_wait_for_a_child_says_which() -> None:
    channel = FakeChannel().on(DETAILS, told(RUNNING))

    with pytest.raises(WaitTimeoutError, match=r"for action step of run r1 after 2 s: it is running\."):
        action_over(channel).wait(quiet=True, timeout=2)


def test_patience_is_the_length_of_an_outage() -> None:
    channel = FakeChannel().on(DETAILS, AWAY)

    with pytest.raises(UnavailableError):
        action_over(channel).wait(quiet=True, patience=20)
    assert 1020 < channel.clock.now < 1025
    with pytest.raises(UnavailableError):
        list(action_over(channel).watch(patience=20))
    assert 1040 < channel.clock.now < 1050


@pytest.mark.parametrize("method", ["wait", "watch", "watch_updates"])
@pytest.mark.parametrize(
    "bad", [{"timeout": -1}, {"patience": math.nan}, {"patience": "long"}, {"interval": 0.01}], ids=str
)
def test_what_can_not_be_is_refused_when_it_is_called(method: str, bad: dict[str, Any]) -> None:
    channel = FakeChannel()
    thing: Any = action_over(channel)
    if method == "watch_updates":
        thing = ActionDetails(told(RUNNING).details, channel.session())
    with pytest.raises(ValueError, match="give"):
        getattr(thing, method)(**bad)
    assert channel.calls == []


def test_each_change_is_told_once() -> None:
    answers = [QUEUED, QUEUED, INITIALIZING, RUNNING, RUNNING, SUCCEEDED]
    channel = FakeChannel().on(DETAILS, *map(told, answers))
    action = action_over(channel)

    seen = []
    for details in action.watch():
        assert action.phase is details.phase
        seen.append(details.phase)

    assert seen == ["queued", "initializing", "running", "succeeded"]
    assert channel.calls[-1][0] == DETAILS
    assert len(channel.calls) == 6
    assert action.pb2.status.phase == SUCCEEDED


def test_a_run_is_watched_by_its_root() -> None:
    ended = told(SUCCEEDED, name="a0")
    ended.details.metadata.task.id.name = "env.task"
    channel = FakeChannel().on(DETAILS, told(RUNNING, name="a0"), ended)
    run = run_over(channel)

    assert [(details.name, details.phase) for details in run.watch()] == [("a0", "running"), ("a0", "succeeded")]
    assert run.done()
    assert run.action.task_name == "env.task"


@pytest.mark.parametrize(
    ("wait_for", "last"), [("running", PAUSED), ("logs-ready", QUEUED), ("terminal", SUCCEEDED)], ids=str
)
def test_a_watch_ends_with_what_is_waited_for(wait_for: Any, last: int) -> None:
    answers = [told(QUEUED), told(QUEUED, {"attempt": 1, "logs_available": True}), told(PAUSED), told(SUCCEEDED)]
    channel = FakeChannel().on(DETAILS, *answers)

    *_, end = action_over(channel).watch(wait_for=wait_for)

    assert end.raw_phase == last


def test_an_outage_is_not_told() -> None:
    gone = NotFoundError("overloaded", Code.NOT_FOUND)
    failed = InternalError("its database timed out", Code.INTERNAL)
    channel = FakeChannel().on(DETAILS, gone, told(RUNNING), AWAY, gone, failed, told(RUNNING), told(SUCCEEDED))

    assert [details.phase for details in action_over(channel).watch()] == ["running", "succeeded"]


def test_what_nobody_saw_before_is_believed_to_be_missing() -> None:
    gone = NotFoundError("no such action", Code.NOT_FOUND)
    channel = FakeChannel().on(DETAILS, AWAY, gone, told(SUCCEEDED))
    watched = ActionDetails.bind(channel.session()).watch(an_action().id)

    with pytest.raises(NotFoundError):
        next(watched)
    channel.on(DETAILS, told(RUNNING), gone, told(SUCCEEDED))
    watched = ActionDetails.bind(channel.session()).watch(an_action().id)
    assert [details.phase for details in watched] == ["running", "succeeded"]


def test_a_watch_needs_an_identifier() -> None:
    with pytest.raises(ValueError, match="identifier of an action"):
        ActionDetails.watch(type(an_action().id)())


def test_a_watch_of_too_long_says_so() -> None:
    channel = FakeChannel().on(DETAILS, told(RUNNING))
    watched = action_over(channel).watch(timeout=5)

    assert next(watched).phase == "running"
    with pytest.raises(WaitTimeoutError, match="action step of run r1 after 5 s: it is running"):
        next(watched)
    assert channel.clock.now == pytest.approx(1005)


def test_a_canceled_watch_says_so() -> None:
    cancel = Cancel()
    channel = FakeChannel().on(DETAILS, told(RUNNING))
    watched = action_over(channel, cancel=cancel).watch()
    next(watched)
    cancel.cancel()

    with pytest.raises(CanceledError):
        next(watched)


def test_whoever_takes_long_over_a_change_is_told_the_next_at_once() -> None:
    channel = FakeChannel().on(DETAILS, told(QUEUED), told(RUNNING), AWAY, told(SUCCEEDED))
    seen = []
    for details in action_over(channel).watch():
        seen.append(details.phase)
        if len(seen) == 1:
            channel.clock.now += 4000
            channel.clock.slept.clear()

    assert seen == ["queued", "running", "succeeded"]
    assert all(seconds > 1 for seconds in channel.clock.slept), "the pace is that of the whole watch"


def test_data_come_along_if_they_are_asked_for() -> None:
    data = dataproxy_service_pb2.GetActionDataResponse()
    data.inputs.literals.add(name="x").value.scalar.primitive.integer = 3
    channel = FakeChannel().on(DETAILS, told(RUNNING), told(SUCCEEDED)).on(DATA, data)
    channel.on(CLUSTER, UnavailableError("no clusters", Code.UNIMPLEMENTED))
    details = ActionDetails(told(QUEUED).details, channel.session())

    *_, last = details.watch_updates(cache_data_on_done=True)

    assert details.phase is last.phase is ActionPhase.SUCCEEDED
    assert len(channel.asked(DATA)) == 1
    assert list(details.input_literals()) == list(last.input_literals()) == ["x"]
    assert len(channel.asked(DATA)) == 1
    channel.on(DETAILS, told(SUCCEEDED))
    (only,) = action_over(channel).watch(cache_data_on_done=True)
    assert only.input_literals()
    assert len(channel.asked(DATA)) == 2


def test_data_that_can_not_be_had_do_not_hide_the_end() -> None:
    channel = FakeChannel().on(DETAILS, told(FAILED)).on(DATA, NotFoundError("gone", Code.NOT_FOUND))
    channel.on(CLUSTER, UnavailableError("no clusters", Code.UNIMPLEMENTED))

    (last,) = action_over(channel).watch(cache_data_on_done=True)

    assert last.phase == "failed"
    with pytest.raises(NotFoundError, match="gone"):
        last.inputs()


IDE = run_definition_pb2.ActionAttempt().log_info.add().IDE


def log(uri: str, *, ready: bool = True, link_type: int = IDE) -> dict[str, Any]:
    return {"attempt": 1, "log_info": [{"uri": uri, "ready": ready, "link_type": link_type}]}


@pytest.mark.parametrize(
    ("uri", "url"),
    [("/dataplane/ide", "http://fake/dataplane/ide"), ("https://ide.example.com/x", "https://ide.example.com/x")],
)
def test_an_editor_is_waited_for_until_it_can_be_opened(uri: str, url: str) -> None:
    channel = FakeChannel().on(
        DETAILS,
        told(QUEUED),
        told(RUNNING, log(uri, ready=False)),
        told(RUNNING, log("/dashboard", link_type=1)),
        told(RUNNING, log(uri)),
    )

    assert run_over(channel).get_debug_url() == url


def test_a_run_that_ends_without_an_editor_has_none() -> None:
    channel = FakeChannel().on(DETAILS, told(RUNNING), told(SUCCEEDED))

    assert run_over(channel).get_debug_url() is None
    channel.on(DETAILS, told(RUNNING))
    with pytest.raises(WaitTimeoutError):
        run_over(channel).get_debug_url(timeout=3)


def test_details_by_name_and_by_identifier() -> None:
    channel = FakeChannel().on(DETAILS, told(RUNNING))
    details = ActionDetails.bind(channel.session())

    assert details.get(run_name="r1", name="step").is_running
    assert details.get(None, "r1").phase == "running"
    assert details.get_details(an_action("other").id).run_name == "r1"
    assert [request.action_id.name for request in channel.asked(DETAILS)] == ["step", "a0", "other"]
    with pytest.raises(ValueError, match="run_name="):
        details.get("whatever")


def at(second: float) -> dict[str, int]:
    return {"seconds": 1_700_000_000 + int(second), "nanos": round(second % 1 * 1e9)}


def details_of(response: run_service_pb2.GetActionDetailsResponse) -> ActionDetails:
    channel = FakeChannel()
    channel.clock.now = 100.0  # at 1_700_000_100
    return ActionDetails(response.details, channel.session())


def test_how_long_it_took() -> None:
    assert details_of(told(SUCCEEDED, start_time=at(0), end_time=at(2.5))).runtime == timedelta(seconds=2.5)
    assert details_of(told(RUNNING, start_time=at(90))).runtime == timedelta(seconds=10)
    assert details_of(told(RUNNING)).runtime == timedelta(0), "not since 1970"
    assert details_of(told(SUCCEEDED, start_time=at(3), end_time=at(2))).runtime == timedelta(0)
    assert details_of(told(SUCCEEDED, start_time=at(3), duration_ms=1500)).runtime == timedelta(seconds=1.5)


def test_the_end_of_an_attempt_before_is_not_the_end() -> None:
    # The real server keeps the time of the first failure.
    assert details_of(told(RUNNING, start_time=at(0), end_time=at(2))).runtime == timedelta(seconds=100)
    later = told(SUCCEEDED, {"attempt": 2, "end_time": at(9)}, start_time=at(0), end_time=at(2))
    assert details_of(later).runtime == timedelta(seconds=9)


STEPS = [
    {"phase": QUEUED, "start_time": at(0), "end_time": at(1)},
    {"phase": INITIALIZING, "start_time": at(1), "end_time": at(3)},
    {"phase": QUEUED, "start_time": at(3), "end_time": at(6)},
    {"phase": RUNNING, "start_time": at(60)},
]


def test_phases_and_how_long_each_took() -> None:
    details = details_of(
        told(RUNNING, {"attempt": 1, "phase_transitions": STEPS[:2]}, {"attempt": 2, "phase_transitions": STEPS})
    )

    steps = details.get_phase_transitions()
    assert [step.phase for step in steps] == ["queued", "initializing", "queued", "running"]
    assert steps[0].start_time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert steps[3].end_time is None
    assert steps[3].duration == timedelta(seconds=40)
    assert details.phase_durations == {
        ActionPhase.QUEUED: timedelta(seconds=4),
        ActionPhase.INITIALIZING: timedelta(seconds=2),
        ActionPhase.RUNNING: timedelta(seconds=40),
    }
    assert details.queued_time == timedelta(seconds=4)
    assert details.initializing_time == timedelta(seconds=2)
    assert details.running_time == timedelta(seconds=40)
    assert details.waiting_for_resources_time is None
    assert [step.phase for step in details.get_phase_transitions(1)] == ["queued", "initializing"]
    assert details.get_phase_transitions(3) == []
    assert details_of(told(QUEUED)).phase_durations == {}


def test_attempts_are_counted_by_what_there_is() -> None:
    attempts = {"attempt": 1, "logs_available": True}, {"attempt": 2}
    # While children run the status says 0.
    details = details_of(told(RUNNING, *attempts, attempts=0))

    assert details.attempts == 2
    assert details.logs_available(1)
    assert not details.logs_available()
    assert not details.logs_available(3)
    assert details_of(told(RUNNING, {"phase": FAILED}, {"phase": RUNNING}, attempts=0)).attempts == 2, "by place"
    assert details_of(told(QUEUED, attempts=1)).attempts == 1
    assert details_of(told(QUEUED)).attempts == 0


def test_a_phase_of_an_attempt_is_a_value() -> None:
    start, end = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 7, tzinfo=UTC)
    step = PhaseTransitionInfo(ActionPhase.QUEUED, start, end)

    assert step.duration == timedelta(seconds=2)
    assert step == pickle.loads(pickle.dumps(step)) == PhaseTransitionInfo(ActionPhase.QUEUED, start, end)
    assert hash(step) == hash(PhaseTransitionInfo(ActionPhase.QUEUED, start, end))
    assert step != PhaseTransitionInfo(ActionPhase.QUEUED, start, None)
    assert PhaseTransitionInfo(ActionPhase.QUEUED, end, start).duration == timedelta(0)
    assert PhaseTransitionInfo(ActionPhase.QUEUED, start, None).duration > timedelta(0)
    assert repr(step) == "PhaseTransitionInfo(queued: 2026-01-02 03:04:05.000000 to 03:04:07.000000)"
    assert repr(PhaseTransitionInfo(ActionPhase.QUEUED, start, None)).endswith("to now)")
    assert step != "queued"
