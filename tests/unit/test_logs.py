"""Logs, followed through whatever a server does to their streams."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from fakes import FakeChannel

from flyte_lite import errors
from flyte_lite._clock import Cancel
from flyte_lite._console import LogView
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.common import identifier_pb2, phase_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.logs.dataplane import payload_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote import Action, Run

DETAILS = "RunService/GetActionDetails"
TAIL = "DataProxyService/TailLogs"
P = phase_pb2
QUEUED, RUNNING, SUCCEEDED, FAILED = (
    P.ACTION_PHASE_QUEUED,
    P.ACTION_PHASE_RUNNING,
    P.ACTION_PHASE_SUCCEEDED,
    P.ACTION_PHASE_FAILED,
)


def action_id() -> identifier_pb2.ActionIdentifier:
    run = identifier_pb2.RunIdentifier(project="p", domain="d", name="r1")
    return identifier_pb2.ActionIdentifier(run=run, name="a0")


def state(phase: int, *attempts: int, **status: Any) -> run_service_pb2.GetActionDetailsResponse:
    """An action in a phase, with its attempts in theirs."""
    response = run_service_pb2.GetActionDetailsResponse()
    details = response.details
    details.id.CopyFrom(action_id())
    details.status.phase = phase  # type: ignore[assignment]
    details.status.attempts = len(attempts)
    for name, value in status.items():
        setattr(details.status, name, value)
    for number, each in enumerate(attempts, 1):
        details.attempts.add(attempt=number, phase=each)  # type: ignore[arg-type]
    return response


def said(*texts: str, at: Optional[int] = None, system: bool = False) -> dataproxy_service_pb2.TailLogsResponse:
    message = dataproxy_service_pb2.TailLogsResponse()
    logs = message.logs.add()
    for text in texts:
        line = logs.lines.add(message=text, originator=payload_pb2.SYSTEM if system else payload_pb2.USER)
        if at is not None:
            line.timestamp.FromMicroseconds(at)
    return message


def numbered(begin: int, end: int) -> list[dataproxy_service_pb2.TailLogsResponse]:
    return [said(f"line {number}", at=number // 10) for number in range(begin, end)]


def lines(begin: int, end: int) -> list[str]:
    return [f"line {number}" for number in range(begin, end)]


NOT_FOUND = errors.NotFoundError("pod r1-a0-0 not found in namespace flyte", Code.NOT_FOUND)
LOST = errors.ConnectionLostError("the connection broke")
SILENT = errors.CallTimeoutError("no byte for 10 s", Code.DEADLINE_EXCEEDED)


@pytest.fixture
def channel() -> FakeChannel:
    made = FakeChannel()
    made.on("ClusterService/SelectCluster", errors.UnimplementedError("no clusters", Code.UNIMPLEMENTED))
    return made


@pytest.fixture(autouse=True)
def no_gap_unseen() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.LogGapWarning)
        yield


def run(channel: FakeChannel, cancel: Optional[Cancel] = None) -> Run:
    pb2 = run_definition_pb2.Run()
    pb2.action.id.CopyFrom(action_id())
    return Run(pb2, channel.session(cancel=cancel))


def texts(channel: FakeChannel, **options: Any) -> list[str]:
    return list(run(channel).get_logs(**options))


def test_a_finished_log_costs_one_question_and_one_stream(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(SUCCEEDED, SUCCEEDED)).on(TAIL, [said("a", "b"), said("c")])

    assert texts(channel) == ["a", "b", "c"]
    assert [method for method, _ in channel.calls] == [DETAILS, "ClusterService/SelectCluster", TAIL]
    assert channel.asked(TAIL)[0].attempt == 1


def test_what_is_known_of_a_run_that_has_ended_is_not_asked_for(channel: FakeChannel) -> None:
    channel.on(TAIL, [said("a")])
    ended = run(channel)
    ended.pb2.action.status.phase, ended.pb2.action.status.attempts = SUCCEEDED, 2

    assert list(ended.get_logs()) == ["a"]
    assert [request.attempt for request in channel.asked(TAIL)] == [2]
    assert channel.asked(DETAILS) == []


def test_an_action_has_the_same(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(SUCCEEDED, SUCCEEDED)).on(TAIL, [said("a")])
    action = Action(run_definition_pb2.Action(id=action_id()), channel.session())

    assert list(action.get_logs()) == ["a"]


def test_an_empty_log_is_no_error(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(SUCCEEDED, SUCCEEDED)).on(TAIL, [])

    assert texts(channel) == []


def test_the_call_itself_checks_and_asks_nothing(channel: FakeChannel) -> None:
    for wrong in ({"attempt": 0}, {"attempt": -1}, {"attempt": True}, {"timeout": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            run(channel).get_logs(**wrong)  # type: ignore[arg-type]
    run(channel).get_logs()

    assert channel.calls == []


def test_an_attempt_that_there_is_not_is_refused(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING))

    with pytest.raises(ValueError, match="run r1 has no attempt 2; there is 1 so far"):
        texts(channel, attempt=2)


def test_attempts_are_counted_in_their_list(channel: FakeChannel) -> None:
    """The status of a parent says 0 while its children run."""
    channel.on(DETAILS, state(SUCCEEDED, FAILED, SUCCEEDED, attempts=0)).on(TAIL, [said("b")])

    assert texts(channel) == ["b"]
    assert channel.asked(TAIL)[0].attempt == 2


@pytest.mark.parametrize(
    ("line", "options", "text"),
    [
        (said("hello\n"), {}, "hello"),
        (said("a\x07b\x08c\x0bd\x0ce\rf"), {}, "abcdef"),
        (said("\ttab and \x1b[31mcolour\x1b[0m"), {}, "\ttab and \x1b[31mcolour\x1b[0m"),
        (said("x", at=1_000_000), {"show_ts": True}, "[1970-01-01T00:00:01.000000+00:00] x"),
        (said("x"), {"show_ts": True}, "x"),
        (said("x", system=True), {}, "x"),
        (said("x", system=True), {"filter_system": True}, None),
        (said("[flyte] started"), {"filter_system": True}, None),
        (said("[flyte] flyte.errors.X"), {"filter_system": True}, "[flyte] flyte.errors.X"),
    ],
)
def test_how_a_line_is_shown(channel: FakeChannel, line: Any, options: dict[str, Any], text: Optional[str]) -> None:
    channel.on(DETAILS, state(SUCCEEDED, SUCCEEDED)).on(TAIL, [line])

    assert texts(channel, **options) == ([] if text is None else [text])


def test_it_waits_for_the_first_line(channel: FakeChannel) -> None:
    """The real server says NOT_FOUND in several ways before there is a log."""
    channel.on(
        DETAILS, state(QUEUED), state(QUEUED, QUEUED), *[state(RUNNING, RUNNING)] * 3, state(SUCCEEDED, SUCCEEDED)
    )
    channel.on(TAIL, NOT_FOUND, NOT_FOUND, [said("a")], [said("a"), said("b")])

    assert texts(channel) == ["a", "b"]
    # Not asked for before the action could have one.
    assert len(channel.asked(DETAILS)) == 6
    assert len(channel.asked(TAIL)) == 4


def test_a_clean_end_proves_nothing_while_the_action_runs(channel: FakeChannel) -> None:
    def as_long_as_streams_are_opened(_: Any) -> Any:
        return state(RUNNING, RUNNING) if len(channel.asked(TAIL)) < 2 else state(SUCCEEDED, SUCCEEDED)

    channel.on(DETAILS, as_long_as_streams_are_opened).on(TAIL, numbered(0, 3), numbered(0, 5), numbered(2, 9))

    assert texts(channel) == lines(0, 9)


def test_what_came_until_the_very_end_is_read_after_it(channel: FakeChannel) -> None:
    """A clean end, and an action that ended just then: what the stream did not tell any more is there all the same."""
    channel.on(DETAILS, state(RUNNING, RUNNING), state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, numbered(0, 3), numbered(0, 5))

    assert texts(channel) == lines(0, 5)


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        errors.UnavailableError("it stops", Code.UNAVAILABLE),
        errors.CanceledError("it stops", Code.CANCELED),
        errors.InternalError("broken", Code.INTERNAL),
        errors.NotFoundError("gone", Code.NOT_FOUND),
        SILENT,
    ],
)
def test_a_broken_stream_goes_on_where_it_was(channel: FakeChannel, error: Exception) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING), state(RUNNING, RUNNING), state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, [*numbered(0, 7), error], [*numbered(0, 20), error], numbered(15, 30))

    assert texts(channel) == lines(0, 30)


def test_what_does_not_pass_is_raised(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING))
    channel.on(TAIL, [said("a"), errors.PermissionDeniedError("no", Code.PERMISSION_DENIED)])
    log = run(channel).get_logs()

    assert next(log) == "a"
    with pytest.raises(errors.PermissionDeniedError):
        next(log)


@pytest.mark.parametrize("first", [(), ("a",)], ids=["at once", "later"])
def test_a_message_that_is_too_large_is_raised_at_once(channel: FakeChannel, first: tuple[str, ...]) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING))
    large = errors.AnswerTooLargeError("a message is over the limit")
    channel.on(TAIL, [*map(said, first), large] if first else large)

    with pytest.raises(errors.AnswerTooLargeError):
        texts(channel)
    assert channel.clock.slept == []


def test_an_outage_is_waited_out(channel: FakeChannel) -> None:
    down = errors.ConnectFailedError("refused")
    channel.on(DETAILS, state(RUNNING, RUNNING), *[down] * 30, state(RUNNING, RUNNING), state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, [*numbered(0, 5), LOST], numbered(0, 8), numbered(0, 9))

    assert texts(channel) == lines(0, 9)


def test_an_outage_that_lasts_is_raised(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING), errors.ConnectFailedError("refused"))
    channel.on(TAIL, [*numbered(0, 5), LOST])
    began = channel.clock.now

    with pytest.raises(errors.ConnectFailedError):
        texts(channel)
    assert 300 <= channel.clock.now - began < 330


def test_a_stream_that_breaks_again_and_again_without_news_is_raised(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING)).on(TAIL, [*numbered(0, 5), LOST])
    began = channel.clock.now

    with pytest.raises(errors.ConnectionLostError):
        texts(channel)
    assert 300 <= channel.clock.now - began < 330


def test_a_stream_that_is_kept_open_after_the_end_ends_by_its_silence(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING), state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, [*numbered(0, 5), SILENT], [*numbered(0, 6), SILENT])

    assert texts(channel) == lines(0, 6)


def test_an_empty_log_that_is_kept_open_ends_too(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(SUCCEEDED, SUCCEEDED)).on(TAIL, [SILENT])

    assert texts(channel) == []


def test_silence_is_asked_about_ever_more_seldom(channel: FakeChannel) -> None:
    running = state(RUNNING, RUNNING)
    channel.on(DETAILS, *[running] * 6, state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, *[[said("a"), SILENT]] * 5, [said("a"), said("b"), SILENT], [said("a"), said("b")])

    assert texts(channel) == ["a", "b"]
    assert channel.idles == [10, 20, 40, 60, 60, 60, 20]


def test_a_quiet_action_whose_streams_end_cleanly_is_not_hammered(channel: FakeChannel) -> None:
    """Between two attempts, say: what was told is told again each time."""

    def still_running(_: Any) -> Any:
        return state(RUNNING, RUNNING) if channel.clock.now < 1600 else state(SUCCEEDED, SUCCEEDED)

    channel.on(DETAILS, still_running).on(TAIL, [said("a")])

    assert texts(channel) == ["a"]
    assert len(channel.asked(TAIL)) < 20


def test_lines_that_may_be_missing_are_told_of(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING), state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, [*numbered(0, 10), LOST], numbered(50, 60))

    with pytest.warns(errors.LogGapWarning, match="may be missing here in the log of run r1, attempt 1") as caught:
        assert texts(channel) == lines(0, 10) + lines(50, 60)
    assert [warning.filename for warning in caught] == [__file__]


def test_who_wants_no_gaps_makes_an_error_of_the_warning(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING), state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, [*numbered(0, 10), LOST], numbered(50, 60))
    read = []

    with pytest.raises(errors.LogGapWarning):
        read.extend(iter(run(channel).get_logs()))


def test_a_log_that_is_gone_before_its_end_was_read_is_told_of(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING), state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, [*numbered(0, 10), LOST], NOT_FOUND)

    with pytest.warns(errors.LogGapWarning, match="its last lines can't be read any more"):
        assert texts(channel) == lines(0, 10)


def test_a_log_that_is_gone_after_its_end_was_read_is_whole(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, RUNNING), state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, numbered(0, 10), NOT_FOUND)

    assert texts(channel) == lines(0, 10)


def test_a_clean_end_long_before_the_end_proves_nothing_about_a_log_that_is_gone(channel: FakeChannel) -> None:
    """A server that stopped, say, and was away until the task had ended and its pod was gone."""
    down = errors.ConnectFailedError("refused")
    channel.on(DETAILS, state(RUNNING, RUNNING), *[down] * 20, state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, numbered(0, 10), NOT_FOUND)

    with pytest.warns(errors.LogGapWarning, match="its last lines can't be read any more"):
        assert texts(channel) == lines(0, 10)


def test_two_clean_ends_are_the_end_of_a_log_that_is_gone_later(channel: FakeChannel) -> None:
    """As between two attempts: the first one's process has ended, and its pod goes when the second one comes."""

    def second_attempt_after_a_minute(_: Any) -> Any:
        now = channel.clock.now
        return state(RUNNING, RUNNING) if now < 1060 else state(SUCCEEDED, RUNNING, SUCCEEDED)

    def tail(request: Any) -> Any:
        return NOT_FOUND if channel.clock.now > 1060 and request.attempt == 1 else [said(f"of {request.attempt}")]

    channel.on(DETAILS, second_attempt_after_a_minute).on(TAIL, tail)

    assert texts(channel) == ["of 1", "of 2"]


