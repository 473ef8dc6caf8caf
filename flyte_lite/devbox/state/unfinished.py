"""How far actions have come, for an executor that takes them up."""

# ruff: noqa: S608 - only numbers of phases are put into the SQL.

from __future__ import annotations

from typing import Optional

from flyte_lite.devbox.state.actions import TERMINAL, ActionKey
from flyte_lite.devbox.state.database import Database
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

_ENDS = ", ".join(map(str, sorted(TERMINAL)))


def unfinished(database: Database) -> list[ActionKey]:
    """Tasks that have not ended, or were aborted without their executor having said so; in order of creation."""
    rows = database.all(
        f"SELECT project, domain, run, name FROM action WHERE action_type = ? AND (phase NOT IN ({_ENDS})"
        " OR phase = ? AND NOT EXISTS (SELECT 1 FROM event WHERE event.project = action.project"
        " AND event.domain = action.domain AND event.run = action.run AND event.action = action.name"
        f" AND event.phase IN ({_ENDS}))) ORDER BY number",
        (run_definition_pb2.ACTION_TYPE_TASK, phase_pb2.ACTION_PHASE_ABORTED),
    )
    return [ActionKey._make(row) for row in rows]


def unfinished_children(database: Database, key: ActionKey) -> list[ActionKey]:
    """Those of the tasks that an action has called that have not ended, in order of creation."""
    rows = database.all(
        "SELECT project, domain, run, name FROM action WHERE project = ? AND domain = ? AND run = ? AND parent = ?"
        f" AND action_type = ? AND phase NOT IN ({_ENDS}) ORDER BY number",
        (*key, run_definition_pb2.ACTION_TYPE_TASK),
    )
    return [ActionKey._make(row) for row in rows]


def depth(database: Database, key: ActionKey) -> int:
    """How many actions stand above one in its run; 0 for a root."""
    above = database.one(
        "WITH RECURSIVE above (name, parent, height) AS (SELECT name, parent, 0 FROM action WHERE project = ?"
        " AND domain = ? AND run = ? AND name = ? UNION SELECT action.name, action.parent, height + 1 FROM action,"
        " above WHERE action.project = ? AND action.domain = ? AND action.run = ? AND action.name = above.parent"
        " AND height < 1000) SELECT MAX(height) FROM above",
        (*key, *key[:3]),
    )
    return 0 if above is None else above[0] or 0


def last_attempt(database: Database, key: ActionKey) -> Optional[tuple[int, frozenset[int]]]:
    """The last attempt that something was told of: its number and the phases that were told; None if none was."""
    rows = database.all(
        "SELECT attempt, phase FROM event WHERE project = ? AND domain = ? AND run = ? AND action = ?", key
    )
    last = max((attempt for attempt, _ in rows), default=None)
    return None if last is None else (last, frozenset(phase for attempt, phase in rows if attempt == last))
