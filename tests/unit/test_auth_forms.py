"""What goes to well-known identity providers, field by field as their own documents have it."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple, Optional
from urllib.parse import parse_qsl, urlsplit

import pytest
from fakes import FakeClock, FakeWeb, web_answer

from flyte_lite import errors
from flyte_lite._auth.client_credentials import ClientCredentials, ClientProof
from flyte_lite._auth.device_code import DeviceCode
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._auth.person import Person
from flyte_lite._auth.pkce import Pkce
from flyte_lite._auth.provider import IdentityProvider
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Deadline
from flyte_lite._http.origin import Origin

SECRET = "s:e c+r/e~t=\u00e9"
QUOTED = "s%3Ae+c%2Br%2Fe~t%3D%C3%A9"
GRANT = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"
# The example of RFC 7636, appendix B.
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


class Provider(NamedTuple):
    """An identity provider by the book.

    Attributes:
        base: Before the paths of its endpoints.
        token: The path of its token endpoint, and so on.
        methods: How clients prove who they are, as its document of RFC 8414 says.
        settings: What a user of it sets.
        style: How its clients send their secrets, if its users have to say.
        program: The form of a program, apart from the secret.
        asked: The form that asks for a device code.
        query: Of its token endpoint.
    """

    base: str
    token: str
    authorize: str
    device: str
    methods: tuple[str, ...]
    settings: dict[str, Any]
    style: Optional[str]
    program: list[str]
    asked: list[str]
    query: str = ""

    def config(self) -> ClientConfig:
        return ClientConfig(
            token_endpoint=self.base + self.token + (f"?{self.query}" if self.query else ""),
            authorization_endpoint=self.base + self.authorize,
            device_authorization_endpoint=self.base + self.device,
            client_id="app-1",
            redirect_uri="http://localhost:53593/callback",
            token_methods=self.methods,
            **self.settings,
        )


ENTRA = "api%3A%2F%2Fflyte%2F.default+offline_access"
PROVIDERS = {
    "okta": Provider(
        "https://acme.okta.com/oauth2/default/v1",
        "/token",
        "/authorize",
        "/device/authorize",
        ("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"),
        {"scopes": ("all", "offline_access")},
        None,
        ["grant_type=client_credentials", "scope=all+offline_access"],
        ["client_id=app-1", "scope=all+offline_access"],
    ),
    "auth0": Provider(
        "https://acme.eu.auth0.com",
        "/oauth/token",
        "/authorize",
        "/oauth/device/code",
        ("client_secret_basic", "client_secret_post", "private_key_jwt"),
        {"scopes": (), "audience": "https://flyte.example.com"},
        "post",
        ["audience=https%3A%2F%2Fflyte.example.com", "grant_type=client_credentials"],
        ["audience=https%3A%2F%2Fflyte.example.com", "client_id=app-1"],
    ),
    "entra": Provider(
        "https://login.microsoftonline.com/72f988bf/oauth2/v2.0",
        "/token",
        "/authorize",
        "/devicecode",
        ("client_secret_post", "private_key_jwt"),
        {"scopes": ("api://flyte/.default", "offline_access")},
        None,
        ["grant_type=client_credentials", f"scope={ENTRA}"],
        ["client_id=app-1", f"scope={ENTRA}"],
    ),
    "azure b2c": Provider(
        "https://acme.b2clogin.com/acme.onmicrosoft.com/oauth2/v2.0",
        "/token",
        "/authorize?p=b2c_1_in",
        "/devicecode",
        ("client_secret_post",),
        {"scopes": ("all",)},
        None,
        ["grant_type=client_credentials", "scope=all"],
        ["client_id=app-1", "scope=all"],
        query="p=b2c_1_in",
    ),
    "keycloak": Provider(
        "https://sso.acme.com/realms/data/protocol/openid-connect",
        "/token",
        "/auth",
        "/auth/device",
        ("private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth", "client_secret_jwt"),
        {"scopes": ()},
        None,
        ["grant_type=client_credentials"],
        ["client_id=app-1"],
    ),
}
GRANTED = {"access_token": "abc", "token_type": "Bearer", "expires_in": 300, "refresh_token": "r 2"}
CODE = {"device_code": "d+1", "user_code": "WDJB", "verification_uri": "https://x.example/a", "expires_in": 900}


class Known:
    def __init__(self, config: ClientConfig) -> None:
        self._config = config

    def config(self, deadline: Deadline) -> ClientConfig:
        return self._config


class Bench:
    def __init__(self, provider: Provider) -> None:
        self.clock = FakeClock()
        config = provider.config()
        self.token = provider.base + provider.token
        self.device = provider.base + provider.device
        self.web = FakeWeb(self.clock).on(self.token, GRANTED).on(self.device, CODE)
        transport: Any = self.web
        self.known: Any = Known(config)
        self.idp = IdentityProvider(transport, Origin("https", "flyte.example.com", 443))
        self.person = Person(True, {}, tell=lambda text: None, browse=lambda url: False, terminal=lambda: None)

    @property
    def deadline(self) -> Deadline:
        return Deadline(self.clock, 3600.0)

    def body(self, url: str, nth: int = 0) -> list[str]:
        """The form, each field as it was sent, in order."""
        return sorted((self.web.requests(url)[nth].body or b"").decode().split("&"))


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> Provider:
    return PROVIDERS[request.param]


def test_a_program(provider: Provider) -> None:
    bench = Bench(provider)
    proof = ClientProof("app-1", SECRET, provider.style)

    assert ClientCredentials(bench.idp, bench.known, proof).fetch(bench.deadline).value == "abc"
    (asked,) = bench.web.asked
    by_post = provider.style == "post" or "client_secret_basic" not in provider.methods
    secret = ["client_id=app-1", f"client_secret={QUOTED}"] if by_post else []
    assert bench.body(bench.token) == sorted([*provider.program, *secret])
    basic = "Basic " + base64.b64encode(f"app-1:{QUOTED}".encode()).decode()
    assert asked.headers.get("authorization") == (None if by_post else basic)
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["accept"] == "application/json"
    assert asked.query == provider.query


def test_a_device_code(provider: Provider) -> None:
    bench = Bench(provider)
    flow = DeviceCode(bench.idp, bench.known, ClientProof("", None), bench.person)

    token = flow.fetch(bench.deadline)
    assert bench.body(bench.device) == sorted(provider.asked)
    assert bench.body(bench.token) == ["client_id=app-1", "device_code=d%2B1", GRANT]
    assert flow.renew(token, bench.deadline) is not None
    assert bench.body(bench.token, 1) == ["client_id=app-1", "grant_type=refresh_token", "refresh_token=r+2"]
    assert [asked for asked in bench.web.asked if "authorization" in asked.headers] == []


def test_a_browser(provider: Provider) -> None:
    """What comes back from it is told by tests that have one; here is where it is sent to."""
    bench = Bench(provider)
    config = provider.config()
    flow = Pkce(bench.idp, bench.known, ClientProof("", None), bench.person)
    url = urlsplit(flow._address(config, config.redirect_uri, VERIFIER, "st&te"))

    path, _, query = provider.authorize.partition("?")
    assert f"{url.scheme}://{url.netloc}{url.path}" == provider.base + path
    wanted = {
        **dict(parse_qsl(query)),
        "response_type": "code",
        "client_id": "app-1",
        "redirect_uri": "http://localhost:53593/callback",
        "state": "st&te",
        "code_challenge_method": "S256",
        "code_challenge": CHALLENGE,
        "scope": config.scope,
        "audience": config.audience,
    }
    assert dict(parse_qsl(url.query)) == {name: value for name, value in wanted.items() if value}


REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    "okta": (
        {"errorCode": "invalid_client", "errorSummary": "Invalid value for 'client_id' parameter.", "errorId": "oae"},
        401,
        "refused without a reason that OAuth 2.0 knows",
    ),
    "auth0": (
        {"error": "access_denied", "error_description": "Service not found: https://flyte.example.com"},
        403,
        r"access_denied \(Service not found: https://flyte.example.com\)",
    ),
    "entra": (
        {
            "error": "invalid_client",
            "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 0\r\nTimestamp: now",
            "error_codes": [7000215],
            "trace_id": "0",
        },
        401,
        r"invalid_client \(AADSTS7000215: Invalid client secret provided. Trace ID: 0 Timestamp: now\)",
    ),
    "azure b2c": ({"error": "invalid_request", "error_description": "AADB2C90007"}, 400, "AADB2C90007"),
    "keycloak": (
        {"error": "unauthorized_client", "error_description": "Invalid client or Invalid client credentials"},
        401,
        r"unauthorized_client \(Invalid client or Invalid client credentials\)",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_said_in_their_words(name: str) -> None:
    fields, status, said = REFUSALS[name]
    bench = Bench(PROVIDERS[name])
    bench.web.on(bench.token, web_answer(fields, status))

    with pytest.raises(errors.UnauthenticatedError, match=said):
        ClientCredentials(bench.idp, bench.known, ClientProof("app-1", SECRET)).fetch(bench.deadline)


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_refresh_token_of_which_they_say_nothing_more_is_kept(name: str) -> None:
    bench = Bench(PROVIDERS[name])
    bench.web.on(bench.token, {name: value for name, value in GRANTED.items() if name != "refresh_token"})
    flow = Pkce(bench.idp, bench.known, ClientProof("", None), bench.person)

    token = flow.renew(Token("old", Moment(0, 0), refresh="r1"), bench.deadline)
    assert token is not None
    assert token.refresh == "r1"
