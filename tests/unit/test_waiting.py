"""Waiting by asking, on a clock that turns by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Optional, TypeVar

import pytest
from fakes import FakeChannel, FakeClock

from flyte_lite._clock import Cancel, Deadline
from flyte_lite.errors import (
    CallTimeoutError,
    CanceledError,
    Code,
    ConnectionLostError,
    InternalError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RpcError,
    RuntimeSystemError,
    UnavailableError,
    WaitTimeoutError,
)
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import Run
from flyte_lite.remote._waiting import PATIENCE, Patience, Poll, pause

QUEUED, RUNNING, SUCCEEDED, FAILED, PAUSED = 1, 4, 5, 6, 9
SOME_NEW_PHASE = 42
T = TypeVar("T")


def middle() -> float:
    return 0.5


def poll(
    ask: Callable[[], T], enough: Callable[[T], bool], deadline: Deadline, patience: float = PATIENCE
) -> Optional[T]:
    return Poll(deadline, middle).until(ask, enough, Patience(deadline.clock, patience))


def a_run(phase: int = QUEUED) -> run_definition_pb2.Run:
    run = run_definition_pb2.Run()
    run.action.id.name = "a0"
    run.action.id.run.name = "r1"
    run.action.id.run.project = "p"
    run.action.id.run.domain = "d"
    run.action.status.phase = phase
    return run


def listed(phase: int) -> run_service_pb2.ListRunsResponse:
    return run_service_pb2.ListRunsResponse(runs=[a_run(phase)])


def test_pauses_grow_with_the_time_waited_and_stay_within_their_limits() -> None:
    assert pause(0.0, 0.5) == pytest.approx(0.2)
    assert pause(60.0, 0.5) == pytest.approx(3.0)
    assert pause(3600.0, 0.5) == pytest.approx(10.0)
    assert pause(0.0, 0.0) == pytest.approx(0.18)
    assert pause(0.0, 1.0) == pytest.approx(0.22)


def test_an_hour_costs_fewer_than_500_questions_and_the_end_is_seen_in_time() -> None:
    clock = FakeClock()
    end = clock.now + 3600
    asked = []

    def ask() -> bool:
        asked.append(clock.now)
        return clock.now >= end

    poll(ask, bool, Deadline(clock, None))

    assert len(asked) < 500
    assert clock.now - end <= 10.5


def test_a_deadline_ends_it_with_none_and_is_not_overslept() -> None:
    clock = FakeClock()

    assert poll(lambda: False, bool, Deadline(clock, 7.0)) is None
    assert clock.now == pytest.approx(1007.0)


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("away", Code.UNAVAILABLE),
        ConnectionLostError("reset"),
        NotFoundError("overloaded", Code.NOT_FOUND),
        InternalError("its database timed out", Code.INTERNAL),
        RpcError("its database timed out", Code.UNKNOWN),
        RateLimitedError("slower", Code.RESOURCE_EXHAUSTED),
        CallTimeoutError("no answer", Code.DEADLINE_EXCEEDED),
    ],
    ids=["unavailable", "lost", "not found", "internal", "unknown", "rate", "timeout"],
)
def test_an_outage_shorter_than_patience_is_waited_out(error: Exception) -> None:
    clock = FakeClock()
    back = clock.now + 200

    def ask() -> str:
        if clock.now < back:
            raise error
        return "here"

    assert poll(ask, bool, Deadline(clock, None)) == "here"


def test_an_outage_longer_than_patience_is_raised_as_it_was() -> None:
    clock = FakeClock()

    def ask() -> str:
        raise UnavailableError("away", Code.UNAVAILABLE)

    with pytest.raises(UnavailableError, match="away"):
        poll(ask, bool, Deadline(clock, None), 300)
    assert 1300 < clock.now < 1330


def test_only_consecutive_failures_spend_the_patience() -> None:
    clock = FakeClock()
    answers = iter([False, None] * 300)

    def ask() -> bool:
        clock.now += 5
        answer = next(answers, True)
        if answer is None:
            raise UnavailableError("away", Code.UNAVAILABLE)
        return answer

    assert poll(ask, bool, Deadline(clock, None), 30) is True


def test_what_does_not_pass_by_itself_is_raised_at_once() -> None:
    clock = FakeClock()

    def ask() -> str:
        raise PermissionDeniedError("no", Code.PERMISSION_DENIED)

    with pytest.raises(PermissionDeniedError):
        poll(ask, bool, Deadline(clock, None))
    assert clock.slept == []


def test_a_bug_of_ours_is_not_taken_for_an_outage() -> None:
    with pytest.raises(ZeroDivisionError):
        poll(lambda: 1 / 0, bool, Deadline(FakeClock(), None))


def test_wait_asks_at_once_and_keeps_the_state_it_saw() -> None:
    channel = FakeChannel().on("RunService/ListRuns", listed(RUNNING), listed(SUCCEEDED))
    run = Run(a_run(), channel.session())

    run.wait(quiet=True)

    assert run.phase is ActionPhase.SUCCEEDED
    assert channel.clock.slept[0] < 0.3
    assert len(channel.asked("RunService/ListRuns")) == 2


def test_wait_on_a_finished_run_asks_nothing() -> None:
    channel = FakeChannel()

    Run(a_run(FAILED), channel.session()).wait(quiet=True)

    assert channel.calls == []


def test_wait_for_running_is_content_with_running() -> None:
    channel = FakeChannel().on("RunService/ListRuns", listed(QUEUED), listed(RUNNING))
    run = Run(a_run(), channel.session())

    run.wait(quiet=True, wait_for="running")

    assert run.phase is ActionPhase.RUNNING


def test_a_phase_that_we_do_not_know_is_not_an_end() -> None:
    channel = FakeChannel().on("RunService/ListRuns", listed(SOME_NEW_PHASE), listed(SUCCEEDED))
    run = Run(a_run(), channel.session())

    run.wait(quiet=True)

    assert run.done()


def test_an_end_time_is_not_an_end() -> None:
    restarted = listed(RUNNING)
    restarted.runs[0].action.status.end_time.seconds = 5
    channel = FakeChannel().on("RunService/ListRuns", restarted, listed(SUCCEEDED))
    run = Run(a_run(), channel.session())

    run.wait(quiet=True)

    assert run.phase is ActionPhase.SUCCEEDED


def test_a_wait_that_takes_too_long_says_what_was_seen_and_that_the_run_goes_on() -> None:
    channel = FakeChannel().on("RunService/ListRuns", listed(RUNNING))
    run = Run(a_run(), channel.session())

    with pytest.raises(WaitTimeoutError, match=r"run r1 after 3 s: it is running\. The run goes on") as caught:
        run.wait(quiet=True, timeout=3)

    assert caught.value.phase == "running"
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.failure is None


@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "never seen"])
def test_a_wait_that_ends_in_an_outage_says_so(seen: bool) -> None:
    channel = FakeChannel()
    away = UnavailableError("away", Code.UNAVAILABLE)
    channel.on("RunService/ListRuns", *[listed(RUNNING)] * seen, away)
    run = Run(a_run(), channel.session())

    with pytest.raises(WaitTimeoutError, match=r"; the last question failed: unavailable: away\. The run") as caught:
        run.wait(timeout=3)
    assert caught.value.failure is away


def test_a_question_that_the_end_cuts_short_is_no_failure_but_the_only_one_is() -> None:
    channel = FakeChannel()

    def hangs(_: object) -> object:
        channel.clock.now += 60
        raise CallTimeoutError("no answer", Code.DEADLINE_EXCEEDED)

    channel.on("RunService/ListRuns", listed(RUNNING), hangs)
    with pytest.raises(WaitTimeoutError) as caught:
        Run(a_run(), channel.session()).wait(timeout=3)
    assert caught.value.failure is None

    channel.on("RunService/ListRuns", hangs)
    with pytest.raises(WaitTimeoutError, match="no answer"):
        Run(a_run(), channel.session()).wait(timeout=3)


def test_a_server_that_can_not_search_by_name_is_asked_otherwise_from_then_on() -> None:
    from flyte_lite.errors import InvalidArgumentError

    details = run_service_pb2.GetActionDetailsResponse()
    details.details.status.phase = RUNNING
    ended = run_service_pb2.GetActionDetailsResponse()
    ended.details.status.phase = SUCCEEDED
    channel = FakeChannel()
    channel.on("RunService/ListRuns", InvalidArgumentError("no such field", Code.INVALID_ARGUMENT))
    channel.on("RunService/GetActionDetails", details, details, ended)
    run = Run(a_run(), channel.session())

    run.wait(quiet=True)

    assert len(channel.asked("RunService/ListRuns")) == 1
    assert len(channel.asked("RunService/GetActionDetails")) == 3


def test_an_unknown_wait_for_is_refused_before_anything_is_asked() -> None:
    channel = FakeChannel()

    with pytest.raises(ValueError, match="terminal"):
        Run(a_run(), channel.session()).wait(wait_for="finished")  # type: ignore[arg-type]
    assert channel.calls == []


@pytest.mark.parametrize("answer", [False, NotFoundError("overloaded", Code.NOT_FOUND)], ids=["not yet", "failure"])
@pytest.mark.parametrize("seconds", [None, 60.0])
def test_a_cancel_while_a_question_is_answered_is_a_cancel_and_no_timeout(answer: Any, seconds: Any) -> None:
    cancel = Cancel()
    asked = []

    def ask() -> bool:
        asked.append(True)
        if len(asked) == 2:
            cancel.cancel()
            if isinstance(answer, Exception):
                raise answer
        return False

    with pytest.raises(CanceledError):
        poll(ask, bool, Deadline(FakeClock(), seconds, cancel))


def test_a_failure_that_would_have_passed_does_not_hide_that_the_time_is_up() -> None:
    clock = FakeClock()

    def ask() -> bool:
        clock.now += 5
        raise NotFoundError("overloaded", Code.NOT_FOUND)

    assert poll(ask, bool, Deadline(clock, 12.0)) is None


@pytest.mark.parametrize("timeout", [-1, math.nan, "3"])
def test_a_timeout_that_is_no_length_of_time_is_refused_before_anything_is_asked(timeout: Any) -> None:
    channel = FakeChannel()

    with pytest.raises(ValueError, match="give seconds, or None"):
        Run(a_run(), channel.session()).wait(timeout=timeout)
    assert channel.calls == []


@pytest.mark.parametrize("phase", [RUNNING, PAUSED])
def test_a_run_that_has_started_is_enough_if_that_is_waited_for(phase: int) -> None:
    channel = FakeChannel().on("RunService/ListRuns", listed(QUEUED), listed(phase))
    run = Run(a_run(), channel.session())

    run.wait(quiet=True, wait_for="running")

    assert run.raw_phase == phase


def test_a_run_of_another_name_is_not_taken_for_the_one_asked_for() -> None:
    # A server that does not know the filter answers with any run.
    other = listed(SUCCEEDED)
    other.runs[0].action.id.run.name = "r2"
    running = run_service_pb2.GetActionDetailsResponse()
    running.details.status.phase = RUNNING
    channel = FakeChannel().on("RunService/ListRuns", other).on("RunService/GetActionDetails", running)

    run = Run(a_run(), channel.session()).sync()

    assert run.phase is ActionPhase.RUNNING


def test_one_question_that_hangs_does_not_take_the_whole_wait() -> None:
    channel = FakeChannel()
    seen = []

    def hang(request: object) -> run_service_pb2.ListRunsResponse:
        seen.append(channel.deadline.left())
        return listed(SUCCEEDED)

    channel.on("RunService/ListRuns", hang)
    Run(a_run(), channel.session(timeout=30)).wait(quiet=True, timeout=3600)

    assert seen == [30]


def test_a_caller_may_say_how_often_to_ask() -> None:
    clock = FakeClock()
    channel = FakeChannel(clock).on("RunService/ListRuns", listed(QUEUED), listed(QUEUED), listed(SUCCEEDED))

    Run(a_run(), channel.session()).wait(interval=2.5)

    assert clock.slept == [2.5, 2.5]


@pytest.mark.parametrize("interval", [0, 0.05, -1, math.nan, "often"])
def test_an_interval_must_leave_the_server_its_time(interval: Any) -> None:
    with pytest.raises(ValueError, match=r"interval is .*; give 0\.1 seconds or more"):
        Run(a_run(), FakeChannel().session()).wait(interval=interval)


def test_what_was_seen_before_is_asked_for_again_if_it_is_not_found() -> None:
    gone = NotFoundError("overloaded", Code.NOT_FOUND)
    details = run_service_pb2.GetRunDetailsResponse(details={"action": {"status": {"phase": SUCCEEDED}}})
    failed = run_service_pb2.GetActionDetailsResponse(details={"status": {"phase": FAILED}})
    channel = FakeChannel()
    channel.on("RunService/ListRuns", listed(RUNNING), run_service_pb2.ListRunsResponse())
    channel.on("RunService/GetRunDetails", gone, gone, gone, details)
    channel.on("RunService/GetActionDetails", gone, failed)
    run = Run(a_run(RUNNING), channel.session())

    assert run.sync().phase == "running"
    assert run.sync().phase == "failed", "by its details, as the list does not show it"
    channel.on("RunService/GetActionDetails", gone, failed)
    assert run.action.details().phase == "failed"
    channel.on("RunService/GetActionDetails", gone, gone, failed)
    with pytest.raises(RuntimeSystemError, match="does not say why"):
        run.raise_for_status()
    assert run.details().done()
    assert 2.1 < sum(channel.clock.slept) < 2.7


def test_what_stays_away_is_believed_to_be_gone_soon() -> None:
    gone = NotFoundError("no such run", Code.NOT_FOUND)
    channel = FakeChannel().on("RunService/GetRunDetails", gone)
    run = Run(a_run(), channel.session())

    with pytest.raises(NotFoundError, match="no such run"):
        run.details()
    assert len(channel.calls) == 4
    assert channel.clock.now < 1002
    run = Run(a_run(), channel.session(timeout=0.5))
    with pytest.raises(NotFoundError, match="no such run"):
        run.details()
    with pytest.raises(NotFoundError):
        Run.bind(channel.session()).get("r1")
    assert len(channel.calls) == 4 + 2 + 1


def test_an_outage_is_as_long_as_its_failures_not_as_what_came_before() -> None:
    clock = FakeClock()
    patience = Patience(clock, 10)
    away = UnavailableError("away", Code.UNAVAILABLE)
    clock.now += 1000

    assert patience.covers(away)
    clock.now += 9
    assert patience.covers(away)
    clock.now += 2
    assert not patience.covers(away)
    patience.answered()
    assert patience.covers(away)
    assert not patience.covers(PermissionDeniedError("no", Code.PERMISSION_DENIED))
    assert not patience.covers(ValueError())


def test_one_wait_over_many_answers_keeps_its_pace() -> None:
    clock = FakeClock()
    poll = Poll(Deadline(clock, None), middle)

    for _ in range(3):
        assert poll.until(lambda: True, bool)
    assert clock.slept == pytest.approx([0.2, 0.2])
    clock.now += 1000
    poll.until(lambda: True, bool)
    assert len(clock.slept) == 2, "that was long enough"
    poll.until(lambda: True, bool)
    assert clock.slept[-1] == pytest.approx(10)


def test_without_patience_the_first_failure_is_the_last() -> None:
    clock = FakeClock()

    def ask() -> bool:
        raise UnavailableError("away", Code.UNAVAILABLE)

    with pytest.raises(UnavailableError):
        Poll(Deadline(clock, None)).until(ask, bool)
    assert clock.slept == []
