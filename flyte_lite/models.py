"""Small public values that the object model speaks in."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

__all__ = ["ActionPhase", "NativeInterface"]


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
