"""Plain values and records as an annotation wants them: dataclasses, models, members of enums, dates, tuples, sets."""

from __future__ import annotations

import contextlib
import enum
import typing
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Callable, Optional

from flyte_lite._literals.classes import (
    UNIONS,
    bare,
    bound,
    dataclass_of,
    fields_of,
    is_message,
    is_model,
    is_named_tuple,
    is_typed_dict,
    named,
    reference_of,
)
from flyte_lite._literals.containers import is_list
from flyte_lite._literals.enums import DynamicEnum
from flyte_lite._literals.kinds import MAX_DEPTH
from flyte_lite._literals.misfit import Misfit, each, unexpected
from flyte_lite._literals.rebuilding import (
    dataclass_fit,
    message_fit,
    model_fit,
    reference_fit,
    row_fit,
    typed_dict_fit,
)
from flyte_lite._literals.records import Record
from flyte_lite._literals.scalar_hydration import DATACLASS, MODEL, PLAIN, scalar_reading

# As in a model, but where the official SDK does not follow its hints: there members of enums go by value.
_INSIDE = "inside a model"

# Makes a value fit, or raises Misfit.
Fit = Callable[[Any], Any]


def hydrate(value: Any, annotation: Any, path: str = "") -> Any:
    """What `from_literal` gave, as a parameter so annotated expects it.

    Records become the dataclasses, models, named tuples or typed dicts that are annotated, whatever is nested in them
    too; a field that is not there takes its default, and one that the class does not have is left out. Members of
    enums go by name or by value, as they stand where they stand: dataclasses hold values, all else holds names. Texts
    become datetimes, Decimals, UUIDs, paths. In a union the member that fits is taken: one of the value's own class
    before others, and a class of the record's name and fields before others. What is already as it should be stays.

    Args:
        value: A plain value.
        annotation: A resolved annotation.
        path: What the value is called; paths in errors begin with it.

    Raises:
        LiteralError: The value does not fit the annotation; the text names the path inside the value.
    """
    try:
        return _fit_of(annotation)(value)
    except Misfit as misfit:
        raise misfit.error(path) from None


def _fit_of(annotation: Any) -> Fit:
    try:
        # By its text too: `int | str` equals `str | int`, but is tried in another order.
        return _kept_fit(annotation, repr(annotation))
    except TypeError:
        # What `Annotated` adds need not have a hash.
        return Fitting().of(annotation, PLAIN)


# The same few annotations come again and again, and to look at a class takes longer than to make one.
@lru_cache(maxsize=256)
def _kept_fit(annotation: Any, text: str) -> Fit:
    return Fitting().of(annotation, PLAIN)


