"""Triggers of tasks, and every revision they had."""

# ruff: noqa: S608 - only names of columns, written here, are put into the SQL; every value is bound.

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

from flyte_lite.devbox.state.database import Database
from flyte_lite.devbox.state.query import Column, Condition, Page
from flyte_lite.idl.flyteidl2.trigger import trigger_definition_pb2 as pb


class TriggerKey(NamedTuple):
    """What names a trigger."""

    project: str
    domain: str
    task_name: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)


class Trigger(NamedTuple):
    """A trigger, as it is or as it was in one revision.

    Attributes:
        revision: Counts from 1, also through deletions.
        automation_type: The name of a `TriggerAutomationSpecType`.
        triggered_at: When it last made a run; None if it did not.
        deleted_at: None if it was not deleted.
        spec: A `TriggerSpec`, without what has a column here.
        automation_spec: A `TriggerAutomationSpec`.
    """

    project: str
    domain: str
    task_name: str
    name: str
    revision: int
    active: bool
    task_version: str
    automation_type: str
    deployed_at: int
    updated_at: int
    triggered_at: Optional[int]
    deleted_at: Optional[int]
    spec: bytes
    automation_spec: bytes

    @property
    def key(self) -> TriggerKey:
        """Its name."""
        return TriggerKey(self.project, self.domain, self.task_name, self.name)


_FIELDS = ", ".join(Trigger._fields)
_IS = "project = ? AND domain = ? AND task_name = ? AND name = ?"
_THERE = f"{_IS} AND deleted_at IS NULL"
# What a revision keeps of its trigger.
_KEPT = ", ".join(Trigger._fields[4:])

COLUMNS: Mapping[str, Column] = {
    "project": Column("project"),
    "domain": Column("domain"),
    "task_name": Column("task_name"),
    "name": Column("name"),
    "active": Column("active", "boolean"),
    "deployed_at": Column("deployed_at", "time"),
    "updated_at": Column("updated_at", "time"),
    "task_version": Column("task_version"),
    "automation_type": Column("automation_type"),
}
DEFAULT_ORDER = "active DESC, updated_at DESC, number DESC"
TIES = "number DESC"
# What lists of revisions may be filtered and sorted by; nothing comes of it.
REVISION_COLUMNS: Mapping[str, Column] = {
    "revision": Column("revision", "integer"),
    "deployed_at": Column("deployed_at", "time"),
    "updated_at": Column("updated_at", "time"),
    "action": Column("action"),
}


