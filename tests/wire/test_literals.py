"""Literals against those of the official SDK: the same bytes, the same values, and a list of where we differ."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import enum
import json
import math
import sys
import typing
from pathlib import Path
from typing import Any, Optional

import pytest

from flyte_lite._literals import from_literal, hydrate, to_literal
from flyte_lite._literals.signatures import function_interface
from flyte_lite._literals.types import literal_type
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2

DATA = json.loads((Path(__file__).parent / "data" / "literals.json").read_text(encoding="utf-8"))
CASES = {case["id"]: case for case in DATA["cases"]}
ENCODED = {case["id"]: case for case in DATA["encode_by_interface"]}
ALL = {**CASES, **ENCODED}


class Deviation(typing.NamedTuple):
    """Where we do not do what the official SDK did.

    `instead` is the source of a value whose literal ours must equal (so the task gets the same), or for `read` and
    `type` the source of what comes out.
    """

    id: str
    what: str  # write, read or type
    instead: str
    reason: str


_NUMBER = "an int is a float to everybody but to an assertion of the SDK; the task gets the float"
_MEMBER = "the SDK has rebuilt the class and does not know the user's member; its name is what goes on the wire anyway"

DEVIATIONS = [
    Deviation("float.from_int", "write", "2.0", _NUMBER),
    Deviation("enc.float.int", "write", "3.0", _NUMBER),
    Deviation("enc.list.float_ints", "write", "[1.0]", _NUMBER),
    Deviation("list.int_in_float_list", "write", "[1.0, 2.5]", _NUMBER),
    Deviation("union.float_str_int", "write", "2.0", _NUMBER + "; str does not take an int"),
    Deviation("enc.optional.float_int", "write", "2.0", _NUMBER + "; None is nothing else"),
    Deviation(
        "datetime.from_date", "write", "datetime.datetime(2024, 1, 2)", "a date is its midnight, as a date is written"
    ),
    Deviation(
        "date.from_datetime",
        "write",
        "datetime.datetime(2024, 1, 2, 3, 4, 5)",
        "the LiteralType does not tell a date from a datetime, so the time of day is sent; the task drops it",
    ),
    Deviation("list.from_tuple", "write", "[1, 2]", "a tuple has the same elements in the same order"),
    Deviation("enc.list.int_range", "write", "[0, 1, 2]", "a range has the same elements in the same order"),
    Deviation("enc.dict.str_int_ordered", "write", "{'a': 1}", "an OrderedDict is a dict; the wire keeps no order"),
    Deviation("enc.enum.member", "write", "'RED'", _MEMBER),
    Deviation("enc.enum.int_member", "write", "'HIGH'", _MEMBER),
    Deviation("enc.enum.str_mixin_member", "write", "'a'", _MEMBER),
    Deviation(
        "legacy_type.enum_reserved_name",
        "read",
        "'a'",
        "another member has a name that a Python class can't have; no class is built",
    ),
    Deviation(
        "legacy_type.union_untagged_variants", "read", "5", "without tags the types themselves say which variant it is"
    ),
    Deviation("legacy_type.union_one_variant", "read", "5", "Python has no union of one type, but the wire has"),
    Deviation(
        "literal.case_clash",
        "type",
        "['a', 'A']",
        "the SDK upper-cases the texts of a Literal and loses one of two; both are declared",
    ),
]
WRITE = {deviation.id: deviation for deviation in DEVIATIONS if deviation.what == "write"}
READ = {deviation.id: deviation for deviation in DEVIATIONS if deviation.what == "read"}
TYPE = {deviation.id: deviation for deviation in DEVIATIONS if deviation.what == "type"}

# Read by the official SDK and not by us yet: what the error names.
NOT_YET = {
    "foreign.int_from_msgpack": "msgpack",
    "foreign.str_from_msgpack": "msgpack",
    "foreign.list_from_msgpack": "msgpack",
    "foreign.dict_from_msgpack": "msgpack",
    "foreign.datetime_from_msgpack": "msgpack",
    "foreign.bool_from_msgpack": "msgpack",
    "offloaded.int": "offloaded",
    "offloaded.nested_in_list": "offloaded",
}


class _StrEnum(str, enum.Enum):
    """Python 3.11's, as far as the cases need it."""

    __str__ = str.__str__


