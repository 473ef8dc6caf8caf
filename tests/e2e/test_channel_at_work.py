"""Channels of `create_channel` at work: against a devbox, and against a server that wants to know who calls."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from issuer import CERTIFICATES, CLIENT_SECRET, Issuer

from flyte_lite import Client, errors
from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.project import project_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.remote import auth_metadata, create_channel

AUTHORITY = str(CERTIFICATES / "authority.pem")
GET_PROJECT = "/flyteidl2.project.ProjectService/GetProject"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(secure=True) as issuer:
        yield issuer


def get_project(channel: Any, **options: Any) -> Any:
    request = project_service_pb2.GetProjectRequest(id="flytesnacks")
    stub = channel.unary_unary(
        GET_PROJECT,
        request_serializer=project_service_pb2.GetProjectRequest.SerializeToString,
        response_deserializer=project_service_pb2.GetProjectResponse.FromString,
    )
    return stub(request, **options)


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"compression": "gzip"},
        {"protocol": "grpc-web"},
        {"grpc_options": [("grpc.keepalive_time_ms", 5000), ("grpc.max_send_message_length", 1000)]},
    ],
    ids=lambda keywords: next(iter(keywords), "plain"),
)
def test_a_client_over_a_channel_runs_a_task(box: Devbox, keywords: dict[str, Any]) -> None:
    with create_channel(box.endpoint, **keywords) as channel:
        client = Client(channel=channel, project="flytesnacks", domain="development")
        run = client.run(client.tasks.get("greetings.hello", auto_version="latest"), name="Ada")
        run.wait(timeout=60)
        assert run.outputs()[0] == "hello Ada"
        assert get_project(channel).project.name == "flytesnacks"


def test_a_client_over_a_session_of_the_callers(box: Devbox) -> None:
    with requests.Session() as session:
        client = Client(
            channel=create_channel(box.endpoint, http_session=session), project="flytesnacks", domain="development"
        )
        run = client.run(client.tasks.get("greetings.hello", auto_version="latest"), name="Ada")
        run.wait(timeout=60)
        assert run.outputs()[0] == "hello Ada"


def test_limits_of_messages(box: Devbox) -> None:
    small = create_channel(box.endpoint, grpc_options=[("grpc.max_receive_message_length", 10)])
    with small, pytest.raises(errors.AnswerTooLargeError):
        get_project(small)
    short = create_channel(box.endpoint, grpc_options=[("grpc.max_send_message_length", 5)])
    before = len(box.calls)
    with short, pytest.raises(errors.RpcError, match="over the limit of 5"):
        get_project(short)
    assert len(box.calls) == before


def test_a_stream_of_a_stub(box: Devbox) -> None:
    with create_channel(box.endpoint) as channel:
        client = Client(channel=channel, project="flytesnacks", domain="development")
        run = client.run(client.tasks.get("greetings.nothing", auto_version="latest"))
        watch = channel.unary_stream(
            "/flyteidl2.workflow.RunService/WatchActionDetails",
            request_serializer=run_service_pb2.WatchActionDetailsRequest.SerializeToString,
            response_deserializer=run_service_pb2.WatchActionDetailsResponse.FromString,
        )
        with watch(run_service_pb2.WatchActionDetailsRequest(action_id=run.action.action_id), timeout=20) as stream:
            first = next(stream)
    assert first.details.id.run.name == run.name


def test_keepalive_reaches_the_socket(box: Devbox) -> None:
    options = [("grpc.keepalive_time_ms", 7000), ("grpc.keepalive_timeout_ms", 6000)]
    with create_channel(box.endpoint, grpc_options=options) as channel:
        get_project(channel)
        (pool,) = channel.transport._pools.values()
        sock = pool._waiting[0][0].sock
        found = [sock.getsockopt(socket.IPPROTO_TCP, name) for name in (4, 5, 6, socket.TCP_NODELAY)]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert found[:3] == [7, 2, 3], "TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT of Linux"
    assert found[3]


def test_an_api_key_is_all_that_is_needed(issuer: Issuer) -> None:
    # A client id of an API key has no colon; this issuer's has one, so it is given apart.
    with create_channel(
        issuer.url, client_id="app:1", client_secret=CLIENT_SECRET, ca_cert_file_path=AUTHORITY
    ) as channel:
        get_project(channel)
    issuer.clients["app"] = CLIENT_SECRET
    key = base64.b64encode(f"{issuer.url}:app:{CLIENT_SECRET}:acme".encode()).decode().rstrip("=")
    with create_channel(api_key=key, ca_cert_file_path=AUTHORITY) as channel:
        get_project(channel)
        assert channel.org == "acme"
    assert len(issuer.to("/token")) == 2


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "context"])
def test_ssl_credentials_are_for_the_server_and_its_provider(issuer: Issuer, kind: str) -> None:
    text = (CERTIFICATES / "authority.pem").read_text()
    credentials: Any = {
        "path": AUTHORITY,
        "text": text,
        "bytes": text.encode(),
        "context": ssl.create_default_context(cafile=AUTHORITY),
    }[kind]
    with create_channel(
        issuer.url, ssl_credentials=credentials, client_id="app:1", client_secret=CLIENT_SECRET
    ) as channel:
        get_project(channel)
    assert len(issuer.to("/token")) == 1


def test_a_session_of_the_callers_is_for_both_as_well(issuer: Issuer) -> None:
    with requests.Session() as session:
        session.verify = AUTHORITY
        session.headers["x-team"] = "mine"
        channel = create_channel(issuer.url, http_session=session, client_id="app:1", client_secret=CLIENT_SECRET)
        get_project(channel)
    assert {request.headers.get("x-team") for request in issuer.requests} == {"mine"}
    assert {request.path.rpartition("/")[2] for request in issuer.requests} > {"token", "GetProject"}


@pytest.mark.parametrize("variable", ["CI", "AWS_LAMBDA_FUNCTION_NAME"])
def test_nobody_is_asked_where_nobody_can_answer(
    issuer: Issuer, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "true")
    # No variable says who calls through a channel.
    monkeypatch.setenv("FLYTE_AUTH_TYPE", "Passthrough")
    refused = pytest.raises(errors.UnauthenticatedError, match=r"nobody can sign in here .*FLYTE_API_KEY")
    with create_channel(issuer.url, ca_cert_file_path=AUTHORITY, client_id="me") as channel, refused as caught:
        get_project(channel)
    rows = {line.split()[0]: line.split()[1:] for line in str(caught.value).splitlines()[2:-1]}
    assert rows["endpoint"] == [issuer.url, "argument"]
    assert (rows["client_id"], rows["auth_type"]) == (["me", "argument"], ["-", "default"])
    assert not issuer.to("/token")
    assert isinstance(caught.value.__context__, errors.UnauthenticatedError), "what the server said"


SCRIPT = """
import sys
from flyte_lite import Client
from flyte_lite.remote import create_channel
with create_channel(sys.argv[1], ca_cert_file_path=sys.argv[2], auth_type=sys.argv[3]) as channel:
    Client(channel=channel, project="p", domain="d", timeout=20).runs.get("r1")
