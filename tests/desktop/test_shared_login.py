"""One login for all programs of a user: of ours, of the official SDK, and at the command line, in GNOME's keyring."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("secretstorage")

from browser import Person
from one_refresh import Crowd
from session import Session, Started

from flyte_lite.devbox import Devbox

CERTIFICATES = Path(__file__).parent.parent / "chaos" / "certificates"
AUTHORITY = CERTIFICATES / "authority.pem"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
# What both read.
CONFIG = """admin:
  endpoint: {endpoint}
  caCertFilePath: {authority}
  authType: {flow}
task:
  project: flytesnacks
  domain: development
"""
OURS = """
import flyte_lite
flyte_lite.init_from_config()
print(len(list(flyte_lite.remote.Run.listall(limit=1))), "runs")
"""
# Its threads abort the interpreter now and then on its way out, so it does not take that way.
OFFICIAL = """
import os
import flyte
from flyte.remote import Run
flyte.init_from_config()
print(len(list(Run.listall(limit=1))), "runs", flush=True)
os._exit(0)
"""


@pytest.fixture(scope="session")
def one_box() -> Iterator[Devbox]:
    # The official SDK signs in by https only.
    with Devbox(auth=True, certificate=CERTIFICATES / "server.pem") as box:
        yield box


@pytest.fixture
def user(session: Session, box: Devbox) -> Session:
    """Somebody who has configured where the devbox is, and nothing else."""
    configured(session, box)
    # The official SDK asks for tokens by another library, which looks here.
    session.environ.update(SSL_CERT_FILE=str(AUTHORITY), DO_NOT_TRACK="1", FLYTE_DISABLE_SENTRY="1", NO_PROXY="*")
    return session


def configured(session: Session, box: Devbox, flow: str = "Pkce") -> None:
    file = Path(session.environ["HOME"]) / ".flyte" / "config.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(CONFIG.format(endpoint=box.endpoint, authority=AUTHORITY, flow=flow))


def kept(session: Session) -> list[tuple[str, str]]:
    """Which entries there are."""
    return sorted((item["service"], item["username"]) for item in session.items())


def place(box: Devbox) -> tuple[str, str]:
    return box.endpoint.partition("://")[2], "tokens"


def tokens_kept(session: Session, box: Devbox) -> dict[str, Any]:
    code = "import sys, keyring; print(keyring.get_password(*sys.argv[1:]))"
    found: dict[str, Any] = json.loads(session.python(code, *place(box)))
    return found


def command(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "flyte_lite", *words)


def allow(program: Started, person: Person) -> tuple[int, str, str]:
    """Sign in with the browser that it shows, and let it go on."""
    tab = person.open(program.opened())
    tab.press("Allow")
    tab.shows("You can close this page")
    return program.ended()


def test_a_login_of_ours_is_found_by_all(user: Session, person: Person, box: Devbox) -> None:
    assert user.run(*command("whoami"), ok=False).returncode == 7
    with user.started(*command("login")) as login:
        status, printed, _ = allow(login, person)
    assert (status, printed.splitlines()[0]) == (
        0,
        f"signed in to {box.endpoint}: Ada Lovelace <ada@example.com> (subject ada)",
    )
    assert kept(user) == [place(box)]

    assert user.python(OURS) == "0 runs\n"
    assert user.python(OFFICIAL) == "0 runs\n"
    assert "who       Ada Lovelace" in user.run(*command("whoami")).stdout
    assert box.issuer.issued() == {"authorization_code": 1}
    # Each goes on with what the other has renewed last.
    for number, script in enumerate((OFFICIAL, OURS, OFFICIAL), 1):
        box.issuer.expire_tokens()
        assert user.python(script) == "0 runs\n"
        assert box.issuer.issued()["refresh_token"] == number

    printed = user.run(*command("logout")).stdout
    assert printed.startswith(f"signed out of {box.endpoint}")
    assert "not revoked" not in printed
    assert kept(user) == []
    assert user.run(*command("whoami"), ok=False).returncode == 7
    assert user.run(*command("logout")).stdout.startswith("nobody is signed in")


def test_a_login_of_the_official_sdk_is_found_by_ours(user: Session, person: Person, box: Devbox) -> None:
    configured(user, box, flow="DeviceFlow")
    with user.started(sys.executable, "-W", "ignore", "-c", OFFICIAL) as theirs:
        tab = person.open(theirs.shown(r"https://\S+user_code=[-\w]+"))
        tab.press("Allow")
        tab.shows("go back to your program")
        assert theirs.ended()[0] == 0
    assert kept(user) == [place(box)]
    for flow in ("Pkce", "DeviceFlow"):
        configured(user, box, flow)
        assert user.python(OURS) == "0 runs\n"
    assert "who       Ada Lovelace" in user.run(*command("whoami")).stdout
    box.issuer.expire_tokens()
    assert user.python(OURS) == "0 runs\n"
    assert user.python(OFFICIAL) == "0 runs\n"
    assert box.issuer.issued() == {DEVICE_CODE: 1, "refresh_token": 1}


KEEP = """
import sys, keyring
keyring.set_password(*sys.argv[1:4])
"""


def test_a_login_of_before_is_found_and_moved(user: Session, person: Person, box: Devbox) -> None:
    with user.started(*command("login")) as login:
        allow(login, person)
    tokens, (service, name) = tokens_kept(user, box), place(box)
    user.python("import sys, keyring; keyring.delete_password(*sys.argv[1:])", service, name)
    # As the official SDK kept them before 2.5.10.
    for part in ("access_token", "refresh_token"):
        user.python(KEEP, service, part, tokens[part])

    assert user.python(OURS) == "0 runs\n"
    assert box.issuer.issued() == {"authorization_code": 1}
    box.issuer.expire_tokens()
    assert user.python(OURS) == "0 runs\n"
    assert kept(user) == [place(box)]
    assert user.python(OFFICIAL) == "0 runs\n"
    assert box.issuer.issued() == {"authorization_code": 1, "refresh_token": 1}


def test_many_processes_make_one_refresh_a_generation(user: Session, person: Person, box: Devbox) -> None:
    with user.started(*command("login")) as login:
        allow(login, person)
    arguments = {"endpoint": box.endpoint, "ca_cert_file_path": str(AUTHORITY), "auth_type": "Pkce"}
    environ = {**user.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.SecretService.Keyring"}
    environ.pop("PYTHONPATH", None)
    with Crowd(arguments, processes=4, threads=16, environ=environ) as crowd:
        for generation in range(1, 4):
            box.issuer.expire_tokens()
            assert crowd.call() == []
            assert box.issuer.issued()["refresh_token"] == generation
    assert kept(user) == [place(box)]
    assert user.python(OFFICIAL) == "0 runs\n"
    assert box.issuer.issued() == {"authorization_code": 1, "refresh_token": 3}


def test_a_login_that_a_locked_keyring_would_forget_is_not_begun(user: Session, box: Devbox) -> None:
    with user.nobody_answers():
        user.lock()
        began = time.monotonic()
        login = user.run(*command("login"), ok=False)
        assert login.returncode == 1
        assert "a login would be forgotten at once: the keyring did not answer within 2 s" in login.stderr
        assert time.monotonic() - began < 15
    assert box.issuer.requests == []


def test_a_program_goes_on_without_the_keyring(user: Session, person: Person, box: Devbox) -> None:
    with user.started(*command("login")) as login:
        allow(login, person)
    code = """
