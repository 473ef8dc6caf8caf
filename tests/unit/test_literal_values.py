"""Values to literals and back: what fits, what is wrong and where, how deep, how much."""

from __future__ import annotations

import collections
import copy
import datetime
import decimal
import enum
import fractions
import importlib.util
import json
import math
import numbers
import pickle
import subprocess
import sys
from typing import Any, Callable, Literal, Optional, Union

import pytest
from google.protobuf.internal import api_implementation

from flyte_lite._literals import DynamicEnum, describe, from_literal, hydrate, to_literal
from flyte_lite._literals.kinds import MAX_DEPTH
from flyte_lite._literals.types import literal_type
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2

UTC = datetime.timezone.utc
NEEDS_MSGPACK = pytest.mark.skipif(importlib.util.find_spec("msgpack") is None, reason="msgpack is not installed")


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Swapped(enum.Enum):
    """Each name is the value of the other, so a guess would be wrong half of the time."""

    a = "b"
    b = "a"


class Size(str, enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


def naive(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc, arg-type]


def text_of(part: Any) -> Optional[str]:
    """An id: the expected text says best what a row is about."""
    return part[:70] if isinstance(part, str) and "expected" in part else ""


def roundtrip(value: Any, annotation: Any) -> Any:
    declared = literal_type(annotation)
    written = to_literal(value, declared).SerializeToString()
    return from_literal(literals_pb2.Literal.FromString(written), declared)


def problem(value: Any, annotation: Any, path: str = "") -> str:
    with pytest.raises(LiteralError) as caught:
        to_literal(value, literal_type(annotation), path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "annotation", "back"),
    [
        pytest.param(Level.HIGH, int, 10, id="IntEnum for int"),
        pytest.param(Size.SMALL, str, "s", id="str enum for str"),
        pytest.param(2**53, float, float(2**53), id="large exact int for float"),
        pytest.param(fractions.Fraction(1, 4), float, 0.25, id="exact fraction for float"),
        pytest.param(-0.0, float, -0.0, id="negative zero"),
        pytest.param("", str, "", id="empty str"),
        pytest.param(False, bool, False, id="False"),
        pytest.param(naive(1970, 1, 1), datetime.datetime, datetime.datetime(1970, 1, 1, tzinfo=UTC), id="the epoch"),
        pytest.param(
            datetime.date(1970, 1, 1), datetime.date, datetime.datetime(1970, 1, 1, tzinfo=UTC), id="day of the epoch"
        ),
        pytest.param(
            naive(9999, 12, 31, 23, 59, 59, 999999),
            datetime.datetime,
            datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            id="last microsecond",
        ),
        pytest.param(
            datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=-5))),
            datetime.datetime,
            datetime.datetime(1, 1, 1, 5, tzinfo=UTC),
            id="first day west of Greenwich",
        ),
        pytest.param(datetime.timedelta(0), datetime.timedelta, datetime.timedelta(0), id="no time at all"),
        pytest.param(
            datetime.timedelta(microseconds=-1),
            datetime.timedelta,
            datetime.timedelta(microseconds=-1),
            id="less than nothing",
        ),
        pytest.param(collections.deque([1, 2]), list[int], [1, 2], id="deque for list"),
        pytest.param(([1], [2, 3]), list[list[int]], [[1], [2, 3]], id="tuple of lists"),
        pytest.param([], list[list[str]], [], id="empty list of lists"),
        pytest.param({"b": {}, "a": {"x": None}}, dict[str, dict[str, None]], {"a": {"x": None}, "b": {}}, id="dicts"),
        pytest.param([1, "a", None], list[Union[int, str, None]], [1, "a", None], id="each of a union"),
        pytest.param((1, 2), Union[str, list[int], list[float]], [1, 2], id="tuple is the list it would be"),
        pytest.param((), Optional[list[int]], [], id="empty tuple for Optional[list]"),
        pytest.param(1, Union[float, datetime.datetime], 1.0, id="int for float in a union"),
        pytest.param(
            datetime.date(2024, 1, 2), Optional[datetime.date], datetime.date(2024, 1, 2), id="date in a union"
        ),
        pytest.param(
            datetime.date(2024, 1, 2),
            Union[datetime.datetime, datetime.date],
            datetime.date(2024, 1, 2),
            id="date beside datetime",
        ),
        pytest.param(
            naive(2024, 1, 2),
            Union[datetime.date, datetime.datetime],
            datetime.datetime(2024, 1, 2, tzinfo=UTC),
            id="datetime beside date",
        ),
        pytest.param(Color.RED, Color, "RED", id="member of the enum"),
        pytest.param(Swapped.a, Swapped, "a", id="member by name where names are also values"),
        pytest.param(Size.SMALL, Literal["s", "m"], "s", id="member by value where a Literal has its value"),
        pytest.param("RED", Union[Color, str], "RED", id="str beside an enum"),
        pytest.param(Size.SMALL, Union[str, Size], "SMALL", id="str enum beside str is the enum"),
    ],
)
def test_a_value_comes_back(value: Any, annotation: Any, back: Any) -> None:
    got = roundtrip(value, annotation)

    assert got == back
    assert type(got) in (type(back), DynamicEnum)
    assert math.copysign(1, got) == math.copysign(1, back) if isinstance(back, float) else True


