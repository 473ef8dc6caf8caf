"""Tokens that the caller has: a text, or a function that gives one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Optional, Union

from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Deadline
from flyte_lite.errors import ConfigError

_FIT = re.compile(r"[\x21-\x7e]+").fullmatch


def token_of(text: str, now: Moment) -> Optional[Token]:
    """A token of text, whose end is known if it is a JWT that says so; None if no header can carry it."""
    return Token(text, now, life=_life(text, now.wall)) if _FIT(text) else None


def _life(text: str, now: float) -> Optional[float]:
    """Seconds until a JWT's `exp`, unverified; None if it has none, or has passed, which a server must say itself."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        left = float(claims["exp"]) - now
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return left if 0 < left < 1e10 else None


class GivenToken:
    """A token that was given, or what a function gives whenever one is needed.

    Args:
        token: What the function raises comes out of the call.
    """

    def __init__(self, token: Union[str, Callable[[], str]]) -> None:
        self._token = token

    def renew(self, old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        """See `TokenSource`; a text has nothing that follows it."""
        return self.fetch(deadline) if callable(self._token) else None

    def fetch(self, deadline: Deadline) -> Token:
        """See `TokenSource`."""
        now = Moment.now(deadline.clock)
        text = self._token() if callable(self._token) else self._token
        token = token_of(text, now) if isinstance(text, str) else None
        if token is None:
            raise ConfigError("token is none: give text that a header can carry, or a function that gives it")
        return token
