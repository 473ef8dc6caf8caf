"""The one module that prints."""

from __future__ import annotations

import contextlib
import sys
from typing import IO, TYPE_CHECKING, Any, Optional, Protocol

if TYPE_CHECKING:
    from typing_extensions import Self

    from flyte_lite._clock import Clock


def say(text: str, *, to: Optional[IO[str]] = None) -> None:
    """One line, at once, also into a pipe."""
    _print(text, to or sys.stdout)


def _print(text: str, to: IO[str]) -> None:
    try:
        print(text, file=to, flush=True)
    except UnicodeEncodeError:
        # Of a name, or of what a stranger said; nothing of it was written.
        encoding = getattr(to, "encoding", None) or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=to, flush=True)


def fail(text: str) -> None:
    """Why a command did not work, on stderr."""
    _print(f"flyte-lite: {text}", sys.stderr)


def is_terminal(stream: Optional[IO[str]]) -> bool:
    """Whether somebody reads along; nobody does where a program has closed it, or put something else in its place."""
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):
        return False


class Progress:
    """The state of something that is waited for: a live line on a terminal, a line a change elsewhere, or nothing.

    `rich` draws the live line if it is installed; it is loaded only then. A terminal that can't go back in a line
    (TERM=dumb) gets a line a change, too, and NO_COLOR is respected.

    Args:
        what: Such as "run r1".
        clock: Tells how long it took.
        quiet: True shows nothing, False always, None only on a terminal.
        interrupted: What Ctrl-C does not end, and how to end it: said after a Ctrl-C, if anything is shown.
        to: Where; stderr, so that it never mixes with a script's own output.
    """

    def __init__(
        self, what: str, clock: Clock, quiet: Optional[bool], interrupted: str, to: Optional[IO[str]] = None
    ) -> None:
        self._what = what
        self._clock = clock
        self._interrupted = interrupted
        # There is none in a process without a console.
        self._to: Optional[IO[str]] = to or sys.stderr
        terminal = is_terminal(self._to)
        self._silent = self._to is None or (not terminal if quiet is None else quiet)
        self._started = clock.monotonic()
        self._state = ""
        self._line: Optional[_Line] = _live(self._to) if terminal and not self._silent else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *_: Any) -> None:
        if self._line is not None:
            self._line.close()
        if not self._silent and kind is not None and issubclass(kind, KeyboardInterrupt):
            print(f"{self._what}: {self._interrupted}", file=self._to, flush=True)

    def show(self, state: str) -> None:
        """The state now."""
        if self._silent or (state == self._state and self._line is None):
            return
        self._state = state
        took = f" ({self._clock.monotonic() - self._started:.1f} s)"
        if self._line is not None:
            self._line.draw(f"{self._what}: ", state, took)
        else:
            print(f"{self._what}: {state}{took}", file=self._to, flush=True)


class _Line(Protocol):
    """A line of a terminal that can be drawn again."""

    def draw(self, what: str, state: str, took: str) -> None: ...

    def close(self) -> None: ...


def _is_dumb() -> bool:
    import os

    # What sets TERM says what the terminal can do; nothing sets it on Windows.
    return os.environ.get("TERM", "dumb" if os.name == "posix" else "") in ("dumb", "unknown")


def _live(to: Any) -> Optional[_Line]:
    if _is_dumb():
        return None
    try:
        return _RichLine(to)
    except ImportError:
        return _PlainLine(to)


class _PlainLine:
    def __init__(self, to: IO[str]) -> None:
        self._to = to
        self._drawn = False

    def draw(self, what: str, state: str, took: str) -> None:
        import shutil

        # A line that wraps could not be gone back over.
        text = (what + state + took)[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{text}", end="", file=self._to, flush=True)
        self._drawn = True

    def close(self) -> None:
        if self._drawn:
            print(file=self._to, flush=True)


class _RichLine:
    # `auto_refresh` would be a thread, and redirecting would take a script's own output through it.
    def __init__(self, to: IO[str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(file=to), auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._started = False

    def draw(self, what: str, state: str, took: str) -> None:
        from rich.text import Text

        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(what)
        text.append(state, _STYLES.get(state.partition(" ")[0], ""))
        text.append(took, "dim")
        if not self._started:
            self._live.start()
            self._started = True
        self._live.update(text, refresh=True)

    def close(self) -> None:
        if self._started:
            self._live.stop()


_STYLES = {"succeeded": "bold green", "recovered": "bold green", "running": "cyan"} | dict.fromkeys(
    ("failed", "aborted", "timed_out"), "bold red"
)


class LogView:
    """A log on stdout: on a terminal with `rich` a window of its last lines, elsewhere line by line.

    Args:
        lines: Of that window, at most, and no more than the terminal has; None makes none.
        clock: Spaces out the redrawing.
        to: Where.
    """

    def __init__(self, lines: Optional[int], clock: Clock, to: Optional[IO[str]] = None) -> None:
        self._to: Optional[IO[str]] = to or sys.stdout
        self._clock = clock
        self._window: Optional[_Window] = None
        if lines is not None and is_terminal(self._to) and not _is_dumb():
            with contextlib.suppress(ImportError):
                self._window = _Window(lines, self._to)
        self._drawn = clock.monotonic()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._window is not None:
            self._window.close()
            print(f"Scrolled {self._count} lines of logs.", file=self._to, flush=True)

    def show(self, text: str, writer: str) -> None:
        """The next line, without its end; `writer` is system, runtime or user."""
        self._count += 1
        if self._window is not None:
            self._window.add(text, writer)
        elif self._to is not None:
            print(text, file=self._to)

    def draw(self) -> None:
        """Nothing else is known to come at once."""
        now = self._clock.monotonic()
        if self._window is None:
            if self._to is not None:
                self._to.flush()
        elif now - self._drawn >= _FRAME:
            self._drawn = now
            self._window.draw()


_FRAME = 0.05
_WRITERS = {"system": "bold magenta", "runtime": "dim", "user": "cyan"}


class _Window:
    def __init__(self, lines: int, to: IO[str]) -> None:
        from collections import deque

        from rich.console import Console
        from rich.live import Live

        console = Console(file=to)
        # What is taller than the terminal would lose its last lines, not its first.
        self._lines: deque[tuple[str, str]] = deque(maxlen=max(1, min(lines, console.size.height - 3)))
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def add(self, text: str, writer: str) -> None:
        self._lines.append((text, writer))

    def draw(self) -> None:
        from rich.text import Text

        # Colours of its own are kept; what would move the cursor is not.
        shown = [Text.from_ansi(text, style=_WRITERS[writer], no_wrap=True) for text, writer in self._lines]
        self._live.update(Text("\n", no_wrap=True, overflow="ellipsis").join(shown), refresh=True)

    def close(self) -> None:
        self.draw()
        self._live.stop()
