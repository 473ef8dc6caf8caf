"""What is said of an answer that nobody expected: a web page, a redirect, a proxy, a server of another kind. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SHOWN = 160
# Of Go, nginx, Apache and Python's cheroot.
_WANTS_TLS = (
    b"HTTP request to an HTTPS server",
    b"plain HTTP request was sent to HTTPS port",
    b"speaking plain HTTP to an SSL-enabled server port",
    b"only speaks HTTPS on this port",
)


def media_type(headers: Mapping[str, list[str]]) -> str:
    """The content type without its parameters; "" if there is none."""
    return headers.get("content-type", [""])[0].partition(";")[0].strip().lower()


def explain(status: int, reason: str, headers: Mapping[str, list[str]], body: bytes) -> str:
    """What such an answer probably is, for somebody who has to find out why.

    Args:
        status: Of HTTP, whatever the number.
        reason: The words behind it.
        headers: By lower-case name.
        body: As it came.
    """
    media = media_type(headers)
    server = _shown(headers.get("server", [""])[0])
    what = f"HTTP {status}{f' {_shown(reason)}' if reason else ''}, {_shown(media) or 'no content type'}" + (
        f", server {server}" if server else ""
    )
    message = f"what answered is not Flyte ({what}){_hint(status, media, headers, body)}"
    start = "" if "content-encoding" in headers else _start_of(body, media)
    return f'{message}. It begins: "{start}"' if start else message


def _hint(status: int, media: str, headers: Mapping[str, list[str]], body: bytes) -> str:
    if 300 <= status < 400:
        # Without what may be a secret: the user, the query and the fragment.
        to = re.sub(r"(?<=//)[^/?#]*@|[?#].*", "", _shown(headers.get("location", ["nowhere"])[0]))
        return (
            f"; it redirects to {to}, which is never followed: is that the console or a login page, or http for https?"
        )
    if any(words in body for words in _WANTS_TLS):
        return "; it wants TLS: use https:// or insecure=False"
    if status == 407:
        return "; the HTTP proxy on the way wants a user and a password: http://user:password@host:port"
    if status in (502, 503, 504):
        return "; a proxy in front of Flyte gets no answer from it"
    if status == 413:
        return "; something on the way takes no requests that large, such as nginx (client_max_body_size)"
    if media == "text/html":
        return "; a web page, so this may be the console, a login page or another server: check host, port and path"
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
