"""How often an action was tried, and how each try went."""

from __future__ import annotations

from typing import Optional

from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.models import ActionPhase


def newest(details: run_definition_pb2.ActionDetails) -> int:
    """Number of the newest attempt; 0 before the first."""
    # The status of a parent says 0 while its children run.
    return max([details.status.attempts, *(_number(details, place) for place in range(len(details.attempts)))])


def ended(action: run_definition_pb2.Action) -> Optional[run_definition_pb2.ActionDetails]:
    """What is known of an action that has ended, if that is enough to tell its attempts; else None."""
    if not action.status.attempts or not ActionPhase.from_protobuf(action.status.phase).is_terminal:
        return None
    return run_definition_pb2.ActionDetails(id=action.id, metadata=action.metadata, status=action.status)


def told_of(details: run_definition_pb2.ActionDetails, number: int) -> Optional[run_definition_pb2.ActionAttempt]:
    """What is told of one attempt; None if that is nothing."""
    for place, attempt in enumerate(details.attempts):
        if _number(details, place) == number:
            return attempt
    return None


def check(number: Optional[int]) -> None:
    """Refuse what is the number of no attempt of anything.

    Raises:
        ValueError: It is below 1, or no integer.
    """
    if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
        raise ValueError(f"attempt is {number!r}; attempts are counted from 1, and None is the newest one")


def _number(details: run_definition_pb2.ActionDetails, place: int) -> int:
    return details.attempts[place].attempt or place + 1
