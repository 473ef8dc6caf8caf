"""Which action of a run is to blame for its failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.models import ActionPhase

PHASES = (ActionPhase.FAILED, ActionPhase.TIMED_OUT, ActionPhase.ABORTED)
"""Those to look for."""


def first_failure(actions: Iterable[run_definition_pb2.Action], root: str) -> Optional[run_definition_pb2.Action]:
    """The deepest action in the chain of failures that begins at the root.

    A parent fails because a child did, so the chain goes down from each to the child of it that ended first. What
    failed under a parent that went on is only looked at while the root has not failed. An aborted action is to blame
    only if nothing failed: after a failure, what still ran is aborted.

    Args:
        actions: Those that ended in one of `PHASES`.
        root: Name of the run's root action.
    """
    ended = list(actions)
    aborted = ActionPhase.ABORTED.to_protobuf_value()
    failed = [action for action in ended if action.status.phase != aborted] or ended
    names = {action.id.name for action in failed}
    by_parent: dict[str, list[run_definition_pb2.Action]] = {}
    for action in failed:
        parent = action.metadata.parent
        known = parent in names and action.id.name not in (root, parent)
        by_parent.setdefault(parent if known else "", []).append(action)
    tops = by_parent.get("", [])
    at = next((action for action in tops if action.id.name == root), None) or min(tops, key=_ended, default=None)
    if failed is ended and at is not None and at.status.phase == aborted:
        # Those below were aborted with it, and only it says why.
        return at
    while at is not None and at.id.name in by_parent:
        at = min(by_parent[at.id.name], key=_ended)
    return at


def _ended(action: run_definition_pb2.Action) -> tuple[bool, int, int, int, int]:
    status = action.status
    end, start = status.end_time, status.start_time
    return not status.HasField("end_time"), end.seconds, end.nanos, start.seconds, start.nanos
