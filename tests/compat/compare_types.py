"""Annotations as the official SDK deploys them and as we do: a program, for the reason in `compare_values.py`.

Writes how many were the same, and by its text each annotation where the two differ, as JSON.
"""

# Without annotations from the future: classes in functions are looked up by them.
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import json
import pathlib
import sys
import typing
import uuid
import zoneinfo
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar, Union

import flyte.io
import pydantic
from flyte._interface import literal_to_enum
from flyte._json_schema import literal_type_to_json_schema
from flyte.types import TypeEngine
from google.protobuf import struct_pb2, wrappers_pb2
from pydantic import BaseModel, Field
from typing_extensions import NotRequired, Required

from flyte_lite._literals.interfaces import json_schema_of
from flyte_lite._literals.types import literal_type
from flyte_lite.errors import LiteralError

X = TypeVar("X")
Number = typing.NewType("Number", int)


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    """How much."""

    LOW = 1
    HIGH = 10


class Whole(int):
    pass


class Rows(list):  # type: ignore[type-arg]
    pass


class Pair(NamedTuple):
    a: int
    b: str = "x"


class Movie(TypedDict):
    """A film."""

    title: str
    year: NotRequired[int]


class Options(TypedDict, total=False):
    depth: int


@dataclasses.dataclass
class Point:
    """Where."""

    x: int
    y: float = 1


@dataclasses.dataclass
class Node:
    value: int
    children: list["Node"] = dataclasses.field(default_factory=list)
    next: Optional["Node"] = None


@dataclasses.dataclass
class Two:
    node: Node
    again: Node


@dataclasses.dataclass
class Box(Generic[X]):
    v: X
    w: list[X] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class IntBox(Box[int]):
    label: str = ""


class Model(BaseModel):
    """Said of it."""

    a: int = Field(3, ge=0, description="an a")
    c: Color = Color.RED
    points: list[Point] = []
    file: Optional[flyte.io.File] = None


class Shelf(TypedDict):
    model: Model
    pair: Pair
    both: tuple[int, str]
    inner: Optional["Shelf"]
    word: Literal["a"]
    point: Point
    movies: NotRequired[list[Movie]]
    needed: Required[int]