class Whole:
    """A number as numpy's are: Integral, and no int."""

    def __int__(self) -> int:
        return 7


class Half:
    """A number as numpy's are: Real, and no float."""

    def __float__(self) -> float:
        return 0.5

    __eq__ = (0.5).__eq__
    __hash__ = (0.5).__hash__


numbers.Integral.register(Whole)
numbers.Real.register(Half)
Truth = type("bool_", (), {"__module__": "numpy", "__bool__": lambda self: True})


@pytest.mark.parametrize(
    ("value", "annotation", "back"),
    [
        (Whole(), int, 7),
        (Half(), float, 0.5),
        (Truth(), bool, True),
        ([Whole(), 1], list[int], [7, 1]),
        (Half(), Union[int, float, str], 0.5),
        ([Truth(), None], list[Optional[bool]], [True, None]),
    ],
    ids=["int", "float", "bool", "in a list", "in a union", "in a list of unions"],
)
def test_numbers_of_numpy_are_numbers(value: Any, annotation: Any, back: Any) -> None:
    assert json.dumps(roundtrip(value, annotation)) == json.dumps(back)


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (int, "x", "expected int, got str 'x'"),
        (int, True, "expected int, got bool True"),
        (int, 1.0, "expected int, got float 1.0"),
        (int, decimal.Decimal(1), "expected int, got Decimal Decimal('1')"),
        (int, None, "expected int, got None"),
        (int, 2**63, "expected int, got int 9223372036854775808, which does not fit into 64 bits"),
        (int, -(10**5000), "expected int, got int -(a number of 16610 bits), which does not fit into 64 bits"),
        (float, False, "expected float, got bool False"),
        (float, 2**53 + 1, "expected float, got int 9007199254740993, which no float is exactly"),
        (float, fractions.Fraction(1, 3), "expected float, got Fraction Fraction(1, 3), which no float is exactly"),
        (float, 10**400, "expected float, got int (a number of 1329 bits), which no float is exactly"),
        (str, b"x", "expected str, got bytes b'x'"),
        (str, "\udc80", "expected str, got str '\\udc80', which is not valid Unicode"),
        (bool, 1, "expected bool, got int 1"),
        (bool, "true", "expected bool, got str 'true'"),
        (datetime.datetime, "2024-01-02", "expected datetime, got str '2024-01-02'"),
        (
            datetime.datetime,
            datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
            "expected datetime, got datetime 0001-01-01 00:00:00+01:00, which is not in the years 1 to 9999 in UTC",
        ),
        (datetime.timedelta, 5, "expected timedelta, got int 5"),
        (
            datetime.timedelta,
            datetime.timedelta(days=3_652_500, microseconds=1),
            "expected timedelta, got timedelta datetime.timedelta(days=3652500, microseconds=1), "
            "which is longer than ten thousand years",
        ),
        (type(None), 0, "expected None, got int 0"),
        (list[int], "abc", "expected list, got str 'abc'"),
        (list[int], b"abc", "expected list, got bytes b'abc'"),
        (list[int], {1, 2}, "expected list, got set {1, 2}"),
        (list[int], {"a": 1}, "expected list, got dict {'a': 1}"),
        (dict[str, int], [1], "expected dict, got list [1]"),
        (Color, "blue", "expected one of 'RED', 'GREEN', got str 'blue'"),
        (Color, "red", "expected one of 'RED', 'GREEN', got str 'red' (did you mean 'RED'?)"),
        (Color, Mode.FAST, "expected one of 'RED', 'GREEN', got Mode.FAST"),
        (Literal["a", "b"], 1, "expected one of 'a', 'b', got int 1"),
        (Literal["a", "b"], ["a"], "expected one of 'a', 'b', got list ['a']"),
        (Optional[int], 1.5, "expected int | None, got float 1.5"),
        (Union[int, str], True, "expected int | str, got bool True"),
        (Union[bool, str], 1, "expected bool | str, got int 1"),
        (Union[int, float], 2**63, "expected int, got int 9223372036854775808, which does not fit into 64 bits"),
        (
            Union[list[int], list[str]],
            (),
            "list [] fits list[int] and list[str] alike, and the task could not tell which is meant",
        ),
    ],
    ids=text_of,
)
def test_a_wrong_value_is_told_with_what_was_expected(annotation: Any, value: Any, text: str) -> None:
    assert problem(value, annotation) == text


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        pytest.param(list[int], [0, 1, 2, "x"], "v[3]: expected int, got str 'x'", id="item"),
        pytest.param(
            dict[str, list[int]], {"a": [1, 2, None]}, 'v["a"][2]: expected int, got None', id="item of a dict"
        ),
        pytest.param(dict[str, int], {'say "hi"': None}, 'v["say \\"hi\\""]: expected int, got None', id="quoted key"),
        pytest.param(dict[str, int], {"é": None}, 'v["é"]: expected int, got None', id="readable key"),
        pytest.param(dict[str, int], {1: 1}, "v[1]: expected a str as key, got int 1", id="key that is no str"),
        pytest.param(
            dict[str, int],
            {"\ud800": 1},
            "v[\"\ud800\"]: expected a str as key, got str '\\ud800', which is not valid Unicode",
            id="key that is no text",
        ),
        pytest.param(
            Optional[list[int]], [1, "x"], "v[1]: expected int, got str 'x'", id="in the only list of a union"
        ),
        pytest.param(
            Optional[list[Optional[list[int]]]],
            [None, [1, 2.5]],
            "v[1][1]: expected int, got float 2.5",
            id="two unions",
        ),
        pytest.param(
            Union[list[int], list[str]], [None], "v: expected list[int] | list[str], got list [None]", id="two lists"
        ),
        pytest.param(
            list[int],
            [None, 1, "x"],
            "v[0]: expected int, got None; v[2]: expected int, got str 'x'",
            id="all that is wrong",
        ),
        pytest.param(
            dict[str, list[int]],
            {"a": ["x"], "b": [1], "c": [2, None]},
            'v["a"][0]: expected int, got str \'x\'; v["c"][1]: expected int, got None',
            id="wrong in two places",
        ),
        pytest.param(
            list[int],
            ["x"] * 100,
            "; ".join(f"v[{number}]: expected int, got str 'x'" for number in range(4)) + "; and more",
            id="too much to tell",
        ),
    ],
)
def test_an_error_says_where_in_the_value(annotation: Any, value: Any, text: str) -> None:
    assert problem(value, annotation, "v") == text


