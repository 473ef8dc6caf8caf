"""How many attempts run at a time. One that waits for others lends them its slot, so that none waits in vain."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Optional


class Slots:
    """So many, and who waits to have his own back.

    Args:
        count: How many attempts may run at a time.
        changed: Guards them, and is told of each change.
        on_free: Called when one is free, with the lock held.

    Attributes:
        free: How many there are for new attempts. With the lock held.
        closed: True if nobody waits any more.
        returning: Those that are claimed back, first come, first served. With the lock held.
    """

    def __init__(self, count: int, changed: threading.Condition, on_free: Callable[[], None]) -> None:
        self.changed = changed
        self.free = count
        self.closed = False
        self.returning: deque[Slot] = deque()
        self._on_free = on_free

    def take(self) -> Slot:
        """A free one; there must be one. With the lock held."""
        self.free -= 1
        return Slot(self)

    def give(self) -> None:
        """Take one back. With the lock held."""
        # Those who were there before go on before anybody begins.
        if self.returning:
            self.returning.popleft().grant()
        else:
            self.free += 1
            self._on_free()
        self.changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()


class Slot:
    """The right of one attempt to run. Any thread may use it."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._held = True
        self._attempt = 0
        self._calls = 0
        self._then: Optional[Callable[[], None]] = None

    def lend(self) -> int:
        """Let others have it: its attempt waits for one more action. What `claim` wants to know."""
        with self._slots.changed:
            self._calls += 1
            self._let_go()
            return self._attempt

    def claim(self, attempt: int, then: Callable[[], None]) -> None:
        """Have it back if that was the last action it waited for; nothing happens if the attempt is over.

        Args:
            attempt: What `lend` gave.
            then: Called once it is had, perhaps at once, from any thread; it must not block.
        """
        with self._slots.changed:
            if attempt != self._attempt:
                return
            self._calls -= 1
            if not self._calls and not self._held:
                self._then = then
                self._ask()

    def allows(self) -> bool:
        """Whether the attempt may go on: it has the slot, or waits for other actions besides."""
        with self._slots.changed:
            return self._held or self._calls > 0

    def hold(self) -> None:
        """Have it back for another attempt, however long that takes, or until nobody waits any more."""
        with self._slots.changed:
            self._end()
            if not self._held:
                self._ask()
                self._slots.changed.wait_for(lambda: self._held or self._slots.closed)

    def close(self) -> None:
        """Give it up: the attempts have ended."""
        with self._slots.changed:
            self._end()
            self._let_go()

    def _end(self) -> None:
        # What it waited for may end later, and then gives it nothing back.
        self._attempt += 1
        self._calls = 0

    def _ask(self) -> None:
        slots = self._slots
        if slots.free:
            slots.free -= 1
            self.grant()
        elif self not in slots.returning:
            slots.returning.append(self)

    def _let_go(self) -> None:
        self._then = None
        if self in self._slots.returning:
            self._slots.returning.remove(self)
        if self._held:
            self._held = False
            self._slots.give()

    def grant(self) -> None:
        """Say that it is had. With the lock held."""
        self._held = True
        then, self._then = self._then, None
        if then is not None:
            then()
