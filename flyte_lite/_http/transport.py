"""HTTP exchanges over one pool: no redirects, no netrc, no cookies, and every failure said in our own errors.

The only module that imports `requests`, whose adapters own the pools and know proxies. The way of a call goes straight
to the pool: what `Session.request` adds (environment, netrc, cookies, redirects) is what a remote call must not have,
and costs more than the call itself.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, Optional, Union

import requests
import requests.adapters
import requests.utils
import urllib3
from urllib3.util.retry import Retry

from flyte_lite import errors
from flyte_lite._clock import Deadline
from flyte_lite._http.connection import ACTIVE, POOLS, Exchange, TimedSSLSocket
from flyte_lite._http.tls import TlsPolicy
from flyte_lite.errors import Code

_NEVER = Retry(total=False, redirect=False)
_POOL_SIZE = 32


class Origin(NamedTuple):
    """Where an exchange goes."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


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

    def __init__(self, tls: Optional[TlsPolicy]) -> None:
        self._tls: dict[str, Any] = {}
        if tls is not None:
            context = tls.context(requests.utils.DEFAULT_CA_BUNDLE_PATH)
            context.sslsocket_class = TimedSSLSocket
            if str(getattr(urllib3, "__version__", "")).startswith("1."):
                # It compares names itself, and gives none for an address to a context that would.
                context.check_hostname = False
            self._tls = {"ssl_context": context, "cert_reqs": "CERT_REQUIRED" if tls.verify else "CERT_NONE"}
        super().__init__(pool_connections=_POOL_SIZE, pool_maxsize=_POOL_SIZE, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **self._tls, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **self._tls, **kwargs)
        # A SOCKS manager has pools of its own; there the deadline holds for each read.
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = POOLS
        return manager


class _Route(NamedTuple):
    pool: Any
    prefix: str


class OpenAnswer:
    """An answer whose body is still to be read. Close it, or read it to its end."""

    def __init__(self, raw: Any, exchange: Exchange, transport: Transport) -> None:
        self._raw = raw
        self._exchange = exchange
        self._transport = transport
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
        length = _length(self.headers)
        if length is not None and length > limit:
            self.close()
            raise errors.RateLimitedError(
                f"the answer has {length} bytes, over the limit of {limit}",
                Code.RESOURCE_EXHAUSTED,
                headers=self.headers,
            )
        with self._transport._guarded(self._exchange, self._raw):
            body: bytes = self._raw.read(limit + 1 if length is None else None, decode_content=False)
            # urllib3 1.26 takes a body that ends early for a whole one.
            if length is not None and len(body) < length:
                raise http.client.IncompleteRead(body, length - len(body))
        if len(body) > limit:
            self.close()
            raise errors.RateLimitedError(
                f"the answer is over the limit of {limit} bytes", Code.RESOURCE_EXHAUSTED, headers=self.headers
            )
        return body

    def close(self) -> None:
        """Drop the connection; it never returns to the pool half read."""
        self._exchange.detach()
        self._raw.close()
        self._transport._finish(self._exchange)


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
        self._pid = 0
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
            self._finish(answer._exchange)

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
        if deadline.cancel is not None:
            deadline.cancel.subscribe(exchange.abort)
        with self._guarded(exchange, None):
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
        return OpenAnswer(raw, exchange, self)

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

    def _finish(self, exchange: Exchange) -> None:
        if exchange.deadline.cancel is not None:
            exchange.deadline.cancel.unsubscribe(exchange.abort)

    @contextlib.contextmanager
    def _guarded(self, exchange: Exchange, raw: Any) -> Iterator[None]:
        before = ACTIVE.exchange
        ACTIVE.exchange = exchange
        try:
            yield
        except BaseException as error:
            # Whatever it was, Ctrl-C too: a half-used connection is worth nothing to the next call.
            exchange.detach()
            if raw is not None:
                raw.close()
            self._finish(exchange)
            if isinstance(error, Exception):
                _explain(error, exchange)
            raise
        finally:
            ACTIVE.exchange = before

    def _route(self, origin: Origin) -> _Route:
        # A child shares its parent's sockets: two processes would read each other's answers.
        if self._pid != os.getpid():
            with self._lock:
                self._adapters, self._routes, self._pid = {}, {}, os.getpid()
        route = self._routes.get(origin)
        if route is None:
            with self._lock:
                route = self._routes.get(origin) or self._new_route(origin)
                self._routes[origin] = route
        return route

    def _new_route(self, origin: Origin) -> _Route:
        proxy = _proxy_for(origin, self._environ)
        # Reading the trusted roots takes 20 ms, so only who needs TLS pays for it.
        secure = origin.scheme == "https" or (proxy or "").lower().startswith("https:")
        adapter = self._adapters.get(secure)
        if adapter is None:
            adapter = self._adapters[secure] = _Adapter(self._tls if secure else None)
        manager: Any = adapter.poolmanager if proxy is None else adapter.proxy_manager_for(proxy)
        pool = manager.connection_from_host(origin.host, origin.port, origin.scheme)
        # A plain request through an HTTP proxy names its target in full.
        forwarded = proxy is not None and origin.scheme == "http" and not proxy.lower().startswith("socks")
        return _Route(pool, str(origin) if forwarded else "")


