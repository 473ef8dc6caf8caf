"""What has fields: dicts and instances by a JSON schema, where they are wrong, and how they are read."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

import pytest

from flyte_lite import io
from flyte_lite._literals import from_literal, to_literal
from flyte_lite._literals.records import Record
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2

msgpack = pytest.importorskip("msgpack")

INNER = {"type": "object", "title": "Inner", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
TREE = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "title": "Node",
            "properties": {
                "v": {"type": "integer"},
                "kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}, "default": []},
            },
            "required": ["v"],
        }
    },
}


def struct(schema: Mapping[str, Any], tag: str = "Object-Dataclass-Transformer") -> types_pb2.LiteralType:
    made = types_pb2.LiteralType(simple=types_pb2.STRUCT)
    made.metadata.update(schema)
    made.structure.tag = tag
    return made


def record(name: str = "Config", required: Any = None, tag: str = "Object-Dataclass-Transformer", **fields: Any) -> Any:
    needed = [field for field in fields if "default" not in fields[field]] if required is None else required
    return struct({"type": "object", "title": name, "properties": fields, "required": needed}, tag)


def packed(value: Any, declared: types_pb2.LiteralType, path: str = "x") -> Any:
    literal = to_literal(value, declared, path)
    while literal.scalar.WhichOneof("value") == "union":
        literal = literal.scalar.union.value
    return msgpack.unpackb(literal.scalar.binary.value, strict_map_key=False)


def literal_of(value: Any) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar={"binary": {"value": msgpack.packb(value), "tag": "msgpack"}})


def generic(value: dict[str, Any]) -> literals_pb2.Literal:
    made = literals_pb2.Literal()
    made.scalar.generic.update(value)
    return made


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Inner:
    a: int


@dataclasses.dataclass
class Config:
    z: Inner
    b: float
    a: Optional[datetime.datetime] = None


@dataclasses.dataclass
class Keyed:
    m: dict[int, str]


class Pair(NamedTuple):
    left: int
    right: Optional[str] = None


UTC = datetime.timezone.utc
DAY = datetime.datetime(2024, 1, 2, tzinfo=UTC)
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
CONFIG = record(
    z=INNER,
    b={"type": "number"},
    a={"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}], "default": None},
)


def test_an_instance_is_written_in_its_own_order_and_as_it_is() -> None:
    written = packed(Config(Inner(1), 2, DAY), CONFIG)

    assert json.dumps(written) == '{"z": {"a": 1}, "b": 2, "a": "2024-01-02T00:00:00+00:00"}'


def test_a_dict_is_converted_and_filled_in() -> None:
    written = packed({"b": 2, "z": {"a": 1}}, CONFIG)

    assert json.dumps(written) == '{"z": {"a": 1}, "b": 2.0, "a": null}'


def test_keys_are_numbers_to_a_dataclass_and_texts_to_a_model() -> None:
    numbered = {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"type": "integer"}}
    declared, model = record("Keyed", m=numbered), record("Keyed", m=numbered, tag="Pydantic Transformer")

    assert packed({"m": {1: "a", "2": "b"}}, declared) == {"m": {1: "a", 2: "b"}}
    assert packed(Keyed({1: "a"}), declared) == {"m": {1: "a"}}
    assert packed({"m": {1: "a", "2": "b"}}, model) == {"m": {"1": "a", "2": "b"}}
    assert from_literal(to_literal({"m": {1: "a"}}, model), model) == {"m": {1: "a"}}


def test_a_record_that_was_read_is_written_again() -> None:
    read = from_literal(to_literal(Config(Inner(1), 2.5), CONFIG), CONFIG)

    assert packed(read, CONFIG) == read == {"z": {"a": 1}, "b": 2.5, "a": None}
    assert repr(read) == "Config(z=Inner(a=1), b=2.5, a=None)"


def test_what_has_a_default_that_is_not_told_is_left_to_the_class() -> None:
    declared = record(required=[], made={"type": "string"}, many={"type": "array"}, inner=INNER)

    assert packed({}, declared) == {"many": []}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"z": {"a": "q"}, "b": 1}, "x.z.a: expected int, got str 'q'"),
        (
            {"z": {}, "b": True},
            "x.z: expected Inner(a: int), but a is missing; x.b: expected float, got bool True",
        ),
        (
            {"z": {"a": 1}, "b": 1, "bb": 2},
            "x: expected Config(z: Inner, b: float, a: datetime | None = ...), which has no field 'bb' "
            "(did you mean b?)",
        ),
        ({}, "x: expected Config(z: Inner, b: float, a: datetime | None = ...), but z and b are missing"),
        (Config(Inner("q"), 1.5), "x.z.a: expected int, got str 'q'"),  # type: ignore[arg-type]
        (Config(None, 1.5), "x.z: expected Inner, got None"),  # type: ignore[arg-type]
        (5, "x: expected Config, got int 5"),
        (None, "x: expected Config, got None"),
        ({"z": {"a": 1}, "b": 1, "a": 5}, "x.a: expected datetime | None, got int 5"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(value: Any, text: str) -> None:
    with pytest.raises(LiteralError) as caught:
        to_literal(value, CONFIG, "x")

    assert str(caught.value) == text


def test_a_path_leads_through_lists_and_dicts() -> None:
    layers = record("Model", layers={"type": "array", "items": {"type": "object", "additionalProperties": INNER}})

    with pytest.raises(LiteralError) as caught:
        to_literal({"layers": [{}, {"k": {"a": 1.5}}]}, layers, "config")

    assert caught.value.path == 'config.layers[1]["k"].a'


@pytest.mark.parametrize(
    ("schema", "value", "by_dataclass", "by_pydantic"),
    [
        ({"type": "string", "format": "date-time"}, DAY, "2024-01-02T00:00:00+00:00", "2024-01-02T00:00:00Z"),
        ({"type": "string", "format": "date-time"}, DAY.replace(tzinfo=None), "2024-01-02T00:00:00", None),
        ({"type": "string", "format": "date-time"}, DAY.replace(tzinfo=EAST), "2024-01-02T00:00:00+05:30", None),
        ({"type": "string", "format": "date-time"}, DAY.date(), "2024-01-02T00:00:00", None),
        ({"type": "string", "format": "date"}, DAY, "2024-01-02", None),
        ({"type": "string", "format": "date"}, "2024-01-02", "2024-01-02", None),
        ({"type": "string", "format": "time"}, datetime.time(1, 2), "01:02:00", None),
        ({"type": "number", "format": "time-delta"}, datetime.timedelta(seconds=-1.5), -1.5, None),
        ({"type": "string", "format": "duration"}, datetime.timedelta(0), "PT0S", None),
        ({"type": "string", "format": "duration"}, datetime.timedelta(days=-2), "-P2D", None),
        ({"type": "string", "format": "duration"}, datetime.timedelta(hours=25, seconds=1.5), "P1DT1H1.5S", None),
        ({"type": "string", "format": "base64"}, b"\xff", b"\xff", "/w=="),
        ({"type": "string", "format": "binary"}, b"abc", "abc", None),
        ({"type": "string", "format": "binary"}, b"\xff", b"\xff", None),
        ({"enum": ["red", "blue"]}, Color.RED, "red", None),
        ({"enum": ["RED", "BLUE"]}, Color.RED, "RED", None),
        ({"enum": [1, 10]}, 10, 10, None),
        ({"type": "array", "items": {"type": "integer"}}, {3, 1, 2}, [1, 2, 3], None),
        ({"type": "array", "items": {"type": "number"}}, (1, 2), [1.0, 2.0], None),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, (1, "a"), [1, "a"], None),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": 1}, None),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "5", "5", None),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, 5, 5.0, None),
        ({}, {"k": [None, 1]}, {"k": [None, 1]}, None),
        (True, 5, 5, None),
    ],
)
def test_a_field_is_written_as_its_class_writes_it(
    schema: Any, value: Any, by_dataclass: Any, by_pydantic: Any
) -> None:
    properties = {"type": "object", "title": "C", "properties": {"f": schema}, "required": ["f"]}

    one = packed({"f": value}, struct(properties))["f"]
    other = packed({"f": value}, struct(properties, "Pydantic Transformer"))["f"]

    assert (type(one), one) == (type(by_dataclass), by_dataclass)
    assert other == (by_dataclass if by_pydantic is None else by_pydantic)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1.0),
        ({"type": "integer"}, "1"),
        ({"type": "integer"}, True),
        ({"type": "number"}, True),
        ({"type": "number"}, 2**53 + 1),
        ({"type": "number"}, "1"),
        ({"type": "boolean"}, 1),
        ({"type": "string"}, 1),
        ({"type": "string", "format": "base64"}, "YQ=="),
        ({"type": "null"}, 0),
        ({"enum": ["red", 1]}, True),
        ({"enum": ["red"]}, "blue"),
        ({"type": "array", "items": {"type": "integer"}}, "ab"),
        ({"type": "array", "prefixItems": [{"type": "integer"}]}, [1, 2]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {1: 1}),
        ({"type": "object", "propertyNames": {"type": "integer"}}, {"a": 1}),
        ({"type": "integer"}, 2**64),
        ({"type": "string"}, "\ud800"),
        ({}, object()),
        ({}, {(1, 2): 3}),
    ],
)
def test_a_field_of_another_type_is_refused_with_its_path(schema: Any, value: Any) -> None:
    with pytest.raises(LiteralError) as caught:
        to_literal({"f": value}, record(f=schema), "x")

    assert caught.value.path.startswith(("x.f", 'x["f"]'))


@pytest.mark.parametrize(
    ("schema", "value", "written"),
    [
        ({"type": "integer"}, " 7", 7),
        ({"type": "integer"}, 7.0, 7),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "boolean"}, "Yes", True),
    ],
)
def test_a_model_takes_what_pydantic_takes(schema: Any, value: Any, written: Any) -> None:
    made = packed({"f": value}, record(f=schema, tag="Pydantic Transformer"))["f"]

    assert (type(made), made) == (type(written), written)


def test_an_enum_of_a_model_may_be_given_by_its_value_which_the_schema_does_not_tell() -> None:
    schema = {
        "type": "object",
        "title": "M",
        "properties": {"c": {"$ref": "#/$defs/Color"}},
        "required": ["c"],
        "$defs": {"Color": {"enum": ["RED"], "type": "string"}},
    }

    assert packed({"c": "red"}, struct(schema, "Pydantic Transformer")) == {"c": "red"}
    assert packed({"c": Color.RED}, struct(schema, "Pydantic Transformer")) == {"c": "RED"}


class Model:
    """As much of a pydantic model as is asked of one."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def model_dump(self, mode: str = "python", by_alias: bool = False) -> dict[str, Any]:
        values = {f"the_{name}": value for name, value in self.values.items()} if by_alias else self.values
        if mode == "json":
            if any(isinstance(value, bytes) for value in values.values()):
                raise ValueError("no text")
            return {name: getattr(value, "value", value) for name, value in values.items()}
        return dict(values)


