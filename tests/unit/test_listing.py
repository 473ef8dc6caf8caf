"""Lists, page by page: how many, in which words, what fails, and servers that go on and on."""

from __future__ import annotations

import datetime
import itertools
from typing import Any, Optional

import pytest
from fakes import FakeChannel
from run_list import SECOND, names, numbered, runs

from flyte_lite._client import Client
from flyte_lite.errors import (
    CallTimeoutError,
    Code,
    ConfigError,
    InternalError,
    NotInitializedError,
    UnavailableError,
)
from flyte_lite.idl.flyteidl2.common import list_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import Run, TimeFilter
from flyte_lite.remote._listing import paginate


class Tokens:
    """Pages by token, of numbers: each with the token of the next one."""

    def __init__(self, *pages: tuple[list[int], str]) -> None:
        self._pages = iter(pages)
        self.asked: list[tuple[int, str]] = []

    def __call__(self, limit: int, token: str) -> tuple[list[int], str]:
        self.asked.append((limit, token))
        return next(self._pages)


def same(row: int) -> int:
    return row


# How many.


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [(None, [200, 200, 200]), (450, [200, 200, 50]), (200, [200]), (201, [200, 1]), (1, [1]), (0, [])],
)
def test_the_limit_is_a_total_and_pages_hold_200_at_most(limit: Optional[int], sizes: list[int]) -> None:
    rows = list(range(500))
    asked: list[int] = []

    def send(size: int, token: str) -> tuple[list[int], str]:
        asked.append(size)
        at = int(token or 0)
        return rows[at : at + size], str(at + size) if at + size < len(rows) else ""

    assert list(paginate(send, limit=limit, key=same)) == rows[:limit]
    assert asked == sizes


@pytest.mark.parametrize("limit", [-1, 1.5, "3", True], ids=repr)
def test_a_limit_that_is_none_is_refused_at_once(limit: Any) -> None:
    with pytest.raises(ValueError, match="give how many there may be in all, or None for all"):
        paginate(Tokens(), limit=limit, key=same)


def test_no_more_than_is_wanted_is_asked_for() -> None:
    send = Tokens(([1, 2, 3], "more"))

    assert list(paginate(send, limit=3, key=same)) == [1, 2, 3]
    assert send.asked == [(3, "")]


def test_a_page_is_asked_for_when_it_is_needed() -> None:
    send = Tokens(([1, 2], "t"), ([3], ""))
    found = paginate(send, limit=None, key=same)

    assert send.asked == []
    assert list(itertools.islice(found, 2)) == [1, 2]
    assert len(send.asked) == 1
    assert list(found) == [3]


def test_what_is_dropped_here_does_not_count() -> None:
    rows = list(range(1000))

    def send(size: int, token: str) -> tuple[list[int], str]:
        at = int(token or 0)
        asked.append(size)
        return rows[at : at + size], str(at + size) if at + size < len(rows) else ""

    asked: list[int] = []

    assert list(paginate(send, limit=2, key=same, keep=lambda row: row in (300, 700, 900))) == [300, 700]
    # Once a row was dropped, nobody knows how many it takes.
    assert asked == [2, 200, 200, 200, 200]


# Servers that go on and on.


def test_a_token_that_is_repeated_is_noticed() -> None:
    def send(size: int, token: str) -> tuple[list[int], str]:
        return [1, 2], "again"

    found = paginate(send, limit=None, key=same)

    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(InternalError, match="goes in circles"):
        next(found)


def test_tokens_that_go_in_a_circle_are_noticed() -> None:
    following = {"": "a", "a": "b", "b": "c", "c": "a"}
    asked = []

    def send(size: int, token: str) -> tuple[list[str], str]:
        asked.append(token)
        return [token], following[token]

    found = paginate(send, limit=None, key=lambda row: row)
    with pytest.raises(InternalError, match="goes in circles"):
        list(found)
    assert len(asked) < 20


def test_pages_without_anything_are_noticed() -> None:
    numbers = itertools.count()

    def send(size: int, token: str) -> tuple[list[int], str]:
        return [], str(next(numbers))

    with pytest.raises(InternalError, match="on for 100 pages without anything new"):
        list(paginate(send, limit=None, key=same))


def test_some_empty_pages_are_no_end() -> None:
    send = Tokens(([1], "a"), ([], "b"), ([], "c"), ([2], ""))

    assert list(paginate(send, limit=None, key=same)) == [1, 2]


