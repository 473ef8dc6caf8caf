"""Where one signs in, by what the server says and the caller knows."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from fakes import FakeClock, FakeWeb, HttpAnswer, web_answer

from flyte_lite import errors
from flyte_lite._auth.discovery import ClientConfig, Discovery, FoundHeader, GivenHeader, UsualHeader
from flyte_lite._auth.provider import IdentityProvider
from flyte_lite._clock import Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2

SERVICE = "https://flyte.example{}/flyteidl2.auth.AuthMetadataService/"
METADATA = auth_service_pb2.GetOAuth2MetadataResponse(
    issuer="https://idp.example",
    token_endpoint="https://idp.example/token",
    authorization_endpoint="https://idp.example/authorize",
    device_authorization_endpoint="https://idp.example/device",
    token_endpoint_auth_methods_supported=["client_secret_post"],
)
CLIENT = auth_service_pb2.GetPublicClientConfigResponse(
    client_id="flytectl",
    redirect_uri="http://localhost:53593/callback",
    scopes=["all", "offline"],
    authorization_metadata_key="Flyte-Authorization",
    audience="https://flyte.example",
)
FOUND = ClientConfig(
    token_endpoint="https://idp.example/token",
    authorization_endpoint="https://idp.example/authorize",
    device_authorization_endpoint="https://idp.example/device",
    issuer="https://idp.example",
    token_methods=("client_secret_post",),
    client_id="flytectl",
    redirect_uri="http://localhost:53593/callback",
    scopes=("all", "offline"),
    audience="https://flyte.example",
    header_key="flyte-authorization",
)
NOT_THERE = web_answer({"code": "unimplemented", "message": "not configured"}, 501)


def message(value: Any) -> HttpAnswer:
    return HttpAnswer(200, "OK", {"content-type": ["application/proto"]}, value.SerializeToString())


class Bench:
    def __init__(self, metadata: Any, client: Any, known: Optional[ClientConfig] = None, prefix: str = "") -> None:
        self.clock = FakeClock()
        service = SERVICE.format(prefix)
        self.web = FakeWeb(self.clock).on(f"{service}GetOAuth2Metadata", metadata)
        self.web.on(f"{service}GetPublicClientConfig", client)
        origin = Origin("https", "flyte.example", 443)
        transport: Any = self.web
        channel = Channel(transport, origin, prefix, retry=RetryPolicy(retries=0), clock=self.clock)
        self.discovery = Discovery(channel, IdentityProvider(transport, origin), known)

    @property
    def deadline(self) -> Deadline:
        return Deadline(self.clock, 30.0)

    def find(self) -> ClientConfig:
        return self.discovery.config(self.deadline)


@pytest.mark.parametrize("name", ["a b", "x\r\ny: z", "Host", "content-type", "\x1b"])
def test_a_header_that_can_not_be_sent_is_the_servers_fault(name: str) -> None:
    client = message(auth_service_pb2.GetPublicClientConfigResponse(authorization_metadata_key=name))

    with pytest.raises(errors.EndpointError, match="wants tokens in a header that can't be sent") as caught:
        Bench(message(METADATA), client).find()
    assert "\x1b" not in str(caught.value)
    assert Bench(message(METADATA), client, ClientConfig(header_key="x")).find().header_key == "x"


def test_the_server_says_it_and_is_asked_once() -> None:
    bench = Bench(message(METADATA), message(CLIENT))

    assert [bench.find() for _ in range(3)] == [FOUND] * 3
    assert len(bench.web.asked) == 2
    assert not {name for asked in bench.web.asked for name in asked.headers} & {"authorization", "flyte-authorization"}


def test_what_the_caller_knows_wins_field_by_field() -> None:
    known = ClientConfig(token_endpoint="https://mine.example/token", scopes=("mine",), header_key="x-mine")

    assert Bench(message(METADATA), message(CLIENT), known).find() == FOUND._replace(
        token_endpoint="https://mine.example/token", scopes=("mine",), header_key="x-mine"
    )


MINE = ClientConfig(issuer="https://mine.example")


@pytest.mark.parametrize("issuer", ["https://idp.example", ""])
def test_a_caller_who_knows_the_provider_takes_no_other(issuer: str) -> None:
    said = auth_service_pb2.GetOAuth2MetadataResponse()
    said.CopyFrom(METADATA)
    said.issuer = issuer
    named = issuer or "no issuer"

    with pytest.raises(errors.EndpointError, match=f"names .*{named} .*you name https://mine.example") as caught:
        Bench(message(said), message(CLIENT), MINE).find()
    assert not caught.value.sent
    assert Bench(message(METADATA), message(CLIENT), MINE._replace(issuer="https://idp.example")).find() == FOUND


def test_a_caller_who_knows_provider_and_endpoint_needs_no_word_of_the_server() -> None:
    known = MINE._replace(token_endpoint="https://mine.example/token")
    found = Bench(message(METADATA), message(CLIENT), known).find()

    assert (found.issuer, found.token_endpoint) == (known.issuer, known.token_endpoint)
    assert found.authorization_endpoint == found.device_authorization_endpoint == ""


OWN = ClientConfig(issuer="https://idp.example/realms/data")


@pytest.mark.parametrize(
    "place",
    [
        "https://idp.example/.well-known/oauth-authorization-server/realms/data",
        "https://idp.example/realms/data/.well-known/openid-configuration",
    ],
    ids=["RFC 8414", "OpenID"],
)
def test_a_provider_that_the_caller_names_says_the_rest_where_the_server_says_nothing(place: str) -> None:
    bench = Bench(NOT_THERE, message(CLIENT), OWN)
    bench.web.on(place, {**DOCUMENT, "issuer": OWN.issuer})

    assert bench.find() == FOUND._replace(issuer=OWN.issuer)


@pytest.mark.parametrize("issuer", ["https://idp.example/realms/data/", "https://idp.example", ""])
def test_a_document_that_is_not_the_providers_own_is_not_believed(issuer: str) -> None:
    bench = Bench(NOT_THERE, message(CLIENT), OWN)
    bench.web.on("https://idp.example/realms/data/.well-known/openid-configuration", {**DOCUMENT, "issuer": issuer})

    with pytest.raises(errors.EndpointError, match=r"the document of https://idp\.example/realms/data names"):
        bench.find()


def test_a_provider_that_the_caller_names_and_that_says_nothing() -> None:
    with pytest.raises(errors.UnauthenticatedError, match="does not say where its tokens come from"):
        Bench(NOT_THERE, message(CLIENT), OWN).find()


DOCUMENT = {
    "issuer": "https://idp.example",
    "token_endpoint": "https://idp.example/token",
    "authorization_endpoint": "https://idp.example/authorize",
    "device_authorization_endpoint": "https://idp.example/device",
    "token_endpoint_auth_methods_supported": ["client_secret_post"],
}
CAMEL = {
    "issuer": "https://idp.example",
    "tokenEndpoint": "https://idp.example/token",
    "authorizationEndpoint": "https://idp.example/authorize",
    "deviceAuthorizationEndpoint": "https://idp.example/device",
    "tokenEndpointAuthMethodsSupported": ["client_secret_post"],
}


@pytest.mark.parametrize("document", [DOCUMENT, CAMEL], ids=["as RFC 8414 writes it", "as protobuf writes it"])
@pytest.mark.parametrize(
    "place",
    [
        ("", "https://flyte.example/.well-known/oauth-authorization-server"),
        ("/base", "https://flyte.example/.well-known/oauth-authorization-server/base"),
        ("/base", "https://flyte.example/base/.well-known/oauth-authorization-server"),
    ],
    ids=["no path", "path behind", "path before"],
)
def test_without_the_rpc_the_document_of_rfc_8414_says_it(document: dict[str, Any], place: tuple[str, str]) -> None:
    prefix, url = place
    bench = Bench(NOT_THERE, message(CLIENT), prefix=prefix)
    bench.web.on(url, document)

    assert bench.find() == FOUND


@pytest.mark.parametrize("said", [True, False, "true", 1])
def test_a_provider_says_whether_it_names_itself_in_answers(said: Any) -> None:
    bench = Bench(NOT_THERE, message(CLIENT))
    document = {**DOCUMENT, "authorization_response_iss_parameter_supported": said}
    bench.web.on("https://flyte.example/.well-known/oauth-authorization-server", document)

    assert bench.find() == FOUND._replace(named_in_answers=said is True)


@pytest.mark.parametrize(
    "document",
    [
        NOT_THERE,
        web_answer({}),
        web_answer([]),
        HttpAnswer(404, "Not Found", {}, b""),
        web_answer({"token_endpoint": 7}),
    ],
)
def test_a_server_that_says_nothing(document: HttpAnswer) -> None:
    bench = Bench(NOT_THERE, NOT_THERE)
    bench.web.on("https://flyte.example/.well-known/oauth-authorization-server", document)

    with pytest.raises(errors.UnauthenticatedError, match=r"does not say where its tokens come from.*token_endpoint="):
        bench.find()


@pytest.mark.parametrize(
    "refusal",
    [
        web_answer({"code": "unauthenticated"}, 401),
        HttpAnswer(302, "Found", {"location": ["https://login.example/"]}, b""),
        HttpAnswer(200, "OK", {"content-type": ["text/html"]}, b"<html>login"),
    ],
    ids=["401", "302", "page"],
)
def test_a_caller_who_knows_all_needs_no_server_that_does(refusal: HttpAnswer) -> None:
    known = ClientConfig(token_endpoint="https://mine.example/token", client_id="me")

    assert Bench(refusal, refusal, known).find() == known


@pytest.mark.parametrize(
    ("failure", "kind", "code"),
    [
        (errors.ConnectFailedError("down"), errors.ConnectFailedError, Code.UNAVAILABLE),
        (web_answer({"code": "unavailable", "message": "later"}, 503), errors.UnavailableError, Code.UNAVAILABLE),
        (HttpAnswer(200, "OK", {"content-type": ["text/html"]}, b"<html>"), errors.EndpointError, Code.UNKNOWN),
        (web_answer({"code": "unauthenticated"}, 401), errors.UnauthenticatedError, Code.UNAUTHENTICATED),
    ],
)
def test_a_server_that_can_not_be_asked(failure: Any, kind: type[errors.CallError], code: Code) -> None:
    bench = Bench(failure, message(CLIENT))

    with pytest.raises(
        kind, match=r"can't find out how to sign in \(AuthMetadataService/GetOAuth2Metadata\)"
    ) as caught:
        bench.find()
    assert (caught.value.code, caught.value.sent) == (code, False)


def test_what_failed_once_is_asked_again() -> None:
    bench = Bench(errors.ConnectFailedError("down"), message(CLIENT))
    with pytest.raises(errors.ConnectFailedError):
        bench.find()
    bench.web.on(SERVICE.format("") + "GetOAuth2Metadata", message(METADATA))

    assert bench.find() == FOUND


def test_the_header_is_the_servers() -> None:
    bench = Bench(message(METADATA), message(CLIENT))
    header = FoundHeader(bench.discovery)

    assert header.name(bench.deadline) == "flyte-authorization"
    assert header.reconsider(bench.deadline) is False
    assert FoundHeader(Bench(message(METADATA), NOT_THERE).discovery).name(bench.deadline) == "authorization"


def test_the_callers_header_is_the_callers() -> None:
    deadline = Deadline(FakeClock(), 1)

    assert GivenHeader("X-Mine").name(deadline) == "x-mine"
    assert GivenHeader("X-Mine").reconsider(deadline) is False


def test_the_usual_header_is_asked_about_when_it_does_not_do() -> None:
    bench = Bench(message(METADATA), message(CLIENT))
    header = UsualHeader(bench.discovery)

    assert header.name(bench.deadline) == "authorization"
    assert bench.web.asked == []
    assert header.reconsider(bench.deadline) is True
    assert header.name(bench.deadline) == "flyte-authorization"
    assert header.reconsider(bench.deadline) is False


@pytest.mark.parametrize("said", [NOT_THERE, errors.ConnectionLostError("lost")])
def test_the_usual_header_stays_where_nobody_knows_another(said: Any) -> None:
    bench = Bench(message(METADATA), said)
    header = UsualHeader(bench.discovery)

    assert header.reconsider(bench.deadline) is False
    assert header.name(bench.deadline) == "authorization"


def test_asking_about_the_header_ends_with_the_call() -> None:
    bench = Bench(message(METADATA), errors.CallTimeoutError("late", Code.DEADLINE_EXCEEDED))

    with pytest.raises(errors.CallTimeoutError):
        UsualHeader(bench.discovery).reconsider(bench.deadline)
