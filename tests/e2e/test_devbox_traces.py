"""Calls of traced functions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from devbox_client import Client

from flyte_lite.devbox import Devbox, group, trace
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

P = phase_pb2
KIND = run_definition_pb2.ErrorInfo


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Devbox() as box:
        yield Client(box)


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
