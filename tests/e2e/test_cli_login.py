"""`flyte-lite login`, `logout` and `whoami`, against a devbox that wants to know who calls."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from caller import Place
from caller import calling as calling_at
from issuer import CERTIFICATES

from flyte_lite import Client, errors
from flyte_lite._cli import main
from flyte_lite.devbox import Devbox

WHAT = ("endpoint", "sign-in", "who", "token")


@pytest.fixture(scope="module")
def shared() -> Iterator[Devbox]:
    with Devbox(auth=True) as box:
        yield box


@pytest.fixture
def box(shared: Devbox) -> Iterator[Devbox]:
    shared.issuer.device_interval = 0.05
    yield shared
    shared.reset()


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Somebody at home, who keeps tokens in files."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("CI", "AWS_LAMBDA_FUNCTION_NAME", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLYTE_LITE_TOKEN_STORE", str(tmp_path / "tokens"))
    return tmp_path / "tokens"


@contextlib.contextmanager
def typing_in(box: Devbox, *, allow: bool = True) -> Iterator[None]:
    """Somebody with another device does what they are told there."""

    def act() -> None:
        until = time.monotonic() + 20
        while not box.issuer.waiting() and time.monotonic() < until:
            time.sleep(0.02)
        (code,) = box.issuer.waiting()
        if allow:
            box.issuer.allow(code, as_user="ada")
        else:
            box.issuer.deny(code)

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)


def login(box: Devbox, *words: str) -> int:
    with typing_in(box):
        return main(["login", "--endpoint", box.endpoint, "--timeout", "20", *words])


def whoami(box: Devbox, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = main(["whoami", "--json", "--endpoint", box.endpoint, *words])
    return status, json.loads(capsys.readouterr().out)


def entries(folder: Path) -> list[dict[str, Any]]:
    kept = [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
    return [json.loads(path.read_text(encoding="utf-8")) for path in kept]


def test_a_login_is_kept_and_used_and_forgotten(box: Devbox, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert login(box, "--flow", "device") == 0

    said = capsys.readouterr()
    assert "Ada Lovelace" in said.out
    assert f"kept in the folder {folder}; flyte-lite logout forgets it" in said.out
    assert "To sign in, open" in said.err
    (entry,) = entries(folder)

    # A program that was told nothing, and no person is asked.
    with Client(box.endpoint, project="flytesnacks", domain="development", headless=True) as client:
        assert list(client.runs.listall()) == []

    status, found = whoami(box, capsys)
    assert (status, found["signed_in"], found["problem"]) == (0, True, "")
    assert found["endpoint"] == {"value": box.endpoint, "source": "argument"}
    assert found["sign_in"] == {"value": None, "source": "default"}
    assert found["user"] == {"subject": "ada", "name": "Ada Lovelace", "email": "ada@example.com"}
    assert found["token"]["kept_in"] == f"the folder {folder}"
    assert 0 < found["token"]["seconds_left"] <= box.issuer.token_seconds
    assert found["token"]["renewable"] is True

    assert main(["whoami", "--endpoint", box.endpoint]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert tuple(rows) == WHAT
    assert rows["sign-in"] == "a login that is kept (default)"
    assert rows["who"] == "Ada Lovelace <ada@example.com> (subject ada)"
    assert rows["token"].startswith(f"in the folder {folder}; good for ")
    assert rows["token"].endswith("renewed without asking")

    assert main(["logout", "--endpoint", box.endpoint]) == 0
    said = capsys.readouterr()
    assert "signed out" in said.out
    assert "not revoked" not in said.out
    assert entries(folder) == []
    # Whoever has a copy of it has nothing any more.
    with pytest.raises(errors.UnauthenticatedError), calling(box, token=entry["access_token"]) as caller:
        caller.call()
    assert main(["logout", "--endpoint", box.endpoint]) == 0
    assert "nobody is signed in" in capsys.readouterr().out
    status, found = whoami(box, capsys)
    assert (status, found["signed_in"], found["token"]) == (7, False, None)
    assert "`flyte-lite login`" in found["problem"]


@contextlib.contextmanager
def calling(box: Devbox, **settings: Any) -> Iterator[Any]:
    with calling_at(Place("http", int(box.endpoint.rpartition(":")[2])), **settings) as made:
        yield made


def test_nothing_that_is_said_has_a_token_in_it(box: Devbox, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert login(box, "--flow", "device") == 0
    (entry,) = entries(folder)
    for words in (["whoami"], ["whoami", "--json"], ["doctor"], ["logout"]):
        main([*words, "--endpoint", box.endpoint])

    said = "".join(capsys.readouterr())
    assert "Ada" in said
    assert entry["access_token"] not in said
    assert entry["refresh_token"] not in said


def test_where_no_browser_is_a_code_is_typed_in_elsewhere(
    box: Devbox, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22")

    assert login(box) == 0

    assert "check that it shows the code" in capsys.readouterr().err
    assert len(entries(folder)) == 1


# What a person does with the page: they say who they are, and allow it.
BROWSER = """
import html, re, sys, urllib.parse, urllib.request
handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()]
opener = urllib.request.build_opener(*handlers)
page = opener.open(sys.argv[1]).read().decode()
action, = re.findall('<form method="post" action="([^"]+)">', page)
form = {name: html.unescape(text) for name, text in re.findall('type="hidden" name="(.+?)" value="([^"]*)"', page)}
form.update(user="ada", decision="allow")
opener.open(urllib.parse.urljoin(sys.argv[1], action), urllib.parse.urlencode(form).encode())
"""


# A keyring has two seconds from its import on; on a machine that is busy with other tests, that alone may take them.
WITH_KEYRING = """
import sys, keyring
keyring.get_keyring()
from flyte_lite._cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    start = ["-c", WITH_KEYRING] if "PYTHON_KEYRING_BACKEND" in variables else ["-m", "flyte_lite"]
    return subprocess.run([sys.executable, *start, *words], env=environ, capture_output=True, text=True, timeout=60)


