"""A call carries what it was given: no netrc, no cookies, no second address."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos_network import Network
from chaos_server import Peer, answer

from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._http.transport import Transport
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.method import Method
from flyte_lite.errors import EndpointError
from flyte_lite.idl.flyteidl2.project import project_service_pb2


def test_netrc_is_never_read(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (".netrc", "_netrc", "other"):
        path = tmp_path / name
        path.write_text("machine 127.0.0.1 login somebody password secret\ndefault login anybody password secret\n")
        path.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "other"))

    network.call()

    assert "authorization" not in network.server.requests[0].headers


def test_our_own_authorization_arrives_as_it_is(
    plain: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login anybody password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    deadline = Deadline(SYSTEM_CLOCK, 5)

    plain.transport.exchange("GET", plain.origin, "/x", {"Authorization": "Bearer t"}, None, deadline, 100)

    assert plain.server.requests[0].headers["authorization"] == ["Bearer t"]


def test_cookies_are_never_sent_back(network: Network) -> None:
    def bake(peer: Peer) -> None:
        while True:
            peer.read_request()
            peer.send(answer(headers="Set-Cookie: session=1; Path=/\r\n"))

    network.server.script = bake

    network.call()
    network.call()

    assert ["cookie" in request.headers for request in network.server.requests] == [False, False]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_explained_and_never_followed(network: Network, status: int) -> None:
    to = "https://user:hidden@login.example/oauth?token=hidden#hidden"

    def redirect(peer: Peer) -> None:
        while True:
            peer.read_request()
            peer.send(answer(b"", status=f"{status} Elsewhere", headers=f"Location: {to}\r\n"))

    network.server.script = redirect
    method = Method(project_service_pb2, "ProjectService", "ListProjects")
    channel = Channel(network.transport, network.origin)

    with pytest.raises(EndpointError) as caught:
        channel.unary(method, project_service_pb2.ListProjectsRequest(), deadline=Deadline(SYSTEM_CLOCK, 5))

    assert len(network.server.requests) == 1
    assert "redirects to https://login.example/oauth" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert "never followed" in str(caught.value)


@pytest.mark.parametrize("status", ["413 Content Too Large", "429 Too Many Requests", "503 Service Unavailable"])
def test_retry_after_is_left_to_the_caller(network: Network, status: str) -> None:
    """urllib3 has its own idea of repeating; a call that waits in there would know neither policy nor log."""

    def busy(peer: Peer) -> None:
        while True:
            peer.read_request()
            peer.send(answer(b"", status=status, headers="Retry-After: 1\r\n"))

    network.server.script = busy
    for method in ("GET", "PUT"):
        network.server.requests.clear()
        deadline = Deadline(SYSTEM_CLOCK, 5)
        network.transport.exchange(method, network.origin, "/x", {}, None, deadline, 100)
        assert len(network.server.requests) == 1


def test_nothing_is_sent_but_what_http_needs(plain: Network) -> None:
    plain.transport.exchange("POST", plain.origin, "/a?b=%20c", {"X-A": "1"}, b"body", Deadline(SYSTEM_CLOCK, 5), 100)

    request = plain.server.requests[0]
    assert (request.method, request.target, request.body) == ("POST", "/a?b=%20c", b"body")
    # Two that nobody can turn off below: http.client asks for no packing, urllib3 names itself.
    assert set(request.headers) - {"accept-encoding", "user-agent"} == {"host", "content-length", "x-a"}


def test_a_transport_reads_no_environment_but_its_own(plain: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")

    assert plain.call().body == b"ok"
    assert Transport()._environ.get("HTTP_PROXY") == "http://127.0.0.1:1"
