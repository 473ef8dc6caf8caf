"""One token for everybody: when it is renewed, who waits for it, and who does not."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any, Optional, Union

import pytest
from fakes import FakeClock

from flyte_lite import errors
from flyte_lite._auth.provider import unsent
from flyte_lite._auth.tokens import Moment, Together, Token, TokenCredentials
from flyte_lite._clock import Cancel, Deadline
from flyte_lite.errors import Code

HEADER = "authorization"


class FakeSource:
    """Gives what it was told: a life, an error, or whatever a function gives."""

    def __init__(self, clock: FakeClock, *outcomes: Union[Optional[float], Exception, Callable[[], Any]]) -> None:
        self.clock = clock
        self.outcomes = list(outcomes)
        self.olds: list[Optional[Token]] = []
        self.deadlines: list[Deadline] = []
        self.person_needed = False
        self.renewals = 0

    def renew(self, old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        self.renewals += 1
        return None if self.person_needed else self._next(old, deadline)

    def fetch(self, deadline: Deadline) -> Token:
        assert self.person_needed, "nobody is asked where it goes without"
        return self._next(None, deadline)

    def _next(self, old: Optional[Token], deadline: Deadline) -> Token:
        born = Moment.now(self.clock)
        self.olds.append(old)
        self.deadlines.append(deadline)
        outcome = self.outcomes[0] if len(self.outcomes) == 1 else self.outcomes.pop(0)
        if callable(outcome):
            outcome = outcome()
        if isinstance(outcome, Exception):
            raise outcome
        assert outcome is None or isinstance(outcome, float)
        return Token(f"t{len(self.olds)}", born, life=outcome)


class FakeHeader:
    def __init__(self, other: Optional[str] = None) -> None:
        self.now = HEADER
        self.other = other

    def name(self, deadline: Deadline) -> str:
        return self.now

    def reconsider(self, deadline: Deadline) -> bool:
        changed = self.other is not None and self.now != self.other
        self.now = self.other or self.now
        return changed


class Bench:
    def __init__(self, *outcomes: Any, **options: Any) -> None:
        self.clock = FakeClock()
        self.source = FakeSource(self.clock, *outcomes)
        self.header = FakeHeader(options.pop("other_header", None))
        self.credentials = TokenCredentials(self.source, self.header, self.clock, **options)

    def deadline(self, seconds: Optional[float] = 100.0, cancel: Optional[Cancel] = None) -> Deadline:
        return Deadline(self.clock, seconds, cancel)

    def show(self) -> dict[str, str]:
        return dict(self.credentials.headers(self.deadline()))

    def refuse(self, sent: dict[str, str]) -> bool:
        return self.credentials.refused(sent, self.deadline())

    @property
    def fetched(self) -> int:
        return len(self.source.olds)


def unavailable() -> errors.CallError:
    return errors.UnavailableError("not now", Code.UNAVAILABLE, sent=False)


def test_a_token_is_fetched_before_the_first_call_and_kept() -> None:
    bench = Bench(3600.0)

    assert [bench.show() for _ in range(3)] == [{HEADER: "Bearer t1"}] * 3
    assert bench.fetched == 1
    assert bench.source.olds == [None]


def test_nothing_is_shown_to_a_server_that_does_not_ask() -> None:
    bench = Bench(3600.0, eager=False)

    assert bench.show() == {}
    assert bench.fetched == 0
    assert bench.refuse({}) is True
    assert bench.show() == {HEADER: "Bearer t1"}
    assert bench.fetched == 1


@pytest.mark.parametrize(("usual", "had", "left"), [(True, 300, 100), (False, 100, 10)], ids=["usual", "set"])
def test_what_a_person_takes_is_not_the_calls_if_nobody_has_set_its_end(usual: bool, had: float, left: float) -> None:
    bench = Bench()

    def slow() -> float:
        bench.clock.sleep(90)
        return 3600.0

    bench.source.outcomes = [slow]
    bench.source.person_needed = True
    deadline = Deadline(bench.clock, 100.0, usual=usual)
    started = bench.clock.monotonic()

    assert bench.credentials.headers(deadline) == {HEADER: "Bearer t1"}
    end = bench.source.deadlines[0].end
    assert end is not None
    assert end - started == had
    assert deadline.left() == left


def test_one_method_that_wants_somebody_leaves_the_others_alone_where_nobody_can_sign_in() -> None:
    nobody = errors.UnauthenticatedError("nobody can sign in here", Code.UNAUTHENTICATED, sent=False)
    bench = Bench(nobody, eager=False)
    with pytest.raises(errors.UnauthenticatedError):
        bench.refuse({})

    assert bench.show() == {}

    bench.source.outcomes = [3600.0]
    assert bench.refuse({}) is True
    assert bench.show() == {HEADER: "Bearer t2"}


@pytest.mark.parametrize(
    ("life", "kept_until", "renewed_at"),
    [(3600.0, 3539.0, 3540.0), (300.0, 269.0, 270.0), (10.0, 8.9, 9.0), (None, 1e9, None)],
)
def test_a_token_is_renewed_a_little_before_its_end(
    life: Optional[float], kept_until: float, renewed_at: Optional[float]
) -> None:
    bench = Bench(life)
    bench.show()
    start = bench.clock.now

    bench.clock.now = start + kept_until
    assert bench.show() == {HEADER: "Bearer t1"}
    if renewed_at is not None:
        bench.clock.now = start + renewed_at
        assert bench.show() == {HEADER: "Bearer t2"}
        assert bench.source.olds[1] is not None
        assert bench.source.olds[1].value == "t1"


def test_a_machine_that_slept_knows_by_its_calendar() -> None:
    class Sleeper(FakeClock):
        slept_for = 0.0

        def time(self) -> float:
            return super().time() + self.slept_for

    bench = Bench(3600.0)
    bench.clock = bench.source.clock = Sleeper()
    bench.credentials = TokenCredentials(bench.source, bench.header, bench.clock)
    bench.show()
    bench.clock.slept_for = 4000.0

    assert bench.show() == {HEADER: "Bearer t2"}


def test_a_calendar_set_back_makes_no_token_live_longer() -> None:
    class SetBack(FakeClock):
        back = 0.0

        def time(self) -> float:
            return super().time() - self.back

    clock = SetBack()
    token = Token("t", Moment.now(clock), life=100.0)
    clock.back = 10_000.0
    clock.now += 101

    assert not token.good(Moment.now(clock))


def test_a_good_token_goes_on_when_it_can_not_be_renewed_early() -> None:
    bench = Bench(100.0, unavailable(), unavailable(), 100.0)
    bench.show()

    bench.clock.now += 91
    assert bench.show() == {HEADER: "Bearer t1"}
    assert bench.show() == {HEADER: "Bearer t1"}
    assert bench.fetched == 2, "the provider is left alone for a while"
    assert bench.source.deadlines[1].seconds == 10.0, "an early renewal may not use up the call"
    bench.clock.now += 8.9
    assert bench.fetched == 2
    bench.clock.now += 0.2
    with pytest.raises(errors.UnavailableError):
        bench.show()
    assert bench.show() == {HEADER: "Bearer t4"}


def test_who_keeps_a_token_to_its_end_is_not_asked_for_each_call() -> None:
    bench = Bench(100.0)
    first = bench.show()
    born = Moment.now(bench.clock)
    # Such as a command with a store of its own: it gives the same one until that is over.
    bench.source.renew = lambda old, deadline: (  # type: ignore[method-assign]
        bench.source.olds.append(old) or Token("t1", born, life=100.0)  # type: ignore[func-returns-value]
    )
    bench.clock.now += 91

    assert [bench.show() for _ in range(5)] == [first] * 5
    assert bench.fetched == 2


def test_an_early_renewal_takes_no_more_than_half_of_what_is_left() -> None:
    bench = Bench(100.0)
    bench.show()
    bench.clock.now += 91
    bench.credentials.headers(bench.deadline(4.0))

    assert bench.source.deadlines[1].seconds == 2.0


def test_who_has_little_time_leaves_an_early_renewal_to_others() -> None:
    """Its answer might come too late, and the refresh token be used up for nothing."""
    bench = Bench(100.0)
    bench.show()
    bench.clock.now += 91
    assert bench.credentials.headers(bench.deadline(3.9)) == {HEADER: "Bearer t1"}
    assert bench.fetched == 1

    assert bench.show() == {HEADER: "Bearer t2"}
    bench.clock.now += 101
    assert bench.credentials.headers(bench.deadline(3.9)) == {HEADER: "Bearer t3"}, "there is no other way"


def test_nobody_is_asked_to_sign_in_early() -> None:
    bench = Bench(100.0)
    bench.source.person_needed = True
    bench.show()
    bench.clock.now += 99
    assert [bench.show() for _ in range(3)] == [{HEADER: "Bearer t1"}] * 3
    assert bench.source.renewals == 2, "what a person alone can do is not tried with each call"
    bench.clock.now += 2
    assert bench.show() == {HEADER: "Bearer t2"}


def test_what_is_there_is_shown_before_a_server_asks() -> None:
    bench = Bench(3600.0, eager=False, looks=True)

    assert bench.show() == {HEADER: "Bearer t1"}
    bench.clock.now += 3601
    assert bench.show() == {HEADER: "Bearer t2"}
    bench.source.person_needed = True
    bench.clock.now += 3601
    assert bench.show() == {}, "the server may not want anybody any more"
    assert bench.refuse({}) is True
    assert bench.show() == {HEADER: "Bearer t3"}


@pytest.mark.parametrize("outcome", ["nothing", "failure"])
def test_nobody_is_asked_before_a_server_asks(outcome: str) -> None:
    bench = Bench(unavailable() if outcome == "failure" else 3600.0, eager=False, looks=True)
    bench.source.person_needed = outcome == "nothing"

    assert [bench.show() for _ in range(3)] == [{}] * 3
    assert bench.source.renewals == 1, "it is looked once"
    bench.source.outcomes = [3600.0]
    assert bench.refuse({}) is True
    assert bench.show() != {}


def test_a_look_that_is_canceled_ends_the_call() -> None:
    bench = Bench(3600.0, eager=False, looks=True)
    cancel = Cancel()

    def end() -> Exception:
        cancel.cancel()
        return errors.CanceledError("the call was canceled", Code.CANCELED, sent=False)

    bench.source.outcomes = [end]
    with pytest.raises(errors.CanceledError):
        bench.credentials.headers(bench.deadline(None, cancel))
    bench.source.outcomes = [3600.0]
    assert bench.show() == {HEADER: "Bearer t2"}, "the next one looks again"


def test_who_needs_a_token_asks_the_person_whom_a_quiet_renewal_did_not() -> None:
    bench = Bench(100.0)
    sent = bench.show()
    bench.clock.now += 95
    inside, go_on = threading.Event(), threading.Event()
    bench.source.person_needed = True
    renew = bench.source.renew

    def slowly(old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        inside.set()
        assert go_on.wait(20)
        return renew(old, deadline)

    bench.source.renew = slowly  # type: ignore[method-assign]
    early = threading.Thread(target=bench.show)
    early.start()
    assert inside.wait(20)
    threading.Thread(target=lambda: (waiting(bench, 1), go_on.set())).start()

    assert bench.refuse(sent) is True
    early.join(20)
    assert bench.show() == {HEADER: "Bearer t2"}


def test_a_refused_token_is_replaced() -> None:
    bench = Bench(3600.0)
    sent = bench.show()

    assert bench.refuse(sent) is True
    assert bench.show() == {HEADER: "Bearer t2"}
    assert bench.refuse(sent) is True, "somebody had replaced it already"
    assert bench.fetched == 2


def test_the_same_token_again_is_nothing_else_to_show() -> None:
    bench = Bench(3600.0)
    bench.source.renew = lambda old, deadline: Token("same", Moment.now(bench.clock))  # type: ignore[method-assign]

    assert bench.refuse(bench.show()) is False


def test_a_token_may_be_refused_for_the_name_of_its_header_only() -> None:
    bench = Bench(3600.0, other_header="flyte-authorization")
    sent = bench.show()

    assert bench.refuse(sent) is True
    assert bench.show() == {"flyte-authorization": "Bearer t1"}
    assert bench.fetched == 1
    assert bench.refuse(bench.show()) is True
    assert bench.show() == {"flyte-authorization": "Bearer t2"}


def test_a_token_to_begin_with_is_shown_at_once() -> None:
    bench = Bench(3600.0, eager=False, token=Token("mine", Moment(0, 0)))

    assert bench.show() == {HEADER: "Bearer mine"}
    assert bench.fetched == 0


def in_threads(count: int, do: Callable[[], Any]) -> list[Any]:
    outcomes: list[Any] = [None] * count

    def run(nth: int) -> None:
        try:
            outcomes[nth] = do()
        except BaseException as error:  # noqa: BLE001 - it is looked at by the test
            outcomes[nth] = error

    threads = [threading.Thread(target=run, args=(nth,)) for nth in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


class Gate:
    """Lets a renewal go on only when the test says so."""

    def __init__(self, bench: Bench, outcome: Any) -> None:
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.outcome = outcome
        bench.source.outcomes = [self.pass_through, 3600.0]

    def pass_through(self) -> Any:
        self.inside.set()
        assert self.go_on.wait(20)
        return self.outcome


def waiting(bench: Bench, count: int) -> None:
    """Until so many threads wait for the renewal that is under way."""
    while not bench.credentials._flights:
        time.sleep(0.001)
    (flight,) = bench.credentials._flights.values()
    while len(flight.landed._on_cancel) < count:
        time.sleep(0.001)


def test_many_threads_make_one_renewal() -> None:
    bench = Bench(3600.0)
    sent = bench.show()
    gate = Gate(bench, 3600.0)
    threading.Thread(target=lambda: (waiting(bench, 19), gate.go_on.set())).start()

    assert in_threads(20, lambda: bench.refuse(sent)) == [True] * 20
    assert bench.fetched == 2
    assert bench.show() == {HEADER: "Bearer t2"}


def test_who_comes_just_too_late_to_wait_takes_what_was_fetched() -> None:
    bench = Bench(3600.0)

    class Interrupted(dict[Any, Any]):
        """Another thread has its whole turn between our look at the token and our claim to renew it."""

        first = True

        def setdefault(self, key: Any, default: Any = None) -> Any:
            if self.first:
                self.first = False
                bench.show()
            return super().setdefault(key, default)

    bench.credentials._flights = Interrupted()

    assert bench.show() == {HEADER: "Bearer t1"}
    assert bench.fetched == 1


def test_a_failure_is_the_failure_of_all_each_with_an_error_of_its_own() -> None:
    bench = Bench(3600.0)
    gate = Gate(bench, errors.UnauthenticatedError("invalid_client", Code.UNAUTHENTICATED))
    threading.Thread(target=lambda: (waiting(bench, 7), gate.go_on.set())).start()

    failures = in_threads(8, bench.show)

    assert {type(failure) for failure in failures} == {errors.UnauthenticatedError}
    assert len({id(failure) for failure in failures}) == 8
    assert bench.fetched == 1


@pytest.mark.parametrize(
    "end",
    [
        errors.CallTimeoutError("late", Code.DEADLINE_EXCEEDED),
        errors.CanceledError("enough", Code.CANCELED),
        KeyboardInterrupt(),
    ],
    ids=lambda end: type(end).__name__,
)
def test_who_waits_goes_on_where_the_first_had_to_stop(end: BaseException) -> None:
    bench = Bench(3600.0)
    gate = Gate(bench, None)

    def stop() -> Any:
        gate.pass_through()
        raise end

    bench.source.outcomes = [stop, 3600.0]
    threading.Thread(target=lambda: (waiting(bench, 3), gate.go_on.set())).start()

    outcomes = in_threads(4, bench.show)

    assert sorted(map(str, outcomes)) == sorted([str(end), *[str({HEADER: "Bearer t2"})] * 3])
    assert bench.fetched == 2


def test_who_waits_has_a_deadline_of_its_own() -> None:
    bench = Bench(3600.0)
    gate = Gate(bench, 3600.0)
    first = threading.Thread(target=bench.show)
    first.start()
    assert gate.inside.wait(20)
    try:
        with pytest.raises(errors.CallTimeoutError, match=r"another thread .* within 0.01 s") as caught:
            bench.credentials.headers(bench.deadline(0.01))
        assert not caught.value.sent
    finally:
        gate.go_on.set()
        first.join(20)
    assert bench.show() == {HEADER: "Bearer t1"}


def test_who_waits_can_be_canceled() -> None:
    bench = Bench(3600.0)
    gate = Gate(bench, 3600.0)
    cancel = Cancel()
    first = threading.Thread(target=bench.show)
    first.start()
    assert gate.inside.wait(20)
    threading.Thread(target=lambda: (waiting(bench, 1), cancel.cancel())).start()
    try:
        with pytest.raises(errors.CanceledError):
            bench.credentials.headers(bench.deadline(None, cancel))
    finally:
        gate.go_on.set()
        first.join(20)
    assert cancel._on_cancel == [], "nothing is left behind"


def test_who_needs_no_new_token_does_not_wait_for_it() -> None:
    bench = Bench(100.0)
    bench.show()
    bench.clock.now += 95
    gate = Gate(bench, 100.0)
    first = threading.Thread(target=bench.show)
    first.start()
    assert gate.inside.wait(20)
    assert bench.show() == {HEADER: "Bearer t1"}
    gate.go_on.set()
    first.join(20)
    assert bench.show() == {HEADER: "Bearer t2"}


def test_what_makes_the_token_can_not_need_it() -> None:
    bench = Bench(3600.0)
    bench.source.outcomes = [bench.show]

    with pytest.raises(errors.UnauthenticatedError, match="needed to make the token"):
        bench.show()


def test_a_child_waits_for_no_thread_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(3600.0)
    gate = Gate(bench, 3600.0)
    first = threading.Thread(target=bench.show)
    first.start()
    assert gate.inside.wait(20)
    monkeypatch.setattr("os.getpid", lambda: -1)

    assert bench.show() == {HEADER: "Bearer t2"}
    monkeypatch.undo()
    gate.go_on.set()
    first.join(20)


def test_two_credentials_are_shown_and_renewed_together() -> None:
    one, two = Bench(3600.0), Bench(3600.0)
    two.header.now = "proxy-authorization"
    both = Together(one.credentials, two.credentials)
    deadline = one.deadline()
    sent = both.headers(deadline)

    assert sent == {HEADER: "Bearer t1", "proxy-authorization": "Bearer t1"}
    assert both.refused(sent, deadline)
    assert both.headers(deadline) == {HEADER: "Bearer t2", "proxy-authorization": "Bearer t2"}


def test_a_token_shows_nothing_of_itself() -> None:
    token = Token("planted", Moment(0, 0), refresh="planted")

    assert "planted" not in f"{token!r} {token}"
    with pytest.raises(TypeError):
        copy.deepcopy(token)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(token, protocol)


def test_a_new_token_is_renewed_early_whatever_became_of_the_one_before() -> None:
    bench = Bench(100.0, unavailable(), 10.0, 100.0)
    sent = bench.show()
    bench.clock.now += 91
    assert bench.show() == sent, "an early renewal failed"
    assert bench.refuse(sent)
    bench.clock.now += 9.5

    assert bench.show() == {HEADER: "Bearer t4"}


def test_of_what_a_provider_sends_only_when_to_come_again_is_told() -> None:
    headers = {"x-session": ["planted"], "retry-after": ["3"], "date": ["today"]}
    error = unsent(errors.UnavailableError("busy", Code.UNAVAILABLE, headers=headers), "no token")

    assert error.headers == {"retry-after": ["3"], "date": ["today"]}
    assert (str(error.message), error.sent) == ("no token: busy", False)
