"""Bodies that come and go piece by piece."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from chaos_network import WAYS, Network, eventually, network_of, open_files
from chaos_server import Peer, answer
from faults import FAULTS, HEAD, behave
from punctual import promptly

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite.errors import CallTimeoutError, CanceledError, Code, ConnectionLostError

DEADLINE = 0.4
LATE = 0.35
AT_ONCE = 0.5

CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
# Wherever a call can get stuck; what is uploaded is sent in pieces here.
POINTS = [name for name in FAULTS if name not in ("trickled status line", "unfinished headers")]
EVERY_POINT = [
    pytest.param((way, name), id=f"{way}: {name}") for name in POINTS for way in WAYS if FAULTS[name].ways in way
]


def in_pieces(body: bytes) -> Iterator[bytes]:
    yield body[:1]
    for at in range(1, len(body), 1 << 20):
        yield body[at : at + (1 << 20)]


def read_on(network: Network, *args: Any, **options: Any) -> bytes:
    """Open, and read for as long as anything comes."""
    opened = network.open(*args, **options)
    came = b""
    while True:
        piece = opened.read_some()
        if not piece:
            return came
        came += piece


@pytest.fixture
def stuck(request: pytest.FixtureRequest) -> Any:
    way, name = request.param
    with network_of(way) as network:
        FAULTS[name].prepare(network)
        yield network, FAULTS[name].body


@pytest.mark.parametrize("stuck", EVERY_POINT, indirect=True)
def test_a_stuck_stream_ends_at_its_deadline_and_leaves_nothing_behind(stuck: tuple[Network, bytes]) -> None:
    network, body = stuck
    before = open_files()

    def late() -> float:
        started = time.monotonic()
        with pytest.raises(CallTimeoutError) as caught:
            read_on(network, DEADLINE, body=in_pieces(body), idle=5.0)
        took = time.monotonic() - started

        assert took >= DEADLINE
        assert "0.4 s" in str(caught.value)
        network.server.stopping.set()  # for the scripts that wait for nothing else
        assert eventually(lambda: open_files() <= before)
        network.server.stopping.clear()
        return took - DEADLINE

    assert promptly(LATE, late)
    behave(network)
    assert network.call().body == b"ok"


@pytest.mark.parametrize("stuck", EVERY_POINT, indirect=True)
def test_a_cancel_ends_a_stuck_stream_at_once(stuck: tuple[Network, bytes]) -> None:
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
        with pytest.raises(CanceledError):
            read_on(network, 20, cancel, body=in_pieces(body), idle=15.0)
        ended = time.monotonic()
        other.join()

        assert cancel._on_cancel == []
        network.server.stopping.set()
        assert eventually(lambda: open_files() <= before)
        network.server.stopping.clear()
        return ended - canceled_at[0]

    assert promptly(AT_ONCE, late)
    behave(network)
    assert network.call().body == b"ok"


@pytest.mark.parametrize("name", ["silent", "headers, then silence", "unfinished chunks"])
def test_a_stream_ends_when_no_byte_comes_for_long(network: Network, name: str) -> None:
    FAULTS[name].prepare(network)

    def late() -> float:
        started = time.monotonic()
        with pytest.raises(CallTimeoutError, match=r"no byte for 0\.3 s") as caught:
            read_on(network, 10, idle=0.3)
        took = time.monotonic() - started

        assert took >= 0.3
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        assert caught.value.sent
        assert eventually(lambda: network.server.open == 0)
        return took - 0.3

    assert promptly(LATE, late)


def test_each_byte_gives_an_idle_stream_more_time(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED)
        for _ in range(6):
            time.sleep(0.3)
            peer.send_chunk(b"still here ")
        peer.send_chunk(b"")

    network.server.script = serve

    assert read_on(network, 20, idle=1.5) == b"still here " * 6


def test_pieces_come_out_as_they_come_in(network: Network) -> None:
    go_on = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED)
        for piece in (b"one", b"two"):
            peer.send_chunk(piece)
            assert go_on.wait(5)
            go_on.clear()
        peer.send_chunk(b"")
        peer.read_request()
        peer.send(answer(b"again"))

    network.server.script = serve
    opened = network.open()

    for piece in (b"one", b"two"):
        assert opened.read_some() == piece
        go_on.set()
    assert opened.read_some() == b""
    assert opened.read_some() == b""
    assert network.call().body == b"again"
    assert network.server.accepted == 1


def test_a_body_of_announced_length_ends_without_waiting_for_more(network: Network) -> None:
    assert read_on(network) == b"ok"
    assert read_on(network) == b"ok"
    assert network.server.accepted == 1


def test_a_whole_body_may_end_with_the_connection(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD + b"\r\nall of it")

    network.server.script = serve

    assert network.call().body == b"all of it"
    assert network.call().body == b"all of it"
    assert network.server.accepted == 2


def test_a_body_that_the_connection_ends_is_simply_over(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD + b"\r\nall of it")

    network.server.script = serve
    before = open_files()

    assert read_on(network) == b"all of it"
    assert eventually(lambda: open_files() <= before)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"Content-Length: 10\r\n\r\nabc", id="length"),
        pytest.param(b"Content-Length: 10\r\n\r\n", id="length, nothing"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", id="in a chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", id="between chunks"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2", id="in a chunk's size"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", id="no chunk"),
    ],
)
@pytest.mark.parametrize("by", ["read", "read_some"])
def test_a_body_that_is_cut_off_is_lost(network: Network, sent: bytes, by: str) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD + sent)

    network.server.script = serve
    before = open_files()

    with pytest.raises(ConnectionLostError) as caught:
        network.open().read(1 << 20) if by == "read" else read_on(network)

    assert caught.value.sent
    assert eventually(lambda: open_files() <= before)


def test_a_body_that_is_sent_piece_by_piece_arrives_piece_by_piece(network: Network) -> None:
    """Each piece leaves before the next one is asked for: a caller may wait for the answer to one of them."""
    chunks: list[bytes] = []
    arrived = threading.Semaphore(0)

    def serve(peer: Peer) -> None:
        _, _, headers = peer.read_head()
        assert headers["transfer-encoding"] == ["chunked"]
        assert "content-length" not in headers
        while not chunks or chunks[-1]:
            chunks.append(peer.read_chunk())
            arrived.release()
        peer.send(answer(b"thanks"))
        peer.read_request()
        peer.send(answer(b"again"))

    def pieces() -> Iterator[bytes]:
        for piece in (b"one", b"", b"two", b"x" * 300_000):
            yield piece
            if piece:
                assert arrived.acquire(timeout=5)

    network.server.script = serve

    assert read_on(network, body=pieces()) == b"thanks"
    assert chunks == [b"one", b"two", b"x" * 300_000, b""]
    assert network.call().body == b"again"
    assert network.server.accepted == 1


def test_no_pieces_are_an_empty_body(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_head()
        assert peer.read_chunk() == b""
        peer.send(answer(b"thanks"))

    network.server.script = serve

    assert read_on(network, body=iter(())) == b"thanks"


@pytest.mark.parametrize("kind", [ValueError, BrokenPipeError, ConnectionResetError, TimeoutError, KeyboardInterrupt])
def test_what_pieces_raise_comes_out_unchanged_and_ends_the_connection(
    network: Network, kind: type[BaseException]
) -> None:
    gone = threading.Event()
    error = kind("of the caller")

    def serve(peer: Peer) -> None:
        peer.read_head()
        try:
            while peer.read_chunk():
                pass
        except ConnectionError:
            gone.set()

    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise error

    network.server.script = serve
    before = open_files()

    with pytest.raises(kind) as caught:
        network.open(body=pieces())

    assert caught.value is error
    assert gone.wait(3), "the server must not take this body for a whole one"
    assert eventually(lambda: open_files() <= before)


def test_a_cancel_while_pieces_are_sent_ends_it(network: Network) -> None:
    cancel = Cancel()

    def serve(peer: Peer) -> None:
        peer.read_head()
        peer.silence()

    def pieces() -> Iterator[bytes]:
        yield b"one"
        cancel.cancel()
        yield b"two"

    network.server.script = serve

    with pytest.raises(CanceledError):
        network.open(5, cancel, pieces())
    assert eventually(lambda: network.server.open == 0)


def test_an_early_refusal_of_pieces_is_read(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer(b"no", status="413 Content Too Large", headers="Connection: close\r\n"))
        peer.sock.settimeout(5)
        peer.silence()

    def pieces() -> Iterator[bytes]:
        yield b"one"
        assert network.server.reached.wait(5)
        yield b"two"

    network.server.script = serve
    opened = network.open(body=pieces())

    assert opened.status == 413
    assert opened.read(100) == b"no"


def test_several_values_of_a_header_are_several_lines(network: Network) -> None:
    headers = {"x-many": ["one", "two, three"], "x-none": [], "x-one": "1"}
    network.transport.open("POST", network.origin, "/x", headers, b"asked", Deadline(SYSTEM_CLOCK, 5)).finish()

    sent = network.server.requests[0].headers
    assert sent["x-many"] == ["one", "two, three"]
    assert sent["x-one"] == ["1"]
    assert "x-none" not in sent


def test_a_finished_answer_gives_its_connection_back(network: Network) -> None:
    def serve(peer: Peer) -> None:
        for _ in range(2):
            peer.read_request()
            peer.send(CHUNKED)
            peer.send_chunk(b"message")
            assert go_on.wait(5)
            go_on.clear()
            time.sleep(0.05)
            peer.send_chunk(b"")

    go_on = threading.Event()
    network.server.script = serve
    for _ in range(2):
        opened = network.open()
        assert opened.read_some() == b"message"
        go_on.set()
        assert opened.finish(5) == b""
        assert opened.finish() == b""
        opened.close()
    assert network.server.accepted == 1


def test_what_follows_the_message_is_given_back(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED)
        peer.send_chunk(b"message")
        assert go_on.wait(5)
        peer.send_chunk(b"more ")
        peer.send_chunk(b"of it")
        peer.send_chunk(b"")

    go_on = threading.Event()
    network.server.script = serve
    opened = network.open()

    assert opened.read_some() == b"message"
    go_on.set()
    assert opened.finish(5) == b"more of it"


@pytest.mark.parametrize("rest", ["silence", "reset", "flood"])
def test_finishing_never_takes_long_nor_raises(network: Network, rest: str) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED)
        peer.send_chunk(b"message")
        assert go_on.wait(5)
        if rest == "reset":
            peer.reset()
        while rest == "flood":
            peer.send_chunk(b"x" * 60_000)
        peer.silence()

    go_on = threading.Event()
    network.server.script = serve
    before = open_files()

    def late() -> float:
        go_on.clear()
        opened = network.open()
        assert opened.read_some() == b"message"
        go_on.set()

        started = time.monotonic()
        rubbish = opened.finish(0.2)
        took = time.monotonic() - started

        assert len(rubbish) < 200_000
        assert eventually(lambda: open_files() <= before)
        assert opened.read_some() == b""
        return took - 0.2

    assert promptly(LATE, late)
    behave(network)
    assert network.call().body == b"ok"


def test_a_cancel_after_the_end_does_not_hit_the_next_call(network: Network) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer())
        peer.read_head()
        while peer.read_chunk():
            pass
        peer.send(answer(b"unhurt"))

    def pieces() -> Iterator[bytes]:
        yield b"one"
        cancel.cancel()
        yield b"two"

    network.server.script = serve
    cancel = Cancel()
    opened = network.open(5, cancel)
    assert opened.read_some() == b"ok"
    assert opened.finish() == b""
    assert cancel._on_cancel == []

    assert read_on(network, body=pieces()) == b"unhurt"
    assert network.server.accepted == 1


@pytest.mark.parametrize("after", [b"", b"HTTP/1.1 200", HEAD + b"Content-Length: 10\r\n\r\nabc"])
def test_a_reset_of_a_connection_that_is_used_again_is_a_loss_and_not_repeated(network: Network, after: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer())
        peer.read_request()
        if after:
            peer.send(after)
            time.sleep(0.05)
        peer.reset()

    network.server.script = serve
    assert network.call().body == b"ok"

    with pytest.raises(ConnectionLostError) as caught:
        network.call()

    assert caught.value.sent
    assert len(network.server.requests) == 2
    assert network.server.accepted == 1
    behave(network)
    assert network.call().body == b"ok"


def test_interim_answers_are_passed_over(network: Network) -> None:
    def serve(peer: Peer) -> None:
        for status in (100, 102, 103, 103, 199):
            peer.read_request()
            peer.send(f"HTTP/1.1 {status} Not yet\r\nLink: x\r\n\r\n".encode())
            time.sleep(0.02)
            peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(b"at last", headers="X-Final: yes\r\n"))

    network.server.script = serve
    for _ in range(5):
        opened = network.open()
        assert (opened.status, opened.headers.get("x-final"), opened.headers.get("link")) == (200, ["yes"], None)
        assert opened.read(100) == b"at last"
    assert network.server.accepted == 1


def test_calls_and_streams_of_many_threads_share_a_transport(network: Network) -> None:
    def serve(peer: Peer) -> None:
        while True:
            asked = peer.read_request().body
            if asked.startswith(b"stream"):
                peer.send(CHUNKED)
                for _ in range(20):
                    peer.send_chunk(asked)
                peer.send_chunk(b"")
            else:
                peer.send(answer(asked))

    network.server.script = serve
    faults: list[BaseException] = []

    def some(nth: int) -> None:
        try:
            for _ in range(3):
                assert network.call(20, body=b"call %d" % nth).body == b"call %d" % nth
                assert read_on(network, 20, body=b"stream %d" % nth) == b"stream %d" % nth * 20
                left = network.open(20, body=b"stream")
                assert left.read_some().startswith(b"stream")
                left.close()
        except BaseException as error:  # noqa: BLE001  # the thread that looks at it is another one
            faults.append(error)

    threads = [threading.Thread(target=some, args=(nth,)) for nth in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []


def test_another_thread_may_close_a_stream_that_is_being_read(network: Network) -> None:
    network.server.script = _one_then_silence
    before = open_files()

    def took() -> float:
        opened = network.open(20)
        assert opened.read_some() == b"message"
        reading = threading.Event()

        def close() -> None:
            reading.wait(5)
            time.sleep(0.1)
            opened.close()

        closing = threading.Thread(target=close)
        closing.start()
        started = time.monotonic()
        reading.set()
        with pytest.raises(CanceledError):
            opened.read_some()
        seconds = time.monotonic() - started

        closing.join()
        assert eventually(lambda: open_files() <= before)
        return seconds

    assert promptly(AT_ONCE, took)


def test_an_answer_that_is_forgotten_half_read_frees_its_socket(network: Network) -> None:
    network.server.script = _one_then_silence
    before = open_files()
    opened = network.open(10, Cancel())
    assert opened.read_some() == b"message"

    del opened

    assert eventually(lambda: open_files() <= before)


def test_closing_a_stream_frees_its_socket_and_keeps_nothing(network: Network) -> None:
    cancel = Cancel()
    before = open_files()
    network.server.script = _one_then_silence
    opened = network.open(5, cancel)
    assert opened.read_some() == b"message"

    opened.close()
    opened.close()

    assert eventually(lambda: open_files() <= before)
    assert cancel._on_cancel == []
    assert opened.read_some() == b""
    behave(network)
    assert network.call().body == b"ok"
    assert network.server.accepted == 2


def _one_then_silence(peer: Peer) -> None:
    peer.read_request()
    peer.send(CHUNKED)
    peer.send_chunk(b"message")
    peer.silence()
