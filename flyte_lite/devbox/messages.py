"""What a worker and its devbox tell each other, as bytes. Pure, and imports little: every attempt pays for it.

A message is a letter, a length of four bytes and a body. The body of a call and of its answer is a line of JSON and
then a message of protobuf.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# From the worker: the task is running; its outputs; its error as JSON.
RUNNING, OUTPUTS, ERROR = b"R", b"O", b"E"
# From the worker: another task is called; nobody waits for that call any more; a trace is asked for; a trace has ended.
CALL, CANCEL, TRACE, TRACED = b"C", b"X", b"T", b"D"
# From the worker: its report, as far as it is written.
REPORT = b"H"
# From the devbox: what came of a call, or of the question for a trace.
ANSWER = b"A"

_FRAME = struct.Struct(">cI")


def message(kind: bytes, body: bytes = b"") -> bytes:
    """A message as it is sent."""
    return _FRAME.pack(kind, len(body)) + body


def with_header(header: Mapping[str, Any], rest: bytes = b"") -> bytes:
    """The body of a message that has a line of JSON before its bytes."""
    return json.dumps(header).encode() + b"\n" + rest


def parted(body: bytes) -> tuple[dict[str, Any], bytes]:
    """What `with_header` put together."""
    header, _, rest = body.partition(b"\n")
    return json.loads(header), rest


class Messages:
    """Messages out of bytes that come in pieces."""

    def __init__(self) -> None:
        self._data = bytearray()

    def of(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Take the next bytes; letter and body of each message that is whole now."""
        self._data += data
        while len(self._data) >= _FRAME.size:
            kind, size = _FRAME.unpack_from(self._data)
            end = _FRAME.size + size
            if len(self._data) < end:
                return
            body = bytes(self._data[_FRAME.size : end])
            del self._data[:end]
            yield kind, body
