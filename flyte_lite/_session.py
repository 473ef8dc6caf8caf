"""A session is a channel, the scope that requests are about, and the limits of a call. The process may have a default.

Who is called, and with which project and domain, is settled where a public method begins: it takes the session of its
bound class, or the default that `init` set, and hands it down. Nothing below asks for the default again. There is no
context variable: it would not reach the threads of an executor, and could reach the wrong cluster unseen.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from flyte_lite._clock import Cancel, Clock, Deadline, is_length
from flyte_lite._connection import channel_of, console_of, may_be_shown
from flyte_lite._rpc.method import Method, Req, Res
from flyte_lite.config import Config, Endpoint
from flyte_lite.config._config import BESIDE_CHANNEL
from flyte_lite.errors import (
    CallError,
    Code,
    ConfigError,
    ConnectFailedError,
    EndpointError,
    NotInitializedError,
    TlsError,
)
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.cluster import service_pb2 as cluster_pb2
from flyte_lite.idl.flyteidl2.common import identifier_pb2

if TYPE_CHECKING:
    from flyte_lite._http.transport import Transport
    from flyte_lite._rpc.call import Reply, Stream
    from flyte_lite._rpc.channel import Channel

DEFAULT_TIMEOUT = 30.0
"""Seconds of a call if nobody says otherwise."""

_ROUTE_SECONDS = 300.0


class Unset(enum.Enum):
    """Tells "not given" from None, which for a timeout means "no end"."""

    UNSET = 0


UNSET = Unset.UNSET
Timeout = Union[float, None, Unset]

_SELECT_CLUSTER: Method[payload_pb2.SelectClusterRequest, payload_pb2.SelectClusterResponse] = Method(
    cluster_pb2, "ClusterService", "SelectCluster", safe=True
)


class Scope(NamedTuple):
    """What requests are about where the caller does not say; "" is none."""

    org: str = ""
    project: str = ""
    domain: str = ""

    def project_id(
        self, project: Optional[str] = None, domain: Optional[str] = None
    ) -> identifier_pb2.ProjectIdentifier:
        """The identifier of a project in a domain, by default the scope's own.

        Raises:
            ConfigError: There is no project, or no domain.
        """
        name, where = project or self.project, domain or self.domain
        _need("project", name)
        _need("domain", where)
        return identifier_pb2.ProjectIdentifier(organization=self.org, domain=where, name=name)

    def run_id(
        self, name: str, project: Optional[str] = None, domain: Optional[str] = None
    ) -> identifier_pb2.RunIdentifier:
        """The identifier of a run; see `project_id`.

        Raises:
            ValueError: There is no name.
            ConfigError: There is no project, or no domain.
        """
        if not isinstance(name, str) or not name:
            raise ValueError(f"the name of a run is {name!r}; give a text, such as Run.name")
        place = self.project_id(project, domain)
        return identifier_pb2.RunIdentifier(org=place.organization, project=place.name, domain=place.domain, name=name)


def _need(what: str, value: str) -> None:
    if not value:
        raise ConfigError(
            f"no {what} is set: give init({what}=...), Client({what}=...), client.scoped({what}=...) "
            f"or the call itself one, or set FLYTE_TASK_{what.upper()}"
        )


class Session:
    """See the module.

    Args:
        channel: The control plane.
        scope: Default organization, project and domain.
        console: Address of the web console, without a slash at its end.
        timeout: Seconds of one call, everything included; None has no end.
        cancel: Ends every call of this session.
        clusters: Where calls go that clusters answer; shared by copies.

    Attributes:
        refused: Questions that this server turned out not to take, so that they are not asked again; shared by copies.
    """

    def __init__(
        self,
        channel: Channel,
        scope: Scope,
        console: str,
        *,
        timeout: Optional[float] = DEFAULT_TIMEOUT,
        cancel: Optional[Cancel] = None,
        clusters: Optional[Clusters] = None,
    ) -> None:
        self.channel = channel
        self.scope = scope
        self.console = console
        self.timeout = timeout
        self.cancel = cancel
        self.clusters = clusters or Clusters(channel)
        self.refused: set[str] = set()

    @property
    def clock(self) -> Clock:
        """What time is measured on."""
        return self.channel.clock

    def deadline(self) -> Deadline:
        """A deadline for one public method that starts now, however many calls it makes."""
        return Deadline(self.clock, self.timeout, self.cancel)

    def call(
        self,
        method: Method[Req, Res],
        request: Req,
        *,
        deadline: Optional[Deadline] = None,
        route: Optional[Route] = None,
    ) -> Res:
        """One call to the control plane, or to the cluster that `route` leads to; see `reply`."""
        return self.reply(method, request, deadline=deadline, route=route).message

    def reply(
        self,
        method: Method[Req, Res],
        request: Req,
        *,
        deadline: Optional[Deadline] = None,
        route: Optional[Route] = None,
        repeatable: bool = False,
    ) -> Reply[Res]:
        """One call, and how it went.

        Args:
            deadline: None starts one of the session's timeout.
            route: Where to, if not the control plane.
            repeatable: True if this request may be sent twice although its method is not safe.

        Raises:
            CallError: See `Channel.unary`.
        """
        deadline = deadline or self.deadline()
        if route is None:
            return self.channel.unary(method, request, deadline=deadline, repeatable=repeatable)
        channel = self.clusters.channel_for(route, self.scope.org, deadline)
        try:
            return channel.unary(method, request, deadline=deadline, repeatable=repeatable)
        except CallError as error:
            self.clusters.failed(route, self.scope.org, channel, error)
            raise

    def stream(
        self,
        method: Method[Req, Res],
        request: Req,
        *,
        deadline: Deadline,
        idle: Optional[float],
        route: Optional[Route] = None,
    ) -> Stream[Res]:
        """The messages of a server stream; see `Channel.server_stream`.

        Args:
            deadline: The end of the whole stream.
            idle: Seconds without a byte after which it ends.
            route: Where to, if not the control plane.

        Raises:
            CallError: It failed before its first message; what happens later, `next` raises.
        """
        channel = self.channel
        if route is not None:
            asking = deadline.within(self.timeout)
            channel = self.clusters.channel_for(route, self.scope.org, asking)
        try:
            return channel.server_stream(method, request, deadline=deadline, idle=idle)
        except CallError as error:
            if route is not None:
                self.clusters.failed(route, self.scope.org, channel, error)
            raise

    def scoped(
        self,
        *,
        org: Optional[str] = None,
        project: Optional[str] = None,
        domain: Optional[str] = None,
        timeout: Timeout = UNSET,
        cancel: Optional[Cancel] = None,
    ) -> Session:
        """A copy with other defaults, over the same connections; what is not given stays.

        Raises:
            ConfigError: The timeout is none.
        """
        _check_timeout(timeout)
        scope = Scope(
            self.scope.org if org is None else org,
            self.scope.project if project is None else project,
            self.scope.domain if domain is None else domain,
        )
        copy = Session(
            self.channel,
            scope,
            self.console,
            timeout=self.timeout if timeout is UNSET else timeout,
            cancel=cancel or self.cancel,
            clusters=self.clusters,
        )
        copy.refused = self.refused
        return copy


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
            request.project_id.CopyFrom(Scope(org, route.project, route.domain).project_id())
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


def connect(
    config: Config,
    *,
    timeout: Timeout = UNSET,
    cancel: Optional[Cancel] = None,
    channel: Optional[Channel] = None,
    transport: Optional[Transport] = None,
) -> Session:
    """A session for the server that `config` names, or over a channel to another. Nothing is sent yet.

    Args:
        transport: Instead of the one that `config` says.

    Raises:
        ConfigError: The endpoint is missing or is none, or there is one beside the channel.
    """
    if channel is None:
        server = config.server()
        _check_timeout(timeout)
        channel = channel_of(config, server, transport)
    else:
        _check_timeout(timeout)
        if not hasattr(channel, "server_stream"):
            raise ConfigError(f"channel is {type(channel).__name__}; give what remote.create_channel returns")
        for name, source in config.sources.items():
            if source.startswith("argument") and name not in BESIDE_CHANNEL:
                raise ConfigError(f"{name} is settled where the channel is made; give one of them")
        server = Endpoint(*channel.origin, channel.prefix)
    # What an API key says of it, which the channel may have been made of.
    org = getattr(channel, "org", None) if config.org is None else config.org
    return Session(
        channel,
        Scope(server.organization if org is None else org, config.project or "", config.domain or ""),
        console_of(config, server),
        timeout=DEFAULT_TIMEOUT if timeout is UNSET else timeout,
        cancel=cancel,
    )


def _check_timeout(timeout: Timeout) -> None:
    if timeout is not UNSET and timeout is not None and not (is_length(timeout) and timeout):
        raise ConfigError(f"timeout is {timeout!r}; give seconds above 0, or None for no end")


_default: Optional[Session] = None


def current(what: str = "flyte_lite") -> Session:
    """The process's default.

    Args:
        what: Who asks, for the error.

    Raises:
        NotInitializedError: `init` was not called.
    """
    if _default is None:
        raise NotInitializedError(what)
    return _default


def has_default() -> bool:
    """Whether the process has a default."""
    return _default is not None


def set_default(session: Optional[Session]) -> None:
    """Make `session` the process's default; None leaves it without one."""
    global _default
    _default = session
