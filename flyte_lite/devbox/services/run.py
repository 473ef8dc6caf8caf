"""RunService: create runs, look at them, stop them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from flyte_lite.devbox._refusal import ConnectionDropped, refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.creation import Creation
from flyte_lite.devbox.services.details import fill_action, fill_details, fill_status, identify, key_of
from flyte_lite.devbox.services.watching import Watching
from flyte_lite.devbox.state.actions import COLUMNS, DEFAULT_ORDER, ROOTS, TIES, ActionKey
from flyte_lite.devbox.state.query import Condition, page
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.common import identifier_pb2, phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2 as pb

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State

DEFAULT_REASON = "User requested abort"
_SUCCESS = (phase_pb2.ACTION_PHASE_SUCCEEDED, phase_pb2.ACTION_PHASE_RECOVERED)


class Executor(Protocol):
    """What carries actions out."""

    def submit(self, key: ActionKey) -> None:
        """Take up an action that was created."""
        ...

    def abort(self, key: ActionKey) -> None:
        """End an action that was aborted."""
        ...


class RunService:
    """`flyteidl2.workflow.RunService`."""

    name = "flyteidl2.workflow.RunService"

    def __init__(self, state: State, executor: Executor) -> None:
        self._state = state
        self._executor = executor
        self._creation = Creation(state)
        self._watching = Watching(state)

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {
            "CreateRun": self.create_run,
            "AbortRun": self.abort_run,
            "AbortAction": self.abort_action,
            "GetRunDetails": self.get_run_details,
            "GetActionDetails": self.get_action_details,
            "GetActionData": self.get_action_data,
            "GetActionDataURIs": self.get_action_data_uris,
            "GetActionLogContext": self.get_action_log_context,
            "ListRuns": self.list_runs,
            "ListActions": self.list_actions,
            "SignalEvent": self.signal_event,
            **self._watching.handlers(),
        }

    def create_run(self, request: pb.CreateRunRequest, call: Call) -> pb.CreateRunResponse:
        """Make a run, or answer with the one that has the name already: a name makes one run, however often it is sent.

        Raises:
            InvalidArgumentError: No name, or none that a run may have.
            NotFoundError: No such project or trigger.
            RpcError: No such task (`unknown`).
            InternalError: No project or no task is given, or the inputs' folder is in another store.
        """
        action, new = self._creation.create(request, call)
        if new:
            self._executor.submit(action.key)
        response = pb.CreateRunResponse()
        fill_action(response.run.action, action)
        return response

    def abort_run(self, request: pb.AbortRunRequest, _: Call) -> pb.AbortRunResponse:
        """Make the root action ABORTED at once, whatever it was.

        Raises:
            NotFoundError: No such run.
        """
        run = _run_id(request)
        # An empty reason is kept here, and replaced by AbortAction.
        reason = request.reason if request.HasField("reason") else DEFAULT_REASON
        if not self._abort(ActionKey(run.project, run.domain, run.name), reason):
            raise _no_run(run)
        return pb.AbortRunResponse()

    def abort_action(self, request: pb.AbortActionRequest, _: Call) -> pb.AbortActionResponse:
        """Make one action ABORTED at once, whatever it was.

        Raises:
            NotFoundError: No such action.
        """
        key = action_key(request)
        if not self._abort(key, request.reason or DEFAULT_REASON):
            raise refusal(Code.NOT_FOUND, f"action not found: {key.name}")
        return pb.AbortActionResponse()

    def get_run_details(self, request: pb.GetRunDetailsRequest, _: Call) -> pb.GetRunDetailsResponse:
        """A run as it is now.

        Raises:
            NotFoundError: No such run.
        """
        run = _run_id(request)
        response = pb.GetRunDetailsResponse()
        run_spec = self._details(response.details.action, ActionKey(run.project, run.domain, run.name))
        if run_spec is None:
            raise _no_run(run)
        response.details.run_spec.MergeFromString(run_spec)
        return response

    def get_action_details(self, request: pb.GetActionDetailsRequest, _: Call) -> pb.GetActionDetailsResponse:
        """An action as it is now.

        Raises:
            NotFoundError: No such action.
        """
        response = pb.GetActionDetailsResponse()
        if self._details(response.details, action_key(request)) is None:
            raise _no_action()
        return response

    def get_action_data(self, _: pb.GetActionDataRequest, __: Call) -> pb.GetActionDataResponse:
        """Refuse; the call has moved to DataProxyService."""
        raise refusal(
            Code.UNIMPLEMENTED, "RunService.GetActionData is deprecated; use DataProxyService.GetActionData instead"
        )

    def get_action_data_uris(self, request: pb.GetActionDataURIsRequest, _: Call) -> pb.GetActionDataURIsResponse:
        """Where inputs and outputs are.

        Raises:
            NotFoundError: No such action, or it succeeded and its outputs are not known.
        """
        inputs, outputs = data_uris(self._state, action_key(request))
        return pb.GetActionDataURIsResponse(inputs_uri=inputs, outputs_uri=outputs)

    def get_action_log_context(self, request: pb.GetActionLogContextRequest, _: Call) -> pb.GetActionLogContextResponse:
        """Which pod of an attempt writes logs. Only the newest event counts, so an aborted attempt has none.

        Raises:
            NotFoundError: There is none yet, or any more.
        """
        key = action_key(request)
        told = log_event(self._state, key, request.attempt)
        return pb.GetActionLogContextResponse(log_context=told.log_context, cluster=told.cluster)

    def list_runs(self, request: pb.ListRunsRequest, _: Call) -> pb.ListRunsResponse:
        """Root actions.

        Raises:
            InvalidArgumentError: The list request can't be read.
            InternalError: The real server's database would refuse a value.
        """
        wanted = page(request.request, COLUMNS, DEFAULT_ORDER, TIES, "actions")
        found, more = self._state.actions.page(wanted, ROOTS, *_scope(request))
        response = pb.ListRunsResponse(token=str(wanted.offset + len(found)) if more else "")
        for action in found:
            fill_action(response.runs.add().action, action)
        return response

    def list_actions(self, request: pb.ListActionsRequest, _: Call) -> pb.ListActionsResponse:
        """The actions of a run, with little about each.

        Raises:
            InvalidArgumentError: The list request can't be read.
            InternalError: The real server's database would refuse a value.
        """
        wanted = page(request.request, COLUMNS, DEFAULT_ORDER, TIES, "actions")
        run = request.run_id
        scope = Condition("project = ? AND domain = ? AND run = ?", (run.project, run.domain, run.name))
        found, more = self._state.actions.page(wanted, scope)
        response = pb.ListActionsResponse(token=str(wanted.offset + len(found)) if more else "")
        for action in found:
            listed = response.actions.add()
            identify(listed.id, action.key)
            listed.metadata.parent = action.parent
            listed.metadata.group = action.grp
            listed.metadata.SetInParent()
            fill_status(listed.status, action)
            if not action.duration_ms:
                listed.status.ClearField("duration_ms")
        return response

    def signal_event(self, _: pb.SignalEventRequest, __: Call) -> pb.SignalEventResponse:
        """Refuse, as the real server does without the service that answers conditions."""
        raise refusal(Code.UNIMPLEMENTED, "404 Not Found")

    def _details(self, into: run_definition_pb2.ActionDetails, key: ActionKey) -> bytes | None:
        with self._state.database.transaction():
            action = self._state.actions.get(key)
            if action is None:
                return None
            spec, run_spec = self._state.actions.specs(key)
            events = self._state.events.of(key)
        fill_details(into, action, events, spec)
        return run_spec

    def _abort(self, key: ActionKey, reason: str) -> bool:
        found = self._state.actions.abort(key, reason, self._state.now())
        if found:
            self._executor.abort(key)
        return found


def data_uris(state: State, key: ActionKey) -> tuple[str, str]:
    """Where inputs and outputs of an action are; "" if there are no outputs (yet).

    Raises:
        NotFoundError: No such action, or it succeeded and its outputs are not known.
    """
    action = state.actions.get(key)
    if action is None:
        raise _no_action()
    if action.phase not in _SUCCESS:
        return action.input_uri, ""
    if action.action_type == run_definition_pb2.ACTION_TYPE_TRACE:
        return action.input_uri, action.outputs_uri
    details = run_definition_pb2.ActionDetails()
    fill_details(details, action, state.events.of(key), b"")
    if not details.attempts:
        raise refusal(Code.NOT_FOUND, "outputs not available, no attempts for action")
    outputs = details.attempts[-1].outputs.output_uri
    if not outputs:
        raise refusal(Code.NOT_FOUND, "outputs not available")
    return action.input_uri, outputs


def log_event(state: State, key: ActionKey, attempt: int) -> run_definition_pb2.ActionEvent:
    """The newest event of an attempt, which tells where its log is.

    Raises:
        NotFoundError: There is none, or it does not tell.
    """
    told = state.events.newest(key, attempt)
    if told is None or not told.HasField("log_context"):
        missing = "event" if told is None else "log context"
        raise refusal(Code.NOT_FOUND, f"no {missing} found for action {named(key)} attempt {attempt}")
    return told


def named(key: ActionKey) -> str:
    """An action in the real server's texts."""
    return f'run:{{project:"{key.project}" domain:"{key.domain}" name:"{key.run}"}} name:"{key.name}"'


