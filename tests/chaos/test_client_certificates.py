"""Who we are to a server that asks: client certificates in each form, and a context of the caller's own."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from chaos_network import eventually, open_files, proxy_url
from chaos_proxy import ChaosProxy
from chaos_server import CERTIFICATES, ChaosServer, Peer, answer, server_context
from punctual import promptly

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._http.transport import Answer, Transport
from flyte_lite.errors import (
    CallTimeoutError,
    CanceledError,
    ConfigError,
    ConnectFailedError,
    ConnectionLostError,
    TlsError,
)

AUTHORITY = (CERTIFICATES / "authority.pem").read_text()
BOTH = CERTIFICATES / "client.pem"
_KEY, _MARK, _REST = BOTH.read_text().partition("-----END PRIVATE KEY-----\n")
KEY, CERT = _KEY + _MARK, _REST
LOCKED_KEY = (CERTIFICATES / "client_locked_key.pem").read_text()


def who_is_it(peer: Peer) -> None:
    while True:
        peer.read_request()
        assert isinstance(peer.sock, ssl.SSLSocket)
        shown: Any = peer.sock.getpeercert()
        peer.send(answer(str(dict(pair for (pair,) in shown["subject"])["commonName"]).encode()))


@contextlib.contextmanager
def asking(newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> Iterator[ChaosServer]:
    context = server_context(clients="client_authority")
    context.maximum_version = newest
    with ChaosServer(who_is_it, tls=context) as server:
        yield server


def call(
    server: ChaosServer, policy: TlsPolicy, host: str = "127.0.0.1", environ: Optional[dict[str, str]] = None
) -> Answer:
    with contextlib.closing(Transport(policy, environ or {})) as transport:
        return transport.exchange(
            "POST", Origin("https", host, server.port), "/x", {}, b"", Deadline(SYSTEM_CLOCK, 5), 1000
        )


def files(folder: Path) -> dict[str, Path]:
    paths = {"cert": folder / "cert.pem", "key": folder / "key.pem"}
    paths["cert"].write_text(CERT)
    paths["key"].write_text(KEY)
    return paths


FORMS: dict[str, dict[str, Any]] = {
    "text": {"cert": CERT, "key": KEY},
    "bytes": {"cert": CERT.encode(), "key": KEY.encode()},
    "both in one text": {"cert": CERT + KEY},
    "both in one file": {"cert": str(BOTH)},
    "both in one path": {"cert": BOTH},
    "cert from a file, key as text": {"cert": str(BOTH), "key": KEY},
    "locked": {"cert": CERT, "key": LOCKED_KEY, "key_password": "open-sesame"},
    "locked, bytes": {"cert": CERT.encode(), "key": LOCKED_KEY.encode(), "key_password": b"open-sesame"},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_client_shows_its_certificate(form: str) -> None:
    before = open_files()
    with asking() as server:
        assert call(server, TlsPolicy(ca=AUTHORITY, **FORMS[form])).body == b"flyte_lite tests only: client"
    assert eventually(lambda: open_files() <= before)


def test_certificate_and_key_may_be_two_files(tmp_path: Path) -> None:
    with asking() as server:
        assert call(server, TlsPolicy(ca=AUTHORITY, **files(tmp_path))).status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("ca", [AUTHORITY, AUTHORITY.encode()])
def test_an_authority_may_be_text(ca: Any, host: str) -> None:
    with ChaosServer(tls=server_context()) as server:
        assert call(server, TlsPolicy(ca=ca), host).body == b"ok"


def test_the_certificate_of_the_server_itself_may_be_trusted() -> None:
    """As a test's server does: one certificate, signed by itself."""
    pem = (CERTIFICATES / "stranger.pem").read_text()
    with ChaosServer(tls=server_context("stranger")) as server:
        assert call(server, TlsPolicy(ca=pem[pem.index("-----BEGIN CERTIFICATE") :])).body == b"ok"


def test_an_authority_that_is_text_is_the_only_one_unless_a_file_is_given_too() -> None:
    other = (CERTIFICATES / "client_authority.pem").read_text()
    with ChaosServer(tls=server_context()) as server:
        with pytest.raises(TlsError, match="not trusted"):
            call(server, TlsPolicy(ca=other))
        assert call(server, TlsPolicy(str(CERTIFICATES / "authority.pem"), ca=other)).body == b"ok"


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_misses_a_certificate_is_understood(newest: ssl.TLSVersion) -> None:
    """In TLS 1.3 its refusal comes when the request is already on its way, and the reset may overtake it."""
    before = open_files()
    with asking(newest) as server:
        for _ in range(5):
            with pytest.raises((TlsError, ConnectionLostError), match="client certificate"):
                call(server, TlsPolicy(ca=AUTHORITY))
        assert server.requests == []
    assert eventually(lambda: open_files() <= before)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_refuses_a_certificate_is_understood(newest: ssl.TLSVersion) -> None:
    with asking(newest) as server:
        with pytest.raises((TlsError, ConnectionLostError), match="client certificate"):
            call(server, TlsPolicy(ca=AUTHORITY, cert=CERTIFICATES / "stranger.pem"))
        assert server.requests == []


