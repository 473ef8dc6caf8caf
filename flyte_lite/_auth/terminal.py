"""The terminal of somebody whose browser is on another machine and can't come back to this one: they paste its address.

It is read while the browser is waited for, which needs something that waits for both: Windows has no such thing.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from typing import Any, Optional

_MOST = 32 * 1024
# As terminals do it themselves otherwise: take back a character, or all.
_EDITING = re.compile(rb"([\x08\x7f\x15])")
_LINE = re.compile(rb"[\r\n]")
# What terminals put around what is pasted.
_AROUND = re.compile(rb"\x1b\[20[01]~")


class Terminal:
    """Lines that are pasted to a terminal, which does not show them. Use it with `with`.

    A terminal would cut off lines of more than 1,024 or 4,096 bytes, and there are longer codes; so it is told to pass
    on all as it comes.

    Args:
        file: Its descriptor.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._before: Any = None
        self._unread = b""

    def __enter__(self) -> Terminal:
        import termios

        self._before = termios.tcgetattr(self._file)
        mode = termios.tcgetattr(self._file)
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._file, termios.TCSADRAIN, mode)
        return self

    def __exit__(self, *_: Any) -> None:
        import termios

        # What nobody has read goes, too: a shell would take the rest of an address for a command, and remember it.
        with contextlib.suppress(termios.error):  # it is gone
            termios.tcsetattr(self._file, termios.TCSAFLUSH, self._before)

    def fileno(self) -> int:
        """For what waits for it."""
        return self._file

    def lines(self) -> Optional[list[str]]:
        """The lines that have come to their end; None if the terminal is gone. To be asked once it has something."""
        try:
            came = os.read(self._file, 65536)
        except OSError:
            came = b""
        if not came:
            return None
        for each in _EDITING.split(came):
            if each == b"\x15":
                self._unread = b""
            else:
                self._unread = self._unread[:-1] if _EDITING.fullmatch(each) else self._unread + each
        *lines, rest = _LINE.split(self._unread)
        self._unread = rest[-_MOST:]
        return [text for text in (_AROUND.sub(b"", line).decode("utf-8", "replace").strip() for line in lines) if text]


def terminal_of_ours() -> Optional[Terminal]:
    """The terminal that somebody may paste to; None if there is none, or if it is another's turn to read it."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return None
    try:
        file = sys.stdin.fileno()
        # Who is in the background is stopped when it reads.
        return Terminal(file) if os.isatty(file) and os.tcgetpgrp(file) == os.getpgrp() else None
    except (AttributeError, OSError, ValueError):
        return None
