"""How to sign in to a server: what it says itself, what RFC 8414 has, and what the caller knows better."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional
from urllib.parse import urlsplit

from flyte_lite._auth.provider import ANSWER_SECONDS, IdentityProvider, shown, unsent
from flyte_lite._rpc.headers import checked
from flyte_lite._rpc.method import Method
from flyte_lite.errors import (
    CallError,
    CallTimeoutError,
    CanceledError,
    Code,
    EndpointError,
    RpcError,
    UnauthenticatedError,
)
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2

if TYPE_CHECKING:
    from flyte_lite._clock import Deadline
    from flyte_lite._rpc.channel import Channel

DEFAULT_HEADER = "authorization"

_METADATA: Method[auth_service_pb2.GetOAuth2MetadataRequest, auth_service_pb2.GetOAuth2MetadataResponse] = Method(
    auth_service_pb2, "AuthMetadataService", "GetOAuth2Metadata", safe=True
)
_CLIENT: Method[auth_service_pb2.GetPublicClientConfigRequest, auth_service_pb2.GetPublicClientConfigResponse] = Method(
    auth_service_pb2, "AuthMetadataService", "GetPublicClientConfig", safe=True
)
_WELL_KNOWN = "/.well-known/oauth-authorization-server"
# OpenID Connect's, with the same names in it.
_OPENID = "/.well-known/openid-configuration"
_NAMED_IN_ANSWERS = "authorization_response_iss_parameter_supported"


class ClientConfig(NamedTuple):
    """What is needed to sign in; "" and () say nothing.

    Attributes:
        token_endpoint: Gives tokens.
        authorization_endpoint: Where a person signs in with a browser.
        device_authorization_endpoint: Gives codes that a person types in elsewhere.
        issuer: What the provider calls itself; a caller who says it takes no other one.
        named_in_answers: Whether it says that in each answer that a browser brings, too (RFC 9207).
        token_methods: How clients may prove there who they are, such as "client_secret_basic".
        client_id: What this client is called there.
        redirect_uri: Where the browser comes back to.
        scopes: What to ask for.
        audience: Whom the token is for, where the provider wants to know.
        header_key: The header that takes the token.
    """

    token_endpoint: str = ""
    authorization_endpoint: str = ""
    device_authorization_endpoint: str = ""
    issuer: str = ""
    named_in_answers: bool = False
    token_methods: tuple[str, ...] = ()
    client_id: str = ""
    redirect_uri: str = ""
    scopes: tuple[str, ...] = ()
    audience: str = ""
    header_key: str = ""

    def over(self, other: ClientConfig) -> ClientConfig:
        """This one, and the other's where this one says nothing."""
        return other._replace(**{name: value for name, value in self._asdict().items() if value})

    @property
    def scope(self) -> str:
        """The scopes as they are sent."""
        return " ".join(self.scopes)


