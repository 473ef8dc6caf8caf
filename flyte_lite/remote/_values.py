"""Inputs and outputs of actions, as Python values."""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from typing import TYPE_CHECKING, Any, Optional, SupportsIndex, Union, overload

from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import interface_pb2, literals_pb2, types_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2

if TYPE_CHECKING:
    from typing_extensions import Self

_POSITION = re.compile(r"o[0-9]{1,9}")


class Unreadable:
    """Stands for a value that can't be turned into a Python one; asking for it raises the reason.

    Attributes:
        error: The reason.
    """

    def __init__(self, error: LiteralError) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"<unreadable: {self.error}>"


class _Lazy:
    """A value that is read when it is first asked for."""

    __slots__ = ("_literal", "_name", "_read", "_type", "_value")

    def __init__(self, name: str, literal: literals_pb2.Literal, declared: Optional[types_pb2.LiteralType]) -> None:
        self._name, self._literal, self._type = name, literal, declared
        self._read = False

    def shown(self) -> Any:
        """The value, or an `Unreadable` in its place."""
        if not self._read:
            self._value: Any = self._converted()
            self._read = True
        return self._value

    def _converted(self) -> Any:
        if self._type is None:
            return Unreadable(LiteralError("the task's interface does not declare it", self._name))
        # Most processes that ask for a run read no values of it.
        from flyte_lite import _literals

        try:
            return _literals.from_literal(self._literal, self._type, self._name)
        except LiteralError as error:
            return Unreadable(error)

    # What takes items of a tuple without asking the tuple, such as `%`, shows them.
    def __repr__(self) -> str:
        return repr(self.shown())

    def __str__(self) -> str:
        return str(self.shown())

    def __reduce__(self) -> tuple[Any, ...]:
        declared = None if self._type is None else self._type.SerializeToString()
        return _revive_lazy, (self._name, self._literal.SerializeToString(), declared)


def _revive_lazy(name: str, literal: bytes, declared: Optional[bytes]) -> _Lazy:
    return _Lazy(
        name,
        literals_pb2.Literal.FromString(literal),
        None if declared is None else types_pb2.LiteralType.FromString(declared),
    )


def _shown(value: Any) -> Any:
    return value.shown() if isinstance(value, _Lazy) else value


def _given(value: Any) -> Any:
    value = _shown(value)
    if isinstance(value, Unreadable):
        raise value.error
    return value


def _as_dict(pb2: Any) -> dict[str, Any]:
    from google.protobuf import json_format

    parsed: dict[str, Any] = json_format.MessageToDict(pb2)
    return parsed


def _as_json(pb2: Any) -> str:
    from google.protobuf import json_format

    return json_format.MessageToJson(pb2, indent=2)


def types_of(variables: interface_pb2.VariableMap) -> dict[str, types_pb2.LiteralType]:
    """Declared types by name."""
    return {entry.key: entry.value.type for entry in variables.variables}


def literals_of(pb2: Union[common_pb2.Inputs, common_pb2.Outputs]) -> dict[str, literals_pb2.Literal]:
    """The literals by name."""
    return {item.name: item.value for item in pb2.literals}


