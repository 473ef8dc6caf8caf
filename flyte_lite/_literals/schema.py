"""The JSON schema in the metadata of a STRUCT: what the class behind it has for fields.

Two libraries write such schemas. mashumaro (dataclasses) writes everything out where it is used; pydantic (models, and
the wrappers of tuples, named tuples and typed dicts) refers to `$defs`. They also differ in how values are written:
mashumaro takes the value of an enum and seconds for a timedelta, pydantic the name of an enum and ISO 8601.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any, Optional

from flyte_lite._literals.generic import from_struct
from flyte_lite._literals.given import is_dict, is_instance, is_list
from flyte_lite._literals.kinds import MAX_DEPTH
from flyte_lite._literals.misfit import Misfit

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

_WRAPPED = re.compile("(Tuple|NamedTuple|TypedDict)Wrapper_")
_WRITTEN_BY_PYDANTIC = frozenset(("Pydantic Transformer", "Tuple", "NamedTuple", "TypedDict"))
_SIMPLE = {"null": "null", "integer": "int", "number": "float", "boolean": "bool", "string": "str"}
_UNTOLD: Any = object()
_WORD_DEPTH = 2


class Shape:
    """One fragment of a schema, understood.

    Attributes:
        what: any, null, int, float, str, bool, enum, list, tuple, dict, record, union, File, Dir or DataFrame.
        format: Of a str or float, what it stands for, such as "date-time".
        options: Of an enum, what may be written.
        open: Of an enum, that `options` are only names, and values that are not known here may be written as well.
        items: Of a list or dict, the elements; of a tuple and a union, `parts`.
        keys: Of a dict.
        name: Of a record, its class.
        wrapper: Of a record, "Tuple", "NamedTuple" or "TypedDict" if it stands for one.
        fields: Of a record, by name: the required ones in the order of the class, then the others sorted, as the schema
            keeps no order of these.
        required: Of a record.
        defaults: Of a record, for fields that may be left out, as far as it is told; all numbers are floats.
        closed: Of a record, that it has no other fields.
        whole: Of a record, that fields which are left out are filled in.
        tag: Of a union, the field that tells which part it is, and `tags` which.
    """

    __slots__ = (
        "closed",
        "defaults",
        "fields",
        "format",
        "items",
        "keys",
        "name",
        "open",
        "options",
        "parts",
        "required",
        "tag",
        "tags",
        "what",
        "whole",
        "wrapper",
    )

    def __init__(self, what: str = "any", format: str = "") -> None:
        self.what = what
        self.format = format
        self.options: list[Any] = []
        self.open = False
        self.items: Shape = self
        self.keys: Shape = self
        self.parts: list[Shape] = []
        self.name = ""
        self.wrapper = ""
        self.fields: dict[str, Shape] = {}
        self.required: list[str] = []
        self.defaults: dict[str, Any] = {}
        self.closed = False
        self.whole = True
        self.tag = ""
        self.tags: dict[str, Shape] = {}

    def become(self, other: Shape) -> None:
        """Be what `other` is; a class that is in itself is known before it is understood."""
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))

    def word(self, depth: int = 0) -> str:
        """What a person calls it."""
        if self.what == "record":
            return f"a tuple of {len(self.fields)}" if self.wrapper == "Tuple" else self.name or "dict"
        if self.what == "union":
            # A union may be in itself.
            if depth > _WORD_DEPTH:
                return "..."
            return " | ".join(dict.fromkeys([part.word(depth + 1) for part in self.parts]))
        words = {"null": "None", "any": "any value", "tuple": f"a tuple of {len(self.parts)}"}
        return _FORMATS.get(self.format) or words.get(self.what, self.what)

    def signature(self) -> str:
        """A record as one would write the call that makes it."""
        shown = [
            f"{name}: {field.word()}" + ("" if name in self.required else " = ...")
            for name, field in list(self.fields.items())[:8]
        ]
        return f"{self.name}({', '.join(shown + ['...'] * (len(self.fields) > 8))})"

    def fits(self, value: Any) -> bool:
        """Whether a value that is to be written has this outer shape of its own accord."""
        if self.what in _CLASSES:
            return type(value) is _CLASSES[self.what] or (self.format != "" and not is_list(value))
        if self.what == "enum":
            return isinstance(value, (enum.Enum, str, int))
        if self.what in ("list", "tuple"):
            return is_list(value) or isinstance(value, Set)
        if self.what in ("dict", "record"):
            return is_dict(value) or (self.what == "record" and is_instance(value))
        return self.what != "null"


_CLASSES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}

_FORMATS = {
    "date-time": "datetime",
    "date": "date",
    "time": "time",
    "time-delta": "timedelta",
    "duration": "timedelta",
    "base64": "bytes",
    "binary": "bytes",
    "uuid": "UUID",
    "path": "Path",
    "decimal": "Decimal",
}


def pydantic(literal_type: LiteralType, schema: Mapping[str, Any]) -> bool:
    """Whether values of the type are written as pydantic does, not as mashumaro does."""
    title = schema.get("title")
    return literal_type.structure.tag in _WRITTEN_BY_PYDANTIC or (
        isinstance(title, str) and _WRAPPED.match(title) is not None
    )


def metadata_of(literal_type: LiteralType) -> dict[str, Any]:
    """The schema as it stands in the type.

    Raises:
        Misfit: It is nested too deep.
    """
    return from_struct(literal_type.metadata)


def record_of(literal_type: LiteralType, schema: Mapping[str, Any]) -> Optional[Shape]:
    """The class that the schema describes; None if it describes none.

    Raises:
        Misfit: It is nested too deep.
    """
    found = _Schemas(schema, pydantic(literal_type, schema)).shape(schema, 0, False)
    return found if found.what == "record" else None


class _Schemas:
    def __init__(self, root: Mapping[str, Any], pydantic: bool) -> None:
        defs = root.get("$defs", root.get("definitions"))
        self._defs: Mapping[str, Any] = defs if isinstance(defs, dict) else {}
        self._known: dict[str, Shape] = {}
        self._pydantic = pydantic

    def shape(self, schema: Any, depth: int, element: bool) -> Shape:
        """What a fragment means; whatever is not understood is any value.

        Args:
            schema: The fragment.
            depth: How deep it is in the schema.
            element: It is an element of a list or dict. A dataclass that is written out there is a plain dict to the
                official client, which then fills in nothing.
        """
        if depth > MAX_DEPTH:
            raise Misfit(f"its type is nested more than {MAX_DEPTH} levels deep")
        if not isinstance(schema, dict):
            return Shape()
        if isinstance(schema.get("$ref"), str):
            return self._reference(schema["$ref"].rpartition("/")[2], depth)
        stored = _stored(schema)
        if stored:
            return Shape(stored)
        if isinstance(schema.get("enum"), list):
            return _enum(schema["enum"])
        if "const" in schema:
            return _enum([schema["const"]])
        for key in ("anyOf", "oneOf", "allOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                return self._union(schema, schema[key], depth, element)
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._union({}, [{**schema, "type": each} for each in kind], depth, element)
        if not isinstance(kind, str):
            return self._record(schema, depth, element) if isinstance(schema.get("properties"), dict) else Shape()
        if kind == "array":
            return self._array(schema, depth)
        if kind == "object":
            return self._object(schema, depth, element)
        format = schema.get("format")
        what = "int" if kind == "number" and format == "integer" else _SIMPLE.get(kind, "any")
        return Shape(what, format if isinstance(format, str) and what in ("str", "float") else "")

    def _reference(self, name: str, depth: int) -> Shape:
        if name not in self._known:
            self._known[name] = made = Shape()
            made.become(self.shape(self._defs.get(name), depth + 1, False))
            # Only an enum of pydantic's has a place of its own, and there it has its names.
            made.open = made.what == "enum" and self._pydantic
            if made.what == "record" and not made.name:
                made.name = name
        return self._known[name]

    def _union(self, schema: Mapping[str, Any], parts: list[Any], depth: int, element: bool) -> Shape:
        shapes = [self.shape(part, depth + 1, element) for part in parts]
        if len(shapes) == 1:
            return shapes[0]
        made = Shape("union")
        made.parts = shapes
        discriminator = schema.get("discriminator")
        if isinstance(discriminator, dict) and isinstance(discriminator.get("propertyName"), str):
            made.tag = discriminator["propertyName"]
            made.tags = {
                str(option): part
                for part in shapes
                if made.tag in part.fields
                for option in part.fields[made.tag].options
            }
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> Shape:
        parts = schema.get("prefixItems")
        if isinstance(parts, list):
            made = Shape("tuple")
            made.parts = [self.shape(part, depth + 1, True) for part in parts]
        else:
            made = Shape("list")
            made.items = self.shape(schema.get("items"), depth + 1, True)
        return made

    def _object(self, schema: Mapping[str, Any], depth: int, element: bool) -> Shape:
        more = schema.get("additionalProperties")
        if isinstance(schema.get("properties"), dict) and (schema["properties"] or not more):
            return self._record(schema, depth, element)
        if more is False:
            return self._record(schema, depth, element)
        made = Shape("dict")
        made.items = self.shape(more, depth + 1, True)
        made.keys = self.shape(schema.get("propertyNames", {"type": "string"}), depth + 1, True)
        return made

    def _record(self, schema: Mapping[str, Any], depth: int, element: bool) -> Shape:
        made = Shape("record")
        title = schema.get("title")
        made.name = title if isinstance(title, str) else ""
        wrapped = _WRAPPED.match(made.name)
        if wrapped:
            made.wrapper = wrapped.group(1)
            made.name = made.name[wrapped.end() :]
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            properties = {}
        required = schema.get("required")
        made.required = (
            [name for name in required if isinstance(name, str) and name in properties]
            if isinstance(required, list)
            else []
        )
        made.whole = not element or self._pydantic
        inside = not made.whole
        for name in [*dict.fromkeys(made.required), *(name for name in properties if name not in made.required)]:
            made.fields[name] = self.shape(properties[name], depth + 1, inside)
            if name not in made.required:
                default = _default(properties[name], made.fields[name])
                if default is not _UNTOLD:
                    made.defaults[name] = default
        made.closed = not self._pydantic
        return made


def _stored(schema: Mapping[str, Any]) -> str:
    """A reference to a file, folder or table goes by its title, as the official SDK tells it."""
    title, properties, required = schema.get("title"), schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(title, str):
        return ""
    # `File[str]` says so in its title.
    title = title.partition("[")[0]
    if title in ("File", "Dir") and "path" in properties and required == ["path"]:
        return title
    return "DataFrame" if title == "DataFrame" and "uri" in properties and "format" in properties else ""


def _enum(options: list[Any]) -> Shape:
    made = Shape("enum")
    made.options = [mended(option) for option in options]
    return made


def mended(value: Any) -> Any:
    """A number of a schema as it was written: a Struct makes every int a double."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _default(schema: Any, shape: Shape) -> Any:
    """What the official client takes for a field that is left out.

    A default that is made anew for each instance is not in the schema. In place of a list, a dict, and a class that has
    defaults for everything, the client takes an empty one; in place of others None, which the task then refuses. These
    are left out here, so that the class makes its default.
    """
    if isinstance(schema, dict) and "default" in schema:
        return schema["default"]
    if shape.what in ("list", "tuple"):
        return []
    if shape.what == "dict":
        return {}
    if shape.what == "record" and len(shape.defaults) == len(shape.fields):
        return dict(shape.defaults)
    return _UNTOLD
