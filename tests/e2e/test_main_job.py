"""The main job, over a socket: launch a deployed task by name, wait, read what came of it."""

from __future__ import annotations

import datetime
import os
import threading
import time
from typing import Any, Callable

import pytest
from punctual import promptly

import flyte_lite as flyte
from flyte_lite import Cancel, Client, _session
from flyte_lite.devbox import Devbox
from flyte_lite.errors import (
    ActionAbortedError,
    CanceledError,
    RunNotDoneError,
    RuntimeSystemError,
    RuntimeUserError,
    WaitTimeoutError,
)
from flyte_lite.remote import Run

UTC = datetime.timezone.utc

SCRIPT = """
import sys
import flyte_lite as flyte

flyte.init(endpoint=sys.argv[1], project="flytesnacks", domain="development")
run = flyte.run(flyte.remote.Task.get("greetings.hello", auto_version="latest"), name="Ada")
run.wait()
print(run.outputs()[0])
"""


def test_a_script_that_only_says_what_it_wants(box: Devbox, run_script: Callable[..., str]) -> None:
    assert run_script(SCRIPT, box.endpoint) == "hello Ada\n"


def test_a_script_that_is_told_everything_by_the_environment(box: Devbox, run_script: Callable[..., str]) -> None:
    code = SCRIPT.replace(
        'flyte.init(endpoint=sys.argv[1], project="flytesnacks", domain="development")', "flyte.init()"
    )

    printed = run_script(
        code,
        FLYTE_ADMIN_ENDPOINT=box.endpoint.replace("http://", "dns:///"),
        FLYTE_ADMIN_INSECURE="true",
        FLYTE_TASK_PROJECT="flytesnacks",
        FLYTE_TASK_DOMAIN="development",
    )

    assert printed == "hello Ada\n"


def test_a_run_from_launch_to_outputs(client: Client) -> None:
    before = datetime.datetime.now(UTC)
    task = client.tasks.get("greetings.hello", auto_version="latest")

    run = client.run(task, name="Ada", times=2)

    assert not run.done()
    assert run.created is True
    run.wait(timeout=60)
    assert run.phase == "succeeded"
    run.raise_for_status()
    outputs = run.outputs()
    assert list(outputs) == ["hello Ada, hello Ada"]
    assert outputs.o0 == outputs["o0"] == outputs[0] == outputs.named_outputs["o0"]
    assert run.inputs() == {"name": "Ada", "times": 2}
    assert run.details().task_name == "greetings.hello"
    assert run.action.start_time is not None
    assert abs(run.action.start_time - before) < datetime.timedelta(seconds=30)
    assert run.url.endswith(f"/v2/domain/development/project/flytesnacks/runs/{run.name}")


def test_a_run_found_again_is_the_same(client: Client) -> None:
    run = client.run(client.tasks.get("greetings.hello", version="v1"), "Grace")
    run.wait(timeout=60)

    again = client.runs.get(run.name)

    assert again.outputs()[0] == "hello Grace"
    assert again.inputs() == {"name": "Grace", "times": 1}
    assert client.actions.get(run_name=run.name).phase == "succeeded"


def test_several_outputs_and_a_default(client: Client) -> None:
    run = client.run(client.tasks.get("numbers.divide", version="v1"), a=3)
    run.wait(timeout=60)

    half, more = run.outputs()

    assert half == 1.5
    assert more is True


def test_a_task_without_outputs_has_none_and_says_so(client: Client) -> None:
    run = client.run(client.tasks.get("greetings.nothing", version="v1"))
    run.wait(timeout=60)

    outputs = run.outputs()

    assert len(outputs) == 0
    with pytest.raises(IndexError, match=rf"run {run.name} has no output number 0; it has none"):
        outputs[0]


def test_every_type_of_value_there_and_back(client: Client) -> None:
    given: dict[str, Any] = {
        "i": -(2**40),
        "f": 1,
        "s": "é 😀",
        "b": True,
        "when": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "day": datetime.date(2026, 1, 2),
        "long": datetime.timedelta(days=1, microseconds=5),
        "items": [[1, 2], [], [3]],
        "table": {"a": 0.5, "": -1},
        "maybe": None,
        "either": "x",
        "color": "RED",
        "size": "large",
    }

    run = client.run(client.tasks.get("values.all", version="v1"), **given)
    run.wait(timeout=60)
    run.raise_for_status()
    out = run.outputs()

    assert out[:5] == (-(2**40), 1.0, "é 😀", True, given["when"])
    assert out[6:11] == (given["long"], given["items"], given["table"], None, "x")
    assert out[5] in (given["day"], datetime.datetime(2026, 1, 2, tzinfo=UTC))  # the type does not tell a date
    assert getattr(out[11], "value", out[11]) == "RED"
    assert out[12] == "large"


