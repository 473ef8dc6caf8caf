"""Commands that print a token: what they may do wrong, how long they may take, and that nothing of them stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pytest

from flyte_lite import errors
from flyte_lite._auth.command import Command, _read
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline

SECRET = "planted-token"


def command(code: str, *args: str, **options: Any) -> Command:
    return Command([sys.executable, "-S", "-c", f"import os, sys, time, subprocess\n{code}", *args], **options)


def fetch(source: Command, seconds: Optional[float] = 20.0, cancel: Optional[Cancel] = None) -> Token:
    return source.renew(Token("old-planted", Moment(0, 0)), Deadline(SYSTEM_CLOCK, seconds, cancel))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def eventually(true: Callable[[], Any], seconds: float = 10.0) -> bool:
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True


def test_what_it_prints_is_the_token() -> None:
    assert fetch(command("print('  abc ')")).value == "abc"
    assert fetch(command("sys.stderr.write('a warning'); print('abc')")).value == "abc"


def test_no_shell_reads_its_words() -> None:
    assert fetch(command("print(len(sys.argv[1]))", "$HOME; echo *")).value == "13"


def test_it_gets_our_environment_and_what_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "a")
    source = command("print(os.environ['OURS'] + os.environ['ADDED'])", environ={"ADDED": "b"})
    assert fetch(source).value == "ab"


def test_it_has_nobody_to_ask() -> None:
    assert fetch(command("print(len(sys.stdin.read()))")).value == "0"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit(3)", r"ended with exit status 3$"),
        ("sys.exit('please log in')", r"exit status 1; it said on stderr: please log in"),
        ("os.kill(os.getpid(), 9)", "ended with signal 9"),
        ("pass", "it printed nothing"),
        ("print('please', 'log', 'in')", "it printed 14 bytes that no header can carry"),
        ("print('a'); print('b')", "it printed 4 bytes that no header can carry"),
        ("sys.stdout.buffer.write(b'\\xff\\xfe')", "it printed 2 bytes that no header"),
        ("sys.stderr.write('\\x1b[2J\\nno' * 500); sys.exit(1)", r"stderr: \[2J no"),
    ],
)
def test_a_command_without_a_token(code: str, said: str) -> None:
    with pytest.raises(errors.UnauthenticatedError, match=said) as caught:
        fetch(command(code, "--password", "planted-argument"))
    text = str(caught.value)
    assert Path(sys.executable).name in text
    assert "planted" not in text
    assert "\x1b" not in text
    assert len(text) < 700


def test_a_token_is_not_shown_though_the_command_shows_it() -> None:
    code = f"print('{SECRET}'); sys.exit('no good: {SECRET}, nor old-planted')"
    with pytest.raises(errors.UnauthenticatedError, match=r"no good: \[secret\], nor \[secret\]"):
        fetch(command(code))


@pytest.mark.parametrize(
    ("argv", "said"), [(["no-such-program-x"], "No such file"), (["/"], "Permission denied"), (["a\0b"], "NUL")]
)
def test_a_command_that_can_not_be_started(argv: list[str], said: str) -> None:
    with pytest.raises(errors.ConfigError, match=said):
        fetch(Command(argv))


def test_a_command_that_never_ends_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "child = subprocess.Popen(['sleep', '60'])\n"
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}')\ntime.sleep(60)"
    )
    # One second is enough for it to begin, but where everybody is busy.
    for seconds in (1.0, 5.0, 20.0):
        started = time.monotonic()
        with pytest.raises(errors.CallTimeoutError, match=r"printed no token within") as caught:
            fetch(command(code, str(pids)), seconds)
        assert time.monotonic() - started < seconds + 20
        assert not caught.value.sent
        if pids.exists() and pids.read_text():
            break
    assert eventually(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


def test_a_command_has_a_limit_of_its_own() -> None:
    with pytest.raises(errors.CallTimeoutError, match=r"within 0\.2 s"):
        fetch(command("time.sleep(60)", seconds=0.2), None)


def test_a_command_ends_with_a_cancel(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    cancel = Cancel()
    threading.Thread(target=lambda: (eventually(lambda: pid.exists() and pid.read_text()), cancel.cancel())).start()

    with pytest.raises(errors.CanceledError):
        fetch(command("open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)", str(pid)), None, cancel)
    assert eventually(lambda: not alive(int(pid.read_text())))
    assert cancel._on_cancel == []


def test_a_command_ends_with_ctrl_c(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        eventually(lambda: pid.exists() and pid.read_text())
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        fetch(command("open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)", str(pid)), None)
    assert eventually(lambda: not alive(int(pid.read_text())))


@pytest.mark.parametrize("by_pipes", [True, False], ids=["pipes", "files"])
def test_what_it_leaves_behind_is_not_waited_for(by_pipes: bool) -> None:
    code = "print('abc'); sys.stdout.flush(); subprocess.Popen(['sleep', '15'])"
    started = time.monotonic()

    assert fetch(command(code, by_pipes=by_pipes)).value == "abc"
    assert time.monotonic() - started < 12


def test_a_system_that_waits_for_no_pipes_lets_it_print_into_files() -> None:
    """As on Windows."""
    by_files: dict[str, Any] = {"by_pipes": False}
    assert fetch(command("sys.stderr.write('x' * 5_000_000); print('abc')", **by_files)).value == "abc"
    with pytest.raises(errors.UnauthenticatedError, match="exit status 1; it said on stderr: please log in"):
        fetch(command("sys.exit('please log in')", **by_files))
    with pytest.raises(errors.CallTimeoutError, match=r"within 0\.3 s"):
        fetch(command("time.sleep(60)", seconds=0.3, **by_files), None)
    cancel = Cancel()
    threading.Thread(target=lambda: (time.sleep(0.3), cancel.cancel())).start()
    with pytest.raises(errors.CanceledError):
        fetch(command("time.sleep(60)", **by_files), None, cancel)


@pytest.mark.parametrize("by_pipes", [True, False], ids=["pipes", "files"])
def test_nothing_of_it_stays_on_the_disk(by_pipes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    seen = "print(os.listdir(os.environ['TMPDIR']) or 'none')"

    assert fetch(command(seen, by_pipes=by_pipes)).value == "none"
    assert list(tmp_path.iterdir()) == []


def test_what_it_leaves_behind_may_write_for_ever() -> None:
    kept = bytearray()
    with Path("/dev/zero").open("rb", buffering=0) as endless:
        assert _read(endless, kept, to_end=True)

    assert 0 < len(kept) <= 1024 * 1024


def test_a_flood_is_read_and_not_kept() -> None:
    code = "sys.stderr.write('x' * 5_000_000); sys.stderr.flush(); print('abc')"
    assert fetch(command(code)).value == "abc"


def test_its_files_are_closed() -> None:
    fetch(command("print('abc')"))
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        fetch(command("print('abc')"))
        with pytest.raises(errors.CallTimeoutError):
            fetch(command("time.sleep(60)"), 0.05)
    assert eventually(lambda: len(list(Path("/dev/fd").iterdir())) <= before)


def test_it_shows_its_name_only() -> None:
    assert repr(Command(["/usr/bin/gcloud", "--password", "planted"])) == "Command(gcloud)"


def test_it_is_quick() -> None:
    bare = min(_seconds(lambda: subprocess.run(["true"], check=True, capture_output=True)) for _ in range(10))
    ours = min(_seconds(lambda: fetch(Command(["echo", "abc"]))) for _ in range(10))
    assert ours < bare + 0.08


def _seconds(do: Callable[[], Any]) -> float:
    started = time.monotonic()
    do()
    return time.monotonic() - started
