"""Notice of changes: what lets a stream sleep until there is something new, and then tell all of it, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Iterable
from typing import Any, Optional
from weakref import WeakValueDictionary

# How much news a topic keeps for those who are slow to take it.
KEPT = 1000


class Changes:
    """A number that grows with each committed change, and threads that wait for it to grow."""

    def __init__(self) -> None:
        self._version = 0
        self._grown = threading.Condition()
        # Only those that somebody waits for.
        self._topics: WeakValueDictionary[Hashable, Changes] = WeakValueDictionary()
        self._news: deque[tuple[int, Any]] = deque(maxlen=KEPT)
        self._lost = 0

    @property
    def version(self) -> int:
        """How many changes there were so far. Read in a transaction, it is that of the state which is seen there."""
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

    def watched(self, topic: Hashable) -> bool:
        """Whether anybody wants to know."""
        return topic in self._topics

    def tell(self, news: Iterable[tuple[Hashable, Any]] = ()) -> None:
        """Say that something has changed: about what, and what is to be told of it, or None."""
        with self._grown:
            self._version += 1
            self._grown.notify_all()
            by_topic: dict[Hashable, list[Any]] = {}
            for topic, what in news:
                by_topic.setdefault(topic, []).append(what)
            concerned = [(self._topics.get(topic), told) for topic, told in by_topic.items()]
        for changes, told in concerned:
            if changes is not None:
                changes._take(told)

    def since(self, version: int) -> Optional[list[Any]]:
        """What was told after that version; None if that is not all there any more."""
        with self._grown:
            if version < self._lost:
                return None
            return [what for number, what in self._news if number > version]

    def wait(self, since: int, seconds: float) -> int:
        """Block until the version is above `since`, or `seconds` have passed; the version then."""
        with self._grown:
            self._grown.wait_for(lambda: self._version > since, seconds)
            return self._version

    def _take(self, told: list[Any]) -> None:
        with self._grown:
            self._version += 1
            for what in told:
                if what is None:
                    continue
                if len(self._news) == KEPT:
                    self._lost = self._news[0][0]
                self._news.append((self._version, what))
            self._grown.notify_all()
