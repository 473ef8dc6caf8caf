"""What is new in a log that is told once more.

A server that is asked again repeats what it told before: everything since the container started, or so many of the last
lines. Which of them were read already can't be seen from their times, as many lines share one and it may step back. It
is seen from their order: what was read last must come again, line by line, and what follows is new. No I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Optional

from flyte_lite.idl.flyteidl2.logs.dataplane import payload_pb2

KEPT = 4096
"""How many of the last lines are remembered; servers repeat a thousand, or everything."""
SURE = 256
"""After so many lines that are those of the beginning, it is the beginning."""


class LogReplay:
    """The lines that were read of one attempt, as far as they are needed to know them again.

    Each time the log is opened, `opened` is called; `fresh` then says what of its lines is new.

    Attributes:
        count: How many lines there were, new ones only.
        doubt: True once lines may be missing before the last ones that were given out, or these may be old ones.
            Whoever reports it resets it.
        behind: True if what was told last ended before it came to the lines that were read last.
    """

    def __init__(self) -> None:
        self.count = 0
        self.doubt = False
        self.behind = False
        self._first: list[int] = []  # keys of the first lines
        self._last: deque[int] = deque(maxlen=KEPT)  # and of the last ones
        self._whole = 0  # one key for all lines, in order
        self._newest: Optional[tuple[int, int]] = None  # time of the last line
        self._search: Optional[_Search] = None

    def opened(self) -> None:
        """What follows begins somewhere in what was read, or behind it."""
        self._search = _Search(self) if self.count else None

    def fresh(self, lines: Iterable[payload_pb2.LogLine]) -> list[payload_pb2.LogLine]:
        """Those that are new. Some are held back until it is clear whether they are."""
        search = self._search
        if search is None:
            found = list(lines)
        else:
            found = []
            for line in lines:
                if search is not None:
                    found += search.feed(line)
                    if search.over:
                        search = self._search = None
                else:
                    found.append(line)
        return self._given(found)

    def ended(self) -> list[payload_pb2.LogLine]:
        """The log was told to its end: what of the lines held back is new."""
        search, self._search = self._search, None
        self.behind = search is not None and not search.fits
        return [] if search is None else self._given(search.rest())

    def _given(self, lines: list[payload_pb2.LogLine]) -> list[payload_pb2.LogLine]:
        if lines:
            keys = [key_of(line) for line in lines]
            self._last.extend(keys)
            if len(self._first) < SURE:
                self._first.extend(keys[: SURE - len(self._first)])
            whole = self._whole
            for key in keys:
                whole = hash((whole, key))
            self._whole = whole
            self.count += len(keys)
            self._newest = _time(lines[-1])
        return lines


class _Search:
    """Where, in what was read, a repetition begins; the longest that fits wins.

    It begins at one of the lines that are remembered, or at the first one of all. As long as a beginning fits that has
    not come to the end of what was read, lines are held back.

    Attributes:
        over: True once everything that follows is new.
        fits: So many of the lines held back are known, if no longer beginning turns out to fit.
    """

    def __init__(self, log: LogReplay) -> None:
        self.over = False
        self._log = log
        self._known = list(log._last)
        # With all lines remembered, the first one is among them.
        self._from_first = log.count > len(self._known)
        self._whole = 0
        self._came = 0
        self._held: list[payload_pb2.LogLine] = []
        self._begins: Optional[list[int]] = None  # places in what is known where the held lines may begin
        self.fits = 0
        self._fitting = 0  # how many beginnings fitted to their end
        self._lost = False  # nothing fits: lines are missing, or it is another container

    def feed(self, line: payload_pb2.LogLine) -> list[payload_pb2.LogLine]:
        """What is known to be new once this line has come."""
        if self._lost:
            return self._behind([line])
        key = key_of(line)
        self._came += 1
        if self._from_first:
            self._follow_from_first(key)
            if self.over:
                return []
        if not (self._from_first and self._came > SURE):
            self._held.append(line)
            self._follow(key)
        return [] if self._begins or self._from_first else self._decided()

    def rest(self) -> list[payload_pb2.LogLine]:
        """What was held back and is new, if nothing more comes."""
        if not self.fits:
            return []
        # It may as well be a longer repetition that was cut short, and then none of them is.
        if len(self._held) > self.fits and (self._begins or self._from_first):
            self._log.doubt = True
        return self._decided()

    def _follow_from_first(self, key: int) -> None:
        log, came = self._log, self._came
        self._whole = hash((self._whole, key))
        if came <= SURE:
            self._from_first = log._first[came - 1] == key
        else:
            # Held for nothing: these are the lines of the beginning.
            self._held, self._begins, self.fits = [], [], 0
        if self._from_first and came == log.count:
            self.over = True
            log.doubt = log.doubt or self._whole != log._whole

    def _follow(self, key: int) -> None:
        known, came = self._known, len(self._held)
        if self._begins is None:
            fitting = [place for place, old in enumerate(known) if old == key]
        else:
            fitting = [place for place in self._begins if known[place + came - 1] == key]
        if fitting and fitting[-1] + came == len(known):
            fitting.pop()
            self.fits = came
            self._fitting += 1
        self._begins = fitting

    def _decided(self) -> list[payload_pb2.LogLine]:
        held, self._held = self._held, []
        if not self.fits:
            self._lost = True
            return self._behind(held)
        self.over = True
        # A shorter repetition would have fitted too, and more lines would then be new.
        if self._fitting > 1 and self.fits < self._log.count:
            self._log.doubt = True
        return held[self.fits :]

    def _behind(self, lines: list[payload_pb2.LogLine]) -> list[payload_pb2.LogLine]:
        """Those from the first one on that is not older than what was read last."""
        newest = self._log._newest
        for place, line in enumerate(lines):
            time = _time(line)
            if newest is None or time is None or time >= newest:
                self.over = self._log.doubt = True
                return lines[place:]
        return []


def key_of(line: payload_pb2.LogLine) -> int:
    """Equal for lines that are equal in all that they say."""
    return hash(line.SerializeToString())


def _time(line: payload_pb2.LogLine) -> Optional[tuple[int, int]]:
    return (line.timestamp.seconds, line.timestamp.nanos) if line.HasField("timestamp") else None
