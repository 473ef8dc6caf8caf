"""A child that shares its parent's sockets would read its answers; so it starts afresh."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from chaos_network import Network
from chaos_server import Peer, well_behaved
from faults import behave, silent

from flyte_lite._clock import Cancel
from flyte_lite._http.transport import OpenAnswer
from flyte_lite.errors import CallTimeoutError, ConnectionLostError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def _in_a_child(work: Callable[[], None]) -> int:
    # Python 3.12 and later warn of forking next to threads; that it works all the same is what is tested.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001  # nothing may leave the child by another way than its end
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_parent_and_child_have_connections_of_their_own(network: Network) -> None:
    assert network.call().body == b"ok"

    def work() -> None:
        for _ in range(3):
            assert network.call(5).body == b"ok"

    assert _in_a_child(work) == 0
    assert network.call().body == b"ok"
    assert network.server.accepted == 2, "one of the parent's, one of the child's"


def test_a_child_can_call_though_another_thread_was_just_connecting(plain: Network) -> None:
    """What that thread held in the parent is held for ever in the child."""
    assert plain.call().body == b"ok"
    plain.transport._lock.acquire()
    try:
        assert _in_a_child(lambda: _expect_ok(plain)) == 0
    finally:
        plain.transport._lock.release()


def test_a_child_of_a_thread_in_the_middle_of_a_call_can_call(plain: Network) -> None:
    plain.server.script = silent

    def call_in_vain() -> None:
        with pytest.raises(CallTimeoutError):
            plain.call(1.0)

    stuck = threading.Thread(target=call_in_vain)
    stuck.start()
    assert plain.server.reached.wait(5)
    behave(plain)

    assert _in_a_child(lambda: _expect_ok(plain)) == 0
    stuck.join()


def _close(held: list[OpenAnswer], cancel: Cancel) -> None:
    held[0].close()


def _finish(held: list[OpenAnswer], cancel: Cancel) -> None:
    assert held[0].finish() == b""


def _cancel(held: list[OpenAnswer], cancel: Cancel) -> None:
    cancel.cancel()


def _collect(held: list[OpenAnswer], cancel: Cancel) -> None:
    held.clear()
    gc.collect()


def _read(held: list[OpenAnswer], cancel: Cancel) -> None:
    with pytest.raises(ConnectionLostError, match="another process"):
        held[0].read_some()


@pytest.mark.parametrize("act", [_close, _finish, _cancel, _collect, _read])
def test_a_child_can_not_disturb_a_stream_of_its_parents(
    network: Network, act: Callable[[list[OpenAnswer], Cancel], None]
) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.send_chunk(b"before")
        assert go_on.wait(10)
        peer.send_chunk(b"after")
        peer.send_chunk(b"")
        well_behaved(peer)

    go_on = threading.Event()
    network.server.script = serve
    cancel = Cancel()
    held = [network.open(10, cancel)]
    assert held[0].read_some() == b"before"
    behave(network)

    def work() -> None:
        act(held, cancel)
        assert network.call(5).body == b"ok"

    assert _in_a_child(work) == 0
    go_on.set()

    assert held[0].read_some() == b"after"
    assert held[0].read_some() == b""
    assert network.call().body == b"ok"
    assert network.server.accepted == 2, "the parent still has its own"


def _expect_ok(network: Network) -> None:
    assert network.call(5).body == b"ok"


def _child_of_multiprocessing(network: Any) -> None:
    assert network.call(5).body == b"ok"


def test_multiprocessing_by_fork_works(network: Network) -> None:
    assert network.call().body == b"ok"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = multiprocessing.get_context("fork").Process(target=_child_of_multiprocessing, args=(network,))
        child.start()
    child.join(20)

    assert child.exitcode == 0
    assert network.call().body == b"ok"
