"""Who may call a devbox that wants to know; looked at before anything else of a call, as by a gateway."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from flyte_lite.devbox._refusal import refusal
from flyte_lite.errors import CallError, Code

if TYPE_CHECKING:
    from flyte_lite.devbox.protocols import Answer, Incoming
    from flyte_lite.idl.flyteidl2.auth import auth_service_pb2

DEFAULT_HEADER = "authorization"
# How to sign in must be known before there is a token.
_OPEN = "AuthMetadataService/"
_REALM = 'Bearer realm="flyte devbox"'


def checked_header(name: str) -> str:
    """The name of a header that can bring tokens, in lower case.

    Raises:
        ValueError: No header has such a name.
    """
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise ValueError(f'auth_header must be the name of a header, such as "flyte-authorization", not {name!r}')
    return name.lower()


class TokenRefused(Exception):
    """A token that is good for nothing here; the text says why, in ASCII without quotes, and nothing of the token."""


class Authority(Protocol):
    """Whose tokens a devbox takes."""

    def identity(self, token: str) -> Mapping[str, str]:
        """Whose token it is: its claims that are texts, at least `sub`.

        Raises:
            TokenRefused: Nobody's, not this server's, or not any more.
            RpcError: Nobody can say now.
        """
        ...

    def metadata(self, endpoint: str) -> auth_service_pb2.GetOAuth2MetadataResponse:
        """How to get one.

        Args:
            endpoint: Scheme and host that the caller used.

        Raises:
            RpcError: Nobody can say now.
        """
        ...

    def client(self, endpoint: str) -> auth_service_pb2.GetPublicClientConfigResponse:
        """As what a person's client gets one; the header is added to it."""
        ...

    def serves(self, path: str) -> bool:
        """True if a path of this server is the authority's."""
        ...

    def answer(self, incoming: Incoming) -> Answer:
        """Answer one request for a path that it serves."""
        ...


class NotAdmitted(Exception):
    """A call that is refused before it begins.

    Attributes:
        error: What the caller is told.
        challenge: The `WWW-Authenticate` with it (RFC 6750, section 3); "" where another token would not help.
    """

    def __init__(self, error: CallError, challenge: str = "") -> None:
        super().__init__(error.message)
        self.error = error
        self.challenge = challenge


class Guard:
    """Lets those in who have a token.

    Args:
        authority: Whose tokens.
        header: What brings them. The others are not looked at.
    """

    def __init__(self, authority: Authority, header: str = DEFAULT_HEADER) -> None:
        self.authority = authority
        self.header = checked_header(header)

    def admit(self, rpc: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Whoever calls, as claims; empty where nobody has to sign in.

        Args:
            rpc: Service and method.
            headers: By lower-case name.

        Raises:
            NotAdmitted: There is no token, none that is good, or nobody can say now whether it is.
        """
        if rpc.startswith(_OPEN):
            return {}
        kind, _, token = headers.get(self.header, "").strip().partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            message = f"sign in first: there is no bearer token in the header {self.header}"
            raise NotAdmitted(refusal(Code.UNAUTHENTICATED, message), _REALM)
        try:
            return self.authority.identity(token.strip())
        except TokenRefused as refused:
            challenge = f'{_REALM}, error="invalid_token", error_description="{refused}"'
            message = f"the token is not taken: {refused}"
            raise NotAdmitted(refusal(Code.UNAUTHENTICATED, message), challenge) from None
        except CallError as error:
            raise NotAdmitted(error) from error
