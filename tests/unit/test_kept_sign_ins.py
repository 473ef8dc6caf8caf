"""Whose tokens are looked for where, by what is set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional

import pytest
from fakes import FakeClock, FakeWeb

from flyte_lite import errors
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._auth.person import Person
from flyte_lite._auth.sign_in import SignIn
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Deadline
from flyte_lite._http.origin import Origin

Key = tuple[str, str]
SERVER, LOCAL = "flyte.example", "127.0.0.1:8090"


class Vault:
    """A store of the user's."""

    def __init__(self, *keys: Key) -> None:
        self.kept = {key: json.dumps({"access_token": f"of {key}".replace(" ", "_")}) for key in keys}
        self.asked: list[Key] = []

    def get(self, service: str, name: str) -> Optional[str]:
        self.asked.append((service, name))
        return self.kept.get((service, name))

    def set(self, service: str, name: str, value: str) -> None:
        self.kept[service, name] = value

    def delete(self, service: str, name: str) -> None:
        self.kept.pop((service, name), None)


class Bench:
    """Somebody with a vault, at a server that wants to know them."""

    def __init__(self, url: str, *keys: Key, asks: bool = True, **settings: Any) -> None:
        self.vault = Vault(*keys)
        web: Any = FakeWeb()
        scheme, _, place = url.partition("://")
        host, _, port = place.partition(":")
        given = {"token_store": self.vault, "header_key": "authorization", "on_demand": True, **settings}
        self.made: Any = SignIn(**given).credentials(
            web,
            Origin(scheme, host, int(port or 443)),
            "",
            web.clock,
            person=Person(False, {}),
            asks=asks,
        )
        self.deadline = Deadline(web.clock, 10)

    def first(self) -> Mapping[str, str]:
        shown: Mapping[str, str] = self.made.headers(self.deadline)
        return shown

    def second(self) -> Mapping[str, str]:
        assert self.made.refused(self.first(), self.deadline)
        return self.first()


SHARED, PLAIN = (SERVER, "tokens"), (LOCAL, "tokens by=http")


@pytest.mark.parametrize("flow", ["Pkce", "DeviceFlow"])
def test_whose_flow_is_named_shows_what_is_kept_from_the_first_call_on(flow: str) -> None:
    bench = Bench("https://flyte.example", SHARED, auth_type=flow)

    assert bench.first() == {"authorization": "Bearer of_('flyte.example',_'tokens')"}


def test_whose_flow_is_not_named_shows_it_when_the_server_wants_somebody() -> None:
    bench = Bench("https://flyte.example", SHARED)

    assert bench.first() == {}
    assert bench.vault.asked == []
    assert bench.second() == {"authorization": "Bearer of_('flyte.example',_'tokens')"}


@pytest.mark.parametrize(
    "settings",
    [
        {"client_id": "me"},
        {"known": ClientConfig(audience="us")},
        {"known": ClientConfig(token_endpoint="https://idp.example/b/token")},
        {"known": ClientConfig(issuer="https://idp.example/b")},
    ],
    ids=str,
)
def test_who_says_more_of_themselves_is_somebody_else(settings: dict[str, Any]) -> None:
    bench = Bench("https://flyte.example", SHARED, auth_type="Pkce", **settings)

    assert bench.first() == {}
    assert any("tokens " in name for _, name in bench.vault.asked)
    assert SHARED not in bench.vault.asked


def test_a_program_has_an_entry_of_its_own() -> None:
    key = (SERVER, "tokens ClientSecret client_id=app")
    bench = Bench("https://flyte.example", SHARED, key, client_id="app", client_secret="s")

    assert bench.first() == {"authorization": f"Bearer {'of_' + str(key).replace(' ', '_')}"}


@pytest.mark.parametrize(
    "settings", [{"token": "given"}, {"token": lambda: "given"}, {"command": ["echo", "given"]}], ids=lambda each: ""
)
def test_what_somebody_else_keeps_is_not_kept_here(settings: dict[str, Any]) -> None:
    bench = Bench("https://flyte.example", SHARED, **settings)

    assert bench.first() == {"authorization": "Bearer given"}
    assert (bench.vault.asked, list(bench.vault.kept)) == ([], [SHARED])


def test_by_plain_http_only_what_was_got_so_is_shown() -> None:
    assert Bench("http://127.0.0.1:8090", (LOCAL, "tokens"), auth_type="Pkce").first() == {}
    assert Bench("http://127.0.0.1:8090", PLAIN, auth_type="Pkce").first() != {}
    assert Bench("https://127.0.0.1:8090", PLAIN, auth_type="Pkce").first() == {}


@pytest.mark.parametrize("settings", [{}, {"auth_type": "Pkce", "asks": False}])
def test_a_plain_server_of_this_machine_is_shown_a_login_and_asks_for_none(settings: dict[str, Any]) -> None:
    bench = Bench("http://127.0.0.1:8090", PLAIN, **settings)
    assert bench.first() == {}
    assert "tokens_by=http" in bench.second()["authorization"]

    bench = Bench("http://127.0.0.1:8090", **settings)
    with pytest.raises(errors.UnauthenticatedError, match=r"by plain http.* `flyte-lite login`"):
        bench.second()


@pytest.mark.parametrize("settings", [{}, {"auth_type": "Pkce", "asks": False}])
def test_a_plain_server_elsewhere_is_shown_nothing(settings: dict[str, Any]) -> None:
    assert Bench("http://127.example:80", ("127.example:80", "tokens by=http"), **settings).made is None


def test_a_token_to_begin_with_is_shown_before_what_is_kept() -> None:
    bench = Bench("https://flyte.example", SHARED, first=Token("begun", Moment.now(FakeClock())))

    assert bench.first() == {"authorization": "Bearer begun"}
    assert bench.vault.asked == []
    assert bench.second() == {"authorization": "Bearer of_('flyte.example',_'tokens')"}


def test_a_program_that_asks_for_other_scopes_is_another_one() -> None:
    key = (SERVER, "tokens ClientSecret client_id=app")
    known = ClientConfig(scopes=("all",), token_endpoint="https://idp.example/token")
    bench = Bench("https://flyte.example", key, client_id="app", client_secret="s", known=known)

    with pytest.raises(errors.FlyteLiteError):
        bench.first()
    assert {name for _, name in bench.vault.asked} == {
        "tokens ClientSecret client_id=app token_endpoint=https://idp.example/token scope=all"
    }


def test_a_keyring_that_is_disabled_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "AWS_LAMBDA_FUNCTION_NAME"):
        monkeypatch.delenv(name, raising=False)

    assert [SignIn(disable_keyring=disabled).kept() for disabled in (False, True)] == ["the keyring", ""]
    assert SignIn(disable_keyring=True, token_store="keyring").kept() == "the keyring"
