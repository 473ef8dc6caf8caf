"""Small public values that the object model speaks in."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from flyte_lite._clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

__all__ = ["ActionPhase", "CodeBundle", "NativeInterface", "PhaseTransitionInfo"]


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


class PhaseTransitionInfo:
    """One phase that an attempt of an action went through.

    Args:
        phase: The phase.
        start_time: When it began, in UTC.
        end_time: When the next one began; None if it is still in this one.
        clock: What time it is.

    Attributes:
        phase: The phase.
        start_time: When it began, in UTC.
        end_time: When the next one began; None if it is still in this one.
    """

    __slots__ = ("_clock", "end_time", "phase", "start_time")

    def __init__(
        self,
        phase: ActionPhase,
        start_time: datetime,
        end_time: Optional[datetime],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.phase = phase
        self.start_time = start_time
        self.end_time = end_time
        self._clock = clock

    @property
    def duration(self) -> timedelta:
        """How long it took, or has taken by now; never below 0, as steps backwards are told, too."""
        from datetime import datetime, timedelta, timezone

        end = self.end_time or datetime.fromtimestamp(self._clock.time(), timezone.utc)
        return max(timedelta(0), end - self.start_time)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PhaseTransitionInfo):
            return NotImplemented
        mine, theirs = ((each.phase, each.start_time, each.end_time) for each in (self, other))
        return mine == theirs

    def __hash__(self) -> int:
        return hash((self.phase, self.start_time, self.end_time))

    def __reduce__(self) -> tuple[Any, ...]:
        # The clock stays behind, as sessions do.
        return PhaseTransitionInfo, (self.phase, self.start_time, self.end_time)

    def __repr__(self) -> str:
        end = f"{self.end_time:%H:%M:%S.%f}" if self.end_time else "now"
        return f"PhaseTransitionInfo({self.phase}: {self.start_time:%Y-%m-%d %H:%M:%S.%f} to {end})"


class CodeBundle:
    """Where the code of a task lies; it does not change.

    Args:
        computed_version: Of the code; "" if it is not known.
        destination: Where tasks unpack it.
        tgz: Address of the packed files.
        pkl: Address of a pickled function, in place of those.
        downloaded_path: Where it was unpacked; None if it was not.
        files: What is in it; None if that is not known.

    Raises:
        ValueError: There is neither `tgz` nor `pkl`.
    """

    __slots__ = ("computed_version", "destination", "downloaded_path", "files", "pkl", "tgz")

    computed_version: str
    destination: str
    tgz: Optional[str]
    pkl: Optional[str]
    downloaded_path: Optional[Path]
    files: Optional[list[str]]

    def __init__(
        self,
        *,
        computed_version: str,
        destination: str = ".",
        tgz: Optional[str] = None,
        pkl: Optional[str] = None,
        downloaded_path: Optional[Path] = None,
        files: Optional[list[str]] = None,
    ) -> None:
        if tgz is None and pkl is None:
            raise ValueError("a CodeBundle needs tgz= or pkl=, the address of the code")
        values = (computed_version, destination, tgz, pkl, downloaded_path, files)
        for name, value in zip(_BUNDLE, values):
            object.__setattr__(self, name, value)

    def with_downloaded_path(self, path: Path) -> CodeBundle:
        """The same bundle, unpacked there."""
        return CodeBundle(**{**self._values(), "downloaded_path": path})

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _BUNDLE}

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a CodeBundle does not change, so {name} can't be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a CodeBundle does not change, so {name} can't be deleted")

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, CodeBundle) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.computed_version, self.destination, self.tgz, self.pkl, self.downloaded_path))

    def __repr__(self) -> str:
        return f"CodeBundle({', '.join(f'{name}={value!r}' for name, value in self._values().items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _bundle, (self._values(),)


_BUNDLE = ("computed_version", "destination", "tgz", "pkl", "downloaded_path", "files")


def _bundle(values: Mapping[str, Any]) -> CodeBundle:
    return CodeBundle(**values)


class NativeInterface:
    """What a task takes and gives, in Python's terms.

    It is made of a deployed task, whose own classes are not here: a dataclass or a model is a `dict` that also goes by
    attribute, and an enum is the `Literal` of its names. `repr` shows the classes by the names that they had.

    Attributes:
        inputs: Annotation and default by name; the default is `NativeInterface.has_default` where there is one on the
            server, and `inspect.Parameter.empty` where there is none.
        outputs: Annotation by name.
    """

    class has_default:
        """Stands for a default that is on the server."""

    def __init__(
        self,
        inputs: Mapping[str, tuple[Any, Any]],
        outputs: Mapping[str, Any],
        *,
        json_schema: Mapping[str, Any],
        text: str,
    ) -> None:
        self.inputs: dict[str, tuple[Any, Any]] = dict(inputs)
        self.outputs: dict[str, Any] = dict(outputs)
        self._json_schema = dict(json_schema)
        self._text = text

    def has_outputs(self) -> bool:
        """True if the task gives anything."""
        return bool(self.outputs)

    def required_inputs(self) -> list[str]:
        """Names of the inputs that have no default."""
        return [name for name, (_, default) in self.inputs.items() if default is not self.has_default]

    def num_required_inputs(self) -> int:
        """How many inputs have no default."""
        return len(self.required_inputs())

    def get_input_types(self) -> dict[str, Any]:
        """Annotations of the inputs by name."""
        return {name: annotation for name, (annotation, _) in self.inputs.items()}

    @property
    def json_schema(self) -> dict[str, Any]:
        """The inputs as the JSON schema of an object: for forms, and for models that call tasks as tools."""
        return dict(self._json_schema)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NativeInterface):
            return NotImplemented
        return vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it holds dicts

    def __repr__(self) -> str:
        return self._text
