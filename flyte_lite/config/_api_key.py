"""API keys: where the server is, and who calls it, in one text."""

from __future__ import annotations

import base64
import re
from typing import NamedTuple, Optional

from flyte_lite.config._endpoint import Endpoint
from flyte_lite.errors import ConfigError

_HOST = r"(?:[A-Za-z][A-Za-z0-9+.-]*:/+)?(?:\[[0-9A-Fa-f:.]+\]|[^:\[]*)"
# A client id has no colon, and a secret may. Whether the number behind a host is its port is settled by what is left:
# if nothing would be left for the secret, it was the client id.
_FRONTS = (
    re.compile(rf"({_HOST}:\d{{1,5}}(?:/[^:]*)?):([^:]+):(.+)", re.DOTALL),
    re.compile(rf"({_HOST}):([^:]+):(.+)", re.DOTALL),
)


class ApiKey(NamedTuple):
    """What an API key says.

    Attributes:
        endpoint: As `Endpoint.parse` takes it.
        client_id: Who calls.
        client_secret: The proof.
        org: Organization; None if it names none.
    """

    endpoint: str
    client_id: str
    client_secret: str
    org: Optional[str]

    def __repr__(self) -> str:
        return f"ApiKey({self.endpoint})"

    @classmethod
    def parse(cls, text: str) -> ApiKey:
        """Read `base64(endpoint:client_id:client_secret:org)`; the padding may be gone, and the secret have colons.

        Raises:
            ConfigError: It is no API key. Nothing of it is in the text.
        """
        decoded = _decoded(text)
        key = None if decoded is None else _parts(decoded)
        if key is None:
            raise ConfigError(
                "the API key is none: it is base64 of endpoint:client_id:client_secret:org; was it copied as a whole?"
            )
        return key


def check_same_server(keys: str, given: str) -> None:
    """Make sure that an endpoint which is given beside a key is the key's.

    Args:
        keys: What the key says.
        given: What somebody says beside it; a scheme or a port that is left out is the key's.

    Raises:
        ConfigError: It is another server, or what the key says would send its secret in clear, and what is given not.
    """
    named, own = Endpoint.parse(given), Endpoint.parse(keys)
    schemes = [text.strip().partition("://")[0].lower() for text in (given, keys)]
    if schemes == ["https", "http"]:
        raise ConfigError(
            f"the API key wants {own.host} spoken to by plain http, and the endpoint says https; give one of them"
        )
    if named.host != own.host or ("://" in given and named.port != own.port):
        raise ConfigError(f"the API key is for {own.host}, and the endpoint is {named.host}; give one of them")


def _decoded(text: str) -> Optional[str]:
    try:
        packed = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode()
    except (AttributeError, TypeError, ValueError):
        return None


def _parts(text: str) -> Optional[ApiKey]:
    front, _, org = text.rpartition(":")
    for pattern in _FRONTS:
        found = pattern.fullmatch(front)
        if found:
            endpoint, client_id, secret = found.groups()
            try:
                Endpoint.parse(endpoint)
            except ConfigError:
                return None
            return ApiKey(endpoint, client_id, secret, None if org in ("", "None") else org)
    return None
