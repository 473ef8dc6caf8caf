"""Server streams of the devbox on a socket, spoken to by hand, with handlers made up for the purpose."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any, Optional

import pytest

from flyte_lite.devbox._refusal import ConnectionDropped, refusal
from flyte_lite.devbox.server import HttpServer
from flyte_lite.devbox.services import Rpc
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.state.changes import Changes
from flyte_lite.devbox.wsgi import Application
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.project import project_service_pb2 as pb

PATH = "/flyteidl2.project.ProjectService/Watch"
PROTO = {"Content-Type": "application/connect+proto"}
JSON = {"Content-Type": "application/connect+json"}
WEB = {"Content-Type": "application/grpc-web+proto"}


class Watched:
    """A server with one stream: what it sends is what is put in `messages`, looked at whenever `changes` tells."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.messages: list[Any] = []
        self.ended = threading.Event()
        path = PATH
        rpc = Rpc("ProjectService/Watch", pb.GetProjectRequest, self.watch, streams=True)
        self.server = HttpServer("127.0.0.1", 0, Application({path: rpc}))
        self.address = self.server.start()

    def watch(self, request: pb.GetProjectRequest, call: Call) -> Iterator[pb.GetProjectResponse]:
        try:
            sent = 0
            while True:
                version = self.changes.version
                for message in self.messages[sent:]:
                    sent += 1
                    if isinstance(message, BaseException):
                        raise message
                    if message is None:
                        return
                    yield pb.GetProjectResponse(project={"id": request.id, "name": message})
                call.wait(self.changes, version)
        finally:
            self.ended.set()

    def tell(self, *messages: Any) -> None:
        self.messages += messages
        self.changes.tell()

    def open(self, headers: dict[str, str], body: bytes, method: str = "POST") -> socket.socket:
        connection = socket.create_connection(self.address, timeout=10)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {PATH} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection


class Answer:
    """An answer as it comes."""

    def __init__(self, connection: socket.socket) -> None:
        self.response = http.client.HTTPResponse(connection)
        self.response.begin()
        self.headers = {name.lower(): value for name, value in self.response.getheaders()}

    def envelope(self) -> Optional[tuple[int, bytes]]:
        prefix = self.response.read(5)
        if not prefix:
            return None
        flags, length = struct.unpack(">BI", prefix)
        return flags, self.response.read(length)

    def envelopes(self) -> list[tuple[int, bytes]]:
        return list(iter(self.envelope, None))  # type: ignore[arg-type]


def packed(data: bytes, flags: int = 0) -> bytes:
    return struct.pack(">BI", flags, len(data)) + data


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.server.stop()


ASK = packed(pb.GetProjectRequest(id="p").SerializeToString())


def names(envelopes: list[tuple[int, bytes]]) -> list[str]:
    return [pb.GetProjectResponse.FromString(data).project.name for flags, data in envelopes if flags == 0]


def test_messages_come_one_by_one_and_the_end_last(watched: Watched) -> None:
    watched.tell("one")
    with contextlib.closing(watched.open(PROTO, ASK)) as connection:
        answer = Answer(connection)
        assert names([answer.envelope() or (9, b"")]) == ["one"]
        watched.tell("two", "three", None)
        assert names([*answer.envelopes()]) == ["two", "three"]

    assert answer.response.status == 200
    assert answer.headers["content-type"] == "application/connect+proto"
    assert answer.headers["connect-accept-encoding"] == "gzip"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "connect-content-encoding" not in answer.headers


def test_the_connection_serves_on_after_a_stream(watched: Watched) -> None:
    watched.tell("one", None)
    with contextlib.closing(watched.open(PROTO, ASK)) as connection:
        first = Answer(connection).envelopes()
        connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert Answer(connection).response.status == 405
    assert first[-1] == (2, b"{}")


def test_json_has_its_own_messages(watched: Watched) -> None:
    watched.tell("one", None)
    with contextlib.closing(watched.open(JSON, packed(b'{"id":"p"}'))) as connection:
        envelopes = Answer(connection).envelopes()
    assert [(flags, json.loads(data)) for flags, data in envelopes] == [
        (0, {"project": {"id": "p", "name": "one"}}),
        (2, {}),
    ]


def test_there_is_no_head_before_the_first_message(watched: Watched) -> None:
    with contextlib.closing(watched.open(PROTO, ASK)) as connection:
        connection.settimeout(0.3)
        with pytest.raises(socket.timeout):
            connection.recv(1)
        connection.settimeout(10)
        watched.tell("late", None)
        assert names(Answer(connection).envelopes()) == ["late"]


@pytest.mark.parametrize("protocol", [PROTO, WEB])
def test_an_error_at_open_is_status_200(watched: Watched, protocol: dict[str, str]) -> None:
    watched.tell(refusal(Code.NOT_FOUND, "no such thing: a%é"))
    with contextlib.closing(watched.open(protocol, ASK)) as connection:
        answer = Answer(connection)
        envelopes = answer.envelopes()

    assert answer.response.status == 200
    if protocol is PROTO:
        error = {"code": "not_found", "message": "no such thing: a%é"}
        assert [(flags, json.loads(data)) for flags, data in envelopes] == [(2, {"error": error})]
    else:
        assert envelopes == []
        assert answer.headers["grpc-status"] == "5"
        assert answer.headers["grpc-message"] == "no such thing: a%25%C3%A9"


