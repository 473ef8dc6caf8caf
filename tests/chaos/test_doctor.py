"""`flyte-lite doctor` on set-ups that are broken each in its own way: it names the cause, its status is the kind."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest
from chaos_proxy import ChaosProxy
from chaos_server import CERTIFICATES, ChaosServer, Peer, answer, nobody_accepts, server_context
from flyte_server import FlyteServer, message, page, refused

from flyte_lite._cli import main
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.project import project_service_pb2

AUTHORITY = str(CERTIFICATES / "authority.pem")
SECRET = "hidden-s3cret"


class Bench:
    """What a set-up is made of: servers that stop with the test, the environment, a folder."""

    def __init__(self, stack: ExitStack, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._stack = stack
        self._patch = patch
        self.folder = folder

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._patch.setenv(name, value)

    def start(self, server: Any) -> Any:
        self._stack.enter_context(server)
        # Scripts that are silent until the end hold the others up.
        self._stack.callback(server.stopping.set)
        return server

    def enter(self, context: Any) -> Any:
        return self._stack.enter_context(context)

    def flyte(self, certificate: str = "", *, clients: str = "", **answers: Any) -> FlyteServer:
        """A server of Flyte, with these answers instead of the usual ones, and the endpoint set to it."""
        server = self.start(FlyteServer(tls=server_context(certificate, clients=clients) if certificate else None))
        server.answers.update(answers)
        self.set(FLYTE_ADMIN_ENDPOINT=server.url, FLYTE_TASK_PROJECT="p", FLYTE_TASK_DOMAIN="development")
        if certificate:
            self.set(FLYTE_ADMIN_CACERTFILEPATH=AUTHORITY)
        return server

    def signs_in(self) -> None:
        self.set(FLYTE_ADMIN_CLIENTID="app", FLYTE_ADMIN_CLIENTSECRETENVVAR="THE_SECRET", THE_SECRET=SECRET)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with ExitStack() as stack:
        yield Bench(stack, monkeypatch, tmp_path)


class Case(NamedTuple):
    """One set-up.

    Attributes:
        status: Of the command.
        step: The one that failed.
        said: All of these are in its text or its remedy.
        arrange: Breaks something.
    """

    status: int
    step: str
    said: tuple[str, ...]
    arrange: Callable[[Bench], Any]


CASES: dict[str, Case] = {}


def case(status: int, step: str, *said: str) -> Callable[[Callable[[Bench], Any]], Callable[[Bench], Any]]:
    def add(arrange: Callable[[Bench], Any]) -> Callable[[Bench], Any]:
        CASES[arrange.__name__] = Case(status, step, said, arrange)
        return arrange

    return add


def token_answer(request: Any) -> bytes:
    body = b'{"access_token":"t0ken-that-is-hidden","token_type":"Bearer","expires_in":3600}'
    return answer(body, headers="Content-Type: application/json\r\n")


# The configuration.


@case(2, "configuration", "no endpoint is set", "FLYTE_ADMIN_ENDPOINT")
def nothing_is_set(bench: Bench) -> None:
    pass


@case(2, "configuration", "ftp:// is not known", "environment variable FLYTE_ADMIN_ENDPOINT")
def another_scheme(bench: Bench) -> None:
    bench.set(FLYTE_ADMIN_ENDPOINT="ftp://flyte.test")


@case(2, "configuration", "config.yaml:3", "no YAML")
def a_file_that_is_no_yaml(bench: Bench) -> None:
    (bench.folder / "config.yaml").write_text("admin:\n  endpoint: [dns\n")


@case(2, "configuration", "FLYTE_ADMIN_INSECURE", "'maybe'", "true or false")
def a_flag_that_is_none(bench: Bench) -> None:
    bench.set(FLYTE_ADMIN_ENDPOINT="flyte.test", FLYTE_ADMIN_INSECURE="maybe")


@case(2, "TLS", "CA certificates", "gone.pem", "ca_cert_file_path")
def an_authority_that_is_not_there(bench: Bench) -> None:
    bench.flyte("server")
    bench.set(FLYTE_ADMIN_CACERTFILEPATH=str(bench.folder / "gone.pem"))


@case(2, "proxy", "the proxy in", "HTTP_PROXY", "no address")
def a_proxy_that_is_no_address(bench: Bench) -> None:
    bench.flyte()
    bench.set(HTTP_PROXY=f"http://user:{SECRET}@host:port")


# The network.


@case(3, "name resolution", "nowhere.invalid", "can't be resolved", "FLYTE_ADMIN_ENDPOINT")
def a_name_that_nobody_knows(bench: Bench) -> None:
    bench.set(FLYTE_ADMIN_ENDPOINT="nowhere.invalid")


@case(3, "TCP", "refused", "Nobody listens")
def a_port_where_nobody_listens(bench: Bench) -> None:
    with ChaosServer() as server:
        pass
    bench.set(FLYTE_ADMIN_ENDPOINT=f"http://127.0.0.1:{server.port}")


@case(3, "TCP", "127.0.0.1", "firewall", "HTTPS_PROXY")
def packets_that_are_dropped(bench: Bench) -> None:
    bench.set(FLYTE_ADMIN_ENDPOINT=f"http://127.0.0.1:{bench.enter(nobody_accepts())}")


# Proxies.


@case(4, "TCP", "the proxy 127.0.0.1", "HTTP_PROXY", "NO_PROXY")
def a_proxy_that_is_down(bench: Bench) -> None:
    bench.flyte()
    with ChaosProxy() as proxy:
        pass
    bench.set(HTTP_PROXY=f"http://user:{SECRET}@127.0.0.1:{proxy.port}")


@case(4, "name resolution", "the proxy nowhere.invalid", "ALL_PROXY")
def a_proxy_that_nobody_knows(bench: Bench) -> None:
    bench.flyte()
    bench.set(ALL_PROXY="http://nowhere.invalid:3128")


@case(4, "proxy", "407", "a user and a password", "HTTPS_PROXY")
def a_tunnel_that_wants_a_password(bench: Bench) -> None:
    bench.flyte("server")
    bench.set(HTTPS_PROXY=f"http://127.0.0.1:{bench.start(ChaosProxy(user='a:b')).port}")


@case(4, "proxy", "407", "HTTPS_PROXY")
def a_tunnel_that_wants_another_password(bench: Bench) -> None:
    bench.flyte("server")
    bench.set(HTTPS_PROXY=f"http://a:{SECRET}@127.0.0.1:{bench.start(ChaosProxy(user='a:b')).port}")


@case(4, "Connect", "407", "a user and a password", "HTTP_PROXY")
def a_proxy_of_plain_http_that_wants_a_password(bench: Bench) -> None:
    bench.flyte()
    bench.set(HTTP_PROXY=f"http://127.0.0.1:{bench.start(ChaosProxy(user='a:b')).port}")


@case(4, "proxy", "403", "let you through")
def a_proxy_that_lets_nobody_through(bench: Bench) -> None:
    bench.flyte("server")
    proxy = bench.start(ChaosProxy())
    proxy.instead_of_tunnel = lambda peer: peer.send(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    bench.set(HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}")


# TLS.


@case(5, "TLS", "not trusted", "ca_cert_file_path")
def an_authority_that_nobody_knows(bench: Bench) -> None:
    bench.flyte("server")
    bench.set(FLYTE_ADMIN_CACERTFILEPATH=str(CERTIFICATES / "stranger.pem"))


@case(5, "TLS", "not trusted", "self")
def a_certificate_that_is_signed_by_itself(bench: Bench) -> None:
    bench.flyte("stranger")


@case(5, "TLS", "not valid now", "expired")
def a_certificate_that_has_expired(bench: Bench) -> None:
    bench.flyte("expired")


@case(5, "TLS", "for another host")
def a_certificate_for_another_host(bench: Bench) -> None:
    bench.flyte("elsewhere")


@case(5, "TLS", "Flyte answers there by plain http", "http://", "insecure")
def https_where_http_is_spoken(bench: Bench) -> None:
    server = bench.flyte()
    bench.set(FLYTE_ADMIN_ENDPOINT=f"https://127.0.0.1:{server.port}")


@case(5, "Connect", "speaks TLS", "https://")
def http_where_https_is_spoken(bench: Bench) -> None:
    server = bench.flyte("server")
    bench.set(FLYTE_ADMIN_ENDPOINT=f"http://127.0.0.1:{server.port}")


@case(5, "Connect", "client certificate")
def a_server_that_wants_a_client_certificate(bench: Bench) -> None:
    bench.flyte("server", clients="client_authority")


@case(5, "TLS", "127.0.0.1", "speaks no TLS")
def silence_where_tls_should_begin(bench: Bench) -> None:
    server = bench.flyte("server")
    server.before_tls = Peer.silence


# What answers.


@case(6, "Connect", "not Flyte", "text/html", "Sign in", "console")
def a_web_page(bench: Bench) -> None:
    bench.flyte(GetPublicClientConfig=page("200 OK"))


@case(6, "Connect", "redirects to https://login.test/", "never followed")
def a_redirect_to_a_login_page(bench: Bench) -> None:
    bench.flyte(GetPublicClientConfig=page("302 Found", headers=f"Location: https://login.test/?state={SECRET}\r\n"))


@case(6, "Connect", "502", "gets no answer", "down")
def a_gateway_without_a_server(bench: Bench) -> None:
    bench.flyte(GetPublicClientConfig=page("502 Bad Gateway", b"<html>nginx</html>"))


@case(6, "Connect", "does not answer")
def a_server_that_says_nothing(bench: Bench) -> None:
    bench.flyte().script = lambda peer: (peer.read_request(), peer.silence())  # type: ignore[func-returns-value]


@case(6, "Connect", "HTTP", "port")
def another_kind_of_server(bench: Bench) -> None:
    bench.flyte().script = lambda peer: peer.send(b"SSH-2.0-OpenSSH_9.9\r\n")


@case(6, "Connect", "path of the endpoint")
def a_path_that_leads_elsewhere(bench: Bench) -> None:
    bench.flyte().answers.clear()


@case(6, "Connect", "403", "lets nobody in")
def a_wall_before_the_server(bench: Bench) -> None:
    bench.flyte(GetPublicClientConfig=page("403 Forbidden", b"<html>Request blocked</html>"))


# Who we are.


@case(7, "sign-in", "invalid_client", "secret")
def a_secret_that_is_not_taken(bench: Bench) -> None:
    said = json.dumps({"error": "invalid_client", "error_description": f"not {SECRET}"}).encode()
    bench.flyte("server", token=answer(said, status="401 Unauthorized", headers="Content-Type: application/json\r\n"))
    bench.signs_in()


@case(7, "sign-in", "nowhere.invalid", "can't be resolved")
def an_identity_provider_that_nobody_knows(bench: Bench) -> None:
    found = auth_service_pb2.GetOAuth2MetadataResponse(token_endpoint="https://nowhere.invalid/token")
    bench.flyte("server", GetOAuth2Metadata=message(found))
    bench.signs_in()


@case(7, "sign-in", "the command", "can't be started")
def a_command_that_is_not_there(bench: Bench) -> None:
    bench.flyte("server")
    bench.set(FLYTE_AUTH_COMMAND=f"no-such-command {SECRET}", FLYTE_AUTH_TYPE="ExternalCommand")


@case(7, "sign-in", "gave no token", "exit status 3")
def a_command_that_fails(bench: Bench) -> None:
    bench.flyte("server")
    argv = [sys.executable, "-c", f"import sys; print({SECRET!r}); sys.exit(3)"]
    bench.set(FLYTE_AUTH_COMMAND=json.dumps(argv), FLYTE_AUTH_TYPE="ExternalCommand")


@case(7, "read", "unauthenticated", "wants to know who calls", "FLYTE_API_KEY")
def a_server_that_wants_credentials_and_gets_none(bench: Bench) -> None:
    bench.flyte(GetProject=refused("unauthenticated", 401), ListRuns=refused("unauthenticated", 401))


@case(7, "read", "wants to know who calls", "nobody can sign in here", "FLYTE_API_KEY")
def a_server_by_https_that_wants_credentials_and_gets_none(bench: Bench) -> None:
    bench.flyte("server", GetProject=refused("unauthenticated", 401), ListRuns=refused("unauthenticated", 401))


@case(7, "read", "unauthenticated", "by plain http nothing is shown", "THE_SECRET")
def a_secret_that_is_not_shown_by_plain_http(bench: Bench) -> None:
    bench.flyte(GetProject=refused("unauthenticated", 401), ListRuns=refused("unauthenticated", 401))
    bench.signs_in()


@case(7, "read", "unauthenticated", "does not take what it is shown")
def a_token_that_is_not_taken(bench: Bench) -> None:
    no = refused("unauthenticated", 401)
    bench.flyte("server", token=token_answer, GetProject=no, ListRuns=no)
    bench.signs_in()


# What we may do.


@case(8, "read", "project not found", "'p'", "FLYTE_TASK_PROJECT")
def a_project_that_is_not_there(bench: Bench) -> None:
    bench.flyte(GetProject=refused("not_found", 404, "project not found: p"))


@case(8, "read", "no domain develop", "development, production", "FLYTE_TASK_DOMAIN")
def a_domain_that_is_not_there(bench: Bench) -> None:
    bench.flyte()
    bench.set(FLYTE_TASK_DOMAIN="develop")


@case(8, "read", "permission_denied", "may not read")
def rights_that_are_missing(bench: Bench) -> None:
    no = refused("permission_denied", 403, "not yours")
    bench.flyte(GetProject=no, ListRuns=no)


@case(9, "upload", "permission_denied", "write to this project")
def rights_to_write_that_are_missing(bench: Bench) -> None:
    bench.flyte(CreateUploadLocation=refused("permission_denied", 403, "read only"))


@case(9, "upload", "the object store https://nowhere.invalid", "another host")
def an_object_store_that_nobody_knows(bench: Bench) -> None:
    bench.flyte(CreateUploadLocation=FlyteServer.upload_to(f"https://nowhere.invalid/store?X-Sig={SECRET}"))


@case(9, "upload", "SignatureDoesNotMatch", "clock")
def a_signature_that_the_store_refuses(bench: Bench) -> None:
    body = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{SECRET}</Message></Error>".encode()
    no = answer(body, status="403 Forbidden", headers="Content-Type: application/xml\r\n")
    server = bench.flyte(store=no)
    server.answers["CreateUploadLocation"] = FlyteServer.upload_to(f"{server.url}/store?X-Sig={SECRET}")


@case(2, "upload", "the proxy in HTTP_PROXY can't be used", "Mend that setting")
def a_proxy_to_the_object_store_that_is_no_address(bench: Bench) -> None:
    bench.flyte("server", CreateUploadLocation=FlyteServer.upload_to("http://127.0.0.1:1/store"))
    bench.set(HTTP_PROXY=f"http://user:{SECRET}@host:port")


@case(9, "upload", "x-odd", "line end", "Ask who runs the server")
def a_header_for_the_object_store_that_is_none(bench: Bench) -> None:
    place = dataproxy_service_pb2.CreateUploadLocationResponse(
        signed_url="http://127.0.0.1:1/store", headers={"x-odd": f"{SECRET}\n"}
    )
    bench.flyte(CreateUploadLocation=message(place))


def doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any], str]:
    """The status, what a program reads, and what a person reads."""
    capsys.readouterr()
    status = main(["doctor", "--timeout", "1.5"])
    assert main(["doctor", "--json", "--timeout", "1.5"]) == status
    out, err = capsys.readouterr()
    assert err == ""
    text, brace, report = out.partition("\n{")
    return status, json.loads(brace + report), text


@pytest.mark.parametrize("name", CASES)
def test_it_names_the_cause(name: str, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    expected = CASES[name]
    expected.arrange(bench)

    status, report, shown = doctor(capsys)

    (failed,) = [step for step in report["steps"] if step["verdict"] == "failed"]
    told = f"{failed['text']} {failed['remedy']}"
    assert (status, failed["step"]) == (expected.status, expected.step), told
    assert [part for part in expected.said if part not in told] == [], told
    assert failed["remedy"]
    assert report["exit_status"] == status
    assert not report["ok"]
    steps = [step["step"] for step in report["steps"]]
    assert len(steps) == 9
    for step in report["steps"][steps.index(expected.step) + 1 :]:
        assert step["verdict"] == "skipped"
        assert f"({expected.step})" in step["text"]
    assert f"FAILED   {expected.step}" in shown
    for hidden in (SECRET, "t0ken-that-is-hidden", "5ignature"):
        assert hidden not in shown + json.dumps(report)


def test_nothing_is_wrong(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    server = bench.flyte("server", token=token_answer)
    bench.signs_in()
    bench.set(HTTPS_PROXY=f"http://127.0.0.1:{bench.start(ChaosProxy()).port}")

    status, report, shown = doctor(capsys)

    assert status == 0
    assert report["ok"]
    assert [step["verdict"] for step in report["steps"]] == ["ok"] * 9
    assert shown.endswith("nothing is wrong")
    (first, second) = server.stored
    assert (first.body, first.headers["x-amz-meta-a"]) == (second.body, ["b"])
    assert first.headers["content-length"] == [str(len(first.body))]
    assert "authorization" not in first.headers
    assert "5ignature" not in shown + json.dumps(report)


@pytest.mark.parametrize(
    ("answers", "variables", "step", "said"),
    [
        ({"CreateUploadLocation": refused("unimplemented", 501)}, {}, "upload", "offers no upload"),
        ({}, {"FLYTE_TASK_DOMAIN": ""}, "upload", "no project and domain"),
        ({}, {}, "sign-in", "nothing is set"),
        ({}, {}, "TLS", "plain http"),
        ({}, {}, "proxy", "none leads to"),
    ],
)
def test_what_can_not_be_tried_says_why_and_is_no_failure(
    answers: dict[str, Any],
    variables: dict[str, str],
    step: str,
    said: str,
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench.flyte(**answers)
    bench.set(**variables)

    status, report, _ = doctor(capsys)

    assert status == 0
    (found,) = [each for each in report["steps"] if each["step"] == step]
    assert found["verdict"] == "skipped"
    assert said in found["text"]


def test_a_server_that_does_not_know_the_first_question_is_flyte_all_the_same(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    del bench.flyte().answers["GetPublicClientConfig"]

    assert doctor(capsys)[0] == 0


def test_a_wall_that_credentials_open_is_none(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    server = bench.flyte()
    argv = [sys.executable, "-c", "print('let-me-in')"]
    bench.set(FLYTE_AUTH_PROXY_COMMAND=json.dumps(argv))

    def behind_a_wall(usual: Any) -> Callable[[Any], bytes]:
        def ask(request: Any) -> bytes:
            known = request.headers.get("proxy-authorization") == ["Bearer let-me-in"]
            said: bytes = (usual(request) if callable(usual) else usual) if known else page("401 Unauthorized")
            return said

        return ask

    for name in ("GetPublicClientConfig", "GetProject", "ListRuns", "SelectCluster", "CreateUploadLocation"):
        server.answers[name] = behind_a_wall(server.answers[name])

    assert doctor(capsys)[0] == 0


def test_a_certificate_that_nobody_verifies_is_a_warning(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.flyte("expired")
    bench.set(FLYTE_ADMIN_CACERTFILEPATH="", FLYTE_ADMIN_INSECURESKIPVERIFY="true")

    status, report, _ = doctor(capsys)

    assert status == 0
    (found,) = [each for each in report["steps"] if each["step"] == "TLS"]
    assert found["verdict"] == "warning"
    assert "FLYTE_ADMIN_INSECURESKIPVERIFY" in found["remedy"]


def test_a_clock_that_is_wrong_is_a_warning(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    body = auth_service_pb2.GetPublicClientConfigResponse().SerializeToString()
    old = answer(body, headers="Content-Type: application/proto\r\nDate: Thu, 01 Jan 2015 00:00:00 GMT\r\n")
    bench.flyte(GetPublicClientConfig=old)

    status, report, _ = doctor(capsys)

    assert status == 0
    (found,) = [each for each in report["steps"] if each["step"] == "Connect"]
    assert (found["verdict"], "behind" in found["text"]) == ("warning", True)
    assert "clock" in found["remedy"]


def test_a_project_without_domains_is_taken_as_it_is(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    project = project_service_pb2.GetProjectResponse(project=project_service_pb2.Project(id="p"))
    bench.flyte(GetProject=message(project))

    assert doctor(capsys)[0] == 0


def test_words_win_over_variables_and_no_key_goes_to_another_server(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    key = base64.b64encode(f"nowhere.invalid:app:{SECRET}:org".encode()).decode()
    server = bench.flyte(token=token_answer)
    bench.set(FLYTE_ADMIN_ENDPOINT="", FLYTE_API_KEY=key)

    status = main(["doctor", "--endpoint", server.url, "--project", "p", "--domain", "production"])

    assert status == 0, capsys.readouterr().out
    assert [request.target for request in server.requests if "token" in request.target] == []
    assert "domain production" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("authorization_pending", ("nobody entered the device code", "--timeout")),
        ("access_denied", ("declined", "FLYTE_API_KEY")),
    ],
)
def test_a_person_is_asked_once(
    said: str, told: tuple[str, ...], bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def device(request: Any) -> bytes:
        fields = {"device_code": "the-code", "user_code": "u", "verification_uri": "https://idp.test", "expires_in": 9}
        return answer(json.dumps({**fields, "interval": 0.1}).encode(), headers="Content-Type: application/json\r\n")

    no = refused("unauthenticated", 401)
    refusal = answer(
        json.dumps({"error": said}).encode(), status="400 Bad Request", headers="Content-Type: application/json\r\n"
    )
    server = bench.flyte("server", GetProject=no, ListRuns=no, device=device, token=refusal)
    found = auth_service_pb2.GetOAuth2MetadataResponse(
        token_endpoint=f"{server.url}/token", device_authorization_endpoint=f"{server.url}/device"
    )
    known = auth_service_pb2.GetPublicClientConfigResponse(client_id="app", scopes=["all"])
    server.answers.update(GetOAuth2Metadata=message(found), GetPublicClientConfig=message(known))
    bench.set(FLYTE_AUTH_TYPE="DeviceFlow", CI="")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    status = main(["doctor", "--timeout", "1"])

    out, err = capsys.readouterr()
    assert (status, err.count("https://idp.test")) == (7, 1), out
    assert [part for part in told if part not in " ".join(out.split())] == [], out
