"""How long a connection may wait for the next call: whoever stands between us and the server forgets it in silence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from chaos_network import Network, eventually, open_files
from chaos_server import ChaosServer, Peer, answer

from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.pool import IDLE_SECONDS, KEPT
from flyte_lite._http.transport import OpenAnswer, Transport


class TwoClocks:
    """Each is turned by hand and alone, as in a laptop that was asleep or after somebody set the time."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000.0
        self.tick = 1000.0

    def monotonic(self) -> float:
        return self.tick

    def time(self) -> float:
        return self.wall

    def sleep(self, seconds: float, cancel: object = None) -> None:
        raise AssertionError("nothing here sleeps")


@pytest.fixture
def clock() -> TwoClocks:
    return TwoClocks()


@pytest.fixture
def transport(clock: TwoClocks) -> Iterator[Transport]:
    with contextlib.closing(Transport(environ={}, clock=clock)) as transport:
        yield transport


@pytest.fixture
def server() -> Iterator[ChaosServer]:
    with ChaosServer() as server:
        yield server


def open_one(transport: Transport, server: ChaosServer) -> OpenAnswer:
    return transport.open("GET", Origin("http", "127.0.0.1", server.port), "/", {}, None, Deadline(SYSTEM_CLOCK, 5))


def call(transport: Transport, server: ChaosServer) -> None:
    assert open_one(transport, server).read(10) == b"ok"


def test_the_limit_is_what_load_balancers_allow() -> None:
    assert IDLE_SECONDS == 45


@pytest.mark.parametrize(
    ("wall", "tick", "connections"),
    [
        (0.0, 0.0, 1),
        (45.0, 45.0, 1),
        (46.0, 46.0, 2),
        (46.0, 0.0, 2),  # the machine slept
        (0.0, 46.0, 2),  # the time was set back meanwhile
        (-3600.0, 1.0, 1),
        (86400.0, 1.0, 2),
    ],
)
def test_a_connection_that_waited_too_long_by_either_clock_is_dropped(
    transport: Transport, server: ChaosServer, clock: TwoClocks, wall: float, tick: float, connections: int
) -> None:
    before = open_files()
    call(transport, server)
    clock.wall += wall
    clock.tick += tick

    call(transport, server)

    assert server.accepted == connections
    assert eventually(lambda: server.open == 1), "the old one is closed"
    transport.close()
    assert eventually(lambda: open_files() <= before)


def test_waiting_begins_with_each_return(transport: Transport, server: ChaosServer, clock: TwoClocks) -> None:
    for _ in range(4):
        call(transport, server)
        clock.wall += 40
        clock.tick += 40

    assert server.accepted == 1


def test_the_one_that_waited_least_goes_first(transport: Transport, server: ChaosServer, clock: TwoClocks) -> None:
    """So that after a burst the others grow old together, and go."""
    burst = [open_one(transport, server) for _ in range(3)]
    for opened in burst:
        assert opened.read(10) == b"ok"
    for _ in range(4):
        clock.wall += 20
        clock.tick += 20
        call(transport, server)
    assert server.accepted == 3
    assert eventually(lambda: server.open == 1), "the others are closed, though nobody wanted them"

    call(transport, server)
    again = open_one(transport, server)
    other = open_one(transport, server)
    assert (again.read(10), other.read(10)) == (b"ok", b"ok")
    assert server.accepted == 4


def test_only_so_many_wait(transport: Transport, server: ChaosServer) -> None:
    burst = [open_one(transport, server) for _ in range(KEPT + 5)]
    for opened in burst:
        assert opened.read(10) == b"ok"

    assert eventually(lambda: server.open == KEPT)


def test_one_that_is_given_back_after_the_end_is_closed(transport: Transport, server: ChaosServer) -> None:
    opened = open_one(transport, server)
    transport.close()

    assert opened.read(10) == b"ok"

    assert eventually(lambda: server.open == 0)


def test_one_on_which_something_came_unasked_is_not_used_again(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer())
        network.server.reached.wait(5)
        peer.send(answer(b"408 is what some servers say here", status="408 Request Timeout"))
        peer.silence()

    network.server.script = serve
    assert network.call().body == b"ok"
    network.server.script = _well
    network.server.reached.set()
    assert eventually(network.idle_ends)

    assert network.call().body == b"fresh"
    assert network.server.accepted == 2


def test_one_on_which_more_came_than_was_announced_is_not_used_again(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer(b"ok") + b"more")
        peer.silence()

    network.server.script = serve
    assert network.call().body == b"ok"
    network.server.script = _well

    assert network.call().body == b"fresh"
    assert network.server.accepted == 2


def _well(peer: Peer) -> None:
    peer.read_request()
    peer.send(answer(b"fresh"))
