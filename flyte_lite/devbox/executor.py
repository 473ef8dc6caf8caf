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
from flyte_lite.devbox.slots import Slot, Slots
from flyte_lite.devbox.state.actions import TERMINAL
from flyte_lite.devbox.state.unfinished import unfinished, unfinished_children
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
        self._reaper = Reaper()
        self._given = Surroundings(state, clock, self._reaper, defects or Defects(), self)
        self._alarms = Alarms(clock)
        # Guards all that follow. Those in the queue are open too; the others have a thread that carries them out.
        self._changed = threading.Condition()
        self._slots = Slots(workers, self._changed, self._staff)
        self._open: dict[ActionKey, Undertaking] = {}
        self._queue: deque[Undertaking] = deque()
        self._expiry: dict[ActionKey, Alarm] = {}
        # Who is to be told of the end of which action.
        self._listeners: dict[ActionKey, list[Callable[[], None]]] = {}
        self._threads: list[threading.Thread] = []
        # Threads with nothing to do, those that have only just been started among them.
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
        self._settle(key)

    def repeat(self, key: ActionKey) -> None:
        """Take up an action that has failed once more."""
        undertaking = Undertaking.of(self._given, key)
        if undertaking is not None:
            undertaking.begin_anew()
            self._enqueue(undertaking)

    def listen(self, key: ActionKey, then: Callable[[], None]) -> None:
        """Call `then`, which must not block, once: when the action is over. From any thread, perhaps at once."""
        with self._changed:
            self._listeners.setdefault(key, []).append(then)
        self._settle(key)

    def restart(self) -> None:
        """Begin: take up the actions that are there and have not ended, in the order in which they came."""
        with self._changed:
            self._paused = False
            for key in unfinished(self._state.database):
                undertaking = Undertaking.of(self._given, key)
                if undertaking is None:
                    continue
                if undertaking.is_orphan():
                    undertaking.abort()
                elif undertaking.restart() and not undertaking.use_outputs_from_before():
                    self._enqueue(undertaking)

    def abort(self, key: ActionKey) -> None:
        """End an action that was aborted, and what it has called, and say so."""
        with self._changed:
            undertaking = self._open.get(key)
            if undertaking is not None:
                self._unqueue(undertaking)
        undertaking = undertaking or Undertaking.of(self._given, key)
        if undertaking is None or undertaking.abort():
            self._settle(key)
            self._abort_children(key)

    def reset(self, forget: Callable[[], None]) -> None:
        """Kill what runs, drop what waits, then call `forget`, and go on as at first."""
        with self._changed:
            self._paused = True
        self._abandon()
        with self._changed:
            self._changed.wait_for(lambda: self._idle == len(self._threads), PATIENCE)
            self._open.clear()
            self._listeners.clear()
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
            self._slots.close()
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
            # What was called goes first: those who wait for it keep their processes meanwhile.
            place = len(self._queue)
            while place and self._queue[place - 1].depth < undertaking.depth:
                place -= 1
            self._queue.insert(place, undertaking)
            self._staff()
            self._changed.notify_all()

    def _staff(self) -> None:
        # With those that wait for what they called, there may be more threads than slots.
        while self._idle < min(len(self._queue), self._slots.free) and not self._closed:
            self._idle += 1
            thread = threading.Thread(target=self._work, name="flyte_lite worker slot", daemon=True)
            self._threads.append(thread)
            thread.start()

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
            self._settle(undertaking.key)

    def _settle(self, key: ActionKey) -> None:
        # Tell those who wait for an action that it is over, if it is and nobody carries it out any more.
        with self._changed:
            if key not in self._listeners or key in self._open:
                return
            action = self._state.actions.get(key)
            if action is not None and action.phase not in TERMINAL:
                return
            listeners = self._listeners.pop(key)
        for then in listeners:
            then()

    def _abort_children(self, key: ActionKey) -> None:
        for child in unfinished_children(self._state.database, key):
            self.abort(child)

    def _take(self) -> Optional[tuple[Undertaking, Slot]]:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (bool(self._queue) and self._slots.free > 0))
            if self._closed:
                return None
            self._idle -= 1
            undertaking = self._queue.popleft()
            self._cancel(undertaking)
            return undertaking, self._slots.take()

    def _work(self) -> None:
        while True:
            taken = self._take()
            if taken is None:
                return
            undertaking, slot = taken
            try:
                undertaking.carry_out(slot)
            except Exception as error:  # noqa: BLE001 - a defect of ours must neither cost a worker nor leave a run without an end.
                _log.exception("the devbox could not run %s", undertaking.key)
                undertaking.tell_defect(error)
            finally:
                self._finish(undertaking, slot)

    def _finish(self, undertaking: Undertaking, slot: Slot) -> None:
        with self._changed:
            self._forget(undertaking)
        try:
            if not undertaking.is_abandoned():
                # Before the slot is free, so that whoever waits for this gets it before others.
                self._settle(undertaking.key)
                if undertaking.may_have_children:
                    self._abort_children(undertaking.key)
        finally:
            slot.close()
            with self._changed:
                self._idle += 1
                self._changed.notify_all()
