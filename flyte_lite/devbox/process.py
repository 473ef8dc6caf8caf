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
from typing import Callable, NamedTuple, Optional

from flyte_lite.devbox.worker import BOOT, ERROR, FRAME, OUTPUTS, RUNNING

# Seconds that a process may take to end: after SIGTERM, and after it told its result.
GRACE = 0.4
AFTERMATH = 2.0
# Seconds that what it left behind in other process groups may go on holding its stdout open.
DRAIN = 1.0
# Bytes; a longer line is cut into several.
MAX_LINE = 1 << 18


class Job(NamedTuple):
    """What a worker is to do.

    Attributes:
        path: The module path, first to last.
        parts: The pickled function, `Inputs` and `TypedInterface`.
        environment: Added to ours.
        timeout: Seconds from start to end; None is no limit.
    """

    path: Sequence[str]
    parts: Sequence[bytes]
    environment: Mapping[str, str]
    timeout: Optional[float]


class Ending(NamedTuple):
    """How it went. At most one of `outputs` and `error` is there; without either the process died without a word.

    Attributes:
        outputs: An `Outputs`.
        error: With `code` and `message`.
        status: As of `subprocess`: the exit code, or minus the signal.
        timed_out: True if it was stopped because of its timeout.
    """

    outputs: Optional[bytes]
    error: Optional[Mapping[str, str]]
    status: int
    timed_out: bool


class WorkerProcess:
    """A process that is about to run.

    Args:
        job: What it is to do.
        on_running: Called when the task's own code is about to run.
        on_lines: Called with new log lines, without their ends.
    """

    def __init__(self, job: Job, on_running: Callable[[], None], on_lines: Callable[[list[str]], None]) -> None:
        self._job = job
        self._on_running = on_running
        self._on_lines = on_lines
        # Guards what `stop` touches: the process, which is None before its start and once it was reaped.
        self._lock = threading.Lock()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._stopped = False
        self._kill_at: Optional[float] = None
        self._wake = -1
        self._ended = False
        self._log = b""
        self._told = b""
        self._outputs: Optional[bytes] = None
        self._error: Optional[Mapping[str, str]] = None

    def run(self) -> Optional[Ending]:
        """Start it and stay with it to its end; None if `stop` came before the start."""
        with ExitStack() as cleanup, selectors.DefaultSelector() as selector:
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
            unsent = self._job_bytes(result_write)

            def feed(_: int) -> None:
                nonlocal unsent
                try:
                    unsent = unsent[os.write(stdin.fileno(), unsent) :]
                except BrokenPipeError:
                    unsent = unsent[:0]
                if not unsent:
                    # Left open: this is the leash, and its end would be the worker's end.
                    selector.unregister(stdin)

            def reader(take: Callable[[bytes], None]) -> Callable[[int], None]:
                def read(fd: int) -> None:
                    data = os.read(fd, 1 << 16)
                    if data:
                        take(data)
                    else:
                        selector.unregister(fd)

                return read

            os.set_blocking(stdin.fileno(), False)
            selector.register(stdin, selectors.EVENT_WRITE, feed)
            selector.register(stdout.fileno(), selectors.EVENT_READ, reader(self._take_log))
            selector.register(result, selectors.EVENT_READ, reader(self._take_message))
            selector.register(woken, selectors.EVENT_READ, reader(self._take_wake))
            timed_out = self._attend(selector, woken)
            if self._log:
                self._on_lines([self._log.decode(errors="replace")])
            return Ending(self._outputs, self._error, process.returncode, timed_out)

    def stop(self, at_once: bool = False) -> None:
        """End it and all that it started, from any thread: SIGTERM, and soon after SIGKILL.

        Args:
            at_once: SIGKILL right away.
        """
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._signal(signal.SIGKILL if at_once else signal.SIGTERM)
                self._kill_at = time.monotonic() + GRACE
                os.write(self._wake, b"s")

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

    def _job_bytes(self, result: int) -> memoryview:
        header = {"result_fd": result, "sizes": [len(part) for part in self._job.parts]}
        lines = "".join(json.dumps(line) + "\n" for line in (list(self._job.path), header))
        return memoryview(b"".join([lines.encode(), *self._job.parts]))

    def _attend(self, selector: selectors.BaseSelector, woken: int) -> bool:
        # Until the process has ended and its pipes are empty; True if its time was up.
        timed_out = False
        now = time.monotonic()
        time_up = None if self._job.timeout is None else now + self._job.timeout
        drained_at: Optional[float] = None
        while True:
            if self._ended:
                drained_at = drained_at or now + DRAIN
                time_up = None
                if now >= drained_at or not any(key.fd != woken for key in _readers(selector)):
                    return timed_out
            elif time_up is not None and now >= time_up:
                time_up, timed_out = None, True
                self.stop()
            with self._lock:
                if self._kill_at is not None and now >= self._kill_at:
                    self._kill_at = None
                    self._signal(signal.SIGKILL)
                ends = [at for at in (self._kill_at, time_up, drained_at) if at is not None]
            for key, _ in selector.select(max(0.0, min(ends) - now) if ends else None):
                key.data(key.fd)
            now = time.monotonic()

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        if hasattr(os, "waitid"):
            # Not reaped yet, so the group's number can't have been given away when it is signaled below.
            with suppress(ChildProcessError):  # The program ignores SIGCHLD.
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        else:  # macOS before Python 3.13
            process.wait()
        with self._lock:
            self._signal(signal.SIGKILL)
            process.wait()
            self._process = None
            os.write(self._wake, b"e")

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _take_wake(self, data: bytes) -> None:
        self._ended = self._ended or b"e" in data

    def _take_log(self, data: bytes) -> None:
        *lines, self._log = (self._log + data).split(b"\n")
        while len(self._log) > MAX_LINE:
            lines.append(self._log[:MAX_LINE])
            self._log = self._log[MAX_LINE:]
        if lines:
            self._on_lines([line.decode(errors="replace") for line in lines])

    def _take_message(self, data: bytes) -> None:
        self._told += data
        while len(self._told) >= FRAME.size:
            kind, size = FRAME.unpack_from(self._told)
            body = self._told[FRAME.size : FRAME.size + size]
            if len(body) < size:
                return
            self._told = self._told[FRAME.size + size :]
            if kind == RUNNING:
                self._on_running()
                continue
            if kind == OUTPUTS:
                self._outputs = body
            elif kind == ERROR:
                self._error = json.loads(body)
            with self._lock:
                self._kill_at = self._kill_at or time.monotonic() + AFTERMATH


def _readers(selector: selectors.BaseSelector) -> list[selectors.SelectorKey]:
    return [key for key in selector.get_map().values() if key.events & selectors.EVENT_READ]
