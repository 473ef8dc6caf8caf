"""Envelopes out of bytes in pieces."""

from __future__ import annotations

import random

import pytest

from flyte_lite._rpc.envelope import COMPRESSED, END_STREAM, EnvelopeCutShort, EnvelopeReader, pack
from flyte_lite.errors import AnswerTooLargeError, Code, RpcError

ENVELOPES = [(0, b"one"), (COMPRESSED, b""), (0, b"x" * 70_000), (END_STREAM, b"{}")]
BYTES = b"".join(pack(*envelope) for envelope in ENVELOPES)


def test_the_prefix_is_flags_and_a_big_endian_length() -> None:
    assert pack(2, b"abc") == b"\x02\x00\x00\x00\x03abc"
    assert pack(0x80, b"x" * 258)[:5] == b"\x80\x00\x00\x01\x02"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 4096, len(BYTES)])
def test_pieces_of_any_size_give_the_same(size: int) -> None:
    reader = EnvelopeReader()
    found = []
    for start in range(0, len(BYTES), size):
        reader.feed(BYTES[start : start + size])
        found += list(iter(reader.next, None))
    reader.close()

    assert found == ENVELOPES


def test_pieces_of_random_sizes_give_the_same() -> None:
    draw = random.Random(4)
    for _ in range(50):
        reader = EnvelopeReader()
        rest, found = BYTES, []
        while rest:
            size = draw.choice([1, 4, 5, 6, 300, 40_000])
            reader.feed(rest[:size])
            rest = rest[size:]
            if draw.random() < 0.7:
                found += list(iter(reader.next, None))
        found += list(iter(reader.next, None))
        assert found == ENVELOPES


def test_an_envelope_is_given_as_soon_as_its_last_byte_is_there() -> None:
    reader = EnvelopeReader()
    reader.feed(pack(0, b"ab")[:-1])
    assert reader.next() is None
    reader.feed(b"b")
    assert reader.next() == (0, b"ab")
    assert reader.next() is None


def test_the_limit_is_known_from_the_prefix() -> None:
    reader = EnvelopeReader(limit=3)
    reader.feed(pack(0, b"abc") + b"\0\xff\xff\xff\xff")

    assert reader.next() == (0, b"abc")
    with pytest.raises(AnswerTooLargeError, match="4294967295 bytes is over the limit of 3") as caught:
        reader.next()
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("data", "promised", "got", "text"),
    [
        (b"\0", None, 1, "begins with 5 bytes, got 1"),
        (b"\0\0\0\0", None, 4, "begins with 5 bytes, got 4"),
        (pack(0, b"x" * 32)[:8], 32, 3, "promised 32 bytes in enveloped message, got 3 bytes"),
        (pack(0, b"a") + pack(0, b"b")[:5], 1, 0, "promised 1 bytes in enveloped message, got 0 bytes"),
    ],
)
def test_bytes_that_end_inside_an_envelope(data: bytes, promised: int, got: int, text: str) -> None:
    reader = EnvelopeReader()
    reader.feed(data)
    list(iter(reader.next, None))

    assert reader.rest > 0
    with pytest.raises(EnvelopeCutShort, match=text) as caught:
        reader.close()
    assert (caught.value.promised, caught.value.got) == (promised, got)


def test_an_end_inside_an_envelope_that_nobody_asked_for_yet() -> None:
    reader = EnvelopeReader()
    for byte in pack(0, b"abc")[:-1]:
        reader.feed(bytes([byte]))

    with pytest.raises(EnvelopeCutShort, match="promised 3 bytes in enveloped message, got 2 bytes"):
        reader.close()


def test_nothing_at_all_is_a_clean_end() -> None:
    EnvelopeReader().close()
    assert EnvelopeReader().rest == 0


def test_a_large_one_in_many_pieces_takes_no_time() -> None:
    """It is put together once, not with every piece: 16,000 pieces are 64 GB of copying otherwise."""
    reader = EnvelopeReader()
    data = pack(0, bytes(8_000_000)) + pack(0, b"next")
    for start in range(0, len(data), 500):
        reader.feed(data[start : start + 500])
        assert start + 500 >= 8_000_005 or reader.next() is None

    assert [len(data) for _, data in iter(reader.next, None)] == [8_000_000, 4]


def test_many_small_ones_in_one_piece_take_no_time() -> None:
    """Each taken out of the middle of the buffer, not off its beginning: 200,000 are 2 GB of copying otherwise."""
    reader = EnvelopeReader()
    reader.feed(pack(0, b"12345") * 200_000)

    assert sum(1 for _ in iter(reader.next, None)) == 200_000


def test_what_four_bytes_cannot_count_is_refused() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 32

    with pytest.raises(RpcError, match="4294967296 bytes does not fit") as caught:
        pack(0, Huge())
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
