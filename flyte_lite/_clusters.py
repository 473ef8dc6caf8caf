"""Which cluster answers a call, on hosted servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

from flyte_lite._clock import Deadline
from flyte_lite._connection import may_be_shown
from flyte_lite._rpc.method import Method
from flyte_lite.config import Endpoint
from flyte_lite.errors import CallError, Code, ConfigError, ConnectFailedError, EndpointError, TlsError
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.cluster import service_pb2 as cluster_pb2
from flyte_lite.idl.flyteidl2.common import identifier_pb2

if TYPE_CHECKING:
    from flyte_lite._rpc.channel import Channel

_ROUTE_SECONDS = 300.0

_SELECT_CLUSTER: Method[payload_pb2.SelectClusterRequest, payload_pb2.SelectClusterResponse] = Method(
    cluster_pb2, "ClusterService", "SelectCluster", safe=True
)


class Route(NamedTuple):
    """A call that a cluster answers, on hosted servers.

    Attributes:
        operation: Number in `flyteidl2.cluster.SelectClusterRequest.Operation`.
        project: Which project's cluster.
        domain: In which domain.
        action: The action concerned; None asks for the project.
    """

    operation: int
    project: str
    domain: str
    action: Optional[identifier_pb2.ActionIdentifier] = None


class Clusters:
    """Which channel leads to the cluster of a route. Asked once for each operation and project, kept 5 minutes."""

    def __init__(self, control_plane: Channel) -> None:
        self._control_plane = control_plane
        # No lock, which a fork could leave locked: each step on a dict is atomic, and two threads may well ask twice.
        self._found: dict[tuple[int, str, str, str], tuple[float, Channel]] = {}
        self._channels: dict[Endpoint, Channel] = {}

    def channel_for(self, route: Route, org: str, deadline: Deadline) -> Channel:
        """Ask the control plane, unless it is known; a server that knows no clusters answers everything itself."""
        now = self._control_plane.clock.monotonic()
        until, channel = self._found.get(_key(route, org), (0.0, self._control_plane))
        if now < until:
            return channel
        request = payload_pb2.SelectClusterRequest(operation=route.operation)  # type: ignore[arg-type]
        if route.action is not None:
            request.action_id.CopyFrom(route.action)
        else:
            project = identifier_pb2.ProjectIdentifier(organization=org, domain=route.domain, name=route.project)
            request.project_id.CopyFrom(project)
        try:
            answer = self._control_plane.unary(_SELECT_CLUSTER, request, deadline=deadline).message
            channel = self._channel(answer.cluster_endpoint)
        except CallError as error:
            if error.code is not Code.UNIMPLEMENTED:
                raise
            channel = self._control_plane
        self._found[_key(route, org)] = (now + _ROUTE_SECONDS, channel)
        return channel

    def failed(self, route: Route, org: str, channel: Channel, error: CallError) -> None:
        """Ask again next time, if the cluster may be gone for good; and say whose word it is that it is there."""
        if error.code is Code.UNAVAILABLE:
            self._found.pop(_key(route, org), None)
        ours, at, note = self._control_plane, channel.origin, ""
        if channel is not ours and isinstance(error, (ConnectFailedError, EndpointError, TlsError)):
            note = f"{ours.origin} names {at} as its cluster; a reverse proxy before it has to pass on the header Host"
        elif error.code is Code.UNAUTHENTICATED and ours.credentials and not channel.credentials:
            note = f"no token is shown to its cluster {at}, as plain http was asked for {ours.origin} alone"
        if note:
            error.message += f". {note}"
            error.args = (error.message,)

    def _channel(self, text: str) -> Channel:
        if not text:
            return self._control_plane
        ours = self._control_plane.origin
        # A cluster named without a scheme is spoken to as the control plane is.
        try:
            found = Endpoint.parse(text, insecure=ours.scheme == "http")
        except ConfigError as error:
            # It is no setting of the user's that is wrong.
            raise EndpointError(
                f"the server named a cluster that is no address: {error.message}", Code.INTERNAL
            ) from None
        if ours.scheme == "https" and found.scheme == "http":
            # Behind a TLS proxy a server may believe that it is spoken to in clear; tokens must not be.
            found = found._replace(scheme="https", port=443 if found.port == 80 else found.port)
        if found.host == ours.host and found.port == ours.port:
            return self._control_plane
        if found not in self._channels:
            shows = self._control_plane.credentials is None or may_be_shown(found, ours)
            self._channels[found] = self._control_plane.to(*found, shows=shows)
        return self._channels[found]


def _key(route: Route, org: str) -> tuple[int, str, str, str]:
    # Whatever the action, its project's cluster has it.
    return route.operation, route.project, route.domain, org