def test_a_server_that_looks_at_nothing_but_the_first_page_is_noticed() -> None:
    kept = numbered(300)
    channel = FakeChannel()

    def first_page(request: run_service_pb2.ListRunsRequest) -> Any:
        del request.request.filters[:]
        request.request.token = ""
        return kept.answer(request)

    channel.on("RunService/ListRuns", first_page)
    with pytest.raises(InternalError, match="goes in circles"):
        list(runs(channel).listall(limit=None))


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("step", [SECOND, 1000, 0], ids=["sparse", "dense", "all at once"])
def test_a_server_that_passes_over_times_is_read_by_its_tokens(direction: Any, step: int) -> None:
    kept = numbered(5000, step)

    def timeless(request: run_service_pb2.ListRunsRequest) -> Any:
        del request.request.filters[:]
        return kept.answer(request)

    channel = FakeChannel().on("RunService/ListRuns", timeless)
    found = names(runs(channel).listall(sort_by=("created_at", direction), limit=None))

    assert found == sorted(kept.created, reverse=direction == "desc")
    assert len(kept.pages) < 100


# Errors.


def test_what_was_there_is_given_before_the_error_of_a_page() -> None:
    kept = numbered(300)
    channel = FakeChannel()
    failure = UnavailableError("down", Code.UNAVAILABLE)
    channel.on("RunService/ListRuns", kept.answer, failure)
    found = runs(channel).listall(limit=None)

    assert names(itertools.islice(found, 200)) == [f"r{nth:05}" for nth in range(200)]
    with pytest.raises(UnavailableError):
        next(found)


def test_each_page_has_the_timeout_of_a_call() -> None:
    kept = numbered(1000)
    channel = kept.channel()

    def slow(page: int) -> None:
        channel.clock.now += 20

    kept.between = slow
    assert len(names(runs(channel).listall(limit=None))) == 1000

    def slower(page: int) -> None:
        channel.clock.now += 20
        raise CallTimeoutError("slow", Code.DEADLINE_EXCEEDED)

    kept.between = slower
    with pytest.raises(CallTimeoutError):
        list(runs(channel).listall())


def test_arguments_are_looked_at_when_it_is_called_and_nothing_is_asked_before_it_is_read() -> None:
    channel = numbered(1).channel()
    listall = runs(channel).listall

    for wrong in ({"limit": -1}, {"in_phase": "done"}, {"sort_by": ("created_at", "up")}, {"created_at": "today"}):
        with pytest.raises(ValueError):
            listall(**wrong)  # type: ignore[arg-type]
    listall()
    assert channel.calls == []
    with pytest.raises(NotInitializedError):
        Run.listall()
    with pytest.raises(ConfigError, match="project"):
        Client._over(channel.session().scoped(project="")).runs.listall()


# The words of the wire.


@pytest.mark.parametrize(
    ("given", "function", "values"),
    [
        ("succeeded", list_pb2.Filter.EQUAL, ["5"]),
        ("SUCCEEDED", list_pb2.Filter.EQUAL, ["5"]),
        ("ACTION_PHASE_TIMED_OUT", list_pb2.Filter.EQUAL, ["8"]),
        ("PHASE_FAILED", list_pb2.Filter.EQUAL, ["6"]),
        (("timed-out",), list_pb2.Filter.EQUAL, ["8"]),
        ("recovered", list_pb2.Filter.EQUAL, ["10"]),
        (ActionPhase.FAILED, list_pb2.Filter.EQUAL, ["6"]),
        ([ActionPhase.FAILED, "aborted"], list_pb2.Filter.VALUE_IN, ["6", "7"]),
        (("failed", ActionPhase.FAILED), list_pb2.Filter.EQUAL, ["6"]),
        ({"failed"}, list_pb2.Filter.EQUAL, ["6"]),
    ],
    ids=str,
)
def test_phases_are_asked_for_by_number(given: Any, function: int, values: list[str]) -> None:
    kept = numbered(0)

    list(runs(kept.channel()).listall(in_phase=given))

    (asked,) = kept.pages[0].filters
    assert (asked.field, asked.function, list(asked.values)) == ("phase", function, values)


@pytest.mark.parametrize("given", [(), [], None], ids=repr)
def test_no_phases_are_no_condition(given: Any) -> None:
    kept = numbered(0)

    list(runs(kept.channel()).listall(in_phase=given))

    assert len(kept.pages[0].filters) == 0


@pytest.mark.parametrize("given", ["done", "unknown", 5, (5,), ("failed", None), ""], ids=repr)
def test_what_is_no_phase_is_told_what_there_is(given: Any) -> None:
    with pytest.raises(ValueError, match=r"there is queued, .*, recovered"):
        runs(FakeChannel()).listall(in_phase=given)


