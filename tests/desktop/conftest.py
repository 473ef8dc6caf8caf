"""A desktop of a test's own: a Secret Service and a browser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from programs import needed

from flyte_lite.devbox import Devbox

if TYPE_CHECKING:
    from browser import Browser, Person
    from session import Session


@pytest.fixture
def session() -> Iterator[Session]:
    """A session whose keyring is open."""
    pytest.importorskip("secretstorage")
    programs = {name: needed(name) for name in ("dbus-run-session", "dbus-daemon", "gnome-keyring-daemon")}
    from session import Session

    with tempfile.TemporaryDirectory(prefix="desktop") as folder, Session(programs, Path(folder)) as session:
        session.start_keyring()
        yield session


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all tests of a worker: its start is dear."""
    program = needed("chromium")
    from browser import Browser

    with Browser(program, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def person(chromium: Browser) -> Iterator[Person]:
    """Somebody before the browser, who has never been here before."""
    with chromium.person() as person:
        yield person


@pytest.fixture(scope="session")
def one_box() -> Iterator[Devbox]:
    with Devbox(auth=True) as box:
        yield box


@pytest.fixture
def box(one_box: Devbox) -> Iterator[Devbox]:
    """A devbox where people sign in, nobody yet."""
    # Two tests at a time could not both have the port that it names otherwise.
    one_box.issuer.redirect_uris = ["http://localhost/callback"]
    one_box.issuer.device_interval = 1
    yield one_box
    one_box.reset()
