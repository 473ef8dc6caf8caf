"""One run in full: its specification, and its root action."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Optional

from flyte_lite._clock import Deadline
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote._action_details import ActionDetails
from flyte_lite.remote._base import Resource
from flyte_lite.remote._data import HasData, Held

if TYPE_CHECKING:
    from typing_extensions import Self

_GET_RUN_DETAILS: Method[run_service_pb2.GetRunDetailsRequest, run_service_pb2.GetRunDetailsResponse] = Method(
    run_service_pb2, "RunService", "GetRunDetails"
)


class RunDetails(HasData, Resource["run_definition_pb2.RunDetails"]):
    """A run with its specification and its root action in full.

    Attributes:
        pb2: `flyteidl2.workflow.RunDetails`.
    """

    _message = "flyteidl2.workflow.RunDetails"
    _shown = ("name", "task_name")

    @classmethod
    def get(cls, name: Optional[str] = None) -> Self:
        """The run of that name, as it is now.

        Raises:
            ValueError: No `name`.
            NotFoundError: There is no such run, or the caller may not see it.

        RPC:
            flyteidl2.workflow.RunService/GetRunDetails
        """
        if not name:
            raise ValueError("RunDetails.get needs the name of a run")
        session = cls._current()
        return cls._make(get_details(session, session.scope.run_id(name)), session)

    @classmethod
    def get_details(cls, run_id: identifier_pb2.RunIdentifier) -> Self:
        """The run of that identifier, in whatever project.

        RPC:
            flyteidl2.workflow.RunService/GetRunDetails
        """
        session = cls._current()
        return cls._make(get_details(session, run_id), session)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.pb2.action.id.run.name

    @property
    def task_name(self) -> Optional[str]:
        """Name of the deployed task; None if the task came with the run."""
        return self.action_details.task_name

    @property
    def action_id(self) -> identifier_pb2.ActionIdentifier:
        """Identifier of the root action."""
        return self.pb2.action.id

    @cached_property
    def action_details(self) -> ActionDetails:
        """The root action."""
        return ActionDetails(self.pb2.action, self._session)

    def done(self) -> bool:
        """True if nothing follows."""
        return self.action_details.done()

    def _inputs_by(self, deadline: Deadline) -> Held:
        return self.action_details._inputs_by(deadline)

    def _outputs_by(self, deadline: Deadline) -> Held:
        return self.action_details._outputs_by(deadline)


def get_details(
    session: Session, run: identifier_pb2.RunIdentifier, deadline: Optional[Deadline] = None
) -> run_definition_pb2.RunDetails:
    """A run as GetRunDetails tells it."""
    return session.call(_GET_RUN_DETAILS, run_service_pb2.GetRunDetailsRequest(run_id=run), deadline=deadline).details
