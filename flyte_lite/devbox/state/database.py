"""The sqlite database behind the state: its schema, its lock and its transactions."""

from __future__ import annotations

import functools
import re
import sqlite3
import threading
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from flyte_lite.devbox.state.changes import Changes
from flyte_lite.errors import DevboxStateError

# Raise it with each change of SCHEMA that a release has not seen.
VERSION = 2
# Times are microseconds since 1970. Blobs are protobuf messages, except `bundle.pickled`, `object.body`, hashes and
# `issuer.secret`.
SCHEMA = """
CREATE TABLE project (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, labels BLOB NOT NULL, state INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE TABLE task (
    number INTEGER PRIMARY KEY,
    project TEXT NOT NULL, domain TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
    spec BLOB NOT NULL, environment TEXT NOT NULL, function_name TEXT NOT NULL,
    short_description TEXT NOT NULL, env_description TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    UNIQUE (project, domain, name, version)
);
CREATE TABLE action (
    number INTEGER PRIMARY KEY,
    project TEXT NOT NULL, domain TEXT NOT NULL, run TEXT NOT NULL, name TEXT NOT NULL,
    parent TEXT NOT NULL, grp TEXT NOT NULL, action_type INTEGER NOT NULL,
    phase INTEGER NOT NULL, attempts INTEGER NOT NULL, cache_status INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, ended_at INTEGER, duration_ms INTEGER,
    run_source TEXT NOT NULL, executed_by BLOB, created_by_subject TEXT,
    trigger_task_name TEXT, trigger_name TEXT, trigger_revision INTEGER,
    task_project TEXT, task_domain TEXT, task_name TEXT, task_version TEXT,
    task_type TEXT NOT NULL, short_name TEXT NOT NULL, environment TEXT NOT NULL, function_name TEXT NOT NULL,
    input_uri TEXT NOT NULL, abort_reason TEXT, outputs_uri TEXT NOT NULL, signal BLOB,
    relation BLOB, recovered_from BLOB,
    spec BLOB NOT NULL, run_spec BLOB,
    UNIQUE (project, domain, run, name)
);
CREATE TABLE event (
    number INTEGER PRIMARY KEY,
    project TEXT NOT NULL, domain TEXT NOT NULL, run TEXT NOT NULL, action TEXT NOT NULL,
    attempt INTEGER NOT NULL, phase INTEGER NOT NULL, version INTEGER NOT NULL,
    reported_ns INTEGER NOT NULL, body BLOB NOT NULL,
    UNIQUE (project, domain, run, action, attempt, phase, version)
);
CREATE TABLE log (
    number INTEGER PRIMARY KEY,
    project TEXT NOT NULL, domain TEXT NOT NULL, run TEXT NOT NULL, action TEXT NOT NULL,
    attempt INTEGER NOT NULL, at INTEGER NOT NULL, line TEXT NOT NULL
);
CREATE INDEX log_of_attempt ON log (project, domain, run, action, attempt);
CREATE TABLE log_start (
    project TEXT NOT NULL, domain TEXT NOT NULL, run TEXT NOT NULL, action TEXT NOT NULL,
    attempt INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (project, domain, run, action, attempt)
);
CREATE TABLE trigger (
    number INTEGER PRIMARY KEY,
    project TEXT NOT NULL, domain TEXT NOT NULL, task_name TEXT NOT NULL, name TEXT NOT NULL,
    revision INTEGER NOT NULL, active INTEGER NOT NULL, task_version TEXT NOT NULL, automation_type TEXT NOT NULL,
    deployed_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, triggered_at INTEGER, deleted_at INTEGER,
    spec BLOB NOT NULL, automation_spec BLOB NOT NULL,
    UNIQUE (project, domain, task_name, name)
);
CREATE TABLE trigger_revision (
    trigger INTEGER NOT NULL, revision INTEGER NOT NULL, action INTEGER NOT NULL,
    active INTEGER NOT NULL, task_version TEXT NOT NULL, automation_type TEXT NOT NULL,
    deployed_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, triggered_at INTEGER, deleted_at INTEGER,
    spec BLOB NOT NULL, automation_spec BLOB NOT NULL,
    PRIMARY KEY (trigger, revision)
);
CREATE TABLE settings (
    domain TEXT NOT NULL, project TEXT NOT NULL, org TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (org, domain, project)
);
CREATE TABLE object (
    uri TEXT PRIMARY KEY, body BLOB NOT NULL, content_type TEXT NOT NULL, stored_at INTEGER NOT NULL
);
CREATE TABLE signer (secret TEXT NOT NULL);
CREATE TABLE bundle (uri TEXT PRIMARY KEY, pickled BLOB NOT NULL, folder TEXT NOT NULL);
CREATE TABLE notification (
    number INTEGER PRIMARY KEY,
    project TEXT NOT NULL, domain TEXT NOT NULL, run TEXT NOT NULL, phase INTEGER NOT NULL, at INTEGER NOT NULL,
    rule_name TEXT NOT NULL, delivery_name TEXT NOT NULL, delivery BLOB NOT NULL
);
CREATE TABLE outcome (key TEXT PRIMARY KEY, outputs BLOB NOT NULL);
"""
_ISSUER = """
CREATE TABLE issuer (name TEXT NOT NULL, secret BLOB NOT NULL);
CREATE TABLE sign_in (
    number INTEGER PRIMARY KEY, client TEXT NOT NULL, subject TEXT NOT NULL, scope TEXT NOT NULL,
    grant_type TEXT NOT NULL, revoked INTEGER NOT NULL
);
CREATE TABLE access_token (
    id TEXT PRIMARY KEY, sign_in INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked INTEGER NOT NULL
);
CREATE TABLE refresh_token (
    hash BLOB PRIMARY KEY, sign_in INTEGER NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER
);
CREATE TABLE authorization_code (
    hash BLOB PRIMARY KEY, sign_in INTEGER NOT NULL, redirect_uri TEXT NOT NULL, challenge TEXT NOT NULL,
    expires_at INTEGER NOT NULL, used INTEGER NOT NULL
);
CREATE TABLE device_code (
    hash BLOB PRIMARY KEY, user_code TEXT NOT NULL UNIQUE, client TEXT NOT NULL, scope TEXT NOT NULL,
    expires_at INTEGER NOT NULL, decision INTEGER NOT NULL, sign_in INTEGER NOT NULL
);
"""
# What makes a schema of each version one of the next.
_UPGRADES = {1: _ISSUER}
SCHEMA += _ISSUER


