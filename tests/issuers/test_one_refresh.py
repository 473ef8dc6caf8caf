"""Refresh tokens that rotate, shared by eight processes of 32 threads each: one of them uses each, and nobody loses."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from caller import Place, calling
from oidc_provider import AUTHORITY, OidcProvider
from one_refresh import Crowd
from page_browser import PageBrowser
from token_stores import DictStore

from flyte_lite._auth.sign_in import store_of
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite.devbox import Devbox

GENERATIONS = 4
REFRESHED = "refresh_token"


class Kept:
    """What somebody has who signed in once, where all processes find it.

    Attributes:
        arguments: Of `create_channel`.
        environ: Of the processes.
    """

    def __init__(self, where: str, box: Devbox, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.environ: dict[str, str] = {}
        self._place = Place("https", urlsplit(box.endpoint).port or 0)
        if where == "keyring":
            pytest.importorskip("keyring")
            self.environ = {"PYTHON_KEYRING_BACKEND": "folder_keyring.FolderKeyring", "FOLDER_KEYRING": str(folder)}
            for name, value in self.environ.items():
                monkeypatch.setenv(name, value)
        self._store = "keyring" if where == "keyring" else str(folder)
        self.arguments: dict[str, Any] = {
            "endpoint": box.endpoint,
            "auth_type": "Pkce",
            "token_store": self._store,
            "ca_cert_file_path": str(AUTHORITY),
            "interactive": False,
        }

    def sign_in(self, provider: OidcProvider, seconds: int) -> None:
        """With a browser; the token is good for so long, and those after it for an hour."""
        store, browser = DictStore(), PageBrowser(str(AUTHORITY))
        provider.tokens_live(seconds)
        with calling(self._place, auth_type="Pkce", browse=browser, token_store=store) as caller:
            # Not shown to anybody: on a slow machine its time might be over by then.
            assert caller.credentials is not None
            caller.credentials.headers(Deadline(SYSTEM_CLOCK, 60.0))
        browser.done()
        provider.tokens_live(3600)
        for (service, name), value in store.kept.items():
            self.write(service, name, value)

    def write(self, service: str, name: str, value: str) -> None:
        if self.environ:
            from folder_keyring import FolderKeyring

            FolderKeyring().set_password(service, name, value)
        else:
            made = store_of(self._store, person=True)
            assert made is not None
            made.set(service, name, value)


@pytest.mark.parametrize("where", ["file", "keyring"])
def test_one_refresh_each_generation(
    provider: OidcProvider, box: Devbox, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(where, box, tmp_path, monkeypatch)
    kept.sign_in(provider, 1)
    time.sleep(1.1)
    with Crowd(kept.arguments, processes=8, threads=32, environ=kept.environ) as crowd:
        for generation in range(1, GENERATIONS + 1):
            # The first finds one that has ended by itself, the others one that is refused.
            assert crowd.call() == []
            assert provider.granted[REFRESHED] == generation
            provider.end_tokens()

    assert provider.refused == [], "no refresh token was used twice"
    assert provider.good == ["RefreshToken"], "one sign-in, and it goes on"
    with Crowd(kept.arguments, processes=1, threads=1, environ=kept.environ) as later:
        assert later.call() == []
    assert provider.granted == {"authorization_code": 1, REFRESHED: GENERATIONS + 1}


def test_tokens_that_end_while_all_of_them_work(
    provider: OidcProvider, box: Devbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept("file", box, tmp_path, monkeypatch)
    kept.sign_in(provider, 4)
    provider.tokens_live(4)
    with Crowd(kept.arguments, processes=8, threads=8) as crowd:
        began = time.monotonic()
        while time.monotonic() < began + 9:
            # A machine that is slow enough may come late with two tokens in a row, which is no sign-out.
            assert [problem for problem in crowd.call() if "knows it not, or not any more" not in problem] == []
        passed = time.monotonic() - began
        provider.tokens_live(3600)
        provider.end_tokens()
        assert crowd.call() == []

    assert provider.refused == []
    # It counts in whole seconds, so that a token may be over after three.
    assert 3 <= provider.granted[REFRESHED] <= 2 + passed / 3


@pytest.mark.parametrize("where", ["file", "keyring"])
def test_a_sign_in_that_is_over_is_over_for_all(
    provider: OidcProvider, box: Devbox, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(where, box, tmp_path, monkeypatch)
    kept.sign_in(provider, 3600)
    with Crowd(kept.arguments, processes=3, threads=4, environ=kept.environ) as crowd:
        assert crowd.call() == []
        provider.sign_everybody_out()
        problems = crowd.call()

        assert len(problems) == 3 * 4
        assert all("nobody can sign in here" in problem for problem in problems)
        assert {error for _, error, _ in provider.refused} == {"invalid_grant"}
        assert len(provider.refused) <= 3 * 4, "no call asks twice"
        kept.sign_in(provider, 3600)
        assert crowd.call() == [], "who signs in again does so for all"
