"""What executors told about attempts, event by event."""

# ruff: noqa: S608 - only names of columns, written here, are put into the SQL; every value is bound.

from __future__ import annotations

from typing import Optional

from flyte_lite.devbox.state.actions import ActionKey, Actions
from flyte_lite.devbox.state.database import Database
from flyte_lite.devbox.state.instants import nanoseconds
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

_OF = "project = ? AND domain = ? AND run = ? AND action = ?"


class Events:
    """The table of events. They may come before the action they are about."""

    def __init__(self, database: Database, actions: Actions) -> None:
        self._database = database
        self._actions = actions

    def add(self, event: run_definition_pb2.ActionEvent) -> bool:
        """Store an event; False if that attempt had one of the same phase and version."""
        run = event.id.run
        key = ActionKey(run.project, run.domain, run.name, event.id.name)
        reported = event.reported_time if event.HasField("reported_time") else event.updated_time
        with self._database.transaction():
            new = self._database.run(
                "INSERT OR IGNORE INTO event (project, domain, run, action, attempt, phase, version, reported_ns, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *key,
                    event.attempt,
                    event.phase,
                    event.version,
                    nanoseconds(reported),
                    event.SerializeToString(),
                ),
            )
            if new:
                self._actions.touch(key)
        return bool(new)

    def of(self, key: ActionKey, until: Optional[int] = None) -> list[run_definition_pb2.ActionEvent]:
        """The events of an action, or those up to the one of that number, by attempt and by when they were reported."""
        rows = self._database.all(
            f"SELECT body FROM event WHERE {_OF} AND (? IS NULL OR number <= ?) ORDER BY attempt, reported_ns, number",
            (*key, until, until),
        )
        return [run_definition_pb2.ActionEvent.FromString(body) for (body,) in rows]

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
