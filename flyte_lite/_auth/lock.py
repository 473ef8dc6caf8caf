"""One process at a time: an empty file that the operating system locks, and lets go of when its holder dies."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Optional

from flyte_lite._clock import Deadline
from flyte_lite.errors import CallTimeoutError, CanceledError, Code

_log = logging.getLogger("flyte_lite")

# How long to wait before another look, in seconds: at first, and at most.
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1

if sys.platform == "win32":
    import msvcrt

    def _try(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)

    def _release(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _try(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(number: int) -> None:
        # Not by closing it alone: a child that was forked meanwhile has it open, too.
        fcntl.flock(number, fcntl.LOCK_UN)


_open: set[int] = set()


def _close_in_child() -> None:
    """A child has what its parent had open: it would keep the lock for as long as it lives, were its parent killed."""
    for number in list(_open):
        with contextlib.suppress(OSError):
            os.close(number)
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


class ProcessLock:
    """See the module. Threads exclude each other, too.

    It holds for all processes of one user on one machine that can see the same runtime folder or the same temporary
    one. Where neither can be used, everybody gets in: a token that is fetched twice is better than none.

    Args:
        name: What is locked.
        environ: Where the folders are told.
    """

    def __init__(self, name: str, environ: Mapping[str, str] = os.environ) -> None:
        self._file = hashlib.sha256(name.encode()).hexdigest()[:40]
        self._environ = environ

    @contextlib.contextmanager
    def held(self, deadline: Deadline) -> Iterator[None]:
        """Hold it inside; wait for it until the deadline.

        Raises:
            CallTimeoutError: Another process had it for all of that time.
            CanceledError: The call was canceled meanwhile.
        """
        with contextlib.ExitStack() as stack:
            # Each of both that is there, in the same order by all: a service may lack the one, or have its own of the
            # other, and still excludes who has only one in common with it.
            found = [stack.enter_context(_held(folder / self._file, deadline)) for folder in _folders(self._environ)]
            if not any(found):
                _log.debug(
                    "nothing keeps other processes from renewing a token meanwhile: there is no folder for locks"
                )
            yield


@contextlib.contextmanager
def _held(path: Path, deadline: Deadline) -> Iterator[bool]:
    """False inside if there is nothing to hold."""
    number = _opened(path)
    if number is None:
        yield False
        return
    _open.add(number)
    held = False
    try:
        pause = _FIRST_PAUSE
        while not held:
            try:
                _try(number)
                held = True
            except (BlockingIOError, PermissionError):
                _wait(pause, deadline)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except OSError:
                break  # such as a file system that has no locks
        yield held
    finally:
        # A child that was forked inside has closed it.
        if number in _open:
            _open.discard(number)
            if held:
                with contextlib.suppress(OSError):
                    _release(number)
            os.close(number)


def _wait(seconds: float, deadline: Deadline) -> None:
    left = deadline.left()
    if left == 0.0:
        raise CallTimeoutError(
            f"another process was not done with signing in within {deadline.seconds:g} s; give it more with timeout=",
            Code.DEADLINE_EXCEEDED,
            sent=False,
        )
    deadline.sleep(seconds if left is None else min(seconds, left))
    if deadline.canceled:
        raise CanceledError("the call was canceled", Code.CANCELED, sent=False)


def _folders(environ: Mapping[str, str]) -> Iterator[Path]:
    if sys.platform == "win32":
        yield Path(environ.get("TEMP", "."), "flyte_lite")
        return
    runtime, temporary = (Path(environ.get(name, "")) for name in ("XDG_RUNTIME_DIR", "TMPDIR"))
    # After `sudo` it is somebody else's, who would find a folder there that is closed to them.
    if runtime.is_absolute() and _is_ours(runtime):
        yield runtime / "flyte_lite"
    usual = Path("/tmp")  # noqa: S108 - what is made there counts only if it is ours
    yield (temporary if temporary.is_absolute() else usual) / f"flyte_lite-{os.geteuid()}"


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _opened(path: Path) -> Optional[int]:
    """None if there is no folder of ours that nobody else can change."""
    try:
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(mode=0o700)
        if sys.platform != "win32":
            if not _is_ours(path.parent) or path.parent.lstat().st_mode & 0o077:
                return None
        further = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        return os.open(path, os.O_RDWR | os.O_CREAT | further, 0o600)
    except OSError:
        return None
