"""Waiting for a run or an action, and watching it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, Optional

from flyte_lite._clock import Deadline
from flyte_lite._console import Progress
from flyte_lite._session import Session
from flyte_lite.errors import WaitTimeoutError
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote._action_details import ROOT, ActionDetails, called, changes, get_details
from flyte_lite.remote._waiting import PATIENCE, Patience, Poll, check_lengths

WaitFor = Literal["terminal", "running", "logs-ready"]

_STARTED = (ActionPhase.RUNNING, ActionPhase.PAUSED)


class Watched(ABC):
    """What can be waited for: a run, an action."""

    _session: Session

    @property
    @abstractmethod
    def _step(self) -> run_definition_pb2.Action:
        """The message that follows what is seen."""

    def wait(
        self,
        quiet: Optional[bool] = None,
        wait_for: WaitFor = "terminal",
        *,
        timeout: Optional[float] = None,
        interval: Optional[float] = None,
        patience: float = PATIENCE,
    ) -> None:
        """Block until it has ended, however it ended: `phase` tells how, and `raise_for_status` of a run.

        Asks at once, unless what is known is an end; then after 0.2 s, later every 5 % of the time waited, at most
        every 10 s. Ctrl-C ends the waiting, not the run.

        Args:
            quiet: True shows nothing, False always shows the phases on stderr, None shows them on a terminal.
            wait_for: "running" is content with what has started, "logs-ready" with a log that can be asked for. An end
                is enough for each of them.
            timeout: Seconds to wait in all; None waits for ever.
            interval: Seconds between questions, 0.1 or more, in place of those above.
            patience: Seconds that an outage may last: of nothing but failures, of the kind that passes by itself, after
                which the last one is raised.

        Raises:
            ValueError: An argument is not what it may be.
            WaitTimeoutError: `timeout` passed; the run goes on.
            CanceledError: The session's token was canceled; the run goes on.
            CallError: The server could not be asked, for all of `patience` or for a reason that will not pass.

        RPC:
            flyteidl2.workflow.RunService/ListRuns for a run; flyteidl2.workflow.RunService/GetActionDetails for a
            child, and for "logs-ready"
        """
        # Not everybody waits.
        from flyte_lite.remote._statuses import status_of

        _check(wait_for, timeout, interval, patience)
        session, step = self._session, self._step
        deadline = Deadline(session.clock, timeout, session.cancel)
        with Progress(called(step.id), session.clock, quiet, _how_to_abort(step.id)) as progress:

            def is_enough() -> bool:
                phase = ActionPhase.from_protobuf(step.status.phase)
                progress.show(phase)
                return phase.is_terminal or (wait_for == "running" and phase in _STARTED)

            def ask() -> bool:
                within = session.part_of(deadline)
                if wait_for != "logs-ready":
                    step.status.CopyFrom(status_of(session, step.id, within))
                    return is_enough()
                details = ActionDetails(get_details(session, step.id, within), session)
                step.status.CopyFrom(details.status)
                return is_enough() or details.logs_available()

            if is_enough():
                return
            poll = Poll(deadline, interval=interval)
            if poll.until(ask, bool, Patience(session.clock, patience)) is None:
                phase = ActionPhase.from_protobuf(step.status.phase)
                raise WaitTimeoutError(called(step.id), phase, deadline.seconds or 0.0, failure=poll.failure)

    def watch(
        self,
        cache_data_on_done: bool = False,
        wait_for: WaitFor = "terminal",
        *,
        timeout: Optional[float] = None,
        interval: Optional[float] = None,
        patience: float = PATIENCE,
    ) -> Iterator[ActionDetails]:
        """The details of the action, of a run's root action, as they are, then again with each change until its end.

        By the same questions as `wait`: an outage is waited out, and nothing is told twice; of changes that follow each
        other quickly, the last one is told. This object follows what is told.

        Args:
            cache_data_on_done: Ask for inputs and outputs once it has ended, so that `inputs` and `outputs` of what is
                told last need not.
            wait_for: "running" and "logs-ready" end it sooner; see `wait`.
            timeout: Seconds to watch in all; None watches to the end.
            interval: Seconds between questions, 0.1 or more; None asks ever less often.
            patience: Seconds that an outage may last; see `wait`.

        Raises:
            ValueError: An argument is not what it may be.
            WaitTimeoutError: `timeout` passed; the run goes on.
            CanceledError: The session's token was canceled; the run goes on.
            CallError: The server could not be asked, for all of `patience` or for a reason that will not pass.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails, and flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        _check(wait_for, timeout, interval, patience)
        session = self._session
        deadline = Deadline(session.clock, timeout, session.cancel)
        told = changes(
            session, self._step.id, deadline, interval, Patience(session.clock, patience), cache_data_on_done
        )
        return self._following(told, wait_for)

    def _following(self, told: Iterator[ActionDetails], wait_for: WaitFor) -> Iterator[ActionDetails]:
        step = self._step
        for details in told:
            step.status.CopyFrom(details.status)
            step.metadata.CopyFrom(details.metadata)
            # Before it is handed out, as whoever gets it may change it.
            enough = (wait_for == "running" and details.phase in _STARTED) or (
                wait_for == "logs-ready" and details.logs_available()
            )
            yield details
            if enough:
                return


def _check(wait_for: WaitFor, timeout: Optional[float], interval: Optional[float], patience: float) -> None:
    if wait_for not in ("terminal", "running", "logs-ready"):
        raise ValueError(f'wait_for is {wait_for!r}; it is "terminal", "running" or "logs-ready"')
    check_lengths(timeout, interval, patience)


def _how_to_abort(action: identifier_pb2.ActionIdentifier) -> str:
    run = action.run.name
    if action.name == ROOT:
        return f"it goes on; Run.get({run!r}).abort() ends it"
    return f"it goes on; Action.get(run_name={run!r}, name={action.name!r}).abort() ends it"
