"""Actions: the steps of a run. The root one, `a0`, is the run itself."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Optional

from flyte_lite._rpc.method import Method
from flyte_lite.errors import NotFoundError
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote._action_details import ActionDetails, Step, get_details, summary
from flyte_lite.remote._artifacts import HasArtifacts
from flyte_lite.remote._logs import HasLogs
from flyte_lite.remote._waiting import insist
from flyte_lite.remote._watching import Watched

if TYPE_CHECKING:
    from typing_extensions import Self

    from flyte_lite.remote._filters import Phases, SortBy, TimeFilter

_ABORT_ACTION: Method[run_service_pb2.AbortActionRequest, run_service_pb2.AbortActionResponse] = Method(
    # The last reason stands, so aborting twice is aborting once.
    run_service_pb2,
    "RunService",
    "AbortAction",
    safe=True,
)


class Action(Watched, HasLogs, HasArtifacts, Step["run_definition_pb2.Action"]):
    """A step of a run.

    Attributes:
        pb2: `flyteidl2.workflow.Action`.
    """

    _message = "flyteidl2.workflow.Action"
    _shown = ("run_name", "name", "phase")

    @classmethod
    def listall(
        cls,
        for_run_name: str,
        in_phase: Phases = None,
        parent_name: Optional[str] = None,
        sort_by: SortBy = None,
        created_at: Optional[TimeFilter] = None,
        updated_at: Optional[TimeFilter] = None,
        *,
        limit: Optional[int] = None,
        project: Optional[str] = None,
        domain: Optional[str] = None,
    ) -> Iterator[Self]:
        """The actions of a run, asked for page by page while they are read. All that is given must hold.

        In order of creation, an action that is there all the time comes exactly once, whatever begins or ends
        meanwhile. In another order one whose place changes may be passed over. The open-source server shows neither
        the task nor the kind of an action in lists: `details` has all.

        Args:
            for_run_name: The run.
            in_phase: One phase or several, each an `ActionPhase` or its name in any spelling.
            parent_name: Only those that this action started itself, such as "a0".
            sort_by: Such as ("created_at", "desc"); None is oldest first.
            created_at: When the action was made.
            updated_at: When it last changed.
            limit: How many in all; None is all there are.
            project: None takes the session's.
            domain: None takes the session's.

        Returns:
            An iterator. If a page can't be had, the actions before it were given and the error is raised there.

        Raises:
            ValueError: A phase, a time, an order or the limit is none, or there is no run's name.
            ConfigError: There is no project, or no domain.
            CallError: See `flyte_lite.errors`.

        RPC:
            flyteidl2.workflow.RunService/ListActions
        """
        from flyte_lite.remote import _lists

        if not for_run_name:
            raise ValueError("Action.listall needs for_run_name=, the run whose actions are asked for")
        session = cls._current()
        found = _lists.actions(
            session,
            session.scope.run_id(for_run_name, project, domain),
            in_phase=in_phase,
            parent_name=parent_name,
            sort_by=sort_by,
            limit=limit,
            created_at=created_at,
            updated_at=updated_at,
        )
        return (cls._make(pb2, session) for pb2 in found)

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
        return cls._make(summary(cls._asked_for(session, run_name, name)), session)

    @property
    def _step(self) -> run_definition_pb2.Action:
        return self.pb2

    @property
    def start_time(self) -> Optional[datetime.datetime]:
        """When it began, in UTC; None if the server does not say."""
        if not self.pb2.status.HasField("start_time"):
            return None
        return self.pb2.status.start_time.ToDatetime(tzinfo=datetime.timezone.utc)

    @property
    def _end_time(self) -> Optional[datetime.datetime]:
        # The time of the first end stays when an action is tried again.
        if not self.done() or not self.pb2.status.HasField("end_time"):
            return None
        return self.pb2.status.end_time.ToDatetime(tzinfo=datetime.timezone.utc)

    def _lines(self) -> Iterable[tuple[str, object]]:
        yield from (("run", self.run_name), ("name", self.name), ("phase", self.phase), ("task", self.task_name))
        yield from (("parent", self.parent_name), ("started", self.start_time), ("ended", self._end_time))

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
        session = self._session
        deadline = session.deadline()
        details = ActionDetails(insist(lambda: get_details(session, self.pb2.id, deadline), deadline), session)
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
