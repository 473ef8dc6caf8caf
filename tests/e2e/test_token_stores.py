"""Where a sign-in is kept, by processes of their own over a real socket: the next finds it, or nothing is lost."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest
from caller import calling
from issuer import CERTIFICATES, CLIENT_ID, CLIENT_SECRET, Issuer
from token_stores import DictStore, entry

from flyte_lite import errors
from flyte_lite._auth.file_store import FileStore
from flyte_lite._auth.keyring_store import SECONDS

TESTS = Path(__file__).parents[1]
# One process, as a script or a command is: it makes a channel, calls once, says how that went, and ends.
ONE_CALL = """
import json, logging, os, sys, time
if "KEYRING_LOADED" in os.environ:
    import keyring
    keyring.get_keyring()
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
from caller import GET
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite.idl.flyteidl2.project import project_service_pb2
from flyte_lite.remote import create_channel
channel = create_channel(**json.loads(sys.argv[1]))
started = time.monotonic()
request = project_service_pb2.GetProjectRequest(id="p")
attempts = channel.unary(GET, request, deadline=Deadline(SYSTEM_CLOCK, 30.0)).attempts
took = time.monotonic() - started
print(json.dumps([attempts, took, "keyring" in sys.modules, time.time()]))
"""


class Outcome(NamedTuple):
    """How a process fared: attempts and seconds of its call, whether it has loaded keyring, seconds that it took to end
    after that, and what it wrote."""

    attempts: int
    seconds: float
    loaded: bool
    ending: float
    said: str


def one_call(issuer: Issuer, environ: Optional[Mapping[str, str]] = None, **settings: Any) -> Outcome:
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), *sys.path[1:]])
    done = subprocess.run(
        [sys.executable, "-c", ONE_CALL, json.dumps({"endpoint": issuer.url, **settings})],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path, **(environ or {})},
        check=False,
    )
    ended = time.time()
    assert done.returncode == 0, done.stderr
    attempts, seconds, loaded, last = json.loads(done.stdout)
    return Outcome(attempts, seconds, loaded, ended - last, done.stderr)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of what a keyring keeps; nothing keeps a test from its own in CI."""
    pytest.importorskip("keyring")
    for name in ("CI", "AWS_LAMBDA_FUNCTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KEYRINGS_FILE", str(tmp_path / "ring"))
    return tmp_path / "ring"


def backend(name: str) -> dict[str, str]:
    # What is not about time has its import behind it, which alone may take two seconds on a busy machine.
    loaded = {} if name == "Hanging" else {"KEYRING_LOADED": "1"}
    return {**loaded, "PYTHON_KEYRING_BACKEND": name if "." in name else f"keyrings.{name}"}


PERSON = {"auth_type": "DeviceFlow", "interactive": True}
PROGRAM = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


def sign_ins(issuer: Issuer) -> int:
    return len(issuer.to("/device"))


def secrets_in(issuer: Issuer, *texts: str) -> list[str]:
    return [secret for secret in (*issuer.issued, CLIENT_SECRET) if any(secret in text for text in texts)]


# -- keyring


def test_the_next_process_finds_the_login_in_the_keyring(issuer: Issuer, ring: Path) -> None:
    first = one_call(issuer, backend("InFile"), **PERSON)
    kept = json.loads(ring.read_text())
    second = one_call(issuer, backend("InFile"), **PERSON)

    assert (first.attempts, second.attempts, sign_ins(issuer)) == (1, 1, 1)
    assert list(kept) == [f"127.0.0.1:{issuer.port}|tokens by=http"]
    (value,) = (json.loads(text) for text in kept.values())
    assert [value["access_token"], value["refresh_token"]] == issuer.issued[1:]
    assert value["expires_at"] == pytest.approx(time.time() + 3600, abs=60)
    assert secrets_in(issuer, first.said, second.said) == []


