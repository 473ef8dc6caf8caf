"""Waiting for many runs at once, on a clock that turns by hand."""

from __future__ import annotations

import datetime
import io
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, Optional

import pytest
from fakes import FakeChannel, FakeClock

import flyte_lite
from flyte_lite import Client, _session
from flyte_lite._clock import Cancel
from flyte_lite.errors import (
    CanceledError,
    Code,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
    WaitTimeoutError,
)
from flyte_lite.idl.flyteidl2.common import list_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import Run

QUEUED, RUNNING, SUCCEEDED, FAILED = 1, 4, 5, 6
LIST, DETAILS = "RunService/ListRuns", "RunService/GetActionDetails"
BEGAN = 1_700_000_000


class Server:
    """Shows runs as ListRuns does. What runs are at a time is a function of the time.

    Attributes:
        channel: The way to it.
        hidden: Names that lists do not show.
    """

    def __init__(self, clock: Optional[FakeClock] = None) -> None:
        self.channel = FakeChannel(clock)
        self.hidden: set[str] = set()
        self._phases: dict[str, Callable[[float], int]] = {}
        self.channel.on(LIST, self.list).on(DETAILS, self.details)

    def runs(self, count: int, ends: Callable[[int], float] = lambda number: 0.0) -> list[Run]:
        """Runs, each of which succeeds so many seconds from now."""
        began = self.channel.clock.now
        session = self.channel.session()
        made = []
        for number in range(count):
            name, at = f"r{number}", began + ends(number)
            self._phases[name] = lambda now, at=at: SUCCEEDED if now >= at else RUNNING  # type: ignore[misc]
            made.append(Run(run_definition_pb2.Run(action=self.action(name, QUEUED)), session))
        return made

    def action(self, name: str, phase: Optional[int] = None) -> run_definition_pb2.Action:
        action = run_definition_pb2.Action()
        action.id.name, action.id.run.name, action.id.run.project, action.id.run.domain = "a0", name, "p", "d"
        action.status.phase = self._phases[name](self.channel.clock.now) if phase is None else phase
        action.status.start_time.seconds = BEGAN + int(name[1:])
        return action

    def list(self, request: run_service_pb2.ListRunsRequest) -> run_service_pb2.ListRunsResponse:
        assert (request.project_id.name, request.project_id.domain) == ("p", "d")
        assert 0 < request.request.limit <= 200
        only, *until = request.request.filters
        if only.field == "run_name":
            assert (only.function == list_pb2.Filter.EQUAL) == (len(only.values) == 1), "the real server fails"
            names = [name for name in only.values if name in self._phases]
        else:
            assert only.field == "created_at"
            names = sorted(self._phases, key=lambda name: -int(name[1:]))
            for older in until:
                assert (older.field, older.function) == ("created_at", list_pb2.Filter.LESS_THAN_OR_EQUAL)
                last = datetime.datetime.fromisoformat(older.values[0]).timestamp()
                names = [name for name in names if BEGAN + int(name[1:]) <= last]
        names = [name for name in names if name not in self.hidden]
        begin = int(request.request.token or 0)
        page = names[begin : begin + request.request.limit]
        more = str(begin + len(page)) if begin + len(page) < len(names) else ""
        return run_service_pb2.ListRunsResponse(runs=[{"action": self.action(name)} for name in page], token=more)

    def details(self, request: run_service_pb2.GetActionDetailsRequest) -> run_service_pb2.GetActionDetailsResponse:
        name = request.action_id.run.name
        if name not in self._phases:
            raise NotFoundError(f"no {name}", Code.NOT_FOUND)
        action = self.action(name)
        return run_service_pb2.GetActionDetailsResponse(details={"id": action.id, "status": action.status})


def test_each_round_asks_once_for_up_to_200_runs() -> None:
    server = Server()
    runs = server.runs(500, lambda number: 0.0 if number < 300 else 1.0)

    done = flyte_lite.wait_all(runs)

    assert done == runs
    assert [run.name for run in done] == [f"r{number}" for number in range(500)]
    assert all(run.phase is ActionPhase.SUCCEEDED for run in done)
    asked = [len(request.request.filters[0].values) for request in server.channel.asked(LIST)]
    # One round for all, then one for those that are left, every fifth of a second.
    assert asked[:3] == [200, 200, 100]
    assert set(asked[3:]) == {200}
    assert 4 <= len(asked[3:]) <= 6
    assert server.channel.asked(DETAILS) == []


