"""Waiting by asking: one loop for everything that is waited for.

A held stream would be cheaper, but proxies cut it, the real server loses its updates for good, and a clean end of it
proves nothing. Only an answer to a question counts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Optional, TypeVar

from flyte_lite._clock import Deadline
from flyte_lite._repeat import repeat
from flyte_lite.errors import CallError, CanceledError, Code

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


def poll(
    ask: Callable[[], T],
    enough: Callable[[T], bool],
    deadline: Deadline,
    *,
    interval: Optional[float] = None,
    patience: float = PATIENCE,
    draw: Callable[[], float] = _random.random,
) -> Optional[T]:
    """Ask until the answer is enough; None if the deadline passed first.

    Errors of the kind that passes by itself are waited out, NOT_FOUND too: an overloaded server says it of things that
    exist, so this is only for what was seen before.

    Args:
        ask: Must keep to the deadline itself.
        interval: Seconds between questions; None asks ever less often, see `pause`.
        patience: Seconds of nothing but failures after which the last one is raised.

    Raises:
        CanceledError: The deadline's token was canceled, whatever the last answer was.
        CallError: A failure that does not pass, or one that lasted.
    """
    started = deadline.clock.monotonic()
    well = started

    def again(number: int, value: Optional[T], error: Optional[Exception]) -> Optional[float]:
        nonlocal well
        now = deadline.clock.monotonic()
        if error is None:
            well = now
            if value is not None and enough(value):
                return None
        elif not isinstance(error, CallError) or error.code not in _PASSING or now - well > patience:
            return None
        wanted = pause(now - started, draw()) if interval is None else interval
        left = deadline.left()
        return wanted if left is None else min(wanted, left)

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