def _run_id(request: pb.GetRunDetailsRequest | pb.AbortRunRequest) -> identifier_pb2.RunIdentifier:
    if not request.HasField("run_id"):
        raise ConnectionDropped("no run id")
    return request.run_id


def action_key(request: Any) -> ActionKey:
    """The action that a request names; the connection is dropped if it names none."""
    if not request.HasField("action_id") or not request.action_id.HasField("run"):
        raise ConnectionDropped("no action id")
    return key_of(request.action_id)


def _no_run(run: identifier_pb2.RunIdentifier) -> Exception:
    return refusal(Code.NOT_FOUND, f"run not found: {run.project}/{run.domain}/{run.name}")


def _no_action() -> Exception:
    return refusal(Code.NOT_FOUND, "action not found: action not found")


def _scope(request: pb.ListRunsRequest) -> list[Condition]:
    scope = []
    kind = request.WhichOneof("scope_by")
    if kind == "project_id":
        project = request.project_id
        scope.append(Condition("project = ? AND domain = ?", (project.name, project.domain)))
    elif kind == "task_name":
        task = request.task_name
        named = (task.project, task.domain, task.name)
        scope.append(Condition("task_project = ? AND task_domain = ? AND task_name = ?", named))
    elif kind == "task_id":
        id = request.task_id
        exact = (id.project, id.domain, id.name, id.version)
        scope.append(Condition("task_project = ? AND task_domain = ? AND task_name = ? AND task_version = ?", exact))
    elif kind == "trigger_name":
        trigger = request.trigger_name
        told = (trigger.project, trigger.domain, trigger.task_name, trigger.name)
        scope.append(Condition("project = ? AND domain = ? AND trigger_task_name = ? AND trigger_name = ?", told))
    if request.paused_actions_only:
        paused = (phase_pb2.ACTION_PHASE_PAUSED,)
        scope.append(
            Condition(
                "EXISTS (SELECT 1 FROM action AS step WHERE step.project = action.project"
                " AND step.domain = action.domain AND step.run = action.run AND step.phase = ?)",
                paused,
            )
        )
    return scope