def names(case: dict[str, Any]) -> dict[str, Any]:
    """The names that a case's texts assume, and its own classes."""
    known: dict[str, Any] = {
        "collections": collections,
        "dataclass": dataclasses.dataclass,
        "datetime": datetime,
        "enum": enum,
        "math": math,
        "typing": typing,
        "UTC": datetime.timezone.utc,
        **{name: getattr(typing, name) for name in ("Annotated", "Dict", "List", "Literal", "Optional", "Union")},
        **{name: getattr(enum, name) for name in ("Enum", "Flag", "IntEnum")},
        "StrEnum": getattr(enum, "StrEnum", _StrEnum),
    }
    exec(case.get("setup", ""), known)  # source of the data file
    return known


def value_of(case: dict[str, Any]) -> Any:
    known = names(case)
    if "zoneinfo" in case["value_repr"]:
        known["zoneinfo"] = pytest.importorskip("zoneinfo")
        try:
            known["zoneinfo"].ZoneInfo("Europe/Paris")
        except known["zoneinfo"].ZoneInfoNotFoundError:
            pytest.skip("this machine has no time zone data")
    return eval(case["value_repr"], known)


def annotation_of(case: dict[str, Any]) -> Any:
    if " | " in case["python_type"] and sys.version_info < (3, 10):
        pytest.skip("X | Y needs Python 3.10")
    return eval(case["python_type"], names(case))


def type_of(case: dict[str, Any]) -> types_pb2.LiteralType:
    return types_pb2.LiteralType.FromString(base64.b64decode(case["literal_type_b64"]))


def literal_of(case: dict[str, Any]) -> literals_pb2.Literal:
    return literals_pb2.Literal.FromString(base64.b64decode(case["literal_b64"]))


def raw(message: Any) -> bytes:
    made: bytes = message.SerializeToString(deterministic=True)
    return made


