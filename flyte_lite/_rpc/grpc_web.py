"""gRPC-Web: the same calls with gRPC's status and trailers in the body. No I/O.

Specification: github.com/grpc/grpc, doc/PROTOCOL-WEB.md. Unary calls and streams look alike in it.
"""

from __future__ import annotations

import contextlib
from typing import ClassVar, Optional
from urllib.parse import unquote

from flyte_lite._rpc.codec import PROTO, Codec
from flyte_lite._rpc.envelope import TRAILERS
from flyte_lite._rpc.headers import Headers, binary
from flyte_lite._rpc.protocol import Protocol
from flyte_lite._rpc.wire_error import WireError
from flyte_lite.errors import Code, ErrorDetail
from flyte_lite.idl.google.rpc import status_pb2

# gRPC counts its codes from 1 in just this order; 0 is no error.
_CODES = dict(enumerate(Code, 1))
_STATUS = ("grpc-status", "grpc-message", "grpc-status-details-bin")
_MOST = 99_999_999  # of any unit: eight digits are all that a timeout may have


class GrpcWeb(Protocol):
    """gRPC-Web, for servers and proxies that know no Connect."""

    prefix: ClassVar[str] = "application/grpc-web+"
    family: ClassVar[str] = "application/grpc-web"
    encoding: ClassVar[str] = "grpc-encoding"
    end_flag: ClassVar[int] = TRAILERS

    def __init__(self, codec: Codec = PROTO, *, compression: Optional[str] = None, agent: str = "") -> None:
        super().__init__(codec, compression=compression, agent=agent)
        self._head = {
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Content-Type": self.prefix + codec.name,
            "Grpc-Accept-Encoding": self._accepted,
            "User-Agent": self._agent,
            "X-Grpc-Web": "1",
            "X-User-Agent": self._agent,
        }
        if self._packing is not None:
            self._head["Grpc-Encoding"] = self._packing.name

    def stream_head(self, left: Optional[float]) -> dict[str, str]:
        head = self._head.copy()
        if left is not None and left <= _MOST:
            milliseconds = max(1, int(left * 1000))
            head["Grpc-Timeout"] = f"{milliseconds}m" if milliseconds <= _MOST else f"{int(left)}S"
        return head

    def _speaks(self, media: str) -> bool:
        # Without a codec's name it is proto.
        return super()._speaks(media) or (media == self.family and self.codec.name == PROTO.name)

    def end(self, data: bytes) -> tuple[Headers, Optional[WireError]]:
        trailers: Headers = {}
        for line in data.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon:
                trailers.setdefault(name.strip().lower(), []).append(value.strip())
            elif line:
                raise ValueError("a line of it has no colon")
        error = _error(trailers)
        return {name: values for name, values in trailers.items() if name not in _STATUS}, error

    def end_without_body(self, headers: Headers) -> tuple[Headers, Optional[WireError]]:
        # What would be trailers came as headers, and stays there.
        return {}, _error(headers)


def _error(trailers: Headers) -> Optional[WireError]:
    number = trailers.get("grpc-status", [""])[0]
    if number == "0":
        return None
    if not number:
        raise ValueError("it has no grpc-status")
    code = _CODES.get(int(number)) if number.isascii() and number.isdigit() else None
    message = unquote(trailers.get("grpc-message", [""])[0])
    for value in binary(trailers, "grpc-status-details-bin"):
        with contextlib.suppress(ValueError):  # what can't be read hides nothing of the rest
            status = PROTO.decode(value, status_pb2.Status)
            details = tuple(ErrorDetail(each.type_url.rpartition("/")[2], each.value) for each in status.details)
            return WireError(_CODES.get(status.code, code), status.message or message, details)
    return WireError(code, message)
