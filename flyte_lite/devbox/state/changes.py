"""Notice of changes: what lets a stream sleep until there may be something new."""

from __future__ import annotations

import threading


class Changes:
    """A number that grows with each committed change, and threads that wait for it to grow."""

    def __init__(self) -> None:
        self._version = 0
        self._grown = threading.Condition()

    @property
    def version(self) -> int:
        """How many changes there were so far. Read it before looking at the state, so that no change is missed."""
        return self._version

    def tell(self) -> None:
        """Say that something has changed."""
        with self._grown:
            self._version += 1
            self._grown.notify_all()

    def wait(self, since: int, seconds: float) -> int:
        """Block until the version is above `since`, or `seconds` have passed; the version then."""
        with self._grown:
            self._grown.wait_for(lambda: self._version > since, seconds)
            return self._version
