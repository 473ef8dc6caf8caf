"""Our channel against Connect's own Python server, which serves the official messages through the official stubs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Optional, Union

import pytest
from cheroot import wsgi
from connectrpc import code, errors
from connectrpc.server import ConnectWSGIApplication, EndpointSync
from flyteidl2.project import project_service_connect
from flyteidl2.project import project_service_pb2 as official_projects
from flyteidl2.workflow import internal_run_service_connect, run_service_connect
from flyteidl2.workflow import internal_run_service_pb2 as official_internal
from flyteidl2.workflow import run_service_pb2 as official_runs
from google.protobuf import struct_pb2

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.transport import Transport
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.codec import JSON, PROTO
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._rpc.headers import binary
from flyte_lite._rpc.method import Method
from flyte_lite.errors import CallError, CallTimeoutError, CanceledError, Code, UnimplementedError
from flyte_lite.idl.flyteidl2.project import project_service_pb2
from flyte_lite.idl.flyteidl2.workflow import internal_run_service_pb2, run_service_pb2

TEXT = "n%\u00f6pe \U0001f600"
RAW = bytes(range(256))
ENCODINGS = ("content-encoding", "connect-content-encoding", "grpc-encoding")
# Seconds that the server takes for what is slow, and less: nobody has waited for it.
SLOW, SOON = 3.0, 2.5

GET_PROJECT: Method[Any, Any] = Method(project_service_pb2, "ProjectService", "GetProject")
CREATE_PROJECT: Method[Any, Any] = Method(project_service_pb2, "ProjectService", "CreateProject")
WATCH_RUNS: Method[Any, Any] = Method(run_service_pb2, "RunService", "WatchRuns")
WATCH_GROUPS: Method[Any, Any] = Method(run_service_pb2, "RunService", "WatchGroups")
RECORD: Method[Any, Any] = Method(internal_run_service_pb2, "InternalRunService", "RecordActionStream")


def echo(ctx: Any) -> None:
    """Say in headers and trailers what the request's headers were, each word in a line of its own."""
    for word in ctx.request_headers().get("x-said", "").split():
        ctx.response_headers().add("x-said-back", word)
        ctx.response_trailers().add("x-said-back", word)
    if "x-raw-bin" in ctx.request_headers():
        ctx.response_trailers()["x-raw-bin"] = ctx.request_headers()["x-raw-bin"]
    asked = ctx.request_headers()
    known = [asked[name] for name in ("content-type", *ENCODINGS) if name in asked]
    ctx.response_headers()["x-asked-by"] = " ".join([ctx.http_method(), *known])


def refuse(name: str) -> None:
    if name in {each.value for each in code.Code}:
        known, struct = official_projects.Project(id="detail"), struct_pb2.Struct()
        struct["why"] = TEXT
        raise errors.ConnectError(code.Code(name), f"it is {name}: {TEXT}", details=[known, struct])


class Projects(project_service_connect.ProjectServiceSync):
    def __init__(self) -> None:
        self.left: Optional[float] = None

    def get_project(self, request: Any, ctx: Any) -> Any:
        echo(ctx)
        self.left = ctx.timeout_ms()
        refuse(request.id)
        if request.id == "slow":
            time.sleep(SLOW)
        return official_projects.GetProjectResponse(project={"id": request.id, "name": request.id})


class Runs(run_service_connect.RunServiceSync):
    """`WatchRuns` tells of as many runs as the project's name says, and ends as its domain says."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def watch_runs(self, request: Any, ctx: Any) -> Iterator[Any]:
        echo(ctx)
        try:
            for number in range(int(request.project_id.name)):
                yield official_runs.WatchRunsResponse(
                    runs=[{"action": {"id": {"run": {"name": f"r{number}"}, "name": TEXT * (number % 50)}}}]
                )
            if request.project_id.domain == "slow":
                time.sleep(SLOW)
                yield official_runs.WatchRunsResponse()
            refuse(request.project_id.domain)
        finally:
            self.closed.set()


class Internal(internal_run_service_connect.InternalRunServiceSync):
    def record_action_stream(self, request: Iterator[Any], ctx: Any) -> Iterator[Any]:
        echo(ctx)
        for message in request:
            yield official_internal.RecordActionStreamResponse(response={"action_id": message.request.action_id})


class Counting(ConnectWSGIApplication):
    """The stream of another service's method, taken as one that has a single answer."""

    path = "/counting"

    def __init__(self) -> None:
        method = internal_run_service_connect.MethodInfo(
            name="RecordActionStream",
            service_name="flyteidl2.workflow.InternalRunService",
            input=official_internal.RecordActionStreamRequest,
            output=official_internal.RecordActionStreamResponse,
            idempotency_level=internal_run_service_connect.IdempotencyLevel.UNKNOWN,
        )

        def count(request: Iterator[Any], ctx: Any) -> Any:
            echo(ctx)
            names = [message.request.action_id.name for message in request]
            return official_internal.RecordActionStreamResponse(response={"action_id": {"name": " ".join(names)}})

        endpoint = EndpointSync.client_stream(method=method, function=count)
        super().__init__(endpoints={"/counting/flyteidl2.workflow.InternalRunService/RecordActionStream": endpoint})


