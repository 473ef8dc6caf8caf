"""Several clients in one process: each object stays with the server that it came from, whatever the default is."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest

import flyte_lite as flyte
from flyte_lite import Client, _session, remote, union
from flyte_lite.devbox import Devbox
from flyte_lite.errors import FlyteLiteError

PROJECT, DOMAIN = "flytesnacks", "development"
# What waits for a debugger, what ends a run that others read, and what is no question.
LEFT_OUT = {"get_debug_url", "bind", "abort", "cancel"}


class Boxes(NamedTuple):
    """Two servers with a task of one name; `mine` is whose objects are tried."""

    mine: Devbox
    other: Devbox


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with Devbox() as mine, Devbox() as other:
        for box, word in ((mine, "mine"), (other, "other")):

            def task_of(box: Devbox = box, word: str = word) -> None:
                @box.task(name="several.say", version="v1")
                def say(name: str) -> str:
                    print(f"{word} says {name}")
                    return f"{word} {name}"

            task_of()
        yield Boxes(mine, other)


@pytest.fixture(autouse=True)
def no_default() -> Iterator[None]:
    yield
    _session.set_default(None)


@pytest.fixture(scope="module")
def finished(boxes: Boxes) -> str:
    with Client(boxes.mine.endpoint, project=PROJECT, domain=DOMAIN) as client:
        run = client.run(client.tasks.get("several.say", version="v1"), name="Ada")
        run.wait(timeout=60)
        return str(run.name)


def of_union(client: Client, make: Callable[[], Any]) -> Any:
    """An object that knows nothing but the default, which is this client's while it is made."""
    _session.set_default(client._session)
    return make()


KINDS: dict[str, Callable[[Client, str], Any]] = {
    "Run": lambda client, name: client.runs.get(name),
    "Run of init": lambda client, name: of_union(client, lambda: remote.Run.get(name)),
    "Run that was launched": lambda client, _: client.run(client.tasks.get("several.say", version="v1"), name="Bo"),
    "RunDetails": lambda client, name: client.runs.get(name).details(),
    "Action": lambda client, name: client.actions.get(run_name=name),
    "Action of a run": lambda client, name: client.runs.get(name).action,
    "ActionDetails": lambda client, name: client.actions.get(run_name=name).details(),
    "Task": lambda client, _: next(iter(client.tasks.listall(by_task_name="several.say"))),
    "LazyEntity": lambda client, _: client.tasks.get("several.say", version="v1"),
    "LazyEntity of the latest": lambda client, _: client.tasks.get("several.say", auto_version="latest"),
    "LazyEntity with overrides": lambda client, _: client.tasks.get("several.say", version="v1").override(queue="q"),
    "TaskDetails": lambda client, _: client.tasks.get("several.say", version="v1").fetch(),
    "outputs": lambda client, name: client.runs.get(name).outputs(),
    "inputs": lambda client, name: client.runs.get(name).inputs(),
    "with_runcontext": lambda client, _: client.with_runcontext(labels={"a": "b"}),
    "union Run": lambda client, name: of_union(client, lambda: union.remote.Run.get(name)),
    "union Task": lambda client, _: of_union(client, lambda: union.remote.Task.get("several.say")),
    "scoped client": lambda client, _: client.scoped(timeout=20),
    "bound class": lambda client, _: client.runs,
}
# Not only what takes no arguments.
CALLS: dict[str, Callable[[Any, str], Any]] = {
    "Run": lambda run, _: run.wait(quiet=True, timeout=30),
    "Run that was launched": lambda run, _: run.abort("enough"),
    "LazyEntity": lambda task, _: task.override(short_name="s").fetch(),
    "with_runcontext": lambda context, _: context.run(
        context._session and Client._over(context._session).tasks.get("several.say", version="v1"), name="Cy"
    ),
    "scoped client": lambda client, name: [client.runs.get(name), list(client.runs.listall(limit=3))],
    "bound class": lambda runs, name: [runs.get(name).action.details(), list(runs.listall(limit=3))],
}


def used(thing: Any, name: str) -> int:
    """Read all its properties, call all that needs no arguments, take all that is iterated; how much there was."""
    if isinstance(thing, (type, Client)):
        return 0
    count = 0
    # A class's own methods are the class's, whose session is the default.
    members = [
        each
        for each in dir(type(thing))
        if not each.startswith("_")
        and each not in LEFT_OUT
        and not isinstance(inspect.getattr_static(thing, each), (classmethod, staticmethod))
    ]
    for member in members:
        with contextlib.suppress(FlyteLiteError, FileExistsError, IndexError, KeyError, StopIteration):
            value = getattr(thing, member)
            count += 1
            if callable(value) and not inspect.isclass(value) and not needs_arguments(value):
                value = value()
            if isinstance(value, Iterator):
                for _ in zip(value, range(3)):
                    pass
    return count


