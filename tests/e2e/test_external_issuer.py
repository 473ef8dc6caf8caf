"""A devbox that takes the tokens of somebody else's identity provider: what it asks there, and what it believes."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import logging
import pickle
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional

import pytest
from caller import Place, calling
from devbox_client import wait_for
from fakes import FakeClock
from issuer import CERTIFICATES, CLIENT_ID, CLIENT_SECRET, Issuer, Request
from planted import forms

from flyte_lite import errors
from flyte_lite.devbox import Devbox, ExternalIssuer
from flyte_lite.devbox.guard import TokenRefused
from flyte_lite.errors import CallError, Code

RFC_8414, OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
AUTHORITY = CERTIFICATES / "authority.pem"
SECRET, TOKEN = "planted:s3cret /+", "planted-token"
GOOD = {"active": True, "sub": "ada", "client_id": "c", "aud": "urn:flyte", "token_type": "Bearer"}


class Provider:
    """The scripted issuer, and what it says of tokens.

    Attributes:
        says: Of a token: status and body.
        documents: What it says of itself, by path.
    """

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.says: tuple[int, Any] = (200, GOOD)
        self.documents: dict[str, tuple[int, Any]] = {RFC_8414: (200, self.document())}
        issuer.before = self._answer

    def document(self, **more: Any) -> dict[str, Any]:
        url = self.issuer.url
        return {
            "issuer": url,
            "token_endpoint": f"{url}/token",
            "introspection_endpoint": f"{url}/introspect?x=1",
            "scopes_supported": ["all"],
            "grant_types_supported": ["client_credentials"],
            **more,
        }

    def trusted(self, path: str = "", **more: Any) -> ExternalIssuer:
        settings: dict[str, Any] = {"audience": "urn:flyte", "ca_file": AUTHORITY, "remembered": 0.0, **more}
        return ExternalIssuer(self.issuer.url + path, client_id="flyte:1", client_secret=SECRET, **settings)

    def asked(self, path: str = "/introspect") -> list[Request]:
        return self.issuer.to(path)

    def _answer(self, request: Request) -> Optional[tuple[int, str, bytes]]:
        if request.path == "/introspect":
            status, body = self.says
        elif request.path.startswith("/.well-known") or request.path.endswith((RFC_8414, OPENID)):
            status, body = self.documents.get(request.path, (404, "<html>not here"))
        else:
            return None
        return status, "application/json", body.encode() if isinstance(body, str) else json.dumps(body).encode()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    with Issuer(secure=request.param) as issuer:
        yield Provider(issuer)


@pytest.fixture
def plain() -> Iterator[Provider]:
    with Issuer() as issuer:
        yield Provider(issuer)


def connection_to(box: Devbox) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(box.endpoint.partition("//")[2], timeout=10)


def test_a_token_is_whose_the_provider_says(provider: Provider) -> None:
    assert provider.trusted().identity(TOKEN) == {
        "sub": "ada",
        "client_id": "c",
        "aud": "urn:flyte",
        "token_type": "Bearer",
    }
    (asked,) = provider.asked()
    assert asked.form == {"x": "1", "token": TOKEN, "token_type_hint": "access_token"}
    pair = base64.b64decode(asked.headers["authorization"].partition("Basic ")[2]).decode()
    assert pair == "flyte%3A1:planted%3As3cret+%2F%2B", "as RFC 6749, 2.3.1 has it"


def test_an_answer_that_came_leaves_no_thread_behind(plain: Provider) -> None:
    plain.trusted(timeout=600.0).identity(TOKEN)

    assert wait_for(lambda: not [each for each in threading.enumerate() if isinstance(each, threading.Timer)])


def test_a_devbox_admits_by_its_tokens_and_says_where_they_come_from(provider: Provider) -> None:
    trusted = provider.trusted(scopes=["all"], people="public")
    with Devbox(auth=trusted, auth_header="flyte-authorization") as box:
        place = Place("http", int(box.endpoint.rpartition(":")[2]))
        with calling(place, client_id=CLIENT_ID, client_secret=CLIENT_SECRET) as caller:
            assert caller.call() == 1
            provider.says = 503, "later"
            with pytest.raises(errors.UnavailableError, match="does not say whose a token is"):
                caller.call()
            assert len(provider.asked("/token")) == 1, "a token that nobody called bad is not thrown away"
            provider.says = 200, {"active": False}
            with pytest.raises(errors.UnauthenticatedError, match="knows it not, or not any more"):
                caller.call()
        headers = box.calls.of("ProjectService/GetProject")[0].headers
        with pytest.raises(RuntimeError, match="gives no tokens"):
            print(box.issuer)

    assert len(provider.asked("/token")) == 2
    first = provider.asked("/token")[0]
    assert (first.form["scope"], first.form["audience"]) == ("all", "urn:flyte")
    assert headers["flyte-authorization"].startswith("Bearer ")


def test_a_devbox_admits_by_the_tokens_of_another_one() -> None:
    with Devbox(auth=True) as one:
        trusted = ExternalIssuer(
            f"{one.endpoint}/oauth2",
            client_id=one.issuer.client_id,
            client_secret=one.issuer.client_secret,
            audience="flyte-devbox",
            remembered=0.0,
        )
        with Devbox(auth=trusted) as other:
            place = Place("http", int(other.endpoint.rpartition(":")[2]))
            with calling(place, client_id=one.issuer.client_id, client_secret=one.issuer.client_secret) as caller:
                assert caller.call() == 1
                one.issuer.expire_tokens()
                assert caller.call() == 2
        assert trusted.identity(one.issuer.token("ada"))["email"] == "ada@example.com"
        for token in (one.issuer.token("ada", seconds=-1), one.issuer.token("ada", audience="else"), "e30.e30.e30"):
            with pytest.raises(TokenRefused):
                trusted.identity(token)


def test_a_program_is_its_own_subject(plain: Provider) -> None:
    plain.says = 200, {**GOOD, "sub": None, "aud": ["x", "urn:flyte"]}

    assert plain.trusted().identity(TOKEN)["sub"] == "c"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"active": False}, "knows it not"),
        ({"active": "true"}, "knows it not"),
        ({}, "knows it not"),
        ({**GOOD, "aud": "urn:other"}, "another audience"),
        ({**GOOD, "aud": ["urn:other"]}, "another audience"),
        ({**GOOD, "aud": "urn:flyte urn:other"}, "another audience"),
        ({"active": True, "sub": "ada"}, "another audience"),
        ({**GOOD, "iss": "https://other.example"}, "another identity provider"),
        ({**GOOD, "token_type": "Refresh"}, "no access token"),
        ({**GOOD, "token_type": "DPoP"}, "no access token"),
        ({**GOOD, "exp": 1}, "expired"),
        ({"active": True, "aud": "urn:flyte"}, "does not say whose"),
    ],
)
def test_a_token_that_is_not_taken(plain: Provider, said: dict[str, Any], reason: str) -> None:
    plain.says = 200, said

    with pytest.raises(TokenRefused, match=reason):
        plain.trusted().identity(TOKEN)


def test_a_token_that_nobody_can_be_asked_about(plain: Provider) -> None:
    plain.says = 400, {"error": "unsupported_token_type"}

    with pytest.raises(TokenRefused, match="none that the identity provider can be asked about"):
        plain.trusted().identity(TOKEN)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((503, "later"), Code.UNAVAILABLE),
        ((500, {"error": "server_error"}), Code.UNAVAILABLE),
        ((401, {"error": "invalid_client"}), Code.INTERNAL),
        ((400, {"error": "invalid_request"}), Code.INTERNAL),
        ((302, ""), Code.INTERNAL),
        ((200, "<html>"), Code.INTERNAL),
        ((200, "[]"), Code.INTERNAL),
        ((200, "[" * 100_000), Code.INTERNAL),
        ((200, " " * 1_100_000 + json.dumps(GOOD)), Code.INTERNAL),
    ],
    ids=["503", "500", "401", "400", "302", "page", "list", "deep", "long"],
)
def test_an_answer_that_is_none_makes_no_token_good_or_bad(
    plain: Provider, answer: tuple[int, Any], code: Code
) -> None:
    plain.says = answer

    with pytest.raises(CallError, match=f"does not say whose a token is: HTTP {answer[0]}") as caught:
        plain.trusted().identity(TOKEN)
    assert caught.value.code is code


def test_a_provider_that_does_not_answer(plain: Provider) -> None:
    over = threading.Event()
    trusted = plain.trusted(timeout=1.0)
    trusted.metadata("")
    answer = plain.issuer.before

    def hang(request: Request) -> Optional[tuple[int, str, bytes]]:
        over.wait(20)
        return answer(request)

    plain.issuer.before = hang
    with pytest.raises(errors.UnavailableError, match="can't be asked: no answer in 1 s"):
        trusted.identity(TOKEN)
    over.set()


def test_a_provider_that_begins_no_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        trusted = ExternalIssuer(url, client_id="c", client_secret="s", audience="a", timeout=0.2)
        began = time.monotonic()
        with pytest.raises(errors.UnavailableError, match=r"can't be asked: no answer in 0\.2 s"):
            trusted.metadata("")
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["head", "body"])
def test_a_provider_that_answers_byte_by_byte(head: bytes) -> None:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        server.settimeout(0.05)

        def drip() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError), server.accept()[0] as connection:
                    connection.sendall(head)
                    while not over.wait(0.02):
                        connection.sendall(b" ")

        dripping = pool.submit(drip)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        trusted = ExternalIssuer(url, client_id="c", client_secret="s", audience="a", timeout=0.5)
        began = time.monotonic()
        try:
            with pytest.raises(errors.UnavailableError, match=r"can't be asked: no answer in 0\.5 s"):
                trusted.metadata("")
            assert time.monotonic() - began < 10
        finally:
            over.set()
            dripping.result(10)


def test_a_provider_that_is_not_there() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        trusted = ExternalIssuer(url, client_id="c", client_secret="s", audience="a")
        with pytest.raises(errors.UnavailableError, match=rf"{url} can't be asked: ConnectionRefusedError"):
            trusted.metadata("")


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "login..example"], ids=["long", "empty"])
def test_a_provider_whose_name_is_none(host: str) -> None:
    trusted = ExternalIssuer(f"https://{host}", client_id="c", client_secret="s", audience="a")
    with pytest.raises(errors.UnavailableError, match="can't be asked: Unicode"):
        trusted.identity(TOKEN)


def test_an_address_that_can_not_be_asked_for(plain: Provider) -> None:
    plain.documents[RFC_8414] = 200, plain.document(introspection_endpoint=f"{plain.issuer.url}/\u00e9")
    with pytest.raises(errors.UnavailableError, match="can't be asked: Unicode"):
        plain.trusted().identity(TOKEN)


@pytest.mark.parametrize("ends", [10**400, float("inf")], ids=["digits", "infinity"])
def test_a_token_that_is_over_when_no_clock_is_there_any_more(plain: Provider, ends: float) -> None:
    plain.says = 200, {**GOOD, "exp": ends}
    trusted = plain.trusted(remembered=60.0)

    assert [trusted.identity(TOKEN)["sub"] for _ in range(2)] == ["ada"] * 2
    assert len(plain.asked()) == 1


def test_a_provider_that_nobody_vouches_for() -> None:
    with Issuer(secure=True) as issuer:
        trusted = Provider(issuer).trusted(ca_file=None)
        with pytest.raises(errors.UnavailableError, match="can't be asked: SSLCertVerificationError"):
            trusted.identity(TOKEN)

    assert issuer.requests == []


def test_what_is_remembered_of_a_token(plain: Provider) -> None:
    clock = FakeClock()
    trusted = plain.trusted(remembered=5.0, clock=clock)
    plain.says = 200, {**GOOD, "exp": clock.time() + 7}

    assert [trusted.identity(TOKEN)["sub"] for _ in range(3)] == ["ada"] * 3
    assert len(plain.asked()) == 1
    trusted.identity("another")
    assert len(plain.asked()) == 2, "it is the token that is remembered"
    clock.now += 5.1
    trusted.identity(TOKEN)
    assert len(plain.asked()) == 3
    clock.now += 2
    with pytest.raises(TokenRefused, match="expired"):
        trusted.identity(TOKEN)
    plain.says = 200, {"active": False}
    with pytest.raises(TokenRefused, match="knows it not"):
        trusted.identity("another")
    plain.says = 200, GOOD
    assert trusted.identity("another")["sub"] == "ada", "what was refused is not remembered"


def test_not_every_token_that_ever_came_is_remembered(plain: Provider) -> None:
    trusted = plain.trusted(remembered=600.0)
    for number in range(1001):
        trusted.identity(str(number))

    assert len(trusted._good) <= 1000
    trusted.identity("1000")
    assert len(plain.asked()) == 1001, "the last one is"


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("", RFC_8414),
        ("", OPENID),
        ("/realms/a", f"{RFC_8414}/realms/a"),
        ("/realms/a", f"/realms/a{RFC_8414}"),
        ("/realms/a", f"/realms/a{OPENID}"),
    ],
)
def test_where_its_document_may_be(plain: Provider, path: str, at: str) -> None:
    plain.documents = {at: (200, plain.document(issuer=plain.issuer.url + path))}
    clock = FakeClock()
    trusted = plain.trusted(path, clock=clock)

    for _ in range(2):
        said = trusted.metadata("https://whatever")
        assert (said.issuer, said.token_endpoint) == (plain.issuer.url + path, plain.issuer.token_endpoint)
        assert list(said.scopes_supported) == ["all"]
    assert len(plain.asked(at)) == 1
    clock.now += 301
    trusted.metadata("")
    assert len(plain.asked(at)) == 2, "after five minutes, as the real server"


@pytest.mark.parametrize(
    ("document", "code", "said"),
    [
        ((404, "<html>"), Code.INTERNAL, "has no document .* HTTP 404"),
        ((503, "later"), Code.UNAVAILABLE, "has no document .* HTTP 503"),
        ((200, {"issuer": "https://evil.example"}), Code.INTERNAL, "is not the issuer"),
        ((200, {}), Code.INTERNAL, "is not the issuer"),
    ],
    ids=["none", "down", "another's", "nobody's"],
)
@pytest.mark.parametrize("at", [(RFC_8414, OPENID), (RFC_8414,), (OPENID,)], ids=["everywhere", "first", "last"])
def test_a_document_that_is_none(
    plain: Provider, document: tuple[int, Any], code: Code, said: str, at: tuple[str, ...]
) -> None:
    plain.documents = dict.fromkeys(at, document)
    trusted = plain.trusted()

    asking: list[Callable[[], object]] = [lambda: trusted.metadata(""), lambda: trusted.identity(TOKEN)]
    for ask in asking:
        with pytest.raises(CallError, match=said) as caught:
            ask()
        assert caught.value.code is code
    assert plain.asked() == [], "nobody is asked about a token who is not known to be the provider"
    with Devbox(auth=trusted) as box, contextlib.closing(connection_to(box)) as connection:
        connection.request("GET", RFC_8414)
        answer = connection.getresponse()
        assert re.match(f"{code.value}: .*{said}", answer.read().decode())
        assert answer.status == (503 if code is Code.UNAVAILABLE else 500)


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (None, "names no introspection_endpoint"),
        ("http://elsewhere.example/introspect", "names an address that is none: .* plain http"),
        ("introspect", "names an address that is none"),
    ],
)
def test_no_secret_goes_to_where_it_could_be_read(plain: Provider, endpoint: Optional[str], said: str) -> None:
    plain.documents[RFC_8414] = 200, plain.document(introspection_endpoint=endpoint)

    with pytest.raises(errors.InternalError, match=said):
        plain.trusted().identity(TOKEN)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "http://login.example.com"}, "plain http"),
        ({"url": "login.example.com"}, "not the address of an identity provider"),
        ({"url": "https://me:planted@login.example.com"}, "leave out what is before @"),
        ({"url": "https://[me:planted@login.example.com"}, "leave out what is before @"),
        ({"url": "https://login.example.com:x"}, "Port"),
        ({"client_id": ""}, "must say something"),
        ({"client_secret": ""}, "must say something"),
        ({"audience": ""}, "must say something"),
        ({"scopes": "all offline"}, r"such as \['all', 'offline'\]"),
    ],
)
def test_settings_that_are_none(settings: dict[str, str], said: str) -> None:
    given = {"url": "https://login.example.com", "client_id": "c", "client_secret": "s", "audience": "a", **settings}
    with pytest.raises(ValueError, match=said) as caught:
        ExternalIssuer(given.pop("url"), **given)  # type: ignore[arg-type]
    assert "planted" not in str(caught.value)


def test_nothing_secret_is_told(plain: Provider, caplog: pytest.LogCaptureFixture) -> None:
    trusted = plain.trusted(remembered=60.0)
    with caplog.at_level(logging.DEBUG):
        trusted.identity(TOKEN)
        plain.says = 401, {"error": "invalid_client", "error_description": f"not {SECRET}, nor {TOKEN}"}
        with pytest.raises(errors.InternalError) as caught:
            trusted.identity(f"{TOKEN}-2")
    told = "\n".join([caplog.text, repr(trusted), str(caught.value), repr(caught.value.args)]).encode()
    assert not [form for secret in (SECRET, TOKEN) for form in forms(secret) if form in told]
    # Nor does a token stay with it.
    assert not [form for form in forms(TOKEN) if form in repr(vars(trusted)).encode()]
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(trusted)
