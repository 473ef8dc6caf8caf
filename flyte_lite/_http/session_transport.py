"""Exchanges over a `requests.Session` of the user's own, used as its owner configured it.

Its headers, cookies, auth, hooks, proxies, certificates and mounted adapters do what they do in any other program; so
does the environment, if the session trusts it. What can't be had over connections that are not ours:

- The deadline holds for connecting and for each single wait for the server until the answer's head has come; for the
  body it holds as usual wherever the socket can be found, which is so for requests' own adapters.
- A cancel ends the body at once, but not the wait for the head.
- Several values of one header go as one line, joined by commas, which means the same.
- Before requests 2.29 a body that comes in pieces is put together first: it would send chunks past the proxy of a
  secure origin, and wait for the answer without a timeout.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
from collections.abc import Iterator
from typing import Any, Optional, Union

import requests
import requests.adapters
import requests.exceptions
import urllib3.exceptions

from flyte_lite import errors
from flyte_lite._clock import Deadline
from flyte_lite._http.answer import PIECE, OpenAnswer
from flyte_lite._http.exchange import CONNECT_SECONDS, Exchange
from flyte_lite._http.failure import causes_of, no_byte, out_of_time, root_of
from flyte_lite._http.origin import Origin
from flyte_lite._http.request import Headers, check_header
from flyte_lite._http.response import head_too_large, no_http
from flyte_lite._http.tls import HUNG_UP_HINT, hung_up, refusal
from flyte_lite._http.transport import Transport

_LENGTH = re.compile(r"[0-9]{1,18}").fullmatch
_CHUNKS_BADLY = tuple(int(part) for part in requests.__version__.split(".")[:2]) < (2, 29)


class SessionTransport(Transport):
    """A transport over a session; the session stays its owner's, and is not closed here.

    Args:
        session: Used by as many threads as make calls.
    """

    def __init__(self, session: requests.Session) -> None:
        super().__init__()
        self._session = session

    def open(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Headers,
        body: Union[bytes, Iterator[bytes], None],
        deadline: Deadline,
        *,
        idle: Optional[float] = None,
    ) -> OpenAnswer:
        self._leave_parent()
        exchange = Exchange(deadline, idle, origin.scheme == "https")
        pieces = None if body is None or isinstance(body, bytes) else _Pieces(body, exchange)
        with exchange:
            exchange.begin()
            try:
                data = body if pieces is None else b"".join(pieces) if _CHUNKS_BADLY else pieces
                request = requests.Request(method, f"{origin}{target}", _joined(headers), data=data)
                response = self._send(request, exchange)
            except Exception as error:
                if pieces is not None and pieces.error is not None:
                    exchange.outside = True
                    raise pieces.error  # noqa: B904  # not what requests made of it
                if not (exchange.aborted or deadline.over):
                    _explain(error, exchange, origin)
                raise
            exchange.connection = response
            answer = _SessionAnswer(exchange, response, method)
            exchange.left()  # raises if the deadline passed or a cancel came, which the wait did not notice
            return answer

    def _send(self, request: requests.Request, exchange: Exchange) -> requests.Response:
        session = self._session
        prepared = session.prepare_request(request)

        def note(response: requests.Response, *args: Any, **kwargs: Any) -> None:
            exchange.connection = response  # closed with the exchange, if a hook raises
            exchange.answered = True

        # Around the hooks of the session and its auth.
        hooks = prepared.hooks.setdefault("response", [])
        prepared.hooks["response"] = [note, *hooks, _stay]
        settings = session.merge_environment_settings(prepared.url or "", {}, True, None, None)
        left = exchange.left()
        exchange.sent = exchange.fresh = True  # nobody says when, nor whether
        connecting = CONNECT_SECONDS if left is None else min(left, CONNECT_SECONDS)
        try:
            return session.send(prepared, timeout=(connecting, left), allow_redirects=False, **settings)
        except requests.exceptions.HTTPError as error:
            if error.response is None:
                raise
            return error.response  # a hook does not like the status; what it means is in the answer

    def for_strangers(self) -> Transport:
        """The same adapters, proxies and roots, without what says who calls: headers, auth, cookies, certificate."""
        bare = requests.Session()
        bare.adapters = self._session.adapters
        bare.proxies, bare.verify = self._session.proxies, self._session.verify
        bare.trust_env = self._session.trust_env
        bare.auth = _nobody  # without one, requests would look into netrc
        return SessionTransport(bare)

    def close(self) -> None:
        """Nothing: whoever made the session closes it."""

    def _leave_parent(self) -> None:
        # A child shares its parent's sockets: two processes would read each other's answers.
        if self._pid != os.getpid():
            self._pid = os.getpid()
            for adapter in self._session.adapters.values():
                if isinstance(adapter, requests.adapters.HTTPAdapter):
                    adapter.close()  # this process's descriptors only; it can be used again


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _joined(headers: Headers) -> dict[str, str]:
    joined = {"accept-encoding": "identity"}
    for name, value in headers.items():
        values = (value,) if isinstance(value, str) else tuple(value)
        for one in values:
            check_header(name, one)
        if values:
            joined[name.lower()] = ", ".join(values)
    return joined


class _Pieces:
    """A body that is sent in chunks; keeps what its iterator raised, as requests takes some of it for the network's."""

    def __init__(self, pieces: Iterator[bytes], exchange: Exchange) -> None:
        self._pieces = pieces
        self._exchange = exchange
        self.error: Optional[Exception] = None

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                piece = next(self._pieces, None)
            except Exception as error:
                self.error = error
                raise
            if piece is None:
                return
            self._exchange.left()  # raises if a cancel or the deadline came meanwhile
            if piece:
                yield piece


