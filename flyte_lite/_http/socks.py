"""Connections through a SOCKS proxy, on which PySocks does the talking and our clock keeps the time.

Loaded with the first such proxy: PySocks may not be installed.
"""

from __future__ import annotations

import socket
from typing import Any

import socks
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from flyte_lite._http.connection import TimedHTTPConnection, TimedHTTPSConnection, dial
from flyte_lite._http.exchange import active
from flyte_lite.errors import CallError, ConnectFailedError


class _Talk(socks.socksocket):  # type: ignore[misc]
    """PySocks's view of a socket that is connected to the proxy; each read of it has what is left of the deadline."""

    def recv_into(self, *args: Any) -> int:
        socket.socket.settimeout(self, active().left())
        count: int = super().recv_into(*args)
        return count


class _SocksConnection:
    socket_options: Any
    host: str
    port: int

    def __init__(self, *args: Any, _socks_options: dict[str, Any], **kwargs: Any) -> None:
        self._through = _socks_options
        super().__init__(*args, **kwargs)

    def _new_conn(self) -> socket.socket:
        exchange = active()
        through = self._through
        version, host = through["socks_version"], through["proxy_host"]
        port = through["proxy_port"] or socks.DEFAULT_PORTS[version]
        sock = dial(host, port, self.socket_options or ())
        exchange.stage("proxy", f"{host}:{port}")
        talk = _Talk(sock.family, sock.type, sock.proto, sock.detach())
        try:
            exchange.attach(talk)
            socket.socket.settimeout(talk, exchange.left())
            talk.set_proxy(version, host, port, through["rdns"], through["username"], through["password"])
            # Its `connect` would connect to the proxy by itself as well, to one of its addresses and deaf to a cancel.
            talk._proxy_negotiators[version](talk, self.host.strip("[]"), self.port)
            # A bare one from here on: PySocks stands in the way of what TLS and the pool do with a socket.
            made = socket.socket(talk.family, talk.type, talk.proto, talk.detach())
            exchange.attach(made)
            return made
        except BaseException as error:
            exchange.detach()
            talk.close()
            over = exchange.aborted or exchange.deadline.expired or isinstance(error, socket.timeout)
            if over or not isinstance(error, (OSError, UnicodeError)):
                raise
            raise _meaning(error, self.host, self.port) from error


class _SocksHTTPConnection(_SocksConnection, TimedHTTPConnection):  # type: ignore[misc]
    """A plain connection."""


class _SocksHTTPSConnection(_SocksConnection, TimedHTTPSConnection):  # type: ignore[misc]
    """A TLS connection."""


class _SocksHTTPConnectionPool(HTTPConnectionPool):
    ConnectionCls = _SocksHTTPConnection


class _SocksHTTPSConnectionPool(HTTPSConnectionPool):
    ConnectionCls = _SocksHTTPSConnection


SOCKS_POOLS = {"http": _SocksHTTPConnectionPool, "https": _SocksHTTPSConnectionPool}
"""Where connections through a SOCKS proxy are made."""


def _meaning(error: Exception, host: str, port: int) -> CallError:
    proxy = active().proxy
    assert proxy is not None, "who speaks SOCKS has a proxy"
    if isinstance(error, socks.SOCKS5AuthError):
        return proxy.refusal(str(error))
    hint = "; socks5h:// leaves the name to the proxy" if isinstance(error, socket.gaierror) else ""
    return ConnectFailedError(f"{proxy} made no connection to {host}:{port}: {error}{hint}")
