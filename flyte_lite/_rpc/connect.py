"""The Connect protocol: messages to HTTP heads and bodies, answers to messages or errors. No I/O.

Specification: connectrpc.com, "Unary-Request" and "Unary-Response".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Optional, TypeVar

from flyte_lite import errors
from flyte_lite._rpc.codec import PROTO, Codec, gunzip
from flyte_lite._rpc.wire_error import WireError, code_of_status
from flyte_lite._version import __version__
from flyte_lite.errors import Code

if TYPE_CHECKING:
    from google.protobuf.message import Message

    M = TypeVar("M", bound=Message)
else:
    M = TypeVar("M")

USER_AGENT = f"flyte-lite/{__version__}"
_MOST_TIMEOUT_MS = 9_999_999_999  # ten digits are all that the header may have
_SHOWN = 160
# Statuses that say the same whoever sends them, so their own class is more use than EndpointError.
_SAID_BY_PROXIES = {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.UNAVAILABLE}


class Connect:
    """Unary calls over POST.

    Args:
        codec: How messages are written.
    """

    def __init__(self, codec: Codec = PROTO) -> None:
        self._codec = codec
        self._type = f"application/{codec.name}"
        # Requests go out as they are: real servers sit behind middleware that chokes on packed ones.
        self._head = {
            "Accept": "*/*",
            "Accept-Encoding": "gzip",
            "Connect-Protocol-Version": "1",
            "Content-Type": self._type,
            "User-Agent": USER_AGENT,
        }

    def head(self, left: Optional[float]) -> dict[str, str]:
        """Headers of a unary request that has `left` seconds; None has no end."""
        head = self._head.copy()
        if left is not None and left * 1000 <= _MOST_TIMEOUT_MS:
            head["Connect-Timeout-Ms"] = str(max(1, int(left * 1000)))
        return head

    def body(self, request: Message) -> bytes:
        """Body of a unary request."""
        return self._codec.encode(request)

    def answer(
        self, kind: type[M], status: int, reason: str, headers: Mapping[str, list[str]], body: bytes, limit: int
    ) -> M:
        """The message in a unary answer.

        Args:
            kind: Its class.
            headers: By lower-case name; a name that begins with `trailer-` is a trailer.
            body: As it came over the wire.
            limit: Most bytes after unpacking.

        Raises:
            CallError: The answer is an error, or not one of Connect's.
        """
        media = _media_type(headers)
        if status == 200 and media == self._type:
            encoding = headers.get("content-encoding")
            if encoding is not None:
                body = _unpacked(body, encoding[0], headers, limit)
            try:
                return self._codec.decode(body, kind)
            except ValueError as error:
                raise errors.InternalError(
                    f"the answer can't be read: {error}", Code.INTERNAL, headers=headers
                ) from error
        if status != 200 and media == "application/json":
            if "content-encoding" in headers:
                body = _unpacked(body, headers["content-encoding"][0], headers, limit)
            wire = WireError.from_json(body)
            if wire is not None:
                raise wire.to_exception(_with_trailers(headers), code_of_status(status))
        raise _explained(kind, status, reason, media, headers, body)


def _media_type(headers: Mapping[str, list[str]]) -> str:
    return headers.get("content-type", [""])[0].partition(";")[0].strip().lower()


def _with_trailers(headers: Mapping[str, list[str]]) -> dict[str, list[str]]:
    joined: dict[str, list[str]] = {}
    for name, values in headers.items():
        joined.setdefault(name.removeprefix("trailer-"), []).extend(values)
    return joined


def _unpacked(body: bytes, encoding: str, headers: Mapping[str, list[str]], limit: int) -> bytes:
    encoding = encoding.strip().lower()
    if encoding == "identity" or not body:
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise errors.InternalError(
            f"the answer is packed as {encoding}, which was not asked for", Code.INTERNAL, headers=headers
        )
    try:
        return gunzip(body, limit)
    except ValueError as error:
        raise errors.InternalError(f"the answer can't be unpacked: {error}", Code.INTERNAL, headers=headers) from error


def _explained(
    kind: type[Message], status: int, reason: str, media: str, headers: Mapping[str, list[str]], body: bytes
) -> errors.CallError:
    """What an answer that is not Connect's probably is, for somebody who has to find out why."""
    code = Code.INTERNAL if status == 200 and media.startswith("application/") else code_of_status(status)
    if status == 404 and media == "text/plain":
        return errors.UnimplementedError(
            "this server has no such method (HTTP 404); it may be older than this client, or serve Flyte under another "
            "path",
            code,
            headers=headers,
        )
    server = _shown(headers.get("server", [""])[0])
    what = f"HTTP {status}{f' {_shown(reason)}' if reason else ''}, {_shown(media) or 'no content type'}" + (
        f", server {server}" if server else ""
    )
    start = "" if "content-encoding" in headers else _start_of(body, media)
    message = f"what answered is not Flyte ({what}){_hint(status, media, headers, body)}"
    if start:
        message += f'. It begins: "{start}"'
    if code in _SAID_BY_PROXIES:
        return WireError(code, message).to_exception(headers)
    return errors.EndpointError(message, code, headers=headers)


def _hint(status: int, media: str, headers: Mapping[str, list[str]], body: bytes) -> str:
    if 300 <= status < 400:
        # Without what may be a secret: the user, the query and the fragment.
        to = re.sub(r"(?<=//)[^/?#]*@|[?#].*", "", _shown(headers.get("location", ["nowhere"])[0]))
        return (
            f"; it redirects to {to}, which is never followed: is that the console or a login page, or http for https?"
        )
    if b"HTTP request to an HTTPS server" in body:
        return "; it wants TLS: use https:// or insecure=False"
    if status == 407:
        return "; the HTTP proxy on the way wants a user and a password: http://user:password@host:port"
    if media == "text/html":
        return "; a web page, so this may be the console, a login page or another server: check host, port and path"
    if status in (502, 503, 504):
        return "; a proxy in front of Flyte gets no answer from it"
    if status == 204 or not body:
        return "; check host, port and path of the endpoint"
    return ""


def _start_of(body: bytes, media: str) -> str:
    text = body[:2000].decode("utf-8", "replace")
    if media == "text/html":
        text = re.sub(r"<(script|style).*?</\1>|<[^>]*>?", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return _shown(text)


def _shown(text: str) -> str:
    # What strangers sent goes to a terminal: no control characters, and not much of it.
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
