"""The JSON schema of a dataclass, as it stands in the type of an input: the shape in which mashumaro writes it."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import os
import typing
import uuid
from typing import Any, Callable, Optional

from flyte_lite._literals.classes import (
    UNIONS,
    bare,
    bound,
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
from flyte_lite._literals.model_schema import model_schema, reference_schema

Schema = dict[str, Any]

_BYTES = (bytes, bytearray, memoryview)
_EXACT: dict[Any, Schema] = {
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    datetime.timedelta: {"type": "number", "format": "time-delta"},
    datetime.timezone: {"type": "string", "pattern": "^UTC([+-][0-2][0-9]:[0-5][0-9])?$"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    decimal.Decimal: {"type": "string", "format": "decimal"},
    fractions.Fraction: {"type": "string", "format": "fraction"},
    ipaddress.IPv4Address: {"type": "string", "format": "ipv4"},
    ipaddress.IPv6Address: {"type": "string", "format": "ipv6"},
    ipaddress.IPv4Network: {"type": "string", "format": "ipv4network"},
    ipaddress.IPv6Network: {"type": "string", "format": "ipv6network"},
    ipaddress.IPv4Interface: {"type": "string", "format": "ipv4interface"},
    ipaddress.IPv6Interface: {"type": "string", "format": "ipv6interface"},
}
# What mashumaro keeps of the schema of a model inside a dataclass; words that it does not know are lost.
_KEPT = frozenset(
    [
        "$schema",
        "type",
        "enum",
        "const",
        "format",
        "title",
        "description",
        "anyOf",
        "$ref",
        "$defs",
        "default",
        "deprecated",
        "examples",
        "properties",
        "patternProperties",
        "additionalProperties",
        "propertyNames",
        "prefixItems",
        "items",
        "contains",
        "multipleOf",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxContains",
        "minContains",
        "maxProperties",
        "minProperties",
        "required",
        "dependentRequired",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
    ]
)
_NAMED_SCHEMAS = ("properties", "patternProperties", "$defs")
_SCHEMAS = ("additionalProperties", "propertyNames", "items", "contains", "contentSchema")


def dataclass_schema(annotation: Any) -> Schema:
    """The schema of a dataclass.

    Raises:
        Misfit: A field is of a type that can't stand in a dataclass.
    """
    building = _Building()
    schema = building.dataclass(annotation)
    if building.definitions:
        schema["$defs"] = building.definitions
    return schema


class _Building:
    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._open: list[type] = []
        self._recursive: set[str] = set()

    def dataclass(self, annotation: Any) -> Schema:
        cls = dataclass_of(annotation)
        assert cls is not None
        name = cls.__name__
        reference = {"$ref": f"#/$defs/{name}"}
        if cls in self._open:
            if name not in self.definitions:
                self._recursive.add(name)
            return reference
        self._open.append(cls)
        try:
            schema = self._object(cls, fields_of(annotation))
        finally:
            self._open.pop()
        if name in self._recursive:
            self._recursive.remove(name)
            self.definitions[name] = schema
            return reference
        return schema

    def _object(self, cls: type, hints: dict[str, Any]) -> Schema:
        schema: Schema = {"type": "object", "title": cls.__name__, "additionalProperties": False}
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for field in dataclasses.fields(cls):
            if not field.init:
                continue
            try:
                made = self.of(hints[field.name])
                if field.default is not dataclasses.MISSING:
                    made["default"] = as_json(field.default)
            except Misfit as misfit:
                raise misfit.at(f".{field.name}") from None
            if field.metadata.get("description"):
                made["description"] = field.metadata["description"]
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                required.append(field.name)
            properties[field.name] = made
        if properties:
            schema["properties"] = properties
        if required:
            schema["required"] = required
        return schema

    def of(self, annotation: Any) -> Schema:
        """The schema of a field's annotation."""
        annotation = bare(annotation)
        if annotation is None:
            annotation = type(None)
        if annotation is Any:
            return {}
        if isinstance(annotation, typing.TypeVar):
            return self.of(bound(annotation, {}))
        if hasattr(annotation, "__supertype__"):
            return self.of(annotation.__supertype__)
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in UNIONS:
            return {"anyOf": [self.of(member) for member in args]}
        if origin is typing.Literal:
            return _choice(args)
        if reference_of(annotation) is not None:
            return typing.cast("Schema", _kept(reference_schema(annotation)))
        if dataclass_of(annotation) is not None:
            return self.dataclass(annotation)
        cls = origin or annotation
        if isinstance(cls, type):
            made = self._class(cls, annotation, args)
            if made is not None:
                return made
        raise Misfit(f"values of {named(annotation)} can't stand in a dataclass")

    def _class(self, cls: type, annotation: Any, args: tuple[Any, ...]) -> Optional[Schema]:
        if cls in _EXACT:
            return dict(_EXACT[cls])
        if is_model(cls):
            return typing.cast("Schema", _kept(model_schema(cls)))
        if cls.__module__ == "zoneinfo" and cls.__name__ == "ZoneInfo":
            return {"type": "string", "format": "time-zone"}
        if issubclass(cls, enum.Enum):
            return {"enum": [as_json(member.value) for member in cls]}
        if issubclass(cls, _BYTES):
            return {"type": "string", "format": "base64"}
        if issubclass(cls, str):
            return {"type": "string"}
        if issubclass(cls, os.PathLike):
            return {"type": "string", "format": "path"}
        if is_named_tuple(cls):
            return self._named_tuple(cls, annotation)
        if is_typed_dict(cls):
            return self._typed_dict(annotation)
        if issubclass(cls, tuple) and annotation not in (tuple, typing.Tuple):  # noqa: UP006
            return self._tuple(args)
        for base, build in _GENERIC.items():
            if issubclass(cls, base) and cls is not range:
                return build(self, args)
        return None

    def _item(self, args: tuple[Any, ...], number: int, key: str) -> Schema:
        made = self.of(args[number]) if len(args) > number else {}
        return {key: made} if made else {}

    def _array(self, args: tuple[Any, ...]) -> Schema:
        return {"type": "array", **self._item(args, 0, "items")}

    def _set(self, args: tuple[Any, ...]) -> Schema:
        return {**self._array(args), "uniqueItems": True}

    def _counter(self, args: tuple[Any, ...]) -> Schema:
        names = self._item(args, 0, "propertyNames")
        return {"type": "object", "additionalProperties": {"type": "integer"}, **names}

    def _chain(self, args: tuple[Any, ...]) -> Schema:
        return {"type": "array", "items": self._mapping(args)}

    def _mapping(self, args: tuple[Any, ...]) -> Schema:
        names = self._item(args, 0, "propertyNames")
        return {"type": "object", **self._item(args, 1, "additionalProperties"), **names}

    def _tuple(self, args: tuple[Any, ...]) -> Schema:
        # `tuple[()]` is () in one Python and ((),) in another.
        if not args or args == ((),):
            return {"type": "array", "maxItems": 0}
        if len(args) == 2 and args[1] is Ellipsis:
            return self._array(args)
        items = [self.of(item) for item in args]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}

    def _named_tuple(self, cls: Any, annotation: Any) -> Schema:
        hints = fields_of(annotation)
        items = []
        for name in cls._fields:
            made = self.of(hints.get(name, Any))
            if name in cls._field_defaults:
                made["default"] = as_json(cls._field_defaults[name])
            items.append(made)
        if not items:
            return {"type": "array"}
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}

    def _typed_dict(self, annotation: Any) -> Schema:
        cls = typing.get_origin(annotation) or annotation
        hints = fields_of(annotation)
        required = sorted(name for name in cls.__required_keys__ if not may_be_missing(hints[name]))
        schema: Schema = {"type": "object", "additionalProperties": False}
        if hints:
            schema["properties"] = {name: self.of(hint) for name, hint in hints.items()}
        if required:
            schema["required"] = required
        return schema


_GENERIC: dict[type, Callable[[_Building, tuple[Any, ...]], Schema]] = {
    list: _Building._array,
    collections.deque: _Building._array,
    collections.abc.Set: _Building._set,
    collections.ChainMap: _Building._chain,
    collections.Counter: _Building._counter,
    collections.abc.Mapping: _Building._mapping,
    collections.abc.Sequence: _Building._array,
}


def _choice(values: tuple[Any, ...]) -> Schema:
    listed = [as_json(value) for value in values]
    return {"const": listed[0]} if len(listed) == 1 else {"enum": listed}


def _kept(schema: Any) -> Any:
    """The schema of a model without the words that are lost inside a dataclass."""
    if not isinstance(schema, dict):
        return schema
    made = {key: value for key, value in schema.items() if key in _KEPT}
    for key in _NAMED_SCHEMAS:
        if key in made:
            made[key] = {name: _kept(value) for name, value in made[key].items()}
    for key in _SCHEMAS:
        if key in made:
            made[key] = _kept(made[key])
    for key in ("anyOf", "prefixItems"):
        if key in made:
            made[key] = [_kept(value) for value in made[key]]
    return made
