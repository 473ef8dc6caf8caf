"""A `requests.Session` of the user's own: it does what its owner told it, and fails in our words."""

from __future__ import annotations

import gc
import gzip
import os
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests.adapters
import requests.auth
import urllib3
from chaos_network import WAYS, Network, eventually, network_of, open_files
from chaos_server import CERTIFICATES, ChaosServer, Peer, answer, server_context
from faults import BIG_UPLOAD, FAULTS, HEAD, behave
from punctual import promptly

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.answer import SocketAnswer
from flyte_lite._http.origin import Origin
from flyte_lite._http.session_transport import _CHUNKS_BADLY, SessionTransport
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.method import Method
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import (
    AnswerTooLargeError,
    CallTimeoutError,
    CanceledError,
    ConfigError,
    ConnectFailedError,
    ConnectionLostError,
    EndpointError,
    NotFoundError,
    TlsError,
)
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

DEADLINE = 0.4
LATE = 0.35
AT_ONCE = 0.5
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

WAITS = (
    "silent",
    "unfinished headers",
    "stalled handshake",
    "stalled tunnel",
)
"""Where requests is in a single wait, which its own timeout ends."""

BODIES = (
    "headers, then silence",
    "trickled body",
    "last body, then silence",
    "trickled endless body",
    "trickled chunks",
    "unfinished chunks",
)
"""Where we are in charge."""


def points(names: tuple[str, ...]) -> list[Any]:
    return [
        pytest.param((way, name), id=f"{way}: {name}") for name in names for way in WAYS if FAULTS[name].ways in way
    ]


