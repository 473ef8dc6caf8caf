"""The official SDK signs in to our devbox, over TLS as it must, and shares a keyring with ours, both ways.

As elsewhere it only lives in subprocesses; so does our side where it looks into a keyring: a process has one.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from devbox_client import wait_for

from flyte_lite import Client
from flyte_lite.devbox import Devbox

HERE = Path(__file__).parent
CERTIFICATES = HERE.parent / "chaos" / "certificates"
SERVER, AUTHORITY = str(CERTIFICATES / "server.pem"), str(CERTIFICATES / "authority.pem")
PATIENCE = 120

# Where both begin: with a server, and with what they sign in by.
OFFICIAL = f"""
import json, os, sys
import flyte
from flyte.remote import Run, Task
flyte.init(endpoint=sys.argv[1], project="flytesnacks", domain="development",
           ca_cert_file_path={AUTHORITY!r}, **json.loads(sys.argv[2]))
"""
# Its threads abort the interpreter now and then on its way out, so it does not take that way.
LEAVE = """
print("told", json.dumps(told), sep=chr(9), flush=True)
os._exit(0)
"""
OURS = f"""
import json, os, sys
import flyte_lite as flyte
from flyte_lite.remote import Run, Task
flyte.init(endpoint=sys.argv[1], project="flytesnacks", domain="development",
           ca_cert_file_path={AUTHORITY!r}, **json.loads(sys.argv[2]))
"""
LIST = """
told = [run.name for run in Run.listall()]
"""
RUN = """
run = flyte.run(Task.get("greetings.hello", version="v1"), name="Ada")
run.wait()
told = [run.name, run.outputs()[0]]
"""
COMMAND = """
told = main(["{}", "--endpoint", sys.argv[1], *json.loads(sys.argv[2])["words"]])
"""
DEVICE = {"auth_type": "DeviceFlow"}
# Ours asks nobody where there is no terminal, unless it is told to.
OUR_DEVICE = {**DEVICE, "headless": False}
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def box() -> Iterator[Devbox]:
    with Devbox(auth=True, certificate=SERVER) as box:
        # A person takes a second here.
        box.issuer.device_interval = 1

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str) -> str:
            return f"hello {name}"

        yield box


class Side:
    """Scripts of one side, each in a process of its own, with one home and one keyring for all of them."""

    def __init__(self, home: Path, begin: str, leave: str = LEAVE) -> None:
        self._home = home
        self._begin, self._leave = begin, leave

    @contextlib.contextmanager
    def started(self, box: Devbox, script: str, how: Mapping[str, Any], **environ: str) -> Iterator[Started]:
        (self._home / "keyring").mkdir(exist_ok=True)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FLYTE", "UCTL_", "AWS_")) and not name.lower().endswith("_proxy") and name != "CI"
        }
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", self._begin + script + self._leave, box.endpoint, json.dumps(how)],
            cwd=self._home,
            env={
                **inherited,
                "DO_NOT_TRACK": "1",
                "FLYTE_DISABLE_TELEMETRY": "1",
                "FLYTE_DISABLE_SENTRY": "1",
                "NO_PROXY": "*",
                "HOME": str(self._home),
                "COLUMNS": "1000",
                # The official one asks for tokens by another library, which looks here.
                "SSL_CERT_FILE": AUTHORITY,
                "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE.parents[1])]),
                "PYTHON_KEYRING_BACKEND": "folder_keyring.FolderKeyring",
                "FOLDER_KEYRING": str(self._home / "keyring"),
                **environ,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield Started(process)
            finally:
                process.kill()

    def __call__(self, box: Devbox, script: str, how: Mapping[str, Any], **environ: str) -> Any:
        with self.started(box, script, how, **environ) as started:
            return started.told()


class Started:
    """A script that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.said = ""

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def told(self) -> Any:
        out, err = self._process.communicate(timeout=PATIENCE)
        self.said = out + err
        assert self._process.returncode == 0, self.said
        (line,) = (line for line in out.splitlines() if line.startswith("told\t"))
        return json.loads(line.partition("\t")[2])


