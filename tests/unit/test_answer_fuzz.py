"""Any split of a valid stream gives the same; any bytes at all give messages or a `CallError`, never anything else.

The draws are seeded, so a failure comes again.
"""

from __future__ import annotations

import gzip
import random
from typing import Any

import pytest
from echo import STREAM, WEB, Bench, FakeAnswer, Word, frame, say, word_bytes

from flyte_lite._http.transport import Answer
from flyte_lite._rpc.codec import JSON
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._rpc.protocol import AnswerReader, Protocol
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import CallError

LIMIT = 5000
ROUNDS = 300


def packed(text: str) -> bytes:
    return frame(1, gzip.compress(word_bytes(text), mtime=0))


TEXTS = ["", "a", "b" * 60, "\u00fc\U0001f600"]
CONNECT_ENDS = [
    frame(2, b"{}"),
    frame(2, b'{"metadata":{"T":["1","2"]}}'),
    frame(3, gzip.compress(b'{"metadata":{"t":["1"]}}', mtime=0)),
    frame(2, b'{"error":{"code":"not_found","message":"m","details":[{"type":"a.B","value":"AAE"}]}}'),
    frame(2, b'{"error":{}}'),
]
WEB_ENDS = [
    frame(0x80, b"grpc-status: 0\r\n"),
    frame(0x80, b"Grpc-Status: 0\r\nT: 1\r\nt:2\r\n"),
    frame(0x81, gzip.compress(b"grpc-status: 0\r\nt: 1\r\n", mtime=0)),
    frame(0x80, b"grpc-status: 5\r\ngrpc-message: %C3%BC\r\ngrpc-status-details-bin: CAUSAm5v\r\n"),
    frame(0x80, b"x: y\r\n"),
]
PROTOCOLS: list[tuple[Protocol, dict[str, list[str]], list[bytes]]] = [
    (Connect(), {**STREAM, "connect-content-encoding": ["gzip"]}, CONNECT_ENDS),
    (GrpcWeb(), {**WEB, "grpc-encoding": ["gzip"]}, WEB_ENDS),
]


def outcome(reader: AnswerReader[Any], pieces: list[bytes], *, eager: bool = True) -> Any:
    """Messages, trailers and what ended it."""
    found: list[str] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            if eager:
                found.extend(message.name for message in iter(reader.next, None))
        found.extend(message.name for message in iter(reader.next, None))
        reader.over()
    except CallError as error:
        return found, reader.trailers, type(error), error.code, error.message, error.details, error.headers
    return found, reader.trailers


def reader_of(protocol: Protocol, headers: dict[str, list[str]]) -> AnswerReader[Any]:
    reader = protocol.reader(Word, 200, dict(headers), LIMIT)
    assert reader is not None
    return reader


def streams(ends: list[bytes], draw: random.Random) -> bytes:
    body = b"".join(draw.choice([say, packed])(draw.choice(TEXTS)) for _ in range(draw.randrange(5)))
    return body + draw.choice(ends)


def split(body: bytes, draw: random.Random) -> list[bytes]:
    cuts = sorted(draw.sample(range(1, len(body)), min(len(body) - 1, draw.choice([0, 1, 2, 5, 20, len(body)]))))
    return [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)])]


@pytest.mark.parametrize(("protocol", "headers", "ends"), PROTOCOLS, ids=["connect", "grpc-web"])
def test_any_split_of_a_stream_gives_the_same(
    protocol: Protocol, headers: dict[str, list[str]], ends: list[bytes]
) -> None:
    draw = random.Random(1)
    for _ in range(ROUNDS):
        body = streams(ends, draw)
        # Behind the end nothing is read, so what is left over must be told alike too.
        body += draw.choice([b"", b"", b"", b"x", say("z")])
        whole = outcome(reader_of(protocol, headers), [body])

        for eager in (True, False):
            pieces = split(body, draw)
            assert outcome(reader_of(protocol, headers), pieces, eager=eager) == whole, pieces


def mutated(body: bytes, draw: random.Random) -> bytes:
    data = bytearray(body)
    for _ in range(draw.choice([1, 1, 2, 8])):
        at = draw.randrange(len(data) + 1)
        how = draw.randrange(6)
        if how == 0:
            data[at : at + 1] = bytes([draw.randrange(256)])
        elif how == 1:
            del data[at : at + draw.randrange(1, 9)]
        elif how == 2:
            data[at:at] = draw.choice([b"\0", b"\xff", b"%", b"\r\n", b'"', b"{", b"null", b"[]", b"9" * 30, b":"])
        elif how == 3:
            del data[at:]
        elif how == 4:
            data += data[at : at + 40]
        elif data:
            data[min(at, len(data) - 1)] ^= 1 << draw.randrange(8)
    return bytes(data)


@pytest.mark.parametrize(("protocol", "headers", "ends"), PROTOCOLS, ids=["connect", "grpc-web"])
def test_whatever_comes_is_messages_or_an_error_of_ours(
    protocol: Protocol, headers: dict[str, list[str]], ends: list[bytes]
) -> None:
    draw = random.Random(2)
    for _ in range(10 * ROUNDS):
        body = mutated(streams(ends, draw), draw)
        if body:
            whole = outcome(reader_of(protocol, headers), [body])
            assert outcome(reader_of(protocol, headers), split(body, draw)) == whole, body


def noise(draw: random.Random) -> str:
    return "".join(
        draw.choice(
            ["0", "5", "16", "-", "=", ",", "gzip", "AAE", "%", "%zz", "\xff", "\x00", " ", "proto", "json", "/", ";"]
        )
        for _ in range(draw.randrange(6))
    )


def test_whatever_heads_say_is_an_answer_or_an_error_of_ours() -> None:
    draw = random.Random(3)
    names = [
        "content-type",
        "content-encoding",
        "connect-content-encoding",
        "grpc-encoding",
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        "trailer-x",
        "retry-after",
        "location",
        "server",
    ]
    media = ["application/proto", "application/json", *STREAM["content-type"], *WEB["content-type"], "text/html", ""]
    for _ in range(10 * ROUNDS):
        protocol = draw.choice([Connect(), Connect(JSON), GrpcWeb(), GrpcWeb(JSON)])
        headers = {name: [noise(draw) for _ in range(draw.randrange(1, 3))] for name in draw.sample(names, 4)}
        if draw.random() < 0.8:
            headers["content-type"] = [draw.choice(media)]
        body = mutated(
            draw.choice([word_bytes("a"), b'{"code":"internal","details":[]}', streams(WEB_ENDS, draw)]), draw
        )
        status = draw.choice([200, 200, 200, 204, 304, 400, 404, 503])
        if isinstance(protocol, Connect):
            unary: Any = Answer(status, "", dict(headers), body)
        else:
            unary = FakeAnswer(body, status=status, headers=headers)
        bench = Bench(unary, FakeAnswer(body, status=status, headers=headers), protocol=protocol, retry=RetryPolicy(0))
        for call in (bench.unary, lambda bench=bench: list(bench.watch())):
            try:
                call()
            except CallError as error:
                str(error)
