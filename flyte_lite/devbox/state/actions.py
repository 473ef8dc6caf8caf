"""Actions: the steps of runs. A run is its root action, `a0`."""

# ruff: noqa: S608 - only names of columns, written here, are put into the SQL; every value is bound.

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Optional

from flyte_lite.devbox.state.database import Database
from flyte_lite.devbox.state.query import Column, Condition, Page
from flyte_lite.idl.flyteidl2.common import phase_pb2

ROOT = "a0"
# What `Changes` calls the statuses and aborts of all runs.
RUNS = "runs"

TERMINAL = frozenset(
    (
        phase_pb2.ACTION_PHASE_SUCCEEDED,
        phase_pb2.ACTION_PHASE_FAILED,
        phase_pb2.ACTION_PHASE_ABORTED,
        phase_pb2.ACTION_PHASE_TIMED_OUT,
        phase_pb2.ACTION_PHASE_RECOVERED,
    )
)


class ActionKey(NamedTuple):
    """What names an action."""

    project: str
    domain: str
    run: str
    name: str = ROOT

    @property
    def topic(self) -> tuple[str, str, str]:
        """What `Changes` calls everything that happens in its run."""
        return (self.project, self.domain, self.run)


class Action(NamedTuple):
    """One action, without its task's specification.

    Attributes:
        executed_by: A `flyteidl2.common.EnrichedIdentity`, or None.
        task_project: None if the task has no identifier, like the other three.
        input_uri: Where its inputs are.
        abort_reason: None if nobody aborted it.
        outputs_uri: Where the outputs of a trace are; others tell theirs in events.
        signal: A `flyteidl2.core.Literal`, what a condition was answered; None before that, and for all others.
        trigger_task_name: None if no trigger made it, like the other two.
        relation: A `flyteidl2.common.Relation`: the run because of which this one is; None if there is none, and for
            all but root actions.
        recovered_from: A `flyteidl2.common.ActionIdentifier`: whose outputs it took over; None if it took none.
    """

    project: str
    domain: str
    run: str
    name: str
    parent: str
    grp: str
    action_type: int
    phase: int
    attempts: int
    cache_status: int
    created_at: int
    ended_at: Optional[int]
    duration_ms: Optional[int]
    run_source: str
    executed_by: Optional[bytes]
    created_by_subject: Optional[str]
    task_project: Optional[str]
    task_domain: Optional[str]
    task_name: Optional[str]
    task_version: Optional[str]
    task_type: str
    short_name: str
    environment: str
    function_name: str
    input_uri: str
    abort_reason: Optional[str] = None
    outputs_uri: str = ""
    signal: Optional[bytes] = None
    trigger_task_name: Optional[str] = None
    trigger_name: Optional[str] = None
    trigger_revision: Optional[int] = None
    relation: Optional[bytes] = None
    recovered_from: Optional[bytes] = None

    @property
    def key(self) -> ActionKey:
        """Its name."""
        return ActionKey(self.project, self.domain, self.run, self.name)


class Snapshot(NamedTuple):
    """An action just after a change: what its watchers are told.

    Attributes:
        action: The row.
        events: The number of the last event of it that there was; 0 if there was none.
    """

    action: Action
    events: int


_FIELDS = ", ".join(Action._fields)
_IS = "project = ? AND domain = ? AND run = ? AND name = ?"

COLUMNS: Mapping[str, Column] = {
    "project": Column("project"),
    "domain": Column("domain"),
    "run_name": Column("run"),
    "phase": Column("phase", "integer"),
    "action_type": Column("action_type", "integer"),
    "run_source": Column("run_source"),
    "created_by_subject": Column("created_by_subject"),
    "trigger_task_name": Column("trigger_task_name"),
    "trigger_name": Column("trigger_name"),
    "trigger_revision": Column("trigger_revision", "integer"),
    "trigger_type": Column(""),
    "task_project": Column("task_project"),
    "task_domain": Column("task_domain"),
    "task_name": Column("task_name"),
    "task_version": Column("task_version"),
    "function_name": Column("function_name"),
    "created_at": Column("created_at", "time"),
    "updated_at": Column("updated_at", "time"),
    "ended_at": Column("ended_at", "time"),
    "duration_ms": Column("duration_ms", "integer"),
}
# Microseconds that an action takes at least, if nobody says when it ended. The real server, which asks a database over
# the network, never shows less than a millisecond, and some clients take 0 for unknown.
LEAST = 1000
# The rows that stand for runs.
ROOTS = Condition("name = ?", (ROOT,))
DEFAULT_ORDER = "phase ASC, created_at DESC, number DESC"
TIES = "run ASC, name ASC"


