"""Bytes to fewer bytes and back, in memory, never making more than was allowed. No I/O."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
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


@lru_cache(16)  # not without end: servers choose names too
def compression(name: str) -> Optional[Compression]:
    """The compression of that name; None if this interpreter has none: br needs a library, zstd before Python 3.14."""
    if name in ("gzip", "x-gzip"):
        return Compression("gzip", gzip, gunzip)
    zstd = _library("compression.zstd") or _library("backports.zstd") if name == "zstd" else None
    if zstd is not None:
        return Compression(name, zstd.compress, partial(_unpack, name, zstd.ZstdDecompressor, zstd.ZstdError))
    brotli = _library("brotli") if name == "br" else None
    # Before 1.2 it could not be told how much to make at most.
    if brotli is not None and hasattr(brotli.Decompressor, "can_accept_more_data"):
        # Its own default takes a second for each megabyte.
        return Compression(name, partial(brotli.compress, quality=5), partial(_unbrotli, brotli))
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
    return _unpack("gzip", lambda: zlib.decompressobj(wbits=31), zlib.error, body, limit)


def _unpack(name: str, unpacker: Callable[[], Any], problem: type[Exception], body: bytes, limit: int) -> bytes:
    out = []
    room = limit
    member = unpacker()
    # A window at a time: after each member what is left is copied, which thousands of tiny ones would make costly.
    for start in range(0, len(body), _WINDOW):
        window = body[start : start + _WINDOW]
        while window:
            if member.eof:
                member = unpacker()
            try:
                part = member.decompress(window, room + 1)
            except problem as error:
                raise ValueError(f"not {name}: {error}") from error
            room -= _fitting(part, room, limit)
            out.append(part)
            window = member.unused_data
    if not member.eof:
        raise ValueError(f"the {name} body is cut short")
    return b"".join(out)


def _unbrotli(library: Any, body: bytes, limit: int) -> bytes:
    unpacker = library.Decompressor()
    out: list[bytes] = []
    room = limit
    while not unpacker.is_finished():
        if out and unpacker.can_accept_more_data():
            raise ValueError("the br body is cut short")
        try:
            part = unpacker.process(b"" if out else body, output_buffer_limit=room + 1)
        except library.error as error:
            raise ValueError(f"not br: {error}") from error
        room -= _fitting(part, room, limit)
        out.append(part)
    return b"".join(out)


def _fitting(part: bytes, room: int, limit: int) -> int:
    if len(part) > room:
        raise AnswerTooLargeError(f"the message is over the limit of {limit} bytes once unpacked")
    return len(part)


def _library(name: str) -> Any:
    with contextlib.suppress(ImportError):
        return import_module(name)
    return None
