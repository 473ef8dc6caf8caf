"""union.remote's classes over the model: what they ask, and what they make of the answers."""

from __future__ import annotations

import copy
import datetime
import math
import pickle
from typing import Any

import pytest
from fakes import FakeChannel, FakeClock

from flyte_lite import _session
from flyte_lite.errors import (
    Code,
    NotFoundError,
    NotInitializedError,
    RuntimeUserError,
    UnavailableError,
    WaitTimeoutError,
)
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.union.remote import Run, Task

QUEUED, RUNNING, SUCCEEDED, FAILED = 1, 4, 5, 6
GET, LIST, ACTION = "RunService/GetRunDetails", "RunService/ListRuns", "RunService/GetActionDetails"
UTC = datetime.timezone.utc


@pytest.fixture(autouse=True)
def no_default() -> Any:
    _session.set_default(None)
    yield
    _session.set_default(None)


def action(phase: int, name: str = "r1") -> run_definition_pb2.ActionDetails:
    made = run_definition_pb2.ActionDetails()
    made.id.name = "a0"
    made.id.run.name, made.id.run.project, made.id.run.domain = name, "p", "d"
    made.status.phase = phase
    made.status.start_time.seconds = 1_700_000_000
    # Some servers tell an end of what goes on.
    made.status.end_time.seconds = 1_700_000_060
    return made


def told(phase: int, name: str = "r1") -> run_service_pb2.GetRunDetailsResponse:
    return run_service_pb2.GetRunDetailsResponse(
        details=run_definition_pb2.RunDetails(action=action(phase, name)),
    )


def listed(phase: int) -> run_service_pb2.ListRunsResponse:
    details = action(phase)
    return run_service_pb2.ListRunsResponse(
        runs=[run_definition_pb2.Run(action=run_definition_pb2.Action(id=details.id, status=details.status))]
    )


def default(channel: FakeChannel) -> FakeChannel:
    _session.set_default(channel.session())
    return channel


def test_a_run_is_got_by_its_name_in_the_session_s_place_or_another() -> None:
    channel = default(FakeChannel().on(GET, told(RUNNING)))

    Run.get(name="r1")
    Run.get(name="r1", project="other", domain="prod")

    asked = [request.run_id for request in channel.asked(GET)]
    assert [(run.org, run.project, run.domain, run.name) for run in asked] == [
        ("", "p", "d", "r1"),
        ("", "other", "prod", "r1"),
    ]


def test_a_uri_says_where_the_run_is() -> None:
    channel = default(FakeChannel().on(GET, told(RUNNING)))

    Run.get("acme/proj/dev/r1")
    Run.get("http://console/v2/domain/dev/project/proj/runs/r1")
    Run.get("r1")

    asked = [request.run_id for request in channel.asked(GET)]
    assert [(run.org, run.project, run.domain, run.name) for run in asked] == [
        ("acme", "proj", "dev", "r1"),
        ("", "proj", "dev", "r1"),
        ("", "p", "d", "r1"),
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "needs either uri= or name="),
        ({"uri": "p/d/r1", "name": "r1"}, "needs either uri= or name="),
        ({"uri": "p/d/r1", "project": "p"}, "the uri says project and domain"),
        ({"uri": "p/d/r1", "domain": "d"}, "the uri says project and domain"),
    ],
)
@pytest.mark.parametrize("kind", [Run, Task])
def test_what_is_asked_for_must_be_said_once(kind: Any, given: dict[str, str], says: str) -> None:
    channel = default(FakeChannel())

    with pytest.raises(ValueError, match=f"{kind.__name__}.get.*{says}"):
        kind.get(**given)
    assert channel.calls == []


def test_nothing_goes_without_a_server() -> None:
    for ask in (lambda: Run.get(name="r1"), lambda: Run("r1").sync(), lambda: Task("t"), lambda: Task.get(name="t")):
        with pytest.raises(NotInitializedError):
            ask()


def test_a_run_made_by_hand_is_looked_for_once_when_needed() -> None:
    channel = default(FakeChannel().on(GET, told(RUNNING)))
    run = Run("r1")
    assert channel.calls == []
    assert repr(run) == "Run(run_id=r1)"

    assert not run.done()
    assert run.is_running

    assert len(channel.calls) == 1
    assert "phase=running" in repr(run)


def test_outputs_given_by_hand_are_the_outputs() -> None:
    run = Run("r1", {"o0": 3})

    assert run.outputs == {"o0": 3}
    assert run.result() == {"o0": 3}


@pytest.mark.parametrize(
    ("phase", "running", "done"), [(QUEUED, False, False), (RUNNING, True, False), (5, False, True)]
)
def test_times_and_phase(phase: int, running: bool, done: bool) -> None:
    default(FakeChannel().on(GET, told(phase)))
    run = Run.get(name="r1")

    assert run.is_running is running
    assert run.done() is done
    assert run.started_at == datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert run.finished_at == (datetime.datetime(2023, 11, 14, 22, 14, 20, tzinfo=UTC) if done else None)


