"""HTTP exchanges over one pool: no redirects, no netrc, no cookies, and every failure said in our own errors.

The only module that imports `requests`, whose adapters own the pools and know proxies. The way of a call goes straight
to the pool: what `Session.request` adds (environment, netrc, cookies, redirects) is what a remote call must not have,
and costs more than the call itself.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn, Optional, Union
from urllib.parse import urlsplit

import requests
import requests.adapters
import requests.utils
import urllib3
from urllib3.util.retry import Retry

from flyte_lite import errors
from flyte_lite._clock import Deadline
from flyte_lite._http.connection import POOLS, TimedSSLSocket
from flyte_lite._http.exchange import ACTIVE, Exchange
from flyte_lite._http.origin import Origin
from flyte_lite._http.proxy import proxy_for
from flyte_lite._http.tls import TlsPolicy, refusal
from flyte_lite.errors import Code

_NEVER = Retry(total=False, redirect=False)
_PIECE = 64 * 1024
_POOL_SIZE = 32
# urllib3 1.26 closes the pool that was not used for longest, which somebody may be about to use.
_POOLS = 10_000


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


class _Adapter(requests.adapters.HTTPAdapter):
    """Requests' adapter, with our pools in its managers: the direct one and each proxy's."""

    def __init__(self, tls: Optional[TlsPolicy], environ: Mapping[str, str]) -> None:
        self._policy = tls
        self._environ = environ
        self._tls: dict[str, Any] = {}
        if tls is not None:
            context = self._context(tls)
            if str(getattr(urllib3, "__version__", "")).startswith("1."):
                # It compares names itself, and gives none for an address to a context that would.
                context.check_hostname = False
            self._tls = {"ssl_context": context, "cert_reqs": "CERT_REQUIRED" if tls.verify else "CERT_NONE"}
        super().__init__(pool_connections=_POOLS, pool_maxsize=_POOL_SIZE, max_retries=0)

    def _context(self, tls: TlsPolicy) -> ssl.SSLContext:
        context = tls.context(requests.utils.DEFAULT_CA_BUNDLE_PATH, self._environ)
        context.sslsocket_class = TimedSSLSocket
        return context

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **self._tls, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("https:") and self._policy is not None:
            # urllib3 would trust other roots there, and its 1.26 would not even compare the name.
            kwargs["proxy_ssl_context"] = self._context(self._policy)
        manager = super().proxy_manager_for(proxy, **self._tls, **kwargs)
        # A SOCKS manager has pools of its own; there the deadline holds for each read.
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = POOLS
        return manager


class _Route(NamedTuple):
    pool: Any
    prefix: str


class _Guard:
    """While inside, this thread's connections work for one exchange, and what goes wrong is said in our own errors.

    A class, because each call goes through it twice and `contextlib.contextmanager` costs three times as much.
    """

    __slots__ = ("_before", "_exchange", "_raw", "_secure")

    def __init__(self, exchange: Exchange, raw: Any, secure: bool) -> None:
        self._exchange = exchange
        self._raw = raw
        self._secure = secure
        self._before: Optional[Exchange] = None

    def __enter__(self) -> None:
        self._before, ACTIVE.exchange = ACTIVE.exchange, self._exchange

    def __exit__(self, kind: Any, error: Optional[BaseException], traceback: Any) -> None:
        try:
            if error is None:
                return
            # Whatever it was, Ctrl-C too: a half-used connection is worth nothing to the next call.
            self._exchange.hang_up()
            if self._raw is not None:
                self._raw.close()
            self._exchange.finish()
        finally:
            ACTIVE.exchange = self._before
        if isinstance(error, Exception):
            _explain(error, self._exchange, self._raw is None and not self._secure)


class OpenAnswer:
    """An answer whose body is still to be read. Close it, or read it to its end."""

    def __init__(self, raw: Any, exchange: Exchange, method: str, secure: bool) -> None:
        self._raw = raw
        self._method = method
        self._exchange = exchange
        self._secure = secure
        self.status: int = raw.status
        self.reason: str = raw.reason or ""
        headers: dict[str, list[str]] = {}
        for name, value in raw.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        self.headers = headers

    def read(self, limit: int) -> bytes:
        """The whole body, as it was sent.

        Raises:
            CallError: The connection broke, the deadline passed, or the body is over `limit` bytes
                (resource_exhausted); in each case the connection is gone.
        """
        length = _length(self._method, self.status, self.headers)
        if length is not None and length > limit:
            self.close()
            raise errors.AnswerTooLargeError(f"the answer has {length} bytes, over the limit of {limit}", self.headers)
        with _Guard(self._exchange, self._raw, self._secure):
            body = self._raw.read(decode_content=False) if length is not None else self._read_up_to(limit + 1)
            # urllib3 1.26 takes a body that ends early for a whole one.
            if length is not None and len(body) < length:
                raise http.client.IncompleteRead(body, length - len(body))
        self._exchange.finish()
        if len(body) > limit:
            self.close()
            raise errors.AnswerTooLargeError(f"the answer is over the limit of {limit} bytes", self.headers)
        return bytes(body)

    def _read_up_to(self, most: int) -> bytes:
        # Piece by piece: before Python 3.11, http.client first makes and clears as much memory as one asks for.
        pieces = []
        while most > 0:
            piece = self._raw.read(min(most, _PIECE), decode_content=False)
            if not piece:
                break
            pieces.append(piece)
            most -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Drop the connection; it never returns to the pool half read."""
        self._exchange.detach()
        self._raw.close()
        self._exchange.finish()


