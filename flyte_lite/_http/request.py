"""The head of a request, as bytes; no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Optional, Union
from urllib.parse import quote

Headers = Mapping[str, Union[str, Sequence[str]]]
"""By name; a sequence of several values is sent as several lines."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
_TARGET = re.compile(r"[\x21-\x7e]+").fullmatch
# Without a word about it, a server may pack its answer as it likes.
_NO_PACKING = "accept-encoding: identity\r\n"


def request_head(
    method: str, target: str, host: str, headers: Headers, length: Optional[int], further: str = ""
) -> bytes:
    """What comes before the body.

    Args:
        target: Path and query; what is no ASCII in it is quoted.
        host: Sent if `headers` have none.
        length: Of the body; -1 for one that is sent in chunks, None for no body.
        further: Lines that are sent as they are, such as those for a proxy.

    Raises:
        ValueError: A header can't be sent as it is. Its value is not repeated, as it may be a secret.
    """
    if not _TARGET(target):
        target = quote(target, safe="!#$%&'()*+,/:;=?@[]~")
    lines = []
    names = set()
    for name, value in headers.items():
        names.add(name.lower())
        for line in (value,) if isinstance(value, str) else value:
            check_header(name, line)
            lines.append(f"{name}: {line}\r\n")
    if length is not None and names.isdisjoint(("content-length", "transfer-encoding")):
        lines.append("transfer-encoding: chunked\r\n" if length < 0 else f"content-length: {length}\r\n")
    if "accept-encoding" not in names:
        lines.append(_NO_PACKING)
    if "host" not in names:
        lines.append(f"host: {host}\r\n")
    return f"{method} {target} HTTP/1.1\r\n{further}{''.join(lines)}\r\n".encode("latin-1")


def check_header(name: str, value: str) -> None:
    """Raise ValueError if they can't be sent as they are. The value is not repeated, as it may be a secret."""
    if not _NAME(name):
        raise ValueError(f"{name[:40]!r} is not the name of a header")
    if not _VALUE(value):
        raise ValueError(f"the value of the header {name} has characters that HTTP does not take, such as a line end")
