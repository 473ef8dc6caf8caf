"""One action in full: its attempts, its specification, its error, its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Optional, TypeVar

from flyte_lite._clock import Deadline
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import CallError, NotFoundError, RunNotDoneError, WaitTimeoutError
from flyte_lite.idl.flyteidl2.common import identifier_pb2, run_pb2
from flyte_lite.idl.flyteidl2.core import interface_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import ActionPhase, CodeBundle
from flyte_lite.remote import _data
from flyte_lite.remote._attempts import newest
from flyte_lite.remote._base import Resource
from flyte_lite.remote._code import bundle_of
from flyte_lite.remote._failures import failure_of
from flyte_lite.remote._times import HasTimes
from flyte_lite.remote._waiting import PATIENCE, Patience, Poll, check_lengths

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = "a0"
# `TaskLog.LinkType` of an editor.
_IDE = 2

PB = TypeVar("PB", "run_definition_pb2.Action", "run_definition_pb2.ActionDetails")

_GET_ACTION_DETAILS: Method[run_service_pb2.GetActionDetailsRequest, run_service_pb2.GetActionDetailsResponse] = Method(
    run_service_pb2, "RunService", "GetActionDetails"
)


def get_details(
    session: Session, action: identifier_pb2.ActionIdentifier, deadline: Optional[Deadline] = None
) -> run_definition_pb2.ActionDetails:
    """An action as GetActionDetails tells it."""
    request = run_service_pb2.GetActionDetailsRequest(action_id=action)
    try:
        return session.call(_GET_ACTION_DETAILS, request, deadline=deadline).details
    except NotFoundError as error:
        # The open-source server does not say what it looked for, and one call of many may be about anything.
        place = f"project {action.run.project}, domain {action.run.domain}"
        error.message = f"there is no {called(action)} in {place} ({error.message})"
        error.args = (error.message,)
        raise


class Step(Resource[PB]):
    """What an action shows of itself, in a list and in full."""

    @classmethod
    def _asked_for(
        cls, session: Session, run_name: Optional[str], name: Optional[str]
    ) -> run_definition_pb2.ActionDetails:
        """The action that `get` names, as it is now."""
        if not run_name:
            raise ValueError(f"{cls.__name__}.get needs run_name=, the run that the action is part of")
        action = identifier_pb2.ActionIdentifier(run=session.scope.run_id(run_name), name=name or ROOT)
        return get_details(session, action)

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
    def relation(self) -> Optional[run_pb2.Relation]:
        """The run that this one repeats or recovers, and which of both; None if it began by itself."""
        return self.pb2.metadata.relation if self.pb2.metadata.HasField("relation") else None

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


def called(action: identifier_pb2.ActionIdentifier) -> str:
    """What people call an action: its run, if it is the root."""
    run = f"run {action.run.name}"
    return run if action.name == ROOT else f"action {action.name} of {run}"


class ActionDetails(_data.HasData, HasTimes, Step["run_definition_pb2.ActionDetails"]):
    """An action with its attempts, its specification, and its error if it has one.

    Attributes:
        pb2: `flyteidl2.workflow.ActionDetails`.
    """

    _message = "flyteidl2.workflow.ActionDetails"
    _shown = ("run_name", "name", "phase", "attempts")

    def __init__(self, pb2: run_definition_pb2.ActionDetails, session: Optional[Session] = None) -> None:
        super().__init__(pb2, session)
        self._data: Optional[dataproxy_service_pb2.GetActionDataResponse] = None

    @classmethod
    def get(cls, _uri: Optional[str] = None, /, run_name: Optional[str] = None, name: Optional[str] = None) -> Self:
        """The action as it is now.

        Args:
            _uri: Not looked at; it is here because the official method has it.
            run_name: Its run.
            name: The action; None is the root, `a0`.

        Raises:
            ValueError: No `run_name`.
            NotFoundError: There is no such action, or the caller may not see it.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails
        """
        session = cls._current()
        return cls._make(cls._asked_for(session, run_name, name), session)

    @classmethod
    def get_details(cls, action_id: identifier_pb2.ActionIdentifier) -> Self:
        """The action of that identifier, in whatever project.

        Raises:
            NotFoundError: There is no such action, or the caller may not see it.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails
        """
        session = cls._current()
        return cls._make(get_details(session, action_id), session)

    @classmethod
    def watch(
        cls,
        action_id: identifier_pb2.ActionIdentifier,
        *,
        timeout: Optional[float] = None,
        interval: Optional[float] = None,
        patience: float = PATIENCE,
    ) -> Iterator[ActionDetails]:
        """The action as it is, then again with each change, until it has ended.

        By the same questions as `Action.wait`: an outage is waited out, and no change is made up or told twice; of
        changes that follow each other quickly, the last one is told.

        Args:
            action_id: The action, in whatever project.
            timeout: Seconds to watch in all; None watches to the end.
            interval: Seconds between questions, 0.1 or more; None asks ever less often.
            patience: Seconds of nothing but failures after which the last one is raised.

        Raises:
            ValueError: `action_id` names no run, or another argument is not what it may be.
            NotFoundError: There is no such action, or the caller may not see it.
            WaitTimeoutError: `timeout` passed; the action goes on.
            CanceledError: The session's token was canceled; the action goes on.
            CallError: The server could not be asked, for all of `patience` or for a reason that will not pass.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails
        """
        if not action_id.run.name:
            raise ValueError("watch needs the identifier of an action, with its run: Action.action_id, for instance")
        check_lengths(timeout, interval, patience)
        session = cls._current()
        deadline = Deadline(session.clock, timeout, session.cancel)
        return changes(session, action_id, deadline, interval, Patience(session.clock, patience, seen=False))

    def watch_updates(
        self,
        cache_data_on_done: bool = False,
        *,
        timeout: Optional[float] = None,
        interval: Optional[float] = None,
        patience: float = PATIENCE,
    ) -> Iterator[ActionDetails]:
        """As `watch`, of this action; this object follows what is told.

        Args:
            cache_data_on_done: Ask for inputs and outputs once it has ended, so that `inputs` and `outputs`, here and
                of what is told last, need not.
            timeout: Seconds to watch in all; None watches to the end.
            interval: Seconds between questions, 0.1 or more; None asks ever less often.
            patience: Seconds of nothing but failures after which the last one is raised.

        Raises:
            ValueError: An argument is not what it may be.
            WaitTimeoutError: `timeout` passed; the action goes on.
            CanceledError: The session's token was canceled; the action goes on.
            CallError: The server could not be asked, for all of `patience` or for a reason that will not pass.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails, and flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        check_lengths(timeout, interval, patience)
        session = self._session
        deadline = Deadline(session.clock, timeout, session.cancel)
        told = changes(session, self.pb2.id, deadline, interval, Patience(session.clock, patience), cache_data_on_done)
        return self._following(told)

    def _following(self, told: Iterator[ActionDetails]) -> Iterator[ActionDetails]:
        for details in told:
            self.pb2.CopyFrom(details.pb2)
            self._data = details._data
            yield details

    @property
    def is_running(self) -> bool:
        """True in phase RUNNING, and in no other."""
        return self.phase is ActionPhase.RUNNING

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
        return newest(self.pb2)

    @property
    def _editor_uri(self) -> Optional[str]:
        """Where the editor of an attempt can be opened, which may be a path only; None if there is none (yet)."""
        logs = (log for attempt in self.pb2.attempts for log in attempt.log_info)
        return next((log.uri for log in logs if log.ready and log.link_type == _IDE), None)

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

    @property
    def code_bundle(self) -> Optional[CodeBundle]:
        """Where the code lies that it runs from; None if it is in its image."""
        return bundle_of(self.pb2.task)

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
        return called(self.pb2.id)

    @property
    def _timed(self) -> run_definition_pb2.ActionDetails:
        return self.pb2

    def _fetch(self, deadline: Deadline) -> dataproxy_service_pb2.GetActionDataResponse:
        """Inputs and outputs, which one answer holds; kept once they can't change any more."""
        data = self._data
        if data is None:
            data = _data.fetch(self._session, self.pb2.id, deadline)
            if self.done():
                self._data = data
        return data


