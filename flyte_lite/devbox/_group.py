"""`group`: a name for the tasks that are called together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Optional

_here: ContextVar[Optional[str]] = ContextVar("flyte_lite_group", default=None)
# Those that are open, for threads, which begin without the context of who started them.
_open: list[str] = []


@contextmanager
def group(name: str) -> Iterator[None]:
    """Put the tasks that are called in a `with` into a group, as clients show it; outside a run nothing happens.

    Threads that have none of their own are in the one that was opened last and is still open.

    Args:
        name: The group's name.

    Raises:
        ValueError: `name` is empty.
    """
    if not name:
        raise ValueError("a group needs a name")
    before = _here.set(name)
    _open.append(name)
    try:
        yield
    finally:
        _open.remove(name)
        _here.reset(before)


def present() -> str:
    """The group that a task called here and now belongs to; "" is none."""
    here = _here.get()
    if here is None and _open and threading.current_thread() is not threading.main_thread():
        return _open[-1]
    return here or ""
