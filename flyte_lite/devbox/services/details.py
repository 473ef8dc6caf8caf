"""Actions as clients see them, made from what is kept: a row, its events, its specification. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Optional

from flyte_lite.devbox.state.actions import TERMINAL, Action, ActionKey
from flyte_lite.idl.flyteidl2.common import identifier_pb2, phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2 as pb


def key_of(id: identifier_pb2.ActionIdentifier) -> ActionKey:
    """The identifier as the state has it."""
    return ActionKey(id.run.project, id.run.domain, id.run.name, id.name)


def identify(id: identifier_pb2.ActionIdentifier, key: ActionKey) -> None:
    """Fill an identifier. The organization stays empty, as on the real server."""
    id.run.project, id.run.domain, id.run.name, id.name = key


def fill_action(into: pb.Action, action: Action) -> None:
    """Fill an `Action`, as `Run` and lists of runs have it."""
    identify(into.id, action.key)
    fill_metadata(into.metadata, action)
    fill_status(into.status, action)


def fill_details(into: pb.ActionDetails, action: Action, events: Iterable[pb.ActionEvent], spec: bytes) -> None:
    """Fill an `ActionDetails`.

    Args:
        into: An empty one.
        action: The row.
        events: All its events, by attempt and by when they were reported.
        spec: Its `TaskSpec`.
    """
    identify(into.id, action.key)
    fill_metadata(into.metadata, action)
    fill_status(into.status, action)
    into.task.MergeFromString(spec)
    into.attempts.extend(attempts(events))
    if action.phase == phase_pb2.ACTION_PHASE_ABORTED:
        into.abort_info.reason = action.abort_reason or ""
        into.abort_info.SetInParent()
    elif action.phase == phase_pb2.ACTION_PHASE_FAILED and into.attempts:
        last = into.attempts[-1]
        if last.attempt == action.attempts and last.HasField("error_info"):
            into.error_info.CopyFrom(last.error_info)


def fill_metadata(into: pb.ActionMetadata, action: Action) -> None:
    """Fill an `ActionMetadata`."""
    into.parent = action.parent
    into.group = action.grp
    if action.executed_by is not None:
        into.executed_by.MergeFromString(action.executed_by)
    task = into.task
    task.task_type = action.task_type
    task.short_name = action.short_name
    if action.task_name is not None:
        task.id.project = action.task_project or ""
        task.id.domain = action.task_domain or ""
        task.id.name = action.task_name
        task.id.version = action.task_version or ""
    into.action_type = pb.ActionType.ValueType(action.action_type)
    into.environment_name = action.environment
    into.funtion_name = action.function_name
    into.source = pb.RunSource.Value(action.run_source)


def fill_status(into: pb.ActionStatus, action: Action) -> None:
    """Fill an `ActionStatus`."""
    into.phase = phase_pb2.ActionPhase.ValueType(action.phase)
    into.start_time.FromMicroseconds(action.created_at)
    into.attempts = action.attempts
    into.cache_status = action.cache_status  # type: ignore[assignment]  # an enum's number, as it was stored
    if action.ended_at is not None:
        into.end_time.FromMicroseconds(action.ended_at)
    if action.duration_ms is not None:
        into.duration_ms = action.duration_ms


def attempts(events: Iterable[pb.ActionEvent]) -> list[pb.ActionAttempt]:
    """Merge events into attempts; `events` are ordered by attempt and by when they were reported."""
    return [_attempt(number, list(told)) for number, told in groupby(events, key=lambda event: event.attempt)]


def _attempt(number: int, events: list[pb.ActionEvent]) -> pb.ActionAttempt:
    # The first end stands; later events only add logs and cluster events.
    end = next((index for index, event in enumerate(events) if event.phase in TERMINAL), None)
    counted = events if end is None else events[: end + 1]
    last = counted[-1]
    attempt = pb.ActionAttempt(attempt=number, phase=last.phase, cluster=last.cluster, cache_status=last.cache_status)
    attempt.start_time.CopyFrom(events[0].updated_time)
    if end is not None:
        attempt.end_time.CopyFrom(last.updated_time)
        if last.HasField("error_info"):
            attempt.error_info.CopyFrom(last.error_info)
    outputs = last if end is not None else newest(counted, "outputs")
    if outputs is not None and outputs.HasField("outputs"):
        attempt.outputs.CopyFrom(outputs.outputs)
    logs = {log.name: log for event in events for log in event.log_info}
    attempt.log_info.extend(logs[name] for name in sorted(logs))
    for event in events:
        attempt.cluster_events.extend(event.cluster_events)
    context = newest(events, "log_context")
    if context is not None:
        attempt.log_context.CopyFrom(context.log_context)
        attempt.logs_available = True
    for event in counted:
        _step(attempt, event)
    return attempt


def newest(events: list[pb.ActionEvent], field: str) -> Optional[pb.ActionEvent]:
    """The last event that has `field`, or None."""
    return next((event for event in reversed(events) if event.HasField(field)), None)  # type: ignore[arg-type]  # a name


def _step(attempt: pb.ActionAttempt, event: pb.ActionEvent) -> None:
    before = attempt.phase_transitions[-1] if attempt.phase_transitions else None
    if before is not None:
        if before.phase == event.phase:
            return
        before.end_time.CopyFrom(event.updated_time)
    step = attempt.phase_transitions.add(phase=event.phase)
    step.start_time.CopyFrom(event.updated_time)
    if event.phase in TERMINAL:
        step.end_time.CopyFrom(event.updated_time)
