"""Where nobody sits and nothing may be written: the main job works, and what needs a person says so at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from issuer import Issuer

import flyte_lite
from flyte_lite.devbox import Devbox

ROOT = str(Path(flyte_lite.__file__).parents[1])
CERTIFICATES = Path(__file__).parents[1] / "chaos" / "certificates"

# Whatever writes, starts a program, asks or goes to a browser ends the process with 90; a snapshot could only see what
# is left. Descriptors of pipes and sockets are numbers, and reading is reading.
WATCH = f"""
import os, sys
sys.path.insert(0, {ROOT!r})
NEVER = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
         "os.utime", "os.system", "os.posix_spawn", "subprocess.Popen", "webbrowser.open", "builtins.input",
         "tempfile.mkstemp", "tempfile.mkdtemp", "sqlite3.connect")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

def hook(event, args):
    written = event == "open" and isinstance(args[0], (str, bytes)) and args[2] and args[2] & WRITING
    if event in NEVER or (written and args[0] != os.devnull):
        if sys.stderr is not None:
            print(event, args, file=sys.stderr)
        os._exit(90)

# As where it is not installed: what it does to find a keyring is its own affair.
sys.modules["keyring"] = None

sys.addaudithook(hook)
"""

JOB = """
import flyte_lite as flyte
flyte.config.auto()
flyte.init(endpoint=sys.argv[1], project="flytesnacks", domain="development")
run = flyte.run(flyte.remote.Task.get("greetings.hello", auto_version="latest"), name="Ada")
run.wait(timeout=120)
for line in run.get_logs():
    pass
sys.exit(0 if run.outputs()[0] == "hello Ada" else 91)
"""

DOCTOR = """
from flyte_lite._cli import main
sys.exit(main(["doctor", "--endpoint", sys.argv[1], "--project", "p", "--domain", "d", "--timeout", "30"]))
"""


class Place(NamedTuple):
    """A process's surroundings.

    Attributes:
        folder: Its working folder, in which its HOME and TMPDIR are too; nothing in it may be written to.
        environ: All of its environment.
        closed: True leaves it without stdin, stdout and stderr.
    """

    folder: Path
    environ: dict[str, str]
    closed: bool

    def run(self, code: str, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-B", "-c", WATCH + code, *args]
        if self.closed:
            command = ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *command]
        before = snapshot(self.folder)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert snapshot(self.folder) == before, done.stderr
        return done


def snapshot(folder: Path) -> list[tuple[str, int, int]]:
    found = [folder, *folder.rglob("*")]
    return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in found)


WAYS = ("nothing", "no home", "read-only home", "home that is no folder", "lambda", "ci", "closed")


@pytest.fixture(params=WAYS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    way: str = request.param
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    for folder in (home, temporary):
        folder.mkdir()
    environ = {"PATH": os.defpath, "TMPDIR": str(temporary), "HOME": str(home)}
    if way == "nothing":
        environ = {}
    elif way == "no home":
        del environ["HOME"]
    elif way == "home that is no folder":
        environ["HOME"] = os.devnull
    elif way == "lambda":
        environ |= {"AWS_LAMBDA_FUNCTION_NAME": "f", "LAMBDA_TASK_ROOT": str(tmp_path)}
    elif way == "ci":
        environ["CI"] = "true"
    if way != "ci":
        for folder in (home, temporary, tmp_path):
            folder.chmod(0o500)
    yield Place(tmp_path, environ, way == "closed")
    for folder in (tmp_path, home, temporary):
        folder.chmod(0o700)


def test_the_main_job_writes_nothing_and_asks_nobody(place: Place, box: Devbox) -> None:
    done = place.run(JOB, box.endpoint)

    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")


def test_what_needs_a_person_ends_at_once_and_says_why(place: Place) -> None:
    with Issuer(secure=True) as issuer:
        started = time.monotonic()
        done = place.run(DOCTOR, issuer.url, FLYTE_ADMIN_CACERTFILEPATH=str(CERTIFICATES / "authority.pem"))
        took = time.monotonic() - started

    assert done.returncode == 7, done.stdout + done.stderr
    assert took < 25, "it waited for somebody"
    assert [request.path for request in issuer.requests if "authorize" in request.path] == []
    if not place.closed:
        why = {"AWS_LAMBDA_FUNCTION_NAME": "AWS Lambda", "CI": "variable CI"}
        reasons = [reason for name, reason in why.items() if name in place.environ] or ["no terminal"]
        said = " ".join(done.stdout.split())
        assert reasons[0] in said
        assert "FLYTE_API_KEY" in said


def test_the_watch_sees_what_it_must_not_see(place: Place) -> None:
    deeds = ["open('x', 'a')", "os.mkdir('x')", "import subprocess; subprocess.run(['true'])"]
    if not place.closed:
        deeds.append("input()")
    for deed in deeds:
        assert place.run(deed).returncode == 90
