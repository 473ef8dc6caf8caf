from __future__ import annotations

import gzip as standard
import time
import tracemalloc
import zlib

import pytest

from flyte_lite._rpc.codec import JSON, PROTO
from flyte_lite._rpc.compression import gunzip, gzip
from flyte_lite.errors import AnswerTooLargeError, Code
from flyte_lite.idl.flyteidl2.common import identifier_pb2

LIMIT = 1 << 20


def test_gzip_is_read_as_others_write_it() -> None:
    body = bytes(range(256)) * 100

    assert gunzip(standard.compress(body), LIMIT) == body
    assert standard.decompress(gzip(body)) == body
    assert gzip(body) == gzip(body)


def test_several_members_are_one_body() -> None:
    parts = [b"a" * 10_000, b"", b"b", bytes(range(256)) * 300]

    assert gunzip(b"".join(map(standard.compress, parts)), LIMIT) == b"".join(parts)


@pytest.mark.parametrize("size", [16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 100_000])
def test_members_may_end_anywhere(size: int) -> None:
    stored = zlib.compressobj(0, wbits=31)
    first = stored.compress(b"x" * size) + stored.flush()

    assert gunzip(first + standard.compress(b"y"), LIMIT) == b"x" * size + b"y"
    assert gunzip(standard.compress(b"y") + first, LIMIT) == b"y" + b"x" * size


@pytest.mark.parametrize(("size", "fits"), [(LIMIT - 1, True), (LIMIT, True), (LIMIT + 1, False), (5 * LIMIT, False)])
def test_the_limit_is_the_unpacked_size(size: int, fits: bool) -> None:
    packed = standard.compress(b"\0" * size)

    if fits:
        assert len(gunzip(packed, LIMIT)) == size
    else:
        with pytest.raises(AnswerTooLargeError, match=f"limit of {LIMIT} bytes") as caught:
            gunzip(packed, LIMIT)
        assert caught.value.code is Code.RESOURCE_EXHAUSTED


def test_the_limit_counts_all_members_together() -> None:
    with pytest.raises(AnswerTooLargeError):
        gunzip(standard.compress(b"\0" * (LIMIT // 2)) * 3, LIMIT)


def test_a_bomb_costs_the_limit_only() -> None:
    bomb = standard.compress(b"\0" * (256 << 20), 9)
    tracemalloc.start()
    try:
        with pytest.raises(AnswerTooLargeError):
            gunzip(bomb, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    finally:
        tracemalloc.stop()


def test_a_million_empty_members_cost_no_more_than_their_bytes() -> None:
    """Copying what is left after each would take minutes."""
    body = standard.compress(b"") * 50_000
    started = time.process_time()

    assert gunzip(body, LIMIT) == b""

    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "body",
    [
        b"plain",
        standard.compress(b"x" * 1000)[:-1],
        standard.compress(b"x" * 1000)[:12],
        standard.compress(b"x" * 1000)[:-8] + b"\0" * 8,
        standard.compress(b"x") + b"rest",
        zlib.compress(b"x"),
        b"",
    ],
    # gzip writes the time, which must not get into the names of tests: each process has its own.
    ids=["plain", "cut", "cut early", "wrong sum", "rest", "zlib", "empty"],
)
def test_what_is_damaged_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="gzip"):
        gunzip(body, LIMIT)


def test_the_codecs_have_the_names_of_content_types() -> None:
    assert [codec.name for codec in (PROTO, JSON)] == ["proto", "json"]


@pytest.mark.parametrize("codec", [PROTO, JSON], ids=lambda codec: str(codec.name))
def test_each_codec_reads_what_it_writes(codec: object) -> None:
    message = identifier_pb2.RunIdentifier(org="o", project="p", domain="d", name="\u00fc")

    assert codec.decode(codec.encode(message), identifier_pb2.RunIdentifier) == message  # type: ignore[attr-defined]


def test_proto_by_hand() -> None:
    assert PROTO.encode(identifier_pb2.RunIdentifier(org="o", name="r")) == b"\x0a\x01o\x22\x01r"
    assert PROTO.decode(b"\x22\x01r\x0a\x01o", identifier_pb2.RunIdentifier).name == "r"


def test_json_by_hand() -> None:
    assert JSON.encode(identifier_pb2.RunIdentifier(org="\u00fc")).decode() == '{"org": "\u00fc"}'
    assert JSON.decode(b'{"name":"r","newField":[1]}', identifier_pb2.RunIdentifier).name == "r"


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05o", b"\x0a", b"\x0b" * 200])
def test_bytes_that_are_no_message_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a flyteidl2\.common\.RunIdentifier"):
        PROTO.decode(body, identifier_pb2.RunIdentifier)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff", b'{"name": 5}', b'{"name": {}}', b"[" * 100_000, b'{"x":' * 100_000]
)
def test_json_that_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a flyteidl2\.common\.RunIdentifier"):
        JSON.decode(body, identifier_pb2.RunIdentifier)