def test_times_without_a_zone_are_local() -> None:
    kept = numbered(0)
    naive = datetime.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001 - that is the point
    aware = datetime.datetime(2024, 1, 2, 3, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))

    list(runs(kept.channel()).listall(created_at=TimeFilter(after=naive, before=aware)))

    after, before = kept.pages[0].filters
    assert datetime.datetime.fromisoformat(after.values[0]) == naive.astimezone()
    assert before.values[0] == "2024-01-02T01:00:00+00:00"
    assert (after.function, before.function) == (list_pb2.Filter.GREATER_THAN_OR_EQUAL, list_pb2.Filter.LESS_THAN)


@pytest.mark.parametrize("given", [TimeFilter("2024-01-01"), "2024", TimeFilter(before=datetime.date(2024, 1, 1))])  # type: ignore[arg-type]
def test_a_time_that_is_none_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"updated_at is .* give a TimeFilter\(after=, before=\) of datetimes"):
        runs(FakeChannel()).listall(updated_at=given)


def test_a_time_outside_of_all_years_is_refused() -> None:
    east = datetime.timezone(datetime.timedelta(hours=5))

    with pytest.raises(ValueError, match=r"created_at has .* in no year"):
        runs(FakeChannel()).listall(created_at=TimeFilter(after=datetime.datetime(1, 1, 1, tzinfo=east)))