"""


@pytest.mark.parametrize("auth_type", ["DeviceFlow", "Pkce"])
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "no terminal"])
def test_who_sits_at_a_terminal_is_asked_there(issuer: Issuer, auth_type: str, terminal: bool) -> None:
    ours, theirs = os.openpty() if terminal else os.pipe()
    hidden = {"CI", "AWS_LAMBDA_FUNCTION_NAME", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"}
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    with subprocess.Popen([sys.executable, "-c", SCRIPT, issuer.url, AUTHORITY, auth_type], stderr=theirs, env=environ):
        os.close(theirs)
        said = ""
        with contextlib.suppress(OSError):  # a terminal whose other end is gone
            while piece := os.read(ours, 65536):
                said += piece.decode()
                url = re.search(r"open (https://\S+/authorize\S+)", said)
                if url and not issuer.to("/authorize"):
                    context = ssl.create_default_context(cafile=AUTHORITY)
                    urllib.request.urlopen(url[1], context=context, timeout=10).close()
        os.close(ours)

    if terminal:
        assert "To sign in, open" in said
        assert len(issuer.to("/token")) == 1
        assert "unimplemented" in said, "the issuer knows no runs, and was asked for one with a token"
    else:
        assert "nobody can sign in here (stderr is no terminal)" in said
        assert issuer.to("/token") == []


def test_headers_of_a_block(issuer: Issuer) -> None:
    block = auth_metadata(("authorization", f"Bearer {issuer.new_token()}"))
    with create_channel(issuer.url, ca_cert_file_path=AUTHORITY, auth_type="Passthrough") as channel, block:
        get_project(channel)


def test_a_proxy_command_is_for_everything(issuer: Issuer) -> None:
    issuer.proxy_token = "let-me-in"
    with create_channel(
        issuer.url,
        ca_cert_file_path=AUTHORITY,
        client_id="app:1",
        client_credentials_secret=CLIENT_SECRET,
        proxy_command=[sys.executable, "-c", "import os; print(os.environ['SAID'])"],
        proxy_env={"SAID": "let-me-in"},
        proxy_timeout=20,
    ) as channel:
        get_project(channel)
    assert {request.headers.get("proxy-authorization") for request in issuer.requests} == {"Bearer let-me-in"}


def test_a_cluster_gets_what_the_control_plane_gets(issuer: Issuer) -> None:
    with create_channel(issuer.url, ca_cert_file_path=AUTHORITY, token=issuer.new_token()) as channel:
        other = channel.to("https", "localhost", issuer.port, "")
        get_project(other)
    assert issuer.calls[0].headers["authorization"] == f"Bearer {issuer.issued[0]}"
