"""A page of attacks on signing in, each of which must come to nothing (RFC 9700, RFC 8252 §8, RFC 8628 §5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from caller import GET, calling
from issuer import CLIENT_ID, CLIENT_SECRET, Issuer, Request
from stand_in_browser import Browser

from flyte_lite import errors
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._clusters import Route
from flyte_lite._session import Scope, Session
from flyte_lite.idl.flyteidl2.project import project_service_pb2

PROGRAM = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
PERSON = {"auth_type": "Pkce"}
DEVICE = {"auth_type": "DeviceFlow"}


@pytest.fixture
def server() -> Iterator[Issuer]:
    """A Flyte server with TLS, and its provider."""
    with Issuer(secure=True) as issuer:
        yield issuer


@pytest.fixture
def evil() -> Iterator[Issuer]:
    with Issuer(secure=True) as issuer:
        yield issuer


@pytest.fixture
def plain() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def answers(of: str, *answer: Any) -> Callable[[Request], Any]:
    return lambda request: answer if request.path.endswith(of) else None


def shown_to(issuer: Issuer) -> set[str]:
    """What was shown with calls."""
    return {request.headers.get("authorization", "").partition("Bearer ")[2] for request in issuer.calls}


# Where secrets, codes and people are sent.

NOWHERE = [
    "http://192.0.2.1/x",
    "http://localhost.evil.example/x",
    "http://127.0.0.1.evil.example/x",
    "http://127.0.0.1:80@evil.example/x",
    "https://127.0.0.1@evil.example/x",
    "https://evil.example\\@127.0.0.1/x",
    "//evil.example/x",
    "https:evil.example/x",
    "https://evil.example:443:80/x",
    "https://evil.example/x\r\nHost: flyte.example",
    "https://evil.example/\u202egpj.x",
    "javascript:alert(1)//https://evil.example/",
    "file:///etc/passwd",
    "ldap://evil.example/x",
]


@pytest.mark.parametrize("place", NOWHERE, ids=range(len(NOWHERE)))
@pytest.mark.parametrize("what", ["token_endpoint", "authorization_endpoint", "device_endpoint"])
def test_a_server_by_https_that_names_an_address_that_is_none_for_secrets(
    server: Issuer, what: str, place: str
) -> None:
    setattr(server, what, place)
    settings: dict[str, Any] = {"token_endpoint": PROGRAM, "device_endpoint": DEVICE}.get(what, PERSON)
    browser = Browser()
    with calling(server, browse=browser, **settings) as caller, pytest.raises(errors.EndpointError) as caught:
        caller.call()

    assert not caught.value.sent
    assert "\n" not in str(caught.value)
    assert browser.urls == []
    assert caller.told == []
    assert server.calls == server.to("/token") == []


@pytest.mark.parametrize("page", ["http://evil.example/activate", "javascript:alert(1)", "https://x@evil.example/"])
def test_nobody_is_sent_to_a_page_where_who_listens_can_read_the_code(server: Issuer, page: str) -> None:
    server.verification_uri = page
    with calling(server, **DEVICE) as caller, pytest.raises(errors.EndpointError):
        caller.call()

    assert caller.told == []
    assert server.to("/token") == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("of", ["/token", "GetOAuth2Metadata", "GetPublicClientConfig", "GetProject"])
def test_no_redirect_is_followed(server: Issuer, evil: Issuer, of: str, status: int) -> None:
    server.before = answers(of, status, "text/html", b"", {"Location": f"{evil.url}/token"})
    with calling(server, **PROGRAM) as caller, pytest.raises(errors.EndpointError, match="redirect"):
        caller.call()

    assert evil.requests == []


def test_a_redirect_to_the_document_of_rfc_8414_is_not_followed(server: Issuer, evil: Issuer) -> None:
    server.has_rpc = False
    server.before = answers("oauth-authorization-server", 302, "text/html", b"", {"Location": evil.url})
    with calling(server, **PROGRAM) as caller, pytest.raises(errors.UnauthenticatedError, match="does not say where"):
        caller.call()

    assert evil.requests == []


def test_a_provider_elsewhere_is_shown_no_token_and_the_server_no_secret(server: Issuer, evil: Issuer) -> None:
    """As hosted servers have it: whom TLS proved to be the server that was asked for says who its provider is."""
    server.token_endpoint = evil.token_endpoint
    server._good = evil._good
    with calling(server, **PROGRAM) as caller:
        assert caller.call() == 1

    assert [request.path for request in evil.requests] == ["/token"]
    assert server.to("/token") == []
    assert all("authorization" not in request.headers for request in server.requests if request not in server.calls)
    assert shown_to(server) == set(evil.issued)


def test_a_token_for_another_audience_is_renewed_once_and_shown_to_nobody_else(server: Issuer, evil: Issuer) -> None:
    server.token_endpoint = evil.token_endpoint  # whose tokens it does not take
    with calling(server, **PROGRAM) as caller, pytest.raises(errors.UnauthenticatedError, match="who are you"):
        caller.call()

    assert len(server.calls) == 2
    assert len(evil.to("/token")) == 2
    assert shown_to(server) == set(evil.issued)
    assert evil.calls == []


@pytest.mark.parametrize("says", ["another", "none"])
def test_a_server_that_names_another_provider_than_the_caller(server: Issuer, evil: Issuer, says: str) -> None:
    server.issuer = evil.url if says == "another" else ""
    server.token_endpoint = evil.token_endpoint
    known = ClientConfig(issuer=server.url)
    with calling(server, **PROGRAM, known=known) as caller, pytest.raises(errors.EndpointError, match="issuer"):
        caller.call()

    assert evil.requests == []
    server.issuer, server.token_endpoint = server.url, f"{server.url}/token"
    with calling(server, **PROGRAM, known=known) as caller:
        assert caller.call() == 1


@pytest.mark.parametrize("way", ["file", "memory"])
def test_a_server_that_was_taken_over_gets_no_refresh_token(
    server: Issuer, evil: Issuer, way: str, tmp_path: Path
) -> None:
    """It names a provider of its own, and is sent nothing of what the former one gave."""
    settings: dict[str, Any] = {**DEVICE, "token_store": str(tmp_path) if way == "file" else "memory"}
    with calling(server, **settings) as caller:
        caller.call()
        given = [secret for secret in server.issued if server._refresh.get(secret)]
        assert len(given) == 1
        server.revoke()
        server.token_endpoint = evil.token_endpoint
        with calling(server, **settings) as another, pytest.raises(errors.UnauthenticatedError, match="invalid_grant"):
            another.call()
        # Who knows where theirs is from goes on asking there.
        assert caller.call() == 2

    sent = [value for request in evil.requests for value in (*request.form.values(), *request.headers.values())]
    assert not set(given) & set(sent)
    assert not [value for value in sent if "refresh_token" in value]
    assert server.to("/token")[-1].form["refresh_token"] == given[0]


# Clusters: they get the token of their control plane, and have no say in where it comes from.


def call_cluster(caller: Any) -> Any:
    session = Session(caller.channel, Scope("", "p", "d"), "http://console")
    return session.call(GET, project_service_pb2.GetProjectRequest(id="p"), route=Route(1, "p", "d"))


def test_a_cluster_gets_the_token_of_its_control_plane(server: Issuer, evil: Issuer) -> None:
    server.cluster = evil.url
    evil._good = server._good
    with calling(server, **PROGRAM) as caller:
        # The control plane wants none for this question here; the cluster does.
        call_cluster(caller)
        call_cluster(caller)

    assert len(server.to("/token")) == 1
    assert shown_to(evil) == set(server.issued)


def test_a_cluster_that_asks_for_a_token_is_not_asked_how_to_sign_in(server: Issuer, evil: Issuer) -> None:
    server.cluster = evil.url
    challenge = {"WWW-Authenticate": f'Bearer realm="x", resource_metadata="{evil.url}/meta", error="invalid_token"'}
    body = b'{"code":"unauthenticated","message":"ask me"}'
    evil.before = answers("GetProject", 401, "application/json", body, challenge)
    with calling(server, **PROGRAM) as caller, pytest.raises(errors.UnauthenticatedError, match="ask me"):
        call_cluster(caller)

    assert evil.requests == evil.calls, "neither how to sign in, nor for a token"
    assert len(evil.calls) == 2, "one refresh, one replay"
    assert len(server.to("/token")) == 2


def test_a_cluster_that_redirects(server: Issuer, evil: Issuer, plain: Issuer) -> None:
    server.cluster = evil.url
    evil.before = answers("GetProject", 307, "text/html", b"", {"Location": plain.url})
    with calling(server, **PROGRAM) as caller, pytest.raises(errors.EndpointError, match="redirect"):
        call_cluster(caller)

    assert plain.requests == []


def test_a_cluster_by_plain_http_sees_no_token(server: Issuer, plain: Issuer) -> None:
    server.cluster = plain.url
    with calling(server, **PROGRAM) as caller, pytest.raises(errors.TlsError):
        call_cluster(caller)

    assert plain.requests == []


@pytest.mark.parametrize("cluster", ["https://x@evil.example", "ftp://evil.example", "evil.example/?x", "a b"])
def test_a_cluster_that_is_no_address(server: Issuer, cluster: str) -> None:
    server.cluster = cluster
    with calling(server, **PROGRAM) as caller, pytest.raises(errors.EndpointError, match="no address"):
        call_cluster(caller)