def test_an_error_has_path_and_problem_apart() -> None:
    with pytest.raises(LiteralError) as caught:
        to_literal({"a": [1, "x"]}, literal_type(dict[str, list[int]]), "config")

    assert caught.value.path == 'config["a"][1]'
    assert caught.value.problem == "expected int, got str 'x'"
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * 10_000_000, id="text"),
        pytest.param(["x" * 1000] * 1_000_000, id="list"),
        pytest.param({"k" * 1000: "v" * 1000}, id="dict"),
        pytest.param(10**10_000, id="number"),
        pytest.param(Unshowable(), id="no repr"),
        pytest.param([[[[[[["deep"]]]]]]], id="nested"),
    ],
)
def test_an_error_is_short_whatever_came(value: Any) -> None:
    assert len(problem(value, Literal["a"], "v")) < 150


def test_many_options_and_long_keys_are_cut() -> None:
    declared = types_pb2.LiteralType(enum_type=types_pb2.EnumType(values=[f"option{number}" for number in range(500)]))

    with pytest.raises(LiteralError, match=r"'option11', \.\.\. 488 more, got None"):
        to_literal(None, declared)
    assert len(problem({"k" * 1000: None}, dict[str, int])) < 150


def into_list(outer: types_pb2.LiteralType) -> types_pb2.LiteralType:
    return outer.collection_type


