"""An answer that is lost on its way back: the request took effect, and must not take effect twice."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Optional
from urllib.parse import urlsplit

import pytest

from flyte_lite import Client
from flyte_lite.devbox import Devbox
from flyte_lite.errors import ConnectionLostError
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.remote import Run


class Relay:
    """A TCP relay that swallows the answers to requests that contain a given text, and then closes the connection.

    Attributes:
        lose: The text, and how often it still happens.
        seen: How often a request with the text went through to the server.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.lose: Optional[tuple[bytes, int]] = None
        self.seen = 0
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._upstream) as server:
            while True:
                request = self._message(client)
                if not request:
                    return
                server.sendall(request)
                answer = self._message(server)
                if self.lose is not None and self.lose[0] in request:
                    self.seen += 1
                    if self.lose[1] > 0:
                        self.lose = (self.lose[0], self.lose[1] - 1)
                        return
                client.sendall(answer)

    @staticmethod
    def _message(sock: socket.socket) -> bytes:
        """One HTTP message with a Content-Length."""
        data = b""
        while b"\r\n\r\n" not in data:
            try:
                part = sock.recv(65536)
            except OSError:
                return b""
            if not part:
                return b""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(lengths[0]) if lengths else 0
        while len(body) < length:
            body += sock.recv(65536)
        return head + b"\r\n\r\n" + body


@pytest.fixture
def relay(box: Devbox) -> Iterator[Relay]:
    address = urlsplit(box.endpoint)
    assert address.hostname
    assert address.port
    relay = Relay((address.hostname, address.port))
    yield relay
    relay.close()


@pytest.fixture
def relayed(relay: Relay) -> Iterator[Client]:
    # A domain of its own, so that its runs can be counted.
    with Client(f"http://127.0.0.1:{relay.port}", project="flytesnacks", domain="production") as client:
        yield client


def count(client: Client) -> int:
    from flyte_lite._rpc.method import Method

    method: Method[run_service_pb2.ListRunsRequest, run_service_pb2.ListRunsResponse] = Method(
        run_service_pb2, "RunService", "ListRuns"
    )
    place = identifier_pb2.ProjectIdentifier(name="flytesnacks", domain="production")
    return len(client._session.call(method, run_service_pb2.ListRunsRequest(project_id=place)).runs)


def launch(client: Client) -> Run:
    return client.run(client.tasks.get("greetings.hello", domain="development", version="v1"), name="Ada")


def test_a_create_run_whose_answer_was_lost_makes_one_run(relay: Relay, relayed: Client) -> None:
    before = count(relayed)
    relay.lose = (b"RunService/CreateRun", 1)

    run = launch(relayed)

    assert relay.seen == 2
    assert run.created is True
    assert count(relayed) == before + 1
    run.wait(timeout=60)
    assert run.outputs()[0] == "hello Ada"


def test_a_key_whose_answer_was_lost_makes_one_run_and_can_not_tell_who_made_it(relay: Relay, relayed: Client) -> None:
    before = count(relayed)
    relay.lose = (b"RunService/CreateRun", 1)

    run = relayed.with_runcontext(idempotency_key="lost").run(
        relayed.tasks.get("greetings.hello", domain="development", version="v1"), name="Ada"
    )

    assert run.created is None
    assert count(relayed) == before + 1


def test_an_answer_that_is_lost_each_time_ends_as_the_lost_connection_it_is(relay: Relay, relayed: Client) -> None:
    before = count(relayed)
    relay.lose = (b"RunService/CreateRun", 99)

    with pytest.raises(ConnectionLostError) as caught:
        launch(relayed)

    assert caught.value.attempts == 4
    assert caught.value.method == "RunService/CreateRun"
    relay.lose = None
    assert count(relayed) == before + 1
