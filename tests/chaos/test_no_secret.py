"""No secret gets out: they are planted wherever settings come from, everything is run, and all output is searched."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from chaos_proxy import ChaosProxy
from chaos_server import CERTIFICATES, ChaosServer, Peer, answer, server_context
from flyte_server import FlyteServer, message, page, refused
from planted import found, ours, pickled, told_by

import flyte_lite
from flyte_lite import _session, errors
from flyte_lite._cli import main
from flyte_lite._http.proxy import Proxies
from flyte_lite._http.tls import TlsPolicy
from flyte_lite.config import Config
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.remote import auth_metadata, create_channel

AUTHORITY = str(CERTIFICATES / "authority.pem")
LOCKED_KEY = (CERTIFICATES / "client_locked_key.pem").read_text()
CERTIFICATE = (
    "-----BEGIN CERTIFICATE" + (CERTIFICATES / "client.pem").read_text().partition("-----BEGIN CERTIFICATE")[2]
)

CLIENT = "pl4nted client-s3cret/+:%"
KEY = "pl4nted-key-s3cret:with+colons/"
ARGUMENT = "pl4nted-argument-s3cret"
PRINTED = "pl4nted.printed-t0ken~"
GIVEN = "pl4nted.given-t0ken"
METADATA = "pl4nted-metadata-t0ken"
ACCESS = "pl4nted-access-t0ken/+=="
REFRESH = "pl4nted-refresh-t0ken"
COOKIE = "pl4nted-cookie-s3ssion"
PROXY = "pl4nted@proxy:p4ssword"
USERINFO = "pl4nted-userinfo-p4ssword"
SIGNATURE = "pl4nted5ignature0123456789abcdef"
STATE = "pl4nted-st4te-of-a-login"
PASSWORD = "pl4nted-key-p4ssword"
SESSION = "pl4nted-session-p4ssword"
SECRETS = (
    *(CLIENT, KEY, ARGUMENT, PRINTED, GIVEN, METADATA, ACCESS, REFRESH, COOKIE, PROXY, USERINFO, SIGNATURE),
    *(STATE, PASSWORD, SESSION, LOCKED_KEY.split("\n")[3]),
)
API_KEY = base64.b64encode(f"127.0.0.1:1:app:{KEY}:None".encode()).decode()
QUOTED_PROXY = "pl4nted%40proxy%3Ap4ssword"

# What a command tells of itself is not ours to know; what it was given, and what it gave, is.
PRINT = "import os, sys; print(os.environ['PRINTED'])"
TALKATIVE = f"{PRINT}; sys.stderr.write(f'no way with {{sys.argv[1]}} ' + os.environ['PRINTED']); sys.exit(3)"
WITH_SECRET = [sys.executable, "-c", PRINT, ARGUMENT]


class Hearing:
    """Takes down all that is said, by whatever way."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self._caplog = caplog
        self._capfd = capfd
        self.said: list[str] = []

    def fails(self, act: Callable[[], Any], kind: type[BaseException] = errors.FlyteLiteError) -> None:
        with pytest.raises(kind) as caught:
            act()
        self.said.append(told_by(caught.value))

    def lists_in_vain(self, client: flyte_lite.Client) -> None:
        self.fails(lambda: list(client.scoped(timeout=0.5).runs.listall(limit=1)))

    def hear(self, *things: Any) -> None:
        for thing in things:
            self.said += [str(thing), repr(thing), f"{thing}", pickled(thing)]

    def listen(self, client: flyte_lite.Client) -> None:
        """All that a client says of itself."""
        config = client.config
        self.hear(client, client._session, client._session.channel, client._session.channel.credentials)
        self.hear_config(config)

    def hear_config(self, config: Config) -> None:
        for one in (config, copy.copy(config), copy.deepcopy(config), config.platform):
            self.said += [str(one), repr(one)]
            # Another process needs the whole command; it is never shown.
            pickle = pickled(one)
            self.said.append(pickle.replace(ARGUMENT, "").replace(STATE, ""))
        self.said += [config.explain(), str(config.settings())]

    def found(self) -> list[str]:
        for thing in ours():
            # Some have none before they are begun.
            with contextlib.suppress(Exception):
                self.said.append(repr(thing))
        # Also after the test itself, where what it said is no longer in `records`.
        records = self._caplog.get_records("call")
        self.said += [record.getMessage() + str(record.exc_text) + repr(record.args) for record in records]
        return found(SECRETS, *self.said, *self._capfd.readouterr())


