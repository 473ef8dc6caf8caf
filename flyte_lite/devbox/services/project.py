"""ProjectService."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.state.projects import COLUMNS, Project
from flyte_lite.devbox.state.query import Condition, Page, compare, sort_key
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.common import list_pb2
from flyte_lite.idl.flyteidl2.project import project_service_pb2 as pb

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State

# Domains belong to the server.
DOMAINS = ("development", "production", "staging")
MAX_DESCRIPTION = 300


class ProjectService:
    """`flyteidl2.project.ProjectService`."""

    name = "flyteidl2.project.ProjectService"

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {
            "CreateProject": self.create_project,
            "UpdateProject": self.update_project,
            "GetProject": self.get_project,
            "ListProjects": self.list_projects,
        }

    def create_project(self, request: pb.CreateProjectRequest, _: Call) -> pb.CreateProjectResponse:
        """Add a project; any id will do.

        Raises:
            InvalidArgumentError: No id.
            AlreadyExistsError: There is one of that id.
            InternalError: The description is too long.
        """
        given = self._checked(request.project, "create")
        kept = (given.id, given.name, given.description, given.labels.SerializeToString())
        if not self._state.projects.create(*kept, self._state.now(), given.state):
            raise refusal(Code.ALREADY_EXISTS, f"project already exists: {given.id}")
        return pb.CreateProjectResponse()

    def update_project(self, request: pb.UpdateProjectRequest, _: Call) -> pb.UpdateProjectResponse:
        """Replace name, description, labels and state.

        Raises:
            InvalidArgumentError: No id.
            NotFoundError: There is none of that id.
            InternalError: The description is too long.
        """
        given = self._checked(request.project, "update")
        kept = Project(given.id, given.name, given.description, given.labels.SerializeToString(), given.state)
        if not self._state.projects.update(kept, self._state.now()):
            raise refusal(Code.NOT_FOUND, f"project not found: {given.id}")
        return pb.UpdateProjectResponse()

    def get_project(self, request: pb.GetProjectRequest, _: Call) -> pb.GetProjectResponse:
        """One project.

        Raises:
            InvalidArgumentError: No id.
            NotFoundError: There is none of that id.
        """
        if not request.id:
            raise refusal(Code.INVALID_ARGUMENT, "id is required")
        found = self._state.projects.get(request.id)
        if found is None:
            raise refusal(Code.NOT_FOUND, f"project not found: {request.id}")
        return pb.GetProjectResponse(project=_message(found))

    def list_projects(self, request: pb.ListProjectsRequest, _: Call) -> pb.ListProjectsResponse:
        """Projects; archived ones only if there is any filter.

        Raises:
            InvalidArgumentError: A filter, a sort key or the token can't be read.
        """
        # Here alone a token counts up to its first letter, no limit is no limit, and a full page always has a token.
        digits = re.match(r"[0-9]+", request.token)
        if request.token and digits is None:
            raise refusal(Code.INVALID_ARGUMENT, f"invalid token: {request.token}")
        key = request.sort_by.key
        if key and key not in COLUMNS:
            raise refusal(Code.INVALID_ARGUMENT, f"invalid sort field: {key}")
        order = sort_key(COLUMNS[key], request.sort_by.direction == list_pb2.Sort.ASCENDING) if key else "rowid"
        where = tuple(_conditions(request.filters)) if request.filters else (Condition("state <> 1"),)
        page = Page(where, order, request.limit or None, int(digits[0]) if digits else 0)
        found = self._state.projects.page(page)
        token = str(page.offset + len(found)) if len(found) == page.limit else ""
        return pb.ListProjectsResponse(projects=pb.Projects(projects=map(_message, found), token=token))

    def _checked(self, given: pb.Project, verb: str) -> pb.Project:
        if not given.id:
            raise refusal(Code.INVALID_ARGUMENT, "project.id is required")
        if len(given.description) > MAX_DESCRIPTION:
            raise refusal(
                Code.INTERNAL,
                f"failed to {verb} project {given.id}: value too long for type character varying({MAX_DESCRIPTION})",
            )
        return given


def check_project(state: State, project: str) -> None:
    """What other services ask of a project that they are given.

    Raises:
        InternalError: It is empty.
        NotFoundError: There is none of that id.
    """
    if not project:
        raise refusal(Code.INTERNAL, "failed to validate project: invalid_argument: id is required")
    if not state.projects.exists(project):
        raise refusal(Code.NOT_FOUND, f'project "{project}" not found')


def _message(project: Project) -> pb.Project:
    message = pb.Project(id=project.id, name=project.name, description=project.description)
    message.domains.extend(pb.Domain(id=domain, name=domain.capitalize()) for domain in DOMAINS)
    if project.labels:
        message.labels.MergeFromString(project.labels)
    message.state = pb.ProjectState.ValueType(project.state)
    return message


_OPERATORS = {"eq": "=", "ne": "<>", "value_in": "IN"}


def _conditions(filters: str) -> Iterable[Condition]:
    # `fn(field,value)+fn(field,value)`; the value ends at the last parenthesis.
    for part in filters.split("+"):
        match = re.fullmatch(r"\s*(\w+)\s*\(\s*(\w+)\s*,(.*)\)\s*", part, re.DOTALL)
        if match is None:
            raise refusal(Code.INVALID_ARGUMENT, f"invalid filter expression: {part}")
        function, field, value = match[1].lower(), match[2], match[3].strip()
        if field not in COLUMNS:
            raise refusal(Code.INVALID_ARGUMENT, f"invalid filter field: {field}")
        column = COLUMNS[field]
        if function == "contains":
            yield Condition(f"LIKE_PG(?, {column.sql})", (f"%{value}%",))
        elif function in _OPERATORS:
            values = [each.strip() for each in value.split(";")] if function == "value_in" else [value]
            yield compare(column, _OPERATORS[function], values, "projects")
        else:
            raise refusal(Code.INVALID_ARGUMENT, f"unsupported filter function: {function}")
