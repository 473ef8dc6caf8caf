"""When an action was in which phase, as its attempts tell."""

from __future__ import annotations

import datetime
from abc import ABC, abstractmethod
from typing import Optional

from flyte_lite._session import Session
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.idl.google.protobuf import timestamp_pb2
from flyte_lite.models import ActionPhase, PhaseTransitionInfo
from flyte_lite.remote._attempts import told_of

_NONE = datetime.timedelta(0)


class HasTimes(ABC):
    """What has attempts, and phases in each of them: the details of an action."""

    _session: Session

    @property
    @abstractmethod
    def _timed(self) -> run_definition_pb2.ActionDetails: ...

    @property
    def runtime(self) -> datetime.timedelta:
        """From its start to its end, or until now if it has not ended; 0 if the server tells no start."""
        pb2 = self._timed
        if not pb2.status.HasField("start_time"):
            return _NONE
        start = _when(pb2.status.start_time)
        if not ActionPhase.from_protobuf(pb2.status.phase).is_terminal:
            # An end that is told all the same is that of an earlier attempt.
            now = datetime.datetime.fromtimestamp(self._session.clock.time(), datetime.timezone.utc)
            return max(_NONE, now - start)
        # After a retry the status keeps the end of the first failure; the last attempt knows better.
        ends = [_when(attempt.end_time) for attempt in pb2.attempts[-1:] if attempt.HasField("end_time")]
        if pb2.status.HasField("end_time"):
            ends.append(_when(pb2.status.end_time))
        if not ends:
            return datetime.timedelta(milliseconds=pb2.status.duration_ms)
        return max(_NONE, max(ends) - start)

    def get_phase_transitions(self, attempt: Optional[int] = None) -> list[PhaseTransitionInfo]:
        """The phases that an attempt went through, in their order; none if there is no such attempt.

        Args:
            attempt: From 1; None is the last one.
        """
        found = self._attempt(attempt)
        if found is None:
            return []
        return [
            PhaseTransitionInfo(
                ActionPhase.from_protobuf(each.phase),
                _when(each.start_time),
                _when(each.end_time) if each.HasField("end_time") else None,
                clock=self._session.clock,
            )
            for each in found.phase_transitions
        ]

    @property
    def phase_durations(self) -> dict[ActionPhase, datetime.timedelta]:
        """How long the last attempt was in each phase; the one that it is in counts until now."""
        durations: dict[ActionPhase, datetime.timedelta] = {}
        for each in self.get_phase_transitions():
            durations[each.phase] = durations.get(each.phase, _NONE) + each.duration
        return durations

    @property
    def queued_time(self) -> Optional[datetime.timedelta]:
        """How long the last attempt was QUEUED; None if it never was."""
        return self.phase_durations.get(ActionPhase.QUEUED)

    @property
    def waiting_for_resources_time(self) -> Optional[datetime.timedelta]:
        """How long the last attempt was WAITING_FOR_RESOURCES; None if it never was."""
        return self.phase_durations.get(ActionPhase.WAITING_FOR_RESOURCES)

    @property
    def initializing_time(self) -> Optional[datetime.timedelta]:
        """How long the last attempt was INITIALIZING; None if it never was."""
        return self.phase_durations.get(ActionPhase.INITIALIZING)

    @property
    def running_time(self) -> Optional[datetime.timedelta]:
        """How long the last attempt was RUNNING; None if it never was."""
        return self.phase_durations.get(ActionPhase.RUNNING)

    def logs_available(self, attempt: Optional[int] = None) -> bool:
        """True if an attempt's log can be asked for.

        Args:
            attempt: From 1; None is the last one.
        """
        found = self._attempt(attempt)
        return found is not None and found.logs_available

    def _attempt(self, number: Optional[int]) -> Optional[run_definition_pb2.ActionAttempt]:
        if number is not None:
            return told_of(self._timed, number)
        attempts = self._timed.attempts
        return attempts[-1] if attempts else None


def _when(at: timestamp_pb2.Timestamp) -> datetime.datetime:
    return at.ToDatetime(tzinfo=datetime.timezone.utc)
