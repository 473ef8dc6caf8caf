"""The services of a devbox around one state, without an executor: asked directly, by unit tests."""

from __future__ import annotations

from typing import Optional

from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.dataproxy import DataProxyService
from flyte_lite.devbox.services.project import ProjectService
from flyte_lite.devbox.services.run import RunService
from flyte_lite.devbox.services.task import TaskService
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.idl.flyteidl2.core import types_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, task_definition_pb2, task_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

CALL = Call({"host": "localhost:1"})


class Recorder:
    """An executor that only remembers what it was given."""

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.aborted: list[str] = []

    def submit(self, key: ActionKey) -> None:
        self.submitted.append(key.run)

    def abort(self, key: ActionKey) -> None:
        self.aborted.append(key.run)


class Services:
    """The services around one state, and short ways to ask them."""

    def __init__(self) -> None:
        self.state = State()
        self.executor = Recorder()
        self.projects = ProjectService(self.state)
        self.tasks = TaskService(self.state)
        self.runs = RunService(self.state, self.executor)
        self.data = DataProxyService(self.state)

    def deploy(self, name: str = "env.add", version: str = "v1", **spec: object) -> None:
        request = task_service_pb2.DeployTaskRequest(task_id=task_id(name, version))
        request.spec.task_template.type = "python"
        request.spec.short_name = name.rpartition(".")[2]
        request.spec.environment.name = "env"
        default = request.spec.default_inputs.add(name="x").parameter
        default.var.type.simple = types_pb2.INTEGER
        default.default.scalar.primitive.integer = 7
        if "description" in spec:
            request.spec.documentation.short_description = str(spec["description"])
        self.tasks.deploy_task(request, CALL)

    def create(self, name: str = "r1", **headers: str) -> run_definition_pb2.Run:
        return self.runs.create_run(creation(name), Call(headers)).run

    def details(self, name: str = "r1") -> run_definition_pb2.RunDetails:
        request = run_service_pb2.GetRunDetailsRequest(run_id=creation(name).run_id)
        return self.runs.get_run_details(request, CALL).details

    def listed(self, **request: object) -> list[str]:
        response = self.runs.list_runs(run_service_pb2.ListRunsRequest(**request), CALL)  # type: ignore[arg-type]
        return [run.action.id.run.name for run in response.runs]


def task_id(name: str = "env.add", version: str = "v1") -> task_definition_pb2.TaskIdentifier:
    return task_definition_pb2.TaskIdentifier(
        org="ignored", project="flytesnacks", domain="development", name=name, version=version
    )


def creation(
    name: str = "r1", task: Optional[task_definition_pb2.TaskIdentifier] = None
) -> run_service_pb2.CreateRunRequest:
    request = run_service_pb2.CreateRunRequest(task_id=task or task_id())
    request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", name
    return request


def integer(name: str, value: int) -> common_pb2.NamedLiteral:
    literal = common_pb2.NamedLiteral(name=name)
    literal.value.scalar.primitive.integer = value
    return literal
