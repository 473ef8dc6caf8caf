"""An HTTP request as WSGI hands it over, after what the real server's middleware makes of it."""

from __future__ import annotations

import email.message
import re
import zlib
from collections.abc import Mapping
from typing import Any, Optional
from urllib.parse import unquote_plus

from flyte_lite.devbox._refusal import ConnectionDropped, refusal
from flyte_lite.errors import Code

Environ = Mapping[str, Any]

_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_PLAIN_TYPE = re.compile("[a-z.+-]+/[a-z.+-]+")


class Incoming:
    """One request.

    Attributes:
        method: Of HTTP.
        path: Decoded.
        scheme: "http" or "https", as it came in here.
        headers: By lower-case name.
        content_type: In connect-go's canonical form, so that types can be compared.
        query: The first value of each parameter.
        raw_query: The same as it came.
    """

    def __init__(self, environ: Environ) -> None:
        self._environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ["PATH_INFO"]
        self.scheme: str = environ.get("wsgi.url_scheme", "http")
        self.headers = {
            name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
        }
        self.content_type = _canonical(environ.get("CONTENT_TYPE") or "")
        self._chunked = bool(environ.get("wsgi.input_terminated"))
        length = environ.get("CONTENT_LENGTH")
        # Chunks win over a length.
        self._length: Optional[int] = int(length) if length and not self._chunked else None
        self.query: dict[str, str] = {}
        self.raw_query: str = environ.get("QUERY_STRING", "")
        for pair in self.raw_query.split("&"):
            name, _, value = pair.partition("=")
            # Go leaves out what is not escaped as it should be, and what holds a semicolon.
            if pair and ";" not in pair and not _BAD_ESCAPE.search(pair):
                self.query.setdefault(_unescaped(name), _unescaped(value))

    @property
    def has_body(self) -> bool:
        """Whether there is more than a head; what comes in chunks counts if it brings a byte."""
        return bool(self._length or self._read()) if self._length is not None or self._chunked else False

    def body(self) -> bytes:
        """The body, unpacked if the whole of it came as gzip.

        Raises:
            ConnectionDropped: It was cut short: half a message may well be a valid one, of another meaning.
            RpcError: It is packed, and cut short inside (unknown).
        """
        body = self._read()
        return _gunzip(body) if self.headers.get("content-encoding") == "gzip" else body

    def _read(self) -> bytes:
        pieces = []
        source = self._environ["wsgi.input"]
        try:
            # In pieces, because whoever sends a length need not send as many bytes.
            while piece := source.read(1 << 20):
                pieces.append(piece)
        except (ValueError, OSError, MemoryError, OverflowError) as error:
            raise ConnectionDropped("the request can't be read") from error
        body = b"".join(pieces)
        if self._length is not None and len(body) < self._length:
            raise ConnectionDropped("the request was cut short")
        return body


def _unescaped(text: str) -> str:
    # WSGI gives bytes as latin-1.
    return unquote_plus(text.encode("latin-1").decode("utf-8", "surrogateescape"), errors="surrogateescape")


def _gunzip(body: bytes) -> bytes:
    # The real server unpacks in a middleware, before Connect sees the body; what is no gzip is an empty body then.
    out = []
    while body:
        member = zlib.decompressobj(wbits=31)
        try:
            out.append(member.decompress(body))
        except zlib.error:
            break
        if not member.eof:
            raise refusal(Code.UNKNOWN, "read message: unexpected EOF")
        body = member.unused_data
    return b"".join(out)


def _canonical(content_type: str) -> str:
    if _PLAIN_TYPE.fullmatch(content_type):
        return content_type
    parsed = email.message.Message()
    parsed["Content-Type"] = content_type
    found = parsed.get_params()
    if not found or "/" not in found[0][0]:
        return content_type
    parameters = {name.lower(): value.lower() if name.lower() == "charset" else value for name, value in found[1:]}
    return "; ".join([found[0][0].lower(), *(f"{name}={value}" for name, value in sorted(parameters.items()))])
