"""Signed addresses, against the example of AWS's documentation, and how each part of them is checked."""

from __future__ import annotations

import calendar
from typing import Optional
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from flyte_lite.devbox.signature import LONGEST, Credentials, SignatureRefused, check, hidden, signed

WHO = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
HOST = "examplebucket.s3.amazonaws.com"
NOW = calendar.timegm((2013, 5, 24, 0, 0, 0))


def address(method: str = "GET", path: str = "/test.txt", seconds: int = 86400, **headers: str) -> str:
    return signed(WHO, method, f"https://{HOST}{path}", seconds, NOW, headers)


def refused(url: str, method: str = "GET", after: float = 0, **headers: str) -> Optional[SignatureRefused]:
    parts = urlsplit(url)
    try:
        check(WHO, method, parts.path, parts.query, {"host": HOST, **headers}, NOW + after)
    except SignatureRefused as error:
        return error
    return None


def changed(url: str, **query: str) -> str:
    """With some of its query's values changed; "" takes one away."""
    parts = urlsplit(url)
    values = {**dict(parse_qsl(parts.query)), **{f"X-Amz-{name}": value for name, value in query.items()}}
    return parts._replace(query=urlencode({name: value for name, value in values.items() if value})).geturl()


def signer(day: str) -> str:
    return f"{WHO.id}/{day}/us-east-1/s3/aws4_request"


def test_it_is_the_one_of_the_documentation() -> None:
    assert address() == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
        "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


@pytest.mark.parametrize("after", [-800, 0, 86399])
def test_it_is_taken_as_long_as_it_is_good(after: float) -> None:
    assert refused(address(), after=after) is None


@pytest.mark.parametrize("path", ["/b/a%20b/%C3%BC.txt", "/b/a+b", "/b/a%252Fb", "/b/~_-.", "/b/DZ======/f"])
def test_any_path_can_be_signed(path: str) -> None:
    assert refused(address(path=path)) is None


@pytest.mark.parametrize(("after", "message"), [(86400, "Request has expired"), (-1000, "Request is not yet valid")])
def test_it_is_good_in_its_time_only(after: float, message: str) -> None:
    error = refused(address(), after=after)

    assert error is not None
    assert (error.status, error.code, str(error)) == (403, "AccessDenied", message)


def test_one_that_has_expired_says_when() -> None:
    error = refused(address(seconds=60), after=3600)

    assert error is not None
    assert error.details == {
        "X-Amz-Expires": "60",
        "Expires": "2013-05-24T00:01:00Z",
        "ServerTime": "2013-05-24T01:00:00Z",
    }


@pytest.mark.parametrize("method", ["HEAD", "PUT"])
def test_it_is_good_for_one_method(method: str) -> None:
    error = refused(address(), method)

    assert error is not None
    assert (error.status, error.code) == (403, "SignatureDoesNotMatch")
    assert refused(address(method), method) is None


def test_headers_can_be_part_of_it() -> None:
    url = address("PUT", **{"Content-MD5": "HlAhCgICSX+3m8OLat5sNA=="})

    assert "X-Amz-SignedHeaders=content-md5%3Bhost&" in url
    assert refused(url, "PUT", **{"content-md5": "HlAhCgICSX+3m8OLat5sNA=="}) is None
    for other in ({}, {"content-md5": "AAAA"}):
        error = refused(url, "PUT", **other)
        assert error is not None
        assert error.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"Signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ({"Signature": "\u00e4"}, 403, "SignatureDoesNotMatch"),
        ({"Expires": "86401"}, 403, "SignatureDoesNotMatch"),
        ({"Date": "20130524T000001Z"}, 403, "SignatureDoesNotMatch"),
        ({"SignedHeaders": "date"}, 403, "SignatureDoesNotMatch"),
        ({"Credential": "OTHER/20130524/us-east-1/s3/aws4_request"}, 403, "InvalidAccessKeyId"),
        ({"Credential": signer("20130525")}, 400, None),
        ({"Algorithm": "AWS4-HMAC-SHA1"}, 400, None),
        ({"Algorithm": ""}, 400, None),
        ({"Date": "yesterday"}, 400, None),
        ({"Date": "10000101T000000Z", "Credential": signer("10000101")}, 403, "AccessDenied"),
        ({"Date": "99991231T235959Z", "Credential": signer("99991231")}, 403, "AccessDenied"),
        ({"Expires": "soon"}, 400, None),
        ({"Expires": "-1"}, 400, None),
        ({"Expires": str(LONGEST + 1)}, 400, None),
    ],
)
def test_what_was_changed_is_refused(query: dict[str, str], status: int, code: Optional[str]) -> None:
    error = refused(changed(address(), **query))

    assert error is not None
    assert (error.status, error.code) == (status, code or "AuthorizationQueryParametersError")


def test_another_object_or_host_is_another_address() -> None:
    other_object, other_host = refused(address().replace("test", "past")), refused(address(), host="localhost")

    assert other_object is not None
    assert other_host is not None
    assert (other_object.code, other_host.code) == ("SignatureDoesNotMatch", "SignatureDoesNotMatch")


def test_without_a_signature_there_is_no_access() -> None:
    error = refused(f"https://{HOST}/test.txt")

    assert error is not None
    assert (error.status, error.code, str(error)) == (403, "AccessDenied", "Access Denied")


def test_signatures_can_be_hidden_in_messages() -> None:
    url = address().encode()
    data = b"\x0a\x80" + url + b"\x12" + url

    assert hidden(data) == data.replace(url[-64:], b"." * 64)
    assert len(hidden(data)) == len(data)
    assert hidden(b"nothing") == b"nothing"


def test_a_secret_is_not_shown() -> None:
    assert repr(WHO) == "Credentials(id='AKIAIOSFODNN7EXAMPLE')"
