"""On what terms tokens are given: what a test may set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

PUBLIC_CLIENT = "flyte-devbox-cli"
SCOPES = ("all", "offline")
# The scope with which there is a refresh token.
OFFLINE = "offline"
AUDIENCE = "flyte-devbox"


class User(NamedTuple):
    """Somebody who can sign in.

    Attributes:
        subject: What tokens call them.
        name: In full; "" is as the subject.
        given_name: For `UserInfo` and `executed_by`.
        family_name: The same.
        email: The same.
    """

    subject: str
    name: str = ""
    given_name: str = ""
    family_name: str = ""
    email: str = ""

    def claims(self) -> dict[str, str]:
        """What a token says of them."""
        told = {**self._asdict(), "name": self.name or self.subject}
        return {"sub": told.pop("subject"), **{name: value for name, value in told.items() if value}}


_USERS = (
    User("ada", "Ada Lovelace", "Ada", "Lovelace", "ada@example.com"),
    User("grace", "Grace Hopper", "Grace", "Hopper", "grace@example.com"),
)


class Terms:
    """What holds for tokens that are given from now on. A name that there is not is an AttributeError.

    Attributes:
        token_seconds: The life of an access token.
        refresh_seconds: That of a refresh token; each new one begins anew.
        code_seconds: That of an authorization code.
        device_seconds: That of a device code.
        device_interval: Seconds that a client waits between questions for a device code; one that asks sooner is told
            to slow down.
        rotates: Whether a refresh token is good for one time only, and a second time ends the sign-in that it comes of.
        reuse_seconds: How long after it was used a refresh token is taken once more all the same, as some providers do
            for clients whose answer was lost.
        users: Who can be picked on the page where people sign in; any other name can be typed there.
        automatic_user: Who has signed in at once wherever a person is asked for, so that nobody sees a page, and device
            codes need not be typed in; None asks.
        redirect_uris: Where browsers may be sent back to; the first is told to clients. Of a loopback address the port
            is free (RFC 8252, 7.3), all else must be the same to the letter.
    """

    __slots__ = (
        "automatic_user",
        "code_seconds",
        "device_interval",
        "device_seconds",
        "redirect_uris",
        "refresh_seconds",
        "reuse_seconds",
        "rotates",
        "token_seconds",
        "users",
    )

    def __init__(self) -> None:
        self.defaults()

    def defaults(self) -> None:
        """Set all of them as at first."""
        self.token_seconds: float = 3600
        self.refresh_seconds: float = 30 * 24 * 3600
        self.code_seconds: float = 60
        self.device_seconds: float = 600
        self.device_interval: float = 5
        self.rotates = True
        self.reuse_seconds: float = 0
        self.users: Sequence[User] = _USERS
        self.automatic_user: Optional[str] = None
        # The port that Flyte's own clients are usually sent back to.
        self.redirect_uris: Sequence[str] = (
            "http://localhost:53593/callback",
            "http://127.0.0.1/callback",
            "http://[::1]/callback",
        )

    def user(self, subject: str) -> User:
        """The user of that name, whether known or not."""
        return next((user for user in self.users if user.subject == subject), User(subject))
