"""gRPC-Web, from doc/PROTOCOL-WEB.md and doc/PROTOCOL-HTTP2.md of github.com/grpc/grpc: requests, messages and ends."""

from __future__ import annotations

import base64
import zlib
from typing import Any, Optional

import pytest
from echo import OK_TRAILERS, WEB, Word, frame, say, word, word_bytes

from flyte_lite import errors
from flyte_lite._rpc.codec import JSON, PROTO
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._version import __version__
from flyte_lite.errors import CallError, Code, ErrorDetail

LIMIT = 1000


def gzipped(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


def read(
    body: bytes, headers: Optional[dict[str, list[str]]] = None, protocol: Optional[GrpcWeb] = None
) -> tuple[list[str], dict[str, list[str]]]:
    """All messages, and the trailers, of an answer that ended after `body`."""
    reader = (protocol or GrpcWeb()).reader(Word, 200, dict(headers or WEB), LIMIT)
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


def trailers(text: str) -> bytes:
    return frame(0x80, text.encode())


# -- the request


def test_the_head() -> None:
    assert GrpcWeb().stream_head(None) == {
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Content-Type": "application/grpc-web+proto",
        "Grpc-Accept-Encoding": "gzip",
        "User-Agent": f"flyte-lite/{__version__}",
        "X-Grpc-Web": "1",
        "X-User-Agent": f"flyte-lite/{__version__}",
    }
    packed = GrpcWeb(JSON, compression="gzip").stream_head(None)
    assert packed["Content-Type"] == "application/grpc-web+json"
    assert packed["Grpc-Encoding"] == "gzip"


def test_heads_are_not_shared() -> None:
    protocol = GrpcWeb()
    protocol.stream_head(1)["x"] = "y"

    assert "x" not in protocol.stream_head(1)
    assert "Grpc-Timeout" not in protocol.stream_head(None)


@pytest.mark.parametrize(
    ("left", "sent"),
    [
        (None, None),
        (1.5, "1500m"),
        (0.0019, "1m"),
        (0.0001, "1m"),
        (99_999.999, "99999999m"),
        (100_000.0, "100000S"),
        (99_999_999.0, "99999999S"),
        (99_999_999.9, None),
        (100_000_000.0, None),
        (float("inf"), None),
    ],
)
def test_the_timeout_has_a_unit_and_at_most_eight_digits(left: Optional[float], sent: Optional[str]) -> None:
    assert GrpcWeb().stream_head(left).get("Grpc-Timeout") == sent


def test_messages_are_sent_in_envelopes() -> None:
    assert GrpcWeb().envelope(word("ab")) == b"\x00\x00\x00\x00\x04\x22\x02ab"
    assert GrpcWeb().envelope(word("")) == b"\x00\x00\x00\x00\x00"

    packed = GrpcWeb(compression="gzip").envelope(word("ab"))
    assert packed[0] == 1
    assert int.from_bytes(packed[1:5], "big") == len(packed) - 5
    assert zlib.decompress(packed[5:], wbits=31) == word_bytes("ab")


def test_an_empty_message_is_packed_too() -> None:
    packed = GrpcWeb(compression="gzip").envelope(word(""))

    assert packed[0] == 1
    assert zlib.decompress(packed[5:], wbits=31) == b""


# -- the end in the body


def test_messages_and_their_end() -> None:
    assert read(say("a", "", "b") + OK_TRAILERS) == (["a", "", "b"], {})
    assert read(OK_TRAILERS) == ([], {})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Grpc-Status: 0\r\nX-Where: db\r\n", {"x-where": ["db"]}),
        ("grpc-status:0\r\nx-where:db\r\n", {"x-where": ["db"]}),
        ("GRPC-STATUS: 0\r\n  x-where  :   db  \r\n", {"x-where": ["db"]}),
        ("x: 1\r\nX: 2\r\ngrpc-status: 0\r\nx: 1\r\n", {"x": ["1", "2", "1"]}),
        ("grpc-status: 0\r\nx: a: b, c\r\n", {"x": ["a: b, c"]}),
        ("grpc-status: 0\r\nx-empty:\r\n", {"x-empty": [""]}),
        ("grpc-status: 0\r\nx-bin: AAE,Ag==\r\n", {"x-bin": ["AAE,Ag=="]}),
        ("grpc-status: 0\r\nx: y", {"x": ["y"]}),
        ("grpc-status: 0\r\n\r\n", {}),
        ("grpc-status: 0\r\ngrpc-message: fine\r\n", {}),
    ],
)
def test_trailers_in_the_body(text: str, found: dict[str, list[str]]) -> None:
    assert read(trailers(text)) == ([], found)


