"""The Connect protocol: unary calls by POST and by GET, and server streams.

Specification: connectrpc.com, "Unary-Request", "Unary-Get-Request", "Streaming-RPCs" and those around them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Optional

from flyte_lite._rpc.codec import Codec
from flyte_lite._rpc.compression import gunzip, gzip
from flyte_lite._rpc.envelope import END_STREAM
from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.protocols.error_json import error_object, json_bytes, status_of
from flyte_lite.devbox.protocols.protocol import Answer, Enveloped, Headers, Protocol, first_of, negotiated
from flyte_lite.errors import CallError, Code

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from flyte_lite.devbox.protocols.incoming import Incoming

_MOST = 1 << 32


class ConnectUnary(Protocol):
    """One message by POST, one back, both bare."""

    name = "connect"
    prefix = "application/"

    def __init__(self, incoming: Incoming, codec: Codec) -> None:
        super().__init__(incoming, codec)
        self._packed = self._packs = False
        self._type = incoming.content_type

    def check(self) -> Optional[float]:
        self._negotiate(self.incoming.headers.get("content-encoding", ""))
        # The middleware has unpacked the body, and taken the header away.
        _check_version(self.incoming.headers.get("connect-protocol-version", ""))
        return _timeout(self.incoming)

    def _negotiate(self, sent: str) -> None:
        accepted = self.incoming.headers.get("accept-encoding", "")
        self._packed, self._packs = negotiated("" if sent == "gzip" else sent, accepted)

    def message(self, kind: type[Message]) -> Message:
        return self.decode(self.incoming.body(), kind)

    def answer(self, messages: Iterator[bytes]) -> Answer:
        body, error = first_of(messages)
        if error is not None:
            # Never packed.
            text = json_bytes(error_object(error))
            return Answer(status_of(error.code), self._headers("application/json"), [text], len(text))
        assert body is not None
        # There is no second one, but the call is over only when that was asked for.
        assert next(messages, None) is None
        headers = self._headers(self._type)
        if self._packs:
            headers.append(("Content-Encoding", "gzip"))
            # An empty answer stays empty although it says gzip.
            body = gzip(body) if body else body
        return Answer(200, headers, [body], len(body))

    def _headers(self, content_type: str) -> Headers:
        return [("Content-Type", content_type), ("Accept-Encoding", "gzip")]


class ConnectGet(ConnectUnary):
    """A unary call whose request is in the query, for RPCs without side effects."""

    name = "connect GET"

    @classmethod
    def read(cls, incoming: Incoming) -> Optional[ConnectGet]:
        """The call in a request; None if the query names no codec."""
        content_type = cls.prefix + incoming.query.get("encoding", "")
        codec = cls.types().get(content_type)
        if codec is None:
            return None
        found = cls(incoming, codec)
        found._type = content_type
        return found

    def check(self) -> Optional[float]:
        query = self.incoming.query
        self._packed, self._packs = negotiated(
            query.get("compression", ""), self.incoming.headers.get("accept-encoding", "")
        )
        version = query.get("connect", "")
        if version not in ("", "v1"):
            raise refusal(Code.INVALID_ARGUMENT, f'connect must be "v1": got "{version}"')
        if "message" not in query:
            raise refusal(Code.INVALID_ARGUMENT, "missing message parameter")
        return _timeout(self.incoming)

    def message(self, kind: type[Message]) -> Message:
        query = self.incoming.query
        body = query["message"].encode("utf-8", "surrogateescape")
        if query.get("base64") == "1":
            body = _from_base64(body)
        if body and self._packed:
            try:
                body = gunzip(body, _MOST)
            except ValueError as error:
                raise refusal(Code.INVALID_ARGUMENT, f"decompress: {error}") from error
        return self.decode(body, kind)

    def _headers(self, content_type: str) -> Headers:
        return [*super()._headers(content_type), ("Vary", "Accept-Encoding")]


class ConnectStream(Enveloped):
    """Messages in envelopes, the last of which is JSON and holds the error, if any. The status is always 200."""

    name = "connect"
    prefix = "application/connect+"
    encoding = "Connect-Content-Encoding"
    accept_encoding = "Connect-Accept-Encoding"

    def timeout(self) -> Optional[float]:
        _check_version(self.incoming.headers.get("connect-protocol-version", ""))
        return _timeout(self.incoming)

    def special(self, flags: int, data: bytes) -> None:
        if not flags & END_STREAM:
            raise refusal(Code.INTERNAL, f"protocol error: invalid envelope flags {flags}")
        try:
            json.loads(data)
        except (ValueError, RecursionError) as error:
            raise refusal(Code.INTERNAL, f"unmarshal end stream message: {error}") from error

    def answer(self, messages: Iterator[bytes]) -> Answer:
        first, error = first_of(messages)
        return Answer(200, self.headers(), self._body(first, error, messages), None)

    def _body(self, first: Optional[bytes], error: Optional[CallError], messages: Iterator[bytes]) -> Iterator[bytes]:
        try:
            if first is not None:
                yield self.pack(0, first)
                for message in messages:
                    yield self.pack(0, message)
        except CallError as later:
            error = later
        end = {} if error is None else {"error": error_object(error)}
        yield self.pack(END_STREAM, json_bytes(end))


def _check_version(version: str) -> None:
    if version not in ("", "1"):
        raise refusal(Code.INVALID_ARGUMENT, f'Connect-Protocol-Version must be "1": got "{version}"')


def _timeout(incoming: Incoming) -> Optional[float]:
    timeout = incoming.headers.get("connect-timeout-ms", "")
    if not timeout:
        return None
    if len(timeout) > 10:
        raise refusal(Code.INVALID_ARGUMENT, f'parse timeout: "{timeout}" has >10 digits')
    if not re.fullmatch("[+-]?[0-9]+", timeout, re.ASCII):
        text = f'parse timeout: strconv.ParseInt: parsing "{timeout}": invalid syntax'
        raise refusal(Code.INVALID_ARGUMENT, text)
    return int(timeout) / 1000


def _from_base64(text: bytes) -> bytes:
    """URL-safe base64, padded or not, with line ends anywhere, as Go reads it."""
    text = text.translate(None, b"\r\n")
    padded = text + b"=" * (-len(text) % 4) if b"=" not in text else text
    try:
        if re.search(rb"[+/]", text):
            raise binascii.Error("not of the URL-safe alphabet")
        return base64.b64decode(padded, b"-_", validate=True)
    except binascii.Error as error:
        raise refusal(Code.UNKNOWN, f"read message: illegal base64 data: {error}") from error
