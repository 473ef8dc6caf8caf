"""Which channel settings lead to: whom it trusts, through which proxy it goes, and who calls."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Optional

import pytest
from fakes import FakeClock, FakeWeb

from flyte_lite import errors
from flyte_lite._auth.passthrough import Passthrough
from flyte_lite._auth.tokens import Together, TokenCredentials
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._connection import OnDemand, channel_of, sign_in_of, transport_of
from flyte_lite._http.origin import Origin
from flyte_lite.config import Config

PLANTED = "planted"


def credentials(config: Config) -> Any:
    return channel_of(config, config.server()).credentials


def test_a_server_that_is_told_nothing_loads_nothing_of_signing_in() -> None:
    code = """
import sys
from flyte_lite import Client
Client("{}").runs
print(*[name for name in sys.modules if name in ("yaml", "dataclasses") or "flyte_lite._auth" in name])
"""
    for endpoint in ("http://localhost:8090", "https://flyte.example.com"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(endpoint)], capture_output=True, text=True, check=True, timeout=60
        )
        assert "_auth" not in done.stdout
        assert "yaml" not in done.stdout


class Recording:
    def __init__(self) -> None:
        self.refusals = 0

    def headers(self, deadline: Deadline) -> dict[str, str]:
        return {"authorization": "Bearer t"}

    def refused(self, sent: Any, deadline: Deadline) -> bool:
        self.refusals += 1
        return True


def test_credentials_on_demand_are_made_once_and_when_they_are_wanted() -> None:
    made: list[Recording] = []

    def make() -> Recording:
        made.append(Recording())
        return made[-1]

    lazy, deadline = OnDemand(make), Deadline(FakeClock(), 1)
    assert (lazy.headers(deadline), made) == ({}, [])

    assert lazy.refused({}, deadline)
    assert lazy.refused({}, deadline)

    assert [each.refusals for each in made] == [2]
    assert lazy.headers(deadline) == {"authorization": "Bearer t"}
    assert not OnDemand(lambda: None).refused({}, deadline)


WHO: list[tuple[dict[str, Any], dict[str, str], Any]] = [
    ({}, {}, OnDemand),
    ({"auth_type": "Passthrough"}, {}, Passthrough),
    ({}, {"FLYTE_AUTH_TYPE": "Passthrough"}, Passthrough),
    ({"command": ["mint"]}, {}, TokenCredentials),
    ({}, {"FLYTE_AUTH_COMMAND": "mint"}, TokenCredentials),
    ({"client_id": "me", "client_credentials_secret": PLANTED}, {}, TokenCredentials),
    ({"proxy_command": ["mint"]}, {}, Together),
]


@pytest.mark.parametrize(("arguments", "environ", "kind"), WHO)
def test_who_calls_a_secure_server(arguments: dict[str, Any], environ: dict[str, str], kind: Any) -> None:
    assert type(credentials(Config.load({"endpoint": "flyte.example", **arguments}, environ))) is kind


PLAIN: list[tuple[dict[str, Any], dict[str, str], Any]] = [
    ({}, {}, None),
    ({"auth_type": "Passthrough"}, {}, Passthrough),
    ({"command": ["mint"]}, {}, TokenCredentials),
    ({"client_id": "me", "client_credentials_secret": PLANTED}, {}, TokenCredentials),
    ({}, {"FLYTE_AUTH_TYPE": "Passthrough"}, None),
    ({}, {"FLYTE_AUTH_COMMAND": "mint"}, None),
    ({}, {"FLYTE_AUTH_TYPE": "nonsense"}, None),
    ({}, {"FLYTE_ADMIN_CLIENTID": "me", "FLYTE_ADMIN_CLIENTSECRETENVVAR": "S", "S": PLANTED}, None),
    ({}, {"FLYTE_AUTH_PROXY_COMMAND": "mint", "FLYTE_AUTH_TYPE": "Passthrough"}, TokenCredentials),
    ({"auth_type": "Pkce"}, {}, TokenCredentials),
    ({"auth_type": "DeviceFlow"}, {}, TokenCredentials),
    ({}, {"FLYTE_AUTH_TYPE": "Pkce"}, None),
    ({}, {"FLYTE_AUTH_TYPE": "DeviceFlow"}, None),
]


@pytest.mark.parametrize(("arguments", "environ", "kind"), PLAIN)
def test_a_plain_server_is_shown_what_the_caller_named_only(
    arguments: dict[str, Any], environ: dict[str, str], kind: Any
) -> None:
    made = credentials(Config.load({"endpoint": "http://flyte.example", **arguments}, environ))

    assert made is None if kind is None else type(made) is kind


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8090", "[::1]:8090"])
@pytest.mark.parametrize("flow", ["", "Pkce", "DeviceFlow"])
def test_a_plain_server_of_this_machine_loads_a_sign_in_when_it_wants_somebody(flow: str, host: str) -> None:
    made = credentials(Config.load({"endpoint": f"http://{host}"}, {"FLYTE_AUTH_TYPE": flow}))

    assert type(made) is OnDemand


@pytest.mark.parametrize("environ", [{"FLYTE_AUTH_TYPE": "Passthrough"}, {"FLYTE_AUTH_COMMAND": "mint"}])
def test_a_plain_server_of_this_machine_is_shown_nothing_of_a_program(environ: dict[str, str]) -> None:
    assert credentials(Config.load({"endpoint": "http://localhost:8090"}, environ)) is None


@pytest.mark.parametrize("flow", ["Pkce", "DeviceFlow"])
def test_a_person_is_asked_only_when_the_server_wants_somebody(flow: str) -> None:
    lazy = credentials(Config.load({"endpoint": "flyte.example"}, {"FLYTE_AUTH_TYPE": flow}))

    assert lazy.headers(Deadline(FakeClock(), 1)) == {}


SIGN_INS: list[tuple[dict[str, Any], dict[str, str], tuple[Optional[str], Optional[str], Any, Any]]] = [
    ({}, {}, (None, None, None, None)),
    ({"client_id": "me"}, {}, (None, "me", None, None)),
    ({"command": ["a"], "auth_type": "Pkce"}, {}, ("Pkce", None, None, None)),
    ({"auth_type": "Pkce", "client_credentials_secret": "s"}, {}, ("Pkce", None, "s", None)),
    # An argument wins over what the environment says of another flow.
    ({"command": ["a"]}, {"FLYTE_AUTH_TYPE": "Pkce"}, ("ExternalCommand", None, None, ("a",))),
    (
        {"auth_type": "DeviceFlow"},
        {"FLYTE_ADMIN_CLIENTSECRETENVVAR": "S", "S": "s"},
        ("DeviceFlow", None, None, None),
    ),
    # A secret that is found says who calls, whatever else is there.
    (
        {"client_id": "me"},
        {"FLYTE_ADMIN_CLIENTSECRETENVVAR": "S", "S": "s", "FLYTE_AUTH_TYPE": "Pkce", "FLYTE_AUTH_COMMAND": "a"},
        ("ClientSecret", "me", "s", None),
    ),
]


@pytest.mark.parametrize(("arguments", "environ", "wanted"), SIGN_INS)
def test_one_of_several_says_who_calls(arguments: dict[str, Any], environ: dict[str, str], wanted: Any) -> None:
    who = sign_in_of(Config.load(arguments, environ))

    assert (who.auth_type, who.client_id, who.client_secret, who.command) == wanted


@pytest.mark.parametrize(("headless", "interactive"), [(None, None), (True, False), (False, True)])
def test_headless_is_not_interactive(headless: Optional[bool], interactive: Optional[bool]) -> None:
    assert sign_in_of(Config.load({"headless": headless}, {})).interactive is interactive


def test_what_is_known_of_the_provider() -> None:
    said = {"client_id": "them", "token_endpoint": "https://idp/t", "header_key": "X-Theirs"}
    found = sign_in_of(Config.load({"auth_client_config": said, "scopes": ["a", "b"], "audience": "flyte"}, {}))
    known = found.known

    assert (found.client_id, found.header_key) == ("them", "X-Theirs")
    assert sign_in_of(Config.load({"auth_client_config": said, "client_id": "me"}, {})).client_id == "me"

    assert (known.token_endpoint, known.scopes, known.audience) == ("https://idp/t", ("a", "b"), "flyte")
    with pytest.raises(errors.ConfigError, match="token_endpoint is int"):
        sign_in_of(Config.load({"auth_client_config": {"token_endpoint": 5}}, {}))


WRONG: list[tuple[dict[str, Any], dict[str, str], str, str]] = [
    ({}, {"FLYTE_AUTH_TYPE": "pkce"}, "InvalidAuthMode", r"FLYTE_AUTH_TYPE\); write Pkce"),
    ({"auth_type": "Magic"}, {}, "InvalidAuthMode", r"'Magic' \(from argument\); it is one of Pkce, Cl"),
    ({}, {"FLYTE_ADMIN_AUTHTYPE": "ExternalCommand"}, "ConfigError", "needs command.*FLYTE_ADMIN_AUTHTYPE"),
    (
        {},
        {"FLYTE_AUTH_TYPE": "ClientSecret", "FLYTE_ADMIN_CLIENTSECRETENVVAR": "MY_SECRET"},
        "ConfigError",
        "needs client_id and client_secret.*not set: the environment variable MY_SECRET",
    ),
]


@pytest.mark.parametrize(("arguments", "environ", "code", "said"), WRONG)
def test_what_says_nobody_is_named(arguments: dict[str, Any], environ: dict[str, str], code: str, said: str) -> None:
    config = Config.load({"endpoint": "flyte.example", **arguments}, environ)
    with pytest.raises(errors.ConfigError, match=said) as caught:
        channel_of(config, config.server())
    assert caught.value.code == code


TRUST: list[tuple[dict[str, Any], dict[str, str], tuple[Optional[str], bool]]] = [
    ({}, {}, (None, True)),
    ({"ca_cert_file_path": "ca"}, {}, ("ca", True)),
    ({"insecure_skip_verify": True}, {}, (None, False)),
    ({}, {"FLYTE_ADMIN_INSECURESKIPVERIFY": "1"}, (None, False)),
    # Authorities are named, and a flag of the environment does not undo that; an argument does.
    ({"ca_cert_file_path": "ca"}, {"FLYTE_ADMIN_INSECURESKIPVERIFY": "1"}, ("ca", True)),
    ({}, {"FLYTE_ADMIN_CACERTFILEPATH": "ca", "FLYTE_ADMIN_INSECURESKIPVERIFY": "1"}, ("ca", True)),
    ({"insecure_skip_verify": True}, {"FLYTE_ADMIN_CACERTFILEPATH": "ca"}, ("ca", False)),
]


@pytest.mark.parametrize(("arguments", "environ", "wanted"), TRUST)
def test_whom_to_trust(arguments: dict[str, Any], environ: dict[str, str], wanted: tuple[Any, ...]) -> None:
    policy = transport_of(Config.load(arguments, environ))._tls

    assert (policy.ca_file, policy.verify) == wanted


def test_a_proxy_is_named_by_where_it_was_read() -> None:
    config = Config.load({}, {"FLYTE_ADMIN_HTTPPROXYURL": f"http://me:{PLANTED}@proxy:3128"})
    proxy = transport_of(config).proxy(Origin("https", "flyte.example", 443))
    assert str(proxy) == "the proxy proxy:3128 (from environment variable FLYTE_ADMIN_HTTPPROXYURL)"

    # None at all, whatever the environment says.
    config = Config.load({"http_proxy_url": ""}, {"FLYTE_ADMIN_HTTPPROXYURL": "http://proxy:3128"})
    assert transport_of(config).proxy(Origin("https", "flyte.example", 443)) is None
    with pytest.raises(errors.ConfigError, match="the proxy in http_proxy_url can't be used") as caught:
        transport_of(Config.load({"http_proxy_url": f"ftp://me:{PLANTED}@proxy"}, {}))
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize("retries", [0, 7])
def test_repeats_are_as_many_as_is_said(retries: int) -> None:
    config = Config.load({"endpoint": "http://h", "rpc_retries": retries}, {})

    assert channel_of(config, config.server())._retry.retries == retries
    assert channel_of(Config(endpoint="h"), Config(endpoint="h").server())._retry.retries == 3


@pytest.mark.parametrize("flow", ["", "Pkce", "DeviceFlow"])
def test_nobody_is_asked_to_sign_in_to_a_plain_server_of_this_machine(flow: str) -> None:
    config = Config.load({"endpoint": "http://localhost:8090", "token_store": "memory"}, {"FLYTE_AUTH_TYPE": flow})
    web: Any = FakeWeb()
    made: Any = channel_of(config, config.server(), web).credentials

    with pytest.raises(errors.UnauthenticatedError, match="spoken to by plain http, and nobody asked for that"):
        made.refused({}, Deadline(web.clock, 10))
    assert web.asked == []


@pytest.mark.parametrize("host", ["localhost:8090", "flyte.example"])
def test_a_proxy_is_shown_its_token_from_the_first_call_on(host: str) -> None:
    environ = {"FLYTE_AUTH_PROXY_COMMAND": "echo proxied", "FLYTE_AUTH_TYPE": "Pkce"}
    made = credentials(Config.load({"endpoint": f"http://{host}", "token_store": "memory"}, environ))

    assert made.headers(Deadline(SYSTEM_CLOCK, 60)) == {"proxy-authorization": "Bearer proxied"}
