"""What a store keeps of a sign-in: what others wrote is read, what is written can be read by others."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
from typing import Any, Optional

import pytest
from fakes import FakeClock
from token_stores import DictStore, entry

from flyte_lite import errors
from flyte_lite._auth.entry import Entry, NotKeptError, shortened, text_of, token_in
from flyte_lite._auth.store import Place
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Deadline
from flyte_lite.errors import Code

HOST = "flyte.example"
SHARED = Place(HOST, "tokens", ("access_token", "refresh_token"), f"{HOST}:443")
OWN = Place(HOST, "tokens client_id=me")
CLOCK = FakeClock()
NOW = Moment.now(CLOCK)
DEADLINE = Deadline(CLOCK, 30.0)


def token(value: str = "a1", refresh: Optional[str] = "r1", life: Optional[float] = 3600.0) -> Token:
    return Token(value, NOW, life=life, refresh=refresh)


def test_a_token_is_written_as_the_official_sdk_reads_it() -> None:
    text = text_of(Token("a1", NOW, life=3600.0, refresh="r1", issued_by="https://idp.example:443/token"), NOW)

    assert json.loads(text) == {
        "access_token": "a1",
        "refresh_token": "r1",
        "expires_at": NOW.wall + 3600,
        "issued_by": "https://idp.example:443/token",
    }
    assert json.loads(text_of(token(refresh=None, life=None), NOW)) == {"access_token": "a1", "refresh_token": None}


def test_what_is_written_is_read() -> None:
    written = Token("a1", NOW, life=3600.0, refresh="r1", issued_by="https://idp.example:443/token")

    read = token_in(text_of(written, NOW), NOW)

    assert read is not None
    assert (read.value, read.refresh, read.issued_by) == ("a1", "r1", written.issued_by)
    assert read.left(NOW) == pytest.approx(3600.0)


def test_what_the_official_sdk_wrote_is_read() -> None:
    read = token_in(entry("a1", "r1"), NOW)

    assert read is not None
    assert (read.value, read.refresh, read.left(NOW), read.issued_by) == ("a1", "r1", None, None)


def jwt(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


def test_a_token_may_say_its_end_itself() -> None:
    ends = NOW.wall + 100
    said = token_in(entry(jwt(exp=ends)), NOW)
    kept = token_in(entry(jwt(exp=ends), expires_at=NOW.wall + 50), NOW)

    assert said is not None
    assert kept is not None
    assert (said.left(NOW), kept.left(NOW)) == (100.0, 50.0)


@pytest.mark.parametrize("hours", [-5, 5], ids=["set back", "set forward"])
def test_a_clock_that_is_set_between_writing_and_reading(hours: int) -> None:
    text = text_of(token(), NOW)
    read = token_in(text, Moment(5.0, NOW.wall + 3600 * hours))

    assert read is not None
    assert read.refresh == "r1", "either way the next one can be had, when its time is over or a server says so"
    assert read.good(Moment(5.0, NOW.wall + 3600 * hours)) is (hours < 0)


@pytest.mark.parametrize("ends", [None, "soon", float("nan"), float("inf"), -float("inf"), 10**400, [], {}])
def test_an_end_that_is_none_is_not_known(ends: Any) -> None:
    read = token_in(entry(expires_at=ends), NOW)

    assert read is not None
    assert read.left(NOW) is None


@pytest.mark.parametrize("access", ["", None, 7, "a b", "a\n", "\u00e9"])
def test_what_gets_the_next_token_is_enough(access: Any) -> None:
    read = token_in(entry(access, "r1", expires_at=NOW.wall + 100), NOW)

    assert read is not None
    assert (read.value, read.refresh, read.good(NOW)) == ("", "r1", False)
    assert token_in(entry(access, None), NOW) is None


@pytest.mark.parametrize("text", ["", "{", '"a1"', "[]", "null", "{}", "[" * 100_000, entry("a1")[:-9], entry("", "")])
def test_what_is_no_entry(text: str) -> None:
    assert token_in(text, NOW) is None


def test_the_shorter_form() -> None:
    short = shortened(entry("a" * 5000, "r1", expires_at=7.0, issued_by="https://idp.example:443/token"))

    assert short is not None
    assert json.loads(short) == {
        "access_token": "",
        "refresh_token": "r1",
        "issued_by": "https://idp.example:443/token",
    }
    assert shortened(short) is None
    assert shortened(entry("a1", None)) is None
    assert shortened("{") is None


def test_the_pair_of_an_older_sdk_is_read_and_replaced() -> None:
    store = DictStore({(HOST, "access_token"): "a0", (HOST, "refresh_token"): "r0"})
    kept = Entry(store, SHARED)

    read = kept.read(DEADLINE)
    assert read is not None
    assert (read.value, read.refresh) == ("a0", "r0")
    assert kept.write(token(), DEADLINE)
    assert list(store.kept) == [(HOST, "tokens")]


def test_half_of_a_pair() -> None:
    for name, expected in [("access_token", ("x", None)), ("refresh_token", ("", "x"))]:
        read = Entry(DictStore({(HOST, name): "x"}), SHARED).read(DEADLINE)
        assert read is not None
        assert (read.value, read.refresh) == expected


def test_an_entry_wins_over_a_pair_and_both_are_removed() -> None:
    store = DictStore({(HOST, "access_token"): "a0", (HOST, "refresh_token"): "r0", (HOST, "tokens"): entry()})
    kept = Entry(store, SHARED)

    read = kept.read(DEADLINE)
    assert read is not None
    assert read.value == "a1"
    assert kept.remove()
    assert store.kept == {}


def test_an_entry_with_the_port_written_out_stays_where_it_is() -> None:
    store = DictStore({(f"{HOST}:443", "tokens"): entry()})
    kept = Entry(store, SHARED)

    assert kept.read(DEADLINE) is not None
    kept.write(token("a2", "r2"), DEADLINE)

    assert list(store.kept) == [(f"{HOST}:443", "tokens")]
    again = Entry(store, SHARED).read(DEADLINE)
    assert again is not None
    assert again.value == "a2"
    assert kept.remove()
    assert store.kept == {}


def test_an_entry_with_the_port_is_newer_than_a_pair() -> None:
    store = DictStore({(HOST, "access_token"): "a0", (f"{HOST}:443", "tokens"): entry()})
    kept = Entry(store, SHARED)

    read = kept.read(DEADLINE)
    assert read is not None
    assert read.value == "a1"
    assert kept.remove()
    assert store.kept == {}, "or what is older would come to light"


def test_others_have_neither_pair_nor_port() -> None:
    store = DictStore({(HOST, "access_token"): "a0", (f"{HOST}:443", "tokens"): entry(), (HOST, "tokens"): entry()})

    assert Entry(store, OWN).read(DEADLINE) is None
    assert store.asked == [("get", HOST, OWN.name)]


def test_what_was_there_and_is_not_any_more_is_gone() -> None:
    store = DictStore()
    kept = Entry(store, OWN)
    kept.read(DEADLINE)
    assert not kept.gone, "it never was there"
    kept.write(token(), DEADLINE)
    kept.read(DEADLINE)
    assert not kept.gone
    store.kept.clear()
    kept.read(DEADLINE)
    assert kept.gone


def test_a_store_that_can_not_be_read_ends_the_call() -> None:
    store = DictStore()
    store.failure = RuntimeError("planted")

    with pytest.raises(errors.UnavailableError, match=f"tokens for {HOST} .* RuntimeError") as caught:
        Entry(store, OWN).read(DEADLINE)
    assert "planted" not in str(caught.value)
    assert not caught.value.sent
    store.failure = errors.ConfigError("it is open to others")
    with pytest.raises(errors.ConfigError, match="open to others"):
        Entry(store, OWN).read(DEADLINE)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (RuntimeError("planted"), "RuntimeError"),
        (OSError(30, "Read-only file system", "planted"), "Read-only file system"),
        (OSError("planted"), "OSError"),
        (errors.ConfigError("open to others"), "open to others"),
        (NotKeptError("it forgets"), "it forgets"),
    ],
    ids=["any", "os", "os without number", "ours", "keyring"],
)
def test_a_refresh_token_that_can_not_replace_the_one_before_is_a_warning(
    failure: Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = DictStore({(HOST, OWN.name): entry("a1", "r1")})
    kept = Entry(store, OWN)
    there = kept.read(DEADLINE)
    assert there is not None
    store.failure = failure
    store.fails = ("set",)

    with caplog.at_level(logging.DEBUG):
        assert not kept.write(token("a2", "r2"), DEADLINE)

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    said = caplog.records[0].getMessage()
    assert said == (
        f"the tokens for {HOST} could not be kept ({reason}): they are good here, and others have to sign in anew"
    )
    assert store.kept == {}, "nobody may use it up a second time"
    assert kept.outdated(there)
    assert not kept.outdated(token("a2", "r2"))


@pytest.mark.parametrize(("refresh", "there"), [("r1", True), ("r1", False)], ids=["the same", "none before"])
def test_where_nothing_is_lost_a_keyring_is_no_news(
    refresh: str, there: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = DictStore({(HOST, OWN.name): entry("a1", "r1")} if there else {})
    kept = Entry(store, OWN)
    kept.read(DEADLINE)
    store.failure = NotKeptError("it failed")

    with caplog.at_level(logging.DEBUG):
        assert not kept.write(token("a2", refresh), DEADLINE)
        assert not kept.remove()

    assert caplog.records == [], "it has said so itself"


def test_what_can_not_be_removed_is_said(caplog: pytest.LogCaptureFixture) -> None:
    store = DictStore({(HOST, OWN.name): entry()})
    store.failure = PermissionError(13, "Permission denied")

    with caplog.at_level(logging.DEBUG):
        assert not Entry(store, OWN).remove()

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.records[0].getMessage() == f"tokens for {HOST} could not be removed (Permission denied)"


def test_a_store_that_gives_no_text_has_nothing() -> None:
    store = DictStore({(HOST, OWN.name): b"x"})  # type: ignore[dict-item]

    assert Entry(store, OWN).read(DEADLINE) is None


def test_a_question_is_asked_within_the_call() -> None:
    class Bounded(DictStore):
        def within(self, deadline: Deadline) -> DictStore:
            assert deadline is DEADLINE
            raise errors.CanceledError("enough", Code.CANCELED)

    with pytest.raises(errors.CanceledError):
        Entry(Bounded(), OWN).read(DEADLINE)


def test_an_entry_shows_nothing_of_itself() -> None:
    kept = Entry(DictStore({(HOST, OWN.name): entry("planted", "planted")}), OWN)
    kept.read(DEADLINE)

    assert "planted" not in f"{kept!r} {kept}"
    with pytest.raises(TypeError):
        copy.deepcopy(kept)
    with pytest.raises(TypeError):
        pickle.dumps(kept)


def test_an_entry_without_a_port_comes_first() -> None:
    store = DictStore({(HOST, "tokens"): entry("a1"), (f"{HOST}:443", "tokens"): entry("b1")})

    read = Entry(store, SHARED).read(DEADLINE)
    assert read is not None
    assert read.value == "a1"


def test_what_was_too_long_for_its_store_goes_back_to_where_it_came_from_only() -> None:
    text = shortened(text_of(Token("a1", NOW, refresh="r1", issued_by="https://idp.example:443/token"), NOW))
    assert text is not None

    read = token_in(text, NOW)
    assert read is not None
    assert (read.value, read.refresh, read.issued_by) == ("", "r1", "https://idp.example:443/token")


def test_a_refresh_token_that_stays_the_same_is_good_though_it_could_not_be_written() -> None:
    store = DictStore({(HOST, OWN.name): entry("a1", "r1")})
    kept = Entry(store, OWN)
    kept.read(DEADLINE)
    store.failure, store.fails = OSError(28, "full"), ("set", "delete")

    assert not kept.write(token("a2", "r1"), DEADLINE)
    assert not kept.outdated(token("a1", "r1"))
    assert not kept.write(token("a3", "r3"), DEADLINE)
    assert kept.outdated(token("a1", "r1"))


def test_ctrl_c_while_it_is_written_loses_nothing() -> None:
    class Interrupted(DictStore):
        interrupts = 1

        def set(self, service: str, name: str, value: str) -> None:
            if self.interrupts:
                self.interrupts -= 1
                raise KeyboardInterrupt
            super().set(service, name, value)

    store = Interrupted({(HOST, OWN.name): entry("a1", "r1")})
    kept = Entry(store, OWN)
    with pytest.raises(KeyboardInterrupt):
        kept.write(token("a2", "r2"), DEADLINE)

    read = kept.read(DEADLINE)
    assert read is not None
    assert (read.value, read.refresh) == ("a2", "r2")
    store.interrupts = 2
    with pytest.raises(KeyboardInterrupt):
        kept.write(token("a3", "r3"), DEADLINE)
    assert store.interrupts == 0, "who insists is not kept waiting"
