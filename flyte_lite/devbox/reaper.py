"""What outlives the devbox by a moment: a small process that kills what the devbox ran, however the devbox ended.

A worker notices by itself that its devbox is gone (`worker`), but not if it is busy in C code that never lets go of
Python's lock, is stopped, or died just before and left children behind. So the devbox tells this process each group of
processes before the group gets any work, and again when it is gone. At the end of its input all that are left are
killed. It is run as a file, without site packages, and so imports nothing of ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Optional


class Reaper:
    """The devbox's side. The process is started with the first group."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._closed = False

    def watch(self, group: int) -> None:
        """Kill `group` when the devbox is gone.

        Raises:
            OSError: No process can be started.
        """
        with self._lock:
            if self._closed:
                return
            if self._process is None:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
                    [sys.executable, "-I", "-S", __file__],
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._tell(f"{group}\n")

    def forget(self, group: int) -> None:
        """Leave `group` alone from now on: its number may soon be that of others."""
        with self._lock:
            self._tell(f"-{group}\n")

    def close(self) -> None:
        """End the process, and with it all groups that are still watched."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()

    def _tell(self, line: str) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            # If somebody killed it, workers still have their own eyes on the devbox.
            with suppress(BrokenPipeError):
                self._process.stdin.write(line.encode())


def main() -> None:
    """Read groups, and their ends with a minus, until the devbox is gone; kill what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = set()
    for line in sys.stdin:
        group = int(line)
        if group > 0:
            groups.add(group)
        else:
            groups.discard(-group)
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