def lend(network: Network) -> requests.Session:
    """The network's transport is one over this session from here on."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(CERTIFICATES / "authority.pem")
    session.proxies = {name[:-6].lower(): url for name, url in network.environ.items()}
    network.transport.close()
    network.transport = SessionTransport(session)
    return session


@pytest.fixture
def session(network: Network) -> Iterator[requests.Session]:
    with lend(network) as session:
        yield session


@pytest.fixture
def plain_session(plain: Network) -> Iterator[requests.Session]:
    with lend(plain) as session:
        yield session


@pytest.fixture
def stuck(request: pytest.FixtureRequest) -> Iterator[Network]:
    way, name = request.param
    with network_of(way) as network, lend(network):
        FAULTS[name].prepare(network)
        yield network


def read_on(network: Network, *args: Any, **options: Any) -> bytes:
    opened = network.open(*args, **options)
    return b"".join(iter(opened.read_some, b""))


def test_calls_in_a_row_share_one_connection(network: Network, session: requests.Session) -> None:
    for _ in range(3):
        found = network.call()
        assert (found.status, found.reason, found.body) == (200, "OK", b"ok")

    assert network.server.accepted == 1
    assert [request.body for request in network.server.requests] == [b"asked"] * 3


def test_a_stream_comes_piece_by_piece_and_gives_its_connection_back(
    network: Network, session: requests.Session
) -> None:
    go_on = threading.Event()

    def serve(peer: Peer) -> None:
        for _ in range(2):
            peer.read_request()
            peer.send(CHUNKED)
            for piece in (b"one", b"two"):
                peer.send_chunk(piece)
                assert go_on.wait(5)
                go_on.clear()
            peer.send_chunk(b"")

    network.server.script = serve
    for _ in range(2):
        opened = network.open(idle=5)
        assert opened.read_some() == b"one"
        go_on.set()
        assert opened.read_some() == b"two"
        go_on.set()
        assert opened.finish(3) == b""
        opened.close()
    assert network.server.accepted == 1


@pytest.mark.skipif(_CHUNKS_BADLY, reason="this requests would send them past proxy and timeout")
def test_pieces_are_sent_as_they_come(network: Network, session: requests.Session) -> None:
    chunks: list[bytes] = []
    arrived = threading.Semaphore(0)

    def serve(peer: Peer) -> None:
        peer.read_head()
        while not chunks or chunks[-1]:
            chunks.append(peer.read_chunk())
            arrived.release()
        peer.send(answer(b"thanks"))

    def pieces() -> Iterator[bytes]:
        for piece in (b"one", b"", b"two"):
            yield piece
            if piece:
                assert arrived.acquire(timeout=5)

    network.server.script = serve

    assert read_on(network, body=pieces()) == b"thanks"
    assert chunks == [b"one", b"two", b""]


def test_pieces_arrive(network: Network, session: requests.Session) -> None:
    came: list[bytes] = []

    def serve(peer: Peer) -> None:
        _, _, headers = peer.read_head()
        if "transfer-encoding" in headers:
            while not came or came[-1]:
                came.append(peer.read_chunk())
        else:
            assert headers["content-length"] == ["6"]
            came.append(b"onetwo")
        peer.send(answer(b"thanks"))
        peer.silence()

    network.server.script = serve

    assert read_on(network, body=iter([b"one", b"", b"two"])) == b"thanks"
    assert b"".join(came) == b"onetwo"


@pytest.mark.parametrize("kind", [ValueError, BrokenPipeError, ConnectionResetError, TimeoutError, KeyboardInterrupt])
def test_what_pieces_raise_comes_out_unchanged(
    plain: Network, plain_session: requests.Session, kind: type[BaseException]
) -> None:
    error = kind("of the caller")

    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise error

    plain.server.script = lambda peer: peer.silence()

    with pytest.raises(kind) as caught:
        plain.open(body=pieces())

    assert caught.value is error


@pytest.mark.parametrize("stuck", points(WAITS + BODIES), indirect=True)
def test_a_stuck_call_ends_at_its_deadline(stuck: Network) -> None:
    before = open_files()

    def late() -> float:
        started = time.monotonic()
        with pytest.raises(CallTimeoutError) as caught:
            read_on(stuck, DEADLINE, idle=5)
        took = time.monotonic() - started

        assert took >= DEADLINE - 0.01
        assert "0.4 s" in str(caught.value)
        del caught  # what requests raises holds its connection
        assert eventually(lambda: open_files() <= before)
        return took - DEADLINE

    assert promptly(LATE, late)
    behave(stuck)
    assert stuck.call().body == b"ok"


@pytest.mark.parametrize("stuck", points(("silent", "unfinished chunks")), indirect=True)
def test_a_stream_ends_when_no_byte_comes_for_long(stuck: Network) -> None:
    def late() -> float:
        started = time.monotonic()
        with pytest.raises(CallTimeoutError, match=r"no byte for 0\.3 s"):
            read_on(stuck, 10, idle=0.3)
        took = time.monotonic() - started
        assert took >= 0.29
        return took - 0.3

    assert promptly(LATE, late)


@pytest.mark.parametrize("stuck", points(BODIES), indirect=True)
def test_a_cancel_ends_a_body_at_once(stuck: Network) -> None:
    before = open_files()

    def late() -> float:
        cancel = Cancel()
        opened = stuck.open(10, cancel)
        started = time.monotonic()
        canceling = threading.Timer(0.1, cancel.cancel)
        canceling.start()
        with pytest.raises(CanceledError):
            b"".join(iter(opened.read_some, b""))
        took = time.monotonic() - started

        canceling.join()
        assert cancel._on_cancel == []
        assert eventually(lambda: open_files() <= before)
        return took - 0.1

    assert promptly(AT_ONCE, late)


def test_a_cancel_during_the_wait_for_the_head_ends_it_when_the_head_comes(
    network: Network, session: requests.Session
) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.reached()
        assert canceled.wait(5)
        peer.send(HEAD + b"Content-Length: 5\r\n\r\n")
        peer.silence()

    canceled = threading.Event()
    network.server.script = serve
    before = open_files()
    cancel = Cancel()
    canceling = threading.Thread(
        target=lambda: (network.server.reached.wait(5), cancel.cancel(), time.sleep(0.1), canceled.set())
    )
    canceling.start()

    with pytest.raises(CanceledError):
        network.open(10, cancel)

    canceling.join()
    assert eventually(lambda: open_files() <= before)


@pytest.mark.parametrize("by", ["read", "read_some"])
@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 10\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_body_that_is_cut_off_is_lost(network: Network, session: requests.Session, sent: bytes, by: str) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD + sent)

    network.server.script = serve

    with pytest.raises(ConnectionLostError, match=r"body ended after \d+ bytes") as caught:
        network.open().read(100) if by == "read" else read_on(network)

    assert caught.value.sent


def test_a_body_that_the_connection_ends_is_simply_over(network: Network, session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD + b"\r\nall of it")

    network.server.script = serve
    before = open_files()

    assert read_on(network) == b"all of it"
    assert network.call().body == b"all of it"
    assert eventually(lambda: open_files() <= before)


def test_a_body_stays_packed(plain: Network, plain_session: requests.Session) -> None:
    packed = gzip.compress(b"unpacked " * 10)
    plain.server.script = lambda peer: (
        peer.read_request(),
        peer.send(answer(packed, headers="Content-Encoding: gzip\r\n")),
    )  # type: ignore[func-returns-value]

    found = plain.call()

    assert found.body == packed
    assert found.headers["content-encoding"] == ["gzip"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_costs_the_limit_only(network: Network, session: requests.Session, chunked: bool) -> None:
    def endless(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEAD + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 99999999999\r\n\r\n"))
        while True:
            peer.send((b"10000\r\n" if chunked else b"") + b"z" * 65536 + b"\r\n")

    network.server.script = endless
    before = open_files()

    with pytest.raises(AnswerTooLargeError, match="limit of 1048576"):
        network.call()

    assert eventually(lambda: open_files() <= before)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_that_have_no_body_by_law_need_none(
    plain: Network, plain_session: requests.Session, status: str
) -> None:
    def bodiless(peer: Peer) -> None:
        while True:
            peer.read_request()
            peer.send(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n".encode())

    plain.server.script = bodiless

    assert plain.call().body == b""
    assert read_on(plain) == b""
    assert plain.server.accepted == 1


@pytest.mark.parametrize("max_redirects", [0, 30])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_body_is_not_read_in_advance(
    plain: Network, plain_session: requests.Session, status: int, max_redirects: int
) -> None:
    def elsewhere(peer: Peer) -> None:
        peer.read_request()
        peer.send(f"HTTP/1.1 {status} Elsewhere\r\nLocation: /y\r\nContent-Length: 99999999999\r\n\r\n".encode())
        peer.silence()

    plain.server.script = elsewhere
    plain_session.max_redirects = max_redirects

    opened = plain.open()

    assert (opened.status, opened.headers["location"]) == (status, ["/y"])
    opened.close()
    assert len(plain.server.requests) == 1


def test_their_headers_cookies_auth_and_parameters_go_along(plain: Network, plain_session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        while True:
            peer.read_request()
            peer.send(answer(headers="Set-Cookie: sticky=1\r\n"))

    plain.server.script = serve
    plain_session.headers["X-Org"] = "theirs"
    plain_session.headers["Content-Type"] = "text/plain"
    plain_session.auth = ("user", "password")
    plain_session.params = {"tenant": "x"}
    deadline = Deadline(SYSTEM_CLOCK, 5)
    headers = {
        "content-type": "application/proto",
        "authorization": "Bearer ours",
        "x-many": ["1", "2"],
        "x-none": [],
        "user-agent": "flyte-lite",
    }
    for _ in range(2):
        plain.transport.exchange("POST", plain.origin, "/x?a=%20b", headers, b"", deadline, 100)

    first, second = plain.server.requests
    assert first.target == "/x?a=%20b&tenant=x"
    assert first.headers["x-org"] == ["theirs"]
    assert first.headers["authorization"] == [requests.auth._basic_auth_str("user", "password")]
    assert first.headers["content-type"] == ["application/proto"]
    assert first.headers["user-agent"] == ["flyte-lite"]
    assert first.headers["x-many"] == ["1, 2"]
    assert first.headers["accept-encoding"] == ["identity"]
    assert "x-none" not in first.headers
    assert "cookie" not in first.headers
    assert second.headers["cookie"] == ["sticky=1"]


def test_a_header_that_can_not_be_sent_is_not_repeated(plain: Network, plain_session: requests.Session) -> None:
    with pytest.raises(ValueError, match="the value of the header x-a") as caught:
        plain.transport.open("GET", plain.origin, "/", {"x-a": "secret\n"}, None, Deadline(SYSTEM_CLOCK, 5))
    assert "secret" not in str(caught.value)

    plain_session.headers["X-Theirs"] = "secret\n"
    with pytest.raises(ConfigError, match="a header that the session adds") as other:
        plain.open()
    assert "secret" not in str(other.value)
    assert other.value.__cause__ is None


@pytest.mark.parametrize("proxy", ["http://me:planted@host:bad", "http://me:planted@[::1", "http://me:planted@h:99999"])
def test_a_proxy_that_is_no_address_hides_its_password(
    plain: Network, plain_session: requests.Session, proxy: str
) -> None:
    plain_session.proxies["http"] = proxy
    with pytest.raises(ConfigError, match="an address that the session has, such as a proxy's, is none") as caught:
        plain.open()

    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_answer_that_could_not_be_made_is_freed_in_silence() -> None:
    SocketAnswer.__new__(SocketAnswer).__del__()


def test_a_length_that_is_no_number_of_bytes_is_no_length(plain: Network, plain_session: requests.Session) -> None:
    """Python itself refuses to read so many digits, with a ValueError."""

    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nok")

    plain.server.script = serve
    assert plain.call().body == b"ok"


def test_their_hooks_are_called_and_may_raise(plain: Network, plain_session: requests.Session) -> None:
    seen: list[int] = []
    plain_session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    assert plain.call().body == b"ok"
    assert seen == [200]

    error = LookupError("of the hook")

    def refuse(response: requests.Response, **_: Any) -> None:
        raise error

    plain_session.hooks["response"].append(refuse)
    with pytest.raises(LookupError) as caught:
        plain.call()
    assert caught.value is error


def test_a_hook_that_raises_for_the_status_leaves_what_it_means_to_us(
    plain: Network, plain_session: requests.Session
) -> None:
    body = b'{"code": "not_found", "message": "no such run"}'
    plain.server.script = lambda peer: (  # type: ignore[func-returns-value]
        peer.read_request(),
        peer.send(answer(body, status="404 Not Found", headers="Content-Type: application/json\r\n")),
    )
    plain_session.hooks["response"].append(lambda response, **_: response.raise_for_status())

    with pytest.raises(NotFoundError, match="no such run"):
        _unary(plain)


def test_a_hook_may_read_the_body(plain: Network, plain_session: requests.Session) -> None:
    packed = gzip.compress(b"a message")
    plain.server.script = lambda peer: (
        peer.read_request(),
        peer.send(answer(packed, headers="Content-Encoding: gzip\r\n")),
    )  # type: ignore[func-returns-value]
    read: list[bytes] = []
    plain_session.hooks["response"].append(lambda response, **_: read.append(response.content))

    found = plain.call()

    assert read == [b"a message"]
    assert found.body == b"a message"
    assert "content-encoding" not in found.headers


class Canned(requests.adapters.BaseAdapter):
    """A mounted adapter that has nothing to do with sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[requests.PreparedRequest] = []
        self.timeouts: list[Any] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        import io

        self.asked.append(request)
        self.timeouts.append(options["timeout"])
        response = requests.Response()
        response.status_code = 200
        response.reason = "OK"
        response.request = request
        response.raw = urllib3.HTTPResponse(
            body=io.BytesIO(b"canned"), headers={"X-Canned": "yes"}, status=200, preload_content=False
        )
        response.headers["X-Canned"] = "yes"
        return response

    def close(self) -> None:
        raise AssertionError("it is not ours to close")


