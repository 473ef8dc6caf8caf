"""What a service may know of a call besides its request, and how one that streams waits."""

from __future__ import annotations

import enum
import threading
from collections.abc import Mapping
from typing import Callable, Optional, Protocol

from flyte_lite._clock import SYSTEM_CLOCK, Deadline

# Seconds: how often a waiting stream looks whether anybody still listens, and whether the server stops.
LOOK = 0.4


class Changes(Protocol):
    """Something that changes, and counts its changes."""

    def wait(self, since: int, seconds: float) -> int:
        """The count, as soon as it is above `since`, or after `seconds` whatever it is."""
        ...


class End(enum.Enum):
    """Why a call is over."""

    GONE = "the caller has gone"
    LATE = "the call's deadline has passed"
    STOPPED = "the server stops"


class CallOver(Exception):
    """Nobody waits for this call any more. Handlers let it pass; the wire knows what each end looks like.

    Attributes:
        end: Why.
    """

    def __init__(self, end: End) -> None:
        super().__init__(end.value)
        self.end = end


def endpoint_of(headers: Mapping[str, str], scheme: str) -> str:
    """Scheme and host that a caller used, also if that is a proxy's, as long as it says so.

    Args:
        headers: By lower-case name.
        scheme: The one that came in here.
    """
    return f"{headers.get('x-forwarded-proto') or scheme}://{headers.get('host', '')}"


class Call:
    """The caller's side of a call.

    Args:
        headers: By lower-case name.
        deadline: When the caller stops waiting; None is never.
        gone: Tells whether the caller has left.
        stopping: Set when the server stops.
        scheme: "http" or "https", as the call came in.
        identity: The claims of whoever calls, from a token that was checked; None where nothing is checked.
    """

    __slots__ = ("_gone", "_looked", "_scheme", "_stopping", "deadline", "headers", "identity")

    def __init__(
        self,
        headers: Mapping[str, str],
        deadline: Optional[Deadline] = None,
        gone: Callable[[], bool] = lambda: False,
        stopping: Optional[threading.Event] = None,
        scheme: str = "http",
        identity: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.headers = headers
        self.deadline = deadline or Deadline(SYSTEM_CLOCK, None)
        self._gone = gone
        self._stopping = stopping or threading.Event()
        self._looked = self.deadline.clock.monotonic()
        self._scheme = scheme
        self.identity = identity

    @property
    def endpoint(self) -> str:
        """See `endpoint_of`."""
        return endpoint_of(self.headers, self._scheme)

    def wait(self, changes: Changes, since: int) -> int:
        """Wait for a change: the count, once it is above `since`.

        Raises:
            CallOver: The caller has gone, the deadline has passed, or the server stops.
        """
        while True:
            version = changes.wait(since, self._slice(LOOK))
            if version > since:
                return version

    def pause(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            CallOver: The caller has gone, the deadline has passed, or the server stops.
        """
        clock = self.deadline.clock
        end = clock.monotonic() + seconds
        while True:
            left = end - clock.monotonic()
            self._stopping.wait(self._slice(min(max(left, 0.0), LOOK)))
            if left <= 0:
                return

    def _slice(self, most: float) -> float:
        """How long to wait before looking again."""
        if self._stopping.is_set():
            raise CallOver(End.STOPPED)
        left = self.deadline.left()
        if left == 0.0:
            raise CallOver(End.LATE)
        # Not at every change, of which there may be thousands a second.
        now = self.deadline.clock.monotonic()
        if now - self._looked >= LOOK:
            self._looked = now
            if self._gone():
                raise CallOver(End.GONE)
        return most if left is None else min(left, most)
