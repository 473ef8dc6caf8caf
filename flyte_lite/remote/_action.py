"""Actions: the steps of a run. The root one, `a0`, is the run itself."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Optional, TypeVar

from flyte_lite._clock import Deadline
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import NotFoundError, RunNotDoneError
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.core import interface_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import _data
from flyte_lite.remote._base import Resource
from flyte_lite.remote._failures import failure_of

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = "a0"

Step = TypeVar("Step", "run_definition_pb2.Action", "run_definition_pb2.ActionDetails")

_GET_ACTION_DETAILS: Method[run_service_pb2.GetActionDetailsRequest, run_service_pb2.GetActionDetailsResponse] = Method(
    run_service_pb2, "RunService", "GetActionDetails"
)
_ABORT_ACTION: Method[run_service_pb2.AbortActionRequest, run_service_pb2.AbortActionResponse] = Method(
    # The last reason stands, so aborting twice is aborting once.
    run_service_pb2,
    "RunService",
    "AbortAction",
    safe=True,
)


def get_details(
    session: Session, action: identifier_pb2.ActionIdentifier, deadline: Optional[Deadline] = None
) -> run_definition_pb2.ActionDetails:
    """An action as GetActionDetails tells it."""
    request = run_service_pb2.GetActionDetailsRequest(action_id=action)
    return session.call(_GET_ACTION_DETAILS, request, deadline=deadline).details


class _Step(Resource[Step]):
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


class Action(_Step["run_definition_pb2.Action"]):
    """A step of a run.

    Attributes:
        pb2: `flyteidl2.workflow.Action`.
    """

    _message = "flyteidl2.workflow.Action"
    _shown = ("run_name", "name", "phase")

    @classmethod
    def get(cls, uri: Optional[str] = None, run_name: Optional[str] = None, name: Optional[str] = None) -> Self:
        """The action as it is now.

        Args:
            uri: Not looked at; it is here because the official method has it.
            run_name: Its run.
            name: The action; None is the root, `a0`.

        Raises:
            ValueError: No `run_name`.
            NotFoundError: There is no such action, or the caller may not see it.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails
        """
        if not run_name:
            raise ValueError("Action.get needs run_name=, the run that the action is part of")
        session = cls._current()
        action = identifier_pb2.ActionIdentifier(run=session.scope.run_id(run_name), name=name or ROOT)
        return cls._make(summary(get_details(session, action)), session)

    @property
    def start_time(self) -> Optional[datetime.datetime]:
        """When it began, in UTC; None if the server does not say."""
        if not self.pb2.status.HasField("start_time"):
            return None
        return self.pb2.status.start_time.ToDatetime(tzinfo=datetime.timezone.utc)

    def sync(self) -> Self:
        """Ask for the present state, keep it, and return this object.

        Raises:
            CallError: See `flyte_lite.errors`.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails
        """
        self.details()
        return self

    def details(self) -> ActionDetails:
        """The action with its attempts and specification, as they are now; this object's state follows.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails
        """
        details = ActionDetails(get_details(self._session, self.pb2.id), self._session)
        self.pb2.CopyFrom(summary(details.pb2))
        return details

    def abort(self, reason: str = "Manually aborted from the SDK.") -> None:
        """End the action; nothing happens if there is none any more.

        Args:
            reason: Shown to whoever asks why.

        RPC:
            flyteidl2.workflow.RunService/AbortAction
        """
        request = run_service_pb2.AbortActionRequest(action_id=self.pb2.id, reason=reason)
        try:
            self._session.call(_ABORT_ACTION, request)
        except NotFoundError:
            return


def summary(details: run_definition_pb2.ActionDetails) -> run_definition_pb2.Action:
    """What a list would show of these details."""
    return run_definition_pb2.Action(id=details.id, metadata=details.metadata, status=details.status)


class ActionDetails(_data.HasData, _Step["run_definition_pb2.ActionDetails"]):
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
