"""The threads of the HTTP server: one for each connection that is busy, so that no stream keeps a call waiting."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections import deque
from typing import Any, Protocol

_log = logging.getLogger("flyte_lite.devbox")

# More connections than this that are busy at once wait for one of the others.
MOST = 2000
# Seconds for which a thread stays with a connection that has been answered: its next request is likely to come soon,
# and then needs no other thread to notice it.
STAY = 0.02
# Seconds for which a thread without a connection is kept.
KEEP = 5.0


class Connection(Protocol):
    """cheroot's."""

    socket: socket.socket
    rfile: Any

    def communicate(self) -> bool:
        """Read one request and answer it; whether the connection can be kept."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Server(Protocol):
    """cheroot's."""

    ready: bool

    def put_conn(self, conn: Any) -> None:
        """Take a connection back, to look out for its next request."""
        ...


class Threads:
    """What cheroot calls a thread pool: its own never grows.

    Args:
        server: Whose connections these are.
    """

    # cheroot asks for it.
    min = 1

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Condition()
        self._waiting: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._stopped = False

    @property
    def idle(self) -> int:
        """How many threads have nothing to do."""
        return self._idle

    @property
    def count(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    def start(self) -> None:
        """Do nothing: threads are made when they are needed."""

    def put(self, connection: Connection) -> None:
        """Answer the request that is coming in on a connection."""
        with self._lock:
            if self._stopped:
                connection.close()
                return
            self._waiting.append(connection)
            if len(self._waiting) <= self._idle:
                self._lock.notify()
            elif len(self._threads) < MOST:
                thread = threading.Thread(target=self._work, name="flyte_lite devbox call", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # The system has no more threads to give: one of those that there are will come to it.
                    _log.warning("no more threads can be had; connections wait")
                    return
                self._threads.add(thread)

    def stop(self, timeout: float) -> None:
        """Let what is being answered take `timeout` seconds more, then cut its connection."""
        with self._lock:
            self._stopped = True
            self._lock.notify_all()
            threads = list(self._threads)
            waiting, self._waiting = list(self._waiting), deque()
        for connection in waiting:
            connection.close()
        _join(threads, timeout)
        with self._lock:
            busy = list(self._busy)
        for connection in busy:
            try:
                # TCP's own: that of TLS would let the thread that answers go on in plain text.
                socket.socket.shutdown(connection.socket, socket.SHUT_RDWR)
            except OSError:
                continue
        _join(threads, timeout)

    def _work(self) -> None:
        me = threading.current_thread()
        while True:
            with self._lock:
                self._idle += 1
                self._lock.wait_for(lambda: self._waiting or self._stopped, KEEP)
                self._idle -= 1
                if not self._waiting:
                    self._threads.discard(me)
                    return
                connection = self._waiting.popleft()
                self._busy.add(connection)
            keep = False
            try:
                keep = self._serve(connection)
            except OSError as error:
                _log.debug("a connection broke: %s", error)
            except Exception:  # noqa: BLE001 - a thread that dies here would take its place in the count along.
                _log.exception("a connection of the devbox failed")
            finally:
                with self._lock:
                    self._busy.discard(connection)
                if keep:
                    self._server.put_conn(connection)
                else:
                    connection.close()

    def _serve(self, connection: Connection) -> bool:
        while connection.communicate():
            if not self._server.ready:
                return False
            if not connection.rfile.has_data() and not readable(connection.socket, STAY):
                return True
        return False


def readable(connection: socket.socket, seconds: float) -> bool:
    """Whether there is something to read on a socket, or its end, before so many seconds have passed."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    return bool(select.select([connection], [], [], seconds)[0])


def _join(threads: list[threading.Thread], seconds: float) -> None:
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
