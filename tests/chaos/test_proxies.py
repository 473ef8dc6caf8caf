"""Proxies from the environment: which calls go through, who they say they are, and what their failures are called."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
from chaos_network import Network, eventually, open_files, proxy_url
from chaos_proxy import ChaosProxy
from chaos_server import CERTIFICATES, ChaosServer, Peer, server_context
from faults import silent, trickled_handshake, trickled_headers
from punctual import promptly

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.proxy import proxy_for
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._http.transport import Answer, Transport
from flyte_lite.errors import (
    CallTimeoutError,
    CanceledError,
    ConfigError,
    ConnectFailedError,
    ConnectionLostError,
    EndpointError,
    TlsError,
)


def call(transport: Transport, origin: Origin, seconds: float = 5.0) -> Answer:
    return transport.exchange("POST", origin, "/x", {}, b"", Deadline(SYSTEM_CLOCK, seconds), 1000)


@contextlib.contextmanager
def behind(way: str, proxy: ChaosProxy) -> Iterator[tuple[ChaosServer, Origin]]:
    with ChaosServer(tls=server_context() if "tls" in way else None) as server, proxy:
        yield server, Origin("https" if "tls" in way else "http", "127.0.0.1", server.port)


def over(**environ: str) -> Transport:
    return Transport(TlsPolicy(ca_file=str(CERTIFICATES / "authority.pem")), environ)


def test_a_plain_call_names_its_target_in_full(plain: Network) -> None:
    with behind("plain", ChaosProxy()) as (server, origin), contextlib.closing(over(HTTP_PROXY="")) as transport:
        assert call(transport, origin).body == b"ok"  # an empty variable names no proxy
    proxy = ChaosProxy()
    with behind("plain", proxy) as (server, origin), contextlib.closing(over(http_proxy=proxy_url(proxy))) as transport:
        assert call(transport, origin).body == b"ok"
        assert proxy.heads[0][:2] == ("POST", f"{origin}/x")
        assert server.requests[0].headers["host"] == [f"127.0.0.1:{origin.port}"]


def test_a_secure_call_goes_through_a_tunnel_and_keeps_it() -> None:
    proxy = ChaosProxy()
    with behind("tls", proxy) as (server, origin), contextlib.closing(over(HTTPS_PROXY=proxy_url(proxy))) as transport:
        for _ in range(3):
            assert call(transport, origin).body == b"ok"
        assert [head[:2] for head in proxy.heads] == [("CONNECT", f"127.0.0.1:{origin.port}")]
        assert "proxy-authorization" not in server.requests[0].headers


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_credentials_of_a_proxy_go_to_the_proxy_only(way: str) -> None:
    proxy = ChaosProxy(user="us er:p@ss")
    url = proxy_url(proxy, "us%20er:p%40ss")
    with behind(way, proxy) as (server, origin), contextlib.closing(over(ALL_PROXY=url)) as transport:
        assert call(transport, origin).body == b"ok"
        assert "proxy-authorization" in proxy.heads[0][2]
        assert "proxy-authorization" not in server.requests[0].headers


@pytest.mark.parametrize("way", ["plain", "tls"])
@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("", r"wants a user and a password \(HTTP 407\): write them into ALL_PROXY, as http://user:password@host:port"),
        ("a:hidden", r"does not take the user and the password that it is given \(HTTP 407\).* no NTLM or Kerberos"),
    ],
)
def test_a_proxy_that_wants_a_password_says_so(way: str, user: str, text: str) -> None:
    proxy = ChaosProxy(user="a:b")
    with (
        behind(way, proxy) as (server, origin),
        contextlib.closing(over(ALL_PROXY=proxy_url(proxy, user))) as transport,
    ):
        with pytest.raises(EndpointError, match=text) as caught:
            call(transport, origin)
        assert not caught.value.sent
        assert caught.value.message.startswith(f"the proxy 127.0.0.1:{proxy.port} (from ALL_PROXY) ")
        assert "hidden" not in str(caught.value)
        assert server.accepted == 0
        assert len(proxy.heads) == 1, "and nobody tries that again"


def test_a_call_that_deals_with_its_proxy_itself_sees_its_answer() -> None:
    proxy = ChaosProxy(user="a:b")
    with behind("plain", proxy) as (_, origin), contextlib.closing(over(ALL_PROXY=proxy_url(proxy))) as transport:
        headers = {"Proxy-Authorization": "Bearer old"}
        answer = transport.exchange("POST", origin, "/x", headers, b"", Deadline(SYSTEM_CLOCK, 5), 1000)
    assert answer.status == 407


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_a_dead_proxy_is_called_a_proxy(way: str) -> None:
    with ChaosProxy() as proxy:
        url = proxy_url(proxy, "user:hidden")
    with contextlib.closing(over(ALL_PROXY=url)) as transport:
        with pytest.raises(ConnectFailedError, match=f"can't connect to the proxy 127.0.0.1:{proxy.port}") as caught:
            call(transport, Origin("https" if way == "tls" else "http", "127.0.0.1", 9))
        assert not caught.value.sent
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "first", [b"SSH-2.0-OpenSSH_9.9\r\n", b"", b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b"HTTP/1.1 403 Forbidden\r\n\r\n"]
)
def test_a_proxy_that_opens_no_tunnel_is_to_blame_and_nothing_was_sent(first: bytes) -> None:
    proxy = ChaosProxy()
    proxy.instead_of_tunnel = lambda peer: peer.send(first)
    with behind("tls", proxy) as (_, origin), contextlib.closing(over(HTTPS_PROXY=proxy_url(proxy))) as transport:
        before = open_files()
        with pytest.raises(
            ConnectFailedError, match=rf"the proxy 127.0.0.1:{proxy.port} \(from HTTPS_PROXY\) did not open"
        ) as caught:
            call(transport, origin)
        assert not caught.value.sent
        assert eventually(lambda: open_files() <= before)


def test_a_break_behind_a_proxy_is_not_called_harmless(network: Network) -> None:
    """urllib3 1.26 says "can't connect to proxy" of it; repeating a write after that would do it twice."""

    def reset(peer: Peer) -> None:
        peer.read_request()
        peer.reset()

    network.server.script = reset

    with pytest.raises(ConnectionLostError) as caught:
        network.call()
    assert caught.value.sent


@pytest.mark.parametrize(
    "value",
    ["http://user:hidden@host:port", "http://user:hidden@", "hidden://host:1", "http://user:hidden@host:99999", "://"],
)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy"])
def test_a_proxy_that_is_no_address_names_its_variable_and_hides_its_password(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=variable) as caught:
        call(over(**{variable: value}), Origin("http", "127.0.0.1", 9))

    error = caught.value
    while error is not None:
        assert "hidden" not in str(error)
        error = error.__cause__  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("no_proxy", "host", "bypassed"),
    [
        ("", "flyte.example.com", False),
        ("*", "flyte.example.com", True),
        ("flyte.example.com", "flyte.example.com", True),
        ("FLYTE.example.com", "Flyte.Example.com", True),
        ("other.com, example.com", "flyte.example.com", True),
        (".example.com", "flyte.example.com", True),
        ("*.example.com", "flyte.example.com", True),
        (".example.com", "example.com", True),
        ("ample.com", "flyte.example.com", False),
        ("example.com:8080", "flyte.example.com", True),
        ("example.com:9", "flyte.example.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "flyte.example.com", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:8080", "10.1.2.3", True),
        ("10.1.2.3:81", "10.1.2.3", False),
        ("::1", "::1", True),
        ("[::1]:8080", "::1", True),
        ("[::1]", "::1", True),
        ("fd00::/8", "fd00::7", True),
        (",, ,", "flyte.example.com", False),
        (".", "flyte.example.com", False),
        ("example.com:²", "flyte.example.com", False),
        ("localhost 127.0.0.1", "127.0.0.1", True),
    ],
)
def test_no_proxy_lists_hosts_domains_addresses_and_networks(no_proxy: str, host: str, bypassed: bool) -> None:
    environ = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": no_proxy}

    assert proxy_for(Origin("https", host, 8080), environ) == (None if bypassed else ("http://p:1", "HTTPS_PROXY"))


@pytest.mark.parametrize(
    ("environ", "scheme", "wanted"),
    [
        ({"HTTP_PROXY": "http://a:1"}, "https", ""),
        ({"HTTP_PROXY": "a:1"}, "http", "http://a:1"),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": "http://b:1"}, "http", "http://b:1"),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": ""}, "http", ""),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": "", "all_proxy": "c:1"}, "http", "http://c:1"),
        ({"ALL_PROXY": "http://a:1"}, "https", "http://a:1"),
        ({"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "https", "http://b:1"),
        ({"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, "http", ""),
        ({"http_proxy": "http://a:1", "REQUEST_METHOD": "GET"}, "http", "http://a:1"),
        ({"HTTPS_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, "https", "http://a:1"),
    ],
)
def test_the_nearest_variable_wins(environ: dict[str, str], scheme: str, wanted: str) -> None:
    found = proxy_for(Origin(scheme, "flyte.example.com", 80), environ)

    assert ("" if found is None else found.url) == wanted


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_a_proxy_that_speaks_tls_is_verified_by_the_same_policy(way: str) -> None:
    proxy = ChaosProxy(tls=server_context())
    url = f"https://localhost:{proxy.port}"
    with behind(way, proxy) as (server, origin):
        with contextlib.closing(over(ALL_PROXY=url)) as transport:
            for _ in range(2):
                assert call(transport, origin).body == b"ok"
            assert server.accepted == 1
        untrusting = Transport(TlsPolicy(ca_file=str(CERTIFICATES / "stranger.pem")), {"ALL_PROXY": url})
        with contextlib.closing(untrusting), pytest.raises(TlsError, match="ca_cert_file_path"):
            call(untrusting, origin)


def test_a_tls_proxy_of_another_name_is_refused() -> None:
    proxy = ChaosProxy(tls=server_context("elsewhere"))
    transport = over(ALL_PROXY=f"https://localhost:{proxy.port}")
    expected = pytest.raises(TlsError, match="for another host")
    with behind("tls", proxy) as (_, origin), contextlib.closing(transport), expected:
        call(transport, origin)


def test_a_call_through_a_tls_proxy_ends_at_its_deadline() -> None:
    proxy = ChaosProxy(tls=server_context())
    transport = over(ALL_PROXY=f"https://localhost:{proxy.port}")
    with behind("tls", proxy) as (server, origin), contextlib.closing(transport):
        for server.before_tls, server.script in ((trickled_handshake, silent), (None, trickled_headers)):

            def late() -> float:
                started = time.monotonic()
                with pytest.raises(CallTimeoutError):
                    call(transport, origin, 0.5)
                return time.monotonic() - started - 0.5

            assert promptly(0.35, late)


def test_a_call_through_a_tls_proxy_ends_at_a_cancel() -> None:
    proxy = ChaosProxy(tls=server_context())
    transport = over(ALL_PROXY=f"https://localhost:{proxy.port}")
    with behind("tls", proxy) as (server, origin), contextlib.closing(transport):
        server.script = silent
        cancel = Cancel()
        deadline = Deadline(SYSTEM_CLOCK, 60, cancel)
        threading.Thread(target=lambda: server.reached.wait(20) and cancel.cancel()).start()

        started = time.monotonic()
        with pytest.raises(CanceledError):
            transport.exchange("POST", origin, "/x", {}, b"", deadline, 1000)
        assert time.monotonic() - started < 30
