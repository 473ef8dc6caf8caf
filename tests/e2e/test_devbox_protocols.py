"""The devbox on a socket, in protocols other than Connect's POST, and as an HTTP/1.1 server."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from punctual import promptly

from flyte_lite.devbox import Devbox
from flyte_lite.devbox.server import HttpServer
from flyte_lite.devbox.services import Rpc
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.wsgi import Application
from flyte_lite.idl.flyteidl2.project import project_service_pb2 as pb

CONFIG = "/flyteidl2.auth.AuthMetadataService/GetPublicClientConfig"
PROJECT = "/flyteidl2.project.ProjectService/GetProject"
LIST = "/flyteidl2.project.ProjectService/ListProjects"
WEB = {"Content-Type": "application/grpc-web+proto"}
NOPE = pb.GetProjectRequest(id="nope").SerializeToString()
THERE = pb.GetProjectRequest(id="flytesnacks").SerializeToString()


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox() as running:
        yield running


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def error(self) -> tuple[int, str, str]:
        told = json.loads(self.body)
        return self.status, told["code"], told["message"]

    def frames(self) -> list[tuple[int, bytes]]:
        found, rest = [], self.body
        while rest:
            flags, length = struct.unpack(">BI", rest[:5])
            found.append((flags, rest[5 : 5 + length]))
            rest = rest[5 + length :]
        return found


def address(box: Devbox) -> tuple[str, int]:
    host, _, port = box.endpoint.partition("//")[2].rpartition(":")
    return host, int(port)


def ask(box: Devbox, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
    connection = http.client.HTTPConnection(*address(box), timeout=10)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body or method == "POST":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def get(box: Devbox, query: str, path: str = PROJECT, **headers: str) -> Answer:
    return ask(box, "GET", f"{path}?{query}", headers)


def raw(box: Devbox, sent: bytes) -> bytes:
    """Everything that comes back until the server closes, or says nothing for a while."""
    with socket.create_connection(address(box), timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        connection.settimeout(1.0)
        try:
            while piece := connection.recv(65536):
                received += piece
        except socket.timeout:
            pass
        return received


def rest_of(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1000), b""))


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


# Connect GET


@pytest.mark.parametrize(
    "query",
    [
        "connect=v1&encoding=json&message=" + quote('{"id":"flytesnacks"}'),
        "encoding=json&message=" + quote('{"id":"flytesnacks"}'),
        "message=" + quote('{"id":"flytesnacks"}') + "&encoding=json&connect=v1&encoding=proto",
        "connect=v1&encoding=json&base64=1&message=" + url64(b'{"id":"flytesnacks"}'),
        "connect=v1&encoding=proto&base64=1&message=" + url64(THERE),
        "connect=v1&encoding=proto&base64=1&message=" + url64(THERE).rstrip("="),
        "connect=v1&encoding=proto&message=" + quote(THERE),
        "connect=v1&encoding=json%3B+charset%3Dutf-8&message=" + quote('{"id":"flytesnacks"}'),
    ],
)
def test_a_read_may_be_a_get(box: Devbox, query: str) -> None:
    answer = get(box, query)

    assert answer.status == 200
    assert b"flytesnacks" in answer.body
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"] == "application/proto" or json.loads(answer.body)["project"]


def test_a_packed_get_has_a_packed_answer(box: Devbox) -> None:
    answer = get(box, "encoding=proto&base64=1&compression=gzip&message=" + url64(gzip.compress(THERE)))
    asked = get(box, "encoding=proto&base64=1&message=" + url64(THERE), **{"Accept-Encoding": "gzip"})

    assert answer.headers["content-encoding"] == asked.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == gzip.decompress(asked.body)


@pytest.mark.parametrize(
    ("query", "status", "code", "message"),
    [
        ("connect=v1&encoding=json&message=%7B%22id%22%3A%22nope%22%7D", 404, "not_found", "project not found: nope"),
        ("connect=v1&encoding=json", 400, "invalid_argument", "missing message parameter"),
        ("connect=v1&encoding=json&message=%zz", 400, "invalid_argument", "missing message parameter"),
        ("connect=v1&encoding=json&message=a;b", 400, "invalid_argument", "missing message parameter"),
        ("connect=v2&encoding=json&message=%7B%7D", 400, "invalid_argument", 'connect must be "v1": got "v2"'),
        ("connect=v1&encoding=json&message=", 400, "invalid_argument", "unmarshal message: zero-length payload"),
        ("connect=v1&encoding=json&message=%ff", 400, "invalid_argument", "unmarshal message: "),
        ("connect=v1&encoding=proto&base64=1&message=!!!!", 500, "unknown", "read message: illegal base64 data"),
        ("connect=v1&encoding=proto&base64=1&message=++++", 500, "unknown", "read message: illegal base64 data"),
        (
            "connect=v1&encoding=json&compression=br&message=%7B%7D",
            501,
            "unimplemented",
            'unknown compression "br": supported encodings are gzip',
        ),
        ("encoding=proto&base64=1&compression=gzip&message=AAAA", 400, "invalid_argument", "decompress: "),
    ],
)
def test_a_get_that_can_t_be_read(box: Devbox, query: str, status: int, code: str, message: str) -> None:
    answer = get(box, query)

    assert answer.error()[:2] == (status, code)
    assert answer.error()[2].startswith(message)
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("query", ["", "connect=v1&message=%7B%7D", "connect=v1&encoding=xml&message=%7B%7D"])
def test_a_get_without_an_encoding_has_no_type(box: Devbox, query: str) -> None:
    answer = get(box, query)

    assert (answer.status, answer.body) == (415, b"")
    assert "application/grpc-web" in answer.headers["accept-post"]


def test_a_get_has_no_body(box: Devbox) -> None:
    answer = ask(box, "GET", PROJECT + "?connect=v1&encoding=json&message=%7B%7D", {}, b"{}")

    assert (answer.status, answer.body) == (415, b"")
    assert "accept-post" not in answer.headers


@pytest.mark.parametrize(("path", "allowed"), [(PROJECT, "GET, POST"), (LIST, "POST")])
def test_which_methods_there_are_depends_on_the_call(box: Devbox, path: str, allowed: str) -> None:
    for method in ("GET", "PUT", "HEAD", "OPTIONS", "DELETE"):
        if method not in allowed:
            answer = ask(box, method, path, {})
            assert (answer.status, answer.headers["allow"], answer.body) == (405, allowed, b"")


def test_the_timeout_of_a_get_is_in_its_header(box: Devbox) -> None:
    query = "connect=v1&encoding=json&message=%7B%7D"

    assert get(box, query, CONFIG, **{"Connect-Timeout-Ms": "0"}).error()[:2] == (504, "deadline_exceeded")
    assert get(box, query, CONFIG, **{"Connect-Timeout-Ms": "x"}).error()[:2] == (400, "invalid_argument")
    # Not looked at here.
    assert get(box, query, CONFIG, **{"Connect-Protocol-Version": "7"}).status == 200


# gRPC-Web and gRPC


def envelope(data: bytes, flags: int = 0) -> bytes:
    return struct.pack(">BI", flags, len(data)) + data


@pytest.mark.parametrize("kind", ["", "+proto", "+json", "+json; charset=utf-8", "+JSON;Charset=UTF-8"])
def test_grpc_web_is_answered_in_kind(box: Devbox, kind: str) -> None:
    body = envelope(b"" if "json" not in kind.lower() else b"{}")
    answer = ask(box, "POST", CONFIG, {"Content-Type": "application/grpc-web" + kind}, body)

    (flags, message), (last, trailers) = answer.frames()
    assert (answer.status, flags, last, trailers) == (200, 0, 0x80, b"grpc-status: 0\r\n")
    assert b"authorization" in message
    canonical = kind.lower().replace(";c", "; c")
    assert answer.headers["content-type"] == "application/grpc-web" + canonical
    assert answer.headers["grpc-accept-encoding"] == "gzip"


def test_grpc_web_packs_the_trailers_too(box: Devbox) -> None:
    asked = ask(box, "POST", CONFIG, {**WEB, "Grpc-Accept-Encoding": "gzip"}, envelope(b""))
    sent = ask(box, "POST", CONFIG, {**WEB, "Grpc-Encoding": "gzip"}, envelope(gzip.compress(b""), 1))

    for answer in (asked, sent):
        assert answer.headers["grpc-encoding"] == "gzip"
        (flags, message), (last, trailers) = answer.frames()
        assert (flags, last) == (1, 0x81)
        assert gzip.decompress(message) == b'"\rauthorization'
        assert gzip.decompress(trailers) == b"grpc-status: 0\r\n"


@pytest.mark.parametrize(
    ("headers", "body", "status", "message"),
    [
        ({}, envelope(NOPE), "5", "project not found: nope"),
        ({}, envelope("\n\x06a%\u00e9 b".encode()), "5", "project not found: a%25%C3%A9 b"),
        ({}, b"", "12", "unary request has zero messages"),
        ({}, envelope(NOPE) * 2, "12", "unary request has multiple messages"),
        ({}, envelope(b"\xff"), "3", "unmarshal message: "),
        ({"Grpc-Timeout": "5"}, envelope(b""), "3", "protocol error: timeout has invalid unit '5'"),
        ({"Grpc-Timeout": "123456789S"}, envelope(b""), "3", 'protocol error: timeout "123456789S" is too long'),
        ({"Grpc-Timeout": "-5S"}, envelope(b""), "3", 'protocol error: invalid timeout "-5S"'),
        ({"Grpc-Timeout": "0n"}, envelope(THERE), "4", "context deadline exceeded"),
        ({"Grpc-Encoding": "br"}, envelope(b""), "12", 'unknown compression "br": supported encodings are gzip'),
    ],
)
def test_grpc_web_has_errors_in_the_head(
    box: Devbox, headers: dict[str, str], body: bytes, status: str, message: str
) -> None:
    answer = ask(box, "POST", PROJECT, {**WEB, **headers}, body)

    assert (answer.status, answer.headers["grpc-status"], answer.body) == (200, status, b"")
    assert answer.headers["grpc-message"].startswith(message)
    assert answer.headers["transfer-encoding"] == "chunked"


def test_grpc_web_takes_long_timeouts_and_packed_errors(box: Devbox) -> None:
    for timeout in ("99999999H", "2S", "500m"):
        assert ask(box, "POST", CONFIG, {**WEB, "Grpc-Timeout": timeout}, envelope(b"")).frames()[-1][0] == 0x80
    body = envelope(gzip.compress(NOPE), 1)
    assert ask(box, "POST", PROJECT, {**WEB, "Grpc-Encoding": "gzip"}, body).headers["grpc-status"] == "5"


def test_grpc_s_trailers_follow_the_last_chunk(box: Devbox) -> None:
    head = f"POST {PROJECT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/grpc\r\n"
    good = raw(box, f"{head}Content-Length: {len(THERE) + 5}\r\n\r\n".encode() + envelope(THERE))
    bad = raw(box, f"{head}Content-Length: {len(NOPE) + 5}\r\n\r\n".encode() + envelope(NOPE))

    assert good.endswith(b"\r\n0\r\nGrpc-Status: 0\r\n\r\n")
    assert b"flytesnacks" in good
    assert bad.endswith(b"\r\n\r\n0\r\nGrpc-Message: project not found: nope\r\nGrpc-Status: 5\r\n\r\n")


# HTTP


def test_a_head_over_a_mebibyte_is_too_large(box: Devbox) -> None:
    short = get(box, "encoding=json&message=" + quote(json.dumps({"id": "x" * 1_000_000})))
    assert short.status == 404

    sent = f"GET {PROJECT}?encoding=json&message={'x' * 1_100_000} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    answer = raw(box, sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"Content-Type: text/plain" in head
    assert b"Connection: close" in head
    assert body == b"431 Request Header Fields Too Large"
    many = "".join(f"X-{n}: {'y' * 1000}\r\n" for n in range(1200))
    assert raw(box, f"GET {PROJECT} HTTP/1.1\r\nHost: x\r\n{many}\r\n".encode()).startswith(b"HTTP/1.1 431 ")


def test_head_has_no_body(box: Devbox) -> None:
    for path in ("/healthz", "/nope"):
        assert raw(box, f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()).endswith(b"\r\n\r\n")


def test_http_1_0_is_answered_and_closed(box: Devbox) -> None:
    body = b'{"id":"flytesnacks"}'
    head = f"POST {PROJECT} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = raw(box, head.encode() + body)

    assert b" 200 OK\r\n" in answer
    assert b"chunked" not in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["project"]["id"] == "flytesnacks"


def test_a_client_may_ask_before_it_sends_its_body(box: Devbox) -> None:
    with socket.create_connection(address(box), timeout=10) as connection:
        head = f"POST {PROJECT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
        connection.sendall(f"{head}Content-Length: 20\r\n\r\n".encode())
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b'{"id":"flytesnacks"}')
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_chunks_with_trailers_leave_the_connection_in_order(box: Devbox) -> None:
    head = f"POST {PROJECT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    request = head + '\r\n5;a=b\r\n{"id"\r\nF\r\n:"flytesnacks"}\r\n0\r\nX-Sum: 1\r\n\r\n'
    # Chunks win over a length.
    lying = request.replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\n", 1)
    unread = request.replace(PROJECT, "/nope")

    answer = raw(box, (unread + request + lying + request).encode())

    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"404", b"200", b"200", b"200"]


@pytest.mark.parametrize("length", ["-1", "+5", "1_0", "x", "5, 5"])
def test_a_length_is_a_number(box: Devbox, length: str) -> None:
    answer = raw(box, f"POST {PROJECT} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nabcde".encode())

    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("chunks", ["zz\r\nab\r\n0\r\n\r\n", "ffffffffffffffffff\r\nab", "2\r\nabcd\r\n0\r\n\r\n"])
def test_chunks_that_can_t_be_read_are_not_carried_out(box: Devbox, chunks: str) -> None:
    head = f"POST {LIST} HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nTransfer-Encoding: chunked\r\n"

    assert raw(box, f"{head}\r\n{chunks}".encode()) == b""


def test_a_body_that_nobody_wanted_is_not_waited_for(box: Devbox) -> None:
    head = f"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: {10**15}\r\n\r\n"
    began = time.monotonic()
    answer = raw(box, head.encode() + b"x" * 1000)

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"Connection: close" in answer
    assert time.monotonic() - began < 3


def test_a_length_that_lies_costs_no_memory(box: Devbox) -> None:
    with socket.create_connection(address(box), timeout=10) as connection:
        head = f"POST {LIST} HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: {10**18}\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 1000)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""


# Calls that go both ways, and streams that are open when the server stops


def test_a_call_that_goes_both_ways_needs_another_http() -> None:
    rpc = Rpc("ProjectService/Both", pb.GetProjectRequest, lambda _, __: None, streams=True, both_ways=True)
    server = HttpServer("127.0.0.1", 0, Application({"/both": rpc}))
    host, port = server.start()
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(b"POST /both HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+proto\r\n\r\n")
        answer = rest_of(connection)
    server.stop()

    assert answer.startswith(b"HTTP/1.1 505 ")
    assert b"Connection: close" in answer


def test_stopping_takes_less_than_a_second_with_streams_open() -> None:
    def forever(request: pb.GetProjectRequest, call: Call) -> Iterator[pb.GetProjectResponse]:
        yield pb.GetProjectResponse()
        while True:
            call.pause(60)

    rpc = Rpc("ProjectService/Watch", pb.GetProjectRequest, forever, streams=True)

    def took() -> float:
        server = HttpServer("127.0.0.1", 0, Application({"/watch": rpc}))
        there = server.start()
        streams = [socket.create_connection(there, timeout=30) for _ in range(50)]
        head = "POST /watch HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+proto\r\nContent-Length: 5\r\n\r\n"
        for stream in streams:
            stream.sendall(head.encode() + envelope(b""))
        for stream in streams:
            assert stream.recv(1000).startswith(b"HTTP/1.1 200 ")

        began = time.monotonic()
        server.stop()
        seconds = time.monotonic() - began

        for stream in streams:
            # No end-stream: nobody may take this for the end of what was watched.
            assert not rest_of(stream).endswith(b"{}\r\n0\r\n\r\n")
            stream.close()
        return seconds

    assert promptly(1.0, took)