@pytest.fixture
def official(tmp_path: Path) -> Side:
    return Side(tmp_path, OFFICIAL)


@pytest.fixture
def ours(tmp_path: Path) -> Side:
    return Side(tmp_path, OURS)


@pytest.fixture
def commands(tmp_path: Path) -> Side:
    return Side(tmp_path, "import json, os, sys\nfrom flyte_lite._cli import main\n")


def program(box: Devbox) -> dict[str, Any]:
    secret = {"client_id": box.issuer.client_id, "client_credentials_secret": box.issuer.client_secret}
    return {"auth_type": "ClientSecret", **secret}


def signed_in(side: Side, box: Devbox, script: str = LIST, how: Mapping[str, Any] = DEVICE, **environ: str) -> Any:
    """What a script tells for which somebody allows a device code, which it has to show."""
    with side.started(box, script, how, **environ) as started:
        assert wait_for(lambda: box.issuer.waiting() or started.ended), "it asked for no code"
        (code,) = box.issuer.waiting() or [started.told()]
        box.issuer.allow(code, as_user="ada")
        told = started.told()
        assert code in started.said
    return told


def entry(box: Devbox, tmp_path: Path) -> dict[str, Any]:
    """The one entry of the keyring, which is this devbox's."""
    (file,) = (tmp_path / "keyring").iterdir()
    assert file.name == f"127.0.0.1%3A{box.endpoint.rpartition(':')[2]} tokens"
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def maker(box: Devbox, run: str) -> str:
    """Who made a run, as the devbox wrote it down."""
    key = {"project": "flytesnacks", "domain": "development"}
    with Client(box.endpoint, ca_cert_file_path=AUTHORITY, **key, **program(box)) as client:
        subject: str = client.runs.get(run).details().pb2.action.metadata.executed_by.user.id.subject
    return subject


def test_by_client_credentials_it_runs_a_task(box: Devbox, official: Side) -> None:
    name, output = official(box, RUN, program(box))

    assert output == "hello Ada"
    assert maker(box, name) == box.issuer.client_id
    assert box.issuer.issued().keys() == {"client_credentials"}


def test_without_the_secret_it_is_not_let_in(box: Devbox, official: Side) -> None:
    script = """
try:
    told = [run.name for run in Run.listall()]
except Exception as error:
    told = f"{type(error).__name__}: {error}"
"""
    assert "invalid_client" in official(box, script, {**program(box), "client_credentials_secret": "wrong"})
    assert not box.issuer.issued()


def test_by_device_code_it_runs_a_task(box: Devbox, official: Side) -> None:
    name, output = signed_in(official, box, RUN)

    assert output == "hello Ada"
    assert maker(box, name) == "ada"
    assert box.issuer.issued()[DEVICE_CODE] == 1


def test_with_a_browser_it_runs_a_task(box: Devbox, official: Side) -> None:
    # It listens only once the browser is on its own.
    browser = f"{sys.executable} {HERE / 'scripted_browser.py'} %s &"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The usual port may be in use by another test.
    box.issuer.redirect_uris = (f"http://127.0.0.1:{port}/callback",)
    name, output = official(box, RUN, {"auth_type": "Pkce"}, BROWSER=browser)

    assert output == "hello Ada"
    assert maker(box, name) == "grace"
    assert box.issuer.issued()["authorization_code"] == 1


def test_a_login_of_theirs_is_found_by_ours_and_renewed_for_both(
    box: Devbox, official: Side, ours: Side, tmp_path: Path
) -> None:
    assert signed_in(official, box) == []
    theirs = entry(box, tmp_path)

    assert ours(box, LIST, {}) == []
    assert entry(box, tmp_path) == theirs
    box.issuer.expire_tokens()
    assert ours(box, LIST, {}) == []
    renewed = entry(box, tmp_path)
    assert renewed["refresh_token"] != theirs["refresh_token"]

    # The one before is used up: whoever came with it would end the sign-in.
    assert official(box, LIST, DEVICE) == []
    box.issuer.expire_tokens()
    assert official(box, LIST, DEVICE) == []
    assert entry(box, tmp_path)["refresh_token"] != renewed["refresh_token"]
    assert ours(box, LIST, {}) == []
    assert box.issuer.issued() == {DEVICE_CODE: 1, "refresh_token": 2}


