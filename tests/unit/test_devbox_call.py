"""How a handler that streams waits, and what ends its waiting."""

from __future__ import annotations

import threading

import pytest

from flyte_lite._clock import Deadline
from flyte_lite.devbox.services.call import Call, CallOver, End


class Turned:
    """A clock, and changes that come at given times on it; waiting turns the clock."""

    def __init__(self, *changes: float) -> None:
        self.now = 0.0
        self.changes = list(changes)
        self.waits = 0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float, cancel: object = None) -> None:
        self.now += seconds

    def wait(self, since: int, seconds: float) -> int:
        self.waits += 1
        due = [at for at in self.changes if at > self.now]
        if since >= len(self.changes) - len(due):
            self.now = min([self.now + seconds, *due[:1]])
        return sum(at <= self.now for at in self.changes)


class Stop(threading.Event):
    """A stop flag whose waiting turns the clock."""

    def __init__(self, clock: Turned) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.now += timeout or 0.0
        return self.is_set()


def call(clock: Turned, seconds: float | None = None, gone_at: float = 1e9) -> Call:
    return Call({}, Deadline(clock, seconds), lambda: clock.now >= gone_at, Stop(clock))


def test_a_change_is_told_at_once() -> None:
    clock = Turned(1.5, 1.7)
    waiting = call(clock)

    assert [waiting.wait(clock, 0), clock.now] == [1, 1.5]
    assert [waiting.wait(clock, 1), clock.now] == [2, 1.7]


def test_what_has_changed_already_is_not_waited_for() -> None:
    clock = Turned(1.0)
    clock.now = 2.0

    assert (call(clock).wait(clock, 0), clock.now) == (1, 2.0)


def test_the_deadline_ends_it() -> None:
    clock = Turned()
    waiting = call(clock, seconds=1.3)

    with pytest.raises(CallOver, match="deadline has passed") as caught:
        waiting.wait(clock, 0)
    assert caught.value.end is End.LATE
    assert clock.now == pytest.approx(1.3)
    with pytest.raises(CallOver):
        waiting.wait(clock, 0)


def test_it_looks_for_the_caller_at_least_once_a_second() -> None:
    clock = Turned()

    with pytest.raises(CallOver, match="caller has gone") as caught:
        call(clock, gone_at=5.0).wait(clock, 0)
    assert caught.value.end is End.GONE
    assert 5.0 <= clock.now <= 6.0


def test_it_looks_for_the_caller_also_when_changes_never_cease() -> None:
    clock = Turned(*(number / 100 for number in range(1000)))
    waiting = call(clock, gone_at=3.0)

    def watch() -> None:
        version = 0
        while True:
            version = waiting.wait(clock, version)

    with pytest.raises(CallOver, match="gone"):
        watch()
    assert 3.0 <= clock.now <= 4.0


def test_a_server_that_stops_ends_it() -> None:
    clock = Turned()
    stop = Stop(clock)
    stop.set()
    waiting = Call({}, Deadline(clock, None), stopping=stop)

    for wait in (lambda: waiting.wait(clock, 0), lambda: waiting.pause(5)):
        with pytest.raises(CallOver, match="server stops") as caught:
            wait()
        assert caught.value.end is End.STOPPED


def test_a_pause_is_as_long_as_it_says() -> None:
    clock = Turned()
    call(clock).pause(2.5)
    assert clock.now == pytest.approx(2.5)

    call(clock).pause(0)
    assert clock.now == pytest.approx(2.5)


def test_a_pause_ends_with_the_deadline_or_with_the_caller() -> None:
    with pytest.raises(CallOver, match="deadline"):
        call(Turned(), seconds=1.0).pause(5)
    with pytest.raises(CallOver, match="gone"):
        call(Turned(), gone_at=1.0).pause(5)
