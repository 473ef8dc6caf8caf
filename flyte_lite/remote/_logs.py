"""Logs: what a task prints, line by line while it runs."""

from __future__ import annotations

import datetime
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Literal, Optional

from flyte_lite._clock import Deadline
from flyte_lite._console import LogView
from flyte_lite._session import Session
from flyte_lite.idl.flyteidl2.logs.dataplane import payload_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.remote import _attempts
from flyte_lite.remote._waiting import PATIENCE, check_lengths

if TYPE_CHECKING:
    from flyte_lite.remote._log_tail import LogTail

_SYSTEM = 2  # flyteidl2.logs.dataplane.LogLineOriginator
# What would move the cursor: bell, backspace, tab and page down the page, back to the line's start.
_CONTROLS = dict.fromkeys(map(ord, "\a\b\v\f\r"))


class HasLogs(ABC):
    """What writes a log: an action, and a run, whose log is that of its root action."""

    _session: Session

    @property
    @abstractmethod
    def _step(self) -> run_definition_pb2.Action:
        """The message of the action."""

    def get_logs(
        self,
        attempt: Optional[int] = None,
        filter_system: bool = False,
        show_ts: bool = False,
        *,
        timeout: Optional[float] = None,
    ) -> Generator[str, None, None]:
        """The lines of the log, as they are written; it ends when the action has ended.

            for line in run.get_logs():
                print(line)

        A log that is not there yet is waited for. A lost connection, an outage of up to 5 minutes or a stream that ends
        too soon is mended, and each line comes once. Where lines may be missing all the same, as the server keeps only
        so many, `LogGapWarning` says so, and it goes on. Ctrl-C ends the reading, not the run. Hosted servers never end
        a log: there it ends after 10 s of silence, once the action has ended.

        Args:
            attempt: That attempt alone, from 1. None is the newest one, and those that follow if it fails.
            filter_system: Leave out what the platform wrote, and lines with "[flyte]".
            show_ts: Put the time before each line, in UTC, such as "[2026-11-21T12:00:00.123456+00:00] ".
            timeout: Seconds from this call to the last line; None has no end.

        Returns:
            Lines without their line ends, and without characters that move a terminal's cursor. Closing it ends it.

        Raises:
            ValueError: There is no such attempt, or `timeout` is no length of time.
            LogsNotYetAvailableError: There is no log, and the action has ended or `timeout` has passed; it says why.
            WaitTimeoutError: `timeout` passed in the middle of the log.
            CanceledError: The session's token was canceled.
            CallError: The server could not be asked, for 5 minutes or for a reason that will not pass.

        RPC:
            flyteidl2.dataproxy.DataProxyService/TailLogs
        """
        tail = self._tail(attempt, timeout)
        return _texts(tail, filter_system, show_ts)

    def show_logs(
        self,
        attempt: Optional[int] = None,
        max_lines: int = 30,
        show_ts: bool = False,
        raw: bool = False,
        filter_system: bool = False,
        *,
        timeout: Optional[float] = None,
    ) -> None:
        """Print the log to stdout as it is written, until the action has ended.

        On a terminal with `rich` installed, a window of the last lines; elsewhere all of them.

        Args:
            attempt: See `get_logs`.
            max_lines: Lines of that window.
            show_ts: See `get_logs`.
            raw: Print all lines in any case.
            filter_system: See `get_logs`.
            timeout: See `get_logs`.

        Raises:
            ValueError: An argument is not what it may be.
            LogsNotYetAvailableError, WaitTimeoutError, CanceledError, CallError: See `get_logs`.

        RPC:
            flyteidl2.dataproxy.DataProxyService/TailLogs
        """
        if not isinstance(max_lines, int) or max_lines < 1:
            raise ValueError(f"max_lines is {max_lines!r}; give 1 or more")
        tail = self._tail(attempt, timeout)
        with LogView(None if raw else max_lines, self._session.clock) as view:
            for batch in tail.batches():
                for line in batch:
                    writer = written_by(line)
                    if not filter_system or writer == "user":
                        view.show(text_of(line, show_ts), writer)
                view.draw()

    def _tail(self, attempt: Optional[int], timeout: Optional[float]) -> LogTail:
        # Not everybody reads logs.
        from flyte_lite.remote._log_tail import LogTail

        _attempts.check(attempt)
        check_lengths(timeout, None, PATIENCE)
        session = self._session
        return LogTail(session, self._step, attempt, Deadline(session.clock, timeout, session.cancel))


class HasRunLog(HasLogs):
    """The same, with a larger window."""

    def show_logs(
        self,
        attempt: Optional[int] = None,
        max_lines: int = 100,
        show_ts: bool = False,
        raw: bool = False,
        filter_system: bool = False,
        *,
        timeout: Optional[float] = None,
    ) -> None:
        super().show_logs(attempt, max_lines, show_ts, raw, filter_system, timeout=timeout)


def _texts(tail: LogTail, filter_system: bool, show_ts: bool) -> Generator[str, None, None]:
    with closing(tail.batches()) as batches:
        for batch in batches:
            for line in batch:
                if not filter_system or written_by(line) == "user":
                    yield text_of(line, show_ts)


def text_of(line: payload_pb2.LogLine, show_ts: bool = False) -> str:
    """A line as it is shown."""
    # Hosted servers send it with its end.
    text = line.message.removesuffix("\n")
    if not text.isprintable():
        text = text.translate(_CONTROLS)
    if show_ts and line.HasField("timestamp"):
        at = line.timestamp.ToDatetime(tzinfo=datetime.timezone.utc)
        return f"[{at.isoformat(timespec='microseconds')}] {text}"
    return text


def written_by(line: payload_pb2.LogLine) -> Literal["system", "runtime", "user"]:
    """The platform, its runtime within the task, or the user, to whom errors belong that the runtime tells of."""
    if line.originator == _SYSTEM:
        return "system"
    return "runtime" if "[flyte]" in line.message and "flyte.errors" not in line.message else "user"
