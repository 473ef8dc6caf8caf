"""What people see and do at the devbox's issuer, and what a stranger's page can't do in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Optional
from urllib.parse import urlsplit

import pytest
from devbox_issuer import CALLBACK, DEVICE_GRANT, Front

from flyte_lite.devbox.issuer.clients import registered
from flyte_lite.devbox.issuer.terms import User


@pytest.fixture
def front() -> Iterator[Front]:
    made = Front()
    yield made
    made.state.close()


def poll(front: Front, device: Mapping[str, str]) -> str:
    said = front.by_people(DEVICE_GRANT, device_code=device["device_code"])
    return said.error if said.status != 200 else f"token of {front.issuer.requests[-1].subject}"


def asked(front: Front) -> dict[str, str]:
    said = front.post("device_authorization", client_id=front.issuer.public_client_id, scope="all offline")
    assert said.status == 200
    return said.fields  # type: ignore[no-any-return]


# The page for a browser on the same machine: RFC 6749, 4.1.


def test_a_person_picks_a_name_and_allows(front: Front) -> None:
    page = front.open("authorize", front.request())
    back = front.press(page, "authorize", user="grace", decision="allow")

    assert page.status == 200
    assert (back.headers["cache-control"], back.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert "Grace Hopper" in page.page
    assert "<script" not in page.page
    assert back.headers["location"].startswith(f"{CALLBACK}?")
    assert (back.back["state"], back.back["iss"]) == ("s&t", "http://box:1/oauth2")
    front.exchange(back.back["code"])
    assert front.issuer.requests[-1].subject == "grace"


def test_a_person_types_a_name(front: Front) -> None:
    page = front.open("authorize", front.request())
    back = front.press(page, "authorize", user="ada", other=" bob <b>&amp; ", decision="allow").back

    token = front.exchange(back["code"]).fields["access_token"]
    assert front.issuer.identity(token)["sub"] == "bob <b>&amp;"


@pytest.mark.parametrize("form", [{"decision": "deny", "user": "ada"}, {"user": "ada"}])
def test_a_person_denies(front: Front, form: dict[str, str]) -> None:
    back = front.press(front.open("authorize", front.request()), "authorize", **form).back

    assert (back["error"], back["state"], back["iss"]) == ("access_denied", "s&t", "http://box:1/oauth2")


@pytest.mark.parametrize("form", [{}, {"other": "x" * 101}, {"other": "a\nb"}], ids=["nobody", "long", "two lines"])
def test_a_person_is_somebody(front: Front, form: dict[str, str]) -> None:
    said = front.press(front.open("authorize", front.request()), "authorize", decision="allow", **form)

    assert said.status == 400
    assert "pick a name" in said.page


def test_what_is_shown_is_only_text(front: Front) -> None:
    front.issuer.users = [User('<"eve>', "<script>alert(1)</script>")]
    page = front.open("authorize", front.request(state='"><script>')).page

    assert "<script" not in page
    assert '"&gt;&lt;script' not in page, "what is sent along is escaped in the query already"


def test_a_page_is_shown_in_no_frame_and_loads_nothing(front: Front) -> None:
    headers = front.open("authorize", front.request()).headers
    policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))

    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self' http://localhost:4000", "where the form's answer may lead"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "HttpOnly; SameSite=Lax" in headers["set-cookie"]
    assert "Secure" not in headers["set-cookie"]
    by_tls = front.ask("GET", "/oauth2/authorize", front.request(), headers={"x-forwarded-proto": "https"})
    assert by_tls.headers["set-cookie"].endswith("; Secure")
    ipv6 = front.open("authorize", front.request(redirect_uri="http://[::1]:5/callback"))
    assert "form-action 'self' http:;" in ipv6.headers["content-security-policy"]


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "planted"},
        {"client_id": None},
        {"client_id": "flyte-devbox-program"},
        {"redirect_uri": None},
        {"redirect_uri": "https://planted.example/callback"},
        {"redirect_uri": "http://localhost:4000/callback/"},
        {"redirect_uri": "http://localhost:4000/callback?x=1"},
        {"redirect_uri": "http://localhost.planted.example:4000/callback"},
    ],
)
def test_nobody_is_sent_where_nobody_is_known(front: Front, changed: dict[str, Optional[str]]) -> None:
    said = front.open("authorize", front.request(**changed))

    assert (said.status, said.headers.get("location")) == (400, None)
    assert "planted" not in said.page


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "all planted"}, "invalid_scope"),
        ({"audience": "planted"}, "invalid_target"),
    ],
)
def test_a_client_is_told_what_is_wrong(front: Front, changed: dict[str, Optional[str]], error: str) -> None:
    back = front.open("authorize", front.request(**changed)).back

    assert (back["error"], back["state"], back["iss"]) == (error, "s&t", "http://box:1/oauth2")


def test_a_parameter_that_came_twice(front: Front) -> None:
    assert front.open("authorize", f"{front.request()}&state=other").status == 400


def test_nobody_is_asked_where_somebody_is_always_there(front: Front) -> None:
    front.issuer.automatic_user = "ada"

    assert front.exchange(front.open("authorize", front.request(state=None)).back["code"]).status == 200
    assert poll(front, asked(front)) == "token of ada"
    assert front.open("authorize", front.request(state=None)).back.keys() == {"code", "iss"}


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ("http://localhost:53593/callback", True),
        ("http://localhost:1/callback", True),
        ("http://localhost/callback", True),
        ("http://127.0.0.1:65535/callback", True),
        ("http://[::1]:7/callback", True),
        ("https://app.example/back", True),
        ("https://app.example:444/back", False),
        ("https://app.example/back/", False),
        ("http://plain.example/back", True),
        ("http://plain.example:1/back", False),
        ("https://localhost:1/callback", False),
        ("http://localhost:0/callback", False),
        ("http://localhost:99999/callback", False),
        ("http://localhost:x/callback", False),
        ("http://localhost:1/callback#", False),
        ("http://localhost:1/callback#x", False),
        ("http://localhost:1/callback?x", False),
        ("http://localhost:1/Callback", False),
        ("http://LOCALHOST:1/callback", False),
        ("http://localhost:01/callback", False),
        ("http://a@localhost:1/callback", False),
        ("http://localhost:1@planted.example/callback", False),
        ("http://127.0.0.2:1/callback", False),
        ("http://[::1/callback", False),
        ("", False),
    ],
)
def test_only_the_port_of_this_machine_is_free(asked: str, right: bool) -> None:
    uris = (
        "http://localhost:53593/callback",
        "http://127.0.0.1/callback",
        "http://[::1]/callback",
        "https://app.example/back",
        "http://plain.example/back",
    )
    assert registered(asked, uris) is right


def test_the_query_of_where_a_browser_is_sent_back_to_stays(front: Front) -> None:
    uri = "https://app.example/back?app=a+b&empty="
    front.issuer.redirect_uris = [uri]
    page = front.open("authorize", front.request(redirect_uri=uri))
    where = front.press(page, "authorize", user="ada", decision="allow").headers["location"]

    assert where.startswith(f"{uri}&code=")


# What another site's page can make a browser send.


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": ""},
        {"cookie": "other=1"},
        {"origin": "http://planted.example"},
        {"origin": "null"},
        {"origin": "http://box:2"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["authorize", "device"])
def test_another_page_can_not_press_the_button(front: Front, path: str, headers: dict[str, str]) -> None:
    query = front.request() if path == "authorize" else f"user_code={asked(front)['user_code']}"
    page = front.open(path, query)

    said = front.press(page, path, headers, user="ada", decision="allow")

    assert said.status == 403
    assert front.press(page, path, user="ada", decision="allow").status in (200, 303), "its own page can"


def test_a_form_is_good_for_what_it_has_shown_alone(front: Front) -> None:
    page = front.open("authorize", front.request())
    code = asked(front)["user_code"]

    changed = front.press(page, "authorize", request=front.request(state="other"), user="ada", decision="allow")
    elsewhere = front.press(page, "device", request=code, user="ada", decision="allow")
    there = front.press(page, "device", user="ada", decision="allow")
    unmarked = front.press(page, "authorize", mark="0" * 64, user="ada", decision="allow")
    empty = front.press(page, "device", request="", user="ada", decision="allow")

    assert [said.status for said in (changed, elsewhere, there, unmarked, empty)] == [403] * 5
    assert front.issuer.waiting() == [code]


def test_two_pages_in_one_browser_are_both_good(front: Front) -> None:
    first, second = (front.open("authorize", front.request(state=state)) for state in ("1", "2"))
    backs = [front.press(page, "authorize", user="ada", decision="allow").back for page in (first, second)]

    assert [back["state"] for back in backs] == ["1", "2"]


# Another device: RFC 8628.


def test_a_person_types_in_a_code_and_allows(front: Front) -> None:
    device = asked(front)
    assert poll(front, device) == "authorization_pending"
    entry = front.open("device")
    page = front.open("device", f"user_code={device['user_code'].lower().replace('-', '+')}")
    done = front.press(page, "device", user="grace", decision="allow")

    assert (device["verification_uri"], device["interval"], device["expires_in"]) == (
        "http://box:1/oauth2/device",
        5,
        600,
    )
    assert urlsplit(device["verification_uri_complete"]).query == f"user_code={device['user_code']}"
    assert "form" in entry.page
    assert f">{device['user_code']}</code>" in page.page, "to be compared"
    assert "Signed in" in done.page
    assert poll(front, device) == "token of grace"


def test_a_person_denies_a_code(front: Front) -> None:
    device = asked(front)
    page = front.open("device", f"user_code={device['user_code']}")

    assert "Denied" in front.press(page, "device", user="ada", decision="deny").page
    assert poll(front, device) == "access_denied"
    assert front.press(page, "device", user="ada", decision="allow").status == 400, "not any more"


def test_a_client_that_asks_too_often_is_told_to_slow_down(front: Front) -> None:
    device = asked(front)
    assert poll(front, device) == "authorization_pending", "the first time may be at once"
    front.clock.now += 4.9
    assert poll(front, device) == "slow_down"
    front.clock.now += 9.9
    assert poll(front, device) == "slow_down", "5 seconds more each time"
    front.clock.now += 15
    assert poll(front, device) == "authorization_pending"
    front.issuer.allow(device["user_code"], as_user="ada")
    assert poll(front, device) == "token of ada", "there is nothing to wait for"


def test_a_device_code_ends(front: Front) -> None:
    device = asked(front)
    page = front.open("device", f"user_code={device['user_code']}")
    front.clock.now += 600

    assert poll(front, device) == "expired_token"
    assert front.press(page, "device", user="ada", decision="allow").status == 400
    assert front.issuer.waiting() == []
    with pytest.raises(ValueError, match="waits"):
        front.issuer.deny(device["user_code"])


def test_a_device_code_used_twice_takes_back_what_it_gave(front: Front) -> None:
    device = asked(front)
    front.issuer.allow(device["user_code"], as_user="ada")
    given = front.by_people(DEVICE_GRANT, device_code=device["device_code"]).fields

    assert front.good(given["access_token"])
    assert poll(front, device) == "invalid_grant"
    assert not front.good(given["access_token"])
    assert front.refresh(given["refresh_token"]).error == "invalid_grant"


def test_codes_can_not_be_guessed_in_a_hurry(front: Front) -> None:
    device = asked(front)
    for _ in range(30):
        assert front.open("device", "user_code=BBBB-BBBB").status == 400
    right = f"user_code={device['user_code']}"

    assert front.open("device", right).status == 429
    front.clock.now += 60
    assert front.open("device", right).status == 200


def test_guesses_are_forgotten_with_the_rest(front: Front) -> None:
    for _ in range(30):
        front.open("device", "user_code=BBBB-BBBB")
    front.state.clear()
    front.issuer.reset()

    assert front.open("device", f"user_code={asked(front)['user_code']}").status == 200


def test_who_gets_no_device_code(front: Front) -> None:
    public = front.issuer.public_client_id
    assert front.post("device_authorization", front.basic).error == "unauthorized_client"
    assert front.post("device_authorization", client_id="planted").error == "invalid_client"
    assert front.post("device_authorization", client_id=public, scope="planted").error == "invalid_scope"
    assert front.post("device_authorization", client_id=public, audience="planted").error == "invalid_target"
    assert poll(front, {"device_code": "planted"}) == "invalid_grant"


# What it says of itself: RFC 8414.


@pytest.mark.parametrize(
    "path", ["/.well-known/oauth-authorization-server/oauth2", "/oauth2/.well-known/oauth-authorization-server"]
)
def test_the_document_names_what_there_is(front: Front, path: str) -> None:
    said = front.ask("GET", path, headers={"x-forwarded-proto": "https"}).fields

    assert said["issuer"] == "https://box:1/oauth2"
    for name in ("token", "authorization", "device_authorization", "revocation", "introspection"):
        where = said[f"{name}_endpoint"]
        assert where.startswith("https://box:1/"), name
        assert front.issuer.serves(urlsplit(where).path), name
    assert said["authorization_response_iss_parameter_supported"] is True
    assert front.ask("POST", path).status == 405
    assert not front.issuer.serves("/.well-known/oauth-authorization-server"), "that is the server's own"


def test_a_client_learns_the_same_from_the_server(front: Front) -> None:
    said = front.issuer.metadata("http://box:1")
    config = front.issuer.client("http://box:1")

    assert said.issuer == "http://box:1/oauth2"
    assert list(said.code_challenge_methods_supported) == ["S256"]
    assert (config.client_id, config.redirect_uri) == (front.issuer.public_client_id, "http://localhost:53593/callback")
