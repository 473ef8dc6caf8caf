from __future__ import annotations

import json

import pytest

from flyte_lite import errors
from flyte_lite._rpc.wire_error import WireError, code_of_status
from flyte_lite.devbox.protocols.error_json import error_object, json_bytes, status_of
from flyte_lite.errors import Code, ErrorDetail

# Connect's table "Error codes", by hand.
STATUSES = {
    "canceled": 499,
    "unknown": 500,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "data_loss": 500,
    "unauthenticated": 401,
}


def test_each_code_has_its_status() -> None:
    assert {code.value: status_of(code) for code in Code} == STATUSES


@pytest.mark.parametrize("status", [*range(100, 600), 800, 999])
def test_each_status_has_its_code(status: int) -> None:
    wanted = {
        400: "internal",
        401: "unauthenticated",
        403: "permission_denied",
        404: "unimplemented",
        429: "unavailable",
        502: "unavailable",
        503: "unavailable",
        504: "unavailable",
    }
    assert code_of_status(status).value == wanted.get(status, "unknown")


@pytest.mark.parametrize("code", list(Code))
def test_each_code_reads_and_writes_and_has_a_class(code: Code) -> None:
    wire = WireError.from_json(json.dumps({"code": code.value, "message": "why"}).encode())

    assert wire == WireError(code, "why")
    error = wire.to_exception({"a": ["b"]})
    assert WireError.from_json(json_bytes(error_object(error))) == wire
    assert isinstance(error, errors.CallError)
    assert (error.code, error.message, error.headers, error.sent) == (code, "why", {"a": ["b"]}, True)
    if code not in (Code.UNKNOWN, Code.OUT_OF_RANGE, Code.DATA_LOSS):
        assert type(error) is not errors.RpcError


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"code"',
        b"7",
        b"{",
        b"{}",
        b'{"error": "not found"}',
        b"<html>",
        b"\xff\xfe\x00",
        b"\x80",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_error_object_is_none(body: bytes) -> None:
    assert WireError.from_json(body) is None


@pytest.mark.parametrize(
    ("parsed", "wanted"),
    [
        ({"code": "not_found"}, WireError(Code.NOT_FOUND)),
        ({"code": "new_code", "message": "kept"}, WireError(None, "kept")),
        ({"code": None, "message": "kept"}, WireError(None, "kept")),
        ({"code": 5, "message": "kept"}, WireError(None, "kept")),
        ({"code": ["x"], "message": "kept"}, WireError(None, "kept")),
        ({"message": "kept"}, WireError(None, "kept")),
        ({"code": "internal", "message": 7}, WireError(Code.INTERNAL)),
        ({"code": "internal", "details": None}, WireError(Code.INTERNAL)),
        ({"code": "internal", "details": {"type": "a"}}, WireError(Code.INTERNAL)),
        ({"code": "internal", "extra": {"deep": [1]}}, WireError(Code.INTERNAL)),
        (
            {"code": "internal", "message": "line\n\u00fc \U0001f600"},
            WireError(Code.INTERNAL, "line\n\u00fc \U0001f600"),
        ),
    ],
)
def test_what_is_odd_never_hides_the_rest(parsed: dict[str, object], wanted: WireError) -> None:
    assert WireError.from_object(parsed) == wanted


@pytest.mark.parametrize(
    ("item", "kept"),
    [
        ({"type": "a.B", "value": "AAE"}, ErrorDetail("a.B", b"\0\1")),
        ({"type": "a.B", "value": "AAE="}, ErrorDetail("a.B", b"\0\1")),
        ({"type": "a.B", "value": ""}, ErrorDetail("a.B", b"")),
        ({"type": "type.googleapis.com/a.B", "value": "AAE"}, ErrorDetail("a.B", b"\0\1")),
        ({"type": "a.B", "value": "AAE", "debug": {"x": 1}, "new": 1}, ErrorDetail("a.B", b"\0\1")),
        ({"type": "a.B", "value": "+/8"}, ErrorDetail("a.B", b"\xfb\xff")),
        ({"type": "a.B", "value": "***"}, None),
        ({"type": "a.B", "value": "A"}, None),
        ({"type": "a.B", "value": "\u00fc"}, None),
        ({"type": "a.B"}, None),
        ({"value": "AAE"}, None),
        ({"type": 1, "value": "AAE"}, None),
        ("a.B", None),
        (None, None),
    ],
)
def test_details_that_cannot_be_read_are_left_out(item: object, kept: object) -> None:
    good = {"type": "c.D", "value": "AA"}

    wire = WireError.from_object({"code": "internal", "details": [item, good]})

    assert wire is not None
    assert wire.details == ((kept,) if kept else ()) + (ErrorDetail("c.D", b"\0"),)


def test_details_are_written_without_padding_and_url() -> None:
    error = errors.InternalError("", Code.INTERNAL, details=(ErrorDetail("a.B", b"\0\1"),))

    assert json_bytes(error_object(error)) == b'{"code":"internal","details":[{"type":"a.B","value":"AAE"}]}'


def test_a_missing_code_is_what_the_status_says() -> None:
    error = WireError(None, "kept", (ErrorDetail("a.B", b""),)).to_exception({}, Code.UNAVAILABLE)

    assert isinstance(error, errors.UnavailableError)
    assert (error.message, error.details) == ("kept", (ErrorDetail("a.B", b""),))