class Discovery:
    """Asks the server how to sign in, once, and without credentials for it.

    Args:
        channel: The server.
        provider: For the document of RFC 8414, where the server has it and not the RPC.
        known: What the caller says, which wins.
    """

    def __init__(self, channel: Channel, provider: IdentityProvider, known: Optional[ClientConfig] = None) -> None:
        self._channel = channel
        self._provider = provider
        self._known = known or ClientConfig()
        # Two threads may well ask twice: the answers are the same.
        self._client: Optional[ClientConfig] = None
        self._config: Optional[ClientConfig] = None

    def config(self, deadline: Deadline) -> ClientConfig:
        """All of it.

        Raises:
            UnauthenticatedError: The server knows no identity provider, and neither does the caller.
            CallError: It can't be asked.
        """
        if self._config is None:
            found = self.client(deadline).over(self._metadata(deadline))
            if not found.token_endpoint:
                raise UnauthenticatedError(
                    f"the server {self._channel.origin} does not say where its tokens come from; name the place with "
                    "token_endpoint= or the issuer of auth_client_config=, or give a token with token= or command=",
                    Code.UNAUTHENTICATED,
                    sent=False,
                )
            self._config = found
        return self._config

    def client(self, deadline: Deadline) -> ClientConfig:
        """What the caller knows and what the server says of its clients, which has no endpoint of the provider."""
        if self._client is None:
            said = self._asked(_CLIENT, auth_service_pb2.GetPublicClientConfigRequest(), deadline)
            self._client = self._known
            if said is not None:
                header_key = said.authorization_metadata_key.lower()
                if not self._known.header_key and header_key and not takes_token(header_key):
                    raise EndpointError(
                        f"the server {self._channel.origin} wants tokens in a header that can't be sent: "
                        f"{shown(header_key)}; give another one with header_key=",
                        Code.INTERNAL,
                        sent=False,
                    )
                self._client = self._known.over(
                    ClientConfig(
                        client_id=said.client_id,
                        redirect_uri=said.redirect_uri,
                        scopes=tuple(said.scopes),
                        audience=said.audience,
                        header_key=header_key,
                    )
                )
        return self._client

    def _metadata(self, deadline: Deadline) -> ClientConfig:
        said = self._asked(_METADATA, auth_service_pb2.GetOAuth2MetadataRequest(), deadline)
        if said is None:
            origin, prefix = self._channel.origin, self._channel.prefix
            # As RFC 8414 §3.1 has it, and as a server has it that does not know of the path it is behind.
            paths = dict.fromkeys((f"{_WELL_KNOWN}{prefix}", f"{prefix}{_WELL_KNOWN}"))
            found = self._document([f"{origin}{path}" for path in paths], deadline)
            if found == ClientConfig() and self._known.issuer and not self._known.token_endpoint:
                return self._of_issuer(self._known.issuer, deadline)
        else:
            found = ClientConfig(
                token_endpoint=said.token_endpoint,
                authorization_endpoint=said.authorization_endpoint,
                device_authorization_endpoint=said.device_authorization_endpoint,
                issuer=said.issuer,
                token_methods=tuple(said.token_endpoint_auth_methods_supported),
            )
        return self._of_known_issuer(found)

    def _of_known_issuer(self, found: ClientConfig) -> ClientConfig:
        """What was found, if it is of the provider that the caller knows.

        RFC 8414 §3.3 wants the issuer compared with the address that the document is at. A Flyte server passes on that
        of its provider, which is elsewhere: there is nothing to compare it with but the caller's own word.
        """
        wanted = self._known.issuer
        if not wanted or found.issuer == wanted or found == ClientConfig():
            return found
        if self._known.token_endpoint:
            return ClientConfig()
        raise _another(f"the server {self._channel.origin}", found.issuer, wanted)

    def _of_issuer(self, issuer: str, deadline: Deadline) -> ClientConfig:
        """What the provider that the caller names says of itself, where the server says nothing of any.

        Raises:
            EndpointError: It says that it is another one (RFC 8414 §3.3).
        """
        found = self._document(documents(issuer), deadline)
        if found != ClientConfig() and found.issuer != issuer:
            raise _another(f"the document of {shown(issuer)}", found.issuer, issuer)
        return found

    def _asked(self, method: Method[Any, Any], request: Any, deadline: Deadline) -> Any:
        """The answer; None where the server does not know the method, or the caller knows the answer."""
        try:
            return self._channel.unary(method, request, deadline=deadline.within(ANSWER_SECONDS)).message
        except CallError as error:
            needless = bool(self._known.token_endpoint) and isinstance(error, (RpcError, EndpointError))
            if needless or error.code is Code.UNIMPLEMENTED:
                return None
            raise unsent(error, f"can't find out how to sign in ({method})") from error.__cause__

    def _document(self, places: Sequence[str], deadline: Deadline) -> ClientConfig:
        """What the first of these has that has such a document; nothing if none has."""
        for place in places:
            try:
                answer = self._provider.get(place, deadline)
            except (EndpointError, UnauthenticatedError):
                continue  # a page, a 404, a 501: it has none there
            # The open-source server writes the names as protobuf does in JSON.
            said = {re.sub(r"[A-Z]", lambda at: f"_{at[0].lower()}", name): name for name in answer.fields}
            methods = answer.fields.get(said.get("token_endpoint_auth_methods_supported", ""))
            return ClientConfig(
                token_endpoint=answer.text(said.get("token_endpoint", "")),
                authorization_endpoint=answer.text(said.get("authorization_endpoint", "")),
                device_authorization_endpoint=answer.text(said.get("device_authorization_endpoint", "")),
                issuer=answer.text(said.get("issuer", "")),
                named_in_answers=answer.fields.get(said.get(_NAMED_IN_ANSWERS, "")) is True,
                token_methods=tuple(map(str, methods)) if isinstance(methods, list) else (),
            )
        return ClientConfig()


def documents(issuer: str) -> list[str]:
    """Where a provider has what it says of itself: by RFC 8414 §3.1, or by OpenID Connect Discovery §4."""
    try:
        parts = urlsplit(issuer)
    except ValueError:
        return []  # a server may say anything
    path = parts.path.rstrip("/")
    base = parts._replace(path="", query="", fragment="").geturl()
    return [f"{base}{_WELL_KNOWN}{path}", f"{base}{path}{_OPENID}"]


def _another(who: str, issuer: str, wanted: str) -> EndpointError:
    said = f"the issuer {shown(issuer)}" if issuer else "no issuer"
    return EndpointError(
        f"{who} names {said} for signing in, and you name {shown(wanted)}: nothing is sent there. Is it the right one?",
        Code.INTERNAL,
        sent=False,
    )


def takes_token(name: str) -> bool:
    """True for the name of a header that a call can carry, and that is not the protocol's own."""
    try:
        return bool(checked({name: ""}))
    except ValueError:
        return False


class FoundHeader:
    """The header that the server names, for tokens that it was asked about anyway."""

    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery

    def name(self, deadline: Deadline) -> str:
        """See `Header`."""
        return self._discovery.client(deadline).header_key or DEFAULT_HEADER

    def reconsider(self, deadline: Deadline) -> bool:
        """See `Header`."""
        return False


class GivenHeader:
    """The header that the caller names."""

    def __init__(self, name: str) -> None:
        self._name = name.lower()

    def name(self, deadline: Deadline) -> str:
        """See `Header`."""
        return self._name

    def reconsider(self, deadline: Deadline) -> bool:
        """See `Header`."""
        return False


class UsualHeader:
    """`authorization`, until a token is refused under it and the server says that it reads another.

    So tokens that need nothing of the server cost no question to it, where all is as usual.
    """

    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery
        self._name = DEFAULT_HEADER
        self._asked = False

    def name(self, deadline: Deadline) -> str:
        """See `Header`."""
        return self._name

    def reconsider(self, deadline: Deadline) -> bool:
        """See `Header`."""
        if self._asked:
            return False
        try:
            found = self._discovery.client(deadline).header_key or DEFAULT_HEADER
        except (CallTimeoutError, CanceledError):
            raise
        except CallError:
            return False  # what the server said of the token is of more interest
        self._asked = True
        changed = found != self._name
        self._name = found
        return changed
