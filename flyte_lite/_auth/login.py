"""A person's login to one server: made anew, looked at, and ended."""

from __future__ import annotations

from typing import NamedTuple, Optional

from flyte_lite._auth.client_credentials import ClientProof
from flyte_lite._auth.discovery import Discovery
from flyte_lite._auth.provider import IdentityProvider
from flyte_lite._auth.revocation import revoke
from flyte_lite._auth.stored import Stored
from flyte_lite._auth.tokens import Token, TokenSource
from flyte_lite._clock import Deadline

_LOOK_SECONDS = 5.0


class Ended(NamedTuple):
    """What became of a login.

    Attributes:
        there: Whether there was one.
        removed: False if its store does not let it go; the log says why.
        unrevoked: Why the identity provider could not be told; "" if it was.
    """

    there: bool
    removed: bool
    unrevoked: str


class Login:
    """See the module.

    Args:
        source: Where its tokens come from; without a store, it is kept nowhere.
        provider: Gave it.
        discovery: Says how.
        proof: Of the client that it was given to.
    """

    def __init__(
        self, source: TokenSource, provider: IdentityProvider, discovery: Discovery, proof: ClientProof
    ) -> None:
        self._source = source
        self._provider = provider
        self._discovery = discovery
        self._proof = proof

    def trouble(self, deadline: Deadline) -> str:
        """Why it would be forgotten at once; "" if nothing is known against it.

        Raises:
            FlyteLiteError: Its store can't be read.
        """
        if not isinstance(self._source, Stored):
            return "tokens are kept in the memory of each process"
        self._source.entry.read(deadline)
        return self._source.trouble

    def token(self, deadline: Deadline) -> Optional[Token]:
        """What is kept, also if its time is over; None if nothing is.

        Raises:
            FlyteLiteError: Its store can't be read.
        """
        return self._source.entry.read(deadline) if isinstance(self._source, Stored) else None

    def gives_codes(self, deadline: Deadline) -> bool:
        """Whether a person can sign in with a code that they type in elsewhere.

        Raises:
            CallError: Nobody can say.
        """
        return bool(self._discovery.config(deadline).device_authorization_endpoint)

    def begin(self, deadline: Deadline) -> bool:
        """Ask a person to sign in, whoever is signed in now; False if that was forgotten at once.

        Raises:
            FlyteLiteError: Nobody did, or the store can't be read.
        """
        self._source.fetch(deadline)
        # They may have come at the last moment.
        return self.token(Deadline(deadline.clock, _LOOK_SECONDS, deadline.cancel)) is not None

    def end(self, deadline: Deadline) -> Ended:
        """Forget it, and tell its provider within the deadline, if that is possible.

        Raises:
            FlyteLiteError: The store can't be read.
        """
        if not isinstance(self._source, Stored):
            return Ended(False, True, "")
        with self._source.alone(deadline):
            token = self._source.entry.read(deadline)
            removed = False
            try:
                told = "" if token is None else revoke(self._provider, self._discovery, self._proof, token, deadline)
            finally:
                # Also after Ctrl-C: who signs out must not stay signed in because a provider is slow.
                removed = self._source.entry.remove()
        return Ended(token is not None, removed, told)