def test_500_that_have_ended_take_one_round() -> None:
    server = Server()

    flyte_lite.wait_all(server.runs(500))

    assert len(server.channel.calls) == 3
    assert server.channel.clock.slept == []


def test_those_that_are_known_to_have_ended_are_not_asked_for() -> None:
    server = Server()
    runs = server.runs(3)
    flyte_lite.wait_all(runs)
    server.channel.calls.clear()

    assert flyte_lite.wait_all(runs) == runs
    assert list(flyte_lite.as_completed(runs)) == runs
    assert flyte_lite.wait_all([]) == []
    assert server.channel.calls == []


def test_rounds_come_ever_less_often() -> None:
    server = Server()

    flyte_lite.wait_all(server.runs(2, lambda number: 3600.0))

    assert 400 < len(server.channel.asked(LIST)) < 500
    assert max(server.channel.clock.slept) <= 11


def test_a_run_given_twice_and_two_objects_of_one_run_all_follow() -> None:
    server = Server()
    (one,) = server.runs(1, lambda number: 1.0)
    (other,) = server.runs(1, lambda number: 1.0)

    assert flyte_lite.wait_all([one, other, one]) == [one, other, one]
    assert one.done()
    assert other.done()
    (third,) = server.runs(1, lambda number: 1.0)
    (fourth,) = server.runs(1, lambda number: 1.0)
    assert [run is third for run in flyte_lite.as_completed([third, fourth, third])] == [True, False]


def test_a_run_that_its_caller_sees_end_meanwhile_comes_once() -> None:
    server = Server()
    runs = server.runs(3, float)

    ended = flyte_lite.as_completed(runs)
    runs[1].wait()

    assert sorted(run.name for run in ended) == ["r0", "r1", "r2"]


def test_they_come_as_they_end() -> None:
    server = Server()
    runs = server.runs(5, lambda number: float(5 - number))

    assert [run.name for run in flyte_lite.as_completed(runs)] == ["r4", "r3", "r2", "r1", "r0"]


def test_what_a_caller_does_meanwhile_is_no_waiting() -> None:
    server = Server()
    runs = server.runs(3, lambda number: 10.0 * number)
    channel = server.channel

    def slowly() -> Iterator[str]:
        for run in flyte_lite.as_completed(runs):
            channel.clock.now += 1000
            yield run.name
            channel.on(LIST, UnavailableError("away", Code.UNAVAILABLE), server.list)

    assert list(slowly()) == ["r0", "r1", "r2"]


def test_names_are_looked_up_in_the_session() -> None:
    server = Server()
    server.runs(3, lambda number: 1.0)
    client = Client._over(server.channel.session())

    done = client.wait_all(["r2", "r0", "r2"])

    assert [run.name for run in done] == ["r2", "r0", "r2"]
    assert done[0].pb2.action.HasField("status")
    assert {run.name for run in client.as_completed(["r1", "r2"])} == {"r1", "r2"}


def test_a_name_of_no_run_is_found_out_by_asking_for_it() -> None:
    server = Server()
    client = Client._over(server.channel.session())

    with pytest.raises(NotFoundError, match=r"there is no run r7 in project p, domain d \(no r7\)"):
        client.wait_all(["r7"])
    assert len(server.channel.asked(LIST)) == 3


def test_a_run_that_a_list_does_not_show_is_asked_for_by_name() -> None:
    server = Server()
    runs = server.runs(3, lambda number: 5.0)
    server.hidden.add("r1")

    flyte_lite.wait_all(runs)

    assert runs[1].done()
    assert {request.action_id.run.name for request in server.channel.asked(DETAILS)} == {"r1"}


def test_lists_that_show_nothing_do_not_become_a_call_for_each_run() -> None:
    server = Server()
    runs = server.runs(500, lambda number: 10.0)
    server.hidden.update(run.name for run in runs)
    lists = server.channel.asked

    def recover(request: Any) -> Any:
        if len(lists(LIST)) > 30:
            server.hidden.clear()
        return server.list(request)

    server.channel.on(LIST, recover)
    flyte_lite.wait_all(runs)

    assert len(lists(DETAILS)) <= 5 * 10


