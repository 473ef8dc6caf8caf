"""A sign-in with a browser: what comes back to this machine, from whom, and when nothing does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any, Callable
from urllib.parse import urlsplit

import pytest
from caller import calling
from issuer import Issuer
from stand_in_browser import Browser, callback, parameter, sign_in

from flyte_lite import errors
from flyte_lite._auth.loopback import Loopback
from flyte_lite._clock import Cancel


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def issuer(request: pytest.FixtureRequest) -> Iterator[Issuer]:
    with Issuer(secure=request.param) as issuer:
        yield issuer


@pytest.fixture
def plain_issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def decline(browser: Browser, url: str) -> None:
    state = parameter(url, "state")
    browser.get(f"{callback(url)}?error=access_denied&error_description=not%20%3Cb%3Enow&state={state}")


def ask_for_an_icon(browser: Browser, url: str) -> None:
    browser.get(f"{callback(url).rpartition('/')[0]}/favicon.ico")


def come_from_elsewhere(browser: Browser, url: str) -> None:
    browser.get(f"{callback(url)}?code=stolen&state=guessed")
    browser.get(f"{callback(url)}?code=stolen")
    browser.get(f"{callback(url)}?error=access_denied")
    browser.get(callback(url))


def come_under_another_name(browser: Browser, url: str) -> None:
    browser.get(f"{callback(url)}?code=x&state={parameter(url, 'state')}", Host="evil.example")


def say_it_twice(browser: Browser, url: str) -> None:
    browser.get(f"{callback(url)}?code=x&code=y&state={parameter(url, 'state')}")


def say_nothing(browser: Browser, url: str) -> None:
    parts = urlsplit(callback(url))
    assert parts.port is not None
    idle = [socket.create_connection(("127.0.0.1", parts.port)) for _ in range(3)]
    idle[0].sendall(b"GET / HT")
    idle[1].close()
    browser.kept = idle  # type: ignore[attr-defined]


def crowd(browser: Browser, url: str) -> None:
    port = urlsplit(callback(url)).port or 0
    browser.kept = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]  # type: ignore[attr-defined]


def post(browser: Browser, url: str) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(callback(url)).port or 0)) as sock:
        sock.settimeout(10)
        target = urlsplit(callback(url)).path + f"?code=x&state={parameter(url, 'state')}"
        sock.sendall(f"POST {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        browser.pages.append((int(sock.recv(1000).split()[1]), ""))


def name_no_host(browser: Browser, url: str) -> None:
    for host in ("[", "[x]", "a\u2100b", ""):
        with socket.create_connection(("127.0.0.1", urlsplit(callback(url)).port or 0)) as sock:
            sock.settimeout(10)
            sock.sendall(f"GET {urlsplit(callback(url)).path}?code=x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            browser.pages.append((int(sock.recv(1000).split()[1]), ""))


def shout(browser: Browser, url: str) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(callback(url)).port or 0)) as sock:
        sock.settimeout(10)
        try:
            for _ in range(100):
                sock.sendall(b"x" * 1000)
            while sock.recv(1000):
                pass
        except OSError:
            pass


def come_from_another_provider(browser: Browser, url: str) -> None:
    browser.get(f"{callback(url)}?code=x&state={parameter(url, 'state')}&iss=https://evil.example")


@pytest.mark.parametrize(
    "redirect_uri",
    ["http://localhost/callback", "http://127.0.0.1/", "http://localhost:{}/a/callback", "http://127.0.0.1:{}"],
)
def test_a_sign_in(issuer: Issuer, redirect_uri: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    issuer.redirect_uri = redirect_uri.format(port)
    browser = Browser()
    with calling(issuer, auth_type="Pkce", browse=browser) as caller:
        assert [caller.call(), caller.call()] == [1, 1]
        browser.done()
        issuer.revoke()
        assert caller.call() == 2, "by the refresh token"

    assert [status for status, _ in browser.pages] == [200]
    assert "You can close this page" in browser.pages[0][1]
    (url,) = browser.urls
    assert caller.told == [f"To sign in, go to your browser, or open {url}"]
    first, second = issuer.to("/token")
    assert first.form["grant_type"] == "authorization_code"
    assert 43 <= len(first.form["code_verifier"]) <= 128
    assert second.form["grant_type"] == "refresh_token"
    assert parameter(url, "scope") == "all offline"


def test_a_server_that_asks_for_a_sign_in(issuer: Issuer) -> None:
    browser = Browser()
    if issuer.scheme == "http":
        said = r"by plain http, and nobody asked for that with auth_type=.* `flyte-lite login`"
        with calling(issuer, browse=browser) as caller, pytest.raises(errors.UnauthenticatedError, match=said):
            caller.call()
        assert browser.urls == []
        return
    with calling(issuer, browse=browser) as caller:
        assert caller.call() == 2
        browser.done()


def test_each_sign_in_has_a_state_and_a_verifier_of_its_own(plain_issuer: Issuer) -> None:
    browser = Browser()
    with calling(plain_issuer, auth_type="Pkce", browse=browser) as caller:
        for _ in range(2):
            caller.call()
            plain_issuer.revoke()
            plain_issuer._refresh.clear()
    browser.done()

    for name in ("state", "code_challenge"):
        assert len({parameter(url, name) for url in browser.urls}) == 2


@pytest.mark.parametrize(
    ("act", "statuses"),
    [
        (ask_for_an_icon, [404]),
        (come_from_elsewhere, [400, 400, 400, 400]),
        (come_under_another_name, [404]),
        (name_no_host, [404, 404, 404, 404]),
        (say_it_twice, [400]),
        (say_nothing, []),
        (shout, []),
        (crowd, []),
        (post, [405]),
    ],
)
def test_what_is_not_the_sign_in_neither_ends_nor_makes_it(
    plain_issuer: Issuer, act: Callable[[Browser, str], None], statuses: list[int]
) -> None:
    browser = Browser(act, sign_in)
    with calling(plain_issuer, auth_type="Pkce", browse=browser) as caller:
        assert caller.call() == 1
    browser.done()

    assert [status for status, _ in browser.pages] == [*statuses, 200]
    assert len(plain_issuer.to("/token")) == 1
    for sock in getattr(browser, "kept", []):
        sock.close()


def test_a_sign_in_that_is_declined(issuer: Issuer) -> None:
    browser = Browser(decline)
    declined = pytest.raises(errors.UnauthenticatedError, match=r"said access_denied \(not <b>now\)")
    with calling(issuer, auth_type="Pkce", browse=browser) as caller, declined:
        caller.call()
    browser.done()

    assert browser.pages[0][0] == 400
    assert "<b>" not in browser.pages[0][1]
    assert issuer.to("/token") == []


def test_an_answer_of_another_provider(plain_issuer: Issuer) -> None:
    browser = Browser(come_from_another_provider)
    other = pytest.raises(errors.EndpointError, match="another identity provider")
    with calling(plain_issuer, auth_type="Pkce", browse=browser) as caller, other:
        caller.call()
    browser.done()
    assert plain_issuer.to("/token") == []


@pytest.mark.parametrize(
    ("acts", "seconds", "said"),
    [
        (
            [lambda browser, url: None],
            0.3,
            r"nobody signed in with the browser within 0.3 s; give it more with timeout=, or sign in before, with",
        ),
        ([come_from_elsewhere], 3.0, r"\(4 came back from another sign-in, or without the right state\)"),
    ],
    ids=["silence", "strangers"],
)
def test_nobody_comes_back(plain_issuer: Issuer, acts: list[Any], seconds: float, said: str) -> None:
    browser = Browser(*acts)
    started = time.monotonic()
    with calling(plain_issuer, auth_type="Pkce", browse=browser) as caller:
        with pytest.raises(errors.CallTimeoutError, match=said) as caught:
            caller.call(seconds)
        assert not caught.value.sent
    browser.done()
    assert time.monotonic() - started < 20


def test_a_sign_in_is_canceled(plain_issuer: Issuer) -> None:
    cancel = Cancel()
    browser = Browser(lambda browser, url: cancel.cancel())
    with calling(plain_issuer, auth_type="Pkce", browse=browser) as caller, pytest.raises(errors.CanceledError):
        caller.call(cancel=cancel)
    browser.done()
    assert cancel._on_cancel == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_is_down_for_a_moment_asks_nobody_again(plain_issuer: Issuer, status: int) -> None:
    down = iter([True])
    plain_issuer.before = lambda request: (
        (status, "text/plain", b"later") if request.path == "/token" and next(down, False) else None
    )
    browser = Browser()
    with calling(plain_issuer, auth_type="Pkce", browse=browser) as caller:
        assert caller.call() == 1
    browser.done()

    assert len(browser.urls) == 1
    assert len(plain_issuer.to("/token")) == 2


def test_a_code_that_is_refused_is_not_shown_again(plain_issuer: Issuer) -> None:
    plain_issuer.before = lambda request: (
        (400, "application/json", b'{"error": "invalid_grant"}') if request.path == "/token" else None
    )
    browser = Browser()
    refused = pytest.raises(errors.UnauthenticatedError, match="invalid_grant")
    with calling(plain_issuer, auth_type="Pkce", browse=browser) as caller, refused:
        caller.call()
    browser.done()

    assert len(browser.urls) == len(plain_issuer.to("/token")) == 1


def test_a_port_that_is_taken(plain_issuer: Issuer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        plain_issuer.redirect_uri = f"http://localhost:{taken.getsockname()[1]}/callback"
        refused = pytest.raises(errors.ConfigError, match="that port can't be used")
        with calling(plain_issuer, auth_type="Pkce") as caller, refused:
            caller.call()


@pytest.mark.skipif(not socket.has_ipv6, reason="nobody can be there")
def test_a_port_that_is_taken_where_a_browser_may_look_first(plain_issuer: Issuer) -> None:
    with socket.socket(socket.AF_INET6) as taken:
        try:
            taken.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no ::1")
        taken.listen()
        plain_issuer.redirect_uri = f"http://localhost:{taken.getsockname()[1]}/callback"
        refused = pytest.raises(errors.ConfigError, match="that port can't be used")
        with calling(plain_issuer, auth_type="Pkce") as caller, refused:
            caller.call()


def test_localhost_with_a_dot_is_this_machine_for_both_kinds_of_addresses() -> None:
    with Loopback("http://localhost.:0/callback") as loopback:
        found = {listener.getsockname()[0] for listener in loopback._listeners}

    assert "127.0.0.1" in found
    assert found <= {"127.0.0.1", "::1"}


def test_the_port_is_free_again(plain_issuer: Issuer) -> None:
    browser = Browser()
    with calling(plain_issuer, auth_type="Pkce", browse=browser) as caller:
        caller.call()
    browser.done()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(callback(browser.urls[0])).port or 0)) != 0


def test_more_is_sent_where_it_is_asked_for(plain_issuer: Issuer) -> None:
    browser = Browser()
    further: dict[str, Any] = {"to_authorize": {"prompt": "login"}, "to_token": {"resource": "x"}}
    further["to_refresh"] = {"resource": "y"}
    with calling(plain_issuer, auth_type="Pkce", browse=browser, **further) as caller:
        caller.call()
        plain_issuer.revoke()
        caller.call()
    browser.done()

    assert parameter(browser.urls[0], "prompt") == "login"
    assert [request.form["resource"] for request in plain_issuer.to("/token")] == ["x", "y"]
