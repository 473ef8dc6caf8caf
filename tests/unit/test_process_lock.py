"""One at a time: who waits, for how long, and where there is nothing to wait at."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from pathlib import Path

import pytest
from fakes import FakeClock

from flyte_lite import errors
from flyte_lite._auth import lock as lock_module
from flyte_lite._auth.lock import ProcessLock
from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    for name in ("run", "tmp"):
        (tmp_path / name).mkdir()
    return {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "TMPDIR": str(tmp_path / "tmp")}


def deadline(seconds: float = 20.0) -> Deadline:
    return Deadline(SYSTEM_CLOCK, seconds)


def excludes(one: ProcessLock, other: ProcessLock) -> bool:
    clock = FakeClock()
    with one.held(deadline()):
        try:
            with other.held(Deadline(clock, 1.0)):
                return False
        except errors.CallTimeoutError:
            return True


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208


def test_one_at_a_time_and_each_in_turn(environ: dict[str, str]) -> None:
    one, other = ProcessLock("x", environ), ProcessLock("x", environ)

    assert excludes(one, other)
    assert excludes(other, one), "the first has let it go"
    assert not excludes(one, ProcessLock("y", environ))


def test_who_waits_looks_ever_more_seldom_and_no_longer_than_it_may(environ: dict[str, str]) -> None:
    clock = FakeClock()
    with ProcessLock("x", environ).held(deadline()):
        waiting = ProcessLock("x", environ).held(Deadline(clock, 1.0))
        with (
            pytest.raises(errors.CallTimeoutError, match=r"another process .* within 1 s.*timeout=") as caught,
            waiting,
        ):
            pass

    assert not caught.value.sent
    assert clock.slept[:6] == [0.005, 0.01, 0.02, 0.04, 0.08, 0.1]
    assert sum(clock.slept) == pytest.approx(1.0)


def test_who_waits_gets_it_when_it_is_free(environ: dict[str, str]) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with ProcessLock("x", environ).held(deadline()):
            inside.set()
            go_on.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(20)
    threading.Timer(0.05, go_on.set).start()
    with ProcessLock("x", environ).held(deadline()):
        assert go_on.is_set()
    holder.join(20)


def test_who_waits_can_be_canceled(environ: dict[str, str]) -> None:
    cancel = Cancel()
    threading.Timer(0.05, cancel.cancel).start()
    with ProcessLock("x", environ).held(deadline()):
        waiting = ProcessLock("x", environ).held(Deadline(SYSTEM_CLOCK, None, cancel))
        with pytest.raises(errors.CanceledError), waiting:
            pass
    assert cancel._on_cancel == []


class Interrupting(FakeClock):
    def sleep(self, seconds: float, cancel: object = None) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_while_waiting_leaves_nothing_open(environ: dict[str, str]) -> None:
    with ProcessLock("x", environ).held(deadline()):
        before = open_files()
        waiting = ProcessLock("x", environ).held(Deadline(Interrupting(), None))
        with pytest.raises(KeyboardInterrupt), waiting:
            pass
        assert open_files() == before
        assert len(lock_module._open) == 2
    assert lock_module._open == set()
    assert not excludes(ProcessLock("y", environ), ProcessLock("x", environ))


def test_what_goes_wrong_inside_lets_it_go(environ: dict[str, str]) -> None:
    with pytest.raises(RuntimeError, match="inside"), ProcessLock("x", environ).held(deadline()):
        raise RuntimeError("inside")

    clock = FakeClock()
    with ProcessLock("x", environ).held(Deadline(clock, 1.0)):
        assert clock.slept == []


def test_who_lacks_one_of_the_folders_excludes_who_has_both(environ: dict[str, str]) -> None:
    both = ProcessLock("x", environ)
    for name in environ:
        other = ProcessLock("x", {**environ, name: "/nowhere"})
        assert excludes(both, other)
        assert excludes(other, both)


def test_the_file_is_empty_and_nobody_elses(environ: dict[str, str]) -> None:
    with ProcessLock("flyte.example\0tokens", environ).held(deadline()):
        files = [file for folder in environ.values() for file in Path(folder).rglob("*")]

    assert len(files) == 4
    for each in files:
        assert each.stat().st_mode & 0o077 == 0
        assert "example" not in each.name
        assert each.is_dir() or each.stat().st_size == 0


@pytest.mark.parametrize("how", ["missing", "open to others", "a link", "a file", "somebody else's"])
def test_a_folder_that_is_not_ours_is_gone_without(
    environ: dict[str, str], tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    del environ["XDG_RUNTIME_DIR"]
    folder = Path(environ["TMPDIR"], f"flyte_lite-{os.geteuid()}")
    if how == "missing":
        environ["TMPDIR"] = "/nowhere"
    elif how == "a file":
        folder.touch(0o700)
    elif how == "a link":
        (tmp_path / "theirs").mkdir(0o700)
        folder.symlink_to(tmp_path / "theirs")
    else:
        folder.mkdir(0o700)
        if how == "open to others":
            folder.chmod(0o770)
        elif os.geteuid() == 0:
            os.chown(folder, 12345, -1)
        else:
            pytest.skip("only root can give a folder away")

    with caplog.at_level(logging.DEBUG):
        assert not excludes(ProcessLock("x", environ), ProcessLock("x", environ)), "and nobody waits"
    assert "there is no folder for locks" in caplog.text
    assert list((tmp_path / "tmp").rglob("*/*")) == []
    assert not (tmp_path / "theirs").exists() or list((tmp_path / "theirs").iterdir()) == []


def test_a_folder_that_is_named_from_here_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run", "tmp"):
        (tmp_path / name).mkdir()

    # The usual one is taken instead; nobody else has the name.
    lost = ProcessLock(str(tmp_path), {"XDG_RUNTIME_DIR": "run", "TMPDIR": "tmp"})
    assert excludes(lost, ProcessLock(str(tmp_path), {}))
    assert [path.name for path in tmp_path.rglob("*")] in (["run", "tmp"], ["tmp", "run"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_nothing_is_left_in_the_runtime_folder_of_who_called_sudo(environ: dict[str, str]) -> None:
    runtime = Path(environ["XDG_RUNTIME_DIR"])
    os.chown(runtime, 12345, -1)

    with ProcessLock("x", environ).held(deadline()):
        assert list(runtime.iterdir()) == []


def test_a_link_in_place_of_the_file_is_not_followed(environ: dict[str, str], tmp_path: Path) -> None:
    del environ["XDG_RUNTIME_DIR"]
    with ProcessLock("x", environ).held(deadline()):
        (file,) = Path(environ["TMPDIR"], f"flyte_lite-{os.geteuid()}").iterdir()
    file.unlink()
    file.symlink_to(tmp_path / "made by us")

    with ProcessLock("x", environ).held(deadline()):
        assert not (tmp_path / "made by us").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_neither_holds_nor_opens_what_its_parent_holds(environ: dict[str, str]) -> None:
    reading, writing = os.pipe()
    held = contextlib.ExitStack()
    held.enter_context(ProcessLock("x", environ).held(deadline()))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            held.close()  # as a child does that goes on in the code it was forked in
            status = 0 if lock_module._open == set() else 2
            os.close(writing)
            os.read(reading, 1)
        finally:
            os._exit(status)
    os.close(reading)
    try:
        assert excludes(ProcessLock("y", environ), ProcessLock("y", environ))
        waiting = ProcessLock("x", environ).held(Deadline(FakeClock(), 1.0))
        with pytest.raises(errors.CallTimeoutError), waiting:
            pass
        held.close()
        with ProcessLock("x", environ).held(Deadline(FakeClock(), 1.0)):
            pass
    finally:
        os.close(writing)
        _, status = os.waitpid(child, 0)
    assert os.WEXITSTATUS(status) == 0


def test_a_lock_costs_little(environ: dict[str, str]) -> None:
    def once() -> float:
        started = time.perf_counter()
        with ProcessLock("x", environ).held(deadline()):
            pass
        return time.perf_counter() - started

    assert min(once() for _ in range(20)) < 0.02
