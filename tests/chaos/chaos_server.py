"""A server on a real socket that does to its callers whatever a script says, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Optional

CERTIFICATES = Path(__file__).parent / "certificates"

RESET = struct.pack("ii", 1, 0)
"""What SO_LINGER must be for a connection to be broken, not ended, when it is closed."""


def server_context(name: str = "server", *, clients: str = "") -> ssl.SSLContext:
    """Clients: the authority whose certificates they must show; "" asks for none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATES / f"{clients}.pem")
    return context


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, list[str]]
    body: bytes


def answer(body: bytes = b"ok", *, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, server: ChaosServer) -> None:
        self.sock = sock
        self.server = server
        self._unread = b""

    def start_tls(self) -> None:
        assert self.server.tls is not None
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True, suppress_ragged_eofs=True)

    def read_head(self) -> tuple[str, str, dict[str, list[str]]]:
        while b"\r\n\r\n" not in self._unread:
            self._unread += self._receive()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers.setdefault(name.strip().lower(), []).append(value.strip())
        return method, target, headers

    def read_request(self) -> Request:
        method, target, headers = self.read_head()
        length = int(headers.get("content-length", ["0"])[0])
        came, size = [self._unread], len(self._unread)
        while size < length:
            came.append(self._receive())
            size += len(came[-1])
        whole = b"".join(came)
        body, self._unread = whole[:length], whole[length:]
        request = Request(method, target, headers, body)
        self.server.requests.append(request)
        return request

    def read(self, count: int) -> bytes:
        """So many bytes."""
        while len(self._unread) < count:
            self._unread += self._receive()
        data, self._unread = self._unread[:count], self._unread[count:]
        return data

    def read_line(self) -> bytes:
        while b"\r\n" not in self._unread:
            self._unread += self._receive()
        line, _, self._unread = self._unread.partition(b"\r\n")
        return line

    def read_chunk(self) -> bytes:
        """One chunk of a body that is sent so; b"" is its end."""
        size = int(self.read_line(), 16)
        while len(self._unread) < size + 2:
            self._unread += self._receive()
        chunk, self._unread = self._unread[:size], self._unread[size + 2 :]
        return chunk

    def send_chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def _receive(self) -> bytes:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the client has gone")
        return data

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reached(self) -> None:
        """Tell the test that the client is now where the script wants it."""
        self.server.reached.set()

    def drip(self, data: bytes, every: float = 0.02) -> None:
        """One byte at a time, for as long as anybody listens."""
        self.reached()
        for nth in range(len(data)):
            self.send(data[nth : nth + 1])
            time.sleep(every)

    def silence(self) -> None:
        """Say nothing until the client goes (or the test ends)."""
        self.reached()
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass

    def deafness(self) -> None:
        """Neither say nor read anything until the test ends."""
        self.reached()
        self.server.stopping.wait()

    def reset(self) -> None:
        """Break the connection as a crash does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()


Script = Callable[[Peer], None]


def well_behaved(peer: Peer) -> None:
    while True:
        peer.read_request()
        peer.send(answer())


class ChaosServer:
    """Runs `script` for each connection, on a thread of its own.

    Args:
        tls: None speaks plain.
        script: What to do once TLS stands; assign another one for the connections that follow.
        before_tls: What to do with the bare connection instead; None shakes hands as usual.
    """

    def __init__(self, script: Script = well_behaved, *, tls: Optional[ssl.SSLContext] = None, host: str = "") -> None:
        self.script = script
        self.before_tls: Optional[Script] = None
        self.tls = tls
        self.requests: list[Request] = []
        self.accepted = 0
        self.open = 0
        self.reached = threading.Event()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._peers: list[Peer] = []
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind((host or "127.0.0.1", 0))
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> ChaosServer:
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            peers = list(self._peers)
        for peer in peers:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(peer.sock, socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(sock, self)
            with self._lock:
                self.accepted += 1
                self.open += 1
                self._peers.append(peer)
            self._start(self._serve, peer, self.script, self.before_tls)

    def _serve(self, peer: Peer, script: Script, before_tls: Optional[Script]) -> None:
        try:
            # A client that leaves is no error here: it is what most tests want.
            with contextlib.suppress(OSError, ValueError):
                if before_tls is not None:
                    before_tls(peer)
                else:
                    if self.tls is not None:
                        peer.start_tls()
                    script(peer)
        finally:
            peer.sock.close()
            # Last of all: who sees the count go down relies on the client's being told.
            with self._lock:
                self.open -= 1
                self._peers.remove(peer)


@contextlib.contextmanager
def nobody_accepts(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """The port of a listener whose backlog is full: connecting to it takes for ever."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(8):
            filler = held.enter_context(socket.socket())
            filler.settimeout(0.1)
            try:
                filler.connect(listener.getsockname())
            except OSError:
                break
        yield listener.getsockname()[1]
