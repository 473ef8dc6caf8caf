"""Settings of an organization, of a domain, of a project in a domain."""

from __future__ import annotations

from typing import NamedTuple, Optional

from flyte_lite.devbox.state.database import Database

# The organization of whoever names none.
DEFAULT_ORG = "flyte"


class SettingsKey(NamedTuple):
    """What settings are for; "" is everything."""

    org: str
    domain: str
    project: str


class SettingsTable:
    """The table of settings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, key: SettingsKey, body: bytes) -> bool:
        """Store a first version; False if there is a record."""
        return bool(
            self._database.run(
                "INSERT OR IGNORE INTO settings (org, domain, project, version, body) VALUES (?, ?, ?, 1, ?)",
                (*_stored(key), body),
            )
        )

    def update(self, key: SettingsKey, body: bytes, version: int) -> bool:
        """Store the version after `version`; False if the record is of another one, or there is none."""
        return bool(
            self._database.run(
                "UPDATE settings SET version = version + 1, body = ?"
                " WHERE org = ? AND domain = ? AND project = ? AND version = ?",
                (body, *_stored(key), version),
            )
        )

    def get(self, key: SettingsKey) -> Optional[tuple[bytes, int]]:
        """The record and its version, or None."""
        row = self._database.one(
            "SELECT body, version FROM settings WHERE org = ? AND domain = ? AND project = ?", _stored(key)
        )
        return None if row is None else (bytes(row[0]), row[1])


def _stored(key: SettingsKey) -> SettingsKey:
    return key._replace(org=key.org or DEFAULT_ORG)
