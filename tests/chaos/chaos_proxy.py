"""A small HTTP proxy: absolute targets for http, CONNECT for https, and a script for its own faults."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from typing import Optional
from urllib.parse import urlsplit

from chaos_server import RESET, ChaosServer, Peer, Script, answer


class ChaosProxy(ChaosServer):
    """Passes bytes on as they come, so whatever the server behind it does reaches the client.

    Args:
        user: `user:password` that a client must send; None asks for none.
        tls: Speak TLS to the client, as an https:// proxy does.
    """

    def __init__(self, *, user: Optional[str] = None, tls: Optional[ssl.SSLContext] = None) -> None:
        super().__init__(self._proxy, tls=tls)
        self._wanted = None if user is None else "Basic " + base64.b64encode(user.encode()).decode()
        self.heads: list[tuple[str, str, dict[str, list[str]]]] = []
        self.instead_of_tunnel: Optional[Script] = None

    def _proxy(self, peer: Peer) -> None:
        method, target, headers = peer.read_head()
        self.heads.append((method, target, headers))
        if self._wanted is not None and headers.get("proxy-authorization") != [self._wanted]:
            peer.send(
                answer(
                    b"who are you?",
                    status="407 Proxy Authentication Required",
                    headers="Proxy-Authenticate: Basic\r\nConnection: close\r\nContent-Type: text/plain\r\n",
                )
            )
            return
        if method == "CONNECT":
            if self.instead_of_tunnel is not None:
                self.instead_of_tunnel(peer)
                return
            host, _, port = target.rpartition(":")
            first = b""
        else:
            parts = urlsplit(target)
            host, port = parts.hostname or "", str(parts.port)
            lines = [f"{name}: {value}" for name, values in headers.items() for value in values]
            kept = [line for line in lines if not line.startswith("proxy-")]
            path = parts._replace(scheme="", netloc="").geturl()
            first = "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "", ""]).encode("latin-1")
        with socket.create_connection((host.strip("[]"), int(port))) as upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if method == "CONNECT":
                peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            upstream.sendall(first + peer._unread)
            relay(upstream, peer)
            # Or a server that is sending learns for up to a minute no more than that nobody has room for it just now.
            upstream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def relay(upstream: socket.socket, peer: Peer) -> None:
    """Pass on what comes from either side, until one of them ends."""
    back = threading.Thread(target=_pass_on, args=(upstream, peer), daemon=True)
    back.start()
    with contextlib.suppress(OSError):
        while True:
            data = peer.sock.recv(65536)
            if not data:
                break
            upstream.sendall(data)
    with contextlib.suppress(OSError):
        upstream.shutdown(socket.SHUT_RDWR)
    back.join(5)


def _pass_on(upstream: socket.socket, peer: Peer) -> None:
    try:
        while True:
            data = upstream.recv(65536)
            if not data:
                break
            peer.send(data)
    except ConnectionResetError:
        with contextlib.suppress(OSError):
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    except OSError:
        pass
    with contextlib.suppress(OSError):
        # SSLSocket.shutdown would pull the TLS state from under the other direction.
        socket.socket.shutdown(peer.sock, socket.SHUT_RDWR)