def test_two_clean_ends_with_news_in_between_are_no_end_of_a_log_that_is_gone(channel: FakeChannel) -> None:
    away = [errors.ConnectFailedError("refused")] * 20

    def away_after_two_streams(_: Any) -> Any:
        if len(channel.asked(TAIL)) < 2:
            return state(RUNNING, RUNNING)
        return away.pop() if away else state(SUCCEEDED, SUCCEEDED)

    channel.on(DETAILS, away_after_two_streams).on(TAIL, numbered(0, 5), numbered(0, 10), NOT_FOUND)

    with pytest.warns(errors.LogGapWarning, match="its last lines can't be read any more"):
        assert texts(channel) == lines(0, 10)


def test_a_server_that_cancels_without_end_is_raised(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, [said("a"), errors.CanceledError("it stops", Code.CANCELED)])

    with pytest.raises(errors.CanceledError, match="it stops"):
        texts(channel)


def test_an_overloaded_server_s_not_found_is_not_believed_at_once(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(SUCCEEDED, SUCCEEDED)).on(TAIL, NOT_FOUND, NOT_FOUND, [said("a")])

    assert texts(channel) == ["a"]


def test_not_found_before_the_first_line_does_not_count_after_the_end(channel: FakeChannel) -> None:
    channel.on(DETAILS, *[state(RUNNING, RUNNING)] * 30, state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, *[NOT_FOUND] * 29, [said("a"), LOST], NOT_FOUND, [said("a"), said("b")])

    assert texts(channel) == ["a", "b"]


