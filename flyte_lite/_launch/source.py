"""The run that is repeated: its task, its specification, and its inputs as far as they can still be had."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple, Union

from flyte_lite._clock import Deadline
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import NotFoundError, OptionError, RuntimeUserError
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.common import run_pb2 as common_run_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, run_pb2, task_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.remote import _action_details, _data
from flyte_lite.remote._inputs import to_inputs
from flyte_lite.remote._run_details import get_details

_GET_ACTION_DATA_URIS: Method[run_service_pb2.GetActionDataURIsRequest, run_service_pb2.GetActionDataURIsResponse] = (
    Method(run_service_pb2, "RunService", "GetActionDataURIs")
)

_INPUTS_FILE = "/inputs.pb"


class Source(NamedTuple):
    """An action of a run, whose task is to run again.

    Attributes:
        action: Which.
        task: What it ran.
        run_spec: The specification of its run.
    """

    action: identifier_pb2.ActionIdentifier
    task: task_definition_pb2.TaskSpec
    run_spec: run_pb2.RunSpec

    @classmethod
    def find(cls, session: Session, run: identifier_pb2.RunIdentifier, action_name: str, deadline: Deadline) -> Source:
        """Ask for it.

        Raises:
            NotFoundError: There is no such run, or no such action of it.
            OptionError: The action runs no task.

        RPC:
            flyteidl2.workflow.RunService/GetRunDetails, and GetActionDetails for another action than the root
        """
        found = get_details(session, run, deadline)
        action = identifier_pb2.ActionIdentifier(run=run, name=action_name)
        details = found.action
        if action_name != _action_details.ROOT:
            details = _action_details.get_details(session, action, deadline)
        if not details.HasField("task"):
            raise OptionError(f"action {action_name} of run {run.name} runs no task, so there is nothing to run again")
        return cls(action, details.task, found.run_spec)

    @property
    def called(self) -> str:
        """What it is, for errors."""
        name = self.action.run.name
        return f"run {name}" if self.action.name == _action_details.ROOT else f"action {self.action.name} of run {name}"

    def inputs(
        self,
        session: Session,
        given: Mapping[str, Any],
        context: Mapping[str, str],
        allow_missing_outputs: bool,
        deadline: Deadline,
    ) -> Union[common_pb2.Inputs, common_run_pb2.OffloadedInputData]:
        """Its inputs, with those that are given in their place; or where they are stored, if they can't be read.

        Raises:
            InputsError: What is given does not fit the task; every problem is in the text.
            RuntimeUserError: They are not in the store any more, or that can't be told.

        RPC:
            flyteidl2.dataproxy.DataProxyService/GetActionData, unless all inputs are given, and
            flyteidl2.workflow.RunService/GetActionDataURIs if its outputs are gone
        """
        template = self.task.task_template
        name = template.id.name or self.called
        declared = [entry.key for entry in template.interface.inputs.variables]
        if given and set(declared) <= set(given):
            return to_inputs(name, self.task, (), given, context)
        if not set(given) <= set(declared):
            # That can be told without the others, which only stand in for what they are.
            others = common_pb2.Inputs(
                literals=[common_pb2.NamedLiteral(name=key) for key in declared if key not in given]
            )
            return to_inputs(name, self.task, (), given, context, others)
        try:
            kept = _data.fetch(session, self.action, deadline).inputs
        except NotFoundError as error:
            return self._stored(session, given, allow_missing_outputs, error, deadline)
        if not given and not context:
            return kept
        return to_inputs(name, self.task, (), given, context, kept)

    def _stored(
        self,
        session: Session,
        given: Mapping[str, Any],
        allow_missing_outputs: bool,
        error: NotFoundError,
        deadline: Deadline,
    ) -> common_run_pb2.OffloadedInputData:
        """Where the inputs are, which one call does not tell if the outputs are gone."""
        all_of_them = f'give every input instead: rerun("{self.action.run.name}", ...)'
        if "inputs" in error.message:
            raise RuntimeUserError(
                "SourceRunInputsUnavailableError",
                f"the inputs of {self.called} are not in the store any more; {all_of_them}",
            ) from error
        if not allow_missing_outputs:
            raise RuntimeUserError(
                "SourceRunOutputsUnavailableError",
                f"the outputs of {self.called} are not in the store any more, and the server does not tell the inputs "
                f"without them. If the inputs are there, give allow_missing_source_outputs=True; or {all_of_them}",
            ) from error
        if given:
            raise RuntimeUserError(
                "SourceRunInputsUnavailableError",
                f"the inputs of {self.called} can't be read, so {', '.join(sorted(given))} can't take the place of "
                f"some; {all_of_them}",
            ) from error
        request = run_service_pb2.GetActionDataURIsRequest(action_id=self.action)
        uri = session.call(_GET_ACTION_DATA_URIS, request, deadline=deadline).inputs_uri
        if not uri:
            raise error
        # This call tells the file and CreateRun wants the folder.
        folder = uri.removesuffix(_INPUTS_FILE)
        return common_run_pb2.OffloadedInputData(uri=folder, inputs_hash=_hash(uri))


def _hash(uri: str) -> str:
    """A hash in place of that of the inputs, which nobody can read: FNV-1a of 64 bits, as servers write theirs."""
    made = 0xCBF29CE484222325
    for byte in uri.encode():
        made = ((made ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return base64.urlsafe_b64encode(made.to_bytes(8, "big")).decode().rstrip("=")
