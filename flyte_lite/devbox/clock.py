"""The devbox's time: the machine's, until a test stops it or moves it on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Optional, Union

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Clock


class DevboxClock:
    """What time it is for a devbox: for the times that it tells, and for the limits of tasks.

        box.clock.stop()
        box.clock.advance(3600)     # an attempt that may take an hour times out now

    Tasks themselves run in real time and see the machine's clock. Whoever calls the devbox has a clock of their own, so
    the deadlines of calls stay real too.

    Args:
        real: The clock behind it.
    """

    def __init__(self, real: Clock = SYSTEM_CLOCK) -> None:
        self._real = real
        self._lock = threading.Lock()
        self._ahead = 0.0
        # Both of the real clock, at the moment when it was stopped.
        self._stopped: Optional[tuple[float, float]] = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def stopped(self) -> bool:
        """True if no time passes by itself."""
        return self._stopped is not None

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        with self._lock:
            return (self._real.monotonic() if self._stopped is None else self._stopped[0]) + self._ahead

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        with self._lock:
            return (self._real.time() if self._stopped is None else self._stopped[1]) + self._ahead

    def stop(self) -> None:
        """Let no time pass until `start`, but by `advance`."""
        with self._lock:
            if self._stopped is None:
                self._stopped = (self._real.monotonic(), self._real.time())
        self._changed()

    def start(self) -> None:
        """Let time pass again, from where it was stopped."""
        with self._lock:
            if self._stopped is not None:
                self._ahead -= self._real.monotonic() - self._stopped[0]
                self._stopped = None
        self._changed()

    def advance(self, by: Union[float, timedelta]) -> None:
        """Move on, stopped or not.

        Args:
            by: Seconds, or a timedelta.

        Raises:
            ValueError: It would go back.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if not seconds >= 0:
            raise ValueError(f"a clock can't go back, by {seconds:g} s")
        with self._lock:
            self._ahead += seconds
        self._changed()

    def reset(self) -> None:
        """Show the machine's time again. What waits for a moment of the other time may wait longer."""
        with self._lock:
            self._ahead, self._stopped = 0.0, None
        self._changed()

    def left(self, at: float) -> Optional[float]:
        """Real seconds until `monotonic` is `at`, and 0 if it is; None if it never will be by itself."""
        left = max(0.0, at - self.monotonic())
        return None if left and self.stopped else left

    def sleep(self, seconds: float, cancel: Optional[Cancel] = None) -> None:
        """Let `seconds` of this clock pass, or fewer if `cancel` is canceled meanwhile."""
        end = self.monotonic() + seconds
        woken = threading.Event()
        self.listen(woken.set)
        if cancel is not None:
            cancel.subscribe(woken.set)
        try:
            while not (cancel is not None and cancel.canceled) and self.left(end) != 0.0:
                left = self.left(end)
                woken.wait(None if left is None else min(left, threading.TIMEOUT_MAX))
                woken.clear()
        finally:
            self.forget(woken.set)
            if cancel is not None:
                cancel.unsubscribe(woken.set)

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each change that is not the passing of time."""
        with self._lock:
            self._listeners.append(wake)

    def forget(self, wake: Callable[[], None]) -> None:
        """Do not call `wake` any more; nothing happens if it is not there."""
        with self._lock, suppress(ValueError):
            self._listeners.remove(wake)

    def _changed(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for wake in listeners:
            wake()
