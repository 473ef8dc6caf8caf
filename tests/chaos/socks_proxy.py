"""A small SOCKS proxy (RFC 1928 and 1929, SOCKS4 and 4A), and a script for its own faults."""

from __future__ import annotations

import socket
import struct
from typing import Optional

from chaos_proxy import relay
from chaos_server import ChaosServer, Peer, Script

GRANTED, REFUSED = 0, 5


class SocksProxy(ChaosServer):
    """Passes bytes on as they come.

    Args:
        user: `user:password` that a client must send; None asks for none.

    Attributes:
        asked: Version, kind of address ("name", "IPv4" or "IPv6"), address and port of each request.
        names: Where names lead that this machine does not know.
        instead: What to do with a connection instead.
    """

    def __init__(self, *, user: Optional[str] = None) -> None:
        super().__init__(self._proxy)
        self._wanted = user
        self.asked: list[tuple[int, str, str, int]] = []
        self.names: dict[str, str] = {}
        self.instead: Optional[Script] = None

    def _proxy(self, peer: Peer) -> None:
        if self.instead is not None:
            self.instead(peer)
            return
        version = peer.read(1)[0]
        found = self._read_5(peer) if version == 5 else self._read_4(peer)
        if found is None:
            return
        kind, host, port = found
        self.asked.append((version, kind, host, port))
        try:
            upstream = socket.create_connection((self.names.get(host, host), port))
        except OSError:
            peer.send(self._said(version, REFUSED))
            return
        with upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.send(self._said(version, GRANTED))
            relay(upstream, peer)

    def _read_5(self, peer: Peer) -> Optional[tuple[str, str, int]]:
        methods = peer.read(peer.read(1)[0])
        method = 0 if self._wanted is None else 2
        if method not in methods:
            peer.send(b"\x05\xff")
            return None
        peer.send(bytes([5, method]))
        if method == 2:
            assert peer.read(1) == b"\x01"
            pair = b":".join(peer.read(peer.read(1)[0]) for _ in range(2))
            good = pair.decode() == self._wanted
            peer.send(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return None
        assert peer.read(3) == b"\x05\x01\x00"
        kind = peer.read(1)[0]
        if kind == 3:
            name, host = "name", peer.read(peer.read(1)[0]).decode()
        elif kind == 1:
            name, host = "IPv4", socket.inet_ntop(socket.AF_INET, peer.read(4))
        else:
            name, host = "IPv6", socket.inet_ntop(socket.AF_INET6, peer.read(16))
        (port,) = struct.unpack(">H", peer.read(2))
        return name, host, port

    def _read_4(self, peer: Peer) -> Optional[tuple[str, str, int]]:
        assert peer.read(1) == b"\x01"
        (port,) = struct.unpack(">H", peer.read(2))
        address = peer.read(4)
        while peer.read(1) != b"\0":
            pass
        if address[:3] != b"\0\0\0":
            return "IPv4", socket.inet_ntop(socket.AF_INET, address), port
        name = b""
        while not name.endswith(b"\0"):
            name += peer.read(1)
        return "name", name[:-1].decode(), port

    @staticmethod
    def _said(version: int, status: int) -> bytes:
        if version == 4:
            return bytes([0, 0x5B if status else 0x5A]) + bytes(6)
        return bytes([5, status, 0, 1]) + bytes(6)
