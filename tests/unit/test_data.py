"""Inputs and outputs as they are read."""

from __future__ import annotations

import pickle

import pytest

from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import interface_pb2, types_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2
from flyte_lite.remote import ActionInputs, ActionOutputs

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