def plain(value: Any) -> Any:
    """A value in the typed JSON of the data."""
    if isinstance(value, enum.Enum):
        return {"$enum": {"class": type(value).__name__, "name": value.name, "value": value.value}}
    if isinstance(value, datetime.datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, datetime.date):
        return {"$date": value.isoformat()}
    if isinstance(value, datetime.timedelta):
        return {"$timedelta_us": value // datetime.timedelta(microseconds=1)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def same(one: Any, other: Any) -> bool:
    """Equal also in type: 1, 1.0 and True are three values."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def those(cases: dict[str, dict[str, Any]], *having: str, without: str = "") -> list[str]:
    return [
        name
        for name, case in cases.items()
        if all(field in case for field in having) and (not without or without not in case)
    ]


@pytest.mark.parametrize("name", [name for name in those(ALL, "value_repr", "literal_b64") if name not in WRITE])
def test_values_are_written_with_the_official_bytes(name: str) -> None:
    case = ALL[name]

    literal = to_literal(value_of(case), type_of(case))

    # Not the recorded bytes themselves: protobuf in C and in Python put the entries of a map in different orders.
    assert raw(literal) == raw(literal_of(case))


@pytest.mark.parametrize("name", [name for name in those(ALL, "literal_type_b64", "encode_error") if name not in WRITE])
def test_what_the_official_sdk_refuses_is_refused(name: str) -> None:
    case = ALL[name]

    with pytest.raises(LiteralError, match=r"^x"):
        to_literal(value_of(case), type_of(case), "x")


@pytest.mark.parametrize("name", WRITE)
def test_what_is_taken_beyond_the_official_sdk_is_the_literal_of_what_was_meant(name: str) -> None:
    case = ALL[name]

    literal = to_literal(value_of(case), type_of(case))

    assert raw(literal) == raw(to_literal(eval(WRITE[name].instead, names(case)), type_of(case)))
    assert "literal_b64" not in case or raw(literal) != raw(literal_of(case)), "no deviation any more"
    if "task_plain" in case:
        assert same(plain(hydrate(from_literal(literal, type_of(case)), annotation_of(case))), case["task_plain"])


@pytest.mark.parametrize(
    "name", [name for name in those(CASES, "literal_b64", without="decode_error") if name not in NOT_YET]
)
def test_literals_are_read_as_the_official_client_reads_them(name: str) -> None:
    case = CASES[name]

    value = from_literal(literal_of(case), type_of(case))

    assert same(plain(value), case["decoded_plain"])


@pytest.mark.parametrize("name", [name for name in those(CASES, "literal_b64", "decode_error") if name not in READ])
def test_what_the_official_client_cannot_read_is_an_error(name: str) -> None:
    case = CASES[name]

    with pytest.raises(LiteralError, match=r"^x: expected "):
        from_literal(literal_of(case), type_of(case), "x")


@pytest.mark.parametrize("name", READ)
def test_what_is_read_beyond_the_official_client(name: str) -> None:
    case = CASES[name]
    assert "decode_error" in case, "no deviation any more"

    assert from_literal(literal_of(case), type_of(case)) == eval(READ[name].instead)


@pytest.mark.parametrize("name", NOT_YET)
def test_what_cannot_be_read_yet_is_named(name: str) -> None:
    case = CASES[name]

    with pytest.raises(LiteralError, match=rf"^x.*{NOT_YET[name]} values can't be read yet"):
        from_literal(literal_of(case), type_of(case), "x")


@pytest.mark.parametrize("name", [name for name in those(CASES, "python_type", "literal_type_b64") if name not in TYPE])
def test_annotations_have_the_official_types(name: str) -> None:
    case = CASES[name]

    assert raw(literal_type(annotation_of(case))) == base64.b64decode(case["literal_type_b64"])


@pytest.mark.parametrize("name", TYPE)
def test_annotations_whose_type_differs(name: str) -> None:
    case = CASES[name]

    made = literal_type(annotation_of(case))

    assert list(made.enum_type.values) == eval(TYPE[name].instead)
    assert raw(made) != base64.b64decode(case["literal_type_b64"]), "no deviation any more"


@pytest.mark.parametrize("name", those(CASES, "type_error"))
def test_annotations_that_the_official_sdk_refuses_are_refused(name: str) -> None:
    case = CASES[name]

    with pytest.raises(LiteralError, match=r"^x: "):
        literal_type(annotation_of(case), "x")


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in those(CASES, "literal_b64", "python_type", "task_plain", without="task_error")
        if name not in NOT_YET
    ],
)
def test_hydrated_values_are_what_the_task_receives(name: str) -> None:
    case = CASES[name]
    annotation = annotation_of(case)

    value = hydrate(from_literal(literal_of(case), type_of(case)), annotation)

    assert same(plain(value), case["task_plain"])


def many(
    i: int = 3,
    f: float = 2.5,
    b: bool = True,
    s: str = "text",
    when: datetime.datetime = datetime.datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=datetime.timezone.utc),
    span: datetime.timedelta = datetime.timedelta(hours=1, milliseconds=250),
    xs: typing.List[int] = [1, 2, 3],  # noqa: B006, UP006  # a default as tasks have it
    d: typing.Dict[str, int] = {"a": 1},  # noqa: B006, UP006
    maybe: Optional[int] = None,
) -> str:
    raise NotImplementedError


def divide(a: int, b: int) -> typing.Tuple[int, int]:  # noqa: UP006
    raise NotImplementedError


def nothing(n: int = 0) -> None:
    raise NotImplementedError


def chatty(lines: int = 50, seconds: float = 5.0) -> int:
    raise NotImplementedError


@pytest.mark.parametrize("function", [many, divide, nothing, chatty], ids=lambda function: function.__name__)
def test_interfaces_of_functions_are_those_of_their_deployment(function: typing.Callable[..., Any]) -> None:
    (recorded,) = [spec for spec in DATA["interfaces"] if spec["id"] == f"rig.{function.__name__}"]

    made = function_interface(function)

    assert raw(made.interface) == base64.b64decode(recorded["interface_b64"])
    assert [[name, base64.b64encode(raw(literal)).decode()] for name, literal in made.defaults.items()] == recorded[
        "defaults"
    ]


def test_each_deviation_is_about_one_case_and_says_why() -> None:
    assert len({(deviation.id, deviation.what) for deviation in DEVIATIONS}) == len(DEVIATIONS)
    assert not {deviation.id for deviation in DEVIATIONS} - set(ALL)
    assert all(len(deviation.reason) > 20 for deviation in DEVIATIONS)
