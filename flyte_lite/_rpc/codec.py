"""Messages to bytes and back, and bytes to fewer bytes and back. No I/O.

A codec's name is what follows `application/` (or `application/connect+`) in a content type.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from flyte_lite.errors import Code, RpcError

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
            return json_format.Parse(body, kind(), ignore_unknown_fields=True)
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise ValueError(f"not a {kind.DESCRIPTOR.full_name} in JSON: {error}") from error


PROTO = ProtoCodec()
JSON = JsonCodec()
CODECS: Sequence[Codec] = (PROTO, JSON)


def gunzip(body: bytes, limit: int) -> bytes:
    """Unpack gzip (several members too), refusing to make more than `limit` bytes of it.

    Raises:
        ValueError: It is not gzip, or it is cut short.
        RpcError: It would be larger than `limit` (resource_exhausted); memory is never spent on the rest.
    """
    out = []
    room = limit
    while body:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(body, room + 1)
        except zlib.error as error:
            raise ValueError(f"not gzip: {error}") from error
        if len(part) > room:
            raise RpcError(f"the message is over the limit of {limit} bytes once unpacked", Code.RESOURCE_EXHAUSTED)
        if not member.eof:
            raise ValueError("the gzip body is cut short")
        out.append(part)
        room -= len(part)
        body = member.unused_data
    return b"".join(out)


def gzip(body: bytes) -> bytes:
    """Pack as gzip, with no time in it, so that equal messages give equal bytes."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()
