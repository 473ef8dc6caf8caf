"""Answers: a whole one, and one whose body is still to be read."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Optional

from flyte_lite import errors
from flyte_lite._http.exchange import Exchange
from flyte_lite._http.pool import Pool
from flyte_lite._http.response import Body, Head

PIECE = 64 * 1024
"""Most bytes that are asked for at once."""


class Answer(NamedTuple):
    """A whole HTTP answer.

    Attributes:
        status: As sent, whatever the number.
        headers: By lower-case name, one entry a line.
        body: As sent: still packed if `content-encoding` says so.
    """

    status: int
    reason: str
    headers: dict[str, list[str]]
    body: bytes


class OpenAnswer(ABC):
    """An answer whose body is still to be read. Close it, finish it, or read it to its end.

    Attributes:
        status: As sent, whatever the number.
        headers: By lower-case name, one entry a line.
    """

    _over = True  # until it is made: one that could not be is freed, too

    def __init__(
        self, exchange: Exchange, status: int, reason: str, headers: dict[str, list[str]], announced: Optional[int]
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self._exchange = exchange
        self._announced = announced
        self._over = False

    @abstractmethod
    def _next(self) -> tuple[bytes, bool]:
        """What comes next, and whether that was the end; without the end there is something."""

    @abstractmethod
    def _give_back(self) -> None:
        """All was read; the exchange is over, well."""

    def read(self, limit: int) -> bytes:
        """The whole body, as it was sent.

        Raises:
            CallError: The connection broke, the deadline passed, or the body is over `limit` bytes
                (resource_exhausted); in each case the connection is gone.
        """
        announced = self._announced
        if announced is not None and announced > limit:
            self.close()
            raise errors.AnswerTooLargeError(
                f"the answer has {announced} bytes, over the limit of {limit}", self.headers
            )
        pieces = []
        size = 0
        while True:
            piece = self.read_some()
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                self.close()
                raise errors.AnswerTooLargeError(f"the answer is over the limit of {limit} bytes", self.headers)
        return pieces[0] if size and len(pieces) == 1 else b"".join(pieces)

    def read_some(self) -> bytes:
        """What comes next of the body, as it was sent: waits for something and returns what is there; b"" at its end.

        Raises:
            CallError: As `read`; the connection is gone.
        """
        if self._over:
            return b""
        exchange = self._exchange
        if not exchange.ours:
            raise errors.ConnectionLostError("this answer came to another process, of which this one is a fork")
        with exchange:
            piece, ended = self._next()
            if ended:
                self._over = True
                # First of all: a cancel that comes now must not hit whoever gets the connection next.
                exchange.detach()
                self._give_back()
        return piece

    def finish(self, seconds: float = 0.25) -> bytes:
        """The message that was waited for has come: read on to the body's end, so that the connection can be kept.

        A cancel no longer touches the exchange. If the end does not come, the connection is dropped; nothing is raised.

        Args:
            seconds: Longest that it may take.

        Returns:
            What still came, normally nothing.
        """
        came = b""
        if self._over:
            return came
        exchange = self._exchange
        # First of all: from here on the caller believes in its answer, and whoever cancels means another call.
        exchange.finish()
        exchange.detach()
        exchange.deadline = exchange.deadline.within(seconds)
        with contextlib.suppress(Exception):  # what is wrong with the connection is of no interest any more
            while len(came) < PIECE:
                piece = self.read_some()
                came += piece
                if not piece:
                    return came
        self.close()
        return came

    def close(self) -> None:
        """Drop the connection; it never returns to the pool half read."""
        if not self._over:
            self._over = True
            # Wakes a thread that is reading, too.
            self._exchange.abort()
            self._exchange.drop()

    def __del__(self) -> None:
        # An answer that was forgotten half read: its socket is freed here and now.
        self.close()


class SocketAnswer(OpenAnswer):
    """An answer that is read from one of our own connections.

    Args:
        rest: What came of the body together with the head.
        keep: Whether another exchange can follow on the connection.
    """

    def __init__(self, exchange: Exchange, pool: Pool, head: Head, body: Body, rest: bytes, keep: bool) -> None:
        super().__init__(exchange, head.status, head.reason, head.headers, body.announced)
        self._sock: Any = exchange.connection.sock
        self._pool = pool
        self._body = body
        self._rest = rest
        self._keep = keep

    def _next(self) -> tuple[bytes, bool]:
        body = self._body
        piece = b""
        while not piece and not body.done:
            data, self._rest = self._rest, b""
            piece = body.feed(data or self._exchange.receive(self._sock, PIECE))
        return piece, body.done

    def _give_back(self) -> None:
        exchange = self._exchange
        # What came with the head of an answer that has no body is what nobody asked for.
        if self._keep and self._body.clean and not self._rest and not exchange.aborted:
            connection, exchange.connection = exchange.connection, None
            exchange.finish()
            self._pool.give(connection)
        else:
            exchange.drop()
