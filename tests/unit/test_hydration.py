"""Records and plain values as the annotation of a task, or a caller who reads results, wants them."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import sys
import typing
import uuid
from typing import Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar, Union

import pytest

from flyte_lite import io
from flyte_lite._literals import DynamicEnum, hydrate
from flyte_lite._literals.classes import own_annotations
from flyte_lite._literals.records import Record
from flyte_lite.errors import LiteralError

UTC = datetime.timezone.utc
X = TypeVar("X")
Number = typing.NewType("Number", int)


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Swapped(enum.Enum):
    """Its names are its values, crosswise."""

    a = "b"
    b = "a"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Celsius(float):
    """A class of the user's own, written as a float."""


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Movie(TypedDict):
    title: str
    year: int


class Options(TypedDict, total=False):
    depth: int
    color: Optional[str]


@dataclasses.dataclass
class Layer:
    size: int
    name: str = "plain"


@dataclasses.dataclass(frozen=True)
class Config:
    layers: list[Layer]
    color: Color
    by_key: dict[int, Layer] = dataclasses.field(default_factory=dict)
    best: Optional[Layer] = None
    when: Union[datetime.datetime, str] = ""
    seed: dataclasses.InitVar[int] = 3
    count: int = dataclasses.field(init=False)

    def __post_init__(self, seed: int) -> None:
        object.__setattr__(self, "count", len(self.layers) + seed)


@dataclasses.dataclass
class Node:
    value: int
    children: list[Node] = dataclasses.field(default_factory=list)
    parent: Optional[Node] = None


@dataclasses.dataclass
class Box(Generic[X]):
    inside: X
    more: list[X] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class IntBox(Box[int]):
    label: str = ""


@dataclasses.dataclass
class Other:
    size: int
    name: str = "other"


@dataclasses.dataclass
class Holder(Generic[X]):
    """A value inside a dataclass, where it is written as mashumaro writes it."""

    value: X


@dataclasses.dataclass
class Picky:
    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError("it is negative")


def held(value: Any, annotation: Any) -> Any:
    return hydrate({"value": value}, Holder[annotation]).value


