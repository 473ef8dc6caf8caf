"""What stands around calls: ours (credentials, metadata, request ids, retries, one line of log) and those of users."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional

import pytest
from echo import (
    CHAT,
    END,
    OK_TRAILERS,
    READ,
    STREAM,
    WEB,
    WRITE,
    Bench,
    FakeAnswer,
    frame,
    names,
    reading,
    say,
    word,
)

from flyte_lite import errors
from flyte_lite._clock import Deadline
from flyte_lite._http.transport import Answer
from flyte_lite._rpc.call import Call, Reply, Stream, chain
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._rpc.interceptors import add_metadata
from flyte_lite.errors import CallError, Code

OK = Answer(200, "OK", {"content-type": ["application/proto"]}, b"\x22\x01x")
REFUSED = Answer(
    401, "", {"content-type": ["application/json"]}, b'{"code":"unauthenticated","message":"who are you?"}'
)
BARE_401 = Answer(401, "", {"content-type": ["text/html"]}, b"log in")
REFUSED_STREAM = frame(2, b'{"error":{"code":"unauthenticated"}}')
KINDS = ["unary", "client_stream", "server_stream", "bidi_stream"]


def make(bench: Bench, kind: str, **options: Any) -> Any:
    """A call of that kind; a Reply's message or a stream's messages by name."""
    if kind == "unary":
        return [bench.unary(**options).message.name]
    if kind == "client_stream":
        return [bench.tell([word("a"), word("b")], **options).message.name]
    return names(bench.watch(**options) if kind == "server_stream" else bench.chat([word("a"), word("b")], **options))


def good(kind: str) -> Any:
    return OK if kind == "unary" else FakeAnswer(say("x") + END)


# -- the chain


def test_the_first_is_outermost() -> None:
    told: list[str] = []

    def teller(name: str) -> Any:
        def tell(call: Call, proceed: Any) -> Any:
            told.append(f"{name} before")
            result = proceed(call)
            told.append(f"{name} after")
            return result

        return tell

    assert chain([teller("a"), teller("b"), teller("c")], lambda call: "done")(None) == "done"  # type: ignore[arg-type, return-value]
    assert told == ["a before", "b before", "c before", "c after", "b after", "a after"]
    assert chain([], lambda call: "done")(None) == "done"  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("kind", KINDS)
def test_one_shape_for_every_kind_of_call(kind: str) -> None:
    seen: list[Any] = []

    def look(call: Call, proceed: Any) -> Any:
        result = proceed(call)
        seen.append((call.kind, str(call.method), [message.name for message in call.messages], call.deadline.seconds))
        seen.append(type(result))
        return result

    assert make(Bench(good(kind), interceptors=[look]), kind) == ["x"]

    sent = ["a"] if kind in ("unary", "server_stream") else ["a", "b"]
    name = {"unary": "Read", "client_stream": "Tell", "server_stream": "Watch", "bidi_stream": "Chat"}[kind]
    assert seen == [(kind, f"Echo/{name}", sent, 100), Reply if kind in ("unary", "client_stream") else Stream]


@pytest.mark.parametrize("kind", KINDS)
def test_a_users_interceptor_may_change_headers_messages_and_deadline(kind: str) -> None:
    def change(call: Call, proceed: Any) -> Any:
        call.headers["x-own"] = ["1", "2"]
        call.messages = [word("changed")]
        call.deadline = call.deadline.within(5)
        return proceed(call)

    bench = Bench(good(kind), interceptors=[change])
    assert make(bench, kind) == ["x"]

    (asked,) = bench.network.asked
    body = asked.body if isinstance(asked.body, bytes) else b"".join(asked.body)
    assert body == (b"" if kind == "unary" else b"\x00\x00\x00\x00\x09") + b"\x22\x07changed"
    assert asked.headers["x-own"] == ["1", "2"]
    assert asked.headers["connect-timeout-ms"] == ["5000"]
    assert asked.deadline.seconds == 5


def test_a_users_interceptor_may_answer_itself() -> None:
    def answer(call: Call, proceed: Any) -> Any:
        return Reply(word("own"), {}, {}) if call.kind == "unary" else Stream(iter([word("own")]), Nothing())

    class Nothing:
        def __init__(self) -> None:
            self.headers: dict[str, list[str]] = {}
            self.trailers: dict[str, list[str]] = {}

        def close(self) -> None:
            pass

    bench = Bench(interceptors=[answer])
    assert make(bench, "unary") == ["own"]
    assert make(bench, "server_stream") == ["own"]
    assert bench.network.asked == []


def test_a_users_interceptor_may_change_what_comes() -> None:
    ended: list[str] = []

    def change(call: Call, proceed: Any) -> Any:
        def louder(stream: Stream[Any]) -> Iterator[Any]:
            for message in stream:
                yield word(message.name.upper())
            ended.append("end")

        return proceed(call).through(louder)

    answer = FakeAnswer(say("a", "b") + frame(2, b'{"metadata":{"t":["1"]}}'), headers={**STREAM, "h": ["0"]})
    stream = Bench(answer, interceptors=[change]).watch()

    assert names(stream) == ["A", "B"]
    assert ended == ["end"]
    assert (stream.headers["h"], stream.trailers) == (["0"], {"t": ["1"]})


def test_what_a_users_interceptor_raises_comes_out() -> None:
    def fail(call: Call, proceed: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Bench(interceptors=[fail]).unary()


def test_users_see_one_call_whatever_attempts_it_takes() -> None:
    seen: list[int] = []

    def count(call: Call, proceed: Any) -> Any:
        seen.append(call.attempts)
        result = proceed(call)
        seen.append(call.attempts)
        return result

    bench = Bench(errors.ConnectionLostError("x"), OK, interceptors=[count])
    assert bench.unary().attempts == 2
    assert seen == [0, 2]


@pytest.mark.parametrize("kind", ["server_stream", "bidi_stream"])
def test_a_closed_stream_closes_through_interceptors(kind: str) -> None:
    answer = FakeAnswer(say("x", "y") + END)

    def same(call: Call, proceed: Any) -> Any:
        return proceed(call).through(iter)

    bench = Bench(answer, interceptors=[same, same])
    stream = bench.watch() if kind == "server_stream" else bench.chat([])
    stream.close()
    assert answer.closed
    assert list(stream) == []


# -- request ids, metadata


def test_each_call_has_an_id_and_keeps_it() -> None:
    bench = Bench(errors.ConnectionLostError("x"), OK, OK, OK)
    bench.unary()
    bench.unary()
    bench.unary(headers={"X-Request-Id": "mine"})

    ids = [asked.headers["x-request-id"] for asked in bench.network.asked]
    assert ids[0] == ids[1]
    assert ids[1] != ids[2]
    assert len(ids[0][0]) == len(ids[2][0]) == 32
    assert ids[3] == ["mine"]


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_is_added_unless_the_call_has_its_own(kind: str) -> None:
    add = add_metadata({"X-All": ["1", "2"], "x-bin": b"\x00", "X-Own": "theirs", "content-type": "text/plain"})
    bench = Bench(good(kind), interceptors=[add])
    make(bench, kind, headers={"x-own": "mine"})

    (asked,) = bench.network.asked
    assert asked.headers["x-all"] == ["1", "2"]
    assert asked.headers["x-bin"] == ["AA"]
    assert asked.headers["x-own"] == ["mine"]
    assert asked.headers["content-type"][0].startswith("application/")


def test_metadata_of_one_call_is_not_that_of_the_next() -> None:
    def leave(call: Call, proceed: Any) -> Any:
        call.headers["x-left"] = ["1"]
        return proceed(call)

    bench = Bench(OK, OK, interceptors=[add_metadata({"x-all": "1"}), leave])
    bench.unary(headers={"x-own": "1"})
    bench.unary()

    assert "x-own" not in bench.network.asked[1].headers
    given = {"x-own": "1"}
    Bench(OK, interceptors=[leave]).unary(headers=given)
    assert given == {"x-own": "1"}


def test_bad_metadata_is_refused_at_once_without_its_value() -> None:
    with pytest.raises(ValueError, match="authorization") as caught:
        add_metadata({"authorization": "Bearer hidden\n"})

    assert "hidden" not in str(caught.value)


# -- credentials


class Wallet:
    """Tokens one after the other; `more` says whether a refused one is followed by another."""

    def __init__(self, more: bool = True) -> None:
        self.more = more
        self.told: list[Any] = []
        self.refusals: list[Any] = []

    def headers(self, deadline: Deadline) -> Mapping[str, str]:
        self.told.append(deadline)
        return {"Authorization": f"Bearer hidden-{len(self.refusals)}"}

    def refused(self, sent: Mapping[str, str], deadline: Deadline) -> bool:
        self.refusals.append((dict(sent), deadline))
        return self.more


def shown(bench: Bench) -> list[str]:
    return [value for asked in bench.network.asked for value in asked.headers["authorization"]]


@pytest.mark.parametrize("kind", KINDS)
def test_each_attempt_shows_credentials(kind: str) -> None:
    wallet = Wallet()
    bench = Bench(errors.ConnectFailedError("x"), good(kind), credentials=wallet)

    assert make(bench, kind) == ["x"]
    assert shown(bench) == ["Bearer hidden-0"] * 2
    assert len(wallet.told) == 2
    assert wallet.told[0] is bench.network.asked[0].deadline
    assert wallet.refusals == []


REFUSALS: list[tuple[str, Callable[[], Any]]] = [
    ("unary", lambda: REFUSED),
    ("unary", lambda: BARE_401),
    *((kind, lambda: FakeAnswer(REFUSED_STREAM)) for kind in KINDS[1:]),
    *((kind, lambda: FakeAnswer(status=401, headers={})) for kind in KINDS[1:]),
]


@pytest.mark.parametrize(("kind", "refusal"), REFUSALS)
def test_refused_credentials_are_mended_once(kind: str, refusal: Callable[[], Any]) -> None:
    wallet = Wallet()
    bench = Bench(refusal(), good(kind), credentials=wallet)

    assert make(bench, kind) == ["x"]
    assert shown(bench) == ["Bearer hidden-0", "Bearer hidden-1"]
    assert [sent for sent, _ in wallet.refusals] == [{"Authorization": "Bearer hidden-0"}]
    assert wallet.refusals[0][1] is bench.network.asked[0].deadline
    assert bench.clock.slept == []


@pytest.mark.parametrize(("kind", "refusal"), REFUSALS)
def test_but_only_once(kind: str, refusal: Callable[[], Any]) -> None:
    wallet = Wallet()
    bench = Bench(refusal(), refusal(), credentials=wallet)

    with pytest.raises(errors.UnauthenticatedError) as caught:
        make(bench, kind)

    assert (caught.value.attempts, len(wallet.refusals)) == (2, 1)
    assert "hidden" not in str(caught.value)


def test_once_a_call_with_retries_between_too() -> None:
    lost = errors.ConnectionLostError("x")
    wallet = Wallet()
    bench = Bench(REFUSED, lost, REFUSED, credentials=wallet)

    with pytest.raises(errors.UnauthenticatedError) as caught:
        bench.unary()

    assert (caught.value.attempts, len(wallet.refusals)) == (3, 1)
    bench.network.outcomes[:] = [lost, REFUSED, OK]
    assert bench.unary().attempts == 3, "the next call has its own"
    assert len(wallet.refusals) == 2


class Late(Wallet):
    """Shows nothing until it is asked, and then what it has had for long."""

    def __init__(self, always: Mapping[str, str]) -> None:
        super().__init__()
        self.always = always

    def headers(self, deadline: Deadline) -> Mapping[str, str]:
        return {**self.always, **(super().headers(deadline) if self.refusals else {})}


@pytest.mark.parametrize("always", [{}, {"Proxy-Authorization": "Bearer hidden"}], ids=["alone", "behind a proxy"])
def test_what_is_shown_for_the_first_time_may_be_mended_still(always: Mapping[str, str]) -> None:
    wallet = Late(always)
    bench = Bench(REFUSED, REFUSED, OK, credentials=wallet)

    assert bench.unary().attempts == 3
    assert [sent.get("Authorization") for sent, _ in wallet.refusals] == [None, "Bearer hidden-1"]
    wallet.refusals.clear()
    bench.network.outcomes[:] = [REFUSED, REFUSED, REFUSED, OK]
    with pytest.raises(errors.UnauthenticatedError) as caught:
        bench.unary()
    assert (caught.value.attempts, len(wallet.refusals)) == (3, 2), "and only once"


def test_unary_calls_over_grpc_web_are_mended_too() -> None:
    refused = FakeAnswer(headers={**WEB, "grpc-status": ["16"]})
    bench = Bench(refused, FakeAnswer(say("x") + OK_TRAILERS, headers=WEB), credentials=Wallet(), protocol=GrpcWeb())

    assert make(bench, "unary") == ["x"]
    assert shown(bench) == ["Bearer hidden-0", "Bearer hidden-1"]


def test_a_write_is_mended_too() -> None:
    bench = Bench(REFUSED, OK, credentials=Wallet())

    assert bench.unary(WRITE).attempts == 2


def test_with_nothing_else_to_show_it_is_not_tried_again() -> None:
    wallet = Wallet(more=False)
    bench = Bench(REFUSED, credentials=wallet)

    with pytest.raises(errors.UnauthenticatedError):
        bench.unary()
    assert len(wallet.refusals) == 1


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.UNAUTHENTICATED])
def test_only_unauthenticated_counts(code: Code) -> None:
    wallet = Wallet()
    answer = Answer(500, "", {"content-type": ["application/json"]}, b'{"code":"%b"}' % code.value.encode())
    with pytest.raises(CallError):
        Bench(answer, credentials=wallet).unary(WRITE)

    assert wallet.refusals == []


class Hidden(Wallet):
    """Shows nothing before it is asked for; `trouble` is why there is nothing to show."""

    def __init__(self, trouble: Optional[CallError] = None) -> None:
        super().__init__()
        self.trouble = trouble

    def headers(self, deadline: Deadline) -> Mapping[str, str]:
        return super().headers(deadline) if self.refusals else {}

    def refused(self, sent: Mapping[str, str], deadline: Deadline) -> bool:
        if self.trouble is not None:
            raise self.trouble
        return super().refused(sent, deadline)


FORBIDDEN = Answer(403, "Forbidden", {"content-type": ["text/plain"]}, b"RBAC: access denied")


def test_forbidden_to_who_shows_nothing_asks_for_credentials() -> None:
    """As Istio says it to whom it does not know."""
    wallet = Hidden()
    bench = Bench(FORBIDDEN, good("unary"), credentials=wallet)

    assert make(bench, "unary") == ["x"]
    assert len(wallet.refusals) == 1


def test_forbidden_to_who_has_shown_them_then_is_the_end() -> None:
    wallet = Hidden()
    with pytest.raises(errors.PermissionDeniedError):
        Bench(FORBIDDEN, FORBIDDEN, credentials=wallet).unary()
    assert len(wallet.refusals) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        errors.UnauthenticatedError("nobody can sign in here", Code.UNAUTHENTICATED, sent=False),
        errors.EndpointError("no such page", Code.UNKNOWN, sent=False),
    ],
    ids=["nobody", "nowhere"],
)
def test_forbidden_where_nobody_can_sign_in_is_what_it_is(trouble: CallError) -> None:
    with pytest.raises(errors.PermissionDeniedError) as caught:
        Bench(FORBIDDEN, credentials=Hidden(trouble)).unary()
    assert caught.value.__cause__ is trouble

    with pytest.raises(type(trouble)):
        Bench(REFUSED, credentials=Hidden(trouble)).unary()


def test_forbidden_to_who_says_themselves_who_they_are_is_no_matter_of_ours() -> None:
    wallet = Hidden()
    with pytest.raises(errors.PermissionDeniedError):
        Bench(FORBIDDEN, credentials=wallet).unary(headers={"authorization": "Bearer hidden-own"})
    assert wallet.refusals == []


def test_a_stream_that_is_refused_later_is_not_asked_again() -> None:
    wallet = Wallet()
    bench = Bench(FakeAnswer(say("a") + REFUSED_STREAM), credentials=wallet)
    stream = bench.watch()

    assert next(stream).name == "a"
    with pytest.raises(errors.UnauthenticatedError):
        next(stream)
    assert len(bench.network.asked) == 1
    assert wallet.refusals == []


def test_messages_from_an_iterator_are_not_sent_again() -> None:
    bench = Bench(FakeAnswer(REFUSED_STREAM), credentials=Wallet())

    with pytest.raises(errors.UnauthenticatedError):
        bench.tell(iter([word("a")]))
    assert len(bench.network.asked) == 1


def test_a_resumed_stream_shows_credentials_again() -> None:
    lost = errors.ConnectionLostError("x")
    wallet = Wallet()
    first, second = FakeAnswer(say("a"), lost), FakeAnswer(say("b") + END)
    bench = Bench(first, FakeAnswer(REFUSED_STREAM), second, credentials=wallet)

    assert names(bench.watch(resume=lambda message: message)) == ["a", "b"]
    assert shown(bench) == ["Bearer hidden-0", "Bearer hidden-0", "Bearer hidden-1"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_call_says_of_itself_wins(kind: str) -> None:
    bench = Bench(good(kind), credentials=Wallet())
    make(bench, kind, headers={"AUTHORIZATION": "Bearer own"})

    assert shown(bench) == ["Bearer own"]


def test_what_one_attempt_showed_is_gone_before_the_next() -> None:
    class Changing(Wallet):
        def headers(self, deadline: Deadline) -> Mapping[str, str]:
            super().headers(deadline)
            return {"x-first": "1"} if len(self.told) == 1 else {"x-second": "1"}

    bench = Bench(errors.ConnectionLostError("x"), OK, credentials=Changing())
    bench.unary()

    first, second = bench.network.asked
    assert "x-first" in first.headers
    assert "x-first" not in second.headers
    assert "x-second" in second.headers


def test_a_token_that_cannot_be_sent_is_not_shown_to_anybody() -> None:
    class Broken(Wallet):
        def headers(self, deadline: Deadline) -> Mapping[str, str]:
            return {"authorization": "Bearer hidden\n"}

    bench = Bench(credentials=Broken())
    with pytest.raises(ValueError, match="authorization") as caught:
        bench.unary()

    assert "hidden" not in str(caught.value)
    assert bench.network.asked == []


def test_what_credentials_raise_is_the_calls_error() -> None:
    class Locked(Wallet):
        def headers(self, deadline: Deadline) -> Mapping[str, str]:
            raise errors.UnauthenticatedError("no token to be had", Code.UNAUTHENTICATED, sent=False)

    wallet = Locked()
    with pytest.raises(errors.UnauthenticatedError, match="no token") as caught:
        Bench(credentials=wallet).unary()

    assert not caught.value.sent
    assert wallet.refusals == []


# -- one line of log


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.DEBUG, logger="flyte_lite")
    return lambda: [record.getMessage().partition(" request_id=")[0] for record in caplog.records]


def test_a_line_for_each_kind_of_call(log: Callable[[], list[str]], caplog: pytest.LogCaptureFixture) -> None:
    for kind in KINDS:
        make(Bench(good(kind), credentials=Wallet()), kind, headers={"x-secret": "hidden", "x-request-id": "id-1"})

    assert log() == [
        "Echo/Read ok attempts=1 ms=0.0 sent=3 received=3",
        "Echo/Tell ok attempts=1 ms=0.0 sent=16 received=15",
        "Echo/Watch ok attempts=1 ms=0.0 sent=8 received=15",
        "Echo/Chat ok attempts=1 ms=0.0 sent=16 received=15",
    ]
    assert all(record.getMessage().endswith(" request_id=id-1") for record in caplog.records)
    assert "hidden" not in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


def test_a_stream_has_its_line_at_its_end(log: Callable[[], list[str]]) -> None:
    bench = Bench(FakeAnswer(say("a") + END))
    stream = bench.watch()
    next(stream)
    assert log() == []
    bench.clock.now += 2

    list(stream)
    stream.close()

    assert log() == ["Echo/Watch ok attempts=1 ms=2000.0 sent=8 received=15"]


def test_a_stream_that_fails_late(log: Callable[[], list[str]]) -> None:
    bench = Bench(FakeAnswer(say("a") + frame(2, b'{"error":{"code":"aborted","message":"hidden"}}')))
    stream = bench.watch()
    next(stream)
    bench.clock.now += 2
    with pytest.raises(errors.AbortedError) as caught:
        next(stream)

    assert log() == ["Echo/Watch aborted attempts=1 ms=2000.0 sent=8 received=60"]
    assert caught.value.elapsed == 2.0


def test_a_stream_that_fails_at_once(log: Callable[[], list[str]]) -> None:
    with pytest.raises(errors.NotFoundError):
        Bench(FakeAnswer(frame(2, b'{"error":{"code":"not_found"}}'))).watch()

    assert log() == ["Echo/Watch not_found attempts=1 ms=0.0 sent=8 received=35"]


@pytest.mark.parametrize("how", ["close", "forget"])
def test_a_stream_that_is_left_early(log: Callable[[], list[str]], how: str) -> None:
    stream = Bench(FakeAnswer(say("a", "b") + END)).watch()
    next(stream)
    if how == "close":
        stream.close()
        stream.close()
    del stream
    gc.collect()

    assert log() == ["Echo/Watch closed attempts=1 ms=0.0 sent=8 received=23"]


def test_a_stream_that_was_resumed_has_one_line(log: Callable[[], list[str]]) -> None:
    lost = errors.ConnectionLostError("x")
    bench = Bench(FakeAnswer(say("a"), lost), FakeAnswer(say("b") + END))
    list(bench.watch(resume=lambda message: message))

    assert log() == ["Echo/Watch ok attempts=2 ms=1000.0 sent=16 received=23"]


def test_a_canceled_stream_has_its_line(log: Callable[[], list[str]]) -> None:
    bench = Bench(FakeAnswer(say("a", "b") + END))
    stream = bench.watch()
    bench.cancel.cancel()
    found: list[Any] = []
    reading(stream, found).join(10)

    assert isinstance(found[0], errors.CanceledError)
    assert log() == ["Echo/Watch canceled attempts=1 ms=0.0 sent=8 received=23"]


def test_the_methods_name_is_in_the_error() -> None:
    with pytest.raises(errors.ConnectFailedError) as caught:
        Bench(errors.ConnectFailedError("x")).chat(iter([]))

    assert caught.value.method == str(CHAT) == "Echo/Chat"
    assert str(READ) == "Echo/Read"
