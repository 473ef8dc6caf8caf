"""What an answer becomes, whoever sent it: a table of (status, content type, body) to class, code and hint."""

from __future__ import annotations

import gzip
from typing import Optional

import pytest

from flyte_lite import errors
from flyte_lite._rpc.codec import JSON
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.method import Method
from flyte_lite.errors import CallError, Code
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

Run = identifier_pb2.RunIdentifier
METHOD = Method(run_service_pb2, "RunService", "GetRunDetails")
MESSAGE = b"\x22\x01r"  # RunIdentifier{name: "r"}
PACKED = {"content-encoding": ["gzip"]}


def read(
    status: int,
    media: Optional[str],
    body: bytes,
    headers: Optional[dict[str, list[str]]] = None,
    connect: Optional[Connect] = None,
    reason: str = "",
) -> identifier_pb2.RunIdentifier:
    found = dict(headers or {})
    if media is not None:
        found["content-type"] = [media]
    message, _, _ = (connect or Connect()).answer(Run, status, reason, found, body, 1000)
    return message


@pytest.mark.parametrize("media", ["application/proto", "application/proto; charset=utf-8", " Application/Proto ;x"])
def test_a_message_is_read(media: str) -> None:
    assert read(200, media, MESSAGE).name == "r"
    assert read(200, media, b"") == Run()


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " gzip", "x-gzip"])
def test_a_packed_message_is_read(encoding: str) -> None:
    assert read(200, "application/proto", gzip.compress(MESSAGE), {"content-encoding": [encoding]}).name == "r"


@pytest.mark.parametrize("encoding", ["identity", "gzip", "rot13"])
def test_nothing_is_never_unpacked(encoding: str) -> None:
    assert read(200, "application/proto", b"", {"content-encoding": [encoding]}) == Run()


def test_json_is_read_by_the_json_codec() -> None:
    assert read(200, "application/json; charset=utf-8", b'{"name":"r"}', connect=Connect(JSON)).name == "r"


ERROR = b'{"code":"not_found","message":"no such run"}'
TABLE = [
    # Errors of Connect.
    (404, "application/json", ERROR, errors.NotFoundError, "not_found", "no such run"),
    (200, "application/json", ERROR, errors.EndpointError, "internal", "not Flyte"),
    (500, "application/json; charset=utf-8", ERROR, errors.NotFoundError, "not_found", "no such run"),
    (503, "application/json", b'{"message":"busy"}', errors.UnavailableError, "unavailable", "busy"),
    (418, "application/json", b'{"code":"teapot","message":"m"}', errors.RpcError, "unknown", "m"),
    (409, "application/json", b'{"code":"already_exists"}', errors.AlreadyExistsError, "already_exists", "no message"),
    # JSON of somebody else.
    (
        404,
        "application/json",
        b'{"detail":"Not Found"}',
        errors.EndpointError,
        "unimplemented",
        '{"detail":"Not Found"}',
    ),
    (500, "application/json", b"null", errors.EndpointError, "unknown", "null"),
    (401, "application/json", b"[]", errors.UnauthenticatedError, "unauthenticated", "not Flyte"),
    (503, "application/json", b"{" * 50_000, errors.UnavailableError, "unavailable", "{{{"),
    # Bare statuses.
    (400, "text/plain", b"bad", errors.EndpointError, "internal", '"bad"'),
    (401, "text/html", b"<h1>Login</h1>", errors.UnauthenticatedError, "unauthenticated", '"Login"'),
    (403, None, b"", errors.PermissionDeniedError, "permission_denied", "no content type"),
    (404, "text/plain", b"404 page not found", errors.UnimplementedError, "unimplemented", "no such method"),
    (404, "text/html", b"<p>Nothing here", errors.EndpointError, "unimplemented", "web page"),
    (407, "text/html", b"", errors.EndpointError, "unknown", "http://user:password@host:port"),
    (413, "text/html", b"<h1>413", errors.EndpointError, "unknown", "client_max_body_size"),
    (429, "text/plain", b"slow down", errors.UnavailableError, "unavailable", "slow down"),
    (500, "text/plain", b"oops", errors.EndpointError, "unknown", "oops"),
    (502, "text/html", b"<title>502 Bad Gateway</title>", errors.UnavailableError, "unavailable", "gets no answer"),
    (503, "text/plain", b"no healthy upstream", errors.UnavailableError, "unavailable", "gets no answer from it"),
    (504, "text/plain", b"upstream timeout", errors.UnavailableError, "unavailable", "upstream timeout"),
    (505, None, b"", errors.EndpointError, "unknown", "HTTP 505"),
    (800, None, b"", errors.EndpointError, "unknown", "HTTP 800"),
    # Success that is none.
    (200, "text/html", b"<html><body>Welcome to nginx!", errors.EndpointError, "unknown", "Welcome to nginx!"),
    (200, None, b"", errors.EndpointError, "unknown", "check host, port and path"),
    (200, "application/grpc", b"\0\0\0\0\0", errors.EndpointError, "internal", "application/grpc"),
    (200, "application/octet-stream", b"\xff\0\x1b[31m", errors.EndpointError, "internal", "not Flyte"),
    (204, None, b"", errors.EndpointError, "unknown", "check host, port and path"),
    (202, "application/proto", MESSAGE, errors.EndpointError, "unknown", "HTTP 202"),
    (200, "application/proto", b"\xff", errors.InternalError, "internal", "can't be read"),
    # TLS and plain mixed up, as Go's server says it.
    (400, None, b"Client sent an HTTP request to an HTTPS server.\n", errors.EndpointError, "internal", "use https://"),
]


