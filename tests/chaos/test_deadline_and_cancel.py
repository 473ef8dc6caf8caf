"""Wherever a call is stuck: it ends at its deadline, at a cancel and at Ctrl-C, and leaves nothing behind."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
from chaos_network import WAYS, Network, eventually, network_of, open_files
from chaos_server import ChaosServer, nobody_accepts
from faults import FAULTS, behave
from punctual import promptly

from flyte_lite._clock import Cancel
from flyte_lite._http.origin import Origin
from flyte_lite.errors import CallTimeoutError, CanceledError, Code, ConnectFailedError

DEADLINE = 0.4
LATE = 0.35
"""What is allowed in the best of some tries: less than any wait that could begin anew. Alone it is milliseconds."""
AT_ONCE = 0.5

EVERY_FAULT = [
    pytest.param(way, name, id=f"{way}: {name}") for name, fault in FAULTS.items() for way in WAYS if fault.ways in way
]


@pytest.fixture
def stuck(request: pytest.FixtureRequest) -> Any:
    way, name = request.param
    with network_of(way) as network:
        FAULTS[name].prepare(network)
        yield network, FAULTS[name].body


@pytest.mark.parametrize("stuck", [pytest.param(p.values, id=p.id) for p in EVERY_FAULT], indirect=True)
def test_a_stuck_call_ends_at_its_deadline_and_leaves_nothing_behind(stuck: tuple[Network, bytes]) -> None:
    network, body = stuck
    before = open_files()

    def late() -> float:
        started = time.monotonic()
        with pytest.raises(CallTimeoutError) as caught:
            network.call(DEADLINE, body=body)
        took = time.monotonic() - started

        assert took >= DEADLINE
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        assert "0.4 s" in str(caught.value)
        network.server.stopping.set()  # for the scripts that wait for nothing else
        # The error is still held here, so nothing but our own closing can have freed the sockets.
        assert eventually(lambda: open_files() <= before)
        network.server.stopping.clear()
        return took - DEADLINE

    assert promptly(LATE, late)
    connections = network.server.accepted
    behave(network)
    assert network.call().body == b"ok"
    assert network.server.accepted > connections


@pytest.mark.parametrize("stuck", [pytest.param(p.values, id=p.id) for p in EVERY_FAULT], indirect=True)
def test_a_cancel_from_another_thread_ends_a_stuck_call_at_once(stuck: tuple[Network, bytes]) -> None:
    network, body = stuck
    before = open_files()

    def late() -> float:
        network.server.reached.clear()
        cancel = Cancel()
        canceled_at = []

        def stop() -> None:
            assert network.server.reached.wait(10)
            time.sleep(0.05)
            canceled_at.append(time.monotonic())
            cancel.cancel()

        other = threading.Thread(target=stop)
        other.start()
        with pytest.raises(CanceledError) as caught:
            network.call(20, cancel, body=body)
        ended = time.monotonic()
        other.join()

        assert caught.value.code is Code.CANCELED
        network.server.stopping.set()
        assert eventually(lambda: open_files() <= before)
        network.server.stopping.clear()
        return ended - canceled_at[0]

    assert promptly(AT_ONCE, late)
    behave(network)
    assert network.call().body == b"ok"


def test_a_server_that_never_accepts_costs_the_deadline_only(plain: Network) -> None:
    with nobody_accepts() as port:
        before = open_files()

        def late() -> float:
            started = time.monotonic()
            with pytest.raises(CallTimeoutError):
                plain.call(DEADLINE, origin=Origin("http", "127.0.0.1", port))
            took = time.monotonic() - started
            assert took >= DEADLINE
            return took - DEADLINE

        assert promptly(LATE, late)
        assert open_files() <= before


def test_a_cancel_ends_the_wait_for_a_server_that_never_accepts(plain: Network) -> None:
    with nobody_accepts() as port:
        before = open_files()

        def late() -> float:
            cancel = Cancel()
            threading.Timer(0.1, cancel.cancel).start()
            started = time.monotonic()
            with pytest.raises(CanceledError):
                plain.call(30, cancel, origin=Origin("http", "127.0.0.1", port))
            return time.monotonic() - started - 0.1

        assert promptly(AT_ONCE, late)
        assert eventually(lambda: open_files() <= before)


def test_dead_addresses_leave_time_for_a_live_one(plain: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver is the operating system's, so it is replaced where Python reaches for it, not in our modules."""
    resolve = socket.getaddrinfo
    hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]

    def many(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        found = hosts if host == "many.test" else [host]
        return [entry for one in found for entry in resolve(one, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", many)
    port = plain.server.port
    with nobody_accepts("127.0.0.2", port), nobody_accepts("127.0.0.3", port):
        assert plain.call(3, origin=Origin("http", "many.test", port)).body == b"ok"

        hosts.pop()
        plain.transport.close()

        def late() -> float:
            started = time.monotonic()
            with pytest.raises(CallTimeoutError):
                plain.call(DEADLINE, origin=Origin("http", "many.test", port))
            took = time.monotonic() - started
            assert took >= DEADLINE
            return took - DEADLINE

        assert promptly(LATE, late)


def test_addresses_that_refuse_are_passed_over_at_once(plain: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def many(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        return [entry for one in ("::1", "127.0.0.9", "127.0.0.1") for entry in resolve(one, port, 0, *args[1:])]

    monkeypatch.setattr(socket, "getaddrinfo", many)

    def took() -> float:
        started = time.monotonic()
        assert plain.call(5, origin=Origin("http", "many.test", plain.server.port)).body == b"ok"
        plain.transport.close()
        return time.monotonic() - started

    assert promptly(1, took)


def test_a_refused_connection_says_that_nothing_was_sent(network: Network) -> None:
    network.server.__exit__()

    with pytest.raises((ConnectFailedError, Exception)) as caught:
        network.call(5)

    if network.proxy is None:
        assert isinstance(caught.value, ConnectFailedError)
        assert not caught.value.sent
        assert f"127.0.0.1:{network.origin.port}" in str(caught.value)


def test_no_time_means_no_request(network: Network) -> None:
    for seconds in (0.0, -1.0):
        with pytest.raises(CallTimeoutError):
            network.call(seconds)

    assert network.server.requests == []


def test_a_token_canceled_before_means_no_request(network: Network) -> None:
    cancel = Cancel()
    cancel.cancel()

    with pytest.raises(CanceledError):
        network.call(5, cancel)

    assert network.server.requests == []


@pytest.mark.parametrize("seconds", [None, 1e7, 1e12, float("inf")])
def test_deadlines_that_never_come_are_no_trouble_to_the_operating_system(plain: Network, seconds: float) -> None:
    assert plain.call(seconds).body == b"ok"


def test_ipv6_addresses_work(plain: Network) -> None:
    try:
        server = ChaosServer(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        assert plain.call(origin=Origin("http", "::1", server.port)).body == b"ok"
        assert server.requests[0].headers["host"] == [f"[::1]:{server.port}"]