def test_a_proxy_passes_it_on_and_is_not_shown_it() -> None:
    with asking() as server, ChaosProxy(tls=server_context()) as proxy:
        policy = TlsPolicy(ca=AUTHORITY, cert=BOTH)
        assert (
            call(server, policy, environ={"HTTPS_PROXY": proxy_url(proxy)[:4] + "s" + proxy_url(proxy)[4:]}).status
            == 200
        )
    with asking() as server, ChaosProxy(tls=server_context(clients="client_authority")) as proxy:
        with pytest.raises(ConnectFailedError, match="did not open a tunnel"):
            call(server, policy, environ={"HTTPS_PROXY": f"https://127.0.0.1:{proxy.port}"})
        assert proxy.heads == []


@pytest.mark.parametrize("memory", [True, False])
def test_a_key_that_is_text_does_not_stay_on_the_disk(
    memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    seen: list[tuple[str, int]] = []
    load = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, cert: str, key: str, password: Any) -> None:
        seen.extend((path, Path(path).stat().st_mode & 0o77) for path in (cert, key))
        load(context, cert, key, password)

    with asking() as server:
        monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
        assert call(server, TlsPolicy(ca=AUTHORITY, cert=CERT, key=KEY)).status == 200

    assert len(seen) == 2
    assert list(tmp_path.iterdir()) == []
    if not memory:
        assert all(mode == 0 and Path(path).parent == tmp_path for path, mode in seen), "readable for its owner only"


