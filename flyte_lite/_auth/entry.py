"""What a store keeps of one sign-in: the token, what gets the next one, and when it ends."""

from __future__ import annotations

import json
import logging
from typing import Any, NoReturn, Optional

from flyte_lite._auth.given import token_of
from flyte_lite._auth.store import Place, TokenStore
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Deadline
from flyte_lite.errors import Code, FlyteLiteError, UnavailableError

_log = logging.getLogger("flyte_lite")


# Seconds since 1970 that no token lives to see.
_NEVER = 1e12


class NotKeptError(Exception):
    """A store that may well be missing keeps nothing; the text says why, and it has written that to the log itself."""


def text_of(token: Token, now: Moment) -> str:
    """A token as it is kept: what the official SDK reads, and what it does not look at."""
    left = token.left(now)
    fields: dict[str, Any] = {"access_token": token.value, "refresh_token": token.refresh}
    if left is not None:
        fields["expires_at"] = round(now.wall + left, 3)
    if token.issued_by is not None:
        fields["issued_by"] = token.issued_by
    return json.dumps(fields)


def shortened(text: str) -> Optional[str]:
    """The same without the token itself, for a store that is too small for both; None if that is nothing."""
    fields = _fields(text)
    if not fields.get("refresh_token") or not fields.get("access_token"):
        return None
    fields.pop("expires_at", None)
    return json.dumps({**fields, "access_token": ""})


def token_in(text: str, now: Moment) -> Optional[Token]:
    """The token of a text; None if there is none in it. One that has ended may still have what gets the next."""
    fields = _fields(text)
    value, refresh, ends, issued_by = (
        fields.get(name) for name in ("access_token", "refresh_token", "expires_at", "issued_by")
    )
    refresh = refresh if isinstance(refresh, str) and refresh else None
    found = token_of(value, now) if isinstance(value, str) else None
    if found is None:
        # Its time is over, so that it is never shown.
        return None if refresh is None else Token("", now, life=0.0, refresh=refresh, issued_by=_text(issued_by))
    # Where nobody said, a token may say itself.
    life = found.left(now)
    # Of what has more digits than a float, and of what is no number at all, nothing is known.
    if isinstance(ends, (int, float)) and abs(ends) < _NEVER:
        life = ends - now.wall
    return Token(found.value, now, life=life, refresh=refresh, issued_by=_text(issued_by))


def _text(value: Any) -> Optional[str]:
    return value if isinstance(value, str) else None


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


class Entry:
    """One place in a store.

    Args:
        store: What it raises becomes an error of ours, or a line in the log.
        place: Where in it.
    """

    def __init__(self, store: TokenStore, place: Place) -> None:
        self._store = store
        self._place = place
        self._service = place.service
        # What was seen there last, and whether anything ever was.
        self._there: Optional[Token] = None
        self._kept = False
        self._pair: tuple[str, ...] = ()
        self._used_up: Optional[str] = None

    def __repr__(self) -> str:
        return f"Entry({self._place.service!r}, {self._place.name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an entry of a token store is not pickled")

    @property
    def gone(self) -> bool:
        """True if something was there and is not any more: somebody has signed out."""
        return self._kept and self._there is None

    def outdated(self, token: Token) -> bool:
        """True if what gets the next token is one that was used already, and could not be replaced in the store."""
        return token.refresh is not None and token.refresh == self._used_up

    def read(self, deadline: Deadline) -> Optional[Token]:
        """What is there, also if its time is over; None if nothing is.

        Raises:
            FlyteLiteError: Nobody can say.
        """
        within = getattr(self._store, "within", None)
        store: TokenStore = self._store if within is None else within(deadline)
        try:
            there = self._found(store, Moment.now(deadline.clock))
        except FlyteLiteError:
            raise
        except Exception as error:
            raise UnavailableError(
                f"the tokens for {self._place.service} can't be read from their store: {_reason(error)}",
                Code.UNAVAILABLE,
                sent=False,
            ) from error
        trouble = getattr(self._store, "trouble", "")
        if there is None and trouble:
            return None  # nobody can say what is there now
        self._there = there
        self._kept = self._kept or there is not None
        return there

    def _found(self, store: TokenStore, now: Moment) -> Optional[Token]:
        service, name, pair, otherwise = self._place
        for self._service in filter(None, (service, otherwise)):
            # Where it is found it stays, so that whoever wrote it finds what follows.
            token = _token(store.get(self._service, name), now)
            if token is not None:
                return token
        self._service = service
        texts = {each: store.get(service, each) for each in pair}
        self._pair = tuple(each for each, text in texts.items() if text is not None)
        return _token(json.dumps(texts), now)

    def write(self, token: Token, deadline: Deadline) -> bool:
        """Keep it instead of what is there; what can't be replaced is removed, as it may be used up.

        Returns:
            False if it is not kept; the log says why.
        """
        old = None if self._there is None else self._there.refresh
        try:
            self._set(text_of(token, Moment.now(deadline.clock)))
        except Exception as error:  # noqa: BLE001 - a store of the user's may raise anything; the token is here
            lost = old is not None and old not in (token.refresh, self._used_up)
            self._used_up = old if old != token.refresh else None
            # Where nothing is lost, or that was said, it is as if there were no such store.
            if lost or not isinstance(error, NotKeptError):
                _log.warning(
                    "the tokens for %s could not be kept (%s): they are good here, and others have to sign in anew",
                    self._place.service,
                    _reason(error),
                )
            self._delete(self._service, self._place.name)
            return False
        self._there, self._kept, self._used_up = token, True, None
        for name in self._pair:
            self._delete(self._place.service, name)
        self._pair = ()
        return True

    def _set(self, text: str) -> None:
        try:
            self._store.set(self._service, self._place.name, text)
        except KeyboardInterrupt:
            # Once more: what is there is used up, and would sign somebody out who only stopped a program.
            self._store.set(self._service, self._place.name, text)
            raise

    def remove(self) -> bool:
        """Keep nothing any more; False if the store does not let it go, and the log says why."""
        self._there = None
        service, name, pair, otherwise = self._place
        places = [(each, name) for each in (service, otherwise) if each] + [(service, each) for each in pair]
        removed = [self._delete(*place) for place in places]
        return all(removed)

    def _delete(self, service: str, name: str) -> bool:
        try:
            self._store.delete(service, name)
        except Exception as error:  # noqa: BLE001 - see `write`
            if not isinstance(error, NotKeptError):
                _log.warning("tokens for %s could not be removed (%s)", service, _reason(error))
            return False
        return True


def _token(text: Optional[str], now: Moment) -> Optional[Token]:
    return token_in(text, now) if isinstance(text, str) else None


def _reason(error: Exception) -> str:
    """Why a store failed; of a stranger's text nothing, as it may have the value in it."""
    if isinstance(error, (NotKeptError, FlyteLiteError)):
        return str(error)
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
