"""Notifications that would have been sent."""

from __future__ import annotations

from typing import NamedTuple

from flyte_lite.devbox.state.database import Database


class Noted(NamedTuple):
    """One of them.

    Attributes:
        project: Of the run that it is about.
        domain: The same.
        run: The same.
        phase: The one that the run had reached.
        at: When it had.
        rule_name: Of a rule that is stored on the server; "" if the run brought its own.
        delivery_name: Of a way to deliver that is stored there; "" if the rule brought its own.
        delivery: A `flyteidl2.notification.DeliveryConfigTemplate`, filled in; b"" if it has a name.
    """

    project: str
    domain: str
    run: str
    phase: int
    at: int
    rule_name: str
    delivery_name: str
    delivery: bytes


_FIELDS = ", ".join(Noted._fields)


class Notifications:
    """The table of notifications."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, noted: Noted) -> None:
        """Append one."""
        marks = ", ".join("?" * len(noted))
        self._database.run(f"INSERT INTO notification ({_FIELDS}) VALUES ({marks})", noted)  # noqa: S608 - names of columns

    def all(self) -> list[Noted]:
        """All of them, in order."""
        rows = self._database.all(f"SELECT {_FIELDS} FROM notification ORDER BY number")  # noqa: S608 - the same
        return [Noted._make(row) for row in rows]
