"""Things to do when the devbox's clock shows a certain time."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Optional

from flyte_lite.devbox.clock import DevboxClock


class Alarm:
    """Something to do, until it is done or canceled."""

    __slots__ = ("_ring",)

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring: Optional[Callable[[], None]] = ring

    def cancel(self) -> None:
        """Do not ring; nothing happens if it rang before."""
        self._ring = None

    def ring(self) -> None:
        """Do it, unless it was canceled."""
        ring, self._ring = self._ring, None
        if ring is not None:
            ring()


class Alarms:
    """Alarms on one clock, and the thread that rings them, which the first of them starts."""

    def __init__(self, clock: DevboxClock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._number = itertools.count()
        self._thread: Optional[threading.Thread] = None
        self._closed = False

    def set(self, at: float, ring: Callable[[], None]) -> Alarm:
        """Call `ring`, in another thread, when the clock's `monotonic` is `at`."""
        alarm = Alarm(ring)
        with self._changed:
            heapq.heappush(self._alarms, (at, next(self._number), alarm))
            if self._thread is None and not self._closed:
                self._clock.listen(self._look)
                self._thread = threading.Thread(target=self._ring, name="flyte_lite devbox alarms", daemon=True)
                self._thread.start()
            self._changed.notify()
        return alarm

    def clear(self) -> None:
        """Forget all of them."""
        with self._changed:
            self._alarms.clear()

    def close(self) -> None:
        """Forget all of them, and end the thread."""
        with self._changed:
            self._closed = True
            self._alarms.clear()
            self._changed.notify()
        self._clock.forget(self._look)
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        with self._changed:
            self._changed.notify()

    def _ring(self) -> None:
        while True:
            with self._changed:
                while not self._closed:
                    left = self._clock.left(self._alarms[0][0]) if self._alarms else None
                    if left == 0.0:
                        break
                    self._changed.wait(None if left is None else min(left, threading.TIMEOUT_MAX))
                if self._closed:
                    return
                _, _, alarm = heapq.heappop(self._alarms)
            alarm.ring()
