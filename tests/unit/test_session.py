"""Sessions: what copies share, and how long a cluster is believed to be where it was."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from fakes import FakeChannel, FakeWeb, HttpAnswer

from flyte_lite._clock import Cancel, Deadline
from flyte_lite._clusters import Route
from flyte_lite._http.origin import Origin
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.method import Method
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite._session import Scope, Session, connect
from flyte_lite.config import Config
from flyte_lite.errors import (
    CanceledError,
    Code,
    ConfigError,
    InternalError,
    UnauthenticatedError,
    UnavailableError,
)
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.remote import Run

UPLOAD: Method[dataproxy_service_pb2.UploadInputsRequest, dataproxy_service_pb2.UploadInputsResponse] = Method(
    dataproxy_service_pb2, "DataProxyService", "UploadInputs"
)
ROUTE = Route(2, "p", "d")
PROTO = {"content-type": ["application/proto"]}


@pytest.fixture
def channel() -> FakeChannel:
    channel = FakeChannel()
    channel.on("ClusterService/SelectCluster", payload_pb2.SelectClusterResponse(cluster_endpoint="http://c1:80"))
    return channel.on("DataProxyService/UploadInputs", dataproxy_service_pb2.UploadInputsResponse())


def upload(session: object) -> None:
    session.call(UPLOAD, dataproxy_service_pb2.UploadInputsRequest(), route=ROUTE)  # type: ignore[attr-defined]


def asked(channel: FakeChannel) -> int:
    return len(channel.asked("ClusterService/SelectCluster"))


def test_a_cluster_is_asked_for_again_after_five_minutes(channel: FakeChannel) -> None:
    session = channel.session()
    upload(session)
    channel.clock.now += 299
    upload(session)
    assert asked(channel) == 1

    channel.clock.now += 2
    upload(session)

    assert asked(channel) == 2


def test_a_cluster_that_is_gone_is_asked_for_again(channel: FakeChannel) -> None:
    channel.on("DataProxyService/UploadInputs", UnavailableError("gone", Code.UNAVAILABLE))
    session = channel.session()
    for _ in range(2):
        with pytest.raises(UnavailableError):
            upload(session)

    assert asked(channel) == 2


def test_a_cluster_that_answers_with_an_error_is_still_there(channel: FakeChannel) -> None:
    channel.on("DataProxyService/UploadInputs", InternalError("no", Code.INTERNAL))
    session = channel.session()
    for _ in range(2):
        with pytest.raises(InternalError):
            upload(session)

    assert asked(channel) == 1


TAIL: Method[dataproxy_service_pb2.TailLogsRequest, dataproxy_service_pb2.TailLogsResponse] = Method(
    dataproxy_service_pb2, "DataProxyService", "TailLogs", safe=True
)


def tail(session: Session) -> list[Any]:
    request = dataproxy_service_pb2.TailLogsRequest()
    return list(session.stream(TAIL, request, deadline=session.deadline(), idle=7, route=Route(6, "p", "d")))


def test_a_stream_goes_to_the_cluster_of_its_route(channel: FakeChannel) -> None:
    answer = dataproxy_service_pb2.TailLogsResponse()
    channel.on("DataProxyService/TailLogs", [answer, answer])
    session = channel.session()

    assert tail(session) == [answer, answer]
    (other,) = channel.others.values()
    assert other.asked("DataProxyService/TailLogs")
    assert other.idles == [7]
    channel.on("DataProxyService/TailLogs", UnavailableError("gone", Code.UNAVAILABLE))
    for _ in range(2):
        with pytest.raises(UnavailableError):
            tail(session)

    # The second time it is asked where that is now.
    assert asked(channel) == 2


class Wallet:
    """Has one token for all, and none for who does not take it."""

    def headers(self, deadline: Deadline) -> dict[str, str]:
        return {"authorization": "Bearer hidden"}

    def refused(self, sent: Any, deadline: Deadline) -> bool:
        return False


@pytest.mark.parametrize(
    ("server", "cluster", "at", "shown"),
    [
        ("https://flyte.example:443", "https://c1.example", "https://c1.example", True),
        ("https://flyte.example:443", "http://c1.example", "https://c1.example", True),
        ("http://flyte.example:80", "https://c1.example", "https://c1.example", True),
        ("http://flyte.example:80", "http://c1.example", "http://c1.example", False),
        ("http://flyte.example:80", "http://flyte.example:81", "http://flyte.example:81", True),
        ("http://localhost:8090", "http://c1.example", "http://c1.example", False),
        ("http://localhost:8090", "http://127.0.0.1.evil.example", "http://127.0.0.1.evil.example", False),
        ("http://localhost:8090", "http://127.0.0.1:8091", "http://127.0.0.1:8091", True),
    ],
    ids=range(8),
)
def test_a_cluster_is_shown_no_token_by_plain_http_that_nobody_asked_for(
    server: str, cluster: str, at: str, shown: bool
) -> None:
    parts = urlsplit(server)
    origin = Origin(parts.scheme, parts.hostname or "", parts.port or 0)
    said = payload_pb2.SelectClusterResponse(cluster_endpoint=cluster).SerializeToString()
    there = f"{at}/flyteidl2.dataproxy.DataProxyService/UploadInputs"
    front = server.replace(":443", "").replace(":80", "") if parts.port in (80, 443) else server
    web = FakeWeb().on(f"{front}/flyteidl2.cluster.ClusterService/SelectCluster", HttpAnswer(200, "OK", PROTO, said))
    web.on(there, HttpAnswer(401, "", {"content-type": ["application/json"]}, b'{"code":"unauthenticated"}'))
    transport: Any = web
    channel = Channel(transport, origin, credentials=Wallet(), retry=RetryPolicy(retries=0), clock=web.clock)
    session = Session(channel, Scope("", "p", "d"), "http://console")

    with pytest.raises(UnauthenticatedError) as caught:
        upload(session)
    (asked_there,) = web.requests(there)
    assert ("authorization" in asked_there.headers) is shown
    assert ("no token is shown to its cluster" in str(caught.value)) is not shown


def test_copies_share_what_was_learned_of_the_server(channel: FakeChannel) -> None:
    session = channel.session()
    upload(session)
    copy = session.scoped(timeout=5)

    upload(copy)
    copy.refused.add("a question")

    assert asked(channel) == 1
    assert session.refused == {"a question"}


def test_a_copy_keeps_what_it_is_not_given(channel: FakeChannel) -> None:
    cancel = Cancel()
    session = channel.session(timeout=7, cancel=cancel)

    copy = session.scoped(project="p2").scoped(org="o").scoped(domain="d2")

    assert copy.scope == ("o", "p2", "d2")
    assert copy.timeout == 7
    assert copy.scoped(timeout=None).timeout is None
    assert session.scope == ("", "p", "d")
    cancel.cancel()
    with pytest.raises(CanceledError):
        upload(copy)


@pytest.mark.parametrize("name", ["", None, 5], ids=repr)
def test_a_run_without_a_name_is_refused_before_anything_is_sent(channel: FakeChannel, name: Any) -> None:
    runs = Run.bind(channel.session())

    with pytest.raises(ValueError, match="the name of a run is"):
        runs.get(name)
    assert channel.calls == []


@pytest.mark.parametrize(
    ("endpoint", "console"),
    [
        ("http://localhost:8090", "http://localhost:8080"),
        ("http://localhost:8091", "http://localhost:8091"),
        ("https://flyte.example.com/base", "https://flyte.example.com"),
        ("http://flyte.example.com", "http://flyte.example.com"),
        ("https://flyte.example.com:80", "https://flyte.example.com:80"),
        ("http://[::1]:30080", "http://[::1]:30080"),
    ],
)
def test_the_console_is_where_the_server_is(endpoint: str, console: str) -> None:
    assert connect(Config(endpoint=endpoint)).console == console


@pytest.mark.parametrize(
    ("said", "console"),
    [
        ("https://console.example.com/", "https://console.example.com"),
        ("dns:///console.example.com", "https://console.example.com"),
        ("http://localhost:8090", "http://localhost:8090"),
        ("http://[::1]:8080/base/", "http://[::1]:8080/base"),
    ],
)
def test_a_console_that_is_set_is_taken(said: str, console: str) -> None:
    assert connect(Config(endpoint="https://flyte.example.com", console_endpoint=said)).console == console


def test_a_console_that_is_no_address_says_who_set_it() -> None:
    config = Config.load({"endpoint": "h"}, {"FLYTE_CONSOLE_ENDPOINT": "a b"})
    with pytest.raises(ConfigError, match=r"console_endpoint: .*\(from environment variable FLYTE_CONSOLE_ENDPOINT\)"):
        connect(config)


def test_a_timeout_that_nobody_has_set_is_known_for_one() -> None:
    config = Config(endpoint="https://flyte.example.com")
    usual, given = connect(config), connect(config, timeout=30.0)

    assert (usual.deadline().left() or 0) > 29
    assert [usual.deadline().usual, usual.scoped(project="p").deadline().usual] == [True, True]
    assert [given.deadline().usual, usual.scoped(timeout=5).deadline().usual] == [False, False]
    assert usual.scoped(timeout=5).scoped(project="p").deadline().usual is False
    whole = Deadline(usual.clock, 100)
    assert (usual.part_of(whole).usual, usual.part_of(whole).outer) == (True, whole)
    assert given.part_of(whole).usual is False