@pytest.mark.parametrize("name", ["Small", "Windows"])
def test_a_keyring_that_is_too_small_keeps_what_gets_the_next_token(issuer: Issuer, ring: Path, name: str) -> None:
    for _ in range(3):
        assert one_call(issuer, backend(name), **PERSON).attempts == 1

    assert sign_ins(issuer) == 1
    grants = [request.form["grant_type"].rpartition(":")[2] for request in issuer.to("/token")]
    assert grants == ["device_code", "refresh_token", "refresh_token"]
    (kept,) = json.loads(ring.read_text()).values()
    assert kept == json.dumps(
        {"access_token": "", "refresh_token": issuer.issued[-1], "issued_by": issuer.token_endpoint}
    )


@pytest.mark.parametrize(
    "name",
    [
        "Tiny",
        "Hanging",
        "Refusing",
        "Locked",
        "Leaving",
        "keyring.backends.null.Keyring",
        "keyring.backends.fail.Keyring",
    ],
)
def test_a_keyring_that_can_not_be_used_costs_two_seconds_and_a_line(issuer: Issuer, ring: Path, name: str) -> None:
    outcome = one_call(issuer, backend(name), **PERSON)

    assert (outcome.attempts, sign_ins(issuer)) == (1, 1)
    assert outcome.loaded
    assert outcome.seconds >= SECONDS or name != "Hanging"
    asked = ring.with_name("ring.asked")
    assert not asked.exists() or asked.read_text() == "asked\n", "it is asked once"
    # Of 600 that it would hang for; the rest is what a busy machine takes.
    assert outcome.seconds < SECONDS + 15.0
    assert outcome.ending < 15.0, "what hangs does not hold up the end"
    said = [line for line in outcome.said.splitlines() if "keyring" in line and "flyte_lite" in line]
    assert [line.split(":")[0] for line in said] == ["DEBUG"], "one line, whatever is tried"
    assert "WARNING" not in outcome.said
    assert not ring.exists() or json.loads(ring.read_text()) == {}, "nothing is kept in part"
    assert secrets_in(issuer, outcome.said) == []


def test_a_keyring_that_is_not_installed(issuer: Issuer, ring: Path, tmp_path: Path) -> None:
    (tmp_path / "keyring.py").write_text("raise ModuleNotFoundError(\"No module named 'keyring'\", name='keyring')")
    path = os.pathsep.join([str(tmp_path), str(TESTS.parent), str(TESTS), *sys.path[1:]])

    outcome = one_call(issuer, {"PYTHONPATH": path}, **PERSON)

    assert (outcome.attempts, outcome.loaded) == (1, False)
    assert "DEBUG:flyte_lite:the package keyring is not installed: this process uses it no more" in outcome.said


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        (PERSON, {"CI": "true"}),
        (PERSON, {"AWS_LAMBDA_FUNCTION_NAME": "f"}),
        ({**PERSON, "disable_keyring": True}, {}),
        ({**PERSON, "token_store": "memory"}, {}),
        ({**PERSON, "token_store": "folder"}, {}),
        (PROGRAM, {}),
        ({"command": "print a token"}, {}),
        ({"token": "a token"}, {}),
    ],
    ids=["CI", "Lambda", "disabled", "memory", "folder", "program", "command", "token"],
)
def test_keyring_is_not_loaded_where_it_is_not_used(
    issuer: Issuer, ring: Path, tmp_path: Path, settings: dict[str, Any], environ: dict[str, str]
) -> None:
    given = dict(settings)
    if "token" in given:
        given["token"] = issuer.new_token()
    if "command" in given:
        given["command"] = ["printf", "%s", issuer.new_token()]
    if given.get("token_store") == "folder":
        given["token_store"] = str(tmp_path / "tokens")

    outcome = one_call(issuer, {**backend("Hanging"), **environ}, **given)

    assert (outcome.attempts, outcome.loaded) == (1, False)
    assert not ring.with_name("ring.asked").exists()


def test_keyring_is_not_loaded_for_a_server_that_wants_nobody(issuer: Issuer, ring: Path) -> None:
    issuer.before = lambda request: (200, "application/proto", b"") if "GetProject" in request.path else None

    assert not one_call(issuer, backend("Hanging")).loaded