# As fields of a dataclass, each of one of its own: annotation, and a default if there is one.
FIELDS: list[tuple[Any, ...]] = [
    *[(cls,) for cls in (list, dict, tuple, set, frozenset, bytes, bytearray, complex, range, object, Any, None)],
    *[(cls,) for cls in (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone)],
    *[(cls,) for cls in (zoneinfo.ZoneInfo, uuid.UUID, decimal.Decimal, fractions.Fraction, pathlib.Path)],
    *[(cls,) for cls in (ipaddress.IPv4Address, ipaddress.IPv6Network, ipaddress.IPv4Interface, Color, Level)],
    *[(cls,) for cls in (Pair, Movie, Options, Point, Node, Box[str], Model, flyte.io.File, flyte.io.Dir)],
    *[(cls,) for cls in (flyte.io.DataFrame, flyte.io.File[str], Number, collections.deque, collections.deque[int])],
    (tuple[int, ...],),
    (tuple[int, str],),
    (tuple[()],),
    (set[int],),
    (collections.OrderedDict[str, int],),
    (collections.defaultdict[str, int],),
    (collections.Counter[str],),
    (collections.ChainMap[str, int],),
    (typing.Sequence[int],),
    (typing.Mapping[str, int],),
    (Optional[Literal["a"]],),
    (Literal[1, None, True],),
    (list[Any],),
    (dict[str, Any],),
    (dict[int, Color],),
    (Optional[Color],),
    (Union[int, Point, list[str]],),
    (Annotated[int, Field(ge=0)],),
    (float, 1),
    (bytes, b"abc"),
    (decimal.Decimal, decimal.Decimal("1.5")),
    (uuid.UUID, uuid.UUID(int=5)),
    (pathlib.PurePosixPath, pathlib.PurePosixPath("/a")),
    (datetime.date, datetime.date(2020, 1, 2)),
    (datetime.timedelta, datetime.timedelta(minutes=1)),
    (tuple[int, str], (1, "a")),
    (Pair, Pair(1)),
    (Color, Color.RED),
    (Optional[Point], None),
    (Any, None),
]
# As items of a tuple.
ITEMS: list[Any] = [
    *[row[0] for row in FIELDS if row[0] not in (Movie, Options, flyte.io.File[str])],
    Whole,
    Optional[Union[Point, Model]],
    Union[Point, None, int],
    Annotated[Optional[int], Field(ge=0)],
    Annotated[str, "said"],
    IntBox,
    type,
]
WHOLE: list[Any] = [
    *[int, float, str, bool, None, Whole, Rows, object, type(None), Color, Level, Number, X, Any],
    *[Point, Node, Two, Box, Box[int], IntBox, Model, Pair, Movie, Options, Shelf],
    *[list, dict, tuple, set, bytes, complex, range, memoryview, datetime.time, decimal.Decimal],
    *[list[int], dict[str, None], dict[int, str], list[Whole], list[Optional[Point]], tuple[int, ...], typing.List],  # noqa: UP006
    *[typing.Tuple[int, str], tuple[int, str], typing.Dict, typing.Set[int], typing.Type[int], typing.Callable],  # noqa: UP006
    *[collections.OrderedDict, collections.OrderedDict[str, int], typing.Sequence[int], typing.Iterator[int]],
    *[Literal["a", "b"], Literal["a", 1], Literal["A", "a"], Optional[Literal["a"]], list[Literal["a"]]],
    *[Optional[int], Optional[Any], Optional[tuple[int, str]], Optional[Pair], Optional[Movie], Union[Point, Model]],
    *[Union[datetime.date, datetime.datetime], Optional[set[int]], Union[flyte.io.File, flyte.io.Dir, None]],
    *[flyte.io.File, flyte.io.File[str], flyte.io.Dir, list[flyte.io.DataFrame], dict[str, list[Movie]]],
    *[struct_pb2.Struct, struct_pb2.ListValue, wrappers_pb2.Int64Value],
    Annotated[str, Field(pattern="^a", description="d")],
    Annotated[dict, Field(description="z")],
    Annotated[Point, Field(description="z")],
    Annotated[Optional[int], Field(ge=0)],
    Annotated[Optional[str], Field(pattern="a", title="t")],
    Annotated[Union[int, str], Field(description="u")],
    Annotated[list[int], Field(min_length=1)],
    Annotated[dict[str, int], Field(min_length=1)],
    Annotated[flyte.io.File, Field(description="q")],
    Annotated[Literal["a"], "said"],
    Annotated[int, pydantic.WithJsonSchema({"type": "integer", "multipleOf": 2})],
    Annotated[flyte.io.DataFrame, "csv"],
    list[Annotated[int, Field(gt=0)]],
]


def cases() -> list[tuple[str, Any]]:
    made = [(str(annotation), annotation) for annotation in WHOLE]
    for number, (annotation, *default) in enumerate(FIELDS):
        field = [("x", annotation, dataclasses.field(default=default[0]))] if default else [("x", annotation)]
        made.append((f"a dataclass of {annotation}", dataclasses.make_dataclass(f"D{number}", field)))
    made += [(f"a tuple of {annotation}", tuple[annotation, int]) for annotation in ITEMS]
    return made


def main() -> None:
    same, differ = 0, {}
    for text, annotation in cases():
        declared = literal_to_enum(annotation) if typing.get_origin(annotation) is Literal else annotation
        theirs: Any
        ours: Any
        try:
            theirs = TypeEngine.to_literal_type(declared)
        except Exception:  # noqa: BLE001 - of each of its parts another one
            theirs = None
        try:
            ours = literal_type(annotation)
        except LiteralError:
            ours = None
        raw = [made and made.SerializeToString(deterministic=True) for made in (theirs, ours)]
        if raw[0] != raw[1] or (ours and json_schema_of(ours) != literal_type_to_json_schema(theirs)):
            differ[text] = "taken there" if ours is None else "taken here" if theirs is None else "not the same"
        else:
            same += 1
    json.dump({"same": same, "differ": differ}, sys.stdout)


main()
