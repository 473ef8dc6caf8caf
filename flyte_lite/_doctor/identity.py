"""Who we are to a server: by which settings, with which token, and what the server says to that."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

from flyte_lite import errors
from flyte_lite._connection import OnDemand, login_of, sign_in_of
from flyte_lite._rpc.method import Method
from flyte_lite.idl.flyteidl2.auth import identity_pb2
from flyte_lite.idl.flyteidl2.project import project_service_pb2

if TYPE_CHECKING:
    from flyte_lite._auth.tokens import Token, TokenCredentials
    from flyte_lite._clock import Clock, Deadline
    from flyte_lite._rpc.channel import Channel
    from flyte_lite._rpc.interceptors import Credentials
    from flyte_lite._session import Session
    from flyte_lite.config import Config

_USER_INFO: Method[identity_pb2.UserInfoRequest, identity_pb2.UserInfoResponse] = Method(
    identity_pb2, "IdentityService", "UserInfo", safe=True
)
_LIST_PROJECTS: Method[project_service_pb2.ListProjectsRequest, project_service_pb2.ListProjectsResponse] = Method(
    project_service_pb2, "ProjectService", "ListProjects", safe=True
)


class Proof(NamedTuple):
    """What is shown to a server, and why.

    Attributes:
        kind: One of the values of `auth_type`; None is a person, if the server wants somebody.
        source: Where that was said; "default" if nowhere.
        where: What keeps the token, for people; "" is the memory of each process, or whoever gives it.
        token: It, as it was shown last, or else as it is kept; None if there is none.
    """

    kind: Optional[str]
    source: str
    where: str
    token: Optional[Token]

    @property
    def a_persons(self) -> bool:
        """True if somebody signs in themselves."""
        return self.kind in (None, "Pkce", "DeviceFlow")

    @property
    def renewable(self) -> bool:
        """True if the next token comes without asking anybody."""
        return not self.a_persons or (self.token is not None and self.token.refresh is not None)

    def life(self, clock: Clock) -> str:
        """How long the token is good, for people; "" if there is none."""
        if self.token is None:
            return ""
        left = seconds_left(self.token, clock)
        renewed = ", then renewed without asking" if self.renewable else ""
        if left is None:
            return f"nobody said how long it is good{renewed}"
        return f"good for {_span(left)}{renewed}" if left > 0 else f"its time is over{renewed}"


def proof_of(channel: Channel, config: Config, deadline: Deadline) -> Proof:
    """What a channel shows. A store is read; nobody is asked for anything.

    Raises:
        FlyteLiteError: The settings, or what is kept, can't be read.
    """
    signing = sign_in_of(config)
    kind = signing.kind()
    said = "auth_type" if config.auth_type is not None else "command"
    shown = _own(channel, config)
    token = None if shown is None else shown.token
    proof = Proof(kind, config.sources.get(said, "default"), signing.kept(), token)
    if token is None and proof.a_persons and channel.credentials is not None and proof.where:
        login = login_of(config, channel.transport, config.server())
        trouble = login.trouble(deadline)
        where = f"{proof.where} ({trouble})" if trouble else proof.where
        return proof._replace(token=login.token(deadline), where=where)
    return proof


def _own(channel: Channel, config: Config) -> Optional[TokenCredentials]:
    """What shows a token to the server, and not to a proxy before it."""
    made = channel.credentials.made if isinstance(channel.credentials, OnDemand) else channel.credentials
    if made is None:
        return None
    from flyte_lite._auth.tokens import Together, TokenCredentials

    if isinstance(made, Together):
        made = made.credentials[0]
    elif config.proxy_command is not None:
        return None
    return made if isinstance(made, TokenCredentials) else None


def who(session: Session, deadline: Deadline) -> Optional[identity_pb2.UserInfoResponse]:
    """Whom the server takes us for; None if it takes what it is shown, and does not say.

    Raises:
        UnauthenticatedError: It wants to know, or does not take it.
        CallError: It can't be asked.
    """
    try:
        return session.call(_USER_INFO, identity_pb2.UserInfoRequest(), deadline=deadline)
    except (errors.UnimplementedError, errors.PermissionDeniedError):
        pass
    except errors.UnauthenticatedError as error:
        # The open-source server says so of a token that it can't read, too, which a proxy before it has let through.
        if not error.sent or not shows(session.channel.credentials, deadline):
            raise
    session.call(_LIST_PROJECTS, project_service_pb2.ListProjectsRequest(limit=1), deadline=deadline)
    return None


def shows(credentials: Optional[Credentials], deadline: Deadline) -> bool:
    """Whether there is anything to show."""
    try:
        return credentials is not None and bool(credentials.headers(deadline))
    except errors.FlyteLiteError:
        return False  # nobody could sign in


def seconds_left(token: Token, clock: Clock) -> Optional[float]:
    """How long a token is good from now on, 0 if its time is over; None if nobody knows."""
    from flyte_lite._auth.tokens import Moment

    left = token.left(Moment.now(clock))
    return None if left is None else max(0.0, left)


def _span(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
