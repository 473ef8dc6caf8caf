"""How late a call ends that should end: by its deadline, by a cancel, by Ctrl-C, on every way to a server that says
nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Callable

import pytest
from measuring import Table

from flyte_lite import Cancel, Client
from flyte_lite.errors import CallTimeoutError, CanceledError

sys.path.append(str(Path(__file__).parent.parent / "chaos"))

from chaos_proxy import ChaosProxy
from chaos_server import CERTIFICATES, ChaosServer, Peer, server_context

WAYS = ("plain", "tls", "proxied plain", "proxied tls")
TIMES = 9
DEADLINE = 0.3
# After a deadline, a cancel, Ctrl-C.
MOST_MS = (100, 50, 300)
# One that others at work on the machine disturbed is measured again.
SERIES = 3


def silent(peer: Peer) -> None:
    peer.read_request()
    peer.silence()


class Silence:
    """A server that takes a request and says nothing."""

    def __init__(self, server: ChaosServer, client: Client) -> None:
        self.server = server
        self.client = client

    def late(self, end: Callable[[], None], kind: type[BaseException], cancel: Cancel) -> float:
        """Seconds from `end`, done while a call waits for its answer, to the call's exception."""
        ended: list[float] = []

        def later() -> None:
            assert self.server.reached.wait(5)
            time.sleep(0.02)
            ended.append(time.perf_counter())
            end()

        self.server.reached.clear()
        thread = threading.Thread(target=later)
        thread.start()
        with pytest.raises(kind):
            self.client.scoped(timeout=20, cancel=cancel).runs.get("r1")
        over = time.perf_counter()
        thread.join()
        return over - ended[0]


@pytest.fixture(params=WAYS)
def silence(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Silence]:
    tls = "tls" in request.param
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(ChaosServer(silent, tls=server_context() if tls else None))
        if "proxied" in request.param:
            proxy = stack.enter_context(ChaosProxy())
            for name in ("HTTP_PROXY", "HTTPS_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        client = Client(
            f"{'https' if tls else 'http'}://127.0.0.1:{server.port}",
            project="p",
            domain="d",
            ca_cert_file_path=str(CERTIFICATES / "authority.pem"),
        )
        yield Silence(server, stack.enter_context(client))


def test_a_call_ends_when_it_should(silence: Silence, table: Table, request: pytest.FixtureRequest) -> None:
    for _ in range(SERIES):
        deadlines, cancels, signals = [], [], []
        for _ in range(TIMES):
            started = time.perf_counter()
            with pytest.raises(CallTimeoutError):
                silence.client.scoped(timeout=DEADLINE).runs.get("r1")
            deadlines.append(time.perf_counter() - started - DEADLINE)
            cancel = Cancel()
            cancels.append(silence.late(cancel.cancel, CanceledError, cancel))
            signals.append(silence.late(lambda: os.kill(os.getpid(), signal.SIGINT), KeyboardInterrupt, Cancel()))

        late = [1000 * median(those) for those in (deadlines, cancels, signals)]
        in_time = all(each <= most for each, most in zip(late, MOST_MS))
        if in_time:
            break
    (way,) = (way for way in WAYS if request.node.callspec.params["silence"] == way)
    shown, budget = "{:.1f}, {:.1f}, {:.1f} ms".format(*late), "{}, {}, {} ms".format(*MOST_MS)
    table.add(f"late after deadline, cancel, Ctrl-C: {way}", shown, budget)
    assert in_time
