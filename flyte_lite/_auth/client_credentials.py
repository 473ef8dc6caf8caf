"""Tokens for a program: client id and secret (RFC 6749 §4.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Optional, Union

from flyte_lite._auth.discovery import ClientConfig, Discovery
from flyte_lite._auth.provider import IdentityProvider, basic, shown
from flyte_lite._auth.tokens import Token
from flyte_lite._clock import Deadline
from flyte_lite.errors import ConfigError

_log = logging.getLogger("flyte_lite")

# RFC 6749 §5.2; what OpenID Connect has of a person who is wanted again, such as for a second factor, comes with some.
_SIGN_IN_ANEW = ("invalid_grant", "interaction_required", "login_required", "consent_required")

Secret = Union[str, Callable[[], str]]
"""Itself, or what gives it each time that it is needed."""


class ClientProof:
    """How a client proves to its provider who it is.

    Args:
        client_id: Its name there.
        secret: What only both know; None for a client that can keep none.
        style: "basic" for a header, "post" for the form, None for what the provider says that it takes.
    """

    def __init__(self, client_id: str, secret: Optional[Secret], style: Optional[str] = None) -> None:
        self._client_id = client_id
        self._secret = secret
        self._style = style

    def of(self, config: ClientConfig) -> tuple[dict[str, str], Optional[str], tuple[str, ...]]:
        """What to add to a form, the `Authorization`, and what no message may repeat.

        Raises:
            ConfigError: The caller's function gave no secret.
        """
        client_id = self._client_id or config.client_id
        if self._secret is None:
            return {"client_id": client_id}, None, ()
        secret = self._secret() if callable(self._secret) else self._secret
        if not isinstance(secret, str) or not secret:
            raise ConfigError("client_secret is empty, or gave something that is no text")
        style = self._style
        if style is None:
            methods = config.token_methods
            style = "post" if "client_secret_post" in methods and "client_secret_basic" not in methods else "basic"
        if style == "post":
            return {"client_id": client_id, "client_secret": secret}, None, (secret,)
        authorization = basic(client_id, secret)
        return {}, authorization, (secret, authorization.partition(" ")[2])


class ClientCredentials:
    """The flow of a program that has an id and a secret."""

    def __init__(self, provider: IdentityProvider, discovery: Discovery, proof: ClientProof) -> None:
        self._provider = provider
        self._discovery = discovery
        self._proof = proof

    def renew(self, old: Optional[Token], deadline: Deadline) -> Token:
        """See `TokenSource`."""
        return self.fetch(deadline)

    def fetch(self, deadline: Deadline) -> Token:
        """See `TokenSource`."""
        config = self._discovery.config(deadline)
        fields, authorization, secrets = self._proof.of(config)
        form = {"grant_type": "client_credentials", "scope": config.scope, "audience": config.audience, **fields}
        return self._provider.post(
            config.token_endpoint, form, deadline, authorization=authorization, secrets=secrets
        ).token()


def refreshed(
    provider: IdentityProvider,
    discovery: Discovery,
    proof: ClientProof,
    old: Optional[Token],
    deadline: Deadline,
    further: Mapping[str, str],
) -> Optional[Token]:
    """The next token by the refresh token of the last (RFC 6749 §6); None if it has none that is still taken.

    Args:
        further: Added to the form.

    Raises:
        CallError: Nobody can say now; the refresh token may still be good.
    """
    if old is None or old.refresh is None or old.spent:
        return None
    config = discovery.config(deadline)
    where = provider.name(config.token_endpoint)
    if old.issued_by not in (None, where):
        # A server that was taken over could name its own, and get what lets it act as this person elsewhere.
        _log.debug("the refresh token is not sent to %s, as it is not from there", shown(where))
        return None
    fields, authorization, secrets = proof.of(config)
    form = {**further, "grant_type": "refresh_token", "refresh_token": old.refresh, **fields}
    answer = provider.post(
        config.token_endpoint, form, deadline, authorization=authorization, secrets=(*secrets, old.refresh)
    )
    old.spent = answer.error in _SIGN_IN_ANEW
    return None if old.spent else answer.token(old)
