"""Access tokens: JWTs (RFC 7519, in the manner of RFC 9068) that this devbox signs, and only this devbox reads."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from flyte_lite.devbox.guard import TokenRefused
from flyte_lite.devbox.issuer.terms import AUDIENCE
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.sign_ins import Access

_HEADER = {"alg": "HS256", "typ": "at+jwt"}


class AccessTokens:
    """Makes and reads them.

    Args:
        state: Where it is kept which there are.
        issuer: What they say of who made them.
        key: What signs them.
    """

    def __init__(self, state: State, issuer: str, key: bytes) -> None:
        self._state = state
        self._issuer = issuer
        self._key = key

    def make(self, sign_in: int, claims: Mapping[str, Any], seconds: float, audience: str = AUDIENCE) -> str:
        """A new one.

        Args:
            sign_in: What it comes of.
            claims: At least `sub`.
            seconds: Its life.
            audience: Whom it is for.
        """
        now, id = self._state.now(), secrets.token_urlsafe(16)
        until = now + round(seconds * 1_000_000)
        self._state.sign_ins.add_access(id, Access(sign_in, until, False))
        told = {**claims, "iss": self._issuer, "aud": audience, "iat": now // 1_000_000, "exp": until / 1e6, "jti": id}
        told["exp"] = int(told["exp"]) if told["exp"].is_integer() else told["exp"]
        signed = f"{_encoded(_HEADER)}.{_encoded(told)}"
        return f"{signed}.{self._signature(signed)}"

    def read(self, token: str) -> dict[str, Any]:
        """The claims of one that is good here and now.

        Raises:
            TokenRefused: It is not.
        """
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(signed).encode()):
            raise TokenRefused("it was not made here")
        header, claims = _decoded(head), _decoded(body)
        # What was signed here says all this; asked once more, should there ever be other things with this key.
        if header != _HEADER or claims.get("iss") != self._issuer or not isinstance(claims.get("jti"), str):
            raise TokenRefused("it is no access token of this issuer")
        if claims.get("aud") != AUDIENCE:
            raise TokenRefused("it is for another audience")
        kept = self._state.sign_ins.access(claims["jti"])
        if kept is None:
            raise TokenRefused("it is not known any more")
        if kept.expires_at <= self._state.now() or claims["exp"] <= self._state.clock.time():
            raise TokenRefused("it has expired")
        if kept.revoked:
            raise TokenRefused("it was revoked")
        return claims

    def _signature(self, signed: str) -> str:
        return _text(hmac.digest(self._key, signed.encode("utf-8", "replace"), "sha256"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _encoded(value: Mapping[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _decoded(text: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        value = None
    return value if isinstance(value, dict) else {}
