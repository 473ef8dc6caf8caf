"""Connect's streams, GET, and packed requests, from connectrpc.com, "Connect Protocol Reference"."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any, Optional

import pytest
from echo import END, READ, STREAM, WATCH, WRITE, Word, frame, say, word, word_bytes

from flyte_lite import errors
from flyte_lite._rpc.codec import JSON, PROTO
from flyte_lite._rpc.connect import Connect
from flyte_lite._version import __version__
from flyte_lite.errors import CallError, Code, ConfigError, ErrorDetail
from flyte_lite.idl.flyteidl2.task import run_pb2

LIMIT = 1000
PACKED = {**STREAM, "connect-content-encoding": ["gzip"]}


def read(
    body: bytes, headers: Optional[dict[str, list[str]]] = None, protocol: Optional[Connect] = None
) -> tuple[list[str], dict[str, list[str]]]:
    """All messages, and the trailers, of an answer that ended after `body`."""
    reader = (protocol or Connect()).reader(Word, 200, dict(headers or STREAM), LIMIT)
    assert reader is not None
    if body:
        reader.feed(body)
    found = [message.name for message in iter(reader.next, None)]
    reader.over()
    return found, reader.trailers


def refused(body: bytes, headers: Optional[dict[str, list[str]]] = None) -> CallError:
    with pytest.raises(CallError) as caught:
        read(body, headers)
    return caught.value


def end(data: Any) -> bytes:
    return frame(2, data if isinstance(data, bytes) else json.dumps(data).encode())


# -- the request of a stream


def test_the_head_of_a_stream() -> None:
    assert Connect().stream_head(None) == {
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connect-Accept-Encoding": "gzip",
        "Connect-Protocol-Version": "1",
        "Content-Type": "application/connect+proto",
        "User-Agent": f"flyte-lite/{__version__}",
    }
    packed = Connect(JSON, compression="gzip").stream_head(1.5)
    assert packed["Content-Type"] == "application/connect+json"
    assert packed["Connect-Content-Encoding"] == "gzip"
    assert packed["Connect-Timeout-Ms"] == "1500"
    assert "Content-Encoding" not in packed


def test_messages_are_sent_in_envelopes() -> None:
    assert Connect().envelope(word("ab")) == b"\x00\x00\x00\x00\x04\x22\x02ab"
    packed = Connect(compression="gzip").envelope(word(""))
    assert packed[0] == 1
    assert gzip.decompress(packed[5:]) == b""


# -- messages


def test_messages_and_their_end() -> None:
    assert read(say("a", "", "b") + END) == (["a", "", "b"], {})
    assert read(END) == ([], {})


def test_messages_may_be_packed_or_not_one_by_one() -> None:
    data = say("a") + frame(1, gzip.compress(word_bytes("b"))) + frame(1, b"") + frame(3, gzip.compress(b"{}"))

    assert read(data, PACKED) == (["a", "b", ""], {})


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " x-gzip "])
def test_the_name_of_the_packing_may_be_written_in_other_ways(encoding: str) -> None:
    data = frame(1, gzip.compress(word_bytes("b"))) + END

    assert read(data, {**STREAM, "connect-content-encoding": [encoding]})[0] == ["b"]


@pytest.mark.parametrize("encoding", [None, "identity", ""])
@pytest.mark.parametrize(
    "data",
    [frame(1, b""), frame(1, gzip.compress(b"")), frame(3, b""), frame(3, gzip.compress(b"{}"))],
    ids=["empty", "message", "empty end", "end"],  # gzip has the time in it, and workers must agree on names
)
def test_packed_where_nothing_is_packed(data: bytes, encoding: Optional[str]) -> None:
    error = refused(data + END, {**STREAM, **({} if encoding is None else {"connect-content-encoding": [encoding]})})

    assert error.code is Code.INTERNAL
    assert "is packed" in error.message


def test_content_encoding_is_not_what_packs_envelopes() -> None:
    assert refused(frame(1, gzip.compress(b"")), {**STREAM, "content-encoding": ["gzip"]}).code is Code.INTERNAL


def test_packed_in_an_unknown_way() -> None:
    error = refused(END, {**STREAM, "connect-content-encoding": ["rot13"]})

    assert type(error) is errors.InternalError
    assert "packed as 'rot13'" in error.message


@pytest.mark.parametrize("flags", [0x04, 0x05, 0x06, 0x08, 0x10, 0x20, 0x40, 0x80, 0x81, 0xFF])
def test_unknown_flags_are_an_error(flags: int) -> None:
    error = refused(frame(flags, b"") + END, PACKED)

    assert error.code is Code.INTERNAL
    assert f"0x{flags:02x}" in error.message


def test_what_cannot_be_unpacked_or_read() -> None:
    assert "can't be unpacked" in refused(frame(1, b"plain") + END, PACKED).message
    assert "can't be unpacked" in refused(frame(3, b"{}"), PACKED).message
    assert "can't be read" in refused(frame(0, b"\xff") + END).message


def test_the_limit_is_met_but_not_passed() -> None:
    def text(size: int) -> bytes:
        # Field 4 with a length of two bytes: 3 bytes of overhead.
        return b"\x22" + bytes([(size - 3) & 127 | 128, (size - 3) >> 7]) + b"x" * (size - 3)

    for fitting in (frame(0, text(LIMIT)), frame(1, gzip.compress(text(LIMIT)))):
        assert len(read(fitting + END, PACKED)[0][0]) == LIMIT - 3
    for over in (frame(0, text(LIMIT + 1)), frame(1, gzip.compress(text(LIMIT + 1)))):
        error = refused(over + END, PACKED)
        assert isinstance(error, errors.AnswerTooLargeError)
        assert error.code is Code.RESOURCE_EXHAUSTED


# -- the end


@pytest.mark.parametrize(
    ("data", "trailers"),
    [
        ({}, {}),
        ({"error": None}, {}),
        ({"code": "not_found", "message": "not where an error belongs"}, {}),
        ({"new": [1], "metadata": {}}, {}),
        ({"metadata": None}, {}),
        ({"metadata": [1]}, {}),
        ({"metadata": "x"}, {}),
        ({"metadata": {"X-Where": ["db", "web"]}}, {"x-where": ["db", "web"]}),
        ({"metadata": {"x": ["1"], "X": ["2"]}}, {"x": ["1", "2"]}),
        ({"metadata": {"x": "alone"}}, {"x": ["alone"]}),
        ({"metadata": {"x": ["a", 5, None, ["b"]]}}, {"x": ["a"]}),
        ({"metadata": {"x": 5, "y": None, "z": {}}}, {"x": [], "y": [], "z": []}),
        ({"metadata": {"x-bin": ["AAE", "AAE="]}}, {"x-bin": ["AAE", "AAE="]}),
        ({"metadata": {"x": ["\u00fc"]}}, {"x": ["\u00fc"]}),
        (b' \n{"metadata":\t{"x":["y"]}} ', {"x": ["y"]}),
    ],
)
def test_a_good_end(data: Any, trailers: dict[str, list[str]]) -> None:
    assert read(say("a") + end(data)) == (["a"], trailers)
    assert read(say("a") + frame(3, gzip.compress(end(data)[5:])), PACKED) == (["a"], trailers)


@pytest.mark.parametrize(
    ("error", "kind", "code", "message"),
    [
        ({"code": "not_found", "message": "gone"}, errors.NotFoundError, "not_found", "gone"),
        ({"code": "not_found"}, errors.NotFoundError, "not_found", ""),
        ({"code": None, "message": "kept"}, errors.RpcError, "unknown", "kept"),
        ({"message": "kept"}, errors.RpcError, "unknown", "kept"),
        ({"code": "new_code", "message": "kept"}, errors.RpcError, "unknown", "kept"),
        ({"code": 5, "message": "kept"}, errors.RpcError, "unknown", "kept"),
        ({"code": "Not_Found", "message": "kept"}, errors.RpcError, "unknown", "kept"),
        ({}, errors.RpcError, "unknown", ""),
        ("text", errors.RpcError, "unknown", ""),
        (False, errors.RpcError, "unknown", ""),
        ([], errors.RpcError, "unknown", ""),
        (
            {"code": "internal", "message": "two\nlines \u00fc \U0001f600"},
            errors.InternalError,
            "internal",
            "two\nlines \u00fc \U0001f600",
        ),
        ({"code": "internal", "message": 5, "debug": "x", "new": {}}, errors.InternalError, "internal", ""),
    ],
)
def test_an_end_with_an_error(error: Any, kind: type[CallError], code: str, message: str) -> None:
    data = {"error": error, "metadata": {"X": ["2"]}}
    for body, headers in ((end(data), STREAM), (frame(3, gzip.compress(end(data)[5:])), PACKED)):
        found = refused(say("a") + body, {**headers, "x": ["1"]})

        assert type(found) is kind
        assert (found.code.value, found.message) == (code, message)
        assert found.headers["x"] == ["1", "2"]


def test_details_of_unknown_types_are_kept_byte_for_byte() -> None:
    details = [
        {"type": "no.such.Type", "value": "/wAB", "debug": {"@type": 5}},
        {"type": "no.such.Type", "value": "***"},
        {"type": "type.googleapis.com/a.B", "value": "AA=="},
    ]

    assert refused(end({"error": {"code": "internal", "details": details}})).details == (
        ErrorDetail("no.such.Type", b"\xff\x00\x01"),
        ErrorDetail("a.B", b"\x00"),
    )


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b'"x"', b"5", b"{", b"\xff", b"[" * 900, b"{}{}"])
def test_an_end_that_cannot_be_read_is_an_error(data: bytes) -> None:
    error = refused(say("a") + end(data), {**STREAM, "x": ["y"]})

    assert error.code is Code.INTERNAL
    assert "end of the answer" in error.message
    assert error.headers["x"] == ["y"]


def test_an_end_that_is_nested_too_deeply_is_an_error() -> None:
    reader = Connect().reader(Word, 200, dict(STREAM), 10_000_000)
    assert reader is not None
    reader.feed(end(b'{"x":' * 200_000))

    with pytest.raises(errors.InternalError, match="end of the answer"):
        reader.next()


@pytest.mark.parametrize("behind", [say("b"), END, b"\x00", b"\n"])
def test_nothing_may_follow_the_end(behind: bytes) -> None:
    error = refused(say("a") + END + behind)

    assert error.code is Code.INTERNAL
    assert "behind its end" in error.message


@pytest.mark.parametrize("size", range(1, len(say("ab") + END)))
def test_cut_short_anywhere_is_never_a_success(size: int) -> None:
    error = refused((say("ab") + END)[:size])

    assert error.code is Code.INTERNAL
    assert "cut short" in error.message


def test_how_it_was_cut_short_is_said() -> None:
    assert "begins with 5 bytes, got 2" in refused(say("ab")[:2]).message
    assert "promised 4 bytes in enveloped message, got 3 bytes" in refused(say("ab")[:8]).message
    assert "ends a stream did not come" in refused(say("ab")).message


def test_no_body_is_an_error() -> None:
    error = refused(b"", {**STREAM, "grpc-status": ["0"], "x": ["y"]})

    assert error.code is Code.INTERNAL
    assert error.headers["x"] == ["y"]


def test_nothing_is_read_of_what_is_not_ours() -> None:
    def ours(status: int, media: str, protocol: Connect) -> bool:
        return protocol.reader(Word, status, {"content-type": [media]}, LIMIT) is not None

    assert ours(200, "application/connect+proto", Connect())
    assert ours(200, " Application/Connect+Proto;charset=utf-8", Connect())
    assert ours(200, "application/connect+json; charset=utf-8", Connect(JSON))
    assert not ours(200, "application/connect+json", Connect())
    assert not ours(200, "application/connect+proto", Connect(JSON))
    assert not ours(200, "application/proto", Connect())
    assert not ours(200, "application/grpc-web+proto", Connect())
    assert not ours(200, "", Connect())
    for status in (201, 204, 301, 400, 500):
        assert not ours(status, "application/connect+proto", Connect())


@pytest.mark.parametrize(
    ("status", "media", "body", "kind", "code"),
    [
        (200, "application/connect+json", b"", errors.EndpointError, "internal"),
        (200, "application/proto", b"", errors.EndpointError, "unknown"),
        (200, "application/json", b'{"code":"not_found"}', errors.EndpointError, "unknown"),
        (200, "text/html", b"", errors.EndpointError, "unknown"),
        (404, "application/json", b'{"code":"not_found","message":"m"}', errors.NotFoundError, "not_found"),
        (503, "application/json", b'{"message":"m"}', errors.UnavailableError, "unavailable"),
        (503, "application/connect+proto", b"", errors.UnavailableError, "unavailable"),
        (415, "", b"", errors.EndpointError, "unknown"),
        (505, "", b"", errors.EndpointError, "unknown"),
    ],
)
def test_what_another_answer_means(status: int, media: str, body: bytes, kind: type[CallError], code: str) -> None:
    with pytest.raises(CallError) as caught:
        Connect().refuse(Connect.family, status, "", {"content-type": [media]}, body, LIMIT)

    assert type(caught.value) is kind
    assert caught.value.code.value == code


# -- GET


def got(protocol: Connect, message: Any, method: Any = READ, left: Optional[float] = None) -> Any:
    return protocol.unary(method, "/test.v1.Echo/Read", message, left)


def test_get() -> None:
    # 22 03 3f 3e 3f: base64 has / and + in it, which are _ and - in addresses.
    verb, target, head, body = got(Connect(get=True), Word(name="\u07ff>?"), left=2)

    assert (verb, body) == ("GET", None)
    assert target == "/test.v1.Echo/Read?connect=v1&base64=1&encoding=proto&message=IgTfvz4_"
    assert head == {
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
        "Connect-Timeout-Ms": "2000",
        "User-Agent": f"flyte-lite/{__version__}",
    }


@pytest.mark.parametrize(("text", "sent"), [("a", "IgFh"), ("ab", "IgJhYg"), ("", "")])
def test_get_has_no_padding(text: str, sent: str) -> None:
    assert got(Connect(get=True), word(text)).target.partition("&message=")[2] == sent


def test_get_in_json() -> None:
    target = got(Connect(JSON, get=True), word("\u07ff?")).target
    query, _, message = target.partition("&message=")

    assert query == "/test.v1.Echo/Read?connect=v1&base64=1&encoding=json"
    assert json.loads(base64.urlsafe_b64decode(message + "=" * (-len(message) % 4))) == {"name": "\u07ff?"}


def test_get_packed() -> None:
    target = got(Connect(compression="gzip", get=True), word("ab")).target
    query, _, message = target.partition("&message=")

    assert query == "/test.v1.Echo/Read?connect=v1&base64=1&compression=gzip&encoding=proto"
    assert "=" not in message
    assert gzip.decompress(base64.urlsafe_b64decode(message + "=" * (-len(message) % 4))) == word_bytes("ab")


def test_the_same_message_has_the_same_address() -> None:
    for protocol in (Connect(get=True), Connect(JSON, get=True), Connect(compression="gzip", get=True)):
        one, other = Word(org="o"), Word(name="n")
        one.name, other.org = "n", "o"
        assert got(protocol, one).target == got(protocol, other).target


@pytest.mark.parametrize(("size", "verb"), [(5950, "GET"), (5951, "POST")])
def test_what_is_too_long_for_an_address_is_posted(size: int, verb: str) -> None:
    request = got(Connect(get=True), Word(name="x" * size))

    # 62 characters before the message, then four for three bytes of it, of which 3 are the field's own.
    assert request.verb == verb
    if verb == "GET":
        assert len(request.target) == 8000
    else:
        assert request.target == "/test.v1.Echo/Read"
        assert request.body == b"\x22" + bytes([size & 127 | 128, size >> 7]) + b"x" * size
        assert request.head["Content-Type"] == "application/proto"


def test_only_what_has_no_side_effects_is_got() -> None:
    assert got(Connect(), word("a")).verb == "POST"
    # Safe to repeat by our own word; the server has not said that it takes it by GET.
    for method in (WRITE, WATCH):
        request = got(Connect(get=True), word("a"), method)
        assert (request.verb, request.target) == ("POST", "/test.v1.Echo/Read")


# -- POST


def test_post() -> None:
    verb, target, head, body = got(Connect(), word("ab"))

    assert (verb, target, body) == ("POST", "/test.v1.Echo/Read", b"\x22\x02ab")
    assert head == {
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
        "Connect-Protocol-Version": "1",
        "Content-Type": "application/proto",
        "User-Agent": f"flyte-lite/{__version__}",
    }


@pytest.mark.parametrize("text", ["", "ab"])
def test_post_packed(text: str) -> None:
    request = got(Connect(compression="gzip"), word(text))

    assert request.head["Content-Encoding"] == "gzip"
    assert request.body is not None
    assert zlib.decompress(request.body, wbits=31) == word_bytes(text)


@pytest.mark.parametrize("name", [None, "identity"])
def test_post_as_it_is(name: Optional[str]) -> None:
    request = got(Connect(compression=name), word("ab"))

    assert "Content-Encoding" not in request.head
    assert (request.body, request.head["Accept-Encoding"]) == (word_bytes("ab"), "gzip")


def test_an_empty_message_has_an_empty_body() -> None:
    assert got(Connect(), word("")).body == b""


@pytest.mark.parametrize("name", ["rot13", "deflate", "GZIP2", " "])
def test_a_packing_that_there_is_not_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=repr(name)):
        Connect(compression=name)


def test_unary_headers_and_trailers_are_told_apart() -> None:
    headers = {"content-type": ["application/proto"], "x": ["1", "2"], "trailer-x": ["3", "4"], "trailer-y-bin": ["AA"]}

    message, found, trailers = Connect(PROTO).answer(Word, 200, "OK", headers, word_bytes("a"), LIMIT)

    assert message.name == "a"
    assert found == {"content-type": ["application/proto"], "x": ["1", "2"]}
    assert trailers == {"x": ["3", "4"], "y-bin": ["AA"]}


def test_an_answer_that_cannot_be_read_has_headers_and_trailers_together() -> None:
    headers = {"content-type": ["application/proto"], "x": ["1"], "trailer-x": ["2"]}

    with pytest.raises(errors.InternalError) as caught:
        Connect().answer(Word, 200, "OK", headers, b"\xff", LIMIT)

    assert caught.value.headers["x"] == ["1", "2"]


def test_maps_have_one_order_in_addresses() -> None:
    # Fields of maps come in any order unless it is asked for: each entry is field 1, of key 1 and value 2.
    keys = [f"k{number:02}" for number in range(50)]
    message = run_pb2.Labels(values=dict.fromkeys(reversed(keys), "v"))

    def sent(protocol: Connect) -> bytes:
        text = got(protocol, message).target.partition("&message=")[2]
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    assert sent(Connect(get=True)) == b"".join(b"\x0a\x08\x0a\x03" + key.encode() + b"\x12\x01v" for key in keys)
    assert list(json.loads(sent(Connect(JSON, get=True)))["values"]) == keys


def test_an_answer_over_the_limit_has_its_headers() -> None:
    headers = {"content-type": ["application/proto"], "content-encoding": ["gzip"], "x": ["1"]}

    with pytest.raises(errors.AnswerTooLargeError) as caught:
        Connect().answer(Word, 200, "OK", headers, gzip.compress(b"\0" * (LIMIT + 1)), LIMIT)

    assert caught.value.headers["x"] == ["1"]
