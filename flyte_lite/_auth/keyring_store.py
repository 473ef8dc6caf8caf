"""Tokens in the keyring of the system, whatever it does: it may be missing, fail, forget, cut off, or never answer."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Optional, Protocol, TypeVar

from flyte_lite._auth.entry import NotKeptError, shortened
from flyte_lite._auth.store import TokenStore
from flyte_lite._clock import SYSTEM_CLOCK, Clock, Deadline
from flyte_lite.errors import CallTimeoutError, CanceledError, Code

_log = logging.getLogger("flyte_lite")

SECONDS = 2.0
"""What a keyring may cost: its import, the choice of a backend and the call together."""

# An answer that takes so long is a slow one, and slow ones may cost no more than that together, in so many seconds.
_SLOW = 0.5
_WHILE = 60.0

T = TypeVar("T")


class Backend(Protocol):
    """The package `keyring`, or a backend of it."""

    def get_password(self, service: str, username: str, /) -> Optional[str]: ...
    def set_password(self, service: str, username: str, password: str, /) -> None: ...
    def delete_password(self, service: str, username: str, /) -> None: ...


def _load() -> Backend:
    before = sys.excepthook
    import keyring

    keyring.get_keyring()
    # To find its backends it imports what packages offer, and one of them takes over how tracebacks are shown.
    if getattr(sys.excepthook, "__module__", "").partition(".")[0] == "flyte":
        sys.excepthook = before
    return keyring


class _Job:
    """Something that is asked of a backend.

    Attributes:
        over: Whether it has ended: with `result`, or with `error`.
    """

    def __init__(self, ask: Callable[[], Any], started: float) -> None:
        self.started = started
        self.process = os.getpid()
        self.over = False
        self.result: Any = None
        self.error: Optional[BaseException] = None
        self.woken: SimpleQueue[None] = SimpleQueue()
        self._ask = ask

    def run(self) -> None:
        try:
            self.result = self._ask()
        except BaseException as error:  # noqa: BLE001 - backends raise what is no error of keyring's, and exit
            self.error = error
        self.over = True
        self.wake()

    def wake(self) -> None:
        self.woken.put(None)


class KeyringStore:
    """A `TokenStore`. Once it has failed or hung, this process asks it no more.

    Each question is asked by a thread of its own, which is left behind if no answer comes in time: nothing else ends a
    question to a backend that waits for a window that nobody sees.

    Args:
        load: Gives the backend; called in that thread.
        clock: Tells how long a backend has not answered.
        seconds: The most that an answer may take, or several slow ones together.

    Attributes:
        trouble: Why it is not used; "" if it is.
    """

    def __init__(
        self, load: Callable[[], Backend] = _load, clock: Clock = SYSTEM_CLOCK, seconds: float = SECONDS
    ) -> None:
        self.trouble = ""
        self._load = load
        self._clock = clock
        self._seconds = seconds
        self._left_behind: list[_Job] = []
        # When a slow answer was asked for, and what it took.
        self._slow: list[tuple[float, float]] = []

    def __repr__(self) -> str:
        return f"KeyringStore({self.trouble or 'in use'})"

    where = "the keyring"  # for people

    def get(self, service: str, name: str) -> Optional[str]:
        """See `TokenStore`; None if it does not work, too."""
        return _Within(self, Deadline(self._clock, None)).get(service, name)

    def set(self, service: str, name: str, value: str) -> None:
        """See `TokenStore`.

        What is too long for it is kept without the token itself, and never in part.

        Raises:
            NotKeptError: It does not work, or has no room.
        """
        texts = [text for text in (value, shortened(value)) if text is not None]
        # However slow it was: what is written now has used up what is there.
        self.ask(lambda backend: _keep(backend, service, name, texts), Deadline(self._clock, None), whole=True)

    def delete(self, service: str, name: str) -> None:
        """See `TokenStore`.

        Raises:
            NotKeptError: It does not work.
        """
        self.ask(lambda backend: _remove(backend, service, name), Deadline(self._clock, None))

    def within(self, deadline: Deadline) -> TokenStore:
        """The same for a call, whose questions end with it."""
        return _Within(self, deadline)

    def ask(self, question: Callable[[Backend], T], deadline: Deadline, *, whole: bool = False) -> T:
        """What a backend answers.

        Args:
            whole: Whether it has all of its time, whatever slow answers took before.

        Raises:
            NotKeptError: It does not work.
            CallError: The deadline is over.
        """
        now = self._clock.monotonic()
        # Those of a parent process ended with the fork, as far as we are concerned.
        self._left_behind = [job for job in self._left_behind if not job.over and job.process == os.getpid()]
        if not self.trouble and any(now - job.started >= self._seconds for job in self._left_behind):
            self._give_up(f"the keyring did not answer within {self._seconds:g} s")
        self._slow = [(asked, took) for asked, took in self._slow if now - asked < _WHILE]
        spent = 0.0 if whole else sum(took for _, took in self._slow)
        if not self.trouble and spent >= self._seconds:
            self._give_up(f"the keyring took {spent:.1f} s for a few answers")
        if self.trouble:
            raise NotKeptError(self.trouble)
        job = _Job(lambda: question(self._load()), now)
        try:
            threading.Thread(target=job.run, name="flyte_lite keyring", daemon=True).start()
        except RuntimeError:
            _log.debug("the keyring is not asked: no thread can be started for it")
            raise NotKeptError("no thread can be started to ask the keyring") from None
        self._wait(job, deadline, self._seconds - spent)
        took = self._clock.monotonic() - now
        if took >= _SLOW:
            self._slow.append((now, took))
        if isinstance(job.error, _CutOffError):
            _log.debug("%s", job.error)
            raise job.error
        if job.error is not None:
            self._give_up(_trouble(job.error))
            raise NotKeptError(self.trouble)
        answer: T = job.result
        return answer

    def _wait(self, job: _Job, deadline: Deadline, seconds: float) -> None:
        left = deadline.left()
        if deadline.cancel is not None:
            deadline.cancel.subscribe(job.wake)
        try:
            with contextlib.suppress(Empty):
                job.woken.get(timeout=seconds if left is None else min(left, seconds))
        finally:
            if deadline.cancel is not None:
                deadline.cancel.unsubscribe(job.wake)
            if not job.over:
                self._left_behind.append(job)
        if job.over:
            return
        if deadline.canceled:
            raise CanceledError("the call was canceled", Code.CANCELED, sent=False)
        if left is not None and left < seconds:
            # It was not given all of its time: it may still be a good one.
            raise CallTimeoutError(
                f"the keyring did not answer within {deadline.seconds:g} s", Code.DEADLINE_EXCEEDED, sent=False
            )
        slow = "with its slow answers before " if seconds < self._seconds else ""
        self._give_up(f"the keyring did not answer {slow}within {self._seconds:g} s")
        raise NotKeptError(self.trouble)

    def _give_up(self, trouble: str) -> None:
        if self.trouble:
            return  # another thread waited as long, and has said so
        self.trouble = trouble
        _log.debug("%s: this process uses it no more", trouble)


class _Within:
    """See `KeyringStore.within`."""

    def __init__(self, keyring: KeyringStore, deadline: Deadline) -> None:
        self._keyring = keyring
        self._deadline = deadline

    def get(self, service: str, name: str) -> Optional[str]:
        try:
            return self._keyring.ask(lambda backend: backend.get_password(service, name), self._deadline)
        except NotKeptError:
            return None

    def set(self, service: str, name: str, value: str) -> None:
        self._keyring.set(service, name, value)

    def delete(self, service: str, name: str) -> None:
        self._keyring.delete(service, name)


class _CutOffError(NotKeptError):
    """It works, and is too small."""


def _keep(backend: Backend, service: str, name: str, texts: Sequence[str]) -> None:
    """Keep the first of some texts for which there is room.

    Raises:
        Exception: There is for none; nothing is there then.
    """
    failure: Exception = NotKeptError("the keyring forgets what it is given")
    for text in texts:
        try:
            backend.set_password(service, name, text)
            kept = backend.get_password(service, name)
        except Exception as error:  # noqa: BLE001 - Windows says of what is too long for it that a stub got bad data
            failure = error
            continue
        # What is cut off is a beginning; anything else is of another program, which has kept it since.
        if kept == text or (kept and not text.startswith(kept)):
            return
        if kept:
            failure = _CutOffError("the keyring keeps a part only of what is as long as this")
    # What was there before is used up, and a part is worth nothing.
    with contextlib.suppress(Exception):
        backend.delete_password(service, name)
    raise failure


def _remove(backend: Backend, service: str, name: str) -> None:
    if backend.get_password(service, name) is not None:
        backend.delete_password(service, name)


def _trouble(error: BaseException) -> str:
    if isinstance(error, NotKeptError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name == "keyring":
        return "the package keyring is not installed"
    if type(error).__name__ == "NoKeyringError":
        return "the package keyring finds no keyring here"
    return f"the keyring failed with {type(error).__name__}"


KEYRING = KeyringStore()
"""The one of this process, and what is known of it."""
