"""A client of the devbox that shares nothing with ours but messages and literals, and looks at processes."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from flyte_lite import _literals
from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import list_pb2, phase_pb2
from flyte_lite.idl.flyteidl2.core import types_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.task import run_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

P = phase_pb2
ENDS = (
    P.ACTION_PHASE_SUCCEEDED,
    P.ACTION_PHASE_FAILED,
    P.ACTION_PHASE_ABORTED,
    P.ACTION_PHASE_TIMED_OUT,
    P.ACTION_PHASE_RECOVERED,
)
PATIENCE = 30.0


class Client:
    """Just enough of one."""

    def __init__(self, box: Devbox) -> None:
        self.box = box
        self.made = 0

    def call(self, path: str, request: Any, response: Any) -> Any:
        connection = http.client.HTTPConnection(self.box.endpoint.partition("//")[2], timeout=10)
        headers = {"Content-Type": "application/proto"}
        connection.request("POST", f"/flyteidl2.{path}", request.SerializeToString(), headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        return response.FromString(body)

    def create(self, task: str, run_spec: Optional[run_pb2.RunSpec] = None, **inputs: Any) -> str:
        self.made += 1
        name = f"r{self.made}"
        request = run_service_pb2.CreateRunRequest()
        request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", name
        request.task_id.project, request.task_id.domain = "flytesnacks", "development"
        request.task_id.name, request.task_id.version = task, "v1"
        if run_spec is not None:
            request.run_spec.CopyFrom(run_spec)
        for key, value in inputs.items():
            kind = _literals.types.literal_type(type(value))
            request.inputs.literals.add(name=key, value=_literals.to_literal(value, kind))
        self.call("workflow.RunService/CreateRun", request, run_service_pb2.CreateRunResponse)
        return name

    def action(self, run: str) -> run_definition_pb2.ActionDetails:
        request = run_service_pb2.GetRunDetailsRequest()
        request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", run
        response = self.call("workflow.RunService/GetRunDetails", request, run_service_pb2.GetRunDetailsResponse)
        details: run_definition_pb2.ActionDetails = response.details.action
        return details

    def step(self, run: str, name: str) -> run_definition_pb2.ActionDetails:
        request = run_service_pb2.GetActionDetailsRequest()
        request.action_id.run.project, request.action_id.run.domain = "flytesnacks", "development"
        request.action_id.run.name, request.action_id.name = run, name
        response = self.call("workflow.RunService/GetActionDetails", request, run_service_pb2.GetActionDetailsResponse)
        details: run_definition_pb2.ActionDetails = response.details
        return details

    def children(self, run: str, parent: str = "a0") -> list[run_definition_pb2.ActionDetails]:
        """What an action has called, as it was created."""
        request = run_service_pb2.ListActionsRequest()
        request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", run
        request.request.limit = 200
        sort = request.request.sort_by_fields.add(key="created_at")
        sort.direction = list_pb2.Sort.ASCENDING
        actions = []
        while True:
            listed = self.call("workflow.RunService/ListActions", request, run_service_pb2.ListActionsResponse)
            actions += listed.actions
            if not listed.token:
                break
            request.request.token = listed.token
        return [self.step(run, each.id.name) for each in actions if each.metadata.parent == parent]

    def until(self, run: str, *phases: int, name: str = "a0") -> run_definition_pb2.ActionDetails:
        end = time.monotonic() + PATIENCE
        while True:
            action = self.step(run, name)
            if action.status.phase in phases:
                return action
            assert time.monotonic() < end, f"{action}\n{self.box.logs(run)}"
            time.sleep(0.01)

    def run(
        self, task: str, run_spec: Optional[run_pb2.RunSpec] = None, **inputs: Any
    ) -> run_definition_pb2.ActionDetails:
        return self.until(self.create(task, run_spec, **inputs), *ENDS)

    def outputs(self, action: run_definition_pb2.ActionDetails) -> dict[str, Any]:
        return self.data(action)[1]

    def data(self, action: run_definition_pb2.ActionDetails) -> tuple[dict[str, Any], dict[str, Any]]:
        """Inputs and outputs."""
        request = dataproxy_service_pb2.GetActionDataRequest(action_id=action.id)
        response = self.call(
            "dataproxy.DataProxyService/GetActionData", request, dataproxy_service_pb2.GetActionDataResponse
        )
        interface = action.trace.interface if action.HasField("trace") else action.task.task_template.interface
        return _values(response.inputs.literals, interface.inputs), _values(
            response.outputs.literals, interface.outputs
        )

    def abort_action(self, run: str, name: str) -> None:
        request = run_service_pb2.AbortActionRequest()
        request.action_id.run.project, request.action_id.run.domain = "flytesnacks", "development"
        request.action_id.run.name, request.action_id.name = run, name
        self.call("workflow.RunService/AbortAction", request, run_service_pb2.AbortActionResponse)

    def abort(self, run: str, reason: Optional[str] = None) -> None:
        request = run_service_pb2.AbortRunRequest(reason=reason)
        request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", run
        self.call("workflow.RunService/AbortRun", request, run_service_pb2.AbortRunResponse)


def _values(literals: Any, declared: Any) -> dict[str, Any]:
    kinds: dict[str, types_pb2.LiteralType] = {variable.key: variable.value.type for variable in declared.variables}
    return {literal.name: _literals.from_literal(literal.value, kinds[literal.name]) for literal in literals}


def steps(attempt: run_definition_pb2.ActionAttempt) -> list[str]:
    return [P.ActionPhase.Name(step.phase)[len("ACTION_PHASE_") :] for step in attempt.phase_transitions]


def alive(pid: int) -> bool:
    if not Path("/proc").is_dir():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def tell(file: str, text: str) -> None:
    # Whoever waits for the file finds it whole.
    Path(file + ".part").write_text(text)
    Path(file + ".part").rename(file)


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
