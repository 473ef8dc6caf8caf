"""Runs: started, waited for, and asked for their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Optional
from urllib.parse import quote

from flyte_lite._clock import Deadline, is_length
from flyte_lite._console import Progress
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import CallError, Code, NotFoundError, WaitTimeoutError
from flyte_lite.idl.flyteidl2.common import identifier_pb2, list_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import _action_details
from flyte_lite.remote._action import Action
from flyte_lite.remote._action_details import ActionDetails
from flyte_lite.remote._base import Resource
from flyte_lite.remote._data import HasData, Held
from flyte_lite.remote._run_details import RunDetails, get_details
from flyte_lite.remote._waiting import SHORTEST, poll

if TYPE_CHECKING:
    from typing_extensions import Self

_LIST_RUNS: Method[run_service_pb2.ListRunsRequest, run_service_pb2.ListRunsResponse] = Method(
    run_service_pb2, "RunService", "ListRuns"
)
_ABORT_RUN: Method[run_service_pb2.AbortRunRequest, run_service_pb2.AbortRunResponse] = Method(
    # The last reason stands, so aborting twice is aborting once.
    run_service_pb2,
    "RunService",
    "AbortRun",
    safe=True,
)

_BY_NAME = "ListRuns by run_name"

WaitFor = Literal["terminal", "running"]


class Run(HasData, Resource["run_definition_pb2.Run"]):
    """A run of a task.

    Attributes:
        pb2: `flyteidl2.workflow.Run`, as it was when last asked; see `sync`.
        created: For a run that `flyte_lite.run` returned: True if it made the run, False if the run was there already,
            None if that can't be told. None for any other.
    """

    _message = "flyteidl2.workflow.Run"
    _shown = ("name", "phase", "url")

    def __init__(
        self, pb2: run_definition_pb2.Run, session: Optional[Session] = None, *, created: Optional[bool] = None
    ) -> None:
        super().__init__(pb2, session)
        if not self.pb2.HasField("action"):
            raise RuntimeError("a Run needs a message with its root action in it")
        self.created = created
        self._details: Optional[RunDetails] = None

    @classmethod
    def get(cls, name: str, *, project: Optional[str] = None, domain: Optional[str] = None) -> Self:
        """The run of that name, as it is now.

        Args:
            name: The run.
            project: None takes the session's.
            domain: None takes the session's.

        Raises:
            NotFoundError: There is no such run, or the caller may not see it.

        RPC:
            flyteidl2.workflow.RunService/GetRunDetails
        """
        session = cls._current()
        return cls._get_by(session, session.scope.run_id(name, project, domain), session.deadline())

    @classmethod
    def _get_by(cls, session: Session, run_id: identifier_pb2.RunIdentifier, deadline: Deadline) -> Self:
        details = RunDetails(get_details(session, run_id, deadline), session)
        pb2 = run_definition_pb2.Run(
            action=_action_details.summary(details.pb2.action), labels=details.pb2.run_spec.labels.values
        )
        run = cls._make(pb2, session)
        run._details = details
        return run

    @property
    def name(self) -> str:
        """The run's name, up to 30 characters."""
        return self.pb2.action.id.run.name

    @property
    def phase(self) -> ActionPhase:
        """Phase when last asked; see `sync`."""
        return ActionPhase.from_protobuf(self.pb2.action.status.phase)

    @property
    def raw_phase(self) -> int:
        """The phase's number in `flyteidl2.common.ActionPhase`."""
        return self.pb2.action.status.phase

    @property
    def action(self) -> Action:
        """The root action, with the state that this run has."""
        return Action(self.pb2.action, self._session)

    @property
    def url(self) -> str:
        """The run in the web console."""
        run = self.pb2.action.id.run
        path = "/".join(
            quote(part, safe="") for part in ("domain", run.domain, "project", run.project, "runs", run.name)
        )
        return f"{self._session.console}/v2/{path}"

    def done(self) -> bool:
        """True if the last known phase is an end."""
        return self.phase.is_terminal

    def sync(self) -> Self:
        """Ask for the present state, keep it, and return this object.

        Raises:
            NotFoundError: The server does not know the run.

        RPC:
            flyteidl2.workflow.RunService/ListRuns, the smallest answer that has the phase
        """
        session = self._session
        self.pb2.action.status.CopyFrom(_status(session, self.pb2.action.id, session.deadline()))
        return self

    def wait(
        self,
        quiet: Optional[bool] = None,
        wait_for: WaitFor = "terminal",
        *,
        timeout: Optional[float] = None,
        interval: Optional[float] = None,
    ) -> None:
        """Block until the run has ended, however it ended; `raise_for_status` tells how.

        Asks at once, then after 0.2 s, later every 5 % of the time waited, at most every 10 s. Outages of up to 5
        minutes are waited out. Ctrl-C ends the waiting, not the run.

        Args:
            quiet: True shows nothing, False always shows the phases on stderr, None shows them on a terminal.
            wait_for: "running" is content with a run that has started.
            timeout: Seconds to wait in all; None waits for ever.
            interval: Seconds between questions, 0.1 or more, in place of those above.

        Raises:
            ValueError: `wait_for`, `timeout` or `interval` is not what it may be.
            WaitTimeoutError: `timeout` passed; the run goes on.
            CanceledError: The session's token was canceled; the run goes on.
            CallError: The server could not be asked, for 5 minutes or for a reason that will not pass.

        RPC:
            flyteidl2.workflow.RunService/ListRuns
        """
        if wait_for not in ("terminal", "running"):
            raise ValueError(f'wait_for is {wait_for!r}; a run is waited for until it is "terminal" or "running"')
        if timeout is not None and not is_length(timeout):
            raise ValueError(f"timeout is {timeout!r}; give seconds, or None to wait for ever")
        if interval is not None and not (is_length(interval) and interval >= SHORTEST):
            raise ValueError(f"interval is {interval!r}; give {SHORTEST} seconds or more, or None")
        session = self._session
        deadline = Deadline(session.clock, timeout, session.cancel)

        def enough(status: run_definition_pb2.ActionStatus) -> bool:
            phase = ActionPhase.from_protobuf(status.phase)
            return phase.is_terminal or (wait_for == "running" and phase in (ActionPhase.RUNNING, ActionPhase.PAUSED))

        with Progress(f"run {self.name}", session.clock, quiet) as progress:

            def ask() -> run_definition_pb2.ActionStatus:
                status = _status(session, self.pb2.action.id, deadline.within(session.timeout))
                self.pb2.action.status.CopyFrom(status)
                progress.show(self.phase)
                return status

            if enough(self.pb2.action.status):
                progress.show(self.phase)
                return
            if poll(ask, enough, deadline, interval=interval) is None:
                assert timeout is not None
                raise WaitTimeoutError(f"run {self.name}", self.phase, timeout)

    def details(self) -> RunDetails:
        """The run with its specification; asked for anew until the run has ended.

        RPC:
            flyteidl2.workflow.RunService/GetRunDetails
        """
        return self._details_by(self._session.deadline())

    def _details_by(self, deadline: Deadline) -> RunDetails:
        if self._details is None or not self._details.done():
            session = self._session
            self._details = RunDetails(get_details(session, self.pb2.action.id.run, deadline), session)
            self.pb2.action.CopyFrom(_action_details.summary(self._details.pb2.action))
        return self._details

    def _inputs_by(self, deadline: Deadline) -> Held:
        return self._details_by(deadline).action_details._inputs_by(deadline)

    def _outputs_by(self, deadline: Deadline) -> Held:
        details = self._details_by(deadline).action_details
        if details.done() and not details.phase.is_success:
            self._raise_for_status_by(deadline)
        return details._outputs_by(deadline)

    def raise_for_status(self) -> None:
        """Raise what the run failed of; do nothing if it succeeded.

        Raises:
            RunNotDoneError: The run has not ended.
            RuntimeUserError, RuntimeSystemError, ActionAbortedError, TaskTimeoutError: As `flyte_lite.errors` says.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails (GetRunDetails may leave the error out)
        """
        self._raise_for_status_by(self._session.deadline())

    def _raise_for_status_by(self, deadline: Deadline) -> None:
        if not self.phase.is_success:
            session = self._session
            ActionDetails(
                _action_details.get_details(session, self.pb2.action.id, deadline), session
            ).raise_for_status()

    def abort(self, reason: str = "Manually aborted from the SDK api.") -> None:
        """End the run; nothing happens if there is none any more.

        Args:
            reason: Shown to whoever asks why.

        RPC:
            flyteidl2.workflow.RunService/AbortRun
        """
        request = run_service_pb2.AbortRunRequest(run_id=self.pb2.action.id.run, reason=reason)
        try:
            self._session.call(_ABORT_RUN, request)
        except NotFoundError:
            return


def _status(
    session: Session, root: identifier_pb2.ActionIdentifier, deadline: Deadline
) -> run_definition_pb2.ActionStatus:
    """The status of a run's root, by the smallest answer that has it: other calls carry the whole task along."""
    if _BY_NAME in session.refused:
        return _action_details.get_details(session, root, deadline).status
    run = root.run
    request = run_service_pb2.ListRunsRequest(
        request=list_pb2.ListRequest(
            limit=1, filters=[list_pb2.Filter(function=list_pb2.Filter.EQUAL, field="run_name", values=[run.name])]
        ),
        project_id=identifier_pb2.ProjectIdentifier(organization=run.org, domain=run.domain, name=run.project),
    )
    try:
        found = session.call(_LIST_RUNS, request, deadline=deadline).runs
    except CallError as error:
        if error.code not in (Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED):
            raise
        # Hosted servers search by other names.
        session.refused.add(_BY_NAME)
        return _status(session, root, deadline)
    if found and found[0].action.id.run.name == run.name:
        return found[0].action.status
    # Not there, or not seen by an overloaded server; this one's NOT_FOUND says which run.
    return _action_details.get_details(session, root, deadline).status
