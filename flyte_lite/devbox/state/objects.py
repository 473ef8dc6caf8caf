"""Blobs by address: the devbox's object store."""

from __future__ import annotations

import secrets
from typing import Callable, NamedTuple, Optional

from flyte_lite.devbox.state.database import Database

# Addresses look like those of a bucket, and clients do not care; nothing outside the devbox is ever read or written.
PREFIX = "s3://flyte-data"
BINARY = "application/octet-stream"


class Stored(NamedTuple):
    """An object as a whole.

    Attributes:
        body: What is in it.
        content_type: What kind of thing that is.
        stored_at: When it was stored.
    """

    body: bytes
    content_type: str
    stored_at: int


class Objects:
    """The table of objects, and the secret that addresses of them are signed with.

    Args:
        database: Where they are.
        now: Tells the time.
    """

    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self._database = database
        self._now = now

    def put(self, uri: str, body: bytes, content_type: str = BINARY) -> None:
        """Store `body`, over what may have been there."""
        self._database.run("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?)", (uri, body, content_type, self._now()))

    def get(self, uri: str) -> Optional[bytes]:
        """What is stored there, or None."""
        row = self._database.one("SELECT body FROM object WHERE uri = ?", (uri,))
        return None if row is None else bytes(row[0])

    def stored(self, uri: str) -> Optional[Stored]:
        """The same with what is known of it."""
        row = self._database.one("SELECT body, content_type, stored_at FROM object WHERE uri = ?", (uri,))
        return None if row is None else Stored(bytes(row[0]), row[1], row[2])

    def has(self, uri: str) -> bool:
        """True if something is stored there."""
        return self._database.one("SELECT 1 FROM object WHERE uri = ?", (uri,)) is not None

    def secret(self) -> str:
        """What signs addresses, random and the same as long as the state lives, so that they outlive a restart."""
        with self._database.transaction():
            row = self._database.one("SELECT secret FROM signer")
            if row is None:
                row = (secrets.token_urlsafe(30),)
                self._database.run("INSERT INTO signer VALUES (?)", row)
        return str(row[0])
