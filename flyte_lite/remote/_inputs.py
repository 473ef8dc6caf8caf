"""Python values to the inputs of a deployed task, with all that is wrong with them in one error."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flyte_lite import _literals
from flyte_lite.errors import InputsError, LiteralError
from flyte_lite.idl.flyteidl2.core import interface_pb2, types_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2
from flyte_lite.remote._task_details import TaskDetails

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core import literals_pb2

_SIMPLE_NONE = 0


def to_inputs(
    task: TaskDetails, args: tuple[Any, ...], given: Mapping[str, Any], context: Mapping[str, str]
) -> common_pb2.Inputs:
    """Literals for a call, defaults filled in, in the order of the interface.

    Raises:
        InputsError: With every problem there is.
    """
    declared = {entry.key: entry.value.type for entry in task.typed_interface.inputs.variables}
    defaults = {item.name: item.parameter.default for item in task.pb2.spec.default_inputs}
    values, problems = _named(list(declared), args, given)
    literals: dict[str, literals_pb2.Literal] = {}
    for name, kind in declared.items():
        if name in values:
            try:
                literals[name] = _literals.to_literal(values[name], kind, name)
            except LiteralError as error:
                problems.append(str(error))
        elif name in defaults:
            literals[name] = defaults[name]
        elif _takes_none(kind):
            literals[name] = _literals.to_literal(None, kind)
        else:
            problems.append(f"{name} is missing ({_literals.describe(kind)})")
    if problems:
        raise InputsError(task.name, problems, _signature(task.typed_interface, defaults))
    made = common_pb2.Inputs()
    for name, literal in literals.items():
        made.literals.add(name=name, value=literal)
    for key, value in context.items():
        made.context.add(key=key, value=value)
    return made


def _named(names: list[str], args: tuple[Any, ...], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Values by name, and what is wrong with the names."""
    problems = []
    if len(args) > len(names):
        problems.append(f"{len(args)} positional inputs are given and there are {len(names)}")
    values = dict(zip(names, args))
    for name, value in given.items():
        if name in values:
            problems.append(f"{name} is given twice, by position and by name")
        elif name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            problems.append(f"{name} is unknown" + (f" (did you mean {near[0]}?)" if near else ""))
        else:
            values[name] = value
    return values, problems


def _takes_none(kind: types_pb2.LiteralType) -> bool:
    return any(
        variant.WhichOneof("type") == "simple" and variant.simple == _SIMPLE_NONE
        for variant in kind.union_type.variants
    )


def _signature(interface: interface_pb2.TypedInterface, defaults: Mapping[str, Any]) -> str:
    listed = ", ".join(
        f"{entry.key}: {_literals.describe(entry.value.type)}" + (" = default" if entry.key in defaults else "")
        for entry in interface.inputs.variables
    )
    return f"({listed})" if listed else "no inputs"