class OldModel:
    """The same of pydantic 1."""

    __fields__ = ("c",)

    def json(self, by_alias: bool = False) -> str:
        return '{"c": "red", "m": {"1": "a"}}'

    def dict(self, by_alias: bool = False) -> dict[str, Any]:
        return {"c": Color.RED, "m": {1: "a"}}


def test_models_of_both_generations_are_taken_by_their_dump() -> None:
    colour = {"enum": ["RED"], "type": "string"}
    numbered = {"type": "object", "additionalProperties": {"type": "string"}}
    declared = record("Model", c=colour, m=numbered, tag="Pydantic Transformer")

    assert packed(Model(c=Color.RED, m={"1": "a"}), declared) == {"c": "RED", "m": {"1": "a"}}
    assert packed(OldModel(), declared) == {"c": "RED", "m": {"1": "a"}}


def test_a_model_is_asked_for_its_aliases_where_the_type_has_them() -> None:
    declared = record("Model", the_name={"type": "string"}, tag="Pydantic Transformer")

    assert packed(Model(name="n"), declared) == {"the_name": "n"}


def test_a_model_that_has_no_json_is_taken_as_it_is() -> None:
    declared = record("Model", b={"type": "string", "format": "binary"}, tag="Pydantic Transformer")

    assert packed(Model(b=b"\xff"), declared) == {"b": b"\xff"}


