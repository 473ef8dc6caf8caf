"""The state in a folder: what survives, what keeps others out, what is refused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.devbox.state.bundles import Bundle
from flyte_lite.devbox.state.folder import Folder
from flyte_lite.devbox.state.logs import Line
from flyte_lite.devbox.state.tasks import TaskKey
from flyte_lite.errors import DevboxStateError, FlyteLiteError

KEY = ActionKey("p", "d", "r")
TASK = TaskKey("p", "d", "env.add", "v1")


def fill(state: State) -> None:
    state.projects.create("p", "P", "", b"", 1)
    state.tasks.deploy(TASK, b"", "env", ("", ""), 1)
    state.bundles.put("uri", Bundle(b"pickled", "folder"))
    state.objects.put("uri", b"\x00\xff")
    state.outcomes.put("key", b"outputs")
    state.logs.add(KEY, 1, [Line(1, "one"), Line(2, "\ufffd two")])


def check(state: State) -> None:
    assert state.projects.exists("p")
    assert state.projects.exists("flytesnacks")
    assert state.tasks.get(TASK) is not None
    assert state.bundles.get("uri") == Bundle(b"pickled", "folder")
    assert state.objects.get("uri") == b"\x00\xff"
    assert state.outcomes.get("key") == b"outputs"
    assert state.logs.of(KEY) == [Line(1, "one"), Line(2, "\ufffd two")]


def test_a_folder_is_made_and_keeps_what_it_was_given(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    state = State(folder=folder)
    fill(state)
    state.close()

    state = State(folder=folder)

    check(state)
    assert folder.stat().st_mode & 0o077 == 0
    state.close()


def test_what_was_committed_survives_a_process_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "from flyte_lite.devbox.state import State\n"
        "from test_devbox_state import fill\n"
        "state = State(folder=Path(sys.argv[1]))\n"
        "fill(state)\n"
        "with state.database.transaction():\n"
        "    state.objects.put('half', b'written')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(here), str(here.parents[1])])
    assert done.returncode == -9

    state = State(folder=tmp_path)

    check(state)
    assert state.objects.get("half") is None
    state.close()


def test_two_can_t_have_one_folder_and_the_second_is_told_who_has_it(tmp_path: Path) -> None:
    first = State(folder=tmp_path)
    assert first.folder is not None
    first.folder.tell("process 7, at http://127.0.0.1:1")

    with pytest.raises(DevboxStateError, match=r"in use by process 7, at http://127\.0\.0\.1:1$"):
        State(folder=tmp_path)

    first.close()
    State(folder=tmp_path).close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA user_version = 99", "was written by a newer flyte_lite: its schema has version 99, this one reads 2"),
        ("PRAGMA user_version = 0", "is not a devbox's state"),
    ],
)
def test_another_schema_is_refused_and_the_folder_left_free(tmp_path: Path, statement: str, message: str) -> None:
    State(folder=tmp_path).close()
    connection = sqlite3.connect(tmp_path / "state.sqlite3")
    connection.execute(statement)
    connection.close()

    with pytest.raises(DevboxStateError, match=message):
        State(folder=tmp_path)

    Folder(tmp_path).release()


def test_an_older_schema_gets_what_it_lacks(tmp_path: Path) -> None:
    state = State(folder=tmp_path)
    fill(state)
    state.close()
    connection = sqlite3.connect(tmp_path / "state.sqlite3")
    for table in ("issuer", "sign_in", "access_token", "refresh_token", "authorization_code", "device_code"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("PRAGMA user_version = 1")
    connection.close()

    state = State(folder=tmp_path)

    check(state)
    assert state.sign_ins.get(state.sign_ins.begin("client", "ada", "all", "refresh_token")).subject == "ada"
    state.close()
    State(folder=tmp_path).close()


def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").write_bytes(b"something else" * 100)
    (tmp_path / "file").write_text("")
    (tmp_path / "odd" / "state.sqlite3").mkdir(parents=True)

    with pytest.raises(DevboxStateError, match="file is not a database"):
        State(folder=tmp_path)
    with pytest.raises(DevboxStateError, match="can't keep its state in"):
        State(folder=tmp_path / "file" / "state")
    with pytest.raises(FlyteLiteError, match="unable to open database file"):
        State(folder=tmp_path / "odd")


@pytest.mark.parametrize("folder", [False, True])
def test_a_cleared_state_is_as_a_new_one(tmp_path: Path, folder: bool) -> None:
    state = State(folder=tmp_path if folder else None)
    fill(state)

    state.clear()

    new = State()
    for (table,) in new.database.all("SELECT name FROM sqlite_master WHERE type = 'table'"):
        count = f"SELECT COUNT(*) FROM {table}"
        assert state.database.one(count) == new.database.one(count), table
    assert state.projects.exists("flytesnacks")
    new.close()
    state.close()
