"""Envelopes, the frames of Connect's streams and of gRPC-Web: a byte of flags, four of length, the payload. No I/O.

Specification: connectrpc.com, "Streaming-RPCs"; gRPC-Web frames its messages alike.
"""

from __future__ import annotations

import struct
from typing import Optional

from flyte_lite.errors import AnswerTooLargeError, Code, RpcError

COMPRESSED = 0x01
# The last envelope of an answer: Connect's holds JSON, gRPC-Web's a block of headers.
END_STREAM = 0x02
TRAILERS = 0x80

PREFIX = struct.Struct(">BI")
MOST = 0xFFFF_FFFF
_PREFIX_SIZE, _unpack = PREFIX.size, PREFIX.unpack_from


Envelope = tuple[int, bytes]
"""Flags and payload as they came: packed if `COMPRESSED` is set. No class, because streams are made of these."""


class EnvelopeCutShort(ValueError):
    """The bytes ended inside an envelope.

    Attributes:
        promised: Length of the payload by its prefix; None if the prefix itself is not whole.
        got: How many bytes of the payload, or of the prefix, there were.
    """

    def __init__(self, promised: Optional[int], got: int) -> None:
        if promised is None:
            super().__init__(f"an envelope begins with {PREFIX.size} bytes, got {got}")
        else:
            super().__init__(f"promised {promised} bytes in enveloped message, got {got} bytes")
        self.promised = promised
        self.got = got


def pack(flags: int, data: bytes) -> bytes:
    """One envelope as bytes.

    Raises:
        RpcError: It holds more than four bytes can count (resource_exhausted).
    """
    if len(data) > MOST:
        raise RpcError(f"a message of {len(data)} bytes does not fit an envelope", Code.RESOURCE_EXHAUSTED)
    return PREFIX.pack(flags, len(data)) + data


class EnvelopeReader:
    """Envelopes out of bytes that come in pieces of any size.

    Args:
        limit: Most bytes of one payload, as it comes over the wire; None is as many as fit an envelope.
    """

    def __init__(self, limit: Optional[int] = None) -> None:
        self._limit = limit
        self._buffer = b""
        self._start = 0
        # What came since, joined when it makes an envelope whole: many small ones in one piece cost no copying, and a
        # large one in many pieces is copied but once.
        self._later: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> None:
        """Take what came."""
        self._later.append(piece)
        self._size += len(piece)

    def next(self) -> Optional[Envelope]:
        """The next one; None if it is not whole yet.

        Raises:
            AnswerTooLargeError: It is larger than the limit.
        """
        while True:
            buffer, start = self._buffer, self._start
            begin = end = start + _PREFIX_SIZE
            if begin <= len(buffer):
                flags, length = _unpack(buffer, start)
                if self._limit is not None and length > self._limit:
                    raise AnswerTooLargeError(f"a message of {length} bytes is over the limit of {self._limit} bytes")
                end += length
                if end <= len(buffer):
                    self._start = end
                    return flags, buffer[begin:end]
            if self.rest < end - start:
                return None
            self._buffer = b"".join([buffer[start:], *self._later])
            self._start = self._size = 0
            self._later.clear()

    @property
    def rest(self) -> int:
        """How many bytes are there that no envelope was made of yet."""
        return len(self._buffer) - self._start + self._size

    def close(self) -> None:
        """Say that no more will come.

        Raises:
            EnvelopeCutShort: There are bytes that are no whole envelope.
        """
        if not self.rest:
            return
        if self.rest < _PREFIX_SIZE:
            raise EnvelopeCutShort(None, self.rest)
        _, length = _unpack(self._buffer[self._start :] + b"".join(self._later))
        raise EnvelopeCutShort(length, self.rest - _PREFIX_SIZE)
