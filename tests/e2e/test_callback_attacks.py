"""Attacks on the end of a sign-in with a browser: who comes back instead of the person, and with what."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlencode, urlsplit

import pytest
from caller import calling
from issuer import PUBLIC_ID, Issuer, Request
from stand_in_browser import Browser, callback, parameter, sign_in

from flyte_lite import errors

PERSON = {"auth_type": "Pkce"}
WANTED = ("response_type", "client_id", "code_challenge", "code_challenge_method", "redirect_uri", "state")


@pytest.fixture
def plain() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def ask(browser: Browser, url: str, code: str = "stolen", **headers: str) -> None:
    """As who knows even the state would."""
    query = urlencode({"code": code, "state": parameter(url, "state")})
    browser.get(f"{callback(url)}?{query}", **{name.replace("_", "-"): value for name, value in headers.items()})


def by_a_script(browser: Browser, url: str) -> None:
    ask(browser, url, Sec_Fetch_Mode="cors", Sec_Fetch_Dest="empty", Sec_Fetch_Site="cross-site")
    ask(browser, url, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="empty", Sec_Fetch_Site="cross-site")
    ask(browser, url, Origin="https://evil.example")


def by_a_picture_and_a_frame(browser: Browser, url: str) -> None:
    ask(browser, url, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image")
    ask(browser, url, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe")


def by_a_name_that_leads_here(browser: Browser, url: str) -> None:
    ask(browser, url, Host="rebound.evil.example")
    ask(browser, url, Host=f"127.0.0.1.evil.example:{urlsplit(callback(url)).port}")


def without_the_state(browser: Browser, url: str) -> None:
    browser.get(f"{callback(url)}?code=stolen")
    browser.get(f"{callback(url)}?code=stolen&state=")
    browser.get(f"{callback(url)}?code=stolen&state={parameter(url, 'state')[:-1]}")
    browser.get(f"{callback(url)}?error=access_denied&state=guessed")


def with_two_states(browser: Browser, url: str) -> None:
    browser.get(f"{callback(url)}?code=stolen&state=guessed&state={parameter(url, 'state')}")


@pytest.mark.parametrize(
    ("act", "statuses"),
    [
        (by_a_script, [403] * 3),
        (by_a_picture_and_a_frame, [403] * 2),
        (by_a_name_that_leads_here, [404] * 2),
        (without_the_state, [400] * 4),
        (with_two_states, [400]),
    ],
)
def test_who_comes_instead_of_the_person_neither_makes_nor_ends_the_sign_in(
    plain: Issuer, act: Callable[[Browser, str], None], statuses: list[int]
) -> None:
    browser = Browser(act, sign_in)
    with calling(plain, browse=browser, **PERSON) as caller:
        assert caller.call() == 1
    browser.done()

    assert [status for status, _ in browser.pages] == [*statuses, 200]
    assert len(plain.to("/token")) == 1
    assert "stolen" not in plain.to("/token")[0].form.values()


def test_a_browser_that_says_where_it_goes_is_let_in(plain: Issuer) -> None:
    def as_browsers_do(browser: Browser, url: str) -> None:
        headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"}
        browser.get(url, Origin="null", **headers)

    browser = Browser(as_browsers_do)
    with calling(plain, browse=browser, **PERSON) as caller:
        assert caller.call() == 1
    browser.done()


def test_a_code_of_somebody_else_is_worth_nothing(plain: Issuer) -> None:
    """Injected by who knows the state, though not the verifier: another account must not be signed in here."""

    def inject(browser: Browser, url: str) -> None:
        theirs = {**dict.fromkeys(("state", "scope"), "x"), "code_challenge": "theirs", "client_id": PUBLIC_ID}
        theirs |= {"response_type": "code", "code_challenge_method": "S256", "redirect_uri": callback(url)}
        ask(browser, url, parameter(plain._authorize(Request("GET", "/authorize", {}, theirs)), "code"))

    browser = Browser(inject)
    refused = pytest.raises(errors.UnauthenticatedError, match="invalid_grant")
    with calling(plain, browse=browser, **PERSON) as caller, refused:
        caller.call()
    browser.done()
    assert plain.calls == []


def test_what_came_back_from_an_earlier_sign_in_is_not_taken_again(plain: Issuer) -> None:
    came: list[str] = []

    def replay(browser: Browser, url: str) -> None:
        earlier = f"{callback(url)}?{urlsplit(came[0]).query}" if came else ""
        if earlier:
            browser.get(earlier)
        request = Request("GET", "/authorize", {}, {name: parameter(url, name) for name in WANTED})
        came.append(plain._authorize(request))
        browser.get(came[-1])

    browser = Browser(replay)
    with calling(plain, browse=browser, **PERSON) as caller:
        caller.call()
        plain.revoke()
        plain._refresh.clear()
        caller.call()
    browser.done()

    assert [status for status, _ in browser.pages] == [200, 400, 200]
    codes = [request.form["code"] for request in plain.to("/token") if "code" in request.form]
    assert len(codes) == len(set(codes)) == 2


@pytest.mark.parametrize("iss", ["", "&iss=", "&iss=https://evil.example", "&iss={url}/"])
def test_an_answer_of_another_provider_is_not_redeemed(plain: Issuer, iss: str) -> None:
    """A mix-up (RFC 9207): its code must not be shown to this one."""
    plain.has_rpc = False
    whole = {**plain._metadata(), "authorization_response_iss_parameter_supported": True}
    document = 200, "application/json", json.dumps(whole).encode()
    plain.before = lambda request: document if request.path.startswith("/.well-known/") else None

    def mix_up(browser: Browser, url: str) -> None:
        browser.get(f"{callback(url)}?code=stolen&state={parameter(url, 'state')}{iss.format(url=plain.url)}")

    browser = Browser(mix_up)
    other = pytest.raises(errors.EndpointError, match="another identity provider")
    with calling(plain, browse=browser, **PERSON) as caller, other:
        caller.call()
    browser.done()
    assert plain.to("/token") == []


def test_an_error_beside_a_code_is_an_error(plain: Issuer) -> None:
    def both(browser: Browser, url: str) -> None:
        browser.get(f"{callback(url)}?code=stolen&error=access_denied&state={parameter(url, 'state')}")

    browser = Browser(both)
    declined = pytest.raises(errors.UnauthenticatedError, match="access_denied")
    with calling(plain, browse=browser, **PERSON) as caller, declined:
        caller.call()
    browser.done()
    assert plain.to("/token") == []


def test_the_address_of_the_provider_says_nothing_of_the_sign_in(plain: Issuer) -> None:
    """Nor does it make it a weaker one."""
    planted = {"redirect_uri": "https://evil.example/", "state": "planted", "response_type": "token"}
    planted |= {
        "code_challenge": "planted",
        "code_challenge_method": "plain",
        "client_id": "planted",
        "prompt": "login",
    }
    plain.authorization_endpoint += f"?{urlencode(planted)}#{urlencode(planted)}"
    browser = Browser()
    with calling(plain, browse=browser, **PERSON) as caller:
        assert caller.call() == 1
    browser.done()

    (url,) = browser.urls
    assert "planted" not in url
    assert "evil" not in url
    assert parameter(url, "code_challenge_method") == "S256"
    assert parameter(url, "prompt") == "login", "what is not ours stays"


@pytest.mark.parametrize("uri", ["http://evil.example/x", "https://localhost/x", "http://0.0.0.0/", "http://[::]/x"])
def test_a_sign_in_ends_on_this_machine_only(plain: Issuer, uri: str) -> None:
    plain.redirect_uri = uri
    browser = Browser()
    with (
        calling(plain, browse=browser, **PERSON) as caller,
        pytest.raises(errors.ConfigError, match="of this machine"),
    ):
        caller.call()
    assert browser.urls == []


def test_nobody_else_in_the_network_reaches_it(plain: Issuer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; says by which address one would
        except OSError:
            pytest.skip("this machine is in no network")
        own = probe.getsockname()[0]
    if own.startswith("127."):
        pytest.skip("this machine is in no network")
    reached: list[int] = []

    def knock(browser: Browser, url: str) -> None:
        with socket.socket() as sock:
            reached.append(sock.connect_ex((own, urlsplit(callback(url)).port or 0)))

    browser = Browser(knock, sign_in)
    with calling(plain, browse=browser, **PERSON) as caller:
        assert caller.call() == 1
    browser.done()
    assert reached != [0]
    assert len(reached) == 1
