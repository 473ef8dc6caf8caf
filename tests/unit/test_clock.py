from __future__ import annotations

import signal
import threading

import pytest

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline, SystemClock


class FakeClock(SystemClock):
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, cancel: object = None) -> None:
        self.now += seconds


def test_a_deadline_counts_down_on_its_clock() -> None:
    clock = FakeClock()
    deadline = Deadline(clock, 5)

    assert (deadline.left(), deadline.expired) == (5.0, False)
    deadline.sleep(3)
    assert (deadline.left(), deadline.expired) == (2.0, False)
    deadline.sleep(2)
    assert (deadline.left(), deadline.expired) == (0.0, True)
    deadline.sleep(1)
    assert (deadline.left(), deadline.expired) == (0.0, True)


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_time_is_expired_at_once(seconds: float) -> None:
    deadline = Deadline(FakeClock(), seconds)

    assert (deadline.left(), deadline.expired) == (0.0, True)


def test_none_never_ends() -> None:
    clock = FakeClock()
    deadline = Deadline(clock, None)
    clock.now += 1e9

    assert (deadline.left(), deadline.expired, deadline.canceled) == (None, False, False)


def test_it_is_over_when_it_has_expired_or_was_canceled() -> None:
    clock, cancel = FakeClock(), Cancel()
    ending, endless = Deadline(clock, 5), Deadline(clock, None, cancel)
    assert not ending.over
    assert not endless.over

    clock.now += 5
    assert ending.over
    assert not endless.over

    cancel.cancel()
    assert endless.over


@pytest.mark.parametrize(
    ("outer", "inner", "left"), [(5, 3, 3), (3, 5, 3), (None, 3, 3), (3, None, 3), (None, None, None), (0, 3, 0)]
)
def test_within_ends_with_whichever_comes_first(outer: float, inner: float, left: float) -> None:
    cancel = Cancel()
    deadline = Deadline(FakeClock(), outer, cancel).within(inner)

    assert deadline.left() == left
    assert deadline.cancel is cancel


def test_a_canceled_token_stays_canceled_and_tells_everybody_once_each() -> None:
    cancel = Cancel()
    told: list[int] = []
    cancel.subscribe(lambda: told.append(1))
    cancel.subscribe(lambda: told.append(2))

    cancel.cancel()

    assert cancel.canceled
    assert Deadline(FakeClock(), None, cancel).canceled
    assert told == [1, 2]


def test_whoever_subscribes_too_late_is_told_at_once() -> None:
    cancel = Cancel()
    cancel.cancel()
    told: list[int] = []

    cancel.subscribe(lambda: told.append(1))

    assert told == [1]


def test_whoever_unsubscribed_is_left_alone() -> None:
    cancel = Cancel()
    told: list[int] = []

    def wake() -> None:
        told.append(1)

    cancel.subscribe(wake)
    cancel.unsubscribe(wake)
    cancel.unsubscribe(wake)
    cancel.cancel()

    assert told == []


def test_the_system_sleep_ends_at_once_where_it_has_nothing_to_wait_for() -> None:
    cancel = Cancel()
    cancel.cancel()
    started = SYSTEM_CLOCK.monotonic()

    SYSTEM_CLOCK.sleep(30, cancel)
    SYSTEM_CLOCK.sleep(-1)
    SYSTEM_CLOCK.sleep(float("inf"), cancel)

    assert SYSTEM_CLOCK.monotonic() - started < 5
    assert cancel._on_cancel == []


def test_a_cancel_from_another_thread_ends_a_sleep() -> None:
    cancel = Cancel()
    other = threading.Thread(target=cancel.cancel)
    woken: list[bool] = []
    sleeper = threading.Thread(target=lambda: woken.append(cancel.wait(30)))

    sleeper.start()
    other.start()
    sleeper.join(10)
    other.join()

    assert woken == [True]


def test_a_wait_that_nobody_ends_is_false() -> None:
    assert not Cancel().wait(0)


def test_a_signal_handler_may_cancel_what_its_own_thread_waits_for() -> None:
    """With locks inside, the handler would wait for the very thread that it interrupts."""
    cancel = Cancel()
    before = signal.signal(signal.SIGALRM, lambda *_: cancel.cancel())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        assert cancel.wait(30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_system_clock_is_the_machines() -> None:
    assert SYSTEM_CLOCK.monotonic() <= SYSTEM_CLOCK.monotonic()
    assert SYSTEM_CLOCK.time() > 1_700_000_000


def test_a_person_has_longer_than_a_call_whose_end_nobody_has_set() -> None:
    clock = FakeClock()
    cancel = Cancel()
    usual = Deadline(clock, 30, cancel, usual=True)
    set_ = Deadline(clock, 30, cancel)

    assert usual.for_person(300).left() == 300
    assert usual.for_person(300).cancel is cancel
    assert set_.for_person(300) is set_
    clock.sleep(100)
    usual.postpone(100)
    set_.postpone(100)
    assert (usual.left(), set_.left()) == (30, 0)


@pytest.mark.parametrize(
    ("whole", "left", "after"),
    [(None, 300, 30), (1000, 300, 30), (200, 200, 30), (120, 120, 20)],
    ids=["no end", "far", "near", "nearer"],
)
def test_what_somebody_has_set_above_it_holds(whole: float, left: float, after: float) -> None:
    clock = FakeClock()
    outer = Deadline(clock, whole)
    part = outer.within(30, usual=True)

    assert part.for_person(300).left() == left
    clock.sleep(100)
    part.postpone(100)
    assert part.left() == after
    assert outer.left() == (None if whole is None else whole - 100)


def test_what_nobody_has_set_above_it_is_moved_too() -> None:
    clock = FakeClock()
    outer = Deadline(clock, 30, usual=True)
    part = outer.within(20, usual=True)

    clock.sleep(100)
    part.postpone(100)
    assert (part.left(), outer.left()) == (20, 30)


def test_a_deadline_without_an_end_has_none_to_move() -> None:
    never = Deadline(FakeClock(), None, usual=True)

    never.postpone(100)
    assert (never.left(), never.for_person(300).left()) == (None, 300)
