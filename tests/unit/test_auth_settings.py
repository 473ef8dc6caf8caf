"""What a caller gives, and which credentials that makes; API keys; who can be asked to sign in."""

from __future__ import annotations

import base64
import io
import sys
import traceback
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from fakes import FakeClock, FakeWeb

from flyte_lite import errors
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._auth.passthrough import Passthrough
from flyte_lite._auth.person import Person
from flyte_lite._auth.sign_in import SignIn, words
from flyte_lite._auth.tokens import Together, TokenCredentials
from flyte_lite._clock import Deadline
from flyte_lite._http.origin import Origin
from flyte_lite.config._api_key import ApiKey

PLANTED = "planted"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


KEYS = [
    ("flyte.example:id:s3cret:org", ("flyte.example", "id", "s3cret", "org")),
    ("flyte.example:id:s3cret:", ("flyte.example", "id", "s3cret", None)),
    ("flyte.example:id:s3cret:None", ("flyte.example", "id", "s3cret", None)),
    ("flyte.example:8089:id:s3cret:org", ("flyte.example:8089", "id", "s3cret", "org")),
    ("dns:///flyte.example:id:s3cret:org", ("dns:///flyte.example", "id", "s3cret", "org")),
    ("dns:///flyte.example:8089:id:s3cret:org", ("dns:///flyte.example:8089", "id", "s3cret", "org")),
    ("https://flyte.example/base:id:s3cret:org", ("https://flyte.example/base", "id", "s3cret", "org")),
    ("https://flyte.example:8443/base:id:s3cret:org", ("https://flyte.example:8443/base", "id", "s3cret", "org")),
    ("http://[::1]:8080:id:s3cret:org", ("http://[::1]:8080", "id", "s3cret", "org")),
    ("flyte.example:id:s:3:cr:et:org", ("flyte.example", "id", "s:3:cr:et", "org")),
    ("https://flyte.example:id:s:3:org", ("https://flyte.example", "id", "s:3", "org")),
    ("flyte.example:443:s3cret:org", ("flyte.example", "443", "s3cret", "org")),
    ("https://flyte.example:443:s3cret:org", ("https://flyte.example", "443", "s3cret", "org")),
    ("flyte.example:id:s\u00e9/+=cret:org", ("flyte.example", "id", "s\u00e9/+=cret", "org")),
]


@pytest.mark.parametrize(("text", "parts"), KEYS, ids=lambda part: part if isinstance(part, str) else "")
@pytest.mark.parametrize("strip", [True, False], ids=["unpadded", "padded"])
def test_an_api_key_is_read(text: str, parts: tuple[Any, ...], strip: bool) -> None:
    key = encoded(text)

    assert ApiKey.parse(key.rstrip("=") if strip else f" {key}\n") == parts
    assert tuple(ApiKey.parse(key.replace("+", "-").replace("/", "_"))) == parts


@pytest.mark.parametrize(
    "key",
    [
        "",
        "planted",
        "planted!",
        "plant\u00e9d",
        encoded("planted"),
        encoded("planted:planted"),
        encoded("host:planted:org"),
        encoded("host::planted:org"),
        encoded("host:planted::org"),
        encoded(":planted:planted:org"),
        encoded("ftp://host:planted:planted:org"),
        encoded("ho st:planted:planted:org"),
        base64.b64encode(b"\xff\xfeplanted").decode(),
        None,
        7,
    ],
)
def test_what_is_no_api_key_is_not_shown(key: Any) -> None:
    with pytest.raises(errors.ConfigError, match=r"endpoint:client_id:client_secret:org") as caught:
        ApiKey.parse(key)
    shown = "".join(traceback.format_exception(type(caught.value), caught.value, caught.value.__traceback__))
    assert PLANTED not in shown
    assert encoded(PLANTED)[:8] not in shown
    assert caught.value.__context__ is None


