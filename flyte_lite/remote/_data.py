"""Inputs and outputs of actions, as Python values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional, SupportsIndex, Union, overload

from flyte_lite._clock import Deadline
from flyte_lite._rpc.method import Method
from flyte_lite._session import Route, Session
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.core import interface_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core import literals_pb2

_GET_ACTION_DATA: Method[dataproxy_service_pb2.GetActionDataRequest, dataproxy_service_pb2.GetActionDataResponse] = (
    Method(dataproxy_service_pb2, "DataProxyService", "GetActionData")
)
_OPERATION_GET_ACTION_DATA = 3
_POSITION = re.compile(r"o[0-9]{1,9}")


def fetch(
    session: Session, action: identifier_pb2.ActionIdentifier, deadline: Deadline
) -> dataproxy_service_pb2.GetActionDataResponse:
    """Inputs and outputs of an action, as messages.

    Raises:
        CallError: See `flyte_lite.errors`.

    RPC:
        flyteidl2.dataproxy.DataProxyService/GetActionData
    """
    return session.call(
        _GET_ACTION_DATA,
        dataproxy_service_pb2.GetActionDataRequest(action_id=action),
        deadline=deadline,
        route=Route(_OPERATION_GET_ACTION_DATA, action.run.project, action.run.domain, action),
    )


class Unreadable:
    """Stands for a value that can't be turned into a Python one; asking for it raises the reason."""

    def __init__(self, error: LiteralError) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"<unreadable: {self.error}>"


def _read(name: str, literal: literals_pb2.Literal, variable: Optional[interface_pb2.Variable]) -> Any:
    if variable is None:
        return Unreadable(LiteralError("the task's interface does not declare it", name))
    # Most processes that ask for a run read no values of it.
    from flyte_lite import _literals

    try:
        return _literals.from_literal(literal, variable.type, name)
    except LiteralError as error:
        return Unreadable(error)


def _given(value: Any) -> Any:
    if isinstance(value, Unreadable):
        raise value.error
    return value


class ActionInputs(dict[str, Any]):
    """Inputs by name: a dict. A value that can't be read raises when it is asked for by its name.

    Attributes:
        pb2: The message they were read from.
    """

    def __init__(self, pb2: common_pb2.Inputs, interface: interface_pb2.TypedInterface) -> None:
        declared = {entry.key: entry.value for entry in interface.inputs.variables}
        super().__init__({item.name: _read(item.name, item.value, declared.get(item.name)) for item in pb2.literals})
        self.pb2 = pb2

    def __getitem__(self, name: str) -> Any:
        return _given(super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The input, or `default` if there is none of that name."""
        return _given(super().get(name, default))

    def to_dict(self) -> dict[str, Any]:
        """The message as protobuf JSON, parsed."""
        from google.protobuf import json_format

        parsed: dict[str, Any] = json_format.MessageToDict(self.pb2)
        return parsed

    def to_json(self) -> str:
        """The message as protobuf JSON, indented by two."""
        from google.protobuf import json_format

        return json_format.MessageToJson(self.pb2, indent=2)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self.items()),)


class ActionOutputs(tuple[Any, ...]):
    """Outputs in the order in which the task returned them: a tuple, whose items also go by name.

    `outputs[0]`, `outputs.o0` and `outputs["o0"]` are the same; a task that names its outputs otherwise has them under
    these names too. A value that can't be read raises only when it is asked for.

    Attributes:
        pb2: The message they were read from.
    """

    pb2: common_pb2.Outputs
    _names: tuple[str, ...]
    _of: str

    def __new__(
        cls,
        pb2: common_pb2.Outputs,
        data: Sequence[Any],
        fields: Optional[Sequence[str]] = None,
        of: str = "the action",
    ) -> ActionOutputs:
        made = super().__new__(cls, data)
        made.pb2 = pb2
        made._names = tuple(fields or (f"o{nth}" for nth in range(len(made))))
        made._of = of
        return made

    @classmethod
    def read(cls, pb2: common_pb2.Outputs, interface: interface_pb2.TypedInterface, of: str) -> ActionOutputs:
        """Outputs from their message.

        Args:
            pb2: Literals by name.
            interface: Of the task: order and types.
            of: What they are the outputs of, for errors.
        """
        found = {item.name: item.value for item in pb2.literals}
        entries = [entry for entry in interface.outputs.variables if entry.key in found]
        if all(_POSITION.fullmatch(entry.key) for entry in entries):
            # Deployed interfaces are sorted as text, where o10 comes before o2.
            entries.sort(key=lambda entry: int(entry.key[1:]))
        return cls(
            pb2,
            [_read(entry.key, found[entry.key], entry.value) for entry in entries],
            [entry.key for entry in entries],
            of,
        )

    @property
    def named_outputs(self) -> dict[str, Any]:
        """The outputs by name."""
        return dict(zip(self._names, self))

    def __getattr__(self, name: str) -> Any:
        # `_names` itself is not there yet while an instance is made.
        position = None if name.startswith("_") else self._position(name)
        if position is not None:
            return self[position]
        raise AttributeError(f"{self._of} has no output {name!r}; it has {self._listed()}")

    @overload
    def __getitem__(self, key: Union[SupportsIndex, str]) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Any, ...]: ...
    def __getitem__(self, key: Union[SupportsIndex, slice, str]) -> Any:
        if isinstance(key, str):
            position = self._position(key)
            if position is None:
                raise KeyError(f"{self._of} has no output {key!r}; it has {self._listed()}")
            key = position
        if isinstance(key, slice):
            return tuple(_given(value) for value in super().__getitem__(key))
        try:
            return _given(super().__getitem__(key))
        except IndexError:
            raise IndexError(f"{self._of} has no output number {key!r}; it has {self._listed()}") from None

    def __iter__(self) -> Iterator[Any]:
        return (_given(value) for value in super().__iter__())

    def _position(self, name: str) -> Optional[int]:
        if name in self._names:
            return self._names.index(name)
        if _POSITION.fullmatch(name) and int(name[1:]) < len(self):
            return int(name[1:])
        return None

    def _listed(self) -> str:
        return ", ".join(self._names) or "none"

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(self._names, super().__iter__()))
        return f"ActionOutputs({shown})"

    def to_dict(self) -> dict[str, Any]:
        """The message as protobuf JSON, parsed."""
        from google.protobuf import json_format

        parsed: dict[str, Any] = json_format.MessageToDict(self.pb2)
        return parsed

    def to_json(self) -> str:
        """The message as protobuf JSON, indented by two."""
        from google.protobuf import json_format

        return json_format.MessageToJson(self.pb2, indent=2)

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (self.pb2.SerializeToString(), tuple(super().__iter__()), self._names, self._of)


def _revive(body: bytes, data: tuple[Any, ...], names: tuple[str, ...], of: str) -> ActionOutputs:
    return ActionOutputs(common_pb2.Outputs.FromString(body), data, names, of)
