"""Blobs by address: the devbox's object store."""

from __future__ import annotations

from typing import Optional

from flyte_lite.devbox.state.database import Database

# Addresses look like those of a bucket, and clients do not care; nothing outside the devbox is ever read or written.
PREFIX = "s3://flyte-data"


class Objects:
    """The table of objects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, uri: str, body: bytes) -> None:
        """Store `body`, over what may have been there."""
        self._database.run("INSERT OR REPLACE INTO object VALUES (?, ?)", (uri, body))

    def get(self, uri: str) -> Optional[bytes]:
        """What is stored there, or None."""
        row = self._database.one("SELECT body FROM object WHERE uri = ?", (uri,))
        return None if row is None else bytes(row[0])