class Triggers:
    """The tables of triggers and of their revisions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def deploy(self, trigger: Trigger, expected: int) -> Optional[Trigger]:
        """Store a trigger, over one of the same name; what is stored.

        Args:
            trigger: Its revision is not looked at; its times are now.
            expected: Which revision the one of the same name must have; 0 is any.

        Returns:
            None, and nothing is stored, if it has another one.
        """
        marks = ", ".join("?" * len(trigger))
        with self._database.transaction() as connection:
            done = connection.execute(
                f"INSERT INTO trigger ({_FIELDS}) VALUES ({marks})"
                " ON CONFLICT (project, domain, task_name, name) DO UPDATE SET revision = trigger.revision + 1,"
                " deployed_at = excluded.deployed_at, deleted_at = NULL, active = excluded.active,"
                " updated_at = CASE WHEN trigger.active <> excluded.active"
                " THEN excluded.updated_at ELSE trigger.updated_at END,"
                " task_version = excluded.task_version, automation_type = excluded.automation_type,"
                " spec = excluded.spec, automation_spec = excluded.automation_spec"
                " WHERE ? IN (0, trigger.revision)",
                (*trigger._replace(revision=1, triggered_at=None, deleted_at=None), expected),
            )
            if not done.rowcount:
                return None
            self._revise(connection, trigger.key, pb.TRIGGER_REVISION_ACTION_DEPLOY)
            row = connection.execute(f"SELECT {_FIELDS} FROM trigger WHERE {_IS}", trigger.key).fetchone()
        return _trigger(row)

    def activate(self, keys: Sequence[TriggerKey], active: bool, now: int) -> None:
        """Switch triggers on or off; unknown names, and those that are so already, are passed over."""
        action = pb.TRIGGER_REVISION_ACTION_ACTIVATE if active else pb.TRIGGER_REVISION_ACTION_DEACTIVATE
        with self._database.transaction() as connection:
            for key in keys:
                done = connection.execute(
                    "UPDATE trigger SET active = ?, updated_at = ?, revision = revision + 1"
                    f" WHERE {_THERE} AND active <> ?",
                    (active, now, *key, active),
                )
                if done.rowcount:
                    self._revise(connection, key, action)

    def delete(self, keys: Sequence[TriggerKey], now: int) -> None:
        """Delete triggers, but not their revisions; unknown names are passed over."""
        with self._database.transaction() as connection:
            for key in keys:
                done = connection.execute(
                    f"UPDATE trigger SET deleted_at = ?, active = 0, revision = revision + 1 WHERE {_THERE}",
                    (now, *key),
                )
                if done.rowcount:
                    self._revise(connection, key, pb.TRIGGER_REVISION_ACTION_DELETE)

    def fired(self, key: TriggerKey, now: int) -> None:
        """Note that it has made a run; that is no revision."""
        self._database.run(f"UPDATE trigger SET triggered_at = ? WHERE {_THERE}", (now, *key))

    def get(self, key: TriggerKey) -> Optional[Trigger]:
        """The trigger, or None; without the name of a task the first of that name."""
        where, arguments = (_THERE, tuple(key))
        if not key.task_name:
            where = "project = ? AND domain = ? AND name = ? AND deleted_at IS NULL"
            arguments = (key.project, key.domain, key.name)
        row = self._database.one(f"SELECT {_FIELDS} FROM trigger WHERE {where} ORDER BY number LIMIT 1", arguments)
        return None if row is None else _trigger(row)

    def page(self, page: Page, *scope: Condition) -> list[Trigger]:
        """A page of those that are not deleted."""
        end, arguments = page.clause(Condition("deleted_at IS NULL"), *scope)
        return [_trigger(row) for row in self._database.all(f"SELECT {_FIELDS} FROM trigger{end}", arguments)]

    def of_task(self, project: str, domain: str, task_name: str, version: Optional[str] = None) -> list[Trigger]:
        """Those of a task, or of one version of it, that are not deleted."""
        one, arguments = ("", ()) if version is None else (" AND task_version = ?", (version,))
        rows = self._database.all(
            f"SELECT {_FIELDS} FROM trigger WHERE project = ? AND domain = ? AND task_name = ?{one}"
            " AND deleted_at IS NULL ORDER BY number",
            (project, domain, task_name, *arguments),
        )
        return [_trigger(row) for row in rows]

    def revision(self, key: TriggerKey, revision: int) -> Optional[Trigger]:
        """The trigger as it was, also if it is deleted by now; None if it never had that revision."""
        found = self._revisions(key, " AND revised.revision = ?", (revision,))
        return found[0][0] if found else None

    def revisions(self, key: TriggerKey, page: Page) -> list[tuple[Trigger, int]]:
        """A page of its revisions, newest first, each with what was done (a `TriggerRevisionAction`)."""
        limit = -1 if page.limit is None else page.limit
        return self._revisions(key, " ORDER BY revised.revision DESC LIMIT ? OFFSET ?", (limit, page.offset))

    def _revisions(self, key: TriggerKey, end: str, arguments: tuple[int, ...]) -> list[tuple[Trigger, int]]:
        kept = ", ".join(f"revised.{name}" for name in Trigger._fields[4:])
        rows = self._database.all(
            f"SELECT trigger.project, trigger.domain, trigger.task_name, trigger.name, {kept}, revised.action"
            " FROM trigger JOIN trigger_revision AS revised ON revised.trigger = trigger.number"
            f" WHERE {_IS}{end}",
            (*key, *arguments),
        )
        return [(_trigger(row[:-1]), row[-1]) for row in rows]

    def _revise(self, connection: sqlite3.Connection, key: TriggerKey, action: int) -> None:
        connection.execute(
            f"INSERT INTO trigger_revision (trigger, action, {_KEPT}) SELECT number, ?, {_KEPT} FROM trigger"
            f" WHERE {_IS}",
            (action, *key),
        )


def _trigger(row: tuple[object, ...]) -> Trigger:
    made = Trigger._make(row)
    return made._replace(active=bool(made.active))
