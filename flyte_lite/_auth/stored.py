"""Tokens that other processes share: one of them renews, and the others find in the store what it got."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NoReturn, Optional

from flyte_lite._auth.entry import Entry
from flyte_lite._auth.lock import ProcessLock
from flyte_lite._auth.store import Place, TokenStore
from flyte_lite._auth.tokens import Moment, Token, TokenSource
from flyte_lite._clock import Deadline
from flyte_lite.errors import CallTimeoutError, Code, FlyteLiteError, UnavailableError

_log = logging.getLogger("flyte_lite")

# What a person was asked for is written in any case; so long it waits for a turn.
_PATIENCE = 2.0


class Stored:
    """A `TokenSource` whose tokens are kept in a store.

    A refresh token that rotates is good for one use, and some providers end the whole sign-in if it is used twice. So
    whoever renews holds a lock from before the store is read until the answer is written there.

    Args:
        source: Where tokens come from that are not there.
        store: Where they are kept.
        place: Whose they are.
        environ: Where the folder of the lock is told.

    Attributes:
        entry: What is there.
    """

    def __init__(
        self, source: TokenSource, store: TokenStore, place: Place, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._source = source
        self._store = store
        self._place = place
        self.entry = Entry(store, place)
        self._lock = ProcessLock(f"{place.service}\0{place.name}", environ)

    def __repr__(self) -> str:
        return f"Stored({self._source!r}, {self.entry!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("what signs in is not pickled")

    @property
    def trouble(self) -> str:
        """Why its store keeps nothing; "" if nothing is known against it."""
        said = getattr(self._store, "trouble", "")
        return said if isinstance(said, str) else ""

    def renew(self, old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        """See `TokenSource`; what another process has brought is taken if it is good."""
        # Before anybody waits for a turn: most find here what they want, and a store that hangs holds up nobody else.
        there = self._there(deadline)
        if self._answers(there, old, deadline):
            return there
        # Of a store that keeps nothing, nobody else has anything.
        with contextlib.nullcontext() if self.trouble else self.alone(deadline):
            there = self._there(deadline)
            while not self._answers(there, old, deadline):
                latest = old if there is None or (there.refresh is None and old is not None) else there
                token = self._source.renew(latest, deadline)
                if token is not None:
                    # Who has signed out elsewhere finds nothing of theirs there again.
                    if not self.entry.gone:
                        self.entry.write(token, deadline)
                    return token
                # What was not sent, as it came from elsewhere, is good for whom the server leads there again.
                if latest is None or latest is not there or not latest.spent:
                    return None
                # The official SDK waits for nobody, and may have used it up before us.
                there = self._there(deadline)
                if there is None or there.refresh == latest.refresh:
                    self.entry.remove()
                    return None
            return there

    def _there(self, deadline: Deadline) -> Optional[Token]:
        there = self.entry.read(deadline)
        # What followed one that could not be replaced is ours alone.
        return None if there is not None and self.entry.outdated(there) else there

    def _answers(self, there: Optional[Token], old: Optional[Token], deadline: Deadline) -> bool:
        """True for a token that another process has brought, and that is good."""
        if there is None or (old is not None and there.value == old.value):
            return False
        return there.good(Moment.now(deadline.clock))

    def fetch(self, deadline: Deadline) -> Token:
        """See `TokenSource`; others are not kept waiting for what a person may never do."""
        token = self._source.fetch(deadline)
        with contextlib.ExitStack() as stack:
            # The token is here, whatever has become of the call meanwhile.
            with contextlib.suppress(FlyteLiteError):
                stack.enter_context(self.alone(Deadline(deadline.clock, _PATIENCE)))
            self.entry.write(token, deadline)
        return token

    @contextlib.contextmanager
    def alone(self, deadline: Deadline) -> Iterator[None]:
        """Inside, no other process reads or writes it.

        Raises:
            CallError: Another one had it for all of that time.
        """
        theirs = getattr(self._store, "lock", None)
        with self._lock.held(deadline), contextlib.nullcontext() if theirs is None else self._held(theirs, deadline):
            yield

    @contextlib.contextmanager
    def _held(self, theirs: Callable[..., AbstractContextManager[Any]], deadline: Deadline) -> Iterator[None]:
        """Inside the lock of a store of the user's.

        Raises:
            CallError: It can't be had.
        """
        service, name = self._place[:2]
        try:
            lock = theirs(service, name, deadline.left())
            lock.__enter__()
        except FlyteLiteError:
            raise
        except TimeoutError:
            raise CallTimeoutError(
                f"the lock of the store of tokens for {service} was not free within {deadline.seconds or 0:g} s",
                Code.DEADLINE_EXCEEDED,
                sent=False,
            ) from None
        except Exception as error:
            raise UnavailableError(
                f"the store of tokens for {service} can't be locked: {type(error).__name__}",
                Code.UNAVAILABLE,
                sent=False,
            ) from error
        try:
            yield
        finally:
            try:
                lock.__exit__(None, None, None)
            except Exception as error:  # noqa: BLE001 - the token that was got meanwhile must not be lost
                _log.warning("the store of tokens for %s can't be unlocked: %s", service, type(error).__name__)