@pytest.fixture
def hearing(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Hearing]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PRINTED", PRINTED)
    caplog.set_level(logging.DEBUG)
    hearing = Hearing(caplog, capfd)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", errors.ConfigWarning)
        yield hearing
        hearing.said += [str(each.message) for each in warned]
    _session.set_default(None)
    assert hearing.found() == []


def json_answer(status: str = "200 OK", **fields: Any) -> bytes:
    headers = f"Content-Type: application/json\r\nSet-Cookie: sid={COOKIE}\r\n"
    return answer(json.dumps(fields).encode(), status=status, headers=headers)


TOKENS = json_answer(access_token=ACCESS, refresh_token=REFRESH, token_type="Bearer", expires_in=3600)


@contextlib.contextmanager
def flyte(**answers: Any) -> Iterator[FlyteServer]:
    with FlyteServer(tls=server_context()) as server:
        server.answers.update({"token": TOKENS, **answers})
        yield server


def client_of(server: FlyteServer, **arguments: Any) -> flyte_lite.Client:
    known: dict[str, Any] = {"ca_cert_file_path": AUTHORITY, "project": "p", "domain": "development"}
    known |= {"rpc_retries": 0, "timeout": 2.0, "headless": True}
    return flyte_lite.Client(server.url, **{**known, **arguments})


WAYS: dict[str, dict[str, Any]] = {
    "client secret": {"client_id": "app", "client_credentials_secret": CLIENT},
    "function": {"client_id": "app", "client_credentials_secret": lambda: CLIENT},
    "command": {"command": WITH_SECRET},
    "proxy command": {"proxy_command": WITH_SECRET},
    "person": {"auth_client_config": {"client_id": "app", "redirect_uri": f"http://localhost/?x={STATE}"}},
}

NO = {
    "unauthenticated": refused("unauthenticated", 401),
    "denied": refused("permission_denied", 403),
    "page": page("200 OK", headers=f"Set-Cookie: sid={COOKIE}\r\n"),
    "gateway": page("502 Bad Gateway"),
    "redirect": page("302 Found", headers=f"Location: https://u:{USERINFO}@login.test/?state={STATE}#{STATE}\r\n"),
    "silence": b"",
    "nonsense": b"HTTP/9 what\r\n\r\n",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 99\r\n\r\nx",
}


@pytest.mark.parametrize("way", WAYS)
def test_calls_that_work_and_those_that_fail(way: str, hearing: Hearing) -> None:
    with flyte() as server, client_of(server, **WAYS[way]) as client:
        hearing.listen(client)
        hearing.hear(list(client.runs.listall(limit=1)))
        assert server.requests
        hearing.listen(client)
        for answered in NO.values():
            server.answers["ListRuns"] = answered
            hearing.lists_in_vain(client)
        hearing.listen(client)


@pytest.mark.parametrize("what", [*NO, "echo", "useless token", "another type"])
def test_identity_providers_that_refuse(what: str, hearing: Hearing) -> None:
    def echo(request: Any) -> bytes:
        told = f"{request.body.decode()} {request.headers.get('authorization')} {CLIENT} is not good"
        return json_answer("400 Bad Request", error="invalid_client", error_description=told, error_uri=CLIENT)

    others: dict[str, Any] = {
        "echo": echo,
        "useless token": json_answer(access_token=f"{ACCESS}\n", refresh_token=REFRESH),
        "another type": json_answer(access_token=ACCESS, token_type="mac"),
    }
    with flyte(token={**NO, **others}[what]) as server:
        client = client_of(server, **WAYS["client secret"])
        with client:
            hearing.lists_in_vain(client)
            hearing.listen(client)


