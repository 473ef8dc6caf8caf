"""Identity providers that mean harm, or are broken: a call ends in time, says why, and nothing of theirs is shown."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from chaos_server import CERTIFICATES, ChaosServer, Peer, answer, server_context
from flyte_server import FlyteServer, message

from flyte_lite import Client, errors
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2

JSON = "Content-Type: application/json\r\n"
GOOD = {"access_token": "abc", "token_type": "Bearer", "expires_in": 3600}
CHUNKED = f"HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n".encode()
PIECE = b"x" * 65536


class Provider(ChaosServer):
    """Answers a request for a token with a script.

    Attributes:
        sent: Bytes that went out, where the script counts them.
    """

    def __init__(self, script: Callable[[Provider, Peer], None]) -> None:
        super().__init__(self._serve_tokens, tls=server_context())
        self._act = script
        self.sent = 0

    def _serve_tokens(self, peer: Peer) -> None:
        while True:
            peer.read_request()
            self._act(self, peer)

    def pour(self, peer: Peer, head: bytes, piece: bytes) -> None:
        """Without an end."""
        peer.send(head)
        while not self.stopping.is_set():
            peer.send(piece)
            self.sent += len(piece)


def says(*fields: Any, status: str = "200 OK", headers: str = JSON) -> Callable[[Provider, Peer], None]:
    body = json.dumps(fields[0]).encode() if not isinstance(fields[0], bytes) else fields[0]
    return lambda provider, peer: peer.send(answer(body, status=status, headers=headers))


def calling(provider: Provider, server: FlyteServer, timeout: float) -> Client:
    metadata = auth_service_pb2.GetOAuth2MetadataResponse(token_endpoint=f"https://127.0.0.1:{provider.port}/token")
    server.answers["GetOAuth2Metadata"] = message(metadata)
    known: dict[str, Any] = {"ca_cert_file_path": str(CERTIFICATES / "authority.pem"), "rpc_retries": 0}
    known |= {"client_id": "app", "client_credentials_secret": "s3cret", "project": "p", "domain": "development"}
    return Client(server.url, timeout=timeout, **known)


def fails(script: Callable[[Provider, Peer], None], timeout: float = 20.0) -> tuple[errors.CallError, Provider]:
    """How a call ends whose provider acts so; it never reaches the server."""
    with Provider(script) as provider, FlyteServer(tls=server_context()) as server:
        with calling(provider, server, timeout) as client, pytest.raises(errors.CallError) as caught:
            list(client.runs.listall(limit=1))
        assert [each for each in server.requests if each.target.endswith("ListRuns")] == []
        assert not caught.value.sent
        return caught.value, provider


SLOW: dict[str, Callable[[Provider, Peer], None]] = {
    "silence": lambda provider, peer: peer.silence(),
    "a head by drops": lambda provider, peer: peer.drip(answer(b"{}", headers="X: " + "x" * 60_000 + "\r\n"), 0.01),
    "a body by drops": lambda provider, peer: peer.drip(answer(b" " * 60_000, headers=JSON), 0.01),
    "chunks by drops": lambda provider, peer: peer.drip(CHUNKED + b"1\r\n \r\n" * 10_000, 0.01),
    "for ever soon": lambda provider, peer: peer.drip(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 90, 0.01),
}


@pytest.mark.parametrize("how", SLOW)
def test_one_that_is_slow_costs_what_the_call_has(how: str) -> None:
    # A second is enough to come so far, but where everybody is busy.
    for seconds in (1.0, 5.0, 20.0):
        started = time.monotonic()
        error, _ = fails(SLOW[how], timeout=seconds)
        took = time.monotonic() - started
        assert isinstance(error, errors.CallTimeoutError)
        assert took < seconds + 10
        if "no token from https://127.0.0.1" in str(error):
            return
    raise AssertionError("nobody was asked for a token")


ENDLESS: dict[str, Callable[[Provider, Peer], None]] = {
    "chunks": lambda provider, peer: provider.pour(peer, CHUNKED, b"%x\r\n%s\r\n" % (len(PIECE), PIECE)),
    "what only its end ends": lambda provider, peer: provider.pour(
        peer, f"HTTP/1.1 200 OK\r\n{JSON}\r\n".encode(), PIECE
    ),
    "a line of the head": lambda provider, peer: provider.pour(peer, b"HTTP/1.1 200 OK\r\nX: ", PIECE),
    "lines of the head": lambda provider, peer: provider.pour(peer, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
    "early hints": lambda provider, peer: provider.pour(peer, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
}


@pytest.mark.parametrize("how", ENDLESS)
def test_one_that_never_ends_is_not_listened_to_for_long(how: str) -> None:
    error, provider = fails(ENDLESS[how])

    assert not isinstance(error, errors.CallTimeoutError)
    assert "no token from https://127.0.0.1" in str(error)
    # What is under way when the connection is closed has gone out, too.
    assert provider.sent < 16 * 1024 * 1024


def test_one_that_announces_too_much_is_not_waited_for() -> None:
    def announce(provider: Provider, peer: Peer) -> None:
        peer.send(f"HTTP/1.1 200 OK\r\n{JSON}Content-Length: {10**12}\r\n\r\n".encode())
        peer.silence()

    error, _ = fails(announce)
    assert "over the limit of 1048576" in str(error)


PACKED = gzip.compress(json.dumps(GOOD).encode() + b" " * 50_000_000)

ODD: dict[str, tuple[Callable[[Provider, Peer], None], str]] = {
    "a gzip bomb": (says(PACKED, headers=f"{JSON}Content-Encoding: gzip\r\n"), "speaks no OAuth 2.0"),
    "depth": (says(b"[" * 500_000), "speaks no OAuth 2.0"),
    "a page": (says(b"<html>", headers="Content-Type: text/html\r\n"), "speaks no OAuth 2.0"),
    "no text": (says(b"\xff\xfe\x00"), "speaks no OAuth 2.0"),
    "a list": (says([GOOD]), "speaks no OAuth 2.0"),
    "another type": (says({**GOOD, "token_type": "mac"}), "a token of the type mac"),
    "two lines": (says({**GOOD, "access_token": "abc\r\nX-Evil: 1"}), "that no header can carry"),
    "a list of tokens": (says({**GOOD, "access_token": ["abc"]}), "no access_token"),
    "a token beside an error": (says({**GOOD, "error": "invalid_scope"}), "answered invalid_scope"),
    "a token that is refused": (says(GOOD, status="400 Bad Request"), "HTTP 400"),
    "a cut": (lambda provider, peer: peer.send(answer(b"x" * 99)[:-9]) or peer.reset(), ""),
    "a terminal's codes": (says({"error": "\x1b]0;evil\x07\r\nX: y"}, status="400 Bad Request"), "]0;evil X: y"),
}


@pytest.mark.parametrize("what", ODD)
def test_one_whose_answer_is_none(what: str) -> None:
    script, said = ODD[what]
    error, _ = fails(script)

    text = str(error)
    assert said in text
    assert "https://127.0.0.1" in text
    assert not {"\x1b", "\r", "\n", "\x07"} & set(text)
    assert "s3cret" not in text


@pytest.mark.parametrize("life", [-1, 0, "soon", 1e300, 10**400, None, [], True, "1e400"], ids=range(9))
def test_one_that_says_nonsense_of_the_time_is_believed_the_rest(life: Any) -> None:
    script = says({**GOOD, "expires_in": life})
    with Provider(script) as provider, FlyteServer(tls=server_context()) as server:
        with calling(provider, server, 20.0) as client:
            for _ in range(2):
                assert list(client.runs.listall(limit=1)) == []
        asked = len(provider.requests)
    # "True" is a second to some: then it is asked again, as for any token that has ended.
    assert asked <= 2


def test_one_that_wants_to_know_us_again_does_not() -> None:
    """No cookie goes back, to nobody."""
    script = says({**GOOD, "expires_in": 1e-6}, headers=f"{JSON}Set-Cookie: sid=planted\r\nSet-Cookie: b=c; Path=/\r\n")
    with Provider(script) as provider, FlyteServer(tls=server_context()) as server:
        with calling(provider, server, 20.0) as client:
            for _ in range(2):
                list(client.runs.listall(limit=1))
        asked = [*provider.requests, *server.requests]
    assert len(provider.requests) >= 2
    assert [each for each in asked if "cookie" in each.headers] == []
