"""Plain values as a function with annotations expects them: members of its own enums, dates, texts of a Literal."""

from __future__ import annotations

import contextlib
import datetime
import enum
import typing
from typing import Any, Callable

from flyte_lite._literals.enums import DynamicEnum
from flyte_lite._literals.kinds import MAX_DEPTH
from flyte_lite._literals.misfit import Misfit, each, unexpected
from flyte_lite._literals.types import UNIONS, named

# Makes a value fit, or raises Misfit.
_Fit = Callable[[Any], Any]


def hydrate(value: Any, annotation: Any, path: str = "") -> Any:
    """What `from_literal` gave, as a parameter so annotated expects it.

    A `DynamicEnum` becomes the member of that name or, for a `typing.Literal`, a str; a datetime becomes a date where a
    date is declared. In a union the first member that fits is taken; an enum or a Literal before the plain str.

    Args:
        value: A plain value.
        annotation: A resolved annotation.
        path: What the value is called; paths in errors begin with it.

    Raises:
        LiteralError: The value does not fit the annotation.
    """
    try:
        return _fit(annotation, 0)(value)
    except Misfit as misfit:
        raise misfit.error(path) from None


def _fit(annotation: Any, depth: int) -> _Fit:
    if depth > MAX_DEPTH:
        raise Misfit(f"an annotation nested more than {MAX_DEPTH} levels deep")
    if hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list and args:
        return _list(_fit(args[0], depth + 1))
    if origin is dict and args:
        return _dict(_fit(args[1], depth + 1))
    if origin in UNIONS:
        return _union(annotation, [_fit(member, depth + 1) for member in args])
    if origin is typing.Literal:
        return _choice(annotation, args)
    if origin is None and isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _member(annotation)
    if annotation is datetime.date:
        return _date
    return _exactly(type(None) if annotation is None else annotation)


def _exactly(cls: Any) -> _Fit:
    def fit(value: Any) -> Any:
        # Not isinstance: a bool is an int and a DynamicEnum is a str, but neither was declared so.
        if type(value) is not cls:
            raise unexpected(named(cls), value)
        return value

    return fit


def _date(value: Any) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    raise unexpected("date", value)


def _member(cls: type[enum.Enum]) -> _Fit:
    def fit(value: Any) -> enum.Enum:
        if isinstance(value, DynamicEnum) and value.name in cls.__members__:
            return cls.__members__[value.name]
        raise unexpected(cls.__name__, value)

    return fit


def _choice(annotation: Any, allowed: tuple[Any, ...]) -> _Fit:
    def fit(value: Any) -> str:
        if isinstance(value, DynamicEnum) and value.name in allowed:
            return value.name
        raise unexpected(named(annotation), value)

    return fit


def _list(item_fit: _Fit) -> _Fit:
    def fit(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise unexpected("list", value)
        made: list[Any] = []
        each(enumerate(value), lambda _, item: made.append(item_fit(item)))
        return made

    return fit


def _dict(item_fit: _Fit) -> _Fit:
    def fit(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise unexpected("dict", value)
        made: dict[str, Any] = {}
        each(value.items(), lambda key, item: made.__setitem__(key, item_fit(item)))
        return made

    return fit


def _union(annotation: Any, members: list[_Fit]) -> _Fit:
    classes = typing.get_args(annotation)

    def fit(value: Any) -> Any:
        # A datetime would do for a date that is declared before it, but a union's value knows which of them it is.
        if type(value) in classes:
            return value
        for member in members:
            with contextlib.suppress(Misfit):
                return member(value)
        raise unexpected(named(annotation), value)

    return fit
