"""`google.protobuf.Struct`: JSON as a message. It is what the console makes, and what schemas of types are kept in.

All its numbers are doubles: whoever knows better, mends them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from flyte_lite._literals.kinds import MAX_DEPTH
from flyte_lite._literals.misfit import Misfit, each, unexpected

if TYPE_CHECKING:
    from flyte_lite.idl.google.protobuf.struct_pb2 import Struct, Value

_DEEP = f"is nested more than {MAX_DEPTH} levels deep, or contains itself"


def from_struct(struct: Struct, depth: int = 0) -> dict[str, Any]:
    """A Struct as a dict; its keys sorted, as it has no order.

    Raises:
        Misfit: It is nested too deep.
    """
    fields = struct.fields
    return {key: _from_value(fields[key], depth) for key in sorted(fields)}


def _from_value(value: Value, depth: int) -> Any:
    which = value.WhichOneof("kind")
    if which == "string_value":
        return value.string_value
    if which == "number_value":
        return value.number_value
    if which == "bool_value":
        return value.bool_value
    # A message from the wire ends long before that; one that was made in memory need not.
    if depth > _READ_DEPTH:
        raise Misfit(f"is nested more than {_READ_DEPTH} levels deep")
    if which == "struct_value":
        return from_struct(value.struct_value, depth + 1)
    if which == "list_value":
        return [_from_value(item, depth + 1) for item in value.list_value.values]
    return None


# Protobuf reads at most 100 messages in one another, and a level takes two.
_READ_DEPTH = 60


def fill_struct(struct: Struct, value: dict[str, Any], depth: int = 0) -> None:
    """Write a dict of JSON into a Struct.

    Raises:
        Misfit: Something in it is not JSON, with its path.
    """
    if depth > MAX_DEPTH:
        raise Misfit(_DEEP)
    struct.SetInParent()
    fields = struct.fields
    each(value.items(), lambda key, item: _fill(fields[_key(key)], item, depth))


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise unexpected("a str as key", key)
    return _text(key)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise unexpected("str", value, ", which is not valid Unicode") from None
    return str.__str__(value)


def _fill(into: Value, value: Any, depth: int) -> None:
    if value is None:
        into.null_value = 0  # type: ignore[assignment]  # the stub wants the enum's own type
    elif isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, str):
        into.string_value = _text(value)
    elif isinstance(value, (int, float)):
        into.number_value = _number(value)
    elif isinstance(value, dict):
        fill_struct(into.struct_value, value, depth + 1)
    elif isinstance(value, (list, tuple)):
        if depth >= MAX_DEPTH:
            raise Misfit(_DEEP)
        into.list_value.SetInParent()
        add = into.list_value.values.add
        each(enumerate(value), lambda _, item: _fill(add(), item, depth + 1))
    else:
        raise unexpected("what JSON can hold", value)


def _number(value: Any) -> float:
    try:
        made = float(value)
    except OverflowError:
        made = math.inf
    if made != value and not math.isnan(made):
        raise unexpected("a number", value, ", which no double is exactly")
    return made