def into_dict(outer: types_pb2.LiteralType) -> types_pb2.LiteralType:
    return outer.map_value_type


def into_union(outer: types_pb2.LiteralType) -> types_pb2.LiteralType:
    inner = outer.union_type.variants.add()
    outer.union_type.variants.add(simple=types_pb2.NONE)
    return inner


def nested(depth: int, *into: Callable[[types_pb2.LiteralType], types_pb2.LiteralType]) -> types_pb2.LiteralType:
    """A type of so many levels, made from outside: protobuf would not copy the deepest ones."""
    made = inner = types_pb2.LiteralType()
    for level in range(depth):
        inner = into[level % len(into)](inner)
    inner.simple = types_pb2.INTEGER
    return made


@pytest.mark.parametrize(
    ("into", "around"),
    [
        pytest.param([into_list], [lambda value: [value]], id="list"),
        pytest.param([into_dict], [lambda value: {"a": value}], id="dict"),
        pytest.param([into_union], [lambda value: value], id="union"),
        pytest.param([into_list, into_union], [lambda value: value, lambda value: [value]], id="list and union"),
    ],
)
class TestDepth:
    def test_the_deepest_type_is_written_and_read(self, into: list[Any], around: list[Any]) -> None:
        declared = nested(MAX_DEPTH, *into)
        value: Any = 1
        for level in range(MAX_DEPTH):
            value = around[level % len(around)](value)

        written = to_literal(value, declared).SerializeToString(deterministic=True)

        # What protobuf could not parse would be lost for everybody.
        assert from_literal(literals_pb2.Literal.FromString(written), declared) == value

    @pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1500])
    def test_a_deeper_type_is_an_error(self, into: list[Any], around: list[Any], depth: int) -> None:
        if depth > 1000 and api_implementation.Type() == "python":
            pytest.skip("protobuf in pure Python can't make such a message")
        declared = nested(depth, *into)

        with pytest.raises(LiteralError, match="v: its type is nested more than 30 levels deep"):
            to_literal(1, declared, "v")
        with pytest.raises(LiteralError, match="v: its type is nested more than 30 levels deep"):
            from_literal(literals_pb2.Literal(), declared, "v")
        assert "..." in describe(declared)