def _stay(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    # Though told not to follow a redirect, requests prepares for it: it reads the whole body, however large.
    response.headers.pop("location", None)


class _SessionAnswer(OpenAnswer):
    """An answer that came over a session; its body as it was sent, unless a hook has read it."""

    def __init__(self, exchange: Exchange, response: requests.Response, method: str) -> None:
        raw: Any = response.raw
        headers: dict[str, list[str]] = {}
        for name, value in getattr(raw, "headers", response.headers).items():
            headers.setdefault(name.lower(), []).append(value)
        lengths = headers.get("content-length", [""])
        bodiless = method == "HEAD" or response.status_code in (204, 304)
        sized = not bodiless and "transfer-encoding" not in headers and bool(_LENGTH(lengths[0]))
        self._read_already: Optional[bytes] = None
        if getattr(response, "_content_consumed", False):
            # By a hook, and unpacked.
            self._read_already = response.content
            headers.pop("content-encoding", None)
            sized = False
        announced = 0 if bodiless else int(lengths[0]) if sized else None
        super().__init__(exchange, response.status_code, response.reason or "", headers, announced)
        self._response = response
        self._raw = raw
        self._came = 0
        self._file = getattr(raw, "_fp", None)
        self._sock = _socket_of(self._file)
        if self._sock is not None:
            exchange.attach(self._sock)

    def _next(self) -> tuple[bytes, bool]:
        if self._read_already is not None:
            body, self._read_already = self._read_already, b""
            return body, True
        if self._announced is not None and self._came >= self._announced:
            return b"", True
        left = self._exchange.left()
        if self._sock is not None:
            self._sock.settimeout(left)
        # Not urllib3's own read: it waits for as much as was asked for, and 1.26 has no read1.
        read: Any = getattr(self._file, "read1", None)
        try:
            piece: bytes = self._raw.read(PIECE, decode_content=False) if read is None else read(PIECE)
        except http.client.IncompleteRead as error:
            raise errors.ConnectionLostError(
                f"the answer's body ended after {self._came} bytes, in the middle of a chunk"
            ) from error
        self._came += len(piece)
        if not piece and self._exchange.aborted:
            raise ConnectionAbortedError("aborted")
        if not piece and self._announced is not None:
            raise errors.ConnectionLostError(
                f"the answer's body ended after {self._came} bytes, {self._announced - self._came} more were announced"
            )
        return piece, not piece

    def _give_back(self) -> None:
        exchange = self._exchange
        if exchange.aborted:
            exchange.drop()
            return
        exchange.connection = None
        exchange.finish()
        with contextlib.suppress(Exception):  # http.client flushes what it closes, and it may be closed already
            if self._file is not None:
                self._file.close()
        self._raw.release_conn()


def _socket_of(file: Any) -> Any:
    """The socket that http.client reads from; None if something else does the reading."""
    sock = getattr(getattr(getattr(file, "fp", None), "raw", None), "_sock", None)
    # TLS inside TLS is no socket, but has one.
    return sock if isinstance(getattr(sock, "socket", sock), socket.socket) else None


def _explain(error: Exception, exchange: Exchange, origin: Origin) -> None:
    """Raise what an exception of requests means, if it means something else than a broken connection."""
    if isinstance(error, requests.exceptions.InvalidHeader) or (
        isinstance(error, ValueError) and str(error).startswith("Invalid header ")
    ):
        # Its text has the value, which may be a secret.
        raise errors.ConfigError("a header that the session adds can't be sent") from None
    if not isinstance(error, (requests.exceptions.RequestException, urllib3.exceptions.HTTPError)):
        exchange.outside = True  # of a hook or an auth of theirs
        return
    root = root_of(error)
    kinds = tuple(type(one) for one in causes_of(error))
    server = f"{origin.host}:{origin.port}"
    if isinstance(error, ValueError):
        if isinstance(root, urllib3.exceptions.LocationParseError):
            # Its text has the address, which may have a password in it.
            raise errors.ConfigError("an address that the session has, such as a proxy's, is none") from None
        # It may quote the whole address, whose query may be a signature.
        said = re.sub(r"\?[^'\"\s]*", "?...", str(error))
        raise errors.ConfigError(f"the session can't make this call: {said}") from None
    if isinstance(error, requests.exceptions.ReadTimeout):
        left = exchange.deadline.left()
        by_deadline = exchange.idle is None or (left is not None and left < exchange.idle)
        raise (out_of_time(exchange) if by_deadline else no_byte(exchange)) from error
    if _CONNECTING.intersection(kinds) or isinstance(error, requests.exceptions.ConnectTimeout):
        whom = "the session's proxy" if isinstance(error, requests.exceptions.ProxyError) else server
        raise errors.ConnectFailedError(
            f"can't connect to {whom}: {root}; is it up, and are host and port right?"
        ) from error
    if "Tunnel connection failed" in str(root):
        hint = "; it wants a user and a password: set them in its `proxies`" if " 407 " in str(root) else ""
        raise errors.ConnectFailedError(f"the session's proxy did not open a tunnel: {root}{hint}") from error
    if isinstance(error, requests.exceptions.SSLError) and hung_up(root):
        # It may have been after the handshake, and with the request in its hands.
        raise errors.ConnectionLostError(f"{server} hung up; {HUNG_UP_HINT}") from error
    if isinstance(error, requests.exceptions.SSLError):
        raise refusal(server, root) from error
    if isinstance(error, requests.exceptions.RetryError):
        raise errors.ConnectionLostError(f"the session tried again and gave up: {root}") from error
    if isinstance(root, http.client.BadStatusLine) and not isinstance(root, ConnectionError):
        raise no_http() from error
    if isinstance(root, http.client.HTTPException) and "more than" in str(root):
        raise head_too_large(str(root)) from error


_CONNECTING = {
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    getattr(urllib3.exceptions, "NameResolutionError", urllib3.exceptions.NewConnectionError),
}
