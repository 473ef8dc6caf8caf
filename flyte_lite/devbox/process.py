"""One worker process from its start to its end: the job goes in, log lines and messages come out.

Everything happens in the thread that calls `run`; a second one only waits for the process, so that nothing is polled.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Callable, NamedTuple, Optional, Protocol

from flyte_lite.devbox.clock import DevboxClock
from flyte_lite.devbox.messages import ERROR, OUTPUTS, REPORT, RUNNING, Messages
from flyte_lite.devbox.reaper import Reaper
from flyte_lite.devbox.worker import BOOT

# Seconds that a process may take to end: after SIGTERM, and after it told its result.
GRACE = 0.4
AFTERMATH = 2.0
# Seconds that what it left behind in other process groups may go on holding its stdout open.
DRAIN = 1.0
# Bytes; a longer line is cut into several.
MAX_LINE = 1 << 18
# Seconds; select takes no more than some weeks.
MAX_SELECT = 1e6


class Job(NamedTuple):
    """What a worker is to do.

    Attributes:
        path: The module path, first to last.
        parts: The pickled function, `Inputs` and `TypedInterface`.
        environment: Added to ours.
        ends_at: When its time is up, on the devbox's clock; None is never.
        memory: Bytes that the task may take, beyond what its interpreter needs; None is no limit.
    """

    path: Sequence[str]
    parts: Sequence[bytes]
    environment: Mapping[str, str]
    ends_at: Optional[float] = None
    memory: Optional[int] = None


class Ending(NamedTuple):
    """How it went. At most one of `outputs` and `error` is there; without either the process died without a word.

    Attributes:
        outputs: An `Outputs`.
        error: With `code`, `message`, `user` (whether it is the task's fault) and `memory`: whether it ran out of that.
        status: As of `subprocess`: the exit code, or minus the signal.
        timed_out: True if it was stopped because of its timeout.
    """

    outputs: Optional[bytes]
    error: Optional[Mapping[str, Any]]
    status: int
    timed_out: bool


class Talk(Protocol):
    """What takes part in what a worker and its devbox say beside outputs and errors. All in the thread of `run`."""

    def take(self, kind: bytes, body: bytes) -> None:
        """A message of the worker."""
        ...

    def attend(self) -> None:
        """Somebody has called `poke`."""
        ...


class WorkerProcess:
    """A process that is about to run.

    Args:
        job: What it is to do.
        on_running: Called when the task's own code is about to run.
        on_lines: Called with new log lines, without their ends.
        on_report: Called with its report, as far as it is written, whenever that is to be seen.
        clock: The devbox's, for `ends_at`.
        reaper: Kills it and what it started, should the devbox be killed.
    """

    def __init__(
        self,
        job: Job,
        on_running: Callable[[], None],
        on_lines: Callable[[list[str]], None],
        on_report: Callable[[bytes], None],
        clock: DevboxClock,
        reaper: Reaper,
    ) -> None:
        self._job = job
        self._on_running = on_running
        self._on_lines = on_lines
        self._on_report = on_report
        self._clock = clock
        self._reaper = reaper
        # Guards what `stop` touches: the process, which is None before its start and once it was reaped.
        self._lock = threading.Lock()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._stopped = False
        self._dropped = False
        self._kill_at: Optional[float] = None
        self._wake = -1
        self._ended = False
        self._log = bytearray()
        self._told = Messages()
        self._talk: Optional[Talk] = None
        self._selector: selectors.BaseSelector
        self._unsent = bytearray()
        self._leash = -1
        self._outputs: Optional[bytes] = None
        self._error: Optional[Mapping[str, Any]] = None

    def run(self, talk: Optional[Talk] = None) -> Optional[Ending]:
        """Start it and stay with it to its end; None if `stop` came before the start.

        Args:
            talk: Takes part in what is said; None is nobody.
        """
        self._talk = talk
        with ExitStack() as cleanup, selectors.DefaultSelector() as selector:
            self._selector = selector
            result, result_write = os.pipe()
            cleanup.callback(os.close, result)
            woken, self._wake = os.pipe()
            cleanup.callback(os.close, woken)
            cleanup.callback(os.close, self._wake)
            try:
                with self._lock:
                    if self._stopped:
                        return None
                    process = self._process = self._spawn(result_write)
            finally:
                os.close(result_write)
            assert process.stdin is not None
            assert process.stdout is not None
            stdin, stdout = cleanup.enter_context(process.stdin), cleanup.enter_context(process.stdout)
            waiter = threading.Thread(target=self._await, args=(process,), name="flyte_lite worker's end", daemon=True)
            waiter.start()
            # It writes to the wake pipe, so it must be through before that is closed; should anything go wrong below,
            # the process is killed, or that would take as long as the task.
            cleanup.callback(waiter.join)
            cleanup.callback(self.stop, at_once=True)
            with self._lock:
                if self._process is not None:
                    # Before it gets anything to do.
                    self._reaper.watch(process.pid)
            self._clock.listen(self._look)
            cleanup.callback(self._clock.forget, self._look)

            def reader(take: Callable[[bytes], None]) -> Callable[[int], None]:
                def read(fd: int) -> None:
                    data = os.read(fd, 1 << 16)
                    if data:
                        take(data)
                    else:
                        selector.unregister(fd)

                return read

            os.set_blocking(stdin.fileno(), False)
            # Left open: this is the leash, and its end would be the worker's end.
            self._leash = stdin.fileno()
            self.send(self._job_bytes(result_write))
            selector.register(stdout.fileno(), selectors.EVENT_READ, reader(self._take_log))
            selector.register(result, selectors.EVENT_READ, reader(self._take_message))
            selector.register(woken, selectors.EVENT_READ, reader(self._take_wake))
            timed_out = self._attend(selector, woken)
            if self._log:
                self._on_lines(_lines(bytes(self._log)))
            return Ending(self._outputs, self._error, process.returncode, timed_out)

    def stop(self, at_once: bool = False) -> None:
        """End it and all that it started, from any thread: SIGTERM, and soon after SIGKILL.

        Args:
            at_once: SIGKILL right away, and do not wait for the rest of its log.
        """
        with self._lock:
            self._stopped = True
            self._dropped = self._dropped or at_once
            if self._process is not None:
                self._signal(signal.SIGKILL if at_once else signal.SIGTERM)
                self._kill_at = time.monotonic() + GRACE
                os.write(self._wake, b"s")

    def send(self, data: bytes) -> None:
        """Write to it, after what was written before; in the thread of `run` only."""
        if not self._unsent:
            self._selector.register(self._leash, selectors.EVENT_WRITE, self._feed)
        self._unsent += data

    def poke(self) -> None:
        """Have the talk attended to soon, from any thread; nothing happens if the process has ended."""
        with self._lock:
            if self._process is not None:
                os.write(self._wake, b"p")

    def _feed(self, leash: int) -> None:
        try:
            del self._unsent[: os.write(leash, self._unsent)]
        except BrokenPipeError:
            self._unsent.clear()
        if not self._unsent:
            self._selector.unregister(leash)

    def _spawn(self, result: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-u", "-c", BOOT],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(result,),
            # A group of its own, so that a signal reaches all that the task starts, and Ctrl-C only us.
            start_new_session=True,
            env={**os.environ, **self._job.environment},
        )

    def _job_bytes(self, result: int) -> bytes:
        sizes = [len(part) for part in self._job.parts]
        header = {"result_fd": result, "sizes": sizes, "memory": self._job.memory}
        lines = "".join(json.dumps(line) + "\n" for line in (list(self._job.path), header))
        return b"".join([lines.encode(), *self._job.parts])

    def _attend(self, selector: selectors.BaseSelector, woken: int) -> bool:
        # Until the process has ended and its pipes are empty; True if its time was up.
        timed_out = False
        time_up = self._job.ends_at
        drained_at: Optional[float] = None
        while True:
            now = time.monotonic()
            if self._ended:
                drained_at = drained_at or now + DRAIN
                time_up = None
                if self._dropped or now >= drained_at or not any(key.fd != woken for key in _readers(selector)):
                    return timed_out
            elif time_up is not None and self._clock.left(time_up) == 0.0:
                time_up, timed_out = None, True
                self.stop()
            with self._lock:
                if self._kill_at is not None and now >= self._kill_at:
                    self._kill_at = None
                    self._signal(signal.SIGKILL)
                ends = [at - now for at in (self._kill_at, drained_at) if at is not None]
            left = None if time_up is None else self._clock.left(time_up)
            if left is not None:
                ends.append(min(left, MAX_SELECT))
            for key, _ in selector.select(max(0.0, min(ends)) if ends else None):
                key.data(key.fd)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        if hasattr(os, "waitid"):
            # Not reaped yet, so the group's number can't have been given away when it is signaled below.
            with suppress(ChildProcessError):  # The program ignores SIGCHLD.
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        else:  # macOS before Python 3.13
            process.wait()
        with self._lock:
            self._signal(signal.SIGKILL)
            self._reaper.forget(process.pid)
            process.wait()
            self._process = None
            os.write(self._wake, b"e")

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _take_wake(self, data: bytes) -> None:
        self._ended = self._ended or b"e" in data
        if b"p" in data and self._talk is not None:
            self._talk.attend()

    def _look(self) -> None:
        # The devbox's clock was changed.
        with self._lock:
            if self._process is not None:
                os.write(self._wake, b"t")

    def _take_log(self, data: bytes) -> None:
        self._log += data
        end = self._log.rfind(b"\n") + 1
        if not end and len(self._log) > MAX_LINE:
            # Too long to wait for its end: told in pieces, and not in the midst of a character.
            end = next((at for at in range(MAX_LINE, MAX_LINE - 4, -1) if self._log[at] & 0xC0 != 0x80), MAX_LINE)
        if end:
            lines = _lines(bytes(self._log[:end]))
            del self._log[:end]
            self._on_lines(lines)

    def _take_message(self, data: bytes) -> None:
        for kind, body in self._told.of(data):
            if kind == RUNNING:
                self._on_running()
            elif kind == REPORT:
                self._on_report(body)
            elif kind in (OUTPUTS, ERROR):
                if kind == OUTPUTS:
                    self._outputs = body
                else:
                    self._error = json.loads(body)
                with self._lock:
                    self._kill_at = self._kill_at or time.monotonic() + AFTERMATH
            elif self._talk is not None and self._outputs is None and self._error is None:
                # What its threads still want after its end comes too late.
                self._talk.take(kind, body)


def _readers(selector: selectors.BaseSelector) -> list[selectors.SelectorKey]:
    return [key for key in selector.get_map().values() if key.events & selectors.EVENT_READ]


def _lines(log: bytes) -> list[str]:
    lines = log.decode(errors="replace").split("\n")
    if not lines[-1]:
        lines.pop()
    return [
        line[start : start + MAX_LINE] for line in lines for start in (range(0, len(line), MAX_LINE) if line else (0,))
    ]
