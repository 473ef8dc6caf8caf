"""No token, code, verifier, state or secret of a sign-in is in anything that is said, shown or pickled."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from caller import Caller, calling
from issuer import CLIENT_ID, CLIENT_SECRET, Issuer, Request
from planted import found, ours, pickled, told_by
from stand_in_browser import Browser, callback, parameter, sign_in

from flyte_lite import errors
from flyte_lite._auth.passthrough import auth_metadata

PROGRAM = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


class Hearing:
    """Takes down what is said in a sign-in, and knows what must not be.

    Attributes:
        secrets: Those that the issuer does not know of.
    """

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.said: list[str] = []
        self.secrets: list[str] = [CLIENT_SECRET]

    def run(self, *spoils: Any, **settings: Any) -> None:
        """Calls, each after something was spoiled."""
        with calling(self.issuer, **settings) as caller:
            for spoil in (None, *spoils):
                if spoil is not None:
                    spoil()
                try:
                    caller.call(settings.get("seconds", 5.0))
                except errors.FlyteLiteError as error:
                    self.said.append(told_by(error))
                self.listen(caller)

    def listen(self, caller: Caller) -> None:
        for thing in (caller, caller.credentials, vars(caller.credentials), caller.channel):
            self.said += [repr(thing), str(thing), pickled(thing)]
        for thing in ours():
            # Some have none before they are begun.
            with contextlib.suppress(Exception):
                self.said.append(repr(thing))

    @property
    def planted(self) -> set[str]:
        forms = [request.form for request in self.issuer.requests]
        names = ("code_verifier", "code", "refresh_token", "device_code", "client_secret", "access_token")
        sent = {form[name] for form in forms for name in names if name in form}
        return {*self.secrets, *sent, *self.issuer.issued}


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def hearing(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Hearing]:
    caplog.set_level(logging.DEBUG)
    with Issuer(secure=request.param) as issuer, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        hearing = Hearing(issuer)
        yield hearing
        records = [
            record.getMessage() + str(record.exc_text) + repr(record.args) for record in caplog.get_records("call")
        ]
        said = [*hearing.said, *records, *(str(each.message) for each in warned), *capfd.readouterr()]
    assert len(records) > 3
    assert len(hearing.planted) > 2
    assert found(hearing.planted, *said) == []


def decline(browser: Browser, url: str) -> None:
    browser.get(f"{callback(url)}?error=access_denied&state={parameter(url, 'state')}&error_description=stolen")


def come_from_elsewhere(browser: Browser, url: str) -> None:
    browser.get(f"{callback(url)}?code=pl4nted-stolen-code&state={parameter(url, 'state')}&iss=https://evil.example")


@pytest.mark.parametrize("act", [sign_in, decline, come_from_elsewhere], ids=["signs in", "declines", "is another"])
def test_a_browser(hearing: Hearing, act: Any, tmp_path: Path) -> None:
    issuer = hearing.issuer
    browser = Browser(act)
    settings: dict[str, Any] = {"auth_type": "Pkce", "browse": browser, "token_store": str(tmp_path / "tokens")}
    hearing.run(issuer.revoke, issuer.revoke, issuer._refresh.clear, **settings)
    browser.done()

    hearing.secrets += [parameter(url, "state") for url in browser.urls]
    hearing.secrets += ["pl4nted-stolen-code"]


def test_a_device(hearing: Hearing, tmp_path: Path) -> None:
    issuer = hearing.issuer
    answers = iter([None, "", "slow_down", "access_denied"])
    issuer.approve = lambda nth: next(answers, "expired_token")
    settings: dict[str, Any] = {"auth_type": "DeviceFlow", "token_store": str(tmp_path / "tokens")}
    hearing.run(issuer.revoke, issuer._refresh.clear, issuer.revoke, **settings)


def test_a_refresh_that_fails(hearing: Hearing, tmp_path: Path) -> None:
    issuer = hearing.issuer
    settings: dict[str, Any] = {"auth_type": "DeviceFlow", "token_store": str(tmp_path / "tokens")}

    def echo(request: Request) -> Any:
        if request.form.get("grant_type") == "refresh_token":
            body = f'{{"error": "server_error", "error_description": "what is {request.form["refresh_token"]}?"}}'
            return 500, "application/json", body.encode()
        return None

    def spoil() -> None:
        issuer.revoke()
        issuer.before = echo

    hearing.run(spoil, **settings)
    assert "server_error" in "".join(hearing.said)


def test_a_taken_over_server(hearing: Hearing, tmp_path: Path) -> None:
    issuer = hearing.issuer
    settings: dict[str, Any] = {"auth_type": "DeviceFlow", "token_store": str(tmp_path / "tokens")}
    hearing.run(**settings)
    issuer.revoke()
    issuer.token_endpoint = f"{issuer.url}/elsewhere"
    hearing.run(**settings)


def test_a_program(hearing: Hearing, tmp_path: Path) -> None:
    issuer = hearing.issuer
    for style in ("basic", "post"):
        hearing.run(issuer.revoke, **PROGRAM, client_auth=style)
        hearing.run(client_id=CLIENT_ID, client_secret=f"{CLIENT_SECRET}x", client_auth=style)
    hearing.run(issuer.revoke, **PROGRAM, token_store=str(tmp_path / "tokens"))


def test_tokens_from_elsewhere(hearing: Hearing) -> None:
    issuer = hearing.issuer
    prints = "import sys; print(sys.argv[1])"
    fails = "import sys; print(sys.argv[1]); sys.exit('not ' + sys.argv[1])"
    for code in (prints, fails):
        hearing.run(issuer.revoke, command=[sys.executable, "-c", code, issuer.new_token()])
    hearing.run(issuer.revoke, token=issuer.new_token())
    hearing.run(issuer.revoke, token=issuer.new_token)
    with auth_metadata(("authorization", f"Bearer {issuer.new_token()}")):
        hearing.run(issuer.revoke, auth_type="Passthrough")
    issuer.proxy_token = "pl4nted-proxy-token"
    hearing.secrets.append(issuer.proxy_token)
    hearing.run(issuer.revoke, **PROGRAM, proxy_command=[sys.executable, "-c", prints, issuer.proxy_token])
