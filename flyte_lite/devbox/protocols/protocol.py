"""What the protocols have in common: content types, negotiation of gzip, and messages in envelopes."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from flyte_lite._rpc.codec import JSON, PROTO, Codec
from flyte_lite._rpc.compression import gunzip, gzip
from flyte_lite._rpc.envelope import COMPRESSED, EnvelopeCutShort, EnvelopeReader, pack
from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.protocols import protojson
from flyte_lite.devbox.protocols.error_json import error_object, json_bytes, status_of
from flyte_lite.errors import CallError, Code

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from flyte_lite.devbox.protocols.incoming import Incoming

Headers = list[tuple[str, str]]

# Unpacked, one message of a stream; a middleware that unpacks whole bodies has no limit on the real server.
_MOST = 1 << 32


class Answer(NamedTuple):
    """What goes back.

    Attributes:
        status: Of HTTP.
        headers: Without those that say how long the body is.
        body: In pieces, each sent as soon as it is there.
        length: Of the body; None sends it in chunks.
        trailers: Sent after the last chunk.
    """

    status: int
    headers: Headers
    body: Iterable[bytes] = ()
    length: Optional[int] = 0
    trailers: Optional[Headers] = None


class Protocol(ABC):
    """One request in one protocol.

    Args:
        incoming: The request.
        codec: How its messages and those of the answer are written.

    Attributes:
        name: The protocol's, for people.
        prefix: What its content types begin with, up to the codec's name.
    """

    name = ""
    prefix = ""

    def __init__(self, incoming: Incoming, codec: Codec) -> None:
        self.incoming = incoming
        self.codec = codec

    @classmethod
    def types(cls) -> Mapping[str, Codec]:
        """The codec of each content type."""
        found = {cls.prefix + codec.name: codec for codec in (PROTO, JSON)}
        return {**found, f"{cls.prefix}{JSON.name}; charset=utf-8": JSON}

    @abstractmethod
    def check(self) -> Optional[float]:
        """Look at the protocol's headers; the seconds that the call may take, None for any number.

        Raises:
            CallError: They are not as they should be.
        """

    @abstractmethod
    def message(self, kind: type[Message]) -> Message:
        """The one message of the request.

        Raises:
            CallError: There is none, more than one, or it can't be read.
        """

    @abstractmethod
    def answer(self, messages: Iterator[bytes]) -> Answer:
        """The answer, as far as it is known once the first message or the end is.

        Args:
            messages: Encoded. They end, or raise CallError for an error; what else they raise passes through.
        """

    def refused(self, error: CallError) -> Answer:
        """The answer of somebody who stands before all services, and whose HTTP status says it already."""
        return refused(error)

    def decode(self, data: bytes, kind: type[Message]) -> Message:
        """A message out of its bytes.

        Raises:
            InvalidArgumentError: They are not one.
        """
        if self.codec is JSON and not data:
            raise refusal(Code.INVALID_ARGUMENT, "unmarshal message: zero-length payload is not a valid JSON object")
        try:
            return protojson.read(data, kind) if self.codec is JSON else self.codec.decode(data, kind)
        except ValueError as error:
            raise refusal(Code.INVALID_ARGUMENT, f"unmarshal message: {error}") from error


def refused(error: CallError) -> Answer:
    """An error as Connect's unary calls have it."""
    text = json_bytes(error_object(error))
    return Answer(status_of(error.code), [("Content-Type", "application/json")], [text], len(text))


def negotiated(sent: str, accepted: str) -> tuple[bool, bool]:
    """Whether requests are packed with gzip, and whether answers are to be.

    Args:
        sent: The header that names the request's encoding.
        accepted: The one that lists those for the answer; only the plain word counts.

    Raises:
        UnimplementedError: Packed with anything else.
    """
    if sent not in ("", "identity", "gzip"):
        raise refusal(Code.UNIMPLEMENTED, f'unknown compression "{sent}": supported encodings are gzip')
    packed = sent == "gzip"
    return packed, packed or "gzip" in re.split("[, ]", accepted)


class Enveloped(Protocol):
    """A protocol whose messages are in envelopes.

    Attributes:
        encoding: The header that says how messages are packed, in either direction.
        accept_encoding: The header that says how they may be.
    """

    encoding = ""
    accept_encoding = ""

    def __init__(self, incoming: Incoming, codec: Codec) -> None:
        super().__init__(incoming, codec)
        self._packed = False
        # None: not agreed upon. connect-go sends an empty header then.
        self._packs: Optional[bool] = None

    def check(self) -> Optional[float]:
        headers = self.incoming.headers
        self._packed, self._packs = negotiated(
            headers.get(self.encoding.lower(), ""), headers.get(self.accept_encoding.lower(), "")
        )
        return self.timeout()

    @abstractmethod
    def timeout(self) -> Optional[float]:
        """The seconds that the call may take.

        Raises:
            InvalidArgumentError: The header can't be read.
        """

    @abstractmethod
    def special(self, flags: int, data: bytes) -> None:
        """Look at an envelope that is no message, as only answers may have one.

        Raises:
            InternalError: It is none of the protocol's.
        """

    def message(self, kind: type[Message]) -> Message:
        reader = EnvelopeReader()
        reader.feed(self.incoming.body())
        first = self._next(reader, kind)
        if first is None:
            raise refusal(Code.UNIMPLEMENTED, "unary request has zero messages")
        if self._next(reader, kind) is not None:
            raise refusal(Code.UNIMPLEMENTED, "unary request has multiple messages")
        return first

    def _next(self, reader: EnvelopeReader, kind: type[Message]) -> Optional[Message]:
        """The next message; None at the end."""
        envelope = reader.next()
        if envelope is None:
            try:
                reader.close()
            except EnvelopeCutShort as error:
                cut = "incomplete envelope: unexpected EOF" if error.promised is None else str(error)
                raise refusal(Code.INVALID_ARGUMENT, f"protocol error: {cut}") from error
            return None
        flags, data = envelope
        empty = not data
        if flags & COMPRESSED and not self._packed:
            text = "protocol error: sent compressed message without compression support"
            raise refusal(Code.INTERNAL, text)
        if data and flags & COMPRESSED:
            try:
                data = gunzip(data, _MOST)
            except ValueError as error:
                raise refusal(Code.INVALID_ARGUMENT, f"decompress: {error}") from error
        if flags & ~COMPRESSED:
            if reader.rest:
                text = f"corrupt response: {reader.rest} extra bytes after end of stream"
                raise refusal(Code.INTERNAL, text)
            self.special(flags, data)
            return None
        # Nothing at all is the empty message, in JSON too.
        return kind() if empty else self.decode(data, kind)

    def pack(self, flags: int, data: bytes) -> bytes:
        """An envelope of the answer, packed if that was agreed upon, however short it is."""
        return pack(flags | COMPRESSED, gzip(data)) if self._packs else pack(flags, data)

    def headers(self) -> Headers:
        """Of the answer."""
        headers = [("Content-Type", self.incoming.content_type), (self.accept_encoding, "gzip")]
        if self._packs is not False:
            headers.append((self.encoding, "gzip" if self._packs else ""))
        return headers


def first_of(messages: Iterator[Any]) -> tuple[Optional[Any], Optional[CallError]]:
    """The first of them or the error that came instead; neither if there are none."""
    try:
        return next(messages, None), None
    except CallError as error:
        return None, error