class Server:
    """All of them on one socket."""

    def __init__(self) -> None:
        self.projects, self.runs = Projects(), Runs()
        applications: list[ConnectWSGIApplication] = [
            project_service_connect.ProjectServiceWSGIApplication(self.projects),
            run_service_connect.RunServiceWSGIApplication(self.runs),
            internal_run_service_connect.InternalRunServiceWSGIApplication(Internal()),
            Counting(),
        ]
        self._applications = {application.path: application for application in applications}
        self._server = wsgi.Server(("127.0.0.1", 0), self, numthreads=24, shutdown_timeout=1)
        self._server.prepare()
        self.origin = Origin("http", "127.0.0.1", self._server.bind_addr[1])
        self._thread = threading.Thread(target=self._server.serve)
        self._thread.start()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        (application,) = (it for prefix, it in self._applications.items() if path.startswith(f"{prefix}/"))
        return application(environ, start_response)

    def stop(self) -> None:
        self._server.stop()
        self._thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


WAYS = {
    f"{kind.__name__}-{codec.name}-{compression or 'identity'}": kind(codec, compression=compression)
    for kind in (Connect, GrpcWeb)
    for codec in (PROTO, JSON)
    for compression in (None, "gzip")
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def protocol(way: str) -> Union[Connect, GrpcWeb]:
    return WAYS[way]


@pytest.fixture
def channel(server: Server, protocol: Union[Connect, GrpcWeb]) -> Iterator[Channel]:
    transport = Transport(environ={})
    yield Channel(transport, server.origin, protocol=protocol, draw=lambda: 0.0)
    transport.close()


def within(seconds: Optional[float] = 20.0, cancel: Optional[Cancel] = None) -> Deadline:
    return Deadline(SYSTEM_CLOCK, seconds, cancel)


def project(id: str) -> Any:
    return project_service_pb2.GetProjectRequest(id=id)


def runs(number: int, end: str = "") -> Any:
    return run_service_pb2.WatchRunsRequest(project_id={"name": str(number), "domain": end})


def actions(*names: str) -> list[Any]:
    return [internal_run_service_pb2.RecordActionStreamRequest(request={"action_id": {"name": name}}) for name in names]


def check_refusal(error: CallError, name: str) -> None:
    assert error.code == name
    assert error.message == f"it is {name}: {TEXT}"
    known, struct = error.details
    assert known.type == "flyteidl2.project.Project"
    assert official_projects.Project.FromString(known.value).id == "detail"
    assert struct.type == "google.protobuf.Struct"
    assert struct_pb2.Struct.FromString(struct.value)["why"] == TEXT


def test_a_unary_call_with_metadata(channel: Channel, way: str) -> None:
    kind, codec, compression = way.split("-")
    asked_by = f"POST application/{'grpc-web+' if kind == 'GrpcWeb' else ''}{codec} {compression}"
    headers = {"X-Said": "one two", "x-raw-bin": RAW}
    for _ in range(3):
        reply = channel.unary(GET_PROJECT, project(TEXT), deadline=within(), headers=headers)

        assert reply.message.project.name == TEXT
        assert reply.headers["x-said-back"] == ["one", "two"]
        assert reply.trailers["x-said-back"] == ["one", "two"]
        assert reply.headers["x-asked-by"][0] == asked_by.replace(" identity", "")
        assert binary(reply.trailers, "x-raw-bin") == [RAW]


def test_a_unary_call_by_get(server: Server) -> None:
    transport = Transport(environ={})
    for codec in (PROTO, JSON):
        for compression in (None, "gzip"):
            channel = Channel(transport, server.origin, protocol=Connect(codec, compression=compression, get=True))
            reply = channel.unary(GET_PROJECT, project(TEXT), deadline=within(), headers={"x-said": "one"})

            assert reply.message.project.name == TEXT
            assert reply.headers["x-asked-by"] == ["GET"]
            assert reply.trailers["x-said-back"] == ["one"]
    transport.close()


@pytest.mark.parametrize("name", [each.value for each in Code])
def test_an_error_of_each_code(channel: Channel, name: str) -> None:
    with pytest.raises(CallError) as caught:
        channel.unary(GET_PROJECT, project(name), deadline=within(), headers={"x-said": "one"})

    check_refusal(caught.value, name)
    assert caught.value.headers["x-said-back"] == ["one", "one"]


def test_a_method_that_the_service_lacks(channel: Channel) -> None:
    request = project_service_pb2.CreateProjectRequest()
    with pytest.raises(UnimplementedError, match="Not implemented"):
        channel.unary(CREATE_PROJECT, request, deadline=within())


def test_the_server_knows_how_long_it_has(server: Server, channel: Channel) -> None:
    channel.unary(GET_PROJECT, project("p"), deadline=within(20))
    assert server.projects.left is not None
    assert 15_000 < server.projects.left <= 20_000

    channel.unary(GET_PROJECT, project("p"), deadline=within(None))
    assert server.projects.left is None


def test_a_deadline(channel: Channel) -> None:
    began = time.monotonic()
    with pytest.raises(CallTimeoutError):
        channel.unary(GET_PROJECT, project("slow"), deadline=within(0.2))
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize("number", [0, 1, 1000])
def test_a_stream(channel: Channel, number: int) -> None:
    with channel.server_stream(WATCH_RUNS, runs(number), deadline=within(), headers={"x-said": "one"}) as stream:
        names = [message.runs[0].action.id.run.name for message in stream]

    assert names == [f"r{each}" for each in range(number)]
    assert stream.headers["x-said-back"] == ["one"]
    assert stream.trailers["x-said-back"] == ["one"]


@pytest.mark.parametrize("number", [0, 3])
def test_a_stream_that_ends_with_an_error(channel: Channel, number: int) -> None:
    names: list[str] = []

    def watch() -> None:
        stream = channel.server_stream(
            WATCH_RUNS, runs(number, "aborted"), deadline=within(), headers={"x-said": "one"}
        )
        names.extend(message.runs[0].action.id.run.name for message in stream)

    with pytest.raises(CallError) as caught:
        watch()

    assert names == [f"r{each}" for each in range(number)]
    check_refusal(caught.value, "aborted")
    assert caught.value.headers["x-said-back"] == ["one", "one"]


def test_a_stream_that_the_service_lacks(channel: Channel) -> None:
    with pytest.raises(UnimplementedError, match="Not implemented"):
        channel.server_stream(WATCH_GROUPS, run_service_pb2.WatchGroupsRequest(), deadline=within())


def test_a_stream_past_its_deadline(channel: Channel) -> None:
    began = time.monotonic()
    stream = channel.server_stream(WATCH_RUNS, runs(2, "slow"), deadline=within(1.0))
    assert len([next(stream), next(stream)]) == 2
    with pytest.raises(CallTimeoutError):
        next(stream)
    assert time.monotonic() - began < SOON


def test_a_stream_that_is_canceled(channel: Channel) -> None:
    cancel = Cancel()
    stream = channel.server_stream(WATCH_RUNS, runs(2, "slow"), deadline=within(20, cancel))
    next(stream)
    next(stream)
    timer = threading.Timer(0.1, cancel.cancel)
    timer.start()
    began = time.monotonic()
    with pytest.raises(CanceledError):
        next(stream)
    assert time.monotonic() - began < SOON
    timer.join()


def test_a_stream_that_is_left(server: Server, channel: Channel) -> None:
    server.runs.closed.clear()
    with channel.server_stream(WATCH_RUNS, runs(100_000), deadline=within()) as stream:
        next(stream)

    assert server.runs.closed.wait(10), "the server goes on writing to nobody"


def test_a_stream_there_and_one_message_back(server: Server, protocol: Union[Connect, GrpcWeb]) -> None:
    transport = Transport(environ={})
    channel = Channel(transport, server.origin, "/counting", protocol=protocol)
    for names in ([], ["a"], ["a", TEXT, "c"]):
        reply = channel.client_stream(RECORD, iter(actions(*names)), deadline=within(), headers={"x-said": "one"})

        assert reply.message.response.action_id.name == " ".join(names)
        assert reply.headers["x-said-back"] == reply.trailers["x-said-back"] == ["one"]
    transport.close()


def test_streams_both_ways_one_after_the_other(channel: Channel) -> None:
    stream = channel.bidi_stream(RECORD, iter(actions("a", TEXT, "c")), deadline=within())

    assert [message.response.action_id.name for message in stream] == ["a", TEXT, "c"]
