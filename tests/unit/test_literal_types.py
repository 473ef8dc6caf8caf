"""Types of annotations, interfaces of functions, and how types are written for people."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import functools
import re
import sys
import typing
from typing import Any, Callable, Literal, NamedTuple, Optional, Union

import pytest

from flyte_lite._literals import describe
from flyte_lite._literals.signatures import function_interface
from flyte_lite._literals.types import literal_type
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import types_pb2


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Numbers(enum.Enum):
    ONE = 1


class Point(NamedTuple):
    x: int


Loose = collections.namedtuple("Loose", ["x"])  # as people still write it


@dataclasses.dataclass
class Unknown:
    x: Missing  # type: ignore[name-defined]  # noqa: F821


@dataclasses.dataclass
class Holder:
    ranges: range


@dataclasses.dataclass
class WithObject:
    what: Any = object()  # noqa: RUF009


def text_of(part: Any) -> str:
    """An id: the text says best what a row is about."""
    return part[:70] if isinstance(part, str) else ""


@pytest.mark.parametrize(
    ("annotation", "text"),
    ids=text_of,
    argvalues=[
        (int, "int"),
        (float, "float"),
        (str, "str"),
        (bool, "bool"),
        (datetime.datetime, "datetime"),
        (datetime.date, "datetime"),
        (datetime.timedelta, "timedelta"),
        (None, "None"),
        (list[int], "list[int]"),
        (dict[str, list[float]], "dict[str, list[float]]"),
        (Optional[int], "int | None"),
        (Union[int, str, None], "int | str | None"),
        (list[Optional[int]], "list[int | None]"),
        (Optional[datetime.date], "date | None"),
        (Union[datetime.date, datetime.datetime], "date | datetime"),
        (Literal["a", "b"], "Literal['a', 'b']"),
        (Color, "Literal['RED', 'GREEN']"),
        (Optional[Color], "Literal['RED', 'GREEN'] | None"),
    ],
)
def test_a_type_is_described_as_it_would_be_written(annotation: Any, text: str) -> None:
    assert describe(literal_type(annotation)) == text


@pytest.mark.parametrize(
    ("declared", "text"),
    ids=text_of,
    argvalues=[
        ({"simple": "STRUCT"}, "dict"),
        ({"simple": "STRUCT", "title": "Config"}, "Config"),
        ({"simple": "STRUCT", "title": "TupleWrapper_tuple"}, "tuple"),
        ({"simple": "STRUCT", "title": "NamedTupleWrapper_Pair"}, "Pair"),
        ({"simple": "STRUCT", "title": "TypedDictWrapper_Movie"}, "Movie"),
        (
            {"simple": "STRUCT", "pb_type": "google.protobuf.Struct"},
            "Struct",
        ),
        ({"blob": {}}, "File"),
        ({"blob": {"dimensionality": "MULTIPART"}}, "Dir"),
        ({"blob": {"format": "PythonPickle"}}, "Any"),
        ({"structured_dataset_type": {}}, "DataFrame"),
        ({"schema": {}}, "DataFrame"),
        ({"simple": "ERROR"}, "Error"),
        ({"union_type": {}}, "Union[()]"),
        ({"enum_type": {}}, "Literal[]"),
    ],
)
def test_types_that_have_no_values_yet_are_described(declared: Any, text: str) -> None:
    declared = dict(declared)
    metadata = {name: declared.pop(name) for name in ("title", "pb_type") if name in declared}
    made = types_pb2.LiteralType(**declared)
    for name, value in metadata.items():
        made.metadata.fields[name].string_value = value

    assert describe(made) == text


@pytest.mark.parametrize(
    ("python", "text"),
    [("<class 'bytes'>", "bytes"), ("typing.Any", "Any"), ("set[int]", "set[int]"), ("<class 'a.b.C'>", "a.b.C")],
)
def test_a_pickled_type_is_described_by_its_class(python: str, text: str) -> None:
    pickled = types_pb2.LiteralType(
        union_type={
            "variants": [
                {"blob": {"format": "PythonPickle"}, "structure": {"tag": "FlytePickle"}},
                {"simple": "BINARY", "structure": {"tag": "FlytePickle"}},
            ]
        },
    )

    pickled.metadata.fields["python_class_name"].string_value = python

    assert describe(types_pb2.LiteralType(collection_type=pickled)) == f"list[{text}]"


@pytest.mark.parametrize(
    ("annotation", "text"),
    ids=text_of,
    argvalues=[
        (typing.List, "a List of nothing in particular can't be passed; say of what, such as list[int]"),  # noqa: UP006
        (
            collections.OrderedDict[str, int],
            "values of collections.OrderedDict[str, int] can't be passed; declare a dict with the same types",
        ),
        (tuple[range, int], ".item_0: values of range can't stand in a tuple or typed dict"),
        (Loose, "the field x of Loose has no annotation"),
        (Unknown, "the annotations of Unknown can't be resolved: name 'Missing' is not defined"),
        (Holder, ".ranges: values of range can't stand in a dataclass"),
        (WithObject, ".what: <object at 0x can't stand in a schema as a default"),
        (
            type("DataFrame", (), {"__module__": "pandas.core.frame"}),
            "a DataFrame can't be passed; store it and pass a flyte_lite.io.DataFrame",
        ),
        (list[None], "a list of None can't be passed; Flyte has no such type"),
        (Numbers, "the enum Numbers has values that are no str; Flyte takes such only of an IntEnum"),
        (enum.Flag("Rights", ["READ", "WRITE"]), "Rights is a Flag, whose combinations have no name; pass an int"),
        (enum.Enum("Void", []), "the enum Void has no members"),
        ("int", "int is no type"),
        (5, "5 is no type"),
    ],
)
def test_an_annotation_that_cannot_be_passed_is_named(annotation: Any, text: str) -> None:
    with pytest.raises(LiteralError) as caught:
        literal_type(annotation, "x")

    told = re.sub(r"object <object object at 0x.*>", "<object at 0x", str(caught.value))
    assert told == (f"x{text}" if text.startswith(".") else f"x: {text}")


def test_an_annotation_nested_too_deep_is_an_error() -> None:
    annotation: Any = int
    for _ in range(31):
        annotation = list[annotation]

    with pytest.raises(LiteralError, match="x: an annotation nested more than 30 levels deep"):
        literal_type(annotation, "x")


@pytest.mark.skipif(sys.version_info < (3, 10), reason="X | Y is of Python 3.10")
def test_both_ways_to_write_a_union_are_one_type() -> None:
    assert literal_type(eval("int | list[str] | None")) == literal_type(Union[int, list[str], None])


def test_what_annotated_adds_is_left_out() -> None:
    annotated = typing.Annotated[Optional[typing.Annotated[int, "inner"]], "outer"]

    assert literal_type(annotated) == literal_type(Optional[int])


def described(function: Callable[..., Any]) -> tuple[dict[str, str], dict[str, str]]:
    interface = function_interface(function).interface
    return (
        {entry.key: describe(entry.value.type) for entry in interface.inputs.variables},
        {entry.key: describe(entry.value.type) for entry in interface.outputs.variables},
    )


def test_inputs_are_sorted_and_defaults_are_in_order() -> None:
    def task(z: int, b: Optional[Color] = None, *, a: float = 2) -> str: ...  # type: ignore[empty-body]

    made = function_interface(task)

    assert described(task) == ({"a": "float", "b": "Literal['RED', 'GREEN'] | None", "z": "int"}, {"o0": "str"})
    assert list(made.interface.inputs.variables[0].value.type.structure.tag) == []
    assert list(made.defaults) == ["b", "a"]
    assert made.defaults["a"].scalar.primitive.float_value == 2.0
    assert made.inputs == {"z": int, "b": Optional[Color], "a": float}
    assert made.outputs == {"o0": str}


@pytest.mark.parametrize(
    ("annotation", "outputs"),
    [
        (None, {}),
        (int, {"o0": "int"}),
        (list[int], {"o0": "list[int]"}),
        (tuple[int, str], {"o0": "int", "o1": "str"}),
        (tuple[int], {"o0": "int"}),
        (tuple[list[int], Optional[str]], {"o0": "list[int]", "o1": "str | None"}),
        (Optional[int], {"o0": "int | None"}),
    ],
)
def test_outputs_are_numbered(annotation: Any, outputs: dict[str, str]) -> None:
    def task() -> None: ...

    task.__annotations__["return"] = annotation

    assert described(task) == ({}, outputs)


def test_without_a_return_annotation_there_are_no_outputs() -> None:
    def task(): ...  # type: ignore[no-untyped-def]

    assert described(task) == ({}, {})


def test_eleven_outputs_are_sorted_as_the_official_sdk_sorts_them() -> None:
    def task() -> None: ...

    task.__annotations__["return"] = tuple[(int,) * 11]

    made = function_interface(task)

    assert [entry.key for entry in made.interface.outputs.variables][:3] == ["o0", "o1", "o10"]
    assert list(made.outputs)[-2:] == ["o9", "o10"]


def test_annotations_as_text_are_resolved_where_the_function_was_written() -> None:
    """This module has `from __future__ import annotations`, so all of them are text."""

    class Local(enum.Enum):
        A = "a"

    def task(mode: Local, color: Color = Color.RED) -> Local:
        return Local(mode)

    assert described(task) == ({"color": "Literal['RED', 'GREEN']", "mode": "Literal['A']"}, {"o0": "Literal['A']"})


def test_a_decorated_function_has_the_interface_of_what_it_wraps() -> None:
    def task(x: int) -> str: ...  # type: ignore[empty-body]

    @functools.wraps(task)
    def wrapper(*args: Any, **kwargs: Any) -> Any: ...

    assert described(wrapper) == ({"x": "int"}, {"o0": "str"})


def test_all_that_is_wrong_with_a_signature_is_told_at_once() -> None:
    def task(a, b: tuple[range], c: int = "x", *rest: int, d: Missing = 1, e: int = None) -> tuple[int, ...]: ...  # type: ignore # noqa: F821, RUF013

    with pytest.raises(LiteralError) as caught:
        function_interface(task)

    assert str(caught.value).split("; ") == [
        "a: has no annotation, so its type is not known",
        "b.item_0: values of range can't stand in a tuple or typed dict",
        "default of c: expected int, got str 'x'",
        "rest: variadic positional parameters can't be inputs of a task",
        "d: the annotation Missing can't be resolved: name 'Missing' is not defined",
        "default of e: expected int, got None",
        "return: values of tuple[int, ...] can't be passed, as each output needs a type",
    ]
