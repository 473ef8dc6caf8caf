"""Connections that break, answers that lie about their length, and what the pool keeps of them: nothing."""

from __future__ import annotations

import threading
import time
from typing import Optional

import pytest
from chaos_network import Network, eventually, open_files
from chaos_server import Peer, answer, well_behaved
from faults import BIG_UPLOAD, HEAD, behave, silent
from punctual import promptly

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.exchange import ACTIVE
from flyte_lite._http.transport import OpenAnswer
from flyte_lite.errors import AnswerTooLargeError, CanceledError, Code, ConnectionLostError, EndpointError


def reset_before_an_answer(peer: Peer) -> None:
    peer.read_request()
    peer.reset()


def hang_up_before_an_answer(peer: Peer) -> None:
    peer.read_request()


def hang_up_in_the_head(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD)


def short_body(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD + b"Content-Length: 10\r\n\r\nabc")


def no_body(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD + b"Content-Length: 10\r\n\r\n")


def reset_in_the_body(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD + b"Content-Length: 10\r\n\r\nabc")
    time.sleep(0.05)  # so that these bytes are not lost with the connection
    peer.reset()


def cut_chunk(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab")


def cut_between_chunks(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")


def bad_chunk(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n")
    peer.silence()


@pytest.mark.parametrize(
    "script",
    [
        reset_before_an_answer,
        hang_up_before_an_answer,
        short_body,
        no_body,
        reset_in_the_body,
        cut_chunk,
        cut_between_chunks,
        bad_chunk,
    ],
)
def test_a_broken_connection_may_have_had_an_effect_and_is_not_kept(network: Network, script: object) -> None:
    network.server.script = script  # type: ignore[assignment]
    before = open_files()

    with pytest.raises(ConnectionLostError) as caught:
        network.call()

    assert caught.value.sent, "the request was sent, so nobody may repeat a write by himself"
    assert caught.value.code is Code.UNAVAILABLE
    assert eventually(lambda: open_files() <= before)
    behave(network)
    assert network.call().body == b"ok"
    assert network.server.accepted == 2


def test_a_head_that_ends_early_is_never_taken_for_an_answer(network: Network) -> None:
    """http.client takes it for a whole one; without a length its body is empty, which is a message as well."""
    network.server.script = hang_up_in_the_head

    with pytest.raises(ConnectionLostError, match="in the middle of the answer's head"):
        network.call()


def test_the_text_says_how_much_of_the_body_came(plain: Network) -> None:
    plain.server.script = short_body
    with pytest.raises(ConnectionLostError, match="ended after 3 bytes, 7 more were announced"):
        plain.call()

    plain.server.script = cut_chunk
    with pytest.raises(ConnectionLostError, match=r"ended after \d+ bytes"):
        plain.call()


@pytest.mark.parametrize(
    "head",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",  # a TLS alert
        b"220 smtp.example ESMTP\r\n",
    ],
)
def test_another_protocol_is_said_to_be_one(network: Network, head: bytes) -> None:
    def other(peer: Peer) -> None:
        peer.read_request()
        peer.send(head)

    network.server.script = other

    with pytest.raises(EndpointError, match=r"does not speak HTTP.*https://"):
        network.call()


@pytest.mark.parametrize("head", [b"x-long: " + b"y" * 70_000 + b"\r\n", b"x: y\r\n" * 200])
def test_a_head_beyond_all_bounds_is_refused(network: Network, head: bytes) -> None:
    def huge(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD + head + b"\r\n")
        peer.silence()

    network.server.script = huge
    before = open_files()

    with pytest.raises(EndpointError, match="head is larger"):
        network.call()

    assert eventually(lambda: open_files() <= before)


def test_an_early_refusal_of_an_upload_is_read(network: Network) -> None:
    def refuse(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer(b"too much", status="413 Content Too Large", headers="Connection: close\r\n"))
        # What comes is still read, or the reset would overtake the answer.
        end = time.monotonic() + 20
        while time.monotonic() < end and peer.sock.recv(1 << 20):
            pass

    network.server.script = refuse

    assert network.call(body=BIG_UPLOAD).status == 413


def test_a_big_upload_arrives_whole(network: Network) -> None:
    assert network.call(body=BIG_UPLOAD).body == b"ok"
    assert network.server.requests[0].body == BIG_UPLOAD


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_costs_the_limit_only(network: Network, chunked: bool) -> None:
    def endless(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 99999999999\r\n\r\n"))
        while True:
            peer.send((b"10000\r\n" if chunked else b"") + b"z" * 65536 + b"\r\n")

    network.server.script = endless
    before = open_files()

    with pytest.raises(AnswerTooLargeError, match="limit of 1048576") as caught:
        network.call()

    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert eventually(lambda: open_files() <= before)
    behave(network)
    assert network.call().body == b"ok"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20])
def test_bodies_up_to_the_limit_come_whole_and_the_connection_is_kept(network: Network, size: int) -> None:
    def both(peer: Peer) -> None:
        while True:
            request = peer.read_request()
            body = b"z" * size
            if request.body == b"chunked":
                chunk = b"%x\r\n%b\r\n" % (size, body) if size else b""
                peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n")
            else:
                peer.send(answer(body))

    network.server.script = both

    assert len(network.call().body) == size
    assert len(network.call(body=b"chunked").body) == size
    assert len(network.call().body) == size
    assert network.server.accepted == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_that_have_no_body_by_law_need_none(network: Network, status: str) -> None:
    def bodiless(peer: Peer) -> None:
        while True:
            peer.read_request()
            peer.send(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n".encode())

    network.server.script = bodiless

    assert network.call().body == b""
    assert network.call().body == b""
    assert network.server.accepted == 1


def test_the_answer_to_head_has_no_body(network: Network) -> None:
    def bodiless(peer: Peer) -> None:
        while True:
            peer.read_request()
            peer.send(HEAD + b"Content-Length: 5\r\n\r\n")

    network.server.script = bodiless
    for _ in range(2):
        found = network.transport.exchange("HEAD", network.origin, "/x", {}, None, Deadline(SYSTEM_CLOCK, 5), 100)
        assert (found.status, found.body) == (200, b"")


def test_headers_come_one_entry_a_line(network: Network) -> None:
    def lines(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer(headers="X-Many: 1\r\nx-many: 2, 3\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"))

    network.server.script = lines

    headers = network.call().headers

    assert headers["x-many"] == ["1", "2, 3"]
    assert headers["set-cookie"] == ["a=1", "b=2"]


def test_calls_in_a_row_share_one_connection(network: Network) -> None:
    for _ in range(5):
        assert network.call().body == b"ok"

    assert network.server.accepted == 1


def test_a_connection_that_the_server_closed_while_idle_is_not_used_again(network: Network) -> None:
    def once(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer())

    network.server.script = once
    assert network.call().body == b"ok"
    assert eventually(network.idle_ends)

    assert network.call().body == b"ok"
    assert network.server.accepted == 2


def test_an_answer_that_is_opened_and_dropped_costs_its_connection(network: Network) -> None:
    before = open_files()
    cancel = Cancel()
    opened = network.transport.open("GET", network.origin, "/x", {}, None, Deadline(SYSTEM_CLOCK, 5, cancel))

    opened.close()

    assert eventually(lambda: open_files() <= before)
    assert cancel._on_cancel == []
    assert network.call().body == b"ok"
    assert network.server.accepted == 2


def test_an_answer_that_is_read_to_its_end_is_forgotten_by_its_token(plain: Network) -> None:
    cancel = Cancel()
    opened = plain.transport.open("GET", plain.origin, "/x", {}, None, Deadline(SYSTEM_CLOCK, 5, cancel))

    assert opened.read(100) == b"ok"

    assert cancel._on_cancel == []


def test_an_answer_dropped_unread_does_not_take_the_socket_of_the_next_call(plain: Network) -> None:
    """Collecting a forgotten answer closes its connection, which once made the call in progress deaf to its cancel."""
    before = open_files()
    dropped: Optional[OpenAnswer] = None

    class Clock(type(SYSTEM_CLOCK)):  # type: ignore[misc]
        """Drops the answer in the middle of the next call, on the thread of that call."""

        def monotonic(self) -> float:
            nonlocal dropped
            if ACTIVE.exchange is not None and ACTIVE.exchange.sent:
                dropped = None
            return super().monotonic()

    def late() -> float:
        nonlocal dropped
        behave(plain)
        dropped = plain.transport.open("GET", plain.origin, "/x", {}, None, Deadline(SYSTEM_CLOCK, 5))
        plain.server.script = silent
        cancel = Cancel()
        started = time.monotonic()
        threading.Timer(0.3, cancel.cancel).start()
        with pytest.raises(CanceledError):
            plain.transport.exchange("GET", plain.origin, "/x", {}, None, Deadline(Clock(), 5, cancel), 100)
        took = time.monotonic() - started
        assert dropped is None
        return took - 0.3

    assert promptly(0.7, late)
    assert eventually(lambda: open_files() <= before)


def test_a_late_cancel_does_not_hit_the_next_call_on_the_same_connection(network: Network) -> None:
    slow = threading.Event()

    def serve(peer: Peer) -> None:
        while True:
            request = peer.read_request()
            if request.body == b"slow":
                slow.set()
                time.sleep(0.3)
            peer.send(answer())

    network.server.script = serve
    cancel = Cancel()
    assert network.call(5, cancel).body == b"ok"

    def late() -> None:
        slow.wait(5)
        cancel.cancel()

    other = threading.Thread(target=late)
    other.start()
    assert network.call(5, body=b"slow").body == b"ok"
    other.join()
    assert network.server.accepted == 1


def test_cancels_that_race_the_end_of_their_call_never_hurt_another(plain: Network) -> None:
    """Each round cancels at about the moment when the answer comes; the call without a token must not notice."""
    faults: list[BaseException] = []
    done = threading.Event()

    def bystander() -> None:
        try:
            while not done.is_set():
                assert plain.call(5).body == b"ok"
        except BaseException as error:  # noqa: BLE001  # the thread that looks at it is another one
            faults.append(error)

    others = [threading.Thread(target=bystander) for _ in range(2)]
    for other in others:
        other.start()
    outcomes = set()
    for nth in range(150):
        cancel = Cancel()
        timer = threading.Timer(nth % 30 / 10_000, cancel.cancel)
        timer.start()
        try:
            outcomes.add(plain.call(5, cancel).status)
        except CanceledError:
            outcomes.add("canceled")
        timer.join()
    done.set()
    for other in others:
        other.join()

    assert faults == []
    assert outcomes <= {200, "canceled"}


def test_many_threads_share_a_transport(network: Network) -> None:
    faults: list[BaseException] = []

    def some() -> None:
        try:
            for _ in range(5):
                assert network.call(20).body == b"ok"
        except BaseException as error:  # noqa: BLE001  # the thread that looks at it is another one
            faults.append(error)

    threads = [threading.Thread(target=some) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []


def test_more_threads_than_the_pool_holds_make_no_noise(plain: Network, caplog: pytest.LogCaptureFixture) -> None:
    together = threading.Barrier(40, timeout=10)

    def meet(peer: Peer) -> None:
        peer.read_request()
        together.wait()
        peer.send(answer())
        well_behaved(peer)

    plain.server.script = meet
    threads = [threading.Thread(target=plain.call) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []
    assert plain.call().body == b"ok"


def test_many_origins_do_not_close_the_pools_of_others(plain: Network) -> None:
    """urllib3 1.26 closes the pool that was not used for longest once there are too many."""
    origins = [plain.origin._replace(host=f"127.0.0.{nth}") for nth in range(1, 60)]
    assert plain.call().body == b"ok"

    for origin in origins[1:]:
        plain.transport._pool(origin)

    assert plain.call().body == b"ok"
    assert plain.server.accepted == 1


def test_a_closed_transport_can_be_used_again_and_leaves_no_socket(network: Network) -> None:
    before = open_files()
    assert network.call().body == b"ok"

    network.transport.close()

    assert eventually(lambda: open_files() <= before)
    assert network.call().body == b"ok"
