"""Answers from bytes: whatever a server sends, and however it arrives in pieces."""

from __future__ import annotations

from typing import Union

import pytest

from flyte_lite._http.response import ChunkedBody, EndlessBody, Head, SizedBody, body_of, split_head
from flyte_lite.errors import ConnectionLostError, EndpointError


def head(data: bytes) -> Head:
    found = split_head(data)
    assert found is not None
    return found[0]


def answer(status: int = 200, minor: int = 1, **headers: Union[str, list[str]]) -> Head:
    lists = {
        name.replace("_", "-"): [value] if isinstance(value, str) else list(value) for name, value in headers.items()
    }
    return Head(minor, status, "", lists)


def test_a_head_has_one_entry_a_line_by_lower_case_name() -> None:
    found = split_head(
        b"HTTP/1.1 200 All is well\r\nX-Many:1\r\nx-MANY: 2, 3 \r\nColons: a:b\r\nEmpty:\r\nLatin: \xe9\r\n\r\nbody"
    )

    assert found == (
        Head(1, 200, "All is well", {"x-many": ["1", "2, 3"], "colons": ["a:b"], "empty": [""], "latin": ["\xe9"]}),
        b"body",
    )


@pytest.mark.parametrize(
    ("first", "status", "reason"),
    [
        (b"HTTP/1.1 204 No Content", 204, "No Content"),
        (b"HTTP/1.1 200", 200, ""),
        (b"HTTP/1.1 200 ", 200, ""),
        (b"HTTP/1.0 404 Not  Found", 404, "Not  Found"),
        (b"HTTP/1.1 800 Beyond all numbers", 800, "Beyond all numbers"),
    ],
)
def test_status_lines(first: bytes, status: int, reason: str) -> None:
    found = head(first + b"\r\n\r\n")

    assert (found.status, found.reason) == (status, reason)


def test_a_line_may_be_continued_as_was_once_allowed() -> None:
    assert head(b"HTTP/1.1 200 OK\r\nA: one\r\n\ttwo\r\n  three\r\nB: x\r\n\r\n").headers == {
        "a": ["one two three"],
        "b": ["x"],
    }


def test_lines_may_end_without_a_carriage_return() -> None:
    assert split_head(b"HTTP/1.1 200 OK\nA: one\n\nbody") == (Head(1, 200, "OK", {"a": ["one"]}), b"body")


def test_a_head_that_has_not_all_come_is_none_yet() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    assert [split_head(whole[:size]) for size in range(len(whole))] == [None] * len(whole)
    assert split_head(whole) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"S",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTX",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 099 Less\r\n\r\n",
        b"HTTP/1.1 2000 More\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n continues nothing\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_as_soon_as_it_is_seen(data: bytes) -> None:
    with pytest.raises(EndpointError, match="does not speak HTTP"):
        split_head(data)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 102,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 65537 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 65537,
        b"HTTP/1.1 200 " + b"O" * 65537,
    ],
)
def test_a_head_without_bounds_is_refused_though_its_end_never_comes(data: bytes) -> None:
    with pytest.raises(EndpointError, match="head is larger than HTTP clients take: "):
        split_head(data)


def test_a_hundred_headers_are_taken() -> None:
    assert head(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100 + b"\r\n").headers == {"x": ["y"] * 100}


@pytest.mark.parametrize(
    ("found", "keeps"),
    [
        (answer(), True),
        (answer(connection="close"), False),
        (answer(connection="Keep-Alive, Close"), False),
        (answer(connection=["x", "close"]), False),
        (answer(minor=0), False),
        (answer(minor=0, connection="Keep-Alive"), True),
    ],
)
def test_whether_a_connection_may_be_used_again(found: Head, keeps: bool) -> None:
    assert found.keeps is keeps


