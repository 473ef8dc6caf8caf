"""TaskService."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.project import check_project
from flyte_lite.devbox.services.trigger import check_schedule, deploy_with_task, fill_summary
from flyte_lite.devbox.state.query import Condition, page
from flyte_lite.devbox.state.tasks import COLUMNS, VERSION_COLUMNS, Task, TaskKey
from flyte_lite.errors import Code, InvalidArgumentError
from flyte_lite.idl.flyteidl2.task import task_definition_pb2, task_service_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State

_ORDER = "created_at DESC, number DESC"
_TIES = "number DESC"


class TaskService:
    """`flyteidl2.task.TaskService`."""

    name = "flyteidl2.task.TaskService"

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {
            "DeployTask": self.deploy_task,
            "GetTaskDetails": self.get_task_details,
            "ListTasks": self.list_tasks,
            "ListVersions": self.list_versions,
        }

    def deploy_task(self, request: task_service_pb2.DeployTaskRequest, _: Call) -> task_service_pb2.DeployTaskResponse:
        """Store a version of a task, over one of the same name and version.

        Raises:
            NotFoundError: No such project.
            InternalError: No project or no specification is given.
            InvalidArgumentError: The cron expression of a trigger is none; nothing is stored.
        """
        check_project(self._state, request.task_id.project)
        if not request.HasField("spec"):
            raise refusal(Code.INTERNAL, "proto: Marshal called with nil")
        _check_triggers(request)
        spec = task_definition_pb2.TaskSpec()
        spec.CopyFrom(request.spec)
        _cut(spec)
        descriptions = (spec.documentation.short_description, spec.environment.description)
        key = task_key(request.task_id)
        with self._state.database.transaction():
            self._state.tasks.deploy(
                key, spec.SerializeToString(), spec.environment.name, descriptions, self._state.now()
            )
            # Without any in the request, those that are there stay.
            if request.triggers:
                deploy_with_task(self._state, key, request.triggers)
        return task_service_pb2.DeployTaskResponse()

    def get_task_details(
        self, request: task_service_pb2.GetTaskDetailsRequest, _: Call
    ) -> task_service_pb2.GetTaskDetailsResponse:
        """One version of a task; there is no newest one here.

        Raises:
            NotFoundError: No such version.
        """
        found = get_task(self._state, task_key(request.task_id), Code.NOT_FOUND)
        response = task_service_pb2.GetTaskDetailsResponse()
        _identify(response.details.task_id, found)
        _describe(self._state, response.details.metadata, found)
        response.details.spec.MergeFromString(found.spec)
        return response

    def list_tasks(self, request: task_service_pb2.ListTasksRequest, _: Call) -> task_service_pb2.ListTasksResponse:
        """The newest version of each name.

        Raises:
            InvalidArgumentError: The list request can't be read.
            InternalError: The real server's database would refuse a value.
        """
        wanted = page(request.request, COLUMNS, _ORDER, _TIES, "tasks")
        scope = []
        if request.WhichOneof("scope_by") == "project_id":
            project = request.project_id
            scope.append(Condition("project = ? AND domain = ?", (project.name, project.domain)))
        if any(known.WhichOneof("filter_by") == "deployed_by" for known in request.known_filters):
            # Nobody is recorded as deployer, so nothing is found.
            scope.append(Condition("0"))
        found, total, filtered = self._state.tasks.newest(wanted, *scope)
        response = task_service_pb2.ListTasksResponse(token=_token(len(found), wanted.limit, wanted.offset))
        # Present, and without numbers if the page is empty.
        response.metadata.SetInParent()
        if found:
            response.metadata.total = total
            response.metadata.filtered_total = filtered
        for each in found:
            task = response.tasks.add()
            _identify(task.task_id, each)
            _describe(self._state, task.metadata, each)
            task.task_summary.SetInParent()
        return response

    def list_versions(
        self, request: task_service_pb2.ListVersionsRequest, _: Call
    ) -> task_service_pb2.ListVersionsResponse:
        """The versions of one name.

        Raises:
            InvalidArgumentError: The list request can't be read.
            InternalError: The real server's database would refuse a value.
        """
        wanted = page(request.request, VERSION_COLUMNS, _ORDER, _TIES, "versions")
        name = request.task_name
        found = self._state.tasks.versions(wanted, name.project, name.domain, name.name)
        response = task_service_pb2.ListVersionsResponse(token=_token(len(found), wanted.limit, wanted.offset))
        for version, at in found:
            response.versions.add(version=version).deployed_at.FromMicroseconds(at)
        return response


def task_key(id: task_definition_pb2.TaskIdentifier) -> TaskKey:
    """The identifier as the state has it."""
    return TaskKey(id.project, id.domain, id.name, id.version)


def get_task(state: State, key: TaskKey, code: Code) -> Task:
    """That version; the error is of `code`, which is not the same everywhere."""
    found = state.tasks.get(key)
    if found is None:
        raise refusal(code, f"task not found: {key}")
    return found


def _cut(spec: task_definition_pb2.TaskSpec) -> None:
    if spec.HasField("documentation"):
        spec.documentation.short_description = spec.documentation.short_description[:255]
        spec.documentation.long_description = spec.documentation.long_description[:2048]
    if spec.HasField("environment"):
        spec.environment.description = spec.environment.description[:255]


def _identify(id: task_definition_pb2.TaskIdentifier, task: Task) -> None:
    id.project, id.domain, id.name, id.version = task.project, task.domain, task.name, task.version


def _check_triggers(request: task_service_pb2.DeployTaskRequest) -> None:
    for trigger in request.triggers:
        try:
            check_schedule(trigger.name, trigger.automation_spec)
        except InvalidArgumentError as error:
            # The real server wraps it once more.
            raise refusal(Code.INVALID_ARGUMENT, f"invalid_argument: {error.message}") from error


def _describe(state: State, metadata: task_definition_pb2.TaskMetadata, task: Task) -> None:
    metadata.short_name = task.function_name
    metadata.deployed_at.FromMicroseconds(task.created_at)
    metadata.environment_name = task.environment
    metadata.short_description = task.short_description
    fill_summary(metadata, state.triggers.of_task(task.project, task.domain, task.name, task.version))


def _token(count: int, limit: object, offset: int) -> str:
    # A full page has a token even if it is the last one.
    return str(offset + count) if count == limit else ""
