"""The Connect protocol: messages to HTTP heads and bodies, answers to messages or errors. No I/O.

Specification: connectrpc.com, "Connect Protocol Reference".
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Optional

from flyte_lite import errors
from flyte_lite._http.unexpected import media_type
from flyte_lite._rpc.codec import PROTO, Codec
from flyte_lite._rpc.envelope import END_STREAM
from flyte_lite._rpc.headers import Headers, merged
from flyte_lite._rpc.method import Method, Req, Res
from flyte_lite._rpc.protocol import Protocol, unpacked, unpacking
from flyte_lite._rpc.wire_error import WireError
from flyte_lite.errors import Code

if TYPE_CHECKING:
    from google.protobuf.message import Message

_MOST_TIMEOUT_MS = 9_999_999_999  # ten digits are all that the header may have
# Characters; a longer address is more than some proxies take, so the call is then made by POST.
_LONGEST_TARGET = 8000


class UnaryRequest(NamedTuple):
    """An HTTP request.

    Attributes:
        verb: "POST" or "GET".
        target: Path and query.
        head: Headers.
        body: None has none.
    """

    verb: str
    target: str
    head: dict[str, str]
    body: Optional[bytes]


class Connect(Protocol):
    """The Connect protocol.

    Args:
        codec: See `Protocol`.
        compression: See `Protocol`.
        get: Ask by GET what has no side effects, so that caches on the way may answer.
        agent: See `Protocol`.
    """

    prefix: ClassVar[str] = "application/connect+"
    family: ClassVar[str] = "application/connect+"
    encoding: ClassVar[str] = "connect-content-encoding"
    end_flag: ClassVar[int] = END_STREAM

    def __init__(
        self, codec: Codec = PROTO, *, compression: Optional[str] = None, get: bool = False, agent: str = ""
    ) -> None:
        super().__init__(codec, compression=compression, agent=agent)
        self._get = get
        self._unary_type = f"application/{codec.name}"
        common = {"Accept": "*/*", "User-Agent": self._agent}
        self._get_head = {**common, "Accept-Encoding": self._accepted}
        self._unary_head = {**self._get_head, "Connect-Protocol-Version": "1", "Content-Type": self._unary_type}
        # What is in the envelopes is packed, or not; whatever packs the whole body would hold messages back.
        self._stream_head = {
            **common,
            "Accept-Encoding": "identity",
            "Connect-Accept-Encoding": self._accepted,
            "Connect-Protocol-Version": "1",
            "Content-Type": self.prefix + codec.name,
        }
        if self._packing is not None:
            self._unary_head["Content-Encoding"] = self._packing.name
            self._stream_head["Connect-Content-Encoding"] = self._packing.name

    def unary(self, method: Method[Req, Res], path: str, message: Req, left: Optional[float]) -> UnaryRequest:
        """One call as an HTTP request.

        Args:
            path: The method's path, with what stands before it.
            left: Seconds that the call has; None has no end.
        """
        if self._get and method.has_no_side_effects:
            target = f"{path}?{self._query(message)}"
            if len(target) <= _LONGEST_TARGET:
                return UnaryRequest("GET", target, _timed(self._get_head, left), None)
        return UnaryRequest("POST", path, _timed(self._unary_head, left), self._packed(message))

    def _query(self, message: Message) -> str:
        # In the order of the specification, which caches and servers may count on.
        packed = "" if self._packing is None else f"&compression={self._packing.name}"
        text = base64.urlsafe_b64encode(self._packed(message, stable=True)).decode().rstrip("=")
        return f"connect=v1&base64=1{packed}&encoding={self.codec.name}&message={text}"

    def answer(
        self, kind: type[Res], status: int, reason: str, headers: Headers, body: bytes, limit: int
    ) -> tuple[Res, Headers, Headers]:
        """The message in a unary answer, its headers and its trailers.

        Args:
            kind: The message's class.
            headers: By lower-case name; a name that begins with `trailer-` is a trailer.
            body: As it came over the wire.
            limit: Most bytes after unpacking.

        Raises:
            CallError: The answer is an error, or not one of Connect's.
        """
        trailers = {name[8:]: headers.pop(name) for name in [*headers] if name.startswith("trailer-")}
        if status != 200 or media_type(headers) != self._unary_type:
            self.refuse("application/", status, reason, merged(headers, trailers), body, limit)
        if body and "content-encoding" in headers:
            body = unpacked(body, unpacking(headers, "content-encoding"), headers, limit)
        try:
            message = self.codec.decode(body, kind)
        except ValueError as error:
            together = merged(headers, trailers)
            raise errors.InternalError(f"the answer can't be read: {error}", Code.INTERNAL, headers=together) from error
        return message, headers, trailers

    def stream_head(self, left: Optional[float]) -> dict[str, str]:
        return _timed(self._stream_head, left)

    def end(self, data: bytes) -> tuple[Headers, Optional[WireError]]:
        parsed = json.loads(data)
        if not isinstance(parsed, dict):
            raise ValueError("it is no JSON object")
        metadata = parsed.get("metadata")
        trailers: Headers = {}
        for name, values in metadata.items() if isinstance(metadata, dict) else ():
            listed = values if isinstance(values, list) else [values]
            trailers.setdefault(name.lower(), []).extend(value for value in listed if isinstance(value, str))
        wire = parsed.get("error")
        return trailers, None if wire is None else WireError.from_object(wire) or WireError(None)


def _timed(head: dict[str, str], left: Optional[float]) -> dict[str, str]:
    head = head.copy()
    if left is not None and left * 1000 <= _MOST_TIMEOUT_MS:
        head["Connect-Timeout-Ms"] = str(max(1, int(left * 1000)))
    return head
