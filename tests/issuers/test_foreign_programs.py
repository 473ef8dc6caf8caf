"""What programs do, end to end: a devbox whose callers sign in at oidc-provider, strict and not of our making."""

from __future__ import annotations

import base64
import contextlib
import http.client
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlencode, urlsplit

import pytest
from caller import CERTIFICATES, Place, calling
from oidc_provider import (
    AUDIENCE,
    BASIC,
    OTHER_AUDIENCE,
    POST,
    STRUCTURED_AUDIENCE,
    OidcProvider,
    at,
    subject,
    trusted,
)
from page_browser import PageBrowser

from flyte_lite import Client, errors
from flyte_lite._auth.passthrough import auth_metadata
from flyte_lite.devbox import Devbox
from flyte_lite.remote import create_channel

AUTHORITY = str(CERTIFICATES / "authority.pem")
PROGRAM = {"client_id": BASIC[0], "client_secret": BASIC[2]}


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
    with at(box, token=provider.token()["access_token"]) as caller:
        assert caller.call() == 1
        provider.end_tokens()
        with pytest.raises(errors.UnauthenticatedError, match="knows it not, or not any more"):
            caller.call()
    with at(box, token=lambda: provider.token()["access_token"]) as caller:
        assert caller.call() == 1
        provider.end_tokens()
        assert caller.call() == 2


def test_headers_of_the_callers(provider: OidcProvider, box: Devbox) -> None:
    with at(box, auth_type="Passthrough") as caller:
        with auth_metadata(("Authorization", f"Bearer {provider.token()['access_token']}")):
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
        token = provider.token(audiences[what])["access_token"]
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
        token = other.token()["access_token"]
        with at(box, token=token) as caller:
            assert caller.call() == 1
            other.__exit__()
            with pytest.raises(errors.UnavailableError, match="can't be asked: ConnectionRefusedError"):
                caller.call()
