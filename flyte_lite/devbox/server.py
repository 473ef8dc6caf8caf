"""The WSGI application on an HTTP/1.1 server: cheroot, with its defaults that do not suit set right."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Optional

import cheroot.server
from cheroot import wsgi

from flyte_lite.devbox._refusal import ConnectionDropped
from flyte_lite.devbox.threads import Threads, readable
from flyte_lite.devbox.tls import Tls, handshake, say_goodbye
from flyte_lite.devbox.wsgi import GONE, TRAILERS

if TYPE_CHECKING:
    from flyte_lite.devbox.wsgi import Application

_log = logging.getLogger("flyte_lite.devbox")

BACKLOG = 1024
# Seconds. Real Flyte never closes an idle connection.
IDLE = 3600
# Seconds between looks at the stop flag, and those that a request may still take when the server stops.
TICK = 0.1
LAST_REQUESTS = 0.4
# Bytes: of a head, as in Go's server, and of a body that nobody wanted.
LONGEST_HEAD = (1 << 20) + 4096
LONGEST_SKIP = 256 * 1024
# Seconds that a client gets to read the answer to a request that it is still sending.
LINGER = 0.5
TEXT = "text/plain; charset=utf-8"


class HttpServer:
    """A server that listens from `start` to `stop`.

    Args:
        host: The address to listen on, and no other.
        port: 0 is any free one.
        application: What answers.
        context: To speak TLS with; None speaks plain http.
    """

    def __init__(
        self, host: str, port: int, application: Application, context: Optional[ssl.SSLContext] = None
    ) -> None:
        self._application = application
        self._server = _Server((host, port), application)
        self._server.ssl_adapter = None if context is None else Tls(context)
        self._thread = threading.Thread(target=self._serve, name="flyte_lite devbox", daemon=True)
        self._listening = threading.Event()
        self._failure: Optional[BaseException] = None
        self._stopped = False

    def start(self) -> tuple[str, int]:
        """Listen, and answer from now on; the address and the port.

        Raises:
            OSError: The address can't be had.
        """
        self._thread.start()
        self._listening.wait()
        if self._failure is not None:
            raise self._failure
        host, port = self._server.bind_addr
        return host, port

    def stop(self) -> None:
        """Close the port and every connection. Takes a second at most; a second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        self._application.end_streams()
        self._server.stop()
        self._thread.join()

    def _serve(self) -> None:
        # Here, in a daemon thread, so that cheroot's own threads are born as such and never keep a program alive.
        try:
            self._server.prepare()
        except BaseException as error:  # noqa: BLE001 - given to whoever called `start`.
            self._failure = error
            return
        finally:
            self._listening.set()
        self._server.serve()


class _Request(cheroot.server.HTTPRequest):
    unread = False

    def read_request_headers(self) -> bool:
        fine: bool = super().read_request_headers()  # type: ignore[no-untyped-call]
        if not fine:
            return False
        length = self.inheaders.get(b"Content-Length", b"0")
        if not length.isdigit():
            # cheroot takes what Python's int does, -1 among it.
            self.simple_response("400 Bad Request", "invalid Content-Length")
            return False
        return True

    def simple_response(self, status: str, msg: str = "") -> None:
        too_long = status[:3] in ("413", "414")
        if too_long:
            status = msg = "431 Request Header Fields Too Large"
        body = msg.encode("latin-1", "replace")
        head = f"HTTP/1.1 {status}\r\nContent-Type: {TEXT}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.conn.wfile.write(head.encode("latin-1") + body)
        if too_long:
            _linger(self.conn.socket)

    def send_headers(self) -> None:
        if (b"Connection", b"close") in self.outheaders:
            self.close_connection = True
        # The next request begins where this one's body ends; a long rest is not worth waiting for.
        if not self.close_connection and not _skip(self.rfile, self.chunked_read):
            self.close_connection = self.unread = True
        super().send_headers()

    def respond(self) -> None:
        super().respond()
        if self.unread:
            _linger(self.conn.socket)


