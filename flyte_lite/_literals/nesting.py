"""Classes that are in themselves: how deep values of them may go."""

from __future__ import annotations

import threading
from typing import Any, Callable

from flyte_lite._literals.misfit import Misfit

# Levels of a class that is in itself, such as a tree's node: each takes a few calls of Python.
MAX_NESTED = 60


def guarded(later: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """What converts values of a class whose own conversion is not made yet, but will be the first of `later`."""
    nested = threading.local()

    def convert(value: Any) -> Any:
        level = getattr(nested, "level", 0)
        if level >= MAX_NESTED:
            raise Misfit(f"is nested more than {MAX_NESTED} levels deep, or contains itself", hopeless=True)
        nested.level = level + 1
        try:
            return later[0](value)
        finally:
            nested.level = level

    return convert
