"""Headers that a caller has for a while: with `auth_metadata(...)`, as the official SDK has it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

from flyte_lite._clock import Deadline

_current: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("auth_metadata", default=())


@contextlib.contextmanager
def auth_metadata(*pairs: tuple[str, str]) -> Iterator[None]:
    """Send these headers with each call made inside, through channels of `auth_type="Passthrough"`.

        with auth_metadata(("authorization", f"Bearer {token}")):
            Run.get("r1")

    It holds in this thread (and where its context is copied to), and one inside another replaces it.

    Args:
        pairs: Name and value of each header.

    Raises:
        ValueError: There are none.
    """
    if not pairs:
        raise ValueError("auth_metadata() needs at least one pair of a name and a value")
    token = _current.set(tuple((name.lower(), value) for name, value in pairs))
    try:
        yield
    finally:
        _current.reset(token)


class Passthrough:
    """Shows what `auth_metadata` says, and has nothing else to show."""

    def headers(self, deadline: Deadline) -> Mapping[str, str]:
        """See `Credentials`."""
        return dict(_current.get())

    def refused(self, sent: Mapping[str, str], deadline: Deadline) -> bool:
        """See `Credentials`."""
        return False
