"""Runs: started, waited for, and asked for their results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Optional
from urllib.parse import quote

from flyte_lite._clock import Deadline
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import NotFoundError
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import ActionPhase, CodeBundle
from flyte_lite.remote import _action_details
from flyte_lite.remote._action import Action
from flyte_lite.remote._action_details import ActionDetails
from flyte_lite.remote._artifacts import HasArtifacts
from flyte_lite.remote._base import Resource
from flyte_lite.remote._data import HasData, Held
from flyte_lite.remote._logs import HasRunLog
from flyte_lite.remote._run_details import RunDetails, get_details
from flyte_lite.remote._waiting import PATIENCE, insist
from flyte_lite.remote._watching import Watched

if TYPE_CHECKING:
    from typing_extensions import Self

    from flyte_lite.remote._filters import Phases, SortBy, TimeFilter

_ABORT_RUN: Method[run_service_pb2.AbortRunRequest, run_service_pb2.AbortRunResponse] = Method(
    # The last reason stands, so aborting twice is aborting once.
    run_service_pb2,
    "RunService",
    "AbortRun",
    safe=True,
)


class Run(HasData, Watched, HasRunLog, HasArtifacts, Resource["run_definition_pb2.Run"]):
    """A run of a task.

    Attributes:
        pb2: `flyteidl2.workflow.Run`, as it was when last asked; see `sync`.
        created: For a run that `flyte_lite.run` returned: True if it made the run, False if the run was there already,
            None if that can't be told. None for any other.
    """

    _message = "flyteidl2.workflow.Run"
    _shown = ("name", "phase", "url")
    _kept = ("created",)

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

    @classmethod
    def listall(
        cls,
        in_phase: Phases = None,
        task_name: Optional[str] = None,
        task_version: Optional[str] = None,
        created_by_subject: Optional[str] = None,
        sort_by: SortBy = None,
        limit: Optional[int] = 100,
        project: Optional[str] = None,
        domain: Optional[str] = None,
        created_at: Optional[TimeFilter] = None,
        updated_at: Optional[TimeFilter] = None,
        with_labels: Optional[Mapping[str, str]] = None,
        with_label_keys: Optional[Iterable[str]] = None,
        paused_actions_only: bool = False,
    ) -> Iterator[Self]:
        """The runs of a project, asked for page by page while they are read. All that is given must hold.

        In order of creation, a run that is there all the time comes exactly once, whatever begins or ends meanwhile.
        In another order one whose place changes may be passed over.

        Args:
            in_phase: One phase or several, each an `ActionPhase` or its name in any spelling.
            task_name: Full name of the deployed task.
            task_version: Its version.
            created_by_subject: The subject, not the name, of who made the run.
            sort_by: Such as ("created_at", "desc"); None is oldest first.
            limit: How many in all; None is all there are.
            project: None takes the session's.
            domain: None takes the session's.
            created_at: When the run was made.
            updated_at: When it last changed.
            with_labels: Labels that it has, with these values. The open-source server neither looks for labels nor
                shows them in lists: each run that is left by the other conditions then costs a call of its own.
            with_label_keys: Labels that it has, whatever their values; see `with_labels`.
            paused_actions_only: Only runs that wait for a person.

        Returns:
            An iterator. If a page can't be had, the runs before it were given and the error is raised there.

        Raises:
            ValueError: A phase, a time, an order or the limit is none.
            ConfigError: There is no project, or no domain.
            CallError: See `flyte_lite.errors`.

        RPC:
            flyteidl2.workflow.RunService/ListRuns
        """
        # Not everybody lists.
        from flyte_lite.remote import _lists

        session = cls._current()
        found = _lists.runs(
            session,
            session.scope.project_id(project, domain),
            in_phase=in_phase,
            task_name=task_name,
            task_version=task_version,
            created_by_subject=created_by_subject,
            sort_by=sort_by,
            limit=limit,
            created_at=created_at,
            updated_at=updated_at,
            with_labels=with_labels,
            with_label_keys=with_label_keys,
            paused_actions_only=paused_actions_only,
            labels_of=lambda pb2: _fill_labels(session, pb2),
        )
        return (cls._make(pb2, session) for pb2 in found)

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
    def _step(self) -> run_definition_pb2.Action:
        return self.pb2.action

    @property
    def url(self) -> str:
        """The run in the web console."""
        run = self.pb2.action.id.run
        path = "/".join(
            quote(part, safe="") for part in ("domain", run.domain, "project", run.project, "runs", run.name)
        )
        return f"{self._session.console}/v2/{path}"

    def _lines(self) -> Iterable[tuple[str, object]]:
        action = self.action
        yield from (("name", self.name), ("phase", self.phase), ("task", action.task_name))
        yield from (("started", action.start_time), ("ended", action._end_time), ("link", self.url))

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
        from flyte_lite.remote._statuses import status_of

        session, root = self._session, self.pb2.action.id
        deadline = session.deadline()
        self.pb2.action.status.CopyFrom(insist(lambda: status_of(session, root, deadline), deadline))
        return self

    def details(self) -> RunDetails:
        """The run with its specification; asked for anew until the run has ended.

        RPC:
            flyteidl2.workflow.RunService/GetRunDetails
        """
        return self._details_by(self._session.deadline())

    def _details_by(self, deadline: Deadline) -> RunDetails:
        if self._details is None or not self._details.done():
            session, run = self._session, self.pb2.action.id.run
            self._details = RunDetails(insist(lambda: get_details(session, run, deadline), deadline), session)
            self.pb2.action.CopyFrom(_action_details.summary(self._details.pb2.action))
        return self._details

    def code_bundle(self) -> Optional[CodeBundle]:
        """Where the code lies that the run's root action runs from; None if it is in its image.

        RPC:
            flyteidl2.workflow.RunService/GetRunDetails
        """
        return self._details_by(self._session.deadline()).action_details.code_bundle

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
            session, root = self._session, self.pb2.action.id
            found = insist(lambda: _action_details.get_details(session, root, deadline), deadline)
            ActionDetails(found, session).raise_for_status()

    def get_debug_url(self, *, timeout: Optional[float] = None, patience: float = PATIENCE) -> Optional[str]:
        """Where the editor is that the run was started under, with `with_runcontext(debug=True)`.

        Waits until it can be opened.

        Args:
            timeout: Seconds to wait in all; None waits as long as the run goes on.
            patience: Seconds that an outage may last; see `wait`.

        Returns:
            The address; None if the run ended without one.

        Raises:
            ValueError: An argument is not what it may be.
            WaitTimeoutError: `timeout` passed; the run goes on.
            CallError: The server could not be asked, for all of `patience` or for a reason that will not pass.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails
        """
        for details in self.watch(timeout=timeout, patience=patience):
            uri = details._editor_uri
            if uri:
                # The editor is where the server is, whatever port that answers calls at.
                origin = self._session.channel.origin
                host = f"[{origin.host}]" if ":" in origin.host else origin.host
                return uri if "://" in uri else f"{origin.scheme}://{host}{uri}"
        return None

    def first_failure(self) -> Optional[ActionDetails]:
        """The action to blame, with its error; None if nothing failed, or if the run succeeded all the same.

        Each action that failed of a child's failure points to that child; this is the last in that row, which may be
        the run's own root.

        Raises:
            CallError: See `flyte_lite.errors`.

        RPC:
            flyteidl2.workflow.RunService/ListActions, then GetActionDetails
        """
        from flyte_lite.remote import _first_failure, _lists

        if self.phase.is_success:
            return None
        session = self._session
        deadline = session.deadline()
        root = self.pb2.action.id
        ended = _lists.actions(session, root.run, in_phase=_first_failure.PHASES, deadline=deadline)
        blamed = _first_failure.first_failure(ended, root.name)
        if blamed is None:
            return None
        found = insist(lambda: _action_details.get_details(session, blamed.id, deadline), deadline)
        return ActionDetails(found, session)

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


def _fill_labels(session: Session, pb2: run_definition_pb2.Run) -> Mapping[str, str]:
    """The labels of a run from where every server tells them, put where rows of some lists have them."""
    spec = get_details(session, pb2.action.id.run).run_spec
    pb2.labels.update(spec.labels.values)
    return spec.labels.values