import sys
import flyte_lite
flyte_lite.init_from_config()
for line in sys.stdin:
    print(len(list(flyte_lite.remote.Run.listall(limit=1))), "runs", flush=True)
"""
    with user.started(sys.executable, "-c", code) as program:
        assert program.asked("call") == "0 runs"
        user.kill_keyring()
        for _ in range(2):
            box.issuer.expire_tokens()
            assert program.asked("call") == "0 runs"
        status, _, told = program.ended()
    assert status == 0
    assert box.issuer.issued() == {"authorization_code": 1, "refresh_token": 2}
    # What was kept is used up, and somebody should know.
    assert f"the tokens for {place(box)[0]} could not be kept (the keyring failed with InitError)" in told


def test_a_keyring_that_nobody_opens_is_no_reason_to_stop(user: Session, person: Person, box: Devbox) -> None:
    code = f"""
import flyte_lite
flyte_lite.init(headless=False, auth_type="Pkce", endpoint={box.endpoint!r}, ca_cert_file_path={str(AUTHORITY)!r})
print(len(list(flyte_lite.remote.Run.listall(project="flytesnacks", domain="development", limit=1))), "runs")
"""
    with user.nobody_answers():
        user.lock()
        with user.started(sys.executable, "-c", code) as program:
            assert allow(program, person)[:2] == (0, "0 runs\n")


def test_nothing_of_a_login_is_printed(user: Session, person: Person, box: Devbox) -> None:
    # Of all libraries that a keyring brings along, too.
    code = "import logging, sys; logging.basicConfig(level=0); from flyte_lite._cli import main; sys.exit(main())"
    debugging = (sys.executable, "-c", code)
    with user.started(*debugging, "login") as login:
        tab = person.open(login.opened())
        tab.press("Allow")
        tab.shows("You can close this page")
        secrets = [parse_qs(urlsplit(tab.address).query)["code"][0]]
        said = [*login.ended()[1:]]
    for words in (["whoami"], ["doctor"], ["logout"]):
        tokens = tokens_kept(user, box)
        secrets += [tokens["access_token"], tokens["refresh_token"]]
        done = user.run(*debugging, *words)
        said += [done.stdout, done.stderr]
        box.issuer.expire_tokens()
    assert len(set(secrets)) == 5, "it was renewed once"
    assert "DEBUG:flyte_lite" in said[1]
    assert [secret for secret in secrets if secret in "\n".join(said)] == []