@pytest.mark.parametrize(
    ("method", "found", "kind", "announced"),
    [
        ("POST", answer(content_length="5"), SizedBody, 5),
        ("POST", answer(content_length="5, 5"), SizedBody, 5),
        ("POST", answer(content_length=["5", "5"]), SizedBody, 5),
        ("POST", answer(), EndlessBody, None),
        ("POST", answer(transfer_encoding="Chunked"), ChunkedBody, None),
        ("POST", answer(transfer_encoding="chunked", content_length="5"), ChunkedBody, None),
        ("POST", answer(transfer_encoding="identity"), EndlessBody, None),
        ("HEAD", answer(content_length="5"), SizedBody, 0),
        ("POST", answer(204, content_length="5"), SizedBody, 0),
        ("GET", answer(304, transfer_encoding="chunked"), SizedBody, 0),
        ("GET", answer(101), SizedBody, 0),
    ],
)
def test_how_a_body_ends(method: str, found: Head, kind: type, announced: object) -> None:
    body = body_of(method, found)

    assert type(body) is kind
    assert body.announced == announced
    assert body.done is (announced == 0)


@pytest.mark.parametrize(
    "found",
    [
        answer(content_length=["5", "6"]),
        answer(content_length="5, 6"),
        answer(content_length="-5"),
        answer(content_length=""),
        answer(content_length="0x5"),
        answer(content_length="9" * 20),
        answer(transfer_encoding="gzip, chunked"),
        answer(transfer_encoding=["chunked", "chunked"]),
    ],
)
def test_heads_that_contradict_themselves_are_refused(found: Head) -> None:
    with pytest.raises(EndpointError, match=r"announces no length|transfer coding"):
        body_of("POST", found)


def test_a_sized_body_ends_where_it_was_announced() -> None:
    body = SizedBody(5)

    assert (body.feed(b"abc"), body.done) == (b"abc", False)
    assert (body.feed(b"defg"), body.done, body.clean) == (b"de", True, False)


def test_a_sized_body_that_ends_early_is_lost() -> None:
    body = SizedBody(10)
    body.feed(b"abc")

    with pytest.raises(ConnectionLostError, match="ended after 3 bytes, 7 more were announced"):
        body.feed(b"")


def test_an_endless_body_ends_with_its_connection() -> None:
    body = EndlessBody()

    assert (body.feed(b"abc"), body.done) == (b"abc", False)
    assert (body.feed(b""), body.done, body.clean) == (b"", True, False)


CHUNKS = b'3\r\nabc\r\n0A;ext="x"\r\n0123456789\r\n1 \r\n\n\r\n00\r\nTrailer: x\r\nAnother: y\r\n\r\n'
PAYLOAD = b"abc0123456789\n"


@pytest.mark.parametrize("data", [CHUNKS, CHUNKS.replace(b"Trailer: x\r\nAnother: y\r\n", b"")])
def test_chunks_come_out_whole_wherever_they_are_cut(data: bytes) -> None:
    for step in range(1, len(data) + 1):
        body = ChunkedBody()
        came = b""
        for at in range(0, len(data), step):
            assert not body.done
            came += body.feed(data[at : at + step])
        assert came == PAYLOAD, step
        assert body.done, step
        assert body.clean, step


def test_chunks_that_are_there_come_together() -> None:
    body = ChunkedBody()

    assert body.feed(b"1\r\na\r\n1\r\nb\r\n2\r\nc") == b"abc"
    assert body.feed(b"d\r\n") == b"d"
    assert not body.done


@pytest.mark.parametrize("data", [CHUNKS, b"0\r\n\r\n"])
def test_what_follows_the_last_chunk_is_seen(data: bytes) -> None:
    body = ChunkedBody()
    body.feed(data + b"H")

    assert body.done
    assert not body.clean


@pytest.mark.parametrize("size", range(len(CHUNKS)))
def test_chunks_that_end_early_are_lost(size: int) -> None:
    body = ChunkedBody()
    if size:
        body.feed(CHUNKS[:size])

    with pytest.raises(ConnectionLostError, match=r"ended after \d+ bytes"):
        body.feed(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"zz\r\nab\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x1\r\na\r\n",
        b"1_0\r\n",
        b" 1\r\na\r\n",
        b"f" * 16 + b"\r\n",
        b"1\r\nabc\r\n",
        b"1\r\na\rb",
        b"1\r\naXY",
        b"2\r\nab0\r\n\r\n",
        b"5" * 5000,
    ],
)
@pytest.mark.parametrize("step", [1, 1000, 100_000])
def test_what_is_no_chunk_is_refused(data: bytes, step: int) -> None:
    with pytest.raises(ConnectionLostError, match="what follows is no chunk"):
        fed(data, step)