def _proxy_for(origin: Origin, environ: Mapping[str, str]) -> Optional[str]:
    found = {}
    for key in ("http", "https", "all"):
        # In a CGI program HTTP_PROXY may come from a request's `Proxy` header; there the lower-case name counts.
        upper = None if key == "http" and "REQUEST_METHOD" in environ else environ.get(f"{key}_proxy".upper())
        value = environ.get(f"{key}_proxy") or upper
        if value:
            found[key] = value
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY")
    if not found or requests.utils.should_bypass_proxies(str(origin), no_proxy=no_proxy):
        return None
    proxy = requests.utils.select_proxy(str(origin), found)
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _length(headers: Mapping[str, list[str]]) -> Optional[int]:
    if "transfer-encoding" in headers:
        return None
    value = headers.get("content-length", [""])[0]
    return int(value) if value.isascii() and value.isdigit() else None


def _explain(error: Exception, exchange: Exchange) -> NoReturn:
    """Raise what an exception of the layers below means for the caller.

    Our own flags come first: after a cancel or a deadline the exception is whatever the closing socket made of it.
    """
    if exchange.aborted or exchange.deadline.canceled:
        raise errors.CanceledError("the call was canceled", Code.CANCELED) from error
    if exchange.deadline.expired:
        raise errors.CallTimeoutError(
            f"no whole answer within {exchange.deadline.seconds:g} s; give it more with timeout=",
            Code.DEADLINE_EXCEEDED,
        ) from error
    if isinstance(error, errors.FlyteLiteError):
        raise error
    root = _root(error)
    if isinstance(root, errors.FlyteLiteError):
        raise root
    if isinstance(root, http.client.BadStatusLine) and not isinstance(root, http.client.RemoteDisconnected):
        raise errors.EndpointError(
            "what answered does not speak HTTP; is the port right, and is it a TLS port that needs https://?",
            Code.UNKNOWN,
        ) from error
    if isinstance(root, http.client.HTTPException) and "more than" in str(root):
        raise errors.EndpointError(
            f"the answer's head is larger than HTTP clients take: {root}", Code.INTERNAL
        ) from error
    if isinstance(root, http.client.IncompleteRead):
        raise errors.ConnectionLostError(
            f"the answer's body ended after {len(root.partial)} bytes, {root.expected} more were announced"
        ) from error
    if type(root).__name__ in ("CertificateError", "SSLCertVerificationError"):
        raise errors.TlsError(f"the certificate is for another host: {root}") from error
    if isinstance(error, urllib3.exceptions.ProxyError):
        raise errors.ConnectFailedError(f"the proxy failed: {root}") from error
    if isinstance(error, (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)):
        raise errors.ConnectionLostError(f"the connection broke before a whole answer came: {root}") from error
    raise error


def _root(error: BaseException) -> Union[BaseException, Any]:
    """The exception that urllib3 wrapped, which says more than its wrapper."""
    while True:
        inner: Any = error.__cause__ or next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        if inner is None or isinstance(inner, socket.timeout):
            return error
        error = inner