def test_an_api_key_shows_where_it_leads_only() -> None:
    assert repr(ApiKey.parse(encoded("flyte.example:planted:planted:planted"))) == "ApiKey(flyte.example)"


ABSENCES: list[tuple[Optional[bool], dict[str, str], bool, str]] = [
    (None, {}, True, ""),
    (None, {}, False, "stderr is no terminal"),
    (None, {"CI": "true"}, True, "the environment variable CI is set"),
    (None, {"CI": "1"}, True, "the environment variable CI is set"),
    (None, {"CI": "false"}, True, ""),
    (None, {"CI": ""}, True, ""),
    (None, {"AWS_LAMBDA_FUNCTION_NAME": "f"}, True, "this is AWS Lambda"),
    (True, {"CI": "true", "AWS_LAMBDA_FUNCTION_NAME": "f"}, False, ""),
    (False, {}, True, "headless=True, or interactive=False"),
]


@pytest.mark.parametrize("stderr", [None, object(), "closed"])
def test_nobody_reads_what_is_no_stream(stderr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if stderr == "closed":
        stderr = io.StringIO()
        stderr.close()
    monkeypatch.setattr(sys, "stderr", stderr)

    assert Person(None, {}).absence() == "stderr is no terminal"


@pytest.mark.parametrize(
    ("kernel", "absence"),
    [
        (None, "stderr is no terminal"),
        (SimpleNamespace(_allow_stdin=True), ""),
        (SimpleNamespace(_allow_stdin=False), "stderr is no terminal"),
        (SimpleNamespace(), ""),
    ],
    ids=["imported", "notebook", "papermill", "unknown"],
)
def test_somebody_sits_before_a_notebook_that_takes_input(
    kernel: Any, absence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = SimpleNamespace() if kernel is None else SimpleNamespace(kernel=kernel)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    assert Person(None, {}).absence() == absence


@pytest.mark.parametrize(("asked", "environ", "terminal", "absence"), ABSENCES)
def test_who_can_be_asked(asked: Optional[bool], environ: dict[str, str], terminal: bool, absence: str) -> None:
    person = Person(asked, environ, on_terminal=lambda: terminal)

    assert person.absence() == absence
    if not absence:
        person.need("x")
        return
    with pytest.raises(errors.UnauthenticatedError) as caught:
        person.need("the server wants somebody")
    text = str(caught.value)
    assert f"({absence})" in text
    assert "FLYTE_API_KEY" in text
    assert ("interactive=True" in text) is (asked is None)
    assert not caught.value.sent
    assert "What is set" not in text


def test_a_reason_to_ask_nobody_counts_whoever_is_here() -> None:
    person = Person(True, {}, unasked="the moon is full", settings=lambda: "auth_type  -  default")

    with pytest.raises(errors.UnauthenticatedError, match=r"here \(the moon is full\)") as caught:
        person.need("the server wants somebody")

    assert caught.value.message.endswith(".\nWhat is set:\nauth_type  -  default\n")
    assert "interactive=True" not in caught.value.message


def credentials(scheme: str = "https", **settings: Any) -> Any:
    web: Any = FakeWeb()
    return SignIn(**settings).credentials(web, Origin(scheme, "flyte.example", 443), "", web.clock)


KINDS: list[tuple[dict[str, Any], Optional[str]]] = [
    ({}, None),
    ({"client_id": "c"}, None),
    ({"auth_type": "Pkce"}, "Pkce"),
    ({"auth_type": "Pkce", "client_secret": "s"}, "Pkce"),
    ({"auth_type": "DeviceFlow"}, "DeviceFlow"),
    ({"client_id": "c", "client_secret": "s"}, "ClientSecret"),
    ({"auth_type": "ClientSecret", "client_id": "c", "client_secret": "s"}, "ClientSecret"),
    ({"command": ["x"]}, "ExternalCommand"),
    ({"auth_type": "ExternalCommand", "command": ["x"]}, "ExternalCommand"),
    ({"token": "t"}, "Token"),
    ({"auth_type": "Passthrough"}, "Passthrough"),
]


@pytest.mark.parametrize(("settings", "kind"), KINDS)
def test_what_settings_amount_to(settings: dict[str, Any], kind: Optional[str]) -> None:
    assert SignIn(**settings).kind() == kind


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"auth_type": "pkce"}, "auth_type is 'pkce'; it is one of Pkce, ClientSecret"),
    ({"auth_type": "ClientSecret"}, "needs client_id and client_secret"),
    ({"client_secret": PLANTED}, "needs client_id and client_secret"),
    ({"auth_type": "ClientSecret", "client_id": "c", "client_secret": ""}, "needs client_id and client_secret"),
    ({"auth_type": "ExternalCommand"}, "needs command"),
    ({"token": PLANTED, "command": ["x"]}, "command and token are given"),
    ({"token": PLANTED, "client_secret": PLANTED}, "client_secret and token are given"),
    ({"auth_type": "Pkce", "token": PLANTED}, "'Pkce', which takes no token"),
    ({"auth_type": "Passthrough", "client_secret": PLANTED}, "'Passthrough', which takes no client_secret"),
    ({"auth_type": "ClientSecret", "client_id": "c", "command": ["x"]}, "which takes no command"),
    ({"command": "gcloud auth"}, "a command is a list of words"),
    ({"command": []}, "a command is a list of words"),
    ({"command": ["x", 7]}, "a command is a list of words"),
    ({"proxy_command": "x"}, "a command is a list of words"),
    ({"client_auth": "jwt"}, "client_auth is 'jwt'"),
    ({"known": ClientConfig(token_endpoint="http://idp.example/")}, "token_endpoint is plain http"),
    ({"known": ClientConfig(token_endpoint="idp.example")}, "token_endpoint: 'idp.example' is not the address"),
]


