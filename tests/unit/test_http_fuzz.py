"""Answers that nobody would write: what `http.client` reads and is right about, we read alike; nothing else comes out.

The draws are seeded, so a failure comes again.
"""

from __future__ import annotations

import http.client
import io
import random
import re
from typing import Any, NamedTuple, Optional

import pytest

from flyte_lite._http.response import body_of, split_head
from flyte_lite.errors import CallError

ROUNDS = 1500


class Read(NamedTuple):
    """What was made of some bytes: status, reason, headers, body."""

    status: int
    reason: str
    headers: dict[str, list[str]]
    body: bytes


class Source:
    """A socket, as far as http.client needs one."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def by_http_client(method: str, data: bytes) -> Optional[Read]:
    """None if it refuses, or the body is cut off."""
    source: Any = Source(data)
    response = http.client.HTTPResponse(source, method=method)
    try:
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ValueError, OSError, OverflowError, MemoryError):
        return None
    headers: dict[str, list[str]] = {}
    for name, value in response.headers.items():
        # It keeps the line ends of a continued line, and blanks at its end.
        headers.setdefault(name.lower(), []).append(re.sub(r"[ \t]*\r?\n[ \t]+", " ", value).strip(" \t"))
    return Read(response.status, response.reason, headers, body)


def by_us(method: str, pieces: list[bytes]) -> Optional[Read]:
    """The same, as the transport does it."""
    pieces = [*pieces]
    data = b""
    try:
        while True:
            found = split_head(data)
            if found is None:
                if not pieces:
                    return None
                data += pieces.pop(0)
            elif found[0].status < 200 and found[0].status != 101:
                data = found[1]
            else:
                break
        head, rest = found
        body = body_of(method, head)
        came = b""
        # The end of the connection is told but once, and nothing is fed behind it.
        for piece in [rest, *pieces]:
            if piece and not body.done:
                came += body.feed(piece)
        if not body.done:
            came += body.feed(b"")
        return Read(head.status, head.reason.rstrip(" "), head.headers, came) if body.done else None
    except CallError as error:
        str(error)
        return None


def line_end(draw: random.Random) -> bytes:
    return draw.choice([b"\r\n"] * 9 + [b"\n"])


def head_of(draw: random.Random, *fields: bytes) -> bytes:
    status = draw.choice([b"200 OK", b"200", b"404 Not Found", b"204 No Content", b"304 x", b"500 ", b"299  a  b"])
    lines = [draw.choice([b"HTTP/1.1 ", b"HTTP/1.1 ", b"HTTP/1.0 "]) + status, *fields]
    names = [b"A", b"Set-Cookie", b"X-Trace", b"connection", b"Date"]
    for _ in range(draw.randrange(4)):
        value = draw.choice(
            [b"", b"1", b" a, b ", b"close", b"\xe9\x80", b"a:b;c", b"one\r\n\ttwo", b"Sat, 21 Nov 2026"]
        )
        lines.insert(draw.randrange(1, len(lines) + 1), draw.choice(names) + b":" + draw.choice([b"", b" "]) + value)
    return b"".join(line + line_end(draw) for line in [*lines, b""])


def answer_of(draw: random.Random) -> bytes:
    """A whole answer, as the RFC has it or once had it, and sometimes what is behind it."""
    content = bytes(draw.choice(b"ab\r\n01 ") for _ in range(draw.choice([0, 1, 2, 7, 40])))
    how = draw.randrange(4)
    front = b"HTTP/1.1 100 Continue\r\n\r\n" * draw.choice([0, 0, 0, 1, 2])
    if how == 0:
        return front + head_of(draw) + content
    if how == 1:
        length = b"Content-Length: %d" % len(content)
        return front + head_of(draw, length) + content + draw.choice([b"", b"", b"HTTP/1.1 200 OK\r\n\r\n"])
    body = b""
    while content:
        size = draw.randrange(1, len(content) + 1)
        form = draw.choice([b"%x", b"%X", b"0%x", b"%x;a=b", b'%x ;q="1"'])
        body += form % size + line_end(draw) + content[:size] + b"\r\n"
        content = content[size:]
    body += b"0\r\n" + draw.choice([b"", b"", b"X-Trailer: 1\r\n"]) + b"\r\n"
    coding = draw.choice([b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED"])
    return front + head_of(draw, coding) + body + draw.choice([b"", b"", b"x"])


def mutated(data: bytes, draw: random.Random) -> bytes:
    noise = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\0", b" ", b"\t", b":", b"-", b"+", b"_", b"0x", b"9" * 25]
    noise += [b"\xa0", b"\x85", b"\xff", b";", b",", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"g"]
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(changed) + 1)
        how = draw.randrange(5)
        if how == 0:
            changed[at : at + 1] = bytes([draw.randrange(256)])
        elif how == 1:
            del changed[at : at + draw.randrange(1, 5)]
        elif how == 2:
            changed[at:at] = draw.choice(noise)
        elif how == 3:
            del changed[at:]
        else:
            changed[at:at] = changed[at : at + 30]
    return bytes(changed)


def split(data: bytes, draw: random.Random) -> list[bytes]:
    most = max(0, len(data) - 1)
    cuts = sorted(draw.sample(range(1, len(data)), min(most, draw.choice([0, 1, 3, 20, most])))) if most else []
    return [piece for piece in (data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])) if piece]


def method_of(draw: random.Random) -> str:
    return draw.choice(["POST", "POST", "GET", "HEAD"])


def test_what_is_written_as_it_should_be_is_read_as_http_client_reads_it() -> None:
    draw = random.Random(1)
    for _ in range(ROUNDS):
        data, method = answer_of(draw), method_of(draw)

        found = by_us(method, split(data, draw))

        # Of an answer that has no body, http.client reads one that comes in chunks.
        theirs = by_http_client("HEAD" if found and found.status in (204, 304) else method, data)
        assert found is not None, data
        assert found == theirs, data


def oddity(data: bytes) -> str:
    """The first thing about an answer that the RFC does not have; "" if all is well, or all is well so far."""
    data = re.sub(rb"\A(HTTP/1\.\d 100(?: [ -~]*)?\r?\n\r?\n)+", b"", data)
    found = re.search(rb"\n\r?\n", data)
    if found is None:
        return "its head is cut off"
    head, body = data[: found.start()], data[found.end() :]
    lines = [line[:-1] if line.endswith(b"\r") else line for line in head.split(b"\n")]
    if b"\r" in b"".join(lines) or b"\0" in head:
        return "a bare CR or NUL in its head"
    status = re.fullmatch(rb"HTTP/1\.\d ([1-9]\d\d)(?: [ -~]*)?", lines[0])
    if status is None:
        return "its status line"
    if status[1][:1] == b"1":
        return "an interim answer that is not 100, or has something in it"
    fields: dict[bytes, list[bytes]] = {}
    for nth, line in enumerate(lines[1:]):
        if nth and line[:1] in (b" ", b"\t"):
            continue
        name, colon, value = line.partition(b":")
        if not colon or not re.fullmatch(rb"[!#-'*+.^-z|~\w-]+", name):
            return "a line that is no header"
        fields.setdefault(name.lower(), []).append(value.lstrip(b" \t"))
    coding, lengths = fields.get(b"transfer-encoding", []), fields.get(b"content-length", [])
    if [each.lower() for each in coding] not in ([], [b"chunked"], [b"identity"]):
        return "a transfer coding"
    if not all(re.fullmatch(rb"\d{1,18}", each) for each in lengths) or len(set(lengths)) > 1:
        return "a length"
    if status[1] in (b"204", b"304") and coding:
        return "a coding of nothing"
    if re.search(rb"(?im)^(transfer-encoding|content-length):.*\n[ \t]", head):
        return "a length over two lines"
    return chunk_oddity(body) if coding and coding[0].lower() == b"chunked" else ""


def chunk_oddity(body: bytes) -> str:
    at = 0
    while True:
        line = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(;[^\n]*)?\r?\n").match(body, at)
        if line is None:
            return "the size of a chunk"
        size, at = int(line[1], 16), line.end()
        if not size:
            return "" if re.match(rb"(?s)(?:[^\n]*[^\r\n][^\n]*\n)*\r?\n", body[at:]) else "its trailers"
        if body[at + size : at + size + 2] != b"\r\n":
            return "the end of a chunk"
        at += size + 2


def test_what_is_written_badly_is_read_as_http_client_reads_it_or_for_a_reason_otherwise() -> None:
    draw = random.Random(2)
    alike = 0
    for _ in range(2 * ROUNDS):
        data, method = mutated(answer_of(draw), draw), method_of(draw)
        found, theirs = by_us(method, [data] if data else []), by_http_client(method, data)
        alike += found == theirs is not None
        assert found == theirs or oddity(data), (method, data, found, theirs)
    assert alike > ROUNDS / 4


def test_what_the_rfc_has_is_odd_to_nobody() -> None:
    draw = random.Random(3)
    odd = [found for found in (oddity(answer_of(draw)) for _ in range(ROUNDS)) if found]

    assert set(odd) <= {"a coding of nothing"}


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_in_whatever_pieces_is_one_answer_or_an_error_of_ours(seed: int) -> None:
    draw = random.Random(10 + seed)
    for _ in range(ROUNDS):
        data, method = mutated(answer_of(draw), draw), method_of(draw)
        whole = by_us(method, [data] if data else [])

        assert by_us(method, split(data, draw)) == whole, data
