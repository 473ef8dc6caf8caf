"""How late something may be on a machine that is busy with other things."""

from __future__ import annotations

from collections.abc import Callable


def promptly(late: float, measure: Callable[[], float], tries: int = 5) -> bool:
    """Whether what `measure` gives, in seconds, is less than `late` at least once.

    A busy machine makes anything late now and then; a defect makes it late each time.
    """
    return any(measure() < late for _ in range(tries))
