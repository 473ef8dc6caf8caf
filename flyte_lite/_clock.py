"""Time as it is passed around: a clock, the end of what may be waited for, and the wish to stop early.

Nothing below a public method asks the operating system for the time or sleeps by itself, so tests turn the clock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Optional, Protocol


class Clock(Protocol):
    """What time it is, and a way to let it pass."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        ...

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC, as the machine believes."""
        ...

    def sleep(self, seconds: float, cancel: Optional[Cancel] = None) -> None:
        """Let `seconds` pass, or fewer if `cancel` is canceled meanwhile."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float, cancel: Optional[Cancel] = None) -> None:
        if seconds <= 0:
            return
        if cancel is None:
            time.sleep(seconds)
        else:
            cancel.wait(seconds)


SYSTEM_CLOCK = SystemClock()


class Cancel:
    """A wish to stop, made from any thread, for all calls of the clients that were given it.

        cancel = Cancel()
        client.scoped(cancel=cancel).runs.get("r1")     # another thread: cancel.cancel() ends it at once

    A canceled token stays canceled.
    """

    def __init__(self) -> None:
        # No lock anywhere: a signal handler may cancel on the very thread that holds it. One step on a list is atomic.
        self._canceled = False
        self._on_cancel: list[Callable[[], None]] = []

    @property
    def canceled(self) -> bool:
        """True once `cancel` was called."""
        return self._canceled

    def cancel(self) -> None:
        """End every call under this token, and every one that is started later.

        Safe to call twice, from any thread and from a signal handler.
        """
        self._canceled = True
        for wake in list(self._on_cancel):
            wake()

    def wait(self, seconds: float) -> bool:
        """Sleep until canceled (True) or until `seconds` passed (False)."""
        # The queue, because an Event can't be set in a signal handler while the same thread waits for it.
        woken: SimpleQueue[None] = SimpleQueue()

        def wake() -> None:
            woken.put(None)

        self.subscribe(wake)
        try:
            woken.get(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX))
        except Empty:
            pass
        finally:
            self.unsubscribe(wake)
        return self._canceled

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call `wake` when canceled; at once if that has happened already. It may be called more than once."""
        self._on_cancel.append(wake)
        if self._canceled:
            wake()

    def unsubscribe(self, wake: Callable[[], None]) -> None:
        """Forget `wake`; nothing happens if it is not there any more."""
        with contextlib.suppress(ValueError):
            self._on_cancel.remove(wake)


def is_length(seconds: Any) -> bool:
    """True for a number of seconds: not negative, and not NaN, which no clock ever reaches."""
    try:
        return bool(seconds >= 0)
    except TypeError:
        return False


class Deadline:
    """An end, on a clock, and who may end it sooner: what travels down through retries, refreshes and reads.

    Args:
        clock: The clock it is measured on.
        seconds: From now; None is never.
        cancel: Ends it sooner; None is nobody.
        usual: Whether nobody has set it: what a person takes for signing in meanwhile does not count then.
        outer: What it is a part of, whose end holds all the same.
    """

    __slots__ = ("cancel", "clock", "end", "outer", "seconds", "usual")

    def __init__(
        self,
        clock: Clock,
        seconds: Optional[float],
        cancel: Optional[Cancel] = None,
        *,
        usual: bool = False,
        outer: Optional[Deadline] = None,
    ) -> None:
        self.clock = clock
        self.seconds = seconds
        self.end = None if seconds is None else clock.monotonic() + seconds
        self.cancel = cancel
        self.usual = usual
        self.outer = outer

    def left(self) -> Optional[float]:
        """Seconds left, never below 0; None if it never ends."""
        return None if self.end is None else max(0.0, self.end - self.clock.monotonic())

    @property
    def expired(self) -> bool:
        """True if no time is left."""
        return self.end is not None and self.clock.monotonic() >= self.end

    @property
    def canceled(self) -> bool:
        """True if the token behind it was canceled."""
        return self.cancel is not None and self.cancel.canceled

    @property
    def over(self) -> bool:
        """True if nothing may go on under it: it has expired or was canceled."""
        cancel, end = self.cancel, self.end
        return (cancel is not None and cancel.canceled) or (end is not None and self.clock.monotonic() >= end)

    def within(self, seconds: Optional[float], *, usual: bool = False) -> Deadline:
        """A deadline that ends `seconds` from now or with this one, whichever comes first."""
        left = self.left()
        sooner = left if seconds is None else seconds if left is None else min(left, seconds)
        return Deadline(self.clock, sooner, self.cancel, usual=usual, outer=self if usual else None)

    def for_person(self, seconds: float) -> Deadline:
        """For what a person does: `seconds` from now if nobody has set this one, and no longer than somebody has."""
        if not self.usual:
            return self
        most = None if self.outer is None else self.outer.for_person(seconds).left()
        return Deadline(self.clock, seconds if most is None else min(seconds, most), self.cancel)

    def postpone(self, seconds: float) -> None:
        """Move the end, if nobody has set it, by what a person took."""
        if not self.usual:
            return
        if self.end is not None:
            self.end += seconds
        if self.outer is not None:
            self.outer.postpone(seconds)
            if self.end is not None and self.outer.end is not None:
                self.end = min(self.end, self.outer.end)

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass on its clock; a cancel ends the sleep."""
        self.clock.sleep(seconds, self.cancel)