def test_wrong_values_deep_in_unions_are_found_in_reasonable_time() -> None:
    """Trying each variant strictly and then leniently must not double the work on every level."""
    declared = nested(MAX_DEPTH, into_union, into_list)
    value: Any = "x"
    for _ in range(MAX_DEPTH // 2):
        value = (value,)
    calls = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event == "call" and "_literals" in frame.f_code.co_filename

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        with pytest.raises(LiteralError):
            to_literal(value, declared)
    finally:
        sys.setprofile(before)

    assert calls < 50_000


@pytest.mark.parametrize(
    ("literal", "annotation", "text"),
    [
        pytest.param({}, int, "expected int, got a literal without a value", id="nothing"),
        pytest.param({"scalar": {}}, type(None), "expected None, got a literal without a value", id="empty scalar"),
        pytest.param(
            {"scalar": {"primitive": {}}}, str, "expected str, got a primitive without a value", id="primitive"
        ),
        pytest.param(
            {"scalar": {"primitive": {"float_value": math.nan}}}, int, "expected int, got float nan", id="nan for int"
        ),
        pytest.param(
            {"scalar": {"primitive": {"boolean": True}}}, int, "expected int, got bool True", id="bool for int"
        ),
        pytest.param({"scalar": {"primitive": {"integer": 1}}}, bool, "expected bool, got int 1", id="int for bool"),
        pytest.param({"scalar": {"none_type": {}}}, int, "expected int, got None", id="None for int"),
        pytest.param({"collection": {"literals": [{}, {}]}}, int, "expected int, got a list of 2", id="list for int"),
        pytest.param(
            {"map": literals_pb2.LiteralMap(literals={"a": literals_pb2.Literal()})},
            list[int],
            "expected list, got a dict of 1",
            id="dict for list",
        ),
        pytest.param({"collection": {}}, dict[str, int], "expected dict, got a list of 0", id="list for dict"),
        pytest.param(
            {"scalar": {"primitive": {"datetime": {"seconds": 10**15}}}},
            datetime.datetime,
            "expected datetime, got one outside the years 1 to 9999: 1000000000000000 s after 1970",
            id="year 30 million",
        ),
        pytest.param(
            {"scalar": {"primitive": {"duration": {"seconds": 10**18}}}},
            datetime.timedelta,
            "expected timedelta, got one that Python can't hold: 1000000000000000000 s",
            id="30 thousand million years",
        ),
        pytest.param(
            {"scalar": {"blob": {"uri": "s3://b/k"}}},
            str,
            "expected str, got a file 's3://b/k'",
            id="file",
        ),
        pytest.param(
            {"scalar": {"binary": {"tag": "msgpack", "value": b"\xa1x"}}},
            int,
            "expected int, got str 'x'",
            id="msgpack",
            marks=NEEDS_MSGPACK,
        ),
        pytest.param(
            {"scalar": {"binary": {"value": b"x"}}},
            int,
            "expected int, got a pickle",
            id="pickle",
        ),
        pytest.param(
            {"scalar": {"binary": {"tag": "cbor"}}},
            int,
            "expected int, but binary values of format str 'cbor' are not known",
            id="unknown binary",
        ),
        pytest.param(
            {"scalar": {"union": {"value": {}, "type": {"simple": "FLOAT"}}}},
            Union[int, str],
            "expected int | str, got a value of type float",
            id="variant that is none",
        ),
        pytest.param(
            {"scalar": {"union": {"value": {}, "type": {"simple": "INTEGER"}}}},
            Union[int, str],
            "expected int, got a literal without a value",
            id="empty variant",
        ),
        pytest.param({"scalar": {"union": {}}}, int, "expected int, got a value of a union", id="union for int"),
    ],
)
def test_a_literal_of_another_shape_is_told(literal: Any, annotation: Any, text: str) -> None:
    with pytest.raises(LiteralError) as caught:
        from_literal(literals_pb2.Literal(**literal), literal_type(annotation), "v")

    assert str(caught.value) == f"v: {text}"


def test_reading_tells_where() -> None:
    declared = literal_type(dict[str, list[int]])
    literal = to_literal({"a": [1], "b": [2, 3]}, declared)
    literal.map.literals["b"].collection.literals[1].scalar.none_type.SetInParent()
    literal.map.literals["a"].collection.literals[0].Clear()

    with pytest.raises(LiteralError) as caught:
        from_literal(literal, declared, "o0")

    assert (
        str(caught.value)
        == 'o0["a"][0]: expected int, got a literal without a value; o0["b"][1]: expected int, got None'
    )


def test_two_lists_in_a_union_are_told_apart_by_their_types() -> None:
    declared = literal_type(Union[list[int], list[float]])

    assert json.dumps(from_literal(to_literal([1], declared), declared)) == "[1]"
    assert json.dumps(from_literal(to_literal([1.0], declared), declared)) == "[1.0]"


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ({"simple": types_pb2.STRUCT}, "dict"),
        ({"simple": types_pb2.BINARY}, "Any"),
        ({"blob": {}}, "File"),
        ({"blob": {"dimensionality": 1}}, "Dir"),
        ({"structured_dataset_type": {}}, "DataFrame"),
        ({"simple": types_pb2.ERROR}, "Error"),
    ],
)
def test_what_cannot_be_read_here_does_not_hide_what_can(declared: Any, name: str) -> None:
    inner = types_pb2.LiteralType(**declared)
    listed = types_pb2.LiteralType(collection_type=inner)
    optional = types_pb2.LiteralType(
        union_type=types_pb2.UnionType(variants=[inner, types_pb2.LiteralType(simple=types_pb2.NONE)])
    )
    offloaded = literals_pb2.Literal(offloaded_metadata={"uri": "s3://b/k", "size_bytes": 7})

    assert from_literal(to_literal(None, optional), optional) is None
    assert from_literal(to_literal([], listed), listed) == []
    with pytest.raises(
        LiteralError, match=rf"v: expected {name}, but .* stored at s3://b/k \(7 bytes\) and is not fetched"
    ):
        from_literal(offloaded, inner, "v")


