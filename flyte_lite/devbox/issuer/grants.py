"""Tokens for what a client brings: a secret, a code, a refresh token; and what becomes of them.

Specification: RFC 6749, RFC 7009, RFC 7662.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional, Union

from flyte_lite.devbox.guard import TokenRefused
from flyte_lite.devbox.issuer.access_tokens import AccessTokens
from flyte_lite.devbox.issuer.clients import CLIENT, CODE, DEVICE, REFRESH, OAuthClient, hashed
from flyte_lite.devbox.issuer.devices import Devices
from flyte_lite.devbox.issuer.refused import Refused
from flyte_lite.devbox.issuer.terms import AUDIENCE, OFFLINE, SCOPES, Terms
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.sign_ins import Code, Refresh, SignIn

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}").fullmatch
_MOST_REQUESTS = 10_000
# Microseconds for which what is over is still known, so that it is told from what never was, and between looks for
# what is not: each look goes through all that there is.
_REMEMBERED, _BETWEEN_LOOKS = 24 * 3600 * 1_000_000, 600 * 1_000_000


class TokenRequest(NamedTuple):
    """What somebody asked the issuer's token endpoint for.

    Attributes:
        grant_type: With what.
        client_id: Who; "" if that could not be told.
        subject: Whom the token is for; "" if there is none.
        error: Why there is none; "" if there is one.
    """

    grant_type: str
    client_id: str
    subject: str
    error: str


class Grants:
    """The token endpoint, and those about tokens.

    Args:
        state: Where it is kept what was given.
        terms: On which it is given.
        tokens: Makes access tokens.
        devices: Knows of device codes.

    Attributes:
        requests: What was asked for, in order; what was asked long ago is forgotten.
    """

    def __init__(self, state: State, terms: Terms, tokens: AccessTokens, devices: Devices) -> None:
        self.requests: deque[TokenRequest] = deque(maxlen=_MOST_REQUESTS)
        self._state = state
        self._kept = state.sign_ins
        self._terms = terms
        self._tokens = tokens
        self._devices = devices
        self._looked = 0

    def issued(self) -> Counter[str]:
        """How many tokens were given for each `grant_type`."""
        return Counter(request.grant_type for request in list(self.requests) if not request.error)

    def token(self, client: OAuthClient, form: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a request for tokens.

        Raises:
            Refused: There is none.
        """
        grant = form.get("grant_type", "")
        asked = {CLIENT: self._of_client, CODE: self._of_code, REFRESH: self._of_refresh, DEVICE: self._of_device}
        given: Union[tuple[SignIn, dict[str, Any]], Refused]
        try:
            if grant not in asked:
                raise Refused("unsupported_grant_type" if grant else "invalid_request", "no grant_type that is known")
            if grant not in client.grants:
                raise Refused("unauthorized_client", "not for this client")
            check_audience(form)
            with self._state.database.transaction():
                # One after the other, so that a code or a token is used by one of them; and whole, so that nobody's
                # token is used up for nothing by a devbox that is killed, or cleared, at this moment.
                self._forget()
                try:
                    given = asked[grant](client, form)
                except Refused as why:
                    # No end of the transaction: what it has revoked stays so.
                    given = why
            if isinstance(given, Refused):
                raise given
            sign_in, answer = given
        except Refused as refused:
            self.requests.append(TokenRequest(grant, client.id, "", refused.error))
            raise
        self.requests.append(TokenRequest(grant, client.id, sign_in.subject, ""))
        return answer

    def _forget(self) -> None:
        now = self._state.now()
        # Before it, if a test has turned the clock back.
        if not 0 <= now - self._looked < _BETWEEN_LOOKS:
            self._looked = now
            self._kept.forget(now - _REMEMBERED)

    def _of_client(self, client: OAuthClient, form: Mapping[str, str]) -> tuple[SignIn, dict[str, Any]]:
        # No refresh token: whoever has the secret needs none (RFC 6749, 4.4.3).
        scope = allowed_scope(form)
        sign_in = self._kept.get(self._kept.begin(client.id, client.id, scope, CLIENT))
        return sign_in, self._answer(sign_in, scope, refresh=False)

    def _of_code(self, client: OAuthClient, form: Mapping[str, str]) -> tuple[SignIn, dict[str, Any]]:
        hash = hashed(form.get("code", ""))
        code = self._kept.code(hash)
        sign_in = None if code is None else self._kept.get(code.sign_in)
        if code is None or sign_in is None or sign_in.client != client.id:
            raise Refused("invalid_grant", "the code is not known")
        if code.used:
            self._kept.revoke(code.sign_in)
            raise Refused("invalid_grant", "the code was used before, so what it gave is revoked")
        if code.expires_at <= self._state.now() or sign_in.revoked:
            raise Refused("invalid_grant", "the code has expired")
        if form.get("redirect_uri") != code.redirect_uri:
            raise Refused("invalid_grant", "the code was sent to another redirect_uri")
        if not _proves(form.get("code_verifier", ""), code):
            raise Refused("invalid_grant", "the code_verifier is not that of the code")
        self._kept.use_code(hash)
        return sign_in, self._answer(sign_in, sign_in.scope)

    def _of_device(self, client: OAuthClient, form: Mapping[str, str]) -> tuple[SignIn, dict[str, Any]]:
        sign_in = self._kept.get(self._devices.used(client, form.get("device_code", "")))
        if sign_in.revoked:
            raise Refused("invalid_grant", "the sign-in was revoked")
        return sign_in, self._answer(sign_in, sign_in.scope)

    def _of_refresh(self, client: OAuthClient, form: Mapping[str, str]) -> tuple[SignIn, dict[str, Any]]:
        hash, now = hashed(form.get("refresh_token", "")), self._state.now()
        refresh = self._kept.refresh(hash)
        sign_in = None if refresh is None else self._kept.get(refresh.sign_in)
        if refresh is None or sign_in is None or sign_in.client != client.id:
            raise Refused("invalid_grant", "the refresh token is not known")
        if sign_in.revoked:
            raise Refused("invalid_grant", "the refresh token was revoked")
        if refresh.used_at is not None and now >= refresh.used_at + self._terms.reuse_seconds * 1_000_000:
            self._kept.revoke(refresh.sign_in)
            raise Refused("invalid_grant", "the refresh token was used before, so all of its sign-in is revoked")
        if refresh.expires_at <= now:
            raise Refused("invalid_grant", "the refresh token has expired")
        scope = allowed_scope(form, within=sign_in.scope)
        if self._terms.rotates:
            self._kept.use_refresh(hash, now)
        return sign_in, self._answer(sign_in, scope, refresh=self._terms.rotates)

    def _answer(self, sign_in: SignIn, scope: str, refresh: bool = True) -> dict[str, Any]:
        seconds = self._terms.token_seconds
        answer: dict[str, Any] = {
            "access_token": self.access_token(sign_in, scope, seconds),
            "token_type": "Bearer",
            "expires_in": seconds,
            "scope": scope,
        }
        # What a refresh token is good for stays the same, though a token may be asked for less (RFC 6749, 6).
        if refresh and OFFLINE in sign_in.scope.split():
            token = secrets.token_urlsafe(32)
            until = self._state.now() + round(self._terms.refresh_seconds * 1_000_000)
            self._kept.add_refresh(hashed(token), Refresh(sign_in.number, until, None))
            answer["refresh_token"] = token
        return answer

    def access_token(self, sign_in: SignIn, scope: str, seconds: float, audience: str = AUDIENCE) -> str:
        """A new access token of a sign-in."""
        person = sign_in.subject != sign_in.client
        claims = self._terms.user(sign_in.subject).claims() if person else {"sub": sign_in.subject}
        told = {**claims, "client_id": sign_in.client, "scope": scope}
        return self._tokens.make(sign_in.number, told, seconds, audience)

    def revoke(self, client: OAuthClient, form: Mapping[str, str]) -> None:
        """Take back a token; with a refresh token goes all of its sign-in. What is not known is gone already.

        Raises:
            Refused: It is another client's.
        """
        token = _needed(form, "token")
        with self._state.database.transaction():
            refresh, access = self._kept.refresh(hashed(token)), self._claims(token)
            number = refresh.sign_in if refresh is not None else access.get("sign_in")
            if number is None:
                return
            if self._kept.get(number).client != client.id:
                raise Refused("invalid_grant", "the token is not this client's")
            if refresh is not None:
                self._kept.revoke(number)
            else:
                self._kept.revoke_access(access["jti"])

    def introspect(self, form: Mapping[str, str]) -> dict[str, Any]:
        """What there is to say of a token: if it is not good, only that."""
        token = _needed(form, "token")
        claims = self._claims(token)
        if claims:
            told = {name: value for name, value in claims.items() if name != "sign_in"}
            return {"active": True, "token_type": "Bearer", "username": told["sub"], **told}
        with self._state.database.transaction():
            refresh, now = self._kept.refresh(hashed(token)), self._state.now()
            if refresh is None or refresh.expires_at <= now or refresh.used_at is not None:
                return {"active": False}
            sign_in = self._kept.get(refresh.sign_in)
        if sign_in.revoked:
            return {"active": False}
        until = refresh.expires_at // 1_000_000
        told = {"client_id": sign_in.client, "sub": sign_in.subject, "username": sign_in.subject}
        return {"active": True, "scope": sign_in.scope, "exp": until, **told}

    def _claims(self, token: str) -> dict[str, Any]:
        """Those of an access token that is good, and its sign-in; none of any other."""
        try:
            claims = self._tokens.read(token)
        except TokenRefused:
            return {}
        kept = self._kept.access(claims["jti"])
        return {} if kept is None else {**claims, "sign_in": kept.sign_in}


def allowed_scope(form: Mapping[str, str], within: Optional[str] = None) -> str:
    """The scope that was asked for; without any, all there is.

    Args:
        form: What was sent.
        within: What was allowed before; None is all that there is.

    Raises:
        Refused: It is more than there is.
    """
    may = SCOPES if within is None else tuple(within.split())
    asked = form.get("scope", "").split() or may
    if not set(asked) <= set(may):
        raise Refused("invalid_scope", f"there is no other scope than {' and '.join(may)}")
    return " ".join(dict.fromkeys(asked))


def check_audience(form: Mapping[str, str]) -> None:
    """Refuse to give tokens for somebody else (RFC 8707, 2).

    Raises:
        Refused: They are asked for.
    """
    if form.get("audience", AUDIENCE) != AUDIENCE:
        raise Refused("invalid_target", f"the only audience is {AUDIENCE}")


def _needed(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise Refused("invalid_request", f"there is no {name}")
    return form[name]


def _proves(verifier: str, code: Code) -> bool:
    """True if somebody knows what the code's challenge was made of (RFC 7636, 4.6)."""
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    made = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return _VERIFIER(verifier) is not None and hmac.compare_digest(made.encode(), code.challenge.encode())
