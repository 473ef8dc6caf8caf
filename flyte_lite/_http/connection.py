"""Connections that never outlast their call: urllib3's, with our clock on every connect, handshake, write and read.

`requests` bounds each single read, so a server that drips one byte a second holds a call for ever. Here the socket's
timeout is set to what is left of the call's deadline before every system call, and a cancel shuts the socket down,
which wakes whoever waits on it. Nothing of this needs a thread.

urllib3 makes connections deep inside its pools, so the call that a connection works for is found in `ACTIVE`, which
the transport sets for the time of one exchange on one thread.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import threading
from typing import Any, Optional

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import allowed_gai_family

from flyte_lite._clock import Deadline
from flyte_lite.errors import ConnectFailedError, TlsError

CONNECT_SECONDS = 10.0
"""The most that name, connection and TLS may take together, whatever the call's deadline."""

_SEND_BYTES = 256 * 1024


class Exchange:
    """One HTTP exchange in progress: how long it may still take, and the socket it is blocked on, if any."""

    __slots__ = ("_aborted", "_connect_deadline", "_lock", "_sock", "deadline")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self._connect_deadline: Optional[Deadline] = None
        self._lock = threading.Lock()
        self._sock: Optional[socket.socket] = None
        self._aborted = False

    def left(self) -> Optional[float]:
        """Seconds for the next system call; never 0, which a socket takes for "do not wait at all".

        Raises:
            TimeoutError: Nothing is left, or the exchange was aborted; the transport finds out which.
        """
        left = self.deadline.left()
        if left == 0.0 or self._aborted:
            raise socket.timeout("the call's time is up")
        return left

    def connect_left(self) -> float:
        """Seconds for the next step of connecting."""
        left = self.left()
        if self._connect_deadline is None:
            self._connect_deadline = Deadline(self.deadline.clock, CONNECT_SECONDS)
        allowed = self._connect_deadline.left()
        if not allowed:
            raise socket.timeout(f"no connection within {CONNECT_SECONDS:g} s")
        return allowed if left is None else min(left, allowed)

    def attach(self, sock: socket.socket) -> None:
        """From here on, `abort` shuts this socket down."""
        with self._lock:
            self._sock = sock
            if self._aborted:
                _shut(sock)

    def detach(self) -> None:
        """The socket is no longer ours: a late abort must not hit whoever gets it from the pool next."""
        with self._lock:
            self._sock = None

    def abort(self) -> None:
        """End the exchange at once, from any thread."""
        with self._lock:
            self._aborted = True
            if self._sock is not None:
                _shut(self._sock)

    @property
    def aborted(self) -> bool:
        """True once `abort` was called."""
        return self._aborted


def _shut(sock: socket.socket) -> None:
    # Not SSLSocket.shutdown: that one first throws away the TLS state which the blocked thread is using.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Active(threading.local):
    exchange: Optional[Exchange] = None


ACTIVE = _Active()


def _active() -> Exchange:
    exchange = ACTIVE.exchange
    assert exchange is not None, "a flyte_lite connection was used outside its transport"
    return exchange


class _TimedReader(io.RawIOBase):
    """What a response reads from: the socket, each time with what is left of the deadline."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        self._sock.settimeout(self._exchange.left())
        return self._file.readinto(buffer)

    def close(self) -> None:
        # http.client closes a response's file when the body is complete, which is before the pool has the connection.
        if not self.closed:
            self._exchange.detach()
            self._file.close()
        super().close()


class _Source:
    """A socket as `http.client.HTTPResponse` sees it: a thing that makes one file."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self._sock = sock
        self._exchange = exchange

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._exchange))