def changes(
    session: Session,
    action: identifier_pb2.ActionIdentifier,
    deadline: Deadline,
    interval: Optional[float],
    patience: Patience,
    with_data: bool = False,
) -> Iterator[ActionDetails]:
    """An action as it is, then again with each change, until it has ended.

    Args:
        session: Whom to ask.
        action: Of what.
        deadline: Ends it.
        interval: Seconds between questions; None asks ever less often.
        patience: Which failures are waited out.
        with_data: Whether what is told last brings its inputs and outputs along.

    Raises:
        WaitTimeoutError: The deadline passed.
        CallError: A failure that is not waited out.
    """
    poll = Poll(deadline, interval=interval)
    told: Optional[ActionDetails] = None

    def ask() -> run_definition_pb2.ActionDetails:
        return get_details(session, action, session.part_of(deadline))

    def is_news(found: run_definition_pb2.ActionDetails) -> bool:
        return told is None or found != told.pb2

    while told is None or not told.done():
        found = poll.until(ask, is_news, patience)
        if found is None:
            phase = told.phase if told else None
            raise WaitTimeoutError(called(action), phase, deadline.seconds or 0.0, failure=poll.failure)
        told = ActionDetails(found, session)
        if with_data and told.done():
            # Whoever asks for them later is told what was wrong.
            with suppress(CallError):
                told._fetch(session.part_of(deadline))
        yield told
