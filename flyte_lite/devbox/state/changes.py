"""Notice of changes: what lets a stream sleep until there may be something new."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable
from weakref import WeakValueDictionary


class Changes:
    """A number that grows with each committed change, and threads that wait for it to grow."""

    def __init__(self) -> None:
        self._version = 0
        self._grown = threading.Condition()
        # Only those that somebody waits for.
        self._topics: WeakValueDictionary[Hashable, Changes] = WeakValueDictionary()

    @property
    def version(self) -> int:
        """How many changes there were so far. Read it before looking at the state, so that no change is missed."""
        return self._version

    def about(self, topic: Hashable) -> Changes:
        """The changes that concern `topic`, from now on and for as long as the caller keeps what it gets.

        With two hundred streams, each change would wake them all for one that wants it.
        """
        with self._grown:
            found = self._topics.get(topic)
            if found is None:
                found = self._topics[topic] = Changes()
            return found

    def tell(self, topics: Iterable[Hashable] = ()) -> None:
        """Say that something has changed, and about what."""
        with self._grown:
            self._version += 1
            self._grown.notify_all()
            concerned = [found for found in map(self._topics.get, topics) if found is not None]
        for changes in concerned:
            changes.tell()

    def wait(self, since: int, seconds: float) -> int:
        """Block until the version is above `since`, or `seconds` have passed; the version then."""
        with self._grown:
            self._grown.wait_for(lambda: self._version > since, seconds)
            return self._version