@pytest.mark.parametrize("step", [1000, 100_000])
def test_what_follows_the_last_chunk_has_bounds(step: int) -> None:
    with pytest.raises(ConnectionLostError, match="what follows is no chunk"):
        fed(b"0\r\n" + b"x" * 70_000, step)


def fed(data: bytes, step: int) -> ChunkedBody:
    body = ChunkedBody()
    for at in range(0, len(data), step):
        body.feed(data[at : at + step])
    return body


@pytest.mark.parametrize(
    ("data", "headers", "rest"),
    [
        (b"HTTP/1.1 200 OK\nContent-Length: 4\n\nab\r\n\r\n", {"content-length": ["4"]}, b"ab\r\n\r\n"),
        (b"HTTP/1.1 200 OK\nA: 1\n\r\nB: 2\r\n\r\n", {"a": ["1"]}, b"B: 2\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n\nB: 2\r\n\r\n", {"a": ["1"]}, b"B: 2\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\r\nx", {"a": ["1"], "b": ["2"]}, b"x"),
        (b"HTTP/1.1 200 OK\nA: 1\r\n\r\nx", {"a": ["1"]}, b"x"),
    ],
)
def test_the_first_empty_line_ends_a_head_however_lines_end(
    data: bytes, headers: dict[str, list[str]], rest: bytes
) -> None:
    assert split_head(data) == (Head(1, 200, "OK", headers), rest)


@pytest.mark.parametrize("field", [b"A: 1\rB: 2", b"A: 1\r", b"A: a\0b", b"A\0: 1", b"A\r: 1"])
def test_a_head_with_what_others_read_as_something_else_is_refused(field: bytes) -> None:
    with pytest.raises(EndpointError, match="has a NUL, or a carriage return"):
        split_head(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n")


@pytest.mark.parametrize("field", [b" A: 1", b"\tA: 1", b": 1", b" : 1", b"HTTP/1.1"])
def test_a_line_that_is_no_header_is_refused(field: bytes) -> None:
    with pytest.raises(EndpointError, match="does not speak HTTP"):
        split_head(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n")


def test_only_blanks_are_blank() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length \t: 5\r\nContent-Length\x85: 5\r\nA:\xa0\r\n\t\r\n\r\n"

    assert head(data).headers == {"content-length": ["5"], "content-length\x85": ["5"], "a": ["\xa0"]}
    with pytest.raises(EndpointError, match="announces no length"):
        body_of("POST", answer(content_length="5\xa0"))


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.10"])
def test_another_version_is_another_protocol(version: bytes) -> None:
    with pytest.raises(EndpointError, match="does not speak HTTP"):
        split_head(version + b" 200 OK\r\n\r\n")


@pytest.mark.parametrize(
    ("found", "clean"),
    [
        (answer(transfer_encoding="chunked"), True),
        (answer(transfer_encoding="chunked", content_length="5"), False),
        (answer(minor=0, connection="keep-alive", transfer_encoding="chunked"), False),
    ],
)
def test_nothing_follows_an_answer_that_says_two_things_of_its_length(found: Head, clean: bool) -> None:
    body = body_of("POST", found)
    body.feed(b"0\r\n\r\n")

    assert body.clean is clean


def test_a_coding_that_is_none_leaves_the_length() -> None:
    body = body_of("POST", answer(transfer_encoding="identity", content_length="2"))

    assert (body.feed(b"ab"), body.done) == (b"ab", True)


@pytest.mark.parametrize("line", [b"1;" + b"x" * 4090 + b"\r\na\r\n", b"1" + b" " * 4090 + b"\r\na\r\n"])
@pytest.mark.parametrize("step", [1, 100_000])
def test_the_line_before_a_chunk_has_bounds_however_it_comes(line: bytes, step: int) -> None:
    with pytest.raises(ConnectionLostError, match="what follows is no chunk"):
        fed(line, step)
