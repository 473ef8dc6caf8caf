"""The devbox on a socket, spoken to by hand: paths, content types, both codecs, compression, errors, connections."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple, Optional

import pytest
from punctual import promptly

from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.project import project_service_pb2
from flyte_lite.idl.flyteidl2.task import task_service_pb2

PROJECTS = "/flyteidl2.project.ProjectService/"
CONFIG = "/flyteidl2.auth.AuthMetadataService/GetPublicClientConfig"
RUNS = "/flyteidl2.workflow.RunService/"
JSON = {"Content-Type": "application/json"}
PROTO = {"Content-Type": "application/proto"}


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox() as running:
        yield running


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


def connect(box: Devbox) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(box.endpoint.partition("//")[2], timeout=10)


def ask(
    box: Devbox,
    path: str,
    headers: dict[str, str],
    body: bytes = b"",
    method: str = "POST",
    connection: Optional[http.client.HTTPConnection] = None,
) -> Answer:
    """Send exactly these headers, besides Host and Content-Length."""
    open_one = connection or connect(box)
    try:
        open_one.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            open_one.putheader(name, value)
        open_one.putheader("Content-Length", str(len(body)))
        open_one.endheaders(body)
        response = open_one.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        if connection is None:
            open_one.close()


def test_json_and_binary_are_answered_in_kind(box: Devbox) -> None:
    in_json = ask(box, CONFIG, JSON, b"{}")
    with_charset = ask(box, CONFIG, {"Content-Type": "Application/JSON; charset=utf-8"}, b"{}")
    in_binary = ask(box, CONFIG, PROTO)

    assert in_json.json == with_charset.json == {"authorizationMetadataKey": "authorization"}
    assert in_json.headers["Content-Type"] == "application/json"
    assert with_charset.headers["Content-Type"] == "application/json; charset=utf-8"
    assert in_binary.headers["Content-Type"] == "application/proto"
    assert in_binary.body == b'"\rauthorization'
    assert in_json.headers["Accept-Encoding"] == "gzip"
    assert in_json.headers["Content-Length"] == str(len(in_json.body))


def test_an_error_is_json_and_never_compressed(box: Devbox) -> None:
    body = project_service_pb2.GetProjectRequest(id="nope").SerializeToString()

    answer = ask(box, PROJECTS + "GetProject", {**PROTO, "Accept-Encoding": "gzip"}, body)

    assert answer.status == 404
    assert answer.json == {"code": "not_found", "message": "project not found: nope"}
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Encoding"] is None


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, gzip", True),
        ("gzip, deflate", True),
        ("gzip;q=0", False),
        ("*", False),
        ("identity", False),
    ],
)
def test_an_answer_is_packed_if_gzip_is_named(box: Devbox, accepted: str, packed: bool) -> None:
    answer = ask(box, CONFIG, {**JSON, "Accept-Encoding": accepted}, b"{}")

    assert (answer.headers["Content-Encoding"] == "gzip") == packed
    assert json.loads(gzip.decompress(answer.body) if packed else answer.body)


def test_an_empty_answer_stays_empty(box: Devbox) -> None:
    answer = ask(box, RUNS + "ListActions", {**PROTO, "Accept-Encoding": "gzip"})

    assert (answer.status, answer.headers["Content-Encoding"], answer.body) == (200, "gzip", b"")


def test_packed_requests_are_read(box: Devbox) -> None:
    packed = gzip.compress(b'{"id":"fly') + gzip.compress(b'tesnacks"}')

    answer = ask(box, PROJECTS + "GetProject", {**JSON, "Content-Encoding": "gzip"}, packed)

    assert answer.status == 200
    assert answer.headers["Content-Encoding"] is None


def test_what_is_not_packed_although_it_says_so_is_empty(box: Devbox) -> None:
    """So does the real server: a binary request that says gzip and is not becomes an empty message."""
    lying = {"Content-Encoding": "gzip"}
    everything = ask(box, PROJECTS + "ListProjects", {**PROTO, **lying}, b"no gzip")
    nothing = ask(box, PROJECTS + "ListProjects", {**JSON, **lying}, b"{}")
    cut = ask(box, PROJECTS + "ListProjects", {**PROTO, **lying}, gzip.compress(b"x" * 100)[:-9])
    other = ask(box, PROJECTS + "ListProjects", {**PROTO, "Content-Encoding": "br"}, b"")

    assert b"flytesnacks" in everything.body
    assert (nothing.status, json.loads(nothing.body)["code"]) == (400, "invalid_argument")
    assert cut.json == {"code": "unknown", "message": "read message: unexpected EOF"}
    assert (other.status, json.loads(other.body)["code"]) == (501, "unimplemented")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b""),
        (JSON, b'{"id":'),
        (JSON, b'{"id":5}'),
        (JSON, b"[]"),
        (JSON, b"7"),
        (JSON, b"null x"),
        (JSON, b'{"id":"a","id":"b"}'),
        (JSON, b'{"id":"a"} x'),
        (JSON, b'{"id":"\xff"}'),
        (PROTO, b"\xff\xff\xff"),
        (PROTO, b"\x0a\x01\xff"),
    ],
)
def test_a_message_that_can_t_be_read_is_an_invalid_argument(box: Devbox, headers: dict[str, str], body: bytes) -> None:
    answer = ask(box, PROJECTS + "GetProject", headers, body)

    assert answer.status == 400
    assert json.loads(answer.body)["code"] == "invalid_argument"
    assert json.loads(answer.body)["message"].startswith("unmarshal message: ")


def test_unknown_fields_are_ignored_in_json(box: Devbox) -> None:
    answer = ask(box, PROJECTS + "GetProject", JSON, b'{"id":"flytesnacks","newer":{"a":[1]}}')

    assert answer.status == 200


@pytest.mark.parametrize(
    ("header", "value", "status", "message"),
    [
        ("Connect-Protocol-Version", "1", 200, ""),
        ("Connect-Protocol-Version", "2", 400, 'Connect-Protocol-Version must be "1": got "2"'),
        ("Connect-Timeout-Ms", "9999999999", 200, ""),
        ("Connect-Timeout-Ms", "", 200, ""),
        ("Connect-Timeout-Ms", "12345678901", 400, 'parse timeout: "12345678901" has >10 digits'),
        ("Connect-Timeout-Ms", "abc", 400, 'parse timeout: strconv.ParseInt: parsing "abc": invalid syntax'),
        ("Connect-Timeout-Ms", "0", 504, "context deadline exceeded"),
        ("Connect-Timeout-Ms", "-1", 504, "context deadline exceeded"),
    ],
)
def test_the_protocol_s_headers_are_checked(box: Devbox, header: str, value: str, status: int, message: str) -> None:
    answer = ask(box, CONFIG, {**JSON, header: value}, b"{}")

    assert answer.status == status
    assert json.loads(answer.body).get("message", "") == message


def test_what_is_not_there_is_not_found_in_plain_text(box: Devbox) -> None:
    for method, path in (
        ("POST", PROJECTS + "Nope"),
        ("POST", PROJECTS + "GetProject/"),
        ("POST", "/flyteidl2.artifact.ArtifactService/GetArtifact"),
        ("GET", "/"),
    ):
        answer = ask(box, path, JSON, method=method)
        assert (answer.status, answer.body) == (404, b"404 page not found\n")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS", "DELETE"])
def test_a_call_is_a_post(box: Devbox, method: str) -> None:
    answer = ask(box, RUNS + "CreateRun", JSON, method=method)

    assert (answer.status, answer.headers["Allow"], answer.body) == (405, "POST", b"")


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/connect+json", "application/grpc-web-text"])
def test_another_content_type_is_told_which_there_are(box: Devbox, content_type: str) -> None:
    answer = ask(box, PROJECTS + "GetProject", {"Content-Type": content_type} if content_type else {}, b"{}")

    assert (answer.status, answer.body) == (415, b"")
    grpc = [
        f"application/{kind}{codec}"
        for kind in ("grpc", "grpc-web")
        for codec in ("", "+json", "+json; charset=utf-8", "+proto")
    ]
    bare = ["application/json", "application/json; charset=utf-8", "application/proto"]
    assert answer.headers["Accept-Post"] == ", ".join([*grpc, *bare])


def test_health_and_discovery(box: Devbox) -> None:
    assert ask(box, "/healthz", {}, method="GET").body == b"OK"
    assert ask(box, "/readyz", {}, method="GET").status == 200
    assert ask(box, "/healthz", {}, method="HEAD").status == 200
    oauth = ask(box, "/.well-known/oauth-authorization-server", {}, method="GET")
    assert (oauth.status, oauth.body[:15]) == (501, b"unimplemented: ")
    assert ask(box, "/.well-known/oauth-authorization-server", {}).headers["Allow"] == "GET"


@pytest.mark.parametrize(
    "method", ["GetRunDetails", "AbortRun", "GetActionDetails", "AbortAction", "GetActionDataURIs"]
)
def test_without_an_id_the_connection_is_dropped(box: Devbox, method: str) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        ask(box, RUNS + method, JSON, b"{}")

    assert ask(box, CONFIG, JSON, b"{}").status == 200


def test_a_connection_serves_call_after_call(box: Devbox) -> None:
    connection = connect(box)
    connection.connect()
    local = connection.sock.getsockname()

    statuses = [ask(box, CONFIG, JSON, body, connection=connection).status for body in (b"{}", b"{", b"{}")]

    assert statuses == [200, 400, 200]
    assert connection.sock.getsockname() == local
    connection.close()


def test_a_request_may_come_in_chunks(box: Devbox) -> None:
    connection = connect(box)
    connection.request("POST", PROJECTS + "GetProject", iter([b'{"id":', b'"flytesnacks"}']), JSON, encode_chunked=True)

    assert connection.getresponse().status == 200
    connection.close()


def test_a_request_cut_short_is_not_carried_out(box: Devbox) -> None:
    body = project_service_pb2.CreateProjectRequest(project={"id": "half", "name": "n"}).SerializeToString()
    # An id is all that a project needs; what is missing is its name.
    half = body[: body.index(b"half") + 4]
    half = bytes([half[0], len(half) - 2]) + half[2:]
    connection = connect(box)
    connection.connect()
    head = f"POST {PROJECTS}CreateProject HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\n"
    connection.sock.sendall(f"{head}Content-Length: {len(half) + 5}\r\n\r\n".encode() + half)
    connection.sock.shutdown(socket.SHUT_WR)

    assert connection.sock.recv(100) == b""
    connection.close()
    assert ask(box, PROJECTS + "GetProject", JSON, b'{"id":"half"}').status == 404


def test_more_idle_connections_than_threads_are_kept(box: Devbox) -> None:
    connections = [connect(box) for _ in range(60)]
    for _ in range(2):
        for connection in connections:
            assert ask(box, CONFIG, JSON, b"{}", connection=connection).status == 200
    for connection in connections:
        connection.close()


def test_large_specifications_and_unknown_fields_survive(box: Devbox) -> None:
    id = {"project": "flytesnacks", "domain": "staging", "name": "env.big", "version": "v1"}
    request = task_service_pb2.DeployTaskRequest(task_id=id)
    request.spec.short_name = "x" * 5_000_000
    # Field 99 of the specification, which nobody knows.
    request.spec.MergeFromString(b"\x9a\x06\x05newer")
    deployed = ask(box, "/flyteidl2.task.TaskService/DeployTask", PROTO, request.SerializeToString())
    asked = task_service_pb2.GetTaskDetailsRequest(task_id=id).SerializeToString()

    answer = ask(box, "/flyteidl2.task.TaskService/GetTaskDetails", PROTO, asked)

    assert deployed.status == 200
    assert len(answer.body) > 5_000_000
    assert b"\x9a\x06\x05newer" in answer.body


def test_sixteen_callers_with_one_name_make_one_run(box: Devbox) -> None:
    request = {
        "runId": {"project": "flytesnacks", "domain": "development", "name": "once"},
        "taskSpec": {"taskTemplate": {"type": "python"}},
    }
    answers: list[Answer] = []

    def create() -> None:
        answers.append(ask(box, RUNS + "CreateRun", JSON, json.dumps(request).encode()))

    threads = [threading.Thread(target=create) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}


def test_only_the_given_address_listens(box: Devbox) -> None:
    port = int(box.endpoint.rpartition(":")[2])

    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=2):
        pass


def test_stopping_takes_less_than_a_second_with_idle_and_half_sent_requests() -> None:
    def took() -> float:
        box = Devbox()
        box.start()
        idle = [connect(box) for _ in range(20)]
        for connection in idle:
            assert ask(box, CONFIG, JSON, b"{}", connection=connection).status == 200
        half = connect(box)
        half.connect()
        half.sock.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nab")
        time.sleep(0.1)

        began = time.monotonic()
        box.close()
        seconds = time.monotonic() - began

        for connection in [*idle, half]:
            connection.close()
        with pytest.raises(RuntimeError, match="not running"):
            _ = box.endpoint
        box.close()
        return seconds

    assert promptly(1.5, took)


def test_a_taken_port_is_told() -> None:
    with Devbox() as box:
        other = Devbox(port=int(box.endpoint.rpartition(":")[2]))
        with pytest.raises(OSError):
            other.start()
        other.close()
