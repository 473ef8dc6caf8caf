"""What a browser is sent to the issuer with, and what it is sent back with (RFC 6749, 4.1; RFC 7636; RFC 9207)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit

from flyte_lite.devbox.issuer.clients import CODE, OAuthClient, hashed, parameters, registered
from flyte_lite.devbox.issuer.grants import allowed_scope, check_audience
from flyte_lite.devbox.issuer.refused import Refused
from flyte_lite.devbox.issuer.terms import Terms
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.sign_ins import Code

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch


class SentBack(Exception):
    """A request that is refused, and where the browser takes the refusal.

    Attributes:
        url: There.
    """

    def __init__(self, url: str) -> None:
        super().__init__("the browser is sent back with an error")
        self.url = url


class Asked(NamedTuple):
    """A request that a person may allow.

    Attributes:
        client: Who wants a token.
        redirect_uri: Where the browser goes with the code.
        state: What it takes along; "" is nothing.
        scope: What for.
        challenge: The hash of what the client must know.
        issuer: What the issuer calls itself to this browser.
    """

    client: str
    redirect_uri: str
    state: str
    scope: str
    challenge: str
    issuer: str

    def back(self, **told: str) -> str:
        """Where the browser goes, with what it is told."""
        parts = urlsplit(self.redirect_uri)
        given = {**told, **({"state": self.state} if self.state else {}), "iss": self.issuer}
        # What is registered may have a query of its own, which stays (RFC 6749, 3.1.2).
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *given.items()])
        return parts._replace(query=query).geturl()

    def refuse(self, error: str, description: str) -> NoReturn:
        """Send the browser back with an error.

        Raises:
            SentBack: Always.
        """
        raise SentBack(self.back(error=error, error_description=description))


def asked(query: str, clients: Mapping[str, OAuthClient], terms: Terms, issuer: str) -> Asked:
    """The request in a query.

    Args:
        query: As it came.
        clients: Those that are registered, by id.
        terms: Where browsers may be sent back to.
        issuer: What the issuer calls itself to this browser.

    Raises:
        Refused: Nobody knows whom to tell what is wrong but the person who looks at it.
        SentBack: The client is told.
    """
    given = parameters(query)
    client = clients.get(given.get("client_id", ""))
    if client is None or CODE not in client.grants:
        raise Refused("invalid_client", "no client of that client_id signs people in here")
    redirect_uri = given.get("redirect_uri", "")
    if not registered(redirect_uri, terms.redirect_uris):
        raise Refused("invalid_request", "the redirect_uri is not registered for this client")
    found = Asked(client.id, redirect_uri, given.get("state", ""), "", given.get("code_challenge", ""), issuer)
    if given.get("response_type") != "code":
        kind = "unsupported_response_type" if "response_type" in given else "invalid_request"
        found.refuse(kind, "the only response_type is code")
    if given.get("response_mode", "query") != "query":
        found.refuse("invalid_request", "the only response_mode is query")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE(found.challenge):
        found.refuse("invalid_request", "a code_challenge of the method S256 is needed")
    try:
        check_audience(given)
        return found._replace(scope=allowed_scope(given))
    except Refused as refused:
        found.refuse(refused.error, refused.description)


def allowed(state: State, terms: Terms, request: Asked, subject: str) -> str:
    """Where the browser takes the code of somebody who has allowed it."""
    code = secrets.token_urlsafe(32)
    until = state.now() + round(terms.code_seconds * 1_000_000)
    with state.database.transaction():
        sign_in = state.sign_ins.begin(request.client, subject, request.scope, CODE)
        state.sign_ins.add_code(hashed(code), Code(sign_in, request.redirect_uri, request.challenge, until, False))
    return request.back(code=code)