PAIR = record(
    "NamedTupleWrapper_Pair", left={"type": "integer"}, right={"type": "string", "default": None}, tag="NamedTuple"
)
TWO = record("TupleWrapper_tuple", item_0={"type": "number"}, item_1={"type": "string"}, tag="Tuple")


@pytest.mark.parametrize(
    ("value", "declared", "written"),
    [
        (Pair(1, "a"), PAIR, {"left": 1, "right": "a"}),
        ((1, "a"), PAIR, {"left": 1, "right": "a"}),
        ({"left": 1}, PAIR, {"left": 1, "right": None}),
        ((1, "a"), TWO, {"item_0": 1.0, "item_1": "a"}),
        ([1, "a"], TWO, {"item_0": 1.0, "item_1": "a"}),
        ({"item_0": 1, "item_1": "a"}, TWO, {"item_0": 1.0, "item_1": "a"}),
    ],
)
def test_tuples_are_given_by_position_or_by_name(value: Any, declared: Any, written: Any) -> None:
    assert packed(value, declared) == written


def test_a_tuple_is_read_as_a_tuple_and_a_named_one_as_a_record() -> None:
    assert from_literal(to_literal((1, "a"), TWO), TWO) == (1.0, "a")
    assert from_literal(to_literal(Pair(1, "a"), PAIR), PAIR) == {"left": 1, "right": "a"}