def test_mounted_adapters_are_used(plain: Network, plain_session: requests.Session) -> None:
    adapter = Canned()
    plain_session.mount("http://", adapter)

    found = plain.call()
    plain.transport.close()

    assert (found.status, found.headers, found.body) == (200, {"x-canned": ["yes"]}, b"canned")
    assert read_on(plain) == b"canned"
    assert [request.url for request in adapter.asked] == [f"{plain.origin}/x"] * 2
    assert all(0 < seconds <= 10 for pair in adapter.timeouts for seconds in pair)
    assert plain.server.accepted == 0
    plain_session.adapters.clear()


def test_no_adapter_for_it_is_a_matter_of_configuration(plain: Network, plain_session: requests.Session) -> None:
    plain_session.adapters.clear()

    with pytest.raises(ConfigError, match="No connection adapters"):
        plain.call()


def test_no_query_is_told_of_an_address_that_it_takes_no_adapter_for() -> None:
    with requests.Session() as bare:
        bare.adapters.clear()
        transport = SessionTransport(bare)
        deadline = Deadline(SYSTEM_CLOCK, 5)
        with pytest.raises(ConfigError, match="No connection adapters") as caught:
            transport.open("GET", Origin("https", "store.test", 443), "/o?X-Sig=5ignature", {}, None, deadline)
    assert "5ignature" not in f"{caught.value} {caught.value.__cause__}"


