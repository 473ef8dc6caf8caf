"""Members of enums inside what has fields, and values and schemas that look like something else."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple, Optional

import pytest

from flyte_lite._literals import describe, from_literal, to_literal
from flyte_lite._literals.types import literal_type
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2
from flyte_lite.io import DataFrame, Dir, File

msgpack = pytest.importorskip("msgpack")


class Swapped(enum.Enum):
    """The name of each is the value of the other."""

    red = "green"
    green = "red"


class Pair(NamedTuple):
    color: Swapped


class Model:
    """As much of a pydantic model as is asked for."""

    plain: Swapped
    maybe: Optional[Swapped]
    many: list[Swapped]
    keyed: dict[Swapped, Swapped]
    pair: tuple[Swapped, int]

    def __init__(self, **values: Any) -> None:
        self._values = values

    def model_dump(self, mode: str = "python", by_alias: bool = False) -> dict[str, Any]:
        return {name: _json(value) if mode == "json" else value for name, value in self._values.items()}


def _json(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    return {_json(key): _json(item) for key, item in value.items()} if isinstance(value, dict) else value


def struct(tag: str, **schema: Any) -> types_pb2.LiteralType:
    made = types_pb2.LiteralType(simple=types_pb2.STRUCT)
    made.structure.tag = tag
    made.metadata.update(schema)
    return made


def fields(literal: literals_pb2.Literal) -> Any:
    return msgpack.unpackb(literal.scalar.binary.value, strict_map_key=False)


COLORS = {"Swapped": {"type": "string", "enum": ["red", "green"], "title": "Swapped"}}
COLOR = {"$ref": "#/$defs/Swapped"}


@pytest.mark.parametrize(
    ("tag", "text"), [("Object-Dataclass-Transformer", "green"), ("Pydantic Transformer", "red")], ids=str
)
def test_a_member_goes_by_what_its_class_is_written_with(tag: str, text: str) -> None:
    of = struct(tag, title="C", type="object", properties={"c": {"type": "string", "enum": ["red", "green"]}})

    assert fields(to_literal({"c": Swapped.red}, of)) == {"c": text}


def test_members_in_a_model_go_by_name_where_the_official_sdk_follows_its_hints() -> None:
    of = struct(
        "Pydantic Transformer",
        **{"$defs": COLORS},
        title="Model",
        type="object",
        properties={
            "plain": COLOR,
            "maybe": {"anyOf": [COLOR, {"type": "null"}]},
            "many": {"type": "array", "items": COLOR},
            "keyed": {"type": "object", "propertyNames": COLOR, "additionalProperties": COLOR},
            "pair": {"type": "array", "prefixItems": [COLOR, {"type": "integer"}]},
        },
    )
    red = Swapped.red

    literal = to_literal(Model(plain=red, maybe=red, many=[red], keyed={red: red}, pair=(red, 1)), of)

    assert fields(literal) == {
        "plain": "red",
        "maybe": "red",
        "many": ["red"],
        "keyed": {"red": "red"},
        "pair": ["green", 1],
    }


def test_members_in_a_named_tuple_in_a_tuple_go_by_value() -> None:
    of = literal_type(tuple[Swapped, Pair])

    assert fields(to_literal((Swapped.red, Pair(Swapped.red)), of)) == {"item_0": "red", "item_1": ["green"]}


class Straight(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(("color", "text"), [(Straight.RED, "red"), (Swapped.red, "red")], ids=str)
def test_a_dict_in_a_model_has_what_any_class_reads(color: enum.Enum, text: str) -> None:
    # A dataclass there reads values only; a model names first, and then values.
    inner = {"type": "object", "properties": {"c": COLOR}, "required": ["c"], "title": "Inner"}
    of = struct(
        "Pydantic Transformer",
        **{"$defs": {"Inner": inner, "Swapped": {"enum": [color.name], "title": "Color", "type": "string"}}},
        title="Model",
        type="object",
        properties={"inner": {"$ref": "#/$defs/Inner"}},
    )

    assert fields(to_literal({"inner": {"c": color}}, of)) == {"inner": {"c": text}}


def test_what_can_not_be_compared_is_no_member() -> None:
    class Array:
        def __eq__(self, other: object) -> bool:
            raise ValueError("the truth value of an array is ambiguous")

        __hash__ = None  # type: ignore[assignment]

    of = struct("Pydantic Transformer", title="C", type="object", properties={"c": {"enum": ["red"]}})

    with pytest.raises(LiteralError, match=r"^x\.c: expected one of 'red', got Array"):
        to_literal({"c": Array()}, of, "x")


def test_a_reference_is_no_record_of_another_class() -> None:
    class OfficialFile:
        path, name, format, hash = "s3://b/f", "f", "", None

        def model_dump(self, mode: str = "python", by_alias: bool = False) -> dict[str, Any]:
            return {"path": self.path}

    OfficialFile.__name__ = "File"
    of = types_pb2.LiteralType()
    of.union_type.variants.add().CopyFrom(types_pb2.LiteralType(blob={}))
    of.union_type.variants.add().CopyFrom(
        struct("Pydantic Transformer", title="C", type="object", properties={"a": {"type": "integer", "default": 1}})
    )

    assert to_literal(OfficialFile(), of).scalar.union.value.scalar.blob.uri == "s3://b/f"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (File, File("s3://b/f", hash="\ud800")),
        (Dir, Dir("s3://b/d", format="\ud800")),
        (DataFrame, DataFrame("s3://b/t", hash="\ud800")),
        (DataFrame, DataFrame("s3://b/t", format="\ud800")),
    ],
    ids=repr,
)
def test_texts_of_references_are_valid_unicode(annotation: Any, value: Any) -> None:
    with pytest.raises(LiteralError, match=r"^x: .*not valid Unicode"):
        to_literal(value, literal_type(annotation), "x")


def test_a_schema_may_be_in_itself_and_hold_anything() -> None:
    loop = {"anyOf": [COLOR, COLOR, {"type": "null"}]}
    of = struct(
        "Pydantic Transformer",
        **{"$defs": {"Swapped": loop}},
        title="C",
        type="object",
        properties={"c": COLOR},
        required=["c", {}, ["c"]],
    )
    literal = literals_pb2.Literal()
    literal.scalar.binary.tag, literal.scalar.binary.value = "msgpack", msgpack.packb({"c": 1})

    assert describe(of) == "C"
    with pytest.raises(LiteralError, match=r"^x"):
        from_literal(literal, of, "x")
