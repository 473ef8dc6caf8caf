"""What is no answer to a call is never taken for one, in each protocol: it says what came, and is asked only once."""

from __future__ import annotations

from typing import Any

import pytest
from chaos_network import Network, eventually, open_files
from chaos_server import Peer, answer
from faults import behave

from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._rpc.method import Method
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import AnswerTooLargeError, CallError, Code, ConnectionLostError, EndpointError
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

METHOD: Method[Any, Any] = Method(run_service_pb2, "RunService", "GetRunDetails", safe=True)
REQUEST = run_service_pb2.GetRunDetailsRequest()

TYPES = {
    "unary": "application/proto",
    "stream": "application/connect+proto",
    "grpc-web": "application/grpc-web+proto",
}
END = {
    "unary": b"",
    "stream": b"\x02\0\0\0\x02{}",
    "grpc-web": b"\x80\0\0\0\x10grpc-status: 0\r\n",
}
"""The whole of a good answer with an empty message, or with none."""


def make(network: Network, kind: str, limit: int = 1 << 20) -> list[Any]:
    channel = Channel(
        network.transport,
        network.origin,
        protocol=GrpcWeb() if kind == "grpc-web" else Connect(),
        retry=RetryPolicy(retries=0),
        limit=limit,
    )
    deadline = Deadline(SYSTEM_CLOCK, 10)
    if kind == "unary":
        return [channel.unary(METHOD, REQUEST, deadline=deadline).message]
    with channel.server_stream(METHOD, REQUEST, deadline=deadline) as stream:
        return list(stream)


def say(network: Network, data: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(data)

    network.server.script = serve


@pytest.fixture(params=TYPES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    ("sent", "code", "text"),
    [
        pytest.param(
            answer(b"<html>", headers="Content-Type: text/html\r\n"), Code.UNKNOWN, "a web page", id="HTML with 200"
        ),
        pytest.param(answer(b"ok"), Code.UNKNOWN, "no content type", id="no type"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", Code.UNKNOWN, "204 No Content", id="204"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", Code.UNKNOWN, "101", id="101"),
        *(
            pytest.param(
                answer(b"", status=f"{status} Elsewhere", headers="Location: http://127.0.0.1:1/\r\n"),
                Code.UNKNOWN,
                "never followed",
                id=str(status),
            )
            for status in (301, 302, 303, 307, 308)
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 150 + b"Content-Length: 0\r\n\r\n",
            Code.INTERNAL,
            "more than 100 headers",
            id="150 headers",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            Code.INTERNAL,
            "announces no length",
            id="two lengths",
        ),
    ],
)
def test_what_is_no_answer_says_what_it_is(network: Network, kind: str, sent: bytes, code: Code, text: str) -> None:
    say(network, sent)
    before = open_files()

    with pytest.raises(EndpointError, match=text) as caught:
        make(network, kind)

    assert caught.value.code is code
    assert len(network.server.requests) == 1
    assert eventually(lambda: open_files() <= before + 1), "a whole answer's connection may be kept"
    behave(network)
    assert network.call().body == b"ok"


def test_another_codec_is_no_answer(network: Network, kind: str) -> None:
    say(network, answer(b"{}", headers=f"Content-Type: {TYPES[kind].replace('proto', 'json')}\r\n"))

    with pytest.raises(EndpointError, match="not Flyte") as caught:
        make(network, kind)

    assert caught.value.code is Code.INTERNAL


@pytest.mark.parametrize("parameters", ["", "; charset=utf-8", ";x=y; charset=UTF-8"])
@pytest.mark.parametrize("hints", [0, 1, 3])
def test_parameters_of_a_type_and_early_hints_are_no_trouble(
    network: Network, kind: str, parameters: str, hints: int
) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nContent-Length: 7\r\n\r\n"
    say(network, early * hints + answer(END[kind], headers=f"Content-Type: {TYPES[kind]}{parameters}\r\n"))

    assert make(network, kind) == ([run_service_pb2.GetRunDetailsResponse()] if kind == "unary" else [])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"Content-Length: 10\r\n\r\n\0\0\0", id="length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\n\0\0", id="in a chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n2\r\n\0\0\r\n", id="no last chunk"),
    ],
)
def test_a_body_that_is_cut_off_is_no_answer(network: Network, kind: str, sent: bytes) -> None:
    say(network, b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPES[kind].encode() + b"\r\n" + sent)
    before = open_files()

    with pytest.raises(ConnectionLostError):
        make(network, kind)

    assert len(network.server.requests) == 1
    assert eventually(lambda: open_files() <= before)


@pytest.mark.parametrize("kind", ["stream", "grpc-web"])
def test_a_stream_that_only_the_connection_ends_must_have_said_that_it_is_over(network: Network, kind: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPES[kind].encode() + b"\r\n\r\n"
    message = b"\0\0\0\0\0"
    say(network, head + message + END[kind])
    assert make(network, kind) == [run_service_pb2.GetRunDetailsResponse()]

    for cut in (message, message + END[kind][:-1], message[:3], b""):
        say(network, head + cut)
        with pytest.raises(CallError) as caught:
            make(network, kind)
        assert caught.value.code in (Code.INTERNAL, Code.UNAVAILABLE)


@pytest.mark.parametrize("kind", ["stream", "grpc-web"])
def test_the_limit_holds_for_what_an_envelope_announces(network: Network, kind: str) -> None:
    """Nothing of it is waited for."""

    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPES[kind].encode() + b"\r\n\r\n\0\xff\xff\xff\xff")
        peer.silence()

    network.server.script = serve
    before = open_files()

    with pytest.raises(AnswerTooLargeError):
        make(network, kind, limit=1000)

    assert eventually(lambda: open_files() <= before)


@pytest.mark.parametrize("messages", [0, 2])
@pytest.mark.parametrize("kind", ["client stream", "unary over gRPC-Web"])
def test_there_is_exactly_one_answer_where_there_must_be_one(network: Network, kind: str, messages: int) -> None:
    protocol = GrpcWeb() if "gRPC-Web" in kind else Connect()
    of = "grpc-web" if "gRPC-Web" in kind else "stream"
    body = messages * b"\0\0\0\0\0" + END[of]

    def serve(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer(body, headers=f"Content-Type: {TYPES[of]}\r\n"))
        peer.silence()

    network.server.script = serve
    channel = Channel(network.transport, network.origin, protocol=protocol, retry=RetryPolicy(retries=0))
    deadline = Deadline(SYSTEM_CLOCK, 10)

    def call() -> object:
        if kind == "client stream":
            return channel.client_stream(METHOD, [REQUEST], deadline=deadline)
        return channel.unary(METHOD, REQUEST, deadline=deadline)

    with pytest.raises(CallError, match="more than one message" if messages else "no message") as caught:
        call()

    assert caught.value.code is Code.UNIMPLEMENTED


@pytest.mark.parametrize("kind", ["unary", "stream"])
def test_the_protocol_s_version_is_said(network: Network, kind: str) -> None:
    say(network, answer(END[kind], headers=f"Content-Type: {TYPES[kind]}\r\n"))
    make(network, kind)

    assert network.server.requests[0].headers["connect-protocol-version"] == ["1"]
