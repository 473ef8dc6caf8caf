"""Renewals that outlive the calls that began them: nothing that is used up is sent twice."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from fakes import FakeClock

from flyte_lite import errors
from flyte_lite._auth.outliving import Outliving
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Cancel, Deadline


class Slow:
    """Answers when it is let go, each time the next thing that it was told; a child is let go at once."""

    def __init__(self, *answers: Any) -> None:
        self.go = threading.Semaphore(0)
        self.answers = list(answers)
        self.renewed: list[Optional[Token]] = []
        self.within: list[Optional[float]] = []
        self.threads: list[threading.Thread] = []

    def renew(self, old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        self.renewed.append(old)
        self.within.append(deadline.seconds)
        self.threads.append(threading.current_thread())
        answer = self.answers.pop(0)
        self.go.acquire(timeout=60)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]

    def fetch(self, deadline: Deadline) -> Token:
        raise AssertionError("nobody is asked")


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.old, self.first, self.second = self.token("a1"), self.token("a2"), self.token("a3")
        self.source = Slow()
        self.outliving = Outliving(self.source)

    def token(self, value: str) -> Token:
        return Token(value, Moment.now(self.clock), life=3600.0, refresh=f"r-{value}")

    def renew(self, old: Optional[Token] = None, seconds: Optional[float] = 60.0) -> Optional[Token]:
        return self.outliving.renew(old or self.old, Deadline(self.clock, seconds))

    def leave(self) -> None:
        """Begin a renewal, and have no time for it."""
        with pytest.raises(errors.CallTimeoutError, match="no token was renewed within 0 s"):
            self.renew(seconds=0.0)

    def let_go(self) -> None:
        self.source.go.release()
        self.source.threads[-1].join(60)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.source.go.release(10)


def test_what_a_call_leaves_behind_is_the_next_ones(bench: Bench) -> None:
    bench.source.answers = [bench.first]

    bench.leave()
    bench.leave()
    bench.let_go()

    assert bench.renew() is bench.first
    assert bench.source.renewed == [bench.old]


def test_a_call_waits_for_what_another_began(bench: Bench) -> None:
    bench.source.answers = [bench.first]
    bench.leave()
    bench.source.go.release()

    assert bench.renew() is bench.first
    assert bench.source.renewed == [bench.old]


def test_a_call_that_is_canceled_leaves_it_behind(bench: Bench) -> None:
    bench.source.answers = [bench.first]
    cancel = Cancel()
    cancel.cancel()

    with pytest.raises(errors.CanceledError):
        bench.outliving.renew(bench.old, Deadline(bench.clock, None, cancel))
    bench.let_go()

    assert bench.renew() is bench.first
    assert bench.source.renewed == [bench.old]


def test_what_is_taken_is_taken_once(bench: Bench) -> None:
    bench.source.answers = [bench.first, bench.second]
    bench.leave()
    bench.let_go()
    bench.source.go.release()

    assert [bench.renew(), bench.renew()] == [bench.first, bench.second]


def test_what_came_long_ago_still_has_what_gets_the_next(bench: Bench) -> None:
    bench.source.answers = [bench.first, bench.second]
    bench.leave()
    bench.let_go()
    bench.clock.now += 4000

    bench.leave()
    bench.let_go()
    bench.second = bench.token("a3")

    assert bench.source.renewed == [bench.old, bench.first]


def test_what_follows_what_came_long_ago_is_left_behind_like_the_first(bench: Bench) -> None:
    bench.source.answers = [bench.first, bench.second]
    bench.leave()
    bench.let_go()
    bench.clock.now += 4000
    bench.source.answers = [bench.token("a4")]
    bench.leave()
    bench.let_go()

    token = bench.renew()
    assert token is not None
    assert token.value == "a4"
    assert len(bench.source.renewed) == 2


@pytest.mark.parametrize("outcome", [errors.UnavailableError("down", errors.Code.UNAVAILABLE), None], ids=repr)
def test_how_it_failed_for_a_call_that_is_gone_is_nobodys(bench: Bench, outcome: Any) -> None:
    bench.source.answers = [outcome, bench.first]
    bench.leave()
    bench.let_go()
    bench.source.go.release()

    assert bench.renew() is bench.first


@pytest.mark.parametrize("outcome", [errors.UnavailableError("down", errors.Code.UNAVAILABLE), SystemExit(3)], ids=repr)
def test_how_it_failed_is_said_to_who_waits(bench: Bench, outcome: BaseException) -> None:
    bench.source.answers = [outcome]
    bench.source.go.release()

    with pytest.raises(type(outcome)) as caught:
        bench.renew()
    assert caught.value is outcome


def test_what_followed_another_token_is_not_this_ones(bench: Bench) -> None:
    bench.source.answers = [bench.first, bench.second]
    bench.leave()
    bench.let_go()
    bench.source.go.release()

    assert bench.renew(bench.token("other")) is bench.second


@pytest.mark.parametrize(("seconds", "given"), [(0.0, 30.0), (60.0, 60.0), (None, 300.0)], ids=str)
def test_it_has_a_time_of_its_own(bench: Bench, seconds: Optional[float], given: float) -> None:
    bench.source.answers = [bench.first]
    if seconds == 0.0:
        bench.leave()
    else:
        bench.source.go.release()
        bench.renew(seconds=seconds)

    assert bench.source.within == [given]


def test_a_child_waits_for_no_thread_of_its_parent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.source.answers = [bench.first, bench.second]
    bench.leave()
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    bench.source.go.release(2)

    assert bench.renew() is bench.second


def test_where_there_can_be_no_thread_it_is_renewed_without(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    bench.source.answers = [bench.first]
    bench.source.go.release()

    assert bench.renew() is bench.first
    assert bench.source.threads == [threading.current_thread()]


def test_it_keeps_no_program_from_its_end(bench: Bench) -> None:
    bench.source.answers = [bench.first]
    bench.leave()
    bench.let_go()

    assert bench.source.threads[0].daemon


def test_it_shows_nothing_of_itself(bench: Bench) -> None:
    assert repr(Outliving(bench.source)).startswith("Outliving(<")
    for act in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="what signs in is not pickled"):
            act(Outliving(bench.source))
