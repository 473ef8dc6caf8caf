"""Processes that share a sign-in: one refresh a generation, nobody signed out, and nobody waits for the dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from caller import calling
from issuer import CLIENT_ID, CLIENT_SECRET, Issuer
from one_refresh import Crowd

from flyte_lite import errors
from flyte_lite._auth.file_store import FileStore
from flyte_lite._auth.lock import ProcessLock
from flyte_lite._auth.store import Place
from flyte_lite._auth.stored import Stored
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import SYSTEM_CLOCK, Deadline

GENERATIONS = 4
HOLD = """
import sys, time
from flyte_lite._auth.lock import ProcessLock
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
print("waits", flush=True)
with ProcessLock("x").held(Deadline(SYSTEM_CLOCK, {seconds})):
    {inside}
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def grants(issuer: Issuer) -> list[str]:
    return [request.form["grant_type"].rpartition(":")[2] for request in issuer.to("/token")]


def test_many_processes_of_many_threads_make_one_refresh_a_generation(issuer: Issuer, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"auth_type": "DeviceFlow", "token_store": str(tmp_path / "tokens")}
    with calling(issuer, **settings) as caller:
        caller.call()
    (file,) = (tmp_path / "tokens").iterdir()
    file.write_text(json.dumps({**json.loads(file.read_text()), "expires_at": time.time() - 1}))
    issuer.revoke()
    # All start with a token that is over; then the one that they have got is taken back, again and again.
    with Crowd({"endpoint": issuer.url, **settings, "interactive": False}, processes=8, threads=32) as crowd:
        for generation in range(1, GENERATIONS + 1):
            assert crowd.call() == []
            assert grants(issuer)[1:] == ["refresh_token"] * generation
            issuer.revoke()

    assert len(issuer.to("/device")) == 1
    assert len(issuer.calls) >= 8 * 32 * GENERATIONS


def test_programs_that_share_a_store_make_one_token(issuer: Issuer, tmp_path: Path) -> None:
    settings = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token_store": str(tmp_path / "tokens")}
    with Crowd({"endpoint": issuer.url, **settings}, processes=3, threads=4) as crowd:
        assert crowd.call() == []
        assert grants(issuer) == ["client_credentials"]
        issuer.revoke()
        assert crowd.call() == []
        assert grants(issuer) == ["client_credentials"] * 2


def hold(environ: dict[str, str], inside: str = "pass", seconds: float = 30) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD.format(inside=inside, seconds=seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path[1:]]), **environ},
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": ""}


def is_free(environ: dict[str, str], seconds: float = 0.0) -> bool:
    try:
        with ProcessLock("x", environ).held(Deadline(SYSTEM_CLOCK, seconds)):
            return True
    except errors.CallTimeoutError:
        return False


def test_nobody_waits_for_a_process_that_was_killed(environ: dict[str, str]) -> None:
    holder = hold(environ)
    try:
        assert [line(holder), line(holder)] == ["waits", "held"]
        assert not is_free(environ, 0.1)
    finally:
        end(holder)
    assert is_free(environ)


def test_nobody_waits_for_the_child_of_a_process_that_was_killed(environ: dict[str, str]) -> None:
    inside = "import os; child = os.fork(); child or time.sleep(60); print(child, flush=True)"
    holder = hold(environ, inside)
    assert line(holder) == "waits"
    child = int(line(holder))
    try:
        assert line(holder) == "held"
        assert not is_free(environ, 0.1)
        holder.kill()
        holder.wait()
        assert is_free(environ, 5.0)
        os.kill(child, 0)  # it lives
    finally:
        os.kill(child, signal.SIGKILL)
        end(holder)


def test_nobody_waits_for_a_program_that_was_started_inside(environ: dict[str, str]) -> None:
    inside = (
        "import subprocess; child = subprocess.Popen(['sleep', '60'], close_fds=False, stdout=subprocess.DEVNULL, "
        "stderr=subprocess.DEVNULL).pid; print(child, flush=True)"
    )
    holder = hold(environ, inside)
    assert line(holder) == "waits"
    child = int(line(holder))
    try:
        assert line(holder) == "held"
        holder.kill()
        holder.wait()
        assert is_free(environ, 5.0)
    finally:
        os.kill(child, signal.SIGKILL)
        end(holder)


def test_ctrl_c_ends_a_process_that_waits(environ: dict[str, str]) -> None:
    with ProcessLock("x", environ).held(Deadline(SYSTEM_CLOCK, 20.0)):
        waiter = hold(environ)
        assert line(waiter) == "waits"
        time.sleep(0.1)
        started = time.monotonic()
        waiter.send_signal(signal.SIGINT)
        _, said = waiter.communicate(timeout=20)

    assert time.monotonic() - started < 15
    assert said.splitlines()[-1] == "KeyboardInterrupt"


def test_a_process_that_is_killed_while_it_renews_keeps_nobody_waiting(issuer: Issuer, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"auth_type": "DeviceFlow", "token_store": str(tmp_path / "tokens")}
    with calling(issuer, **settings) as caller:
        caller.call()
    issuer.revoke()
    asked: list[float] = []

    def hang(request: Any) -> None:
        if request.path == "/token" and not asked:
            asked.append(time.monotonic())
            time.sleep(20)

    issuer.before = hang
    with Crowd({"endpoint": issuer.url, **settings, "interactive": False}, processes=1, threads=1) as crowd:
        (process,) = crowd._processes
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        while not asked:
            time.sleep(0.01)
        process.kill()
        process.wait()
        with calling(issuer, **settings) as caller:
            # The provider has not come to use up the refresh token, which was not written over.
            assert caller.call() == 2
        assert time.monotonic() - asked[0] < 15
        process.stdin.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_and_its_parent_renew_in_turn(tmp_path: Path, environ: dict[str, str]) -> None:
    log = tmp_path / "log"

    class Source:
        def renew(self, old: Any, deadline: Deadline) -> Token:
            assert old is not None
            with log.open("a") as file:
                file.write(f"{old.refresh}\n")
            time.sleep(0.05)
            number = int(old.refresh) + 1
            return Token(f"a{number}", Moment.now(SYSTEM_CLOCK), life=3600.0, refresh=str(number))

        def fetch(self, deadline: Deadline) -> Token:
            raise AssertionError("nobody is asked")

    store = FileStore(tmp_path / "tokens")
    place = Place("h", "tokens x")
    store.set(*place[:2], '{"access_token": "a0", "refresh_token": "0"}')
    stored = Stored(Source(), store, place, environ)

    def renew_often() -> None:
        token = None
        for _ in range(5):
            token = stored.renew(token, Deadline(SYSTEM_CLOCK, 20.0))

    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                renew_often()
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    renew_often()
    assert [os.WEXITSTATUS(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    used = log.read_text().split()
    assert used == [str(nth) for nth in range(len(used))], "each refresh token once, in their order"
    assert 4 <= len(used) <= 16
