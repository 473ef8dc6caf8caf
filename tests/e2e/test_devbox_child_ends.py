"""How tasks end that others have called, and those that call: failures, aborts, retries, restarts."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from devbox_client import Client, alive, tell, wait_for

from flyte_lite import errors
from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

P = phase_pb2
KIND = run_definition_pb2.ErrorInfo


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Devbox() as box:
        yield Client(box)


def test_a_coroutine_that_is_given_up_takes_its_action_along(client: Client) -> None:
    @client.box.task(name="given.sleep", version="v1")
    async def sleep() -> None:
        await asyncio.sleep(60)

    @client.box.task(name="given.parent", version="v1")
    async def parent() -> str:
        try:
            await asyncio.wait_for(sleep(), 0.5)
        except asyncio.TimeoutError:
            return "given up"
        return "no"

    action = client.run("given.parent")

    assert client.outputs(action) == {"o0": "given up"}
    (child,) = client.children(action.id.run.name)
    assert child.status.phase == P.ACTION_PHASE_ABORTED


def test_a_failing_child_fails_its_parent_with_its_error(client: Client) -> None:
    @client.box.task(name="fail.leaf", version="v1")
    def leaf(text: str) -> int:
        raise ValueError(text)

    @client.box.task(name="fail.parent", version="v1")
    def parent(text: str) -> int:
        return leaf(text)

    @client.box.task(name="fail.forgiving", version="v1")
    def forgiving(text: str) -> str:
        try:
            return str(leaf(text))
        except errors.RuntimeUserError as error:
            return f"{type(error).__name__} {error.code} {error}"

    action = client.run("fail.parent", text="child is bad")
    assert action.status.phase == P.ACTION_PHASE_FAILED
    assert action.status.attempts == 1
    assert (action.error_info.kind, action.error_info.code) == (KIND.KIND_USER, "ValueError")
    assert action.error_info.message == "child is bad"
    (child,) = client.children(action.id.run.name)
    assert child.error_info == action.error_info
    # Only the task's own lines.
    logged = client.box.logs(action.id.run.name)
    assert logged[-1] == "flyte_lite.errors.RuntimeUserError: child is bad"
    assert sum(line.startswith("  File ") for line in logged) == 1

    action = client.run("fail.forgiving", text="bad")
    assert client.outputs(action) == {"o0": "RuntimeUserError ValueError bad"}


def test_aborts_at_any_moment_cost_no_worker(tmp_path: Path) -> None:
    with Devbox(workers=1) as box:
        client = Client(box)

        @box.task(name="moment.leaf", version="v1")
        def leaf(n: int) -> int:
            time.sleep(0.05)
            return n

        @box.task(name="moment.root", version="v1", retries=1)
        def root(n: int) -> int:
            with ThreadPoolExecutor(2) as pool:
                return sum(pool.map(leaf, range(n)))

        runs = [client.create("moment.root", n=3) for _ in range(5)]
        for number, run in enumerate(runs[:4]):
            time.sleep(0.15 * number)
            children = client.children(run)
            if children and number % 2:
                client.abort_action(run, children[-1].id.name)
            else:
                client.abort(run)

        for run in runs[:4]:
            client.until(run, P.ACTION_PHASE_ABORTED, P.ACTION_PHASE_FAILED, P.ACTION_PHASE_SUCCEEDED)
        assert client.outputs(client.until(runs[4], P.ACTION_PHASE_SUCCEEDED)) == {"o0": 3}


def _tree(client: Client, pids: str) -> tuple[str, int]:
    # A parent, its child and its grandchild, which sleeps.
    @client.box.task(name="tree.leaf", version="v1")
    def leaf(file: str) -> None:
        tell(file, str(os.getpid()))
        time.sleep(60)

    @client.box.task(name="tree.branch", version="v1")
    def branch(file: str) -> None:
        leaf(file)

    @client.box.task(name="tree.root", version="v1")
    def root(file: str) -> None:
        branch(file)

    run = client.create("tree.root", file=pids)
    assert wait_for(Path(pids).exists)
    return run, int(Path(pids).read_text())


def test_an_abort_of_a_run_ends_all_that_it_called(client: Client, tmp_path: Path) -> None:
    run, pid = _tree(client, str(tmp_path / "pid"))

    client.abort(run, "enough")

    assert wait_for(lambda: not alive(pid), 3)
    root = client.until(run, P.ACTION_PHASE_ABORTED)
    assert wait_for(lambda: client.action(run).status.attempts == 1)
    (branch,) = client.children(run)
    branch = client.until(run, P.ACTION_PHASE_ABORTED, name=branch.id.name)
    (leaf,) = client.children(run, branch.id.name)
    leaf = client.until(run, P.ACTION_PHASE_ABORTED, name=leaf.id.name)
    assert root.abort_info.reason == "enough"
    for child in (branch, leaf):
        assert child.HasField("abort_info")
        assert child.abort_info.reason == ""
        assert child.attempts[-1].phase == P.ACTION_PHASE_ABORTED


def test_an_abort_of_a_child_fails_its_parent(client: Client, tmp_path: Path) -> None:
    run, pid = _tree(client, str(tmp_path / "pid"))
    (branch,) = client.children(run)

    client.abort_action(run, branch.id.name)

    action = client.until(run, P.ACTION_PHASE_FAILED)
    assert action.error_info.kind == KIND.KIND_USER
    assert action.error_info.message == f"Action {branch.id.name} was aborted, aborting current Action a0"
    assert wait_for(lambda: not alive(pid), 3)


def test_a_parent_that_ends_leaves_nothing_behind(client: Client, tmp_path: Path) -> None:
    @client.box.task(name="left.sleep", version="v1")
    def sleep(file: str) -> None:
        tell(file, str(os.getpid()))
        time.sleep(60)

    @client.box.task(name="left.parent", version="v1")
    def parent(how: str, file: str) -> str:
        threading.Thread(target=sleep, args=(file,), daemon=True).start()
        while not Path(file).exists():
            time.sleep(0.01)
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    pids: list[int] = []
    for how, phase in (("kill", P.ACTION_PHASE_FAILED), ("return", P.ACTION_PHASE_SUCCEEDED)):
        file = tmp_path / how
        action = client.run("left.late" if how == "late" else "left.parent", how=how, file=str(file))
        run = action.id.run.name
        assert action.status.phase == phase
        (child,) = client.children(run)
        client.until(run, P.ACTION_PHASE_ABORTED, name=child.id.name)
        pids.append(int(file.read_text()))
    assert wait_for(lambda: not any(map(alive, pids)), 3)


def test_a_repeated_parent_finds_what_the_attempt_before_it_had(client: Client, tmp_path: Path) -> None:
    @client.box.task(name="again.good", version="v1")
    def good(folder: str) -> str:
        return str(os.getpid())

    @client.box.task(name="again.bad", version="v1")
    def bad(folder: str) -> str:
        file = Path(folder, "bad")
        if not file.exists():
            file.touch()
            raise ValueError("bad")
        return "better"

    @client.box.task(name="again.slow", version="v1")
    def slow(folder: str) -> str:
        Path(folder, "slow").touch()
        time.sleep(1.0)
        return os.environ["FLYTE_ATTEMPT_NUMBER"]

    @client.box.task(name="again.parent", version="v1", retries=1)
    def parent(folder: str) -> str:
        pid = good(folder)
        thread = threading.Thread(target=slow, args=(folder,), daemon=True)
        thread.start()
        while not Path(folder, "slow").exists():
            time.sleep(0.01)
        worse = bad(folder)
        return f"{pid} {worse} {slow(folder)}" if os.environ["FLYTE_ATTEMPT_NUMBER"] == "1" else "?"

    action = client.run("again.parent", folder=str(tmp_path))

    assert action.status.phase == P.ACTION_PHASE_SUCCEEDED, action.error_info
    assert action.status.attempts == len(action.attempts) == 2
    good_one, slow_one, bad_one, second_slow = client.children(action.id.run.name)
    assert [len(each.attempts) for each in (good_one, slow_one, bad_one, second_slow)] == [1, 1, 2, 1]
    pid, better, number = client.outputs(action)["o0"].split()
    assert client.outputs(good_one) == {"o0": pid}
    assert (better, number) == ("better", "0")


def test_a_child_that_failed_without_a_cause_says_so(client: Client) -> None:
    @client.box.task(name="cause.leaf", version="v1")
    def leaf() -> None:
        return None

    @client.box.task(name="cause.parent", version="v1")
    def parent() -> int:
        leaf()
        return 1

    client.box.defects.failures_without_cause = True
    try:
        action = client.run("cause.parent")
    finally:
        client.box.defects.reset()

    assert (action.error_info.code, action.error_info.kind) == ("UnknownRunFailure", KIND.KIND_SYSTEM)


def _family(box: Devbox) -> None:
    @box.task(name="restart.leaf", version="v1")
    def leaf(folder: str) -> str:
        first = not Path(folder, "leaf").exists()
        Path(folder, "leaf").touch()
        if first:
            time.sleep(60)
        return f"attempt {os.environ['FLYTE_ATTEMPT_NUMBER']}"

    @box.task(name="restart.quick", version="v1")
    def quick() -> str:
        return str(os.getpid())

    def body(folder: str) -> str:
        return f"{quick()} {leaf(folder)}"

    @box.task(name="restart.parent", version="v1", retries=1)
    def parent(folder: str) -> str:
        return body(folder)

    @box.task(name="restart.last", version="v1")
    def last(folder: str) -> str:
        return body(folder)


@pytest.mark.parametrize(("which", "ends"), [("restart.parent", True), ("restart.last", False)])
def test_a_restarted_devbox_takes_up_families(tmp_path: Path, which: str, ends: bool) -> None:
    state, marks = tmp_path / "state", tmp_path / "marks"
    marks.mkdir()
    with Devbox(state=state) as box:
        _family(box)
        client = Client(box)
        run = client.create(which, folder=str(marks))
        assert wait_for((marks / "leaf").exists)
        quick_before, _ = client.children(run)

    with Devbox(state=state) as box:
        client = Client(box)
        if ends:
            action = client.until(run, P.ACTION_PHASE_SUCCEEDED)
            quick, leaf = client.children(run)
            # What was done is taken over, and what was interrupted gets one more attempt.
            pid = client.outputs(quick_before)["o0"]
            assert client.outputs(action) == {"o0": f"{pid} attempt 1"}
            assert (len(action.attempts), len(quick.attempts), len(leaf.attempts)) == (2, 1, 2)
        else:
            action = client.until(run, P.ACTION_PHASE_FAILED)
            assert action.error_info.message == "the devbox stopped while attempt 1 ran"
            _, leaf = client.children(run)
            assert leaf.status.phase == P.ACTION_PHASE_ABORTED
            assert len(leaf.attempts) == 1
