"""Doing a thing again: retries of calls and polling of runs alike. The one module that imports tenacity."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional, TypeVar

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from flyte_lite._clock import Deadline

T = TypeVar("T")
Decide = Callable[[int, Optional[T], Optional[Exception]], Optional[float]]
"""After attempt n (from 1) gave a value or an error: seconds until the next attempt, or None to leave it at that."""


def repeat(do: Callable[[int], T], decide: Decide[T], deadline: Deadline) -> T:
    """Call `do(1)`, `do(2)`, ... until `decide` is content; return its last value or raise its last error.

    tenacity is loaded by the first repeat, never by what succeeds at once.

    Args:
        do: Gets the number of the attempt, from 1.
        decide: See `Decide`.
        deadline: Its clock sleeps. Once it has passed (or its token is canceled), an attempt that ends is the last.
            The attempt after a sleep is made all the same, as it knows best how to say what ended it.
    """
    try:
        value = do(1)
    except Exception as error:  # whatever it is, `decide` says whether it is worth another try
        delay = decide(1, None, error)
        if delay is None:
            raise
    else:
        delay = decide(1, value, None)
        if delay is None:
            return value
    return _again(do, decide, deadline, delay)


def _again(do: Callable[[int], T], decide: Decide[T], deadline: Deadline, delay: float) -> T:
    from tenacity import Retrying

    waits: list[float] = []

    def wanted(state: RetryCallState) -> bool:
        outcome = state.outcome
        assert outcome is not None
        error = outcome.exception()
        if error is not None and not isinstance(error, Exception):
            return False
        number = state.attempt_number + 1
        following = decide(number, None, error) if error is not None else decide(number, outcome.result(), None)
        if following is not None:
            waits.append(following)
        return following is not None

    def last(state: RetryCallState) -> Any:
        assert state.outcome is not None
        return state.outcome.result()

    deadline.sleep(delay)
    number = iter(range(2, 1 << 62))
    return Retrying(
        retry=wanted,
        wait=lambda state: waits.pop(),
        stop=lambda state: deadline.expired or deadline.canceled,
        sleep=deadline.sleep,
        retry_error_callback=last,
        reraise=True,
    )(lambda: do(next(number)))