def test_a_packed_end() -> None:
    headers = {**WEB, "grpc-encoding": ["gzip"]}
    data = frame(1, gzipped(word_bytes("a"))) + frame(0x81, gzipped(b"grpc-status: 0\r\nx: y\r\n"))

    assert read(data, headers) == (["a"], {"x": ["y"]})


def test_messages_may_be_packed_or_not_one_by_one() -> None:
    headers = {**WEB, "grpc-encoding": ["gzip"]}

    assert read(say("a") + frame(1, gzipped(word_bytes("b"))) + frame(1, b"") + OK_TRAILERS, headers)[0] == [
        "a",
        "b",
        "",
    ]


def test_a_packed_end_without_packing_is_no_end() -> None:
    error = refused(frame(0x81, gzipped(b"grpc-status: 0\r\n")))

    assert error.code is Code.INTERNAL
    assert "is packed" in error.message


GRPC_NUMBERS = [
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
]


@pytest.mark.parametrize(("number", "code"), [*enumerate(GRPC_NUMBERS, 1), (17, "unknown"), (99, "unknown")])
def test_each_number_has_its_code(number: int, code: str) -> None:
    error = refused(trailers(f"grpc-status: {number}\r\ngrpc-message: why\r\n"))

    assert (error.code.value, error.message) == (code, "why")
    assert type(error) is errors.class_of(Code(code))


@pytest.mark.parametrize("number", ["-1", "00", "+5", "5.0", "five", "\u0665", "0x0", "0,0", "9" * 900])
def test_what_is_no_number_is_an_unknown_error_and_never_a_success(number: str) -> None:
    error = refused(trailers(f"grpc-status: {number}\r\n"))

    assert error.code is Code.UNKNOWN


@pytest.mark.parametrize("text", ["", "x: y\r\n", "grpc-message: lost\r\n", "grpc-status:\r\n"])
def test_an_end_without_a_status_is_an_error(text: str) -> None:
    error = refused(trailers(text))

    assert error.code is Code.INTERNAL
    assert "grpc-status" in error.message


def test_a_line_without_a_colon_is_an_error() -> None:
    error = refused(trailers("grpc-status: 0\r\nnonsense\r\n"))

    assert error.code is Code.INTERNAL
    assert "colon" in error.message


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("plain text", "plain text"),
        ("50%25 of %C3%BC", "50% of \u00fc"),
        ("%F0%9F%98%80", "\U0001f600"),
        ("%f0%9f%98%80!", "\U0001f600!"),
        ("two%0Alines%0D", "two\nlines\r"),
        ("a+b", "a+b"),
        ("100%", "100%"),
        ("%zz %4", "%zz %4"),
        ("%FF", "\ufffd"),
        ("%F0%9F", "\ufffd"),
        ("\u00fc as it is", "\u00fc as it is"),
    ],
)
def test_the_message_is_percent_decoded(sent: str, message: str) -> None:
    assert refused(trailers(f"grpc-status: 13\r\ngrpc-message: {sent}\r\n")).message == message


def test_bytes_that_are_no_text_do_not_hide_the_status() -> None:
    error = refused(frame(0x80, b"x: \xff\xfe\r\ngrpc-status: 5\r\n"))

    assert isinstance(error, errors.NotFoundError)


