"""oidc-provider, and a devbox that trusts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from caller import CERTIFICATES
from oidc_provider import AUTHORITY, OidcProvider, trusted
from page_browser import PageBrowser
from programs import needed

from flyte_lite.devbox import Devbox


@pytest.fixture(scope="session")
def program() -> Path:
    return needed("oidc-provider")


@pytest.fixture(scope="session")
def running(program: Path) -> Iterator[OidcProvider]:
    with OidcProvider(program, CERTIFICATES / "server.pem") as provider:
        yield provider


@pytest.fixture
def provider(running: OidcProvider) -> OidcProvider:
    """Nobody is signed in, and nothing is counted."""
    running.sign_everybody_out()
    running.tokens_live(3600)
    running.count_anew()
    return running


@pytest.fixture(scope="session")
def running_box(running: OidcProvider) -> Iterator[Devbox]:
    certificate = CERTIFICATES / "server.pem"
    with Devbox(auth=trusted(running), certificate=certificate, private_key=certificate) as box:

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str) -> str:
            return f"hello {name}"

        yield box


@pytest.fixture
def box(running_box: Devbox, provider: OidcProvider) -> Devbox:
    """Nothing was called, and nothing goes wrong."""
    running_box.faults.clear()
    running_box.calls.clear()
    return running_box


@pytest.fixture
def browser() -> Iterator[PageBrowser]:
    made = PageBrowser(str(AUTHORITY))
    yield made
    made.done()
