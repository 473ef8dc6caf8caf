"""Deployed tasks, by project, domain, name and version."""

# ruff: noqa: S608 - only names of columns, written here, are put into the SQL; every value is bound.

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from flyte_lite.devbox.state.database import Database
from flyte_lite.devbox.state.query import Column, Condition, Page, clause


class TaskKey(NamedTuple):
    """What names one version of a task. Organizations are not kept, as on the real server."""

    project: str
    domain: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{{{' '.join(self)}}}"


class Task(NamedTuple):
    """One deployed version.

    Attributes:
        spec: A `flyteidl2.task.TaskSpec`.
        created_at: When that name and version was first deployed.
    """

    project: str
    domain: str
    name: str
    version: str
    environment: str
    function_name: str
    short_description: str
    created_at: int
    spec: bytes


_FIELDS = ", ".join(Task._fields)

# Those of the version that a row is; there is one row of each name in lists.
_TRIGGERS = (
    "FROM trigger WHERE trigger.project = task.project AND trigger.domain = task.domain"
    " AND trigger.task_name = task.name AND trigger.task_version = task.version AND trigger.deleted_at IS NULL"
)

COLUMNS: Mapping[str, Column] = {
    "project": Column("project"),
    "domain": Column("domain"),
    "name": Column("name"),
    "version": Column("version"),
    "environment": Column("environment"),
    "function_name": Column("function_name"),
    # Nobody is ever recorded as deployer.
    "deployed_by": Column("CAST(NULL AS TEXT)"),
    "created_at": Column("created_at", "time"),
    "updated_at": Column("updated_at", "time"),
    "trigger_name": Column(f"(SELECT MAX(trigger.name) {_TRIGGERS} HAVING COUNT(*) = 1)"),
    "total_triggers": Column(f"(SELECT COUNT(*) {_TRIGGERS})", "integer"),
    "active_triggers": Column(f"(SELECT COUNT(*) {_TRIGGERS} AND trigger.active)", "integer"),
    "env_description": Column("env_description"),
    "short_description": Column("short_description"),
}
VERSION_COLUMNS: Mapping[str, Column] = {"version": COLUMNS["version"], "created_at": COLUMNS["created_at"]}

# The version of each name that was first deployed last.
_NEWEST = """(
    SELECT * FROM task AS one WHERE NOT EXISTS (
        SELECT 1 FROM task AS other
        WHERE other.project = one.project AND other.domain = one.domain AND other.name = one.name
        AND (other.created_at > one.created_at OR other.created_at = one.created_at AND other.number > one.number)
    )
)"""


class Tasks:
    """The table of tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def deploy(self, key: TaskKey, spec: bytes, environment: str, descriptions: tuple[str, str], now: int) -> None:
        """Store a version; one that is there is overwritten, but stays as old as it was.

        Args:
            key: Its name.
            spec: A `TaskSpec`.
            environment: The environment's name.
            descriptions: Of the task and of its environment.
            now: The time.
        """
        self._database.run(
            "INSERT INTO task (project, domain, name, version, spec, environment, function_name, short_description,"
            " env_description, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (project, domain, name, version) DO UPDATE SET spec = excluded.spec,"
            " environment = excluded.environment, short_description = excluded.short_description,"
            " env_description = excluded.env_description, updated_at = excluded.updated_at",
            (*key, spec, environment, key.name.rpartition(".")[2], *descriptions, now, now),
        )

    def get(self, key: TaskKey) -> Optional[Task]:
        """That version, or None."""
        row = self._database.one(
            f"SELECT {_FIELDS} FROM task WHERE project = ? AND domain = ? AND name = ? AND version = ?", key
        )
        return None if row is None else Task._make(row)

    def newest(self, page: Page, *scope: Condition) -> tuple[list[Task], int, int]:
        """The newest version of each name: a page, how many the scope has, how many of those the filters pass."""
        end, arguments = page.clause(*scope)
        with self._database.transaction():
            rows = self._database.all(f"SELECT {_FIELDS} FROM {_NEWEST} AS task{end}", arguments)
            return [Task._make(row) for row in rows], self._count(scope), self._count((*scope, *page.where))

    def versions(self, page: Page, project: str, domain: str, name: str) -> list[tuple[str, int]]:
        """Versions of one name, each with the time it was first deployed."""
        end, arguments = page.clause(Condition("project = ? AND domain = ? AND name = ?", (project, domain, name)))
        return [
            (version, at) for version, at in self._database.all(f"SELECT version, created_at FROM task{end}", arguments)
        ]

    def _count(self, conditions: tuple[Condition, ...]) -> int:
        where, arguments = clause(*conditions)
        row = self._database.one(f"SELECT COUNT(*) FROM {_NEWEST} AS task{where}", arguments)
        return int(row[0]) if row else 0
