"""Calls that a cluster answers go there, streams too; asked for once, and never in clear when the server is not."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from chaos_server import CERTIFICATES, ChaosServer, Peer, answer, server_context
from flyte_server import FlyteServer, message, refused

from flyte_lite import Client
from flyte_lite.devbox import Devbox
from flyte_lite.errors import CallError, TlsError
from flyte_lite.idl.flyteidl2.cluster import payload_pb2

AUTHORITY = str(CERTIFICATES / "authority.pem")
ROUTED = {"UploadInputs", "TailLogs", "GetActionData"}


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str) -> str:
            print(f"greeting {name}")
            return f"hello {name}"

        yield box


class Front(ChaosServer):
    """The devbox by https, with a word of its own about where its cluster is.

    Attributes:
        cluster: What it says; "" leaves the question to the devbox.
        asked: The last part of each path, in order.
    """

    def __init__(self, box: Devbox, cluster: str = "") -> None:
        super().__init__(self._pass_on, tls=server_context())
        self.cluster = cluster
        self.asked: list[str] = []
        self._port = int(box.endpoint.rpartition(":")[2])

    def _pass_on(self, peer: Peer) -> None:
        while True:
            method, target, headers, body = peer.read_request()
            self.asked.append(target.rpartition("/")[2])
            if self.asked[-1] == "SelectCluster" and self.cluster:
                peer.send(message(payload_pb2.SelectClusterResponse(cluster_endpoint=self.cluster)))
                continue
            kept = {**headers, "connection": ["close"]}
            lines = [f"{name}: {value}" for name, values in kept.items() for value in values]
            with socket.create_connection(("127.0.0.1", self._port)) as upstream:
                upstream.sendall("\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode() + body)
                while True:
                    data = upstream.recv(65536)
                    if not data:
                        return
                    peer.send(data)


def client_of(server: ChaosServer) -> Client:
    url = f"https://127.0.0.1:{server.port}"
    return Client(url, project="flytesnacks", domain="development", ca_cert_file_path=AUTHORITY)


@pytest.mark.parametrize("said", ["http://127.0.0.1:{}", "https://127.0.0.1:{}", "dns:///127.0.0.1:{}", "127.0.0.1:{}"])
def test_each_call_of_a_cluster_goes_there_and_nothing_else_does(said: str, box: Devbox) -> None:
    """Whatever the server says of it, it is spoken to by https: the front takes nothing else."""
    with Front(box) as cluster, Front(box, said.format(cluster.port)) as control, client_of(control) as client:
        task = client.tasks.get("greetings.hello", auto_version="latest")
        for name in ("Ada", "Grace"):
            run = client.run(task, name=name)
            assert list(run.get_logs(timeout=60)) == [f"greeting {name}"]
            run.wait(timeout=60)
            assert run.outputs()[0] == f"hello {name}"
            assert run.inputs() == {"name": name}

        assert set(cluster.asked) == ROUTED
        assert not ROUTED.intersection(control.asked)
        assert control.asked.count("SelectCluster") == len(ROUTED), "once for each kind of call"


def test_a_server_that_is_its_own_cluster_is_not_connected_to_twice(box: Devbox) -> None:
    with Front(box) as control, client_of(control) as client:
        run = client.run(client.tasks.get("greetings.hello", auto_version="latest"), name="Ada")
        run.wait(timeout=60)
        assert run.outputs()[0] == "hello Ada"

        assert {"UploadInputs", "GetActionData", "SelectCluster"} <= set(control.asked)
        assert len(client._session.clusters._channels) == 0


def test_a_cluster_that_speaks_plain_http_is_not_spoken_to_and_named(box: Devbox) -> None:
    came: list[bytes] = []

    def plain(peer: Peer) -> None:
        came.append(peer.sock.recv(5000))
        peer.send(answer(b"", status="400 Bad Request"))

    with (
        ChaosServer(plain) as clear,
        Front(box, f"http://127.0.0.1:{clear.port}") as control,
        client_of(control) as client,
    ):
        task = client.tasks.get("greetings.hello", auto_version="latest")
        for _ in range(2):
            with pytest.raises(CallError) as caught:
                client.run(task, name="Ada")
            assert isinstance(caught.value, TlsError)
            assert f"https://127.0.0.1:{control.port} names https://127.0.0.1:{clear.port} as its cluster" in str(
                caught.value
            )
            assert "pass on the header Host" in str(caught.value)
        assert [data[:1] for data in came] == [b"\x16"] * 2, "the beginning of TLS, and no request"


@pytest.mark.parametrize("code", ["not_found", "unavailable"])
def test_what_a_cluster_says_is_not_blamed_on_its_address(code: str, box: Devbox) -> None:
    with contextlib.ExitStack() as held:
        cluster = held.enter_context(FlyteServer(tls=server_context()))
        cluster.answers = {"UploadInputs": refused(code, 503)}
        control = held.enter_context(Front(box, cluster.url))
        client = held.enter_context(client_of(control))
        with pytest.raises(CallError) as caught:
            client.run(client.tasks.get("greetings.hello", auto_version="latest"), name="Ada")
        assert "as its cluster" not in str(caught.value)
