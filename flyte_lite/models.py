"""Small public values that the object model speaks in."""

from __future__ import annotations

import enum

__all__ = ["ActionPhase"]


class ActionPhase(str, enum.Enum):
    """Where a run or an action is; equal to its lower-case name.

    `UNKNOWN` stands for a phase that the server did not tell or that is newer than this client; it never means the end.
    """

    QUEUED = "queued"
    WAITING_FOR_RESOURCES = "waiting_for_resources"
    INITIALIZING = "initializing"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    TIMED_OUT = "timed_out"
    RECOVERED = "recovered"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value

    # One text on every Python: before 3.12 a str enum formats now as its value, now as `ActionPhase.NAME`.
    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    @property
    def is_terminal(self) -> bool:
        """True if nothing follows."""
        return self in _TERMINAL

    @property
    def is_success(self) -> bool:
        """True if there is a result, made now or taken over from an earlier run."""
        return self in (ActionPhase.SUCCEEDED, ActionPhase.RECOVERED)

    def to_protobuf_name(self) -> str:
        """Name in `flyteidl2.common.ActionPhase`."""
        return f"ACTION_PHASE_{'UNSPECIFIED' if self is ActionPhase.UNKNOWN else self.name}"

    def to_protobuf_value(self) -> int:
        """Number in `flyteidl2.common.ActionPhase`."""
        return _NUMBERS[self]

    @classmethod
    def from_protobuf(cls, pb_phase: int) -> ActionPhase:
        """The phase of a number; `UNKNOWN` for one that we do not know."""
        return _BY_NUMBER.get(pb_phase, cls.UNKNOWN)


_NUMBERS = {
    ActionPhase.UNKNOWN: 0,
    ActionPhase.QUEUED: 1,
    ActionPhase.WAITING_FOR_RESOURCES: 2,
    ActionPhase.INITIALIZING: 3,
    ActionPhase.RUNNING: 4,
    ActionPhase.SUCCEEDED: 5,
    ActionPhase.FAILED: 6,
    ActionPhase.ABORTED: 7,
    ActionPhase.TIMED_OUT: 8,
    ActionPhase.PAUSED: 9,
    ActionPhase.RECOVERED: 10,
}
_BY_NUMBER = {number: phase for phase, number in _NUMBERS.items()}
_TERMINAL = frozenset(
    {ActionPhase.SUCCEEDED, ActionPhase.FAILED, ActionPhase.ABORTED, ActionPhase.TIMED_OUT, ActionPhase.RECOVERED}
)
