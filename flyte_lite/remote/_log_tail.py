"""The log of an action, followed to its end through whatever happens to the stream.

A stream of a log may break, fall silent, or end cleanly in the middle: its end proves nothing. So the log is over only
when the action is, and a stream that was opened after that has told all that there is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Optional, TypeVar

from flyte_lite._clock import Deadline
from flyte_lite._clusters import Route
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import (
    CallError,
    CallTimeoutError,
    Code,
    LogGapWarning,
    LogsNotYetAvailableError,
    NotFoundError,
    UnavailableError,
    WaitTimeoutError,
)
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.logs.dataplane import payload_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import _attempts
from flyte_lite.remote._action_details import called, get_details
from flyte_lite.remote._log_replay import LogReplay
from flyte_lite.remote._waiting import PATIENCE, Patience, Poll

if TYPE_CHECKING:
    from flyte_lite._rpc.call import Stream

T = TypeVar("T")

_TAIL_LOGS: Method[dataproxy_service_pb2.TailLogsRequest, dataproxy_service_pb2.TailLogsResponse] = Method(
    dataproxy_service_pb2, "DataProxyService", "TailLogs", safe=True
)
_OPERATION_TAIL_LOGS = 6

IDLE = 10.0
"""Seconds without a byte after which it is asked whether the action still runs; twice as many after each silence."""
IDLE_FIRST = 30.0
"""The same for a first line that is there, but must be fetched from where a hosted server keeps it."""
IDLE_MOST = 60.0
AGAIN = 1.0
"""Seconds after a clean end until the log of an action that still runs is opened again; twice as many each time."""
AGAIN_MOST = 60.0
BELIEVED = 2.0
"""Seconds for which NOT_FOUND must be told after the end, as an overloaded server says it of what is there."""
_TRIES = 3
_FRAMES = 5  # from `_warn` to whoever goes through the lines

_NOT_STARTED = (ActionPhase.QUEUED, ActionPhase.WAITING_FOR_RESOURCES, ActionPhase.INITIALIZING)
_TRACE = 2  # flyteidl2.workflow.ActionType
_CACHE_HIT = 2  # flyteidl2.core.CatalogCacheStatus

Lines = list["payload_pb2.LogLine"]


class _Found(NamedTuple):
    """What a look for the log found.

    Attributes:
        stream: None if there is none, and will be none.
        over: True if the attempt was over before the stream was opened.
    """

    stream: Optional[Stream[dataproxy_service_pb2.TailLogsResponse]]
    over: bool


class LogTail:
    """The lines of an action's log, each once, in order.

    Args:
        session: Where to ask.
        action: Of which action, as far as it is known.
        attempt: That attempt alone; None is the newest one and those that follow it.
        deadline: The end of it all.
    """

    def __init__(
        self, session: Session, action: run_definition_pb2.Action, attempt: Optional[int], deadline: Deadline
    ) -> None:
        self._session = session
        self._action = action.id
        self._known = _attempts.ended(action)
        self._asked = attempt
        self._deadline = deadline
        self._name = called(action.id)
        self._phase: Optional[ActionPhase] = None
        self._newest = 0
        self._any = False  # whether an attempt before this one had a log
        self._begin(attempt or 0)

    def _begin(self, attempt: int) -> None:
        self._attempt = attempt
        self._replay = LogReplay()
        self._opened = False
        self._ends = 0  # streams in a row that came to a clean end, and told nothing new but for the first
        self._ended = 0.0  # when the last one of them did
        self._over: Optional[float] = None  # since when the attempt is known to be over
        self._missing: Optional[float] = None  # since when NOT_FOUND is told
        self._said = ""  # what the server said last of why there is no log
        self._tries = 0
        self._came()

    def _came(self) -> None:
        """Something new came, so whatever was waited for is over."""
        self._idle = IDLE
        self._again = AGAIN
        self._not_before = 0.0
        self._poll = Poll(self._deadline)
        self._patience = Patience(self._deadline.clock, PATIENCE)

    def batches(self) -> Generator[Lines, None, None]:
        """Lines as they come, one or more at a time.

        Raises:
            ValueError: There is no such attempt.
            LogsNotYetAvailableError: There is no log, and the action or the deadline has ended.
            WaitTimeoutError: The deadline passed.
            CanceledError: The deadline's token was canceled.
            CallError: See `flyte_lite.errors`.
        """
        while True:
            found = self._ask_until(self._look)
            ended = found.stream is None
            if found.stream is not None:
                ended = yield from self._read(found.stream, found.over)
            if found.over and ended and not self._next():
                return

    def _ask_until(self, ask: Callable[[], Optional[T]]) -> T:
        patience = Patience(self._deadline.clock, PATIENCE)
        answer = self._poll.until(ask, lambda answer: answer is not None, patience)
        if answer is None:
            self._out_of_time()
        return answer

    def _ask(self) -> run_definition_pb2.ActionDetails:
        session = self._session
        details, self._known = self._known, None
        if details is None:
            details = get_details(session, self._action, session.part_of(self._deadline))
        self._phase = ActionPhase.from_protobuf(details.status.phase)
        self._newest = count = _attempts.newest(details)
        if self._asked is not None and self._asked > max(count, 1):
            raise ValueError(
                f"{self._name} has no attempt {self._asked}; there {'is' if count == 1 else 'are'} {count} so far"
            )
        if not self._attempt:
            self._attempt = max(count, 1)
        return details

    def _look(self) -> Optional[_Found]:
        """Look for the log once; None is to look again later."""
        session = self._session
        details = self._ask()
        over = self._is_over(details)
        if over:
            if self._over is None:
                self._over = session.clock.monotonic()
            self._said = _why_none(details)
            if self._said:
                return _Found(None, over)
        elif session.clock.monotonic() < self._not_before or not self._may_have_begun(details):
            return None
        run = self._action.run
        try:
            stream = session.stream(
                _TAIL_LOGS,
                dataproxy_service_pb2.TailLogsRequest(action_id=self._action, attempt=self._attempt),
                deadline=self._deadline,
                idle=self._idle if self._opened or not over else max(self._idle, IDLE_FIRST),
                route=Route(_OPERATION_TAIL_LOGS, run.project, run.domain, self._action),
            )
        except NotFoundError as error:
            self._said = f"the server says: {error.message}"
            now = session.clock.monotonic()
            if self._missing is None:
                self._missing = now
            # What was told to its end need not be there any more.
            if over and (self._is_whole() or now - self._missing >= BELIEVED):
                return _Found(None, over)
            return None
        except CallTimeoutError:
            if self._deadline.over:
                raise
            self._idle = min(2 * self._idle, IDLE_MOST)
            if not over:
                return None
            self._opened = True  # and empty; hosted servers keep it open all the same
            self._end()
            return _Found(None, over)
        self._missing = None
        self._opened = True
        return _Found(stream, over)

    def _read(self, stream: Stream[dataproxy_service_pb2.TailLogsResponse], over: bool) -> Generator[Lines, None, bool]:
        """What is new in a stream; returns whether it told all that there was when it was opened."""
        replay = self._replay
        replay.opened()
        before = replay.count
        try:
            with stream:
                for message in stream:
                    for logs in message.logs:
                        lines = replay.fresh(logs.lines)
                        if replay.doubt:
                            self._warn(_NOT_TOGETHER)
                        if lines:
                            self._ends = 0
                            yield lines
        except CallError as error:
            if self._deadline.expired and not self._deadline.canceled:
                self._out_of_time()
            if replay.count > before:
                self._came()
            # Hosted servers keep it open after the end, and silent.
            ended = over and isinstance(error, CallTimeoutError)
            if isinstance(error, CallTimeoutError):
                self._idle = min(2 * self._idle, IDLE_MOST)
            elif self._deadline.canceled or not self._passes(error):
                raise
        else:
            ended = True
        if ended:
            lines = replay.ended()
            if replay.doubt:
                self._warn(_NOT_TOGETHER)
            if lines:
                yield lines
        if not ended:
            return False
        if replay.behind:
            self._tries += over
            return self._tries >= _TRIES
        if replay.count > before:
            self._came()
        self._end()
        return True

    def _end(self) -> None:
        """A stream told all that there was."""
        self._ends += 1
        self._ended = self._session.clock.monotonic()
        self._not_before = self._ended + self._again
        self._again = min(2 * self._again, AGAIN_MOST)

    def _is_whole(self) -> bool:
        """Whether all of the log has been read, for all that is known. (It is over.)

        So it is if it was read after the end, or to a clean end at the time of that. Or twice before it: a stream of
        what still runs does not end at once.
        """
        assert self._over is not None
        return self._ends > 1 or (self._ends == 1 and self._over - self._ended <= BELIEVED)

    def _passes(self, error: CallError) -> bool:
        """Whether the stream may be opened again after this error."""
        if error.code is Code.CANCELED:
            # That is what a server does which stops.
            error = UnavailableError(error.message, Code.UNAVAILABLE)
        return self._patience.covers(error)

    def _next(self) -> bool:
        """The log of the attempt has been read; True if there is another one to read, of the attempt that followed."""
        if self._opened and not self._is_whole():
            self._warn("its last lines can't be read any more")
        if self._any and not self._opened:
            self._warn(f"there is none of attempt {self._attempt}: {self._said}")
        self._any = self._any or self._opened
        if self._asked is None:
            follows = self._follows()
            if follows is None:
                self._poll = Poll(self._deadline)
                follows = self._ask_until(self._ask_what_follows)
            if follows:
                self._begin(self._attempt + 1)
                return True
        if not self._any:
            raise LogsNotYetAvailableError(f"{self._name} has no log; it is {self._phase}, and {self._said}")
        return False

    def _follows(self) -> Optional[bool]:
        """Whether another attempt follows; None if that is still open."""
        if self._newest > self._attempt:
            return True
        return False if self._phase is not None and self._phase.is_terminal else None

    def _ask_what_follows(self) -> Optional[bool]:
        self._ask()
        return self._follows()

    def _is_over(self, details: run_definition_pb2.ActionDetails) -> bool:
        attempt = _attempts.told_of(details, self._attempt)
        return (
            ActionPhase.from_protobuf(details.status.phase).is_terminal
            # What is told of an attempt runs ahead; but one that was followed by another stays as it was for ever.
            or (attempt is not None and ActionPhase.from_protobuf(attempt.phase).is_terminal)
            or _attempts.newest(details) > self._attempt
        )

    def _may_have_begun(self, details: run_definition_pb2.ActionDetails) -> bool:
        attempt = _attempts.told_of(details, self._attempt)
        if attempt is not None and attempt.logs_available:
            return True
        phase = details.status.phase if attempt is None else max(attempt.phase, details.status.phase)
        return ActionPhase.from_protobuf(phase) not in _NOT_STARTED

    def _out_of_time(self) -> NoReturn:
        seconds = self._deadline.seconds or 0.0
        if self._any or self._opened:
            raise WaitTimeoutError(f"the log of {self._name}", self._phase, seconds, failure=self._poll.failure)
        said = f"; {self._said}" if self._said else ""
        if self._poll.failure is not None:
            said += f"; the last question failed: {self._poll.failure}"
        state = f"it is {self._phase}" if self._phase else "its phase was never seen"
        raise LogsNotYetAvailableError(f"{self._name} has no log after {seconds:g} s: {state}{said}")

    def _warn(self, why: str) -> None:
        self._replay.doubt = False
        text = f"lines may be missing here in the log of {self._name}, attempt {self._attempt}: {why}"
        warnings.warn(text, LogGapWarning, stacklevel=_FRAMES)


_NOT_TOGETHER = (
    "after a break the server went on with lines that do not follow those it had told before; it may keep no more, or "
    "the task's container was started again"
)


def _why_none(details: run_definition_pb2.ActionDetails) -> str:
    """Why nothing of it can have written a log; "" if something may have."""
    if details.metadata.action_type == _TRACE:
        return "what is traced writes into the log of its parent"
    if details.status.cache_status == _CACHE_HIT:
        return "its result came from the cache, so nothing ran"
    return "" if _attempts.newest(details) else "no attempt of it was begun"
