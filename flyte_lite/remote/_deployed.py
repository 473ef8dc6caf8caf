"""Where a deployed task is found by its name, and what is said of one that is not there."""

from __future__ import annotations

import difflib
from typing import Any, Generic, Optional, TypeVar

from flyte_lite._clock import Deadline
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import CallError, NotFoundError, RemoteTaskNotFoundError
from flyte_lite.idl.flyteidl2.common import identifier_pb2, list_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2, task_service_pb2
from flyte_lite.remote._base import Resource

_GET_TASK_DETAILS: Method[task_service_pb2.GetTaskDetailsRequest, task_service_pb2.GetTaskDetailsResponse] = Method(
    task_service_pb2, "TaskService", "GetTaskDetails"
)
_LIST_TASKS: Method[task_service_pb2.ListTasksRequest, task_service_pb2.ListTasksResponse] = Method(
    task_service_pb2, "TaskService", "ListTasks"
)
_LIST_VERSIONS: Method[task_service_pb2.ListVersionsRequest, task_service_pb2.ListVersionsResponse] = Method(
    task_service_pb2, "TaskService", "ListVersions"
)

D = TypeVar("D", bound="Resource[task_definition_pb2.TaskDetails]")

_MOST_NAMES = 200


class Lookup(Generic[D]):
    """Looks a task up: what a `LazyEntity` stands for.

    Args:
        of: The class to make.
        session: Whom to ask; None is the default of then.
        place: Organization, project and domain.
        name: Full name.
        version: None is the newest.
    """

    def __init__(
        self,
        of: type[D],
        session: Optional[Session],
        place: tuple[str, str, str],
        name: str,
        version: Optional[str],
    ) -> None:
        self._session = session
        self._what = (of._plain or of, place, name, version)

    def __call__(self, deadline: Optional[Deadline]) -> D:
        of, (org, project, domain), name, version = self._what
        session = self._session or of._current()
        place = identifier_pb2.ProjectIdentifier(organization=org, name=project, domain=domain)
        return of._make(find(session, place, name, version, deadline or session.deadline()), session)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lookup) and self._what == other._what

    __hash__ = None  # type: ignore[assignment]  # nobody looks for one

    def __deepcopy__(self, memo: object) -> Lookup[D]:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # The session stays behind, as that of every object does.
        of, *rest = self._what
        return Lookup, (of, None, *rest)


def find(
    session: Session,
    place: identifier_pb2.ProjectIdentifier,
    name: str,
    version: Optional[str],
    deadline: Deadline,
) -> task_definition_pb2.TaskDetails:
    """A deployed task; the newest one if there is no version.

    Raises:
        RemoteTaskNotFoundError: There is none. The text says what is near.

    RPC:
        flyteidl2.task.TaskService/GetTaskDetails, after ListTasks for the newest
    """
    if version is None:
        newest = _list(session, place, deadline, limit=1, name=name)
        if not newest:
            raise RemoteTaskNotFoundError(_absent(session, place, name, None, deadline))
        version = newest[0].task_id.version
    task_id = task_definition_pb2.TaskIdentifier(
        org=place.organization, project=place.name, domain=place.domain, name=name, version=version
    )
    try:
        return session.call(
            _GET_TASK_DETAILS, task_service_pb2.GetTaskDetailsRequest(task_id=task_id), deadline=deadline
        ).details
    except NotFoundError as error:
        raise RemoteTaskNotFoundError(_absent(session, place, name, version, deadline)) from error


def _list(
    session: Session,
    place: identifier_pb2.ProjectIdentifier,
    deadline: Deadline,
    *,
    limit: int,
    name: Optional[str] = None,
) -> list[task_definition_pb2.Task]:
    request = task_service_pb2.ListTasksRequest(
        project_id=place,
        request=list_pb2.ListRequest(
            limit=limit, sort_by=list_pb2.Sort(key="created_at", direction=list_pb2.Sort.DESCENDING)
        ),
    )
    if name is not None:
        request.request.filters.add(function=list_pb2.Filter.EQUAL, field="name", values=[name])
    return list(session.call(_LIST_TASKS, request, deadline=deadline).tasks)


def _absent(
    session: Session, place: identifier_pb2.ProjectIdentifier, name: str, version: Optional[str], deadline: Deadline
) -> str:
    """Why there is no such task, as far as a further question or two can tell."""
    wanted = f"task {name}" + (f" version {version}" if version is not None else "")
    text = f"{wanted} is not deployed in project {place.name}, domain {place.domain}"
    try:
        if version is not None:
            versions = session.call(
                _LIST_VERSIONS,
                task_service_pb2.ListVersionsRequest(
                    task_name=task_definition_pb2.TaskName(
                        org=place.organization, project=place.name, domain=place.domain, name=name
                    ),
                    request=list_pb2.ListRequest(limit=5),
                ),
                deadline=deadline,
            ).versions
            if versions:
                have = ", ".join(item.version for item in versions)
                return f'{text}; its newest versions are {have}. Give one of them, or auto_version="latest"'
        names = {task.task_id.name for task in _list(session, place, deadline, limit=_MOST_NAMES)}
    except CallError:
        return f"{text}; check name, project and domain"
    if not names:
        return f"{text}; nothing is deployed there at all, so check project and domain"
    near = difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.5) or sorted(names)[:3]
    return f"{text}; deployed there are, among others, {', '.join(near)}"