def test_what_was_told_short_before_the_end_does_not_count_after_it(channel: FakeChannel) -> None:
    """A server that repeats only a part, again and again, as it may while the task runs."""
    channel.on(DETAILS, *[state(RUNNING, RUNNING)] * 5, state(SUCCEEDED, SUCCEEDED))
    channel.on(TAIL, [*numbered(0, 9), LOST], *[numbered(0, 4)] * 6, numbered(0, 12))

    assert texts(channel) == lines(0, 12)


def test_without_a_log_it_says_why(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(FAILED, FAILED)).on(TAIL, NOT_FOUND)

    with pytest.raises(
        errors.LogsNotYetAvailableError, match="run r1 has no log; it is failed, and the server says: pod r1-a0-0 not"
    ):
        texts(channel)


@pytest.mark.parametrize(
    ("details", "why"),
    [
        (state(SUCCEEDED, SUCCEEDED, cache_status=2), "came from the cache"),
        (state(P.ACTION_PHASE_ABORTED), "no attempt of it was begun"),
    ],
)
def test_what_can_have_no_log_is_not_asked_for_it(channel: FakeChannel, details: Any, why: str) -> None:
    channel.on(DETAILS, details)

    with pytest.raises(errors.LogsNotYetAvailableError, match=why):
        texts(channel)


