"""What a token of the devbox's issuer is good for, how it is taken back, and what is kept of it."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from devbox_issuer import DEVICE_GRANT, Front, claims

from flyte_lite.devbox.guard import TokenRefused
from flyte_lite.devbox.issuer.issuer import Issuer
from flyte_lite.devbox.issuer.terms import User


@pytest.fixture
def front() -> Iterator[Front]:
    made = Front()
    yield made
    made.state.close()


# Access tokens.


def test_a_token_is_over_when_it_said_so(front: Front) -> None:
    front.issuer.token_seconds = 2
    said = front.token("client_credentials", front.basic).fields
    assert said["expires_in"] == 2
    front.clock.now += 1.9
    assert front.issuer.identity(said["access_token"])
    front.clock.now += 0.2

    with pytest.raises(TokenRefused, match="expired"):
        front.issuer.identity(said["access_token"])


def test_a_token_made_by_hand_is_the_program_s_or_a_person_s(front: Front) -> None:
    program, person = (front.issuer.identity(front.issuer.token(user)) for user in (None, "ada"))

    assert (program["sub"], program["client_id"]) == (front.issuer.client_id, front.issuer.client_id)
    assert (person["sub"], person["client_id"]) == ("ada", front.issuer.public_client_id)


def test_what_a_token_is_refused_for(front: Front) -> None:
    issuer, other = front.issuer, Front()
    revoked, expired, gone = issuer.token("ada"), issuer.token("ada", seconds=-1), issuer.token("ada")
    front.post("revoke", token=revoked, client_id=issuer.public_client_id)
    front.state.database.run("DELETE FROM access_token WHERE id = ?", (claims(gone)["jti"],))

    def why(token: str) -> str:
        with pytest.raises(TokenRefused) as caught:
            issuer.identity(token)
        return str(caught.value)

    assert why(revoked) == "it was revoked"
    assert why(expired) == "it has expired"
    assert why(gone) == "it is not known any more"
    assert why(issuer.token("ada", audience="else")) == "it is for another audience"
    assert why(other.issuer.token("ada")) == "it was not made here"
    for token in ("", "a", "a.b.c", "..", "\u00e9.\u00e9.\u00e9"):
        assert why(token) == "it was not made here"
    other.state.close()


def test_a_token_that_was_tampered_with(front: Front) -> None:
    head, body, signature = front.issuer.token("ada").split(".")
    forged = base64.urlsafe_b64encode(json.dumps({**claims(f"{head}.{body}."), "sub": "grace"}).encode()).decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")

    for token in (f"{head}.{forged.rstrip('=')}.{signature}", f"{none}.{body}.", f"{none}.{body}.{signature}"):
        with pytest.raises(TokenRefused, match="not made here"):
            front.issuer.identity(token)


def test_nothing_else_that_the_key_has_signed_is_a_token(front: Front) -> None:
    kept = front.state.sign_ins.issuer()
    assert kept is not None
    signed = f"{base64.urlsafe_b64encode(b'{}').decode()}.{front.issuer.token('ada').split('.')[1]}"
    made = base64.urlsafe_b64encode(hmac.digest(kept[1], signed.encode(), "sha256")).decode().rstrip("=")

    with pytest.raises(TokenRefused, match="no access token of this issuer"):
        front.issuer.identity(f"{signed}.{made}")


def test_all_tokens_may_be_let_expire_or_be_revoked(front: Front) -> None:
    first = front.signed_in()
    front.issuer.expire_tokens()
    assert not front.good(first["access_token"])
    second = front.refresh(first["refresh_token"]).fields
    assert front.good(second["access_token"])
    code = front.code()
    front.issuer.revoke_all()
    assert not front.good(second["access_token"])
    assert front.refresh(second["refresh_token"]).error == "invalid_grant"
    assert front.exchange(code).error == "invalid_grant"


def test_a_device_code_that_was_allowed_goes_with_the_rest(front: Front) -> None:
    device = front.post("device_authorization", client_id=front.issuer.public_client_id).fields
    front.issuer.allow(device["user_code"], as_user="ada")
    front.issuer.revoke_all()

    assert front.by_people(DEVICE_GRANT, device_code=device["device_code"]).error == "invalid_grant"


# Taking back and telling: RFC 7009, RFC 7662.


def test_with_a_refresh_token_goes_all_that_came_of_its_sign_in(front: Front) -> None:
    given, public = front.signed_in(), front.issuer.public_client_id
    said = front.post("revoke", token=given["refresh_token"], token_type_hint="access_token", client_id=public)

    assert said.status == 200
    assert not front.good(given["access_token"])
    assert not front.good(given["refresh_token"])
    assert front.post("revoke", token="unknown", client_id=public).status == 200
    assert front.post("revoke", client_id=public).error == "invalid_request"


def test_nobody_takes_back_what_is_another_s(front: Front) -> None:
    given = front.signed_in()
    for token in (given["access_token"], given["refresh_token"]):
        assert front.post("revoke", front.basic, token=token).error == "invalid_grant"
        assert front.good(token)


def test_what_is_told_of_a_token(front: Front) -> None:
    given = front.signed_in()
    access = front.post("introspect", front.basic, token=given["access_token"]).fields
    refresh = front.post("introspect", front.basic, token=given["refresh_token"]).fields

    assert {name: access[name] for name in ("active", "sub", "username", "scope", "aud", "token_type")} == {
        "active": True,
        "sub": "ada",
        "username": "ada",
        "scope": "all offline",
        "aud": "flyte-devbox",
        "token_type": "Bearer",
    }
    assert (refresh["active"], refresh["sub"], refresh.get("aud")) == (True, "ada", None)
    document = front.ask("GET", "/oauth2/.well-known/oauth-authorization-server").fields
    assert access["iss"] == refresh["iss"] == document["issuer"]
    assert "sign_in" not in access, "a number of ours"
    front.refresh(given["refresh_token"])
    for token in (given["refresh_token"], "unknown"):
        assert front.post("introspect", front.basic, token=token).fields == {"active": False}
    public = front.post("introspect", token=given["access_token"], client_id=front.issuer.public_client_id)
    assert (public.status, public.error) == (401, "invalid_client")


# What is kept.


def test_no_secret_is_in_the_state(front: Front) -> None:
    given, code = front.signed_in(), front.code()
    device = front.post("device_authorization", client_id=front.issuer.public_client_id).fields
    kept = "\n".join(front.state.database._connection.iterdump())

    for secret in (
        *given.values(),
        given["access_token"].split(".")[2],
        code,
        device["device_code"],
        front.issuer.client_secret,
    ):
        if isinstance(secret, str) and secret not in ("Bearer", "all offline"):
            assert secret not in kept
    for shown in (repr(front.issuer), str(front.issuer.requests)):
        assert front.issuer.client_secret not in shown
        assert given["refresh_token"] not in shown
    with pytest.raises(TypeError):
        front.issuer.__reduce__()


def test_what_is_long_over_is_forgotten(front: Front) -> None:
    front.signed_in()
    front.post("device_authorization", client_id=front.issuer.public_client_id)
    front.clock.now += 40 * 24 * 3600
    kept = front.signed_in()

    for table in ("sign_in", "access_token", "refresh_token", "authorization_code"):
        assert front.state.database.one(f"SELECT COUNT(*) FROM {table}") == (1,), table
    assert front.state.database.one("SELECT COUNT(*) FROM device_code") == (0,)
    assert front.good(kept["access_token"])


class Cut(Sequence[User]):
    """Users that can't be looked up: a request ends there, as if the devbox had been killed."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, at: Any) -> Any:
        raise InterruptedError