def test_each_has_its_turn_to_be_asked_for_by_name() -> None:
    server = Server()
    runs = server.runs(7, lambda number: 0.0 if number == 6 else 500.0)
    server.hidden.update(run.name for run in runs)

    assert next(flyte_lite.as_completed(runs)) is runs[6]
    assert server.channel.clock.now < 1010


def test_what_is_asked_for_by_name_may_fail_again_and_again() -> None:
    server = Server()
    server.runs(1, lambda number: 500.0)
    server.hidden.add("r0")
    clock = server.channel.clock

    def overloaded(request: Any) -> Any:
        if 1010 < clock.now < 1210 or 1240 < clock.now < 1440:
            raise NotFoundError("no r0", Code.NOT_FOUND)
        return server.details(request)

    server.channel.on(DETAILS, overloaded)

    assert Client._over(server.channel.session()).wait_all(["r0"], patience=250)[0].done()


def test_a_name_that_was_seen_once_is_not_believed_to_be_gone() -> None:
    server = Server()
    server.runs(1, lambda number: 60.0)
    clock = server.channel.clock

    def overloaded(request: Any) -> Any:
        server.hidden = {"r0"} if 1005 < clock.now < 1030 else set()
        return server.list(request)

    def unseen(request: Any) -> Any:
        if server.hidden:
            raise NotFoundError("no r0", Code.NOT_FOUND)
        return server.details(request)

    server.channel.on(LIST, overloaded).on(DETAILS, unseen)

    assert Client._over(server.channel.session()).wait_all(["r0"])[0].done()
    assert server.channel.asked(DETAILS)


def test_a_run_that_is_gone_is_not_believed_for_as_long_as_an_outage() -> None:
    server = Server()
    (run,) = server.runs(1, lambda number: 5.0)
    server._phases.clear()
    clock = server.channel.clock

    with pytest.raises(NotFoundError, match="no r0"):
        flyte_lite.wait_all([run], patience=60)
    assert 1060 < clock.now < 1075


def test_an_outage_costs_one_question_a_round_and_is_waited_out() -> None:
    server = Server()
    runs = server.runs(500, lambda number: 200.0)
    clock = server.channel.clock
    times = []

    def away(request: Any) -> Any:
        if 1005 < clock.now < 1125:
            times.append(clock.now)
            raise UnavailableError("away", Code.UNAVAILABLE)
        return server.list(request)

    server.channel.on(LIST, away)
    assert all(run.done() for run in flyte_lite.wait_all(runs))
    assert len(times) == len(set(times))


def test_an_answer_between_two_outages_begins_the_patience_anew() -> None:
    server = Server()
    runs = server.runs(2, lambda number: 500.0)
    clock = server.channel.clock

    def away(request: Any) -> Any:
        if 1010 < clock.now < 1210 or 1240 < clock.now < 1440:
            raise UnavailableError("away", Code.UNAVAILABLE)
        return server.list(request)

    server.channel.on(LIST, away)

    assert all(run.done() for run in flyte_lite.wait_all(runs, patience=250))


def test_an_outage_beyond_patience_is_raised_as_it_was() -> None:
    server = Server()
    runs = server.runs(2, lambda number: 200.0)
    server.channel.on(LIST, UnavailableError("away", Code.UNAVAILABLE))

    with pytest.raises(UnavailableError, match="away"):
        flyte_lite.wait_all(runs, patience=30)
    assert 1030 < server.channel.clock.now < 1035


def test_too_little_time_in_an_outage_says_so() -> None:
    server = Server()
    runs = server.runs(2, lambda number: 200.0)
    away = UnavailableError("away", Code.UNAVAILABLE)
    server.channel.on(LIST, server.list, away)

    with pytest.raises(WaitTimeoutError, match="the last question failed: unavailable: away") as caught:
        flyte_lite.wait_all(runs, timeout=30)
    assert caught.value.failure is away

    server.channel.on(LIST, away, server.list)
    with pytest.raises(WaitTimeoutError) as caught:
        flyte_lite.wait_all(runs, timeout=30)
    assert caught.value.failure is None


