"""Tokens that others share: who takes what, and what is written when."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional, Union

import pytest
from fakes import FakeClock
from token_stores import DictStore, entry

from flyte_lite import errors
from flyte_lite._auth.entry import NotKeptError
from flyte_lite._auth.lock import ProcessLock
from flyte_lite._auth.store import Place
from flyte_lite._auth.stored import Stored
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite.errors import Code

HOST = "flyte.example"
PLACE = Place(HOST, "tokens client_id=me")
KEY = PLACE[:2]


class Source:
    """Gives a2, a3, ... with r2, r3, ...; or what it was told: None takes no refresh token, "unsent" sends none."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.renewed: list[Optional[str]] = []
        self.fetched = 0
        self.outcome: Union[str, Exception, Callable[[], Any], None] = "next"
        self.count = 1

    def renew(self, old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        self.renewed.append(None if old is None else old.refresh)
        if old is None or old.refresh is None:
            return None
        if callable(self.outcome):
            self.outcome()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        old.spent = self.outcome is None
        return None if self.outcome in (None, "unsent") else self._next()

    def fetch(self, deadline: Deadline) -> Token:
        self.fetched += 1
        return self._next()

    def _next(self) -> Token:
        self.count += 1
        return Token(f"a{self.count}", Moment.now(self.clock), life=3600.0, refresh=f"r{self.count}")


class Bench:
    def __init__(self, folder: Path, kept: Optional[str] = None, store: Optional[DictStore] = None) -> None:
        self.clock = FakeClock()
        self.store = store or DictStore()
        if kept is not None:
            self.store.kept[KEY] = kept
        self.source = Source(self.clock)
        self.environ = {"TMPDIR": str(folder)}
        self.stored = Stored(self.source, self.store, PLACE, self.environ)

    def deadline(self, seconds: Optional[float] = 30.0) -> Deadline:
        return Deadline(self.clock, seconds)

    def renew(self, old: Optional[Token] = None) -> Optional[str]:
        token = self.stored.renew(old, self.deadline())
        return None if token is None else token.value

    def token(self, value: str = "a1", refresh: Optional[str] = "r1") -> Token:
        return Token(value, Moment.now(self.clock), life=3600.0, refresh=refresh)

    @property
    def kept(self) -> Optional[tuple[str, str]]:
        text = self.store.kept.get(KEY)
        return None if text is None else (json.loads(text)["access_token"], json.loads(text)["refresh_token"])


Make = Callable[..., Bench]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda *args, **named: Bench(tmp_path, *args, **named)


def test_what_is_there_is_taken(make: Make) -> None:
    bench = make(entry("a1", "r1"))

    assert bench.renew() == "a1"
    assert bench.source.renewed == []


def test_nothing_is_there(make: Make) -> None:
    bench = make()

    assert bench.renew() is None
    token = bench.stored.fetch(bench.deadline())
    assert (token.value, bench.kept) == ("a2", ("a2", "r2"))


def test_what_has_ended_is_renewed_and_written(make: Make) -> None:
    bench = make(entry("a1", "r1", expires_at=FakeClock().time() - 1))

    assert bench.renew() == "a2"
    assert bench.source.renewed == ["r1"]
    assert bench.kept == ("a2", "r2")


def test_what_a_server_refused_is_renewed(make: Make) -> None:
    bench = make(entry("a1", "r1"))

    assert bench.renew(bench.token("a1")) == "a2"
    assert bench.kept == ("a2", "r2")


def test_what_another_process_has_brought_is_taken(make: Make) -> None:
    bench = make(entry("a7", "r7"))

    assert bench.renew(bench.token("a1")) == "a7"
    assert bench.source.renewed == []


def test_of_what_another_process_has_brought_and_has_ended_the_newest_refresh_token_is_used(make: Make) -> None:
    bench = make(entry("a7", "r7", expires_at=0))

    assert bench.renew(bench.token("a1", "r1")) == "a2"
    assert bench.source.renewed == ["r7"]


def test_a_refresh_token_that_somebody_left_out_is_ours_still(make: Make) -> None:
    # As the official SDK does if an answer has none.
    bench = make(entry("a7", None, expires_at=0))

    assert bench.renew(bench.token("a1", "r1")) == "a2"
    assert bench.source.renewed == ["r1"]


def test_a_refresh_that_fails_keeps_what_is_there(make: Make) -> None:
    bench = make(entry("a1", "r1"))
    bench.source.outcome = errors.UnavailableError("down", Code.UNAVAILABLE, sent=False)

    with pytest.raises(errors.UnavailableError):
        bench.renew(bench.token("a1"))
    assert bench.kept == ("a1", "r1")
    bench.source.outcome = "next"
    assert bench.renew(bench.token("a1")) == "a2"


def test_what_was_not_sent_stays(make: Make) -> None:
    bench = make(entry("a1", "r1"))
    bench.source.outcome = "unsent"

    assert bench.renew(bench.token()) is None
    assert bench.kept == ("a1", "r1")


def test_what_is_not_taken_any_more_is_removed(make: Make) -> None:
    bench = make(entry("a1", "r1"))
    bench.source.outcome = None

    assert bench.renew(bench.token("a1")) is None
    assert bench.kept is None
    bench.stored.fetch(bench.deadline())
    assert bench.kept == ("a2", "r2"), "a new login is written, though the last one is gone"


@pytest.mark.parametrize(
    ("theirs", "expected", "used"),
    [
        (entry("b1", "s1"), "b1", ["r1"]),
        (entry("", "s1"), "a2", ["r1", "s1"]),
        (entry("b1", "r1", expires_at=0), None, ["r1"]),
    ],
    ids=["a new token", "what gets one", "nothing new"],
)
def test_somebody_who_knows_of_no_lock_may_have_used_it_up_before_us(
    make: Make, theirs: str, expected: Optional[str], used: list[str]
) -> None:
    bench = make(entry("a1", "r1", expires_at=0))

    renew = bench.source.renew

    def renew_after_them(old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        first = not bench.source.renewed
        bench.source.outcome = None if first else "next"
        if first:
            bench.store.kept[KEY] = theirs
        return renew(old, deadline)

    bench.source.renew = renew_after_them  # type: ignore[method-assign]

    assert bench.renew() == expected
    assert bench.source.renewed == used
    assert (bench.kept is None) is (expected is None)


def test_what_has_nothing_for_the_next_stays_until_it_is_replaced(make: Make) -> None:
    bench = make(entry("a1", None))

    assert bench.renew(bench.token("a1", None)) is None
    assert bench.kept == ("a1", None)


def test_who_signed_out_elsewhere_finds_nothing_there_again(make: Make) -> None:
    bench = make(entry("a1", "r1"))
    bench.renew()
    bench.store.kept.clear()

    assert bench.renew(bench.token("a1", "r1")) == "a2", "this process goes on"
    assert bench.kept is None


def test_what_could_not_be_written_is_used_and_not_what_is_there(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    bench = make(entry("a1", "r1"))
    bench.store.failure, bench.store.fails = OSError(30, "Read-only file system"), ("set", "delete")

    with caplog.at_level(logging.WARNING):
        assert bench.renew(bench.token("a1")) == "a2"
    assert "Read-only file system" in caplog.text
    assert bench.kept == ("a1", "r1")
    assert bench.renew(bench.token("a2", "r2")) == "a3"
    assert bench.source.renewed == ["r1", "r2"]
    bench.store.failure = None
    assert bench.renew(bench.token("a3", "r3")) == "a4"
    assert bench.kept == ("a4", "r4"), "it can be written again"


def test_somebody_who_signs_in_anew_meanwhile_wins_over_what_could_not_be_written(make: Make) -> None:
    bench = make(entry("a1", "r1"))
    bench.store.failure, bench.store.fails = OSError(30, "Read-only file system"), ("set", "delete")
    bench.renew(bench.token("a1"))
    bench.store.kept[KEY] = entry("b1", "s1")

    assert bench.renew(bench.token("a2", "r2")) == "b1"


def test_a_store_that_can_not_be_read_burns_nothing(make: Make) -> None:
    bench = make(entry("a1", "r1"))
    bench.store.failure = ConnectionError("down")

    with pytest.raises(errors.UnavailableError, match="can't be read"):
        bench.renew(bench.token("a1"))
    assert bench.source.renewed == []


def test_a_keyring_that_can_not_be_used_is_as_good_as_none(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    bench = make()
    bench.store.failure, bench.store.fails = NotKeptError("it failed"), ("set", "delete")

    with caplog.at_level(logging.DEBUG):
        assert bench.stored.fetch(bench.deadline()).value == "a2"
        assert bench.renew(bench.token("a2", "r2")) == "a3"
    assert caplog.records == []


def test_where_nothing_is_kept_nobody_is_waited_for(make: Make) -> None:
    class Broken(DictStore):
        trouble = "the keyring failed"

        def get(self, service: str, name: str) -> Optional[str]:
            return None

    bench = make(store=Broken())
    with ProcessLock(f"{KEY[0]}\0{KEY[1]}", bench.environ).held(Deadline(SYSTEM_CLOCK, 20)):
        assert bench.renew(bench.token("a1", "r1")) == "a2"
    assert bench.source.renewed == ["r1"]


def test_a_keyring_that_ends_meanwhile_is_not_one_that_was_signed_out_of(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    class Ending(DictStore):
        trouble = ""

        def get(self, service: str, name: str) -> Optional[str]:
            return None if self.trouble else super().get(service, name)

        def set(self, service: str, name: str, value: str) -> None:
            if self.trouble:
                raise NotKeptError(self.trouble)
            super().set(service, name, value)

    store = Ending()
    bench = make(entry("a1", "r1"), store)
    bench.renew()
    store.trouble = "it did not answer"

    with caplog.at_level(logging.DEBUG):
        assert bench.renew(bench.token("a1", "r1")) == "a2"
        assert bench.renew(bench.token("a2", "r2")) == "a3"
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert "could not be kept (it did not answer)" in said.getMessage(), "what others will find used up is said once"


def test_it_is_written_before_anybody_else_looks(make: Make, tmp_path: Path) -> None:
    bench = make(entry("a1", "r1", expires_at=0))
    name = "\0".join(KEY)

    def others_wait() -> None:
        waiting = ProcessLock(name, bench.environ).held(Deadline(FakeClock(), 1.0))
        with pytest.raises(errors.CallTimeoutError), waiting:
            pass

    class Watched(DictStore):
        def _ask(self, method: str, service: str, name: str) -> None:
            if self.asked:
                others_wait()
            super()._ask(method, service, name)

    bench.store.__class__ = Watched
    bench.source.outcome = others_wait

    assert bench.renew() == "a2"
    assert [method for method, *_ in bench.store.asked] == ["get", "get", "set"], "once before it is its turn"
    with ProcessLock(name, bench.environ).held(Deadline(FakeClock(), 1.0)):
        pass


def test_who_finds_what_it_wants_waits_for_nobody(make: Make) -> None:
    bench = make(entry("a1", "r1"))
    with ProcessLock("\0".join(KEY), bench.environ).held(Deadline(SYSTEM_CLOCK, 20.0)):
        assert bench.renew() == "a1"


def test_who_waits_for_another_process_has_no_longer_than_the_call(make: Make) -> None:
    bench = make(entry("a1", "r1", expires_at=0))
    with ProcessLock("\0".join(KEY), bench.environ).held(Deadline(SYSTEM_CLOCK, 20.0)):
        with pytest.raises(errors.CallTimeoutError, match="another process"):
            bench.renew()
        # What a person has just done is not lost for that.
        assert bench.stored.fetch(bench.deadline(0.0)).value == "a2"
    assert bench.kept == ("a2", "r2")
    assert bench.source.renewed == []


def test_nobody_waits_for_a_person(make: Make) -> None:
    bench = make()

    def fetch(deadline: Deadline) -> Token:
        with ProcessLock("\0".join(KEY), bench.environ).held(Deadline(FakeClock(), 1.0)):
            return bench.token("a9", "r9")

    bench.source.fetch = fetch  # type: ignore[method-assign]

    assert bench.stored.fetch(bench.deadline()).value == "a9"
    assert bench.kept == ("a9", "r9")


class Locking(DictStore):
    """A store that several machines use."""

    def __init__(self) -> None:
        super().__init__()
        self.locked: list[Any] = []
        self.refusal: Optional[Exception] = None
        self.unlocking: Optional[Exception] = None

    @contextlib.contextmanager
    def lock(self, service: str, name: str, seconds: Optional[float]) -> Iterator[None]:
        if self.refusal is not None:
            raise self.refusal
        self.locked.append((service, name, seconds))
        try:
            yield
        finally:
            self.locked.append("free")
            if self.unlocking is not None:
                raise self.unlocking


def test_the_lock_of_a_store_of_the_users_is_taken_too(make: Make) -> None:
    store = Locking()
    bench = make(entry("a1", "r1", expires_at=0), store)

    assert bench.renew() == "a2"
    assert store.locked == [(*KEY, 30.0), "free"]
    bench.source.outcome = errors.UnavailableError("down", Code.UNAVAILABLE, sent=False)
    with pytest.raises(errors.UnavailableError):
        bench.renew(bench.token("a2", "r2"))
    assert store.locked[2:] == [(*KEY, 30.0), "free"]


def test_a_lock_of_the_users_knows_of_no_limit_where_there_is_none(make: Make) -> None:
    store = Locking()
    bench = make(entry("a1", "r1", expires_at=0), store)
    bench.stored.renew(None, bench.deadline(None))

    assert store.locked[0] == (*KEY, None)


@pytest.mark.parametrize(
    ("refusal", "kind", "said"),
    [
        (TimeoutError("planted"), errors.CallTimeoutError, "was not free within 30 s"),
        (RuntimeError("planted"), errors.UnavailableError, "can't be locked: RuntimeError"),
        (errors.CanceledError("enough", Code.CANCELED), errors.CanceledError, "enough"),
    ],
    ids=["timeout", "failure", "ours"],
)
def test_a_lock_of_the_users_that_can_not_be_had(
    make: Make, refusal: Exception, kind: type[errors.CallError], said: str
) -> None:
    store = Locking()
    store.refusal = refusal
    bench = make(entry("a1", "r1", expires_at=0), store)

    with pytest.raises(kind, match=said) as caught:
        bench.renew()
    assert "planted" not in str(caught.value)
    assert bench.source.renewed == []
    assert bench.stored.fetch(bench.deadline()).value == "a2", "a person has signed in all the same"


def test_a_lock_of_the_users_that_can_not_be_let_go_costs_no_token(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    store = Locking()
    store.unlocking = RuntimeError("planted")
    bench = make(entry("a1", "r1", expires_at=0), store)

    with caplog.at_level(logging.WARNING):
        assert bench.renew() == "a2"
    assert "can't be unlocked: RuntimeError" in caplog.text
    assert "planted" not in caplog.text


def test_nothing_of_it_is_shown(make: Make) -> None:
    bench = make(entry("planted", "planted"))
    bench.renew()

    assert "planted" not in f"{bench.stored!r} {vars(bench.stored)}"
    with pytest.raises(TypeError):
        copy.deepcopy(bench.stored)
    with pytest.raises(TypeError):
        pickle.dumps(bench.stored)


@pytest.mark.parametrize("there", [None, entry("a0", None, expires_at=0)], ids=["nothing", "nothing for the next"])
def test_what_is_ours_alone_and_not_taken_any_more_is_asked_about_once(make: Make, there: Optional[str]) -> None:
    bench = make(there)

    def refused(old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        assert old is not None
        bench.source.renewed.append(old.refresh)
        assert len(bench.source.renewed) == 1
        return None

    bench.source.renew = refused  # type: ignore[method-assign]

    assert bench.renew(bench.token("a1", "r1")) is None
    assert bench.source.renewed == ["r1"]


def test_who_signed_in_waits_a_little_to_write_it_and_no_longer(make: Make) -> None:
    bench = make()
    with ProcessLock(f"{KEY[0]}\0{KEY[1]}", bench.environ).held(Deadline(SYSTEM_CLOCK, 20)):
        before = bench.clock.now
        assert bench.stored.fetch(bench.deadline(3600.0)).value == "a2"

    assert bench.clock.now - before == pytest.approx(2.0)
    assert bench.kept == ("a2", "r2")
