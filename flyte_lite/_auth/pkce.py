"""Tokens for a person with a browser on this machine: authorization code with PKCE (RFC 7636, RFC 8252)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Optional
from urllib.parse import parse_qsl, urlencode, urlsplit

from flyte_lite._auth.client_credentials import ClientProof, refreshed
from flyte_lite._auth.discovery import ClientConfig, Discovery
from flyte_lite._auth.loopback import Loopback, Reply
from flyte_lite._auth.person import Person
from flyte_lite._auth.provider import IdentityProvider, shown
from flyte_lite._auth.terminal import Terminal
from flyte_lite._auth.tokens import Token
from flyte_lite._clock import Deadline
from flyte_lite._repeat import repeat
from flyte_lite._rpc.retry import pushback
from flyte_lite.errors import (
    CallTimeoutError,
    Code,
    ConnectFailedError,
    EndpointError,
    UnauthenticatedError,
    UnavailableError,
)

# Codes are good for a minute or more, and by RFC 6749 for no more than ten.
_REPEATS = 4
_LONGEST_PAUSE = 600.0

_DONE: Reply = (200, "Signed in", "You can close this page and go back to your program.")
_NOT_OURS: Reply = (400, "Not valid", "This is not the sign-in that your program waits for.")


class Pkce:
    """The flow of a person who signs in with a browser.

    Args:
        to_authorize: Added to the address that is opened.
        to_token: Added to the form that gets the first token.
        to_refresh: Added to the one that gets each next.
    """

    def __init__(
        self,
        provider: IdentityProvider,
        discovery: Discovery,
        proof: ClientProof,
        person: Person,
        *,
        to_authorize: Optional[Mapping[str, str]] = None,
        to_token: Optional[Mapping[str, str]] = None,
        to_refresh: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._provider = provider
        self._discovery = discovery
        self._proof = proof
        self._person = person
        self._to_authorize = dict(to_authorize or {})
        self._to_token = dict(to_token or {})
        self._to_refresh = dict(to_refresh or {})

    def renew(self, old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        """See `TokenSource`."""
        return refreshed(self._provider, self._discovery, self._proof, old, deadline, self._to_refresh)

    def fetch(self, deadline: Deadline) -> Token:
        """See `TokenSource`."""
        # Before anything is asked: what can't end well needs no questions.
        self._person.need("the server wants somebody to sign in")
        return self._sign_in(self._discovery.config(deadline), deadline)

    def _sign_in(self, config: ClientConfig, deadline: Deadline) -> Token:
        if not config.authorization_endpoint or not config.client_id:
            lacking = "client_id" if config.authorization_endpoint else "authorization_endpoint"
            raise UnauthenticatedError(
                f"signing in with a browser needs a {lacking}, and the server names none; give it with {lacking}=, or "
                'use another auth_type, such as "ClientSecret"',
                Code.UNAUTHENTICATED,
                sent=False,
            )
        # New ones each time: a code that was meant for an earlier sign-in is worth nothing to this one.
        verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
        with contextlib.ExitStack() as held:
            loopback = held.enter_context(Loopback(config.redirect_uri))
            url = self._address(config, loopback.redirect_uri, verifier, state)
            opened = self._person.browse(url)
            terminal = None if opened else self._person.terminal()
            if terminal is not None:
                held.enter_context(terminal)
            self._person.tell(_invitation(config, url, loopback.redirect_uri, opened, terminal is not None))
            code = _code(loopback, state, config, deadline, terminal, self._person.tell)
            fields, authorization, hidden = self._proof.of(config)
            form = {
                **self._to_token,
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": loopback.redirect_uri,
                "code_verifier": verifier,
                "client_id": config.client_id,
                **fields,
            }
        answer = repeat(
            lambda _: self._provider.post(
                config.token_endpoint, form, deadline, authorization=authorization, secrets=(*hidden, code, verifier)
            ),
            lambda number, _, error: _pause(number, error),
            deadline,
        )
        return answer.token()

    def _address(self, config: ClientConfig, redirect_uri: str, verifier: str, state: str) -> str:
        self._provider.place(config.authorization_endpoint)
        parts = urlsplit(config.authorization_endpoint)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        wanted = {
            **dict(parse_qsl(parts.query)),
            "scope": config.scope,
            "audience": config.audience,
            **self._to_authorize,
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        query = urlencode({name: value for name, value in wanted.items() if value})
        return parts._replace(query=query, fragment="").geturl()


def _pause(number: int, error: Optional[Exception]) -> Optional[float]:
    """Seconds until the code is shown again: for a provider that is down for a moment nobody has to sign in again."""
    if number > _REPEATS or not isinstance(error, (ConnectFailedError, UnavailableError)):
        return None
    pause = max(pushback(error) or 0.0, float(number))
    return pause if pause < _LONGEST_PAUSE else None


def _invitation(config: ClientConfig, url: str, redirect_uri: str, opened: bool, can_paste: bool) -> str:
    if opened:
        return f"To sign in, go to your browser, or open {url}"
    if can_paste:
        return (
            f"To sign in, open {url}\nIf that browser is on another machine, it will fail to open the last page: paste "
            f"that page's address here, which begins with {redirect_uri} and is not shown, and press Enter"
        )
    elsewhere = '; if there is none, use auth_type="DeviceFlow"' if config.device_authorization_endpoint else ""
    return f"To sign in, open {url} in a browser of this machine{elsewhere}"


def _code(
    loopback: Loopback,
    state: str,
    config: ClientConfig,
    deadline: Deadline,
    terminal: Optional[Terminal],
    tell: Callable[[str], None],
) -> str:
    """The code that the browser brings.

    Raises:
        CallError: It brings an error, or does not come.
    """
    strangers = 0

    def judge(parameters: dict[str, str]) -> tuple[bool, Reply]:
        nonlocal strangers
        # Anybody can make a browser come here: who does not know the state neither ends the sign-in nor makes it.
        if not hmac.compare_digest(parameters.get("state", "").encode(), state.encode()):
            strangers += 1
            return False, _NOT_OURS
        if "error" in parameters:
            return True, (400, "Not signed in", f"The identity provider said {shown(parameters['error'])}.")
        if not parameters.get("code"):
            return False, _NOT_OURS
        return True, _DONE

    try:
        brought = loopback.wait(judge, deadline, terminal, tell)
    except CallTimeoutError as error:
        if strangers:
            error.message += f" ({strangers} came back from another sign-in, or without the right state)"
            error.args = (error.message,)
        raise
    if "error" in brought:
        description = shown(brought.get("error_description", ""))
        raise UnauthenticatedError(
            f"nobody signed in: the identity provider said {shown(brought['error'])}"
            + (f" ({description})" if description else ""),
            Code.UNAUTHENTICATED,
            sent=False,
        )
    # RFC 9207: an answer of another provider, with a code that only that one may have.
    issuer = brought.get("iss", "" if config.named_in_answers else config.issuer)
    if config.issuer and issuer != config.issuer:
        raise EndpointError("the browser came back from another identity provider", Code.INTERNAL, sent=False)
    return brought["code"]
