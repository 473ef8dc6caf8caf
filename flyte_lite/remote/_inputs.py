"""Python values to the inputs of a deployed task, with all that is wrong with them in one error."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from flyte_lite import _literals
from flyte_lite.errors import InputsError, LiteralError
from flyte_lite.idl.flyteidl2.core import interface_pb2, types_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, task_definition_pb2

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core import literals_pb2

_SIMPLE_NONE = 0


def to_inputs(
    task: str,
    spec: task_definition_pb2.TaskSpec,
    args: tuple[Any, ...],
    given: Mapping[str, Any],
    context: Mapping[str, str],
    kept: Optional[common_pb2.Inputs] = None,
) -> common_pb2.Inputs:
    """Literals for a call, in the order of the interface, with defaults for what is not given.

    Args:
        task: Its name, for errors.
        spec: What the task takes.
        args: Inputs by position.
        given: Inputs by name.
        context: Text that travels along.
        kept: Inputs and context of an earlier call, which stand for what is not given, before the defaults do.

    Raises:
        InputsError: With every problem there is.
    """
    interface = spec.task_template.interface
    declared = {entry.key: entry.value.type for entry in interface.inputs.variables}
    defaults = {item.name: item.parameter.default for item in spec.default_inputs}
    earlier = {item.name: item.value for item in kept.literals} if kept is not None else {}
    values, problems = _named(list(declared), args, given)
    literals: dict[str, literals_pb2.Literal] = {}
    for name, kind in declared.items():
        if name in values:
            try:
                literals[name] = _literals.to_literal(values[name], kind, name)
            except LiteralError as error:
                problems.append(str(error))
        elif name in earlier:
            literals[name] = earlier[name]
        elif name in defaults:
            literals[name] = defaults[name]
        elif _takes_none(kind):
            literals[name] = _literals.to_literal(None, kind)
        else:
            problems.append(f"{name} is missing ({_literals.describe(kind)})")
    if problems:
        raise InputsError(task, problems, _signature(interface, defaults))
    made = common_pb2.Inputs()
    for name, literal in {**earlier, **literals}.items():
        made.literals.add(name=name, value=literal)
    earlier_context = {item.key: item.value for item in kept.context} if kept is not None else {}
    for key, value in {**earlier_context, **context}.items():
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
