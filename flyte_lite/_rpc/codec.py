"""Messages to bytes and back. No I/O.

A codec's name is what follows `application/` (or `application/connect+`) in a content type.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from google.protobuf.message import Message

    M = TypeVar("M", bound=Message)
else:
    M = TypeVar("M")


class Codec(Protocol):
    """How a message is written."""

    name: str

    def encode(self, message: Message, *, stable: bool = False) -> bytes:
        """The message's bytes; `stable` gives equal ones for equal messages, which caches of GET need."""

    def decode(self, body: bytes, kind: type[M]) -> M:
        """A new message; ValueError if the bytes are not one."""


class ProtoCodec:
    """Binary protobuf. Prefer it: fields newer than a server survive only here."""

    name = "proto"

    def encode(self, message: Message, *, stable: bool = False) -> bytes:
        # Asking is cheaper than passing a keyword into C.
        return message.SerializeToString(deterministic=True) if stable else message.SerializeToString()

    def decode(self, body: bytes, kind: type[M]) -> M:
        try:
            return kind.FromString(body)
        except _decode_error() as error:
            raise ValueError(f"not a {kind.DESCRIPTOR.full_name}: {error}") from error


def _decode_error() -> type[Exception]:
    # Only looked for when there is something to catch: an import for each small message of a stream would be felt.
    from google.protobuf.message import DecodeError

    return DecodeError


class JsonCodec:
    """Canonical protobuf JSON; unknown fields and unknown enum names are ignored when reading, as connect-go does."""

    name = "json"

    def encode(self, message: Message, *, stable: bool = False) -> bytes:
        from google.protobuf import json_format

        return json_format.MessageToJson(
            message, indent=None, ensure_ascii=False, sort_keys=stable, descriptor_pool=_pool(type(message))
        ).encode()

    def decode(self, body: bytes, kind: type[M]) -> M:
        from google.protobuf import json_format

        try:
            parsed = json.loads(body)
            if not isinstance(parsed, dict):
                raise TypeError("it is no object")  # protobuf takes an empty list for an empty message
            return json_format.ParseDict(parsed, kind(), ignore_unknown_fields=True, descriptor_pool=_pool(kind))
        except (json_format.ParseError, ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"not a {kind.DESCRIPTOR.full_name} in JSON: {error}") from error


def _pool(kind: type[Message]) -> Any:
    # Where the types inside an `Any` are looked for.
    return kind.DESCRIPTOR.file.pool


PROTO = ProtoCodec()
JSON = JsonCodec()
