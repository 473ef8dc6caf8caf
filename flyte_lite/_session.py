"""A session is a channel, the scope that requests are about, and the limits of a call. The process may have a default.

Who is called, and with which project and domain, is settled where a public method begins: it takes the session of its
bound class, or the default that `init` set, and hands it down. Nothing below asks for the default again. There is no
context variable: it would not reach the threads of an executor, and could reach the wrong cluster unseen.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from flyte_lite._clock import Cancel, Clock, Deadline, is_length
from flyte_lite._clusters import Clusters, Route
from flyte_lite._connection import channel_of, console_of
from flyte_lite._rpc.method import Method, Req, Res
from flyte_lite.config import Config, Endpoint
from flyte_lite.config._config import BESIDE_CHANNEL
from flyte_lite.errors import CallError, ConfigError, NotInitializedError
from flyte_lite.idl.flyteidl2.common import identifier_pb2

if TYPE_CHECKING:
    from flyte_lite._http.transport import Transport
    from flyte_lite._rpc.call import Reply, Stream
    from flyte_lite._rpc.channel import Channel

DEFAULT_TIMEOUT = 30.0
"""Seconds of a call if nobody says otherwise."""


class Unset(enum.Enum):
    """Tells "not given" from None, which for a timeout means "no end"."""

    UNSET = 0


UNSET = Unset.UNSET
Timeout = Union[float, None, Unset]


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
        usual: Whether nobody has set `timeout`, see `Deadline`.
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
        usual: bool = False,
        cancel: Optional[Cancel] = None,
        clusters: Optional[Clusters] = None,
    ) -> None:
        self.channel = channel
        self.scope = scope
        self.console = console
        self.timeout = timeout
        self.usual = usual
        self.cancel = cancel
        self.clusters = clusters or Clusters(channel)
        self.refused: set[str] = set()

    @property
    def clock(self) -> Clock:
        """What time is measured on."""
        return self.channel.clock

    def deadline(self) -> Deadline:
        """A deadline for one public method that starts now, however many calls it makes."""
        return Deadline(self.clock, self.timeout, self.cancel, usual=self.usual)

    def part_of(self, deadline: Deadline) -> Deadline:
        """A deadline for one call of something that may take longer."""
        return deadline.within(self.timeout, usual=self.usual)

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
            channel = self.clusters.channel_for(route, self.scope.org, self.part_of(deadline))
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
            usual=self.usual and timeout is UNSET,
            cancel=cancel or self.cancel,
            clusters=self.clusters,
        )
        copy.refused = self.refused
        return copy


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
        usual=timeout is UNSET,
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
