"""A devbox that speaks TLS: with our client, and by hand where it matters what goes over the wire."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from devbox_client import wait_for
from punctual import promptly

from flyte_lite import Client
from flyte_lite.devbox import Devbox, report
from flyte_lite.devbox.tls import handshake, server_context
from flyte_lite.errors import EndpointError, TlsError

CERTIFICATES = Path(__file__).parents[1] / "chaos" / "certificates"
SERVER, AUTHORITY = CERTIFICATES / "server.pem", CERTIFICATES / "authority.pem"
GO = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: devbox\r\n\r\n"
PLACE = {"project": "flytesnacks", "domain": "development"}
WATCH_RUNS = (
    b"POST /flyteidl2.workflow.RunService/WatchRuns HTTP/1.1\r\nHost: devbox\r\n"
    b"Content-Type: application/connect+json\r\nContent-Length: 7\r\n\r\n\0\0\0\0\2{}"
)


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox(certificate=SERVER) as box:

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str) -> str:
            report.log(f"<p>{name}</p>", do_flush=True)
            return f"hello {name}"

        yield box


def client_of(box: Devbox) -> Client:
    return Client(box.endpoint, **PLACE, ca_cert_file_path=str(AUTHORITY))


def tcp(box: Devbox) -> socket.socket:
    host, _, port = box.endpoint.partition("//")[2].rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def tls(box: Devbox) -> ssl.SSLSocket:
    """A connection that is strict: an end that is not announced is an error."""
    context = ssl.create_default_context(cafile=str(AUTHORITY))
    return context.wrap_socket(tcp(box), server_hostname="127.0.0.1", suppress_ragged_eofs=False)


def answered(connection: socket.socket) -> bool:
    connection.sendall(HEALTH)
    got = connection.recv(1000)
    # Head and body are sent one after the other.
    while got and not got.endswith(b"\r\n\r\nOK"):
        got += connection.recv(1000)
    return got.startswith(b"HTTP/1.1 200 OK\r\n")


def everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_a_run_from_its_launch_to_its_report(box: Devbox) -> None:
    assert box.endpoint.startswith("https://127.0.0.1:")
    with client_of(box) as client:
        run = client.run(client.tasks.get("greetings.hello", version="v1"), name="Ada")
        run.wait(quiet=True)

        assert run.outputs()[0] == "hello Ada"
        assert "<p>Ada</p>" in run.get_report()
    (link,) = box.calls.of("DataProxyService/CreateDownloadLink")[-1].response.pre_signed_urls.signed_url
    assert link.startswith(box.endpoint + "/flyte-data/")


def test_who_speaks_plain_http_is_told_as_by_go(box: Devbox) -> None:
    body = b"x" * 5_000_000
    upload = b"POST /any HTTP/1.1\r\nHost: devbox\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for request in (HEALTH, upload):
        with tcp(box) as connection:
            connection.sendall(request)
            assert everything(connection) == GO

    plain = box.endpoint.replace("https:", "http:")
    with Client(plain, **PLACE) as client, pytest.raises(EndpointError) as refused:
        list(client.runs.listall())
    assert "use https://" in str(refused.value)


def test_who_does_not_trust_the_certificate_goes_away_and_others_stay(box: Devbox) -> None:
    with Client(box.endpoint, **PLACE) as client, pytest.raises(TlsError):
        list(client.runs.listall())
    with tls(box) as connection:
        assert answered(connection)


def test_nobody_waits_for_those_who_never_begin(box: Devbox) -> None:
    silent = [tcp(box) for _ in range(50)]
    for connection in silent[:10]:
        # The first bytes of a handshake.
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")

    def took() -> float:
        began = time.monotonic()
        with tls(box) as connection:
            assert answered(connection)
        return time.monotonic() - began

    assert promptly(1.0, took)
    for connection in silent:
        connection.close()


def test_strangers_at_the_port_leave_nothing_behind(box: Devbox, caplog: pytest.LogCaptureFixture) -> None:
    hello = first_words()
    seed = random.Random(9)
    open_before = files()

    for turn in range(60):
        with tcp(box) as connection, contextlib.suppress(OSError):
            if turn % 3 == 0:
                connection.sendall(seed.randbytes(seed.randrange(1, 2000)))
            elif turn % 3 == 1:
                at = seed.randrange(len(hello))
                connection.sendall(hello[:at] + bytes([hello[at] ^ 255]) + hello[at + 1 :])
            else:
                connection.sendall(hello[: seed.randrange(len(hello))])
            if turn % 2:
                # Closed with a reset, also of what has not been read.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif turn % 3 == 1:
                connection.recv(100)

    with tls(box) as connection:
        assert answered(connection)
    assert wait_for(lambda: files() <= open_before)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def first_words() -> bytes:
    """How a client begins a handshake."""
    ours, read = socket.socketpair()
    with ours, read:
        context = ssl.create_default_context(cafile=str(AUTHORITY))
        wrapped = context.wrap_socket(ours, server_hostname="127.0.0.1", do_handshake_on_connect=False)
        wrapped.settimeout(0)
        with wrapped, pytest.raises(ssl.SSLWantReadError):
            wrapped.do_handshake()
        return read.recv(10_000)


def files() -> int:
    """How many files are open in this process, where the system tells."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_a_handshake_takes_as_long_as_it_may() -> None:
    context = server_context(SERVER, None)
    assert context is not None
    ours, silent = socket.socketpair()
    with silent, context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False) as connection:
        began = time.monotonic()
        with pytest.raises(socket.timeout):
            handshake(connection, 0.05)
        assert time.monotonic() - began < 5