@pytest.mark.parametrize("value", [(1,), (1, "a", 2), "ab"])
def test_a_tuple_of_another_length_is_refused(value: Any) -> None:
    with pytest.raises(LiteralError, match=r"^x: expected "):
        to_literal(value, TWO, "x")


def test_what_the_console_made_is_mended() -> None:
    declared = record(
        n={"type": "integer"},
        f={"type": "number"},
        e={"enum": [1, 2]},
        m={"type": "object", "additionalProperties": {"type": "integer"}, "propertyNames": {"type": "integer"}},
        o={"anyOf": [{"type": "integer"}, {"type": "null"}]},
        any={},
    )

    read = from_literal(generic({"n": 3, "f": 3, "e": 1, "m": {"7": 1}, "o": 5, "any": 5}), declared)

    expected = {"n": 3, "f": 3.0, "e": 1, "m": {7: 1}, "o": 5, "any": 5.0}
    assert {name: repr(value) for name, value in read.items()} == {name: repr(v) for name, v in expected.items()}


@pytest.mark.parametrize(
    ("schema", "value", "by_dataclass", "by_pydantic"),
    [
        ({"type": "integer"}, " 7", 7, 7),
        ({"type": "integer"}, 3.7, 3, None),
        ({"type": "integer"}, 3.0, 3, 3),
        ({"type": "number"}, "1.5", 1.5, 1.5),
        ({"type": "string"}, 5, "5", None),
        ({"type": "string", "format": "base64"}, b"\xff", b"\xff", b"\xff"),
    ],
)
def test_what_came_as_something_else_is_read_as_the_task_reads_it(
    schema: Any, value: Any, by_dataclass: Any, by_pydantic: Any
) -> None:
    dataclass, model = record(f=schema), record(f=schema, tag="Pydantic Transformer")

    assert repr(from_literal(literal_of({"f": value}), dataclass)["f"]) == repr(by_dataclass)
    if by_pydantic is None:
        with pytest.raises(LiteralError, match=r"^x\.f: expected "):
            from_literal(literal_of({"f": value}), model, "x")
    else:
        assert repr(from_literal(literal_of({"f": value}), model)["f"]) == repr(by_pydantic)