def test_one_server_that_is_away_does_not_hold_up_the_runs_of_another() -> None:
    clock = FakeClock()
    here, away = Server(clock), Server(clock)
    (mine,), (lost,) = here.runs(1, lambda number: 20.0), away.runs(1)
    away.channel.on(LIST, UnavailableError("away", Code.UNAVAILABLE))

    ended = flyte_lite.as_completed([lost, mine], patience=100)

    assert next(ended) is mine
    assert clock.now < 1025
    with pytest.raises(UnavailableError):
        next(ended)
    assert 1100 < clock.now < 1110


def test_what_does_not_pass_is_raised_at_once() -> None:
    server = Server()
    runs = server.runs(2)
    server.channel.on(LIST, PermissionDeniedError("no", Code.PERMISSION_DENIED))

    with pytest.raises(PermissionDeniedError):
        flyte_lite.wait_all(runs)
    assert server.channel.clock.slept == []


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "passes over"])
def test_a_server_that_can_not_search_by_names_is_asked_for_all_since_the_first(refuses: bool) -> None:
    server = Server()
    runs = server.runs(500, lambda number: 3.0)

    def unnamed(request: run_service_pb2.ListRunsRequest) -> Any:
        if request.request.filters[0].field != "run_name":
            assert request.request.filters[0].values[0] == "2023-11-14T22:12:20+00:00"
            return server.list(request)
        if refuses:
            raise InvalidArgumentError("no such field", Code.INVALID_ARGUMENT)
        return run_service_pb2.ListRunsResponse(runs=[{"action": server.action("r499")}])

    server.channel.on(LIST, unnamed)
    flyte_lite.wait_all(runs[:200])

    assert all(run.done() for run in runs[:200])
    asked = [request.request.filters[0].field for request in server.channel.asked(LIST)]
    assert asked.count("run_name") == 1, "remembered"
    # Newest first: 500 to the last of ours.
    assert (len(asked) - 1) % 3 == 0
    server.channel.calls.clear()
    (again,) = server.runs(1)
    assert flyte_lite.wait_all([again])[0].done()


def test_runs_since_the_first_are_only_read_until_all_were_seen() -> None:
    server = Server()
    runs = server.runs(500)
    for run in runs:
        run._session.refused.add("ListRuns by several values of run_name")

    flyte_lite.wait_all(runs[490:])

    assert len(server.channel.asked(LIST)) == 1


def test_a_server_with_small_pages_is_asked_for_the_next() -> None:
    server = Server()
    runs = server.runs(100)

    def short(request: run_service_pb2.ListRunsRequest) -> run_service_pb2.ListRunsResponse:
        smaller = run_service_pb2.ListRunsRequest()
        smaller.CopyFrom(request)
        smaller.request.limit = 30
        return server.list(smaller)

    server.channel.on(LIST, short)
    flyte_lite.wait_all(runs)

    assert all(run.done() for run in runs)
    assert [len(server.channel.asked(LIST)), len(server.channel.asked(DETAILS))] == [4, 0]


def test_nothing_more_is_asked_for_once_all_were_seen() -> None:
    server = Server()
    runs = server.runs(3)

    def always_more(request: run_service_pb2.ListRunsRequest) -> run_service_pb2.ListRunsResponse:
        answer = server.list(request)
        answer.token = "more"
        return answer

    server.channel.on(LIST, always_more)
    flyte_lite.wait_all(runs)

    assert len(server.channel.asked(LIST)) == 1


def test_each_project_and_domain_is_asked_alone() -> None:
    server = Server()
    runs = server.runs(3)
    for run, (project, domain) in zip(runs, [("p", "d"), ("p", "d2"), ("p2", "d")]):
        run.pb2.action.id.run.project, run.pb2.action.id.run.domain = project, domain

    def here(request: run_service_pb2.ListRunsRequest) -> run_service_pb2.ListRunsResponse:
        place = (request.project_id.name, request.project_id.domain)
        return run_service_pb2.ListRunsResponse(
            runs=[
                {"action": server.action(run.name)}
                for run in runs
                if (run.pb2.action.id.run.project, run.pb2.action.id.run.domain) == place
            ]
        )

    server.channel.on(LIST, here)
    flyte_lite.wait_all(runs)

    assert [list(request.request.filters[0].values) for request in server.channel.asked(LIST)] == [
        ["r0"],
        ["r1"],
        ["r2"],
    ]


