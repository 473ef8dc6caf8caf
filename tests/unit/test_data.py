"""Inputs and outputs as they are read."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import json
import pickle
from typing import Any

import pytest
from fakes import FakeChannel

from flyte_lite._clock import Deadline
from flyte_lite._literals import to_literal
from flyte_lite._literals.types import literal_type
from flyte_lite._session import Scope, Session
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import interface_pb2, types_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2
from flyte_lite.remote import ActionInputs, ActionOutputs
from flyte_lite.remote._data import HasData, Held

NEEDS_MSGPACK = pytest.mark.skipif(importlib.util.find_spec("msgpack") is None, reason="msgpack is not installed")

INT, STR = types_pb2.LiteralType(simple=1), types_pb2.LiteralType(simple=3)


def interface(**outputs: types_pb2.LiteralType) -> interface_pb2.TypedInterface:
    made = interface_pb2.TypedInterface()
    for name in sorted(outputs):
        made.outputs.variables.add(key=name).value.type.CopyFrom(outputs[name])
        made.inputs.variables.add(key=name).value.type.CopyFrom(outputs[name])
    return made


def add(literals: object, **values: int) -> None:
    for name, value in values.items():
        item = literals.add(name=name)  # type: ignore[attr-defined]
        item.value.scalar.primitive.integer = value


def outputs(**values: int) -> ActionOutputs:
    pb2 = common_pb2.Outputs()
    add(pb2.literals, **values)
    return ActionOutputs.read(pb2, interface(**dict.fromkeys(values, INT)), "run r1")


def test_outputs_by_position_attribute_and_name() -> None:
    read = outputs(o0=1, o1=2)

    assert read == (1, 2)
    first, second = read
    assert (first, second) == (read.o0, read["o1"]) == (read[0], read[-1])
    assert read[:1] == (1,)
    assert read.named_outputs == {"o0": 1, "o1": 2}
    assert repr(read) == "ActionOutputs(o0=1, o1=2)"


def test_more_than_ten_outputs_come_in_the_order_they_were_returned() -> None:
    assert outputs(**{f"o{nth}": nth for nth in range(12)}) == tuple(range(12))


def test_real_names_are_kept_and_positions_go_on_working() -> None:
    read = outputs(mean=1, total=2)

    assert read.named_outputs == {"mean": 1, "total": 2}
    assert read.total == read.o1 == read["o1"] == read["total"] == 2


@pytest.mark.parametrize(
    "ask",
    [
        lambda read: read[3],
        lambda read: read["x"],
        lambda read: read["o7"],
        lambda read: read.x,
        lambda read: read.o7,
    ],
)
def test_what_is_not_there_is_said_with_what_is(ask: object) -> None:
    with pytest.raises((IndexError, KeyError, AttributeError), match=r"run r1 has no output .*; it has o0, o1"):
        ask(outputs(o0=1, o1=2))  # type: ignore[operator]


def test_an_unreadable_value_does_not_hide_its_siblings() -> None:
    pb2 = common_pb2.Outputs()
    add(pb2.literals, o0=1, o2=3)
    pb2.literals.add(name="o1").value.scalar.binary.tag = "something new"
    read = ActionOutputs.read(pb2, interface(o0=INT, o1=INT, o2=INT), "run r1")

    assert read[0] == 1
    assert read[2] == 3
    with pytest.raises(LiteralError, match=r"^o1: "):
        read[1]
    assert "o1=<unreadable" in repr(read)
    with pytest.raises(LiteralError):
        list(read)


def test_inputs_are_a_dict() -> None:
    pb2 = common_pb2.Inputs()
    add(pb2.literals, x=1)
    read = ActionInputs(pb2, interface(x=INT))

    assert read == {"x": 1}
    assert read["x"] == 1
    assert read.to_dict()["literals"][0]["name"] == "x"


def test_an_input_that_the_interface_does_not_know_is_unreadable() -> None:
    pb2 = common_pb2.Inputs()
    add(pb2.literals, x=1, y=2)
    read = ActionInputs(pb2, interface(x=INT))

    assert read["x"] == 1
    with pytest.raises(LiteralError, match="y: the task's interface does not declare it"):
        read["y"]
    with pytest.raises(LiteralError, match="y: the task's interface does not declare it"):
        read.get("y")
    assert read.get("x") == 1
    assert read.get("z") is None
    assert read.get("z", 5) == 5


def test_both_pickle() -> None:
    read = outputs(o0=1)
    again = pickle.loads(pickle.dumps(read))

    assert type(again) is ActionOutputs
    assert again == read
    assert again.o0 == 1
    assert again.pb2 == read.pb2
    pb2 = common_pb2.Inputs()
    add(pb2.literals, x=1)
    assert pickle.loads(pickle.dumps(ActionInputs(pb2, interface(x=INT)))) == {"x": 1}


def test_to_dict_is_the_message() -> None:
    assert outputs(o0=1).to_dict() == {
        "literals": [{"name": "o0", "value": {"scalar": {"primitive": {"integer": "1"}}}}]
    }


def unreadable(literals: Any, name: str) -> None:
    literals.add(name=name).value.scalar.binary.tag = "something new"


def some_inputs() -> ActionInputs:
    pb2 = common_pb2.Inputs()
    add(pb2.literals, x=1, y=2)
    unreadable(pb2.literals, "z")
    return ActionInputs(pb2, interface(x=INT, y=INT, z=INT))


def test_inputs_do_all_that_a_dict_does() -> None:
    def passed(**given: Any) -> dict[str, Any]:
        return given

    pb2 = common_pb2.Inputs()
    add(pb2.literals, x=1, y=2)
    read = ActionInputs(pb2, interface(x=INT, y=INT))

    wanted = {"x": 1, "y": 2}
    assert dict(read) == passed(**read) == {**read} == read.copy() == copy.copy(read) == copy.deepcopy(read) == wanted
    assert type(read.copy()) is dict
    assert (list(read), list(reversed(read)), len(read), "x" in read, "q" in read) == (
        ["x", "y"],
        ["y", "x"],
        2,
        True,
        False,
    )
    assert list(read.values()) == [1, 2]
    assert list(read.items()) == [("x", 1), ("y", 2)]
    assert 2 in read.values()
    assert ("x", 1) in read.items()
    assert (len(read.values()), repr(read.values()), repr(read.items())) == (
        2,
        "values([1, 2])",
        "items([('x', 1), ('y', 2)])",
    )
    assert json.loads(json.dumps(read)) == wanted
    assert repr(read) == str(read) == "{'x': 1, 'y': 2}"
    assert "{x} and {y}".format_map(read) == "{x} and {y}".format(**read) == "1 and 2"
    assert read | {"q": 3} == {"x": 1, "y": 2, "q": 3} == {"q": 3} | read
    assert read == ActionInputs(pb2, interface(x=INT, y=INT))
    assert read != {"x": 1}
    assert (read != wanted) is False
    read["x"] = 10
    assert read.setdefault("x") == 10
    assert read.setdefault("new", 5) == 5
    assert read.pop("y") == 2
    assert read.pop("y", None) is None
    assert read.popitem() == ("new", 5)
    assert pickle.loads(pickle.dumps(read)) == {"x": 10}
    with pytest.raises(KeyError):
        read["y"]
    with pytest.raises(TypeError):
        hash(read)


def test_an_unreadable_input_does_not_hide_its_siblings() -> None:
    read = some_inputs()

    assert (read["x"], read.get("y")) == (1, 2)
    assert list(read.values())[:2] == [1, 2]
    assert "'z': <unreadable: z: " in repr(read)
    assert read.items() == read.items()
    again = pickle.loads(pickle.dumps(read))
    assert (type(again), again["x"], again.pb2) == (ActionInputs, 1, read.pb2)
    with pytest.raises(LiteralError, match=r"^z: "):
        again["z"]
    with pytest.raises(LiteralError, match=r"^z: "):
        dict(read)


def test_a_value_is_read_when_it_is_first_asked_for() -> None:
    read = some_inputs()
    held = [dict.__getitem__(read, name) for name in read]

    assert [value._read for value in held] == [False, False, False]
    assert read["y"] == 2
    assert [value._read for value in held] == [False, True, False]
    assert read["y"] is read["y"]


def test_outputs_do_all_that_a_tuple_does() -> None:
    read = outputs(o0=1, o1=2)

    assert (1 in read, 3 in read, read.index(2), read.count(1), len(read)) == (True, False, 1, 1, 2)
    assert read + (3,) == (1, 2, 3)  # noqa: RUF005  # the operator is what is tested
    assert (0,) + read == (0, 1, 2)  # noqa: RUF005
    assert read * 2 == 2 * read == (1, 2, 1, 2)
    assert read == outputs(o0=1, o1=2)
    assert read != outputs(o0=1)
    assert read < (1, 3)
    assert read <= (1, 2) <= read
    assert read > (1,)
    assert read >= outputs(o0=1)
    assert {read: "found"}[(1, 2)] == "found"
    assert [*read] == list(read) == sorted(read) == [1, 2]
    assert tuple(reversed(read)) == (2, 1)
    assert json.dumps(read) == "[1, 2]"
    assert "%s and %s" % read == "1 and 2"  # noqa: UP031
    assert "o1" in dir(read)
    assert copy.copy(read) == copy.deepcopy(read) == pickle.loads(pickle.dumps(read)) == (1, 2)


def test_an_unreadable_output_stays_so_when_it_travels() -> None:
    pb2 = common_pb2.Outputs()
    add(pb2.literals, o0=1)
    unreadable(pb2.literals, "o1")
    read = pickle.loads(pickle.dumps(ActionOutputs.read(pb2, interface(o0=INT, o1=INT), "run r1")))

    assert read.o0 == read.named_outputs["o0"] == 1
    assert "unreadable" in repr(read.named_outputs["o1"])
    with pytest.raises(LiteralError, match=r"^o1: "):
        read.o1  # noqa: B018


@dataclasses.dataclass
class Config:
    rate: float
    size: int = 3


class Stored(HasData):
    """Two configs and a pickle, in and out."""

    def __init__(self) -> None:
        self.interface = interface_pb2.TypedInterface()
        self.literals: list[common_pb2.NamedLiteral] = []
        for name, annotation, value in (
            ("best", Config, {"rate": 1}),
            ("broken", Config, {"rate": 2}),
            ("raw", Any, {1, 2}),
            ("mean", float, 1.5),
        ):
            declared = literal_type(annotation)
            for variables in (self.interface.inputs, self.interface.outputs):
                variables.variables.add(key=name).value.type.CopyFrom(declared)
            self.literals.append(common_pb2.NamedLiteral(name=name, value=to_literal(value, declared)))
        self.literals[1].value.scalar.binary.value = b"\x81\xa4rate\xa1x"
        self.interface.outputs.variables.add(key="absent").value.type.simple = types_pb2.INTEGER

    def _inputs_by(self, deadline: Deadline) -> Held:
        return Held(common_pb2.Inputs(literals=self.literals), self.interface, "run r1")

    def _outputs_by(self, deadline: Deadline) -> Held:
        return Held(common_pb2.Outputs(literals=self.literals), self.interface, "run r1")

    @property
    def _session(self) -> Any:
        return SESSION


SESSION = Session(FakeChannel(), Scope("", "p", "d"), "http://console")  # type: ignore[arg-type]


@NEEDS_MSGPACK
def test_typed_values_are_of_the_classes_that_were_named() -> None:
    stored = Stored()

    assert stored.typed_outputs({"best": Config, "mean": float, "absent": int}) == {"best": Config(1.0), "mean": 1.5}
    assert stored.typed_inputs({"best": Config}) == {"best": Config(1.0)}
    assert stored.typed_outputs({"o0": Config}) == {"o0": Config(1.0)}
    assert stored.typed_outputs({}) == {}
    assert stored.typed_outputs({"raw": set[int]}) == {"raw": {1, 2}}


@NEEDS_MSGPACK
def test_a_deserializer_gets_the_plain_dict() -> None:
    def from_old(plain: dict[str, Any]) -> str:
        return f"{type(plain).__name__} {plain}"

    got = Stored().typed_outputs({"best": Config, "mean": float}, deserializers={Config: from_old})

    assert got == {"best": "dict {'rate': 1.0, 'size': 3}", "mean": 1.5}


@NEEDS_MSGPACK
def test_all_that_does_not_fit_is_told_at_once() -> None:
    with pytest.raises(LiteralError) as caught:
        Stored().typed_outputs({"best": int, "mean": Config})

    assert (
        str(caught.value)
        == "best: expected int, got Record Config(rate=1.0, size=3); mean: expected Config, got float 1.5"
    )
    with pytest.raises(KeyError, match="run r1: outputs have no 'rate'; there is best, broken, raw, mean, absent"):
        Stored().typed_outputs({"rate": int})


@NEEDS_MSGPACK
def test_values_as_messages() -> None:
    stored = Stored()

    assert list(stored.input_literals()) == list(stored.output_literals()) == ["best", "broken", "raw", "mean"]
    assert stored.output_literals()["mean"].scalar.primitive.float_value == 1.5
