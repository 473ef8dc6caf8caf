"""Projects. Their domains are the server's, not theirs."""

# ruff: noqa: S608 - only names of columns, written here, are put into the SQL; every value is bound.

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from flyte_lite.devbox.state.database import Database
from flyte_lite.devbox.state.query import Column, Page


class Project(NamedTuple):
    """One project.

    Attributes:
        id: Its name in every identifier.
        name: What a person reads.
        description: "" if there is none.
        labels: A `flyteidl2.task.Labels`.
        state: A `ProjectState`.
    """

    id: str
    name: str
    description: str
    labels: bytes
    state: int


_FIELDS = ", ".join(Project._fields)

COLUMNS: Mapping[str, Column] = {
    "identifier": Column("id"),
    "name": Column("name"),
    "description": Column("description"),
    "labels": Column("labels"),
    "state": Column("state", "integer"),
    "created_at": Column("created_at", "time"),
    "updated_at": Column("updated_at", "time"),
}


class Projects:
    """The table of projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, id: str, name: str, description: str, labels: bytes, now: int, state: int = 0) -> bool:
        """Add one; False if there is one of that id."""
        return bool(
            self._database.run(
                "INSERT OR IGNORE INTO project VALUES (?, ?, ?, ?, ?, ?, ?)",
                (id, name, description, labels, state, now, now),
            )
        )

    def update(self, project: Project, now: int) -> bool:
        """Replace everything but the id; False if there is none of that id."""
        return bool(
            self._database.run(
                "UPDATE project SET name = ?, description = ?, labels = ?, state = ?, updated_at = ? WHERE id = ?",
                (project.name, project.description, project.labels, project.state, now, project.id),
            )
        )

    def get(self, id: str) -> Optional[Project]:
        """The project of that id, or None."""
        row = self._database.one(f"SELECT {_FIELDS} FROM project WHERE id = ?", (id,))
        return None if row is None else Project._make(row)

    def exists(self, id: str) -> bool:
        """True if there is a project of that id."""
        return self._database.one("SELECT 1 FROM project WHERE id = ?", (id,)) is not None

    def page(self, page: Page) -> list[Project]:
        """Some of them."""
        end, arguments = page.clause()
        return [Project._make(row) for row in self._database.all(f"SELECT {_FIELDS} FROM project{end}", arguments)]