class _TimedConnection:
    """What both kinds of connection share."""

    sock: Any

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        exchange = _active()
        exchange.attach(sock)
        return http.client.HTTPResponse(_Source(sock, exchange), *args, **kwargs)  # type: ignore[arg-type]

    def send(self, data: Any) -> None:
        if self.sock is None or not isinstance(data, (bytes, bytearray)):
            super().send(data)  # type: ignore[misc]  # connects first and comes back here, or iterates
            return
        exchange = _active()
        exchange.attach(self.sock)
        # Not sendall: over TLS each of its records gets the whole timeout anew.
        view = memoryview(data)
        while view:
            self.sock.settimeout(exchange.left())
            view = view[self.sock.send(view[:_SEND_BYTES]) :]

    def close(self) -> None:
        if ACTIVE.exchange is not None:
            ACTIVE.exchange.detach()
        super().close()  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        exchange = _active()
        host: str = getattr(self, "_dns_host", None) or self.host  # type: ignore[attr-defined]
        port: int = self.port  # type: ignore[attr-defined]
        where = f"{host}:{port}"
        proxy = getattr(self, "proxy", None)
        name = f"the proxy {where}" if proxy is not None and proxy.host == host else where
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, allowed_gai_family(), socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise ConnectFailedError(
                f"the host name in {name} can't be resolved: {error}; is it spelled right?"
            ) from error
        problem: Optional[OSError] = None
        for nth, (family, kind, protocol, _, address) in enumerate(found):
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():  # type: ignore[attr-defined]
                    sock.setsockopt(*option)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                exchange.attach(sock)
                # Dead addresses share the time, so one of them can't spend what a live one needs.
                sock.settimeout(exchange.connect_left() / (len(found) - nth))
                sock.connect(address)
            except OSError as error:
                sock.close()
                problem = error
                if exchange.aborted or exchange.deadline.expired:
                    raise
            except BaseException:
                sock.close()
                raise
            else:
                sock.settimeout(exchange.connect_left())
                return sock
        raise ConnectFailedError(
            f"can't connect to {name}: {problem or 'no address'}; is the server up, and are host and port right?"
        ) from problem

    def _tunnel(self) -> None:
        exchange = _active()
        try:
            super()._tunnel()  # type: ignore[misc]
        except OSError as error:
            if exchange.aborted or exchange.deadline.expired:
                raise
            hint = "; it wants a user and a password (http://user:password@host:port)" if " 407 " in f"{error} " else ""
            raise ConnectFailedError(
                f"the proxy {self.host}:{self.port} did not open a tunnel: {error}{hint}"  # type: ignore[attr-defined]
            ) from error


class TimedHTTPConnection(_TimedConnection, HTTPConnection):  # type: ignore[misc]
    """A plain connection."""


class TimedHTTPSConnection(_TimedConnection, HTTPSConnection):  # type: ignore[misc]
    """A TLS connection; its handshake is timed in `TimedSSLSocket`."""


class TimedSSLSocket(ssl.SSLSocket):
    """A TLS socket whose handshake obeys the exchange; contexts make it through `sslsocket_class`."""

    def do_handshake(self, block: bool = False) -> None:
        exchange = ACTIVE.exchange
        if exchange is None:
            super().do_handshake(block)
            return
        # Wrapping took the descriptor away from the plain socket, so the exchange needs to know this one.
        exchange.attach(self)
        # urllib3 1.26 gives no name for an address.
        name = self.server_hostname or self.getpeername()[0]
        try:
            self.settimeout(exchange.connect_left())
            super().do_handshake(block)
        except ssl.SSLCertVerificationError as error:
            raise TlsError(
                f"the certificate of {name} is not trusted: {error.verify_message}. If a company proxy or a private "
                "authority signs it, give its certificate as ca_cert_file_path= or in REQUESTS_CA_BUNDLE"
            ) from error
        except ssl.SSLError as error:
            if exchange.aborted or exchange.deadline.expired:
                raise
            hint = "; does the server speak plain http there (insecure=True)?" if "WRONG_VERSION" in str(error) else ""
            raise TlsError(f"no TLS with {name}: {error.reason or error}{hint}") from error
        except OSError as error:
            if exchange.aborted or exchange.deadline.expired:
                raise
            raise ConnectFailedError(f"the TLS handshake with {name} did not finish: {error}") from error


class TimedHTTPConnectionPool(HTTPConnectionPool):
    """Pool of plain connections."""

    ConnectionCls = TimedHTTPConnection


class TimedHTTPSConnectionPool(HTTPSConnectionPool):
    """Pool of TLS connections."""

    ConnectionCls = TimedHTTPSConnection


POOLS = {"http": TimedHTTPConnectionPool, "https": TimedHTTPSConnectionPool}
