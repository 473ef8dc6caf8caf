"""Connect's unary protocol as one WSGI application: paths, methods, content types, codecs, compression, errors.

It answers as connect-go and the real server's middleware do, quirks included. The rules are those of connectrpc.com,
"Unary-Request" and "Unary-Response".
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from flyte_lite._rpc.codec import JSON, PROTO, Codec, gzip
from flyte_lite._rpc.wire_error import WireError, status_of
from flyte_lite.devbox._refusal import ConnectionDropped, refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.errors import CallError, Code

if TYPE_CHECKING:
    from flyte_lite.devbox.services import Rpc

    Environ = Mapping[str, Any]
    Headers = list[tuple[str, str]]
    StartResponse = Callable[[str, Headers], Any]

_log = logging.getLogger("flyte_lite.devbox")

_CODECS: Mapping[str, Codec] = {
    "application/proto": PROTO,
    "application/json": JSON,
    "application/json; charset=utf-8": JSON,
}
_ACCEPT_POST = ", ".join(sorted(_CODECS))
_TEXT = "text/plain; charset=utf-8"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    499: "Client Closed Request",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_OAUTH = "/.well-known/oauth-authorization-server"
_NO_OAUTH = "unimplemented: oauth2 metadata is not configured; set runs.authMetadata.externalAuthServerBaseUrl\n"


class Answer(NamedTuple):
    """What goes back."""

    status: int
    headers: Headers
    body: bytes = b""


class Application:
    """The WSGI application.

    Args:
        rpcs: What is served, by path.

    Raises:
        ConnectionDropped: From a call, where the server is to close the connection without an answer.
    """

    def __init__(self, rpcs: Mapping[str, Rpc]) -> None:
        self._rpcs = rpcs

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        rpc = self._rpcs.get(environ["PATH_INFO"])
        answer = _elsewhere(environ) if rpc is None else _post(rpc, environ)
        headers = [*answer.headers, ("Content-Length", str(len(answer.body)))]
        start_response(f"{answer.status} {_REASONS[answer.status]}", headers)
        return [answer.body]


def _elsewhere(environ: Environ) -> Answer:
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    if path in ("/healthz", "/readyz") and method in ("GET", "HEAD"):
        return Answer(200, [("Content-Type", _TEXT)], b"OK" if method == "GET" else b"")
    if path == _OAUTH:
        if method != "GET":
            return _text(405, "method not allowed\n", ("Allow", "GET"))
        return _text(501, _NO_OAUTH)
    return _text(404, "404 page not found\n")


def _text(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    return Answer(status, [("Content-Type", _TEXT), ("X-Content-Type-Options", "nosniff"), *headers], text.encode())


def _post(rpc: Rpc, environ: Environ) -> Answer:
    if environ["REQUEST_METHOD"] != "POST":
        return Answer(405, [("Allow", "POST")])
    content_type = environ.get("CONTENT_TYPE", "")
    codec = _CODECS.get(content_type.lower())
    if codec is None:
        return Answer(415, [("Accept-Post", _ACCEPT_POST)])
    try:
        _check_protocol(environ)
        response = rpc.handle(_request(rpc, codec, environ), Call(_headers(environ)))
        body = codec.encode(response)
    except CallError as error:
        return _refused(WireError(error.code, error.message, error.details))
    except ConnectionDropped:
        raise
    except Exception as error:  # noqa: BLE001 - a defect of a handler: the caller is told, the server lives on
        _log.exception("the devbox failed to answer %s", environ["PATH_INFO"])
        return _refused(WireError(Code.INTERNAL, f"the devbox failed: {type(error).__name__}: {error}"))
    headers = [("Content-Type", content_type.lower()), ("Accept-Encoding", "gzip")]
    if "gzip" in re.split(r"\s*,\s*", environ.get("HTTP_ACCEPT_ENCODING", "").strip()):
        headers.append(("Content-Encoding", "gzip"))
        # An empty answer stays empty although it says gzip.
        body = gzip(body) if body else body
    return Answer(200, headers, body)


def _refused(error: WireError) -> Answer:
    assert error.code is not None
    headers = [("Content-Type", "application/json"), ("Accept-Encoding", "gzip")]
    return Answer(status_of(error.code), headers, error.to_json())


def _check_protocol(environ: Environ) -> None:
    version = environ.get("HTTP_CONNECT_PROTOCOL_VERSION", "1")
    if version != "1":
        raise refusal(Code.INVALID_ARGUMENT, f'Connect-Protocol-Version must be "1": got "{version}"')
    timeout = environ.get("HTTP_CONNECT_TIMEOUT_MS", "")
    if len(timeout) > 10:
        raise refusal(Code.INVALID_ARGUMENT, f'parse timeout: "{timeout}" has >10 digits')
    if timeout and not re.fullmatch("[+-]?[0-9]+", timeout):
        text = f'parse timeout: strconv.ParseInt: parsing "{timeout}": invalid syntax'
        raise refusal(Code.INVALID_ARGUMENT, text)
    if timeout and int(timeout) <= 0:
        raise refusal(Code.DEADLINE_EXCEEDED, "context deadline exceeded")


def _request(rpc: Rpc, codec: Codec, environ: Environ) -> Any:
    body = environ["wsgi.input"].read()
    if len(body) < int(environ.get("CONTENT_LENGTH") or 0):
        # Half a message may well be a valid one, of another meaning.
        raise ConnectionDropped("the request was cut short")
    encoding = environ.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding == "gzip":
        body = _gunzip(body)
    elif encoding not in ("", "identity"):
        raise refusal(Code.UNIMPLEMENTED, f'unknown compression "{encoding}": supported encodings are gzip')
    if codec is JSON and not body:
        text = "unmarshal message: zero-length payload is not a valid JSON object"
        raise refusal(Code.INVALID_ARGUMENT, text)
    if codec is JSON and not body.lstrip().startswith(b"{"):
        # Python's parser would take [] for an empty message.
        raise refusal(Code.INVALID_ARGUMENT, "unmarshal message: a message is a JSON object")
    try:
        return codec.decode(body, rpc.request)
    except ValueError as error:
        raise refusal(Code.INVALID_ARGUMENT, f"unmarshal message: {error}") from error


def _gunzip(body: bytes) -> bytes:
    # The real server unpacks in a middleware, before Connect sees the body; what is no gzip is an empty body then.
    out = b""
    while body:
        member = zlib.decompressobj(wbits=31)
        try:
            out += member.decompress(body)
        except zlib.error:
            return out
        if not member.eof:
            raise refusal(Code.UNKNOWN, "read message: unexpected EOF")
        body = member.unused_data
    return out


def _headers(environ: Environ) -> dict[str, str]:
    return {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
