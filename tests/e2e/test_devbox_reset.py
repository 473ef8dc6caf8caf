"""`Devbox.reset` between tests: what is gone, what stays, how quick it is, and whole suites that rely on it."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Optional

import pytest
from devbox_client import Client, alive, tell, wait_for
from punctual import promptly

from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.project import project_service_pb2
from flyte_lite.idl.flyteidl2.task import task_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

P = phase_pb2
ROOT = str(Path(__file__).parents[2])


def runs_of(client: Client) -> int:
    request = run_service_pb2.ListRunsRequest()
    return len(client.call("workflow.RunService/ListRuns", request, run_service_pb2.ListRunsResponse).runs)


def tasks_of(client: Client) -> list[str]:
    request = task_service_pb2.ListTasksRequest()
    found = client.call("task.TaskService/ListTasks", request, task_service_pb2.ListTasksResponse).tasks
    return sorted(task.task_id.name for task in found)


def projects_of(client: Client) -> list[str]:
    request = project_service_pb2.ListProjectsRequest()
    found = client.call("project.ProjectService/ListProjects", request, project_service_pb2.ListProjectsResponse)
    return [project.id for project in found.projects.projects]


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "in a folder"])
def test_everything_goes_but_the_server_and_the_tasks_from_python(tmp_path: Path, kept: bool) -> None:
    state: Optional[Path] = tmp_path / "state" if kept else None
    with Devbox(workers=1, state=state) as box:
        client = Client(box)
        endpoint = box.endpoint

        @box.task(name="reset.cached", version="v1", cache=True)
        def cached() -> int:
            print("ran")
            return 1

        @box.task(name="reset.endless", version="v1")
        def endless(pid: str) -> None:
            tell(pid, str(os.getpid()))
            time.sleep(60)

        foreign = task_service_pb2.DeployTaskRequest()
        foreign.task_id.project, foreign.task_id.domain = "flytesnacks", "development"
        foreign.task_id.name, foreign.task_id.version = "reset.foreign", "v1"
        foreign.spec.short_name = "foreign"
        client.call("task.TaskService/DeployTask", foreign, task_service_pb2.DeployTaskResponse)
        project = project_service_pb2.CreateProjectRequest()
        project.project.id = "mine"
        client.call("project.ProjectService/CreateProject", project, project_service_pb2.CreateProjectResponse)
        client.run("reset.cached")
        pid = tmp_path / "pid"
        client.create("reset.endless", pid=str(pid))
        waiting = client.create("reset.cached")
        assert wait_for(pid.exists)
        box.clock.stop()
        box.defects.endless_restarts = True
        connection = http.client.HTTPConnection(endpoint.partition("//")[2], timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"OK"

        box.reset()

        assert wait_for(lambda: not alive(int(pid.read_text())))
        assert box.endpoint == endpoint
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"OK"
        connection.close()
        assert (runs_of(client), projects_of(client)) == (0, ["flytesnacks"])
        assert tasks_of(client) == ["reset.cached", "reset.endless"]
        assert (box.clock.stopped, box.defects.endless_restarts) == (False, False)
        assert box.logs(waiting) == []
        # Names are free again, the cache is empty, and the worker is too.
        client.made = 0
        ended = client.run("reset.cached")
        assert ended.id.run.name == "r1"
        assert len(ended.attempts) == 1
        assert (client.outputs(ended), box.logs("r1")) == ({"o0": 1}, ["ran"])

    if state is not None:
        with Devbox(state=state) as box:
            assert runs_of(Client(box)) == 1
            assert tasks_of(Client(box)) == ["reset.cached", "reset.endless"]


def test_a_stream_of_before_ends_and_one_of_after_goes_on() -> None:
    with Devbox() as box:
        # Give it time to begin: one that has not is one of after.
        assert any(ends_with_a_reset(box, seconds) for seconds in (0.5, 5.0, 20.0))
        with watching(box) as after:
            after.settimeout(1)
            with pytest.raises(socket.timeout):
                after.recv(1)


def ends_with_a_reset(box: Devbox, seconds: float) -> bool:
    with watching(box) as before:
        time.sleep(seconds)
        box.reset()
        before.settimeout(5)
        try:
            return before.recv(1) == b""
        except socket.timeout:
            return False


def watching(box: Devbox) -> socket.socket:
    """A connection on which WatchRuns waits for runs; its head comes with the first of them."""
    host, _, port = box.endpoint.partition("//")[2].partition(":")
    stream = socket.create_connection((host, int(port)))
    body = b"\0\0\0\0\2{}"
    stream.sendall(
        b"POST /flyteidl2.workflow.RunService/WatchRuns HTTP/1.1\r\nHost: devbox\r\n"
        b"Content-Type: application/connect+json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    return stream


def test_it_is_quick_when_nothing_runs() -> None:
    with Devbox() as box:
        client = Client(box)

        @box.task(name="reset.one", version="v1")
        def one() -> int:
            return 1

        def took() -> float:
            client.run("reset.one")
            began = time.monotonic()
            box.reset()
            return time.monotonic() - began

        # Usually 1 ms.
        assert promptly(0.05, took, tries=50)


def test_a_devbox_is_ready_at_once_in_a_warm_process() -> None:
    def took() -> float:
        began = time.monotonic()
        with Devbox() as box:
            connection = http.client.HTTPConnection(box.endpoint.partition("//")[2], timeout=10)
            connection.request("GET", "/readyz")
            assert connection.getresponse().status == 200
            seconds = time.monotonic() - began
            connection.close()
        return seconds

    assert promptly(0.3, took, tries=20)


def test_a_devbox_that_can_t_listen_leaves_its_folder_as_it_was(tmp_path: Path) -> None:
    def late() -> int:
        return 1

    with Devbox(state=tmp_path, workers=1) as first:
        client = Client(first)

        @first.task(name="reset.sleep", version="v1")
        def sleep() -> None:
            time.sleep(60)

        first.task(name="reset.late", version="v1")(late)
        client.create("reset.sleep")
        waiting = client.create("reset.late")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            first.close()
            second = Devbox(port=taken.getsockname()[1], state=tmp_path)
            with pytest.raises(OSError), second:
                raise AssertionError("it can't listen there")

    with Devbox(state=tmp_path) as third:
        client = Client(third)
        assert client.until(waiting, P.ACTION_PHASE_SUCCEEDED).status.attempts == 1


SUITE_S_CONFTEST = """
import pytest
from flyte_lite import Client
from flyte_lite.devbox import Devbox