def test_a_login_of_ours_is_found_by_theirs_and_renewed_for_both(
    box: Devbox, official: Side, ours: Side, tmp_path: Path
) -> None:
    assert signed_in(ours, box, how=OUR_DEVICE) == []
    first = entry(box, tmp_path)

    assert official(box, LIST, DEVICE) == []
    box.issuer.expire_tokens()
    assert official(box, LIST, {"auth_type": "Pkce"}) == []
    renewed = entry(box, tmp_path)
    assert renewed["refresh_token"] != first["refresh_token"]

    assert ours(box, LIST, DEVICE) == []
    box.issuer.expire_tokens()
    assert ours(box, LIST, DEVICE) == []
    assert official(box, LIST, DEVICE) == []
    assert box.issuer.issued() == {DEVICE_CODE: 1, "refresh_token": 2}


def test_our_commands_begin_and_end_a_login_of_both(
    box: Devbox, official: Side, commands: Side, tmp_path: Path
) -> None:
    assert signed_in(commands, box, COMMAND.format("login"), {"words": ["--flow", "device"]}) == 0
    assert official(box, LIST, DEVICE) == []
    box.issuer.expire_tokens()
    assert official(box, LIST, DEVICE) == []
    kept = entry(box, tmp_path)

    assert commands(box, COMMAND.format("logout"), {"words": []}) == 0

    assert list((tmp_path / "keyring").iterdir()) == []
    # What the other one may still have in its memory is worth nothing.
    assert not still_good(box, kept["refresh_token"])
    with official.started(box, LIST, DEVICE):
        assert wait_for(lambda: bool(box.issuer.waiting()))


def still_good(box: Devbox, refresh_token: str) -> bool:
    """Whether the issuer gives a token for one that refreshes."""
    form = {"grant_type": "refresh_token", "client_id": box.issuer.public_client_id, "refresh_token": refresh_token}
    context = ssl.create_default_context(cafile=AUTHORITY)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(f"{box.endpoint}/oauth2/token", urllib.parse.urlencode(form).encode(), timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        with error:
            return bool(json.loads(error.read())["error"] != "invalid_grant")


def test_what_ours_keeps_in_a_keyring_that_is_too_small_is_enough_for_theirs(
    box: Devbox, official: Side, ours: Side, tmp_path: Path
) -> None:
    signed_in(ours, box, how=OUR_DEVICE, FOLDER_KEYRING_LONGEST="300")
    assert entry(box, tmp_path)["access_token"] == ""

    assert official(box, LIST, DEVICE) == []
    assert box.issuer.issued() == {DEVICE_CODE: 1, "refresh_token": 1}


def test_a_program_of_ours_never_shows_what_a_person_of_theirs_has(
    box: Devbox, official: Side, ours: Side, tmp_path: Path
) -> None:
    signed_in(official, box)
    theirs = entry(box, tmp_path)

    name, _ = ours(box, RUN, program(box))

    assert maker(box, name) == box.issuer.client_id
    assert entry(box, tmp_path) == theirs


def test_two_entries_of_before_are_found_by_ours_and_become_the_one_of_now(
    box: Devbox, official: Side, ours: Side, tmp_path: Path
) -> None:
    signed_in(official, box)
    theirs = entry(box, tmp_path)
    (file,) = (tmp_path / "keyring").iterdir()
    file.unlink()
    for token, value in theirs.items():
        file.with_name(file.name.replace("tokens", token)).write_text(value)

    assert ours(box, LIST, {}) == []
    box.issuer.expire_tokens()
    assert ours(box, LIST, {}) == []

    assert entry(box, tmp_path)["refresh_token"] != theirs["refresh_token"]
    assert official(box, LIST, DEVICE) == []
    assert box.issuer.issued() == {DEVICE_CODE: 1, "refresh_token": 1}
