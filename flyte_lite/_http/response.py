"""What a server answers, from bytes: the head, and each way in which HTTP/1.1 says where a body ends. No I/O.

Not `http.client`, which reads headers with the parser for electronic mail (a third of a call's time), takes a head that
is cut off for a whole one, and says nothing about a body that ends early when it is read piece by piece.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Protocol

from flyte_lite.errors import Code, ConnectionLostError, EndpointError

_HEAD_LINES, _LINE_BYTES = 100, 64 * 1024
_EMPTY_LINE = re.compile(rb"\n\r?\n").search
_STATUS = re.compile(r"HTTP/1\.(\d) +([1-9]\d\d)(?: +(.*))?").fullmatch
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]{0,64}(?:;[^\n]{0,4000})?\r?\n").match
_CHUNK_LINE_BYTES = 4096
_BLANK = " \t"  # not what `str.strip` takes for it, which has characters of Latin-1 in it


class Head(NamedTuple):
    """The first part of an answer.

    Attributes:
        minor: Of the version: 1 for HTTP/1.1, 0 for HTTP/1.0.
        headers: By lower-case name, one entry a line.
    """

    minor: int
    status: int
    reason: str
    headers: dict[str, list[str]]

    @property
    def keeps(self) -> bool:
        """Whether the connection may be used again."""
        said = [word.strip() for line in self.headers.get("connection", ()) for word in line.lower().split(",")]
        return "close" not in said and (self.minor > 0 or "keep-alive" in said)


def split_head(data: bytes) -> Optional[tuple[Head, bytes]]:
    """The head that `data` begins with, and what follows it; None if it has not all come yet.

    Raises:
        EndpointError: It is no HTTP, or too large.
    """
    # The first empty line, however its own end and that of the line before are written: two who do not agree on where
    # a head ends do not agree on what is an answer.
    empty = _EMPTY_LINE(data)
    if empty is None:
        _check_beginning(data)
        return None
    text = data[: empty.start() + 1].replace(b"\r\n", b"\n").decode("latin-1")
    first, *lines = text[:-1].split("\n")
    status = _STATUS(first)
    if status is None:
        raise no_http()
    if "\r" in text or "\0" in text:
        raise EndpointError("the answer's head has a NUL, or a carriage return that ends no line", Code.INTERNAL)
    if len(lines) > _HEAD_LINES:
        raise head_too_large(f"more than {_HEAD_LINES} headers")
    headers: dict[str, list[str]] = {}
    values: list[str] = []
    for line in lines:
        if len(line) > _LINE_BYTES:
            raise head_too_large(f"a line of more than {_LINE_BYTES} bytes")
        name, colon, value = line.partition(":")
        name = name.rstrip(_BLANK)
        if line[0] in _BLANK and values:
            values[-1] = f"{values[-1]} {line.strip(_BLANK)}".strip(
                _BLANK
            )  # continues the line before, as was once allowed
        elif not colon or not name or name[0] in _BLANK:
            raise no_http()
        else:
            values = headers.setdefault(name.lower(), [])
            values.append(value.strip(_BLANK))
    return Head(int(status[1]), int(status[2]), status[3] or "", headers), data[empty.end() :]


def _check_beginning(data: bytes) -> None:
    """Refuse what can't become a head, however long one waits."""
    if not data.startswith(b"HTTP/"[: len(data)]):
        raise no_http()
    if data.count(b"\n") > _HEAD_LINES + 1:
        raise head_too_large(f"more than {_HEAD_LINES} headers")
    if len(data) - data.rfind(b"\n") > _LINE_BYTES:
        raise head_too_large(f"a line of more than {_LINE_BYTES} bytes")


def no_http() -> EndpointError:
    """What answered speaks something else."""
    return EndpointError(
        "what answered does not speak HTTP; is the port right, and is it a TLS port that needs https://?", Code.UNKNOWN
    )


def head_too_large(what: str) -> EndpointError:
    """The head has no end, or might as well have none."""
    return EndpointError(f"the answer's head is larger than HTTP clients take: {what}", Code.INTERNAL)


class Body(Protocol):
    """How one body is told from what surrounds it.

    Attributes:
        announced: Its length, if that is known before it comes.
        done: True once all of it has been fed.
        clean: True if nothing came after its end, so that another answer can follow.
    """

    announced: Optional[int]
    done: bool
    clean: bool

    def feed(self, data: bytes) -> bytes:
        """The part of the body that is in `data`, which came next; b"" is the end of the connection.

        Raises:
            ConnectionLostError: The body can't come to its end any more.
        """
        ...