@pytest.fixture(scope="session")
def session_box():
    with Devbox(workers=1) as box:
        @box.task(name="suite.add", version="v1", cache=True)
        def add(x: int, y: int = 1) -> int:
            print("adding")
            return x + y

        yield box

@pytest.fixture
def box(session_box):
    session_box.reset()
    return session_box

@pytest.fixture
def client(box):
    with Client(box.endpoint, project="flytesnacks", domain="development") as client:
        yield client
"""
SUITE = """
import pytest

@pytest.mark.parametrize("number", range(50))
def test_a_run_is_the_first_one(box, client, number):
    run = client.with_runcontext(name="first").run(client.tasks.get("suite.add", version="v1"), x=number)
    if number % 3:
        box.clock.stop()
        return  # It may go on while the next test begins.
    run.wait(quiet=True)
    assert run.outputs()[0] == number + 1
    assert box.logs("first") == ["adding"]
    assert not box.clock.stopped
"""


def test_a_suite_of_fifty_tests_resets_it_between_them_in_parallel(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(SUITE_S_CONFTEST)
    (tmp_path / "test_suite.py").write_text(SUITE)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-c", os.devnull, str(tmp_path)],
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")} | {"PYTHONPATH": ROOT},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert "50 passed" in done.stdout, done.stdout + done.stderr
