"""Tokens in files: where somebody asks for that, readable by nobody else, and never half written."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import operator
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Optional, TypeVar

from flyte_lite._clock import SYSTEM_CLOCK, Clock
from flyte_lite.errors import ConfigError

T = TypeVar("T")

_NEW = ".new"
# What a process left that was killed while it wrote; nobody takes so many seconds.
_ABANDONED = 60.0
_WINDOWS = os.name == "nt"
# Between looks at a file that another process has open, which takes it no longer than to read a page.
_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


def usual_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where files go if nobody says.

    Raises:
        ConfigError: There is no home to look in.
    """
    named = environ.get("LOCALAPPDATA" if _WINDOWS else "XDG_STATE_HOME", "")
    home = environ.get("USERPROFILE" if _WINDOWS else "HOME", "")
    if os.path.isabs(named):  # noqa: PTH117 - of an empty text, a Path makes the current folder
        base = Path(named)
    elif os.path.isabs(home):  # noqa: PTH117
        base = Path(home, "AppData", "Local") if _WINDOWS else Path(home, ".local", "state")
    else:
        raise ConfigError("token_store is 'file', and there is no HOME to keep it in; give the path of a folder")
    return base / "flyte_lite" / "tokens"


class FileStore:
    """A `TokenStore`: a file an entry, in a folder of their own.

    Args:
        folder: Made with the first entry.
        closed_by_others: Whether what another process has open is closed to us, as on Windows.
        clock: Waits for them.
    """

    def __init__(self, folder: Path, *, closed_by_others: bool = _WINDOWS, clock: Clock = SYSTEM_CLOCK) -> None:
        self._folder = folder
        self._pauses = _PAUSES if closed_by_others else ()
        self._clock = clock
        self.where = f"the folder {folder}"

    def __repr__(self) -> str:
        return f"FileStore({str(self._folder)!r})"

    def get(self, service: str, name: str) -> Optional[str]:
        """See `TokenStore`.

        Raises:
            ConfigError: Others can read it, or it can't be read.
        """
        path = self._path(service, name)
        try:
            if not self._is_ours():
                return None
            number = self._patiently(lambda: _opened(path, os.O_RDONLY))
            with os.fdopen(number, encoding="utf-8") as file:
                _check(os.fstat(file.fileno()), path, "file")
                return file.read()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the tokens in {path} can't be read: {_why(error)}") from None

    def set(self, service: str, name: str, value: str) -> None:
        """See `TokenStore`; who reads meanwhile gets the old value or this one.

        Raises:
            OSError: It can't be written.
            ConfigError: Others could read it.
        """
        if not self._is_ours():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._is_ours()
        path = self._path(service, name)
        new = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_NEW}")
        try:
            with open(_opened(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="utf-8") as file:
                file.write(value)
                file.flush()
                # Or a machine that loses its power has the name without the text.
                os.fsync(file.fileno())
                self._sweep(os.fstat(file.fileno()).st_mtime)
            self._patiently(lambda: os.replace(new, path))  # noqa: PTH105 - one way to write of files here
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()
            raise

    def delete(self, service: str, name: str) -> None:
        """See `TokenStore`.

        Raises:
            OSError: It can't be removed.
            ConfigError: It is in a folder of somebody else's.
        """
        if self._is_ours():
            with contextlib.suppress(FileNotFoundError):
                self._patiently(self._path(service, name).unlink)

    def _patiently(self, do: Callable[[], T]) -> T:
        for pause in self._pauses:
            try:
                return do()
            except PermissionError:
                self._clock.sleep(pause)
        return do()

    def _path(self, service: str, name: str) -> Path:
        # Names of servers and clients hold what no file's name may.
        return self._folder / hashlib.sha256(f"{service}\0{name}".encode()).hexdigest()[:40]

    def _is_ours(self) -> bool:
        """False if there is no folder yet.

        Raises:
            ConfigError: Somebody else has one there, or may look into it.
        """
        try:
            found = os.stat(self._folder)  # noqa: PTH116 - by a link of ours, too
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ConfigError(f"the folder of tokens {self._folder} can't be used: {_why(error)}") from None
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"the folder of tokens {self._folder} is no folder; give another one with token_store=")
        _check(found, self._folder, "folder")
        return True

    def _sweep(self, now: float) -> None:
        with contextlib.suppress(OSError):
            for each in self._folder.glob(f"*{_NEW}"):
                if each.lstat().st_mtime < now - _ABANDONED:
                    each.unlink()


def _opened(path: Path, flags: int) -> int:
    # Never through a link, which may lead to a file of ours that somebody else chose; nor does a pipe keep us waiting.
    further = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
    return os.open(path, functools.reduce(operator.or_, further, flags), 0o600)


def _check(found: os.stat_result, path: Path, kind: str) -> None:
    """Windows lets nobody but their owner into what lies in a profile, and says nothing of it in a mode.

    Raises:
        ConfigError: It is not ours alone.
    """
    if _WINDOWS:
        return
    if kind == "file" and not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"the tokens in {path} can't be read: it is no file")
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"the {kind} of tokens {path} belongs to another user (number {found.st_uid}); give a folder of yours with "
            "token_store="
        )
    if found.st_mode & 0o077:
        raise ConfigError(
            f"the {kind} of tokens {path} is open to others (mode {stat.S_IMODE(found.st_mode):04o}); close it with "
            f"`chmod {'700' if kind == 'folder' else '600'} {path}`, or remove it and sign in anew"
        )


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return "it is a link" if error.errno == errno.ELOOP else error.strerror or type(error).__name__
    return "it is no text"
