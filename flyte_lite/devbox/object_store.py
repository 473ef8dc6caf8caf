"""The object store over HTTP: signed addresses of what is in it, and its answers, which are those of S3."""

from __future__ import annotations

import hashlib
import re
from email.utils import formatdate
from typing import TYPE_CHECKING, Optional
from urllib.parse import quote
from xml.sax.saxutils import escape

from flyte_lite.devbox.protocols import Answer
from flyte_lite.devbox.signature import Credentials, SignatureRefused, check, signed
from flyte_lite.devbox.state.objects import PREFIX

if TYPE_CHECKING:
    from flyte_lite.devbox.protocols import Headers, Incoming
    from flyte_lite.devbox.state import State
    from flyte_lite.devbox.state.objects import Stored

# Who is said to sign, in each address.
SIGNER = "devbox"
SCHEME = "s3://"
_BUCKET = "/" + PREFIX[len(SCHEME) :] + "/"
_METHODS = ("GET", "HEAD")


class ObjectStore:
    """Gives what is stored to whoever comes with an address that was signed here."""

    def __init__(self, state: State) -> None:
        self._state = state

    def address(self, endpoint: str, method: str, uri: str, seconds: int) -> str:
        """A signed address of an object, whether it is there or not.

        Args:
            endpoint: Where the store is for whoever gets the address: scheme and host.
            method: The one that it is good for. As on S3, one for GET is not good for HEAD.
            uri: Of the object.
            seconds: How long it is good, by the devbox's clock.
        """
        path = quote("/" + uri[len(SCHEME) :], safe="/")
        return signed(self._credentials(), method, f"{endpoint}{path}", seconds, self._state.clock.time())

    def serves(self, path: str) -> bool:
        """True if a path is in its bucket."""
        return path.startswith(_BUCKET)

    def answer(self, incoming: Incoming) -> Answer:
        """Answer one request for a path that it serves."""
        # WSGI gives the path decoded, as bytes in latin-1.
        path = incoming.path.encode("latin-1")
        uri = SCHEME + path[1:].decode("utf-8", "replace")
        try:
            if incoming.method not in _METHODS:
                raise SignatureRefused(
                    405, "MethodNotAllowed", "The specified method is not allowed against this resource."
                )
            now = self._state.clock.time()
            escaped = quote(path, safe="/")
            check(self._credentials(), incoming.method, escaped, incoming.raw_query, incoming.headers, now)
        except SignatureRefused as refused:
            return _refused(refused.status, refused.code, str(refused), **refused.details)
        stored = self._state.objects.stored(uri)
        if stored is None:
            return _refused(404, "NoSuchKey", "The specified key does not exist.", Key=uri[len(PREFIX) + 1 :])
        return _given(stored, incoming.headers.get("range", ""))

    def _credentials(self) -> Credentials:
        return Credentials(SIGNER, self._state.objects.secret())


def _given(stored: Stored, asked: str) -> Answer:
    size = len(stored.body)
    headers = [
        ("Content-Type", stored.content_type),
        ("Last-Modified", formatdate(stored.stored_at // 1_000_000, usegmt=True)),
        ("ETag", f'"{hashlib.md5(stored.body).hexdigest()}"'),  # noqa: S324 - what S3 calls an object's version
        ("Accept-Ranges", "bytes"),
    ]
    part = _range(asked, size)
    if part is None:
        return Answer(200, headers, [stored.body], size)
    first, last = part
    if first >= size:
        return _refused(416, "InvalidRange", "The requested range is not satisfiable", ActualObjectSize=str(size))
    last = min(last, size - 1)
    headers.append(("Content-Range", f"bytes {first}-{last}/{size}"))
    return Answer(206, headers, [stored.body[first : last + 1]], last + 1 - first)


def _range(asked: str, size: int) -> Optional[tuple[int, int]]:
    """The first and the last byte of a range; None for all, also if it is written in a way that S3 passes over."""
    found = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", asked.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return (max(0, size - int(last)), size - 1) if int(last) else (size, size)
    if last and int(last) < int(first):
        return None
    return int(first), int(last) if last else max(size - 1, int(first))


def _refused(status: int, code: str, message: str, **details: str) -> Answer:
    told = {"Code": code, "Message": message, **details}
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in told.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inside}</Error>'.encode()
    headers: Headers = [("Content-Type", "application/xml")]
    if status == 405:
        headers.append(("Allow", ", ".join(_METHODS)))
    return Answer(status, headers, [body], len(body))
