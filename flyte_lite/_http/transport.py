"""HTTP exchanges over one pool: no redirects, no netrc, no cookies, and every failure said in our own errors.

Adapters of `requests` make the connections, as they know proxies. The way of a call goes straight
to the pool: what `Session.request` adds (environment, netrc, cookies, redirects) is what a remote call must not have,
and costs more than the call itself.
"""

from __future__ import annotations

import os
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

import requests
import requests.adapters
import requests.utils
import urllib3
from urllib3.connection import HTTPConnection

from flyte_lite import errors
from flyte_lite._clock import SYSTEM_CLOCK, Clock, Deadline
from flyte_lite._http.answer import PIECE, Answer, OpenAnswer, SocketAnswer
from flyte_lite._http.connection import POOLS, timed
from flyte_lite._http.exchange import Exchange
from flyte_lite._http.keepalive import SocketOption
from flyte_lite._http.origin import Origin
from flyte_lite._http.pool import Pool, host_of
from flyte_lite._http.proxy import Proxies, Proxy, proxy_for
from flyte_lite._http.request import Headers, request_head
from flyte_lite._http.response import Head, body_of, head_too_large, split_head
from flyte_lite._http.tls import TlsPolicy

__all__ = ["Answer", "OpenAnswer", "Secured", "Transport"]

_HELD_BYTES = 64 * 1024
_INTERIM = 100
# A request that has it goes to a proxy that its caller deals with.
_TO_PROXY = re.compile("proxy-authorization", re.IGNORECASE).fullmatch
# urllib3 1.26 closes the pool that was not used for longest, which somebody may be about to use.
_POOLS = 10_000


class _Adapter(requests.adapters.HTTPAdapter):
    """Requests' adapter, with our pools in its managers: the direct one and each proxy's."""

    def __init__(self, tls: Optional[TlsPolicy], environ: Mapping[str, str], options: Sequence[SocketOption]) -> None:
        self._policy = tls
        self._environ = environ
        self._own: dict[str, Any] = {}
        if options:
            self._own["socket_options"] = [*HTTPConnection.default_socket_options, *options]
        if tls is not None:
            self._own["ssl_context"] = self._context(tls)
        super().__init__(pool_connections=_POOLS, pool_maxsize=1, max_retries=0)

    def _context(self, tls: TlsPolicy) -> ssl.SSLContext:
        return timed(tls.context(requests.utils.DEFAULT_CA_BUNDLE_PATH, self._environ))

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **self._own, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("https:") and self._policy is not None:
            # urllib3 would trust other roots there, and its 1.26 would not even compare the name.
            kwargs["proxy_ssl_context"] = self._context(self._policy.for_proxy())
        manager = super().proxy_manager_for(proxy, **self._own, **kwargs)
        if proxy.lower().startswith("socks"):
            from flyte_lite._http.socks import SOCKS_POOLS

            manager.pool_classes_by_scheme = SOCKS_POOLS
        else:
            manager.pool_classes_by_scheme = POOLS
        return manager


class Secured(NamedTuple):
    """What TLS came to.

    Attributes:
        version: Such as "TLSv1.3".
        certificate: Of the server, as `ssl.SSLSocket.getpeercert` has it; empty if nobody verified it.
    """

    version: str
    certificate: Mapping[str, Any]