def test_what_follows_a_handshake_has_the_time_that_it_had_before() -> None:
    context = server_context(SERVER, None)
    assert context is not None
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    ours, theirs = socket.socketpair()
    trusting = ssl.create_default_context(cafile=str(AUTHORITY))
    with ThreadPoolExecutor(1) as pool:
        client = pool.submit(trusting.wrap_socket, theirs, server_hostname="127.0.0.1")
        with context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False) as connection:
            connection.settimeout(77)
            assert handshake(connection, 10)
            assert connection.gettimeout() == 77
            client.result(10).close()


def test_a_request_that_came_with_the_one_before_is_answered(box: Devbox) -> None:
    # The first fills the buffer that connections are read by, so the second is decrypted and on no socket any more.
    padding = 8192 - len(HEALTH) - len(b"X-Pad: \r\n")
    first = HEALTH[:-2] + b"X-Pad: " + b"x" * padding + b"\r\n\r\n"
    assert len(first) == 8192
    with tls(box) as connection:
        connection.settimeout(5)
        connection.sendall(first + HEALTH)
        got = b""
        while got.count(b"HTTP/1.1 200 OK\r\n") < 2:
            got += connection.recv(1000)


def test_an_end_is_announced(box: Devbox) -> None:
    with tls(box) as connection:
        connection.sendall(HEALTH[:-2] + b"Connection: close\r\n\r\n")
        assert everything(connection).endswith(b"OK")


def test_a_head_that_is_too_long_is_refused_and_the_refusal_arrives(box: Devbox) -> None:
    with tls(box) as connection:
        connection.sendall(HEALTH[:-2] + b"X-Long: " + b"x" * 1_200_000 + b"\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 431 ")


def test_a_stream_ends_when_its_client_leaves_and_not_before(caplog: pytest.LogCaptureFixture) -> None:
    # No run is there, so a stream of runs says nothing until it ends.
    with Devbox(certificate=SERVER) as box:
        begun = box.calls.of
        stays, halts, leaves, vanishes, breaks = (tls(box) for _ in range(5))
        for number, connection in enumerate((stays, halts, leaves, vanishes, breaks), 1):
            connection.sendall(WATCH_RUNS)
            assert wait_for(lambda number=number: len(begun("RunService/WatchRuns")) == number)
        # It asks for more on the same connection, which is no end.
        stays.sendall(HEALTH)
        # The beginning of a record of TLS, which has nothing to read in it yet.
        socket.socket.sendall(halts, b"\x17\x03\x03\x00\x40")

        leaves.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            leaves.unwrap()
        vanishes.close()
        # No record of TLS.
        socket.socket.sendall(breaks, b"x" * 100)

        assert wait_for(lambda: [call.finished is not None for call in begun("RunService/WatchRuns")][2:] == [True] * 3)
        assert [call.finished for call in begun("RunService/WatchRuns")][:2] == [None, None]
        # It has said that it sends no more, and still gets the end of the stream.
        leaves.settimeout(10)
        got = b""
        while not got.endswith(b"0\r\n\r\n"):
            got += leaves.recv(1000)
        assert got.startswith(b"HTTP/1.1 200 ")
    for connection in (stays, halts, leaves, breaks):
        connection.close()
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


