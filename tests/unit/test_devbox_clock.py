"""The devbox's clock: stopped, moved on, and what waits for it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from fakes import FakeClock

from flyte_lite._clock import Cancel
from flyte_lite.devbox.clock import DevboxClock


@pytest.fixture
def real() -> FakeClock:
    return FakeClock()


def test_it_shows_the_real_time_until_it_is_told_otherwise(real: FakeClock) -> None:
    clock = DevboxClock(real)

    assert (clock.monotonic(), clock.time()) == (real.monotonic(), real.time())
    real.sleep(2)
    assert (clock.monotonic(), clock.time(), clock.stopped) == (real.monotonic(), real.time(), False)


def test_stopped_it_moves_only_when_it_is_told(real: FakeClock) -> None:
    clock = DevboxClock(real)
    clock.stop()
    then = clock.time()

    real.sleep(5)
    clock.stop()
    assert (clock.time(), clock.left(clock.monotonic() + 1), clock.stopped) == (then, None, True)
    clock.advance(timedelta(minutes=1))
    assert clock.time() == then + 60
    clock.start()
    real.sleep(1)
    assert (clock.time(), clock.stopped) == (then + 61, False)


def test_running_it_can_be_moved_on_but_not_back(real: FakeClock) -> None:
    clock = DevboxClock(real)
    at = clock.monotonic() + 10

    assert clock.left(at) == 10
    clock.advance(4)
    real.sleep(1)
    assert clock.left(at) == 5
    clock.advance(6)
    assert clock.left(at) == 0
    for back in (-1, float("nan")):
        with pytest.raises(ValueError, match="can't go back"):
            clock.advance(back)
    clock.reset()
    assert clock.time() == real.time()


def test_changes_are_told() -> None:
    clock = DevboxClock()
    told: list[str] = []

    def wake() -> None:
        told.append("told")

    clock.listen(wake)
    clock.stop()
    clock.advance(1)
    clock.forget(wake)
    clock.forget(wake)
    clock.start()

    assert told == ["told", "told"]


def test_whoever_sleeps_is_woken_by_a_change_or_a_cancel() -> None:
    clock, cancel = DevboxClock(), Cancel()
    clock.stop()
    sleepers = [
        threading.Thread(target=clock.sleep, args=arguments) for arguments in ((10.0,), (1e12, cancel), (0.0, cancel))
    ]
    for sleeper in sleepers:
        sleeper.start()

    cancel.cancel()
    for sleeper in sleepers[1:]:
        sleeper.join(10)
    while sleepers[0].is_alive():
        clock.advance(10)
        sleepers[0].join(0.01)

    assert not any(sleeper.is_alive() for sleeper in sleepers)
