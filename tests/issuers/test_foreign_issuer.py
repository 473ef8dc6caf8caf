"""Each flow, end to end: a devbox whose callers sign in at oidc-provider, which is strict and not of our making."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import logging
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Optional
from urllib.parse import urlencode, urlsplit

import pytest
from caller import CERTIFICATES, Caller, Place, calling
from oidc_provider import (
    AUDIENCE,
    BASIC,
    DEVICE_GRANT,
    OTHER_AUDIENCE,
    PEOPLE,
    POST,
    STRUCTURED_AUDIENCE,
    OidcProvider,
    trusted,
)
from page_browser import PageBrowser
from planted import found, told_by

from flyte_lite import Client, errors
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._auth.passthrough import auth_metadata
from flyte_lite._auth.terminal import Terminal
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.method import Method
from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.auth import identity_pb2
from flyte_lite.remote import create_channel

AUTHORITY = str(CERTIFICATES / "authority.pem")
WHO: Method[Any, Any] = Method(identity_pb2, "IdentityService", "UserInfo")
PROGRAM = {"client_id": BASIC[0], "client_secret": BASIC[2]}


def at(box: Devbox, **settings: Any) -> AbstractContextManager[Caller]:
    parts = urlsplit(box.endpoint)
    assert parts.port is not None
    return calling(Place(parts.scheme, parts.port), **settings)


@pytest.fixture
def browser() -> Iterator[PageBrowser]:
    made = PageBrowser(AUTHORITY)
    yield made
    made.done()


def subject(channel: Channel) -> str:
    """Whom the server takes us for."""
    who = channel.unary(WHO, identity_pb2.UserInfoRequest(), deadline=Deadline(SYSTEM_CLOCK, 20.0)).message
    return str(who.subject)


def ask_for_token(provider: OidcProvider, audience: str = AUDIENCE, **form: str) -> dict[str, Any]:
    """A token as anybody may get one, without us."""
    asked = {"grant_type": "client_credentials", "client_id": POST[0], "client_secret": POST[2], "audience": audience}
    body = urlencode({**asked, "scope": "all", **form}).encode()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=AUTHORITY)),
    )
    with opener.open(f"{provider.url}/token", body, timeout=20) as answer:
        said: dict[str, Any] = json.load(answer)
    return said


@pytest.mark.parametrize(("who", "style"), [(BASIC, "basic"), (BASIC, None), (POST, "post")])
def test_client_credentials(
    provider: OidcProvider, box: Devbox, who: tuple[str, str, str], style: Optional[str]
) -> None:
    with at(box, client_id=who[0], client_secret=who[2], client_auth=style) as caller:
        assert [caller.call() for _ in range(3)] == [1, 1, 1]
        assert provider.granted == {"client_credentials": 1}
        provider.end_tokens()
        assert caller.call() == 2, "once refused, once taken"

    assert provider.granted == {"client_credentials": 2}
    assert provider.refused == []


def test_a_wrong_secret(provider: OidcProvider, box: Devbox) -> None:
    refused = pytest.raises(errors.UnauthenticatedError, match="invalid_client")
    with at(box, client_id=POST[0], client_secret="planted-and-wrong", client_auth="post") as caller, refused as caught:
        caller.call()

    assert "planted" not in str(caught.value)
    assert [(grant, error) for grant, error, _ in provider.refused] == [("client_credentials", "invalid_client")]
    assert box.calls.of("ProjectService/GetProject") == []


def test_an_api_key(provider: OidcProvider, box: Devbox) -> None:
    key = base64.b64encode(f"{box.endpoint}:{POST[0]}:{POST[2]}:acme".encode()).decode()
    with create_channel(api_key=key, ca_cert_file_path=AUTHORITY, client_auth="post") as channel:
        client = Client(channel=channel, project="flytesnacks", domain="development")
        run = client.run(client.tasks.get("greetings.hello", version="v1"), name="world")
        run.wait(timeout=60)

        assert run.outputs()[0] == "hello world"
        assert subject(channel) == POST[0]
    assert provider.granted == {"client_credentials": 1}


@pytest.mark.parametrize("scopes", [(), ("openid", "offline_access", "all")], ids=["the server's", "our own"])
def test_a_browser(provider: OidcProvider, box: Devbox, browser: PageBrowser, scopes: tuple[str, ...]) -> None:
    with at(box, auth_type="Pkce", browse=browser, known=ClientConfig(scopes=scopes)) as caller:
        assert [caller.call(), caller.call()] == [1, 1]
        for generation in range(1, 4):
            provider.end_tokens()
            caller.call_in_threads(12)
            assert provider.granted == {"authorization_code": 1, "refresh_token": generation}
        assert subject(caller.channel) == "ada"
    browser.done()

    assert len(browser.urls) == 1
    assert provider.refused == []
    assert browser.pages[-1][1] == 200
    assert "You can close this page" in browser.pages[-1][2]


def test_a_browser_where_a_server_by_https_turns_out_to_want_somebody(
    provider: OidcProvider, box: Devbox, browser: PageBrowser
) -> None:
    with at(box, browse=browser) as caller:
        assert caller.call() == 2, "once without, once with"

    assert provider.granted == {"authorization_code": 1}


def test_a_browser_on_another_machine(provider: OidcProvider, box: Devbox) -> None:
    pty = pytest.importorskip("pty")
    browser = PageBrowser(AUTHORITY, elsewhere=True)
    ours, theirs = pty.openpty()

    def tell(text: str) -> None:
        page = text.partition("To sign in, open ")[2].split()
        if page:
            browser.visit(page[0])
            os.write(ours, f"{browser.pages[-1][0]}\n".encode())

    try:
        with at(box, auth_type="Pkce", tell=tell, terminal=lambda: Terminal(theirs)) as caller:
            assert caller.call() == 1
    finally:
        os.close(ours)
        os.close(theirs)
    assert provider.granted == {"authorization_code": 1}
    assert browser.pages[-1][0].startswith("http://localhost:")


def test_a_browser_that_is_told_no(provider: OidcProvider, box: Devbox) -> None:
    browser = PageBrowser(AUTHORITY, declines=True)
    declined = pytest.raises(errors.UnauthenticatedError, match=r"access_denied \(End-User aborted interaction\)")
    with at(box, auth_type="Pkce", browse=browser) as caller, declined:
        caller.call()
    browser.done()

    assert provider.granted == {}
    assert browser.pages[-1][1] == 400


def enters_code(browser: PageBrowser) -> Callable[[str], None]:
    """What somebody does on another device who reads what is printed."""

    def tell(text: str) -> None:
        page, _, rest = text.partition("To sign in, open ")[2].partition(" and ")
        browser(page, rest.rpartition(" ")[2])

    return tell


def test_a_device_code(provider: OidcProvider, box: Devbox, browser: PageBrowser) -> None:
    with at(box, auth_type="DeviceFlow", tell=enters_code(browser)) as caller:
        assert caller.call() == 1
        for generation in range(1, 4):
            provider.end_tokens()
            caller.call_in_threads(12)
            assert provider.granted == {DEVICE_GRANT: 1, "refresh_token": generation}
    browser.done()

    assert len(caller.told) == 1
    assert "Sign-in Success" in browser.pages[-1][2]


def test_a_device_code_that_is_declined(provider: OidcProvider, box: Devbox) -> None:
    browser = PageBrowser(AUTHORITY, declines=True)
    declined = pytest.raises(errors.UnauthenticatedError, match="signing in was declined")
    with at(box, auth_type="DeviceFlow", tell=enters_code(browser)) as caller, declined:
        caller.call()
    browser.done()

    assert provider.granted == {}


def test_a_refresh_token_that_somebody_else_used_signs_both_out(
    provider: OidcProvider, box: Devbox, browser: PageBrowser
) -> None:
    with at(box, auth_type="Pkce", browse=browser) as caller:
        caller.call()
        stolen = caller.credentials._state[1].refresh  # type: ignore[union-attr]
        taken = ask_for_token(
            provider, client_id=PEOPLE, client_secret="", grant_type="refresh_token", refresh_token=stolen, scope=""
        )
        provider.end_tokens()
        assert caller.call() == 2, "a browser opened again"

    browser.done()
    assert len(browser.urls) == 2
    assert provider.granted == {"authorization_code": 2, "refresh_token": 1}
    assert provider.refused == [["refresh_token", "invalid_grant", "refresh token already used"]]
    with pytest.raises(urllib.error.HTTPError) as thief:
        ask_for_token(
            provider,
            client_id=PEOPLE,
            client_secret="",
            grant_type="refresh_token",
            refresh_token=taken["refresh_token"],
            scope="",
        )
    thief.value.close()


def test_a_sign_in_that_was_ended_elsewhere_begins_anew(
    provider: OidcProvider, box: Devbox, browser: PageBrowser
) -> None:
    with at(box, auth_type="Pkce", browse=browser) as caller:
        caller.call()
        provider.sign_everybody_out()
        assert caller.call() == 2

    assert len(browser.urls) == 2


def test_a_token_that_ends_by_itself_is_renewed_before_a_server_refuses_it(
    provider: OidcProvider, box: Devbox, browser: PageBrowser
) -> None:
    provider.tokens_live(2)
    with at(box, auth_type="Pkce", browse=browser) as caller:
        assert caller.credentials is not None
        caller.credentials.headers(Deadline(SYSTEM_CLOCK, 60.0))
        provider.tokens_live(3600)
        time.sleep(2.1)
        assert caller.call() == 1

    assert provider.granted == {"authorization_code": 1, "refresh_token": 1}


GET_TOKEN = """
import json, ssl, sys, urllib.request
url, authority, form = sys.argv[1:]
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority))
)
print(json.load(opener.open(url, form.encode()))["access_token"])
"""


def test_a_command(provider: OidcProvider, box: Devbox) -> None:
    form = {"grant_type": "client_credentials", "client_id": POST[0], "client_secret": POST[2], "audience": AUDIENCE}
    words = [sys.executable, "-c", GET_TOKEN, f"{provider.url}/token", AUTHORITY, urlencode({**form, "scope": "all"})]
    with at(box, command=words) as caller:
        assert [caller.call(), caller.call()] == [1, 1]
        provider.end_tokens()
        assert caller.call() == 2

    assert provider.granted == {"client_credentials": 2}


def test_a_token_and_a_function_that_gives_one(provider: OidcProvider, box: Devbox) -> None:
    with at(box, token=ask_for_token(provider)["access_token"]) as caller:
        assert caller.call() == 1
        provider.end_tokens()
        with pytest.raises(errors.UnauthenticatedError, match="knows it not, or not any more"):
            caller.call()
    with at(box, token=lambda: ask_for_token(provider)["access_token"]) as caller:
        assert caller.call() == 1
        provider.end_tokens()
        assert caller.call() == 2


def test_headers_of_the_callers(provider: OidcProvider, box: Devbox) -> None:
    with at(box, auth_type="Passthrough") as caller:
        with auth_metadata(("Authorization", f"Bearer {ask_for_token(provider)['access_token']}")):
            assert caller.call() == 1
        with pytest.raises(errors.UnauthenticatedError, match="no bearer token"):
            caller.call()


@pytest.mark.parametrize("what", ["for another audience", "structured", "for asking", "to refresh", "nobody's"])
def test_tokens_of_the_provider_that_are_not_for_this_server(
    provider: OidcProvider, box: Devbox, browser: PageBrowser, what: str
) -> None:
    if what == "to refresh":
        with at(box, auth_type="Pkce", browse=browser) as caller:
            caller.call()
            token = caller.credentials._state[1].refresh  # type: ignore[union-attr]
    elif what == "nobody's":
        token = "n0body"
    else:
        audiences = {"for another audience": OTHER_AUDIENCE, "structured": STRUCTURED_AUDIENCE, "for asking": ""}
        token = ask_for_token(provider, audiences[what])["access_token"]
    assert (token.count(".") == 2) == (what == "structured")
    before = len(box.calls.of("ProjectService/GetProject"))
    with at(box, token=token) as caller, pytest.raises(errors.UnauthenticatedError, match="the token is not taken"):
        caller.call()

    assert {call.code for call in list(box.calls.of("ProjectService/GetProject"))[before:]} == {
        errors.Code.UNAUTHENTICATED
    }


def test_the_document_of_rfc_8414_where_the_server_has_no_rpc_for_it(provider: OidcProvider, box: Devbox) -> None:
    box.faults.on("AuthMetadataService/GetOAuth2Metadata").fail("unimplemented")
    with at(box, **PROGRAM) as caller:
        assert caller.call() == 1

    assert provider.granted == {"client_credentials": 1}


def test_the_document_of_the_provider_itself(provider: OidcProvider, box: Devbox) -> None:
    settings: dict[str, Any] = {"auth_endpoint": provider.url, "scopes": ["all"], "audience": AUDIENCE}
    with create_channel(box.endpoint, ca_cert_file_path=AUTHORITY, **settings, **PROGRAM) as channel:
        assert subject(channel) == BASIC[0]

    assert "AuthMetadataService/GetOAuth2Metadata" not in [call.rpc for call in box.calls]


CONTENT = ("content-type", "content-encoding")


class Gateway:
    """A proxy before a devbox that wants to know who comes, by a header of its own."""

    def __init__(self, box: Devbox, wanted: str) -> None:
        self.wanted = wanted
        self.refused = 0
        gateway = self
        behind = urlsplit(box.endpoint)
        assert behind.hostname is not None
        context = ssl.create_default_context(cafile=AUTHORITY)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                status, headers, answer = 401, [("Content-Type", "text/html")], b"<html>who are you"
                if self.headers.get("proxy-authorization") == f"Bearer {gateway.wanted}":
                    status, headers, answer = self._from_behind(body)
                else:
                    gateway.refused += 1
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def _from_behind(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
                connection = http.client.HTTPSConnection(behind.hostname or "", behind.port, context=context)
                with contextlib.closing(connection):
                    passed = {
                        name: value for name, value in self.headers.items() if name.lower() != "proxy-authorization"
                    }
                    connection.request(self.command, self.path, body, passed)
                    answer = connection.getresponse()
                    named = [(name, value) for name, value in answer.getheaders() if name.lower() in CONTENT]
                    return answer.status, named, answer.read()

            do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.place = Place("http", self._server.server_address[1])

    def __enter__(self) -> Gateway:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_proxy_before_the_server(provider: OidcProvider, box: Devbox, tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.write_text("first")
    command = [sys.executable, "-c", "import sys; print(open(sys.argv[1]).read())", str(said)]
    with Gateway(box, "first") as gateway, calling(gateway.place, proxy_command=command, **PROGRAM) as caller:
        assert [caller.call(), caller.call()] == [1, 1]
        assert gateway.refused == 0, "also when it was asked how to sign in"
        said.write_text("second")
        gateway.wanted = "second"
        assert caller.call() == 2
        provider.end_tokens()
        assert caller.call() == 2

    assert provider.granted["client_credentials"] >= 2
    assert provider.refused == []


def test_a_provider_that_is_away_makes_no_token_bad(provider: OidcProvider, program: Path) -> None:
    with OidcProvider(program) as other, Devbox(auth=trusted(other)) as box:
        token = ask_for_token(other)["access_token"]
        with at(box, token=token) as caller:
            assert caller.call() == 1
            other.__exit__()
            with pytest.raises(errors.UnavailableError, match="can't be asked: ConnectionRefusedError"):
                caller.call()


def test_a_login_is_kept_shown_and_revoked(
    provider: OidcProvider, box: Devbox, browser: PageBrowser, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    inherited = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("FLYTE_")}
    environ = {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "REQUESTS_CA_BUNDLE": AUTHORITY,
        "FLYTE_LITE_TOKEN_STORE": str(tokens),
        "HOME": str(tmp_path),
        "NO_PROXY": "*",
    }

    def command(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flyte_lite", *words, "--endpoint", box.endpoint, "--timeout", "60"],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    with command("login", "--flow", "device") as signing_in:
        assert signing_in.stdout is not None
        told = next(line.strip() for line in signing_in.stdout if line.startswith("To sign in"))
        enters_code(browser)(told)
        said = signing_in.stdout.read()
    assert (signing_in.returncode, "ada" in said) == (0, True), said
    assert len(list(tokens.iterdir())) == 1
    assert provider.good == ["AccessToken", "RefreshToken"]

    with command("whoami") as asking:
        said = asking.communicate()[0]
    assert (asking.returncode, "ada" in said) == (0, True), said
    assert provider.granted == {DEVICE_GRANT: 1}

    with command("logout") as signing_out:
        said = signing_out.communicate()[0]
    assert (signing_out.returncode, "not revoked" in said) == (0, False), said
    assert list(tokens.iterdir()) == []
    assert provider.good == [], "what somebody has copied is worth nothing now"
    assert provider.refused == []
    with command("whoami") as asking:
        said = asking.communicate()[0]
    assert asking.returncode == 7, said


def test_nothing_secret_is_written_anywhere(
    provider: OidcProvider, box: Devbox, browser: PageBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[str] = []

    def run(**settings: Any) -> None:
        with at(box, **settings) as caller:
            for spoil in (lambda: None, provider.end_tokens, provider.sign_everybody_out):
                spoil()
                try:
                    caller.call()
                except errors.FlyteLiteError as error:
                    written.append(told_by(error))
            written.extend(map(repr, (caller.credentials, vars(caller.credentials), caller.channel, *caller.told)))

    with caplog.at_level(logging.DEBUG):
        run(**PROGRAM)
        run(client_id=POST[0], client_secret=f"{POST[2]}-wrong", client_auth="post")
        run(auth_type="Pkce", browse=browser)
        run(auth_type="Pkce", browse=PageBrowser(AUTHORITY, declines=True))
        run(auth_type="DeviceFlow", tell=enters_code(PageBrowser(AUTHORITY, declines=True)))
        run(token=ask_for_token(provider, OTHER_AUDIENCE)["access_token"])
    browser.done()

    made = provider.made
    # Some of each: tokens, refresh tokens, codes and device codes.
    assert len(made) > 8
    assert [line for line in caplog.messages if "a new token" in line]
    assert found([*made, BASIC[2], POST[2]], caplog.text, *written) == []
