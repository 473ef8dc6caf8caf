"""Logs, reports and code bundles of a devbox, over a socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from devbox_log_reader import read_through

from flyte_lite import Cancel, Client, errors
from flyte_lite.devbox import Devbox, report
from flyte_lite.models import ActionPhase, CodeBundle
from flyte_lite.remote import Run

PLACE = {"project": "flytesnacks", "domain": "development"}


@pytest.fixture(scope="module")
def own_box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="logs.gated", version="v1")
        def gated(folder: str, count: int) -> None:
            # A line for each file that is there.
            for number in range(count):
                while not (Path(folder) / str(number)).exists():
                    time.sleep(0.005)
                print(f"line {number}", flush=True)

        @box.task(name="logs.many", version="v1")
        def many(count: int) -> None:
            for number in range(count):
                print(f"line {number}")

        @box.task(name="logs.slowly", version="v1")
        def slowly(count: int) -> None:
            for number in range(count):
                print(f"line {number}", flush=number % 100 == 0)
                if number % 1000 == 0:
                    time.sleep(0.05)

        @box.task(name="logs.second_try", version="v1", retries=1)
        def second_try(gate: str) -> None:
            first = not Path(gate).exists()
            print("tries", flush=True)
            while not Path(gate).exists():
                time.sleep(0.005)
            if first:
                raise ValueError("not yet")
            print("does it", flush=True)

        @box.task(name="logs.report", version="v1")
        def with_report(title: str) -> None:
            report.log(f"<h1>{title}</h1>")

        yield box


@pytest.fixture
def own(own_box: Devbox) -> Iterator[Client]:
    with Client(own_box.endpoint, **PLACE) as client:
        yield client
    own_box.faults.clear()


@pytest.fixture(autouse=True)
def no_gap_unseen() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.LogGapWarning)
        yield


def start(client: Client, name: str, **inputs: object) -> Run:
    return client.run(client.tasks.get(f"logs.{name}", version="v1"), **inputs)


def lines(count: int) -> list[str]:
    return [f"line {number}" for number in range(count)]


def test_lines_come_while_the_task_runs(own: Client, tmp_path: Path) -> None:
    run = start(own, "gated", folder=str(tmp_path), count=3)
    log = run.get_logs(timeout=60)

    for number in range(3):
        assert not run.sync().done()
        (tmp_path / str(number)).touch()
        assert next(log) == f"line {number}"
    assert list(log) == []
    assert run.sync().phase is ActionPhase.SUCCEEDED


def test_a_finished_log_can_be_read_again_and_by_its_action(own: Client) -> None:
    run = start(own, "many", count=2500)
    run.wait(timeout=60)

    assert list(run.get_logs()) == list(run.action.get_logs(attempt=1)) == lines(2500)
    with pytest.raises(ValueError, match="has no attempt 2"):
        list(run.get_logs(attempt=2))


def test_a_task_that_is_tried_again_is_followed(own: Client, tmp_path: Path) -> None:
    run = start(own, "second_try", gate=str(tmp_path / "gate"))
    read = []
    for line in run.get_logs(timeout=60):
        read.append(line)
        (tmp_path / "gate").touch()

    assert [line for line in read if line in ("tries", "does it")] == ["tries", "tries", "does it"]
    # Whoever comes later reads the newest attempt.
    assert list(run.get_logs()) == ["tries", "does it"]


def test_streams_that_end_too_soon_lose_and_repeat_nothing(own: Client, own_box: Devbox) -> None:
    """A clean end and an error in the middle of the log."""
    tail = "DataProxyService/TailLogs"
    own_box.calls.clear()
    own_box.faults.on(tail).end_after(2, times=1).end_after(7, code="unavailable", times=1)
    run = start(own, "slowly", count=5000)

    assert list(run.get_logs(timeout=60)) == lines(5000)
    assert len(own_box.calls.of(tail)) >= 3
    assert len(own_box.faults) == 0


def test_an_outage_in_the_middle_is_mended(own: Client, own_box: Devbox, tmp_path: Path) -> None:
    run = start(own, "gated", folder=str(tmp_path), count=6)
    log = run.get_logs(timeout=60)
    read = []
    for number in range(6):
        (tmp_path / str(number)).touch()
        if number == 2:
            read += [next(log), next(log)]
            outage = own_box.outage()
            outage.__enter__()
            back = threading.Timer(0.7, outage.__exit__, (None, None, None))
            back.start()
    read += log
    back.join()

    assert read == lines(6)


def test_a_devbox_that_begins_anew_is_waited_for(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        read_through(tmp_path, 2.0)


def test_a_cancel_ends_it_at_once(own: Client, tmp_path: Path) -> None:
    cancel = Cancel()
    run = start(own.scoped(cancel=cancel), "gated", folder=str(tmp_path), count=2)
    (tmp_path / "0").touch()
    log = run.get_logs()
    assert next(log) == "line 0"
    threading.Timer(0.2, cancel.cancel).start()
    began = time.monotonic()

    with pytest.raises(errors.CanceledError):
        next(log)
    assert time.monotonic() - began < 2
    own.runs.get(run.name).abort()


@pytest.mark.skipif(os.name == "nt", reason="it takes no interrupt for one process alone")
def test_ctrl_c_ends_the_reading_and_not_the_run(own: Client, own_box: Devbox, tmp_path: Path) -> None:
    run = start(own, "gated", folder=str(tmp_path), count=2)
    script = (
        "import sys, flyte_lite as flyte\n"
        'flyte.init(endpoint=sys.argv[1], project="flytesnacks", domain="development")\n'
        "for line in flyte.remote.Run.get(sys.argv[2]).get_logs():\n"
        "    print(line, flush=True)\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, own_box.endpoint, run.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        (tmp_path / "0").touch()
        assert process.stdout.readline() == "line 0\n"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, said = process.communicate(timeout=30)
    assert said.endswith("KeyboardInterrupt\n")
    assert time.monotonic() - began < 5

    (tmp_path / "1").touch()
    assert list(run.get_logs(timeout=60)) == lines(2)
    assert run.sync().phase is ActionPhase.SUCCEEDED


def test_a_script_prints_the_log_into_a_pipe(own: Client, own_box: Devbox, run_script: object) -> None:
    run = start(own, "many", count=3)
    script = """
        import sys
        import flyte_lite as flyte
        flyte.init(endpoint=sys.argv[1], project="flytesnacks", domain="development")
        flyte.remote.Run.get(sys.argv[2]).show_logs()
        flyte.remote.Action.get(run_name=sys.argv[2]).show_logs(max_lines=1, show_ts=True, raw=True)
    """

    printed = run_script("\n".join(line[8:] for line in script.splitlines()), own_box.endpoint, run.name)  # type: ignore[operator]

    first, second = printed.splitlines()[:3], printed.splitlines()[3:]
    assert first == lines(3)
    assert [line.partition("+00:00] ")[2] for line in second] == lines(3)


def test_a_report_is_read(own: Client) -> None:
    run = start(own, "report", title="grüße")
    run.wait(timeout=60)

    assert "<h1>grüße</h1>" in run.get_report()
    assert run.get_report() == run.action.get_report(attempt=1)
    with pytest.raises(errors.NotFoundError, match="attempt 7"):
        run.get_report(attempt=7)


def test_a_task_without_a_report_has_none(own: Client) -> None:
    run = start(own, "many", count=1)
    run.wait(timeout=60)

    with pytest.raises(errors.NotFoundError, match=f"run {run.name} has no report of attempt 1: only a task with"):
        run.get_report()


def test_the_code_is_where_the_error_says(own: Client, tmp_path: Path) -> None:
    run = start(own, "many", count=1)
    bundle = run.code_bundle()

    assert isinstance(bundle, CodeBundle)
    assert bundle == run.action.details().code_bundle
    for ask in (run.download_code, run.action.download_code):
        with pytest.raises(errors.CodeBundleError, match="It lies at") as caught:
            ask(tmp_path / "code")
        assert (bundle.tgz or bundle.pkl or "?") in str(caught.value)
    assert not (tmp_path / "code").exists()


def test_on_a_terminal_a_window_of_the_log_is_shown(own: Client, own_box: Devbox) -> None:
    pytest.importorskip("rich")
    pty = pytest.importorskip("pty")
    run = start(own, "many", count=50)
    run.wait(timeout=60)
    script = (
        "import sys, flyte_lite as flyte\n"
        'flyte.init(endpoint=sys.argv[1], project="flytesnacks", domain="development")\n'
        "flyte.remote.Run.get(sys.argv[2]).show_logs(max_lines=5)\n"
    )
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script, own_box.endpoint, run.name], stdout=theirs, stdin=theirs, env=environ
    ) as process:
        os.close(theirs)
        came = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            came += piece
        assert process.wait(30) == 0
    os.close(ours)

    text = came.decode()
    assert "line 49" in text
    assert "Scrolled 50 lines of logs." in text
    assert text.count("line 3\r") == 0
