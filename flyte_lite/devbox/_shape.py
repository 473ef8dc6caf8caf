"""In the worker: what a function takes and gives, and how its arguments and its result travel."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from flyte_lite._literals.signatures import function_interface
from flyte_lite.devbox._calling import outputs_of, read, written
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import interface_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType


class BadInputs(LiteralError):
    """Arguments that don't fit.

    Args:
        problems: A sentence for each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Shape(NamedTuple):
    """What a task takes and gives, as far as its callers need to know it.

    Attributes:
        name: Of the function.
        parameters: Name, kind, and whether it may be left out, in the order of the signature.
        interface: A `TypedInterface`, as bytes.
        inputs: Resolved annotations of its parameters.
        outputs: Resolved annotations of `o0`, `o1`, ..., in that order.
        result: The named tuple that it returns; None if it returns none.
        awaited: Whether calling it gives something to be awaited.
    """

    name: str
    parameters: Sequence[tuple[str, int, bool]]
    interface: bytes
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    result: Optional[type]
    awaited: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Shape:
        """That of a function.

        Raises:
            LiteralError: Its interface can't be told from its annotations.
        """
        told = function_interface(function)
        inner = inspect.unwrap(function)
        return cls(
            function.__name__,
            [
                (each.name, int(each.kind), each.default is not each.empty)
                for each in inspect.signature(inner).parameters.values()
            ],
            told.interface.SerializeToString(),
            told.inputs,
            told.outputs,
            told.result,
            inspect.iscoroutinefunction(inner),
        )

    def signature(self) -> inspect.Signature:
        """As Python shows it; a default is `...`: which one it is, only the devbox needs to know."""
        return inspect.Signature(
            [
                inspect.Parameter(
                    name,
                    inspect._ParameterKind(kind),
                    annotation=self.inputs[name],
                    default=... if optional else inspect.Parameter.empty,
                )
                for name, kind, optional in self.parameters
            ]
        )

    def inputs_of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """The arguments of a call as `Inputs`, without those that are left out.

        The same call gives the same bytes.

        Raises:
            BadInputs: They don't fit.
        """
        try:
            given = self.signature().bind(*args, **kwargs).arguments
        except TypeError as error:
            raise BadInputs([str(error)]) from None
        types = _types(self.interface, outputs=False)
        made = common_pb2.Inputs()
        problems = []
        for name in (name for name in types if name in given):
            try:
                made.literals.add(name=name, value=written(given[name], types[name], name))
            except LiteralError as error:
                problems.append(str(error))
        if problems:
            raise BadInputs(problems)
        return made.SerializeToString(deterministic=True)

    def outputs_of(self, result: Any) -> bytes:
        """What the function returned, as `Outputs`.

        Raises:
            LiteralError: It is not what its annotations say.
        """
        return outputs_of(result, list(self.outputs), _types(self.interface, outputs=True))

    def result_of(self, outputs: bytes, whose: str) -> Any:
        """What the function returned, from its `Outputs`.

        Raises:
            LiteralError: They are not what its annotations say; `whose` they are is named.
        """
        types = _types(self.interface, outputs=True)
        values = read(common_pb2.Outputs.FromString(outputs).literals, types, self.outputs)
        missing = [name for name in self.outputs if name not in values]
        if missing:
            raise LiteralError(f"{whose} gave no {', '.join(missing)}")
        found = [values[name] for name in self.outputs]
        if self.result is not None:
            return self.result(*found)
        return found[0] if len(found) == 1 else tuple(found) or None


def _types(interface: bytes, *, outputs: bool) -> dict[str, LiteralType]:
    declared = interface_pb2.TypedInterface.FromString(interface)
    part = declared.outputs if outputs else declared.inputs
    return {variable.key: variable.value.type for variable in part.variables}
