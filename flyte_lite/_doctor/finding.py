"""What came of one step, and what a failure of it is called outside."""

from __future__ import annotations

import enum
from typing import NamedTuple

STEPS = ("configuration", "name resolution", "TCP", "proxy", "TLS", "Connect", "sign-in", "read", "upload")
"""Every step, in order."""


class Cause(enum.IntEnum):
    """What has to be mended; its number is the exit status of `flyte-lite doctor`."""

    NOTHING = 0
    CONFIGURATION = 2
    NETWORK = 3
    PROXY = 4
    TLS = 5
    NOT_FLYTE = 6
    SIGN_IN = 7
    READ = 8
    UPLOAD = 9


class Finding(NamedTuple):
    """What came of one step.

    Attributes:
        step: One of `STEPS`.
        verdict: "ok", "warning", "failed", or "skipped" where there was nothing to do or no way to do it.
        text: What was found, or why it was skipped. Without secrets.
        remedy: What to do about a failure or a warning; "" if nothing is wrong.
        seconds: How long it took; 0.0 if it was skipped.
        cause: What has to be mended, if it failed.
    """

    step: str
    verdict: str
    text: str
    remedy: str = ""
    seconds: float = 0.0
    cause: Cause = Cause.NOTHING

    @property
    def failed(self) -> bool:
        """True if what follows can't work."""
        return self.verdict == "failed"


class Trouble(Exception):
    """A step failed.

    Args:
        text: What went wrong.
        remedy: What to do.
        cause: What has to be mended.
    """

    def __init__(self, text: str, remedy: str, cause: Cause) -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy
        self.cause = cause
