"""The services: a request message in, a response message out. No HTTP, no SQL.

What they refuse they raise (`_refusal`), with the real server's codes and, where a person reads them, its texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from google.protobuf import descriptor_pb2

from flyte_lite.devbox.services.auth_metadata import AuthMetadataService
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.cluster import ClusterService
from flyte_lite.devbox.services.dataproxy import DataProxyService
from flyte_lite.devbox.services.identity import IdentityService
from flyte_lite.devbox.services.internal_run import EventsProxyService, InternalRunService
from flyte_lite.devbox.services.project import ProjectService
from flyte_lite.devbox.services.run import RunService
from flyte_lite.devbox.services.settings import SettingsService
from flyte_lite.devbox.services.task import TaskService
from flyte_lite.devbox.services.trigger import TriggerService
from flyte_lite.idl import message_class
from flyte_lite.idl._pool import pool

if TYPE_CHECKING:
    from google.protobuf.descriptor import ServiceDescriptor
    from google.protobuf.message import Message

    from flyte_lite.devbox.guard import Guard
    from flyte_lite.devbox.object_store import ObjectStore
    from flyte_lite.devbox.services.run import Executor
    from flyte_lite.devbox.state import State

__all__ = ["Call", "Rpc", "rpcs"]


class Rpc(NamedTuple):
    """One RPC that is served.

    Attributes:
        name: Service and method, such as "RunService/GetRunDetails".
        request: The class of its request.
        handle: Answers it: with a message or, if it streams, with an iterator of them.
        streams: Whether it answers with any number of messages.
        both_ways: Whether the caller sends any number too, for which HTTP/1.1 will not do. `handle` is not called.
        by_get: Whether Connect's GET may be used for it.
    """

    name: str
    request: type[Message]
    handle: Callable[[Any, Call], Any]
    streams: bool = False
    both_ways: bool = False
    by_get: bool = False


def rpcs(state: State, executor: Executor, store: ObjectStore, guard: Optional[Guard] = None) -> Mapping[str, Rpc]:
    """Every RPC that is served, by its path."""
    services = (
        ProjectService(state),
        TaskService(state),
        RunService(state, executor),
        DataProxyService(state, store),
        ClusterService(),
        IdentityService(),
        AuthMetadataService(guard),
        TriggerService(state),
        SettingsService(state),
        InternalRunService(state),
        EventsProxyService(state),
    )
    found = {}
    for service in services:
        described = pool().FindServiceByName(service.name)
        kinds = _kinds(described)
        handlers = service.handlers()
        for method in described.methods:
            kind = kinds[method.name]
            handle = handlers.pop(method.name, None)
            if handle is None and not kind.client_streaming:
                continue
            found[f"/{service.name}/{method.name}"] = Rpc(
                f"{described.name}/{method.name}",
                message_class(method.input_type.full_name),
                handle or _by_http2,
                streams=kind.server_streaming,
                both_ways=kind.client_streaming,
                by_get=_no_side_effects(kind) and not kind.server_streaming,
            )
        assert not handlers, f"{service.name} has no {', '.join(handlers)}"
    return found


def _kinds(service: ServiceDescriptor) -> dict[str, descriptor_pb2.MethodDescriptorProto]:
    # The descriptors themselves do not tell on older protobuf, nor can each be copied on the pure Python one.
    file = descriptor_pb2.FileDescriptorProto.FromString(service.file.serialized_pb)
    (found,) = [described for described in file.service if described.name == service.name]
    return {method.name: method for method in found.method}


def _no_side_effects(kind: descriptor_pb2.MethodDescriptorProto) -> bool:
    return kind.options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS


def _by_http2(_: Any, __: Call) -> None:
    raise AssertionError("never called over HTTP/1.1")