def test_their_retries_are_theirs(plain: Network, plain_session: requests.Session) -> None:
    plain.server.script = lambda peer: [  # type: ignore[func-returns-value]
        (peer.read_request(), peer.send(answer(b"", status="503 Not Now"))) for _ in range(9)
    ]
    retries = urllib3.util.Retry(2, status_forcelist=[503], allowed_methods=None, raise_on_status=True)  # type: ignore[arg-type]
    plain_session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))

    with pytest.raises(ConnectionLostError, match="tried again and gave up"):
        plain.call()

    assert len(plain.server.requests) == 3


def test_their_certificates_count() -> None:
    with ChaosServer(tls=server_context(clients="client_authority")) as server, network_of("tls") as network:
        network.origin = network.origin._replace(port=server.port)
        session = lend(network)
        with session, pytest.raises((TlsError, ConnectionLostError)):
            network.call()
        session.cert = str(CERTIFICATES / "client.pem")
        with session:
            assert network.call().body == b"ok"
        session.verify = str(CERTIFICATES / "stranger.pem")
        with session, pytest.raises(TlsError, match="not trusted"):
            network.call()


def test_a_server_that_is_not_there_says_so(network: Network, session: requests.Session) -> None:
    nobody = network.origin._replace(port=1)

    with pytest.raises(ConnectFailedError) as caught:
        network.call(origin=nobody) if network.proxy is None else _through_nobody(network, session)

    assert not caught.value.sent


