"""Backends of keyring, as they come: named in PYTHON_KEYRING_BACKEND, with what they keep in the file KEYRINGS_FILE."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Optional

from keyring.backend import KeyringBackend
from keyring.errors import KeyringError, PasswordDeleteError


class InFile(KeyringBackend):
    """Works, and has room for so much of a value; None is no limit."""

    priority = 1  # type: ignore[assignment]
    room: Optional[int] = None

    def get_password(self, service: str, username: str) -> Optional[str]:
        return self._all().get(f"{service}|{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._all(), f"{service}|{username}": password[: self.room]})

    def delete_password(self, service: str, username: str) -> None:
        kept = self._all()
        if kept.pop(f"{service}|{username}", None) is None:
            raise PasswordDeleteError(username)
        self._write(kept)

    def _all(self) -> dict[str, str]:
        file = Path(os.environ["KEYRINGS_FILE"])
        kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        return kept

    def _write(self, kept: dict[str, str]) -> None:
        Path(os.environ["KEYRINGS_FILE"]).write_text(json.dumps(kept))


class Small(InFile):
    """Cuts off what is long."""

    room = 150


class Tiny(InFile):
    """Cuts off everything."""

    room = 10


class error(Exception):
    """What pywin32 calls its own (`pywintypes.error`)."""


class Windows(InFile):
    """Refuses what is long, with an error that is none of keyring's."""

    def set_password(self, service: str, username: str, password: str) -> None:
        if len(password) > 150:
            raise error(1783, "CredWrite", "The stub received bad data.")
        super().set_password(service, username, password)


class _Broken(KeyringBackend):
    """Writes a line whenever it is asked for something."""

    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> Optional[str]:
        return self._asked()

    def set_password(self, service: str, username: str, password: str) -> None:
        self._asked()

    def delete_password(self, service: str, username: str) -> None:
        self._asked()

    def _asked(self) -> None:
        with Path(os.environ["KEYRINGS_FILE"] + ".asked").open("a") as file:
            file.write("asked\n")
        self.fail()

    def fail(self) -> None:
        raise NotImplementedError


class Hanging(_Broken):
    """Waits for a window that nobody sees."""

    def fail(self) -> None:
        time.sleep(600)


class Refusing(_Broken):
    def fail(self) -> None:
        raise OSError(5, "Input/output error")


class Locked(_Broken):
    def fail(self) -> None:
        raise KeyringError("locked")


class Leaving(_Broken):
    def fail(self) -> None:
        raise SystemExit(3)
