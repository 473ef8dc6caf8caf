"""A connection that waits for the next call has nothing left of the last one on it, and nobody else's hand."""

from __future__ import annotations

import gc
import random
import socket
import ssl
import sys
import threading
from types import FrameType
from typing import Any

import pytest
from chaos_network import Network, eventually, open_files
from chaos_server import ChaosServer, Peer, answer

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.connection import _wrapped, timed
from flyte_lite._http.exchange import Exchange
from flyte_lite.errors import CallError, CanceledError, ConnectFailedError, EndpointError

SPLIT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"


def fresh(peer: Peer) -> None:
    peer.read_request()
    peer.send(answer(b"fresh"))


def echo(peer: Peer) -> None:
    while True:
        peer.send(answer(peer.read_request().body))


@pytest.mark.parametrize(
    ("method", "sent"),
    [
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n" + SPLIT),
        ("POST", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
        ("POST", b"HTTP/1.1 304 Not Modified\r\n\r\n" + SPLIT),
        ("POST", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + SPLIT),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ("POST", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n" + SPLIT + b"\r\n"),
        ("POST", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SPLIT),
        ("POST", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("POST", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("POST", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ],
)
def test_a_connection_whose_answer_leaves_doubts_is_not_used_again(network: Network, method: str, sent: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(sent)
        peer.read_request()
        peer.send(b"\r\nconfused!")
        peer.silence()

    network.server.script = serve
    deadline = Deadline(SYSTEM_CLOCK, 10)
    assert network.transport.exchange(method, network.origin, "/x", {}, b"", deadline, 100).body == b""
    network.server.script = fresh

    assert network.call().body == b"fresh"
    assert network.server.accepted == 2


def test_interim_answers_have_bounds_though_a_stream_has_no_end(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        while True:
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 20)

    network.server.script = serve
    with pytest.raises(EndpointError, match="more than 100 interim answers"):
        network.open(None, idle=5)


def test_some_interim_answers_are_taken(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100 + answer(b"ok"))

    network.server.script = serve
    assert network.call().body == b"ok"


def test_a_cancel_that_is_late_does_not_touch_a_connection_that_was_given_back(network: Network) -> None:
    """A cancel goes through whoever it had to wake when it began, and one of these is done before it gets there."""
    network.server.script = echo
    cancel = Cancel()
    got = []
    # Called by the cancel before the exchange is: as if the reader were faster than it.
    cancel.subscribe(lambda: got.append(opened.read(100)))
    opened = network.open(body=b"first", cancel=cancel)

    cancel.cancel()

    assert got == [b"first"]
    assert network.call(body=b"second").body == b"second"
    assert network.server.accepted == 1, "the connection was as good as any"


class Interrupt:
    """Raises KeyboardInterrupt when the nth line of `_http` is about to run."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self.raised = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if "flyte_lite/_http/" not in frame.f_code.co_filename.replace("\\", "/"):
            return None
        # What is raised where Python frees something goes nowhere.
        if any(each and each.f_code.co_name == "__del__" for each in (frame, frame.f_back)):
            return None
        last = 0

        def line(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal last
            # Going back is the end of a loop's round or of a `with`, whose exit a signal does not keep from running.
            if event == "line" and frame.f_lineno > last:
                self._left -= 1
                if self._left < 0:
                    self.raised = True
                    raise KeyboardInterrupt
            last = frame.f_lineno
            return line

        return line


# Between two lines nobody may have the connection yet, and Python closes it.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("warm", [True, False])
def test_ctrl_c_at_any_line_leaves_no_half_used_connection(network: Network, warm: bool) -> None:
    network.server.script = echo
    before = 0
    outcomes = set()
    for nth in range(10_000):
        if not warm:
            network.transport.close()
        else:
            assert network.call(body=b"warm").body == b"warm"
        interrupt, tracing = Interrupt(nth), sys.gettrace()
        sys.settrace(interrupt)
        try:
            outcome: Any = network.call(body=b"x" * 999).body
        except KeyboardInterrupt:
            outcome = KeyboardInterrupt
        finally:
            sys.settrace(tracing)
        assert outcome is KeyboardInterrupt if interrupt.raised else outcome == b"x" * 999, nth
        outcomes.add(interrupt.raised)

        assert network.call(body=b"after").body == b"after", nth
        gc.collect(0)
        before = before or open_files()
        if not interrupt.raised:
            break
    assert outcomes == {True, False}
    assert eventually(lambda: open_files() <= before + 1)


def test_each_of_many_threads_gets_its_own_answers_whatever_the_others_do(network: Network) -> None:
    network.server.script = echo
    wrong: list[Any] = []
    done = []

    def work(seed: int) -> None:
        draw = random.Random(seed)
        for nth in range(25):
            body = b"%d-%d-" % (seed, nth) + b"x" * draw.choice([0, 100, 300_000])
            how = draw.randrange(5)
            cancel = Cancel()
            try:
                if how == 0:
                    threading.Timer(draw.random() * 0.01, cancel.cancel).start()
                opened = network.open(0.003 if how == 1 else 20.0, cancel, body)
                if how == 2:
                    opened.read_some()
                    opened.close()
                    continue
                came = opened.read(1 << 20)
                cancel.cancel()
                if came != body:
                    wrong.append((seed, nth, how, came[:40]))
                done.append(how)
            except CallError as error:
                if how > 1:
                    wrong.append((seed, nth, how, error))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
    assert len(done) > 32 * 25 * 0.3


@pytest.mark.parametrize("canceled", [False, True])
def test_a_connection_that_ends_just_before_the_handshake_is_closed(canceled: bool) -> None:
    """Left to the garbage collector, it would warn of it, and that is an error here."""
    with ChaosServer(lambda peer: peer.reset()) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        assert eventually(lambda: ended(sock))
        with pytest.raises(CallError) as caught:
            shake_hands(sock, canceled)
        gc.collect()

    assert isinstance(caught.value, CanceledError if canceled else ConnectFailedError)
    assert sock.fileno() == -1


def shake_hands(sock: socket.socket, canceled: bool) -> None:
    with Exchange(Deadline(SYSTEM_CLOCK, 5), None, True) as exchange:
        exchange.attach(sock)
        if canceled:
            exchange.abort()
        _wrapped(sock, timed(ssl.create_default_context()), "localhost")


def ended(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return True
    return False
