"""Reports and code bundles over a network that breaks, from a store that is not the server."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chaos_server import ChaosServer, Peer, answer
from log_server import the_run

from flyte_lite import Client, errors
from flyte_lite._rpc.interceptors import add_metadata
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.remote import Run, create_channel

PROTO = "Content-Type: application/proto\r\n"
Then = Callable[[Peer], None]


class Store(ChaosServer):
    """Does one thing after the other; the last one again and again."""

    def __init__(self, *then: Then) -> None:
        super().__init__(self._next)
        self._then = list(then)

    def _next(self, peer: Peer) -> None:
        while True:
            peer.read_request()
            (self._then.pop(0) if len(self._then) > 1 else self._then[0])(peer)


def serving(body: bytes) -> Then:
    return lambda peer: peer.send(answer(body))


def half_of(body: bytes) -> Then:
    def send(peer: Peer) -> None:
        peer.send(answer(body)[: -len(body) // 2])
        raise ConnectionError("that was it")

    return send


def expired(peer: Peer) -> None:
    peer.send(answer(b"<Error><Code>AccessDenied</Code></Error>", status="403 Forbidden"))


@pytest.fixture
def api() -> Iterator[Callable[[Store], Run]]:
    """A run of a server that signs addresses of a store."""
    with ChaosServer() as server:
        clients = []

        def of(store: Store) -> Run:
            def serve(peer: Peer) -> None:
                number = 0
                while True:
                    method = peer.read_request().target.rpartition("/")[2]
                    details = run_service_pb2.GetActionDetailsResponse()
                    details.details.status.attempts = 1
                    details.details.task.task_template.metadata.code_bundle_uri = "s3://bucket/fast1.tar.gz"
                    link = dataproxy_service_pb2.CreateDownloadLinkResponse()
                    number += 1
                    link.pre_signed_urls.signed_url.append(f"http://127.0.0.1:{store.port}/b/x%20y?sig={number:08}&b=c")
                    message = {"GetActionDetails": details, "CreateDownloadLink": link}.get(method)
                    refusal = answer(
                        b'{"code": "unimplemented"}', status="501 No", headers="Content-Type: application/json\r\n"
                    )
                    peer.send(answer(message.SerializeToString(), headers=PROTO) if message is not None else refusal)

            server.script = serve
            channel = create_channel(
                f"http://127.0.0.1:{server.port}", interceptors=[add_metadata({"authorization": "Bearer secret"})]
            )
            clients.append(Client(channel=channel, project="p", domain="d"))
            return the_run(clients[-1].runs)

        yield of
        assert all(request.headers["authorization"] == ["Bearer secret"] for request in server.requests)
        for client in clients:
            client.close()


def test_a_report_comes_through_a_break_and_an_expired_address(api: Callable[[Store], Run]) -> None:
    body = "<p>ü</p>".encode() * 10_000
    with Store(half_of(body), expired, serving(body)) as store:
        assert api(store).get_report() == body.decode()

        targets = [request.target for request in store.requests]
        assert targets[0] == targets[1] != targets[2]
        assert all(target.startswith("/b/x%20y?sig=") for target in targets)
        assert not any("secret" in str(request.headers) for request in store.requests)


def test_a_bundle_comes_through_a_break(api: Callable[[Store], Run], tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("main.py")
        member.size = 300_000
        tar.addfile(member, io.BytesIO(b"#" * member.size))
    with Store(half_of(packed.getvalue()), serving(packed.getvalue())) as store:
        api(store).download_code(tmp_path)

    assert (tmp_path / "main.py").stat().st_size == 300_000
    assert [path.name for path in tmp_path.iterdir()] == ["main.py"]


def test_a_silent_store_ends_at_the_deadline(api: Callable[[Store], Run], tmp_path: Path) -> None:
    with Store(lambda peer: peer.silence()) as store:
        run = api(store)
        with pytest.raises(errors.CallTimeoutError) as caught:
            run.download_code(tmp_path / "code", timeout=0.5)

        assert f"GET at http://127.0.0.1:{store.port}" in str(caught.value)
        assert "sig" not in str(caught.value)
    assert not (tmp_path / "code").exists()


def test_a_store_that_is_not_there_is_named(api: Callable[[Store], Run]) -> None:
    with Store(serving(b"")) as store:
        run = api(store)
    with pytest.raises(errors.ConnectFailedError, match=f"127.0.0.1:{store.port}") as caught:
        run.get_report()
    assert "sig" not in str(caught.value)
