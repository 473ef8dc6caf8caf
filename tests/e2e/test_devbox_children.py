"""Tasks of the devbox that call other tasks: what is told of them, how they fail, end, repeat, and share workers."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

import pytest
from devbox_client import Client, alive, steps, tell, wait_for

from flyte_lite import errors
from flyte_lite.devbox import Devbox, group, task, trace
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.core import catalog_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

P = phase_pb2
KIND = run_definition_pb2.ErrorInfo


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Devbox() as box:
        yield Client(box)


@dataclass
class Point:
    x: int
    tags: list[str]


class Pair(NamedTuple):
    left: int
    point: Point


def test_a_call_of_a_task_is_an_action_of_the_run(client: Client) -> None:
    @client.box.task(name="kin.double", version="v1")
    def double(n: int, by: int = 2) -> int:
        """Twice as much."""
        print("doubling", n)
        return n * by

    @client.box.task(name="kin.parent", version="v1")
    def parent(n: int) -> int:
        with group("both"):
            first = double(n)
        return first + double(n=n, by=3)

    action = client.run("kin.parent", n=5)

    run = action.id.run.name
    assert client.outputs(action) == {"o0": 25}
    assert action.status.attempts == 1
    first, second = client.children(run)
    assert (first.metadata.parent, first.metadata.group) == ("a0", "both")
    assert (second.metadata.parent, second.metadata.group) == ("a0", "")
    for child, outputs in ((first, 10), (second, 15)):
        (attempt,) = child.attempts
        assert len(child.id.name) == 25
        assert child.metadata.action_type == run_definition_pb2.ACTION_TYPE_TASK
        assert (child.metadata.task.id.name, child.metadata.task.short_name) == ("kin.double", "double")
        assert child.metadata.environment_name == ""
        assert child.task.task_template.id.org == "local"
        assert not child.task.HasField("environment")
        assert not child.task.default_inputs
        assert steps(attempt) == ["QUEUED", "INITIALIZING", "RUNNING", "SUCCEEDED"]
        assert attempt.outputs.output_uri.endswith(f"/flytesnacks/development/{run}/{child.id.name}/1/outputs.pb")
        assert client.outputs(child) == {"o0": outputs}
        assert client.box.logs(run, child.id.name) == ["doubling 5"]
    assert client.box.logs(run) == []


def test_the_same_calls_have_the_same_names_in_every_run(client: Client) -> None:
    @client.box.task(name="named.leaf", version="v1")
    def leaf(n: int) -> int:
        return n

    @client.box.task(name="named.parent", version="v1")
    def parent(n: int) -> int:
        with ThreadPoolExecutor(4) as pool:
            return sum(pool.map(leaf, [n, n, n + 1]))

    runs = [client.run("named.parent", n=n).id.run.name for n in (1, 1, 2)]

    one, again, other = ({child.id.name for child in client.children(run)} for run in runs)
    assert len(one) == 3
    assert one == again
    # One of them is called with what the others were called with.
    assert len(one & other) == 1


def test_values_arrive_as_their_classes(client: Client) -> None:
    @client.box.task(name="rich.move", version="v1")
    def move(point: Point, by: Optional[int] = None) -> Pair:
        assert type(point) is Point
        return Pair(by or 0, Point(point.x + (by or 1), [*point.tags, "moved"]))

    @client.box.task(name="rich.nothing", version="v1")
    def nothing() -> None:
        return None

    @client.box.task(name="rich.two", version="v1")
    def two() -> tuple[int, str]:
        return 1, "two"

    @client.box.task(name="rich.parent", version="v1")
    def parent() -> str:
        pair = move(Point(1, ["new"]), 4)
        assert isinstance(pair, Pair)
        assert isinstance(pair.point, Point)
        return f"{pair.left} {pair.point.x} {pair.point.tags} {nothing()} {two()}"

    action = client.run("rich.parent")
    assert client.outputs(action) == {"o0": "4 5 ['new', 'moved'] None (1, 'two')"}, action.error_info


def test_in_its_author_s_hands_a_task_is_the_function_it_was() -> None:
    box = Devbox()

    @box.task(name="plain.double", version="v1")
    def double(n: int) -> int:
        return 2 * n

    @task()
    def triple(n: int) -> int:
        with group("three"):
            return 3 * n

    assert double(2) == 4
    assert triple(2) == 6
    box.close()


def test_coroutines_wait_for_many_at_once(client: Client) -> None:
    @client.box.task(name="async.double", version="v1")
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    @client.box.task(name="async.triple", version="v1")
    def triple(n: int) -> int:
        return 3 * n

    @client.box.task(name="async.parent", version="v1")
    async def parent(n: int) -> int:
        with group("side by side"):
            found = await asyncio.gather(*(double(i) for i in range(n)), asyncio.to_thread(triple, n))
        return sum(found)

    action = client.run("async.parent", n=3)

    assert client.outputs(action) == {"o0": 0 + 2 + 4 + 9}, action.error_info
    assert {child.metadata.group for child in client.children(action.id.run.name)} == {"side by side"}


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


def test_threads_are_in_the_group_that_is_open(client: Client) -> None:
    @client.box.task(name="grouped.leaf", version="v1")
    def leaf(n: int) -> int:
        return n

    @client.box.task(name="grouped.parent", version="v1")
    def parent() -> int:
        with group("outer"), ThreadPoolExecutor(2) as pool:
            total = sum(pool.map(leaf, [1, 2]))
            with group("inner"):
                total += leaf(3)
        return total + leaf(4)

    children = client.children(client.run("grouped.parent").id.run.name)

    assert sorted(child.metadata.group for child in children) == ["", "inner", "outer", "outer"]


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


def test_what_can_t_be_called_is_named(client: Client) -> None:
    @task(name="absent.leaf", version="v7")
    def absent(n: int) -> int:
        return n

    @client.box.task(name="present.leaf", version="v1")
    def present(n: int) -> int:
        return n

    @client.box.task(name="absent.parent", version="v1")
    def parent(how: str) -> str:
        try:
            if how == "absent":
                absent(1)
            elif how == "missing":
                present()  # type: ignore[call-arg]
            elif how == "unknown":
                present(1, m=2)  # type: ignore[call-arg]
            else:
                present("one")  # type: ignore[arg-type]
        except (errors.RemoteTaskNotFoundError, errors.InputsError) as error:
            return str(error)
        return "?"

    def told(how: str) -> str:
        text = client.outputs(client.run("absent.parent", how=how))["o0"]
        assert isinstance(text, str)
        return text

    assert told("absent") == (
        "task absent.leaf version v7 is not deployed in flytesnacks/development, so absent.parent can't call it"
    )
    assert "task present.leaf can't be run with these inputs: missing a required argument: 'n'" in told("missing")
    assert "unexpected keyword argument 'm'" in told("unknown")
    assert "n: expected int, got str 'one'" in told("wrong type")


def test_children_have_their_own_attempts_limits_and_cache(client: Client) -> None:
    @client.box.task(name="own.flaky", version="v1", retries=1)
    def flaky() -> str:
        number = os.environ["FLYTE_ATTEMPT_NUMBER"]
        if number == "0":
            raise RuntimeError("not yet")
        return number

    @client.box.task(name="own.slow", version="v1", timeout=0.5)
    def slow() -> None:
        time.sleep(60)

    @client.box.task(name="own.cached", version="v1", cache=True)
    def cached(n: int) -> int:
        return n

    @client.box.task(name="own.parent", version="v1")
    def parent() -> str:
        got = f"{flaky()} {cached(1)} {cached(1)}"
        try:
            slow()
        except errors.MaxRuntimeExceededError as error:
            return f"{got} {error.code}"
        return got

    action = client.run("own.parent")

    assert client.outputs(action) == {"o0": "1 1 1 MaxRuntimeExceededError"}, action.error_info
    first, populated, hit, late = client.children(action.id.run.name)
    assert len(first.attempts) == first.status.attempts == 2
    assert populated.status.cache_status == catalog_pb2.CACHE_POPULATED
    assert hit.status.cache_status == catalog_pb2.CACHE_HIT
    assert late.status.phase == P.ACTION_PHASE_TIMED_OUT


@pytest.mark.parametrize("workers", [1, 3])
def test_a_parent_lends_its_worker_to_its_children(workers: int) -> None:
    with Devbox(workers=workers) as box:
        client = Client(box)

        @box.task(name="deep.down", version="v1")
        def down(n: int) -> int:
            return 1 + down(n - 1) if n else 0

        @box.task(name="deep.wide", version="v1")
        def wide(n: int) -> int:
            with ThreadPoolExecutor(n) as pool:
                return sum(pool.map(down, [1] * n))

        runs = [client.create("deep.down", n=5), *(client.create("deep.wide", n=6) for _ in range(2))]

        found = [client.outputs(client.until(run, P.ACTION_PHASE_SUCCEEDED)) for run in runs]
        assert found == [{"o0": 5}, {"o0": 6}, {"o0": 6}]


def test_those_that_run_are_never_more_than_there_are_workers(tmp_path: Path) -> None:
    with Devbox(workers=2) as box:
        client = Client(box)

        @box.task(name="count.leaf", version="v1")
        def leaf(folder: str, n: int) -> int:
            mark = Path(folder, f"running{n}")
            mark.touch()
            time.sleep(0.1)
            running = len(list(Path(folder).glob("running*")))
            mark.unlink()
            return running

        @box.task(name="count.parent", version="v1")
        def parent(folder: str, n: int) -> int:
            with ThreadPoolExecutor(8) as pool:
                return max(pool.map(lambda each: leaf(folder, each), range(n, n + 8)))

        runs = [client.create("count.parent", folder=str(tmp_path), n=n) for n in (0, 10, 20)]

        most = [client.outputs(client.until(run, P.ACTION_PHASE_SUCCEEDED))["o0"] for run in runs]
        assert max(most) == 2


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


def test_only_the_task_s_own_process_can_call_others(client: Client) -> None:
    @client.box.task(name="forked.leaf", version="v1")
    def leaf() -> int:
        return 1

    @client.box.task(name="forked.parent", version="v1")
    def parent() -> str:
        reading, writing = os.pipe()
        if os.fork() == 0:
            try:
                leaf()
            except RuntimeError as error:
                os.write(writing, str(error).encode())
            os._exit(0)
        os.close(writing)
        return os.read(reading, 1000).decode()

    assert (
        "only the process that the devbox started can call other tasks"
        in client.outputs(client.run("forked.parent"))["o0"]
    )


def test_a_function_that_becomes_a_task_later_is_called_as_one(client: Client) -> None:
    def later(n: int) -> int:
        return 2 * n

    @client.box.task(name="later.parent", version="v1")
    def parent(n: int) -> int:
        return later(n)

    assert client.children(client.run("later.parent", n=1).id.run.name) == []
    client.box.task(name="later.leaf", version="v1")(later)

    (child,) = client.children(client.run("later.parent", n=1).id.run.name)
    assert child.metadata.task.id.name == "later.leaf"


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


def test_tasks_of_modules_are_called_wherever_they_are_met(client: Client, tmp_path: Path) -> None:
    (tmp_path / "steps_of_children.py").write_text(
        "from flyte_lite.devbox import task\n"
        "@task(version='v1')\n"
        "def title(name: str) -> str:\n"
        "    return name.title()\n"
        "def helped(name):\n"
        "    return title(name)\n"
    )
    (tmp_path / "flows.py").write_text(
        "import functools\n"
        "import steps_of_children\n"
        "from flyte_lite.devbox import task\n"
        "from steps_of_children import helped\n"
        "@task(version='v1')\n"
        "def flow(name: str) -> str:\n"
        "    from steps_of_children import title\n"
        "    found = [title(name), steps_of_children.title(name), helped(name), partly(), later(name)]\n"
        "    return ' '.join(found)\n"
        "partly = functools.partial(steps_of_children.title, 'part')\n"
        "@task(version='v1')\n"
        "def later(name: str) -> str:\n"
        "    return 'later ' + name\n"
    )
    assert client.box.deploy(tmp_path / "flows.py") == ["flows.flow:v1", "flows.later:v1"]
    assert client.box.deploy(tmp_path / "steps_of_children.py") == ["steps_of_children.title:v1"]

    action = client.run("flows.flow", name="bob")

    assert client.outputs(action) == {"o0": "Bob Bob Bob Part later bob"}, action.error_info
    called = [child.metadata.task.id.name for child in client.children(action.id.run.name)]
    assert called == ["steps_of_children.title"] * 4 + ["flows.later"]


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


def test_a_traced_call_is_a_step_of_the_run(client: Client) -> None:
    @trace
    def square(n: int, by: int = 1) -> int:
        print("squaring", n)
        return n * n * by

    @trace
    async def cube(n: int) -> tuple[int, str]:
        return n**3, "cubed"

    @client.box.task(name="traced.plain", version="v1")
    def plain(n: int) -> int:
        return square(n) + square(n) + square(n, by=2)

    @client.box.task(name="traced.async", version="v1")
    async def async_one(n: int) -> str:
        with group("powers"):
            found = await asyncio.gather(cube(n), cube(n + 1))
        return str(found)

    assert square(3) == 9
    action = client.run("traced.plain", n=4)
    run = action.id.run.name
    assert client.outputs(action) == {"o0": 64}
    assert action.status.attempts == 1
    # They run where they are called.
    assert client.box.logs(run) == ["squaring 4"] * 3
    first, second, third = client.children(run)
    for step, outputs in ((first, 16), (second, 16), (third, 32)):
        assert step.status.phase == P.ACTION_PHASE_SUCCEEDED
        assert step.metadata.action_type == run_definition_pb2.ACTION_TYPE_TRACE
        assert step.metadata.trace.name == "square"
        assert not step.attempts
        assert client.data(step) == ({"n": 4, "by": outputs // 16}, {"o0": outputs})

    action = client.run("traced.async", n=2)
    assert client.outputs(action) == {"o0": "[(8, 'cubed'), (27, 'cubed')]"}
    assert [step.metadata.group for step in client.children(action.id.run.name)] == ["powers", "powers"]


def test_a_repeated_attempt_takes_over_what_was_traced(client: Client) -> None:
    @trace
    def once(n: int) -> int:
        return os.getpid()

    @trace
    def bad() -> None:
        raise ValueError("bad")

    @client.box.task(name="traced.again", version="v1", retries=1)
    def again() -> str:
        pid = once(1)
        if os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
            bad()
        return f"{pid} {os.getpid()} {once(2) == os.getpid()}"

    action = client.run("traced.again")

    before, now, fresh = client.outputs(action)["o0"].split()
    assert before != now
    assert fresh == "True"
    # What has failed is not told.
    assert [step.metadata.trace.name for step in client.children(action.id.run.name)] == ["once", "once"]


def test_a_traced_function_calls_no_tasks(client: Client) -> None:
    @client.box.task(name="traced.leaf", version="v1")
    def leaf() -> int:
        return 1

    @trace
    def calling() -> int:
        return leaf()

    @client.box.task(name="traced.parent", version="v1")
    def parent() -> int:
        return calling()

    action = client.run("traced.parent")

    assert action.error_info.code == "TraceDoesNotAllowNestedTasksError"
    assert "task traced.leaf is called in a function with @trace" in action.error_info.message