@pytest.mark.parametrize(("settings", "said"), CONTRADICTIONS)
def test_contradictions_are_found_before_anything_is_sent(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.ConfigError, match=said) as caught:
        credentials(**settings)
    assert PLANTED not in str(caught.value)


def test_settings_show_no_secret() -> None:
    assert repr(SignIn(client_id="c", client_secret=PLANTED)) == "SignIn(ClientSecret)"
    assert repr(SignIn()) == "SignIn(nothing)"


def test_a_plain_server_gets_what_was_named_and_nothing_is_asked_for_it() -> None:
    assert credentials("http") is None
    assert isinstance(credentials("http", token="t"), TokenCredentials)
    assert isinstance(credentials("http", auth_type="Passthrough"), Passthrough)
    assert isinstance(credentials("http", proxy_command=["x"]), TokenCredentials)
    assert isinstance(credentials("http", auth_type="Pkce"), TokenCredentials)


def test_a_secure_server_may_ask_for_a_sign_in() -> None:
    lazy = credentials()

    assert isinstance(lazy, TokenCredentials)
    assert lazy.headers(Deadline(FakeClock(), 1)) == {}
    assert isinstance(credentials(proxy_command=["x"], token="t"), Together)


def test_a_named_header_takes_the_token() -> None:
    assert credentials(token="t", header_key="X-Mine").headers(Deadline(FakeClock(), 1)) == {"x-mine": "Bearer t"}


@pytest.mark.parametrize(
    ("given", "found"), [("a b", ("a", "b")), ("a,b, c", ("a", "b", "c")), (["a", "b"], ("a", "b")), ((), ())]
)
def test_scopes_may_be_written_in_two_ways(given: Any, found: tuple[str, ...]) -> None:
    assert words("scopes", given) == found


@pytest.mark.parametrize("given", [7, {"a": 1}, [1]])
def test_scopes_that_are_none(given: Any) -> None:
    with pytest.raises(errors.ConfigError, match="scopes is a list"):
        words("scopes", given)
