"""Settings sign in: by arguments, variables and a file, to a server that wants to know who calls."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from issuer import CERTIFICATES, CLIENT_ID, CLIENT_SECRET, Issuer

import flyte_lite
from flyte_lite import Client, _session, errors
from flyte_lite._rpc.method import Method
from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.project import project_service_pb2
from flyte_lite.remote import auth_metadata

AUTHORITY = str(CERTIFICATES / "authority.pem")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(secure=True) as issuer:
        yield issuer


@pytest.fixture(autouse=True)
def nobody_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    if _session.has_default():
        _session.current().channel.transport.close()
    _session.set_default(None)


GET_PROJECT: Method[project_service_pb2.GetProjectRequest, project_service_pb2.GetProjectResponse] = Method(
    project_service_pb2, "ProjectService", "GetProject", safe=True
)


def call(client: Client) -> None:
    """The issuer answers this to whom it knows only."""
    with client:
        client._session.call(GET_PROJECT, project_service_pb2.GetProjectRequest(id="flytesnacks"))


def by_arguments(issuer: Issuer, _: Any) -> Client:
    return Client(issuer.url, ca_cert_file_path=AUTHORITY, client_id=CLIENT_ID, client_credentials_secret=CLIENT_SECRET)


def by_init(issuer: Issuer, _: Any) -> Client:
    return flyte_lite.init(
        endpoint=issuer.url,
        ca_cert_file_path=AUTHORITY,
        auth_type="ClientSecret",
        client_id=CLIENT_ID,
        client_credentials_secret=lambda: CLIENT_SECRET,
        scopes=["all"],
    )


def by_variables(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, value in {
        "FLYTE_ADMIN_ENDPOINT": issuer.url,
        "FLYTE_ADMIN_CACERTFILEPATH": AUTHORITY,
        "FLYTE_ADMIN_CLIENTID": CLIENT_ID,
        "FLYTE_ADMIN_CLIENTSECRETENVVAR": "MY_SECRET",
        "MY_SECRET": CLIENT_SECRET,
    }.items():
        monkeypatch.setenv(name, value)
    return Client()


def by_a_file(issuer: Issuer, _: Any) -> Client:
    pytest.importorskip("yaml")
    Path("secret").write_text(f"{CLIENT_SECRET}\n", encoding="utf-8")
    Path("config.yaml").write_text(
        f"admin:\n  endpoint: {issuer.url}\n  caCertFilePath: {AUTHORITY}\n  authType: Pkce\n"
        f"  clientId: '{CLIENT_ID}'\n  clientSecretLocation: secret\n",
        encoding="utf-8",
    )
    return flyte_lite.init_from_config()


def by_a_file_that_is_named(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Client:
    by_a_file(issuer, monkeypatch)
    Path("config.yaml").rename("other.yaml")
    client = Client.from_config("other.yaml")
    assert "other.yaml:2 (admin.endpoint)" in client.config.explain()
    return Client.from_config(flyte_lite.config.auto("other.yaml"))


def by_a_command(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Client:
    token = Client(
        issuer.url, ca_cert_file_path=AUTHORITY, client_id=CLIENT_ID, client_credentials_secret=CLIENT_SECRET
    )
    call(token)
    monkeypatch.setenv("FLYTE_AUTH_TYPE", "ExternalCommand")
    monkeypatch.setenv("FLYTE_AUTH_COMMAND", f"echo {issuer.issued[-1]}")
    return Client(issuer.url, ca_cert_file_path=AUTHORITY)


@pytest.mark.parametrize(
    "make", [by_arguments, by_init, by_variables, by_a_file, by_a_file_that_is_named, by_a_command]
)
def test_a_program_signs_in(
    make: Callable[[Issuer, Any], Client], issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(make(issuer, monkeypatch))

    assert len(issuer.to("/token")) == 1


def test_a_key_signs_in_to_its_own_server(issuer: Issuer) -> None:
    # A colon in the id is nothing that a key can carry.
    issuer.clients["app"] = CLIENT_SECRET
    key = base64.b64encode(f"{issuer.url}:app:{CLIENT_SECRET}:acme".encode()).decode()
    client = flyte_lite.init_from_api_key(key.rstrip("="), "p", "d", ca_cert_file_path=AUTHORITY)

    call(client)

    assert client._session.scope == ("acme", "p", "d")


def test_headers_are_passed_through(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    call(by_arguments(issuer, None))
    monkeypatch.setenv("FLYTE_ADMIN_CACERTFILEPATH", AUTHORITY)
    assert flyte_lite.init_passthrough(issuer.url) == {"endpoint": issuer.url, "insecure": False}
    session = _session.current()

    with auth_metadata(("authorization", f"Bearer {issuer.issued[-1]}")):
        session.call(GET_PROJECT, project_service_pb2.GetProjectRequest(id="flytesnacks"))
    with pytest.raises(errors.UnauthenticatedError):
        session.call(GET_PROJECT, project_service_pb2.GetProjectRequest(id="flytesnacks"))
    assert len(issuer.to("/token")) == 1


def test_a_container_signs_in_by_what_it_was_given(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer.clients["app"] = CLIENT_SECRET
    key = base64.b64encode(f"{issuer.url}:app:{CLIENT_SECRET}:acme".encode()).decode()
    monkeypatch.setenv("FLYTE_ADMIN_CACERTFILEPATH", AUTHORITY)
    monkeypatch.setenv("EAGER_API_KEY", key)
    monkeypatch.setenv("FLYTE_INTERNAL_EXECUTION_PROJECT", "p")

    assert flyte_lite.init_in_cluster(domain="d") == {"insecure": False, "api_key": key}

    session = _session.current()
    session.call(GET_PROJECT, project_service_pb2.GetProjectRequest(id="flytesnacks"))
    assert session.scope == ("acme", "p", "d")


@pytest.mark.parametrize("arguments", [{}, {"auth_type": "Pkce"}, {"auth_type": "DeviceFlow"}, {"headless": True}])
def test_nobody_is_asked_where_nobody_can_answer(arguments: Any, issuer: Issuer) -> None:
    client = Client(issuer.url, project="p", domain="d", ca_cert_file_path=AUTHORITY, **arguments)
    with pytest.raises(errors.UnauthenticatedError) as caught:
        call(client)
    said = "headless=True, or interactive=False"
    reason = said if arguments.get("headless") else "the environment variable CI is set"
    assert f"nobody can sign in here ({reason}). Give init(), Client()" in str(caught.value)
    for name in ("FLYTE_API_KEY", "FLYTE_ADMIN_CLIENTID", "FLYTE_ADMIN_CLIENTSECRETENVVAR", "FLYTE_AUTH_COMMAND"):
        assert name in str(caught.value)
    # Of the settings what is about signing in, and where each stands.
    told = {line.split()[0]: line.split() for line in str(caught.value).splitlines()[2:-1]}
    assert told["endpoint"] == ["endpoint", issuer.url, "argument"]
    flow = arguments.get("auth_type")
    assert told["auth_type"][1:] == [flow or "-", "argument" if flow else "default"]
    assert {"client_id", "client_credentials_secret", "command", "token_store", "disable_keyring"} < set(told)
    assert "project" not in told
    # It was asked without a token first, and the flow that is named waited for its refusal.
    assert "authorization" not in issuer.requests[0].headers
    assert issuer.to("/token") == issuer.to("/device") == []


@pytest.mark.parametrize("variables", [{}, {"FLYTE_AUTH_TYPE": "Pkce"}], ids=["nothing set", "as flytectl has it"])
def test_a_server_of_this_machine_that_wants_nobody_loads_nothing_of_signing_in(
    variables: dict[str, str], box: Devbox, run_script: Callable[..., str]
) -> None:
    code = """
import sys
from flyte_lite import Client
with Client(sys.argv[1], project="flytesnacks", domain="development") as client:
    list(client.runs.listall(limit=1))
print(*[name for name in sys.modules if name.startswith(("flyte_lite._auth", "keyring"))])
"""

    assert run_script(code, box.endpoint, **variables) == "\n"


def test_two_organizations_sign_in_each_as_itself() -> None:
    """Two servers at once, from threads: the token of one is never shown to the other."""
    with Issuer(secure=True) as one, Issuer(secure=True) as other:
        clients = {issuer: by_arguments(issuer, None) for issuer in (one, other)}

        def work(issuer: Issuer) -> None:
            for _ in range(5):
                call(clients[issuer])

        threads = [threading.Thread(target=work, args=(issuer,)) for issuer in (one, other) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert [len(issuer.to("/flyteidl2.project.ProjectService/GetProject")) for issuer in clients] == [15, 15]
        for issuer in (one, other):
            assert len(issuer.to("/token")) == 1
            shown = {request.headers.get("authorization", "").partition("Bearer ")[2] for request in issuer.requests}
            assert {token for token in shown if token} <= set(issuer.issued)
