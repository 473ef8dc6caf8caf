"""In the worker: from `Inputs` to arguments, the call, and from what it returns to `Outputs`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable

from flyte_lite._literals import from_literal, hydrate, to_literal
from flyte_lite._literals.values import kind_of
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import interface_pb2, literals_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType


def call(
    function: Callable[..., Any], inputs: Mapping[str, Any], outputs: Mapping[str, Any], given: bytes, interface: bytes
) -> bytes:
    """Call `function` with the literals that were given; its outputs as bytes.

    Args:
        function: The task. One that returns a coroutine is run to its end.
        inputs: Resolved annotations of its parameters.
        outputs: Resolved annotations of `o0`, `o1`, ..., in that order.
        given: An `Inputs`.
        interface: The `TypedInterface` that was deployed.

    Raises:
        LiteralError: An input or an output is not of its type.
        TypeError: An input is missing or not known.
    """
    declared = interface_pb2.TypedInterface.FromString(interface)
    takes = {variable.key: variable.value.type for variable in declared.inputs.variables}
    gives = {variable.key: variable.value.type for variable in declared.outputs.variables}
    literals = common_pb2.Inputs.FromString(given).literals
    for literal in literals:
        if literal.name not in takes:
            raise TypeError(f"{function.__name__}() got an unexpected keyword argument {literal.name!r}")
    result = function(**read(literals, takes, inputs))
    if inspect.iscoroutine(result):
        import asyncio

        result = asyncio.run(result)
    return outputs_of(result, list(outputs), gives)


def outputs_of(result: Any, names: list[str], declared: Mapping[str, LiteralType]) -> bytes:
    """What a function returned, as `Outputs`.

    Raises:
        LiteralError: It is not what is declared.
    """
    made = common_pb2.Outputs()
    for name, value in _values(result, names):
        where = "its result" if len(declared) == 1 else name
        made.literals.add(name=name, value=written(value, declared[name], where))
    return made.SerializeToString()


def read(
    literals: Iterable[common_pb2.NamedLiteral], declared: Mapping[str, LiteralType], annotations: Mapping[str, Any]
) -> dict[str, Any]:
    """Values by name, as their annotations say; what is not declared is left out.

    Raises:
        LiteralError: One is not of its type.
    """
    values = {}
    for literal in literals:
        name = literal.name
        if name in declared and name in annotations:
            # Whoever may call a task may run it: the real runtime loads what was pickled for it, too.
            value = from_literal(literal.value, declared[name], name, pickles=(name,))
            values[name] = hydrate(value, annotations[name], name)
    return values


def written(value: Any, declared: LiteralType, where: str) -> Literal:
    """A value as a literal of the declared type; `where` is what it is called in errors.

    Raises:
        LiteralError: It is not of that type.
    """
    try:
        return to_literal(value, declared, where)
    except LiteralError:
        if kind_of(declared).tag != "FlytePickle":
            raise
    # An object of a class that is not Python's own, which nobody but the task could pickle.
    import cloudpickle

    made = literals_pb2.Literal()
    try:
        made.scalar.binary.value = cloudpickle.dumps(value)
    except Exception as error:  # whatever an object does when it is asked for its state
        raise LiteralError(f"it can't be pickled: {error}", where) from error
    return made


def _values(result: Any, names: list[str]) -> list[tuple[str, Any]]:
    if not names:
        return []
    if len(names) == 1 and getattr(result, "_fields", None) != tuple(names):
        return [(names[0], result)]
    if not isinstance(result, tuple) or len(result) != len(names):
        raise LiteralError(f"expected a tuple of {len(names)} values, got {type(result).__name__}", "its result")
    return list(zip(names, result))
