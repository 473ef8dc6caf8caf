"""gRPC-Web, and gRPC itself as far as HTTP/1.1 carries it: messages in envelopes, the outcome in trailers.

gRPC-Web has its trailers in a last envelope; gRPC has them after the last chunk, where few HTTP/1.1 clients look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Optional
from urllib.parse import quote

from flyte_lite._rpc.codec import PROTO, Codec
from flyte_lite._rpc.envelope import TRAILERS
from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.protocols.error_json import status_of
from flyte_lite.devbox.protocols.protocol import Answer, Enveloped, Headers, first_of
from flyte_lite.errors import CallError, Code

# Its numbers are the order of the codes, from 1.
_NUMBERS: Mapping[Code, int] = {
    code: number
    for number, code in enumerate(
        (
            Code.CANCELED,
            Code.UNKNOWN,
            Code.INVALID_ARGUMENT,
            Code.DEADLINE_EXCEEDED,
            Code.NOT_FOUND,
            Code.ALREADY_EXISTS,
            Code.PERMISSION_DENIED,
            Code.RESOURCE_EXHAUSTED,
            Code.FAILED_PRECONDITION,
            Code.ABORTED,
            Code.OUT_OF_RANGE,
            Code.UNIMPLEMENTED,
            Code.INTERNAL,
            Code.UNAVAILABLE,
            Code.DATA_LOSS,
            Code.UNAUTHENTICATED,
        ),
        1,
    )
}
_SECONDS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "S": 1.0, "M": 60.0, "H": 3600.0}
# What Go can count in nanoseconds; above it there is no end.
_MOST_HOURS = 2_562_047
# All that may stand bare in Grpc-Message.
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class Grpc(Enveloped):
    """gRPC over HTTP/1.1."""

    name = "grpc"
    prefix = "application/grpc+"
    encoding = "Grpc-Encoding"
    accept_encoding = "Grpc-Accept-Encoding"

    @classmethod
    def types(cls) -> Mapping[str, Codec]:
        return {**super().types(), cls.prefix[:-1]: PROTO}

    def timeout(self) -> Optional[float]:
        timeout = self.incoming.headers.get("grpc-timeout", "")
        if not timeout:
            return None
        unit = _SECONDS.get(timeout[-1])
        if unit is None:
            raise refusal(Code.INVALID_ARGUMENT, f"protocol error: timeout has invalid unit '{timeout[-1]}'")
        if not re.fullmatch("[+]?[0-9]{1,18}|-0+", timeout[:-1], re.ASCII):
            raise refusal(Code.INVALID_ARGUMENT, f'protocol error: invalid timeout "{timeout}"')
        number = int(timeout[:-1])
        if number > 99_999_999:
            raise refusal(Code.INVALID_ARGUMENT, f'protocol error: timeout "{timeout}" is too long')
        return None if timeout[-1] == "H" and number > _MOST_HOURS else number * unit

    def special(self, flags: int, data: bytes) -> None:
        raise refusal(Code.INTERNAL, f"protocol error: invalid envelope flags {flags}")

    def refused(self, error: CallError) -> Answer:
        headers = [("Content-Type", self.incoming.content_type), *_outcome(error)]
        return Answer(status_of(error.code), headers)

    def answer(self, messages: Iterator[bytes]) -> Answer:
        first, error = first_of(messages)
        # Filled while the body is sent, and read after it.
        trailers: Headers = []
        return Answer(200, self.headers(), self._body(first, error, messages, trailers), None, trailers)

    def _body(
        self, first: Optional[bytes], error: Optional[CallError], messages: Iterator[bytes], trailers: Headers
    ) -> Iterator[bytes]:
        try:
            if first is not None:
                yield self.pack(0, first)
                for message in messages:
                    yield self.pack(0, message)
        except CallError as later:
            error = later
        trailers += _outcome(error)


class GrpcWeb(Grpc):
    """gRPC-Web, not as base64 text. Without any message the outcome is in the headers."""

    name = "grpc-web"
    prefix = "application/grpc-web+"

    def special(self, flags: int, data: bytes) -> None:
        if not flags & TRAILERS:
            super().special(flags, data)
        for line in data.splitlines():
            if line and not re.match(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:", line):
                raise refusal(Code.INTERNAL, "gRPC-Web protocol error: trailers invalid: malformed MIME header line")

    def answer(self, messages: Iterator[bytes]) -> Answer:
        first, error = first_of(messages)
        if first is None:
            return Answer(200, [*self.headers(), *_outcome(error)], (), None)
        return Answer(200, self.headers(), self._web_body(first, messages), None)

    def _web_body(self, first: bytes, messages: Iterator[bytes]) -> Iterator[bytes]:
        trailers: Headers = []
        yield from self._body(first, None, messages, trailers)
        lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in trailers)
        yield self.pack(TRAILERS, lines.encode())


def _outcome(error: Optional[CallError]) -> Headers:
    if error is None:
        return [("Grpc-Status", "0")]
    return [("Grpc-Message", quote(error.message, safe=_PRINTABLE)), ("Grpc-Status", str(_NUMBERS[error.code]))]
