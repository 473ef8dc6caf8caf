"""Our store in GNOME's keyring: what it keeps, and what it costs when that one is locked, gone or stuck."""

from __future__ import annotations

import json
import sys
import time

import pytest

pytest.importorskip("secretstorage")

from session import Session

from flyte_lite._auth.keyring_store import SECONDS

SERVICE, NAME = "flyte.example:8443", "tokens"
VALUE = json.dumps({"access_token": "x" * 6000, "refresh_token": "\u00e9\u4e16"})

# What is not about time has more of it: the machine may be busy with other tests.
LONG = 30.0

USE = """
import sys, time
from flyte_lite._auth.keyring_store import KeyringStore

seconds, what, *rest = sys.argv[1:]
keyring = KeyringStore(seconds=float(seconds))
began = time.monotonic()
print(getattr(keyring, what)(*rest))
first = time.monotonic() - began
print(keyring.trouble)
print(first)
keyring.get("another", "name")
print(time.monotonic() - began - first)
"""


def use(session: Session, *words: str, seconds: float = LONG) -> tuple[str, str, float, float]:
    """What a process gets, what is wrong with the keyring, and the seconds of that question and of another one."""
    answer, trouble, first, second = session.python(USE, str(seconds), *words).splitlines()
    return answer, trouble, float(first), float(second)


def test_values_are_stored_read_and_removed(session: Session) -> None:
    assert use(session, "get", SERVICE, NAME)[:2] == ("None", "")
    assert use(session, "set", SERVICE, NAME, VALUE)[:2] == ("None", "")
    assert use(session, "get", SERVICE, NAME)[:2] == (VALUE, "")
    (item,) = session.items()
    assert (item["service"], item["username"]) == (SERVICE, NAME)
    assert use(session, "delete", SERVICE, NAME)[:2] == ("None", "")
    assert session.items() == []
    assert use(session, "delete", SERVICE, NAME)[:2] == ("None", ""), "it is not there any more"


def test_values_outlive_the_service(session: Session) -> None:
    use(session, "set", SERVICE, NAME, VALUE)
    session.kill_keyring()
    answer, trouble, *_ = use(session, "get", SERVICE, NAME)
    assert (answer, trouble != "") == ("None", True)
    assert "answer" not in trouble, "it is said at once"
    session.start_keyring()
    assert use(session, "get", SERVICE, NAME)[:2] == (VALUE, "")


def test_a_locked_one_that_nobody_opens_costs_two_seconds_once(session: Session) -> None:
    use(session, "set", SERVICE, NAME, VALUE)
    session.lock()
    with session.nobody_answers():
        began = time.monotonic()
        answer, trouble, first, second = use(session, "get", SERVICE, NAME, seconds=SECONDS)
        assert time.monotonic() - began < SECONDS + 13, "the process does not wait for the question at its end"
    assert (answer, trouble) == ("None", "the keyring did not answer within 2 s")
    assert SECONDS <= first < SECONDS + 2
    assert second < 1


def test_a_locked_one_without_a_screen_is_not_used(session: Session) -> None:
    use(session, "set", SERVICE, NAME, VALUE)
    session.lock()
    assert use(session, "get", SERVICE, NAME)[:2] == ("None", "the keyring failed with KeyringLocked")
    session.kill_keyring()
    session.start_keyring()
    assert use(session, "get", SERVICE, NAME)[:2] == (VALUE, ""), "opened again, it still has it"


def test_a_service_that_is_stuck_costs_two_seconds_once(session: Session) -> None:
    use(session, "set", SERVICE, NAME, VALUE)
    with session.stuck():
        answer, trouble, first, second = use(session, "get", SERVICE, NAME, seconds=SECONDS)
    assert (answer, trouble) == ("None", "the keyring did not answer within 2 s")
    assert SECONDS <= first < SECONDS + 2
    assert second < 1
    assert use(session, "get", SERVICE, NAME)[:2] == (VALUE, "")


def test_a_service_that_is_killed_in_between(session: Session) -> None:
    code = """
import sys
from flyte_lite._auth.keyring_store import KeyringStore

keyring = KeyringStore(seconds=30)
keyring.set(*sys.argv[1:])
print("stored", file=sys.stderr, flush=True)
sys.stdin.readline()
print(keyring.get(*sys.argv[1:3]), bool(keyring.trouble))
"""
    with session.started(sys.executable, "-c", code, SERVICE, NAME, VALUE) as program:
        program.printed("stored")
        session.kill_keyring()
        assert program.ended("go on\n") == (0, "None True\n", "")


def test_what_one_process_keeps_another_reads(session: Session) -> None:
    # In turn: two that write at the same moment make GNOME's keyring crash at times. A lock of ours keeps them apart.
    code = """
import sys
from flyte_lite._auth.keyring_store import KeyringStore

keyring = KeyringStore(seconds=30)
for line in sys.stdin:
    what, *rest = line.split()
    print(getattr(keyring, what)(*rest), keyring.trouble, flush=True)
"""
    with session.started(sys.executable, "-c", code) as first, session.started(sys.executable, "-c", code) as second:
        for turn in range(6):
            writer, reader = (first, second) if turn % 2 else (second, first)
            kept = f"{turn}" * 3000
            assert writer.asked(f"set {SERVICE} {NAME} {kept}") == "None "
            assert reader.asked(f"get {SERVICE} {NAME}") == f"{kept} "
        assert first.asked(f"delete {SERVICE} {NAME}") == "None "
        assert second.asked(f"get {SERVICE} {NAME}") == "None "
    assert session.items() == []


def test_tracebacks_are_shown_as_before(session: Session) -> None:
    # The official SDK is a plugin of keyring's, and has tracebacks shown without most of their lines.
    pytest.importorskip("flyte")
    use(session, "set", SERVICE, NAME, "v")
    assert use(session, "get", SERVICE, NAME)[:2] == ("v", "")
    code = """
import sys
from flyte_lite._auth.keyring_store import KeyringStore

keyring = KeyringStore(seconds=30)
print(keyring.get(*sys.argv[1:]), "flyte" in sys.modules, sys.excepthook is sys.__excepthook__)
"""
    assert session.python(code, SERVICE, NAME) == "v True True\n"