def status_bytes(code: int, message: str, *details: tuple[str, bytes]) -> bytes:
    """google.rpc.Status by hand: code = 1, message = 2, details = 3 { type_url = 1, value = 2 }."""
    data = bytes([0x08, code]) if code else b""
    if message:
        data += b"\x12" + bytes([len(message)]) + message.encode()
    for url, value in details:
        each = b"\x0a" + bytes([len(url)]) + url.encode()
        if value:
            each += b"\x12" + bytes([len(value)]) + value
        data += b"\x1a" + bytes([len(each)]) + each
    return data


def encoded(data: bytes, padded: bool = False) -> str:
    text = base64.b64encode(data).decode()
    return text if padded else text.rstrip("=")


@pytest.mark.parametrize("padded", [False, True])
def test_the_status_in_binary_wins(padded: bool) -> None:
    status = encoded(status_bytes(5, "gone", ("type.googleapis.com/no.such.Type", b"\xff\x00\x01")), padded)
    error = refused(trailers(f"grpc-status: 13\r\ngrpc-message: text\r\ngrpc-status-details-bin: {status}\r\nx: y\r\n"))

    assert isinstance(error, errors.NotFoundError)
    assert error.message == "gone"
    assert error.details == (ErrorDetail("no.such.Type", b"\xff\x00\x01"),)
    assert error.headers["x"] == ["y"]


def test_details_of_unknown_types_are_kept_byte_for_byte_and_in_order() -> None:
    given = [("type.googleapis.com/a.B", b"\x0a\xff"), ("c.D", b""), ("https://types.example/deep/e.F", b"x" * 60)]
    error = refused(trailers(f"grpc-status: 2\r\ngrpc-status-details-bin: {encoded(status_bytes(2, 'm', *given))}\r\n"))

    assert error.details == (ErrorDetail("a.B", b"\x0a\xff"), ErrorDetail("c.D", b""), ErrorDetail("e.F", b"x" * 60))


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (status_bytes(0, "gone"), "internal", "gone"),
        (status_bytes(99, "gone"), "internal", "gone"),
        (status_bytes(5, ""), "not_found", "text"),
        (b"", "internal", "text"),
    ],
)
def test_what_the_status_in_binary_lacks_is_taken_from_the_text(status: bytes, code: str, message: str) -> None:
    error = refused(
        trailers(f"grpc-status: 13\r\ngrpc-message: text\r\ngrpc-status-details-bin: {encoded(status)}\r\n")
    )

    assert (error.code.value, error.message) == (code, message)


@pytest.mark.parametrize("value", ["***", "A", encoded(b"\x12\x05ab"), encoded(b"\x12\x01\xff"), encoded(b"\xff")])
def test_details_that_cannot_be_read_hide_nothing(value: str) -> None:
    error = refused(trailers(f"grpc-status: 5\r\ngrpc-message: gone\r\ngrpc-status-details-bin: {value}\r\n"))

    assert (error.code.value, error.message, error.details) == ("not_found", "gone", ())


def test_a_good_status_is_good_whatever_the_details_say() -> None:
    assert read(trailers(f"grpc-status: 0\r\ngrpc-status-details-bin: {encoded(status_bytes(5, 'gone'))}\r\n")) == (
        [],
        {},
    )


def test_the_errors_headers_are_headers_and_trailers() -> None:
    error = refused(say("a") + trailers("grpc-status: 5\r\nx: 2\r\ny: 3\r\n"), {**WEB, "x": ["1"]})

    assert error.headers["x"] == ["1", "2"]
    assert error.headers["y"] == ["3"]
    assert error.headers["content-type"] == WEB["content-type"]


# -- the end in the head