def test_a_program_signs_in_by_https_all_the_way() -> None:
    with Devbox(certificate=SERVER, auth=True) as box:
        key = box.issuer.api_key
        with Client(api_key=key, ca_cert_file_path=str(AUTHORITY), **PLACE) as client:
            assert list(client.runs.listall()) == []
        told = box.calls.of("AuthMetadataService/GetOAuth2Metadata")[-1].response
        assert told.token_endpoint.startswith(box.endpoint + "/")
        assert box.issuer.issued() == {"client_credentials": 1}


def test_it_speaks_tls_after_an_outage_and_a_reset() -> None:
    with Devbox(certificate=SERVER) as box, client_of(box) as client:
        endpoint = box.endpoint
        assert list(client.runs.listall()) == []
        with box.outage(), pytest.raises(ConnectionRefusedError):
            tcp(box)
        with tls(box) as connection:
            assert answered(connection)
            box.reset()
            assert answered(connection)
        assert (box.endpoint, list(client.runs.listall())) == (endpoint, [])


def test_stopping_takes_less_than_a_second_whatever_is_open() -> None:
    def took() -> float:
        box = Devbox(certificate=SERVER)
        box.start()
        streams, idle, silent = ([open_(box) for _ in range(20)] for open_ in (tls, tls, tcp))
        for connection in streams:
            connection.sendall(WATCH_RUNS)
        for connection in idle:
            assert answered(connection)
        assert wait_for(lambda: len(box.calls.of("RunService/WatchRuns")) == len(streams))

        began = time.monotonic()
        box.close()
        seconds = time.monotonic() - began

        for connection in [*streams, *idle, *silent]:
            connection.close()
        return seconds

    assert promptly(1.5, took)


@pytest.fixture(scope="module")
def unusable(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that no certificate can be shown by, and one that has a key alone."""
    folder = tmp_path_factory.mktemp("certificates")
    pem = SERVER.read_text()
    begin = pem.index("-----BEGIN CERTIFICATE-----")
    made = {"key.pem": pem[:begin], "alone.pem": pem[begin:], "text.pem": "certificate"}
    for name, text in made.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in [*made, "nowhere.pem"]}


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        (None, "key.pem", "a private key needs its certificate"),
        ("nowhere.pem", None, "the certificate .*nowhere.pem can't be read: No such file"),
        ("alone.pem", "nowhere.pem", "the private key .*nowhere.pem can't be read: No such file"),
        ("alone.pem", None, "no certificate and private key in PEM in .*alone.pem .*Give private_key="),
        ("text.pem", "key.pem", "no certificate and private key in PEM in .*text.pem and .*key.pem"),
        ("alone.pem", str(CERTIFICATES / "stranger.pem"), "stranger.pem belongs to another certificate than .*alone"),
        ("alone.pem", str(CERTIFICATES / "client_locked_key.pem"), "the private key is encrypted"),
    ],
)
def test_what_can_t_be_shown_is_refused_in_words(
    unusable: dict[str, Path], tmp_path: Path, certificate: str, key: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        Devbox(
            certificate=unusable.get(certificate, certificate),
            private_key=unusable.get(key, key),
            state=tmp_path / "state",
        )
    assert "PRIVATE KEY" not in str(refused.value)
    assert not (tmp_path / "state").exists()


def test_the_key_may_be_in_a_file_of_its_own(unusable: dict[str, Path]) -> None:
    files = {"certificate": str(unusable["alone.pem"]), "private_key": str(unusable["key.pem"])}
    with Devbox(**files) as box, tls(box) as connection:  # type: ignore[arg-type]
        assert answered(connection)
