"""Waiting for many runs at once: up to 200 of them in one question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable, Optional, Union

from flyte_lite import _session
from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._console import Progress
from flyte_lite._session import Session
from flyte_lite.errors import CallError, NotFoundError, WaitTimeoutError
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.idl.google.protobuf import timestamp_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote._action_details import ROOT, get_details, summary
from flyte_lite.remote._listing import MOST
from flyte_lite.remote._run import Run
from flyte_lite.remote._statuses import can_name_several, listed, place_of
from flyte_lite.remote._waiting import PATIENCE, Patience, Poll, check_lengths

_BELIEVED = 3
"""Rounds without a run after which it is asked for by its name."""
_BY_NAME = 5
"""Runs of a project that are asked for by name in one round, at most."""


def wait_all(
    runs: Iterable[Union[Run, str]],
    *,
    timeout: Optional[float] = None,
    quiet: Optional[bool] = None,
    interval: Optional[float] = None,
    patience: float = PATIENCE,
) -> list[Run]:
    """Block until all of these runs have ended, however they ended, and give them in the order given.

        for run in flyte_lite.wait_all([flyte_lite.run(task, x=x) for x in range(500)]):
            run.raise_for_status()

    A failed run raises nothing here, so that the others are not lost: `phase` and `raise_for_status` tell. The pace is
    that of `Run.wait`, and a round costs one request for each 200 runs of a project that have not ended. Runs may be of
    several projects, clients and servers; one that is given twice is in the result twice. Ctrl-C ends the waiting, not
    the runs.

    Args:
        runs: The runs; a text is the name of one in the session's project and domain. They follow what is seen.
        timeout: Seconds to wait in all; None waits for ever.
        quiet: True shows nothing, False always shows how many are in which phase on stderr, None only on a terminal.
        interval: Seconds between rounds, 0.1 or more; None asks ever less often.
        patience: Seconds that an outage may last: of nothing but failures, of the kind that passes by itself, after
            which the last one is raised. It is also how long a run may be missing in what a server shows.

    Raises:
        TypeError: Something else than runs and names is given.
        ValueError: An argument is not what it may be.
        NotFoundError: There is no run of a name, or one that there was is gone.
        WaitTimeoutError: `timeout` passed; the runs go on, and those that have ended know it.
        CanceledError: The token of one of their sessions was canceled; the runs go on.
        CallError: A server could not be asked, for all of `patience` or for a reason that will not pass.

    RPC:
        flyteidl2.workflow.RunService/ListRuns
    """
    return Completion(None, runs, timeout, interval, patience, "wait_all").all(quiet)


def as_completed(
    runs: Iterable[Union[Run, str]],
    *,
    timeout: Optional[float] = None,
    interval: Optional[float] = None,
    patience: float = PATIENCE,
) -> Iterator[Run]:
    """Each of these runs as it ends, however it ended; see `wait_all`.

    Those that are known to have ended come first. An object that is given twice comes once.

    Args:
        runs: The runs; a text is the name of one in the session's project and domain.
        timeout: Seconds from now until the last one; None waits for ever.
        interval: Seconds between rounds, 0.1 or more; None asks ever less often.
        patience: Seconds that an outage may last; see `wait_all`.

    Raises:
        TypeError: Something else than runs and names is given.
        ValueError: An argument is not what it may be.
        NotFoundError: There is no run of a name, or one that there was is gone.
        WaitTimeoutError: `timeout` passed; the runs go on.
        CanceledError: The token of one of their sessions was canceled; the runs go on.
        CallError: A server could not be asked, for all of `patience` or for a reason that will not pass.

    RPC:
        flyteidl2.workflow.RunService/ListRuns
    """
    return Completion(None, runs, timeout, interval, patience, "as_completed").each()


class Completion:
    """Runs that are waited for together, from when it is made.

    Args:
        session: Where names are looked up; None is the default.
        runs: The runs and names.
        timeout: Seconds to wait in all.
        interval: Seconds between rounds; None asks ever less often.
        patience: Seconds that an outage may last.
        what: Who waits, for errors.
    """

    def __init__(
        self,
        session: Optional[Session],
        runs: Iterable[Union[Run, str]],
        timeout: Optional[float],
        interval: Optional[float],
        patience: float,
        what: str,
    ) -> None:
        check_lengths(timeout, interval, patience)
        if isinstance(runs, (str, Run)) or not isinstance(runs, Iterable):
            raise TypeError(f"{what} takes several runs, not {runs!r}; give a list of it, or use its wait()")
        self._interval = interval
        self._given: list[Run] = []
        self._places: dict[tuple[Any, ...], _Place] = {}
        named: dict[str, Run] = {}
        for each in runs:
            if isinstance(each, Run):
                self._given.append(each)
            elif isinstance(each, str):
                if each not in named:
                    named[each] = _unseen(each, session or _session.current(what))
                self._given.append(named[each])
            else:
                raise TypeError(f"{what} takes runs and names of runs, not {type(each).__name__}")
        unseen = {id(run) for run in named.values()}
        self._runs = list({id(run): run for run in self._given}.values())
        # As of now: one that its caller sees end meanwhile comes from the round that shows it, and not twice.
        self._ended = [run for run in self._runs if run.done()]
        for run in self._runs:
            if not run.done():
                self._place_of(run, patience).add(run, seen=id(run) not in unseen)
        sessions = [place.session for place in self._places.values()]
        self._tokens = list({id(each.cancel): each.cancel for each in sessions if each.cancel is not None}.values())
        # Whoever cancels one of several ends the whole wait.
        cancel = self._tokens[0] if len(self._tokens) == 1 else Cancel() if self._tokens else None
        self._deadline = Deadline(sessions[0].clock if sessions else SYSTEM_CLOCK, timeout, cancel)

    def all(self, quiet: Optional[bool]) -> list[Run]:
        """All that were given, once they have ended."""
        how = "they go on; Run.get(name).abort() ends one of them"
        with Progress(_many(len(self._runs)), self._deadline.clock, quiet, how) as progress:
            for _ in self._rounds(lambda: progress.show(self._counts())):
                pass
            progress.show(self._counts())
        return self._given

    def each(self) -> Iterator[Run]:
        """Each of them, as it ends."""
        yield from self._ended
        for ended in self._rounds(lambda: None):
            yield from ended

    def _rounds(self, seen: Callable[[], None]) -> Iterator[list[Run]]:
        """Those that have ended, round by round; `seen` is called after each."""
        deadline, places = self._deadline, list(self._places.values())
        poll = Poll(deadline, interval=self._interval)

        def ask() -> list[Run]:
            ended = [run for place in places for run in place.ask(deadline)]
            seen()
            return ended

        joined = self._tokens if len(self._tokens) > 1 else ()
        try:
            for token in joined:
                assert deadline.cancel is not None
                token.subscribe(deadline.cancel.cancel)
            while any(place.waiting for place in places):
                ended = poll.until(ask, bool)
                if ended is None:
                    pending = [name for place in places for name in place.waiting]
                    of = f"{len(pending)} of {_many(len(self._runs))}"
                    failure = next((place.failure for place in places if place.failure is not None), None)
                    seconds = deadline.seconds or 0.0
                    raise WaitTimeoutError(of, self._counts(), seconds, pending=pending, failure=failure)
                yield ended
        finally:
            for token in joined:
                assert deadline.cancel is not None
                token.unsubscribe(deadline.cancel.cancel)

    def _place_of(self, run: Run, patience: float) -> _Place:
        session, place = run._session, place_of(run.pb2.action.id.run)
        # Copies of a client that differ in nothing that matters here share their questions.
        which = (id(session.channel), id(session.cancel), session.timeout)
        key = (*which, place.organization, place.name, place.domain)
        if key not in self._places:
            self._places[key] = _Place(session, place, patience)
        return self._places[key]

    def _counts(self) -> str:
        counts: dict[ActionPhase, int] = {}
        for run in self._runs:
            counts[run.phase] = counts.get(run.phase, 0) + 1
        return ", ".join(f"{counts[phase]} {phase}" for phase in ActionPhase if phase in counts)


class _Absent:
    """A run that the server does not show.

    Attributes:
        rounds: For how many.
        patience: How long that is waited out.
    """

    def __init__(self, patience: Patience) -> None:
        self.rounds = 0
        self.patience = patience


class _Place:
    """The runs of one project that are waited for through one session.

    Attributes:
        session: Whom to ask.
        waiting: Those that have not ended, by name; there may be several objects for one.
        failure: Of the last round; None if it was answered.
    """

    def __init__(self, session: Session, place: identifier_pb2.ProjectIdentifier, patience: float) -> None:
        self.session = session
        self.waiting: dict[str, list[Run]] = {}
        self.failure: Optional[CallError] = None
        self._place = place
        self._seconds = patience
        self._patience = Patience(session.clock, patience)
        self._unseen: set[str] = set()
        self._absent: dict[str, _Absent] = {}

    def add(self, run: Run, *, seen: bool) -> None:
        """Wait for a run; `seen` is False if nobody knows whether it exists."""
        self.waiting.setdefault(run.name, []).append(run)
        if not seen:
            self._unseen.add(run.name)

    def ask(self, deadline: Deadline) -> list[Run]:
        """One round: those that have ended since the last one.

        Raises:
            CallError: A failure that is not waited out.
        """
        names = list(self.waiting)
        ended: list[Run] = []
        size = MOST if can_name_several(self.session) else len(names)
        for begin in range(0, len(names), size or 1):
            some = names[begin : begin + size]
            try:
                shown = listed(self.session, self._place, some, self._since(some), self.session.part_of(deadline))
            except CallError as error:
                if self._patience.covers(error):
                    if not deadline.expired:
                        self.failure = error
                    # One question a round finds out whether the outage is over.
                    return ended
                raise
            self._patience.answered()
            self.failure = None
            ended += self._seen(some, shown)
        return ended + self._ask_by_name(deadline)

    def _seen(self, asked: Sequence[str], shown: Sequence[run_definition_pb2.Run]) -> list[Run]:
        found = {run.action.id.run.name: run.action for run in shown}
        ended: list[Run] = []
        for name in asked:
            if name in found:
                self._absent.pop(name, None)
                ended += self._follow(name, found[name])
            else:
                # Not believed at once: an overloaded server does not see what exists.
                if name not in self._absent:
                    seen = name not in self._unseen
                    self._absent[name] = _Absent(Patience(self.session.clock, self._seconds, seen=seen))
                self._absent[name].rounds += 1
        return ended

    def _ask_by_name(self, deadline: Deadline) -> list[Run]:
        ended: list[Run] = []
        for name in [name for name, absent in self._absent.items() if absent.rounds >= _BELIEVED][:_BY_NAME]:
            # To the end, so that each has its turn.
            absent = self._absent[name] = self._absent.pop(name)
            root = self.waiting[name][0].pb2.action.id
            try:
                details = get_details(self.session, root, self.session.part_of(deadline))
            except CallError as error:
                patience = absent.patience if isinstance(error, NotFoundError) else self._patience
                if not patience.covers(error):
                    raise
                continue
            absent.patience.answered()
            ended += self._follow(name, summary(details))
        return ended

    def _follow(self, name: str, action: run_definition_pb2.Action) -> list[Run]:
        self._unseen.discard(name)
        runs = self.waiting[name]
        for run in runs:
            run.pb2.action.status.CopyFrom(action.status)
            if not run.pb2.action.HasField("metadata"):
                run.pb2.action.metadata.CopyFrom(action.metadata)
        if not runs[0].done():
            return []
        self._absent.pop(name, None)
        return self.waiting.pop(name)

    def _since(self, names: Sequence[str]) -> Optional[timestamp_pb2.Timestamp]:
        statuses = (self.waiting[name][0].pb2.action.status for name in names)
        starts = [status.start_time for status in statuses if status.HasField("start_time")]
        return min(starts, key=lambda start: start.seconds, default=None)


def _unseen(name: str, session: Session) -> Run:
    root = identifier_pb2.ActionIdentifier(run=session.scope.run_id(name), name=ROOT)
    return Run(run_definition_pb2.Run(action=run_definition_pb2.Action(id=root)), session)


def _many(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"
