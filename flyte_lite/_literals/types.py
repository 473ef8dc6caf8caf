"""Types: what a Python annotation is on the wire, and how a LiteralType is written by a person."""

from __future__ import annotations

import datetime
import enum
import sys
import typing
from typing import TYPE_CHECKING, Any, Callable

from flyte_lite._literals.kinds import MAX_DEPTH
from flyte_lite._literals.misfit import Misfit, clip
from flyte_lite._literals.values import describe, kind_of
from flyte_lite.idl.flyteidl2.core import types_pb2

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

__all__ = ["UNIONS", "describe", "literal_type", "named"]

if sys.version_info >= (3, 10):
    import types as _types

    UNIONS: tuple[Any, ...] = (typing.Union, _types.UnionType)
else:
    UNIONS = (typing.Union,)

_SIMPLE = {
    type(None): 0,
    int: 1,
    float: 2,
    str: 3,
    bool: 4,
    datetime.datetime: 5,
    datetime.date: 5,
    datetime.timedelta: 6,
}


def literal_type(annotation: Any, path: str = "") -> LiteralType:
    """What the official SDK writes into an interface for a parameter so annotated.

    What `Annotated` adds is left out. Two of `Literal['a', 'A']` stay two; the official SDK keeps the last.

    Args:
        annotation: A resolved annotation: no text, no forward reference.
        path: What is annotated; paths in errors begin with it.

    Raises:
        LiteralError: The annotation can't be passed to a task, or not yet; the text says which and why.
    """
    try:
        return _type(annotation, 0)
    except Misfit as misfit:
        raise misfit.error(path) from None


def named(annotation: Any) -> str:
    """An annotation as it is written in source."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__qualname__ if annotation is not type(None) else "None"
    return clip(annotation if isinstance(annotation, str) else repr(annotation).replace("typing.", ""))


def _type(annotation: Any, depth: int) -> LiteralType:
    if depth > MAX_DEPTH:
        raise Misfit(f"an annotation nested more than {MAX_DEPTH} levels deep")
    made = types_pb2.LiteralType()
    if annotation is None:
        annotation = type(None)
    origin = typing.get_origin(annotation)
    # In Python 3.9 and 3.10 list[int] passes for a class.
    cls = annotation if origin is None and isinstance(annotation, type) else object
    if cls in _SIMPLE:
        made.simple = _SIMPLE[cls]  # type: ignore[assignment]  # the stub wants the enum's own type
    elif issubclass(cls, enum.Enum):
        made.enum_type.values.extend(_names(cls))
    else:
        build = _GENERIC.get(origin)
        if build is None:
            of = {list: "; say of what, such as list[int]", dict: "; say of what, such as dict[str, int]"}
            hint = next((text for cls, text in of.items() if annotation is cls), "")
            raise Misfit(f"values of {named(annotation)} can't be passed yet{hint}")
        build(annotation, made, depth + 1)
    return made


def _names(annotation: type[enum.Enum]) -> list[str]:
    # Only what the official SDK takes, so that a task which works here works there.
    members = list(annotation)
    if not members:
        raise Misfit(f"the enum {annotation.__name__} has no members")
    if issubclass(annotation, enum.Flag):
        raise Misfit(f"{annotation.__name__} is a Flag, whose combinations have no name; pass an int")
    if not issubclass(annotation, enum.IntEnum) and not all(isinstance(member.value, str) for member in members):
        raise Misfit(f"the enum {annotation.__name__} has values that are no str; Flyte takes such only of an IntEnum")
    return [member.name for member in members]


def _list(annotation: Any, made: LiteralType, depth: int) -> None:
    # `List` without an element type has the same origin.
    (item,) = typing.get_args(annotation) or (Any,)
    if item is None or item is type(None):
        raise Misfit("a list of None can't be passed; Flyte has no such type")
    made.collection_type.CopyFrom(_type(item, depth))


def _dict(annotation: Any, made: LiteralType, depth: int) -> None:
    key, item = typing.get_args(annotation) or (Any, Any)
    if key is not str:
        raise Misfit(f"values of {named(annotation)} can't be passed yet: a dict needs str keys and a type of values")
    made.map_value_type.CopyFrom(_type(item, depth))


def _union(annotation: Any, made: LiteralType, depth: int) -> None:
    for member in typing.get_args(annotation):
        variant = _type(member, depth)
        bare = _strip(member)
        variant.structure.tag = "date" if bare is datetime.date else kind_of(variant).tag
        made.union_type.variants.append(variant)


def _choice(annotation: Any, made: LiteralType, depth: int) -> None:
    values = typing.get_args(annotation)
    if not all(isinstance(value, str) for value in values):
        raise Misfit(f"values of {named(annotation)} can't be passed yet: a Literal may only hold texts")
    made.enum_type.values.extend(dict.fromkeys(str.__str__(value) for value in values))


def _strip(annotation: Any) -> Any:
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation


def _annotated(annotation: Any, made: LiteralType, depth: int) -> None:
    made.CopyFrom(_type(_strip(annotation), depth))


_GENERIC: dict[Any, Callable[[Any, LiteralType, int], None]] = {
    list: _list,
    dict: _dict,
    typing.Literal: _choice,
    # typing.Annotated is what get_origin gives for it since 3.9.
    typing.Annotated: _annotated,
    **dict.fromkeys(UNIONS, _union),
}
