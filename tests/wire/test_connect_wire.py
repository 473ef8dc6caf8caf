"""The bytes of unary calls, written by hand from the Connect specification (connectrpc.com, "Unary-Request" and
"Unary-Response"), so that neither our own encoder nor a server of ours says what is right."""

from __future__ import annotations

import zlib

import pytest
from recorder import Recorder

from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.transport import Transport
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.codec import JSON
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.method import Method
from flyte_lite._version import __version__
from flyte_lite.errors import ErrorDetail, NotFoundError
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

METHOD = Method(run_service_pb2, "RunService", "GetRunDetails")
REQUEST = run_service_pb2.GetRunDetailsRequest(
    run_id=identifier_pb2.RunIdentifier(org="o", project="p", domain="d", name="r")
)
# run_id = 1 { org = 1, project = 2, domain = 3, name = 4 }
REQUEST_BYTES = b"\x0a\x0c\x0a\x01o\x12\x01p\x1a\x01d\x22\x01r"


def _call(recorder: Recorder, connect: Connect) -> run_service_pb2.GetRunDetailsResponse:
    transport = Transport(environ={})
    try:
        channel = Channel(transport, Origin("http", "127.0.0.1", recorder.port), "/base", protocol=connect)
        deadline = Deadline(SYSTEM_CLOCK, 10)
        return channel.unary(METHOD, REQUEST, deadline=deadline, headers={"x-request-id": "id-1", "X-Own": "1"}).message
    finally:
        transport.close()


def _head(got: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    pairs = [line.partition(b": ") for line in lines]
    names = [name.lower() for name, _, _ in pairs]
    assert len(names) == len(set(names)), "each header once"
    return first, {name.lower(): value for name, _, value in pairs}, body


def test_a_request_is_what_the_specification_says(recorder: Recorder) -> None:
    recorder.answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 0\r\n\r\n"

    _call(recorder, Connect())

    first, headers, body = _head(recorder.got)
    assert first == b"POST /base/flyteidl2.workflow.RunService/GetRunDetails HTTP/1.1"
    assert 9000 < int(headers.pop(b"connect-timeout-ms")) <= 10_000
    assert headers == {
        b"host": b"127.0.0.1:%d" % recorder.port,
        b"accept": b"*/*",
        b"accept-encoding": b"gzip",
        b"connect-protocol-version": b"1",
        b"content-length": b"14",
        b"content-type": b"application/proto",
        b"user-agent": b"flyte-lite/" + __version__.encode(),
        b"x-request-id": b"id-1",
        b"x-own": b"1",
    }
    assert body == REQUEST_BYTES


def test_an_answer_by_length(recorder: Recorder) -> None:
    # details = 1 { action = 2 { id = 1 { name = 2: "a0" } }, run_spec = 1 {} }: fields come in any order
    recorder.answer = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/proto\r\ntrailer-x: y\r\ncontent-length: 12\r\n\r\n"
        b"\x0a\x0a\x12\x06\x0a\x04\x12\x02a0\x0a\x00"
    )

    message = _call(recorder, Connect())

    assert message.details.HasField("run_spec")
    assert message.details.action.id.name == "a0"


def test_an_answer_in_chunks_and_packed(recorder: Recorder) -> None:
    # RFC 1952 by hand: head, one stored block of the two bytes 0a 00, their CRC, their number.
    packed = bytes.fromhex("1f8b08000000000000ff010200fdff0a00") + zlib.crc32(b"\x0a\x00").to_bytes(4, "little")
    packed += bytes.fromhex("02000000")
    recorder.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Encoding: gzip\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (packed[:5], len(packed) - 5, packed[5:])
    )

    message = _call(recorder, Connect())

    assert message.HasField("details")


def test_json_both_ways(recorder: Recorder) -> None:
    body = b'{"details":{"action":{"id":{"name":"a0"}},"newField":[1]}}'
    recorder.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )

    message = _call(recorder, Connect(JSON))

    _, headers, sent = _head(recorder.got)
    assert headers[b"content-type"] == b"application/json"
    assert sent.replace(b" ", b"") == b'{"runId":{"org":"o","project":"p","domain":"d","name":"r"}}'
    assert message.details.action.id.name == "a0"


def test_an_error_with_details(recorder: Recorder) -> None:
    body = (
        b'{"code":"not_found","message":"run r: gone","details":[{"type":"google.rpc.RequestInfo",'
        b'"value":"CgNhYmM","debug":{"requestId":"abc"}}]}'
    )
    recorder.answer = (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nTrailer-X-Where: db\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )

    with pytest.raises(NotFoundError) as caught:
        _call(recorder, Connect())

    error = caught.value
    assert (error.code.value, error.message) == ("not_found", "run r: gone")
    assert error.details == (ErrorDetail("google.rpc.RequestInfo", b"\x0a\x03abc"),)
    assert error.headers["x-where"] == ["db"]
    assert error.request_id == "id-1"
