"""Notice of changes: once for each transaction that wrote something, and for nothing else."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator

import pytest

from flyte_lite.devbox.state.changes import KEPT, Changes
from flyte_lite.devbox.state.database import Database

ADD = "INSERT INTO object VALUES (?, ?, '', 0)"


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database()
    yield made
    made.close()


def test_a_write_is_told_once_it_is_committed(database: Database) -> None:
    told = []

    with database.transaction():
        database.run(ADD, ("a", b""))
        told.append(database.changes.version)
        database.run(ADD, ("b", b""))
        told.append(database.changes.version)

    assert [*told, database.changes.version] == [0, 0, 1]


def test_reading_and_failing_are_told_to_nobody(database: Database) -> None:
    with database.transaction():
        database.all("SELECT * FROM object")
    with pytest.raises(KeyError):
        add_and_fail(database)

    assert database.changes.version == 0


def add_and_fail(database: Database) -> None:
    with database.transaction():
        database.run(ADD, ("a", b""))
        raise KeyError


def test_whoever_waits_is_woken() -> None:
    changes = Changes()
    seen: list[int] = []
    waiting = threading.Thread(target=lambda: seen.append(changes.wait(0, 30)))
    waiting.start()

    changes.tell()
    waiting.join()

    assert seen == [1]


def test_who_knows_less_than_there_is_does_not_wait() -> None:
    changes = Changes()
    changes.tell()

    assert changes.wait(0, 30) == 1


def test_those_who_wait_for_a_topic_are_told_of_nothing_else(database: Database) -> None:
    mine, other = database.changes.about("mine"), database.changes.about("other")

    with database.transaction():
        database.concerns("mine")
        database.run(ADD, ("a", b""))
    database.run(ADD, ("b", b""))

    assert (mine.version, other.version, database.changes.version) == (1, 0, 2)
    assert database.changes.about("mine") is mine


def test_what_failed_concerns_nobody(database: Database) -> None:
    mine = database.changes.about("mine")

    with pytest.raises(sqlite3.IntegrityError), database.transaction():
        fail(database, "mine")
    database.run(ADD, ("b", b""))

    assert mine.version == 0


def fail(database: Database, topic: str) -> None:
    database.concerns(topic)
    database.run(f"{ADD}, (1, NULL, '', 0)", ("a", b""))


def test_news_is_kept_in_order_for_those_who_are_slow(database: Database) -> None:
    mine = database.changes.about("mine")
    for number in range(3):
        with database.transaction():
            database.concerns("mine", f"{number}a")
            database.concerns("mine")
            database.concerns("mine", f"{number}b")

    assert mine.since(0) == ["0a", "0b", "1a", "1b", "2a", "2b"]
    assert mine.since(2) == ["2a", "2b"]


def test_who_is_too_slow_is_told_so() -> None:
    changes = Changes()
    mine = changes.about("mine")
    for number in range(KEPT + 2):
        changes.tell([("mine", number)])

    assert mine.since(1) is None
    assert mine.since(2) == list(range(2, KEPT + 2))


def test_what_nobody_watches_is_not_kept() -> None:
    changes = Changes()
    mine = changes.about("mine")
    assert changes.watched("mine")

    del mine

    assert not changes.watched("mine")


def test_waiting_ends_without_a_change() -> None:
    assert Changes().wait(0, 0) == 0
