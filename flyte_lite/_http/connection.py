"""Connections that never outlast their call: urllib3's, with our clock on every connect, handshake, write and read.

`requests` bounds each single read, so a server that drips one byte a second holds a call for ever. Here the socket's
timeout is set to what is left of the call's deadline before every system call, and a cancel shuts the socket down,
which wakes whoever waits on it. Nothing of this needs a thread.

urllib3 makes connections deep inside its pools, so the exchange that a connection works for is found in `ACTIVE`.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import io
import os
import socket
import ssl
from collections.abc import Iterable
from typing import Any, Optional

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import allowed_gai_family
from urllib3.util.ssltransport import SSLTransport
from urllib3.util.wait import wait_for_write

from flyte_lite._http.exchange import ACTIVE, Exchange, active
from flyte_lite._http.keepalive import SocketOption
from flyte_lite._http.tls import refusal
from flyte_lite.errors import ConnectFailedError


class _TimedReader(io.RawIOBase):
    """What a proxy's answer is read from: the socket, each time with what is left of the deadline."""

    def __init__(self, sock: Any, exchange: Exchange) -> None:
        self._sock = sock
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._exchange.receive(self._sock, len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Source:
    """A socket as `http.client.HTTPResponse` sees it: a thing that makes one file."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self._sock = sock
        self._exchange = exchange

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._exchange))


class _TimedConnection:
    """What both kinds of connection share."""

    # What urllib3's classes bring.
    sock: Any
    auto_open: Any
    host: Any
    port: Any
    socket_options: Any

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        # For what a proxy says about its tunnel; answers of servers are read in `response.py`.
        exchange = active()
        exchange.attach(sock)
        return http.client.HTTPResponse(_Source(sock, exchange), *args, **kwargs)  # type: ignore[arg-type]

    def send(self, data: Any) -> None:
        active().send(self.sock, data)

    def _new_conn(self) -> socket.socket:
        return dial(getattr(self, "_dns_host", None) or self.host, self.port, self.socket_options or ())

    def _tunnel(self) -> None:
        exchange = active()
        proxy = exchange.proxy
        assert proxy is not None, "a tunnel goes through a proxy"
        exchange.stage("proxy", proxy.place)
        try:
            super()._tunnel()  # type: ignore[misc]
        except (OSError, http.client.HTTPException) as error:
            exchange.detach()
            if exchange.aborted or exchange.deadline.expired:
                raise
            said = f"{error}" or type(error).__name__
            for status in ("407", "401"):  # tinyproxy says 401 of a password that is wrong
                if f" {status} " in said:
                    raise proxy.refusal(f"HTTP {status}") from error
            raise ConnectFailedError(f"{proxy} did not open a tunnel: {said}") from error


def dial(host: str, port: int, options: Iterable[SocketOption]) -> socket.socket:
    """A socket that is connected to the host, or to the proxy that the exchange goes through."""
    exchange = active()
    name = f"{host}:{port}" if exchange.proxy is None else str(exchange.proxy)
    exchange.stage("name", name)
    try:
        # The one wait here that nothing can cut short: a resolver knows no deadline.
        found = socket.getaddrinfo(host.strip("[]"), port, allowed_gai_family(), socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ConnectFailedError(f"the host name in {name} can't be resolved: {error}; is it spelled right?") from error
    exchange.stage("TCP", f"{name} ({', '.join(str(each[4][0]) for each in found)})")
    problem: Optional[OSError] = None
    for nth, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            left = exchange.left()
            assert left is not None, "connecting always has an end"
            # Dead addresses share the time, so one of them can't spend what a live one needs.
            _connect(sock, address, left / (len(found) - nth), exchange)
        except OSError as error:
            exchange.detach()
            sock.close()
            problem = error
            if exchange.aborted or exchange.deadline.expired:
                raise
        except BaseException:
            exchange.detach()
            sock.close()
            raise
        else:
            return sock
    raise ConnectFailedError(
        f"can't connect to {name}: {problem or 'no address'}; is the server up, and are host and port right?"
    ) from problem


def _connect(sock: socket.socket, address: Any, seconds: float, exchange: Exchange) -> None:
    sock.setblocking(False)
    problem = sock.connect_ex(address)
    # Only now: a socket that has not begun to connect can't be shut down, and would wait on after a cancel.
    exchange.attach(sock)
    if problem in (errno.EINPROGRESS, errno.EWOULDBLOCK):
        if not wait_for_write(sock, seconds):
            raise socket.timeout("no answer to the attempt to connect")
        problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if problem:
        raise OSError(problem, os.strerror(problem))
    sock.settimeout(seconds)


class TimedHTTPConnection(_TimedConnection, HTTPConnection):  # type: ignore[misc]
    """A plain connection."""


class TimedHTTPSConnection(_TimedConnection, HTTPSConnection):  # type: ignore[misc]
    """A TLS connection; its handshake is timed in `TimedSSLSocket`."""

    def connect(self) -> None:
        # Not urllib3's: it changes a context that is not its own, warns of what its owner knows, and 1.26 names no
        # address to the context, so that it could not be compared with the certificate.
        sock: Any = self._new_conn()
        host = self.host
        proxy_context = getattr(self.proxy_config, "ssl_context", None)
        if self.proxy is not None and self.proxy.scheme == "https" and proxy_context is not None:
            self.sock = sock = _wrapped(sock, proxy_context, host, str(active().proxy))
        if self._tunnel_host:
            host = self._tunnel_host
            self.sock = sock
            self._tunnel()
        elif sock is self.sock:
            return  # the proxy itself is whom we talk to
        self.sock = _wrapped(sock, self.ssl_context, host)


def _wrapped(sock: Any, context: Any, host: str, peer: str = "") -> Any:
    name = host.strip("[]").rstrip(".")
    active().peer = peer or name
    active().stage("TLS", name)
    if isinstance(sock, ssl.SSLSocket):
        return SSLTransport(sock, context, name)  # TLS inside TLS
    try:
        made = context.wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise
    if made.version() is None:
        # Python shakes no hands on a connection that is not there any more, and would then write as if without TLS.
        made.close()
        raise ConnectFailedError(f"{peer or name} hung up before the TLS handshake")
    return made


class TimedSSLSocket(ssl.SSLSocket):
    """A TLS socket whose handshake obeys the exchange; see `timed`."""

    def do_handshake(self, block: bool = False) -> None:
        exchange = ACTIVE.exchange
        if exchange is None:
            super().do_handshake(block)
            return
        # Wrapping took the descriptor away from the plain socket, so the exchange needs to know this one.
        exchange.attach(self)
        try:
            self.settimeout(exchange.left())
            super().do_handshake(block)
        except BaseException as error:
            # Whoever wraps a socket closes it after an OSError only.
            exchange.detach()
            self.close()
            if exchange.aborted or exchange.deadline.expired:
                raise
            if isinstance(error, ssl.SSLError):
                raise refusal(exchange.peer, error) from error
            if isinstance(error, OSError):
                raise ConnectFailedError(f"the TLS handshake with {exchange.peer} did not finish: {error}") from error
            raise

    # TLS inside TLS (an https:// proxy) reads and writes here by itself, several times for each of our own calls.

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        if self.version() is None:
            # Before the handshake only Python itself reads, from a connection that has ended. If that raised what it
            # does not expect, it would drop this socket and leave it open.
            with contextlib.suppress(OSError):
                return super().recv(buflen, flags)
            return b""
        if ACTIVE.exchange is not None:
            self.settimeout(ACTIVE.exchange.left())
        return super().recv(buflen, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        if ACTIVE.exchange is not None:
            self.settimeout(ACTIVE.exchange.left())
        super().sendall(data, flags)


def timed(context: ssl.SSLContext) -> ssl.SSLContext:
    """The context, whose sockets obey the exchange from here on."""
    theirs = context.sslsocket_class
    if theirs is ssl.SSLSocket:
        context.sslsocket_class = TimedSSLSocket
    elif not issubclass(theirs, TimedSSLSocket):
        context.sslsocket_class = type(f"Timed{theirs.__name__}", (TimedSSLSocket, theirs), {})
    return context


class TimedHTTPConnectionPool(HTTPConnectionPool):
    """Where plain connections are made."""

    ConnectionCls = TimedHTTPConnection


class TimedHTTPSConnectionPool(HTTPSConnectionPool):
    """Where TLS connections are made."""

    ConnectionCls = TimedHTTPSConnection


POOLS = {"http": TimedHTTPConnectionPool, "https": TimedHTTPSConnectionPool}