@pytest.mark.parametrize("environ", [{"CI": "1"}, {"AWS_LAMBDA_FUNCTION_NAME": "f"}], ids=["CI", "Lambda"])
def test_keyring_is_used_anywhere_if_it_is_asked_for(issuer: Issuer, ring: Path, environ: dict[str, str]) -> None:
    one_call(issuer, {**backend("InFile"), **environ}, **PERSON, token_store="keyring")

    assert ring.exists()


def test_a_person_is_not_mixed_up_with_a_program(issuer: Issuer, ring: Path) -> None:
    one_call(issuer, backend("InFile"), **PERSON)
    one_call(issuer, backend("InFile"), **PROGRAM, token_store="keyring")
    kept = json.loads(ring.read_text())
    one_call(issuer, backend("InFile"), **PROGRAM, token_store="keyring")

    assert [name.partition("|")[2] for name in kept] == [
        "tokens by=http",
        "tokens ClientSecret by=http client_id=app:1",
    ]
    values = [json.loads(text)["access_token"] for text in kept.values()]
    assert [request.headers["authorization"] for request in issuer.calls] == [
        f"Bearer {value}" for value in (*values, values[1])
    ]


@pytest.mark.parametrize("over", [False, True], ids=["still good", "over"])
def test_the_login_of_an_older_official_sdk_is_found_where_nothing_is_set(ring: Path, over: bool) -> None:
    with Issuer(secure=True) as issuer:
        access, refresh = issuer.new_token(), issuer._new()
        issuer._refresh[refresh] = True
        if over:
            issuer.revoke()
        service = f"127.0.0.1:{issuer.port}"
        pair = {f"{service}|access_token": access, f"{service}|refresh_token": refresh}
        ring.write_text(json.dumps(pair))
        settings = {"ca_cert_file_path": str(CERTIFICATES / "authority.pem"), "interactive": False}

        outcome = one_call(issuer, backend("InFile"), **settings)

        assert outcome.attempts == (3 if over else 2), "with nothing, with what is there, and with what follows it"
        assert sign_ins(issuer) == 0
        kept = json.loads(ring.read_text())
        if over:
            assert list(kept) == [f"{service}|tokens"]
            assert json.loads(kept[f"{service}|tokens"])["refresh_token"] == issuer.issued[-1]
        else:
            assert kept == pair


# -- files


def test_the_next_process_finds_the_login_in_a_file(issuer: Issuer, tmp_path: Path) -> None:
    settings = {**PERSON, "token_store": str(tmp_path / "tokens")}
    said = [one_call(issuer, **settings).said for _ in range(3)]

    assert sign_ins(issuer) == 1
    (file,) = (tmp_path / "tokens").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert secrets_in(issuer, *said) == []


def test_files_are_in_the_folder_for_state(issuer: Issuer, tmp_path: Path) -> None:
    one_call(issuer, {"XDG_STATE_HOME": str(tmp_path)}, **PERSON, token_store="file")

    assert len(list((tmp_path / "flyte_lite" / "tokens").iterdir())) == 1


