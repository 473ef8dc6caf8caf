"""Lines that attempts wrote to stdout and stderr."""

# ruff: noqa: S608 - only names of columns, written here, are put into the SQL; every value is bound.

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.devbox.state.database import Database

_OF = "project = ? AND domain = ? AND run = ? AND action = ? AND attempt = ?"


class Line(NamedTuple):
    """One line, without its end.

    Attributes:
        at: When it came.
        text: What it says; bytes that are no UTF-8 have become U+FFFD.
    """

    at: int
    text: str


class Logs:
    """The table of log lines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: ActionKey, attempt: int, lines: Sequence[Line]) -> None:
        """Append lines of an attempt, in order."""
        with self._database.transaction() as connection:
            self._database.concerns(key.topic)
            connection.executemany(
                "INSERT INTO log (project, domain, run, action, attempt, at, line) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(*key, attempt, *line) for line in lines],
            )

    def of(self, key: ActionKey, attempt: Optional[int] = None) -> list[Line]:
        """The lines of one attempt, or of all of them, in order."""
        one, arguments = ("", key) if attempt is None else (" AND attempt = ?", (*key, attempt))
        rows = self._database.all(
            f"SELECT at, line FROM log WHERE project = ? AND domain = ? AND run = ? AND action = ?{one}"
            " ORDER BY number",
            arguments,
        )
        return [Line._make(row) for row in rows]

    def begin_anew(self, key: ActionKey, attempt: int) -> None:
        """Say that what an attempt writes from now on comes from another process."""
        with self._database.transaction():
            self._database.concerns(key.topic)
            self._database.run(
                "INSERT OR REPLACE INTO log_start (project, domain, run, action, attempt, number)"
                f" VALUES (?, ?, ?, ?, ?, (SELECT COALESCE(MAX(number), 0) FROM log WHERE {_OF}))",
                (*key, attempt, *key, attempt),
            )

    def start(self, key: ActionKey, attempt: int) -> int:
        """The number of the last line of an attempt's earlier processes; 0 if there were none."""
        row = self._database.one(f"SELECT number FROM log_start WHERE {_OF}", (*key, attempt))
        return 0 if row is None else int(row[0])

    def after(
        self, key: ActionKey, attempt: int, number: int, limit: int, last: Optional[int] = None
    ) -> list[tuple[int, Line]]:
        """The next lines of an attempt after the one of that number, each with its own, in order.

        Args:
            key: The action.
            attempt: From 1.
            number: 0 is before the first one.
            limit: How many at most.
            last: The number of the last one that is wanted; None wants all.
        """
        rows = self._database.all(
            f"SELECT number, at, line FROM log WHERE {_OF} AND number > ? AND (? IS NULL OR number <= ?)"
            " ORDER BY number LIMIT ?",
            (*key, attempt, number, last, last, limit),
        )
        return [(row[0], Line._make(row[1:])) for row in rows]

    def before_last(self, key: ActionKey, attempt: int, count: int) -> int:
        """The number of the line before the last `count` ones of an attempt; 0 if there are no more than those."""
        row = self._database.one(
            f"SELECT number FROM log WHERE {_OF} ORDER BY number DESC LIMIT 1 OFFSET ?", (*key, attempt, count)
        )
        return 0 if row is None else int(row[0])
