"""The one module that prints."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from typing_extensions import Self

    from flyte_lite._clock import Clock


def say(text: str, *, to: Optional[IO[str]] = None) -> None:
    """One line, at once, also into a pipe."""
    print(text, file=to or sys.stdout, flush=True)


def fail(text: str) -> None:
    """Why a command did not work, on stderr."""
    print(f"flyte-lite: {text}", file=sys.stderr, flush=True)


class Progress:
    """The phases of something that is waited for: a live line on a terminal, a line a change elsewhere, or nothing.

    Args:
        what: Such as "run r1".
        clock: Tells how long it took.
        quiet: True shows nothing, False always, None only on a terminal.
        to: Where; stderr, so that it never mixes with a script's own output.
    """

    def __init__(self, what: str, clock: Clock, quiet: Optional[bool], to: Optional[IO[str]] = None) -> None:
        self._what = what
        self._clock = clock
        self._to = to or sys.stderr
        self._live = self._to is not None and self._to.isatty()
        self._silent = self._to is None or (not self._live if quiet is None else quiet)
        self._started = clock.monotonic()
        self._phase = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._live and self._phase and not self._silent:
            print(file=self._to, flush=True)

    def show(self, phase: str) -> None:
        """The phase now."""
        if self._silent or (phase == self._phase and not self._live):
            return
        self._phase = phase
        text = f"{self._what}: {phase} ({self._clock.monotonic() - self._started:.1f} s)"
        if self._live:
            print(f"\r\x1b[K{text}", end="", file=self._to, flush=True)
        else:
            print(text, file=self._to, flush=True)