@pytest.mark.parametrize("declared", [{}, {"simple": 99}], ids=["no type", "type of the future"])
def test_a_type_that_is_not_known_is_an_error(declared: Any) -> None:
    kind = types_pb2.LiteralType(**declared)

    with pytest.raises(LiteralError, match="v: its declared type is empty or not known here"):
        to_literal(1, kind, "v")
    with pytest.raises(LiteralError, match="v: its declared type is empty or not known here"):
        from_literal(literals_pb2.Literal(), kind, "v")
    assert describe(kind) == "(a type not known here)"


class TestDynamicEnum:
    member = DynamicEnum.member("RED")

    def test_it_is_text_and_member(self) -> None:
        assert self.member == "RED"
        assert (self.member.name, self.member.value) == ("RED", "RED")
        assert isinstance(self.member, enum.Enum)
        assert {"RED": 1}[self.member] == 1
        assert Color[self.member] is Color.RED

    def test_it_prints_alike_on_every_python(self) -> None:
        assert repr(self.member) == "<DynamicEnum.RED: 'RED'>"
        assert str(self.member) == f"{self.member}" == "RED"
        assert f"{self.member:>5}" == "  RED"
        assert json.dumps(self.member) == '"RED"'

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda member: pickle.loads(pickle.dumps(member))])
    def test_it_can_be_copied(self, copied: Any) -> None:
        again = copied(self.member)

        assert (again, again.name, type(again)) == ("RED", "RED", DynamicEnum)

    @pytest.mark.parametrize("name", ["", "mro", "_x_", "__dunder__", "a b", "1", "name", "\N{SNOWMAN}"])
    def test_any_text_can_be_one(self, name: str) -> None:
        declared = types_pb2.LiteralType(enum_type=types_pb2.EnumType(values=[name]))

        assert from_literal(to_literal(name, declared), declared).name == name

    def test_it_can_be_the_input_of_another_run(self) -> None:
        assert roundtrip(roundtrip(Color.GREEN, Color), Optional[Color]) == "GREEN"


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        pytest.param(Color.RED, Color, Color.RED, id="enum"),
        pytest.param(Level.HIGH, Level, Level.HIGH, id="IntEnum"),
        pytest.param("s", Literal["s", "m"], "s", id="Literal"),
        pytest.param([Color.RED, None], list[Optional[Color]], [Color.RED, None], id="enums in a list"),
        pytest.param({"a": {"b": Mode.SLOW}}, dict[str, dict[str, Mode]], {"a": {"b": Mode.SLOW}}, id="enum in dicts"),
        pytest.param(Mode.SLOW, Union[Color, Mode, str], Mode.SLOW, id="second enum of a union"),
        pytest.param("SLOW", Union[str, Mode], "SLOW", id="str beside an enum"),
        pytest.param(datetime.date(2024, 1, 2), datetime.date, datetime.date(2024, 1, 2), id="date"),
        pytest.param(
            [datetime.date(2024, 1, 2)],
            Optional[list[datetime.date]],
            [datetime.date(2024, 1, 2)],
            id="dates in a union",
        ),
        pytest.param(
            datetime.datetime(2024, 1, 2, tzinfo=UTC),
            Union[datetime.date, datetime.datetime],
            datetime.datetime(2024, 1, 2, tzinfo=UTC),
            id="datetime beside date",
        ),
        pytest.param([1.5, 2], list[Union[int, float]], [1.5, 2], id="numbers"),
        pytest.param(True, Union[int, bool], True, id="bool beside int"),
    ],
)
def test_a_function_gets_what_its_annotation_says(value: Any, annotation: Any, expected: Any) -> None:
    got = hydrate(roundtrip(value, annotation), annotation)

    assert got == expected
    assert type(got) is type(expected)
    if isinstance(expected, enum.Enum):
        assert got is expected