@pytest.mark.parametrize(
    ("status", "media", "body", "kind", "code", "words"), TABLE, ids=[f"{row[0]} {row[1]} {row[5]}" for row in TABLE]
)
def test_each_other_answer(
    status: int, media: Optional[str], body: bytes, kind: type[CallError], code: str, words: str
) -> None:
    with pytest.raises(CallError) as caught:
        read(status, media, body, {"x": ["y"]})

    error = caught.value
    assert type(error) is kind
    assert error.code == code
    assert words in str(error)
    assert error.headers["x"] == ["y"]
    assert error.sent
    assert len(str(error)) < 600
    assert str(error).isprintable()


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_redirects_tell_where_to_without_secrets(status: int) -> None:
    to = "https://me:hidden@login.example/start?sig=hidden#hidden"
    with pytest.raises(
        errors.EndpointError, match=r"redirects to https://login\.example/start, which is never"
    ) as caught:
        read(status, "text/html", b"", {"location": [to]})

    assert caught.value.code is Code.UNKNOWN
    assert "hidden" not in str(caught.value)


def test_what_strangers_send_does_not_reach_the_terminal_as_it_is() -> None:
    evil = "\x1b[31m" + "x" * 10_000
    for headers in ({"server": [evil]}, {"location": [evil]}):
        with pytest.raises(CallError) as caught:
            read(302, evil, evil.encode(), headers, reason=evil)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 1000


def test_a_page_is_shown_without_its_tags_and_scripts() -> None:
    page = b"<html><head><style>body{}</style><script>if(a<b){}</script></head>\n<body>Please <b>log in</b>\n</body>"
    with pytest.raises(errors.EndpointError, match='It begins: "Please log in"'):
        read(200, "text/html; charset=utf-8", page)


def test_a_packed_page_is_not_shown_as_noise() -> None:
    with pytest.raises(errors.EndpointError) as caught:
        read(200, "text/html", gzip.compress(b"page"), PACKED)
    assert "begins" not in str(caught.value)


def test_a_packed_error_is_unpacked() -> None:
    with pytest.raises(errors.NotFoundError, match="no such run"):
        read(404, "application/json", gzip.compress(ERROR), PACKED)


@pytest.mark.parametrize(
    ("status", "media", "body", "headers", "kind", "words"),
    [
        (
            200,
            "application/proto",
            gzip.compress(b"\0" * 5000, mtime=0),
            PACKED,
            errors.AnswerTooLargeError,
            "limit of 1000",
        ),
        (
            404,
            "application/json",
            gzip.compress(b" " * 5000, mtime=0),
            PACKED,
            errors.AnswerTooLargeError,
            "limit of 1000",
        ),
        (200, "application/proto", b"\x22\x01r", PACKED, errors.InternalError, "can't be unpacked"),
        (200, "application/proto", b"x", {"content-encoding": ["rot13"]}, errors.InternalError, "packed as .rot13."),
    ],
)
def test_bad_packing(
    status: int, media: str, body: bytes, headers: dict[str, list[str]], kind: type[CallError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        read(status, media, body, headers)


def head(connect: Connect, left: Optional[float]) -> dict[str, str]:
    return connect.unary(METHOD, "/path", Run(), left).head


def test_trailers_are_headers_of_an_error() -> None:
    with pytest.raises(errors.NotFoundError) as caught:
        read(404, "application/json", ERROR, {"a": ["1"], "trailer-a": ["2"], "trailer-b": ["3"]})

    assert caught.value.headers["a"] == ["1", "2"]
    assert caught.value.headers["b"] == ["3"]


@pytest.mark.parametrize(
    ("left", "sent"),
    [
        (None, None),
        (30.0, "30000"),
        (0.0015, "1"),
        (0.0001, "1"),
        (9_999_999.999, "9999999999"),
        (10_000_000.0, None),
        (float("inf"), None),
    ],
)
def test_the_timeout_is_what_is_left_in_at_most_ten_digits(left: Optional[float], sent: Optional[str]) -> None:
    assert head(Connect(), left).get("Connect-Timeout-Ms") == sent
    assert Connect().stream_head(left).get("Connect-Timeout-Ms") == sent


def test_heads_are_not_shared() -> None:
    connect = Connect()
    head(connect, 1)["x"] = "y"
    connect.stream_head(1)["x"] = "y"

    assert "x" not in head(connect, 1)
    assert "x" not in connect.stream_head(1)
