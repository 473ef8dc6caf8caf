"""Telling an identity provider that a login is over: which one, where, and what it answers."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import FakeClock, FakeWeb, HttpAnswer, web_answer

from flyte_lite._auth.client_credentials import ClientProof
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._auth.provider import IdentityProvider
from flyte_lite._auth.revocation import revoke
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Deadline
from flyte_lite._http.origin import Origin
from flyte_lite.errors import ConnectFailedError

ISSUER, TOKEN, REVOKE = "https://idp.example/realm", "https://idp.example/token", "https://idp.example/revoke"
DOCUMENT = {"issuer": ISSUER, "token_endpoint": TOKEN, "revocation_endpoint": REVOKE}
WELL_KNOWN = "https://idp.example/.well-known/oauth-authorization-server/realm"
DONE = HttpAnswer(200, "OK", {}, b"")


class Known:
    """Stands where discovery is."""

    def __init__(self, **config: Any) -> None:
        self._config = ClientConfig(**{"token_endpoint": TOKEN, "issuer": ISSUER, "client_id": "public", **config})

    def config(self, deadline: Deadline) -> ClientConfig:
        return self._config


class Bench:
    def __init__(self, *answers: Any, document: Any = DOCUMENT, at: str = WELL_KNOWN, **config: Any) -> None:
        self.web = FakeWeb().on(at, document).on(REVOKE, *answers)
        self.known: Any = Known(**config)

    def revoke(self, **fields: Any) -> str:
        transport: Any = self.web
        provider = IdentityProvider(transport, Origin("https", "flyte.example", 443))
        given = {"value": "access", "refresh": "refresh", "issued_by": "https://idp.example:443/token", **fields}
        token = Token(given.pop("value"), Moment.now(FakeClock()), **given)
        return revoke(provider, self.known, ClientProof("", None), token, Deadline(self.web.clock, 10))

    @property
    def forms(self) -> list[dict[str, str]]:
        return [asked.form for asked in self.web.requests(REVOKE)]


def test_both_tokens_are_revoked_what_gets_others_first() -> None:
    bench = Bench(DONE)

    assert bench.revoke() == ""

    assert bench.forms == [
        {"token": "refresh", "token_type_hint": "refresh_token", "client_id": "public"},
        {"token": "access", "token_type_hint": "access_token", "client_id": "public"},
    ]


def test_what_is_not_there_is_not_revoked() -> None:
    bench = Bench(DONE)

    assert bench.revoke(value="") == ""
    assert bench.revoke(refresh=None) == ""

    assert [form["token"] for form in bench.forms] == ["refresh", "access"]


@pytest.mark.parametrize(
    "at",
    [
        WELL_KNOWN,
        "https://idp.example/realm/.well-known/openid-configuration",
    ],
    ids=["of OAuth", "of OpenID"],
)
def test_a_provider_has_its_document_in_one_of_several_places(at: str) -> None:
    bench = Bench(DONE, at=at)

    assert bench.revoke() == ""
    assert len(bench.forms) == 2


def test_a_document_may_have_its_names_as_protobuf_has_them() -> None:
    bench = Bench(DONE, document={"issuer": ISSUER, "tokenEndpoint": TOKEN, "revocationEndpoint": REVOKE})

    assert bench.revoke() == ""
    assert len(bench.forms) == 2


def test_where_no_issuer_is_named_the_document_is_beside_the_token_endpoint() -> None:
    bench = Bench(DONE, at="https://idp.example/.well-known/oauth-authorization-server", issuer="")

    assert bench.revoke() == ""
    assert len(bench.forms) == 2


def test_a_token_of_another_provider_is_not_sent_to_this_one() -> None:
    bench = Bench(DONE)

    assert "another identity provider" in bench.revoke(issued_by="https://old.example:443/token")
    assert bench.web.asked == []


@pytest.mark.parametrize(
    "document",
    [
        {**DOCUMENT, "token_endpoint": "https://other.example/token"},
        {"issuer": ISSUER, "token_endpoint": TOKEN},
        web_answer({"error": "not here"}, 404),
        HttpAnswer(200, "OK", {"content-type": ["text/html"]}, b"<html>"),
    ],
    ids=["of another provider", "without the name", "missing", "a page"],
)
def test_a_provider_that_does_not_say_where_gets_nothing(document: Any) -> None:
    bench = Bench(DONE, document=document)

    assert bench.revoke() == "the identity provider names no revocation_endpoint"
    assert bench.forms == []


def test_nothing_is_sent_by_plain_http() -> None:
    bench = Bench(DONE, document={**DOCUMENT, "revocation_endpoint": "http://idp.example/revoke"})

    assert "plain http" in bench.revoke()
    assert not any(asked.form for asked in bench.web.asked)


def test_a_provider_that_revokes_no_access_tokens_is_done_all_the_same() -> None:
    assert Bench(DONE, web_answer({"error": "unsupported_token_type"}, 400)).revoke() == ""
    assert Bench(web_answer({"error": "unsupported_token_type"}, 400)).revoke() != ""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (web_answer({"error": "invalid_client", "error_description": "who has refresh?"}, 401), "invalid_client"),
        (HttpAnswer(503, "Later", {}, b""), "HTTP 503"),
        (ConnectFailedError("nobody listens"), "nobody listens"),
    ],
    ids=["refused", "later", "nobody"],
)
def test_why_it_was_not_revoked_is_said_without_the_token(answer: Any, said: str) -> None:
    reason = Bench(answer).revoke()

    assert said in reason
    assert "refresh?" not in reason


def test_an_issuer_that_is_no_address_ends_no_sign_out_with_a_traceback() -> None:
    bench = Bench(DONE, issuer="https://[idp")

    assert bench.revoke() == "the identity provider names no revocation_endpoint"
    assert bench.forms == []
