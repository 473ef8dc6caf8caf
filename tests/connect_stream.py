"""A Connect stream, read on a thread of its own."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Optional

END = 0x02
COMPRESSED = 0x01
PATIENCE = 30.0


def frames(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Flags and unzipped content of each envelope."""
    while body:
        size = int.from_bytes(body[1:5], "big")
        yield body[0], _unzipped(body[0], body[5 : 5 + size])
        body = body[5 + size :]


class Stream:
    """It is opened at once.

    Args:
        address: Host and port.
        path: Of the RPC.
        codec: "json" or "proto".
        message: The one request.
        deadline_ms: The server is told; None is no deadline.
        decode: Makes what is compared of a message.

    Attributes:
        status: The HTTP status; None until there is one.
        ended: True when no more will come.
        end_stream: The content of the last envelope; None without one.
    """

    def __init__(
        self,
        address: str,
        path: str,
        codec: str,
        message: bytes,
        deadline_ms: Optional[int],
        decode: Callable[[bytes], Any],
    ) -> None:
        self.status: Optional[int] = None
        self.ended = False
        self.end_stream: Any = None
        self._deadline_ms = deadline_ms
        self._decode = decode
        self._messages: list[Any] = []
        self._news = threading.Condition()
        self._started_at = time.monotonic()
        self._ended_at = 0.0
        self._connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        headers = {"Content-Type": f"application/connect+{codec}", "Connect-Protocol-Version": "1"}
        if deadline_ms is not None:
            headers["Connect-Timeout-Ms"] = str(deadline_ms)
        self._connection.request("POST", path, b"\0" + len(message).to_bytes(4, "big") + message, headers)
        # `getresponse` hands the socket over to the response, and `close` must reach it.
        assert self._connection.sock is not None
        self._socket: socket.socket = self._connection.sock
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def ended_by(self) -> Optional[str]:
        """What ended it: "server" or "deadline"; None if nothing did."""
        if not self.ended:
            return None
        if self._deadline_ms is not None and (self._ended_at - self._started_at) * 1000 >= self._deadline_ms:
            return "deadline"
        return "server"

    def taken(self) -> list[Any]:
        """The messages that came since it was last asked."""
        with self._news:
            taken, self._messages = self._messages, []
            return taken

    def wait(self, count: int = 0, ended: bool = False, seconds: float = PATIENCE) -> None:
        """Block until so many messages are there, and it has ended if that is asked; or it has ended anyway; or never
        longer than `seconds`."""

        def done() -> bool:
            return self.ended or (len(self._messages) >= count and not ended)

        with self._news:
            self._news.wait_for(done, seconds)

    def close(self) -> None:
        """Leave it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()

    def _read(self) -> None:
        try:
            response = self._connection.getresponse()
            with self._news:
                self.status = response.status
                self._news.notify_all()
            with response:
                while True:
                    head = response.read(5)
                    if len(head) < 5:
                        break
                    content = _unzipped(head[0], response.read(int.from_bytes(head[1:], "big")))
                    with self._news:
                        if head[0] & END:
                            self.end_stream = json.loads(content)
                        else:
                            self._messages.append(self._decode(content))
                        self._news.notify_all()
        except (OSError, http.client.HTTPException, ValueError):
            pass
        finally:
            with self._news:
                self._ended_at = time.monotonic()
                self.ended = True
                self._news.notify_all()


def _unzipped(flags: int, content: bytes) -> bytes:
    return gzip.decompress(content) if flags & COMPRESSED and content else content
