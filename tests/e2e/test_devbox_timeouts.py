"""Limits of tasks on a running devbox, its clock, and the real executor's defects."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from devbox_client import ENDS, Client, steps, wait_for
from devbox_tail import tail

import flyte_lite
from flyte_lite import errors
from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

P = phase_pb2
KIND = run_definition_pb2.ErrorInfo


@pytest.fixture(scope="module")
def shared() -> Iterator[Devbox]:
    with Devbox(workers=1) as box:

        @box.task(name="limits.sleep", version="v1")
        def sleep(seconds: float) -> None:
            time.sleep(seconds)

        @box.task(name="limits.hour", version="v1", timeout=3600, retries=1)
        def hour(gate: str) -> None:
            Path(gate + os.environ["FLYTE_ATTEMPT_NUMBER"]).touch()
            time.sleep(60)

        @box.task(name="limits.patient", version="v1", queued_timeout=7200)
        def patient() -> None:
            pass

        @box.task(name="limits.deadline", version="v1", deadline=5400, retries=9)
        def deadline(gate: str) -> None:
            Path(gate + os.environ["FLYTE_ATTEMPT_NUMBER"]).touch()
            time.sleep(60 if int(os.environ["FLYTE_ATTEMPT_NUMBER"]) else 0)
            raise ValueError

        @box.task(name="limits.memory", version="v1", memory="64Mi")
        def memory(megabytes: int) -> int:
            return len(bytearray(megabytes << 20))

        @box.task(name="limits.die", version="v1")
        def die() -> None:
            print("born", flush=True)
            os._exit(3)

        @box.task(name="limits.short", version="v1", timeout=0.2)
        def short() -> int:
            time.sleep(1.5)
            return 7

        @box.task(name="limits.nothing", version="v1")
        def nothing() -> None:
            pass

        yield box


@pytest.fixture
def client(shared: Devbox) -> Client:
    shared.reset()
    return Client(shared)


def raised(client: Client, run: str) -> errors.BaseRuntimeError:
    with flyte_lite.Client(client.box.endpoint, project="flytesnacks", domain="development") as ours:
        found = ours.runs.get(run)
        with pytest.raises(errors.BaseRuntimeError) as error:
            found.outputs()
    return error.value


def test_a_clock_that_is_moved_on_ends_attempts_that_may_take_an_hour(client: Client, tmp_path: Path) -> None:
    client.box.clock.stop()
    began = client.box.clock.time()
    gate = str(tmp_path / "gate")
    run = client.create("limits.hour", gate=gate)
    assert wait_for(Path(gate + "0").exists)
    client.until(run, P.ACTION_PHASE_RUNNING)
    client.box.clock.advance(3600)
    assert wait_for(Path(gate + "1").exists)
    assert len(client.action(run).attempts) == 2
    client.box.clock.advance(3600)

    ended = client.until(run, *ENDS)

    assert ended.status.phase == P.ACTION_PHASE_TIMED_OUT
    assert ended.status.duration_ms == 7_200_000
    assert ended.status.end_time.ToMicroseconds() == int((began + 7200) * 1e6)
    assert isinstance(raised(client, run), errors.MaxRuntimeExceededError)


def test_who_waits_too_long_for_a_worker_is_timed_out(client: Client) -> None:
    client.box.clock.stop()
    client.create("limits.sleep", seconds=60.0)
    run = client.create("limits.patient")
    last = client.create("limits.patient")
    client.abort(last)
    client.box.clock.advance(7199)
    assert client.action(run).status.phase == P.ACTION_PHASE_QUEUED
    client.box.clock.advance(1)

    ended = client.until(run, *ENDS)

    assert ended.status.phase == P.ACTION_PHASE_TIMED_OUT
    assert [steps(attempt) for attempt in ended.attempts] == [["QUEUED", "TIMED_OUT"]]
    assert isinstance(raised(client, run), errors.MaxQueuedTimeExceededError)
    assert client.action(last).status.phase == P.ACTION_PHASE_ABORTED


def test_who_gets_a_worker_in_time_may_run_on(client: Client) -> None:
    run = client.create("limits.patient")
    ended = client.until(run, *ENDS)
    client.box.clock.advance(8000)

    assert ended.status.phase == P.ACTION_PHASE_SUCCEEDED
    assert client.action(run).status.phase == P.ACTION_PHASE_SUCCEEDED


def test_a_deadline_counts_for_all_attempts_together(client: Client, tmp_path: Path) -> None:
    client.box.clock.stop()
    gate = str(tmp_path / "gate")
    run = client.create("limits.deadline", gate=gate)
    assert wait_for(Path(gate + "1").exists)
    client.box.clock.advance(5400)

    ended = client.until(run, *ENDS)

    assert (ended.status.phase, len(ended.attempts)) == (P.ACTION_PHASE_TIMED_OUT, 2)
    assert isinstance(raised(client, run), errors.DeadlineExceededError)


def test_a_deadline_may_pass_while_it_waits(client: Client, tmp_path: Path) -> None:
    client.box.clock.stop()
    client.create("limits.sleep", seconds=60.0)
    run = client.create("limits.deadline", gate=str(tmp_path / "gate"))
    client.box.clock.advance(5400)

    assert client.until(run, *ENDS).status.phase == P.ACTION_PHASE_TIMED_OUT
    assert isinstance(raised(client, run), errors.DeadlineExceededError)


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux alone")
def test_too_much_memory_is_out_of_memory(client: Client) -> None:
    fits = client.run("limits.memory", megabytes=16)
    run = client.create("limits.memory", megabytes=256)
    ended = client.until(run, *ENDS)

    assert client.outputs(fits) == {"o0": 16 << 20}
    assert (ended.error_info.kind, ended.error_info.code) == (KIND.KIND_USER, "OOMKilled")
    assert isinstance(raised(client, run), errors.OOMError)
    assert client.box.logs(run)[-1] == "MemoryError"


def test_endless_restarts_until_an_abort(client: Client) -> None:
    client.box.defects.endless_restarts = True
    run = client.create("limits.die")

    first = tail(client, run)
    assert first.wait_for_end() == "ended"
    assert first.lines() == client.box.logs(run)[:1]
    assert wait_for(lambda: len(client.box.logs(run)) >= 2)
    action = client.action(run)
    assert (action.status.phase, action.status.attempts) == (P.ACTION_PHASE_RUNNING, 1)
    assert [steps(attempt) for attempt in action.attempts] == [["QUEUED", "INITIALIZING", "RUNNING"]]
    client.abort(run)
    assert wait_for(lambda: client.action(run).attempts[-1].phase == P.ACTION_PHASE_ABORTED)
    client.box.defects.reset()
    assert client.run("limits.die").error_info.code == "WorkerDied"


def test_ignored_timeouts(client: Client) -> None:
    client.box.defects.ignored_timeouts = True
    assert client.outputs(client.run("limits.short")) == {"o0": 7}

    client.box.reset()
    assert client.run("limits.short").status.phase == P.ACTION_PHASE_TIMED_OUT


def test_failures_without_cause(client: Client) -> None:
    client.box.defects.failures_without_cause = True
    run = client.create("limits.nothing")
    ended = client.until(run, P.ACTION_PHASE_FAILED)

    assert [steps(attempt)[-1] for attempt in ended.attempts] == ["SUCCEEDED"]
    assert ended.HasField("error_info")
    assert ended.error_info == KIND()
    assert "does not say why" in str(raised(client, run))


def test_a_killed_process_with_a_memory_limit_counts_as_out_of_memory(client: Client) -> None:
    @client.box.task(name="limits.killed", version="v1", memory="1Gi")
    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert client.run("limits.killed").error_info.code == "OOMKilled"
