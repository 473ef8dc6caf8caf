"""The interface of a typed Python function, as a deployment of it would declare it."""

from __future__ import annotations

import contextlib
import inspect
import typing
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from flyte_lite._literals.classes import fields_of, is_named_tuple, named
from flyte_lite._literals.types import literal_type
from flyte_lite._literals.values import to_literal
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import interface_pb2

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core.interface_pb2 import TypedInterface
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType


class FunctionInterface(NamedTuple):
    """What a function takes and gives.

    Attributes:
        interface: The message; its inputs and outputs are sorted by name, as the official SDK deploys them.
        defaults: Literals of the parameters that have a default, in the order of the signature.
        inputs: Resolved annotations of the parameters, in the order of the signature.
        outputs: Resolved annotations of `o0`, `o1`, ..., in that order; empty if it returns nothing.
        result: The named tuple that it returns, whose fields `outputs` are then; None if it returns none.
    """

    interface: TypedInterface
    defaults: dict[str, Literal]
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    result: Optional[type] = None


def function_interface(function: Callable[..., Any]) -> FunctionInterface:
    """Read the interface of a function from its annotations.

    A return annotation of `tuple[X, Y]` gives two outputs, `o0` and `o1`; None, or no annotation at all, gives none.

    Raises:
        LiteralError: An annotation is missing, can't be resolved or can't be passed; a default is not of its
            parameter's type; a parameter can't be given by name. All are told at once, each by the parameter's name.
    """
    function = inspect.unwrap(function)
    problems: list[LiteralError] = []
    inputs: dict[str, Any] = {}
    types_of: dict[str, LiteralType] = {}
    defaults: dict[str, Literal] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        with _noted(problems):
            inputs[name] = _input(function, parameter)
            types_of[name] = literal_type(inputs[name], name)
            if parameter.default is not parameter.empty:
                defaults[name] = to_literal(parameter.default, types_of[name], f"default of {name}")
    outputs: dict[str, Any] = {}
    result: Optional[type] = None
    with _noted(problems):
        outputs, result = _outputs(function)
        types_of.update({name: literal_type(annotation, "return") for name, annotation in outputs.items()})
    if problems:
        raise problems[0] if len(problems) == 1 else LiteralError("; ".join(map(str, problems)))
    interface = interface_pb2.TypedInterface(inputs=_variables(inputs, types_of), outputs=_variables(outputs, types_of))
    return FunctionInterface(interface, defaults, inputs, outputs, result)


@contextlib.contextmanager
def _noted(problems: list[LiteralError]) -> Iterator[None]:
    try:
        yield
    except LiteralError as error:
        problems.append(error)


def _variables(names: dict[str, Any], types_of: dict[str, LiteralType]) -> interface_pb2.VariableMap:
    return interface_pb2.VariableMap(
        variables=[
            interface_pb2.VariableEntry(key=name, value=interface_pb2.Variable(type=types_of[name]))
            for name in sorted(names)
        ]
    )


def _input(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        raise LiteralError(f"{parameter.kind.description} parameters can't be inputs of a task", parameter.name)
    if parameter.annotation is parameter.empty:
        raise LiteralError("has no annotation, so its type is not known", parameter.name)
    return _resolved(function, parameter.name, parameter.annotation)


def _outputs(function: Callable[..., Any]) -> tuple[dict[str, Any], Optional[type]]:
    annotation = inspect.signature(function).return_annotation
    if annotation is inspect.Signature.empty:
        return {}, None
    annotation = _resolved(function, "return", annotation)
    if annotation is type(None):
        return {}, None
    if is_named_tuple(annotation):
        return fields_of(annotation), annotation
    if typing.get_origin(annotation) is not tuple:
        return {"o0": annotation}, None
    items = typing.get_args(annotation)
    # `tuple[()]` is () in one Python and ((),) in another.
    if not items or items == ((),) or Ellipsis in items:
        raise LiteralError(f"values of {named(annotation)} can't be passed, as each output needs a type", "return")
    return {f"o{number}": item for number, item in enumerate(items)}, None


def _resolved(function: Callable[..., Any], name: str, annotation: Any) -> Any:
    """The annotation with its texts evaluated where the function was defined."""

    # A stand-in without defaults: Python 3.9 and 3.10 would turn `x: int = None` into an Optional.
    def alone() -> None: ...

    alone.__annotations__ = {name: annotation}
    try:
        return typing.get_type_hints(alone, getattr(function, "__globals__", {}), _enclosing(function))[name]
    except Exception as error:  # evaluates the user's own text, so anything may come
        raise LiteralError(f"the annotation {named(annotation)} can't be resolved: {error}", name) from error


def _enclosing(function: Callable[..., Any]) -> Optional[dict[str, Any]]:
    """What the function uses of the functions around it: classes of a test's body, for instance."""
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    if code is None or not cells:
        return None
    found = {}
    for name, cell in zip(code.co_freevars, cells):
        with contextlib.suppress(ValueError):  # not assigned yet
            found[name] = cell.cell_contents
    return found
