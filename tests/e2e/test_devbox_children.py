"""Tasks of the devbox that call other tasks: what is told of them, whom they can call, and how they share workers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

import pytest
from devbox_client import Client, steps

from flyte_lite import errors
from flyte_lite.devbox import Devbox, group, task
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
    pytest.importorskip("msgpack")

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


def test_what_is_called_goes_before_what_waits_to_begin() -> None:
    with Devbox(workers=1) as box:
        client = Client(box)

        @box.task(name="first.leaf", version="v1")
        def leaf(n: int) -> int:
            return n

        @box.task(name="first.parent", version="v1")
        def parent() -> int:
            return leaf(1) + leaf(2)

        runs = [client.create("first.parent") for _ in range(3)]

        first, second, third = (client.until(run, P.ACTION_PHASE_SUCCEEDED) for run in runs)

        # So there is never more than one process that waits.
        for before, after in ((first, second), (second, third)):
            begun = after.attempts[0].phase_transitions[1].start_time
            assert before.attempts[0].end_time.ToNanoseconds() <= begun.ToNanoseconds()


def test_those_that_run_are_never_more_than_there_are_workers(tmp_path: Path) -> None:
    with Devbox(workers=2) as box:
        client = Client(box)

        @box.task(name="count.leaf", version="v1")
        def leaf(folder: str, n: int) -> int:
            mark = Path(folder, f"running{n}")
            mark.touch()
            time.sleep(0.2)
            running = len(list(Path(folder).glob("running*")))
            mark.unlink()
            return running

        @box.task(name="count.parent", version="v1")
        def parent(folder: str, n: int) -> int:
            with ThreadPoolExecutor(8) as pool:
                return max(pool.map(lambda each: leaf(folder, each), range(n, n + 8)))

        runs = [client.create("count.parent", folder=str(tmp_path), n=n) for n in (0, 10, 20)]

        most = [client.outputs(client.until(run, P.ACTION_PHASE_SUCCEEDED))["o0"] for run in runs]
        # On a busy machine, one may have ended before the next has begun.
        assert max(most) <= 2


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
