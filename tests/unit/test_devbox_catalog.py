"""Projects and tasks, asked for directly: what is stored, what is refused, and with which words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from devbox_services import CALL, Services, task_id

from flyte_lite import errors
from flyte_lite.idl.flyteidl2.common import list_pb2
from flyte_lite.idl.flyteidl2.project import project_service_pb2
from flyte_lite.idl.flyteidl2.task import task_service_pb2


@pytest.fixture
def box() -> Iterator[Services]:
    made = Services()
    yield made
    made.state.close()


def test_a_devbox_starts_with_one_project_of_three_domains(box: Services) -> None:
    found = box.projects.list_projects(project_service_pb2.ListProjectsRequest(), CALL).projects.projects

    assert [project.id for project in found] == ["flytesnacks"]
    assert [domain.id for domain in found[0].domains] == ["development", "production", "staging"]


def test_projects_are_created_once_and_updated_as_a_whole(box: Services) -> None:
    project = project_service_pb2.Project(id="p", name="P", description="d", labels={"values": {"a": "b"}})
    box.projects.create_project(project_service_pb2.CreateProjectRequest(project=project), CALL)

    with pytest.raises(errors.AlreadyExistsError, match="project already exists: p"):
        box.projects.create_project(project_service_pb2.CreateProjectRequest(project=project), CALL)
    box.projects.update_project(project_service_pb2.UpdateProjectRequest(project={"id": "p", "name": "Q"}), CALL)

    found = box.projects.get_project(project_service_pb2.GetProjectRequest(id="p"), CALL).project
    assert (found.name, found.description, dict(found.labels.values)) == ("Q", "", {})


def test_a_project_needs_an_id_and_must_be_there(box: Services) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=r"project\.id is required"):
        box.projects.create_project(project_service_pb2.CreateProjectRequest(), CALL)
    with pytest.raises(errors.InvalidArgumentError, match="id is required"):
        box.projects.get_project(project_service_pb2.GetProjectRequest(), CALL)
    with pytest.raises(errors.NotFoundError, match="project not found: x"):
        box.projects.get_project(project_service_pb2.GetProjectRequest(id="x"), CALL)
    with pytest.raises(errors.NotFoundError):
        box.projects.update_project(project_service_pb2.UpdateProjectRequest(project={"id": "x"}), CALL)
    long = project_service_pb2.Project(id="y", description="d" * 301)
    with pytest.raises(errors.InternalError, match="too long"):
        box.projects.create_project(project_service_pb2.CreateProjectRequest(project=long), CALL)


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ("", ["flytesnacks", "a", "b"]),
        ("contains(identifier,a)", ["flytesnacks", "a"]),
        ("eq(state,1)", ["c"]),
        ("ne(name,nA)+contains(name,n)", ["flytesnacks", "b", "c"]),
        ("value_in(identifier,a;c)", ["a", "c"]),
        ("value_in(identifier,a)", ["a"]),
        (" EQ( description , d (b) ) ", ["b"]),
        ("eq(identifier,a),eq(identifier,b)", []),
    ],
)
def test_the_filter_language_of_projects(box: Services, filters: str, ids: list[str]) -> None:
    for id in "abc":
        project = project_service_pb2.Project(id=id, name=f"n{id.upper()}", description=f"d ({id})")
        box.projects.create_project(project_service_pb2.CreateProjectRequest(project=project), CALL)
    archived = project_service_pb2.Project(id="c", name="nC", state=project_service_pb2.PROJECT_STATE_ARCHIVED)
    box.projects.update_project(project_service_pb2.UpdateProjectRequest(project=archived), CALL)

    response = box.projects.list_projects(project_service_pb2.ListProjectsRequest(filters=filters), CALL)

    assert [project.id for project in response.projects.projects] == ids


@pytest.mark.parametrize("filters", ["eq(identifier,a)+", "eq(nope,a)", "like(name,a)", "name=a"])
def test_a_filter_of_projects_that_can_t_be_read_is_refused(box: Services, filters: str) -> None:
    with pytest.raises(errors.InvalidArgumentError):
        box.projects.list_projects(project_service_pb2.ListProjectsRequest(filters=filters), CALL)


def test_pages_of_projects_have_a_token_while_they_are_full(box: Services) -> None:
    request = project_service_pb2.ListProjectsRequest(limit=1, token="0abc", sort_by={"key": "identifier"})

    assert box.projects.list_projects(request, CALL).projects.token == "1"

    request.token = "1"
    assert not box.projects.list_projects(request, CALL).projects.projects


def test_a_task_comes_back_as_it_was_deployed(box: Services) -> None:
    box.deploy(description="s" * 300)

    details = box.tasks.get_task_details(task_service_pb2.GetTaskDetailsRequest(task_id=task_id()), CALL).details

    assert details.task_id.name == "env.add"
    assert details.task_id.org == ""
    assert details.metadata.short_name == "add"
    assert details.metadata.environment_name == "env"
    assert details.metadata.short_description == "s" * 255
    assert details.spec.default_inputs[0].parameter.default.scalar.primitive.integer == 7


def test_deploying_again_overwrites_but_does_not_make_it_newer(box: Services) -> None:
    box.deploy(version="v1")
    box.deploy(version="v2")
    box.deploy(version="v1", description="again")

    listed = box.tasks.list_tasks(task_service_pb2.ListTasksRequest(), CALL)
    details = box.tasks.get_task_details(task_service_pb2.GetTaskDetailsRequest(task_id=task_id()), CALL).details

    assert [task.task_id.version for task in listed.tasks] == ["v2"]
    assert details.metadata.short_description == "again"


def test_what_can_t_be_deployed(box: Services) -> None:
    request = task_service_pb2.DeployTaskRequest(task_id=task_id())

    with pytest.raises(errors.InternalError, match="Marshal called with nil"):
        box.tasks.deploy_task(request, CALL)
    request.task_id.project = "nope"
    with pytest.raises(errors.NotFoundError, match='project "nope" not found'):
        box.tasks.deploy_task(request, CALL)
    with pytest.raises(errors.InternalError, match="failed to validate project"):
        box.tasks.deploy_task(task_service_pb2.DeployTaskRequest(), CALL)


def test_tasks_are_listed_by_name_with_totals(box: Services) -> None:
    for name, version in (("env.a", "v1"), ("env.b", "v1"), ("env.a", "v2")):
        box.deploy(name, version)
    request = task_service_pb2.ListTasksRequest(project_id={"name": "flytesnacks", "domain": "development"})
    request.request.filters.add(field="name", function=list_pb2.Filter.EQUAL, values=["env.a"])
    request.request.limit = 1

    response = box.tasks.list_tasks(request, CALL)

    assert [(task.task_id.name, task.task_id.version) for task in response.tasks] == [("env.a", "v2")]
    assert (response.metadata.total, response.metadata.filtered_total) == (2, 1)
    assert response.tasks[0].HasField("task_summary")
    # The page is full, so there is a token although nothing follows.
    assert response.token == "1"


def test_an_empty_page_of_tasks_counts_nothing(box: Services) -> None:
    box.deploy()
    request = task_service_pb2.ListTasksRequest(known_filters=[{"deployed_by": "x"}])

    response = box.tasks.list_tasks(request, CALL)

    assert response.HasField("metadata")
    assert (len(response.tasks), response.metadata.total, response.metadata.filtered_total) == (0, 0, 0)


def test_versions_come_newest_first(box: Services) -> None:
    for version in ("v1", "v3", "v2"):
        box.deploy(version=version)
    name = {"project": "flytesnacks", "domain": "development", "name": "env.add"}

    response = box.tasks.list_versions(task_service_pb2.ListVersionsRequest(task_name=name), CALL)

    assert [version.version for version in response.versions] == ["v2", "v3", "v1"]