def test_commands_that_fail(hearing: Hearing) -> None:
    argv = [sys.executable, "-c", TALKATIVE, ARGUMENT]
    commands: list[dict[str, Any]] = [
        {"command": argv},
        {"proxy_command": argv},
        {"command": ["/nowhere/tool", ARGUMENT]},
        {"command": [sys.executable, "-c", f"{PRINT}; print('and more')", ARGUMENT]},
    ]
    with flyte() as server:
        for arguments in commands:
            with client_of(server, **arguments) as client:
                hearing.lists_in_vain(client)
                hearing.listen(client)


@pytest.mark.parametrize("user", ["u", ""])
def test_proxies(user: str, hearing: Hearing, monkeypatch: pytest.MonkeyPatch) -> None:
    whose = f"{user}:{QUOTED_PROXY}"
    with ChaosProxy(user=f"{user}:{PROXY}") as proxy, ChaosProxy(user="x:y") as other, flyte() as server:
        hearing.hear(Proxies.given("proxies", {"all": f"http://{whose}@127.0.0.1:{proxy.port}"}))
        for one, works in ((proxy, bool(user)), (other, False)):
            for by_variable in (True, False):
                url = f"http://{whose}@127.0.0.1:{one.port}"
                monkeypatch.setenv("HTTPS_PROXY", url if by_variable else "")
                with client_of(server, http_proxy_url=None if by_variable else url) as client:
                    hearing.hear(client._session.channel.transport.proxy(client._session.channel.origin))
                    if works:
                        assert list(client.runs.listall(limit=1)) == []
                    else:
                        hearing.lists_in_vain(client)
                    hearing.listen(client)
    slash = f"http://{whose}/x@127.0.0.1:1"
    for bad in (
        f"http://{whose}@host:port",
        slash,
        f"{PROXY}://x",
        f"http://{whose}@127.0.0.1:1",
        f"ftp://{whose}@h:1",
    ):
        monkeypatch.setenv("HTTPS_PROXY", bad)
        with flyte_lite.Client("https://127.0.0.1:1", project="p", domain="d", rpc_retries=0, timeout=2.0) as client:
            hearing.lists_in_vain(client)
        with contextlib.suppress(errors.ConfigError):
            hearing.listen(flyte_lite.Client("https://127.0.0.1:1", http_proxy_url=bad))
        main(["doctor", "--endpoint", "https://127.0.0.1:1", "--timeout", "2"])


ENDPOINTS = [
    f"https://user:{USERINFO}@flyte.test",
    f"user:{USERINFO}@flyte.test:443",
    f"https://flyte.test/?token={USERINFO}",
    f"https://flyte.test/#{USERINFO}",
    API_KEY,
    f"{API_KEY}/",
    f"flyte.test:app:{USERINFO}:org",
    f"https://[::1]:8080:app:{USERINFO}:None",
    f"http://user:{USERINFO}/more@flyte.test",
    f"ftp://user:{USERINFO}@flyte.test",
]


