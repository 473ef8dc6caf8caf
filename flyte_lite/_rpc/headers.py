"""Metadata: headers and trailers as multimaps by lower-case name, and values that are bytes. No I/O."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Optional, Union

Headers = dict[str, list[str]]
"""Values by lower-case name, one a line; those of `-bin` names are in base64, see `binary`."""

Metadata = Mapping[str, Union[str, bytes, Sequence[Union[str, bytes]]]]
"""What callers give: one value or several by name in any case; bytes for names that end in `-bin`."""

# What the protocols and HTTP say for themselves; a second one would contradict them.
_RESERVED = {"accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "host"}
_RESERVED |= {"te", "transfer-encoding", "user-agent", "x-grpc-web", "x-user-agent"}


def checked(metadata: Metadata) -> Headers:
    """What callers give as it goes out, without what is the protocols' own to say.

    Checked here, as http.client repeats a bad value in its error, and the value may be a token.

    Raises:
        ValueError: A name or a value can't be sent as it is; the text has nothing in it that may be a secret.
    """
    headers: Headers = {}
    for given, value in metadata.items():
        name = given.lower()
        if not re.fullmatch(r"[0-9a-z_.-]+", name):
            begin = re.sub(r"[^0-9a-z_.-].*", "", name, flags=re.DOTALL)
            raise ValueError(f"a header has a name that can't be sent; it begins with {begin!r}")
        values = [_text(name, each) for each in ([value] if isinstance(value, (str, bytes)) else value)]
        if values and name not in _RESERVED and not name.startswith(("connect-", "grpc-")):
            headers.setdefault(name, []).extend(values)
    return headers


def _text(name: str, value: Union[str, bytes]) -> str:
    if isinstance(value, bytes):
        if not name.endswith("-bin"):
            raise ValueError(f"the value of the header {name} is bytes; only names that end in -bin take those")
        return base64.b64encode(value).decode().rstrip("=")
    if not re.fullmatch(r"[\x20-\x7e]*", value):
        raise ValueError(f"the value of the header {name} has characters that HTTP does not take, such as a line end")
    return value


def binary(headers: Mapping[str, Sequence[str]], name: str) -> list[bytes]:
    """The values of a `-bin` name, in lines or in one line with commas; one that is not base64 is left out."""
    values = (part.strip() for line in headers.get(name, ()) for part in line.split(","))
    return [value for value in map(unbase64, values) if value is not None]


def unbase64(text: str) -> Optional[bytes]:
    """Bytes of base64 with or without padding; None if it is something else."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def merged(*parts: Mapping[str, Sequence[str]]) -> Headers:
    """All values of all parts: errors carry headers and trailers together."""
    joined: Headers = {}
    for part in parts:
        for name, values in part.items():
            joined.setdefault(name, []).extend(values)
    return joined
