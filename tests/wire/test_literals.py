"""Literals against those of the official SDK: the same bytes, the same values, and a list of where we differ."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import pickle
import sys
import types
import typing
import uuid
from typing import Any, Optional

import msgpack
import pytest
from google.protobuf import struct_pb2, wrappers_pb2

from flyte_lite import io
from flyte_lite._literals import from_literal, hydrate, to_literal
from flyte_lite._literals.records import Record
from flyte_lite._literals.signatures import function_interface
from flyte_lite._literals.types import literal_type
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2

try:
    import pydantic as models
except ImportError:
    import stand_in_models as models

DATA = json.loads((pathlib.Path(__file__).parent / "data" / "literals.json").read_text(encoding="utf-8"))
CASES = {case["id"]: case for case in DATA["cases"]}
ENCODED = {case["id"]: case for case in DATA["encode_by_interface"]}
ALL = {**CASES, **ENCODED}


class Deviation(typing.NamedTuple):
    """Where we do not do what the official SDK did.

    What stands in `what` is checked by `instead`, a source of:

    write    another value that says the same; our literal is the one of that value, so the task gets the same
    packed   the msgpack in our literal, as msgpack itself reads it
    pickled  the pickle in our literal, as pickle itself loads it
    order    nothing: it is the same msgpack, with the fields in another order
    union    nothing: it is the same value, and the type beside it is a variant of the declared type
    refuse   a part of the sentence with which we refuse
    read     what we read
    type     the values of the enum
    """

    id: str
    what: str
    instead: str
    reason: str


_NUMBER = "an int is a float to everybody but to an assertion of the SDK; the task gets the float"
_MEMBER = "the SDK has rebuilt the class and does not know the user's member; its name is what goes on the wire anyway"
_CONVERTED = (
    "a dict without a type of values looks like a dict[int, datetime] on the wire, where the SDK writes it so; there "
    "is no other way to write it"
)
_ORDER = "a dict for a class: the type does not tell the order of the fields that have defaults, and nobody asks for it"
_ADDRESS = "the address of something that is stored can only mean that"
_OBJECT = "the value of a field may be given as what it is in the class; it is written as an instance would be"
_POSITIONS = "values by their position, as everybody writes a tuple"
_ANY = "None is a value of Any; its pickle is as good as another"
_WIRE = "the client guesses another class; this is what stands on the wire, and what the task gets"
_UNKNOWN = "the client can't rebuild the class and gives up; there is no need for it"
_REBUILT = "the SDK rebuilds the variant from what it guesses, a little different; the task looks at its tag only"
_FETCHED = "nothing is downloaded here; the sentence tells the address, and what is stored there reads as recorded"

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
    Deviation("pickle.ordered_dict", "write", "{'a': 1}", "an OrderedDict is a dict"),
    Deviation("enc.enum.member", "write", "'RED'", _MEMBER),
    Deviation("enc.enum.int_member", "write", "'HIGH'", _MEMBER),
    Deviation("enc.enum.str_mixin_member", "write", "'a'", _MEMBER),
    Deviation("dict_msgpack.datetime_value", "packed", "{'t': '2024-01-02T00:00:00+00:00'}", _CONVERTED),
    Deviation("enc.dict_msgpack.untyped_datetime_value", "packed", "{'t': '2024-01-02T00:00:00+00:00'}", _CONVERTED),
    Deviation("enc.dict_msgpack.untyped_set_value", "packed", "{'a': [1]}", _CONVERTED),
    Deviation("dataclass.from_dict", "order", "", _ORDER),
    Deviation("pydantic.from_dict", "order", "", _ORDER),
    Deviation(
        "dataclass.pydantic_field",
        "packed",
        "{'p': {'x': 1, 'label': 'p'}}",
        "refused only by the library that knows the class; by the interface alone the SDK writes it, too",
    ),
    Deviation(
        "dataclass.wrong_field_type",
        "refuse",
        "x.x: expected int, got str 'a'",
        "the task can't read what the SDK wrote",
    ),
    Deviation(
        "pydantic.float_inf",
        "packed",
        "{'f': math.inf}",
        "the SDK writes None, which the task then refuses; msgpack has infinity, and pydantic reads it",
    ),
    Deviation(
        "pydantic.bytes_binary",
        "packed",
        "{'b': b'\\xff\\x00'}",
        "bytes that are no text have no JSON, but have msgpack, and pydantic reads it",
    ),
    Deviation(
        "file.generic_plain_instance", "write", "File('s3://b/f')", "File[str] and File are the same on the wire"
    ),
    Deviation("file.from_str", "write", "File('s3://b/f.csv')", _ADDRESS),
    Deviation("enc.file.str", "write", "File('s3://b/f.csv')", _ADDRESS),
    Deviation("enc.file.dict", "write", "File('s3://b/f.csv')", "the fields of a File, as it stands inside a struct"),
    Deviation("enc.optional.file_str", "write", "File('s3://b/f')", _ADDRESS + "; None is nothing else"),
    Deviation("enc.dir.str", "write", "Dir('s3://b/d')", _ADDRESS),
    Deviation("enc.dataframe.dict", "write", "DataFrame('s3://b/df')", "the fields of a DataFrame"),
    Deviation(
        "enc.legacy_type.frame_columns",
        "write",
        "DataFrame('s3://b/df', format='parquet')",
        "the declared format and columns are kept, as the SDK does where it has the annotation",
    ),
    Deviation(
        "protobuf.list_value",
        "refuse",
        "x: only messages whose JSON is an object can be sent, and that of ListValue is none",
        "the SDK writes a collection, which the task then refuses",
    ),
    Deviation(
        "enc.protobuf.dict",
        "write",
        "_struct({'a': 1})",
        "a message may be given as its JSON, as the client has no class",
    ),
    Deviation("any.dict_values", "pickled", "{'a': [1], 'b': None}", _ANY),
    Deviation("enc.any.none", "pickled", "None", _ANY),
    Deviation("enc.dict.any_none_value", "pickled", "{'a': None}", _ANY),
    Deviation("enc.legacy_type.unknown_tag", "packed", "{'x': 1, 'y': 2}", "the schema says all that is needed"),
    Deviation("enc.tuple.tuple", "packed", "{'item_0': 1, 'item_1': 'a'}", _POSITIONS),
    Deviation("enc.tuple.list", "packed", "{'item_0': 1, 'item_1': 'a'}", _POSITIONS),
    Deviation("enc.namedtuple.tuple", "packed", "{'left': 1, 'right': 'a'}", _POSITIONS),
    Deviation(
        "enc.optional.namedtuple_dict",
        "packed",
        "{'left': 1, 'right': 'a'}",
        "the fields by name, as the SDK takes them outside an Optional",
    ),
    Deviation(
        "enc.dataclass.defaults_note_none",
        "packed",
        "{'name': 'n', 'note': None, 'on': True, 'rate': 1.0, 'retries': 3.0}",
        "None is a value of Optional[str]",
    ),
    Deviation(
        "enc.dataclass.defaults_int_for_float",
        "packed",
        "{'name': 'n', 'note': None, 'on': True, 'rate': 2.0, 'retries': 3.0}",
        _NUMBER,
    ),
    Deviation(
        "enc.dataclass.when_objects",
        "packed",
        "{'t': '2024-01-02T00:00:00+00:00', 'd': 1.0, 'c': 'red'}",
        _OBJECT,
    ),
    Deviation(
        "enc.dataclass.file_file_obj",
        "packed",
        "{'f': {'path': 's3://b/f.csv', 'name': 'f.csv', 'format': '', 'hash': None}, 'n': 1}",
        _OBJECT,
    ),
    Deviation(
        "enc.dataclass.file_str",
        "packed",
        "{'f': {'path': 's3://b/f.csv', 'name': 'f.csv', 'format': '', 'hash': None}, 'n': 1}",
        _ADDRESS,
    ),
    Deviation("enc.pydantic.recursive_dict", "packed", "{'v': 1, 'kids': []}", _UNKNOWN),
    *(
        Deviation(name, "union", "", _REBUILT)
        for name, case in ENCODED.items()
        if case.get("union_type_is_variant") is False and name != "enc.legacy_type.union_untagged"
    ),
    Deviation(
        "union.same_shape_dataclasses", "read", "{'v': 1}", "the literal says which class it is; the SDK does not look"
    ),
    Deviation("namedtuple.nested", "read", "{'inner': (1, 'a'), 'n': 2}", _UNKNOWN),
    Deviation(
        "dataclass.all_scalars",
        "read",
        """{
            "i": 1, "f": 2.5, "s": "s", "b": True, "dt": "2024-01-02T03:04:05.000006+00:00", "d": "2024-01-02",
            "td": 1.5, "e": "green", "raw": bytes([0, 255]), "u": "00000000-0000-0000-0000-000000000001",
            "p": "/a/b", "de": "1.50", "o": None, "l": [1, 2], "m": {"k": 0.5},
        }""",
        _WIRE + ": bytes, not their repr",
    ),
    Deviation("dataclass.int_enum", "read", "{'c': 10}", _WIRE),
    Deviation("dataclass.any_field", "read", "{'v': {'k': 1}}", _WIRE),
    Deviation("dataclass.int_key_dict", "read", "{'m': {1: 'a'}}", _WIRE),
    Deviation(
        "pydantic.all_scalars",
        "read",
        """{
            "i": 1, "f": 2.5, "s": "s", "b": True, "dt": "2024-01-02T03:04:05.000006Z", "d": "2024-01-02",
            "td": "PT1.5S", "e": "GREEN", "u": "00000000-0000-0000-0000-000000000001", "p": "/a/b", "de": "1.50",
            "o": None, "l": [1, 2], "m": {"k": 0.5},
        }""",
        _WIRE + ": a Decimal with its last zero, not a float",
    ),
    Deviation("pydantic.any_field", "read", "{'v': {'k': [1, None]}}", _UNKNOWN),
    Deviation("pydantic.untyped_containers", "read", "{'l': [1, 'a'], 'm': {'k': 1}}", _UNKNOWN),
    Deviation("pydantic.recursive", "read", "{'v': 1, 'kids': [{'v': 2, 'kids': []}]}", _UNKNOWN),
    Deviation("protobuf.struct", "read", "{'a': 1.0, 'b': 'x', 'c': [True, None], 'd': {'e': 1.5}}", _UNKNOWN),
    Deviation("protobuf.struct_empty", "read", "{}", _UNKNOWN),
    Deviation("protobuf.message", "read", "{'dimensionality': 'MULTIPART', 'format': 'csv'}", _UNKNOWN),
    Deviation(
        "foreign.dataframe_absent", "refuse", "expected DataFrame, got int 1", "an int is no table, not an empty one"
    ),
    Deviation("offloaded.int", "refuse", "its value is stored at s3://golden/offloaded/int.pb", _FETCHED),
    Deviation("offloaded.dict", "refuse", "its value is stored at s3://golden/offloaded/dict.pb", _FETCHED),
    Deviation(
        "offloaded.nested_in_list", "refuse", "its value is stored at s3://golden/offloaded/nested_in_list.pb", _FETCHED
    ),
    Deviation(
        "legacy_type.untagged_nested_struct",
        "read",
        "{'inner': {'a': 1.0}, 'n': 3}",
        "the default of an int is an int, though the schema can only hold a double",
    ),
    Deviation("legacy_type.draft7_no_title", "read", "{'x': 1}", _UNKNOWN),
    Deviation("legacy_type.unknown_tag", "read", "{'x': 1, 'y': 2}", _UNKNOWN),
    Deviation("legacy_type.prop_no_type", "read", "{'x': 'a', 'y': 2}", _UNKNOWN),
    Deviation("legacy_type.nullable_type_list", "read", "{'x': 1}", _WIRE),
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
_BY = collections.defaultdict(dict)
for _deviation in DEVIATIONS:
    _BY[_deviation.what][_deviation.id] = _deviation
READ, TYPE, REFUSE, UNION, ORDER = (_BY[what] for what in ("read", "type", "refuse", "union", "order"))
WRITE = {**_BY["write"], **_BY["packed"], **_BY["pickled"]}


def is_plain(case: dict[str, Any]) -> bool:
    """Its type is made of simple types, enums, lists, dicts and unions only."""

    def plain_type(of: types_pb2.LiteralType) -> bool:
        which = of.WhichOneof("type")
        inside = {"collection_type": [of.collection_type], "map_value_type": [of.map_value_type]}
        parts = inside.get(which, of.union_type.variants if which == "union_type" else [])
        return (of.simple <= 6 if which == "simple" else which == "enum_type" or bool(parts)) and all(
            map(plain_type, parts)
        )

    return "Field(" not in case.get("python_type", "") and plain_type(type_of(case))


# What is read of these is not all that a task gets: see the module of the client's own classes.
PLAIN_KINDS = frozenset(
    [
        *("int", "float", "bool", "str", "datetime", "date", "timedelta", "none", "optional", "union", "list", "dict"),
        *("literal", "enum", "foreign", "legacy_type"),
    ]
)


class _StrEnum(str, enum.Enum):
    """Python 3.11's, as far as the cases need it."""

    __str__ = str.__str__