def test_an_answer_without_a_body_has_its_status_in_the_head() -> None:
    assert read(b"", {**WEB, "grpc-status": ["0"]}) == ([], {})

    status = encoded(status_bytes(8, "slow", ("a.B", b"\x01")))
    head = {**WEB, "grpc-status": ["8"], "grpc-message": ["no%20more"], "x": ["y"]}
    error = refused(b"", head)
    assert isinstance(error, errors.RateLimitedError)
    assert (error.message, error.headers["x"]) == ("no more", ["y"])
    error = refused(b"", {**head, "grpc-status-details-bin": [status]})
    assert (error.message, error.details) == ("slow", (ErrorDetail("a.B", b"\x01"),))


def test_nothing_at_all_is_an_error() -> None:
    error = refused(b"", {**WEB, "x": ["y"]})

    assert error.code is Code.INTERNAL
    assert error.headers["x"] == ["y"]


@pytest.mark.parametrize("status", ["0", "9"])
def test_the_status_in_the_head_means_nothing_if_there_is_a_body(status: str) -> None:
    head = {**WEB, "grpc-status": [status], "grpc-message": ["head"]}

    assert read(say("a") + OK_TRAILERS, head)[0] == ["a"]
    assert refused(say("a") + trailers("grpc-status: 5\r\n"), head).code is Code.NOT_FOUND
    assert refused(say("a"), head).code is Code.INTERNAL
    assert "grpc-status" in refused(trailers("x: y\r\n"), head).message


# -- which answers are ours


@pytest.mark.parametrize(
    ("codec", "media", "ours"),
    [
        (PROTO, "application/grpc-web+proto", True),
        (PROTO, "application/grpc-web", True),
        (PROTO, "Application/Grpc-Web+Proto; charset=utf-8", True),
        (PROTO, "application/grpc-web+json", False),
        (PROTO, "application/grpc-web-text", False),
        (PROTO, "application/grpc-web-text+proto", False),
        (PROTO, "application/grpc", False),
        (PROTO, "application/proto", False),
        (PROTO, "", False),
        (JSON, "application/grpc-web+json", True),
        (JSON, "application/grpc-web", False),
        (JSON, "application/grpc-web+proto", False),
    ],
)
def test_the_content_type(codec: Any, media: str, ours: bool) -> None:
    reader = GrpcWeb(codec).reader(Word, 200, {"content-type": [media]}, LIMIT)

    assert (reader is not None) == ours


@pytest.mark.parametrize("status", [201, 204, 302, 400, 404, 500, 503])
def test_only_200_has_messages(status: int) -> None:
    assert GrpcWeb().reader(Word, status, dict(WEB), LIMIT) is None


@pytest.mark.parametrize(
    ("status", "media", "kind", "code"),
    [
        (200, "application/grpc-web+json", errors.EndpointError, "internal"),
        (200, "application/grpc-web+thrift", errors.EndpointError, "internal"),
        (200, "application/grpc-web-text", errors.EndpointError, "internal"),
        (200, "text/html", errors.EndpointError, "unknown"),
        (200, "application/json", errors.EndpointError, "unknown"),
        (200, "", errors.EndpointError, "unknown"),
        (400, "application/grpc-web+proto", errors.EndpointError, "internal"),
        (401, "application/grpc-web+proto", errors.UnauthenticatedError, "unauthenticated"),
        (403, "text/plain", errors.PermissionDeniedError, "permission_denied"),
        (404, "application/grpc-web+proto", errors.EndpointError, "unimplemented"),
        (404, "text/plain", errors.UnimplementedError, "unimplemented"),
        (429, "", errors.UnavailableError, "unavailable"),
        (502, "", errors.UnavailableError, "unavailable"),
        (503, "application/grpc-web+proto", errors.UnavailableError, "unavailable"),
        (504, "", errors.UnavailableError, "unavailable"),
        (301, "", errors.EndpointError, "unknown"),
        (500, "application/grpc-web+proto", errors.EndpointError, "unknown"),
        (800, "", errors.EndpointError, "unknown"),
    ],
)
def test_what_another_answer_means(status: int, media: str, kind: type[CallError], code: str) -> None:
    headers = {"content-type": [media], "grpc-status": ["5"], "x": ["y"]}

    with pytest.raises(CallError) as caught:
        GrpcWeb().refuse(GrpcWeb.family, status, "", headers, b"", LIMIT)

    assert type(caught.value) is kind
    assert caught.value.code.value == code
    assert caught.value.headers["x"] == ["y"]


