"""A server for one request, which shows the bytes that came."""

from __future__ import annotations

import re
import socket
import threading


class Recorder:
    """Takes one connection, keeps what it got, and answers with given bytes once the whole request is there."""

    def __init__(self) -> None:
        self.answer = b""
        self.got = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        with sock:
            sock.settimeout(10)
            while not self._whole():
                self.got += sock.recv(65536)
            sock.sendall(self.answer)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)

    def _whole(self) -> bool:
        head, end, body = self.got.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            return body.endswith(b"0\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return bool(end) and len(body) >= int(length[1] if length else 0)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(5)

    def request(self) -> tuple[bytes, list[bytes], bytes]:
        """The first line; the other lines with their names in lower case, sorted; the body."""
        head, _, body = self.got.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        pairs = [line.partition(b":") for line in lines]
        return first, sorted(name.lower() + colon + value for name, colon, value in pairs), body