def names(case: dict[str, Any]) -> dict[str, Any]:
    """The names that a case's texts assume, and its own classes."""
    # Classes look for their module when they are made.
    module = types.ModuleType("user_code")
    sys.modules["user_code"] = module
    known = module.__dict__
    known.update(
        collections=collections,
        dataclasses=dataclasses,
        datetime=datetime,
        decimal=decimal,
        enum=enum,
        fractions=fractions,
        math=math,
        msgpack=msgpack,
        pathlib=pathlib,
        typing=typing,
        uuid=uuid,
        **{name: getattr(typing, name) for name in ("Annotated", "Any", "Dict", "List", "Literal", "NamedTuple")},
        **{name: getattr(typing, name) for name in ("Optional", "Tuple", "TypedDict", "Union")},
        **{name: getattr(enum, name) for name in ("Enum", "Flag", "IntEnum")},
        **{name: getattr(models, name) for name in ("BaseModel", "ConfigDict", "Field")},
        **{name: getattr(io, name) for name in ("DataFrame", "Dir", "File")},
        dataclass=dataclasses.dataclass,
        field=dataclasses.field,
        UTC=datetime.timezone.utc,
        StrEnum=getattr(enum, "StrEnum", _StrEnum),
        # Of a value nothing says whether it was required.
        NotRequired=getattr(typing, "NotRequired", Optional),
        struct_pb2=struct_pb2,
        wrappers_pb2=wrappers_pb2,
        T=types_pb2,
        _struct=_struct,
    )
    exec(case.get("setup", ""), known)  # source of the data file
    return known


