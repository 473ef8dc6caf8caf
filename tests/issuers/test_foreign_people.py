"""What people do, end to end: a devbox whose callers sign in at oidc-provider, strict and not of our making."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from caller import CERTIFICATES
from oidc_provider import (
    BASIC,
    DEVICE_GRANT,
    OTHER_AUDIENCE,
    PEOPLE,
    POST,
    OidcProvider,
    at,
    subject,
)
from page_browser import PageBrowser, enters_code
from planted import found, told_by

from flyte_lite import errors
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._auth.terminal import Terminal
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite.devbox import Devbox

AUTHORITY = str(CERTIFICATES / "authority.pem")
PROGRAM = {"client_id": BASIC[0], "client_secret": BASIC[2]}


@pytest.mark.parametrize("scopes", [(), ("openid", "offline_access", "all")], ids=["the server's", "our own"])
def test_a_browser(provider: OidcProvider, box: Devbox, browser: PageBrowser, scopes: tuple[str, ...]) -> None:
    with at(box, auth_type="Pkce", browse=browser, known=ClientConfig(scopes=scopes)) as caller:
        assert [caller.call(), caller.call()] == [1, 1]
        for generation in range(1, 4):
            provider.end_tokens()
            caller.call_in_threads(12)
            assert provider.granted == {"authorization_code": 1, "refresh_token": generation}
        assert subject(caller.channel) == "ada"
    browser.done()

    assert len(browser.urls) == 1
    assert provider.refused == []
    assert browser.pages[-1][1] == 200
    assert "You can close this page" in browser.pages[-1][2]


def test_a_browser_where_a_server_by_https_turns_out_to_want_somebody(
    provider: OidcProvider, box: Devbox, browser: PageBrowser
) -> None:
    with at(box, browse=browser) as caller:
        assert caller.call() == 2, "once without, once with"

    assert provider.granted == {"authorization_code": 1}


def test_a_browser_on_another_machine(provider: OidcProvider, box: Devbox) -> None:
    pty = pytest.importorskip("pty")
    browser = PageBrowser(AUTHORITY, elsewhere=True)
    ours, theirs = pty.openpty()

    def tell(text: str) -> None:
        page = text.partition("To sign in, open ")[2].split()
        if page:
            browser.visit(page[0])
            os.write(ours, f"{browser.pages[-1][0]}\n".encode())

    try:
        with at(box, auth_type="Pkce", tell=tell, terminal=lambda: Terminal(theirs)) as caller:
            assert caller.call() == 1
    finally:
        os.close(ours)
        os.close(theirs)
    assert provider.granted == {"authorization_code": 1}
    assert browser.pages[-1][0].startswith("http://localhost:")


def test_a_browser_that_is_told_no(provider: OidcProvider, box: Devbox) -> None:
    browser = PageBrowser(AUTHORITY, declines=True)
    declined = pytest.raises(errors.UnauthenticatedError, match=r"access_denied \(End-User aborted interaction\)")
    with at(box, auth_type="Pkce", browse=browser) as caller, declined:
        caller.call()
    browser.done()

    assert provider.granted == {}
    assert browser.pages[-1][1] == 400


def test_a_device_code(provider: OidcProvider, box: Devbox, browser: PageBrowser) -> None:
    with at(box, auth_type="DeviceFlow", tell=enters_code(browser)) as caller:
        assert caller.call() == 1
        for generation in range(1, 4):
            provider.end_tokens()
            caller.call_in_threads(12)
            assert provider.granted == {DEVICE_GRANT: 1, "refresh_token": generation}
    browser.done()

    assert len(caller.told) == 1
    assert "Sign-in Success" in browser.pages[-1][2]


def test_a_device_code_that_is_declined(provider: OidcProvider, box: Devbox) -> None:
    browser = PageBrowser(AUTHORITY, declines=True)
    declined = pytest.raises(errors.UnauthenticatedError, match="signing in was declined")
    with at(box, auth_type="DeviceFlow", tell=enters_code(browser)) as caller, declined:
        caller.call()
    browser.done()

    assert provider.granted == {}


def test_a_refresh_token_that_somebody_else_used_signs_both_out(
    provider: OidcProvider, box: Devbox, browser: PageBrowser
) -> None:
    with at(box, auth_type="Pkce", browse=browser) as caller:
        caller.call()
        stolen = caller.credentials._state[1].refresh  # type: ignore[union-attr]
        taken = provider.token(
            client_id=PEOPLE, client_secret="", grant_type="refresh_token", refresh_token=stolen, scope=""
        )
        provider.end_tokens()
        assert caller.call() == 2, "a browser opened again"

    browser.done()
    assert len(browser.urls) == 2
    assert provider.granted == {"authorization_code": 2, "refresh_token": 1}
    assert provider.refused == [["refresh_token", "invalid_grant", "refresh token already used"]]
    with pytest.raises(urllib.error.HTTPError) as thief:
        provider.token(
            client_id=PEOPLE,
            client_secret="",
            grant_type="refresh_token",
            refresh_token=taken["refresh_token"],
            scope="",
        )
    thief.value.close()


def test_a_sign_in_that_was_ended_elsewhere_begins_anew(
    provider: OidcProvider, box: Devbox, browser: PageBrowser
) -> None:
    with at(box, auth_type="Pkce", browse=browser) as caller:
        caller.call()
        provider.sign_everybody_out()
        assert caller.call() == 2

    assert len(browser.urls) == 2


def test_a_token_that_ends_by_itself_is_renewed_before_a_server_refuses_it(
    provider: OidcProvider, box: Devbox, browser: PageBrowser
) -> None:
    provider.tokens_live(2)
    with at(box, auth_type="Pkce", browse=browser) as caller:
        assert caller.credentials is not None
        caller.credentials.headers(Deadline(SYSTEM_CLOCK, 60.0))
        provider.tokens_live(3600)
        time.sleep(2.1)
        assert caller.call() == 1

    assert provider.granted == {"authorization_code": 1, "refresh_token": 1}


def test_a_login_is_kept_shown_and_revoked(
    provider: OidcProvider, box: Devbox, browser: PageBrowser, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    inherited = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("FLYTE_")}
    environ = {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "REQUESTS_CA_BUNDLE": AUTHORITY,
        "FLYTE_LITE_TOKEN_STORE": str(tokens),
        "HOME": str(tmp_path),
        "NO_PROXY": "*",
    }

    def command(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flyte_lite", *words, "--endpoint", box.endpoint, "--timeout", "60"],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    with command("login", "--flow", "device") as signing_in:
        assert signing_in.stdout is not None
        told = next(line.strip() for line in signing_in.stdout if line.startswith("To sign in"))
        enters_code(browser)(told)
        said = signing_in.stdout.read()
    assert (signing_in.returncode, "ada" in said) == (0, True), said
    assert len(list(tokens.iterdir())) == 1
    assert provider.good == ["AccessToken", "RefreshToken"]

    with command("whoami") as asking:
        said = asking.communicate()[0]
    assert (asking.returncode, "ada" in said) == (0, True), said
    assert provider.granted == {DEVICE_GRANT: 1}

    with command("logout") as signing_out:
        said = signing_out.communicate()[0]
    assert (signing_out.returncode, "not revoked" in said) == (0, False), said
    assert list(tokens.iterdir()) == []
    assert provider.good == [], "what somebody has copied is worth nothing now"
    assert provider.refused == []
    with command("whoami") as asking:
        said = asking.communicate()[0]
    assert asking.returncode == 7, said


def test_nothing_secret_is_written_anywhere(
    provider: OidcProvider, box: Devbox, browser: PageBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[str] = []

    def run(**settings: Any) -> None:
        with at(box, **settings) as caller:
            for spoil in (lambda: None, provider.end_tokens, provider.sign_everybody_out):
                spoil()
                try:
                    caller.call()
                except errors.FlyteLiteError as error:
                    written.append(told_by(error))
            written.extend(map(repr, (caller.credentials, vars(caller.credentials), caller.channel, *caller.told)))

    with caplog.at_level(logging.DEBUG):
        run(**PROGRAM)
        run(client_id=POST[0], client_secret=f"{POST[2]}-wrong", client_auth="post")
        run(auth_type="Pkce", browse=browser)
        run(auth_type="Pkce", browse=PageBrowser(AUTHORITY, declines=True))
        run(auth_type="DeviceFlow", tell=enters_code(PageBrowser(AUTHORITY, declines=True)))
        run(token=provider.token(OTHER_AUDIENCE)["access_token"])
    browser.done()

    made = provider.made
    # Some of each: tokens, refresh tokens, codes and device codes.
    assert len(made) > 8
    assert [line for line in caplog.messages if "a new token" in line]
    assert found([*made, BASIC[2], POST[2]], caplog.text, *written) == []