def test_sync_asks_again() -> None:
    default(FakeChannel().on(GET, told(RUNNING)).on(LIST, listed(SUCCEEDED)))
    run = Run.get(name="r1")

    assert run.sync() is run

    assert run.done()


def test_a_failure_is_told_not_raised() -> None:
    failed = action(FAILED)
    failed.error_info.message, failed.error_info.code, failed.error_info.kind = "no", "ValueError", 1
    default(FakeChannel().on(GET, told(FAILED)).on(ACTION, run_service_pb2.GetActionDetailsResponse(details=failed)))
    run = Run.get(name="r1")

    error = run.exception()

    assert type(error) is RuntimeUserError
    assert (error.message, error.code, error.kind) == ("no", "ValueError", "user")
    assert error.__traceback__ is None
    assert str(run.error) == str(error)


@pytest.mark.parametrize("phase", [QUEUED, RUNNING, SUCCEEDED])
def test_where_there_is_no_failure_there_is_none(phase: int) -> None:
    channel = default(FakeChannel().on(GET, told(phase)))
    run = Run.get(name="r1")

    assert run.exception() is None
    assert run.error is None
    assert channel.asked(ACTION) == []


def test_an_outage_is_not_the_run_s_failure() -> None:
    default(FakeChannel().on(GET, told(FAILED)).on(ACTION, UnavailableError("down", Code.UNAVAILABLE)))
    run = Run.get(name="r1")

    with pytest.raises(UnavailableError):
        run.exception()


@pytest.mark.parametrize("interval", [3, 3.0, datetime.timedelta(seconds=3)])
def test_wait_asks_as_often_as_it_is_told(interval: Any) -> None:
    clock = FakeClock()
    default(FakeChannel(clock).on(GET, told(RUNNING)).on(LIST, listed(RUNNING), listed(RUNNING), listed(SUCCEEDED)))
    run = Run.get(name="r1")

    assert run.wait(poll_interval=interval, sync_nodes=False) is run

    assert clock.slept == [3, 3]


@pytest.mark.parametrize("timeout", [7, datetime.timedelta(seconds=7)])
@pytest.mark.parametrize("by_hand", [True, False])
def test_wait_ends_in_time(timeout: Any, by_hand: bool) -> None:
    clock = FakeClock()
    default(FakeChannel(clock).on(GET, told(RUNNING)).on(LIST, listed(RUNNING)))
    run = Run("r1") if by_hand else Run.get(name="r1")

    with pytest.raises(WaitTimeoutError, match="after 7 s"):
        run.wait(timeout)

    assert clock.now == pytest.approx(1007)


def test_looking_for_the_run_is_a_part_of_the_wait() -> None:
    clock = FakeClock()

    def slowly(request: Any) -> Any:
        clock.now += 5
        return told(RUNNING)

    default(FakeChannel(clock).on(GET, slowly).on(LIST, listed(RUNNING)))

    with pytest.raises(WaitTimeoutError):
        Run("r1").wait(7)

    assert clock.now == pytest.approx(1007)


def test_a_run_that_is_not_there_is_not_waited_for() -> None:
    clock = FakeClock()
    default(FakeChannel(clock).on(GET, NotFoundError("no such run", Code.NOT_FOUND)))

    with pytest.raises(NotFoundError):
        Run("r1").wait()
    assert clock.slept == []


@pytest.mark.parametrize("given", [-1, math.nan, "soon", datetime.timedelta(seconds=-1)])
@pytest.mark.parametrize("name", ["timeout", "poll_interval"])
def test_a_length_of_time_must_be_one(name: str, given: Any) -> None:
    default(FakeChannel().on(GET, told(RUNNING)))

    with pytest.raises(ValueError, match=f"{name} is .*; give seconds or a timedelta"):
        Run("r1").wait(**{name: given})


def test_runs_compare_copy_and_pickle() -> None:
    default(FakeChannel().on(GET, told(RUNNING), told(RUNNING), told(QUEUED)))
    run, same, other = Run.get(name="r1"), Run.get(name="r1"), Run.get(name="r1")

    assert run == same == copy.copy(run) == copy.deepcopy(run) == pickle.loads(pickle.dumps(run))
    assert run != other
    assert run != "r1"
    assert Run("r1") == pickle.loads(pickle.dumps(Run("r1"))) != Run("r2")
    with pytest.raises(TypeError, match="unhashable"):
        hash(run)


def test_tasks_compare_copy_and_pickle() -> None:
    default(FakeChannel())
    task, same, other = Task.get(name="a.b"), Task("a.b"), Task.get("p/d/a.c")

    for copied in (same, copy.copy(task), copy.deepcopy(task), pickle.loads(pickle.dumps(task))):
        assert type(copied) is Task
        assert task == copied != other
        assert repr(copied) == "Task(name=a.b)"
