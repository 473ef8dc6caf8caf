"""The places where a call can get stuck or break, as scripts for the server."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import NamedTuple

from chaos_network import Network
from chaos_server import Peer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
BIG_UPLOAD = b"x" * (20 << 20)


def silent(peer: Peer) -> None:
    peer.read_request()
    peer.silence()


def trickled_status_line(peer: Peer) -> None:
    peer.read_request()
    peer.drip(b"HTTP/1.1 200 " + b"O" * 10_000)


def trickled_headers(peer: Peer) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\n")
    peer.drip(b"".join(b"x-%d: y\r\n" % nth for nth in range(1000)))


def headers_then_silence(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD + b"Content-Length: 5\r\n\r\n")
    peer.silence()


def unfinished_headers(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD)
    peer.silence()


def trickled_body(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD + b"Content-Length: 100000\r\n\r\n")
    peer.drip(b"b" * 100_000)


def silent_last_body(peer: Peer) -> None:
    """`Connection: close`: http.client lets go of the socket before the body is read."""
    peer.read_request()
    peer.send(HEAD + b"Connection: close\r\nContent-Length: 100000\r\n\r\nb")
    peer.silence()


def trickled_endless_body(peer: Peer) -> None:
    """Neither length nor chunks: only the end of the connection ends it."""
    peer.read_request()
    peer.send(HEAD + b"\r\n")
    peer.drip(b"b" * 100_000)


def trickled_chunks(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    peer.drip(b"1\r\nb\r\n" * 10_000)


def trickled_chunk_size(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    peer.drip(b"0" * 100_000)


def unfinished_chunks(peer: Peer) -> None:
    """The whole message has come, the last chunk never does."""
    peer.read_request()
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
    peer.silence()


def interim_answers(peer: Peer) -> None:
    """100 Continue for ever: no header limit and no read timeout ends that."""
    peer.read_request()
    peer.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def stalled_upload(peer: Peer) -> None:
    peer.read_head()
    peer.deafness()


def slow_upload(peer: Peer) -> None:
    """Reads, but far slower than the client could send."""
    peer.read_head()
    peer.reached()
    while peer.sock.recv(1024):
        peer.server.stopping.wait(0.005)


def stalled_handshake(peer: Peer) -> None:
    peer.silence()


def trickled_handshake(peer: Peer) -> None:
    assert peer.server.tls is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = peer.server.tls.wrap_bio(incoming, outgoing, server_side=True)
    while True:
        try:
            tls.do_handshake()
            return
        except ssl.SSLWantReadError:
            if outgoing.pending:
                peer.drip(outgoing.read(), 0.01)
            incoming.write(peer.sock.recv(65536))


class Fault(NamedTuple):
    """One place to get stuck in.

    Attributes:
        prepare: Tells the server (or the proxy) what to do.
        ways: A part of the names of the ways on which it means something.
        body: What is uploaded.
    """

    prepare: Callable[[Network], None]
    ways: str = ""
    body: bytes = b"asked"


def _script(script: Callable[[Peer], None], body: bytes = b"asked") -> Fault:
    def prepare(network: Network) -> None:
        network.server.script = script

    return Fault(prepare, "", body)


def _before_tls(script: Callable[[Peer], None]) -> Fault:
    def prepare(network: Network) -> None:
        network.server.before_tls = script

    return Fault(prepare, "tls")


def _instead_of_tunnel(script: Callable[[Peer], None]) -> Fault:
    def prepare(network: Network) -> None:
        assert network.proxy is not None
        network.proxy.instead_of_tunnel = script
        # What the proxy does is what the tests then wait for.
        network.proxy.reached = network.server.reached

    return Fault(prepare, "proxied tls")


def _tunnel_trickles(peer: Peer) -> None:
    peer.drip(b"HTTP/1.1 200 Connection established\r\n" + b"x-slow: yes\r\n" * 50)


FAULTS: dict[str, Fault] = {
    "silent": _script(silent),
    "trickled status line": _script(trickled_status_line),
    "trickled headers": _script(trickled_headers),
    "unfinished headers": _script(unfinished_headers),
    "headers, then silence": _script(headers_then_silence),
    "trickled body": _script(trickled_body),
    "last body, then silence": _script(silent_last_body),
    "trickled endless body": _script(trickled_endless_body),
    "trickled chunks": _script(trickled_chunks),
    "trickled chunk size": _script(trickled_chunk_size),
    "unfinished chunks": _script(unfinished_chunks),
    "interim answers": _script(interim_answers),
    "stalled upload": _script(stalled_upload, BIG_UPLOAD),
    "slow upload": _script(slow_upload, BIG_UPLOAD),
    "stalled handshake": _before_tls(stalled_handshake),
    "trickled handshake": _before_tls(trickled_handshake),
    "stalled tunnel": _instead_of_tunnel(stalled_handshake),
    "trickled tunnel": _instead_of_tunnel(_tunnel_trickles),
}


def behave(network: Network) -> None:
    """From the next connection on, everything works."""
    from chaos_server import well_behaved

    network.server.script = well_behaved
    network.server.before_tls = None
    if network.proxy is not None:
        network.proxy.instead_of_tunnel = None
