"""Inputs and outputs of actions: the call that gives them, and their values as objects of the caller's classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Mapping
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union

from flyte_lite._clock import Deadline
from flyte_lite._clusters import Route
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.core import interface_pb2, literals_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2
from flyte_lite.remote._values import (
    ActionInputs,
    ActionOutputs,
    listed,
    literals_of,
    ordered,
    position,
    types_of,
)

__all__ = ["ActionInputs", "ActionOutputs", "HasData", "Held", "fetch", "typed"]

_T = TypeVar("_T")

_GET_ACTION_DATA: Method[dataproxy_service_pb2.GetActionDataRequest, dataproxy_service_pb2.GetActionDataResponse] = (
    Method(dataproxy_service_pb2, "DataProxyService", "GetActionData")
)
_OPERATION_GET_ACTION_DATA = 3


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


class Held(NamedTuple):
    """Inputs or outputs as they came.

    Attributes:
        pb2: Literals by name.
        interface: Of the task.
        of: What they are of, for errors.
    """

    pb2: Any
    interface: interface_pb2.TypedInterface
    of: str


class HasData(ABC):
    """What has inputs and outputs: a run, an action, their details."""

    _session: Session

    @abstractmethod
    def _inputs_by(self, deadline: Deadline) -> Held: ...

    @abstractmethod
    def _outputs_by(self, deadline: Deadline) -> Held: ...

    def inputs(self) -> ActionInputs:
        """The inputs by name, defaults included: a dict, whose values are read when they are first asked for.

        RPC:
            flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        held = self._inputs_by(self._session.deadline())
        return ActionInputs(held.pb2, held.interface)

    def outputs(self) -> ActionOutputs:
        """The outputs, in the order of the task's interface; empty if the task gives none.

        Raises:
            RunNotDoneError: It has not ended; `wait` for it.
            RuntimeUserError, RuntimeSystemError, ...: It ended without outputs; see `raise_for_status`.

        RPC:
            flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        held = self._outputs_by(self._session.deadline())
        return ActionOutputs.read(held.pb2, held.interface, held.of)

    def input_literals(self) -> dict[str, literals_pb2.Literal]:
        """The inputs as messages, by name.

        RPC:
            flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        return literals_of(self._inputs_by(self._session.deadline()).pb2)

    def output_literals(self) -> dict[str, literals_pb2.Literal]:
        """The outputs as messages, by name.

        Raises:
            RunNotDoneError: It has not ended; `wait` for it.
            RuntimeUserError, RuntimeSystemError, ...: It ended without outputs; see `raise_for_status`.

        RPC:
            flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        return literals_of(self._outputs_by(self._session.deadline()).pb2)

    def typed_inputs(
        self,
        types: Mapping[str, Any],
        deserializers: Optional[Mapping[Any, Callable[[Any], Any]]] = None,
        *,
        pickles: Container[str] = (),
    ) -> dict[str, Any]:
        """Some of the inputs as objects of your own classes; see `typed_outputs`.

        Raises:
            KeyError: There is no input of that name.
            LiteralError: A value is not of the type that you name.

        RPC:
            flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        held = self._inputs_by(self._session.deadline())
        return typed(held.pb2, held.interface.inputs, types, deserializers, pickles, f"{held.of}: inputs")

    def typed_outputs(
        self,
        types: Mapping[str, Any],
        deserializers: Optional[Mapping[Any, Callable[[Any], Any]]] = None,
        *,
        pickles: Container[str] = (),
    ) -> dict[str, Any]:
        """Some of the outputs as objects of your own classes: `run.typed_outputs({"o0": Config})["o0"]`.

        Only what you name is read, so nothing else can fail.

        Args:
            types: By name of the output: a dataclass, a pydantic model, an enum, a named tuple, `list[Config]`,
                `Optional[Config]`, or any other annotation.
            deserializers: By type: what makes the object of the plain dict, in place of the class itself, such as
                `{Config: Config.from_old_version}`.
            pickles: Names of outputs whose pickles may be loaded. That runs code of whoever wrote them, so allow it
                only where you trust the task.

        Returns:
            The objects by name. What the action does not have, though its task declares it, is not among them.

        Raises:
            RunNotDoneError: It has not ended; `wait` for it.
            RuntimeUserError, RuntimeSystemError, ...: It ended without outputs; see `raise_for_status`.
            KeyError: There is no output of that name.
            LiteralError: A value is not of the type that you name; each problem has its path.

        RPC:
            flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        held = self._outputs_by(self._session.deadline())
        return typed(held.pb2, held.interface.outputs, types, deserializers, pickles, f"{held.of}: outputs")


def typed(
    pb2: Union[common_pb2.Inputs, common_pb2.Outputs],
    variables: interface_pb2.VariableMap,
    types: Mapping[str, Any],
    deserializers: Optional[Mapping[Any, Callable[[Any], Any]]],
    pickles: Container[str],
    of: str,
) -> dict[str, Any]:
    """Some inputs or outputs, as objects of the classes that the caller names.

    Args:
        pb2: All of them.
        variables: Their declarations.
        types: Annotations by name; for outputs, `o0`, `o1`, ... are names, too.
        deserializers: What makes an object of such a class of its plain dict.
        pickles: Names of those whose pickles may be loaded.
        of: What they are of, for errors.

    Raises:
        KeyError: There is none of that name.
        LiteralError: Some are not of these types; all problems are told, each with its path.
    """
    from flyte_lite import _literals
    from flyte_lite._literals.records import plain

    found, declared = literals_of(pb2), types_of(variables)
    names = ordered(variables)
    made: dict[str, Any] = {}
    problems: list[LiteralError] = []
    for asked, annotation in types.items():
        place = position(asked, names)
        if place is None:
            raise KeyError(f"{of} have no {asked!r}; there is {listed(names)}")
        name = names[place]
        if name not in found:
            continue
        try:
            value = _literals.from_literal(
                found[name], declared[name], asked, pickles=(asked,) if asked in pickles or name in pickles else ()
            )
            deserialize = _of_class(deserializers or {}, annotation)
            made[asked] = deserialize(plain(value)) if deserialize else _literals.hydrate(value, annotation, asked)
        except LiteralError as error:
            problems.append(error)
    if problems:
        raise problems[0] if len(problems) == 1 else LiteralError("; ".join(map(str, problems)))
    return made


def _of_class(deserializers: Mapping[Any, _T], annotation: Any) -> Optional[_T]:
    # By equality: an annotation need not be hashable.
    return next((made for cls, made in deserializers.items() if cls == annotation), None)
