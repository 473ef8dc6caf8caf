"""Packing and unpacking with every library that is here; gzip always is."""

from __future__ import annotations

import gzip as standard
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from flyte_lite._rpc.compression import Compression, compression, gunzip, gzip
from flyte_lite._rpc.connect import Connect
from flyte_lite.errors import AnswerTooLargeError, Code

LIMIT = 1 << 20
MEGABYTE = b"\0" * (1 << 20)


def foreign(name: str) -> Callable[[bytes], bytes]:
    """Packs as others do; skips if there is nobody."""
    if name == "gzip":
        return lambda body: standard.compress(body, mtime=0)
    if name == "br":
        brotli = pytest.importorskip("brotli", minversion="1.2")
        return lambda body: bytes(brotli.compress(body))
    try:
        zstd: Any = import_module("compression.zstd")
    except ImportError:
        zstd = pytest.importorskip("backports.zstd")
    return lambda body: bytes(zstd.compress(body))


@pytest.fixture(params=["gzip", "zstd", "br"])
def packed(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return foreign(request.param)


@pytest.fixture
def ours(request: pytest.FixtureRequest, packed: Any) -> Compression:
    found = compression(request.node.callspec.params["packed"])
    assert found is not None
    return found


BODIES = [b"", b"x", bytes(range(256)) * 400, b"\0" * LIMIT]


@pytest.mark.parametrize("body", BODIES, ids=["empty", "one", "some", "most"])
def test_it_is_read_as_others_write_it_and_the_other_way(
    packed: Callable[[bytes], bytes], ours: Compression, body: bytes
) -> None:
    assert ours.unpack(packed(body), LIMIT) == body
    assert ours.unpack(ours.pack(body), LIMIT) == body
    assert ours.pack(body) == ours.pack(body)


@pytest.mark.parametrize("limit", [0, 1, 1000, 16 * 1024, 65536, LIMIT])
def test_the_limit_is_met_exactly_or_passed_by_one(
    packed: Callable[[bytes], bytes], ours: Compression, limit: int
) -> None:
    noise = bytes(i * i % 251 for i in range(997)) * (limit // 997 + 2)

    assert ours.unpack(packed(noise[:limit]), limit) == noise[:limit]
    assert len(ours.unpack(packed(b"\0" * limit), limit)) == limit
    for body in (noise[: limit + 1], b"\0" * (limit + 1), noise[: limit + 1] * 3):
        with pytest.raises(AnswerTooLargeError, match=f"limit of {limit} bytes") as caught:
            ours.unpack(packed(body), limit)
        assert caught.value.code is Code.RESOURCE_EXHAUSTED


def test_a_bomb_costs_the_limit_only(packed: Callable[[bytes], bytes], ours: Compression) -> None:
    bomb = packed(MEGABYTE * 64)
    for limit in (1000, LIMIT):
        tracemalloc.start()
        try:
            with pytest.raises(AnswerTooLargeError):
                ours.unpack(bomb, limit)
            assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
        finally:
            tracemalloc.stop()


def test_what_is_cut_short_is_refused_wherever(packed: Callable[[bytes], bytes], ours: Compression) -> None:
    whole = packed(bytes(range(256)) * 8)
    for size in range(len(whole)):
        with pytest.raises(ValueError, match=rf"{ours.name}"):
            ours.unpack(whole[:size], LIMIT)


def test_what_is_something_else_is_refused(packed: Callable[[bytes], bytes], ours: Compression) -> None:
    other = zlib.compress(b"x") if ours.name != "gzip" else b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"
    for body in (b"plain text, and not so short", b"\xff" * 100, other, packed(b"x") + b"rest"):
        with pytest.raises(ValueError, match=ours.name):
            ours.unpack(body, LIMIT)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_members_are_one_body(name: str) -> None:
    pack = foreign(name)
    parts = [b"a" * 10_000, b"", b"b", bytes(range(256)) * 300]
    found = compression(name)
    assert found is not None

    assert found.unpack(b"".join(map(pack, parts)), LIMIT) == b"".join(parts)
    with pytest.raises(AnswerTooLargeError):
        found.unpack(pack(b"\0" * (LIMIT // 2)) * 3, LIMIT)
    with pytest.raises(ValueError, match="cut short"):
        found.unpack(pack(b"a") + pack(b"b")[:-1], LIMIT)


def test_a_gigabyte_of_nothing_costs_the_limit_only() -> None:
    # By hand, as packing it would take seconds: a piece of deflate that ends on a byte can be said again and again.
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    assert zlib.decompressobj(wbits=31).decompress(head + piece * 2) == MEGABYTE * 2
    bomb = head + piece * 1024

    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(AnswerTooLargeError):
            gunzip(bomb, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 2


@pytest.mark.parametrize("size", [16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 100_000])
def test_members_may_end_anywhere(size: int) -> None:
    stored = zlib.compressobj(0, wbits=31)
    first = stored.compress(b"x" * size) + stored.flush()

    assert gunzip(first + standard.compress(b"y"), LIMIT) == b"x" * size + b"y"
    assert gunzip(standard.compress(b"y") + first, LIMIT) == b"y" + b"x" * size


def test_many_empty_members_cost_no_more_than_their_bytes() -> None:
    """Copying what is left after each would take minutes."""
    body = standard.compress(b"") * 50_000
    started = time.process_time()

    assert gunzip(body, LIMIT) == b""

    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "body",
    [standard.compress(b"x" * 1000)[:-8] + b"\0" * 8, standard.compress(b"x")[:-4] + b"\x02\0\0\0", b"\x1f\x8b\x07"],
    # gzip writes the time, which must not get into the names of tests: each process has its own.
    ids=["wrong sum", "wrong length", "wrong method"],
)
def test_what_is_damaged_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="gzip"):
        gunzip(body, LIMIT)


def test_gzip_has_no_time_in_it() -> None:
    # RFC 1952: two bytes of magic, method 8, no flags, and four of time.
    assert gzip(b"x")[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    "name", ["", "identity", "deflate", "snappy", "GZIP", "gzip ", "zstd2", "brotli", "\u00fc", "x" * 1000]
)
def test_names_that_there_are_not(name: str) -> None:
    assert compression(name) is None


def test_names_of_servers_do_not_pile_up() -> None:
    for number in range(1000):
        compression(f"unknown-{number}")

    assert compression.cache_info().currsize < 100


def test_gzip_has_a_second_name() -> None:
    assert compression("x-gzip") == compression("gzip")


@pytest.mark.parametrize("name", ["gzip", "zstd", "br"])
def test_what_is_taken_of_answers_is_said_in_the_order_of_preference(name: str) -> None:
    foreign(name)
    head = Connect(compression=name).stream_head(None)

    assert head["Connect-Content-Encoding"] == name
    assert head["Connect-Accept-Encoding"] == ("gzip" if name == "gzip" else f"{name}, gzip")


def test_a_large_message_is_packed_in_no_time(ours: Compression) -> None:
    body = random.Random(1).randbytes(3_000_000).translate((b"abcdefghij \n" * 22)[:256])
    started = time.process_time()
    ours.pack(body)

    assert time.process_time() - started < 1
