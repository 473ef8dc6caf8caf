"""What a user puts around calls, through `create_channel`, against a devbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flyte_lite import Client, errors
from flyte_lite._rpc.call import Call, Proceed, Result
from flyte_lite.devbox import Devbox
from flyte_lite.remote import create_channel

TASK = "greetings.hello"


@pytest.fixture
def box() -> Iterator[Devbox]:
    """One that nobody else calls."""
    with Devbox() as box:

        @box.task(name=TASK, version="v1")
        def hello(name: str) -> str:
            return f"hello {name}"

        yield box


def client_of(box: Devbox, **options: Any) -> Client:
    channel = create_channel(box.endpoint, **options)
    return Client(channel=channel, project="flytesnacks", domain="development")


def test_they_stand_around_each_call_in_order(box: Devbox) -> None:
    seen: list[str] = []

    def outer(call: Call, proceed: Proceed) -> Result:
        seen.append(f"outer {call.method} {call.kind}")
        call.headers["x-team"] = ["ml"]
        return proceed(call)

    def inner(call: Call, proceed: Proceed) -> Result:
        seen.append(f"inner {call.headers['x-team'][0]}")
        return proceed(call)

    with client_of(box, interceptors=[outer, inner]) as client:
        task = client.tasks.get(TASK, version="v1")
        run = client.run(task, name="Ada")
        run.wait(timeout=60)

    assert seen[0].startswith("outer TaskService/GetTaskDetails unary")
    assert seen[1] == "inner ml"
    (asked,) = box.calls.of("RunService/CreateRun")
    assert asked.headers["x-team"] == "ml"


def test_one_may_answer_itself(box: Devbox) -> None:
    def refuse(call: Call, proceed: Proceed) -> Result:
        raise errors.PermissionDeniedError("not on Fridays", errors.Code.PERMISSION_DENIED)

    with client_of(box, interceptors=[refuse]) as client, pytest.raises(errors.PermissionDeniedError, match="Fridays"):
        client.runs.get("r1")

    assert box.calls.of("RunService/GetRunDetails") == []


def test_reads_go_by_get_if_that_is_asked_for(box: Devbox) -> None:
    with client_of(box, get=True) as client:
        run = client.run(client.tasks.get(TASK, version="v1"), name="Ada")
        client.runs.get(run.name)

    assert {call.protocol for call in box.calls.of("RunService/GetRunDetails")} == {"connect GET"}
    assert {call.protocol for call in box.calls.of("RunService/CreateRun")} == {"connect"}