def needs_arguments(function: Any) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        # Of a tuple or a dict.
        return True
    return any(
        each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_never_asks_the_default(
    kind: str, boxes: Boxes, finished: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Client(boxes.mine.endpoint, project=PROJECT, domain=DOMAIN) as client:
        thing = KINDS[kind](client, finished)
        # Another project, too: what took its scope from there would be found out by the same call.
        with flyte.init(endpoint=boxes.other.endpoint, project="elsewhere", domain="production"):
            before, asked = len(boxes.other.calls), len(boxes.mine.calls)
            used(thing, finished)
            if kind in CALLS:
                CALLS[kind](thing, finished)
            repr(thing)

            assert [call.rpc for call in list(boxes.other.calls)[before:]] == []
            for call in list(boxes.mine.calls)[asked:]:
                assert "elsewhere" not in str(call.request)


@pytest.mark.parametrize("kind", ["Run", "RunDetails", "Action", "ActionDetails", "LazyEntity", "union Run"])
def test_what_an_object_asks_reaches_its_own_server(kind: str, boxes: Boxes, finished: str, tmp_path: Path) -> None:
    """What is shown above would also hold of objects that ask nobody."""
    with Client(boxes.mine.endpoint, project=PROJECT, domain=DOMAIN) as client:
        thing = KINDS[kind](client, finished)
        with flyte.init(endpoint=boxes.other.endpoint, project="elsewhere", domain="production"):
            before = len(boxes.mine.calls)
            assert used(thing, finished) > 1
            assert len(boxes.mine.calls) > before


ITERATORS: dict[str, Callable[[Client, str], Iterator[Any]]] = {
    "runs": lambda client, _: client.runs.listall(limit=2),
    "actions": lambda client, name: client.actions.listall(for_run_name=name),
    "tasks": lambda client, _: client.tasks.listall(),
    "logs": lambda client, name: client.runs.get(name).get_logs(),
    "watching": lambda client, name: client.runs.get(name).watch(),
    "as_completed": lambda client, name: client.as_completed([name]),
    "union runs": lambda client, _: of_union(client, union.remote.Run.search),
    "union tasks": lambda client, _: of_union(client, union.remote.Task.search),
    "runs of init": lambda client, _: of_union(client, lambda: remote.Run.listall(limit=2)),
    "runs of init that are waited for": lambda client, name: of_union(client, lambda: flyte.as_completed([name])),
}


@pytest.mark.parametrize("kind", ITERATORS)
def test_an_iterator_goes_on_where_it_was_made(kind: str, boxes: Boxes, finished: str) -> None:
    with Client(boxes.mine.endpoint, project=PROJECT, domain=DOMAIN) as client:
        going_on = ITERATORS[kind](client, finished)
        with flyte.init(endpoint=boxes.other.endpoint, project="elsewhere", domain="production"):
            before = len(boxes.other.calls)

            found = [each for each, _ in zip(going_on, range(5))]

            assert found
            assert len(boxes.other.calls) == before
            # Nor does what came of it.
            for each in found:
                repr(each)
                if hasattr(each, "sync"):
                    each.sync()
            assert len(boxes.other.calls) == before


def test_two_servers_at_once_each_in_threads(boxes: Boxes) -> None:
    """Threads of both take turns with one default that changes all the time."""
    stop = threading.Event()

    def change_the_default() -> None:
        while not stop.wait(0.005):
            for box in boxes:
                flyte.init(endpoint=box.endpoint, project="nobody", domain="nowhere")

    clients = {
        (box, domain): Client(box.endpoint, project=PROJECT, domain=domain)
        for box in boxes
        for domain in ("staging", "production")
    }
    before = {box: len(box.calls) for box in boxes}

    def work(place: tuple[Devbox, str], nth: int) -> str:
        client = clients[place]
        run = client.run(client.tasks.get("several.say", version="v1", domain=DOMAIN), name=f"{place[1]}{nth}")
        run.wait(quiet=True, timeout=60)
        assert run.pb2.action.id.run.domain == place[1]
        assert any(each.name == run.name for each in client.runs.listall(limit=20))
        return str(run.outputs()[0])

    changing = threading.Thread(target=change_the_default)
    changing.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            jobs = {(place, nth): pool.submit(work, place, nth) for place in clients for nth in range(2)}
            said = {job: future.result(timeout=120) for job, future in jobs.items()}
    finally:
        stop.set()
        changing.join()
        for client in clients.values():
            client.close()

    words = {boxes.mine: "mine", boxes.other: "other"}
    assert said == {((box, domain), nth): f"{words[box]} {domain}{nth}" for (box, domain), nth in jobs}
    for box in boxes:
        launched = [call.request for call in list(box.calls)[before[box] :] if call.rpc == "RunService/CreateRun"]
        assert sorted(each.run_id.domain for each in launched) == ["production"] * 2 + ["staging"] * 2
        assert all("nobody" not in str(call.request) for call in list(box.calls)[before[box] :])


def test_two_organizations_at_once_each_in_threads(boxes: Boxes) -> None:
    """Clients of one server that share their connections, and say each its own organization with each call."""
    whole = Client(boxes.mine.endpoint, project=PROJECT, domain=DOMAIN)
    clients = {org: whole.scoped(org=org) for org in ("acme", "beta")}
    before = len(boxes.mine.calls)

    def work(org: str) -> None:
        for _ in range(10):
            list(clients[org].runs.listall(limit=1))

    with whole, ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work, org) for org in clients for _ in range(4)]:
            future.result(timeout=60)

    asked = [call.request for call in list(boxes.mine.calls)[before:] if call.rpc == "RunService/ListRuns"]
    orgs = [request.project_id.organization or request.org for request in asked]
    assert sorted(orgs) == ["acme"] * 40 + ["beta"] * 40
