"""What becomes of actions that had not ended when the devbox did. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection

from flyte_lite.devbox.state.actions import TERMINAL
from flyte_lite.idl.flyteidl2.common import phase_pb2

_BEGUN = frozenset((phase_pb2.ACTION_PHASE_INITIALIZING, phase_pb2.ACTION_PHASE_RUNNING))


class Restart(enum.Enum):
    """What to do with an action after a restart."""

    NOTHING = "it has ended"
    QUEUE = "its attempt had not begun"
    REPEAT = "its attempt was interrupted, and another one is allowed"
    FAIL = "its attempt was interrupted, and was the last one"
    ABORT = "it was aborted, and its attempt does not know yet"


def restart(phase: int, attempt: int, told: Collection[int], retries: int) -> Restart:
    """Decide about one action.

    Args:
        phase: Of the action.
        attempt: The number of its last attempt, from 1.
        told: The phases of that attempt.
        retries: Attempts that the task allows beside the first one.
    """
    ended = not TERMINAL.isdisjoint(told)
    if phase == phase_pb2.ACTION_PHASE_ABORTED and not ended:
        return Restart.ABORT
    if phase in TERMINAL or ended:
        return Restart.NOTHING
    if _BEGUN.isdisjoint(told):
        return Restart.QUEUE
    return Restart.REPEAT if attempt <= retries else Restart.FAIL
