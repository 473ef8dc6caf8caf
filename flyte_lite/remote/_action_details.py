"""One action in full: its attempts, its specification, its error, its inputs and outputs."""

from __future__ import annotations

from typing import Optional, TypeVar

from flyte_lite._clock import Deadline
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import RunNotDoneError
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.core import interface_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import _data
from flyte_lite.remote._base import Resource
from flyte_lite.remote._failures import failure_of

ROOT = "a0"

PB = TypeVar("PB", "run_definition_pb2.Action", "run_definition_pb2.ActionDetails")

_GET_ACTION_DETAILS: Method[run_service_pb2.GetActionDetailsRequest, run_service_pb2.GetActionDetailsResponse] = Method(
    run_service_pb2, "RunService", "GetActionDetails"
)


def get_details(
    session: Session, action: identifier_pb2.ActionIdentifier, deadline: Optional[Deadline] = None
) -> run_definition_pb2.ActionDetails:
    """An action as GetActionDetails tells it."""
    request = run_service_pb2.GetActionDetailsRequest(action_id=action)
    return session.call(_GET_ACTION_DETAILS, request, deadline=deadline).details


class Step(Resource[PB]):
    """What an action shows of itself, in a list and in full."""

    @property
    def name(self) -> str:
        """`a0` for the root."""
        return self.pb2.id.name

    @property
    def run_name(self) -> str:
        """Name of the run."""
        return self.pb2.id.run.name

    @property
    def task_name(self) -> Optional[str]:
        """Name of the deployed task; None if it runs none, or one that came with the run."""
        task = self.pb2.metadata.task
        return task.id.name if self.pb2.metadata.HasField("task") and task.HasField("id") else None

    @property
    def parent_name(self) -> Optional[str]:
        """The action that started it; None for the root."""
        return self.pb2.metadata.parent or None

    @property
    def action_id(self) -> identifier_pb2.ActionIdentifier:
        """Identifier with organization, project, domain and run."""
        return self.pb2.id

    @property
    def phase(self) -> ActionPhase:
        """Phase when last asked; see `sync`."""
        return ActionPhase.from_protobuf(self.pb2.status.phase)

    @property
    def raw_phase(self) -> int:
        """The phase's number in `flyteidl2.common.ActionPhase`."""
        return self.pb2.status.phase

    def done(self) -> bool:
        """True if the last known phase is an end."""
        return self.phase.is_terminal


def summary(details: run_definition_pb2.ActionDetails) -> run_definition_pb2.Action:
    """What a list would show of these details."""
    return run_definition_pb2.Action(id=details.id, metadata=details.metadata, status=details.status)


class ActionDetails(_data.HasData, Step["run_definition_pb2.ActionDetails"]):
    """An action with its attempts, its specification, and its error if it has one.

    Attributes:
        pb2: `flyteidl2.workflow.ActionDetails`.
    """

    _message = "flyteidl2.workflow.ActionDetails"
    _shown = ("run_name", "name", "phase", "attempts")

    def __init__(self, pb2: run_definition_pb2.ActionDetails, session: Optional[Session] = None) -> None:
        super().__init__(pb2, session)
        self._data: Optional[dataproxy_service_pb2.GetActionDataResponse] = None

    @property
    def status(self) -> run_definition_pb2.ActionStatus:
        """Phase, times and number of attempts."""
        return self.pb2.status

    @property
    def metadata(self) -> run_definition_pb2.ActionMetadata:
        """What kind of action it is, and of what."""
        return self.pb2.metadata

    @property
    def attempts(self) -> int:
        """How often it was tried."""
        return self.pb2.status.attempts

    @property
    def error_info(self) -> Optional[run_definition_pb2.ErrorInfo]:
        """Its error; None if the server gave none, which a failed action may have too."""
        return self.pb2.error_info if self.pb2.HasField("error_info") else None

    @property
    def error_message(self) -> str:
        """Text of its error; "" if there is none."""
        return self.pb2.error_info.message

    @property
    def abort_info(self) -> Optional[run_definition_pb2.AbortInfo]:
        """Why it was aborted; None if it was not."""
        return self.pb2.abort_info if self.pb2.HasField("abort_info") else None

    def interface(self) -> interface_pb2.TypedInterface:
        """What the action takes and gives; empty if it has no specification."""
        if self.pb2.HasField("task"):
            return self.pb2.task.task_template.interface
        return self.pb2.trace.interface

    def _inputs_by(self, deadline: Deadline) -> _data.Held:
        return _data.Held(self._fetch(deadline).inputs, self.interface(), self._called)

    def _outputs_by(self, deadline: Deadline) -> _data.Held:
        self.raise_for_status()
        return _data.Held(self._fetch(deadline).outputs, self.interface(), self._called)

    def raise_for_status(self) -> None:
        """Raise what the action failed of; do nothing if it succeeded.

        Raises:
            RunNotDoneError: It has not ended.
            RuntimeUserError, RuntimeSystemError, ActionAbortedError, TaskTimeoutError: As `flyte_lite.errors` says.
        """
        if not self.done():
            raise RunNotDoneError(f"{self._called} is {self.phase}, so it has no result yet; wait() for it")
        if not self.phase.is_success:
            raise failure_of(self.pb2, self._called)

    @property
    def _called(self) -> str:
        return f"run {self.run_name}" if self.name == ROOT else f"action {self.name} of run {self.run_name}"

    def _fetch(self, deadline: Deadline) -> dataproxy_service_pb2.GetActionDataResponse:
        """Inputs and outputs, which one answer holds; kept once they can't change any more."""
        data = self._data
        if data is None:
            data = _data.fetch(self._session, self.pb2.id, deadline)
            if self.done():
                self._data = data
        return data
