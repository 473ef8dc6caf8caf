"""A script made for union.remote, against a devbox; only its imports are others."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import flyte_lite
from flyte_lite import _session, union
from flyte_lite.devbox import Devbox
from flyte_lite.errors import ActionAbortedError, NotFoundError, RunNotDoneError, RuntimeUserError, WaitTimeoutError
from flyte_lite.union.remote import Run, Task

PROJECT, DOMAIN = "flytesnacks", "development"
SECOND = datetime.timedelta(seconds=1)


@dataclass
class Pair:
    left: int
    right: int


@pytest.fixture(autouse=True)
def initialized(box: Devbox) -> Iterator[None]:
    with union.init(endpoint=box.endpoint, project=PROJECT, domain=DOMAIN):
        yield
    _session.set_default(None)


@pytest.fixture(scope="module", autouse=True)
def deployed(box: Devbox) -> None:
    @box.task(name="union.swap", version="v1")
    def swap(pair: Pair) -> Pair:
        return Pair(pair.right, pair.left)

    @box.task(name="union.fail", version="v1")
    def fail() -> None:
        raise KeyError("nothing there")


def test_a_run_is_launched_waited_for_and_read() -> None:
    before = datetime.datetime.now(datetime.timezone.utc)

    run = union.run(Task.get(name="greetings.hello"), name="Ada", times=2)

    assert isinstance(run, Run)
    assert run.wait(timeout=60 * SECOND, poll_interval=0.2, sync_nodes=True) is run
    assert run.done()
    assert not run.is_running
    assert run.outputs[0] == run.result()[0] == "hello Ada, hello Ada"
    assert run.exception() is None
    assert run.error is None
    assert run.started_at is not None
    assert run.finished_at is not None
    assert before - SECOND < run.started_at <= run.finished_at < before + 60 * SECOND


def test_what_is_not_there_yet_is_said() -> None:
    run = union.run(Task("greetings.sleep"), seconds=60)
    while not run.sync().is_running:
        time.sleep(0.05)

    with pytest.raises(WaitTimeoutError):
        run.wait(timeout=1)
    assert not run.done()
    assert run.is_running
    assert run.finished_at is None
    assert run.exception() is None
    with pytest.raises(RunNotDoneError):
        run.result()

    run.cancel()
    assert isinstance(run.wait(timeout=60).exception(), ActionAbortedError)
    assert not run.is_running
    run.cancel()


def test_a_run_is_found_by_its_name_its_page_and_its_path(box: Devbox) -> None:
    made = union.with_runcontext(name="union-one").run(Task.get(name="greetings.hello"), name="Ada").wait(timeout=60)
    page = flyte_lite.remote.Run.get(made.run_id).url
    old = f"{box.endpoint}/console/projects/{PROJECT}/domains/{DOMAIN}/executions/union-one"

    for found in (
        Run.get(name="union-one"),
        Run.get(name="union-one", project=PROJECT, domain=DOMAIN),
        Run.get(page),
        Run.get(uri=old),
        Run.get(f"/{PROJECT}/{DOMAIN}/union-one".lstrip("/")),
        Run("union-one"),
    ):
        assert found.run_id == "union-one"
        assert found.outputs[0] == "hello Ada"


def test_a_run_of_another_project_is_looked_for_there() -> None:
    union.run(Task("greetings.nothing")).wait(timeout=60)

    with pytest.raises(NotFoundError):
        Run.get(f"elsewhere/{DOMAIN}/union-nowhere")


def test_the_page_of_another_server_is_not_asked_for(box: Devbox) -> None:
    before = len(box.calls)

    with pytest.raises(ValueError, match=r"is a page of flyte\.example\.com"):
        Run.get("https://flyte.example.com/v2/domain/d/project/p/runs/r1")
    assert len(box.calls) == before


def test_outputs_come_as_classes() -> None:
    pytest.importorskip("msgpack")

    run = union.run(Task.get(f"{PROJECT}/{DOMAIN}/union.swap"), pair=Pair(1, 2)).wait(timeout=60)

    assert run.get_typed_outputs({"o0": Pair}) == {"o0": Pair(2, 1)}


def test_a_failure_can_be_looked_at_and_raised() -> None:
    run = union.run(Task("union.fail")).wait(timeout=60)

    error = run.exception()
    assert isinstance(error, RuntimeUserError)
    assert error.code == "KeyError"
    assert "nothing there" in str(run.error)
    with pytest.raises(RuntimeUserError, match="nothing there"):
        run.result()


def test_sync_brings_what_has_happened_since() -> None:
    run = union.run(Task("greetings.hello"), name="Ada")
    Run.get(name=run.run_id).wait(timeout=60)

    assert run.sync() is run

    assert run.done()


def test_runs_are_searched_the_newest_first() -> None:
    made = [union.run(Task("greetings.nothing")).run_id for _ in range(3)]

    found = [run.run_id for run in Run.search(limit=3)]

    assert found == made[::-1]
    assert all(isinstance(run, Run) for run in Run.search(2))


def test_tasks_are_searched_and_run() -> None:
    tasks = {task.name: task for task in Task.search(limit=200)}

    assert all(isinstance(task, Task) for task in tasks.values())
    assert {"greetings.hello", "union.swap"} <= set(tasks)
    assert len(list(Task.search(limit=2))) == 2
    assert union.run(tasks["greetings.hello"], name="Bo").wait(timeout=60).outputs[0] == "hello Bo"


def test_a_task_s_page_may_name_its_version(box: Devbox) -> None:
    base = f"{box.endpoint}/console/projects/{PROJECT}/domains/{DOMAIN}/task/union.swap"

    assert Task.get(f"{base}/version/v1").version == "v1"
    assert Task.get(base.replace("/task/", "/tasks/")).version == "v1"


def test_the_house_s_own_launch_takes_these_tasks() -> None:
    run = flyte_lite.run(Task.get(name="greetings.hello"), name="Ada")

    assert isinstance(run, flyte_lite.remote.Run)
    run.wait(timeout=60)
    assert run.outputs()[0] == "hello Ada"