@pytest.mark.parametrize("seconds", [-1, 253_402_300_800, 2**62])
def test_a_row_of_no_year_that_there_is_goes_on_by_tokens(seconds: int) -> None:
    kept = numbered(500)

    def answer(request: run_service_pb2.ListRunsRequest) -> Any:
        told = kept.answer(request)
        for run in told.runs:
            run.action.status.start_time.seconds = seconds
        return told

    found = names(runs(FakeChannel().on("RunService/ListRuns", answer)).listall(limit=None))

    assert found == sorted(kept.created)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (("created_at", "up"), "direction 'up'"),
        (("created_at", None), "direction None"),
        ("created_at", "give a pair"),
        (("created_at",), "give a pair"),
        (5, "give a pair"),
        ({"created_at": "asc", "name": "asc"}, "give a pair"),
        (("", "asc"), "the key ''"),
    ],
)
def test_an_order_that_is_none_is_refused(given: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        runs(FakeChannel()).listall(sort_by=given)


def test_a_key_that_the_server_does_not_sort_by_is_named_with_those_there_are() -> None:
    from flyte_lite.errors import InvalidArgumentError

    channel = FakeChannel().on(
        "RunService/ListRuns", InvalidArgumentError("invalid sort field: age", Code.INVALID_ARGUMENT)
    )

    with pytest.raises(ValueError, match=r"'age', by which this server does not sort; .* created_at, updated_at"):
        list(runs(channel).listall(sort_by=("age", "asc")))
    with pytest.raises(InvalidArgumentError):
        list(runs(channel).listall(sort_by=("phase", "asc")))


# Keys that only hosted servers know.


def test_whoever_made_a_run_is_asked_for_in_the_words_of_either_server(caplog: pytest.LogCaptureFixture) -> None:
    kept = numbered(3)
    kept.subject = {"r00001": "sub1"}
    kept.unknown = {"created_by"}
    listall = runs(kept.channel()).listall

    with caplog.at_level("DEBUG", logger="flyte_lite"):
        assert names(listall(created_by_subject="sub1")) == ["r00001"]
    assert "ListRuns by created_by EQUAL" in caplog.text
    assert names(listall(created_by_subject="sub1")) == ["r00001"]

    # The second list knows.
    assert [page.filters[0].field for page in kept.pages] == ["created_by", "created_by_subject", "created_by_subject"]


def test_where_neither_is_known_rows_are_looked_through() -> None:
    kept = numbered(300)
    kept.unknown = {"created_by", "created_by_subject"}

    def answer(request: run_service_pb2.ListRunsRequest) -> Any:
        told = kept.answer(request)
        if isinstance(told, run_service_pb2.ListRunsResponse):
            for run in told.runs:
                by = run.action.metadata.executed_by
                if run.action.id.run.name == "r00007":
                    by.application.id.subject = "bot"
                elif run.action.id.run.name in ("r00005", "r00299"):
                    by.user.id.subject = "sub1"
        return told

    listall = runs(FakeChannel().on("RunService/ListRuns", answer)).listall
    assert names(listall(created_by_subject="sub1", limit=None)) == ["r00005", "r00299"]
    assert names(listall(created_by_subject="bot")) == ["r00007"]


def details(name: str, **labels: str) -> run_service_pb2.GetRunDetailsResponse:
    told = run_service_pb2.GetRunDetailsResponse()
    told.details.action.id.run.name = name
    for key, value in labels.items():
        told.details.run_spec.labels.values[key] = value
    return told


def test_labels_are_looked_up_where_the_server_does_not_know_them() -> None:
    kept = numbered(4)
    kept.unknown = {"labels"}
    labels = {"r00001": {"team": "ml", "tier": "1"}, "r00002": {"team": "web", "tier": "1"}, "r00003": {"team": "ml"}}
    channel = kept.channel().on(
        "RunService/GetRunDetails", lambda asked: details(asked.run_id.name, **labels.get(asked.run_id.name, {}))
    )
    listall = runs(channel).listall

    assert names(listall(with_labels={"team": "ml"})) == ["r00001", "r00003"]
    (found,) = listall(with_labels={"team": "ml"}, with_label_keys=["tier"])
    assert dict(found.pb2.labels) == {"team": "ml", "tier": "1"}
    assert names(listall(with_label_keys=["tier"], limit=1)) == ["r00001"]
    with pytest.raises(ValueError, match="give a list of keys"):
        listall(with_label_keys="team")
    with pytest.raises(ValueError, match="give a dict of keys and values"):
        listall(with_labels=["team"])  # type: ignore[arg-type]
    for bad in ({"tier": 1}, {1: "tier"}):
        with pytest.raises(ValueError, match="keys and values of labels are text"):
            listall(with_labels=bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="with_label_keys has 1; keys of labels are text"):
        listall(with_label_keys=[1])  # type: ignore[list-item]


def test_a_server_that_fails_inside_is_asked_again_next_time() -> None:
    kept = numbered(2)
    channel = FakeChannel()
    channel.on("RunService/ListRuns", InternalError("database", Code.INTERNAL), kept.answer)
    channel.on("RunService/GetRunDetails", lambda asked: details(asked.run_id.name, team="ml"))
    session = channel.session()

    assert names(Client._over(session).runs.listall(with_labels={"team": "ml"})) == ["r00000", "r00001"]
    assert session.refused == set()


def test_an_error_that_is_about_something_else_is_raised_and_nothing_remembered() -> None:
    channel = FakeChannel().on("RunService/ListRuns", InternalError("database", Code.INTERNAL))
    session = channel.session()

    with pytest.raises(InternalError):
        list(Client._over(session).runs.listall(created_by_subject="s", with_label_keys=["team"]))
    assert session.refused == set()


def test_more_rows_than_were_asked_for_are_not_given() -> None:
    assert list(paginate(Tokens(([1, 2, 3], "")), limit=2, key=same)) == [1, 2]


def test_a_failure_that_passes_does_not_change_it_either() -> None:
    kept = numbered(500)
    kept.timeless = set(kept.created)
    kept.subject = {"r00400": "s"}
    channel = FakeChannel()
    failure = InternalError("database", Code.INTERNAL)
    channel.on("RunService/ListRuns", failure, failure, kept.answer)
    channel.on("RunService/GetRunDetails", lambda asked: details(asked.run_id.name, team="ml"))

    assert len(names(runs(channel).listall(created_by_subject="s", with_label_keys=["team"], limit=None))) == 0
    assert {len(page.filters) for page in kept.pages} == {0}
    assert len(kept.pages) == 3


def test_a_page_that_is_refused_later_is_an_error() -> None:
    kept = numbered(500)
    kept.timeless = set(kept.created)
    kept.subject = dict.fromkeys(kept.created, "s")
    channel = FakeChannel()
    channel.on("RunService/ListRuns", kept.answer, InternalError("database", Code.INTERNAL))
    found = runs(channel).listall(created_by_subject="s", limit=None)

    assert len(list(itertools.islice(found, 200))) == 200
    with pytest.raises(InternalError):
        next(found)


def test_what_is_found_out_meanwhile_does_not_change_the_question_of_a_list() -> None:
    """A token of one question is an offset into nothing of another."""
    kept = numbered(1000)
    kept.timeless = set(kept.created)
    session = kept.channel().session()

    def other_list(page: int) -> None:
        if page == 1:
            session.refused.update({"ListRuns by created_by EQUAL", "ListRuns by created_by_subject EQUAL"})

    kept.between = other_list
    kept.subject = dict.fromkeys(kept.created, "s")
    found = names(Client._over(session).runs.listall(created_by_subject="s", limit=None))

    asked = [[each.field for each in page.filters] for page in kept.pages]
    assert asked == [["created_by"]] * 5
    assert found == sorted(kept.created)
