"""A keyring of the test's own: a folder with a file for each entry, so that another process can look into it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional
from urllib.parse import quote

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class FolderKeyring(KeyringBackend):
    """To be named in PYTHON_KEYRING_BACKEND, with the folder in FOLDER_KEYRING.

    FOLDER_KEYRING_LONGEST is how many characters it keeps of an entry, without a word of the rest; all by default.
    """

    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> Optional[str]:
        file = _file(service, username)
        return file.read_text() if file.exists() else None

    def set_password(self, service: str, username: str, password: str) -> None:
        longest = os.environ.get("FOLDER_KEYRING_LONGEST")
        _file(service, username).write_text(password[: int(longest)] if longest else password)

    def delete_password(self, service: str, username: str) -> None:
        try:
            _file(service, username).unlink()
        except FileNotFoundError:
            raise PasswordDeleteError(username) from None


def _file(service: str, username: str) -> Path:
    return Path(os.environ["FOLDER_KEYRING"], f"{quote(service, safe='')} {quote(username, safe='')}")
