"""Carries actions out: a queue, and so many workers at a time."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Optional

from flyte_lite.devbox.alarms import Alarm, Alarms
from flyte_lite.devbox.defects import Defects
from flyte_lite.devbox.reaper import Reaper
from flyte_lite.devbox.state.unfinished import unfinished
from flyte_lite.devbox.undertaking import Surroundings, Undertaking

if TYPE_CHECKING:
    from flyte_lite.devbox.clock import DevboxClock
    from flyte_lite.devbox.state import State
    from flyte_lite.devbox.state.actions import ActionKey

_log = logging.getLogger("flyte_lite.devbox")

# Seconds that killed processes get to be gone when everything is forgotten.
PATIENCE = 5.0


class Executor:
    """Runs the actions that have a function behind them; others stay as they are.

    Args:
        state: Where everything is found and told.
        clock: Whose time limits are measured in.
        workers: How many processes may run at a time.
        defects: What it does wrong on purpose.
    """

    def __init__(self, state: State, clock: DevboxClock, workers: int, defects: Optional[Defects] = None) -> None:
        self._state = state
        self._clock = clock
        self._workers = workers
        self._reaper = Reaper()
        self._given = Surroundings(state, clock, self._reaper, defects or Defects())
        self._alarms = Alarms(clock)
        # Guards all that follow. Those in the queue are open too; the others have a thread that carries them out.
        self._changed = threading.Condition()
        self._open: dict[ActionKey, Undertaking] = {}
        self._queue: deque[Undertaking] = deque()
        self._expiry: dict[ActionKey, Alarm] = {}
        self._threads: list[threading.Thread] = []
        self._idle = 0
        # Until `restart`, which finds whatever is created before.
        self._paused = True
        self._closed = False

    def submit(self, key: ActionKey) -> None:
        """Take up an action that was created.

        Nothing happens if it has no function here, was aborted already, or the executor is closed or has not begun.
        """
        undertaking = Undertaking.of(self._given, key)
        if undertaking is not None and not undertaking.use_outputs_from_before():
            self._enqueue(undertaking)

    def restart(self) -> None:
        """Begin: take up the actions that are there and have not ended, in the order in which they came."""
        with self._changed:
            self._paused = False
            for key in unfinished(self._state.database):
                undertaking = Undertaking.of(self._given, key)
                if undertaking is not None and undertaking.restart() and not undertaking.use_outputs_from_before():
                    self._enqueue(undertaking)

    def abort(self, key: ActionKey) -> None:
        """End an action that was aborted, and say so."""
        with self._changed:
            undertaking = self._open.get(key)
            if undertaking is not None:
                self._unqueue(undertaking)
        undertaking = undertaking or Undertaking.of(self._given, key)
        if undertaking is not None:
            undertaking.abort()

    def reset(self, forget: Callable[[], None]) -> None:
        """Kill what runs, drop what waits, then call `forget`, and go on as at first."""
        with self._changed:
            self._paused = True
        self._abandon()
        with self._changed:
            self._changed.wait_for(lambda: self._idle == len(self._threads), PATIENCE)
            self._open.clear()
            try:
                forget()
            finally:
                self._paused = False

    def close(self, timeout: float = 1.0) -> None:
        """Kill what runs, forget what waits.

        Args:
            timeout: Seconds to wait for that, in all.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._abandon()
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._alarms.close()
        self._reaper.close()

    def _abandon(self) -> None:
        with self._changed:
            undertakings = list(self._open.values())
            self._queue.clear()
            self._expiry.clear()
        self._alarms.clear()
        for undertaking in undertakings:
            undertaking.abandon()

    def _enqueue(self, undertaking: Undertaking) -> None:
        with self._changed:
            if self._closed or self._paused or undertaking.key in self._open or undertaking.is_over():
                return
            self._open[undertaking.key] = undertaking
            undertaking.tell_queued()
            expires_at = undertaking.expires_at()
            if expires_at is not None:
                expire = functools.partial(self._expire, undertaking)
                self._expiry[undertaking.key] = self._alarms.set(expires_at, expire)
            self._queue.append(undertaking)
            if self._idle < len(self._queue) and len(self._threads) < self._workers:
                thread = threading.Thread(target=self._work, name="flyte_lite worker slot", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def _unqueue(self, undertaking: Undertaking) -> bool:
        # Whoever gets True may end it: nobody else will.
        if undertaking not in self._queue:
            return False
        self._queue.remove(undertaking)
        self._forget(undertaking)
        return True

    def _forget(self, undertaking: Undertaking) -> None:
        if self._open.get(undertaking.key) is undertaking:
            del self._open[undertaking.key]
        self._cancel(undertaking)

    def _cancel(self, undertaking: Undertaking) -> None:
        alarm = self._expiry.pop(undertaking.key, None)
        if alarm is not None:
            alarm.cancel()

    def _expire(self, undertaking: Undertaking) -> None:
        with self._changed:
            waiting = self._unqueue(undertaking)
        if waiting:
            undertaking.expire()

    def _take(self) -> Optional[Undertaking]:
        with self._changed:
            self._idle += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._queue)
            if self._closed:
                return None
            self._idle -= 1
            undertaking = self._queue.popleft()
            self._cancel(undertaking)
            return undertaking

    def _work(self) -> None:
        while True:
            undertaking = self._take()
            if undertaking is None:
                return
            try:
                undertaking.carry_out()
            except Exception as error:  # noqa: BLE001 - a defect of ours must neither cost a worker nor leave a run without an end.
                _log.exception("the devbox could not run %s", undertaking.key)
                undertaking.tell_defect(error)
            finally:
                with self._changed:
                    self._forget(undertaking)
