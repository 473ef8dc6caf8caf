"""The folder of a devbox's state, and the lock that keeps a second devbox out of it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from flyte_lite.errors import DevboxStateError

DATABASE = "state.sqlite3"
LOCK = "lock"
# Seconds. A killed devbox may have been about to start a process, which holds the lock a moment longer.
PATIENCE = 0.5


class Folder:
    """A folder that is this devbox's alone, from here to `release`, or to the end of the process however it ends.

    Its lock is the operating system's (`flock`), so nothing is left behind that somebody would have to remove.

    Args:
        path: Made if it is not there, for this user alone: functions are kept in it, and workers run them.

    Raises:
        DevboxStateError: It can't be had; the text tells who has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DevboxStateError(f"the devbox can't keep its state in {path}: {error.strerror}") from error
        until = time.monotonic() + PATIENCE
        while not _locked(self._lock):
            if time.monotonic() > until:
                holder = os.read(self._lock, 200).decode(errors="replace") or "another devbox"
                os.close(self._lock)
                raise DevboxStateError(f"the state in {path} is in use by {holder}")
            time.sleep(0.02)
        self.tell(f"process {os.getpid()}")

    @property
    def database(self) -> Path:
        """The file of the database."""
        return self.path / DATABASE

    def tell(self, holder: str) -> None:
        """Say who has it, for those who can't."""
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, holder.encode(), 0)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._lock)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
