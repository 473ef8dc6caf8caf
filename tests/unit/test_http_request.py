"""The head of a request, as bytes."""

from __future__ import annotations

from typing import Optional

import pytest

from flyte_lite._http.origin import Origin
from flyte_lite._http.pool import host_of
from flyte_lite._http.request import Headers, request_head
from flyte_lite._http.transport import Transport
from flyte_lite.errors import ConnectFailedError


def lines(headers: Headers, length: Optional[int] = None, further: str = "") -> list[str]:
    data = request_head("POST", "/x", "example.com", headers, length, further)
    assert data.endswith(b"\r\n\r\n")
    return data.decode("latin-1")[:-4].split("\r\n")


def test_a_head_says_what_http_needs_and_no_more() -> None:
    assert lines({"X-A": "1"}, 5) == [
        "POST /x HTTP/1.1",
        "X-A: 1",
        "content-length: 5",
        "accept-encoding: identity",
        "host: example.com",
    ]


def test_several_values_are_several_lines() -> None:
    assert lines({"x-a": ["1", "2, 3"], "x-b": (), "accept-encoding": "gzip"}) == [
        "POST /x HTTP/1.1",
        "x-a: 1",
        "x-a: 2, 3",
        "accept-encoding: gzip",
        "host: example.com",
    ]


@pytest.mark.parametrize(
    ("length", "line"), [(0, "content-length: 0"), (7, "content-length: 7"), (-1, "transfer-encoding: chunked")]
)
def test_how_long_the_body_is(length: int, line: str) -> None:
    assert line in lines({}, length)


def test_no_body_has_no_length() -> None:
    assert not any("content-length" in line or "transfer-encoding" in line for line in lines({}))


def test_a_host_of_the_callers_own_is_sent() -> None:
    assert [line for line in lines({"Host": "other"}) if line.lower().startswith("host")] == ["Host: other"]


def test_lines_for_a_proxy_go_along() -> None:
    assert "Proxy-Authorization: Basic x" in lines({}, None, "Proxy-Authorization: Basic x\r\n")


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "\xe9", "a\r\nb"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a header"):
        lines({name: "1"})


@pytest.mark.parametrize("value", ["secret\r\nx: y", "secret\n", "secret\0", "secret\u20ac"])
def test_values_that_would_break_out_are_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(ValueError, match="the value of the header x-a has characters") as caught:
        lines({"x-a": ["fine", value]})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/a?b=%20c&d=/", "/a?b=%20c&d=/"),
        ("/caf\xe9 au lait", "/caf%C3%A9%20au%20lait"),
        ("/a\r\nX: y", "/a%0D%0AX:%20y"),
    ],
)
def test_a_target_can_not_break_out_of_its_line(target: str, sent: str) -> None:
    assert request_head("GET", target, "h", {}, None).split(b"\r\n")[0] == f"GET {sent} HTTP/1.1".encode()


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (Origin("http", "example.com", 80), "example.com"),
        (Origin("https", "example.com", 443), "example.com"),
        (Origin("https", "example.com", 80), "example.com:80"),
        (Origin("http", "127.0.0.1", 8080), "127.0.0.1:8080"),
        (Origin("http", "::1", 8080), "[::1]:8080"),
        (Origin("http", "fe80::1%eth0", 80), "[fe80::1]"),
        (Origin("http", "b\xfccher.example", 80), "xn--bcher-kva.example"),
    ],
)
def test_the_host_that_a_server_is_told(origin: Origin, host: str) -> None:
    assert host_of(origin) == host


@pytest.mark.parametrize("host", ["\xfc" * 60, "a..\xfc"])
def test_a_name_that_no_host_can_have(host: str) -> None:
    with pytest.raises(ConnectFailedError, match="can't be the name of a host"):
        host_of(Origin("http", host, 80))


def test_a_proxy_is_told_a_name_as_dns_has_it() -> None:
    transport = Transport(environ={"http_proxy": "http://127.0.0.1:9"})

    assert transport._pool(Origin("http", "b\xfccher.example", 8080)).prefix == "http://xn--bcher-kva.example:8080"
    assert transport._pool(Origin("http", "::1", 80)).prefix == "http://[::1]"
