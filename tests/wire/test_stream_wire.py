"""The bytes of streams, of gRPC-Web and of GET, there and back over a socket; written by hand from the specifications
(connectrpc.com, "Connect Protocol Reference"; github.com/grpc/grpc, doc/PROTOCOL-WEB.md)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from echo import CHAT, READ, TELL, WATCH, WRITE, names, word
from recorder import Recorder

from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.transport import Transport
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.codec import JSON
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._rpc.protocol import Protocol
from flyte_lite._version import __version__
from flyte_lite.errors import ErrorDetail, NotFoundError

AGENT = b"flyte-lite/" + __version__.encode()
OWN: dict[str, Any] = {"x-request-id": "id-1", "X-Own": ["1", "2, 3"], "X-Own-Bin": [b"\x00\x01", b"\xfb\xff"]}
OWN_LINES = [b"x-own-bin: +/8", b"x-own-bin: AAE", b"x-own: 1", b"x-own: 2, 3", b"x-request-id: id-1"]
MESSAGE = b"\x00\x00\x00\x00\x04\x22\x02ab"
"""Flags, length, and field 4 (name) of two bytes."""


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport(environ={})
    yield transport
    transport.close()


Open = Any


@pytest.fixture
def channel_of(recorder: Recorder, transport: Transport) -> Open:
    def make(protocol: Optional[Protocol] = None) -> Channel:
        return Channel(transport, Origin("http", "127.0.0.1", recorder.port), "/base", protocol=protocol)

    return make


def deadline() -> Deadline:
    return Deadline(SYSTEM_CLOCK, 10)


def chunked(head: bytes, *pieces: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


CONNECT_HEAD = b"Content-Type: application/connect+proto\r\n"
WEB_HEAD = b"Content-Type: application/grpc-web+proto\r\n"
CONNECT_END = b'\x02\x00\x00\x00\x1c{"metadata":{"T":["1","2"]}}'
WEB_END = b"\x80\x00\x00\x00\x1bgrpc-status: 0\r\nT: 1\r\nt:2\r\n"
assert (len(CONNECT_END), len(WEB_END)) == (5 + 0x1C, 5 + 0x1B)


def connect_lines(port: int, *further: bytes) -> list[bytes]:
    return sorted(
        [
            b"host: 127.0.0.1:%d" % port,
            b"accept: */*",
            b"accept-encoding: identity",
            b"connect-accept-encoding: gzip",
            b"connect-protocol-version: 1",
            b"content-type: application/connect+proto",
            b"user-agent: " + AGENT,
            *OWN_LINES,
            *further,
        ]
    )


def web_lines(port: int, *further: bytes) -> list[bytes]:
    return sorted(
        [
            b"host: 127.0.0.1:%d" % port,
            b"accept: */*",
            b"accept-encoding: identity",
            b"content-type: application/grpc-web+proto",
            b"grpc-accept-encoding: gzip",
            b"user-agent: " + AGENT,
            b"x-grpc-web: 1",
            b"x-user-agent: " + AGENT,
            *OWN_LINES,
            *further,
        ]
    )


def without_timeout(lines: list[bytes], name: bytes, pattern: bytes) -> list[bytes]:
    (line,) = (line for line in lines if line.startswith(name + b":"))
    assert re.fullmatch(name + b": " + pattern, line)
    return [other for other in lines if other is not line]


def connect_request(recorder: Recorder) -> tuple[bytes, list[bytes], bytes]:
    first, lines, body = recorder.request()
    return first, without_timeout(lines, b"connect-timeout-ms", rb"9[0-9]{3}|10000"), body


def web_request(recorder: Recorder) -> tuple[bytes, list[bytes], bytes]:
    first, lines, body = recorder.request()
    return first, without_timeout(lines, b"grpc-timeout", rb"(9[0-9]{3}|10000)m"), body


def test_a_server_stream_of_connect(recorder: Recorder, channel_of: Open) -> None:
    body = MESSAGE + b"\x00\x00\x00\x00\x00" + CONNECT_END
    recorder.answer = chunked(CONNECT_HEAD + b"H: 1\r\nh: 2\r\n", body[:3], body[3:12], body[12:])

    stream = channel_of().server_stream(WATCH, word("ab"), deadline=deadline(), headers=OWN)

    assert names(stream) == ["ab", ""]
    assert stream.headers["h"] == ["1", "2"]
    assert stream.trailers == {"t": ["1", "2"]}
    assert connect_request(recorder) == (
        b"POST /base/test.v1.Echo/Watch HTTP/1.1",
        connect_lines(recorder.port, b"content-length: 9"),
        MESSAGE,
    )


def test_a_client_stream_of_connect(recorder: Recorder, channel_of: Open) -> None:
    recorder.answer = chunked(CONNECT_HEAD, MESSAGE + CONNECT_END)

    reply = channel_of().client_stream(TELL, iter([word("ab"), word("")]), deadline=deadline(), headers=OWN)

    assert (reply.message.name, reply.trailers) == ("ab", {"t": ["1", "2"]})
    assert connect_request(recorder) == (
        b"POST /base/test.v1.Echo/Tell HTTP/1.1",
        connect_lines(recorder.port, b"transfer-encoding: chunked"),
        b"9\r\n" + MESSAGE + b"\r\n5\r\n\x00\x00\x00\x00\x00\r\n0\r\n\r\n",
    )


def test_both_ways_of_connect_with_nothing_to_say(recorder: Recorder, channel_of: Open) -> None:
    recorder.answer = chunked(CONNECT_HEAD, CONNECT_END)

    assert names(channel_of().bidi_stream(CHAT, [], deadline=deadline(), headers=OWN)) == []

    assert connect_request(recorder) == (
        b"POST /base/test.v1.Echo/Chat HTTP/1.1",
        connect_lines(recorder.port, b"transfer-encoding: chunked"),
        b"0\r\n\r\n",
    )


def test_a_packed_stream_of_connect(recorder: Recorder, channel_of: Open) -> None:
    # RFC 1952 by hand: head, one stored block of the four bytes of the message, their CRC, their number.
    data = b"\x22\x02ab"
    packed = bytes.fromhex("1f8b08000000000000ff010400fbff") + data + zlib.crc32(data).to_bytes(4, "little")
    packed += b"\x04\x00\x00\x00"
    end = zlib.compressobj(wbits=31)
    packed_end = end.compress(b"{}") + end.flush()
    recorder.answer = chunked(
        CONNECT_HEAD + b"Connect-Content-Encoding: gzip\r\n",
        b"\x01" + len(packed).to_bytes(4, "big") + packed + MESSAGE,
        b"\x03" + len(packed_end).to_bytes(4, "big") + packed_end,
    )

    protocol = Connect(compression="gzip")
    assert names(channel_of(protocol).server_stream(WATCH, word("ab"), deadline=deadline(), headers=OWN)) == [
        "ab",
        "ab",
    ]

    _, lines, body = connect_request(recorder)
    further = (b"content-length: %d" % len(body), b"connect-content-encoding: gzip")
    assert lines == connect_lines(recorder.port, *further)
    assert body[:1] == b"\x01"
    assert int.from_bytes(body[1:5], "big") == len(body) - 5
    assert zlib.decompress(body[5:], wbits=31) == data


def test_json_in_a_stream_of_connect(recorder: Recorder, channel_of: Open) -> None:
    recorder.answer = chunked(
        b"Content-Type: application/connect+json; charset=utf-8\r\n",
        b'\x00\x00\x00\x00\x0c{"name":"x"}\x02\x00\x00\x00\x02{}',
    )

    assert names(channel_of(Connect(JSON)).server_stream(WATCH, word("ab"), deadline=deadline(), headers=OWN)) == ["x"]

    _, lines, body = connect_request(recorder)
    assert b"content-type: application/connect+json" in lines
    assert body[5:].replace(b" ", b"") == b'{"name":"ab"}'


def test_an_error_at_the_end_of_a_stream_of_connect(recorder: Recorder, channel_of: Open) -> None:
    end = (
        b'{"error":{"code":"not_found","message":"gone","details":[{"type":"google.rpc.RequestInfo","value":"CgNhYmM",'
        b'"debug":{"requestId":"abc"}}]},"metadata":{"X-Where":["db"]}}'
    )
    recorder.answer = chunked(CONNECT_HEAD, MESSAGE + b"\x02" + len(end).to_bytes(4, "big") + end)
    stream = channel_of().server_stream(WATCH, word("ab"), deadline=deadline())

    assert next(stream).name == "ab"
    with pytest.raises(NotFoundError, match="gone") as caught:
        next(stream)
    assert caught.value.details == (ErrorDetail("google.rpc.RequestInfo", b"\x0a\x03abc"),)
    assert caught.value.headers["x-where"] == ["db"]


def test_one_message_of_grpc_web(recorder: Recorder, channel_of: Open) -> None:
    recorder.answer = chunked(WEB_HEAD + b"H: 1\r\n", MESSAGE, WEB_END)

    reply = channel_of(GrpcWeb()).unary(WRITE, word("ab"), deadline=deadline(), headers=OWN)

    assert (reply.message.name, reply.headers["h"], reply.trailers) == ("ab", ["1"], {"t": ["1", "2"]})
    assert web_request(recorder) == (
        b"POST /base/test.v1.Echo/Write HTTP/1.1",
        web_lines(recorder.port, b"content-length: 9"),
        MESSAGE,
    )


def test_a_server_stream_of_grpc_web(recorder: Recorder, channel_of: Open) -> None:
    recorder.answer = chunked(WEB_HEAD, MESSAGE + MESSAGE[:4], MESSAGE[4:] + WEB_END)

    stream = channel_of(GrpcWeb()).server_stream(WATCH, word("ab"), deadline=deadline(), headers=OWN)

    assert names(stream) == ["ab", "ab"]
    assert stream.trailers == {"t": ["1", "2"]}
    assert web_request(recorder) == (
        b"POST /base/test.v1.Echo/Watch HTTP/1.1",
        web_lines(recorder.port, b"content-length: 9"),
        MESSAGE,
    )


def test_a_client_stream_of_grpc_web_packed(recorder: Recorder, channel_of: Open) -> None:
    end = zlib.compressobj(wbits=31)
    packed_end = end.compress(b"grpc-status: 0\r\nt: 1\r\n") + end.flush()
    recorder.answer = chunked(
        WEB_HEAD + b"Grpc-Encoding: gzip\r\n", MESSAGE, b"\x81" + len(packed_end).to_bytes(4, "big") + packed_end
    )

    protocol = GrpcWeb(compression="gzip")
    reply = channel_of(protocol).client_stream(TELL, [word("ab")], deadline=deadline(), headers=OWN)

    assert (reply.message.name, reply.trailers) == ("ab", {"t": ["1"]})
    _, lines, body = web_request(recorder)
    assert lines == web_lines(recorder.port, b"transfer-encoding: chunked", b"grpc-encoding: gzip")
    size, _, rest = body.partition(b"\r\n")
    envelope = rest[: int(size, 16)]
    assert rest[int(size, 16) :] == b"\r\n0\r\n\r\n"
    assert envelope[:1] == b"\x01"
    assert zlib.decompress(envelope[5:], wbits=31) == b"\x22\x02ab"


def test_both_ways_of_grpc_web(recorder: Recorder, channel_of: Open) -> None:
    recorder.answer = chunked(b"Content-Type: application/grpc-web\r\n", WEB_END)

    assert names(channel_of(GrpcWeb()).bidi_stream(CHAT, (word("ab"),), deadline=deadline(), headers=OWN)) == []

    assert web_request(recorder) == (
        b"POST /base/test.v1.Echo/Chat HTTP/1.1",
        web_lines(recorder.port, b"transfer-encoding: chunked"),
        b"9\r\n" + MESSAGE + b"\r\n0\r\n\r\n",
    )


def test_an_error_of_grpc_web_without_a_body(recorder: Recorder, channel_of: Open) -> None:
    # google.rpc.Status { code = 1: 5, message = 2: "no", details = 3 { type_url = 1: "t/a.B", value = 2: 00 } }
    status = b"\x08\x05\x12\x02no\x1a\x0a\x0a\x05t/a.B\x12\x01\x00"
    assert len(status) == 18
    recorder.answer = (
        b"HTTP/1.1 200 OK\r\n" + WEB_HEAD + b"Grpc-Status: 5\r\nGrpc-Message: %C3%BC\r\n"
        b"Grpc-Status-Details-Bin: CAUSAm5vGgoKBXQvYS5CEgEA\r\nContent-Length: 0\r\nX-Where: db\r\n\r\n"
    )

    with pytest.raises(NotFoundError) as caught:
        channel_of(GrpcWeb()).unary(WRITE, word("ab"), deadline=deadline())

    assert caught.value.message == "no"
    assert caught.value.details == (ErrorDetail("a.B", b"\x00"),)
    assert caught.value.headers["x-where"] == ["db"]


def test_get(recorder: Recorder, channel_of: Open) -> None:
    recorder.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nTrailer-T: 1\r\nContent-Length: 4\r\n\r\n\x22\x02ab"
    )

    reply = channel_of(Connect(get=True)).unary(READ, word("ab"), deadline=deadline(), headers=OWN)

    assert (reply.message.name, reply.trailers) == ("ab", {"t": ["1"]})
    first, lines, body = connect_request(recorder)
    assert first == b"GET /base/test.v1.Echo/Read?connect=v1&base64=1&encoding=proto&message=IgJhYg HTTP/1.1"
    assert body == b""
    assert lines == sorted(
        [
            b"host: 127.0.0.1:%d" % recorder.port,
            b"accept: */*",
            b"accept-encoding: gzip",
            b"user-agent: " + AGENT,
            *OWN_LINES,
        ]
    )


def test_a_packed_post(recorder: Recorder, channel_of: Open) -> None:
    recorder.answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 0\r\n\r\n"

    channel_of(Connect(compression="gzip")).unary(WRITE, word("ab"), deadline=deadline(), headers=OWN)

    _, lines, body = connect_request(recorder)
    assert lines == sorted(
        [
            b"host: 127.0.0.1:%d" % recorder.port,
            b"accept: */*",
            b"accept-encoding: gzip",
            b"connect-protocol-version: 1",
            b"content-encoding: gzip",
            b"content-length: %d" % len(body),
            b"content-type: application/proto",
            b"user-agent: " + AGENT,
            *OWN_LINES,
        ]
    )
    assert zlib.decompress(body, wbits=31) == b"\x22\x02ab"