# -- what is wrong in a body


@pytest.mark.parametrize("flags", [0x02, 0x03, 0x04, 0x08, 0x10, 0x20, 0x40, 0x82, 0xC0, 0xFF])
def test_unknown_flags_are_an_error(flags: int) -> None:
    error = refused(frame(flags, b"") + OK_TRAILERS)

    assert error.code is Code.INTERNAL
    assert f"0x{flags:02x}" in error.message


@pytest.mark.parametrize("data", [b"", word_bytes("a"), gzipped(word_bytes("a"))])
@pytest.mark.parametrize("encoding", [None, "identity", ""])
def test_packed_where_nothing_is_packed(data: bytes, encoding: Optional[str]) -> None:
    error = refused(
        frame(1, data) + OK_TRAILERS, {**WEB, **({} if encoding is None else {"grpc-encoding": [encoding]})}
    )

    assert error.code is Code.INTERNAL
    assert "is packed" in error.message


def test_packed_in_an_unknown_way() -> None:
    with pytest.raises(errors.InternalError, match="packed as 'rot13'"):
        read(OK_TRAILERS, {**WEB, "grpc-encoding": ["rot13"]})


def test_packed_wrongly() -> None:
    error = refused(frame(1, word_bytes("a")) + OK_TRAILERS, {**WEB, "grpc-encoding": ["gzip"]})

    assert error.code is Code.INTERNAL
    assert "can't be unpacked" in error.message


@pytest.mark.parametrize("size", [LIMIT + 1, 100 * LIMIT])
def test_no_message_is_larger_than_the_limit(size: int) -> None:
    packed = frame(1, gzipped(b"\x00" * size))

    assert isinstance(refused(packed, {**WEB, "grpc-encoding": ["gzip"], "x": ["y"]}), errors.AnswerTooLargeError)
    # Known from the length alone, before it has come.
    assert isinstance(refused(b"\x00" + size.to_bytes(4, "big")), errors.AnswerTooLargeError)


@pytest.mark.parametrize("behind", [say("b"), OK_TRAILERS, b"\x00", b"\r\n"])
def test_nothing_may_follow_the_end(behind: bytes) -> None:
    reader = GrpcWeb().reader(Word, 200, dict(WEB), LIMIT)
    assert reader is not None
    reader.feed(say("a") + OK_TRAILERS + behind)

    assert [message.name for message in iter(reader.next, None)] == ["a"]
    assert reader.ended
    with pytest.raises(errors.InternalError, match="behind its end"):
        reader.over()
    # The same if it came in a piece of its own.
    reader = GrpcWeb().reader(Word, 200, dict(WEB), LIMIT)
    assert reader is not None
    reader.feed(OK_TRAILERS)
    assert reader.next() is None
    with pytest.raises(errors.InternalError, match="behind its end"):
        reader.over(behind)


@pytest.mark.parametrize("size", range(1, len(say("ab") + OK_TRAILERS)))
def test_cut_short_anywhere_is_never_a_success(size: int) -> None:
    error = refused((say("ab") + OK_TRAILERS)[:size])

    assert error.code is Code.INTERNAL
    assert "cut short" in error.message


def test_bytes_that_are_no_message() -> None:
    error = refused(frame(0, b"\xff") + OK_TRAILERS)

    assert error.code is Code.INTERNAL
    assert "can't be read" in error.message


def test_json_in_envelopes() -> None:
    headers = {"content-type": ["application/grpc-web+json"]}

    assert read(frame(0, b'{"name":"a"}') + OK_TRAILERS, headers, GrpcWeb(JSON)) == (["a"], {})
    assert GrpcWeb(JSON).envelope(word("a"))[5:].replace(b" ", b"") == b'{"name":"a"}'
