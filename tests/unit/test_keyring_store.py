"""The keyring of the system, whatever it does: it costs its time once, and a line at DEBUG."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Optional

import pytest
from fakes import FakeClock
from token_stores import Ring, entry

from flyte_lite import errors
from flyte_lite._auth.entry import NotKeptError
from flyte_lite._auth.keyring_store import SECONDS, KeyringStore, _Job
from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline

PLACE = ("flyte.example", "tokens")
LONG = entry("a" * 3000, "r1", expires_at=7.0)


class Hung:
    """A backend that waits for a window that nobody sees; the test lets it go in the end."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = 0

    def get_password(self, service: str, username: str) -> Optional[str]:
        self.asked += 1
        self.go.wait(60)
        return "too late"

    def set_password(self, service: str, username: str, password: str) -> None:
        self.get_password(service, username)

    def delete_password(self, service: str, username: str) -> None:
        self.get_password(service, username)


@pytest.fixture
def hung() -> Iterator[Hung]:
    backend = Hung()
    yield backend
    backend.go.set()


def failing(error: BaseException) -> Callable[[], Any]:
    def load() -> NoReturn:
        raise error

    return load


class error(Exception):
    """What pywin32 calls its own (`pywintypes.error`), which is none of the errors of keyring."""


class Failing(Ring):
    def __init__(self, failure: BaseException, *methods: str) -> None:
        super().__init__()
        self.failure = failure
        self.methods = methods

    def get_password(self, service: str, username: str) -> Optional[str]:
        self._fail("get")
        return super().get_password(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self._fail("set")
        super().set_password(service, username, password)

    def delete_password(self, service: str, username: str) -> None:
        self._fail("delete")
        super().delete_password(service, username)

    def _fail(self, method: str) -> None:
        if method in self.methods:
            self.asked.append(method)
            raise self.failure


def test_what_is_kept_is_found_and_removed() -> None:
    ring = Ring()
    store = KeyringStore(lambda: ring)

    assert store.get(*PLACE) is None
    store.set(*PLACE, entry())
    assert store.get(*PLACE) == entry()
    store.delete(*PLACE)
    assert ring.kept == {}
    store.delete(*PLACE)
    assert store.trouble == "", "to remove what is not there is no failure"


def test_the_limit_is_two_seconds() -> None:
    assert SECONDS == 2.0
    assert KeyringStore()._seconds == 2.0


FAILURES = [
    (ModuleNotFoundError("No module named 'keyring'", name="keyring"), "the package keyring is not installed"),
    (ModuleNotFoundError("No module named 'gi'", name="gi"), "the keyring failed with ModuleNotFoundError"),
    (type("NoKeyringError", (RuntimeError,), {})("planted"), "the package keyring finds no keyring here"),
    (RuntimeError("planted"), "the keyring failed with RuntimeError"),
    (OSError("planted"), "the keyring failed with OSError"),
    (error(1312, "CredRead", "planted"), "the keyring failed with error"),
    (SystemExit("planted"), "the keyring failed with SystemExit"),
    (RecursionError("planted"), "the keyring failed with RecursionError"),
]
IDS = ["absent", "broken", "none", "runtime", "os", "pywintypes", "exit", "recursion"]


@pytest.mark.parametrize(("failure", "trouble"), FAILURES, ids=IDS)
def test_a_keyring_that_can_not_be_had(failure: BaseException, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    loads: list[None] = []

    def load() -> Any:
        loads.append(None)
        raise failure

    store = KeyringStore(load)
    with caplog.at_level(logging.DEBUG):
        assert [store.get(*PLACE) for _ in range(3)] == [None] * 3
        for act in (lambda: store.set(*PLACE, entry()), lambda: store.delete(*PLACE)):
            with pytest.raises(NotKeptError, match=trouble):
                act()

    assert len(loads) == 1, "it is tried once"
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.DEBUG, f"{trouble}: this process uses it no more")
    ]
    assert "planted" not in caplog.text


