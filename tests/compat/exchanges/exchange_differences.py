"""Where the devbox is meant to answer differently from the real server."""

from __future__ import annotations

from typing import NamedTuple

MOST = 5


class Difference(NamedTuple):
    """One place of one answer.

    Attributes:
        scenario: Its name.
        step: The number of the step, from 0.
        path: The place in what is compared.
        reason: Why.
    """

    scenario: str
    step: int
    path: str
    reason: str


_NEWER = (
    "The devbox knows the field `code` of ErrorInfo, which the recorded server's wire types did not have yet. It tells"
    " the type of a task's exception, and whoever speaks JSON may read it too."
)

DIFFERENCES = [
    Difference("protocol/newer_fields", 5, "response.details.errorInfo.code", _NEWER),
    Difference("protocol/newer_fields", 5, "response.details.attempts.0.errorInfo.code", _NEWER),
    Difference("protocol/newer_fields", 9, "found", _NEWER),
]
