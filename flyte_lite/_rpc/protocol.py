"""What both protocols have in common: messages in envelopes, packed or not, and the reading of them. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Optional

from flyte_lite import errors
from flyte_lite._http.unexpected import explain, media_type
from flyte_lite._rpc.codec import PROTO, Codec
from flyte_lite._rpc.compression import Compression, compression
from flyte_lite._rpc.envelope import COMPRESSED, EnvelopeCutShort, EnvelopeReader, pack
from flyte_lite._rpc.headers import Headers, merged
from flyte_lite._rpc.method import Res
from flyte_lite._rpc.wire_error import WireError, code_of_status
from flyte_lite._version import __version__
from flyte_lite.errors import Code, ConfigError

if TYPE_CHECKING:
    from google.protobuf.message import Message

USER_AGENT = f"flyte-lite/{__version__}"
# What says the same whoever sends it, so its own class is more use than EndpointError.
_SAID_BY_PROXIES = (Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.UNAVAILABLE)
_NO_SUCH_METHOD = (
    "this server has no such method (HTTP 404); it may be older than this client, or be served under another path"
)


class Protocol(ABC):
    """How calls look on the wire.

    Args:
        codec: How messages are written.
        compression: How those that are sent are packed; None sends them as they are, which every server takes. Answers
            may come packed in this way or as gzip.
        agent: What stands in `User-Agent` before our own name.

    Attributes:
        prefix: What the content types of streams begin with, up to the codec's name.
        family: What they begin with whatever the codec.
        encoding: The header that says how the messages of a stream are packed.
        end_flag: The flag of the envelope that ends a stream.

    Raises:
        ConfigError: This interpreter has no such compression.
    """

    prefix: ClassVar[str]
    family: ClassVar[str]
    encoding: ClassVar[str]
    end_flag: ClassVar[int]

    def __init__(self, codec: Codec = PROTO, *, compression: Optional[str] = None, agent: str = "") -> None:
        self.codec = codec
        self._agent = f"{agent} {USER_AGENT}".lstrip()
        self._packing = _packing(compression)
        self._accepted = "gzip" if compression in (None, "identity", "gzip") else f"{compression}, gzip"

    @abstractmethod
    def stream_head(self, left: Optional[float]) -> dict[str, str]:
        """Headers of a request in envelopes that has `left` seconds; None has no end."""

    @abstractmethod
    def end(self, data: bytes) -> tuple[Headers, Optional[WireError]]:
        """Trailers, and the error if there is one, of the envelope that ends a stream.

        Raises:
            ValueError, RecursionError: It is no such thing.
        """

    def end_without_body(self, headers: Headers) -> tuple[Headers, Optional[WireError]]:
        """The same, of an answer with no body at all; see `end`."""
        raise ValueError("the answer has no body")

    def envelope(self, message: Message) -> bytes:
        """A message as it goes into a stream.

        Raises:
            RpcError: It is larger than an envelope can be (resource_exhausted).
        """
        return pack(0 if self._packing is None else COMPRESSED, self._packed(message))

    def _packed(self, message: Message, *, stable: bool = False) -> bytes:
        data = self.codec.encode(message, stable=stable)
        return data if self._packing is None else self._packing.pack(data)

    def reader(self, kind: type[Res], status: int, headers: Headers, limit: int) -> Optional[AnswerReader[Res]]:
        """What reads the body of an answer in envelopes; None if it is none, see `refuse`.

        Raises:
            CallError: It is packed in a way that this interpreter does not know.
        """
        if status != 200 or not self._speaks(media_type(headers)):
            return None
        return AnswerReader(self, kind, headers, limit)

    def _speaks(self, media: str) -> bool:
        return media == self.prefix + self.codec.name

    def refuse(self, family: str, status: int, reason: str, headers: Headers, body: bytes, limit: int) -> NoReturn:
        """Raise what an answer means that has no message of ours.

        Args:
            family: What the content types of the answers that were wanted begin with.
        """
        media = media_type(headers)
        code = Code.INTERNAL if status == 200 and media.startswith(family) else code_of_status(status)
        if status != 200 and media == "application/json":
            wire = WireError.from_json(unpacked(body, unpacking(headers, "content-encoding"), headers, limit))
            if wire is not None:
                raise wire.to_exception(headers, code)
        if status == 404 and media == "text/plain":
            raise errors.UnimplementedError(_NO_SUCH_METHOD, code, headers=headers)
        kind = errors.class_of(code) if code in _SAID_BY_PROXIES else errors.EndpointError
        raise kind(explain(status, reason, headers, body), code, headers=headers)


def _packing(name: Optional[str]) -> Optional[Compression]:
    found = compression(name or "identity")
    if found is None and name not in (None, "identity"):
        raise ConfigError(
            f"compression is {name!r}; this interpreter has gzip, zstd with the package backports.zstd (or Python "
            "3.14), and br with brotli 1.2"
        )
    return found


def unpacking(headers: Headers, name: str) -> Optional[Compression]:
    """How the bytes of an answer are packed, by the header `name`; None if they are not.

    Raises:
        InternalError: In a way that this interpreter does not know.
    """
    encoding = headers.get(name, ["identity"])[0].strip().lower()
    found = compression(encoding)
    if found is None and encoding not in ("", "identity"):
        text = f"the answer is packed as {encoding[:40]!r}, which was not asked for"
        raise errors.InternalError(text, Code.INTERNAL, headers=headers)
    return found


def unpacked(data: bytes, packing: Optional[Compression], headers: Headers, limit: int) -> bytes:
    """The bytes that were packed; nothing at all is not unpacked, as servers pack it or not as they like.

    Raises:
        InternalError: They were not.
        AnswerTooLargeError: More than `limit` would come of them.
    """
    try:
        return packing.unpack(data, limit) if data and packing is not None else data
    except ValueError as error:
        raise errors.InternalError(f"the answer can't be unpacked: {error}", Code.INTERNAL, headers=headers) from error
    except errors.AnswerTooLargeError as error:
        error.headers = headers
        raise


class AnswerReader(Generic[Res]):
    """The messages of a stream out of pieces of any size.

    Args:
        protocol: What the pieces are in.
        kind: The messages' class.
        headers: Of the answer.
        limit: Most bytes of one message, packed or unpacked.

    Attributes:
        trailers: What came with the end; empty before it.
        ended: True once the end has come.
    """

    def __init__(self, protocol: Protocol, kind: type[Res], headers: Headers, limit: int) -> None:
        self._protocol = protocol
        self._kind = kind
        self._decode = protocol.codec.decode
        self._headers = headers
        self._limit = limit
        self._packing = unpacking(headers, protocol.encoding)
        self._envelopes = EnvelopeReader(limit)
        self._empty = True
        self.trailers: Headers = {}
        self.ended = False

    def feed(self, piece: bytes) -> None:
        """Take what came."""
        self._empty = False
        self._envelopes.feed(piece)

    def next(self) -> Optional[Res]:
        """The next message; None if it is not whole yet, or the end has come.

        Raises:
            CallError: The stream ended with one, or is not as it should be.
        """
        envelope = None if self.ended else self._envelopes.next()
        if envelope is None:
            return None
        flags, data = envelope
        if flags:
            if flags & ~(COMPRESSED | self._protocol.end_flag):
                self._fail(f"an envelope of the answer has unknown flags (0x{flags:02x})")
            if flags & COMPRESSED:
                if self._packing is None:
                    self._fail("an envelope of the answer is packed, though its headers say that none is")
                data = unpacked(data, self._packing, self._headers, self._limit)
            if flags & self._protocol.end_flag:
                self._end(self._protocol.end, data)
                return None
        try:
            return self._decode(data, self._kind)
        except ValueError as error:
            self._fail(f"the answer can't be read: {error}", error)

    def over(self, rest: bytes = b"") -> None:
        """No more comes.

        Args:
            rest: What came behind the end.

        Raises:
            CallError: That was not the end, or not all.
        """
        if self.ended:
            if rest or self._envelopes.rest:
                self._fail("the answer goes on behind its end")
        elif self._empty:
            self._end(self._protocol.end_without_body, self._headers)
        else:
            try:
                self._envelopes.close()
            except EnvelopeCutShort as error:
                self._fail(f"the answer was cut short: {error}", error)
            self._fail("the answer was cut short: the message that ends a stream did not come")

    def _end(self, read: Callable[[Any], tuple[Headers, Optional[WireError]]], end: Any) -> None:
        self.ended = True
        try:
            self.trailers, wire = read(end)
        except (ValueError, RecursionError) as error:
            self._fail(f"the end of the answer can't be read: {error}", error)
        if wire is not None:
            raise wire.to_exception(merged(self._headers, self.trailers))

    def _fail(self, problem: str, cause: Optional[Exception] = None) -> NoReturn:
        raise errors.InternalError(problem, Code.INTERNAL, headers=self._headers) from cause