class Actions:
    """The table of actions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[Callable[[ActionKey, int], None]] = []

    def listen(self, reached: Callable[[ActionKey, int], None]) -> None:
        """Call `reached` with each phase that a run reaches, inside the transaction in which it does."""
        self._listeners.append(reached)

    def create(self, action: Action, spec: bytes, run_spec: Optional[bytes]) -> bool:
        """Add an action; False, and nothing happens, if there is one of that name.

        Args:
            action: All of it.
            spec: Its `TaskSpec`, `TraceSpec` or `ConditionAction`.
            run_spec: The run's `RunSpec`; None for all but root actions.
        """
        marks = ", ".join("?" * (len(action) + 3))
        with self._database.transaction():
            new = self._database.run(
                f"INSERT OR IGNORE INTO action ({_FIELDS}, updated_at, spec, run_spec) VALUES ({marks})",
                (*action, action.created_at, spec, run_spec),
            )
            if new:
                self.touch(action.key)
        return bool(new)

    def get(self, key: ActionKey) -> Optional[Action]:
        """The action, or None."""
        row = self._database.one(f"SELECT {_FIELDS} FROM action WHERE {_IS}", key)
        return None if row is None else Action._make(row)

    def specs(self, key: ActionKey) -> tuple[bytes, bytes]:
        """Its own specification, and the `RunSpec` of its run; both empty if there is no such action."""
        row = self._database.one(
            "SELECT spec, COALESCE(run_spec, (SELECT run_spec FROM action AS root WHERE root.project = action.project"
            f" AND root.domain = action.domain AND root.run = action.run AND root.name = '{ROOT}'), x'')"
            f" FROM action WHERE {_IS}",
            key,
        )
        return (b"", b"") if row is None else (row[0], row[1])

    def run_spec(self, key: ActionKey) -> bytes:
        """The `RunSpec` of a run, by its root; empty if there is no such run. Specifications of tasks may be large."""
        row = self._database.one(f"SELECT run_spec FROM action WHERE {_IS}", key)
        return b"" if row is None else row[0] or b""

    def set_status(
        self,
        key: ActionKey,
        phase: int,
        attempts: int,
        cache_status: int,
        now: int,
        *,
        started_at: Optional[int] = None,
        ended_at: Optional[int] = None,
        signal: Optional[bytes] = None,
    ) -> bool:
        """Store what an executor tells; False if it is older news than what is known, or of nothing known.

        The time of the first end stays, whatever comes after it.

        Args:
            key: Which action.
            phase: An `ActionPhase`.
            attempts: How many there were.
            cache_status: A `CatalogCacheStatus`.
            now: The time.
            started_at: When it started; None leaves that as it is.
            ended_at: When it ended; None is now, if `phase` is an end.
            signal: What a condition was answered, a `flyteidl2.core.Literal`; None leaves that as it is.
        """
        with self._database.transaction() as connection:
            row = connection.execute(f"SELECT phase FROM action WHERE {_IS}", key).fetchone()
            if row is None:
                return False
            if not _follows(row[0], phase):
                self._tell(key)
                return False
            connection.execute(
                "UPDATE action SET phase = ?, attempts = ?, cache_status = ?, updated_at = ?,"
                f" created_at = COALESCE(?, created_at), signal = COALESCE(?, signal) WHERE {_IS}",
                (phase, attempts, cache_status, now, started_at, signal, *key),
            )
            if ended_at is not None:
                self._end(key, ended_at)
            elif phase in TERMINAL:
                self._end(key, now, LEAST)
            self._reach(key, row[0], phase)
            self._tell(key)
            self.touch(key)
        return True

    def abort(self, key: ActionKey, reason: str, now: int) -> bool:
        """Make it ABORTED, whatever it was, for `reason`; False if there is no such action."""
        with self._database.transaction() as connection:
            row = connection.execute(f"SELECT phase FROM action WHERE {_IS}", key).fetchone()
            if row is None:
                return False
            connection.execute(
                f"UPDATE action SET phase = ?, abort_reason = ?, updated_at = ? WHERE {_IS}",
                (phase_pb2.ACTION_PHASE_ABORTED, reason, now, *key),
            )
            self._end(key, now, LEAST)
            self._reach(key, row[0], phase_pb2.ACTION_PHASE_ABORTED)
            self._tell(key)
            self.touch(key)
        return True

    def set_recovered_from(self, key: ActionKey, source: bytes) -> None:
        """Store whose outputs it took over, an `ActionIdentifier`."""
        self._database.run(f"UPDATE action SET recovered_from = ? WHERE {_IS}", (source, *key))

    def touch(self, key: ActionKey) -> None:
        """Tell those who watch its run what it is like now, inside the transaction that has changed it."""
        if self._database.changes.watched(key.topic):
            self._database.concerns(key.topic, self._snapshot(key))

    def page(self, page: Page, *scope: Condition) -> tuple[list[Action], bool]:
        """A page of them, and whether more follow."""
        end, arguments = page.clause(*scope, extra=1)
        rows = self._database.all(f"SELECT {_FIELDS} FROM action{end}", arguments)
        return [Action._make(row) for row in rows[: page.limit]], page.limit is not None and len(rows) > page.limit

    def _reach(self, key: ActionKey, before: int, phase: int) -> None:
        if key.name == ROOT and phase != before:
            for reached in self._listeners:
                reached(key, phase)

    def _tell(self, key: ActionKey) -> None:
        # Of a status that was passed over too.
        if key.name == ROOT and self._database.changes.watched(RUNS):
            self._database.concerns(RUNS, self._snapshot(key))

    def _snapshot(self, key: ActionKey) -> Optional[Snapshot]:
        action = self.get(key)
        if action is None:
            return None
        newest = self._database.one(
            "SELECT MAX(number) FROM event WHERE project = ? AND domain = ? AND run = ? AND action = ?", key
        )
        return Snapshot(action, newest[0] or 0 if newest else 0)

    def _end(self, key: ActionKey, at: int, least: Optional[int] = None) -> None:
        with self._database.transaction() as connection:
            row = connection.execute(f"SELECT created_at FROM action WHERE {_IS} AND ended_at IS NULL", key).fetchone()
            if row is not None:
                end = at if least is None else max(at, row[0] + least)
                connection.execute(
                    f"UPDATE action SET ended_at = ?, duration_ms = ? WHERE {_IS}",
                    (end, max(0, end - row[0]) // 1000, *key),
                )


def _follows(present: int, new: int) -> bool:
    # The real server's rule, so that messages that overtake each other do no harm.
    return (
        new >= present
        or present in (phase_pb2.ACTION_PHASE_FAILED, phase_pb2.ACTION_PHASE_TIMED_OUT)
        or (present == phase_pb2.ACTION_PHASE_PAUSED and new in TERMINAL)
    )