@pytest.mark.parametrize(
    ("value", "annotation", "text"),
    [
        (DynamicEnum.member("BLUE"), Color, "v: expected Color, got DynamicEnum.BLUE"),
        ("red ", Color, "v: expected Color, got str 'red '"),
        (DynamicEnum.member("z"), Literal["a"], "v: expected Literal['a'], got DynamicEnum.z"),
        ("x", datetime.date, "v: expected date, got str 'x'"),
        (1.5, Optional[int], "v: expected Optional[int], got float 1.5"),
        (True, int, "v: expected int, got bool True"),
        ([1], dict[str, int], "v: expected dict, got list [1]"),
        ({"a": 1}, list[int], "v: expected list, got dict {'a': 1}"),
        ([[1], ["x"]], list[list[int]], "v[1][0]: expected int, got str 'x'"),
        ({"a": 1.5}, dict[str, int], 'v["a"]: expected int, got float 1.5'),
    ],
    ids=text_of,
)
def test_a_value_that_the_annotation_does_not_allow_is_an_error(value: Any, annotation: Any, text: str) -> None:
    with pytest.raises(LiteralError) as caught:
        hydrate(value, annotation, "v")

    assert (
        str(caught.value)
        .replace("typing.", "")
        .replace("Union[int, NoneType]", "Optional[int]")
        .replace("int | None", "Optional[int]")
        == text
    )


def test_importing_loads_no_protobuf_and_converting_does() -> None:
    source = (
        "import sys, flyte_lite._literals, flyte_lite._literals.types, flyte_lite._literals.signatures\n"
        "assert not [name for name in sys.modules if name.startswith('google.protobuf')]\n"
        "flyte_lite._literals.types.literal_type(int)\n"
        "assert 'google.protobuf' in sys.modules\n"
    )

    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0
