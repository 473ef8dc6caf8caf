"""A deployed task, and the answers of a server that launches it."""

from __future__ import annotations

from typing import Any

from fakes import FakeChannel

from flyte_lite._client import Client
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.core import types_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.task import task_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

INT, STR = types_pb2.LiteralType(simple=1), types_pb2.LiteralType(simple=3)
NONE = types_pb2.LiteralType(simple=0)
MAYBE_INT = types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=[INT, NONE]))


def a_task(version: str = "v1") -> task_service_pb2.GetTaskDetailsResponse:
    """add(x: int, y: str = "dflt", z: int | None)"""
    answer = task_service_pb2.GetTaskDetailsResponse()
    task_id = answer.details.task_id
    task_id.project, task_id.domain, task_id.name, task_id.version = "p", "d", "env.add", version
    interface = answer.details.spec.task_template.interface
    for name, kind in (("x", INT), ("y", STR), ("z", MAYBE_INT)):
        interface.inputs.variables.add(key=name).value.type.CopyFrom(kind)
    default = answer.details.spec.default_inputs.add(name="y")
    default.parameter.default.scalar.primitive.string_value = "dflt"
    return answer


def created(request: run_service_pb2.CreateRunRequest) -> run_service_pb2.CreateRunResponse:
    answer = run_service_pb2.CreateRunResponse()
    answer.run.action.id.name = "a0"
    answer.run.action.id.run.CopyFrom(request.run_id)
    answer.run.action.status.phase = 1
    return answer


def existing(request: run_service_pb2.GetRunDetailsRequest) -> run_service_pb2.GetRunDetailsResponse:
    answer = run_service_pb2.GetRunDetailsResponse()
    answer.details.action.id.name = "a0"
    answer.details.action.id.run.CopyFrom(request.run_id)
    answer.details.action.status.phase = 5
    return answer


def stored() -> dataproxy_service_pb2.UploadInputsResponse:
    answer = dataproxy_service_pb2.UploadInputsResponse()
    answer.offloaded_input_data.uri = "s3://b/i"
    answer.offloaded_input_data.inputs_hash = "h"
    return answer


def launchable() -> FakeChannel:
    """A server on which `env.add` is deployed."""
    channel = FakeChannel()
    channel.on("TaskService/GetTaskDetails", a_task())
    channel.on("ClusterService/SelectCluster", payload_pb2.SelectClusterResponse(cluster_endpoint="http://fake:80"))
    channel.on("DataProxyService/UploadInputs", stored())
    channel.on("RunService/CreateRun", created)
    return channel


def client(channel: FakeChannel) -> Client:
    return Client._over(channel.session())


def launch(channel: FakeChannel, *args: Any, **inputs: Any) -> Any:
    mine = client(channel)
    return mine.run(mine.tasks.get("env.add", version="v1"), *args, **inputs)


def plain(literals: Any) -> dict[str, Any]:
    found = {}
    for item in literals:
        primitive = item.value.scalar.union.value.scalar if item.value.scalar.HasField("union") else item.value.scalar
        kind = primitive.WhichOneof("value")
        value = primitive.primitive
        found[item.name] = None if kind == "none_type" else getattr(value, value.WhichOneof("value"))
    return found
