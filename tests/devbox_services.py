"""The services of a devbox around one state, without an executor: asked directly, by unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional, TypeVar

from flyte_lite._clock import SYSTEM_CLOCK, Clock
from flyte_lite.devbox.object_store import ObjectStore
from flyte_lite.devbox.services.call import Call, CallOver, End
from flyte_lite.devbox.services.dataproxy import DataProxyService
from flyte_lite.devbox.services.internal_run import EventsProxyService, InternalRunService
from flyte_lite.devbox.services.project import ProjectService
from flyte_lite.devbox.services.run import RunService
from flyte_lite.devbox.services.settings import SettingsService
from flyte_lite.devbox.services.task import TaskService
from flyte_lite.devbox.services.trigger import TriggerService
from flyte_lite.devbox.services.watching import Watching
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.core import types_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, task_definition_pb2, task_service_pb2
from flyte_lite.idl.flyteidl2.workflow import internal_run_service_pb2, run_definition_pb2, run_service_pb2

M = TypeVar("M")

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

    def __init__(self, clock: Clock = SYSTEM_CLOCK, state: Optional[State] = None) -> None:
        self.state = state or State(clock)
        self.executor = Recorder()
        self.projects = ProjectService(self.state)
        self.tasks = TaskService(self.state)
        self.runs = RunService(self.state, self.executor)
        self.data = DataProxyService(self.state, ObjectStore(self.state))
        self.internal = InternalRunService(self.state)
        self.events = EventsProxyService(self.state)
        self.triggers = TriggerService(self.state)
        self.settings = SettingsService(self.state)
        self.watching = Watching(self.state)

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

    def tell(self, phase: int, name: str = "a0", run: str = "r1", attempts: int = 1, **status: object) -> None:
        """What an executor tells of an action as a whole."""
        request = internal_run_service_pb2.UpdateActionStatusRequest(action_id=action_id(name, run))
        request.status.phase = phase  # type: ignore[assignment]  # an enum's number
        request.status.attempts = attempts
        for field, seconds in status.items():
            getattr(request.status, field).FromSeconds(seconds)
        self.internal.update_action_status(request, CALL)

    def event(self, phase: int, at: int = 0, attempt: int = 1, name: str = "a0", **more: Any) -> None:
        """What it tells of an attempt, `at` seconds after 1970."""
        request = internal_run_service_pb2.RecordActionEventsRequest()
        event = request.events.add(id=action_id(name), attempt=attempt, phase=phase, **more)
        event.updated_time.FromSeconds(at)
        event.reported_time.FromSeconds(at)
        self.internal.record_action_events(request, CALL)

    def child(self, name: str, parent: str = "a0", task: str = "env.child") -> None:
        request = internal_run_service_pb2.RecordActionRequest(action_id=action_id(name), parent=parent)
        request.task.id.CopyFrom(task_id(task))
        self.internal.record_action(request, CALL)

    def listed(self, **request: object) -> list[str]:
        response = self.runs.list_runs(run_service_pb2.ListRunsRequest(**request), CALL)  # type: ignore[arg-type]
        return [run.action.id.run.name for run in response.runs]


def action_id(name: str = "a0", run: str = "r1") -> identifier_pb2.ActionIdentifier:
    id = identifier_pb2.ActionIdentifier(name=name)
    id.run.project, id.run.domain, id.run.name = "flytesnacks", "development", run
    return id


class Impatient(Call):
    """A caller of a stream who leaves as soon as there is nothing new."""

    def wait(self, changes: Any, since: int) -> int:
        if changes.version > since:
            return int(changes.version)
        raise CallOver(End.GONE)

    def pause(self, seconds: float) -> None:
        if seconds:
            raise CallOver(End.GONE)


def told(stream: Iterator[M]) -> tuple[list[M], bool]:
    """The messages that a stream has now, and whether it has ended."""
    messages: list[M] = []
    try:
        messages.extend(stream)
    except CallOver:
        return messages, False
    return messages, True


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
