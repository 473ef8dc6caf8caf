"""The JSON schema of what is passed as if it were a model: tuples, named tuples, typed dicts.

It is in the shape that pydantic would give it, but made here: nobody needs pydantic to pass a tuple.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import fractions
import inspect
import ipaddress
import os
import typing
import uuid
from typing import Any, Callable, Optional

from flyte_lite._literals.classes import (
    UNIONS,
    annotated,
    bare,
    bound,
    constraints,
    dataclass_of,
    fields_of,
    is_model,
    is_named_tuple,
    is_typed_dict,
    may_be_missing,
    named,
    reference_of,
)
from flyte_lite._literals.defaults import as_json
from flyte_lite._literals.misfit import Misfit
from flyte_lite._literals.model_schema import Schema, model_schema, reference_schema

_EXACT: dict[Any, Schema] = {
    type(None): {"type": "null"},
    object: {},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    complex: {"type": "string"},
    str: {"type": "string"},
    bytes: {"type": "string", "format": "binary"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    datetime.timedelta: {"type": "string", "format": "duration"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    decimal.Decimal: {"anyOf": [{"type": "number"}, {"type": "string"}]},
    fractions.Fraction: {"anyOf": [{"type": "number"}, {"type": "string", "format": "fraction"}]},
    ipaddress.IPv4Address: {"type": "string", "format": "ipv4"},
    ipaddress.IPv6Address: {"type": "string", "format": "ipv6"},
    ipaddress.IPv4Network: {"type": "string", "format": "ipv4network"},
    ipaddress.IPv6Network: {"type": "string", "format": "ipv6network"},
    ipaddress.IPv4Interface: {"type": "string", "format": "ipv4interface"},
    ipaddress.IPv6Interface: {"type": "string", "format": "ipv6interface"},
}
_LITERAL_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def tuple_schema(annotation: Any) -> Schema:
    """The schema of `tuple[X, Y]`: a model of `item_0`, `item_1`, ...

    Raises:
        Misfit: An item can't be passed so.
    """
    # `typing.Tuple` and `tuple` have their own names, and both go on the wire.
    name = "Tuple" if getattr(annotation, "_name", None) == "Tuple" else "tuple"
    items = {f"item_{number}": item for number, item in enumerate(typing.get_args(annotation))}
    return _Building(wrapping=False).whole(f"TupleWrapper_{name}", items)


def named_tuple_schema(cls: Any) -> Schema:
    """The schema of a named tuple, all of whose fields count as required.

    Raises:
        Misfit: A field can't be passed so, or has no annotation.
    """
    hints = fields_of(cls)
    for name in cls._fields:
        if name not in hints:
            raise Misfit(f"the field {name} of {cls.__name__} has no annotation")
    return _Building(wrapping=False).whole(
        f"NamedTupleWrapper_{cls.__name__}", {name: hints[name] for name in cls._fields}
    )


def typed_dict_schema(annotation: Any) -> Schema:
    """The schema of a typed dict; what may be missing is only what is declared `NotRequired`.

    Raises:
        Misfit: A value can't be passed so.
    """
    return _Building(wrapping=True).typed_dict(annotation)


class _Building:
    """One schema in the making.

    Attributes:
        wrapping: Typed dicts inside are wrapped like the one outside; otherwise they are as pydantic knows them.
    """

    def __init__(self, wrapping: bool) -> None:
        self.wrapping = wrapping
        self._definitions: dict[str, Schema] = {}
        self._names: dict[str, Any] = {}
        self._again: set[str] = set()

    def whole(self, title: str, fields: dict[str, Any]) -> Schema:
        """The schema of the outermost thing."""
        return self._with_definitions(self._object(title, {name: (hint, {}) for name, hint in fields.items()}))

    def typed_dict(self, annotation: Any) -> Schema:
        """The schema of an outermost typed dict."""
        reference = self._typed_dict(annotation)
        (name,) = reference["$ref"].rsplit("/", 1)[1:]
        if name in self._again:
            return self._with_definitions(reference)
        return self._with_definitions(self._definitions.pop(name))

    def _with_definitions(self, schema: Schema) -> Schema:
        return {**schema, "$defs": self._definitions} if self._definitions else schema

    def _object(self, title: str, fields: dict[str, tuple[Any, Schema]]) -> Schema:
        properties, required = {}, []
        for name, (annotation, default) in fields.items():
            try:
                made = self.of(annotation)
            except Misfit as misfit:
                raise misfit.at(f".{name}") from None
            properties[name] = {**self._title(name, annotation), **made, **default}
            if not default:
                required.append(name)
        schema: Schema = {"type": "object", "title": title, "properties": properties}
        return {**schema, "required": required} if required else schema

    def _title(self, name: str, annotation: Any) -> Schema:
        annotation = bare(annotation)
        if typing.get_origin(annotation) in UNIONS:
            members = [member for member in typing.get_args(annotation) if member is not type(None)]
            if len(members) == 1 and len(typing.get_args(annotation)) == 2:
                return self._title(name, members[0])
        return {} if self._is_defined(annotation) else {"title": name.title().replace("_", " ").strip()}

    @staticmethod
    def _is_defined(annotation: Any) -> bool:
        """It stands among the definitions and is only referred to."""
        cls = typing.get_origin(annotation) or annotation
        return (
            dataclass_of(annotation) is not None
            or reference_of(annotation) is not None
            or bool(is_model(annotation))
            or is_named_tuple(cls)
            or is_typed_dict(cls)
            or (isinstance(cls, type) and issubclass(cls, enum.Enum))
        )

    def of(self, annotation: Any) -> Schema:
        """The schema of an annotation inside."""
        said = constraints(annotation)
        inner = bare(annotation)
        if typing.get_origin(inner) in UNIONS:
            return {**self._union(typing.get_args(inner), getattr(annotation, "__metadata__", ())), **said}
        return {**self._of(inner), **said}

    def _of(self, annotation: Any) -> Schema:
        if annotation is None:
            annotation = type(None)
        if annotation is Any:
            return {}
        if isinstance(annotation, typing.TypeVar):
            return self.of(bound(annotation, {}))
        if hasattr(annotation, "__supertype__"):
            return self.of(annotation.__supertype__)
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Literal:
            return _choice(args)
        if self._is_defined(annotation):
            return self._defined(annotation)
        cls = origin or annotation
        if cls in _EXACT:
            return dict(_EXACT[cls])
        if isinstance(cls, type):
            if issubclass(cls, os.PathLike):
                return {"type": "string", "format": "path"}
            if cls.__module__ == "zoneinfo" and cls.__name__ == "ZoneInfo":
                return {"type": "string", "format": "zoneinfo"}
            if cls is tuple and annotation not in (tuple, typing.Tuple):  # noqa: UP006
                return self._tuple(args)
            if cls in _GENERIC:
                return _GENERIC[cls](self, args)
        raise Misfit(f"values of {named(annotation)} can't stand in a tuple or typed dict")

    def _union(self, members: tuple[Any, ...], said: tuple[Any, ...] = ()) -> Schema:
        # None comes last, wherever it was written; what is said of an Optional is said of what it may be.
        ordered = sorted(members, key=lambda member: member is type(None))
        flat: list[Schema] = []
        for member in ordered:
            made = self.of(annotated(member, said) if said and member is not type(None) else member)
            for one in made["anyOf"] if list(made) == ["anyOf"] else [made]:
                if one not in flat:
                    flat.append(one)
        return flat[0] if len(flat) == 1 else {"anyOf": flat}

    def _defined(self, annotation: Any) -> Schema:
        cls = typing.get_origin(annotation) or annotation
        if reference_of(annotation) is not None:
            return self._define(annotation, lambda: reference_schema(annotation))
        if is_model(cls):
            return self._model(cls)
        if issubclass(cls, enum.Enum):
            return self._define(cls, lambda: _enum(cls))
        if is_typed_dict(cls):
            return self._typed_dict(annotation)
        if is_named_tuple(cls):
            return self._define(annotation, lambda: self._named_tuple(annotation))
        return self._define(annotation, lambda: self._dataclass(annotation))

    def _define(self, annotation: Any, build: Callable[[], Schema], prefix: str = "") -> Schema:
        name = prefix + _short_name(annotation)
        if self._names.setdefault(name, annotation) != annotation:
            cls = typing.get_origin(annotation) or annotation
            name = f"{cls.__module__}__{cls.__qualname__}".replace(".", "__").replace("<", "_").replace(">", "_")
        if name in self._definitions:
            self._again.add(name)
        else:
            self._definitions[name] = {}
            self._definitions[name] = build()
        return {"$ref": f"#/$defs/{name}"}

    def _model(self, cls: Any) -> Schema:
        schema = dict(model_schema(cls))
        self._definitions.update(schema.pop("$defs", {}))
        return {"$ref": schema["$ref"]} if "$ref" in schema else self._define(cls, lambda: schema)

    def _dataclass(self, annotation: Any) -> Schema:
        cls: Any = dataclass_of(annotation)
        hints = fields_of(annotation)
        fields = {}
        for field in dataclasses.fields(cls):
            if field.init:
                default: Schema = {}
                if field.default is not dataclasses.MISSING:
                    default = {"default": as_json(field.default)}
                fields[field.name] = (hints[field.name], default)
        schema = self._object(cls.__name__, fields)
        made_later = {
            field.name for field in dataclasses.fields(cls) if field.default_factory is not dataclasses.MISSING
        }
        if made_later & set(schema.get("required", ())):
            schema["required"] = [name for name in schema["required"] if name not in made_later]
            if not schema["required"]:
                del schema["required"]
        text = cls.__doc__ or ""
        # What `dataclass` writes itself where there is nothing says only what the schema says.
        return schema if text.startswith(f"{cls.__name__}(") or not text else {**schema, **_described(text)}

    def _named_tuple(self, annotation: Any) -> Schema:
        cls = typing.get_origin(annotation) or annotation
        hints = fields_of(annotation)
        items = []
        for name in cls._fields:
            hint = hints.get(name, Any)
            made = {**self._title(name, hint), **self.of(hint)}
            if name in cls._field_defaults:
                made["default"] = as_json(cls._field_defaults[name])
            items.append(made)
        least = len(items) - len(cls._field_defaults)
        schema: Schema = {"type": "array", "minItems": least, "maxItems": len(items)}
        return {**schema, "prefixItems": items} if items else schema

    def _typed_dict(self, annotation: Any) -> Schema:
        prefix = "TypedDictWrapper_" if self.wrapping else ""
        return self._define(annotation, lambda: self._typed_dict_object(annotation, prefix), prefix)

    def _typed_dict_object(self, annotation: Any, prefix: str) -> Schema:
        cls = typing.get_origin(annotation) or annotation
        fields: dict[str, tuple[Any, Schema]] = {}
        hints = fields_of(annotation)
        if self.wrapping:
            for name, hint in hints.items():
                missing = may_be_missing(hint)
                fields[name] = (Optional[bare(hint)], {"default": None}) if missing else (hint, {})
            return self._object(prefix + cls.__name__, fields)
        schema = self._object(cls.__name__, {name: (hint, {}) for name, hint in hints.items()})
        optional = {name for name, hint in hints.items() if may_be_missing(hint) or name not in cls.__required_keys__}
        schema["required"] = [name for name in hints if name not in optional]
        if not schema["required"]:
            del schema["required"]
        return {**schema, **_described(cls.__doc__ or "")}

    def _array(self, args: tuple[Any, ...]) -> Schema:
        return {"type": "array", "items": self.of(args[0]) if args else {}}

    def _set(self, args: tuple[Any, ...]) -> Schema:
        return {**self._array(args), "uniqueItems": True}

    def _counter(self, args: tuple[Any, ...]) -> Schema:
        return {"type": "object", "additionalProperties": {"type": "integer"}}

    def _mapping(self, args: tuple[Any, ...]) -> Schema:
        return {"type": "object", "additionalProperties": (self.of(args[1]) or True) if args else True}

    def _tuple(self, args: tuple[Any, ...]) -> Schema:
        # `tuple[()]` is () in one Python and ((),) in another.
        if args == ((),):
            args = ()
        if args[1:] == (Ellipsis,):
            return self._array(args[:1])
        schema: Schema = {"type": "array", "minItems": len(args), "maxItems": len(args)}
        return {**schema, "prefixItems": [self.of(item) for item in args]} if args else schema


# Pydantic knows these and no subclass of them.
_GENERIC: dict[Any, Callable[[_Building, tuple[Any, ...]], Schema]] = {
    collections.Counter: _Building._counter,
    **dict.fromkeys((set, frozenset, collections.abc.Set, collections.abc.MutableSet), _Building._set),
    **dict.fromkeys((list, collections.deque, tuple), _Building._array),
    **dict.fromkeys((collections.abc.Sequence, collections.abc.MutableSequence), _Building._array),
    **dict.fromkeys((dict, collections.OrderedDict, collections.defaultdict), _Building._mapping),
    **dict.fromkeys((collections.abc.Mapping, collections.abc.MutableMapping), _Building._mapping),
}


def _short_name(annotation: Any) -> str:
    args = typing.get_args(annotation)
    name: str = (typing.get_origin(annotation) or annotation).__name__
    return name + ("_" + "_".join(named(arg) for arg in args) + "_" if args else "")


def _choice(values: tuple[Any, ...]) -> Schema:
    listed = [as_json(value) for value in values]
    schema: Schema = {"const": listed[0]} if len(listed) == 1 else {"enum": listed}
    types = {type(value) for value in listed}
    return {**schema, "type": _LITERAL_TYPES[types.pop()]} if len(types) == 1 else schema


def _enum(cls: type[enum.Enum]) -> Schema:
    schema: Schema = {"title": cls.__name__, "enum": [member.name for member in cls]}
    types = {type(as_json(member)) for member in cls}
    if len(types) == 1:
        schema["type"] = _LITERAL_TYPES.get(types.pop(), "string")
    # The words that Python before 3.11 gives an enum without any.
    return schema if cls.__doc__ == "An enumeration." else {**schema, **_described(cls.__doc__ or "")}


def _described(text: str) -> Schema:
    return {"description": inspect.cleandoc(text)} if text else {}