class Transport:
    """One pool of connections for everything a client talks to. Safe for threads; a forked child starts afresh.

    Args:
        tls: Whom to trust.
        environ: Where HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are read, when an origin is first used.
    """

    def __init__(self, tls: Optional[TlsPolicy] = None, environ: Mapping[str, str] = os.environ) -> None:
        self._tls = tls or TlsPolicy()
        self._environ = environ
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._adapters: dict[bool, _Adapter] = {}
        self._routes: dict[Origin, _Route] = {}

    def exchange(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        body: Optional[bytes],
        deadline: Deadline,
        limit: int,
    ) -> Answer:
        """Send one request and read its whole answer.

        Args:
            method: Such as "POST".
            target: Path and query.
            headers: Sent as they are; nothing is added but what HTTP needs.
            body: None sends none.
            limit: Most bytes of body that are taken.

        Raises:
            CallTimeoutError: `deadline` passed, wherever the call was.
            CanceledError: Its token was canceled.
            ConnectFailedError, ConnectionLostError, TlsError, EndpointError: As their names say.
        """
        answer = self.open(method, origin, target, headers, body, deadline)
        try:
            return Answer(answer.status, answer.reason, answer.headers, answer.read(limit))
        finally:
            answer._exchange.finish()

    def open(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        body: Optional[bytes],
        deadline: Deadline,
    ) -> OpenAnswer:
        """Send one request and wait for the head of its answer; see `exchange`."""
        exchange = Exchange(deadline)
        secure = origin.scheme == "https"
        with _Guard(exchange, None, secure):
            exchange.begin()
            route = self._route(origin)
            raw = route.pool.urlopen(
                method,
                route.prefix + target,
                body,
                headers,
                retries=_NEVER,
                redirect=False,
                assert_same_host=False,
                timeout=None,
                preload_content=False,
                decode_content=False,
            )
            if exchange.ended:
                # http.client takes a head that was cut off for a whole one, and an empty body is a message as well.
                raw.close()
                raise errors.ConnectionLostError("the connection ended in the middle of the answer's head")
        return OpenAnswer(raw, exchange, method, secure)

    def close(self) -> None:
        """Close idle connections; the transport can be used again."""
        with self._lock:
            adapters, self._adapters = self._adapters, {}
            routes, self._routes = self._routes, {}
        # urllib3 2 leaves it to the garbage collector to close the pools of a manager, and that may take its time.
        for route in routes.values():
            route.pool.close()
        for adapter in adapters.values():
            adapter.close()

    def _route(self, origin: Origin) -> _Route:
        # A child shares its parent's sockets: two processes would read each other's answers.
        if self._pid != os.getpid():
            # The lock too: a thread that held it in the parent is not here to give it back.
            self._lock = threading.Lock()
            self._adapters, self._routes, self._pid = {}, {}, os.getpid()
        route = self._routes.get(origin)
        if route is None:
            with self._lock:
                route = self._routes.get(origin) or self._new_route(origin)
                self._routes[origin] = route
        return route

    def _new_route(self, origin: Origin) -> _Route:
        variable, proxy = proxy_for(origin, self._environ)
        # Reading the trusted roots takes 20 ms, so only who needs TLS pays for it.
        secure = origin.scheme == "https" or proxy.lower().startswith("https:")
        adapter = self._adapters.get(secure)
        if adapter is None:
            adapter = self._adapters[secure] = _Adapter(self._tls if secure else None, self._environ)
        manager: Any = _proxy_manager(adapter, variable, proxy) if proxy else adapter.poolmanager
        pool = manager.connection_from_host(origin.host, origin.port, origin.scheme)
        # A plain request through an HTTP proxy names its target in full.
        forwarded = proxy and origin.scheme == "http" and not proxy.lower().startswith("socks")
        return _Route(pool, str(origin) if forwarded else "")


