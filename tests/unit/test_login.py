"""A login that is made, looked at and ended, in stores that are good and bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest
from fakes import FakeClock

from flyte_lite._auth.lock import ProcessLock
from flyte_lite._auth.login import Login
from flyte_lite._auth.store import Place
from flyte_lite._auth.stored import Stored
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite.errors import CallTimeoutError, Code


class Source:
    """Asks a person, who takes their time."""

    def __init__(self, clock: FakeClock, seconds: float = 0.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.fetched = 0

    def renew(self, old: Optional[Token], deadline: Deadline) -> Optional[Token]:
        raise AssertionError("who signs in asks for no refresh")

    def fetch(self, deadline: Deadline) -> Token:
        self.clock.now += self.seconds
        self.fetched += 1
        return Token(f"t{self.fetched}", Moment.now(self.clock), refresh="r", issued_by="https://idp.example:443/token")


class Vault:
    """Keeps, forgets or refuses what it is given, and reads nothing in no time."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.kept: dict[tuple[str, str], str] = {}

    def within(self, deadline: Deadline) -> Vault:
        if deadline.expired:
            raise CallTimeoutError("no time left", Code.DEADLINE_EXCEEDED, sent=False)
        return self

    def get(self, service: str, name: str) -> Optional[str]:
        return self.kept.get((service, name))

    def set(self, service: str, name: str, value: str) -> None:
        if self.fault == "no writing":
            raise OSError("read-only")
        if self.fault != "forgets":
            self.kept[service, name] = value

    def delete(self, service: str, name: str) -> None:
        if self.fault == "no removing":
            raise OSError("read-only")
        self.kept.pop((service, name), None)


class Interrupted:
    """Discovery, while somebody presses Ctrl-C."""

    def config(self, deadline: Deadline) -> Any:
        raise KeyboardInterrupt


class Bench:
    def __init__(self, folder: Path, fault: str = "", seconds: float = 0.0) -> None:
        self.clock = FakeClock()
        self.vault = Vault(fault)
        self.source = Source(self.clock, seconds)
        place = Place("flyte.example", "tokens")
        stored = Stored(self.source, self.vault, place, {"XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder)})
        nothing: Any = None
        interrupted: Any = Interrupted()
        self.login = Login(stored, nothing, interrupted, nothing)

    @property
    def deadline(self) -> Deadline:
        return Deadline(self.clock, 300.0)


def test_a_login_is_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    assert bench.login.trouble(bench.deadline) == ""
    assert bench.login.begin(bench.deadline)

    token = bench.login.token(bench.deadline)
    assert token is not None
    assert token.value == "t1"


def test_a_login_that_is_there_is_not_asked_for_its_next_token(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.login.begin(bench.deadline)

    assert bench.login.begin(bench.deadline)

    token = bench.login.token(bench.deadline)
    assert token is not None
    assert token.value == "t2"


def test_who_signs_in_at_the_last_moment_is_signed_in(tmp_path: Path) -> None:
    bench = Bench(tmp_path, seconds=300.0)

    assert bench.login.begin(bench.deadline)


@pytest.mark.parametrize("fault", ["forgets", "no writing"])
def test_a_login_that_is_forgotten_is_none(fault: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path, fault)

    assert not bench.login.begin(bench.deadline)


def test_without_a_store_there_is_none() -> None:
    nothing: Any = None
    source = Source(FakeClock())
    login = Login(source, nothing, nothing, nothing)
    deadline = Deadline(source.clock, 300.0)

    assert "memory" in login.trouble(deadline)
    assert not login.begin(deadline)
    assert login.end(deadline) == (False, True, "")


def test_nobody_who_is_signed_in_is_signed_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    assert bench.login.end(bench.deadline) == (False, True, "")


def test_who_presses_ctrl_c_while_a_provider_is_told_is_signed_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.login.begin(bench.deadline)

    with pytest.raises(KeyboardInterrupt):
        bench.login.end(bench.deadline)

    assert bench.vault.kept == {}


def test_a_store_that_does_not_let_go_is_told_of(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.vault.fault = "no removing"

    assert bench.login.end(bench.deadline) == (False, False, "")


def test_who_renews_meanwhile_is_waited_for_or_they_would_write_it_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.login.begin(bench.deadline)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": str(tmp_path)}

    held = ProcessLock("flyte.example\0tokens", environ).held(Deadline(SYSTEM_CLOCK, 20))
    with held, pytest.raises(CallTimeoutError, match="another process was not done with signing in"):
        bench.login.end(bench.deadline)
    assert bench.vault.kept != {}
