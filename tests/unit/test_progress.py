"""What is shown of a wait, where, and what Ctrl-C leaves behind."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import Any, Optional

import pytest
from fakes import FakeClock

from flyte_lite._console import Progress, say


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(to: io.StringIO, quiet: Optional[bool] = None, raised: Optional[BaseException] = None) -> str:
    clock = FakeClock()
    try:
        with Progress("run r1", clock, quiet, 'it goes on; Run.get("r1").abort() ends it', to) as progress:
            for phase in ("queued", "running", "running", "succeeded"):
                progress.show(phase)
                clock.now += 1.5
            if raised is not None:
                raise raised
    except (KeyboardInterrupt, ValueError):
        pass
    return to.getvalue()


@pytest.fixture(params=["rich", "plain"])
def drawn_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "rich":
        pytest.importorskip("rich")
    else:
        # As if it were not installed.
        for name in [*(name for name in sys.modules if name.partition(".")[0] == "rich"), "rich"]:
            monkeypatch.setitem(sys.modules, name, None)
    return str(request.param)


def test_a_terminal_shows_one_line_that_changes(drawn_by: str) -> None:
    text = shown(Terminal())

    assert text.count("\n") == 1
    assert text.endswith("\n") or drawn_by == "rich"
    assert [text.index(phase) for phase in ("queued", "running", "succeeded")] == sorted(
        text.index(phase) for phase in ("queued", "running", "succeeded")
    )
    assert "(4.5 s)" in text


def test_a_line_never_wraps(drawn_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    text = shown(Terminal())

    assert "run r1: running" in text.replace("\x1b[36m", "").replace("\x1b[0m", "")
    assert "(4.5 s)" not in text


def test_no_color_is_heeded(drawn_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    text = shown(Terminal())

    assert not any(f"\x1b[{color}m" in text for color in (31, 32, 36, "1;31", "1;32"))


def test_rich_shows_how_it_ended_by_color(drawn_by: str) -> None:
    assert ("\x1b[1;32m" in shown(Terminal())) == (drawn_by == "rich")


def test_a_dumb_terminal_gets_a_line_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")

    assert shown(Terminal()) == "run r1: queued (0.0 s)\nrun r1: running (1.5 s)\nrun r1: succeeded (4.5 s)\n"


@pytest.mark.parametrize("quiet", [None, True])
def test_a_file_gets_nothing_unless_that_is_wanted(quiet: Optional[bool]) -> None:
    assert shown(io.StringIO(), quiet) == ""
    assert shown(io.StringIO(), False) == "run r1: queued (0.0 s)\nrun r1: running (1.5 s)\nrun r1: succeeded (4.5 s)\n"


def test_quiet_is_quiet_on_a_terminal_too() -> None:
    assert shown(Terminal(), True) == ""
    assert shown(Terminal(), True, KeyboardInterrupt()) == ""


def test_ctrl_c_says_what_goes_on_and_how_to_end_it(drawn_by: str) -> None:
    text = shown(Terminal(), None, KeyboardInterrupt())

    # After the cursor is there again.
    assert text.splitlines()[-1].endswith('run r1: it goes on; Run.get("r1").abort() ends it')
    assert "goes on" not in shown(Terminal(), None, ValueError())
    assert shown(io.StringIO(), None, KeyboardInterrupt()) == ""


def test_a_process_without_a_console_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with Progress("run r1", FakeClock(), False, "it goes on") as progress:
        progress.show("running")


WAIT = """
import sys
import types
from flyte_lite._clock import SYSTEM_CLOCK
from flyte_lite._console import Progress, say

class Terminal(types.SimpleNamespace):
    def isatty(self):
        return True
    def write(self, text):
        return len(text)
    def flush(self):
        pass

to = Terminal() if sys.argv[1] == "terminal" else None
with Progress("run r1", SYSTEM_CLOCK, None if sys.argv[2] == "None" else sys.argv[2] == "True", "", to) as progress:
    progress.show("running")
print("rich" in sys.modules, "shutil" in sys.modules)
"""


@pytest.mark.parametrize(("where", "quiet"), [("file", "None"), ("file", "False"), ("terminal", "True")])
def test_what_shows_nothing_or_lines_loads_nothing(where: str, quiet: str) -> None:
    done: Any = subprocess.run(
        [sys.executable, "-S", "-c", WAIT, where, quiet],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == "False False\n"


@pytest.mark.parametrize("kind", ["closed", "no stream"])
def test_a_stderr_that_a_program_has_taken_away_shows_nothing(kind: str) -> None:
    to: Any = io.StringIO() if kind == "closed" else object()
    if kind == "closed":
        to.close()

    with Progress("run r1", FakeClock(), None, "it goes on", to) as progress:
        progress.show("running")


def test_what_a_stream_can_not_write_is_written_otherwise() -> None:
    to = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    say("project pr\u00f8j", to=to)

    assert to.buffer.getvalue().splitlines() == [b"project pr\\xf8j"]
