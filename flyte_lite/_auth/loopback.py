"""Where a browser comes back to after a sign-in: a web server of this machine, for one answer (RFC 8252 §7.3).

No thread: it listens while somebody waits for the answer, within that one's deadline.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Optional
from urllib.parse import parse_qsl, urlsplit

from flyte_lite._auth.provider import is_loopback
from flyte_lite._auth.terminal import Terminal
from flyte_lite._clock import Deadline
from flyte_lite.errors import CallTimeoutError, CanceledError, Code, ConfigError

_MOST_HEAD = 32 * 1024
# Browsers open connections that they may never use.
_MOST_CONNECTIONS = 32
_LONGEST_WAIT = 1e6  # seconds; select takes no more than some weeks
_PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>flyte_lite</title></head>
<body style="font-family: sans-serif; margin: 4em"><h1>{title}</h1><p>{text}</p></body></html>
"""

Reply = tuple[int, str, str]
"""Status, title and text of a page."""
Judge = Callable[[dict[str, str]], tuple[bool, Reply]]


class Loopback:
    """A web server that waits for one request. Use it with `with`.

    Args:
        redirect_uri: Such as http://localhost:53593/callback; without a port, a free one is taken.

    Attributes:
        redirect_uri: With the port.

    Raises:
        ConfigError: It is no address of this machine, or its port is taken.
    """

    def __init__(self, redirect_uri: str) -> None:
        try:
            parts = urlsplit(redirect_uri)
            host, port = parts.hostname or "", parts.port or 0
        except ValueError:
            host, port = "", 0
        if not is_loopback(host) or parts.scheme != "http" or parts.query or parts.fragment:
            raise ConfigError(
                "signing in with a browser needs a redirect_uri of this machine, such as http://localhost:53593/callback"
                f"; the server names {redirect_uri[:80]!r}. Give another one with redirect_uri=, or use "
                'auth_type="DeviceFlow"'
            )
        self._path = parts.path or "/"
        self._selector = selectors.DefaultSelector()
        self._listeners = _listen(host, port, redirect_uri)
        port = self._listeners[0].getsockname()[1]
        self.redirect_uri = parts._replace(netloc=f"[{host}]:{port}" if ":" in host else f"{host}:{port}").geturl()
        self._heads: dict[socket.socket, bytes] = {}

    def __enter__(self) -> Loopback:
        return self

    def __exit__(self, *_: Any) -> None:
        for sock in (*self._listeners, *self._heads):
            sock.close()
        self._selector.close()

    def wait(
        self,
        judge: Judge,
        deadline: Deadline,
        terminal: Optional[Terminal] = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> dict[str, str]:
        """The parameters of the request that `judge` takes for the one; any others are answered and forgotten.

        Args:
            judge: Gets the parameters; says whether they are what was waited for, and what to show in the browser.
            terminal: Where the address may be pasted instead, if the browser is on another machine.
            tell: Says there that what was pasted is not what was waited for.

        Raises:
            CallTimeoutError, CanceledError: It did not come.
        """
        woken, wake = socket.socketpair()
        with woken, wake:
            wake.setblocking(False)

            def cancel() -> None:
                with contextlib.suppress(OSError):
                    wake.send(b"x")

            for sock in (*self._listeners, woken):
                sock.setblocking(False)
                self._selector.register(sock, selectors.EVENT_READ)
            if terminal is not None:
                self._selector.register(terminal, selectors.EVENT_READ, tell)
            if deadline.cancel is not None:
                deadline.cancel.subscribe(cancel)
            try:
                while True:
                    found = self._next(judge, deadline)
                    if found is not None:
                        return found
            finally:
                if deadline.cancel is not None:
                    deadline.cancel.unsubscribe(cancel)
                for sock in (*self._listeners, woken):
                    self._selector.unregister(sock)
                if terminal is not None:
                    with contextlib.suppress(KeyError):  # it is gone already
                        self._selector.unregister(terminal)

    def _next(self, judge: Judge, deadline: Deadline) -> Optional[dict[str, str]]:
        if deadline.canceled:
            raise CanceledError("signing in was canceled", Code.CANCELED, sent=False)
        left = deadline.left()
        if left == 0.0:
            raise CallTimeoutError(
                f"nobody signed in with the browser within {deadline.seconds:g} s; give it more with timeout=, or sign "
                "in before, with `flyte-lite login`",
                Code.DEADLINE_EXCEEDED,
                sent=False,
            )
        for key, _ in self._selector.select(_LONGEST_WAIT if left is None else min(left, _LONGEST_WAIT)):
            sock: Any = key.fileobj
            if isinstance(sock, Terminal):
                found = self._pasted(sock, judge, key.data)
                if found is not None:
                    return found
            elif sock in self._listeners:
                self._accept(sock)
            elif sock in self._heads:
                found = self._read(sock, judge)
                if found is not None:
                    return found
        return None

    def _pasted(self, terminal: Terminal, judge: Judge, tell: Callable[[str], None]) -> Optional[dict[str, str]]:
        lines = terminal.lines()
        if lines is None:
            self._selector.unregister(terminal)
        for line in lines or ():
            # A browser may hide how the address begins; the state says more than that would.
            parameters = _parameters(line.partition("?")[2].partition("#")[0])
            if parameters is not None and judge(parameters)[0]:
                return parameters
            tell(f"That is not where this sign-in ends: paste all of the address that begins with {self.redirect_uri}")
        return None

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock, _ = listener.accept()
            sock.setblocking(False)
            if len(self._heads) >= _MOST_CONNECTIONS:
                self._drop(next(iter(self._heads)))
            self._heads[sock] = b""
            self._selector.register(sock, selectors.EVENT_READ)

    def _drop(self, sock: socket.socket) -> None:
        del self._heads[sock]
        self._selector.unregister(sock)
        sock.close()

    def _read(self, sock: socket.socket, judge: Judge) -> Optional[dict[str, str]]:
        try:
            piece = sock.recv(8192)
        except BlockingIOError:
            return None
        except OSError:
            piece = b""
        head = self._heads[sock] = self._heads[sock] + piece
        if not piece or len(head) > _MOST_HEAD:
            self._drop(sock)
            return None
        if b"\r\n\r\n" not in head:
            return None
        taken, parameters, reply = self._judged(head, judge)
        with contextlib.suppress(OSError):
            sock.setblocking(True)
            sock.settimeout(1.0)
            sock.sendall(_page(reply))
            sock.shutdown(socket.SHUT_WR)
        self._drop(sock)
        return parameters if taken else None

    def _judged(self, head: bytes, judge: Judge) -> tuple[bool, dict[str, str], Reply]:
        line, *fields = head.decode("latin-1").split("\r\n")
        method, _, rest = line.partition(" ")
        path, _, query = rest.partition(" ")[0].partition("?")
        headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        # A page of another site may make a name of its own lead here.
        if path.rstrip("/") != self._path.rstrip("/") or not is_loopback(_host_of(headers.get("host", ""))):
            return False, {}, (404, "Not found", "This is where a sign-in ends, and nothing else.")
        if method != "GET":
            return False, {}, (405, "Not allowed", "A sign-in ends with GET.")
        if not _navigates(headers):
            return False, {}, (403, "Not allowed", "A sign-in ends with a page, and not with a part of another one.")
        parameters = _parameters(query)
        if parameters is None:
            return False, {}, (400, "Not valid", "A parameter came more than once.")
        taken, reply = judge(parameters)
        return taken, parameters, reply


def _parameters(query: str) -> Optional[dict[str, str]]:
    """What is in a query; None if it has something twice, which nobody may choose from (RFC 6749 §3.1)."""
    pairs = parse_qsl(query, keep_blank_values=True)
    parameters = dict(pairs)
    return parameters if len(parameters) == len(pairs) else None


def _navigates(headers: Mapping[str, str]) -> bool:
    """Whether a browser goes to a page; scripts, pictures and frames of another page come here otherwise."""
    mode = headers.get("sec-fetch-mode")
    if mode is None:
        # Browsers that do not say it name a page whose script asks; "null" stands in some for one that sent a form.
        return headers.get("origin", "null") == "null"
    return mode == "navigate" and headers.get("sec-fetch-dest", "document") == "document"


def _host_of(said: str) -> str:
    try:
        return urlsplit(f"//{said}").hostname or ""
    except ValueError:  # no browser wrote that; who did must not end the sign-in
        return ""


def _listen(host: str, port: int, redirect_uri: str) -> list[socket.socket]:
    # A browser may take localhost for either. No resolver is asked: it may know better.
    addresses = ["127.0.0.1", "::1"] if host.rstrip(".") == "localhost" else [host]
    listeners: list[socket.socket] = []
    problem: Optional[OSError] = None
    for address in addresses:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            # On Windows that would let two programs have one port, and this keeps others from taking it so.
            alone = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
            sock.setsockopt(socket.SOL_SOCKET, alone, 1)
            sock.bind((address, port))
            sock.listen(16)
        except OSError as error:
            sock.close()
            problem = problem or error
            # Somebody else there would get what is meant for us; but many machines have no IPv6.
            if address == addresses[0] or error.errno == errno.EADDRINUSE:
                for listener in listeners:
                    listener.close()
                listeners.clear()
                break
        else:
            listeners.append(sock)
            port = sock.getsockname()[1]
    if not listeners:
        raise ConfigError(
            f"the browser is to come back to {redirect_uri}, and that port can't be used: {problem}. Is another "
            'sign-in under way? Give another one with redirect_uri=, or use auth_type="DeviceFlow"'
        )
    return listeners


def _page(reply: Reply) -> bytes:
    status, title, text = reply
    body = _PAGE.format(title=escape(title), text=escape(text)).encode()
    return (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\nConnection: close\r\n\r\n"
    ).encode() + body