def test_fields_are_read_in_the_order_of_the_schema_then_as_they_came() -> None:
    declared = record(
        z={"type": "integer"}, y={"type": "integer"}, b={"default": 1}, a={"default": 2}, c={"default": 3}
    )

    assert list(from_literal(literal_of({"c": 0, "a": 0, "y": 0, "z": 0}), declared)) == ["z", "y", "c", "a", "b"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"z": {"a": "q"}, "b": 1}, "x.z.a: expected int, got str 'q'"),
        ({"z": {}, "b": []}, "x.z: expected Inner, but a is missing; x.b: expected float, got list []"),
        ([], "x: expected Config, got list []"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_path(value: Any, text: str) -> None:
    with pytest.raises(LiteralError) as caught:
        from_literal(literal_of(value), CONFIG, "x")

    assert str(caught.value) == text


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x81", b"\x81\xa1a\x01\x01", b"\x81\x90\x01", b"\xa1\xff", b"\xc7\x01\x05\x00"]
)
def test_bytes_that_are_no_msgpack_are_an_error(body: bytes) -> None:
    broken = literals_pb2.Literal(scalar={"binary": {"value": body, "tag": "msgpack"}})

    with pytest.raises(LiteralError, match=r"^x: its bytes are not msgpack that can be read"):
        from_literal(broken, types_pb2.LiteralType(simple=types_pb2.STRUCT), "x")


def test_two_classes_of_the_same_fields_are_told_apart_by_their_names() -> None:
    one, other = record("Inner", a={"type": "integer"}), record("Other", a={"type": "integer"})
    declared = types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=[other, one]))

    literal = to_literal(Inner(1), declared)

    assert literal.scalar.union.type.metadata.fields["title"].string_value == "Inner"
    read = from_literal(literal, declared)
    assert isinstance(read, Record)
    assert read.class_name == "Inner"
    assert to_literal(read, declared) == literal
    with pytest.raises(LiteralError, match="fits Other and Inner alike"):
        to_literal({"a": 1}, declared, "x")


def test_a_class_in_itself_has_a_limit_of_depth() -> None:
    value: dict[str, Any] = {"v": 0}
    for number in range(40):
        value = {"v": number, "kids": [value]}
    declared = struct(TREE, "Pydantic Transformer")

    assert from_literal(to_literal(value, declared), declared)["kids"][0]["v"] == 38
    value["kids"].append(value)
    with pytest.raises(LiteralError, match="nested more than 60 levels deep, or contains itself"):
        to_literal(value, declared, "x")


@pytest.mark.parametrize("around", [list, dict])
def test_a_value_that_contains_itself_is_an_error(around: Any) -> None:
    itself = around()
    itself.append(itself) if around is list else itself.update(a=itself)

    with pytest.raises(LiteralError, match=r"^x.*nested more than 511 levels deep, or contains itself"):
        to_literal({"k": itself}, types_pb2.LiteralType(simple=types_pb2.STRUCT), "x")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"b": 2**64}]}, 'x["a"][1]["b"]'),
        ({"a": {"b": object()}}, 'x["a"]["b"]'),
        ({"a": ["\udc00"]}, 'x["a"][0]'),
        ({"a": {(1, 2): 1}}, 'x["a"]'),
        ({"a": [Inner(object())]}, 'x["a"][0]["a"]'),  # type: ignore[arg-type]
    ],
)
def test_what_has_no_place_in_an_untyped_dict_is_told_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(LiteralError) as caught:
        to_literal(value, types_pb2.LiteralType(simple=types_pb2.STRUCT), "x")

    assert caught.value.path == path


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"type": "object", "properties": {"a": {"anyOf": []}}},
        {"type": "object", "properties": {"a": {"type": 5, "enum": "x"}}},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "integer"}]}}, "required": "a"},
        {"type": "object", "properties": {"a": None}, "required": ["b", None]},
        {
            "title": 5,
            "$defs": [],
            "properties": {"a": {"oneOf": [True, False], "discriminator": {"propertyName": "k"}}},
        },
    ],
)
def test_a_schema_that_makes_no_sense_takes_what_it_can(schema: Any) -> None:
    declared = struct(schema)

    assert from_literal(to_literal({"a": 1}, declared), declared) == {"a": 1}


