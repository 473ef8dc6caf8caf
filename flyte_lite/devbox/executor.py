"""Carries actions out: a queue, and so many workers at a time."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Optional

from flyte_lite.devbox.undertaking import Undertaking

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State
    from flyte_lite.devbox.state.actions import ActionKey

_log = logging.getLogger("flyte_lite.devbox")


class Executor:
    """Runs the actions that have a function behind them; others stay as they are.

    Args:
        state: Where everything is found and told.
        workers: How many processes may run at a time.
    """

    def __init__(self, state: State, workers: int) -> None:
        self._state = state
        self._workers = workers
        self._queue: queue.SimpleQueue[Optional[Undertaking]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open: dict[ActionKey, Undertaking] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, key: ActionKey) -> None:
        """Take up an action that was created.

        Nothing happens if it has no function here, was aborted already, or the executor is closed.
        """
        undertaking = Undertaking.of(self._state, key)
        if undertaking is None or undertaking.use_cache():
            return
        with self._lock:
            if self._closed or undertaking.is_over():
                return
            self._open[key] = undertaking
            undertaking.tell_queued()
            if len(self._threads) < self._workers:
                thread = threading.Thread(target=self._work, name="flyte_lite worker slot", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._queue.put(undertaking)

    def abort(self, key: ActionKey) -> None:
        """End an action that was aborted, and say so."""
        with self._lock:
            undertaking = self._open.get(key) or Undertaking.of(self._state, key)
        if undertaking is not None:
            undertaking.abort()

    def close(self, timeout: float = 1.0) -> None:
        """Kill what runs, forget what waits.

        Args:
            timeout: Seconds to wait for that, in all.
        """
        with self._lock:
            self._closed = True
            undertakings, threads = list(self._open.values()), list(self._threads)
        for undertaking in undertakings:
            undertaking.abandon()
        for _ in threads:
            self._queue.put(None)
        until = self._state.clock.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, until - self._state.clock.monotonic()))

    def _work(self) -> None:
        while True:
            undertaking = self._queue.get()
            if undertaking is None:
                return
            try:
                undertaking.carry_out()
            except Exception as error:  # noqa: BLE001 - a defect of ours must neither cost a worker nor leave a run without an end.
                _log.exception("the devbox could not run %s", undertaking.key)
                undertaking.tell_defect(error)
            finally:
                with self._lock:
                    self._open.pop(undertaking.key, None)