class _Connection(cheroot.server.HTTPConnection):
    RequestHandlerClass = _Request
    begun = False

    def communicate(self) -> bool:
        if not self.begun:
            # Here, in a thread that this connection has for itself.
            if not handshake(self.socket):
                _linger(self.socket)
                return False
            self.begun = True
        keep: bool = super().communicate()  # type: ignore[no-untyped-call]
        return keep

    def gone(self) -> bool:
        """Whether the client has left. One that half closes its side counts as gone, as on the real server."""
        if self.rfile.has_data():
            return False
        if not readable(self.socket, 0):
            return False
        before = self.socket.gettimeout()
        try:
            self.socket.settimeout(0)
            # What else it sends is its next request, and stays to be read.
            return not self.rfile.peek(1)
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True
        finally:
            self.socket.settimeout(before)

    def close(self) -> None:
        say_goodbye(self.socket)
        # What could not be sent has nowhere to go. Left in the buffer, it would be tried once more when Python
        # collects the file, on a socket that is closed by then, and 3.13 complains.
        self.wfile._write_buf.clear()
        super().close()


def _skip(body: Any, chunked: bool) -> bool:
    """Read the rest of a body; False if it is too long, or is none."""
    try:
        if not chunked:
            rest: int = body.remaining
            return rest <= LONGEST_SKIP and len(body.read(rest)) == rest
        rest = LONGEST_SKIP
        while rest > 0:
            piece = body.read(65536)
            if not piece:
                for _ in body.read_trailer_lines():
                    pass
                return True
            rest -= len(piece)
    except (ValueError, OSError, MemoryError, OverflowError):
        pass
    return False


def _linger(connection: socket.socket) -> None:
    """Let the answer arrive before the connection is closed: closed with bytes unread, it would be reset."""
    end = time.monotonic() + LINGER
    say_goodbye(connection)
    with contextlib.suppress(OSError):
        # TCP's own, below TLS: nobody wants what still comes, encrypted or not.
        socket.socket.shutdown(connection, socket.SHUT_WR)
        while time.monotonic() < end:
            connection.settimeout(LINGER)
            if not socket.socket.recv(connection, 1 << 20):
                return


class _Gateway(wsgi.Gateway_10):
    def respond(self) -> Any:
        request = self.req
        self.env[GONE] = request.conn.gone
        try:
            super().respond()
        except ConnectionDropped:
            # Nothing may follow: not the 500 that cheroot would send, nor the chunk that ends an answer.
            request.sent_headers = True
            request.chunked_write = False
            request.close_connection = True
            return
        trailers = self.env.get(TRAILERS)
        if trailers is not None and request.chunked_write:
            request.ensure_headers_sent()
            lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
            request.conn.wfile.write(f"0\r\n{lines}\r\n".encode("latin-1"))
            request.chunked_write = False


class _Server(wsgi.Server):
    expiration_interval = TICK
    keep_alive_conn_limit = 10_000
    max_request_header_size = LONGEST_HEAD
    ConnectionClass = _Connection

    def __init__(self, address: tuple[str, int], application: Application) -> None:
        super().__init__(
            address,
            application,
            request_queue_size=BACKLOG,
            timeout=IDLE,
            server_name="flyte_lite devbox",
        )
        self.shutdown_timeout = LAST_REQUESTS
        self.requests = Threads(self)
        self.gateway = _Gateway

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: tuple[str, int]) -> socket.socket:
        try:
            socket_.bind(bind_addr)
        except OSError:
            # cheroot would leave that to the garbage collector.
            socket_.close()
            raise
        # Connections that are left behind by this server must not keep the next one from the port. Not before: two
        # that ask for any free port could be given the same one.
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return socket_

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        _log.log(level, "%s%s", msg, _traceback() if traceback else "")


def _traceback() -> str:
    return "\n" + traceback.format_exc()
