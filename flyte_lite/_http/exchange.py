"""One HTTP exchange in progress, as everything below the transport sees it: its time, its connection, its end."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Optional

from flyte_lite._clock import Deadline
from flyte_lite._http.failure import explain
from flyte_lite._http.proxy import Proxy

CONNECT_SECONDS = 10.0
"""The most that connection, proxy and TLS may take together, whatever the call's deadline."""

_SEND_BYTES = 256 * 1024
_LONGEST_WAIT = 1e6  # seconds; operating systems count milliseconds in 32 bits, which is 24 days


class Exchange:
    """One HTTP exchange in progress: how long it may still take, and the socket it is blocked on, if any.

    While a `with` is inside one, this thread's connections work for it, and what goes wrong drops the connection and is
    said in our own errors.

    Attributes:
        deadline: Its end.
        idle: Seconds without a byte after which it ends too; None is no such limit.
        secure: Whether its origin speaks TLS.
        proxy: The way there; None is straight.
        peer: Whom TLS is spoken with, as it is called in a message.
        connection: What it has of the pool, until that is given back.
        fresh: True if it was made for this exchange.
        sent: True once a byte of the request itself may have left.
        answered: True once the head of an answer has come.
        outside: True while the caller's own code runs, whose exceptions are not ours to explain.
        stage: Told what making its connection comes to, as it begins: "name", "TCP", "proxy" (what it is asked for) or
            "TLS", and with whom.
    """

    __slots__ = (
        "_aborted",
        "_before",
        "_connect_deadline",
        "_lock",
        "_pid",
        "_sock",
        "answered",
        "connection",
        "deadline",
        "fresh",
        "idle",
        "outside",
        "peer",
        "proxy",
        "secure",
        "sent",
        "stage",
    )

    def __init__(self, deadline: Deadline, idle: Optional[float] = None, secure: bool = False) -> None:
        self.deadline = deadline
        self.idle = idle
        self.secure = secure
        self.proxy: Optional[Proxy] = None
        self.peer = "the server"
        self.connection: Any = None
        self.fresh = False
        self.sent = False
        self.answered = False
        self.outside = False
        self.stage: Callable[[str, str], None] = _unwatched
        self._before: Optional[Exchange] = None
        self._connect_deadline: Optional[Deadline] = None
        # A signal handler may cancel on the very thread that is inside `attach`.
        self._lock = threading.RLock()
        self._sock: Optional[socket.socket] = None
        self._pid = os.getpid()
        self._aborted = False

    def __enter__(self) -> Exchange:
        self._before, ACTIVE.exchange = ACTIVE.exchange, self
        return self

    def __exit__(self, kind: Any, error: Optional[BaseException], traceback: Any) -> None:
        ACTIVE.exchange, self._before = self._before, None
        if error is not None:
            # Whatever it was, Ctrl-C too: a half-used connection is worth nothing to the next call.
            self.drop()
            if isinstance(error, Exception) and not self.outside:
                explain(error, self)

    def begin(self) -> None:
        """A cancel of the deadline's token aborts it from here on."""
        if self.deadline.cancel is not None:
            self.deadline.cancel.subscribe(self.abort)

    def finish(self) -> None:
        """The exchange is over, well or not; its token forgets it."""
        if self.deadline.cancel is not None:
            self.deadline.cancel.unsubscribe(self.abort)

    def left(self) -> Optional[float]:
        """Seconds for the next system call; never 0, which a socket takes for "do not wait at all".

        Raises:
            TimeoutError: Nothing is left, or the exchange was aborted; the transport finds out which.
        """
        left = self.deadline.left()
        if left == 0.0 or self._aborted:
            raise socket.timeout("the call's time is up")
        if self._connect_deadline is not None:
            allowed = self._connect_deadline.left()
            if not allowed:
                raise socket.timeout(f"no connection within {CONNECT_SECONDS:g} s")
            left = allowed if left is None else min(left, allowed)
        elif self.idle is not None and (left is None or left > self.idle):
            left = self.idle
        return left if left is None or left < _LONGEST_WAIT else _LONGEST_WAIT

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """While inside, `left` is for making the connection and allows no more than `CONNECT_SECONDS` in all."""
        self._connect_deadline = Deadline(self.deadline.clock, CONNECT_SECONDS)
        try:
            yield
        finally:
            self._connect_deadline = None

    def send(self, sock: Any, data: bytes) -> None:
        """Send all of it."""
        self.attach(sock)
        sock.settimeout(self.left())
        if self._connect_deadline is None:
            # What a proxy or TLS is told while connecting is not the request.
            self.sent = True
        # Not sendall: over TLS each of its records gets the whole timeout anew.
        done = sock.send(data[:_SEND_BYTES])
        if done < len(data):
            view = memoryview(data)[done:]
            while view:
                sock.settimeout(self.left())
                view = view[sock.send(view[:_SEND_BYTES]) :]

    def receive(self, sock: Any, most: int) -> bytes:
        """What comes next, at most so much; b"" is the end of the connection."""
        sock.settimeout(self.left())
        data: bytes = sock.recv(most)
        if not data and self._aborted:
            raise ConnectionAbortedError("aborted")  # we ended it ourselves, so it is the end of nothing
        return data

    def attach(self, sock: Any) -> None:
        """From here on, `abort` shuts this socket down."""
        # urllib3's TLS inside TLS is no socket, but has one.
        sock = getattr(sock, "socket", sock)
        with self._lock:
            self._sock = sock
            if self._aborted:
                _shut(sock)

    def detach(self) -> None:
        """The socket is no longer ours: a late abort must not hit whoever gets it from the pool next."""
        if self.ours:
            with self._lock:
                self._sock = None

    def drop(self) -> None:
        """The exchange is over, and its connection is not to be used again."""
        self.detach()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
        self.finish()

    def abort(self) -> None:
        """End the exchange at once, from any thread or signal handler."""
        self._aborted = True
        if self.ours:
            with self._lock:
                if self._sock is not None:
                    _shut(self._sock)

    @property
    def ours(self) -> bool:
        """False in a forked child: what it does to the socket, it does to its parent's, and the lock may be held."""
        return self._pid == os.getpid()

    @property
    def aborted(self) -> bool:
        """True once `abort` was called."""
        return self._aborted


def _unwatched(stage: str, whom: str) -> None: ...


def _shut(sock: socket.socket) -> None:
    # Not SSLSocket.shutdown: that one first throws away the TLS state which the blocked thread is using.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Active(threading.local):
    exchange: Optional[Exchange] = None


ACTIVE = _Active()
"""Set by the transport for the time of one exchange on one thread."""


def active() -> Exchange:
    """The exchange that this thread is in."""
    exchange = ACTIVE.exchange
    assert exchange is not None, "a flyte_lite connection was used outside its transport"
    return exchange