def test_a_trace_writes_into_the_log_of_its_parent(channel: FakeChannel) -> None:
    details = state(SUCCEEDED)
    details.details.metadata.action_type = 2  # type: ignore[assignment]
    channel.on(DETAILS, details)

    with pytest.raises(errors.LogsNotYetAvailableError, match="log of its parent"):
        texts(channel)


def test_time_that_passes_before_the_first_line_is_no_log_yet(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(QUEUED))

    with pytest.raises(errors.LogsNotYetAvailableError, match="run r1 has no log after 5 s: it is queued"):
        texts(channel, timeout=5)


@pytest.mark.parametrize(
    ("first", "kind"), [([], errors.LogsNotYetAvailableError), ([said("a"), LOST], errors.WaitTimeoutError)]
)
def test_time_that_passes_in_an_outage_says_so(channel: FakeChannel, first: list[Any], kind: type[Exception]) -> None:
    refused = errors.ConnectFailedError("refused")
    channel.on(DETAILS, *([state(RUNNING, RUNNING)] if first else []), refused).on(TAIL, first)

    with pytest.raises(kind, match="the last question failed: unavailable: refused"):
        texts(channel, timeout=5)


def test_time_that_passes_in_the_middle_ends_the_reading_alone(channel: FakeChannel) -> None:
    def later() -> None:
        channel.clock.now += 10

    channel.on(DETAILS, state(RUNNING, RUNNING)).on(TAIL, [said("a"), later, said("b")])
    log = run(channel).get_logs(timeout=5)

    assert next(log) == "a"
    with pytest.raises(errors.WaitTimeoutError, match="the log of run r1 after 5 s"):
        next(log)


