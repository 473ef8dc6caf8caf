"""How the issuer says no."""

from __future__ import annotations


class Refused(Exception):
    """A request that gets an error of OAuth 2.0.

    Attributes:
        error: Its name for what is wrong.
        description: The same for people, in ASCII without quotes; holds nothing that was sent.
        status: Of HTTP.
    """

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status
