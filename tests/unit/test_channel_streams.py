"""Calls that are streams, over a network that answers from a list: what is raised when, what is asked again."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from echo import (
    END,
    OK_TRAILERS,
    STREAM,
    TELL,
    WATCH,
    WEB,
    WRITE,
    Bench,
    FakeAnswer,
    Piece,
    frame,
    names,
    reading,
    say,
    word,
)

from flyte_lite import errors
from flyte_lite._clock import Deadline
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import CallError, Code


def lost() -> CallError:
    return errors.ConnectionLostError("lost")


def broken(code: str, **trailers: str) -> bytes:
    import json

    metadata = {name: [value] for name, value in trailers.items()}
    return frame(2, json.dumps({"error": {"code": code, "message": "m"}, "metadata": metadata}).encode())


# -- the beginning


def test_a_stream_from_beginning_to_end() -> None:
    answer = FakeAnswer(say("a", "b"), say("c") + frame(2, b'{"metadata":{"T":["1"]}}'), headers={**STREAM, "h": ["0"]})
    bench = Bench(answer)

    stream = bench.watch(idle=7.0, headers={"x": "y"})
    assert stream.headers["h"] == ["0"]
    assert stream.trailers == {}
    assert names(stream) == ["a", "b", "c"]
    assert stream.trailers == {"t": ["1"]}

    (asked,) = bench.network.asked
    assert (asked.verb, asked.target, asked.idle) == ("POST", "/test.v1.Echo/Watch", 7.0)
    assert asked.body == b"\x00\x00\x00\x00\x03\x22\x01a", "one message is one body"
    assert asked.headers["connect-timeout-ms"] == ["100000"]
    assert asked.headers["x"] == ["y"]
    assert answer.finished


def test_a_stream_ends_after_a_minute_without_a_byte_unless_told_otherwise() -> None:
    bench = Bench(FakeAnswer(END), FakeAnswer(END), FakeAnswer(END), FakeAnswer(say("") + END))
    bench.watch()
    bench.watch(idle=None)
    bench.chat([])
    bench.tell([])

    assert [asked.idle for asked in bench.network.asked] == [60.0, None, 60.0, None]


def test_it_begins_when_the_first_message_is_whole() -> None:
    whole = say("ab", "c") + END
    answer = FakeAnswer(*[whole[at : at + 1] for at in range(len(whole))])

    stream = Bench(answer).watch()

    assert len(answer.pieces) == len(whole) - len(say("ab"))
    assert names(stream) == ["ab", "c"]


def test_a_stream_without_messages_is_one_that_has_ended() -> None:
    answer = FakeAnswer(frame(2, b'{"metadata":{"t":["1"]}}'))
    stream = Bench(answer).watch()

    assert answer.finished
    assert stream.trailers == {"t": ["1"]}
    assert names(stream) == []
    assert next(stream, None) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (FakeAnswer(broken("not_found")), errors.NotFoundError),
        (FakeAnswer(b"", status=503, headers={}), errors.UnavailableError),
        (
            FakeAnswer(b'{"code":"aborted"}', status=409, headers={"content-type": ["application/json"]}),
            errors.AbortedError,
        ),
        (FakeAnswer(b"<html>", headers={"content-type": ["text/html"]}), errors.EndpointError),
        (FakeAnswer(say("a"), headers={**STREAM, "connect-content-encoding": ["rot13"]}), errors.InternalError),
        (FakeAnswer(lost()), errors.ConnectionLostError),
        (FakeAnswer(say("a")[:3]), errors.InternalError),
        (FakeAnswer(), errors.InternalError),
        (FakeAnswer(frame(0, b"\xff")), errors.InternalError),
        (FakeAnswer(END, behind=b"x"), errors.InternalError),
        (FakeAnswer(END + b"x"), errors.InternalError),
    ],
)
def test_what_goes_wrong_before_the_first_message_is_raised_at_once(answer: FakeAnswer, kind: type[CallError]) -> None:
    bench = Bench(answer)

    with pytest.raises(kind) as caught:
        bench.watch(WRITE)

    assert answer.closed
    assert caught.value.method == "Echo/Write"
    assert caught.value.endpoint == "https://echo.example:443"
    assert caught.value.sent


def test_what_goes_wrong_before_the_first_message_is_repeated_by_policy() -> None:
    gone = FakeAnswer(broken("unavailable"))
    bench = Bench(lost(), FakeAnswer(status=503, headers={}), gone, FakeAnswer(say("a") + END))

    assert names(bench.watch()) == ["a"]
    assert bench.clock.slept == [1.0, 2.0, 4.0]
    assert len({asked.headers["x-request-id"][0] for asked in bench.network.asked}) == 1
    assert [asked.headers["connect-timeout-ms"] for asked in bench.network.asked] == [
        ["100000"],
        ["99000"],
        ["97000"],
        ["93000"],
    ]
    assert gone.finished, "its end has come, so the connection is as good as new"


def test_what_is_not_safe_is_not_repeated() -> None:
    bench = Bench(lost())

    with pytest.raises(errors.ConnectionLostError):
        bench.watch(WRITE)

    assert len(bench.network.asked) == 1


@pytest.mark.parametrize("how", ["lost", "end", "cut"])
def test_what_goes_wrong_later_is_raised_by_next_and_never_repeated(how: str) -> None:
    answer = FakeAnswer(
        say("a"), {"lost": lost(), "end": broken("unavailable", T="2"), "cut": b""}[how], headers={**STREAM, "t": ["1"]}
    )
    bench = Bench(answer)
    stream = bench.watch()

    assert next(stream).name == "a"
    with pytest.raises(CallError) as caught:
        next(stream)

    assert caught.value.code is (Code.INTERNAL if how == "cut" else Code.UNAVAILABLE)
    assert caught.value.headers["t"] == (["1", "2"] if how == "end" else ["1"])
    assert (caught.value.method, caught.value.attempts) == ("Echo/Watch", 1)
    assert answer.closed
    assert next(stream, None) is None
    assert len(bench.network.asked) == 1


def test_messages_before_an_error_all_come() -> None:
    stream = Bench(FakeAnswer(say("a", "b", "c") + broken("aborted"))).watch()

    assert [next(stream).name for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(errors.AbortedError):
        next(stream)


@pytest.mark.parametrize("behind", [FakeAnswer(say("a") + END, behind=b"x"), FakeAnswer(say("a") + END + say("b"))])
def test_data_behind_the_end_is_an_error(behind: FakeAnswer) -> None:
    stream = Bench(behind).watch()

    assert next(stream).name == "a"
    with pytest.raises(errors.InternalError, match="behind its end"):
        next(stream)


def test_messages_over_the_limit() -> None:
    stream = Bench(FakeAnswer(say("a") + b"\x00\x00\x00\x00\x0b", headers={**STREAM, "h": ["1"]}), limit=10).watch()

    assert next(stream).name == "a"
    with pytest.raises(errors.AnswerTooLargeError, match="11 bytes is over the limit of 10") as caught:
        next(stream)
    assert caught.value.headers["h"] == ["1"]


# -- cancel, deadline, close


def stop(bench: Bench, how: str) -> type[CallError]:
    if how == "cancel":
        bench.cancel.cancel()
        return errors.CanceledError
    bench.clock.now += 1000
    return errors.CallTimeoutError


@pytest.mark.parametrize("how", ["cancel", "deadline"])
@pytest.mark.parametrize("read", [0, 1, 2])
def test_nothing_comes_after_a_cancel_or_the_deadline_though_it_is_there(how: str, read: int) -> None:
    answer = FakeAnswer(say("a", "b") + END)
    bench = Bench(answer)
    stream = bench.watch()
    for _ in range(read):
        next(stream)

    kind = stop(bench, how)

    with pytest.raises(kind) as caught:
        next(stream)
    assert caught.value.sent
    assert caught.value.method == "Echo/Watch"
    assert next(stream, None) is None
    assert answer.closed


@pytest.mark.parametrize("how", ["cancel", "deadline"])
@pytest.mark.parametrize("then", [say("b"), END, b"", lost(), broken("aborted"), frame(0, b"\xff")], ids=str)
def test_a_cancel_or_the_deadline_wins_over_whatever_comes_then(how: str, then: Piece) -> None:
    kinds: list[type[CallError]] = []

    def late() -> bytes:
        kinds.append(stop(bench, how))
        if isinstance(then, Exception):
            raise then
        assert isinstance(then, bytes)
        return then

    bench = Bench(FakeAnswer(say("a"), late))
    stream = bench.watch()
    assert next(stream).name == "a"

    with pytest.raises(CallError) as caught:
        next(stream)
    assert type(caught.value) is kinds[0]


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_a_stream_that_is_stopped_is_not_resumed(how: str) -> None:
    bench = Bench(FakeAnswer(say("a"), lambda: stop(bench, how) and None))
    stream = bench.watch(resume=lambda message: message)
    next(stream)

    with pytest.raises((errors.CanceledError, errors.CallTimeoutError)):
        next(stream)
    assert len(bench.network.asked) == 1


def test_closing_drops_the_connection_and_ends_the_messages() -> None:
    answer = FakeAnswer(say("a", "b") + END)
    stream = Bench(answer).watch()
    next(stream)

    assert not stream.closed
    stream.close()
    stream.close()

    assert answer.closed
    assert stream.closed
    assert not answer.finished
    assert next(stream, None) is None
    assert list(stream) == []


def test_leaving_the_with_closes() -> None:
    answer = FakeAnswer(say("a", "b") + END)
    with Bench(answer).watch() as stream:
        next(stream)

    assert answer.closed


def test_leaving_a_loop_closes_when_the_stream_is_forgotten() -> None:
    answer = FakeAnswer(say("a", "b") + END)
    for _ in Bench(answer).watch():
        break
    gc.collect()

    assert answer.closed


def test_a_stream_that_was_never_read_closes_its_answer_when_it_is_forgotten() -> None:
    answer = FakeAnswer(say("a", "b") + END)
    forgotten = weakref.ref(Bench(answer).watch())
    gc.collect()

    assert forgotten() is None
    assert answer.closed


def test_another_thread_may_close_it_while_it_waits() -> None:
    waiting, closed = threading.Event(), threading.Event()

    def wait() -> bytes:
        waiting.set()
        assert closed.wait(10)
        raise errors.CanceledError("the call was canceled", Code.CANCELED)

    answer = FakeAnswer(say("a"), wait)
    stream = Bench(answer).watch()
    found: list[Any] = []
    thread = reading(stream, found)
    assert waiting.wait(10)
    stream.close()
    closed.set()
    thread.join(10)

    assert found[0] == "a"
    assert isinstance(found[1], errors.CanceledError)
    assert found[1].message == "the stream was closed"
    assert answer.closed


@pytest.mark.parametrize("resume", [None, lambda message: message], ids=["", "resume"])
@pytest.mark.parametrize("then", [say("b", "c") + END, END, b""])
def test_nothing_comes_after_another_thread_closed_it_though_it_is_there(then: bytes, resume: Any) -> None:
    waiting, closed = threading.Event(), threading.Event()

    def wait() -> bytes:
        waiting.set()
        assert closed.wait(10)
        return then

    bench = Bench(FakeAnswer(say("a"), wait), FakeAnswer(say("again") + END))
    stream = bench.watch(resume=resume)
    found: list[Any] = []
    thread = reading(stream, found)
    assert waiting.wait(10)
    stream.close()
    closed.set()
    thread.join(10)

    assert found[0] == "a"
    assert isinstance(found[1], errors.CanceledError)
    assert len(found) == 2
    assert len(bench.network.asked) == 1


# -- resume


def fresh_from(seen: list[str]) -> Any:
    def fresh(message: Any) -> Optional[Any]:
        if message.name in seen:
            return None
        seen.append(message.name)
        return message

    return fresh


def test_a_stream_that_breaks_is_resumed_without_what_was_delivered() -> None:
    first = FakeAnswer(say("a", "b"), lost())
    second = FakeAnswer(say("a", "b", "c"), broken("unavailable"))
    third = FakeAnswer(say("c", "d") + frame(2, b'{"metadata":{"t":["3"]}}'), headers={**STREAM, "h": ["3"]})
    bench = Bench(first, second, third)
    seen: list[str] = []

    stream = bench.watch(resume=fresh_from(seen))

    assert names(stream) == ["a", "b", "c", "d"] == seen
    assert first.closed
    assert second.closed
    assert (stream.headers["h"], stream.trailers) == (["3"], {"t": ["3"]})
    assert bench.clock.slept == [1.0, 1.0], "what is new begins the count again"
    assert {bytes(asked.body) for asked in bench.network.asked} == {b"\x00\x00\x00\x00\x03\x22\x01a"}
    assert len({asked.headers["x-request-id"][0] for asked in bench.network.asked}) == 1


def test_resume_may_change_messages() -> None:
    stream = Bench(FakeAnswer(say("a", "b") + END)).watch(resume=lambda message: word(message.name * 2))

    assert names(stream) == ["aa", "bb"]


def test_it_is_asked_about_every_message_of_the_first_request_too() -> None:
    asked: list[str] = []

    def never(message: Any) -> None:
        asked.append(message.name)

    assert names(Bench(FakeAnswer(say("a", "b") + END)).watch(resume=never)) == []
    assert asked == ["a", "b"]


def test_a_quiet_stream_that_is_cut_off_again_and_again_is_asked_for_ever_more_seldom() -> None:
    bench = Bench(*[FakeAnswer(say("a"), lost()) for _ in range(6)], FakeAnswer(say("a", "b") + END))

    assert names(bench.watch(resume=fresh_from([]))) == ["a", "b"]
    assert bench.clock.slept == [1.0, 2.0, 4.0, 4.0, 4.0, 4.0]


def test_a_quiet_stream_is_given_up_at_the_deadline() -> None:
    bench = Bench(*[FakeAnswer(say("a"), lost()) for _ in range(9)])
    stream = bench.watch(seconds=12.0, resume=fresh_from([]))
    next(stream)

    with pytest.raises(CallError):
        next(stream)
    assert 3.0 <= sum(bench.clock.slept) < 12.0


def test_nothing_is_resumed_by_a_policy_that_repeats_nothing() -> None:
    bench = Bench(FakeAnswer(say("a"), lost()), retry=RetryPolicy(retries=0))
    stream = bench.watch(resume=fresh_from([]))
    next(stream)

    with pytest.raises(errors.ConnectionLostError):
        next(stream)


def test_a_request_to_resume_is_itself_repeated_by_policy() -> None:
    down = errors.ConnectFailedError("down")
    bench = Bench(FakeAnswer(say("a"), lost()), down, down, FakeAnswer(say("b") + END))

    assert names(bench.watch(resume=fresh_from([]))) == ["a", "b"]
    assert bench.clock.slept == [1.0, 1.0, 2.0]


def test_a_stream_that_cannot_be_resumed_says_that_the_first_request_was_sent() -> None:
    bench = Bench(FakeAnswer(say("a"), lost()), *[errors.ConnectFailedError("down") for _ in range(4)])
    stream = bench.watch(resume=fresh_from([]))
    next(stream)

    with pytest.raises(errors.ConnectFailedError) as caught:
        next(stream)

    assert caught.value.sent
    assert caught.value.attempts == 5


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (lost(), True),
        (broken("unavailable"), True),
        (broken("internal"), True),
        (b"", True),
        (broken("aborted"), False),
        (broken("resource_exhausted"), False),
        (broken("unauthenticated"), False),
        (errors.CallTimeoutError("no byte for 60 s", Code.DEADLINE_EXCEEDED), False),
        (errors.AnswerTooLargeError("x"), False),
    ],
    ids=str,
)
def test_only_what_is_worth_another_try_is_resumed(error: Piece, again: bool) -> None:
    bench = Bench(FakeAnswer(say("a"), error), FakeAnswer(say("b") + END))
    stream = bench.watch(resume=lambda message: message)
    next(stream)

    if again:
        assert next(stream).name == "b"
    else:
        with pytest.raises(CallError):
            next(stream)
    assert len(bench.network.asked) == 1 + again


def test_what_is_not_safe_is_not_resumed() -> None:
    bench = Bench(FakeAnswer(say("a"), lost()))
    stream = bench.watch(WRITE, resume=lambda message: message)
    next(stream)

    with pytest.raises(errors.ConnectionLostError):
        next(stream)


def test_no_wait_to_resume_goes_past_the_deadline() -> None:
    bench = Bench(FakeAnswer(say("a"), lost()))
    stream = bench.watch(seconds=1.0, resume=lambda message: message)
    next(stream)

    with pytest.raises(errors.ConnectionLostError):
        next(stream)
    assert bench.clock.slept == []


def test_a_stream_that_was_closed_during_the_wait_is_not_asked_for_again() -> None:
    bench = Bench(FakeAnswer(say("a"), lost()))
    stream = bench.watch(resume=lambda message: message)
    next(stream)
    bench.clock.sleep = lambda seconds, cancel=None: stream.close()  # type: ignore[method-assign]

    with pytest.raises(errors.ConnectionLostError):
        next(stream)
    assert len(bench.network.asked) == 1


def test_a_stream_that_was_closed_while_it_is_asked_for_again_drops_that_too() -> None:
    def answer() -> FakeAnswer:
        stream.close()
        return second

    second = FakeAnswer(say("b") + END)
    bench = Bench(FakeAnswer(say("a"), lost()), answer)
    stream = bench.watch(resume=lambda message: message)
    next(stream)

    assert next(stream, None) is None
    assert second.closed


def test_closing_a_resumed_stream_closes_the_newest_answer() -> None:
    second = FakeAnswer(say("b", "c") + END)
    stream = Bench(FakeAnswer(say("a"), lost()), second).watch(resume=lambda message: message)
    assert [next(stream).name, next(stream).name] == ["a", "b"]
    assert not second.closed

    stream.close()

    assert second.closed
    assert next(stream, None) is None


def test_what_resume_raises_comes_out() -> None:
    answer = FakeAnswer(say("a") + END)
    stream = Bench(answer).watch(resume=lambda message: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        next(stream)
    del stream
    gc.collect()
    assert answer.closed


# -- one message


@pytest.mark.parametrize("kind", ["unary", "client_stream"])
@pytest.mark.parametrize(
    ("words", "problem"), [((), "no message"), (("a", "b"), "more than one message"), (("a", "", ""), "more than one")]
)
def test_there_must_be_one_message(kind: str, words: tuple[str, ...], problem: str) -> None:
    answer = FakeAnswer(say(*words) + frame(0x80, b"grpc-status: 0\r\nt: 2\r\n"), headers={**WEB, "t": ["1"]})
    bench = Bench(answer, protocol=GrpcWeb())

    with pytest.raises(errors.UnimplementedError, match=problem) as caught:
        bench.unary() if kind == "unary" else bench.tell([word("a")])

    assert caught.value.code is Code.UNIMPLEMENTED
    assert caught.value.headers["t"] == (["1"] if words else ["1", "2"])
    assert answer.closed
    assert len(bench.network.asked) == 1


@pytest.mark.parametrize("kind", ["unary", "client_stream"])
def test_one_message(kind: str) -> None:
    end = frame(0x80, b"grpc-status: 0\r\nt: 2\r\n")
    answer = FakeAnswer(say("a"), end, headers={**WEB, "t": ["1"]})
    bench = Bench(answer, protocol=GrpcWeb())

    reply = bench.unary() if kind == "unary" else bench.tell([word("a")])

    assert reply.message.name == "a"
    assert (reply.headers["t"], reply.trailers, reply.attempts) == (["1"], {"t": ["2"]}, 1)
    assert answer.finished


def test_an_error_behind_the_message_is_the_outcome() -> None:
    for answer, protocol in (
        (FakeAnswer(say("a") + frame(0x80, b"grpc-status: 9\r\n"), headers=WEB), GrpcWeb()),
        (FakeAnswer(say("a") + broken("failed_precondition")), Connect()),
    ):
        with pytest.raises(errors.FailedPreconditionError):
            Bench(answer, protocol=protocol).tell([])


def test_unary_calls_over_grpc_web_are_repeated_too() -> None:
    bench = Bench(
        FakeAnswer(headers={**WEB, "grpc-status": ["14"]}),
        FakeAnswer(say("a"), lost(), headers=WEB),
        FakeAnswer(say("a") + OK_TRAILERS, headers=WEB),
        protocol=GrpcWeb(),
    )

    reply = bench.unary()

    assert (reply.message.name, reply.attempts) == ("a", 3)
    assert [asked.body for asked in bench.network.asked] == [b"\x00\x00\x00\x00\x03\x22\x01a"] * 3
    assert [asked.headers["grpc-timeout"] for asked in bench.network.asked] == [["100000m"], ["99000m"], ["97000m"]]


def test_data_behind_the_end_of_one_message_is_an_error() -> None:
    with pytest.raises(errors.InternalError, match="behind its end"):
        Bench(FakeAnswer(say("a") + OK_TRAILERS, headers=WEB, behind=b"x"), protocol=GrpcWeb()).unary(WRITE)


# -- several messages there


def test_messages_are_sent_one_by_one() -> None:
    answers = [FakeAnswer(say("x") + END) for _ in range(3)]
    bench = Bench(*answers)
    bench.tell([word("a"), word("")])
    bench.tell(iter([]))
    assert names(bench.chat(word(text) for text in "ab")) == ["x"]

    assert [asked.body for asked in bench.network.asked] == [
        [b"\x00\x00\x00\x00\x03\x22\x01a", b"\x00\x00\x00\x00\x00"],
        [],
        [b"\x00\x00\x00\x00\x03\x22\x01a", b"\x00\x00\x00\x00\x03\x22\x01b"],
    ]
    assert [asked.target for asked in bench.network.asked] == ["/test.v1.Echo/Tell"] * 2 + ["/test.v1.Echo/Chat"]


@pytest.mark.parametrize("kind", ["client_stream", "bidi_stream"])
def test_what_the_messages_raise_comes_out_unchanged(kind: str) -> None:
    problem = LookupError("no more")

    def words() -> Iterator[Any]:
        yield word("a")
        raise problem

    bench = Bench()
    with pytest.raises(LookupError) as caught:
        bench.tell(words()) if kind == "client_stream" else bench.chat(words())

    assert caught.value is problem
    assert len(bench.network.asked) == 1


def test_a_list_is_sent_again_only_if_nothing_was_sent() -> None:
    down = errors.ConnectFailedError("down")
    words = [word("a")]

    assert Bench(down, FakeAnswer(say("x") + END)).tell(words).attempts == 2
    assert names(Bench(down, FakeAnswer(say("x") + END)).chat(tuple(words))) == ["x"]
    for outcome in (lost(), FakeAnswer(broken("unavailable")), FakeAnswer(say("x"), lost())):
        bench = Bench(outcome)
        with pytest.raises(CallError):
            bench.tell(words)
        assert len(bench.network.asked) == 1


def test_an_iterator_is_never_sent_again() -> None:
    for outcome in (errors.ConnectFailedError("down"), FakeAnswer(broken("unavailable"))):
        bench = Bench(outcome)
        with pytest.raises(CallError):
            bench.tell(iter([word("a")]))
        assert len(bench.network.asked) == 1


def test_no_time_left_sends_nothing() -> None:
    bench = Bench()
    for call in (bench.watch, lambda seconds: bench.tell([], seconds), lambda seconds: bench.chat([], seconds)):
        with pytest.raises(errors.CallTimeoutError) as caught:
            call(seconds=0)  # type: ignore[call-arg]
        assert not caught.value.sent
    bench.cancel.cancel()
    with pytest.raises(errors.CanceledError) as canceled:
        bench.watch()

    assert not canceled.value.sent
    assert bench.network.asked == []


def test_without_a_deadline_no_timeout_is_sent() -> None:
    for protocol, end, headers in ((Connect(), END, STREAM), (GrpcWeb(), OK_TRAILERS, WEB)):
        bench = Bench(FakeAnswer(end, headers=headers), protocol=protocol)
        list(bench.watch(seconds=None))
        assert {"connect-timeout-ms", "grpc-timeout"}.isdisjoint(bench.network.asked[0].headers)


def test_a_deadline_without_end_is_one_for_each_protocol() -> None:
    for protocol, end, headers in ((Connect(), END, STREAM), (GrpcWeb(), OK_TRAILERS, WEB)):
        bench = Bench(FakeAnswer(say("a") + end, headers=headers), protocol=protocol)
        reply = bench.channel.client_stream(TELL, [], deadline=Deadline(bench.clock, float("inf")))
        assert reply.message.name == "a"


def test_the_bytes_of_streams_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="flyte_lite")
    body = say("a", "bc") + END
    list(Bench(FakeAnswer(body[:3], body[3:])).watch(WATCH, headers={"x-request-id": "r"}))

    (record,) = caplog.records
    assert record.getMessage() == f"Echo/Watch ok attempts=1 ms=0.0 sent=8 received={len(body)} request_id=r"