def _through_nobody(network: Network, session: requests.Session) -> None:
    session.proxies = dict.fromkeys(session.proxies, "http://127.0.0.1:1")
    network.call()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # Python before 3.11 leaves the socket to be collected
@pytest.mark.parametrize(("status", "text"), [("403 Forbidden", "403"), ("407 Who", "407.*set them in its `proxies`")])
def test_a_tunnel_that_is_refused_says_so(status: str, text: str) -> None:
    with network_of("proxied tls") as network, lend(network):
        assert network.proxy is not None
        network.proxy.instead_of_tunnel = lambda peer: peer.send(answer(b"", status=status))

        with pytest.raises(ConnectFailedError, match=f"did not open a tunnel: .*{text}") as caught:
            network.call()
        del caught
        gc.collect()


def test_another_protocol_and_endless_heads_are_refused(network: Network, session: requests.Session) -> None:
    for data, text in (
        (b"SSH-2.0-OpenSSH_9.9\r\n", "does not speak HTTP"),
        (HEAD + b"x: y\r\n" * 200 + b"\r\n", "head is larger"),
    ):
        network.server.script = lambda peer, data=data: (peer.read_request(), peer.send(data))  # type: ignore[misc,func-returns-value]
        with pytest.raises(EndpointError, match=text):
            network.call()


def test_a_server_that_hangs_up_is_a_loss(network: Network, session: requests.Session) -> None:
    network.server.script = lambda peer: peer.read_request()  # type: ignore[func-returns-value]

    with pytest.raises(ConnectionLostError) as caught:
        network.call()

    assert caught.value.sent


def test_a_big_upload_arrives_whole(plain: Network, plain_session: requests.Session) -> None:
    assert plain.call(body=BIG_UPLOAD).body == b"ok"
    assert zlib.crc32(plain.server.requests[0].body) == zlib.crc32(BIG_UPLOAD)


