"""Values that travel as pickles: what is written, what is read without running anything, and what only if asked."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import os
import pickle
import pickletools
from typing import Any

import pytest

from flyte_lite._literals import from_literal, to_literal
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2


class Color(enum.Enum):
    RED = "red"


def pickled(name: str) -> types_pb2.LiteralType:
    made = types_pb2.LiteralType()
    for of in ({"blob": {"format": "PythonPickle"}}, {"simple": types_pb2.BINARY}):
        made.union_type.variants.add(structure={"tag": "FlytePickle"}, **of)
    made.metadata.update({"python_class_name": name})
    return made


ANY, BYTES = pickled("typing.Any"), pickled("<class 'bytes'>")


def literal_of(body: bytes) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar={"binary": {"value": body}})


NESTED: Any = [1, {"a": (None, True, 1.5, -(2**70), "é", b"\xff"), "b": {1, 2}}, frozenset({"x"}), (), [[]], 2**31, 300]


@pytest.mark.parametrize(
    "value",
    [b"", b"abc", 5, "x", 1.5, True, NESTED, list(range(3000)), {"k": "v" * 300}, bytearray(b"a"), b"z" * 70000],
)
def test_plain_data_is_written_and_read_without_being_loaded(value: Any) -> None:
    literal = to_literal(value, ANY)

    assert pickle.loads(literal.scalar.binary.value) == value
    read = from_literal(literal, ANY)
    assert (type(read), read) == (type(value), value)


def test_the_same_object_twice_is_read_twice() -> None:
    inner = [1]

    assert from_literal(to_literal([inner, inner], ANY), ANY) == [[1], [1]]


def test_none_is_a_value_of_any_and_of_nothing_else() -> None:
    assert from_literal(to_literal(None, ANY), ANY) is None
    with pytest.raises(LiteralError, match=r"^x: expected bytes, got None$"):
        to_literal(None, BYTES, "x")


@pytest.mark.parametrize(
    "value", [decimal.Decimal("1.50"), datetime.time(1), 1j, collections.deque([1]), datetime.timedelta(1), range(3)]
)
def test_other_values_of_python_are_loaded_only_where_they_are_named(value: Any) -> None:
    literal = to_literal(value, ANY)

    assert from_literal(literal, ANY, "x", pickles=["x"]) == value
    assert from_literal(literal, ANY, "x", pickles="x") == value
    for allowed in ((), ["y"], ["x.y"], "xy"):
        with pytest.raises(LiteralError, match=r"^x: expected Any, but it is a pickle of more than plain data"):
            from_literal(literal, ANY, "x", pickles=allowed)


@pytest.mark.parametrize("value", [Color.RED, {"a": [Color.RED]}, Color, pytest, lambda: 0, open])
def test_what_the_task_could_not_load_is_not_sent(value: Any) -> None:
    if value is open:
        value = [os.system]

    with pytest.raises(LiteralError, match=r"^x: expected Any, got .*(Python's own classes|can't be pickled)"):
        to_literal(value, ANY, "x")


def test_a_set_has_the_hash_of_its_elements_in_order() -> None:
    one, other = to_literal({3, 1, 2}, ANY), to_literal({2, 3, 1}, ANY)

    assert one.hash == other.hash != ""
    assert to_literal({1, "a"}, ANY).hash == ""
    assert to_literal([1], ANY).hash == ""


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


HOSTILE = [
    pickle.dumps(Bomb()),
    pickle.dumps(Bomb(), 0),
    pickle.dumps([b"x"], 2),
    b"",
    b".",
    b"(.",
    b"N",
    b"NN.",
    b"\x80\x05]\x94(h\x00h\x00",
    b"](Ke.",
    b"]Ks.",
    b"}(K\x01u.",
    b"(K\x01\x85.",
    b"\x85.",
    b"h\xff.",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
    b"}]K\x01s.",
    b"\x8f(]\x90.",
    b"cos\nsystem\n.",
    b")" + b"\x85" * 200_000 + b"}\x94h\x00",
    b"})" + b"\x85" * 200_000 + b"Ns.",
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:12]))
def test_a_hostile_pickle_runs_nothing_and_ends(body: bytes) -> None:
    with pytest.raises(LiteralError, match=r"^x: expected Any, but it is a pickle of more than plain data"):
        from_literal(literal_of(body), ANY, "x")


def test_a_pickle_that_was_allowed_and_cannot_be_loaded_is_an_error() -> None:
    with pytest.raises(LiteralError, match=r"^x: expected Any, but its pickle can't be loaded here"):
        from_literal(literal_of(b"cno_such_module\nx\n."), ANY, "x", pickles=["x"])


def test_the_reader_knows_no_opcode_that_finds_or_calls_anything() -> None:
    from flyte_lite._literals import pickles

    known = {opcode.code.encode("latin-1"): opcode.name for opcode in pickletools.opcodes}
    names = {known[code] for code in pickles._STEPS}

    assert not names & {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"}
    assert not any(name.startswith(("EXT", "PERSID", "BINPERSID", "NEXT_BUFFER")) for name in names)


def test_a_stored_pickle_is_not_fetched() -> None:
    stored = literals_pb2.Literal(scalar={"blob": {"uri": "s3://b/pickle"}})

    with pytest.raises(LiteralError, match=r"^x: expected bytes, but its pickle is stored at s3://b/pickle"):
        from_literal(stored, BYTES, "x", pickles=["x"])
