"""What the devbox's issuer gives for what, for how long, and how often: the rules, without a socket."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator

import pytest
from devbox_issuer import CALLBACK, DEVICE_GRANT, Front, claims


@pytest.fixture
def front() -> Iterator[Front]:
    made = Front()
    yield made
    made.state.close()


# Programs: RFC 6749, 2.3 and 4.4.


def test_a_program_gets_a_token_by_its_secret(front: Front) -> None:
    by_header = front.token("client_credentials", front.basic, scope="all")
    form = {"client_id": front.issuer.client_id, "client_secret": front.issuer.client_secret}
    by_form = front.token("client_credentials", **form)

    assert by_header.status == by_form.status == 200
    assert by_header.headers["cache-control"] == "no-store"
    assert {**by_header.fields, "access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "all",
    }, "and no refresh token"
    assert front.issuer.identity(by_form.fields["access_token"])["sub"] == front.issuer.client_id
    assert front.issuer.issued() == {"client_credentials": 2}


def test_the_official_sdk_quotes_the_secret_and_not_the_id(front: Front) -> None:
    front.issuer.client_id, front.issuer.client_secret = "app", "s:e+c /\u00e9"
    pair = base64.b64encode(b"app:s%3Ae%2Bc+%2F%C3%A9").decode()

    assert front.token("client_credentials", {"authorization": f"Basic {pair}"}).status == 200


@pytest.mark.parametrize(
    "proof",
    [
        {},
        {"client_id": "nobody", "client_secret": "planted"},
        {"client_id": "flyte-devbox-program"},
        {"client_id": "flyte-devbox-program", "client_secret": "planted"},
        {"client_id": "flyte-devbox-cli", "client_secret": "planted"},
    ],
    ids=["nobody", "unknown", "no secret", "wrong secret", "a secret of who has none"],
)
def test_who_can_not_prove_who_they_are_gets_nothing(front: Front, proof: dict[str, str]) -> None:
    said = front.token("client_credentials", **proof)

    assert (said.status, said.error) == (401, "invalid_client")
    assert said.headers["www-authenticate"].startswith("Basic")
    assert b"planted" not in said.body


@pytest.mark.parametrize("header", ["Basic !", "Basic", "Bearer eHg6eQ==", "Basic /w=="])
def test_a_header_that_is_none(front: Front, header: str) -> None:
    said = front.token("client_credentials", {"authorization": header})

    assert (said.status, said.error) == (401, "invalid_client")


def test_nobody_proves_it_in_two_ways(front: Front) -> None:
    twice = front.token("client_credentials", front.basic, client_secret=front.issuer.client_secret)
    other = front.token("client_credentials", front.basic, client_id=front.issuer.public_client_id)

    assert (twice.error, other.error) == ("invalid_request", "invalid_request")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "client_credentials", "scope": "all planted"}, "invalid_scope"),
        ({"grant_type": "client_credentials", "audience": "planted"}, "invalid_target"),
        ({"grant_type": "authorization_code", "code": "planted"}, "unauthorized_client"),
        ({"grant_type": "refresh_token", "refresh_token": "planted"}, "unauthorized_client"),
        ({"grant_type": DEVICE_GRANT, "device_code": "planted"}, "unauthorized_client"),
        ({"grant_type": "password", "password": "planted"}, "unsupported_grant_type"),
        ({"scope": "all"}, "invalid_request"),
    ],
)
def test_what_a_program_does_not_get(front: Front, form: dict[str, str], error: str) -> None:
    said = front.post("token", front.basic, **form)

    assert (said.status, said.error) == (400, error)
    assert b"planted" not in said.body
    assert front.issuer.requests[-1].error == error


def test_who_has_no_secret_is_no_program(front: Front) -> None:
    said = front.by_people("client_credentials")

    assert (said.status, said.error) == (400, "unauthorized_client")


def test_what_is_no_form_is_refused(front: Front) -> None:
    assert front.ask("POST", "/oauth2/token", body=b"{}", content_type="application/json").error == "invalid_request"
    twice = b"grant_type=client_credentials&scope=all&scope=all"
    form = "application/x-www-form-urlencoded; charset=UTF-8"
    assert front.ask("POST", "/oauth2/token", body=twice, content_type=form).error == "invalid_request"
    assert front.ask("POST", "/oauth2/token", body=b"\xff", content_type=form).error == "invalid_request"
    assert front.ask("POST", "/oauth2/token", body=b"a=%FF", content_type=form).error == "invalid_request"
    many = b"&".join(b"a%d=1" % at for at in range(101))
    said = front.ask("POST", "/oauth2/token", body=many, content_type=form)
    assert "more than 100" in said.fields["error_description"]
    packed = {"content-encoding": "gzip"}
    cut = gzip.compress(b"grant_type=client_credentials")[:-9]
    assert front.ask("POST", "/oauth2/token", body=cut, content_type=form, headers=packed).error == "invalid_request"
    assert front.ask("GET", "/oauth2/token").status == 405


# Codes: RFC 6749, 4.1; RFC 7636.


def test_a_code_gives_tokens(front: Front) -> None:
    said = front.exchange(front.code(scope="all offline"), state="what", scope="some clients send along")

    assert said.fields["scope"] == "all offline"
    assert said.fields["refresh_token"]
    told = claims(said.fields["access_token"])
    assert (told["sub"], told["name"], told["email"]) == ("ada", "Ada Lovelace", "ada@example.com")
    assert told["client_id"] == front.issuer.public_client_id


def test_without_offline_there_is_no_refresh_token(front: Front) -> None:
    assert "refresh_token" not in front.exchange(front.code(scope="all")).fields


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": "v" * 42},
        {"code_verifier": ""},
        {"code_verifier": "\u00e9" * 43},
        {"redirect_uri": CALLBACK.replace("4000", "4001")},
        {"redirect_uri": ""},
        {"code": "planted"},
    ],
)
def test_a_code_is_good_for_its_client_alone(front: Front, changed: dict[str, str]) -> None:
    code = front.code()

    assert front.exchange(**{"code": code, **changed}).error == "invalid_grant"
    assert front.exchange(code).status == 200, "whoever stole it has not used it up"


def test_a_code_used_twice_takes_back_what_it_gave(front: Front) -> None:
    code = front.code()
    given = front.exchange(code).fields

    assert front.exchange(code).error == "invalid_grant"
    assert not front.good(given["access_token"])
    assert front.refresh(given["refresh_token"]).error == "invalid_grant"


def test_a_code_is_soon_over(front: Front) -> None:
    code = front.code()
    front.clock.now += 61

    assert front.exchange(code).error == "invalid_grant"


# Refresh tokens: RFC 6749, 6, and RFC 9700, 4.14.


def test_refresh_tokens_rotate(front: Front) -> None:
    first = front.signed_in()
    second = front.refresh(first["refresh_token"]).fields
    third = front.refresh(second["refresh_token"], scope="all").fields

    assert len({each["refresh_token"] for each in (first, second, third)}) == 3
    assert third["scope"] == "all"
    assert front.refresh(third["refresh_token"]).fields["scope"] == "all offline", "asked for less once"
    assert front.good(first["access_token"])
    assert front.issuer.issued() == {"authorization_code": 1, "refresh_token": 3}


def test_a_refresh_token_used_twice_ends_the_sign_in(front: Front) -> None:
    first, other = front.signed_in(), front.signed_in()
    second = front.refresh(first["refresh_token"]).fields

    stolen = front.refresh(first["refresh_token"])

    assert (stolen.error, stolen.status) == ("invalid_grant", 400)
    assert front.refresh(second["refresh_token"]).error == "invalid_grant"
    assert [front.good(each["access_token"]) for each in (first, second, other)] == [False, False, True]
    assert front.refresh(other["refresh_token"]).status == 200, "another sign-in of the same person"


def test_a_grace_is_given_if_it_is_asked_for(front: Front) -> None:
    front.issuer.reuse_seconds = 10
    first = front.signed_in()
    front.refresh(first["refresh_token"])
    front.clock.now += 9.5
    assert front.refresh(first["refresh_token"]).status == 200
    front.clock.now += 0.5
    assert front.refresh(first["refresh_token"]).error == "invalid_grant", "since it was used for the first time"


def test_refresh_tokens_that_do_not_rotate(front: Front) -> None:
    front.issuer.rotates = False
    token = front.signed_in()["refresh_token"]

    assert "refresh_token" not in front.refresh(token).fields
    assert front.refresh(token).status == 200


def test_a_refresh_token_ends(front: Front) -> None:
    token = front.signed_in()["refresh_token"]
    front.clock.now += 30 * 24 * 3600 - 1
    token = front.refresh(token).fields["refresh_token"]
    assert front.good(token)
    front.clock.now += 30 * 24 * 3600

    assert not front.good(token)
    assert front.refresh(token).error == "invalid_grant"


def test_nobody_refreshes_more_than_was_allowed(front: Front) -> None:
    front.issuer.rotates = False
    token = front.signed_in()["refresh_token"]

    assert front.refresh(token, scope="all planted").error == "invalid_scope"
    assert front.refresh(token, audience="planted").error == "invalid_target"
    assert front.refresh("planted").error == "invalid_grant"
    less = front.exchange(front.code(scope="offline")).fields["refresh_token"]
    assert front.refresh(less, scope="all").error == "invalid_scope"
    assert front.refresh(less).fields["scope"] == "offline"


def test_what_one_client_was_given_is_nothing_to_another(front: Front) -> None:
    code, refresh = front.code(), front.signed_in()["refresh_token"]
    device = front.post("device_authorization", client_id=front.issuer.public_client_id).fields
    front.issuer.allow(device["user_code"], as_user="ada")
    ours, front.issuer.public_client_id = front.issuer.public_client_id, "another"
    device_code = device["device_code"]

    assert front.exchange(code).error == "invalid_grant"
    assert front.refresh(refresh).error == "invalid_grant"
    assert front.by_people(DEVICE_GRANT, device_code=device_code).error == "invalid_grant"
    front.issuer.public_client_id = ours
    assert front.exchange(code).status == front.refresh(refresh).status == 200
    assert front.by_people(DEVICE_GRANT, device_code=device_code).status == 200
