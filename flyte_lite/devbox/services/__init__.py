"""The services: a request message in, a response message out. No HTTP, no SQL.

What they refuse they raise (`_refusal`), with the real server's codes and, where a person reads them, its texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from flyte_lite.devbox.services.auth_metadata import AuthMetadataService
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.cluster import ClusterService
from flyte_lite.devbox.services.dataproxy import DataProxyService
from flyte_lite.devbox.services.identity import IdentityService
from flyte_lite.devbox.services.project import ProjectService
from flyte_lite.devbox.services.run import RunService
from flyte_lite.devbox.services.task import TaskService
from flyte_lite.idl import message_class
from flyte_lite.idl._pool import pool

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from flyte_lite.devbox.services.run import Executor
    from flyte_lite.devbox.state import State

__all__ = ["Call", "Rpc", "rpcs"]


class Rpc(NamedTuple):
    """One RPC that is served.

    Attributes:
        request: The class of its request.
        handle: Answers it.
    """

    request: type[Message]
    handle: Callable[[Any, Call], Message]


def rpcs(state: State, executor: Executor) -> Mapping[str, Rpc]:
    """Every RPC that is served, by its path."""
    services = (
        ProjectService(state),
        TaskService(state),
        RunService(state, executor),
        DataProxyService(state),
        ClusterService(),
        IdentityService(),
        AuthMetadataService(),
    )
    found = {}
    for service in services:
        described = pool().FindServiceByName(service.name)
        for name, handle in service.handlers().items():
            request = message_class(described.methods_by_name[name].input_type.full_name)
            found[f"/{service.name}/{name}"] = Rpc(request, handle)
    return found
