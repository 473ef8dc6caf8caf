"""Stubs that gRPC's compiler made for the official messages, over a channel of ours: no call of it is gRPC's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from flyteidl2.common import identifier_pb2
from flyteidl2.project import project_service_pb2, project_service_pb2_grpc
from flyteidl2.task import task_definition_pb2, task_service_pb2, task_service_pb2_grpc
from flyteidl2.workflow import run_service_pb2, run_service_pb2_grpc

from flyte_lite import Client, errors
from flyte_lite.devbox import Devbox
from flyte_lite.remote import create_channel

SCOPE = {"project": "flytesnacks", "domain": "development"}


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="greetings.hello", version="v1")
        def hello() -> str:
            return "hello"

        yield box


@pytest.fixture(params=[{}, {"protocol": "grpc-web"}, {"compression": grpc.Compression.Gzip}], ids=str)
def channel(box: Devbox, request: pytest.FixtureRequest) -> Iterator[Any]:
    box.faults.clear()
    with create_channel(box.endpoint, **request.param) as channel:
        yield channel


def test_a_run_is_made_and_watched_to_its_end(box: Devbox, channel: Any) -> None:
    tasks = task_service_pb2_grpc.TaskServiceStub(channel)
    runs = run_service_pb2_grpc.RunServiceStub(channel)
    task_id = task_definition_pb2.TaskIdentifier(name="greetings.hello", version="v1", **SCOPE)
    found = tasks.GetTaskDetails(task_service_pb2.GetTaskDetailsRequest(task_id=task_id))
    assert found.details.task_id == task_id

    project = identifier_pb2.ProjectIdentifier(name="flytesnacks", domain="development")
    created = runs.CreateRun(
        run_service_pb2.CreateRunRequest(project_id=project, task_id=task_id), timeout=20, metadata=(("x-team", "a"),)
    )
    assert type(created) is run_service_pb2.CreateRunResponse
    action_id = created.run.action.id
    Client(channel=channel, **SCOPE).runs.get(action_id.run.name).wait(timeout=60)
    details = runs.GetActionDetails(run_service_pb2.GetActionDetailsRequest(action_id=action_id)).details
    watched = list(runs.WatchActionDetails(run_service_pb2.WatchActionDetailsRequest(action_id=action_id), timeout=20))

    assert watched[-1].details.status.phase == details.status.phase
    assert type(watched[-1]) is run_service_pb2.WatchActionDetailsResponse


def test_an_error_is_ours(channel: Any) -> None:
    stub = project_service_pb2_grpc.ProjectServiceStub(channel)

    with pytest.raises(errors.NotFoundError) as caught:
        stub.GetProject(project_service_pb2.GetProjectRequest(id="nope"))
    assert not isinstance(caught.value, grpc.RpcError)
    assert caught.value.method == "ProjectService/GetProject"


def test_what_has_no_side_effects_is_asked_again(box: Devbox, channel: Any) -> None:
    stub = project_service_pb2_grpc.ProjectServiceStub(channel)
    box.faults.on("ProjectService/GetProject").fail("unavailable", times=1)

    assert stub.GetProject(project_service_pb2.GetProjectRequest(id="flytesnacks")).project.name == "flytesnacks"
    box.faults.on("ProjectService/UpdateProject").fail("unavailable", times=1)
    with pytest.raises(errors.UnavailableError):
        stub.UpdateProject(project_service_pb2.UpdateProjectRequest())


def test_credentials_of_grpcs_are_refused_by_name() -> None:
    with pytest.raises(errors.OptionError, match="ssl_credentials is an object of gRPC's"):
        create_channel("flyte.example", ssl_credentials=grpc.ssl_channel_credentials())  # type: ignore[arg-type]
