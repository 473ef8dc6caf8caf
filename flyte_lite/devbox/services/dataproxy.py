"""DataProxyService: inputs and outputs by value, and logs as they are written."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.creation import storage_folder
from flyte_lite.devbox.services.project import check_project
from flyte_lite.devbox.services.run import action_key, data_uris, log_event
from flyte_lite.devbox.services.task import task_key
from flyte_lite.devbox.services.trigger import key_of as trigger_key
from flyte_lite.devbox.state.actions import TERMINAL, ActionKey
from flyte_lite.devbox.state.logs import Line
from flyte_lite.devbox.state.objects import PREFIX
from flyte_lite.devbox.state.tasks import TaskKey
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2 as pb
from flyte_lite.idl.flyteidl2.logs.dataplane import payload_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, task_definition_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State


# Where pods are said to be.
NAMESPACE = "flyte"
# How many lines are told of what was written before, and in how large pieces.
REPLAYED = 1000
BATCH = 100


class DataProxyService:
    """`flyteidl2.dataproxy.DataProxyService`: what it does without signed addresses."""

    name = "flyteidl2.dataproxy.DataProxyService"

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {
            "UploadInputs": self.upload_inputs,
            "GetActionData": self.get_action_data,
            "TailLogs": self.tail_logs,
        }

    def upload_inputs(self, request: pb.UploadInputsRequest, _: Call) -> pb.UploadInputsResponse:
        """Store inputs for a CreateRun that will name them by address.

        Raises:
            InvalidArgumentError: No project or no task is given.
            NotFoundError: No such project, task or trigger.
            InternalError: There are no inputs at all, or `base_dir` is in another store.
        """
        project, domain, org = self._place(request)
        spec = self._spec(request)
        if not request.HasField("inputs"):
            raise refusal(Code.INTERNAL, "failed to write inputs: proto: Marshal called with nil")
        hash = inputs_hash(request.inputs, spec.task_template.metadata.cache_ignore_input_vars)
        base = storage_folder(request.base_dir) if request.base_dir else f"{PREFIX}/uploads"
        folder = "/".join([base, *([org] if org else []), project, domain, "offloaded-inputs", hash])
        self._state.objects.put(f"{folder}/inputs.pb", request.inputs.SerializeToString())
        response = pb.UploadInputsResponse()
        response.offloaded_input_data.uri = folder
        response.offloaded_input_data.inputs_hash = hash
        return response

    def get_action_data(self, request: pb.GetActionDataRequest, _: Call) -> pb.GetActionDataResponse:
        """Inputs and outputs of an action; what is not there is empty, and so is its address.

        Raises:
            NotFoundError: No such action, or it succeeded and its outputs are not known.
        """
        inputs_uri, outputs_uri = data_uris(self._state, action_key(request))
        response = pb.GetActionDataResponse()
        response.inputs.SetInParent()
        response.outputs.SetInParent()
        inputs = self._state.objects.get(inputs_uri)
        if inputs is not None:
            response.inputs.MergeFromString(inputs)
            response.inputs_uri = inputs_uri
        outputs = self._state.objects.get(outputs_uri) if outputs_uri else None
        if outputs is not None:
            response.outputs.MergeFromString(outputs)
            response.outputs_uri = outputs_uri
        return response

    def tail_logs(self, request: pb.TailLogsRequest, call: Call) -> Iterator[pb.TailLogsResponse]:
        """The last lines of an attempt, some to a message; while it runs then each line as it comes.

        Raises:
            NotFoundError: The attempt does not run yet, was aborted or repeated, or nothing is known of it.
        """
        key, attempt = action_key(request), request.attempt
        pod = log_event(self._state, key, attempt).log_context.primary_pod_name
        changes = self._state.changes.about(key.topic)
        with self._state.database.transaction():
            since = changes.version
            if self._state.events.newest(key, attempt + 1) is not None or not self._runs_here(key):
                raise refusal(Code.NOT_FOUND, f"pod {pod} not found in namespace {NAMESPACE}")
            lines = self._state.logs.newest(key, attempt, REPLAYED)
        for start in range(0, len(lines), BATCH):
            yield _logged([line for _, line in lines[start : start + BATCH]])
        known = lines[-1][0] if lines else 0
        while True:
            with self._state.database.transaction():
                over = self._is_over(key, attempt)
                lines = self._state.logs.after(key, attempt, known)
            for number, line in lines:
                known = number
                yield _logged([line])
            if over:
                return
            since = call.wait(changes, since)

    def _runs_here(self, key: ActionKey) -> bool:
        # Others, which were driven over the wire, may tell of pods, but there are none.
        spec, _ = self._state.actions.specs(key)
        template = task_definition_pb2.TaskSpec.FromString(spec).task_template
        return self._state.bundles.has(template.metadata.code_bundle_uri)

    def _is_over(self, key: ActionKey, attempt: int) -> bool:
        told = self._state.events.newest(key, attempt)
        return told is None or told.phase in TERMINAL or self._state.events.newest(key, attempt + 1) is not None

    def _place(self, request: pb.UploadInputsRequest) -> tuple[str, str, str]:
        kind = request.WhichOneof("id")
        if kind is None:
            raise refusal(Code.INVALID_ARGUMENT, "id is required")
        if kind == "run_id":
            place = (request.run_id.project, request.run_id.domain, request.run_id.org)
        else:
            place = (request.project_id.name, request.project_id.domain, request.project_id.organization)
        check_project(self._state, place[0])
        return place

    def _spec(self, request: pb.UploadInputsRequest) -> task_definition_pb2.TaskSpec:
        kind = request.WhichOneof("task")
        if kind is None:
            raise refusal(Code.INVALID_ARGUMENT, "task is required")
        if kind == "task_spec":
            return request.task_spec
        if kind == "trigger_name":
            found_trigger = self._state.triggers.get(trigger_key(request.trigger_name))
            if found_trigger is None:
                raise refusal(Code.NOT_FOUND, f'trigger "{request.trigger_name.name}" not found')
            key = TaskKey(*found_trigger.key[:3], found_trigger.task_version)
        else:
            key = task_key(request.task_id)
        found = self._state.tasks.get(key)
        if found is None:
            raise refusal(Code.NOT_FOUND, f"failed to get task: not_found: task not found: {key}")
        return task_definition_pb2.TaskSpec.FromString(found.spec)


def _logged(lines: Sequence[Line]) -> pb.TailLogsResponse:
    response = pb.TailLogsResponse()
    logs = response.logs.add()
    for line in lines:
        logs.lines.add(message=line.text, originator=payload_pb2.USER).timestamp.FromMicroseconds(line.at)
    return response


def inputs_hash(inputs: common_pb2.Inputs, ignored: Any) -> str:
    """FNV-1a, 64 bits, of the inputs that count, in base64 for addresses and without padding."""
    if ignored:
        kept = common_pb2.Inputs(context=inputs.context)
        kept.literals.extend(literal for literal in inputs.literals if literal.name not in ignored)
        inputs = kept
    hash = 0xCBF29CE484222325
    for byte in inputs.SerializeToString(deterministic=True):
        hash = (hash ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return base64.urlsafe_b64encode(hash.to_bytes(8, "big")).decode().rstrip("=")
