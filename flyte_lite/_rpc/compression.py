"""Bytes to fewer bytes and back, in memory, never making more than was allowed. No I/O."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, Optional

from flyte_lite.errors import AnswerTooLargeError

_WINDOW = 16 * 1024


class Compression(NamedTuple):
    """One way to pack a message.

    Attributes:
        name: As it is called in headers.
        pack: Bytes to fewer bytes.
        unpack: Packed bytes, and the most bytes that may come of them, to the bytes. It raises ValueError for what is
            something else or cut short, and AnswerTooLargeError, with no memory spent on the rest.
    """

    name: str
    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes, int], bytes]


@cache
def compression(name: str) -> Optional[Compression]:
    """The compression of that name; None if this interpreter has none: br needs a library, zstd before Python 3.14."""
    if name in ("gzip", "x-gzip"):
        return Compression("gzip", gzip, gunzip)
    if name == "deflate":
        return Compression(name, zlib.compress, lambda body, limit: _inflate(body, limit, 15, name))
    if name == "zstd":
        return _zstd()
    if name == "br":
        return _brotli()
    return None


def gzip(body: bytes) -> bytes:
    """Pack as gzip, with no time in it, so that equal messages give equal bytes."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()


def gunzip(body: bytes, limit: int) -> bytes:
    """Unpack gzip (several members too), refusing to make more than `limit` bytes of it.

    Raises:
        ValueError: It is not gzip, or it is cut short.
        AnswerTooLargeError: It would be larger than `limit`; memory is never spent on the rest.
    """
    return _inflate(body, limit, 31, "gzip")


def _inflate(body: bytes, limit: int, wbits: int, name: str) -> bytes:
    out = []
    room = limit
    member = zlib.decompressobj(wbits=wbits)
    # A window at a time: after each member zlib copies what is left, which thousands of tiny ones would make costly.
    for start in range(0, len(body), _WINDOW):
        window = body[start : start + _WINDOW]
        while window:
            if member.eof:
                member = zlib.decompressobj(wbits=wbits)
            try:
                part = member.decompress(window, room + 1)
            except zlib.error as error:
                raise ValueError(f"not {name}: {error}") from error
            room -= _fits(part, room, limit)
            out.append(part)
            window = member.unused_data
    if not member.eof:
        raise ValueError(f"the {name} body is cut short")
    return b"".join(out)


def _fits(part: bytes, room: int, limit: int) -> int:
    if len(part) > room:
        raise AnswerTooLargeError(f"the message is over the limit of {limit} bytes once unpacked")
    return len(part)


def _zstd() -> Optional[Compression]:
    # Python 3.14's own, then the same for older ones.
    library = _library("compression.zstd", "backports.zstd")
    if library is None:
        return None

    def unpack(body: bytes, limit: int) -> bytes:
        out: list[bytes] = []
        room, rest = limit, body
        while rest or not out:
            frame = library.ZstdDecompressor()
            try:
                part = frame.decompress(rest, room + 1)
            except library.ZstdError as error:
                raise ValueError(f"not zstd: {error}") from error
            room -= _fits(part, room, limit)
            out.append(part)
            if not frame.eof:
                raise ValueError("the zstd body is cut short")
            rest = frame.unused_data
        return b"".join(out)

    return Compression("zstd", library.compress, unpack)


def _brotli() -> Optional[Compression]:
    library = _library("brotli")
    # Before 1.2 it could not be told how much to make at most.
    if library is None or not hasattr(library.Decompressor, "can_accept_more_data"):
        return None

    def unpack(body: bytes, limit: int) -> bytes:
        whole = library.Decompressor()
        out: list[bytes] = []
        room, rest = limit, body
        try:
            while True:
                part = whole.process(rest, output_buffer_limit=room + 1)
                room -= _fits(part, room, limit)
                out.append(part)
                rest = b""
                if whole.is_finished() or whole.can_accept_more_data():
                    break
        except library.error as error:
            raise ValueError(f"not br: {error}") from error
        if not whole.is_finished():
            raise ValueError("the br body is cut short")
        return b"".join(out)

    return Compression("br", library.compress, unpack)


def _library(*names: str) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None
