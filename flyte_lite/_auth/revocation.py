"""Telling an identity provider that a login is over (RFC 7009), where it listens to that."""

from __future__ import annotations

from typing import Optional
from urllib.parse import urlsplit

from flyte_lite._auth.client_credentials import ClientProof
from flyte_lite._auth.discovery import ClientConfig, Discovery, documents
from flyte_lite._auth.provider import IdentityProvider, ProviderAnswer
from flyte_lite._auth.tokens import Token
from flyte_lite._clock import Deadline
from flyte_lite.errors import EndpointError, FlyteLiteError, UnauthenticatedError


def revoke(
    provider: IdentityProvider, discovery: Discovery, proof: ClientProof, token: Token, deadline: Deadline
) -> str:
    """Make a token, and what gets the next one, good for nothing.

    Returns:
        Why that could not be done; "" if it was.
    """
    try:
        config = discovery.config(deadline)
        if token.issued_by not in (None, provider.name(config.token_endpoint)):
            return "it is from another identity provider than the one that the server names now"
        url = _endpoint(provider, config, deadline)
        if not url:
            return "the identity provider names no revocation_endpoint"
        # With the first of them the other usually goes, too, but need not.
        told = {"refresh_token": token.refresh, "access_token": token.value}
        for hint, value in told.items():
            refused = _revoked(provider, config, proof, url, hint, value, deadline) if value else ""
            if refused:
                return refused
    except FlyteLiteError as error:
        return getattr(error, "message", str(error))
    return ""


def _revoked(
    provider: IdentityProvider,
    config: ClientConfig,
    proof: ClientProof,
    url: str,
    hint: str,
    value: str,
    deadline: Deadline,
) -> str:
    fields, authorization, hidden = proof.of(config)
    form = {"token": value, "token_type_hint": hint, **fields}
    answer = provider.post(url, form, deadline, authorization=authorization, secrets=(*hidden, value))
    # Tokens that nobody looks up can't be revoked; they end by themselves, and the next one does not come.
    if answer.error and not (answer.error == "unsupported_token_type" and hint == "access_token"):
        return answer.refusal("it was refused").message
    return ""


def _endpoint(provider: IdentityProvider, config: ClientConfig, deadline: Deadline) -> str:
    """Where it listens; "" if it does not say."""
    parts = urlsplit(config.token_endpoint)
    for url in documents(config.issuer or f"{parts.scheme}://{parts.netloc}"):
        answer = _document(provider, url, deadline)
        # Of another provider's document nothing counts: it could name its own place, and be sent the tokens.
        if answer is not None and _either(answer, "token_endpoint", "tokenEndpoint") == config.token_endpoint:
            found = _either(answer, "revocation_endpoint", "revocationEndpoint")
            if found:
                return found
    return ""


def _document(provider: IdentityProvider, url: str, deadline: Deadline) -> Optional[ProviderAnswer]:
    try:
        return provider.get(url, deadline)
    except (EndpointError, UnauthenticatedError):
        return None  # a page, a 404: it has none there


def _either(answer: ProviderAnswer, *names: str) -> str:
    # The open-source server writes the names as protobuf does in JSON.
    return next((answer.text(name) for name in names if answer.text(name)), "")