def test_an_error_after_messages(watched: Watched) -> None:
    watched.tell("one", refusal(Code.UNKNOWN, "lost"))
    with contextlib.closing(watched.open(PROTO, ASK)) as connection:
        first, last = Answer(connection).envelopes()
    with contextlib.closing(watched.open(WEB, ASK)) as connection:
        web_first, web_last = Answer(connection).envelopes()

    assert first == web_first
    assert (last[0], json.loads(last[1])) == (2, {"error": {"code": "unknown", "message": "lost"}})
    assert web_last == (0x80, b"grpc-message: lost\r\ngrpc-status: 2\r\n")


def test_grpc_web_ends_with_trailers(watched: Watched) -> None:
    watched.tell("one", None)
    with contextlib.closing(watched.open(WEB, ASK)) as connection:
        answer = Answer(connection)
        envelopes = answer.envelopes()
    assert names(envelopes[:1]) == ["one"]
    assert envelopes[1:] == [(0x80, b"grpc-status: 0\r\n")]
    assert answer.headers["grpc-accept-encoding"] == "gzip"
    assert "grpc-status" not in answer.headers


def test_grpc_web_without_messages_says_all_in_the_head(watched: Watched) -> None:
    watched.tell(None)
    with contextlib.closing(watched.open(WEB, ASK)) as connection:
        answer = Answer(connection)
        assert (answer.headers["grpc-status"], answer.envelopes()) == ("0", [])
        assert answer.headers["transfer-encoding"] == "chunked"


def test_grpc_has_its_trailers_after_the_last_chunk(watched: Watched) -> None:
    watched.tell("one", None)
    with contextlib.closing(
        watched.open({"Content-Type": "application/grpc", "Connection": "close"}, ASK)
    ) as connection:
        raw = b"".join(iter(lambda: connection.recv(1000), b""))
    watched.tell()
    assert raw.endswith(b"\r\n0\r\nGrpc-Status: 0\r\n\r\n")
    assert b"Content-Type: application/grpc\r\n" in raw


@pytest.mark.parametrize(
    ("headers", "packs"),
    [
        ({"Connect-Accept-Encoding": "gzip"}, True),
        ({"Connect-Accept-Encoding": "br, gzip"}, True),
        ({"Connect-Accept-Encoding": "br gzip"}, True),
        ({"Connect-Accept-Encoding": "gzip;q=0"}, False),
        ({"Connect-Accept-Encoding": "*"}, False),
        ({"Accept-Encoding": "gzip"}, False),
        ({"Connect-Content-Encoding": "gzip"}, True),
        ({"Connect-Content-Encoding": "gzip", "Connect-Accept-Encoding": "identity"}, True),
        ({"Connect-Content-Encoding": "identity"}, False),
    ],
)
def test_every_envelope_is_packed_if_gzip_is_named(watched: Watched, headers: dict[str, str], packs: bool) -> None:
    watched.tell("one", None)
    with contextlib.closing(watched.open({**PROTO, **headers}, ASK)) as connection:
        answer = Answer(connection)
        envelopes = answer.envelopes()

    assert answer.headers.get("connect-content-encoding") == ("gzip" if packs else None)
    assert [flags for flags, _ in envelopes] == ([1, 3] if packs else [0, 2])
    if packs:
        assert names([(0, gzip.decompress(envelopes[0][1]))]) == ["one"]
    assert (gzip.decompress(envelopes[1][1]) if packs else envelopes[1][1]) == b"{}"


def test_packed_requests_are_read(watched: Watched) -> None:
    watched.tell("one", None)
    message = gzip.compress(pb.GetProjectRequest(id="packed").SerializeToString())
    for headers, body in (
        ({"Connect-Content-Encoding": "gzip"}, packed(message, 1)),
        ({"Content-Encoding": "gzip"}, gzip.compress(packed(pb.GetProjectRequest(id="packed").SerializeToString()))),
    ):
        with contextlib.closing(watched.open({**PROTO, **headers}, body)) as connection:
            first = Answer(connection).envelopes()[0]
        data = gzip.decompress(first[1]) if first[0] else first[1]
        assert pb.GetProjectResponse.FromString(data).project.id == "packed"


