"""The interface of a deployed task in Python's terms, and as JSON schema."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
from typing import Any, Literal, NamedTuple, Optional, Union

import pytest

from flyte_lite import io
from flyte_lite._literals.interfaces import annotation_of, json_schema_of
from flyte_lite._literals.records import Record
from flyte_lite._literals.signatures import function_interface
from flyte_lite._literals.types import literal_type
from flyte_lite.idl.flyteidl2.core import types_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2
from flyte_lite.models import NativeInterface
from flyte_lite.remote import TaskDetails


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Pair(NamedTuple):
    left: int
    right: str


@dataclasses.dataclass
class Config:
    rate: float
    size: int = 3


def train(config: Config, color: Color = Color.RED, data: Optional[io.File[str]] = None) -> tuple[float, Pair]:
    raise NotImplementedError


def task(function: Any) -> TaskDetails:
    made = function_interface(function)
    pb2 = task_definition_pb2.TaskDetails()
    pb2.spec.task_template.interface.CopyFrom(made.interface)
    for name, default in made.defaults.items():
        pb2.spec.default_inputs.add(name=name).parameter.default.CopyFrom(default)
    return TaskDetails(pb2)


def test_the_interface_of_a_task() -> None:
    interface = task(train).interface

    assert repr(interface) == (
        "(color: Literal['RED', 'GREEN'] = ..., config: Config, data: File | None = ...) -> (o0: float, o1: Pair)"
    )
    assert interface.get_input_types() == {
        "color": Literal["RED", "GREEN"],
        "config": Record,
        "data": Optional[io.File],
    }
    assert interface.inputs["color"][1] is NativeInterface.has_default
    assert interface.inputs["config"][1] is inspect.Parameter.empty
    assert interface.outputs == {"o0": float, "o1": Record}
    assert interface.has_outputs()
    assert (interface.required_inputs(), interface.num_required_inputs()) == (["config"], 1)
    assert interface == task(train).interface
    assert interface != "an interface"


def test_a_task_without_inputs_and_outputs() -> None:
    def nothing() -> None: ...

    interface = task(nothing).interface

    assert (repr(interface), interface.has_outputs(), interface.required_inputs()) == ("()", False, [])
    assert interface.json_schema == {"type": "object", "properties": {}, "required": []}


def test_the_json_schema_of_a_task() -> None:
    assert task(train).json_schema == {
        "type": "object",
        "properties": {
            "color": {"type": "string", "enum": ["RED", "GREEN"]},
            "config": {
                "type": "object",
                "dataclass": "Config",
                "properties": {"rate": {"type": "number"}, "size": {"type": "integer", "default": 3}},
                "required": ["rate"],
            },
            "data": {
                "type": "object",
                "format": "blob",
                "properties": {
                    "uri": {"type": "string", "default": ""},
                    "format": {"type": "string", "default": ""},
                    "dimensionality": {"type": "string", "enum": ["SINGLE", "MULTIPART"], "default": "SINGLE"},
                },
            },
        },
        "required": ["config"],
    }


@pytest.mark.parametrize(
    ("annotation", "read_as"),
    [
        (list[dict[str, int]], list[dict[str, int]]),
        (Union[int, str, None], Union[int, str, None]),
        (datetime.date, datetime.datetime),
        (Optional[datetime.date], Optional[datetime.date]),
        (datetime.timedelta, datetime.timedelta),
        (tuple[int, str], tuple),
        (dict[int, str], dict),
        (bytes, bytes),
        (set, set),
        (list, list),
        (Any, Any),
        (datetime.time, Any),
        (io.Dir, io.Dir),
        (list[io.DataFrame], list[io.DataFrame]),
    ],
    ids=str,
)
def test_what_values_are_read_as(annotation: Any, read_as: Any) -> None:
    assert annotation_of(literal_type(annotation)) == read_as


def test_types_that_say_nothing() -> None:
    for declared in (types_pb2.LiteralType(), types_pb2.LiteralType(union_type=types_pb2.UnionType())):
        assert annotation_of(declared) is Any
    assert annotation_of(types_pb2.LiteralType(enum_type=types_pb2.EnumType())) is str
    assert json_schema_of(types_pb2.LiteralType()) == {"type": "string"}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (float, {"type": "number", "format": "float"}),
        (datetime.datetime, {"type": "string", "format": "datetime"}),
        (list[bool], {"type": "array", "items": {"type": "boolean"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (dict, {"type": "object"}),
        (Optional[int], {"type": "integer"}),
        (
            Union[int, str],
            {
                "oneOf": [
                    {"type": "integer", "title": "int", "structure": "int"},
                    {"type": "string", "title": "str", "structure": "str"},
                ],
                "format": "union",
            },
        ),
        (
            io.DataFrame,
            {
                "type": "object",
                "format": "structured-dataset",
                "properties": {"uri": {"type": "string"}, "format": {"type": "string"}},
            },
        ),
    ],
    ids=str,
)
def test_the_json_schema_of_a_type(annotation: Any, schema: Any) -> None:
    assert json_schema_of(literal_type(annotation)) == schema


def test_a_type_that_never_ends_is_cut() -> None:
    declared = types_pb2.LiteralType(simple=types_pb2.INTEGER)
    for _ in range(40):
        declared = types_pb2.LiteralType(collection_type=declared)

    assert "integer" not in str(json_schema_of(declared))
    assert "Any" in str(annotation_of(declared))
