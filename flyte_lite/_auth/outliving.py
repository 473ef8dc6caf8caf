"""Renewals that outlive the calls that began them: what is used up for a token must not be lost with the answer."""

from __future__ import annotations

import atexit
import os
import threading
from typing import NoReturn, Optional

from flyte_lite._auth.tokens import Moment, Token, TokenSource, has_landed
from flyte_lite._clock import Cancel, Deadline
from flyte_lite.errors import CallTimeoutError, Code

# An answer is waited for so long at least, whoever has gone meanwhile; and so long at most, where nobody sets an end.
_LEAST = 30.0
_MOST = 300.0
# What is under way at the end of the program may take so long.
_AT_EXIT = 2.0


class Outliving:
    """A `TokenSource` that lets go of a call that has to stop, and not of the answer that it waited for.

    A refresh token that rotates is used up once it is sent, and some providers end the whole sign-in if it is sent
    twice. So a thread sends it, which has its own time: a call that ends before, by its deadline, a cancel or Ctrl-C,
    leaves it behind, and the next one takes what it has got.

    Args:
        source: Its `renew` is called in that thread.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._under_way: Optional[_Renewal] = None

    def __repr__(self) -> str:
        return f"Outliving({self._source!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("what signs in is not pickled")

    def renew(self, old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        """See `TokenSource`."""
        renewal, self._under_way = self._under_way, None
        latest = old
        if renewal is not None and renewal.follows(old):
            if not renewal.landed.canceled:
                self._await(renewal, deadline)
            if renewal.token is not None:
                if renewal.token.good(Moment.now(deadline.clock)):
                    return renewal.token
                latest = renewal.token  # it came long ago, and what gets the next is in it
            # Its errors were those of a call that had its own time, or that nobody was there for.
        renewal = _Renewal(self._source, old, latest, deadline)
        if not renewal.start():
            return self._source.renew(latest, deadline)
        self._await(renewal, deadline)
        return renewal.outcome()

    def _await(self, renewal: _Renewal, deadline: Deadline) -> None:
        try:
            renewal.wait(deadline)
        except BaseException:
            self._under_way = renewal
            # A store gets what still comes, though the program ends.
            atexit.register(renewal.landed.wait, _AT_EXIT)
            raise

    def fetch(self, deadline: Deadline) -> Token:
        """See `TokenSource`."""
        return self._source.fetch(deadline)


class _Renewal:
    """One renewal, in a thread of its own.

    Args:
        old: What it was asked to follow.
        latest: What has followed that already; `old` if nothing has.

    Attributes:
        landed: Canceled once it is over.
        token: What it brought; None if nothing.
        error: Why not.
    """

    def __init__(self, source: TokenSource, old: Optional[Token], latest: Optional[Token], deadline: Deadline) -> None:
        left = deadline.left()
        self.landed = Cancel()
        self.token: Optional[Token] = None
        self.error: Optional[BaseException] = None
        self._source = source
        self._old = old
        self._latest = latest
        self._deadline = Deadline(deadline.clock, _MOST if left is None else max(left, _LEAST))
        # Of a parent's thread, a child never sees the end.
        self._process = os.getpid()

    def start(self) -> bool:
        """False if there can be no thread."""
        try:
            threading.Thread(target=self._run, name="flyte_lite sign-in", daemon=True).start()
        except RuntimeError:
            return False
        return True

    def follows(self, old: Optional[Token]) -> bool:
        """True if it brings what comes after a token."""
        return self._old is old and self._process == os.getpid()

    def wait(self, deadline: Deadline) -> None:
        """Wait for its end, or go and leave it behind.

        Raises:
            CallTimeoutError: The deadline was sooner.
            CanceledError: The call was canceled meanwhile.
        """
        if not has_landed(self.landed, deadline):
            raise CallTimeoutError(
                f"no token was renewed within {deadline.seconds:g} s; give it more with timeout=, or call again, as its"
                " answer is still waited for",
                Code.DEADLINE_EXCEEDED,
                sent=False,
            )

    def outcome(self) -> Optional[Token]:
        """What it brought.

        Raises:
            FlyteLiteError: Why it brought nothing.
        """
        if self.error is not None:
            raise self.error
        return self.token

    def _run(self) -> None:
        try:
            self.token = self._source.renew(self._latest, self._deadline)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, who is not here
            self.error = error
        finally:
            self.landed.cancel()