class Database:
    """One connection, and one lock around it.

    sqlite answers in microseconds, so threads wait less for the lock than several connections would for each other.

    In a file, a transaction is in the hands of the operating system when it is over (WAL, synchronous=NORMAL), and so
    outlives this process however it ends. If the machine itself stops, the last seconds may be missing; what is there
    is whole. FULL would wait for the disk at each of a run's dozen transactions.

    Args:
        file: None is in memory.

    Raises:
        DevboxStateError: The file can't be used, or is of another version.
    """

    def __init__(self, file: Optional[Path] = None) -> None:
        try:
            self._connection = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        except sqlite3.Error as error:
            raise DevboxStateError(f"{file} can't be used as a devbox's state: {error}") from error
        self._connection.create_function("LIKE_PG", 2, _like, deterministic=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._before = 0
        self._news: list[tuple[Hashable, Any]] = []
        self.changes = Changes()
        try:
            self._prepare(file)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise DevboxStateError(f"{file} can't be used as a devbox's state: {error}") from error
        except DevboxStateError:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. A transaction inside another one is part of it."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
                self._before = self._connection.total_changes
            self._depth += 1
            try:
                yield self._connection
                if self._depth == 1:
                    self._connection.execute("COMMIT")
                    # Not for those that only read: whoever is woken reads at once.
                    if self._news or self._connection.total_changes != self._before:
                        self.changes.tell(self._news)
            except BaseException:
                # Also if it could not be committed, on a full disk for instance.
                if self._depth == 1 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._news = []

    def concerns(self, topic: Hashable, news: Any = None) -> None:
        """Say what the present transaction changes, to those who wait for just that, and what they are told of it."""
        self._news.append((topic, news))

    def one(self, sql: str, arguments: Sequence[Any] = ()) -> Optional[tuple[Any, ...]]:
        """The first row, or None."""
        with self._lock:
            row: Optional[tuple[Any, ...]] = self._connection.execute(sql, arguments).fetchone()
            return row

    def all(self, sql: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows."""
        with self._lock:
            return self._connection.execute(sql, arguments).fetchall()

    def run(self, sql: str, arguments: Sequence[Any] = ()) -> int:
        """Execute one statement; how many rows it changed."""
        with self.transaction() as connection:
            return connection.execute(sql, arguments).rowcount

    def clear(self) -> None:
        """Remove every row."""
        with self.transaction() as connection:
            for (name,) in self.all("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
                connection.execute(f'DELETE FROM "{name}"')  # noqa: S608 - a name out of SCHEMA

    def close(self) -> None:
        """Close the connection, and with it drop all that is in memory."""
        with self._lock:
            self._connection.close()

    def _prepare(self, file: Optional[Path]) -> None:
        if file is not None:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
        ((version,),) = self.all("PRAGMA user_version")
        if version > VERSION:
            raise DevboxStateError(
                f"{file} was written by a newer flyte_lite: its schema has version {version}, this one reads {VERSION}"
            )
        if version == VERSION:
            return
        if version in _UPGRADES:
            steps = "; ".join(_UPGRADES[older] for older in range(version, VERSION))
        elif self.all("SELECT 1 FROM sqlite_master LIMIT 1"):
            raise DevboxStateError(f"{file} is not a devbox's state that this flyte_lite can read")
        else:
            steps = SCHEMA
        # All or nothing, should the process be killed just now.
        self._connection.executescript(f"BEGIN; {steps}; PRAGMA user_version = {VERSION}; COMMIT")


def _like(pattern: str, text: Optional[str]) -> Optional[bool]:
    # sqlite's own LIKE takes no heed of case and knows no escape by default; PostgreSQL's does both.
    return None if text is None else _regex(pattern).fullmatch(text) is not None


@functools.lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str]:
    parts = []
    letters = iter(pattern)
    for letter in letters:
        if letter == "%":
            parts.append(".*")
        elif letter == "_":
            parts.append(".")
        else:
            parts.append(re.escape(next(letters, "\\") if letter == "\\" else letter))
    return re.compile("".join(parts), re.DOTALL)