def test_without_a_home_there_are_no_files(issuer: Issuer) -> None:
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), *sys.path[1:]])
    settings = {"endpoint": issuer.url, **PERSON, "token_store": "file"}
    done = subprocess.run(
        [sys.executable, "-c", ONE_CALL, json.dumps(settings)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": path},
        check=False,
    )

    assert done.returncode == 1
    assert "no HOME to keep it in; give the path of a folder" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no folder here that not even root can write")
def test_a_folder_that_can_not_be_written_is_a_warning(issuer: Issuer) -> None:
    outcome = one_call(issuer, **PERSON, token_store="/proc/flyte_lite/tokens")

    assert outcome.attempts == 1
    assert "WARNING:flyte_lite:the tokens for 127.0.0.1" in outcome.said
    assert secrets_in(issuer, outcome.said) == []


def test_a_writer_that_is_killed_leaves_a_whole_entry(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from flyte_lite._auth.file_store import FileStore
store = FileStore(Path(sys.argv[1]))
for n in range(10**9):
    store.set("h", "tokens", str(n % 10) * 100_000)
    if n == 3:
        print("started", flush=True)
"""
    store = FileStore(tmp_path / "tokens")
    for nth in range(6):
        writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "tokens")], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"started\n"
        time.sleep(0.003 * nth)
        writer.kill()
        writer.wait()
        writer.stdout.close()

        kept = store.get("h", "tokens")
        assert kept is not None
        assert kept == kept[0] * 100_000
        store.set("h", "tokens", "x" * 100_000)


# -- any store


def test_a_stored_token_that_is_over_costs_no_call(tmp_path: Path) -> None:
    with Issuer(secure=True) as issuer:
        store = DictStore()
        with calling(issuer, auth_type="DeviceFlow", token_store=store) as caller:
            caller.call()
        issuer.revoke()
        with calling(issuer, token_store=store) as caller:
            # With nothing, with what is stored, with what it was renewed to.
            assert caller.call() == 3
            assert caller.call() == 1
        assert (len(issuer.to("/token")), sign_ins(issuer)) == (2, 1)


def test_who_names_how_to_sign_in_shows_a_stored_token_from_the_first_call_on(issuer: Issuer) -> None:
    store = DictStore()
    with calling(issuer, auth_type="DeviceFlow", token_store=store) as caller:
        caller.call()
    with calling(issuer, auth_type="DeviceFlow", on_demand=True, token_store=store) as caller:
        assert caller.call() == 1
    with calling(issuer, auth_type="DeviceFlow", on_demand=True, token_store=DictStore()) as caller:
        assert caller.call() == 2, "without one, the server is asked first"


def test_a_login_that_was_revoked_is_forgotten_and_begins_anew(issuer: Issuer) -> None:
    store = DictStore({(f"127.0.0.1:{issuer.port}", "tokens by=http"): entry("old", "gone")})
    with calling(issuer, auth_type="DeviceFlow", token_store=store) as caller:
        assert caller.call() == 2
        assert len(caller.told) == 1

    (kept,) = store.kept.values()
    assert json.loads(kept)["refresh_token"] == issuer.issued[-1]


def test_a_provider_that_is_down_costs_nobody_their_login(issuer: Issuer) -> None:
    store = DictStore()
    with calling(issuer, auth_type="DeviceFlow", token_store=store) as caller:
        caller.call()
        kept = dict(store.kept)
        issuer.revoke()
        issuer.before = lambda request: (503, "text/plain", b"") if request.path == "/token" else None
        with pytest.raises(errors.UnavailableError):
            caller.call()
        assert store.kept == kept
        issuer.before = lambda request: None
        assert caller.call() == 2
        assert len(caller.told) == 1


def test_an_answer_without_a_refresh_token_keeps_the_one_there_is(issuer: Issuer) -> None:
    granted = issuer._granted
    issuer._granted = lambda refresh: {  # type: ignore[method-assign]
        name: value
        for name, value in granted(refresh).items()
        if name != "refresh_token" or len(issuer.to("/token")) == 1
    }
    store = DictStore()
    with calling(issuer, auth_type="DeviceFlow", token_store=store) as caller:
        caller.call()
        (before,) = store.kept.values()
        issuer.revoke()
        caller.call()
        (after,) = store.kept.values()

    assert json.loads(before)["refresh_token"] == json.loads(after)["refresh_token"]
    assert json.loads(before)["access_token"] != json.loads(after)["access_token"]


def test_nothing_secret_is_written_to_the_log(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    class Talkative(DictStore):
        def set(self, service: str, name: str, value: str) -> None:
            raise RuntimeError(f"no room for {value}")

    with caplog.at_level(logging.DEBUG):
        for store in (DictStore(), Talkative()):
            with calling(issuer, auth_type="DeviceFlow", token_store=store) as caller:
                for spoil in (lambda: None, issuer.revoke, issuer._refresh.clear):
                    spoil()
                    issuer.revoke()
                    caller.call()
                written = repr((caller.credentials, vars(caller.credentials), caller.channel))
                assert secrets_in(issuer, written) == []

    assert "could not be kept (RuntimeError)" in caplog.text
    assert secrets_in(issuer, caplog.text) == []