def test_a_failed_run_raises_what_the_task_raised(client: Client) -> None:
    run = client.run(client.tasks.get("numbers.divide", version="v1"), a=1, b=0)
    run.wait(timeout=60)

    assert run.phase == "failed"
    with pytest.raises(RuntimeUserError, match="float division by zero") as caught:
        run.raise_for_status()
    assert caught.value.code == "ZeroDivisionError"
    with pytest.raises(RuntimeUserError, match="float division by zero"):
        run.outputs()


def test_a_task_that_dies_is_the_system_s_failure(client: Client) -> None:
    run = client.run(client.tasks.get("greetings.crash", version="v1"))
    run.wait(timeout=60)

    with pytest.raises(RuntimeSystemError, match="SIGKILL"):
        run.raise_for_status()


def test_a_run_that_has_not_ended_has_no_result_yet(client: Client) -> None:
    run = client.run(client.tasks.get("greetings.sleep", version="v1"), seconds=30)

    with pytest.raises(RunNotDoneError, match=rf"run {run.name} is .*no result yet; wait\(\)"):
        run.outputs()
    with pytest.raises(RunNotDoneError):
        run.raise_for_status()

    def took() -> float:
        started = time.monotonic()
        with pytest.raises(WaitTimeoutError, match="The run goes on"):
            run.wait(timeout=0.4)
        return time.monotonic() - started

    assert promptly(2, took)
    run.abort()


def test_an_aborted_run_says_why(client: Client) -> None:
    run = client.run(client.tasks.get("greetings.sleep", version="v1"), seconds=30)
    run.wait(wait_for="running", timeout=60)
    assert run.phase == "running"

    run.abort("changed my mind")

    run.wait(timeout=10)
    assert run.phase == "aborted"
    with pytest.raises(ActionAbortedError, match="changed my mind"):
        run.raise_for_status()


def test_sync_really_asks(client: Client) -> None:
    run = client.run(client.tasks.get("greetings.hello", version="v1"), name="Ada")
    client.runs.get(run.name).wait(timeout=60)
    assert not run.done()

    assert run.sync() is run
    assert run.done()


def test_a_name_of_one_s_own_and_the_options_that_come_back(client: Client) -> None:
    name = f"mine-{os.urandom(4).hex()}"
    context = client.with_runcontext(name=name, labels={"team": "ml"}, env_vars={"A": "1"}, interruptible=True)

    run = context.run(client.tasks.get("greetings.hello", version="v1"), name="Ada")

    spec = run.details().pb2.run_spec
    assert run.name == name
    assert dict(spec.labels.values) == {"team": "ml"}
    assert "A" in {item.key for item in spec.envs.values}
    assert spec.interruptible.value is True


def test_an_idempotency_key_makes_one_run_from_two_processes(
    box: Devbox, client: Client, run_script: Callable[..., str]
) -> None:
    key = os.urandom(8).hex()
    code = (
        SCRIPT.replace("flyte.run(", "flyte.with_runcontext(idempotency_key=sys.argv[2]).run(")
        + "print(run.created, run.name)"
    )

    first = run_script(code, box.endpoint, key).split()
    second = run_script(code, box.endpoint, key).split()

    assert first[-2] == "True"
    assert second[-2] == "False"
    assert first[-1] == second[-1]


def test_init_makes_the_default_and_the_client_of_it(box: Devbox) -> None:
    client = flyte.init(project="flytesnacks", domain="development", endpoint=box.endpoint)
    try:
        run = flyte.run(flyte.remote.Task.get("greetings.hello", version="v1"), name="Ada")
        run.wait(timeout=60)

        assert flyte.remote.Run.get(run.name) == client.runs.get(run.name)
        assert isinstance(run, Run)
    finally:
        _session.set_default(None)
        client.close()


def test_a_wait_is_ended_from_another_thread(client: Client) -> None:
    run = client.run(client.tasks.get("greetings.sleep", version="v1"), seconds=30)

    def took() -> float:
        cancel = Cancel()
        mine = client.scoped(cancel=cancel).runs.get(run.name)
        started = time.monotonic()
        threading.Timer(0.5, cancel.cancel).start()
        with pytest.raises(CanceledError):
            mine.wait(timeout=30)
        return time.monotonic() - started

    assert promptly(1.5, took)
    client.runs.get(run.name).abort()


def test_threads_share_a_client(client: Client) -> None:
    task = client.tasks.get("greetings.hello", version="v1")
    task.fetch()
    runs: list[Run] = []

    def launch(name: str) -> None:
        run = client.run(task, name=name)
        run.wait(timeout=60)
        runs.append(run)

    threads = [threading.Thread(target=launch, args=(f"n{nth}",)) for nth in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(run.outputs()[0] for run in runs) == [f"hello n{nth}" for nth in range(6)]


def test_progress_goes_to_stderr_and_only_when_asked(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    task = client.tasks.get("greetings.hello", version="v1")
    quiet = client.run(task, name="Ada")
    quiet.wait(timeout=60)
    assert capsys.readouterr() == ("", "")

    run = client.run(task, name="Ada")
    run.wait(quiet=False, timeout=60)

    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"run {run.name}: succeeded" in printed.err
