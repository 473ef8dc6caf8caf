"""Where lives on the devbox are meant to differ from those on the real server."""

from __future__ import annotations

from typing import NamedTuple

CODE = "its error has a code"
OWN_END = "it ends by itself"
QUEUED_FIRST = "it is queued before it can be aborted"
UNCHECKED = "its store takes any signature"


class Difference(NamedTuple):
    """One way of being different.

    Attributes:
        what: One of those above.
        lives: Which lives; empty is all.
        reason: Why.
    """

    what: str
    lives: tuple[str, ...]
    reason: str


DIFFERENCES = [
    Difference(
        CODE,
        (),
        "ErrorInfo.code tells the type of the exception; the recorded server's wire types did not have it yet.",
    ),
    Difference(
        OWN_END,
        ("dying", "extra_input", "wrong_type"),
        "A task whose process dies without telling an error is restarted for ever by the real executor, against the"
        " documents, which promise as many retries as are declared. Here it fails, with the reason.",
    ),
    Difference(
        QUEUED_FIRST,
        ("abort_queued",),
        "The real server answers CreateRun before its executor knows of the run; here it is queued by then, so that an"
        " abort that comes at once finds it so.",
    ),
    Difference(
        UNCHECKED,
        ("report",),
        "The store beside the recorded server was an emulator that checks nothing: an address that is signed for GET"
        " was good for HEAD, too. S3 refuses that, and so does the devbox.",
    ),
]

# How the lives that end by themselves do: kind and text of the error.
OWN_ENDS = {
    "dying": ("KIND_SYSTEM", "the task's process ended with exit code 3 and told no result"),
    "extra_input": ("KIND_USER", "hello() got an unexpected keyword argument 'other'"),
    "wrong_type": ("KIND_USER", "name: expected str, got int 1"),
}


def meant(what: str, life: str) -> bool:
    """Whether that life may differ in that way."""
    return any(each.what == what and (not each.lives or life in each.lives) for each in DIFFERENCES)