class SizedBody:
    """A body whose length is announced."""

    __slots__ = ("_left", "announced", "clean", "done")

    def __init__(self, length: int) -> None:
        self.announced: Optional[int] = length
        self._left = length
        self.done = length == 0
        self.clean = True

    def feed(self, data: bytes) -> bytes:
        if not data:
            assert self.announced is not None
            raise ConnectionLostError(
                f"the answer's body ended after {self.announced - self._left} bytes, {self._left} more were announced"
            )
        if len(data) > self._left:
            self.clean = False
            data = data[: self._left]
        self._left -= len(data)
        self.done = not self._left
        return data


class EndlessBody:
    """A body that only the end of the connection ends; whether it was cut off can't be seen."""

    __slots__ = ("announced", "clean", "done")

    def __init__(self) -> None:
        self.announced: Optional[int] = None
        self.done = False
        self.clean = False

    def feed(self, data: bytes) -> bytes:
        self.done = not data
        return data


class ChunkedBody:
    """A body that comes in chunks, each with its own length.

    Args:
        clean: False if its head leaves doubts, so that nothing may follow it.
    """

    __slots__ = ("_came", "_held", "_left", "_trailing", "announced", "clean", "done")

    def __init__(self, clean: bool = True) -> None:
        self.announced: Optional[int] = None
        self.done = False
        self.clean = clean
        self._came = 0
        self._held = b""  # what came of a line between two chunks
        self._left = 0  # of the chunk that has begun, with the line end after it
        self._trailing = False

    def feed(self, data: bytes) -> bytes:
        if not data:
            raise ConnectionLostError(f"the answer's body ended after {self._came} bytes, in the middle of a chunk")
        if self._held:
            data = self._held + data
            self._held = b""
        pieces = []
        at, size = 0, len(data)
        while at < size:
            if self._trailing:
                self._trail(data[at:])
                break
            left = self._left
            if not left:
                line = _CHUNK(data, at)
                if line is None:
                    self._hold(data[at:])
                    break
                at = line.end()
                left = int(line[1], 16)
                if not left:
                    self._trailing = True
                    continue
                left += 2
            stop = at + left
            if left > 2 and stop <= size:  # all that is left of the chunk, which is the rule
                if data[stop - 2 : stop] != b"\r\n":
                    raise self._broken()
                pieces.append(data[at : stop - 2])
                self._left = 0
            else:
                if left > 2:
                    pieces.append(data[at : stop - 2])
                ending = max(at, stop - 2)
                if data[ending:stop] != b"\r\n"[ending - stop + 2 :][: max(0, size - ending)]:
                    raise self._broken()
                self._left = max(0, stop - size)
            at = stop
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._came += len(body)
        return body

    def _hold(self, begun: bytes) -> None:
        if b"\n" in begun or len(begun) > _CHUNK_LINE_BYTES:
            raise self._broken()
        self._held = begun

    def _trail(self, data: bytes) -> None:
        """Skip what may follow the last chunk: lines like headers, and an empty one."""
        if data.startswith((b"\r\n", b"\n")):
            end = data.index(b"\n") + 1
        else:
            found = _EMPTY_LINE(data)
            if found is None:
                if len(data) > _LINE_BYTES:
                    raise self._broken()
                self._held = data
                return
            end = found.end()
        self.done = True
        self.clean = self.clean and end == len(data)

    def _broken(self) -> ConnectionLostError:
        return ConnectionLostError(f"the answer's body broke after {self._came} bytes: what follows is no chunk")


def body_of(method: str, head: Head) -> Body:
    """How the body after `head` ends.

    Raises:
        EndpointError: The head contradicts itself, or needs what only a browser has.
    """
    if method == "HEAD" or head.status in (101, 204, 304):
        return SizedBody(0)  # whatever is announced, no body follows
    headers = head.headers
    codings = headers.get("transfer-encoding")
    lengths = headers.get("content-length")
    if codings is not None:
        coding = ",".join(codings).strip(_BLANK).lower()
        if coding == "chunked":
            # With a length beside it, or from a server that can't know of chunks, somebody on the way may have read it
            # otherwise (RFC 9112 §6.1 and §6.3).
            return ChunkedBody(clean=lengths is None and head.minor > 0)
        if coding != "identity":
            raise EndpointError(
                f"the answer comes in a transfer coding that nobody asked for: {coding[:40]}", Code.INTERNAL
            )
    if lengths is None:
        return EndlessBody()
    said = {length.strip(_BLANK) for line in lengths for length in line.split(",")}
    length = said.pop()
    if said or not (length.isascii() and length.isdigit() and len(length) < 19):
        raise EndpointError(
            f"the answer announces no length that can be understood: {', '.join(lengths)[:40]}", Code.INTERNAL
        )
    return SizedBody(int(length))
