"""Messages to bytes and back, and bytes to fewer bytes and back. No I/O.

A codec's name is what follows `application/` (or `application/connect+`) in a content type.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from flyte_lite.errors import AnswerTooLargeError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    M = TypeVar("M", bound=Message)
else:
    M = TypeVar("M")


class Codec(Protocol):
    """How a message is written."""

    name: str

    def encode(self, message: Message) -> bytes:
        """The message's bytes."""
        ...

    def decode(self, body: bytes, kind: type[M]) -> M:
        """A new message; ValueError if the bytes are not one."""
        ...


class ProtoCodec:
    """Binary protobuf. Prefer it: fields newer than a server survive only here."""

    name = "proto"

    def encode(self, message: Message) -> bytes:
        return message.SerializeToString()

    def decode(self, body: bytes, kind: type[M]) -> M:
        from google.protobuf.message import DecodeError

        try:
            return kind.FromString(body)
        except DecodeError as error:
            raise ValueError(f"not a {kind.DESCRIPTOR.full_name}: {error}") from error


class JsonCodec:
    """Canonical protobuf JSON; unknown fields and unknown enum names are ignored when reading, as connect-go does."""

    name = "json"

    def encode(self, message: Message) -> bytes:
        from google.protobuf import json_format

        return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()

    def decode(self, body: bytes, kind: type[M]) -> M:
        from google.protobuf import json_format

        try:
            parsed = json.loads(body)
            if not isinstance(parsed, dict):
                raise TypeError("it is no object")  # protobuf takes an empty list for an empty message
            return json_format.ParseDict(parsed, kind(), ignore_unknown_fields=True)
        except (json_format.ParseError, ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"not a {kind.DESCRIPTOR.full_name} in JSON: {error}") from error


PROTO = ProtoCodec()
JSON = JsonCodec()
CODECS: Sequence[Codec] = (PROTO, JSON)

_WINDOW = 16 * 1024


def gunzip(body: bytes, limit: int) -> bytes:
    """Unpack gzip (several members too), refusing to make more than `limit` bytes of it.

    Raises:
        ValueError: It is not gzip, or it is cut short.
        AnswerTooLargeError: It would be larger than `limit`; memory is never spent on the rest.
    """
    out = []
    room = limit
    member = zlib.decompressobj(wbits=31)
    # A window at a time: after each member zlib copies what is left, which thousands of tiny ones would make costly.
    for start in range(0, len(body), _WINDOW):
        window = body[start : start + _WINDOW]
        while window:
            if member.eof:
                member = zlib.decompressobj(wbits=31)
            try:
                part = member.decompress(window, room + 1)
            except zlib.error as error:
                raise ValueError(f"not gzip: {error}") from error
            if len(part) > room:
                raise AnswerTooLargeError(f"the message is over the limit of {limit} bytes once unpacked")
            out.append(part)
            room -= len(part)
            window = member.unused_data
    if not member.eof:
        raise ValueError("the gzip body is cut short")
    return b"".join(out)


def gzip(body: bytes) -> bytes:
    """Pack as gzip, with no time in it, so that equal messages give equal bytes."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()
