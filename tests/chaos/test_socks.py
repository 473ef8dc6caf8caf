"""SOCKS proxies, with PySocks and without: every kind, whom they let through, and a deadline that holds."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from chaos_network import eventually, open_files
from chaos_server import CERTIFICATES, ChaosServer, Peer, server_context
from punctual import promptly
from socks_proxy import SocksProxy

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.proxy import Proxies
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._http.transport import Answer, Transport
from flyte_lite.errors import (
    CallTimeoutError,
    CanceledError,
    ConnectFailedError,
    EndpointError,
    TlsError,
    TransportError,
)


@pytest.fixture
def pysocks() -> Any:
    return pytest.importorskip("socks", reason="PySocks is not installed")


def over(url: str, ca: str = "authority") -> Transport:
    policy = TlsPolicy(ca_file=str(CERTIFICATES / f"{ca}.pem"))
    return Transport(policy, {}, proxies=Proxies.given("proxies", url))


def call(transport: Transport, origin: Origin, seconds: float = 5.0, cancel: Any = None) -> Answer:
    return transport.exchange("POST", origin, "/x", {}, b"", Deadline(SYSTEM_CLOCK, seconds, cancel), 1000)


@contextlib.contextmanager
def behind(way: str, proxy: SocksProxy) -> Iterator[tuple[ChaosServer, Origin]]:
    with ChaosServer(tls=server_context() if way == "tls" else None) as server, proxy:
        yield server, Origin("https" if way == "tls" else "http", "localhost", server.port)


@pytest.mark.parametrize("way", ["plain", "tls"])
@pytest.mark.parametrize(
    ("kind", "asked"),
    [("socks5", (5, "IP")), ("socks5h", (5, "name")), ("socks4", (4, "IP")), ("socks4a", (4, "name"))],
)
def test_a_call_goes_through_each_kind_and_keeps_its_connection(
    way: str, kind: str, asked: tuple[int, str], pysocks: Any
) -> None:
    before = open_files()
    proxy = SocksProxy()
    with behind(way, proxy) as (server, origin):
        proxy.names["localhost"] = "127.0.0.1"
        # Where a name is looked up by us, the first address counts, and it may be ::1.
        target = origin._replace(host="127.0.0.1") if kind == "socks5" else origin
        with contextlib.closing(over(f"{kind}://127.0.0.1:{proxy.port}")) as transport:
            for _ in range(3):
                assert call(transport, target).body == b"ok"
        assert [request.target for request in server.requests] == ["/x"] * 3, "no target in full, as HTTP proxies need"
        ((version, form, host, port),) = proxy.asked
        assert (version, form[:2] if asked[1] == "IP" else form) == asked
        assert host == ("localhost" if form == "name" else "127.0.0.1")
        assert port == origin.port
    assert eventually(lambda: open_files() <= before)


def test_a_name_that_only_the_proxy_knows(pysocks: Any) -> None:
    proxy = SocksProxy()
    with behind("plain", proxy) as (_, origin):
        proxy.names["inside.invalid"] = "127.0.0.1"
        inside = origin._replace(host="inside.invalid")
        with contextlib.closing(over(f"socks5h://127.0.0.1:{proxy.port}")) as transport:
            assert call(transport, inside).body == b"ok"
        expected = pytest.raises(ConnectFailedError, match=r"made no connection to inside\.invalid:.*socks5h://")
        with contextlib.closing(over(f"socks5://127.0.0.1:{proxy.port}")) as transport, expected:
            call(transport, inside)


def test_a_user_is_shown_to_the_proxy_and_to_nobody_else(pysocks: Any) -> None:
    proxy = SocksProxy(user="us er:p@ss")
    with behind("plain", proxy) as (server, origin):
        with contextlib.closing(over(f"socks5h://us%20er:p%40ss@127.0.0.1:{proxy.port}")) as transport:
            assert call(transport, origin).body == b"ok"
        assert not any("authorization" in name for name in server.requests[0].headers)


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("", r"wants a user and a password .*write them into proxies, as socks5h://user:password@host:port"),
        ("me:hidden@", r"does not take the user and the password that it is given .*%40 for @$"),
    ],
)
def test_a_proxy_that_does_not_let_one_through_says_so(user: str, text: str, pysocks: Any) -> None:
    before = open_files()
    proxy = SocksProxy(user="a:b")
    with behind("tls", proxy) as (server, origin):
        transport = over(f"socks5h://{user}127.0.0.1:{proxy.port}")
        with contextlib.closing(transport), pytest.raises(EndpointError, match=text) as caught:
            call(transport, origin)
        assert caught.value.message.startswith(f"the proxy 127.0.0.1:{proxy.port} (from proxies) ")
        assert "hidden" not in str(caught.value)
        assert not caught.value.sent
        assert server.accepted == 0
    assert eventually(lambda: open_files() <= before)


@pytest.mark.parametrize("kind", ["socks5h", "socks4a"])
def test_what_the_proxy_can_not_reach_is_named(kind: str, pysocks: Any) -> None:
    proxy = SocksProxy()
    with behind("plain", proxy) as (server, origin):
        pass
    with SocksProxy() as proxy, contextlib.closing(over(f"{kind}://127.0.0.1:{proxy.port}")) as transport:
        with pytest.raises(ConnectFailedError, match=f"made no connection to localhost:{server.port}: 0x") as caught:
            call(transport, origin)
        assert not caught.value.sent


def test_a_dead_proxy_is_called_a_proxy(pysocks: Any) -> None:
    with SocksProxy() as proxy:
        url = f"socks5://me:hidden@127.0.0.1:{proxy.port}"
    expected = pytest.raises(ConnectFailedError, match=rf"can't connect to the proxy 127.0.0.1:{proxy.port} \(from")
    with contextlib.closing(over(url)) as transport, expected as caught:
        call(transport, Origin("http", "127.0.0.1", 9))
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("first", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x05", b"\x05\x07"])
def test_what_speaks_no_socks_is_to_blame_and_nothing_was_sent(first: bytes, pysocks: Any) -> None:
    before = open_files()
    proxy = SocksProxy()
    proxy.instead = lambda peer: peer.read(3) and peer.send(first)
    with proxy, contextlib.closing(over(f"socks5h://127.0.0.1:{proxy.port}")) as transport:
        with pytest.raises(ConnectFailedError, match=r"the proxy .* made no connection to localhost:9: ") as caught:
            call(transport, Origin("http", "localhost", 9))
        assert not caught.value.sent
    assert eventually(lambda: open_files() <= before)


def test_tls_behind_a_proxy_is_verified_by_the_same_policy(pysocks: Any) -> None:
    proxy = SocksProxy()
    with behind("tls", proxy) as (_, origin):
        proxy.names["localhost"] = "127.0.0.1"
        expected = pytest.raises(TlsError, match="certificate of localhost is not trusted")
        with contextlib.closing(over(f"socks5h://127.0.0.1:{proxy.port}", "stranger")) as transport, expected:
            call(transport, origin)


def dripping(peer: Peer) -> None:
    peer.read(3)
    peer.send(b"\x05\x00")
    peer.read(5)
    # An address of a name that is 255 bytes long, so that no single wait is a long one.
    peer.drip(b"\x05\x00\x00\x03\xff" + bytes(300), 0.05)


@pytest.mark.parametrize("fault", [Peer.silence, dripping])
def test_a_slow_proxy_ends_at_the_deadline(fault: Any, pysocks: Any) -> None:
    before = open_files()
    proxy = SocksProxy()
    proxy.instead = fault
    with proxy, contextlib.closing(over(f"socks5h://127.0.0.1:{proxy.port}")) as transport:

        def late() -> float:
            started = time.monotonic()
            with pytest.raises(CallTimeoutError) as caught:
                call(transport, Origin("http", "localhost", 9), 0.4)
            assert not caught.value.sent
            return time.monotonic() - started - 0.4

        assert promptly(0.35, late)
    assert eventually(lambda: open_files() <= before)


def test_a_slow_proxy_ends_at_a_cancel(pysocks: Any) -> None:
    proxy = SocksProxy()
    proxy.instead = Peer.silence
    with proxy, contextlib.closing(over(f"socks5h://127.0.0.1:{proxy.port}")) as transport:
        cancel = Cancel()
        threading.Thread(target=lambda: proxy.reached.wait(20) and cancel.cancel()).start()
        started = time.monotonic()
        with pytest.raises(CanceledError):
            call(transport, Origin("http", "localhost", 9), 60, cancel)
        assert time.monotonic() - started < 30


def test_an_answer_that_breaks_off_is_no_fault_of_the_proxy(pysocks: Any) -> None:
    proxy = SocksProxy()
    with behind("plain", proxy) as (server, origin):
        server.script = lambda peer: (
            peer.read_request() and peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        )
        proxy.names["localhost"] = "127.0.0.1"
        with contextlib.closing(over(f"socks5h://127.0.0.1:{proxy.port}")) as transport:
            with pytest.raises(TransportError, match="3 more were announced") as caught:
                call(transport, origin)
            assert caught.value.sent


_WITHOUT = """
import sys
sys.modules["socks"] = None  # as if it were not installed
from flyte_lite import Client
from flyte_lite.errors import ConfigError
client = Client("https://flyte.example", project="p", domain="d")
try:
    client.runs.get("r").name
except ConfigError as error:
    print(error)
"""


def test_without_pysocks_the_error_says_what_to_install() -> None:
    said = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", _WITHOUT],
        env={"PYTHONPATH": ":".join(sys.path), "ALL_PROXY": "socks5h://me:hidden@127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "the proxy in ALL_PROXY can't be used" in said.stdout
    assert "pip install PySocks" in said.stdout
    assert "hidden" not in said.stdout + said.stderr
