"""What executors told about attempts, event by event."""

# ruff: noqa: S608 - only names of columns, written here, are put into the SQL; every value is bound.

from __future__ import annotations

from typing import Optional

from typing import Optional

from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.devbox.state.database import Database
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

_OF = "project = ? AND domain = ? AND run = ? AND action = ?"


class Events:
    """The table of events. They may come before the action they are about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, event: run_definition_pb2.ActionEvent) -> bool:
        """Store an event; False if that attempt had one of the same phase and version.

        Those who watch the action are to be told with `Actions.touch`.
        """
        run = event.id.run
        return bool(
            self._database.run(
                "INSERT OR IGNORE INTO event (project, domain, run, action, attempt, phase, version, reported_ns, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run.project,
                    run.domain,
                    run.name,
                    event.id.name,
                    event.attempt,
                    event.phase,
                    event.version,
                    (event.reported_time if event.HasField("reported_time") else event.updated_time).ToNanoseconds(),
                    event.SerializeToString(),
                ),
            )
        )

    def of(self, key: ActionKey) -> list[run_definition_pb2.ActionEvent]:
        """All events of an action, by attempt and by when they were reported."""
        rows = self._database.all(
            f"SELECT body FROM event WHERE {_OF} ORDER BY attempt, reported_ns, number",
            key,
        )
        return [run_definition_pb2.ActionEvent.FromString(body) for (body,) in rows]

    def last(self, key: ActionKey) -> Optional[tuple[int, frozenset[int]]]:
        """The last attempt that something was told of: its number and the phases that were told; None if none was."""
        rows = self._database.all(
            "SELECT attempt, phase FROM event WHERE project = ? AND domain = ? AND run = ? AND action = ?", key
        )
        last = max((attempt for attempt, _ in rows), default=None)
        return None if last is None else (last, frozenset(phase for attempt, phase in rows if attempt == last))

    def newest(self, key: ActionKey, attempt: int) -> Optional[run_definition_pb2.ActionEvent]:
        """The event of an attempt that was reported last, or None."""
        row = self._database.one(
            f"SELECT body FROM event WHERE {_OF} AND attempt = ? ORDER BY reported_ns DESC, number DESC LIMIT 1",
            (*key, attempt),
        )
        return None if row is None else run_definition_pb2.ActionEvent.FromString(row[0])

    def after(
        self, key: ActionKey, attempt: int, number: int, limit: int
    ) -> list[tuple[int, run_definition_pb2.ActionEvent]]:
        """The next events of an attempt after the one of that number, each with its own, in the order they came."""
        rows = self._database.all(
            f"SELECT number, body FROM event WHERE {_OF} AND attempt = ? AND number > ? ORDER BY number LIMIT ?",
            (*key, attempt, number, limit),
        )
        return [(row[0], run_definition_pb2.ActionEvent.FromString(row[1])) for row in rows]
