"""Networks that misbehave, in every way a call can go: plain, TLS, and both through a proxy."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional, Union

from chaos_proxy import ChaosProxy
from chaos_server import CERTIFICATES, ChaosServer, server_context
from urllib3.util.wait import wait_for_read

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._http.transport import Answer, OpenAnswer, Transport

WAYS = ("plain", "tls", "proxied plain", "proxied tls")


class Network:
    """One server, the way to it, and a transport that goes there.

    Attributes:
        way: One of `WAYS`.
        server: Where calls end.
        proxy: None on the direct ways.
    """

    def __init__(self, way: str, server: ChaosServer, proxy: Optional[ChaosProxy]) -> None:
        self.way = way
        self.server = server
        self.proxy = proxy
        self.origin = Origin("https" if "tls" in way else "http", "127.0.0.1", server.port)
        self.environ = {} if proxy is None else {"HTTP_PROXY": proxy_url(proxy), "HTTPS_PROXY": proxy_url(proxy)}
        self.transport = Transport(TlsPolicy(ca_file=str(CERTIFICATES / "authority.pem")), self.environ)

    def call(
        self,
        seconds: Optional[float] = 10.0,
        cancel: Optional[Cancel] = None,
        body: bytes = b"asked",
        origin: Optional[Origin] = None,
    ) -> Answer:
        deadline = Deadline(SYSTEM_CLOCK, seconds, cancel)
        return self.transport.exchange(
            "POST", origin or self.origin, "/x", {"Content-Type": "text/plain"}, body, deadline, 1 << 20
        )

    def idle_ends(self) -> bool:
        """Whether there is something to be read on each connection that waits for the next call, such as its end."""
        pool = self.transport._pool(self.origin)
        return all(wait_for_read(connection.sock, 0.0) for connection, _, _ in pool._waiting)

    def open(
        self,
        seconds: Optional[float] = 10.0,
        cancel: Optional[Cancel] = None,
        body: Union[bytes, Iterator[bytes], None] = b"asked",
        idle: Optional[float] = None,
    ) -> OpenAnswer:
        deadline = Deadline(SYSTEM_CLOCK, seconds, cancel)
        return self.transport.open("POST", self.origin, "/x", {}, body, deadline, idle=idle)


def proxy_url(proxy: ChaosProxy, user: str = "") -> str:
    return f"http://{user + '@' if user else ''}127.0.0.1:{proxy.port}"


@contextlib.contextmanager
def network_of(way: str) -> Iterator[Network]:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(ChaosServer(tls=server_context() if "tls" in way else None))
        proxy = stack.enter_context(ChaosProxy()) if "proxied" in way else None
        network = Network(way, server, proxy)
        stack.callback(network.transport.close)
        # Scripts that wait for the end of the test hold up a proxy that sends to them.
        stack.callback(server.stopping.set)
        yield network


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether it becomes true within `seconds`: other threads need a moment to see a socket close."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