def test_a_record_becomes_the_dataclass_with_all_that_is_nested_in_it() -> None:
    record = Record(
        {
            "layers": [Record({"size": 3}, "Layer"), {"size": 4.0, "name": "wide"}],
            "color": "red",
            "by_key": {"7": {"size": 1}},
            "best": {"size": 2, "of a newer version": True},
            "when": "2026-01-02T03:04:05Z",
            "unknown": 1,
        },
        "Config",
    )

    made = hydrate(record, Config)

    assert made == Config(
        [Layer(3), Layer(4, "wide")],
        Color.RED,
        {7: Layer(1)},
        Layer(2),
        datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    assert made.count == 5
    assert type(made.layers[1].size) is int


def test_what_is_one_already_stays() -> None:
    layer = Layer(1)

    assert hydrate([layer], list[Layer])[0] is layer


def test_a_class_may_have_fields_of_its_own_kind() -> None:
    made = hydrate({"value": 1, "children": [{"value": 2, "parent": {"value": 3}}]}, Node)

    assert made == Node(1, [Node(2, [], Node(3))])


def test_variables_of_a_generic_class_are_bound() -> None:
    assert hydrate({"inside": {"size": 1}, "more": [{"size": 2}]}, Box[Layer]) == Box(Layer(1), [Layer(2)])
    assert hydrate({"inside": 1, "more": [2.0], "label": "l"}, IntBox) == IntBox(1, [2], "l")
    assert hydrate({"inside": "anything"}, Box) == Box("anything")


def shown(value: Any) -> str:
    """For the names of tests, which must be the same in each process: no addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (Record({"item_0": 1, "item_1": "a"}), tuple[int, str], (1, "a")),
        ([1, "a"], tuple[int, str], (1, "a")),
        ([1, 2], tuple[int, ...], (1, 2)),
        ((), tuple[()], ()),
        ({"left": 1, "right": "x"}, Pair, Pair(1, "x")),
        ([1], Pair, Pair(1)),
        ({"title": "t", "year": 1.0, "more": 1}, Movie, {"title": "t", "year": 1}),
        ({"depth": None, "color": None}, Options, {"color": None}),
        ([2, 1, 2], set[int], {1, 2}),
        (["a"], frozenset[str], frozenset("a")),
        ([1], collections.deque[int], collections.deque([1])),
        ([{"size": 1}], typing.Sequence[Layer], [Layer(1)]),
        ({"a": {"size": 1}}, typing.Mapping[str, Layer], {"a": Layer(1)}),
        ({"a": 1}, collections.OrderedDict[str, int], collections.OrderedDict(a=1)),
        ({"a": 1}, collections.defaultdict[str, int], {"a": 1}),
        ({"1": "x", 2: "y"}, dict[int, str], {1: "x", 2: "y"}),
        ({"true": 1}, dict[bool, int], {True: 1}),
        ({"1.5": 1}, dict[float, int], {1.5: 1}),
        ([{"deep": [1]}], list[dict[str, Any]], [{"deep": [1]}]),
        (3, Number, 3),
        (21, Celsius, Celsius(21)),
        (5, object, 5),
        (1 + 2j, complex, 1 + 2j),
        (None, None, None),
        (2, float, 2.0),
        (DynamicEnum.member("RED"), Color, Color.RED),
        ("RED", Color, Color.RED),
        ("red", Color, Color.RED),
        (10, Level, Level.HIGH),
        ("a", Swapped, Swapped.a),
        (DynamicEnum.member("x"), Literal["x"], "x"),
        (1, Literal["x", 1], 1),
        (Color.RED, Literal[Color.RED], Color.RED),
        (typing.Annotated, Any, typing.Annotated),
        ({"size": 1}, typing.Annotated[Layer, "said"], Layer(1)),
    ],
    ids=shown,
)
def test_a_whole_value(value: Any, annotation: Any, expected: Any) -> None:
    made = hydrate(value, annotation)

    assert made == expected
    assert type(made) is type(expected) or isinstance(made, collections.defaultdict)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        ("2026-01-02T03:04:05.678900+02:00", datetime.datetime, datetime.datetime(2026, 1, 2, 1, 4, 5, 678900, UTC)),
        ("2026-01-02T03:04:05.5Z", datetime.datetime, datetime.datetime(2026, 1, 2, 3, 4, 5, 500000, UTC)),
        ("2026-01-02", datetime.date, datetime.date(2026, 1, 2)),
        ("03:04:05", datetime.time, datetime.time(3, 4, 5)),
        (1.5, datetime.timedelta, datetime.timedelta(seconds=1, milliseconds=500)),
        ("P1DT2H3M4.5S", datetime.timedelta, datetime.timedelta(1, 4, 500000, 0, 3, 2)),
        ("-PT1M", datetime.timedelta, datetime.timedelta(minutes=-1)),
        # As pydantic writes 400 days, and as it reads a month and a week.
        ("P1Y35D", datetime.timedelta, datetime.timedelta(days=400)),
        ("P1M1W", datetime.timedelta, datetime.timedelta(days=37)),
        ("UTC-03:30", datetime.timezone, datetime.timezone(-datetime.timedelta(hours=3, minutes=30))),
        ("UTC", datetime.timezone, UTC),
        ("1.50", decimal.Decimal, decimal.Decimal("1.50")),
        (0.1, decimal.Decimal, decimal.Decimal("0.1")),
        ("1/3", fractions.Fraction, fractions.Fraction(1, 3)),
        ("12345678-1234-5678-1234-567812345678", uuid.UUID, uuid.UUID("12345678" + "12345678" * 3)),
        ("/a/b", pathlib.PurePosixPath, pathlib.PurePosixPath("/a/b")),
        ("127.0.0.1", ipaddress.IPv4Address, ipaddress.IPv4Address("127.0.0.1")),
        ("YWJj\n", bytes, b"abc"),
        (b"abc", bytearray, bytearray(b"abc")),
        (3.0, int, 3),
        ("NaN", Optional[str], "NaN"),
        ("a", Swapped, Swapped.b),
        (1.0, Level, Level.LOW),
        ("2026-01-02", Union[datetime.date, str], datetime.date(2026, 1, 2)),
        ([1, "a"], tuple[int, str], (1, "a")),
        ({"path": "s3://b/f", "name": None, "format": "", "hash": "h"}, io.File, io.File("s3://b/f", hash="h")),
        ({"uri": "s3://b/t", "format": "csv"}, io.DataFrame, io.DataFrame("s3://b/t", format="csv")),
        (io.Dir("s3://b/d"), Optional[io.Dir], io.Dir("s3://b/d")),
    ],
    ids=shown,
)
def test_a_value_inside_a_dataclass(value: Any, annotation: Any, expected: Any) -> None:
    made = held(value, annotation)

    assert made == expected
    assert type(made) is type(expected)


def test_bytes_inside_a_tuple_are_text() -> None:
    assert hydrate({"item_0": "YWJj", "item_1": 1}, tuple[bytes, int]) == (b"YWJj", 1)


def test_a_union_takes_the_class_that_the_record_is_named_after() -> None:
    assert hydrate(Record({"size": 1}, "Other"), Union[Layer, Other]) == Other(1)
    assert hydrate(Record({"size": 1}, "Layer"), Union[Other, Layer]) == Layer(1)


def test_a_union_takes_the_class_whose_fields_are_there() -> None:
    assert hydrate({"title": "t", "year": 1}, Union[Layer, Movie, Pair]) == {"title": "t", "year": 1}
    assert hydrate({"left": 1, "right": "x"}, Union[Layer, Movie, Pair]) == Pair(1, "x")
    assert hydrate({"anything": 1}, Union[Layer, dict[str, int]]) == {"anything": 1}


@pytest.mark.parametrize(
    ("value", "annotation", "text"),
    [
        (
            {"layers": [{"size": "x"}, {}], "color": "blue"},
            Config,
            "v.layers[0].size: expected int, got str 'x'; v.layers[1].size: is missing; v.color: expected Color, got"
            " str 'blue'",
        ),
        ({"layers": []}, Config, "v.color: is missing"),
        (5, Layer, "v: expected Layer, got int 5"),
        ({"size": "x"}, Optional[Layer], "v.size: expected int, got str 'x'"),
        ({"item_0": 1, "item_1": 2}, tuple[int, str], "v[1]: expected str, got int 2"),
        ([1], tuple[int, str], "v: expected tuple[int, str], got 1 values"),
        ([1, "x", 2], Pair, "v: expected Pair, got 3 values"),
        ({"right": 1}, Pair, "v.left: is missing; v.right: expected str, got int 1"),
        ({"title": "t"}, Movie, "v.year: is missing"),
        ({"value": -1}, Picky, "v: Picky refuses it: it is negative"),
        ({"a": [{"size": None}]}, dict[str, list[Layer]], 'v["a"][0].size: expected int, got None'),
        (True, Level, "v: expected Level, got bool True"),
        (1.5, int, "v: expected int, got float 1.5"),
        (10**400, float, "v: expected float, got int (a number of 1329 bits)"),
        ("soon", datetime.datetime, "v: expected datetime, got str 'soon'"),
        ("24:00", datetime.time, "v: expected time, got str '24:00'"),
        ("P", datetime.timedelta, "v: expected timedelta, got str 'P'"),
        (1e300, datetime.timedelta, "v: expected timedelta, got float 1e+300"),
        ("UTC+99:00", datetime.timezone, "v: expected timezone, got str 'UTC+99:00'"),
        ("one", decimal.Decimal, "v: expected Decimal, got str 'one'"),
        (5, uuid.UUID, "v: expected UUID, got int 5"),
        ("a b", bytes, "v: expected bytes, got str 'a b'"),
        ({"no": 1}, io.File, "v: expected a File, or a dict of path, name, format, hash, got ['no']"),
        ("s3://b/f", io.File, "v: expected File, got str 's3://b/f'"),
        (1, "Layer", "v: the annotation Layer is a text that can't be resolved here; give the class"),
        ("x", complex, "v: expected complex, got str 'x'"),
        ("text", list[str], "v: expected list, got str 'text'"),
    ],
)
def test_what_does_not_fit_is_told_with_its_path(value: Any, annotation: Any, text: str) -> None:
    with pytest.raises(LiteralError) as caught:
        hydrate(value, annotation, "v")

    assert str(caught.value) == text


def test_base64_that_is_none_is_an_error() -> None:
    with pytest.raises(LiteralError, match=r"value: expected bytes as base64, got str '\?'"):
        held("?", bytes)


def test_messages_are_made_of_their_json() -> None:
    from google.protobuf import struct_pb2, wrappers_pb2

    struct = hydrate({"a": 1.0}, struct_pb2.Struct)
    assert isinstance(struct, struct_pb2.Struct)
    assert struct["a"] == 1.0
    assert hydrate(struct, struct_pb2.Struct) is struct
    with pytest.raises(LiteralError, match="v: expected Int64Value, got int 5"):
        hydrate(5, wrappers_pb2.Int64Value, "v")
    with pytest.raises(LiteralError, match="v: BoolValue refuses it"):
        hydrate({"value": "?"}, wrappers_pb2.BoolValue, "v")


class Refused(Exception):
    """What a model of pydantic raises, as far as it is looked at."""

    def errors(self) -> list[dict[str, Any]]:
        return [{"loc": ("layers", 1, "size"), "msg": "Input should be a valid integer"}]


class Model:
    """What a model has; `tests/compat` has real ones."""

    model_fields: typing.ClassVar[dict[str, Any]] = {}
    color: Color
    colors: list[Color]
    best: Optional[Color]
    counts: dict[Color, int]
    file: io.File[Any]

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def model_validate(cls, value: Any, strict: bool, context: Any) -> Any:
        if "layers" in value:
            raise Refused
        made = cls()
        vars(made).update(value, strict=strict, context=context)
        return made


class OldModel:
    """What a model of pydantic 1 has."""

    __fields__: typing.ClassVar[dict[str, Any]] = {}
    color: Color

    @classmethod
    def schema(cls) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def parse_obj(cls, value: Any) -> Any:
        made = cls()
        vars(made).update(value)
        return made


def test_a_model_validates_itself_and_gets_members_for_their_names() -> None:
    file: io.File[Any] = io.File("s3://b/f")
    made = hydrate(
        {"color": "RED", "colors": ["GREEN", "red"], "best": "GREEN", "counts": {"RED": 1}, "file": file}, Model
    )

    assert made.color is Color.RED
    assert made.colors == [Color.GREEN, "red"]
    assert made.best is Color.GREEN
    assert made.counts == {Color.RED: 1}
    assert made.file is file
    assert (made.strict, made.context) == (False, {"deserialize": True})
    assert hydrate({"color": DynamicEnum.member("RED")}, OldModel).color is Color.RED
    assert hydrate(made, Model) is made


def test_what_a_model_refuses_has_its_path() -> None:
    with pytest.raises(LiteralError) as caught:
        hydrate([{"layers": []}], list[Model], "v")

    assert str(caught.value) == "v[0].layers[1].size: Input should be a valid integer"


@pytest.mark.skipif(sys.version_info < (3, 10), reason="X | Y is of Python 3.10")
def test_both_ways_to_write_a_union() -> None:
    assert hydrate({"size": 1}, eval("Layer | None")) == Layer(1)


def test_an_annotation_nested_too_deep_is_an_error() -> None:
    annotation: Any = int
    for _ in range(31):
        annotation = list[annotation]

    with pytest.raises(LiteralError, match="v: an annotation nested more than 30 levels deep"):
        hydrate([], annotation, "v")


def test_annotations_that_are_texts_are_told_resolved_for_each_class_that_is_reached() -> None:
    found = own_annotations([Optional[Config], dict[str, Pair], int])

    assert set(found) >= {Config, Layer} | ({Pair} if sys.version_info < (3, 14) else set())
    assert found[Config]["layers"] == list[Layer]
    assert found[Layer] == {"size": int, "name": str}
    assert own_annotations([IntBox])[Box]["more"] == list[X]


@dataclasses.dataclass
class Broken:
    inside: Missing  # type: ignore[name-defined]  # noqa: F821


def test_a_class_whose_annotations_mean_nothing_is_left_out() -> None:
    assert own_annotations([set[Broken], Layer]) == {Layer: {"size": int, "name": str}}
    with pytest.raises(LiteralError, match="v: the annotations of Broken can't be resolved: name 'Missing' is not"):
        hydrate({"inside": 1}, Broken, "v")


class Swapping(NamedTuple):
    color: Swapped


def test_members_inside_a_tuple_in_a_tuple_stand_as_values() -> None:
    assert hydrate(("a", ("a",)), tuple[Swapped, Swapping]) == (Swapped.a, Swapping(Swapped.b))