def test_a_cancel_ends_it(channel: FakeChannel) -> None:
    cancel = Cancel()
    channel.on(DETAILS, state(RUNNING, RUNNING)).on(TAIL, [said("a"), cancel.cancel, said("b")])
    log = run(channel, cancel).get_logs()

    assert next(log) == "a"
    with pytest.raises(errors.CanceledError):
        next(log)


def test_the_attempts_that_follow_are_read_too(channel: FakeChannel) -> None:
    channel.on(
        DETAILS,
        state(RUNNING, RUNNING),
        # The real server leaves an attempt that was followed by another running for ever.
        *[state(RUNNING, RUNNING, QUEUED)] * 2,
        state(RUNNING, RUNNING, RUNNING),
        state(SUCCEEDED, RUNNING, SUCCEEDED),
    )
    channel.on(TAIL, [said("first")], NOT_FOUND, [said("second")], [said("second")])

    assert texts(channel) == ["first", "second"]
    assert [request.attempt for request in channel.asked(TAIL)] == [1, 1, 2, 2]


def test_an_attempt_that_was_asked_for_is_the_only_one(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, FAILED, RUNNING)).on(TAIL, [said("first")])

    assert texts(channel, attempt=1) == ["first"]


def test_it_waits_for_the_attempt_after_one_that_failed(channel: FakeChannel) -> None:
    channel.on(DETAILS, *[state(RUNNING, FAILED)] * 3, state(SUCCEEDED, FAILED, SUCCEEDED))
    channel.on(TAIL, [said("first")], [said("second")])

    assert texts(channel) == ["first", "second"]


def test_a_later_attempt_without_a_log_is_told_of(channel: FakeChannel) -> None:
    channel.on(DETAILS, state(RUNNING, FAILED), state(FAILED, FAILED, FAILED))
    channel.on(TAIL, [said("first")], NOT_FOUND)

    with pytest.warns(errors.LogGapWarning, match="there is none of attempt 2"):
        assert texts(channel) == ["first"]


def test_closing_it_closes_the_stream(channel: FakeChannel) -> None:
    ended = []

    class Messages(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            try:
                yield from super().__iter__()
            finally:
                ended.append(True)

    channel.on(DETAILS, state(RUNNING, RUNNING)).on(TAIL, Messages(numbered(0, 5)))
    log = run(channel).get_logs()
    next(log)
    log.close()

    assert ended == [True]


def test_it_is_printed_line_by_line_into_a_pipe(channel: FakeChannel, capsys: pytest.CaptureFixture[str]) -> None:
    channel.on(DETAILS, state(SUCCEEDED, SUCCEEDED)).on(TAIL, [said("a", "[flyte] b", "c\n")])

    run(channel).show_logs(filter_system=True)
    run(channel).show_logs(raw=True)

    assert capsys.readouterr().out == "a\nc\na\n[flyte] b\nc\n"
    with pytest.raises(ValueError, match="max_lines"):
        run(channel).show_logs(max_lines=0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_last_lines_are_shown(channel: FakeChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()

    with LogView(2, channel.clock, terminal) as view:
        for number in range(9):
            view.show(f"line {number}", "user")
        view.draw()

    text = terminal.getvalue()
    assert "line 8" in text
    assert "line 6" not in text
    assert text.endswith("Scrolled 9 lines of logs.\n")


def test_a_terminal_that_can_t_go_back_gets_all_lines(channel: FakeChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()

    with LogView(2, channel.clock, terminal) as view:
        for number in range(9):
            view.show(f"line {number}", "user")

    assert terminal.getvalue().splitlines() == [f"line {number}" for number in range(9)]
