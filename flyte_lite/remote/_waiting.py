"""Waiting by asking: one loop for everything that is waited for.

A held stream would be cheaper, but proxies cut it, the real server loses its updates for good, and a clean end of it
proves nothing. Only an answer to a question counts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Optional, TypeVar

from flyte_lite._clock import Clock, Deadline, is_length
from flyte_lite._repeat import repeat
from flyte_lite.errors import AnswerTooLargeError, CallError, CallTimeoutError, CanceledError, Code, NotFoundError

T = TypeVar("T")

FIRST = 0.2
"""Seconds between questions at first."""
SHARE = 0.05
"""Later, as a share of the time waited so far: the end is seen within about 6 % of it."""
LONGEST = 10.0
"""Seconds between questions at most."""
SHORTEST = 0.1
"""Seconds between questions that a caller may ask for at least."""
PATIENCE = 300.0
"""Seconds of unbroken failure after which a wait gives up."""

TRIES = 4
"""How often in all something that was seen before is asked for, if it is not found."""

_PASSING = {
    Code.UNAVAILABLE,
    Code.INTERNAL,
    Code.UNKNOWN,
    Code.RESOURCE_EXHAUSTED,
    Code.NOT_FOUND,
    Code.DEADLINE_EXCEEDED,
}
_random = random.SystemRandom()


def pause(elapsed: float, draw: float) -> float:
    """Seconds until the next question, after `elapsed` seconds of waiting; `draw` from 0 to 1 makes the jitter."""
    return min(LONGEST, max(FIRST, SHARE * elapsed)) * (0.9 + 0.2 * draw)


def check_lengths(timeout: Optional[float], interval: Optional[float], patience: float) -> None:
    """Refuse what no wait can be given.

    Raises:
        ValueError: One of them is no length of time, or `interval` is too short.
    """
    if timeout is not None and not is_length(timeout):
        raise ValueError(f"timeout is {timeout!r}; give seconds, or None to wait for ever")
    if interval is not None and not (is_length(interval) and interval >= SHORTEST):
        raise ValueError(f"interval is {interval!r}; give {SHORTEST} seconds or more, or None")
    if not is_length(patience):
        raise ValueError(f"patience is {patience!r}; give the seconds of an outage that are waited out")


class Patience:
    """Which failures of a wait are waited out: those of the kind that passes by itself, until they have lasted.

    NOT_FOUND is one of them, as an overloaded server says it of things that exist.

    Args:
        clock: Measures how long they last.
        seconds: Of nothing but failures.
        seen: False if nobody knows that the thing exists; then NOT_FOUND is believed until there was an answer.
    """

    def __init__(self, clock: Clock, seconds: float, *, seen: bool = True) -> None:
        self._clock = clock
        self._seconds = seconds
        self._seen = seen
        self._failing_since: Optional[float] = None

    def answered(self) -> None:
        """There was an answer, so failures from now on are others."""
        self._failing_since = None
        self._seen = True

    def covers(self, error: Optional[Exception]) -> bool:
        """True if `error` may be waited out."""
        if not isinstance(error, CallError) or error.code not in _PASSING:
            return False
        if isinstance(error, AnswerTooLargeError):
            return False  # it shares its code with a server that has no room now, and is as large next time
        if error.code is Code.NOT_FOUND and not self._seen:
            return False
        now = self._clock.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since <= self._seconds


class Poll:
    """One wait: asks at a pace that slows down with its length, however many answers are enough meanwhile.

    Args:
        deadline: Ends it.
        draw: Makes the jitter.
        interval: Seconds between questions; None asks ever less often, see `pause`.

    Attributes:
        failure: Of the last question; None if it was answered.
    """

    def __init__(
        self, deadline: Deadline, draw: Callable[[], float] = _random.random, interval: Optional[float] = None
    ) -> None:
        self._deadline = deadline
        self._draw = draw
        self._interval = interval
        self._started = deadline.clock.monotonic()
        self._due = self._started
        self._answered = False
        self.failure: Optional[CallError] = None

    def until(
        self, ask: Callable[[], T], enough: Callable[[T], bool], patience: Optional[Patience] = None
    ) -> Optional[T]:
        """Ask until the answer is enough; None if the deadline passed first. At first this asks at once.

        Args:
            ask: Must keep to the deadline itself.
            enough: Asked more than once about one answer.
            patience: What may fail; None takes any failure for final.

        Raises:
            CanceledError: The deadline's token was canceled, whatever the last answer was.
            CallError: A failure that does not pass, or one that lasted.
        """
        deadline = self._deadline

        def again(number: int, value: Optional[T], error: Optional[Exception]) -> Optional[float]:
            now = deadline.clock.monotonic()
            wanted = pause(now - self._started, self._draw()) if self._interval is None else self._interval
            self._due = now + wanted
            self._note(error)
            if error is None:
                if patience is not None:
                    patience.answered()
                if value is not None and enough(value):
                    return None
            elif patience is None or not patience.covers(error):
                return None
            return self._shortened(wanted)

        early = self._due - deadline.clock.monotonic()
        if early > 0:
            deadline.sleep(self._shortened(early))
        try:
            value = repeat(lambda number: ask(), again, deadline)
        except CallError as error:
            if deadline.canceled and not isinstance(error, CanceledError):
                raise CanceledError("the wait was canceled", Code.CANCELED) from error
            if deadline.expired and error.code in _PASSING:
                return None
            raise
        if enough(value):
            return value
        if deadline.canceled:
            raise CanceledError("the wait was canceled", Code.CANCELED)
        return None

    def _note(self, error: Optional[Exception]) -> None:
        if error is None:
            self.failure, self._answered = None, True
        elif isinstance(error, CallError):
            # One that our own end cut short says nothing, unless there was no other.
            alone = self.failure is None and not self._answered
            if alone or not (isinstance(error, CallTimeoutError) and self._deadline.expired):
                self.failure = error

    def _shortened(self, seconds: float) -> float:
        left = self._deadline.left()
        return seconds if left is None else min(seconds, left)


def insist(ask: Callable[[], T], deadline: Deadline, *, draw: Callable[[], float] = _random.random) -> T:
    """Ask for what was seen before, and do not believe at once that it is not there.

    An overloaded server says NOT_FOUND of a few things among thousands; it takes a second and a half to be believed.

    Args:
        ask: Must keep to the deadline itself.
        deadline: Of all tries.
        draw: Makes the jitter.

    Raises:
        CallError: What the last try raised.
    """

    def again(number: int, value: Optional[T], error: Optional[Exception]) -> Optional[float]:
        if not isinstance(error, NotFoundError) or number >= TRIES:
            return None
        wanted = FIRST * 2 ** (number - 1) * (0.9 + 0.2 * draw())
        left = deadline.left()
        # The answer that there is says more than that the time is up.
        return wanted if left is None or wanted < left else None

    return repeat(lambda number: ask(), again, deadline)