@pytest.mark.parametrize("nth", range(len(ENDPOINTS)))
def test_endpoints_with_what_does_not_belong_there(nth: int, hearing: Hearing, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ENDPOINTS[nth]
    hearing.fails(lambda: flyte_lite.Client(text))
    hearing.fails(lambda: flyte_lite.init(endpoint=text))
    hearing.fails(lambda: create_channel(text))
    monkeypatch.setenv("FLYTE_ADMIN_ENDPOINT", text)
    monkeypatch.setenv("FLYTE_CONSOLE_ENDPOINT", text)
    config = Config.auto()
    hearing.hear_config(config)
    hearing.fails(config.server)
    assert main(["doctor"]) == 2
    assert main(["doctor", "--json"]) == 2
    assert main(["get", "config"]) == main(["get", "config", "--json"]) == 0


def test_api_keys(hearing: Hearing, monkeypatch: pytest.MonkeyPatch) -> None:
    with flyte() as server:
        packed = base64.b64encode(f"{server.url}:app:{KEY}:None".encode()).decode().rstrip("=")
        client = flyte_lite.init_from_api_key(packed, "p", "development", ca_cert_file_path=AUTHORITY, timeout=2.0)
        with client:
            hearing.listen(client)
            hearing.hear(list(client.runs.listall(limit=1)))
            server.answers["token"] = json_answer("401 No", error="invalid_client", error_description=f"not {KEY}")
            server.answers["ListRuns"] = NO["unauthenticated"]
            hearing.lists_in_vain(client)
        hearing.hear(create_channel(api_key=packed, ca_cert_file_path=AUTHORITY))
        monkeypatch.setenv("FLYTE_API_KEY", packed)
        monkeypatch.setenv("FLYTE_ADMIN_CACERTFILEPATH", AUTHORITY)
        assert main(["doctor", "--project", "p", "--domain", "development"]) == 7
        assert main(["get", "config"]) == 0
    for bad in (KEY, packed[:-9], base64.b64encode(KEY.encode()).decode(), f"x{packed}", f"{packed}\n{packed}"):
        hearing.fails(lambda bad=bad: flyte_lite.init_from_api_key(bad))  # type: ignore[misc]
        hearing.fails(lambda bad=bad: create_channel(api_key=bad))  # type: ignore[misc]
    hearing.fails(lambda: flyte_lite.Client("https://other.test", api_key=API_KEY))
    hearing.fails(lambda: flyte_lite.Client(api_key=API_KEY, command=["tell", ARGUMENT]))


def test_files(hearing: Hearing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    secret = tmp_path / "client.secret"
    secret.write_text(CLIENT)
    path = tmp_path / "config.yaml"
    with flyte() as server:
        whole = {
            "admin": {
                "endpoint": server.url,
                "clientId": "app",
                "clientSecretLocation": str(secret),
                "authType": "ClientSecret",
                "caCertFilePath": AUTHORITY,
                "command": ["tell-token", ARGUMENT],
                "clientSecret": CLIENT,
            },
            "task": {"project": "p", "domain": "development"},
        }
        path.write_text(json.dumps(whole))
        with flyte_lite.init_from_config(str(path), timeout=2.0) as client:
            hearing.listen(client)
            hearing.hear(list(client.runs.listall(limit=1)))
        assert main(["doctor"]) == 0
        assert main(["get", "config"]) == main(["get", "config", "--json"]) == 0
        for name, value in {
            "FLYTE_AUTH_COMMAND": f'tell-token --password "{ARGUMENT}',
            "FLYTE_AUTH_PROXY_COMMAND": f"'{ARGUMENT}",
            "FLYTE_ADMIN_INSECURE": CLIENT,
            "FLYTE_ADMIN_CLIENTSECRETLOCATION": str(tmp_path / "nowhere"),
            "FLYTE_ADMIN_HTTPPROXYURL": f"http://u:{QUOTED_PROXY}@h:port",
        }.items():
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                hearing.fails(lambda: flyte_lite.init_from_config(str(path)))
                main(["doctor"])
                main(["get", "config"])
    for text in (
        f"admin:\n  clientSecret: [{CLIENT}\n  x",
        f"admin: {{clientSecretLocation: {{a: {CLIENT}}}}}\n",
        f"admin:\n  command: {{a: '{ARGUMENT}'}}\n",
        f"admin:\n  command: [tell, {{password: '{ARGUMENT}'}}]\n",
        f"'{CLIENT}'\n",
        f"admin:\n  endpoint: ['{CLIENT}']\n",
        f"admin:\n\t'{CLIENT}'\n",
    ):
        path.write_text(text)
        hearing.fails(lambda: flyte_lite.init_from_config(str(path)))
        main(["doctor"])
        main(["get", "config"])


def test_channels(hearing: Hearing) -> None:
    class Credentials:
        access_token, refresh_token, expires_in = GIVEN, REFRESH, 3600

    ways: list[dict[str, Any]] = [
        {"token": GIVEN},
        {"token": lambda: GIVEN},
        {"credentials": Credentials()},
        {"client_id": "app", "client_secret": CLIENT, "client_auth": "post"},
        {"command": WITH_SECRET, "proxy_command": WITH_SECRET, "proxy_env": {"X": ARGUMENT}},
        {"client_id": "a", "client_secret": CLIENT, "request_access_token_params": {"p": ARGUMENT}},
        {"token": GIVEN, "header_key": "x-token", "protocol": "grpc-web"},
    ]
    with flyte() as server:
        for way in ways:
            server.answers["ListRuns"] = message(run_service_pb2.ListRunsResponse())
            channel = create_channel(server.url, ca_cert_file_path=AUTHORITY, rpc_retries=0, **way)
            with flyte_lite.Client(channel=channel, project="p", domain="d", timeout=2.0) as client:
                hearing.hear(channel, channel._sign_in)
                with contextlib.suppress(errors.CallError):
                    hearing.hear(list(client.runs.listall(limit=1)))
                for answered in NO.values():
                    server.answers["ListRuns"] = answered
                    hearing.lists_in_vain(client)
                hearing.listen(client)
    hearing.fails(lambda: create_channel("https://h", token=GIVEN, client_secret=CLIENT))
    hearing.fails(lambda: create_channel("https://h", client_secrt=CLIENT))  # type: ignore[call-arg]
    with flyte_lite.Client(channel=create_channel("https://h", token=f"{GIVEN}\n"), project="p", domain="d") as client:
        hearing.lists_in_vain(client)


def test_headers_that_are_passed_through(hearing: Hearing) -> None:
    with flyte() as server, client_of(server, auth_type="Passthrough") as client:
        with auth_metadata(("authorization", f"Bearer {METADATA}"), ("x-user", METADATA)):
            hearing.hear(list(client.runs.listall(limit=1)))
            hearing.listen(client)
            for answered in NO.values():
                server.answers["ListRuns"] = answered
                hearing.lists_in_vain(client)
        with auth_metadata(("authorization", f"Bearer {METADATA}\n")):
            hearing.fails(lambda: list(client.runs.listall(limit=1)), Exception)


def test_client_certificates(hearing: Hearing) -> None:
    given: list[Any] = [
        (CERTIFICATE, LOCKED_KEY, PASSWORD),
        (CERTIFICATE, LOCKED_KEY),
        (LOCKED_KEY, CERTIFICATE),
        (CERTIFICATE, LOCKED_KEY.replace("-----BEGIN", "-----")),
    ]
    for one in given:
        policy = TlsPolicy(cert=one[0], key=one[1], key_password=PASSWORD)
        hearing.hear(policy, policy.for_proxy())
        with contextlib.suppress(errors.FlyteLiteError):
            channel = create_channel("https://127.0.0.1:1", ssl_credentials=one[:2], rpc_retries=0)
            hearing.hear(channel, channel.transport)
            client = flyte_lite.Client(channel=channel, project="p", domain="d", timeout=2.0)
            hearing.lists_in_vain(client)
        hearing.fails(lambda policy=policy: policy.context(AUTHORITY, {}))  # type: ignore[misc]


def test_a_session_of_the_caller(hearing: Hearing) -> None:
    with flyte() as server, requests.Session() as session:
        session.verify = AUTHORITY
        session.auth = ("user", SESSION)
        session.headers["X-Key"] = SESSION
        session.cookies.set("sid", SESSION)
        channel = create_channel(server.url, http_session=session, rpc_retries=0)
        with flyte_lite.Client(channel=channel, project="p", domain="d", timeout=2.0) as client:
            hearing.hear(list(client.runs.listall(limit=1)), channel)
            for answered in NO.values():
                server.answers["ListRuns"] = answered
                hearing.lists_in_vain(client)
            hearing.listen(client)


def test_signed_addresses(hearing: Hearing) -> None:
    """In downloads and in the doctor's upload, whatever the store answers."""
    signed = f"X-Amz-Credential=x&X-Amz-Signature={SIGNATURE}"
    told = f"<Error><Code>AccessDenied</Code><Message>{SIGNATURE} of {signed}</Message></Error>".encode()
    link = dataproxy_service_pb2.CreateDownloadLinkResponse()
    details = run_service_pb2.GetActionDetailsResponse()
    details.details.id.run.name = "r1"
    details.details.id.name = "a0"
    details.details.attempts.add(attempt=1, phase=4)
    stores: list[bytes] = [
        answer(told, status="403 Forbidden", headers="Content-Type: application/xml\r\n"),
        answer(told, status="500 Oh", headers="Content-Type: application/xml\r\n"),
        page("302 Found", headers=f"Location: https://elsewhere.test/?{signed}\r\n"),
        page("200 OK", headers="Content-Encoding: odd\r\n"),
        b"",
        NO["cut"],
    ]
    with flyte(GetActionDetails=message(details)) as server, client_of(server) as client:
        for place in (
            f"{server.url}/store?{signed}",
            f"https://u:{USERINFO}@h/?{signed}",
            f"https://127.0.0.1:1/?{signed}",
        ):
            del link.pre_signed_urls.signed_url[:]
            link.pre_signed_urls.signed_url.append(place)
            server.answers["CreateDownloadLink"] = message(link)
            server.answers["CreateUploadLocation"] = FlyteServer.upload_to(place)
            for store in stores:
                server.answers["store"] = store
                hearing.fails(lambda: client.scoped(timeout=0.5).actions.get(run_name="r1", name="a0").get_report())
                words = ["--endpoint", server.url, "--project", "p", "--domain", "development", "--timeout", "1"]
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv("FLYTE_ADMIN_CACERTFILEPATH", AUTHORITY)
                    assert main(["doctor", *words]) in (0, 9)


def test_what_discovery_says_is_shown_without_queries(hearing: Hearing) -> None:
    for url in (f"https://u:{USERINFO}@idp.test/token", f"http://idp.test/token?x={STATE}"):
        found_there = auth_service_pb2.GetOAuth2MetadataResponse(token_endpoint=url)
        with flyte(GetOAuth2Metadata=message(found_there)) as server:
            client = client_of(server, **WAYS["client secret"])
            with client:
                hearing.lists_in_vain(client)
                hearing.listen(client)


def test_tls_and_networks_that_fail(hearing: Hearing) -> None:
    scripts: list[Callable[[Peer], Any]] = [Peer.reset, lambda peer: peer.send(b"SSH-2.0-x\r\n"), lambda peer: None]
    for script in scripts:
        with ChaosServer(tls=server_context()) as server:
            server.before_tls = script
            client = flyte_lite.Client(
                f"https://127.0.0.1:{server.port}", project="p", domain="d", rpc_retries=0, **WAYS["client secret"]
            )
            with client:
                hearing.lists_in_vain(client)
                hearing.listen(client)


def test_the_hearing_finds_what_is_told() -> None:
    for secret in SECRETS:
        for before in ("", "x", "xy"):
            told = base64.b64encode(f"{before}{secret}:more".encode()).decode()
            assert found([secret], f"Basic {told}"), secret
        assert found([secret], f"it is {secret}!")
        assert found([secret], ValueError(secret))
    hidden = ValueError("something else")
    hidden.__context__, hidden.__suppress_context__ = KeyError(CLIENT), True
    assert found([CLIENT], told_by(hidden)), "a context that is not shown is there all the same"