@pytest.mark.parametrize("failure", [failure for failure, _ in FAILURES[2:]], ids=IDS[2:])
@pytest.mark.parametrize("method", ["get", "set", "delete"])
def test_a_backend_that_fails(method: str, failure: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    ring = Failing(failure, method)
    ring.kept[PLACE] = entry("a0")
    store = KeyringStore(lambda: ring)

    with caplog.at_level(logging.DEBUG):
        if method == "get":
            assert store.get(*PLACE) is None
        else:
            with pytest.raises(NotKeptError):
                store.set(*PLACE, entry()) if method == "set" else store.delete(*PLACE)
        asked = len(ring.asked)
        assert store.get(*PLACE) is None

    assert len(ring.asked) == asked, "it is left alone"
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    assert "planted" not in caplog.text


def test_a_backend_that_forgets() -> None:
    class Null(Ring):
        def set_password(self, service: str, username: str, password: str) -> None:
            self.asked.append("set")

        def delete_password(self, service: str, username: str) -> None:
            self.asked.append("delete")

    ring = Null()
    store = KeyringStore(lambda: ring)

    assert store.get(*PLACE) is None
    with pytest.raises(NotKeptError, match="forgets"):
        store.set(*PLACE, entry())
    asked = len(ring.asked)
    with pytest.raises(NotKeptError, match="forgets"):
        store.set(*PLACE, entry())
    assert len(ring.asked) == asked


def test_what_is_too_long_is_kept_without_the_token() -> None:
    ring = Ring(room=1200)
    store = KeyringStore(lambda: ring)

    store.set(*PLACE, LONG)

    assert json.loads(ring.kept[PLACE]) == {"access_token": "", "refresh_token": "r1"}
    assert store.trouble == ""


@pytest.mark.parametrize("text", [LONG, entry("a" * 3000, None)], ids=["with a refresh token", "without"])
def test_nothing_is_kept_in_part(text: str) -> None:
    ring = Ring(room=20)
    ring.kept[PLACE] = entry("a0", "r0")
    store = KeyringStore(lambda: ring)

    with pytest.raises(NotKeptError, match="a part only"):
        store.set(*PLACE, text)

    assert ring.kept == {}
    store.set(*PLACE, "short")
    assert ring.kept == {PLACE: "short"}, "it is still good for what is short"


@pytest.mark.parametrize("text", [entry(), LONG], ids=["short", "long"])
def test_what_another_program_keeps_meanwhile_stays(text: str) -> None:
    class Shared(Ring):
        def set_password(self, service: str, username: str, password: str) -> None:
            super().set_password(service, username, password)
            self.kept[(service, username)] = entry("a9", "r9")

    ring = Shared()
    store = KeyringStore(lambda: ring)

    store.set(*PLACE, text)

    assert ring.kept == {PLACE: entry("a9", "r9")}
    assert store.trouble == ""


def test_windows_says_of_what_is_too_long_that_a_stub_got_bad_data() -> None:
    class Windows(Ring):
        def set_password(self, service: str, username: str, password: str) -> None:
            if len(password) > 1280:
                raise error(1783, "CredWrite", "The stub received bad data.")
            super().set_password(service, username, password)

    ring = Windows()
    store = KeyringStore(lambda: ring)

    store.set(*PLACE, LONG)

    assert json.loads(ring.kept[PLACE])["refresh_token"] == "r1"
    assert store.trouble == ""


def test_a_backend_that_hangs_costs_its_time_once(hung: Hung, caplog: pytest.LogCaptureFixture) -> None:
    store = KeyringStore(lambda: hung, seconds=0.1)

    with caplog.at_level(logging.DEBUG):
        started = time.monotonic()
        assert store.get(*PLACE) is None
        took = time.monotonic() - started
        with pytest.raises(NotKeptError, match=r"did not answer within 0.1 s"):
            store.set(*PLACE, entry())
        with pytest.raises(NotKeptError):
            store.delete(*PLACE)
        assert store.get(*PLACE) is None

    assert 0.1 <= took < 5
    assert hung.asked == 1
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


@pytest.mark.parametrize("method", ["set", "delete"])
def test_a_write_that_hangs(hung: Hung, method: str) -> None:
    store = KeyringStore(lambda: hung, seconds=0.1)

    with pytest.raises(NotKeptError, match="did not answer"):
        store.set(*PLACE, entry()) if method == "set" else store.delete(*PLACE)
    assert store.trouble


def test_an_import_that_hangs_counts_too(hung: Hung) -> None:
    store = KeyringStore(lambda: hung.get_password(*PLACE), seconds=0.1)  # type: ignore[arg-type, return-value]

    assert store.get(*PLACE) is None
    assert "did not answer" in store.trouble


def test_a_call_ends_before_the_keyring_has_had_its_time(hung: Hung) -> None:
    store = KeyringStore(lambda: hung, seconds=60.0)
    with pytest.raises(errors.CallTimeoutError, match=r"keyring did not answer within 0.05 s") as caught:
        store.within(Deadline(SYSTEM_CLOCK, 0.05)).get(*PLACE)

    assert not caught.value.sent
    assert store.trouble == "", "it may have answered"


def test_a_call_can_be_canceled_while_the_keyring_is_asked(hung: Hung) -> None:
    store = KeyringStore(lambda: hung, seconds=60.0)
    cancel = Cancel()

    def when_asked() -> None:
        while not hung.asked:
            time.sleep(0.001)
        cancel.cancel()

    threading.Thread(target=when_asked).start()
    with pytest.raises(errors.CanceledError):
        store.within(Deadline(SYSTEM_CLOCK, None, cancel)).get(*PLACE)
    assert cancel._on_cancel == []
    assert store.trouble == ""


def test_calls_that_end_early_do_not_leave_threads_behind_for_ever(hung: Hung) -> None:
    clock = FakeClock()
    store = KeyringStore(lambda: hung, clock, seconds=2.0)
    for _ in range(3):
        with pytest.raises(errors.CallTimeoutError):
            store.within(Deadline(clock, 0.01)).get(*PLACE)
        clock.now += 0.5
    assert hung.asked == 3
    clock.now += 0.5

    assert store.within(Deadline(clock, 0.01)).get(*PLACE) is None
    assert hung.asked == 3
    assert "did not answer within 2 s" in store.trouble


def test_who_was_slow_once_is_asked_again(hung: Hung) -> None:
    clock = FakeClock()
    store = KeyringStore(lambda: hung, clock, seconds=2.0)
    with pytest.raises(errors.CallTimeoutError):
        store.within(Deadline(clock, 0.01)).get(*PLACE)
    (job,) = store._left_behind
    hung.go.set()
    while not job.over:
        time.sleep(0.001)
    clock.now += 10

    assert store.get(*PLACE) == "too late"
    assert store._left_behind == []


def test_a_child_waits_for_no_thread_of_its_parent() -> None:
    clock = FakeClock()
    ring = Ring()
    store = KeyringStore(lambda: ring, clock)
    parents = _Job(lambda: None, clock.monotonic())
    parents.process = os.getppid()
    store._left_behind.append(parents)
    clock.now += 10

    assert store.get(*PLACE) is None
    assert store.trouble == ""


def test_writes_and_reads_through_a_call_are_the_same_ring() -> None:
    ring = Ring()
    within = KeyringStore(lambda: ring).within(Deadline(SYSTEM_CLOCK, 20.0))

    within.set(*PLACE, entry())
    assert within.get(*PLACE) == entry()
    within.delete(*PLACE)
    assert ring.kept == {}


def test_a_keyring_shows_nothing_of_what_it_keeps() -> None:
    ring = Failing(RuntimeError("planted"), "set")
    store = KeyringStore(lambda: ring)
    assert repr(store) == "KeyringStore(in use)"
    with pytest.raises(NotKeptError) as caught:
        store.set(*PLACE, entry("planted", "planted"))

    assert "planted" not in f"{store!r} {caught.value} {caught.value!r} {vars(store)}"
    assert caught.value.__cause__ is None


def test_a_process_that_can_start_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)

    assert KeyringStore(Ring).get(*PLACE) is None