class ActionInputs(dict[str, Any]):
    """Inputs by name: a dict, whose values are read when they are first asked for.

    A value that can't be read raises when it is asked for by its name; `values()` and `items()` have an `Unreadable` in
    its place, so it never hides the others.

    Attributes:
        pb2: The message they were read from.
    """

    def __init__(self, pb2: common_pb2.Inputs, interface: interface_pb2.TypedInterface) -> None:
        declared = types_of(interface.inputs)
        super().__init__({item.name: _Lazy(item.name, item.value, declared.get(item.name)) for item in pb2.literals})
        self.pb2 = pb2

    def __getitem__(self, name: str) -> Any:
        return _given(super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The input, or `default` if there is none of that name."""
        return _given(super().get(name, default))

    # With one of its own, `dict(inputs)` and `f(**inputs)` ask for the values instead of taking what is stored.
    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def values(self) -> Any:
        """The values; what can't be read is an `Unreadable`."""
        return _Values(self)

    def items(self) -> Any:
        """Names and values; what can't be read is an `Unreadable`."""
        return _Items(self)

    def copy(self) -> dict[str, Any]:
        """A plain dict of the same."""
        return dict(self.items())

    def pop(self, name: str, *default: Any) -> Any:
        """Take an input out, and return it."""
        return _given(super().pop(name, *default))

    def popitem(self) -> tuple[str, Any]:
        """Take the last input out, and return its name and value."""
        name, value = super().popitem()
        return name, _given(value)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The input; if there is none of that name, `default` becomes it."""
        return _given(super().setdefault(name, default))

    def __eq__(self, other: object) -> bool:
        wanted: Any = other.copy() if isinstance(other, ActionInputs) else other
        return bool(self.copy() == wanted)

    __hash__ = None

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __or__(self, other: Any) -> Any:
        return {**self.copy(), **other} if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return {**other, **self.copy()} if isinstance(other, Mapping) else NotImplemented

    def __repr__(self) -> str:
        return repr(self.copy())

    def to_dict(self) -> dict[str, Any]:
        """The message as protobuf JSON, parsed."""
        return _as_dict(self.pb2)

    def to_json(self) -> str:
        """The message as protobuf JSON, indented by two."""
        return _as_json(self.pb2)

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive_inputs, (self.pb2.SerializeToString(), list(super().items()))


class _Values(ValuesView[Any]):
    def __init__(self, inputs: ActionInputs) -> None:
        super().__init__(inputs)
        self._inputs = inputs

    def __iter__(self) -> Iterator[Any]:
        return (_shown(value) for value in dict.values(self._inputs))

    def __contains__(self, value: object) -> bool:
        return any(value is item or value == item for item in self)

    def __repr__(self) -> str:
        return f"values({list(self)!r})"


class _Items(ItemsView[str, Any]):
    def __init__(self, inputs: ActionInputs) -> None:
        super().__init__(inputs)
        self._inputs = inputs

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((name, _shown(value)) for name, value in dict.items(self._inputs))

    def __contains__(self, item: object) -> bool:
        return any(item == pair for pair in self)

    def __repr__(self) -> str:
        return f"items({list(self)!r})"


def _revive_inputs(body: bytes, items: list[tuple[str, Any]]) -> ActionInputs:
    made = ActionInputs(common_pb2.Inputs.FromString(body), interface_pb2.TypedInterface())
    made.clear()
    dict.update(made, items)
    return made


class ActionOutputs(tuple[Any, ...]):
    """Outputs in the order in which the task returned them: a tuple, whose items also go by name.

    `outputs[0]`, `outputs.o0` and `outputs["o0"]` are the same; a task that names its outputs otherwise has them under
    these names too. A value is read when it is first asked for, and raises only then if it can't be read.

    Attributes:
        pb2: The message they were read from.
    """

    pb2: common_pb2.Outputs
    _names: tuple[str, ...]
    _of: str

    def __new__(
        cls,
        pb2: common_pb2.Outputs,
        data: Iterable[Any],
        fields: Optional[Sequence[str]] = None,
        of: str = "the action",
    ) -> Self:
        made = super().__new__(cls, data)
        made.pb2 = pb2
        made._names = tuple(fields or (f"o{nth}" for nth in range(len(made))))
        made._of = of
        return made

    @classmethod
    def read(cls, pb2: common_pb2.Outputs, interface: interface_pb2.TypedInterface, of: str) -> Self:
        """Outputs from their message.

        Args:
            pb2: Literals by name.
            interface: Of the task: order and types.
            of: What they are the outputs of, for errors.
        """
        found = literals_of(pb2)
        names = [name for name in ordered(interface.outputs) if name in found]
        declared = types_of(interface.outputs)
        return cls(pb2, [_Lazy(name, found[name], declared[name]) for name in names], names, of)

    @property
    def named_outputs(self) -> dict[str, Any]:
        """The outputs by name; what can't be read is an `Unreadable`."""
        return dict(zip(self._names, self._all()))

    def __getattr__(self, name: str) -> Any:
        # `_names` itself is not there yet while an instance is made.
        place = None if name.startswith("_") else position(name, self._names)
        if place is not None:
            return self[place]
        raise AttributeError(f"{self._of} has no output {name!r}; it has {listed(self._names)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._names]

    @overload
    def __getitem__(self, key: Union[SupportsIndex, str]) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Any, ...]: ...
    def __getitem__(self, key: Union[SupportsIndex, slice, str]) -> Any:
        if isinstance(key, str):
            place = position(key, self._names)
            if place is None:
                raise KeyError(f"{self._of} has no output {key!r}; it has {listed(self._names)}")
            key = place
        if isinstance(key, slice):
            return tuple(_given(value) for value in super().__getitem__(key))
        try:
            return _given(super().__getitem__(key))
        except IndexError:
            raise IndexError(f"{self._of} has no output number {key!r}; it has {listed(self._names)}") from None

    def __iter__(self) -> Iterator[Any]:
        return (_given(value) for value in super().__iter__())

    def _all(self) -> tuple[Any, ...]:
        return tuple(_shown(value) for value in super().__iter__())

    def __contains__(self, value: object) -> bool:
        return value in self._all()

    def index(self, value: Any, *bounds: Any) -> int:
        """Where the value is first."""
        return self._all().index(value, *bounds)

    def count(self, value: Any) -> int:
        """How often the value is there."""
        return self._all().count(value)

    def __eq__(self, other: object) -> bool:
        return self._all() == _read(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        return self._all() < _read(other)

    def __le__(self, other: Any) -> bool:
        return self._all() <= _read(other)

    def __gt__(self, other: Any) -> bool:
        return self._all() > _read(other)

    def __ge__(self, other: Any) -> bool:
        return self._all() >= _read(other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __add__(self, other: Any) -> tuple[Any, ...]:
        return tuple(self) + tuple(other) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: Any) -> tuple[Any, ...]:
        return tuple(other) + tuple(self) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> tuple[Any, ...]:
        return tuple(self) * times

    __rmul__ = __mul__

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.named_outputs.items())
        return f"ActionOutputs({shown})"

    def to_dict(self) -> dict[str, Any]:
        """The message as protobuf JSON, parsed."""
        return _as_dict(self.pb2)

    def to_json(self) -> str:
        """The message as protobuf JSON, indented by two."""
        return _as_json(self.pb2)

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (self.pb2.SerializeToString(), tuple(super().__iter__()), self._names, self._of)


def _read(other: Any) -> tuple[Any, ...]:
    read: tuple[Any, ...] = other._all() if isinstance(other, ActionOutputs) else other
    return read


def _revive(body: bytes, data: tuple[Any, ...], names: tuple[str, ...], of: str) -> ActionOutputs:
    return ActionOutputs(common_pb2.Outputs.FromString(body), data, names, of)


def ordered(variables: interface_pb2.VariableMap) -> list[str]:
    """Names of outputs in the order in which the task returns them."""
    names = [entry.key for entry in variables.variables]
    if all(_POSITION.fullmatch(name) for name in names):
        # Deployed interfaces are sorted as text, where o10 comes before o2.
        names.sort(key=lambda name: int(name[1:]))
    return names


def position(name: str, names: Sequence[str]) -> Optional[int]:
    """Which of these outputs is called so, by its name or as `o0`, `o1`, ...; None if there is none."""
    if name in names:
        return names.index(name)
    if _POSITION.fullmatch(name) and int(name[1:]) < len(names):
        return int(name[1:])
    return None


def listed(names: Iterable[str]) -> str:
    """Names for an error's text."""
    return ", ".join(names) or "none"
