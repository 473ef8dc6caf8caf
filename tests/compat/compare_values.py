"""Generated values through the official SDK's type engine and through ours: `compare_values.py FAMILY EXAMPLES [SEED]`.

A program, because the official SDK keeps threads of its own and reports home unless told not to. Hypothesis finds the
smallest annotation and value for which the two differ, and says so on the standard error.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
import enum
import json
import os
import sys
import traceback
import typing
from typing import Any, Callable, NamedTuple

import hypothesis
import msgpack
import pydantic
import shapes
from flyte._interface import literal_to_enum
from flyte.types import TypeEngine
from flyteidl2.core import literals_pb2
from hypothesis import strategies as st

import flyte_lite.io
from flyte_lite._literals import from_literal, hydrate, to_literal
from flyte_lite._literals.types import literal_type
from flyte_lite.errors import LiteralError

UTC = datetime.timezone.utc
_loop = asyncio.new_event_loop()
told: collections.Counter[str] = collections.Counter()


class Refused(NamedTuple):
    """What one of the two would not do."""

    why: str


def attempted(convert: Callable[..., Any], *args: Any) -> Any:
    """What ours gives, or what it refuses in the documented way."""
    try:
        return convert(*args)
    except LiteralError as error:
        return Refused(str(error))


class Official:
    """The official type engine for one annotation."""

    def __init__(self, annotation: Any) -> None:
        # As the SDK reads the signature of a task.
        self._type = literal_to_enum(annotation) if typing.get_origin(annotation) is typing.Literal else annotation

    def type(self) -> Any:
        """Its LiteralType."""
        try:
            return TypeEngine.to_literal_type(self._type)
        except Exception as error:  # noqa: BLE001 - whatever it says no with
            return Refused(repr(error))

    def write(self, value: Any, declared: Any) -> Any:
        """A value as a literal."""
        try:
            return _loop.run_until_complete(TypeEngine.to_literal(value, self._type, declared))
        except Exception as error:  # noqa: BLE001 - whatever it says no with
            return Refused(repr(error))

    def read(self, literal: Any) -> Any:
        """What the task is given for it."""
        try:
            # Ours are of a pool of their own.
            theirs = literals_pb2.Literal.FromString(literal.SerializeToString())
            return _loop.run_until_complete(TypeEngine.to_python_value(theirs, self._type))
        except Exception as error:  # noqa: BLE001 - whatever it says no with
            return Refused(repr(error))


def raw(message: Any) -> bytes:
    made: bytes = message.SerializeToString(deterministic=True)
    return made


def same(one: Any, other: Any, loosely: bool = False) -> bool:
    """Equal also in type, and NaN is NaN. Loosely, a naive datetime is one of UTC, and tables need no hash."""
    kinds = [_kind(each) for each in (one, other)]
    if kinds[0] != kinds[1]:
        return False
    if isinstance(one, enum.Enum):
        return bool(one.name == other.name and one.value == other.value)
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, datetime.datetime):
        if loosely:
            one, other = (each if each.tzinfo else each.replace(tzinfo=UTC) for each in (one, other))
        return (one.tzinfo is None) == (other.tzinfo is None) and bool(one == other)
    if kinds[0] in ("File", "Dir"):
        return all(getattr(one, name) == getattr(other, name) for name in ("path", "name", "format", "hash"))
    if kinds[0] == "DataFrame":
        # Inside a tuple the official SDK loses the hash.
        names = ("uri", "format") if loosely else ("uri", "format", "hash")
        return all((getattr(one, name) or "") == (getattr(other, name) or "") for name in names)
    if isinstance(one, dict):
        keys = {_key(key): key for key in one}, {_key(key): key for key in other}
        return keys[0].keys() == keys[1].keys() and all(
            same(one[keys[0][key]], other[keys[1][key]], loosely) for key in keys[0]
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(*pair, loosely) for pair in zip(one, other))
    fields = fields_of(one)
    if fields is not None:
        return same(fields, fields_of(other), loosely)
    return bool(one == other)


def _key(key: Any) -> tuple[str, str]:
    return type(key).__name__, repr(key)


def _kind(value: Any) -> Any:
    name = type(value).__name__.partition("[")[0]
    if name in ("File", "Dir", "DataFrame"):
        return name
    if isinstance(value, dict):
        return dict
    return type(value)


def fields_of(value: Any) -> typing.Optional[dict[str, Any]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, pydantic.BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return None


def as_dicts(value: Any) -> Any:
    """The value with dicts in place of dataclasses and models."""
    if _kind(value) in ("File", "Dir", "DataFrame"):
        return value
    fields = fields_of(value)
    if fields is not None:
        return {name: as_dicts(item) for name, item in fields.items()}
    if type(value) is list:
        return [as_dicts(item) for item in value]
    if type(value) is dict:
        return {key: as_dicts(item) for key, item in value.items()}
    return value


def with_our_references(value: Any) -> Any:
    """The value with our classes in place of the official SDK's, as far as no class of the user's holds them."""
    kind = _kind(value)
    if kind == "DataFrame":
        return flyte_lite.io.DataFrame(value.uri, format=value.format, hash=value.hash)
    if kind in ("File", "Dir"):
        made = getattr(flyte_lite.io, kind)
        return made(value.path, name=value.name, format=value.format, hash=value.hash)
    if type(value) is list:
        return [with_our_references(item) for item in value]
    if type(value) is dict:
        return {key: with_our_references(item) for key, item in value.items()}
    return value


def parted(literal: Any) -> tuple[Any, list[Any]]:
    """The literal without what is packed in it, and that: the official SDK packs the same fields in any order."""
    bare, packed = type(literal)(), []
    bare.CopyFrom(literal)
    _take(bare, packed)
    return raw(bare), packed


def _take(literal: Any, packed: list[Any]) -> None:
    which = literal.WhichOneof("value")
    if which == "collection":
        for item in literal.collection.literals:
            _take(item, packed)
    elif which == "map":
        for key in sorted(literal.map.literals):
            _take(literal.map.literals[key], packed)
    elif which == "scalar" and literal.scalar.WhichOneof("value") == "union":
        _take(literal.scalar.union.value, packed)
    elif which == "scalar" and literal.scalar.binary.tag == "msgpack":
        packed.append(msgpack.unpackb(literal.scalar.binary.value, strict_map_key=False))
        literal.scalar.binary.value = b""


def alike(ours: Any, theirs: Any) -> bool:
    """The same bytes; of what is packed the same content."""
    if raw(ours) == raw(theirs):
        return True
    (mine, packed), (its, its_packed) = parted(ours), parted(theirs)
    return mine == its and same(packed, its_packed)


def judge(shape: shapes.Shape, values: list[Any]) -> None:
    """Both ways, for values of one annotation.

    Raises:
        AssertionError: The two differ where they must not.
    """
    official = Official(shape.annotation)
    declared = official.type()
    about = f"of {shape.text}"
    if isinstance(declared, Refused):
        told["types refused"] += 1
        refused = attempted(literal_type, shape.annotation)
        assert isinstance(refused, Refused), f"{about}: the official SDK has no type for it: {declared.why}"
        return
    told["types"] += 1
    ours = attempted(literal_type, shape.annotation)
    assert not isinstance(ours, Refused), f"{about}: we have no type for it: {ours}\n--- official\n{declared}"
    assert raw(ours) == raw(declared), f"{about}: types differ\n--- ours\n{ours}\n--- official\n{declared}"
    for value in values:
        theirs = official.write(value, declared)
        _judge(official, declared, shape.annotation, value, value, theirs, about)
        ours_in_it = with_our_references(value)
        if _is_ours(ours_in_it):
            _judge(official, declared, shape.annotation, ours_in_it, value, theirs, about)
        as_dict = as_dicts(value)
        # In a union a dict may be meant as another member.
        if " | " not in shape.text and not same(as_dict, value):
            theirs = official.write(as_dict, declared)
            _judge(official, declared, shape.annotation, as_dict, value, theirs, about)


def _is_ours(value: Any) -> bool:
    if isinstance(value, (list, dict)):
        return any(map(_is_ours, value.values() if isinstance(value, dict) else value))
    return isinstance(value, (flyte_lite.io.File, flyte_lite.io.Dir, flyte_lite.io.DataFrame))


def _judge(official: Official, declared: Any, annotation: Any, given: Any, meant: Any, theirs: Any, about: str) -> None:
    about = f"{about}\nvalue {given!r}"
    expected = theirs if isinstance(theirs, Refused) else official.read(theirs)
    ours = attempted(to_literal, given, declared, "x")
    if isinstance(ours, Refused):
        assert isinstance(expected, Refused), f"{about}\nonly we refuse it: {ours.why}\n--- official\n{theirs}"
        told["refused by both"] += 1
        return
    received = official.read(ours)
    if isinstance(expected, Refused):
        # The official SDK does not write it, or can't read what it has written.
        if isinstance(received, Refused) and "Ambiguous choice" in received.why:
            # Nor does it read anything else for classes with the same fields.
            told["ambiguous to the official SDK"] += 1
            return
        told["taken by us alone"] += 1
        assert not isinstance(received, Refused), (
            f"{about}\nrefused by the official SDK ({expected.why}) and unreadable from us: {received.why}\n{ours}"
        )
        assert same(received, meant, True), f"{about}\nthe task gets {received!r}\n{ours}"
        return
    told["taken by both"] += 1
    assert not isinstance(received, Refused), f"{about}\nfrom us it is unreadable: {received}\n{ours}"
    assert same(received, expected), f"{about}\nthe task gets {received!r}, not {expected!r}\n{ours}\n{theirs}"
    # Of a dict in a dict only the class knows whether members go by name; either way the task gets the same.
    if given is meant or _is_ours(given):
        assert alike(ours, theirs), f"{about}\nbytes differ\n--- ours\n{_shown(ours)}\n--- official\n{_shown(theirs)}"
    if given is meant:
        assert same(expected, meant, True), f"{about}\nthe official SDK itself makes {expected!r} of it"
    read = attempted(lambda: hydrate(from_literal(theirs, declared, "x", pickles=("x",)), annotation, "x"))
    assert same(read, expected), f"{about}\nwe read {read!r} and not {expected!r}\n{theirs}"


def _shown(literal: Any) -> str:
    return f"{literal}{parted(literal)[1]}"


def run(family: str, examples: int, seed: typing.Optional[int]) -> None:
    """As many annotations of that family, with a few values each."""
    drawn = shapes.families()[family]

    @hypothesis.settings(
        max_examples=examples,
        derandomize=seed is None,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(st.data())
    def both_ways(data: st.DataObject) -> None:
        shape = data.draw(drawn)
        judge(shape, data.draw(st.lists(shape.values, min_size=1, max_size=5)))

    (both_ways if seed is None else hypothesis.seed(seed)(both_ways))()


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)
    status = 0
    try:
        run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
    except BaseException:  # noqa: BLE001 - told, and the process ends
        traceback.print_exc(limit=-1)
        status = 1
    print(json.dumps(told), flush=True)
    sys.stderr.flush()
    # Its threads abort the interpreter now and then on its way out, so this does not take that way.
    os._exit(status)