def _proxy_manager(adapter: _Adapter, variable: str, proxy: str) -> Any:
    problem = "it is no address such as http://host:port"
    try:
        parts = urlsplit(proxy)
        if parts.hostname and parts.port != 0:
            return adapter.proxy_manager_for(proxy)
    except requests.exceptions.InvalidSchema as error:
        problem = str(error)  # "Missing dependencies for SOCKS support."
    except (ValueError, urllib3.exceptions.HTTPError):
        pass
    # Neither its value nor the error that has it in its text: there may be a password in it.
    raise errors.ConfigError(f"the proxy in the environment variable {variable} can't be used: {problem}")


def _length(method: str, status: int, headers: Mapping[str, list[str]]) -> Optional[int]:
    if method == "HEAD" or status in (204, 304):
        return 0  # whatever is announced, no body follows
    if "transfer-encoding" in headers:
        return None
    value = headers.get("content-length", [""])[0]
    return int(value) if value.isascii() and value.isdigit() else None


def _explain(error: Exception, exchange: Exchange, unanswered: bool) -> NoReturn:
    """Raise what an exception of the layers below means for the caller; `unanswered` over plain http it may want TLS.

    Our own flags come first: after a cancel or a deadline the exception is whatever the closing socket made of it.
    """
    if exchange.aborted or exchange.deadline.canceled:
        raise errors.CanceledError("the call was canceled", Code.CANCELED, sent=exchange.sent) from error
    if exchange.deadline.expired:
        what = "no whole answer" if exchange.sent else "no connection"
        raise errors.CallTimeoutError(
            f"{what} within {exchange.deadline.seconds:g} s; give it more with timeout=",
            Code.DEADLINE_EXCEEDED,
            sent=exchange.sent,
        ) from error
    if isinstance(error, errors.FlyteLiteError):
        raise error
    root = _root(error)
    if isinstance(root, errors.FlyteLiteError):
        raise root
    if unanswered and exchange.sent and isinstance(root, ConnectionError):
        # RemoteDisconnected is one too.
        raise errors.ConnectionLostError(
            f"the server hung up without an answer ({root}); a port that wants TLS (https://) does that too"
        ) from error
    if isinstance(root, http.client.BadStatusLine) and not isinstance(root, ConnectionError):
        raise errors.EndpointError(
            "what answered does not speak HTTP; is the port right, and is it a TLS port that needs https://?",
            Code.UNKNOWN,
        ) from error
    if isinstance(root, http.client.HTTPException) and "more than" in str(root):
        raise errors.EndpointError(
            f"the answer's head is larger than HTTP clients take: {root}", Code.INTERNAL
        ) from error
    if isinstance(root, http.client.IncompleteRead):
        expected = "" if root.expected is None else f", {root.expected} more were announced"
        # urllib3's own subclass counts the bytes instead of keeping them.
        partial: Any = root.partial
        came = partial if isinstance(partial, int) else len(partial)
        raise errors.ConnectionLostError(
            f"the answer's body ended after {came} bytes{expected or ', in the middle of a chunk'}"
        ) from error
    if type(root).__name__ in ("CertificateError", "SSLCertVerificationError"):
        raise refusal("the server", root) from error
    # Not ProxyError by itself: urllib3 1.26 calls every break of a connection so that goes through a proxy.
    if isinstance(error, (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)):
        if not exchange.sent:
            raise errors.ConnectFailedError(f"the connection broke before anything was sent: {root}") from error
        raise errors.ConnectionLostError(f"the connection broke before a whole answer came: {root}") from error
    raise error


def _root(error: BaseException) -> Union[BaseException, Any]:
    """The exception that urllib3 wrapped, which says more than its wrapper."""
    while True:
        inner: Any = error.__cause__ or next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        if inner is None or isinstance(inner, socket.timeout):
            return error
        error = inner
