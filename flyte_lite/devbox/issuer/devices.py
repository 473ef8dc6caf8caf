"""Device codes: a client shows a short code, a person types it in elsewhere and allows it (RFC 8628)."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from typing import Any, Optional

from flyte_lite._clock import SYSTEM_CLOCK, Clock
from flyte_lite.devbox.issuer.clients import DEVICE, OAuthClient, hashed
from flyte_lite.devbox.issuer.refused import Refused
from flyte_lite.devbox.issuer.terms import Terms
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.sign_ins import ALLOWED, DENIED, USED, WAITING, Device

# No vowels, so that there are no words in them; nothing that looks like something else.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
# Seconds that a client is to wait longer when told to slow down (RFC 8628, 3.5).
_SLOWER = 5.0
# A person mistypes a code now and then; so many in so many seconds are guesses (RFC 8628, 5.1).
_MOST_WRONG, _WRONG_SECONDS = 30, 60.0
# Of how many codes it is remembered when they were asked for.
_MOST_ASKED = 10_000


class Devices:
    """The codes that were asked for.

    Args:
        state: Where they are kept.
        terms: On which they are given.
        real: The clock of those who ask, which passes also while a test has stopped the devbox's.
    """

    def __init__(self, state: State, terms: Terms, real: Clock = SYSTEM_CLOCK) -> None:
        self._state = state
        self._kept = state.sign_ins
        self._terms = terms
        self._real = real
        self._lock = threading.Lock()
        # By hash: when each was last asked for, and how long its client has to wait in between.
        self._asked: dict[bytes, tuple[float, float]] = {}
        self._wrong: deque[float] = deque(maxlen=_MOST_WRONG)

    def ask(self, client: OAuthClient, scope: str, page: str) -> dict[str, Any]:
        """A new code.

        Args:
            client: Who asks.
            scope: What for.
            page: Where a person types it in.
        """
        code, interval = secrets.token_urlsafe(32), self._terms.device_interval
        until = self._state.now() + round(self._terms.device_seconds * 1_000_000)
        while True:
            letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
            user_code = f"{letters[:4]}-{letters[4:]}"
            if self._kept.add_device(hashed(code), Device(user_code, client.id, scope, until, WAITING, 0)):
                break
        with self._lock:
            if len(self._asked) >= _MOST_ASKED:
                self._asked.clear()
            # The first question may come at once.
            self._asked[hashed(code)] = (float("-inf"), interval)
        if self._terms.automatic_user is not None:
            self.allow(user_code, self._terms.automatic_user)
        return {
            "device_code": code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={user_code}",
            "expires_in": self._terms.device_seconds,
            "interval": interval,
        }

    def used(self, client: OAuthClient, code: str) -> int:
        """The sign-in that came of a code, once.

        Raises:
            Refused: There is none yet, there will be none, or it was had before.
        """
        hash = hashed(code)
        device = self._kept.device(hash)
        if device is None or device.client != client.id:
            raise Refused("invalid_grant", "the device code is not known")
        if device.decision == USED:
            self._kept.revoke(device.sign_in)
            raise Refused("invalid_grant", "the device code was used before, so what it gave is revoked")
        if device.expires_at <= self._state.now():
            raise Refused("expired_token", "the device code has expired")
        if device.decision == DENIED:
            raise Refused("access_denied", "the sign-in was denied")
        if device.decision == WAITING:
            self._check_pace(hash)
            raise Refused("authorization_pending", "nobody has typed in the code yet")
        self._kept.decide(device.user_code, USED)
        with self._lock:
            self._asked.pop(hash, None)
        return device.sign_in

    def _check_pace(self, hash: bytes) -> None:
        now = self._real.monotonic()
        with self._lock:
            last, interval = self._asked.get(hash, (float("-inf"), self._terms.device_interval))
            early = now - last < interval
            self._asked[hash] = (now, interval + _SLOWER if early else interval)
        if early:
            raise Refused("slow_down", "wait 5 seconds longer between questions")

    def reset(self) -> None:
        """Forget how often somebody asked and guessed."""
        with self._lock:
            self._asked.clear()
            self._wrong.clear()

    def waiting(self) -> list[str]:
        """The user codes of those that wait for a person, oldest first."""
        return [device.user_code for device in self._kept.waiting(self._state.now())]

    def find(self, typed: str) -> Optional[Device]:
        """The code that a person has typed in, in whatever way; None if none such waits.

        Raises:
            Refused: Too many wrong ones were typed.
        """
        now = self._real.monotonic()
        with self._lock:
            if len(self._wrong) == _MOST_WRONG and now - self._wrong[0] < _WRONG_SECONDS:
                raise Refused("slow_down", "too many wrong codes were typed; wait a minute", 429)
        device = self._waiting(typed)
        if device is None:
            with self._lock:
                self._wrong.append(now)
        return device

    def allow(self, user_code: str, subject: str) -> bool:
        """Let somebody sign in with it; False if none such waits."""
        with self._state.database.transaction():
            device = self._waiting(user_code)
            if device is None:
                return False
            sign_in = self._kept.begin(device.client, subject, device.scope, DEVICE)
            self._kept.decide(device.user_code, ALLOWED, sign_in)
        return True

    def deny(self, user_code: str) -> bool:
        """Let nobody sign in with it; False if none such waits."""
        with self._state.database.transaction():
            device = self._waiting(user_code)
            if device is None:
                return False
            self._kept.decide(device.user_code, DENIED)
        return True

    def _waiting(self, typed: str) -> Optional[Device]:
        letters = "".join(letter for letter in typed.upper() if letter in _LETTERS)
        device = self._kept.device_of(f"{letters[:4]}-{letters[4:]}")
        if device is None or device.decision != WAITING or device.expires_at <= self._state.now():
            return None
        return device
