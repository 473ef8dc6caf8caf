"""One HTTP exchange in progress, as everything below the transport sees it: its time, its socket, its end."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Optional

from flyte_lite._clock import Deadline

CONNECT_SECONDS = 10.0
"""The most that connection, proxy and TLS may take together, whatever the call's deadline."""

_LONGEST_WAIT = 1e6  # seconds; operating systems count milliseconds in 32 bits, which is 24 days


class Exchange:
    """One HTTP exchange in progress: how long it may still take, and the socket it is blocked on, if any.

    Attributes:
        deadline: Its end.
        sent: True once a byte of the request itself may have left.
        ended: True once the server has ended the connection in the middle of what is read.
    """

    __slots__ = ("_aborted", "_connect_deadline", "_lock", "_reader", "_sock", "deadline", "ended", "sent")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.sent = False
        self.ended = False
        self._connect_deadline: Optional[Deadline] = None
        # A signal handler may cancel on the very thread that is inside `attach`.
        self._lock = threading.RLock()
        self._sock: Optional[socket.socket] = None
        # Weak, so that an answer that is dropped unread is freed at once, and its socket with it.
        self._reader: Optional[weakref.ref[io.RawIOBase]] = None
        self._aborted = False

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
        return left if left is None or left < _LONGEST_WAIT else _LONGEST_WAIT

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """While inside, `left` is for making the connection and allows no more than `CONNECT_SECONDS` in all."""
        self._connect_deadline = Deadline(self.deadline.clock, CONNECT_SECONDS)
        try:
            yield
        finally:
            self._connect_deadline = None
            self.ended = False  # what a proxy said about its tunnel is none of the answer

    def note_sending(self) -> None:
        """Bytes are about to leave; what a proxy or TLS is told while connecting is not the request."""
        if self._connect_deadline is None:
            self.sent = True

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
        with self._lock:
            self._sock = None

    def reading(self, reader: Optional[io.RawIOBase]) -> None:
        """Note what reads the answer. While it does the socket is ours, even if its connection was closed."""
        self._reader = None if reader is None else weakref.ref(reader)
        if reader is None:
            self.detach()

    def let_go(self, sock: Any) -> None:
        """A connection is about to close this socket; forget it, unless an answer is still read from it."""
        if self._reader is None and self._sock is getattr(sock, "socket", sock):
            self.detach()

    def hang_up(self) -> None:
        """The exchange has failed: free what it still holds."""
        self.detach()
        reader = None if self._reader is None else self._reader()
        if reader is not None:
            reader.close()

    def abort(self) -> None:
        """End the exchange at once, from any thread or signal handler."""
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
"""Set by the transport for the time of one exchange on one thread."""


def active() -> Exchange:
    """The exchange that this thread is in."""
    exchange = ACTIVE.exchange
    assert exchange is not None, "a flyte_lite connection was used outside its transport"
    return exchange