def test_a_call_with_more_time_than_a_keyring_gets_goes_on_without(hung: Hung) -> None:
    store = KeyringStore(lambda: hung, seconds=0.05)

    assert store.within(Deadline(SYSTEM_CLOCK, 60)).get(*PLACE) is None
    assert "did not answer" in store.trouble


@pytest.mark.parametrize(("module", "stays"), [("flyte._excepthook", False), ("flytes", True)])
def test_no_package_that_a_keyring_finds_takes_over_tracebacks(
    module: str, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def theirs(*failure: Any) -> None: ...

    theirs.__module__ = module
    ring: Any = Ring()
    ring.get_keyring = lambda: setattr(sys, "excepthook", theirs)
    monkeypatch.setitem(sys.modules, "keyring", ring)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    before = sys.excepthook

    assert KeyringStore().get(*PLACE) is None
    assert sys.excepthook is (theirs if stays else before)


class Slow(Ring):
    """Each answer takes some time, on a clock that turns by hand; one that takes for ever waits for the test."""

    def __init__(self, clock: FakeClock, hung: Hung, *took: Optional[float]) -> None:
        super().__init__()
        self.clock = clock
        self.hung = hung
        self.took = list(took)

    def get_password(self, service: str, username: str) -> Optional[str]:
        took = self.took.pop(0)
        if took is None:
            return self.hung.get_password(service, username)
        self.clock.now += took
        return super().get_password(service, username)


def test_slow_answers_cost_two_seconds_together(hung: Hung) -> None:
    clock = FakeClock()
    ring = Slow(clock, hung, 1.2, 0.79, None)
    store = KeyringStore(lambda: ring, clock)

    assert [store.get(*PLACE) for _ in range(3)] == [None] * 3

    assert store.trouble == "the keyring did not answer with its slow answers before within 2 s"
    assert store.get(*PLACE) is None
    assert ring.took == []


def test_what_was_slow_to_read_has_its_time_to_be_written(hung: Hung) -> None:
    clock = FakeClock()
    ring = Slow(clock, hung, 1.5, 0.6, 0.0)
    store = KeyringStore(lambda: ring, clock)
    for _ in range(2):
        store.get(*PLACE)

    store.set(*PLACE, "text")
    assert ring.kept[PLACE] == "text"


def test_a_keyring_that_took_too_long_with_a_few_answers_is_left_alone(hung: Hung) -> None:
    clock = FakeClock()
    ring = Slow(clock, hung, 1.5, 0.6)
    store = KeyringStore(lambda: ring, clock)

    assert [store.get(*PLACE) for _ in range(3)] == [None] * 3
    assert store.trouble == "the keyring took 2.1 s for a few answers"


@pytest.mark.parametrize(("took", "later"), [([0.4] * 30, 0.0), ([1.9] * 3, 61.0)], ids=["not slow", "long ago"])
def test_a_keyring_that_answers_is_used_on(took: list[float], later: float, hung: Hung) -> None:
    clock = FakeClock()
    ring = Slow(clock, hung, *took, 0.0)
    store = KeyringStore(lambda: ring, clock)

    for _ in took:
        store.get(*PLACE)
        clock.now += later
    ring.kept[PLACE] = "text"
    assert store.get(*PLACE) == "text"
    assert store.trouble == ""


def test_threads_that_wait_for_it_together_say_one_line(hung: Hung, caplog: pytest.LogCaptureFixture) -> None:
    store = KeyringStore(lambda: hung, seconds=0.3)
    found: list[Optional[str]] = []
    threads = [threading.Thread(target=lambda: found.append(store.get(*PLACE))) for _ in range(4)]

    with caplog.at_level(logging.DEBUG):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert found == [None] * 4
    assert len(caplog.records) == 1