def test_a_name_learns_what_its_run_is() -> None:
    server = Server()
    server.runs(1)

    def with_task(request: run_service_pb2.ListRunsRequest) -> run_service_pb2.ListRunsResponse:
        answer = server.list(request)
        answer.runs[0].action.metadata.task.id.name = "env.task"
        return answer

    server.channel.on(LIST, with_task)
    (run,) = Client._over(server.channel.session()).wait_all(["r0"])

    assert run.action.task_name == "env.task"


def test_names_alone_are_asked_for_one_by_one_where_there_is_no_other_way() -> None:
    server = Server()
    server.runs(3, lambda number: 3.0)
    session = server.channel.session()
    session.refused.add("ListRuns by several values of run_name")

    done = Client._over(session).wait_all(["r0", "r1", "r2"])

    assert all(run.done() for run in done)
    assert len(server.channel.asked(DETAILS)) == 3


def test_copies_of_one_client_share_their_questions() -> None:
    server = Server()
    runs = server.runs(4)
    for run in runs:
        run._own_session = run._session.scoped(project="other")

    flyte_lite.wait_all(runs)

    assert len(server.channel.asked(LIST)) == 1


def test_too_little_time_says_which_are_left_and_keeps_what_is_known() -> None:
    server = Server()
    runs = server.runs(10, float)

    with pytest.raises(WaitTimeoutError) as caught:
        flyte_lite.wait_all(runs, timeout=3.5)

    assert str(caught.value) == (
        "gave up waiting for 6 of 10 runs after 3.5 s: r4, r5, r6, r7, r8, ...; all in all 6 running, 4 succeeded. "
        "They go on; wait_all() again, or abort() them."
    )
    assert caught.value.pending == ("r4", "r5", "r6", "r7", "r8", "r9")
    assert sum(run.done() for run in runs) == 4
    assert flyte_lite.wait_all(runs)[9].done()


@pytest.mark.parametrize("both", [True, False], ids=["two tokens", "one token"])
def test_a_cancel_of_any_session_ends_it(both: bool) -> None:
    server = Server()
    runs = server.runs(2, lambda number: 100.0)
    cancel, other = Cancel(), Cancel() if both else None
    for run, token in zip(runs, (other, cancel)):
        run._own_session = server.channel.session(cancel=token)

    def then_cancel(request: Any) -> Any:
        if server.channel.clock.now > 1003:
            cancel.cancel()
        return server.list(request)

    server.channel.on(LIST, then_cancel)
    with pytest.raises(CanceledError):
        flyte_lite.wait_all(runs)
    assert cancel._on_cancel == []


@pytest.mark.parametrize(
    ("runs", "kind", "text"),
    [
        ("r1", TypeError, r"wait_all takes several runs, not 'r1'; give a list"),
        ([3], TypeError, "wait_all takes runs and names of runs, not int"),
        ([b"r1"], TypeError, "not bytes"),
        (None, TypeError, "wait_all takes several runs, not None; give a list"),
    ],
)
def test_what_is_no_list_of_runs_is_refused(runs: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        flyte_lite.wait_all(runs)


def test_a_single_run_is_no_list_of_runs() -> None:
    (run,) = Server().runs(1)
    with pytest.raises(TypeError, match=r"as_completed takes several runs, not Run\(.*use its wait"):
        flyte_lite.as_completed(run)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"timeout": -1}, {"patience": math.nan}, {"interval": 0}], ids=str)
def test_lengths_of_time_are_looked_at_first(bad: dict[str, Any]) -> None:
    server = Server()
    with pytest.raises(ValueError, match=r"(timeout|patience|interval) is .*; give"):
        flyte_lite.as_completed(server.runs(1), **bad)
    assert server.channel.calls == []


def test_names_need_a_session() -> None:
    assert _session._default is None
    with pytest.raises(flyte_lite.errors.NotInitializedError):
        flyte_lite.wait_all(["r1"])


def test_progress_counts_by_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    server = Server()
    runs = server.runs(3, float)

    flyte_lite.wait_all(runs, quiet=False)

    lines = [line.partition(" (")[0] for line in shown.getvalue().splitlines()]
    assert lines == [
        "3 runs: 2 running, 1 succeeded",
        "3 runs: 1 running, 2 succeeded",
        "3 runs: 3 succeeded",
    ]
