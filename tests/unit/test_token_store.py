"""Which store is meant, and under which names somebody's tokens are in it."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
from token_stores import DictStore

from flyte_lite._auth.file_store import FileStore
from flyte_lite._auth.keyring_store import KEYRING
from flyte_lite._auth.sign_in import store_of
from flyte_lite._auth.store import Place, place_of
from flyte_lite.errors import ConfigError

HOME = {"HOME": "/h"}


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, KEYRING),
        ({"CI": "true"}, None),
        ({"CI": "1"}, None),
        ({"CI": "false"}, KEYRING),
        ({"CI": ""}, KEYRING),
        ({"AWS_LAMBDA_FUNCTION_NAME": "f"}, None),
    ],
    ids=str,
)
def test_a_person_has_the_keyring_where_somebody_may_sit(environ: dict[str, str], found: Any) -> None:
    assert store_of(None, person=True, environ=environ) is found
    assert store_of("keyring", person=True, environ=environ) is KEYRING
    assert store_of("keyring", person=False, disable_keyring=True, environ=environ) is KEYRING
    assert store_of("memory", person=True, environ=environ) is None


def test_everything_else_is_in_memory() -> None:
    assert store_of(None, person=False, environ={}) is None
    assert store_of(None, person=True, disable_keyring=True, environ={}) is None


def test_files_are_where_they_are_said_to_be() -> None:
    assert repr(store_of("file", person=True, environ=HOME)) == "FileStore('/h/.local/state/flyte_lite/tokens')"
    for choice in ("/x/y", Path("/x/y")):
        store = store_of(choice, person=False, environ={})
        assert isinstance(store, FileStore)
        assert repr(store) == "FileStore('/x/y')"
    with pytest.raises(ConfigError, match="no HOME"):
        store_of("file", person=True, environ={})


def test_a_store_of_the_users() -> None:
    own = DictStore()

    assert store_of(own, person=False, environ={"CI": "1"}) is own


def test_to_say_which_store_loads_no_keyring() -> None:
    before = "keyring" in sys.modules
    store_of(None, person=True, environ={})

    assert ("keyring" in sys.modules) is before


@pytest.mark.parametrize(
    ("address", "service"),
    [
        (("https", "flyte.example", 443, ""), "flyte.example"),
        (("https", "flyte.example", 8443, ""), "flyte.example:8443"),
        (("https", "flyte.example", 443, "/api/v2"), "flyte.example/api/v2"),
        (("https", "::1", 443, ""), "[::1]"),
        (("https", "::1", 8443, "/x"), "[::1]:8443/x"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_person_with_nothing_set_shares_the_login_of_the_official_sdk(address: Any, service: str) -> None:
    place = place_of(*address)

    assert place[:3] == (service, "tokens", ("access_token", "refresh_token"))
    assert place.otherwise == (f"{service.partition('/')[0]}:443{address[3]}" if address[2] == 443 else "")


def test_everybody_else_has_a_name_of_their_own() -> None:
    server = ("https", "flyte.example", 443, "")

    assert place_of(*server, client_id="me") == Place("flyte.example", "tokens client_id=me")
    assert place_of(*server, audience="https://a b") == Place("flyte.example", "tokens audience=https://a%20b")
    assert place_of(*server, program="ClientSecret", client_id="me", audience="x", scopes=("b", "c")) == Place(
        "flyte.example", "tokens ClientSecret client_id=me audience=x scope=b%20c"
    )
    assert place_of(*server, issuer="https://idp.example/b") == Place(
        "flyte.example", "tokens issuer=https://idp.example/b"
    )
    assert place_of("http", "localhost", 80, "") == Place("localhost:80", "tokens by=http")


def test_no_two_identities_have_one_place() -> None:
    words = ["", "me", "me audience=x", "x", "me%20audience=x"]
    settings = [
        {"program": program, "client_id": client_id, "audience": audience, "token_endpoint": endpoint, "scopes": scopes}
        for program, client_id, audience, endpoint, scopes in itertools.product(
            ("", "ClientSecret"), words, words, ("", "https://idp.example/token"), ((), ("a", "b"), ("a b",), ("ab",))
        )
    ]
    servers = [
        ("http", "h", 80, ""),
        ("http", "h", 443, ""),
        ("https", "h", 80, ""),
        ("https", "h", 443, ""),
        ("https", "h", 443, "/x"),
    ]
    places: dict[tuple[str, str], Any] = {}
    for server, setting in itertools.product(servers, settings):
        place = place_of(*server, **setting)  # type: ignore[arg-type]
        # A scope with a space in it is two of them, wherever it is sent.
        same = (server, {**setting, "scopes": " ".join(setting["scopes"]).split()})
        assert places.setdefault(place[:2], same) == same
