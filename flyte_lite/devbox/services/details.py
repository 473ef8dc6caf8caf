"""Actions as clients see them, made from what is kept: a row, its events, its specification. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from flyte_lite.devbox.state.actions import ROOT, TERMINAL, Action, ActionKey
from flyte_lite.devbox.state.instants import nanoseconds
from flyte_lite.idl.flyteidl2.common import identifier_pb2, phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2 as pb
from flyte_lite.idl.google.protobuf import timestamp_pb2


def key_of(id: identifier_pb2.ActionIdentifier) -> ActionKey:
    """The identifier as the state has it."""
    return ActionKey(id.run.project, id.run.domain, id.run.name, id.name)


def identify(id: identifier_pb2.ActionIdentifier, key: ActionKey) -> None:
    """Fill an identifier. The organization stays empty, as on the real server."""
    id.run.project, id.run.domain, id.run.name, id.name = key


def fill_action(into: pb.Action, action: Action, spec: bytes = b"") -> None:
    """Fill an `Action`, as `Run` and lists of runs have it; `spec` is needed for a condition's type."""
    identify(into.id, action.key)
    fill_metadata(into.metadata, action, spec)
    fill_status(into.status, action)


def fill_details(into: pb.ActionDetails, action: Action, events: Iterable[pb.ActionEvent], spec: bytes) -> None:
    """Fill an `ActionDetails`.

    Args:
        into: An empty one.
        action: The row.
        events: All its events, by attempt and by when they were reported.
        spec: Its `TaskSpec`, `TraceSpec` or `ConditionAction`; b"" if it was recorded without one.
    """
    identify(into.id, action.key)
    fill_metadata(into.metadata, action, spec)
    fill_status(into.status, action)
    if action.action_type == pb.ACTION_TYPE_CONDITION:
        into.condition.MergeFromString(spec)
    elif spec or action.name == ROOT:
        (into.trace if action.action_type == pb.ACTION_TYPE_TRACE else into.task).MergeFromString(spec)
    into.attempts.extend(attempts(events))
    if action.phase == phase_pb2.ACTION_PHASE_ABORTED:
        into.abort_info.reason = action.abort_reason or ""
        into.abort_info.SetInParent()
    elif action.phase == phase_pb2.ACTION_PHASE_FAILED and into.attempts:
        last = into.attempts[-1]
        if last.attempt == action.attempts and last.HasField("error_info"):
            into.error_info.CopyFrom(last.error_info)
    elif action.signal is not None:
        into.signal_info.output.MergeFromString(action.signal)


def fill_metadata(into: pb.ActionMetadata, action: Action, spec: bytes = b"") -> None:
    """Fill an `ActionMetadata`; `spec` is needed for a condition's type."""
    into.parent = action.parent
    into.group = action.grp
    if action.executed_by is not None:
        into.executed_by.MergeFromString(action.executed_by)
    if action.action_type == pb.ACTION_TYPE_CONDITION:
        into.condition.name = action.function_name
        if spec:
            into.condition.type.CopyFrom(pb.ConditionAction.FromString(spec).type)
    elif action.action_type == pb.ACTION_TYPE_TRACE:
        into.trace.name = action.function_name
    else:
        task = into.task
        task.task_type = action.task_type
        task.short_name = action.short_name
        if action.task_name is not None:
            task.id.project = action.task_project or ""
            task.id.domain = action.task_domain or ""
            task.id.name = action.task_name
            task.id.version = action.task_version or ""
    if action.trigger_name is not None:
        into.trigger_name = action.trigger_name
        trigger = into.trigger_id
        trigger.name.project, trigger.name.domain = action.project, action.domain
        trigger.name.task_name, trigger.name.name = action.trigger_task_name or "", action.trigger_name
        trigger.revision = action.trigger_revision or 0
    if action.relation is not None:
        into.relation.MergeFromString(action.relation)
    if action.recovered_from is not None:
        into.recovered_from.MergeFromString(action.recovered_from)
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
    last = next((event for event in events if event.phase in TERMINAL), events[-1])
    attempt = pb.ActionAttempt(attempt=number, phase=last.phase, cluster=last.cluster, cache_status=last.cache_status)
    _set_time(attempt.start_time, events[0])
    if last.phase in TERMINAL:
        backwards = nanoseconds(last.updated_time) < nanoseconds(events[0].updated_time)
        _set_time(attempt.end_time, events[0] if backwards else last)
    if last.HasField("error_info"):
        attempt.error_info.CopyFrom(last.error_info)
    if last.HasField("outputs"):
        attempt.outputs.CopyFrom(last.outputs)
    # Reports are told apart from outputs, and the newest one counts.
    report = next((event.outputs.report_uri for event in reversed(events) if event.outputs.report_uri), "")
    if report:
        attempt.outputs.report_uri = report
    logs = {log.name: log for event in events for log in event.log_info}
    attempt.log_info.extend(logs[name] for name in sorted(logs))
    for event in events:
        attempt.cluster_events.extend(event.cluster_events)
    context = next((event for event in reversed(events) if event.HasField("log_context")), None)
    if context is not None:
        attempt.log_context.CopyFrom(context.log_context)
        attempt.logs_available = True
    _steps(attempt, events)
    return attempt


def _steps(attempt: pb.ActionAttempt, events: list[pb.ActionEvent]) -> None:
    # Each phase once, where it was first told of, and nothing after an end.
    seen = set()
    for event in events:
        if event.phase in seen:
            continue
        seen.add(event.phase)
        if attempt.phase_transitions:
            _set_time(attempt.phase_transitions[-1].end_time, event)
        step = attempt.phase_transitions.add(phase=event.phase)
        _set_time(step.start_time, event)
        if event.phase in TERMINAL:
            _set_time(step.end_time, event)
            return


def _set_time(into: timestamp_pb2.Timestamp, event: pb.ActionEvent) -> None:
    if event.HasField("updated_time"):
        into.CopyFrom(event.updated_time)
