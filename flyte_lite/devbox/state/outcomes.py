"""Outputs of tasks that are cached, by a key made of the task and its inputs."""

from __future__ import annotations

from typing import Optional

from flyte_lite.devbox.state.database import Database


class Outcomes:
    """The table of cached outputs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, key: str, outputs: bytes) -> None:
        """Store `Outputs`, over what may have been there."""
        self._database.run("INSERT OR REPLACE INTO outcome VALUES (?, ?)", (key, outputs))

    def get(self, key: str) -> Optional[bytes]:
        """The `Outputs` stored there, or None."""
        row = self._database.one("SELECT outputs FROM outcome WHERE key = ?", (key,))
        return None if row is None else bytes(row[0])
