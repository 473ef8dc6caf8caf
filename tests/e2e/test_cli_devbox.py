"""`flyte-lite devbox` as a process: what it prints, how it ends, what it says when it can't start."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from devbox_client import alive, wait_for
from punctual import promptly

import flyte_lite

ROOT = str(Path(__file__).parents[2])
CERTIFICATES = Path(__file__).parents[1] / "chaos" / "certificates"
SERVER, AUTHORITY = CERTIFICATES / "server.pem", CERTIFICATES / "authority.pem"
# It vouches for itself.
STRANGER = CERTIFICATES / "stranger.pem"
# A second is what it promises; the rest is for a machine that is busy with other tests.
STOPPED = 2.0
TASKS = """
import os, time
from flyte_lite.devbox import task
print("the file's own output")

@task(version="v1")
def hello(name: str, times: int, loud: bool = False) -> str:
    return f"hello {name}" * times

@task(version="v1")
def endless(pid: str) -> None:
    with open(pid + ".part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(pid + ".part", pid)
    time.sleep(60)
"""


@contextmanager
def devbox(*words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "flyte_lite", "devbox", *words],
        env={**os.environ, "PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    file = tmp_path / "greetings.py"
    file.write_text(TASKS)
    return file


@pytest.mark.parametrize(
    "words",
    [(), ("--certificate", str(STRANGER)), ("--auth",), ("--auth", "--certificate", str(STRANGER))],
    ids=["plain", "tls", "signed in", "both"],
)
def test_the_endpoint_comes_first_and_the_snippet_runs(tasks: Path, words: tuple[str, ...]) -> None:
    with devbox(str(tasks), *words) as process:
        endpoint = first_line(process)
        assert process.stdout is not None
        told = [first_line(process)]
        while told[-1] != "Ctrl-C stops it.":
            told.append(process.stdout.readline().rstrip())
        code = "\n".join(told[told.index("import flyte_lite as flyte") : -1])
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ROOT}
        )
        process.terminate()
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert "the file's own output" in process.stderr.read()

    assert told[0] == "project flytesnacks, domain development"
    assert "task greetings.hello:v1" in told
    if "--auth" in words:
        trusted = f"FLYTE_ADMIN_CACERTFILEPATH={shlex.quote(str(STRANGER))} " if "--certificate" in words else ""
        assert f"people: {trusted}flyte-lite login --endpoint {endpoint}" in told
    else:
        assert f'endpoint="{endpoint}"' in code
    assert (done.stdout, done.returncode) == ("succeeded ActionOutputs(o0='hello Ada')\n", 0), done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_stops_it_within_a_second_and_kills_what_runs(
    tasks: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    def took() -> float:
        file = tmp_path / "pid"
        file.unlink(missing_ok=True)
        with devbox(str(tasks), "--workers", "1") as process:
            endpoint = first_line(process)
            with flyte_lite.Client(endpoint, project="flytesnacks", domain="development") as client:
                client.run(client.tasks.get("greetings.endless", version="v1"), pid=str(file))
            assert wait_for(file.exists)
            pid = int(file.read_text())
            host, _, port = endpoint.partition("//")[2].rpartition(":")
            idle = [socket.create_connection((host, int(port))) for _ in range(50)]
            began = time.monotonic()
            process.send_signal(number)
            process.send_signal(number)

            assert process.wait(30) == status
            seconds = time.monotonic() - began
            assert wait_for(lambda: not alive(pid))
            for connection in idle:
                connection.close()
        return seconds

    assert promptly(STOPPED, took)


@pytest.mark.parametrize("words", [(), ("--certificate", str(SERVER))], ids=["plain", "tls"])
def test_two_hundred_idle_streams_do_not_keep_it_from_stopping(words: tuple[str, ...]) -> None:
    # No run is there, so a stream of runs says nothing, not even that it is open.
    body = b"\x00\x00\x00\x00\x02{}"
    head = (
        "POST /flyteidl2.workflow.RunService/WatchRuns HTTP/1.1\r\nHost: devbox\r\n"
        f"Content-Type: application/connect+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    def took() -> float:
        with devbox(*words) as process:
            scheme, _, host_port = first_line(process).partition("://")
            host, _, port = host_port.rpartition(":")
            context = ssl.create_default_context(cafile=str(AUTHORITY))

            def connected() -> socket.socket:
                connection = socket.create_connection((host, int(port)))
                return context.wrap_socket(connection, server_hostname=host) if scheme == "https" else connection

            streams = [connected() for _ in range(200)]
            for stream in streams:
                stream.sendall(head.encode() + body)
            time.sleep(0.5)
            # It answers others meanwhile.
            with connected() as other:
                other.sendall(b"GET /healthz HTTP/1.1\r\nHost: devbox\r\n\r\n")
                assert other.recv(100).startswith(b"HTTP/1.1 200")
            began = time.monotonic()
            process.terminate()

            assert process.wait(30) == 0
            seconds = time.monotonic() - began
            for stream in streams:
                stream.settimeout(5)
                with suppress(ConnectionResetError):
                    assert stream.recv(1) == b""
                stream.close()
        return seconds

    assert promptly(STOPPED, took)


def test_a_state_is_there_again_for_the_next_one(tasks: Path, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    with devbox("--state", state, str(tasks)) as process:
        endpoint = first_line(process)
        with flyte_lite.Client(endpoint, project="flytesnacks", domain="development") as client:
            run = client.run(client.tasks.get("greetings.hello", version="v1"), name="Ada", times=1)
            run.wait(quiet=True)
        with devbox("--state", state) as second:
            assert second.wait(10) == 1
            assert second.stderr is not None
            assert second.stderr.read() == (
                f"flyte-lite: the state in {state} is in use by process {process.pid}, which listens at {endpoint}\n"
            )
        process.kill()
    tasks.unlink()

    with devbox("--state", state) as process:
        client = flyte_lite.Client(first_line(process), project="flytesnacks", domain="development")
        assert client.runs.get(run.name).outputs()[0] == "hello Ada"
        again = client.run(client.tasks.get("greetings.hello", version="v1"), name="Bob", times=2)
        again.wait(quiet=True)
        assert again.outputs()[0] == "hello Bobhello Bob"
        client.close()


def refused(*words: str) -> tuple[int, str]:
    with devbox(*words) as process:
        out, error = process.communicate(timeout=20)
    assert out == ""
    return process.returncode, error


def test_what_keeps_it_from_starting_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, error = refused("--port", port)
    assert status == 1
    assert error.startswith(f"flyte-lite: can't listen on 127.0.0.1:{port}: ")
    assert error.count("\n") == 1

    for text, message in (
        ("x = 1", "no tasks are declared in"),
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("def", "SyntaxError: "),
    ):
        file = tmp_path / "bad.py"
        file.write_text(text)
        status, error = refused(str(file))
        assert status == 1
        assert error.startswith(f"flyte-lite: {file} can't be deployed: ")
        assert message in error
        assert error.count("\n") == 1

    assert refused("gone.py") == (1, "flyte-lite: no such Python file: gone.py\n")
    (tmp_path / "file").write_text("")
    state = str(tmp_path / "file")
    assert refused("--state", state) == (1, f"flyte-lite: the devbox can't keep its state in {state}: File exists\n")
    gone = tmp_path / "gone.pem"
    said = f"flyte-lite: the certificate {gone} can't be read: No such file or directory\n"
    assert refused("--certificate", str(gone)) == (1, said)
    status, error = refused("--private-key", str(SERVER))
    assert (status, error.partition(":")[2]) == (1, " a private key needs its certificate: give certificate= too\n")


@pytest.mark.parametrize("words", [("--port", "65536"), ("--port", "x"), ("--workers", "0"), ("--nothing",)])
def test_words_that_make_no_sense(words: tuple[str, ...]) -> None:
    status, error = refused(*words)

    assert status == 2
    assert error.startswith("usage: flyte-lite")
