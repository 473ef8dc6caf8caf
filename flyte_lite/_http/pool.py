"""The connections to one origin: those that wait for the next call, and how a new one is made."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Any, Optional

from urllib3.util.wait import wait_for_read

from flyte_lite._clock import Clock
from flyte_lite._http.exchange import Exchange
from flyte_lite._http.origin import Origin
from flyte_lite._http.proxy import Proxy
from flyte_lite.errors import ConnectFailedError

KEPT = 32
"""Most connections to one origin that wait; there may be more at work."""

IDLE_SECONDS = 45.0
"""How long one may wait: less than what load balancers and servers allow, who then hang up just as we begin to send."""


class Pool:
    """The connections to one origin, by one way.

    Args:
        maker: urllib3's pool, which knows proxy and TLS; it makes connections and keeps none.
        origin: Where they go.
        clock: How long they have been waiting.
        proxy: The way; None is straight there.
        prefix: Comes before each target.
        further: Lines for each request's head.
    """

    def __init__(
        self,
        maker: Any,
        origin: Origin,
        clock: Clock,
        proxy: Optional[Proxy] = None,
        prefix: str = "",
        further: str = "",
    ) -> None:
        self.proxy = proxy
        self.prefix = prefix
        self.further = further
        self.host = host_of(origin)
        self._maker = maker
        self._tunneled = maker.proxy is not None and origin.scheme == "https"
        self._clock = clock
        # The last one given is the first one taken, so that the others grow old together. No lock: each step is atomic.
        self._waiting: deque[tuple[Any, float, float]] = deque()
        self._closed = False

    def take(self, exchange: Exchange) -> Any:
        """A connection that stands."""
        while self._waiting:
            try:
                connection, *since = self._waiting.pop()
            except IndexError:  # another thread was faster
                break
            # What can be read before anything was asked is the end of the connection.
            if not self._is_old(*since) and not wait_for_read(connection.sock, 0.0):
                return connection
            connection.close()
        return self.fresh(exchange)

    def give(self, connection: Any) -> None:
        """It may be used again."""
        if len(self._waiting) >= KEPT:
            connection.close()
            return
        self._waiting.append((connection, self._clock.time(), self._clock.monotonic()))
        with contextlib.suppress(IndexError):  # another thread was faster
            while self._is_old(*self._waiting[0][1:]):
                self._waiting.popleft()[0].close()
        if self._closed:  # also meanwhile
            self.close()

    def _is_old(self, wall: float, monotonic: float) -> bool:
        # By both clocks: in a frozen container or a suspended laptop the monotonic one may have stood still.
        return max(self._clock.time() - wall, self._clock.monotonic() - monotonic) > IDLE_SECONDS

    def close(self) -> None:
        """Close those that wait; one that is given back later is closed as well."""
        self._closed = True
        while self._waiting:
            try:
                connection, _, _ = self._waiting.pop()
            except IndexError:
                break
            connection.close()

    def fresh(self, exchange: Exchange) -> Any:
        """A connection that nobody has used yet."""
        exchange.fresh = True
        exchange.proxy = self.proxy
        connection = self._maker._new_conn()
        with exchange.connecting():
            try:
                if self._tunneled:
                    self._maker._prepare_proxy(connection)
                else:
                    connection.connect()
            except BaseException:
                connection.close()
                raise
        return connection


def host_of(origin: Origin) -> str:
    """What the header Host says of it."""
    try:
        name = origin.host.encode("ascii").decode()
    except UnicodeEncodeError:
        try:
            name = origin.host.encode("idna").decode()
        except UnicodeError as error:
            raise ConnectFailedError(f"{origin.host!r} can't be the name of a host: {error}") from error
    if ":" in name:
        name = f"[{name.partition('%')[0]}]"
    standard = {"http": 80, "https": 443}[origin.scheme]
    return name if origin.port == standard else f"{name}:{origin.port}"
