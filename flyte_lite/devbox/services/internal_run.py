"""InternalRunService and EventsProxyService: what executors tell the server about actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flyte_lite.devbox._refusal import ConnectionDropped
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.details import key_of
from flyte_lite.devbox.state.actions import Action
from flyte_lite.devbox.state.instants import microseconds
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.workflow import events_proxy_service_pb2, run_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import internal_run_service_pb2 as pb
from flyte_lite.idl.google.rpc import status_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State

# google.rpc.Code
_INVALID_ARGUMENT = 3


class InternalRunService:
    """`flyteidl2.workflow.InternalRunService`. What goes wrong is told inside the answers, but for missing ids."""

    name = "flyteidl2.workflow.InternalRunService"

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name; those that stream both ways need HTTP/2."""
        return {
            "RecordAction": self.record_action,
            "UpdateActionStatus": self.update_action_status,
            "RecordActionEvents": self.record_action_events,
        }

    def record_action(self, request: pb.RecordActionRequest, _: Call) -> pb.RecordActionResponse:
        """Add an action, if there is none of that name; neither its run nor its parent need exist."""
        response = pb.RecordActionResponse(status=status_pb2.Status())
        if request.HasField("action_id"):
            response.action_id.CopyFrom(request.action_id)
        if request.WhichOneof("spec") is None:
            response.status.code = _INVALID_ARGUMENT
            response.status.message = "unsupported action spec type: <nil>"
            return response
        action, spec = recorded(request, self._state.now())
        self._state.actions.create(action, spec, None)
        return response

    def update_action_status(self, request: pb.UpdateActionStatusRequest, _: Call) -> pb.UpdateActionStatusResponse:
        """Store a status; older news than what is known, and news of what is not known, are passed over."""
        if not request.HasField("action_id") or not request.action_id.HasField("run"):
            raise ConnectionDropped("no action id")
        status = request.status
        self._state.actions.set_status(
            key_of(request.action_id),
            status.phase,
            status.attempts,
            status.cache_status,
            self._state.now(),
            started_at=microseconds(status.start_time) if status.HasField("start_time") else None,
            ended_at=microseconds(status.end_time) if status.HasField("end_time") else None,
            signal=request.output.SerializeToString() if request.HasField("output") else None,
        )
        return pb.UpdateActionStatusResponse(action_id=request.action_id, status=status_pb2.Status())

    def record_action_events(self, request: pb.RecordActionEventsRequest, _: Call) -> pb.RecordActionEventsResponse:
        """Add events of attempts; those of the same attempt, phase and version as an earlier one are passed over."""
        _record(self._state, request.events)
        return pb.RecordActionEventsResponse(status=status_pb2.Status())


class EventsProxyService:
    """`flyteidl2.workflow.EventsProxyService`."""

    name = "flyteidl2.workflow.EventsProxyService"

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {"Record": self.record}

    def record(
        self, request: events_proxy_service_pb2.RecordRequest, _: Call
    ) -> events_proxy_service_pb2.RecordResponse:
        """The same as RecordActionEvents."""
        _record(self._state, request.events)
        return events_proxy_service_pb2.RecordResponse()


def _record(state: State, events: Iterable[run_definition_pb2.ActionEvent]) -> None:
    with state.database.transaction():
        for event in events:
            state.events.add(event)


def recorded(request: pb.RecordActionRequest, now: int) -> tuple[Action, bytes]:
    """The row that a request to record an action makes, and its specification."""
    kind = request.WhichOneof("spec")
    action = Action(
        *key_of(request.action_id),
        parent=request.parent,
        grp=request.group,
        action_type=run_definition_pb2.ACTION_TYPE_TASK,
        phase=phase_pb2.ACTION_PHASE_QUEUED,
        attempts=1,
        cache_status=0,
        created_at=now,
        ended_at=None,
        duration_ms=None,
        run_source=run_definition_pb2.RunSource.Name(run_definition_pb2.RUN_SOURCE_UNSPECIFIED),
        executed_by=None,
        created_by_subject=None,
        task_project=None,
        task_domain=None,
        task_name=None,
        task_version=None,
        task_type="",
        short_name="",
        environment="",
        function_name="",
        input_uri=request.input_uri,
        recovered_from=request.recovered_from.SerializeToString() if request.HasField("recovered_from") else None,
    )
    if kind == "condition":
        changes: dict[str, Any] = {
            "action_type": run_definition_pb2.ACTION_TYPE_CONDITION,
            "function_name": request.condition.name,
        }
        return action._replace(**changes), request.condition.SerializeToString()
    if kind == "trace":
        return _traced(action, request.trace), request.trace.spec.SerializeToString()
    return _of_task(action, request.task), request.task.spec.SerializeToString()


def _of_task(action: Action, task: run_definition_pb2.TaskAction) -> Action:
    id, spec = task.id, task.spec
    if task.HasField("id"):
        action = action._replace(
            task_project=id.project, task_domain=id.domain, task_name=id.name, task_version=id.version
        )
    return action._replace(
        task_type=spec.task_template.type,
        short_name=spec.short_name or id.name,
        environment=spec.environment.name,
        function_name=id.name,
    )


def _traced(action: Action, trace: run_definition_pb2.TraceAction) -> Action:
    # Told once, when it is over; it begins when it began, so that it stands before what it called.
    started_at = microseconds(trace.start_time) if trace.HasField("start_time") else action.created_at
    ended_at = microseconds(trace.end_time) if trace.HasField("end_time") else None
    return action._replace(
        action_type=run_definition_pb2.ACTION_TYPE_TRACE,
        phase=phase_pb2.ACTION_PHASE_SUCCEEDED,
        created_at=started_at,
        ended_at=ended_at,
        duration_ms=None if ended_at is None else max(0, ended_at - started_at) // 1000,
        function_name=trace.name,
        task_name=trace.name or None,
        outputs_uri=trace.outputs.output_uri,
    )
