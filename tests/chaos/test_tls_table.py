"""All that goes wrong with TLS, on each way there is: each error says which it is, and what to set."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

import pytest
import requests
from chaos_network import proxy_url
from chaos_proxy import ChaosProxy
from chaos_server import CERTIFICATES, ChaosServer, Peer, answer, server_context

from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.proxy import Proxies
from flyte_lite._http.session_transport import SessionTransport
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._http.transport import Transport
from flyte_lite._http.unexpected import explain
from flyte_lite.errors import ConnectionLostError, EndpointError, TlsError

GO = b"Client sent an HTTP request to an HTTPS server.\n"
NGINX = b"<html><center>The plain HTTP request was sent to HTTPS port</center><hr>nginx</html>"


def alerts(description: int) -> Any:
    """A server that reads what the client says of itself, and does not want it."""

    def script(peer: Peer) -> None:
        peer.sock.recv(5000)
        peer.send(bytes([21, 3, 1, 0, 2, 2, description]))

    return script


def plain(peer: Peer) -> None:
    """Go and others look whether TLS begins where HTTP is spoken, and say so in HTTP."""
    peer.sock.recv(1000)
    peer.send(answer(b"", status="400 Bad Request"))


def hangs_up(peer: Peer) -> None:
    peer.sock.recv(1000)


def says(body: bytes) -> Any:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer(body, status="400 Bad Request", headers="Content-Type: text/html\r\n"))

    return script


class Row(NamedTuple):
    """A server, and what is said of it.

    Attributes:
        name: What is wrong with it.
        which: Part of the text that says which it is; None is that all is well.
        remedy: Part of it that says what to do.
        certificate: Which one it shows; "" speaks no TLS.
        clients: Whose clients it wants to see.
        newest: Version of TLS.
        instead: What it does before TLS, and without.
        script: What it does else.
        ca: Whom the client trusts.
        secure: Whether the client speaks TLS.
        kinds: Of error.
    """

    name: str
    which: Optional[str]
    remedy: str = ""
    certificate: str = "server"
    clients: str = ""
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    instead: Any = None
    script: Any = None
    ca: str = "authority"
    secure: bool = True
    kinds: tuple[type[Exception], ...] = (TlsError,)


TLS_1_2 = ssl.TLSVersion.TLSv1_2
CLIENT = (TlsError, ConnectionLostError)
TABLE = [
    Row("well", None),
    Row("TLS 1.2 only", None, newest=TLS_1_2),
    Row("expired", "is not valid now", "Renew it, or set this machine's clock", "expired"),
    Row("wrong name", "is for another host", "Use the host name that is in the certificate", "elsewhere"),
    Row("self-signed", "is not trusted, as it is signed by itself", "give it as ca_cert_file_path=", "stranger"),
    Row(
        "unknown authority",
        "is not trusted, as nobody known here signs it",
        "give theirs as ca_cert_file_path= or in REQUESTS_CA_BUNDLE",
        ca="client_authority",
    ),
    Row("wants a client", "client certificate", "ssl_credentials", clients="client_authority", kinds=CLIENT),
    Row(
        "wants a client, TLS 1.2",
        "client certificate",
        "ssl_credentials",
        clients="client_authority",
        newest=TLS_1_2,
        kinds=CLIENT,
    ),
    Row("nothing in common", "refused TLS with us", "ssl_credentials", instead=alerts(40)),
    Row("TLS 1.0 only", "no version of TLS that is spoken here", "TLS 1.2 is the oldest", instead=alerts(70)),
    Row("plain http on this port", "is not TLS", "(http:// or insecure=True)", instead=plain),
    Row("hangs up", "hung up", "http:// or insecure=True", instead=hangs_up, kinds=CLIENT),
    Row("TLS on a plain port", "hung up", "https://", secure=False, kinds=(ConnectionLostError,)),
    Row(
        "TLS that alerts",
        "does not speak HTTP",
        "https://",
        "",
        instead=alerts(10),
        secure=False,
        kinds=(EndpointError,),
    ),
]


@contextlib.contextmanager
def way_to(way: str, ca: str) -> Iterator[Transport]:
    ca_file = str(CERTIFICATES / f"{ca}.pem")
    with contextlib.ExitStack() as held:
        if way == "session":
            session = held.enter_context(requests.Session())
            session.verify, session.trust_env = ca_file, False
            yield SessionTransport(session)
            return
        proxies = None
        if way == "proxied":
            proxies = Proxies.given("proxies", proxy_url(held.enter_context(ChaosProxy())))
        yield held.enter_context(contextlib.closing(Transport(TlsPolicy(ca_file=ca_file), {}, proxies=proxies)))


def test_no_row_is_there_twice() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("way", ["direct", "proxied", "session"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name.replace(" ", "-"))
def test_each_error_says_which_it_is_and_what_to_set(row: Row, way: str) -> None:
    context = server_context(row.certificate, clients=row.clients) if row.certificate else None
    if context is not None:
        context.maximum_version = row.newest
    with ChaosServer(tls=context) as server, way_to(way, row.ca) as transport:
        server.before_tls = row.instead
        origin = Origin("https" if row.secure else "http", "127.0.0.1", server.port)

        def call() -> bytes:
            deadline = Deadline(SYSTEM_CLOCK, 5)
            return transport.exchange("POST", origin, "/x", {}, b"asked", deadline, 1000).body

        if row.which is None:
            assert call() == b"ok"
            return
        with pytest.raises(row.kinds) as caught:
            call()
        text = str(caught.value)
        assert row.which in text
        assert row.remedy in text
        if row.kinds == (TlsError,):
            assert not caught.value.sent
            assert "127.0.0.1" in text
        assert server.requests == []


@pytest.mark.parametrize("body", [GO, NGINX])
def test_a_server_that_says_in_http_that_it_wants_tls_is_understood(body: bytes) -> None:
    assert "it wants TLS: use https:// or insecure=False" in explain(400, "Bad Request", {}, body)
