"""Alarms on the devbox's clock."""

from __future__ import annotations

import threading

import pytest

from flyte_lite.devbox import Devbox
from flyte_lite.devbox.alarms import Alarms
from flyte_lite.devbox.clock import DevboxClock
from flyte_lite.devbox.defects import Defects


def test_alarms_ring_in_the_order_of_their_times_when_the_clock_shows_them() -> None:
    clock = DevboxClock()
    clock.stop()
    alarms = Alarms(clock)
    now = clock.monotonic()
    rung: list[str] = []
    done = threading.Event()
    alarms.set(now + 20, lambda: rung.append("second"))
    alarms.set(now + 10, lambda: rung.append("first"))
    alarms.set(now + 15, lambda: rung.append("canceled")).cancel()
    alarms.set(now + 30, done.set)
    alarms.set(now + 1e9, lambda: rung.append("never"))

    assert not done.wait(0)
    clock.advance(30)

    assert done.wait(10)
    assert rung == ["first", "second"]
    alarms.close()


def test_forgotten_alarms_do_not_ring() -> None:
    clock = DevboxClock()
    clock.stop()
    alarms = Alarms(clock)
    rung: list[int] = []
    done = threading.Event()
    alarms.set(clock.monotonic() + 1, lambda: rung.append(1))
    alarms.clear()
    alarms.set(clock.monotonic() + 2, done.set)

    clock.advance(2)

    assert done.wait(10)
    assert rung == []
    alarms.close()
    alarms.close()


def test_only_defects_that_there_are_can_be_switched_on() -> None:
    defects = Defects()
    assert not any(getattr(defects, name) for name in Defects.__slots__)

    defects.endless_restarts = True
    defects.reset()

    assert not defects.endless_restarts
    with pytest.raises(AttributeError):
        defects.endless_restart = True  # type: ignore[attr-defined]


def test_a_devbox_that_does_not_run_can_t_be_reset() -> None:
    box = Devbox()
    with pytest.raises(RuntimeError, match="not running"):
        box.reset()
    box.close()
