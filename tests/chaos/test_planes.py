"""One policy for all that a client talks to: control plane, identity provider, cluster and object store."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest
import requests
from chaos_network import proxy_url
from chaos_proxy import ChaosProxy
from chaos_server import CERTIFICATES, ChaosServer, answer, server_context
from flyte_server import FlyteServer, message

from flyte_lite import Client
from flyte_lite.errors import CallError, ConfigError, NotFoundError, OptionError, TlsError
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote import create_channel

AUTHORITY = str(CERTIFICATES / "authority.pem")
STRANGER = str(CERTIFICATES / "stranger.pem")
BOTH = (CERTIFICATES / "client.pem").read_text()
PLANES = ("control", "provider", "cluster", "store")
REPORT = b"<p>it went well</p>"


class Planes(NamedTuple):
    """Four servers that are one Flyte."""

    control: FlyteServer
    provider: FlyteServer
    cluster: FlyteServer
    store: FlyteServer

    def reached(self) -> list[str]:
        return [name for name, server in zip(PLANES, self) if server.requests]


@contextlib.contextmanager
def planes_of(tls: bool = True, *, odd: str = "", clients: str = "") -> Iterator[Planes]:
    """Odd: the one whose certificate is not of the authority; clients: whose certificates all of them ask for."""

    def server(name: str) -> FlyteServer:
        return FlyteServer(
            tls=server_context("stranger" if name == odd else "server", clients=clients) if tls else None
        )

    with contextlib.ExitStack() as held:
        planes = Planes(*(held.enter_context(server(name)) for name in PLANES))
        control, provider, cluster, store = planes
        metadata = auth_service_pb2.GetOAuth2MetadataResponse(token_endpoint=f"{provider.url}/token")
        token = json.dumps({"access_token": "t0ken", "token_type": "Bearer", "expires_in": 600}).encode()
        status = run_definition_pb2.ActionStatus(phase=phase_pb2.ACTION_PHASE_SUCCEEDED, attempts=1)
        action = run_definition_pb2.ActionDetails(status=status)
        run = run_definition_pb2.RunDetails(action=action)
        links = dataproxy_service_pb2.PreSignedURLs(signed_url=[f"{store.url}/report.html?X-Amz-Signature=5ec7e7"])
        control.answers = {
            "GetPublicClientConfig": message(auth_service_pb2.GetPublicClientConfigResponse()),
            "GetOAuth2Metadata": message(metadata),
            "GetRunDetails": message(run_service_pb2.GetRunDetailsResponse(details=run)),
            "GetActionDetails": message(run_service_pb2.GetActionDetailsResponse(details=action)),
            "SelectCluster": message(payload_pb2.SelectClusterResponse(cluster_endpoint=cluster.url)),
        }
        provider.answers = {"token": answer(token, headers="Content-Type: application/json\r\n")}
        cluster.answers = {
            "CreateDownloadLink": message(dataproxy_service_pb2.CreateDownloadLinkResponse(pre_signed_urls=links))
        }
        store.answers = {"report.html": answer(REPORT, headers="Content-Type: text/html\r\n")}
        yield planes


def all_of_it(planes: Planes, **arguments: Any) -> str:
    """Ask each of them once."""
    who = {"auth_type": "ClientSecret", "client_id": "me", "client_credentials_secret": "s3cret"}
    place = {"project": "p", "domain": "d"}
    try:
        with Client(planes.control.url, **place, **who, **arguments) as client:
            return client.runs.get("r").get_report()
    finally:
        arguments.get("http_session", requests.Session()).close()  # its owner's task


def session_of(verify: Any = AUTHORITY, proxies: Optional[Mapping[str, str]] = None) -> requests.Session:
    session = requests.Session()
    session.verify, session.trust_env, session.proxies = verify, False, dict(proxies or {})
    return session


TRUST: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a file": ({"ca_cert_file_path": AUTHORITY}, {}),
    "a file of the settings": ({}, {"FLYTE_ADMIN_CACERTFILEPATH": AUTHORITY}),
    "a file, not the environment's": ({"ca_cert_file_path": AUTHORITY}, {"REQUESTS_CA_BUNDLE": STRANGER}),
    "a path": ({"ssl_credentials": Path(AUTHORITY)}, {"SSL_CERT_FILE": STRANGER}),
    "a path, not the settings'": ({"ssl_credentials": AUTHORITY}, {"FLYTE_ADMIN_CACERTFILEPATH": STRANGER}),
    "text": ({"ssl_credentials": Path(AUTHORITY).read_text()}, {"REQUESTS_CA_BUNDLE": STRANGER}),
    "bytes": ({"ssl_credentials": Path(AUTHORITY).read_bytes()}, {"FLYTE_ADMIN_INSECURESKIPVERIFY": "true"}),
    "a context": (
        {"ssl_credentials": ssl.create_default_context(cafile=AUTHORITY)},
        {"FLYTE_ADMIN_CACERTFILEPATH": STRANGER, "REQUESTS_CA_BUNDLE": STRANGER},
    ),
    "a session": ({"http_session": session_of()}, {"FLYTE_ADMIN_CACERTFILEPATH": STRANGER}),
    "REQUESTS_CA_BUNDLE": ({}, {"REQUESTS_CA_BUNDLE": AUTHORITY, "CURL_CA_BUNDLE": STRANGER}),
    "CURL_CA_BUNDLE": ({}, {"CURL_CA_BUNDLE": AUTHORITY, "SSL_CERT_FILE": STRANGER}),
    "SSL_CERT_FILE": ({}, {"SSL_CERT_FILE": AUTHORITY}),
    "anybody": ({"insecure_skip_verify": True}, {"REQUESTS_CA_BUNDLE": STRANGER}),
    "anybody, by the environment": ({}, {"FLYTE_ADMIN_INSECURESKIPVERIFY": "true"}),
}


@pytest.mark.parametrize("trust", TRUST)
def test_whom_to_trust_is_said_once_for_all(trust: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, environ = TRUST[trust]
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with planes_of() as planes:
        assert all_of_it(planes, **arguments) == REPORT.decode()
        assert planes.reached() == list(PLANES)


@pytest.mark.parametrize("trust", ["a file", "a path", "text", "bytes", "a context", "a session", "SSL_CERT_FILE"])
@pytest.mark.parametrize("odd", PLANES)
def test_each_of_them_is_verified(odd: str, trust: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, environ = TRUST[trust]
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with planes_of(odd=odd) as planes:
        with pytest.raises(CallError, match="not trusted") as caught:
            all_of_it(planes, **arguments)
        assert isinstance(caught.value, TlsError)
        assert odd not in planes.reached()
        assert "s3cret" not in str(caught.value)
        assert "5ec7e7" not in str(caught.value)


@pytest.mark.parametrize("odd", PLANES)
def test_to_verify_nobody_is_said_once_for_all(odd: str) -> None:
    with planes_of(odd=odd) as planes:
        assert all_of_it(planes, insecure_skip_verify=True) == REPORT.decode()


def test_what_the_caller_trusts_is_not_widened_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "FLYTE_ADMIN_CACERTFILEPATH"):
        monkeypatch.setenv(name, AUTHORITY)
    monkeypatch.setenv("FLYTE_ADMIN_INSECURESKIPVERIFY", "true")
    for arguments in ({"ca_cert_file_path": STRANGER}, {"ssl_credentials": Path(STRANGER)}):
        with planes_of() as planes:
            with pytest.raises(TlsError, match="not trusted"):
                all_of_it(planes, **arguments)
            assert planes.reached() == []


def test_who_we_are_is_said_once_for_all() -> None:
    with planes_of(clients="client_authority") as planes:
        assert all_of_it(planes, ssl_credentials=(BOTH, BOTH, AUTHORITY)) == REPORT.decode()
        with pytest.raises(CallError, match="client certificate"):
            all_of_it(planes, ca_cert_file_path=AUTHORITY)


PROXIES: dict[str, Any] = {
    "environment": lambda url: ({}, {"ALL_PROXY": url}),
    "proxies, one": lambda url: ({"proxies": url}, {"NO_PROXY": "*", "ALL_PROXY": "http://nowhere.invalid"}),
    "proxies": lambda url: ({"proxies": {"http": url, "https": url}}, {"NO_PROXY": "127.0.0.1"}),
    "http_proxy_url": lambda url: ({"http_proxy_url": url}, {"HTTPS_PROXY": "http://nowhere.invalid"}),
    "settings": lambda url: ({}, {"FLYTE_ADMIN_HTTPPROXYURL": url, "HTTPS_PROXY": "http://nowhere.invalid"}),
    "session": lambda url: ({"http_session": session_of(proxies={"http": url, "https": url})}, {}),
}


# A session sends plain requests for several servers over one connection, for which our proxy is too simple.
@pytest.mark.parametrize(("said", "tls"), [(said, tls) for said in PROXIES for tls in {True, said == "session"}])
def test_the_proxy_is_said_once_for_all(said: str, tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with planes_of(tls) as planes, ChaosProxy(user="me:hidden") as proxy:
        arguments, environ = PROXIES[said](proxy_url(proxy, "me:hidden"))
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        ca = {"ca_cert_file_path": AUTHORITY} if tls and said != "session" else {}
        assert all_of_it(planes, **ca, **arguments) == REPORT.decode()

        asked = " ".join(target for _, target, _ in proxy.heads)
        assert all(f":{server.port}" in asked for server in planes)
        assert sum(server.accepted for server in planes) == len(proxy.heads), "and nothing went past it"
        if tls:  # what follows on a plain connection is passed on as it is
            assert not any("proxy-authorization" in request.headers for each in planes for request in each.requests)


@pytest.mark.parametrize("plane", PLANES)
def test_each_of_them_may_go_without(plane: str) -> None:
    with planes_of() as planes, ChaosProxy() as proxy:
        one: ChaosServer = getattr(planes, plane)
        proxies = {"all": proxy_url(proxy), "no_proxy": f"127.0.0.1:{one.port}"}
        assert all_of_it(planes, ca_cert_file_path=AUTHORITY, proxies=proxies) == REPORT.decode()

        asked = [target for _, target, _ in proxy.heads]
        assert {f"127.0.0.1:{server.port}" for server in planes} - {f"127.0.0.1:{one.port}"} == set(asked)


@pytest.mark.parametrize("tls", [True, False])
def test_netrc_says_nothing_to_any_of_them(tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("default login anybody password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with planes_of(tls) as planes:
        assert all_of_it(planes, **({"ca_cert_file_path": AUTHORITY} if tls else {})) == REPORT.decode()

        shown = {
            name: {value for request in server.requests for value in request.headers.get("authorization", [])}
            for name, server in zip(PLANES, planes)
        }
        assert shown["store"] == set()
        assert shown["control"] == shown["cluster"] == {"Bearer t0ken"}
        assert shown["provider"] == {"Basic bWU6czNjcmV0"}  # me:s3cret


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"proxies": "http://p", "http_proxy_url": "http://q"}, "proxies and http_proxy_url are one thing"),
        ({"proxies": {"gopher": "http://p"}}, "proxies has the key 'gopher'"),
        ({"ssl_credentials": 7}, "no int"),
        ({"ssl_credentials": AUTHORITY, "ca_cert_file_path": AUTHORITY}, "both name authorities"),
        ({"http_session": 7}, "http_session is int; give a requests.Session"),
        ({"http_session": session_of(), "ca_cert_file_path": AUTHORITY}, "set on it what ca_cert_file_path says"),
        ({"http_session": session_of(), "proxies": {}}, "set on it what proxies says"),
        ({"http_session": session_of(), "http_proxy_url": "http://p"}, "set on it what http_proxy_url says"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises((ConfigError, OptionError), match=text):
        Client("https://flyte.example", **arguments)


@pytest.mark.parametrize("name", ["proxies", "ssl_credentials", "http_session"])
def test_a_channel_has_settled_it(name: str) -> None:
    with create_channel("https://flyte.example") as channel, pytest.raises(ConfigError, match=f"{name} is settled"):
        Client(channel=channel, **{name: {}})


def test_a_store_that_answers_no_is_told_from_one_that_is_not_reached() -> None:
    with planes_of() as planes:
        planes.store.answers = {}
        with pytest.raises(NotFoundError, match="the object store answers HTTP 404"):
            all_of_it(planes, ca_cert_file_path=AUTHORITY)