def _struct(fields: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(fields)
    return made


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


def literal_of(case: dict[str, Any], field: str = "literal_b64") -> literals_pb2.Literal:
    return literals_pb2.Literal.FromString(base64.b64decode(case[field]))


def raw(message: Any) -> bytes:
    made: bytes = message.SerializeToString(deterministic=True)
    return made


def plain(value: Any) -> Any:
    """A value in the typed JSON of the data; a record as its fields."""
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
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [plain(item) for item in value]}
    if isinstance(value, (set, frozenset)):
        return {"$set": sorted(map(plain, value), key=repr), "frozen": isinstance(value, frozenset)}
    if isinstance(value, dict):
        if all(type(key) is str for key in value):
            return {key: plain(item) for key, item in value.items()}
        return {"$items": sorted(([plain(key), plain(item)] for key, item in value.items()), key=repr)}
    if isinstance(value, (io.File, io.Dir)):
        return {"$stored": type(value).__name__, **value.to_dict()}
    if isinstance(value, io.DataFrame):
        return {"$stored": "DataFrame", "uri": value.uri or "", "format": value.format, "hash": value.hash}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return {"$repr": repr(value)}


def recorded(value: Any) -> Any:
    """What the data says was read, by the rule in which ours may differ: classes are not there, so an object is its
    fields, a tuple that a class stands for is a tuple, and a reference has no method to hash with.
    """
    if isinstance(value, list):
        return [recorded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$repr" in value:
        return {"$repr": value["$repr"]}
    if "$set" in value:
        return {**value, "$set": sorted(map(recorded, value["$set"]), key=repr)}
    if "$items" in value:
        return {"$items": sorted((recorded(pair) for pair in value["$items"]), key=repr)}
    if "$object" not in value:
        return {key: recorded(item) for key, item in value.items()}
    name, fields = value["$object"].partition("[")[0], recorded(value["fields"])
    if name in ("File", "Dir", "DataFrame"):
        fields.pop("hash_method", None)
        return {"$stored": name, **fields}
    if name.startswith("TupleWrapper_"):
        return {"$tuple": [fields[f"item_{nth}"] for nth in range(len(fields))]}
    return fields


def same(one: Any, other: Any) -> bool:
    """Equal also in type: 1, 1.0 and True are three values."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def unordered(literal: literals_pb2.Literal) -> Any:
    """A literal without the order of what is packed in it, and without the type beside the value of a union."""
    which = literal.WhichOneof("value")
    if which == "collection":
        return [unordered(item) for item in literal.collection.literals]
    if which == "map":
        return {key: unordered(item) for key, item in literal.map.literals.items()}
    scalar = literal.scalar
    if scalar.WhichOneof("value") == "union":
        return unordered(scalar.union.value)
    if scalar.WhichOneof("value") == "binary" and scalar.binary.tag == "msgpack":
        return plain(unpacked(literal))
    return raw(literal).hex()


def unpacked(literal: literals_pb2.Literal) -> Any:
    while literal.scalar.WhichOneof("value") == "union":
        literal = literal.scalar.union.value
    return msgpack.unpackb(literal.scalar.binary.value, strict_map_key=False)


def unpickled(literal: literals_pb2.Literal) -> Any:
    if literal.WhichOneof("value") == "map":
        return {key: unpickled(item) for key, item in literal.map.literals.items()}
    return pickle.loads(literal.scalar.binary.value)


def type_name(case: dict[str, Any]) -> str:
    return type_of(case).metadata.fields["title"].string_value.rpartition("Wrapper_")[2]


def those(cases: dict[str, dict[str, Any]], *having: str, without: str = "") -> list[str]:
    return [
        name
        for name, case in cases.items()
        if all(field in case for field in having) and (not without or without not in case)
    ]


@pytest.mark.parametrize(
    "name", [name for name in those(ALL, "value_repr", "literal_b64") if name not in {**WRITE, **REFUSE}]
)
def test_values_are_written_with_the_official_bytes(name: str) -> None:
    case = ALL[name]
    official = literal_of(case)

    literal = to_literal(value_of(case), type_of(case))

    if case["compare"] == "unstable":
        # A set that can't be sorted: other bytes in each process. What they hold is the same.
        assert unpickled(literal) == unpickled(official)
    elif case["compare"] == "msgpack_unordered" or name in {**ORDER, **UNION}:
        assert same(unordered(literal), unordered(official))
    else:
        # Not the recorded bytes themselves: protobuf in C and in Python put the entries of a map in different orders.
        assert raw(literal) == raw(official)


@pytest.mark.parametrize("name", UNION)
def test_the_type_beside_the_value_of_a_union_is_one_that_was_declared(name: str) -> None:
    case = ALL[name]
    declared = type_of(case)

    written = to_literal(value_of(case), declared).scalar.union.type

    assert raw(written) in [raw(variant) for variant in declared.union_type.variants]
    assert raw(written) != raw(literal_of(case).scalar.union.type), "no deviation any more"
    # All that the official SDK looks at when it reads.
    assert written.structure.tag == literal_of(case).scalar.union.type.structure.tag


@pytest.mark.parametrize("name", ORDER)
def test_fields_in_another_order_are_still_a_deviation(name: str) -> None:
    assert raw(to_literal(value_of(ALL[name]), type_of(ALL[name]))) != raw(literal_of(ALL[name]))


@pytest.mark.parametrize("name", [name for name in those(ALL, "literal_type_b64", "encode_error") if name not in WRITE])
def test_what_the_official_sdk_refuses_is_refused(name: str) -> None:
    case = ALL[name]

    with pytest.raises(LiteralError, match=r"^x"):
        to_literal(value_of(case), type_of(case), "x")


@pytest.mark.parametrize("name", WRITE)
def test_what_is_taken_beyond_the_official_sdk_is_the_literal_of_what_was_meant(name: str) -> None:
    case, deviation = ALL[name], WRITE[name]
    meant = eval(deviation.instead, names(case))

    literal = to_literal(value_of(case), type_of(case))

    if deviation.what == "packed":
        assert same(plain(unpacked(literal)), plain(meant))
    elif deviation.what == "pickled":
        assert same(plain(unpickled(literal)), plain(meant))
    else:
        assert raw(literal) == raw(to_literal(meant, type_of(case)))
    assert "literal_b64" not in case or raw(literal) != raw(literal_of(case)), "no deviation any more"
    if "task_plain" in case and case["kind"] in PLAIN_KINDS:
        assert same(plain(hydrate(from_literal(literal, type_of(case)), annotation_of(case))), case["task_plain"])


@pytest.mark.parametrize("name", [name for name in those(CASES, "literal_b64") if name not in {**READ, **REFUSE}])
def test_literals_are_read_as_the_official_client_reads_them(name: str) -> None:
    case = CASES[name]
    if "decode_error" in case:
        with pytest.raises(LiteralError, match=r"^x.*: expected "):
            from_literal(literal_of(case), type_of(case), "x")
        return

    value = from_literal(literal_of(case), type_of(case), "x", pickles=["x"])

    assert same(plain(value), recorded(case["decoded_plain"]))
    named = case["decoded_plain"].get("$object", "") if isinstance(case["decoded_plain"], dict) else ""
    if isinstance(value, Record):
        assert value.class_name == (named.partition("Wrapper_")[2] or named or type_name(case))


@pytest.mark.parametrize("name", READ)
def test_what_is_read_otherwise_than_by_the_official_client(name: str) -> None:
    case = CASES[name]

    value = from_literal(literal_of(case), type_of(case))

    assert "decode_error" in case or not same(plain(value), recorded(case["decoded_plain"])), "no deviation any more"
    assert value == eval(READ[name].instead)


@pytest.mark.parametrize("name", REFUSE)
def test_what_is_refused_where_the_official_sdk_does_not(name: str) -> None:
    case = CASES[name]

    refused = to_literal if "value_repr" in case else from_literal
    given = value_of(case) if "value_repr" in case else literal_of(case)

    with pytest.raises(LiteralError) as caught:
        refused(given, type_of(case), "x")

    assert REFUSE[name].instead in str(caught.value)


@pytest.mark.parametrize("name", those(CASES, "offloaded_payload_b64"))
def test_what_was_stored_elsewhere_reads_as_recorded_once_it_is_here(name: str) -> None:
    case = CASES[name]
    literal, payload = literal_of(case), literal_of(case, "offloaded_payload_b64")
    if literal.WhichOneof("value") == "collection":
        literal.collection.literals[1].CopyFrom(payload)
    else:
        literal = payload

    assert same(plain(from_literal(literal, type_of(case))), recorded(case["decoded_plain"]))


@pytest.mark.parametrize("name", [name for name in those(CASES, "literal_b64") if CASES[name]["kind"] == "pickle"])
def test_a_pickle_of_more_than_plain_data_is_not_loaded_unasked(name: str) -> None:
    case = CASES[name]
    if "$set" in case["decoded_plain"]:
        assert isinstance(from_literal(literal_of(case), type_of(case), "x"), set)
        return

    with pytest.raises(LiteralError, match="a pickle of more than plain data"):
        from_literal(literal_of(case), type_of(case), "x", pickles=["y"])


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in those(CASES, "python_type", "literal_type_b64")
        if name not in TYPE and CASES[name]["kind"] in PLAIN_KINDS and is_plain(CASES[name])
    ],
)
def test_annotations_have_the_official_types(name: str) -> None:
    case = CASES[name]

    assert raw(literal_type(annotation_of(case))) == base64.b64decode(case["literal_type_b64"])


@pytest.mark.parametrize("name", TYPE)
def test_annotations_whose_type_differs(name: str) -> None:
    case = CASES[name]

    made = literal_type(annotation_of(case))

    assert list(made.enum_type.values) == eval(TYPE[name].instead)
    assert raw(made) != base64.b64decode(case["literal_type_b64"]), "no deviation any more"


@pytest.mark.parametrize(
    "name",
    [name for name in those(CASES, "type_error") if CASES[name]["kind"] in ("list", "enum", "literal", "dict")],
)
def test_annotations_that_the_official_sdk_refuses_are_refused(name: str) -> None:
    case = CASES[name]

    with pytest.raises(LiteralError, match=r"^x: "):
        literal_type(annotation_of(case), "x")


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in those(CASES, "literal_b64", "python_type", "task_plain", without="task_error")
        if CASES[name]["kind"] in PLAIN_KINDS and is_plain(CASES[name])
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
    # Each of these is checked by a test of its own above.
    assert set(_BY) == {"write", "packed", "pickled", "order", "union", "refuse", "read", "type"}
