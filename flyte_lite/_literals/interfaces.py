"""The interface of a deployed task, as Python annotations and as JSON schema."""

from __future__ import annotations

import datetime
import typing
from typing import TYPE_CHECKING, Any

from flyte_lite import io
from flyte_lite._literals.kinds import MAX_DEPTH
from flyte_lite._literals.pickles import pickled
from flyte_lite._literals.records import Record
from flyte_lite._literals.values import kind_of

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

Schema = dict[str, Any]

_NONE, _STRUCT = 0, 9
_SIMPLE: dict[int, Any] = {
    0: type(None),
    1: int,
    2: float,
    3: str,
    4: bool,
    5: datetime.datetime,
    6: datetime.timedelta,
}
# What is pickled of Python's own, and needs no class of anybody's.
_PICKLED = {cls.__name__: cls for cls in (bytes, bytearray, complex, frozenset, list, set, tuple)}
_SIMPLE_SCHEMAS: dict[int, Schema] = {
    0: {"type": "null"},
    1: {"type": "integer"},
    2: {"type": "number", "format": "float"},
    3: {"type": "string"},
    4: {"type": "boolean"},
    5: {"type": "string", "format": "datetime"},
    6: {"type": "string", "format": "duration"},
    7: {"type": "string", "format": "binary"},
    8: {"type": "object", "format": "error"},
}


def annotation_of(literal_type: LiteralType, depth: int = 0) -> Any:
    """What values of the type are read as: `list[int]`, `Record` for a dataclass or model, `Literal[...]` for an enum.

    What only its own class could tell is `Any`.
    """
    which = literal_type.WhichOneof("type")
    if depth > MAX_DEPTH or which is None:
        return Any
    if which == "collection_type":
        return list[annotation_of(literal_type.collection_type, depth + 1)]  # type: ignore[misc]
    if which == "map_value_type":
        return dict[str, annotation_of(literal_type.map_value_type, depth + 1)]  # type: ignore[misc]
    if which == "enum_type":
        values = tuple(literal_type.enum_type.values)
        return typing.Literal[values] if values else str
    if which == "simple":
        return _simple(literal_type)
    tag = kind_of(literal_type).tag
    if tag == "FlytePickle":
        return _PICKLED.get(pickled(literal_type), Any)
    if which == "union_type":
        members = tuple(annotation_of(variant, depth + 1) for variant in literal_type.union_type.variants)
        return typing.Union[members] if members else Any
    if which == "blob":
        return io.Dir if literal_type.blob.dimensionality else io.File
    return io.DataFrame


def _simple(literal_type: LiteralType) -> Any:
    if literal_type.simple == 5 and literal_type.structure.tag == "date":
        return datetime.date
    if literal_type.simple != _STRUCT:
        return _SIMPLE.get(literal_type.simple, Any)
    fields = literal_type.metadata.fields
    title = fields["title"].string_value if "title" in fields else ""
    if title.startswith("TupleWrapper_"):
        return tuple
    return Record if title or "$ref" in fields else dict


def json_schema_of(literal_type: LiteralType, depth: int = 0) -> Schema:
    """The type as JSON schema, in the words of the official SDK: for forms, and for models that call tasks as tools.

    A dataclass or a model is its own schema; `dataclass` is the name of its class.
    """
    schema = _structure(literal_type, depth)
    is_struct = literal_type.WhichOneof("type") == "simple" and literal_type.simple == _STRUCT
    if literal_type.HasField("metadata") and not is_struct:
        schema.update(_plain(literal_type.metadata))
    return schema


def _structure(literal_type: LiteralType, depth: int) -> Schema:
    which = literal_type.WhichOneof("type")
    if depth > MAX_DEPTH:
        return {}
    if which == "simple":
        if literal_type.simple == _STRUCT:
            return _struct(literal_type)
        return dict(_SIMPLE_SCHEMAS.get(literal_type.simple, {"type": "string"}))
    if which == "collection_type":
        return {"type": "array", "items": json_schema_of(literal_type.collection_type, depth + 1)}
    if which == "map_value_type":
        return {"type": "object", "additionalProperties": json_schema_of(literal_type.map_value_type, depth + 1)}
    if which == "enum_type":
        return {"type": "string", "enum": list(literal_type.enum_type.values)}
    if which == "blob":
        return _blob(literal_type)
    if which == "structured_dataset_type":
        texts = {"uri": {"type": "string"}, "format": {"type": "string"}}
        return {"type": "object", "format": "structured-dataset", "properties": texts}
    if which == "union_type":
        return _union(literal_type, depth)
    return {"type": "string"}


def _struct(literal_type: LiteralType) -> Schema:
    schema = _plain(literal_type.metadata)
    if not schema:
        return {"type": "object"}
    schema.setdefault("type", "object")
    schema.pop("additionalProperties", None)
    if "title" in schema:
        schema["dataclass"] = schema.pop("title")
    properties = schema.get("properties")
    if "required" not in schema and isinstance(properties, dict) and properties:
        schema["required"] = [
            name for name, said in properties.items() if not (isinstance(said, dict) and "default" in said)
        ]
    return schema


def _blob(literal_type: LiteralType) -> Schema:
    dimensions = ["SINGLE", "MULTIPART"]
    return {
        "type": "object",
        "format": "blob",
        "properties": {
            "uri": {"type": "string", "default": ""},
            "format": {"type": "string", "default": literal_type.blob.format},
            "dimensionality": {
                "type": "string",
                "enum": dimensions,
                "default": dimensions[literal_type.blob.dimensionality == 1],
            },
        },
    }


def _union(literal_type: LiteralType, depth: int) -> Schema:
    variants = list(literal_type.union_type.variants)
    some = [each for each in variants if each.WhichOneof("type") != "simple" or each.simple != _NONE]
    if len(some) == 1:
        # An Optional: that it may be None is said by its not being required.
        return json_schema_of(some[0], depth + 1)
    told = []
    for variant in variants:
        tag = variant.structure.tag
        told.append({**json_schema_of(variant, depth + 1), "title": tag, "structure": tag})
    return {"oneOf": told, "format": "union"}


def _plain(message: Any) -> Schema:
    from google.protobuf import json_format

    return typing.cast("Schema", _whole(json_format.MessageToDict(message)))


def _whole(value: Any) -> Any:
    """Numbers as they were meant: a Struct makes every int a double."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value
