"""The command line without a server behind it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flyte_lite import __version__
from flyte_lite._cli import main


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert caught.value.code == 0
    assert capsys.readouterr().out == f"flyte-lite {__version__}\n"


def test_no_command_is_an_error_that_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])

    assert caught.value.code == 2
    assert "demo" in main_help(capsys)


def main_help(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["--help"])
    return capsys.readouterr().out


def test_a_devbox_without_its_extra_says_how_to_get_it(tmp_path: Path) -> None:
    # A module that is not there, as far as Python can tell.
    (tmp_path / "cheroot.py").write_text("raise ModuleNotFoundError('no cheroot', name='cheroot')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from flyte_lite._cli import main; sys.exit(main(['demo']))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "flyte-lite: the devbox needs cheroot: pip install 'flyte_lite[devbox]'\n"


def test_output_that_nobody_reads_any_more_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    # A devbox that only says something, as soon as it is made.
    (tmp_path / "cheroot.py").write_text("for _ in range(9): print('x' * 99999, flush=True)")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from flyte_lite._cli import main; sys.exit(main(['demo']))"
    )

    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (141, b"")