SECRET = KEY.splitlines()[5]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"ca": "no certificate"}, "CA certificates that were given as text"),
        ({"ca": b"\xff"}, "CA certificates that were given as text"),
        ({"ca": ""}, "CA certificates that were given as text"),
        ({"key": KEY}, "without its certificate"),
        ({"cert": "/not/there.pem"}, r"client certificate \(ssl_credentials\) can't be read from '/not/there.pem'"),
        ({"cert": CERT, "key": "/not/there.pem"}, r"client key \(ssl_credentials\) can't be read"),
        (
            {"cert": CERT, "key": SECRET},
            r"client key \(ssl_credentials\) can't be read from what was given",
        ),
        ({"cert": "\0"}, r"client certificate \(ssl_credentials\) can't be read"),
        ({"cert": KEY}, r"client certificate \(ssl_credentials\) is no PEM text with 'BEGIN CERTIFICATE'"),
        ({"cert": CERT, "key": CERT}, r"client key \(ssl_credentials\) is no PEM text with 'PRIVATE KEY'"),
        ({"cert": CERT}, "can't be loaded"),
        ({"cert": CERTIFICATES / "stranger.pem", "key": KEY}, "the key belongs to another certificate"),
        ({"cert": CERT, "key": KEY.replace(SECRET, SECRET[::-1])}, "can't be loaded"),
        ({"cert": CERT, "key": LOCKED_KEY}, "is encrypted; give its password"),
        ({"cert": CERT, "key": LOCKED_KEY, "key_password": "guessed"}, "is the password of the key right"),
        ({"ssl_context": object()}, "must be an ssl.SSLContext, not object"),
        ({"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "verify": False}, "used as it is"),
        ({"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "cert": CERT}, "used as it is"),
    ],
)
def test_what_can_not_be_loaded_is_named_and_never_shown(settings: dict[str, Any], text: str) -> None:
    policy = TlsPolicy(**{"ca": None if "ssl_context" in settings else AUTHORITY, **settings})
    with ChaosServer(tls=server_context()) as server, pytest.raises(ConfigError, match=text) as caught:
        call(server, policy)

    error: Optional[BaseException] = caught.value
    while error is not None:
        assert SECRET not in str(error)
        assert "guessed" not in str(error)
        error = error.__cause__
    assert server.accepted == 0
    assert SECRET not in repr(policy)


@pytest.fixture
def own() -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=AUTHORITY)
    context.load_cert_chain(BOTH)
    return context


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_context_of_the_callers_own_is_used_as_it_is(own: ssl.SSLContext, host: str) -> None:
    before = (own.check_hostname, own.verify_mode, own.verify_flags, own.options, own.minimum_version)
    with asking() as server:
        assert call(server, TlsPolicy(ssl_context=own), host).status == 200
    assert (own.check_hostname, own.verify_mode, own.verify_flags, own.options, own.minimum_version) == before


def test_a_context_of_the_callers_own_refuses_by_its_own_rules(own: ssl.SSLContext) -> None:
    with ChaosServer(tls=server_context("elsewhere")) as server:
        with pytest.raises(TlsError, match="for another host"):
            call(server, TlsPolicy(ssl_context=own))
        own.check_hostname = False
        assert call(server, TlsPolicy(ssl_context=own)).body == b"ok"


def test_a_context_that_was_lent_still_serves_its_owner(own: ssl.SSLContext) -> None:
    with asking() as server:
        assert call(server, TlsPolicy(ssl_context=own)).status == 200
        plain = socket.create_connection(("127.0.0.1", server.port), 5)
        with own.wrap_socket(plain, server_hostname="127.0.0.1") as theirs:
            theirs.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert theirs.recv(100).startswith(b"HTTP/1.1 200")


class TheirSocket(ssl.SSLSocket):
    made = 0

    def do_handshake(self, block: bool = False) -> None:
        TheirSocket.made += 1
        super().do_handshake(block)


def test_sockets_of_the_callers_own_class_stay_of_it_and_are_timed(own: ssl.SSLContext) -> None:
    own.sslsocket_class = TheirSocket
    TheirSocket.made = 0
    with asking() as server:
        assert call(server, TlsPolicy(ssl_context=own)).status == 200
    assert TheirSocket.made == 1
    assert issubclass(own.sslsocket_class, TheirSocket)
    with ChaosServer(tls=server_context()) as server:
        server.before_tls = Peer.silence
        origin = Origin("https", "127.0.0.1", server.port)
        with contextlib.closing(Transport(TlsPolicy(ssl_context=own), {})) as transport:
            assert promptly(0.5, lambda: late_by(transport, origin))


def late_by(transport: Transport, origin: Origin) -> float:
    started = time.monotonic()
    with pytest.raises(CallTimeoutError):
        transport.open("GET", origin, "/", {}, None, Deadline(SYSTEM_CLOCK, 0.3))
    return time.monotonic() - started - 0.3


class Delegating(ssl.SSLContext):
    """Makes its sockets elsewhere, as truststore does, so they can't be of our class."""

    inner: ssl.SSLContext

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        return self.inner.wrap_socket(*args, **options)


@pytest.fixture
def delegating(own: ssl.SSLContext) -> ssl.SSLContext:
    context = Delegating(ssl.PROTOCOL_TLS_CLIENT)
    context.inner = own
    return context


def test_a_context_that_makes_its_sockets_elsewhere_works(delegating: ssl.SSLContext) -> None:
    with asking() as server:
        assert call(server, TlsPolicy(ssl_context=delegating)).status == 200
    with ChaosServer(tls=server_context("stranger")) as server, pytest.raises(TlsError, match="is not trusted"):
        call(server, TlsPolicy(ssl_context=delegating))


def test_its_handshake_ends_in_time_and_its_answers_at_a_cancel(delegating: ssl.SSLContext) -> None:
    before = open_files()
    with ChaosServer(tls=server_context()) as server:
        origin = Origin("https", "127.0.0.1", server.port)
        with contextlib.closing(Transport(TlsPolicy(ssl_context=delegating), {})) as transport:
            server.before_tls = Peer.silence
            assert promptly(0.5, lambda: late_by(transport, origin))

            server.before_tls = None
            server.script = Peer.silence

            def canceled() -> float:
                cancel = Cancel()
                started = time.monotonic()
                threading.Timer(0.2, cancel.cancel).start()
                with pytest.raises(CanceledError):
                    transport.open("GET", origin, "/", {}, None, Deadline(SYSTEM_CLOCK, 10, cancel))
                return time.monotonic() - started - 0.2

            assert promptly(0.6, canceled)
    assert eventually(lambda: open_files() <= before)


def test_a_policy_does_not_show_its_key() -> None:
    policy = TlsPolicy(ca=AUTHORITY, cert=CERT, key=KEY, key_password="open-sesame")

    for text in (repr(policy), str(policy), f"{policy}"):
        assert SECRET not in text
        assert "open-sesame" not in text
