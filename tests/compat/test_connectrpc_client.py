"""Connect's own Python client against the devbox: another reading of the specification than ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from connectrpc.client import ConnectClientSync
from connectrpc.code import Code
from connectrpc.codec import proto_binary_codec, proto_json_codec
from connectrpc.compression.gzip import GzipCompression
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo
from connectrpc.protocol import ProtocolType
from flyteidl2.common import identifier_pb2, phase_pb2
from flyteidl2.project import project_service_pb2
from flyteidl2.workflow import run_service_pb2

from flyte_lite.devbox import Devbox

RUN = identifier_pb2.RunIdentifier(project="flytesnacks", domain="development", name="r1")
ROOT = identifier_pb2.ActionIdentifier(run=RUN, name="a0")


def method(service: str, name: str, request: Any, response: Any, reads: bool = False) -> MethodInfo[Any, Any]:
    level = IdempotencyLevel.NO_SIDE_EFFECTS if reads else IdempotencyLevel.UNKNOWN
    return MethodInfo(
        name=name, service_name=f"flyteidl2.{service}", input=request, output=response, idempotency_level=level
    )


GET_PROJECT = method(
    "project.ProjectService",
    "GetProject",
    project_service_pb2.GetProjectRequest,
    project_service_pb2.GetProjectResponse,
    reads=True,
)
WATCH = method(
    "workflow.RunService",
    "WatchActionDetails",
    run_service_pb2.WatchActionDetailsRequest,
    run_service_pb2.WatchActionDetailsResponse,
)
WATCH_RUNS = method(
    "workflow.RunService", "WatchRuns", run_service_pb2.WatchRunsRequest, run_service_pb2.WatchRunsResponse
)
CREATE = method("workflow.RunService", "CreateRun", run_service_pb2.CreateRunRequest, run_service_pb2.CreateRunResponse)


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="greetings.hello", version="v1")
        def hello() -> str:
            return "hello"

        yield box


@pytest.fixture(
    params=[
        (protocol, codec, packed)
        for protocol in (ProtocolType.CONNECT, ProtocolType.GRPC_WEB)
        for codec in ("proto", "json")
        for packed in (False, True)
    ],
    ids=lambda param: f"{param[0].name}-{param[1]}-{'gzip' if param[2] else 'identity'}",
)
def client(box: Devbox, request: pytest.FixtureRequest) -> Iterator[ConnectClientSync]:
    protocol, codec, packed = request.param
    box.faults.clear()
    box.calls.clear()
    client = ConnectClientSync(
        box.endpoint,
        protocol=protocol,
        codec=proto_json_codec() if codec == "json" else proto_binary_codec(),
        accept_compression=[GzipCompression()] if packed else [],
        send_compression=GzipCompression() if packed else None,
    )
    yield client
    spoken = {"connect", "connect GET"} if protocol is ProtocolType.CONNECT else {"grpc-web"}
    assert {call.protocol for call in box.calls} <= spoken
    assert {call.codec for call in box.calls} == {codec}


def project(client: ConnectClientSync, id: str, **options: Any) -> str:
    asked = project_service_pb2.GetProjectRequest(id=id)
    answer = client.execute_unary(request=asked, method=GET_PROJECT, **options)
    return str(answer.project.name)


def test_a_unary_call(client: ConnectClientSync) -> None:
    assert project(client, "flytesnacks") == "flytesnacks"


def test_a_unary_call_by_get(box: Devbox, client: ConnectClientSync) -> None:
    assert project(client, "flytesnacks", use_get=True) == "flytesnacks"
    assert box.calls[-1].protocol in ("connect GET", "grpc-web")


def test_an_error(client: ConnectClientSync) -> None:
    with pytest.raises(ConnectError, match="project not found: n%\u00f6pe") as caught:
        project(client, "n%\u00f6pe")
    assert caught.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("code", list(Code))
def test_every_code(box: Devbox, client: ConnectClientSync, code: Code) -> None:
    box.faults.on("ProjectService/GetProject").fail(code.value, f"it is {code.value}", times=1)
    with pytest.raises(ConnectError, match=f"it is {code.value}") as caught:
        project(client, "flytesnacks")
    assert caught.value.code is code


def test_a_stream_to_its_end(box: Devbox, client: ConnectClientSync) -> None:
    creation = run_service_pb2.CreateRunRequest(
        project_id={"name": "flytesnacks", "domain": "development"},
        task_id={"project": "flytesnacks", "domain": "development", "name": "greetings.hello", "version": "v1"},
    )
    created = client.execute_unary(request=creation, method=CREATE)
    watched = run_service_pb2.WatchActionDetailsRequest(action_id=created.run.action.id)
    details = [
        message.details for message in client.execute_server_stream(request=watched, method=WATCH, timeout_ms=20_000)
    ]

    assert details[-1].attempts[-1].phase == phase_pb2.ACTION_PHASE_SUCCEEDED
    assert len(box.calls.of("RunService/WatchActionDetails")[-1].responses) == len(details) > 1


def test_an_error_at_the_beginning_of_a_stream(client: ConnectClientSync) -> None:
    watched = run_service_pb2.WatchActionDetailsRequest(action_id=ROOT)
    with pytest.raises(ConnectError, match="action not found") as caught:
        list(client.execute_server_stream(request=watched, method=WATCH))
    assert caught.value.code is Code.NOT_FOUND


def test_an_error_in_the_middle_of_a_stream(box: Devbox, client: ConnectClientSync) -> None:
    box.faults.on("RunService/WatchRuns").end_after(1, "unavailable", "gone", times=1)
    test_a_stream_to_its_end(box, client)
    watched = run_service_pb2.WatchRunsRequest(project_id={"name": "flytesnacks", "domain": "development"})
    messages = client.execute_server_stream(request=watched, method=WATCH_RUNS, timeout_ms=20_000)

    assert next(messages).runs
    with pytest.raises(ConnectError, match="gone") as caught:
        next(messages)
    assert caught.value.code is Code.UNAVAILABLE


def test_a_deadline(box: Devbox, client: ConnectClientSync) -> None:
    box.faults.on("ProjectService/GetProject").delay(30, times=1)
    began = time.monotonic()
    with pytest.raises(ConnectError) as caught:
        project(client, "flytesnacks", timeout_ms=200)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 5