def test_closing_a_stream_frees_its_socket_and_not_the_session(network: Network, session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED)
        peer.send_chunk(b"message")
        peer.silence()

    network.server.script = serve
    before = open_files()
    opened = network.open(5, Cancel())
    assert opened.read_some() == b"message"

    opened.close()
    opened.close()
    network.transport.close()

    assert eventually(lambda: open_files() <= before)
    behave(network)
    assert network.call().body == b"ok"


def test_a_late_cancel_does_not_hit_the_next_call(network: Network, session: requests.Session) -> None:
    cancel = Cancel()
    opened = network.open(5, cancel)
    assert opened.read_some() == b"ok"
    assert opened.read_some() == b""

    def serve_late() -> None:
        time.sleep(0.1)
        cancel.cancel()

    assert cancel._on_cancel == []
    other = threading.Thread(target=serve_late)
    other.start()
    assert network.call().body == b"ok"
    other.join()
    assert network.server.accepted == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_makes_connections_of_its_own(network: Network, session: requests.Session) -> None:
    from test_fork import _in_a_child

    assert network.call().body == b"ok"

    def work() -> None:
        for _ in range(2):
            assert network.call(5).body == b"ok"

    assert _in_a_child(work) == 0
    assert network.call().body == b"ok"
    assert network.server.accepted == 2


def test_many_threads_share_a_session(network: Network, session: requests.Session) -> None:
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=32))
    faults: list[BaseException] = []

    def some() -> None:
        try:
            for _ in range(3):
                assert network.call(20).body == b"ok"
        except BaseException as error:  # noqa: BLE001  # the thread that looks at it is another one
            faults.append(error)

    threads = [threading.Thread(target=some) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []


METHOD: Method[Any, Any] = Method(run_service_pb2, "RunService", "GetRunDetails", safe=True)


def _unary(network: Network) -> Any:
    channel = Channel(network.transport, network.origin, retry=RetryPolicy(retries=0))
    return channel.unary(METHOD, run_service_pb2.GetRunDetailsRequest(), deadline=Deadline(SYSTEM_CLOCK, 5)).message


def test_a_channel_takes_it_for_calls_and_streams(network: Network, session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        while True:
            kind = peer.read_request().headers["content-type"][0]
            if "connect+" in kind:
                peer.send(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                for _ in range(3):
                    peer.send_chunk(b"\0\0\0\0\0")
                # All at once: the end of a body that is late costs its connection.
                peer.send(b"7\r\n\2\0\0\0\2{}\r\n0\r\n\r\n")
            else:
                peer.send(answer(b"", headers="Content-Type: application/proto\r\n"))

    network.server.script = serve
    channel = Channel(network.transport, network.origin)

    assert _unary(network) == run_service_pb2.GetRunDetailsResponse()
    with channel.server_stream(
        METHOD, run_service_pb2.GetRunDetailsRequest(), deadline=Deadline(SYSTEM_CLOCK, 5)
    ) as stream:
        assert len(list(stream)) == 3
    assert _unary(network) == run_service_pb2.GetRunDetailsResponse()
    assert network.server.accepted == 1


def test_an_object_store_learns_nothing_of_who_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with ChaosServer() as server, requests.Session() as session:
        session.auth = ("me", "secret")
        session.headers["X-Api-Key"] = "secret"
        session.cookies.set("token", "secret")
        session.hooks["response"].append(lambda response, **_: response.raise_for_status())
        transport = SessionTransport(session)
        for each in (transport, transport.for_strangers()):
            origin = Origin("http", "127.0.0.1", server.port)
            each.exchange("GET", origin, "/", {"accept-encoding": "gzip"}, None, Deadline(SYSTEM_CLOCK, 5), 1000)

        own, strange = server.requests

    assert {"authorization", "x-api-key", "cookie"} <= set(own.headers)
    assert {"authorization", "x-api-key", "cookie"}.isdisjoint(strange.headers)
    assert strange.headers["accept-encoding"] == ["gzip"]
    assert "secret" not in str(strange)
    # Over the same connection, as the session's adapters are used.
    assert server.accepted == 1