class Transport:
    """One pool of connections for everything a client talks to. Safe for threads; a forked child starts afresh.

    Args:
        tls: Whom to trust.
        environ: Where HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are read, when an origin is first used.
        clock: How long connections have waited for the next call.
        proxies: Instead of what the environment says of proxies; None looks there.
        socket_options: Set on each socket, see `keepalive_options`.
    """

    def __init__(
        self,
        tls: Optional[TlsPolicy] = None,
        environ: Mapping[str, str] = os.environ,
        clock: Clock = SYSTEM_CLOCK,
        *,
        proxies: Optional[Proxies] = None,
        socket_options: Sequence[SocketOption] = (),
    ) -> None:
        self._tls = tls or TlsPolicy()
        self._proxies = proxies
        self._socket_options = socket_options
        self._clock = clock
        self._environ = environ
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._adapters: dict[bool, _Adapter] = {}
        self._pools: dict[Origin, Pool] = {}

    def exchange(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Headers,
        body: Optional[bytes],
        deadline: Deadline,
        limit: int,
    ) -> Answer:
        """Send one request and read its whole answer.

        Args:
            method: Such as "POST".
            target: Path and query.
            headers: Sent as they are, one line for each of several values; nothing is added but what HTTP needs.
            body: None sends none.
            limit: Most bytes of body that are taken.

        Raises:
            CallTimeoutError: `deadline` passed, wherever the call was.
            CanceledError: Its token was canceled.
            ConnectFailedError, ConnectionLostError, TlsError, EndpointError: As their names say.
        """
        answer = self.open(method, origin, target, headers, body, deadline)
        return Answer(answer.status, answer.reason, answer.headers, answer.read(limit))

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
        """Send one request and wait for the head of its answer; see `exchange`.

        Args:
            body: Pieces are sent in chunks, each as it comes. What the iterator raises ends the exchange and comes out
                as it is.
            idle: Seconds without a byte, of the head or of the body, after which it ends with CallTimeoutError.
        """
        length = None if body is None else len(body) if isinstance(body, bytes) else -1
        with Exchange(deadline, idle, origin.scheme == "https") as exchange:
            exchange.begin()
            pool = self._pool(origin)
            head = request_head(method, pool.prefix + target, pool.host, headers, length, pool.further)
            exchange.connection = pool.take(exchange)
            sock = exchange.connection.sock
            whole = _send(exchange, sock, head, body)
            answer, rest = _receive_head(exchange, sock)
            exchange.answered = True
            if answer.status == 407 and pool.proxy is not None and not any(map(_TO_PROXY, headers)):
                raise pool.proxy.refusal("HTTP 407")
            keep = whole and answer.keeps and answer.status != 101
            return SocketAnswer(exchange, pool, answer, body_of(method, answer), rest, keep)

    def connect(self, origin: Origin, deadline: Deadline, stage: Callable[[str, str], None]) -> Optional[Secured]:
        """Make a connection as a call does, and end it.

        Args:
            stage: Told each step as it begins, see `Exchange`.

        Returns:
            None if no TLS is spoken.

        Raises:
            CallError: As `exchange`.
            ConfigError: What TLS or the proxy is set to can't be used.
        """
        with Exchange(deadline, secure=origin.scheme == "https") as exchange:
            exchange.stage = stage
            exchange.begin()
            pool = self._pool(origin)
            exchange.connection = pool.fresh(exchange)
            try:
                sock = exchange.connection.sock
                secure = origin.scheme == "https"
                return Secured(sock.version() or "", sock.getpeercert() or {}) if secure else None
            finally:
                exchange.drop()

    def for_strangers(self) -> Transport:
        """The way to servers that must not learn who calls, such as object stores: nothing is added to a request."""
        return self

    def proxy(self, origin: Origin) -> Optional[Proxy]:
        """The proxy that leads to an origin; None is none."""
        if self._proxies is not None:
            return self._proxies.proxy_for(origin)
        return proxy_for(origin, self._environ)

    def close(self) -> None:
        """Close idle connections; the transport can be used again."""
        with self._lock:
            adapters, self._adapters = self._adapters, {}
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()
        for adapter in adapters.values():
            adapter.close()

    def _pool(self, origin: Origin) -> Pool:
        # A child shares its parent's sockets: two processes would read each other's answers.
        if self._pid != os.getpid():
            # The lock too: a thread that held it in the parent is not here to give it back.
            self._lock = threading.Lock()
            inherited, self._pools = self._pools, {}
            self._adapters, self._pid = {}, os.getpid()
            for theirs in inherited.values():
                theirs.close()  # this process's descriptors only
        pool = self._pools.get(origin)
        if pool is None:
            with self._lock:
                pool = self._pools.get(origin) or self._new_pool(origin)
                self._pools[origin] = pool
        return pool

    def _new_pool(self, origin: Origin) -> Pool:
        proxy = self.proxy(origin)
        # Reading the trusted roots takes 20 ms, so only who needs TLS pays for it.
        secure = origin.scheme == "https" or (proxy is not None and proxy.kind == "https")
        adapter = self._adapters.get(secure)
        if adapter is None:
            adapter = self._adapters[secure] = _Adapter(
                self._tls if secure else None, self._environ, self._socket_options
            )
        manager: Any = adapter.poolmanager if proxy is None else _proxy_manager(adapter, proxy)
        maker = manager.connection_from_host(origin.host, origin.port, origin.scheme)
        if proxy is None or origin.scheme == "https" or proxy.kind.startswith("socks"):
            return Pool(maker, origin, self._clock, proxy)
        # A plain request through an HTTP proxy names its target in full, and tells the proxy who asks.
        further = "".join(f"{name}: {value}\r\n" for name, value in maker.proxy_headers.items())
        return Pool(maker, origin, self._clock, proxy, f"{origin.scheme}://{host_of(origin)}", further)


def _send(exchange: Exchange, sock: Any, head: bytes, body: Union[bytes, Iterator[bytes], None]) -> bool:
    """Send a request; False if the server did not want all of it, and may have said why."""
    try:
        if body is None:
            exchange.send(sock, head)
        elif not isinstance(body, bytes):
            exchange.send(sock, head)
            _send_pieces(exchange, sock, body)
        elif len(body) <= _HELD_BYTES:
            # One system call, one packet, one record of TLS.
            exchange.send(sock, head + body)
        else:
            exchange.send(sock, head)
            exchange.send(sock, body)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
        if exchange.outside:
            raise
        return False
    return True


def _send_pieces(exchange: Exchange, sock: Any, pieces: Iterator[bytes]) -> None:
    while True:
        exchange.outside = True
        piece = next(pieces, None)
        exchange.outside = False
        if piece is None:
            exchange.send(sock, b"0\r\n\r\n")
            return
        if piece:
            exchange.send(sock, b"%x\r\n%b\r\n" % (len(piece), piece))


def _receive_head(exchange: Exchange, sock: Any) -> tuple[Head, bytes]:
    data = b""
    interim = 0
    while True:
        found = split_head(data)
        if found is None:
            more = exchange.receive(sock, PIECE)
            if not more:
                if not data:
                    raise ConnectionResetError("it closed the connection")
                raise errors.ConnectionLostError("the connection ended in the middle of the answer's head")
            data += more
        elif 100 <= found[0].status < 200 and found[0].status != 101:
            data = found[1]  # such as 103 Early Hints: the answer is still to come
            interim += 1
            if interim > _INTERIM:
                raise head_too_large(f"more than {_INTERIM} interim answers")
        else:
            return found


def _proxy_manager(adapter: _Adapter, proxy: Proxy) -> Any:
    problem = "it is no address such as http://host:port"
    try:
        return adapter.proxy_manager_for(proxy.check().url)
    except requests.exceptions.InvalidSchema:
        problem = "SOCKS needs PySocks, which is not here; `pip install PySocks` brings it (so does requests[socks])"
    except (ValueError, urllib3.exceptions.HTTPError):
        pass
    # Neither its value nor the error that has it in its text: there may be a password in it.
    raise errors.ConfigError(f"the proxy in {proxy.source} can't be used: {problem}")
