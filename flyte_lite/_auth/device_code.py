"""Tokens for a person with another device: a code to type in there (RFC 8628)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from flyte_lite._auth.client_credentials import ClientProof, refreshed
from flyte_lite._auth.discovery import ClientConfig, Discovery
from flyte_lite._auth.person import Person
from flyte_lite._auth.provider import ANSWER_SECONDS, IdentityProvider, ProviderAnswer, shown
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Deadline
from flyte_lite._rpc.retry import pushback
from flyte_lite.errors import (
    CallError,
    CallTimeoutError,
    CanceledError,
    Code,
    ConnectFailedError,
    ConnectionLostError,
    EndpointError,
    UnauthenticatedError,
    UnavailableError,
)

_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# What RFC 8628 §3.5 has where nobody says otherwise, and what it adds when told to slow down.
_INTERVAL = 5.0
_SLOWER = 5.0
_LIFE = 600.0


class _Pending(NamedTuple):
    code: str
    prompt: str
    interval: float
    born: Moment
    life: float

    def __repr__(self) -> str:
        return f"_Pending({self.prompt})"


class DeviceCode:
    """The flow of a person who signs in elsewhere. A code outlives the call that asked for it, and serves the next.

    Args:
        to_refresh: Added to the form that gets each next token.
    """

    def __init__(
        self,
        provider: IdentityProvider,
        discovery: Discovery,
        proof: ClientProof,
        person: Person,
        *,
        to_refresh: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._provider = provider
        self._discovery = discovery
        self._proof = proof
        self._person = person
        self._to_refresh = dict(to_refresh or {})
        self._pending: Optional[_Pending] = None
        # Whether an answer about it was lost, which may have had the token in it: nobody gets that a second time.
        self._unheard = False

    def renew(self, old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        """See `TokenSource`."""
        return refreshed(self._provider, self._discovery, self._proof, old, deadline, self._to_refresh)

    def fetch(self, deadline: Deadline) -> Token:
        """See `TokenSource`."""
        # Before anything is asked: what can't end well needs no questions.
        self._person.need("a device code is to be typed in")
        config = self._discovery.config(deadline)
        token = None
        while token is None:
            pending, kept = self._pending, True
            if pending is None or pending.born.seconds_until(Moment.now(deadline.clock)) >= pending.life:
                pending, kept = self._ask(config, deadline), False
                self._unheard = False
            # Kept until it is used up: who approves it a little too late for one call has done so for the next.
            self._pending = pending
            self._person.tell(pending.prompt)
            token = self._poll(config, pending, deadline, kept=kept)
        return token

    def _ask(self, config: ClientConfig, deadline: Deadline) -> _Pending:
        if not config.device_authorization_endpoint:
            raise UnauthenticatedError(
                "the identity provider gives no device codes (it names no device_authorization_endpoint)",
                Code.UNAUTHENTICATED,
                sent=False,
            )
        fields, authorization, secrets = self._proof.of(config)
        form = {"scope": config.scope, "audience": config.audience, **fields}
        answer = self._provider.post(
            config.device_authorization_endpoint, form, deadline, authorization=authorization, secrets=secrets
        )
        if answer.error:
            raise answer.refusal("no device code")
        code, typed = answer.text("device_code"), answer.text("user_code")
        # Google's name for it is older than the RFC.
        page = answer.text("verification_uri") or answer.text("verification_url")
        if not code or not typed or not page:
            raise EndpointError(
                f"the answer of {answer.url} lacks a device_code, a user_code or a verification_uri",
                Code.INTERNAL,
                sent=False,
            )
        # Who reads along there would get what the person signs in with.
        self._provider.place(page)
        complete = answer.text("verification_uri_complete")
        where = complete if self._fit(complete) else page
        prompt = f"To sign in, open {shown(where)} and enter the code {shown(typed)}"
        if where != page:
            prompt = f"To sign in, open {shown(where)} and check that it shows the code {shown(typed)}"
        return _Pending(
            code, prompt, answer.seconds("interval") or _INTERVAL, answer.born, answer.seconds("expires_in") or _LIFE
        )

    def _fit(self, page: str) -> bool:
        try:
            self._provider.place(page)
        except EndpointError:
            return False
        return True

    def _poll(self, config: ClientConfig, pending: _Pending, deadline: Deadline, *, kept: bool) -> Optional[Token]:
        """None if another code is needed: this one was kept too long, or used up by an answer that did not arrive."""
        interval = pending.interval
        fields, authorization, secrets = self._proof.of(config)
        form = {"grant_type": _GRANT, "device_code": pending.code, **fields}
        while True:
            left = deadline.left()
            rest = max(0.0, pending.life - (deadline.clock.monotonic() - pending.born.monotonic))
            # Who is to come again when the code is long over need not wait for that.
            late = interval > rest + ANSWER_SECONDS
            pause = rest if late else interval
            deadline.sleep(pause if left is None else min(pause, left))
            if deadline.canceled:
                raise CanceledError("signing in was canceled", Code.CANCELED, sent=False)
            # Not what the clock says now, which may have woken us a little early: never sooner than told.
            if left is not None and left <= pause:
                raise CallTimeoutError(
                    f"nobody entered the device code within {deadline.seconds:g} s; give it more with timeout=, or "
                    "call again, as the code is still good",
                    Code.DEADLINE_EXCEEDED,
                    sent=False,
                )
            if late:
                raise self._over()
            unheard, self._unheard = self._unheard, True  # Ctrl-C is one way to lose an answer
            try:
                answer = self._provider.post(
                    config.token_endpoint,
                    form,
                    deadline,
                    authorization=authorization,
                    secrets=(*secrets, pending.code),
                )
            except CallError as error:
                if not _passing(error):
                    raise
                if isinstance(error, CallTimeoutError) and not deadline.expired:
                    interval *= 2  # as RFC 8628 §3.5 wants it
                interval = max(interval, pushback(error) or 0.0)
            else:
                self._unheard = unheard
                if answer.error not in ("authorization_pending", "slow_down"):
                    self._pending = None
                    used_up = answer.error == "invalid_grant" and self._unheard
                    over = answer.error == "expired_token" and kept
                    return None if used_up or over else self._settled(answer)
                if answer.error == "slow_down":
                    interval += _SLOWER
            # The next call that polls for this code is the same client.
            self._pending = pending = pending._replace(interval=interval)
            # By the clock that nobody sets: somebody may be about to enter it. After a sleep the provider knows.
            if deadline.clock.monotonic() - pending.born.monotonic >= pending.life:
                raise self._over()

    def _over(self) -> UnauthenticatedError:
        self._pending = None
        return UnauthenticatedError(
            "the device code was not entered while it was good", Code.UNAUTHENTICATED, sent=False
        )

    def _settled(self, answer: ProviderAnswer) -> Token:
        if answer.error == "expired_token":
            raise answer.refusal("the device code was not entered while it was good")
        if answer.error == "access_denied":
            raise answer.refusal("signing in was declined")
        return answer.token()


def _passing(error: CallError) -> bool:
    """True for what has nothing to do with the code: who approved it must not have done so for nothing."""
    return isinstance(error, (CallTimeoutError, ConnectFailedError, ConnectionLostError, UnavailableError))
