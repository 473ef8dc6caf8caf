"""One run made: its inputs stored, then one CreateRun that is safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

from flyte_lite._clock import Deadline
from flyte_lite._clusters import Route
from flyte_lite._launch.names import keyed_name, new_name
from flyte_lite._launch.options import Options
from flyte_lite._literals.content_hash import content_hash
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import (
    AlreadyExistsError,
    CallError,
    CallTimeoutError,
    CanceledError,
    Code,
    NotFoundError,
    TransportError,
)
from flyte_lite.idl.flyteidl2.common import identifier_pb2, run_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, task_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote._action_details import summary
from flyte_lite.remote._run import Run
from flyte_lite.remote._run_details import get_details

_UPLOAD_INPUTS: Method[dataproxy_service_pb2.UploadInputsRequest, dataproxy_service_pb2.UploadInputsResponse] = Method(
    # The same inputs are stored under the same name.
    dataproxy_service_pb2,
    "DataProxyService",
    "UploadInputs",
    safe=True,
)
_CREATE_RUN: Method[run_service_pb2.CreateRunRequest, run_service_pb2.CreateRunResponse] = Method(
    run_service_pb2, "RunService", "CreateRun"
)
_OPERATION_UPLOAD_INPUTS = 2


class Creation:
    """A run on its way.

    Args:
        session: Who makes it.
        options: How; its name, above all.
        place: Into which project and domain.
        what: What the idempotency key is about: the task's name, or the run that is repeated.
        deadline: By when.

    Attributes:
        run_id: What the run will be called.
    """

    def __init__(
        self,
        session: Session,
        options: Options,
        place: identifier_pb2.ProjectIdentifier,
        what: str,
        deadline: Deadline,
    ) -> None:
        self._session = session
        self._options = options
        self._deadline = deadline
        key = options.idempotency_key
        name = options.name or (keyed_name(key, place, what) if key else new_name())
        self.run_id = identifier_pb2.RunIdentifier(
            org=place.organization, project=place.name, domain=place.domain, name=name
        )

    def existing(self) -> Optional[Run]:
        """The run that the idempotency key made before; None if there is none, or no key."""
        if not self._options.idempotency_key:
            return None
        try:
            return self._found(created=False)
        except NotFoundError:
            return None

    def dry(
        self,
        request: run_service_pb2.CreateRunRequest,
        inputs: Union[common_pb2.Inputs, run_pb2.OffloadedInputData],
        spec: task_definition_pb2.TaskSpec,
    ) -> Run:
        """What would be made; nothing is sent."""
        from flyte_lite._launch.dry_run import DryRun

        request.run_id.CopyFrom(self.run_id)
        if isinstance(inputs, run_pb2.OffloadedInputData):
            request.offloaded_input_data.CopyFrom(inputs)
            inputs = common_pb2.Inputs()
        return DryRun(request, inputs, spec)

    def make(
        self,
        request: run_service_pb2.CreateRunRequest,
        inputs: Union[common_pb2.Inputs, run_pb2.OffloadedInputData],
        ignored: Sequence[str],
    ) -> Run:
        """Store the inputs and create the run.

        Args:
            request: With the task and the specification in it.
            inputs: Or where they are stored already.
            ignored: Names of inputs that the cache does not look at.

        Raises:
            CallError: See `flyte_lite.errors`. If the run may have been made, the text names it.
        """
        request.run_id.CopyFrom(self.run_id)
        if isinstance(inputs, run_pb2.OffloadedInputData):
            request.offloaded_input_data.CopyFrom(inputs)
        else:
            self._store(request, inputs, ignored)
        return self._create(request)

    def _store(
        self, request: run_service_pb2.CreateRunRequest, inputs: common_pb2.Inputs, ignored: Sequence[str]
    ) -> None:
        # The server looks for them in the folder that the specification names.
        upload = dataproxy_service_pb2.UploadInputsRequest(
            run_id=request.run_id, inputs=inputs, base_dir=request.run_spec.run_base_dir
        )
        if request.HasField("task_id"):
            upload.task_id.CopyFrom(request.task_id)
        else:
            upload.task_spec.CopyFrom(request.task_spec)
        route = Route(_OPERATION_UPLOAD_INPUTS, request.run_id.project, request.run_id.domain)
        try:
            stored = self._session.call(_UPLOAD_INPUTS, upload, deadline=self._deadline, route=route)
        except CallError as error:
            if error.code is not Code.UNIMPLEMENTED:
                raise
            # A server from before UploadInputs takes them along.
            request.inputs.CopyFrom(inputs)
        else:
            request.offloaded_input_data.CopyFrom(stored.offloaded_input_data)
            # The server hashes addresses; inputs that say what their content is are known by that wherever they are.
            hashed = content_hash(inputs, ignored)
            if hashed is not None:
                request.offloaded_input_data.inputs_hash = hashed

    def _create(self, request: run_service_pb2.CreateRunRequest) -> Run:
        options = self._options
        try:
            # The name is ours, so this request twice is this request once.
            reply = self._session.reply(_CREATE_RUN, request, deadline=self._deadline, repeatable=True)
        except AlreadyExistsError as error:
            if options.name is not None:
                said = f" ({error.message})" if error.message else ""
                error.message = (
                    f"there is a run {options.name} already in project {self.run_id.project}, domain "
                    f"{self.run_id.domain}{said}; give another name, or an idempotency_key= for several tries"
                )
                raise
            # A name from the dice is only taken if our own first try took it.
            created = True if options.idempotency_key is None else None if error.attempts > 1 else False
            return self._found(created=created)
        except (TransportError, CallTimeoutError, CanceledError) as error:
            if error.sent:
                # The name was made here, so nobody else can tell how to find it.
                error.message += f"; the run may have been made all the same, as {request.run_id.name}"
            raise
        # Some servers answer a taken name with the run that has it, so for a name from outside only a key's
        # question beforehand tells.
        created = None if options.name is not None or (options.idempotency_key and reply.attempts > 1) else True
        return Run(reply.message.run, self._session, created=created)

    def _found(self, *, created: Optional[bool]) -> Run:
        details = get_details(self._session, self.run_id, self._deadline)
        return Run(run_definition_pb2.Run(action=summary(details.action)), self._session, created=created)