class Fitting:
    """Makes, for one annotation, what makes values fit; classes refer to themselves, so for each it is made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, str], Fit] = {}

    def of(self, annotation: Any, style: str, depth: int = 0) -> Fit:
        """What makes a value fit the annotation.

        Args:
            annotation: A resolved one.
            style: How what surrounds the value is written on the wire; see `scalar_hydration`.
            depth: Of the annotation in what it is part of.
        """
        if depth > MAX_DEPTH:
            raise Misfit(f"an annotation nested more than {MAX_DEPTH} levels deep")
        annotation = bare(annotation)
        if isinstance(annotation, typing.TypeVar):
            annotation = bound(annotation, {})
        if annotation is None:
            annotation = type(None)
        if annotation is Any or annotation is object:
            return lambda value: value
        if isinstance(annotation, (str, typing.ForwardRef)):
            raise Misfit(f"the annotation {named(annotation)} is a text that can't be resolved here; give the class")
        if hasattr(annotation, "__supertype__"):
            return self.of(annotation.__supertype__, style, depth + 1)
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in UNIONS:
            return self._union(annotation, args, style, depth + 1)
        if origin is typing.Literal:
            return _choice(annotation, args)
        cls = origin or annotation
        if not isinstance(cls, type):
            # Such as a Callable, which was pickled.
            return lambda value: value
        return (
            self._class(cls, annotation, style)
            or self._container(cls, annotation, args, style, depth + 1)
            or _instance(cls)
        )

    def _class(self, cls: Any, annotation: Any, style: str) -> Optional[Fit]:
        if reference_of(annotation) is not None:
            return reference_fit(annotation)
        if issubclass(cls, enum.Enum):
            return _member(cls, style)
        if dataclass_of(annotation) is not None:
            return self._once(annotation, _within(style, DATACLASS), dataclass_fit)
        if is_model(cls):
            return model_fit(cls)
        if is_typed_dict(cls):
            return self._once(annotation, _within(style, MODEL), typed_dict_fit)
        if is_message(cls):
            return message_fit(cls)
        return scalar_reading(cls, MODEL if style == _INSIDE else style)

    def _once(self, annotation: Any, style: str, make: Callable[[Any, str, Fitting], Fit]) -> Fit:
        key = (annotation, style)
        if key not in self._made:
            # Fields are looked at with the first value, so a class may have fields of its own kind.
            made: list[Fit] = []

            def fit(value: Any) -> Any:
                if not made:
                    made.append(make(annotation, style, self))
                return made[0](value)

            self._made[key] = fit
        return self._made[key]

    def _container(self, cls: type, annotation: Any, args: tuple[Any, ...], style: str, depth: int) -> Optional[Fit]:
        if issubclass(cls, Mapping):
            return self._mapping(cls, args, style, depth)
        if is_named_tuple(cls):
            return self._named_tuple(annotation, _within(style, MODEL), depth)
        if cls is tuple and args and args[1:] != (Ellipsis,):
            # `tuple[()]` is () in one Python and ((),) in another.
            items = () if args == ((),) else args
            inner = _within(style, MODEL)
            fits = [(f"item_{number}", self.of(item, inner, depth)) for number, item in enumerate(items)]
            return row_fit(named(annotation), tuple, fits, {})
        if hasattr(cls, "__iter__") and hasattr(cls, "__contains__") and not issubclass(cls, (str, bytes, bytearray)):
            return self._sequence(cls, args, style, depth)
        return None

    def _named_tuple(self, annotation: Any, style: str, depth: int) -> Fit:
        cls = typing.get_origin(annotation) or annotation
        hints = fields_of(annotation)
        fits = [(name, self.of(hints.get(name, Any), style, depth)) for name in cls._fields]
        return row_fit(cls.__name__, lambda items: cls(*items), fits, cls._field_defaults)

    def _sequence(self, cls: type, args: tuple[Any, ...], style: str, depth: int) -> Fit:
        item_fit = self.of(args[0], style if cls is list else _within(style, style), depth) if args else None
        make = None if cls is list or cls.__module__ == "collections.abc" else cls
        if cls.__module__ == "collections.abc" and issubclass(set, cls):
            make = set

        def fit(value: Any) -> Any:
            if not is_list(value) and not isinstance(value, (set, frozenset)) and type(value) is not cls:
                raise unexpected(named(cls), value)
            made = list(value)
            if item_fit is not None:
                made.clear()
                each(enumerate(value), lambda _, item: made.append(item_fit(item)))
            return made if make is None else make(made)

        return fit

    def _mapping(self, cls: type, args: tuple[Any, ...], style: str, depth: int) -> Fit:
        # Keys that are no texts are only in dicts that are written as one value, as a dataclass is.
        inner = DATACLASS if style == PLAIN and args[:1] != (str,) else style
        key_fit = self._key(args[0], inner, depth) if args else None
        item_fit = self.of(args[1], inner, depth) if len(args) > 1 else None

        def fit(value: Any) -> Any:
            if not isinstance(value, Mapping):
                raise unexpected("dict", value)
            made: dict[Any, Any] = {}

            def put(key: Any, item: Any) -> None:
                made[key if key_fit is None else key_fit(key)] = item if item_fit is None else item_fit(item)

            each(value.items(), put)
            if cls.__name__ == "defaultdict":
                return cls(None, made)
            return made if cls is dict or cls.__module__ == "collections.abc" else cls(made)

        return fit

    def _key(self, annotation: Any, style: str, depth: int) -> Fit:
        whole = self.of(annotation, style, depth)
        if annotation not in (int, float, bool):
            return whole

        def fit(key: Any) -> Any:
            # In JSON all keys are texts.
            if isinstance(key, str):
                with contextlib.suppress(ValueError):
                    return {"true": True, "false": False}[key.lower()] if annotation is bool else annotation(key)
            return whole(key)

        return fit

    def _union(self, annotation: Any, members: tuple[Any, ...], style: str, depth: int) -> Fit:
        optional = len(members) == 2 and type(None) in members
        inner = style if optional else _within(style, style)
        fits = [(member, self.of(member, inner, depth)) for member in members]
        classes = {bare(member) for member in members if isinstance(bare(member), type)}
        others = [fit for member, fit in fits if member is not type(None)]

        def fit(value: Any) -> Any:
            if value is None and type(None) in classes:
                return None
            # A datetime would do for a date that is declared before it, but a union's value knows which of them it is.
            # Inside a dataclass a text may stand for many things; there the order tells.
            if type(value) in classes and not (style != PLAIN and type(value) is str):
                return value
            if len(others) == 1 and isinstance(value, (Mapping, list)):
                # What is wrong inside an Optional is told, not that it is none.
                return others[0](value)
            ordered = sorted(fits, key=lambda pair: _distance(pair[0], value)) if isinstance(value, Mapping) else fits
            for _, member in ordered:
                with contextlib.suppress(Misfit):
                    return member(value)
            raise unexpected(named(annotation), value)

        return fit


def _within(style: str, outermost: str) -> str:
    """How what is in a class is written, by how the class itself is; `outermost` if there is nothing around it."""
    return {PLAIN: outermost, MODEL: _INSIDE}.get(style, style)


def _distance(annotation: Any, value: Mapping[Any, Any]) -> int:
    """How unlike the fields of a class are to what is there; the smallest one is tried first."""
    cls = typing.get_origin(bare(annotation)) or bare(annotation)
    if not (dataclass_of(cls) or is_model(cls) or is_named_tuple(cls) or is_typed_dict(cls)):
        return 1 << 20
    try:
        names = set(fields_of(cls))
    except Misfit:
        return 1 << 20
    same = isinstance(value, Record) and value.class_name == cls.__name__
    return len(names ^ set(value)) - (1 << 10 if same else 0)


def _instance(cls: type) -> Fit:
    def fit(value: Any) -> Any:
        if not isinstance(value, cls):
            raise unexpected(named(cls), value)
        return value

    return fit


def _member(cls: type[enum.Enum], style: str) -> Fit:
    def by_name(value: Any) -> Optional[enum.Enum]:
        return cls.__members__.get(str.__str__(value)) if isinstance(value, str) else None

    def by_value(value: Any) -> Optional[enum.Enum]:
        found = next((member for member in cls if member.value == value), None)
        # True is no 1, here as elsewhere.
        return None if found is None or isinstance(found.value, bool) != isinstance(value, bool) else found

    ways = (by_value, by_name) if style in (DATACLASS, _INSIDE) else (by_name, by_value)

    def fit(value: Any) -> enum.Enum:
        if isinstance(value, cls):
            return value
        if isinstance(value, enum.Enum):
            value = DynamicEnum.member(value.name)
        for way in (by_name,) if isinstance(value, DynamicEnum) else ways:
            found = way(value)
            if found is not None:
                return found
        raise unexpected(cls.__name__, value)

    return fit


def _choice(annotation: Any, allowed: tuple[Any, ...]) -> Fit:
    def fit(given: Any) -> Any:
        value = given.name if isinstance(given, DynamicEnum) else given
        for one in allowed:
            if type(one) is type(value) and one == value:
                return one
            # In a dataclass stands the value of a member; from JSON a whole number comes as a float.
            if isinstance(one, enum.Enum) and value in (one.value, one.name):
                return one
            if type(one) is int and type(value) is float and one == value:
                return one
        raise unexpected(named(annotation), given)

    return fit
