"""What executors told about attempts, event by event."""

from __future__ import annotations

from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.devbox.state.database import Database
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2


class Events:
    """The table of events. They may come before the action they are about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, event: run_definition_pb2.ActionEvent) -> bool:
        """Store an event; False if that attempt had one of the same phase and version."""
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
                    event.reported_time.ToNanoseconds(),
                    event.SerializeToString(),
                ),
            )
        )

    def of(self, key: ActionKey) -> list[run_definition_pb2.ActionEvent]:
        """All events of an action, by attempt and by when they were reported."""
        rows = self._database.all(
            "SELECT body FROM event WHERE project = ? AND domain = ? AND run = ? AND action = ?"
            " ORDER BY attempt, reported_ns, number",
            key,
        )
        return [run_definition_pb2.ActionEvent.FromString(body) for (body,) in rows]