def test_files_inside_are_references() -> None:
    stored = {"type": "object", "title": "File", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    declared = record(f=stored, g={"anyOf": [stored, {"type": "null"}], "default": None})

    literal = to_literal({"f": io.File("s3://b/k.csv", format="csv"), "g": "s3://b/z"}, declared)

    assert from_literal(literal, declared) == {"f": io.File("s3://b/k.csv", format="csv"), "g": io.File("s3://b/z")}
    with pytest.raises(LiteralError, match=r"^x\.f: expected File, got str '/tmp/k'"):
        to_literal({"f": "/tmp/k"}, declared, "x")


def test_a_message_is_its_json() -> None:
    declared = types_pb2.LiteralType(simple=types_pb2.STRUCT)
    declared.metadata.update({"pb_type": "flyteidl2.core.types_pb2.BlobType"})

    literal = to_literal(types_pb2.BlobType(format="csv"), declared)

    assert from_literal(literal, declared) == {"format": "csv"}
    with pytest.raises(LiteralError, match=r"^x: expected BlobType, got LiteralType"):
        to_literal(types_pb2.LiteralType(), declared, "x")
    deep: Any = {}
    for _ in range(50):
        deep = {"a": [deep]}
    with pytest.raises(LiteralError, match="nested more than 30 levels deep"):
        to_literal(deep, declared, "x")


def test_an_error_of_a_node_is_a_record() -> None:
    declared = types_pb2.LiteralType(simple=types_pb2.ERROR)
    literal = literals_pb2.Literal(scalar={"error": {"failed_node_id": "n0", "message": "m"}})

    read = from_literal(literal, declared)

    assert (read.failed_node_id, read.message) == ("n0", "m")
    assert to_literal(read, declared) == literal
    with pytest.raises(LiteralError, match=r"^x: expected an error that a run gave"):
        to_literal("m", declared, "x")


def node(name: str, *others: str) -> dict[str, Any]:
    child = {"anyOf": [*({"$ref": f"#/$defs/{other}"} for other in (name, *others)), {"type": "null"}], "default": None}
    fields = {"v": {"type": "integer"}, "left": child, "right": child}
    return {"type": "object", "title": name, "properties": fields, "required": ["v"]}


@pytest.mark.parametrize("others", [(), ("B",), ("B", "C")])
def test_what_is_nested_in_unions_is_not_tried_without_end(others: tuple[str, ...]) -> None:
    names = ("A", *others)
    defs = {name: node(name, *(other for other in names if other != name)) for name in names}
    declared = struct({"$ref": "#/$defs/A", "$defs": defs})
    itself: dict[str, Any] = {"v": 1}
    itself.update(left=itself, right=itself)
    wrong: Any = {"v": "q"}
    for _ in range(45):
        wrong = {"v": 1, "left": wrong, "right": {"v": 2}}

    with pytest.raises(LiteralError, match="nested more than 60 levels deep, or contains itself"):
        to_literal(itself, declared, "x")
    for tried in (lambda: to_literal(wrong, declared, "x"), lambda: from_literal(literal_of(wrong), declared, "x")):
        with pytest.raises(LiteralError, match=r"^x\.left"):
            tried()