def test_what_was_begun_and_not_ended_has_used_up_nothing(front: Front) -> None:
    token, code = front.signed_in()["refresh_token"], front.code()
    front.issuer.users = Cut()
    for half in (lambda: front.refresh(token), lambda: front.exchange(code), lambda: front.issuer.token("ada")):
        before = list(front.state.database._connection.iterdump())
        with pytest.raises(InterruptedError):
            half()
        assert list(front.state.database._connection.iterdump()) == before
    front.issuer.defaults()

    assert front.refresh(token).status == front.exchange(code).status == 200


def test_what_is_over_is_looked_for_now_and_then(front: Front) -> None:
    said: list[str] = []
    front.state.database._connection.set_trace_callback(said.append)

    def looks(seconds: float) -> int:
        said.clear()
        front.clock.now += seconds
        front.token("client_credentials", front.basic)
        return sum(each.startswith("DELETE FROM sign_in") for each in said)

    assert [looks(seconds) for seconds in (0, 0, 599, 1, 0)] == [1, 0, 0, 1, 0]
    assert [looks(seconds) for seconds in (-1, 0)] == [1, 0], "also if the clock was turned back"


def test_a_second_issuer_on_the_state_goes_on(front: Front) -> None:
    given = front.signed_in()
    again = Front(front.state)
    again.clock = front.clock

    assert again.issuer.client_secret == front.issuer.client_secret
    assert again.refresh(given["refresh_token"]).status == 200


def test_terms_are_set_by_name_and_reset(front: Front) -> None:
    issuer: Issuer = front.issuer
    issuer.users = [User("bob", given_name="Bob")]
    issuer.token_seconds = 1
    with pytest.raises(AttributeError):
        issuer.token_second = 1  # type: ignore[attr-defined]
    secret = issuer.client_secret
    token = issuer.token("bob", seconds=60)
    assert issuer.identity(token)["given_name"] == "Bob"

    front.state.clear()
    issuer.reset()

    assert (issuer.token_seconds, issuer.client_secret, issuer.requests) == (3600, secret, [])
    assert [user.subject for user in issuer.users] == ["ada", "grace"]
    with pytest.raises(TokenRefused, match="not known any more"):
        issuer.identity(token)
