"""Tokens: how long they are good for, and how one refresh serves all threads."""

from __future__ import annotations

import copy
import logging
import os
import threading
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, NoReturn, Optional, Protocol

from flyte_lite._clock import Cancel, Clock, Deadline
from flyte_lite.errors import (
    CallTimeoutError,
    CanceledError,
    Code,
    FlyteLiteError,
    UnauthenticatedError,
)

_log = logging.getLogger("flyte_lite")

# A token is renewed so long before its end, or so large a part of its life if that is less.
_EARLY_SECONDS = 60.0
_EARLY_PART = 0.1
# An early renewal may take so long of a call that could do without, and is left alone for so long if it brings nothing.
_EARLY_PATIENCE = 10.0
# With less than so long for it, nobody begins: a refresh token is used up though its answer is not waited for.
_EARLY_LEAST = 2.0
_EARLY_PAUSE = 15.0
# A person may have to find a telephone for a second factor.
_PERSON_SECONDS = 300.0


class Moment(NamedTuple):
    """A point in time on both of a machine's clocks: one stands still while it sleeps, the other may be set."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls, clock: Clock) -> Moment:
        """The present."""
        return cls(clock.monotonic(), clock.time())

    def seconds_until(self, later: Moment) -> float:
        """What has passed since, by whichever clock says more."""
        return max(later.monotonic - self.monotonic, later.wall - self.wall)


class Token:
    """What proves who calls, for some time.

    Args:
        value: Shown with calls as it is.
        born: When it was asked for.
        life: Seconds that it is good for from then on; None if nobody said.
        refresh: What gets the next one without asking anybody; None if nothing does.
        issued_by: The token endpoint that `refresh` came from, and that alone gets to see it; None if nobody knows.

    Attributes:
        spent: Whether its provider has said that `refresh` is taken no more.
    """

    __slots__ = ("_born", "_life", "issued_by", "refresh", "spent", "value")

    def __init__(
        self,
        value: str,
        born: Moment,
        *,
        life: Optional[float] = None,
        refresh: Optional[str] = None,
        issued_by: Optional[str] = None,
    ) -> None:
        self.value = value
        self.refresh = refresh
        self.issued_by = issued_by
        self.spent = False
        self._born = born
        self._life = life

    def __repr__(self) -> str:
        return "Token(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is not pickled")

    def left(self, now: Moment) -> Optional[float]:
        """Seconds that it is still good for; None if nobody knows."""
        return None if self._life is None else self._life - self._born.seconds_until(now)

    def good(self, now: Moment) -> bool:
        """False once its time is over."""
        left = self.left(now)
        return left is None or left > 0

    def aging(self, now: Moment) -> bool:
        """True if its end is so near that the next one is due."""
        left = self.left(now)
        return left is not None and self._life is not None and left <= min(_EARLY_SECONDS, _EARLY_PART * self._life)


class TokenSource(Protocol):
    """Where tokens come from. Asked by one thread at a time."""

    def renew(self, old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        """The token that follows `old`, or the first, without asking a person; None if there is none to be had so.

        Raises:
            FlyteLiteError: Nobody can say now; what `old` has for the next one may still be good.
        """
        ...

    def fetch(self, deadline: Deadline) -> Token:
        """A token, whatever it takes: where `renew` has none, a person is asked.

        Raises:
            FlyteLiteError: There is none.
        """
        ...


class Header(Protocol):
    """Which header takes the token."""

    def name(self, deadline: Deadline) -> str:
        """Its name, in lower case."""
        ...

    def reconsider(self, deadline: Deadline) -> bool:
        """A token was refused under that name; True if it turns out to be another one."""
        ...


class _Flight:
    """A renewal under way, which others wait for.

    Attributes:
        landed: Canceled once it is over.
        thread: Who makes it.
        error: Why it failed, if that would be so for everybody.
        fruitless: True if only a person could help, who was not asked.
        asking: True once a person may be asked, who takes longer than a call.
    """

    __slots__ = ("asking", "error", "fruitless", "landed", "thread")

    def __init__(self) -> None:
        self.landed = Cancel()
        self.thread = threading.get_ident()
        self.error: Optional[FlyteLiteError] = None
        self.fruitless = False
        self.asking = False

    def wait(self, deadline: Deadline) -> None:
        woken: SimpleQueue[None] = SimpleQueue()

        def wake() -> None:
            woken.put(None)

        tokens = [token for token in (self.landed, deadline.cancel) if token is not None]
        for token in tokens:
            token.subscribe(wake)
        left = deadline.left()
        try:
            woken.get(timeout=None if left is None else min(left, threading.TIMEOUT_MAX))
        except Empty:
            raise CallTimeoutError(
                f"another thread was not done with signing in within {deadline.seconds:g} s; give it more with "
                "timeout=",
                Code.DEADLINE_EXCEEDED,
                sent=False,
            ) from None
        finally:
            for token in tokens:
                token.unsubscribe(wake)
        if deadline.canceled:
            raise CanceledError("the call was canceled", Code.CANCELED, sent=False)


class TokenCredentials:
    """A bearer token with each call, renewed a little before its end or when it is refused.

    One thread renews, the others wait for it within their own deadlines, or go on with a token that is still good. No
    lock is held meanwhile: one that a fork copies would never open again.

    Args:
        source: Where tokens come from.
        header: What takes them.
        clock: What their life is measured on.
        eager: False asks nobody for a token until a server wants one.
        looks: True shows, until then, one that comes without asking a person, if there is such a one.
        token: To begin with.
    """

    def __init__(
        self,
        source: TokenSource,
        header: Header,
        clock: Clock,
        *,
        eager: bool = True,
        looks: bool = False,
        token: Optional[Token] = None,
    ) -> None:
        self._source = source
        self._header = header
        self._clock = clock
        self._wanted = eager or token is not None
        self._looks = looks
        # Which token in a row, and the token: replaced in one step.
        self._state: tuple[int, Optional[Token]] = (0, token)
        self._flights: dict[tuple[int, int], _Flight] = {}
        self._not_early_before = float("-inf")

    @property
    def token(self) -> Optional[Token]:
        """What was shown last; None before the first."""
        return self._state[1]

    def headers(self, deadline: Deadline) -> Mapping[str, str]:
        """See `Credentials`; fetches a token if there is none that is good."""
        generation, token = self._state
        if token is None and not self._wanted and not self._looks:
            return {}
        now = Moment.now(self._clock)
        if token is not None and token.good(now):
            if token.aging(now):
                token = self._renewed_early(generation, token, deadline)
        elif self._wanted:
            token = self._needed(generation, deadline)
        else:
            token = self._found(generation, deadline) if self._looks else None
        return {} if token is None else self._shown(token, deadline)

    def refused(self, sent: Mapping[str, str], deadline: Deadline) -> bool:
        """See `Credentials`; fetches another token, unless somebody already has."""
        generation, token = self._state
        if token is not None:
            self._wanted = True
            if not _part_of(self._shown(token, deadline), sent):
                return True
            if self._header.reconsider(deadline):
                return True
        token = self._needed(generation, deadline)
        # Not before there is one: where nobody can sign in, other calls may do without.
        self._wanted = True
        return not _part_of(self._shown(token, deadline), sent)

    def _shown(self, token: Token, deadline: Deadline) -> dict[str, str]:
        return {self._header.name(deadline): f"Bearer {token.value}"}

    def _needed(self, generation: int, deadline: Deadline) -> Token:
        token = self._renewed(generation, deadline)
        assert token is not None
        return token

    def _found(self, generation: int, deadline: Deadline) -> Optional[Token]:
        """What is there before a server asks; a failure is none of the server's, which may want nobody."""
        try:
            token = self._renewed(generation, deadline, quietly=True)
        except FlyteLiteError as error:
            if deadline.over:
                raise
            _log.debug("no token was found before the first call: %s", type(error).__name__)
            token = None
        self._looks = token is not None
        return token

    def _renewed_early(self, generation: int, token: Token, deadline: Deadline) -> Token:
        now = self._clock.monotonic()
        if now < self._not_early_before or (os.getpid(), generation) in self._flights:
            return token
        left = deadline.left()
        patience = _EARLY_PATIENCE if left is None else min(_EARLY_PATIENCE, left / 2)
        if patience < _EARLY_LEAST:
            return token
        try:
            renewed = self._renewed(generation, deadline.within(patience), quietly=True) or token
        except FlyteLiteError as error:
            if deadline.canceled:
                raise
            _log.debug("the token could not be renewed early, and is still good: %s", type(error).__name__)
            renewed = token
        if renewed.aging(Moment.now(self._clock)):
            # It failed, or brought one that somebody else keeps for as long as it lasts.
            self._not_early_before = self._clock.monotonic() + _EARLY_PAUSE
        return renewed

    def _renewed(self, generation: int, deadline: Deadline, *, quietly: bool = False) -> Optional[Token]:
        """The token that follows the one of this generation, fetched by this thread or by another.

        Quietly asks no person, and gives None where only a person could help.
        """
        # The process too: what a thread of the parent was about, a child will never see the end of.
        key = (os.getpid(), generation)
        while True:
            current, token = self._state
            if current != generation and token is not None:
                return token
            flight = _Flight()
            first = self._flights.setdefault(key, flight)
            if first is flight:
                return self._lead(key, flight, deadline, quietly=quietly)
            if first.thread == flight.thread:
                raise UnauthenticatedError(
                    "a token is needed to make the token: what makes it must not call through this client",
                    Code.UNAUTHENTICATED,
                    sent=False,
                )
            self._follow(first, deadline)
            if first.error is not None:
                # Each thread its own: calls write into their errors how they went.
                raise copy.copy(first.error) from first.error
            if quietly and first.fruitless:
                return None

    def _follow(self, flight: _Flight, deadline: Deadline) -> None:
        started = self._clock.monotonic()
        try:
            flight.wait(deadline)
        except CallTimeoutError:
            if not flight.asking:
                raise
            flight.wait(deadline.for_person(_PERSON_SECONDS))
        finally:
            if flight.asking:
                deadline.postpone(self._clock.monotonic() - started)

    def _asked(self, deadline: Deadline) -> Token:
        """From a person, perhaps, who has longer than a call whose end nobody has set."""
        started = self._clock.monotonic()
        try:
            return self._source.fetch(deadline.for_person(_PERSON_SECONDS))
        finally:
            deadline.postpone(self._clock.monotonic() - started)

    def _lead(self, key: tuple[int, int], flight: _Flight, deadline: Deadline, *, quietly: bool) -> Optional[Token]:
        generation = key[1]
        try:
            current, old = self._state
            if current != generation and old is not None:
                return old
            token = self._source.renew(old, deadline)
            if token is None and quietly:
                flight.fruitless = True
                return None
            if token is None:
                flight.asking = True
                token = self._asked(deadline)
            self._state = (generation + 1, token)
            self._not_early_before = float("-inf")
            if _log.isEnabledFor(logging.DEBUG):
                left = token.left(Moment.now(self._clock))
                _log.debug("a new token; it is good for %s", "as long as it is" if left is None else f"{left:.0f} s")
            return token
        except FlyteLiteError as error:
            # Whoever waits may have more time, and is not canceled.
            if not isinstance(error, (CallTimeoutError, CanceledError)):
                flight.error = error
            raise
        finally:
            self._flights.pop(key, None)
            flight.landed.cancel()


class Together:
    """Several credentials at once, such as one for the server and one for the proxy before it.

    Attributes:
        credentials: In the order in which they were given.
    """

    def __init__(self, *credentials: Any) -> None:
        self.credentials = credentials

    def headers(self, deadline: Deadline) -> Mapping[str, str]:
        """See `Credentials`."""
        return {name: value for each in self.credentials for name, value in each.headers(deadline).items()}

    def refused(self, sent: Mapping[str, str], deadline: Deadline) -> bool:
        """See `Credentials`; nobody says which was meant, so each is renewed."""
        renewed = [each.refused(sent, deadline) for each in self.credentials]
        return any(renewed)


def _part_of(shown: Mapping[str, str], sent: Mapping[str, str]) -> bool:
    return all(sent.get(name) == value for name, value in shown.items())
