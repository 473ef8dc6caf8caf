"""Files of tokens: whole, and for nobody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock
from token_stores import entry

from flyte_lite._auth.file_store import FileStore, usual_folder
from flyte_lite.errors import ConfigError

PLACE = ("flyte.example", "tokens")
OTHER = ("flyte.example", "tokens client_id=me")
as_somebody = pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "tokens"


def only_file(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_kept_is_found_and_removed(folder: Path) -> None:
    store = FileStore(folder)
    assert store.get(*PLACE) is None
    store.delete(*PLACE)
    assert not folder.exists(), "nothing is made by looking"

    store.set(*PLACE, entry("a1"))
    store.set(*OTHER, entry("a2"))

    assert [FileStore(folder).get(*place) for place in (PLACE, OTHER)] == [entry("a1"), entry("a2")]
    store.delete(*PLACE)
    store.delete(*PLACE)
    assert [store.get(*place) for place in (PLACE, OTHER)] == [None, entry("a2")]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_nobody_else_can_read_it(folder: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        FileStore(folder).set(*PLACE, entry())
    finally:
        os.umask(before)

    assert (mode(folder), mode(only_file(folder))) == (0o700, 0o600)


def test_no_name_of_a_file_tells_who_calls_whom(folder: Path) -> None:
    store = FileStore(folder)
    store.set("flyte.example/../x", "tokens client_id=../../me", entry())

    assert only_file(folder).name.isalnum()
    assert "example" not in repr(list(folder.iterdir()))


@pytest.mark.parametrize("opened", [0o640, 0o604, 0o660, 0o644, 0o777])
def test_a_file_that_others_can_open_is_refused(folder: Path, opened: int) -> None:
    store = FileStore(folder)
    store.set(*PLACE, entry("planted"))
    file = only_file(folder)
    file.chmod(opened)

    with pytest.raises(ConfigError, match=rf"{file} is open to others \(mode {opened:04o}\).*chmod 600") as caught:
        store.get(*PLACE)
    assert "planted" not in str(caught.value)
    store.set(*PLACE, entry("a2"))
    assert store.get(*PLACE) == entry("a2"), "a new one is closed"


@pytest.mark.parametrize("opened", [0o750, 0o705, 0o770, 0o755])
def test_a_folder_that_others_can_open_is_refused(folder: Path, opened: int) -> None:
    store = FileStore(folder)
    store.set(*PLACE, entry())
    folder.chmod(opened)

    for act in (lambda: store.get(*PLACE), lambda: store.set(*PLACE, "x"), lambda: store.delete(*PLACE)):
        with pytest.raises(ConfigError, match=rf"folder of tokens {folder} is open to others .*chmod 700"):
            act()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give things away")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_belongs_to_somebody_else_is_refused(folder: Path, kind: str) -> None:
    store = FileStore(folder)
    store.set(*PLACE, entry())
    path = only_file(folder) if kind == "file" else folder
    os.chown(path, 12345, -1)

    with pytest.raises(ConfigError, match=rf"the {kind} of tokens {path} belongs to another user \(number 12345\)"):
        store.get(*PLACE)


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    store = FileStore(folder)
    store.set(*PLACE, entry("a1"))
    file = only_file(folder)
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)

    with pytest.raises(ConfigError, match=f"{file} can't be read: it is a link"):
        store.get(*PLACE)
    store.set(*PLACE, entry("a2"))
    assert elsewhere.read_text() == entry("a1"), "it was replaced, and not written through"
    assert not file.is_symlink()


def test_a_pipe_does_not_keep_anybody_waiting(folder: Path) -> None:
    store = FileStore(folder)
    store.set(*PLACE, entry())
    file = only_file(folder)
    file.unlink()
    os.mkfifo(file, 0o600)

    with pytest.raises(ConfigError, match="it is no file"):
        store.get(*PLACE)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.touch(0o600)

    with pytest.raises(ConfigError, match="is no folder; give another one"):
        FileStore(path).get(*PLACE)
    with pytest.raises(ConfigError, match="can't be used: Not a directory"):
        FileStore(path / "deeper").get(*PLACE)


@as_somebody
def test_a_folder_that_can_not_be_written(folder: Path) -> None:
    store = FileStore(folder)
    store.set(*PLACE, entry("a1"))
    folder.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            store.set(*PLACE, entry("a2"))
        assert store.get(*PLACE) == entry("a1")
    finally:
        folder.chmod(0o700)


def test_a_file_system_that_is_full_keeps_what_was_there(folder: Path) -> None:
    store = FileStore(folder)
    store.set(*PLACE, entry("a1"))

    with pytest.raises(UnicodeEncodeError):
        store.set(*PLACE, "\ud800")  # as good a failure in the middle of a write as any

    assert store.get(*PLACE) == entry("a1")
    assert len(list(folder.iterdir())) == 1


def test_what_is_no_text(folder: Path) -> None:
    store = FileStore(folder)
    store.set(*PLACE, entry())
    only_file(folder).write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match="it is no text"):
        store.get(*PLACE)


def test_what_a_killed_process_left_is_removed_after_a_while(folder: Path) -> None:
    store = FileStore(folder)
    store.set(*PLACE, entry())
    now = only_file(folder).stat().st_mtime
    left, recent = (folder / f"{name}.new" for name in ("left", "recent"))
    for path, age in ((left, 61), (recent, 59)):
        path.touch()
        os.utime(path, (now - age, now - age))

    store.set(*PLACE, entry())

    assert not left.exists()
    assert recent.exists()


def test_the_usual_folder() -> None:
    assert usual_folder({"XDG_STATE_HOME": "/x", "HOME": "/h"}) == Path("/x/flyte_lite/tokens")
    assert usual_folder({"HOME": "/h"}) == Path("/h/.local/state/flyte_lite/tokens")
    assert usual_folder({"XDG_STATE_HOME": "x", "HOME": "/h"}) == Path("/h/.local/state/flyte_lite/tokens")
    for environ in ({}, {"HOME": ""}, {"HOME": "h"}):
        with pytest.raises(ConfigError, match="no HOME to keep it in; give the path of a folder"):
            usual_folder(environ)


def test_a_store_shows_its_folder_and_nothing_else(folder: Path) -> None:
    store = FileStore(folder)
    store.set(*PLACE, entry("planted", "planted"))

    assert repr(store) == f"FileStore({str(folder)!r})"
    assert "planted" not in str(vars(store))


@pytest.mark.parametrize("times", [1, 6, 7])
@pytest.mark.parametrize("method", ["open", "replace", "unlink"])
def test_what_others_have_open_is_waited_for_where_that_keeps_us_out(
    folder: Path, method: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    store = FileStore(folder, closed_by_others=True, clock=clock)
    store.set("s", "n", "old")
    owner: Any = Path if method == "unlink" else os
    real = getattr(owner, method)
    left = [times]

    def busy(path: Any, *args: Any, **named: Any) -> Any:
        if left[0] and (method == "replace" or not str(path).endswith(".new")):
            left[0] -= 1
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **named)

    act = {
        "open": lambda: store.get("s", "n"),
        "replace": lambda: store.set("s", "n", "new"),
        "unlink": lambda: store.delete("s", "n"),
    }[method]
    with monkeypatch.context() as patched:
        patched.setattr(owner, method, busy)
        if times > 6:
            with pytest.raises((PermissionError, ConfigError)):
                act()
        else:
            assert act() == ("old" if method == "open" else None)

    assert store.get("s", "n") == ({"replace": "new", "unlink": None}.get(method, "old") if times < 7 else "old")
    assert sum(clock.slept) < 1.0
    assert len(clock.slept) == min(times, 6)
    assert [path.suffix for path in folder.iterdir()] == ([] if method == "unlink" and times < 7 else [""])


def test_elsewhere_what_is_closed_to_us_is_said_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    store = FileStore(folder, closed_by_others=False, clock=clock)

    def closed(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", closed)
    with pytest.raises(PermissionError):
        store.set("s", "n", "new")
    assert clock.slept == []