@pytest.mark.parametrize(
    ("headers", "body", "code", "number", "message"),
    [
        ({}, b"", "unimplemented", 12, "unary request has zero messages"),
        ({}, ASK + ASK, "unimplemented", 12, "unary request has multiple messages"),
        (
            {},
            packed(b"x" * 32)[:8],
            "invalid_argument",
            3,
            "protocol error: promised 32 bytes in enveloped message, got 3 bytes",
        ),
        ({}, b"\0\0", "invalid_argument", 3, "protocol error: incomplete envelope: unexpected EOF"),
        (
            {},
            packed(b"", 1),
            "internal",
            13,
            "protocol error: sent compressed message without compression support",
        ),
        ({}, packed(b"", 4), "internal", 13, "protocol error: invalid envelope flags 4"),
        ({}, packed(b"\xff"), "invalid_argument", 3, "unmarshal message: "),
        ({"Connect-Content-Encoding": "gzip", "Grpc-Encoding": "gzip"}, packed(b"x", 1), "invalid_argument", 3, "dec"),
        (
            {"Connect-Content-Encoding": "br", "Grpc-Encoding": "br"},
            ASK,
            "unimplemented",
            12,
            'unknown compression "br": supported encodings are gzip',
        ),
    ],
)
def test_a_request_that_can_t_be_read(
    watched: Watched, headers: dict[str, str], body: bytes, code: str, number: int, message: str
) -> None:
    with contextlib.closing(watched.open({**PROTO, **headers}, body)) as connection:
        answer = Answer(connection)
        flags, end = answer.envelopes()[0]
    with contextlib.closing(watched.open({**WEB, **headers}, body)) as connection:
        web = Answer(connection)

    error = json.loads(gzip.decompress(end) if flags & 1 else end)["error"]
    assert (answer.response.status, error["code"], error["message"][: len(message)]) == (200, code, message)
    assert (web.response.status, web.headers["grpc-status"]) == (200, str(number))


def test_an_end_that_the_client_sends_is_no_message(watched: Watched) -> None:
    watched.tell("one", None)
    with contextlib.closing(watched.open(PROTO, ASK + packed(b"{}", 2))) as connection:
        assert names(Answer(connection).envelopes()) == ["one"]
    with contextlib.closing(watched.open(PROTO, packed(b"{}", 2))) as connection:
        assert b"zero messages" in Answer(connection).envelopes()[0][1]
    with contextlib.closing(watched.open(PROTO, ASK + packed(b"{}", 2) + b"xy")) as connection:
        assert b"2 extra bytes" in Answer(connection).envelopes()[0][1]


def test_a_deadline_that_passes_looks_like_success(watched: Watched) -> None:
    began = time.monotonic()
    with contextlib.closing(watched.open({**PROTO, "Connect-Timeout-Ms": "600"}, ASK)) as connection:
        assert Answer(connection).envelopes() == [(2, b"{}")]
    assert 0.5 < time.monotonic() - began < 9
    with contextlib.closing(watched.open({**WEB, "Grpc-Timeout": "600m"}, ASK)) as connection:
        assert Answer(connection).headers["grpc-status"] == "0"


def test_a_deadline_that_has_passed_on_arrival_is_an_error(watched: Watched) -> None:
    with contextlib.closing(watched.open({**PROTO, "Connect-Timeout-Ms": "0"}, ASK)) as connection:
        assert b"deadline_exceeded" in Answer(connection).envelopes()[0][1]


def test_a_dropped_connection_brings_nothing(watched: Watched) -> None:
    watched.tell(ConnectionDropped("gone"))
    with contextlib.closing(watched.open(PROTO, ASK)) as connection:
        assert connection.recv(100) == b""


def test_a_connection_dropped_after_messages_has_no_end(watched: Watched) -> None:
    watched.tell("one", ConnectionDropped("gone"))
    with contextlib.closing(watched.open(PROTO, ASK)) as connection:
        answer = Answer(connection)
        assert names([answer.envelope() or (9, b"")]) == ["one"]
        with pytest.raises(http.client.IncompleteRead):
            answer.response.read(5)


def test_a_client_that_left_is_noticed(watched: Watched) -> None:
    watched.tell("one")
    connection = watched.open(PROTO, ASK)
    Answer(connection).envelope()
    connection.close()

    assert watched.ended.wait(30)


def test_a_client_that_half_closes_gets_a_clean_end(watched: Watched) -> None:
    watched.tell("one")
    with contextlib.closing(watched.open(PROTO, ASK)) as connection:
        answer = Answer(connection)
        connection.shutdown(socket.SHUT_WR)
        assert answer.envelopes()[1:] == [(2, b"{}")]


def test_a_defect_of_a_handler_is_told_without_its_traceback(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.tell("one", ZeroDivisionError("oops"))
    with contextlib.closing(watched.open(PROTO, ASK)) as connection:
        error = json.loads(Answer(connection).envelopes()[1][1])["error"]
    assert error == {"code": "internal", "message": "the devbox failed: ZeroDivisionError: oops"}


def test_streams_over_http_1_0_end_with_the_connection(watched: Watched) -> None:
    watched.tell("one", None)
    with contextlib.closing(socket.create_connection(watched.address, timeout=10)) as connection:
        head = f"POST {PATH} HTTP/1.0\r\nContent-Type: application/connect+proto\r\nContent-Length: {len(ASK)}\r\n\r\n"
        connection.sendall(head.encode() + ASK)
        raw = b"".join(iter(lambda: connection.recv(1000), b""))
    head_, _, body = raw.partition(b"\r\n\r\n")
    assert b"chunked" not in head_
    assert body.endswith(packed(b"{}", 2))
