"""Who asks the issuer: a program that has a secret, or a client of people that can keep none (RFC 6749, 2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from flyte_lite.devbox.issuer.refused import Refused

FORM = "application/x-www-form-urlencoded"
CODE, REFRESH, CLIENT = "authorization_code", "refresh_token", "client_credentials"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class OAuthClient(NamedTuple):
    """A client that is registered.

    Attributes:
        id: Its name.
        secret_hash: Of its secret; None for one that has none.
        grants: Each `grant_type` that it may ask for.
    """

    id: str
    secret_hash: Optional[bytes]
    grants: Sequence[str]


def hashed(secret: str) -> bytes:
    """What is kept of a secret: enough to know it again. Ours are random, so no salt and no toil is needed."""
    return hashlib.sha256(secret.encode()).digest()


def parameters(text: str) -> dict[str, str]:
    """A form or a query. What is empty counts as not sent (RFC 6749, 3.1 and 3.2).

    Raises:
        Refused: One came twice, or they are too many, or none.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError:
        raise Refused("invalid_request", "the parameters are not form-encoded UTF-8, or more than 100") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused("invalid_request", "a parameter came more than once")
    return {name: value for name, value in found.items() if value}


def authenticated(
    clients: Mapping[str, OAuthClient], headers: Mapping[str, str], form: Mapping[str, str]
) -> OAuthClient:
    """The client that asks: with its secret in the header or in the form, or without one if it has none.

    Args:
        clients: Those that are registered, by id.
        headers: By lower-case name.
        form: What was sent.

    Raises:
        Refused: It is none of them, or says so in two ways.
    """
    given = _basic(headers["authorization"]) if "authorization" in headers else None
    if given is not None and ("client_secret" in form or form.get("client_id", given[0]) != given[0]):
        raise Refused("invalid_request", "the client proves who it is in more than one way")
    name, secret = given or (form.get("client_id", ""), form.get("client_secret"))
    client = clients.get(name)
    kept = None if client is None else client.secret_hash
    # The same work whether it is known or not.
    same = hmac.compare_digest(bytes(32) if kept is None else kept, hashed(secret or ""))
    if client is None or not (secret is None if kept is None else same):
        raise Refused("invalid_client", "no such client, or not with this secret", 401)
    return client


def _basic(header: str) -> tuple[str, str]:
    kind, _, value = header.partition(" ")
    try:
        if kind.lower() != "basic":
            raise ValueError
        pair = base64.b64decode(value.strip(), validate=True).decode()
    except (ValueError, binascii.Error):
        raise Refused("invalid_client", "the header Authorization is no Basic one", 401) from None
    name, _, secret = pair.partition(":")
    return unquote_plus(name), unquote_plus(secret)


def registered(asked: str, uris: Sequence[str]) -> bool:
    """True if browsers may be sent there: it is one of these, or one of them on another port of this machine."""
    return any(asked == uri or _same_but_for_port(asked, uri) for uri in uris)


def _same_but_for_port(asked: str, uri: str) -> bool:
    try:
        ours, port = urlsplit(uri), urlsplit(asked).port
    except ValueError:
        return False
    if ours.scheme != "http" or ours.hostname not in _LOOPBACK or port == 0:
        return False
    # Put together anew, so that nothing else can hide in it: no user, no odd spelling, no fragment.
    place = f"[{ours.hostname}]" if ":" in ours.hostname else ours.hostname
    if port is not None:
        place = f"{place}:{port}"
    return asked == ours._replace(netloc=place).geturl()
