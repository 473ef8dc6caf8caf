"""DataProxyService: inputs and outputs by value, logs as they are written, signed addresses of reports."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.creation import storage_folder
from flyte_lite.devbox.services.details import attempts
from flyte_lite.devbox.services.project import check_project
from flyte_lite.devbox.services.run import action_key, data_uris, named
from flyte_lite.devbox.services.tailing import Tailing
from flyte_lite.devbox.services.task import task_key
from flyte_lite.devbox.services.trigger import key_of as trigger_key
from flyte_lite.devbox.state.objects import PREFIX
from flyte_lite.devbox.state.tasks import TaskKey
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2 as pb
from flyte_lite.idl.flyteidl2.task import common_pb2, task_definition_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.object_store import ObjectStore
    from flyte_lite.devbox.state import State

# Seconds that an address is good if nobody says how long.
EXPIRES_IN = 3600


class DataProxyService:
    """`flyteidl2.dataproxy.DataProxyService`, but for uploads of files."""

    name = "flyteidl2.dataproxy.DataProxyService"

    def __init__(self, state: State, store: ObjectStore) -> None:
        self._state = state
        self._store = store
        self._tailing = Tailing(state)

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {
            "UploadInputs": self.upload_inputs,
            "CreateDownloadLink": self.create_download_link,
            "GetActionData": self.get_action_data,
            "TailLogs": self._tailing.tail_logs,
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

    def create_download_link(self, request: pb.CreateDownloadLinkRequest, call: Call) -> pb.CreateDownloadLinkResponse:
        """A signed address of an attempt's report, on the host that the caller used.

        Raises:
            InvalidArgumentError: Another kind of thing is wanted, or of something else.
            NotFoundError: No such action or attempt, or it has no report.
            InternalError: It is to be good for no time at all.
        """
        if request.artifact_type != pb.ARTIFACT_TYPE_REPORT:
            # All others too are as good as none.
            raise refusal(Code.INVALID_ARGUMENT, "artifact_type is required")
        if request.WhichOneof("source") != "action_attempt_id":
            raise refusal(Code.INVALID_ARGUMENT, "action_attempt_id is required")
        id = request.action_attempt_id
        key = action_key(id)
        if self._state.actions.get(key) is None:
            raise refusal(Code.NOT_FOUND, "failed to get action details: not_found: action not found: action not found")
        attempt = next((each for each in attempts(self._state.events.of(key)) if each.attempt == id.attempt), None)
        asked = f"action [{named(key)}]"
        if attempt is None:
            raise refusal(Code.NOT_FOUND, f"attempt {id.attempt} not found for {asked}")
        uri = attempt.outputs.report_uri
        if not uri:
            raise refusal(Code.NOT_FOUND, f"report not found for {asked} attempt {id.attempt}")
        if not self._state.objects.has(uri):
            raise refusal(Code.NOT_FOUND, f"artifact not found at [{uri}]")
        seconds = request.expires_in.seconds if request.HasField("expires_in") else EXPIRES_IN
        if seconds <= 0:
            raise refusal(
                Code.INTERNAL,
                "failed to create signed URL: InvalidPresignExpireError: presigned URL requires an expire duration"
                " greater than 0",
            )
        response = pb.CreateDownloadLinkResponse()
        response.pre_signed_urls.signed_url.append(self._store.address(call.endpoint, "GET", uri, seconds))
        # Not checked, nor on the real server: it may be in a year that has five digits.
        now, micros = divmod(self._state.now(), 1_000_000)
        expires_at = response.pre_signed_urls.expires_at
        expires_at.seconds, expires_at.nanos = now + seconds, micros * 1000
        return response

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
