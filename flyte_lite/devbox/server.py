"""The WSGI application on an HTTP/1.1 server: cheroot, with its defaults that do not suit set right."""

from __future__ import annotations

import logging
import select
import socket
import threading
import traceback
from typing import TYPE_CHECKING, Any, Optional

from cheroot import wsgi

from flyte_lite.devbox._refusal import ConnectionDropped
from flyte_lite.devbox.wsgi import GONE, TRAILERS

if TYPE_CHECKING:
    from flyte_lite.devbox.wsgi import Application

_log = logging.getLogger("flyte_lite.devbox")

THREADS = 24
BACKLOG = 1024
# Seconds. Real Flyte never closes an idle connection.
IDLE = 3600
# Seconds between looks at the stop flag, and those that a request may still take when the server stops.
TICK = 0.1
LAST_REQUESTS = 0.4


class HttpServer:
    """A server that listens from `start` to `stop`.

    Args:
        host: The address to listen on, and no other.
        port: 0 is any free one.
        application: What answers.
    """

    def __init__(self, host: str, port: int, application: Application) -> None:
        self._application = application
        self._server = _Server((host, port), application)
        self._thread = threading.Thread(target=self._serve, name="flyte_lite devbox", daemon=True)
        self._listening = threading.Event()
        self._failure: Optional[BaseException] = None

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
        """Close the port and every connection. Takes a second at most."""
        self._application.stop()
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


class _Server(wsgi.Server):
    expiration_interval = TICK
    keep_alive_conn_limit = 10_000

    def __init__(self, address: tuple[str, int], application: Application) -> None:
        super().__init__(
            address,
            application,
            numthreads=THREADS,
            request_queue_size=BACKLOG,
            timeout=IDLE,
            server_name="flyte_lite devbox",
        )
        self.shutdown_timeout = LAST_REQUESTS
        self.gateway = _Gateway

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: tuple[str, int]) -> socket.socket:
        try:
            socket_.bind(bind_addr)
        except OSError:
            # cheroot would leave that to the garbage collector.
            socket_.close()
            raise
        return socket_

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        _log.log(level, "%s%s", msg, _traceback() if traceback else "")


def _traceback() -> str:
    return "\n" + traceback.format_exc()


class _Gateway(wsgi.Gateway_10):
    def respond(self) -> Any:
        request = self.req
        self.env[GONE] = self._gone
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

    def _gone(self) -> bool:
        # One that half closes its side counts as gone, as on the real server. What else it sends is its next request.
        connection = self.req.conn.socket
        try:
            return bool(select.select([connection], [], [], 0)[0]) and not connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True