def test_a_login_with_a_browser(box: Devbox, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "browser.py").write_text(BROWSER, encoding="utf-8")
    browser = f"{sys.executable} {tmp_path / 'browser.py'} %s &"

    done = run("login", "--endpoint", box.endpoint, "--flow", "browser", "--timeout", "30", BROWSER=browser)

    assert done.returncode == 0, done.stderr
    assert "Ada Lovelace" in done.stdout
    assert len(entries(folder)) == 1


def test_who_says_no_is_not_signed_in(box: Devbox, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with typing_in(box, allow=False):
        assert main(["login", "--endpoint", box.endpoint, "--flow", "device", "--timeout", "20"]) == 7

    assert f"nobody is signed in to {box.endpoint}: signing in was declined" in capsys.readouterr().err
    assert entries(folder) == []


def test_nobody_comes_in_time(box: Devbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["login", "--endpoint", box.endpoint, "--flow", "device", "--timeout", "0.5"]) == 7

    assert capsys.readouterr().err.endswith(
        f"flyte-lite: nobody is signed in to {box.endpoint}: nobody entered the device code within 0.5 s; give it more"
        " with --timeout\n"
    )


def test_a_login_that_the_server_does_not_take_is_none(
    box: Devbox, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box.faults.on("IdentityService/UserInfo").fail("unauthenticated")
    box.faults.on("ProjectService/ListProjects").fail("unauthenticated")

    assert login(box, "--flow", "device") == 7

    assert f"somebody signed in, and {box.endpoint} does not take that: " in capsys.readouterr().err
    assert entries(folder) == []


def test_a_login_is_made_anew_over_an_old_one(box: Devbox, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert login(box, "--flow", "device") == 0
    (first,) = entries(folder)

    assert login(box, "--flow", "device") == 0

    (second,) = entries(folder)
    assert second["refresh_token"] != first["refresh_token"]


FORGOTTEN: list[tuple[list[str], dict[str, str], str]] = [
    ([], {"FLYTE_LITE_TOKEN_STORE": "memory"}, "token_store is 'memory' (from environment variable FLYTE_LITE"),
    (["--token-store", "memory"], {}, "token_store is 'memory' (from argument)"),
    ([], {"FLYTE_LITE_TOKEN_STORE": "", "CI": "1"}, "the environment variable CI is set, where no keyring is used"),
    ([], {"FLYTE_LITE_TOKEN_STORE": "", "AWS_LAMBDA_FUNCTION_NAME": "f"}, "this is AWS Lambda, where no keyring"),
    (
        [],
        {"FLYTE_LITE_TOKEN_STORE": "", "FLYTE_ADMIN_DISABLEKEYRING": "1"},
        "disable_keyring is set (from environment variable FLYTE_ADMIN_DISABLEKEYRING)",
    ),
]


@pytest.mark.parametrize(("words", "variables", "said"), FORGOTTEN)
def test_a_login_that_would_be_forgotten_is_none(
    words: list[str],
    variables: dict[str, str],
    said: str,
    box: Devbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert main(["login", "--endpoint", box.endpoint, *words]) == 1

    told = capsys.readouterr().err
    assert f"a login would be forgotten at once: {said}" in told
    assert "--token-store file" in told
    # Before anybody was asked for anything.
    assert box.issuer.waiting() == []
    assert main(["logout", "--endpoint", box.endpoint, *words]) == 0
    assert "nothing is kept" in capsys.readouterr().out


def test_a_keyring_that_does_not_work_is_found_before_anybody_signs_in(box: Devbox) -> None:
    pytest.importorskip("keyring", reason="this is about one that is there and fails")

    done = run(
        "login",
        "--endpoint",
        box.endpoint,
        FLYTE_LITE_TOKEN_STORE="keyring",
        PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring",
    )

    assert done.returncode == 1
    assert "a login would be forgotten at once: the package keyring finds no keyring here. Give --token" in done.stderr
    assert box.issuer.waiting() == []


@pytest.mark.parametrize(
    ("backend", "said"),
    [("Locked", "the keyring failed with KeyringError"), ("Hanging", "the keyring did not answer within 2 s")],
)
def test_a_keyring_that_is_shut_lets_no_login_go(backend: str, said: str, box: Devbox, tmp_path: Path) -> None:
    pytest.importorskip("keyring", reason="this is about one that is there and fails")

    done = run(
        "logout",
        "--endpoint",
        box.endpoint,
        FLYTE_LITE_TOKEN_STORE="keyring",
        PYTHON_KEYRING_BACKEND=f"keyrings.{backend}",
        KEYRINGS_FILE=str(tmp_path / "asked"),
    )

    assert done.returncode == 1
    assert f"the login to {box.endpoint} could not be removed from the keyring: {said}" in done.stderr


def test_a_keyring_that_forgets_is_found_as_soon_as_it_has(box: Devbox) -> None:
    pytest.importorskip("keyring", reason="this is about one that is there and keeps nothing")

    with typing_in(box):
        done = run(
            "login",
            "--endpoint",
            box.endpoint,
            "--flow=device",
            FLYTE_LITE_TOKEN_STORE="keyring",
            PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring",
        )

    assert done.returncode == 1
    assert "somebody signed in, and the keyring kept nothing of it" in done.stderr


def test_a_folder_that_is_none_is_found_before_anybody_signs_in(
    box: Devbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    assert main(["login", "--endpoint", box.endpoint, "--token-store", str(tmp_path / "file" / "tokens")]) == 1

    assert "file/tokens can't be used: " in capsys.readouterr().err
    assert box.issuer.waiting() == []


def test_signing_out_works_without_the_server(box: Devbox, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Devbox(auth=True) as gone:
        gone.issuer.device_interval = 0.05
        assert login(gone, "--flow", "device") == 0
        endpoint = gone.endpoint
    assert len(entries(folder)) == 1

    assert main(["logout", "--endpoint", endpoint, "--timeout", "5"]) == 0

    assert entries(folder) == []
    assert "it was not revoked, so that a copy of it stays good until it ends: " in capsys.readouterr().out


def test_who_nobody_can_ask_is_not_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    with Devbox(auth=True) as gone:
        endpoint = gone.endpoint

    assert main(["whoami", "--endpoint", endpoint]) == 1

    assert "unavailable" in capsys.readouterr().err


def test_a_program_needs_no_login(
    box: Devbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_ADMIN_CLIENTID", box.issuer.client_id)
    monkeypatch.setenv("FLYTE_ADMIN_CLIENTSECRETENVVAR", "MY_SECRET")
    monkeypatch.setenv("MY_SECRET", box.issuer.client_secret)

    assert main(["login", "--endpoint", box.endpoint]) == 1

    told = capsys.readouterr().err
    assert "ClientSecret says who calls (from environment variable MY_SECRET" in told
    assert "--flow browser" in told
    assert box.issuer.client_secret not in told
    # By plain http a word of the environment is none to show a secret for.
    status, found = whoami(box, capsys)
    assert (status, found["sign_in"]["value"], found["token"]) == (7, "ClientSecret", None)


def test_a_person_signs_in_where_a_program_is_configured_if_they_say_so(
    box: Devbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_AUTH_COMMAND", "tell-token")

    assert main(["login", "--endpoint", box.endpoint]) == 1
    assert "ExternalCommand says who calls (from environment variable FLYTE_AUTH_COMMAND)" in capsys.readouterr().err
    assert login(box, "--flow", "device") == 0


def test_a_program_is_somebody(
    box: Devbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_API_KEY", box.issuer.api_key)

    status, found = _alone(capsys)

    assert (status, found["endpoint"]["source"]) == (0, "environment variable FLYTE_API_KEY")
    assert found["sign_in"] == {"value": "ClientSecret", "source": "environment variable FLYTE_API_KEY"}
    assert found["user"]["subject"] == box.issuer.client_id
    assert found["token"]["seconds_left"] > 0


def _alone(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    status = main(["whoami", "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_login_that_was_revoked_elsewhere_is_none_any_more(
    box: Devbox, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert login(box, "--flow", "device") == 0
    box.issuer.revoke_all()

    status, found = whoami(box, capsys)

    assert (status, found["signed_in"]) == (7, False)
    # What gets the next one is not taken either.
    assert entries(folder) == []


def test_a_login_is_not_sent_by_plain_http_to_another_machine(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["login", "--endpoint", "http://flyte.example:8080"]) == 1

    assert "flyte.example is spoken to by plain http" in capsys.readouterr().err


def test_the_doctor_names_the_login(box: Devbox, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert login(box, "--flow", "device") == 0
    capsys.readouterr()

    assert main(["doctor", "--json", "--endpoint", box.endpoint]) == 0

    steps = {step["step"]: step for step in json.loads(capsys.readouterr().out)["steps"]}
    assert f"then the login in the folder {folder}, good for" in steps["sign-in"]["text"]
    assert steps["read"]["verdict"] == "ok"


def test_a_login_by_https_with_what_a_file_says(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("yaml", reason="files need PyYAML, which is not here")
    with Devbox(auth=True, certificate=CERTIFICATES / "server.pem") as box:
        box.issuer.device_interval = 0.05
        (tmp_path / "flyte.yaml").write_text(
            f"admin:\n  endpoint: {box.endpoint}\n  authType: DeviceFlow\n"
            f"  caCertFilePath: {CERTIFICATES / 'authority.pem'}\n",
            encoding="utf-8",
        )
        with typing_in(box):
            assert main(["login", "--config", "flyte.yaml", "--timeout", "20"]) == 0
        assert f"signed in to {box.endpoint}: Ada Lovelace" in capsys.readouterr().out

        assert main(["whoami", "--json", "--config", "flyte.yaml"]) == 0

        found = json.loads(capsys.readouterr().out)
        assert found["endpoint"]["source"] == "flyte.yaml:2 (admin.endpoint)"
        assert found["sign_in"] == {"value": "DeviceFlow", "source": "flyte.yaml:3 (admin.authType)"}
        # Whose flow is named shows what is kept from the first call on: nobody was refused anything.
        with Client.from_config("flyte.yaml", project="flytesnacks", domain="development") as client:
            box.calls.clear()
            assert list(client.runs.listall()) == []
        assert [call.code for call in box.calls if call.rpc == "RunService/ListRuns"] == [None]
        assert main(["logout", "--config", "flyte.yaml"]) == 0
        assert entries(folder) == []


def test_a_login_is_in_the_keyring_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    """Under the official names, and nothing of older ones is left."""
    pytest.importorskip("keyring", reason="this is about one that is there")
    file = tmp_path / "keyring.json"
    with Devbox(auth=True, certificate=CERTIFICATES / "server.pem") as box:
        box.issuer.device_interval = 0.05
        place = box.endpoint.partition("://")[2]
        older = {f"{place}|access_token": "old", f"{place}|refresh_token": "old", "elsewhere|tokens": "{}"}
        file.write_text(json.dumps(older), encoding="utf-8")

        def at_home(*words: str) -> subprocess.CompletedProcess[str]:
            return run(
                *words,
                "--endpoint",
                box.endpoint,
                FLYTE_LITE_TOKEN_STORE="",
                FLYTE_ADMIN_CACERTFILEPATH=str(CERTIFICATES / "authority.pem"),
                PYTHON_KEYRING_BACKEND="keyrings.InFile",
                KEYRINGS_FILE=str(file),
            )

        with typing_in(box):
            done = at_home("login", "--flow", "device")

        assert done.returncode == 0, done.stderr
        assert "kept in the keyring; flyte-lite logout forgets it" in done.stdout
        entry = json.loads(json.loads(file.read_text(encoding="utf-8"))[f"{place}|tokens"])
        assert {"access_token", "refresh_token"} < set(entry)
        assert "token     in the keyring; good for " in at_home("whoami").stdout
        assert at_home("logout").returncode == 0
        assert json.loads(file.read_text(encoding="utf-8")) == {"elsewhere|tokens": "{}"}
