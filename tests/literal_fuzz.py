"""Literals, types and values that are nearly right, and what must not come of them.

The official SDK's own are the start. Bytes of a message are changed, parts of messages are put into one another,
cleared or repeated, and values are converted by types that they are not of. Whatever it is, it is converted or it is a
`LiteralError`; and it takes about as much work as there are bytes.
"""

from __future__ import annotations

import base64
import datetime
import enum
import json
import random
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, Callable, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from flyte_lite._literals import describe, from_literal, to_literal
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2
from flyte_lite.io import Dir, File

_DATA = Path(__file__).parent / "wire" / "data" / "literals.json"
# Calls of Python functions that one case may take: some thousands for what a schema says, and a share of its bytes.
_WORK, _WORK_PER_BYTE = 200_000, 200
# Frames on top of the caller's; Python itself allows a thousand.
MAX_FRAMES = 600
# What schemas are made of.
_WORDS = [
    *("type", "anyOf", "$ref", "#/$defs/A", "object", "array", "integer", "title", "Tuple", "TupleWrapper_x", "date"),
    *("a", "x", "item_0", "RED"),
]


class _Color(enum.Enum):
    RED = "red"


class Corpus(NamedTuple):
    """What the fuzzing starts from.

    Attributes:
        types: Types of the official SDK.
        literals: Its literals, each with its type.
    """

    types: list[Any]
    literals: list[tuple[Any, Any]]


def corpus() -> Corpus:
    """All types and literals of the data."""
    data = json.loads(_DATA.read_text(encoding="utf-8"))
    types, literals = [], []
    for case in [*data["cases"], *data["encode_by_interface"]]:
        if not case.get("literal_type_b64"):
            continue
        literal_type = types_pb2.LiteralType.FromString(base64.b64decode(case["literal_type_b64"]))
        types.append(literal_type)
        if case.get("literal_b64"):
            literal = literals_pb2.Literal.FromString(base64.b64decode(case["literal_b64"]))
            literals.append((literal, literal_type))
    return Corpus(types, literals)


class Fuzzer:
    """Draws cases; the same seed draws the same.

    Attributes:
        outcomes: How often a value was converted, and how often it was an error.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._corpus = corpus()
        self.outcomes: Counter[str] = Counter()

    def run(self, count: int) -> None:
        """Judge so many cases.

        Raises:
            AssertionError: One of them did harm; the text has all that is needed to do it again.
        """
        for number in range(count):
            literal, literal_type = self._random.choice(self._corpus.literals)
            draw = self._random.random()
            if draw < 0.35:
                literal = self._mutated(literal)
            elif draw < 0.7:
                literal_type = self._mutated(literal_type)
            elif draw < 0.8:
                literal_type = self._random.choice(self._corpus.types)
            elif draw < 0.9:
                literal, literal_type = self._mutated(literal), self._mutated(literal_type)
            else:
                literal, literal_type = self._nested(literal, literal_type)
            self._judge(number, "reading", literal_type, literal, literal.ByteSize(), from_literal)
            value = self._value(literal_type, literal)
            self._judge(number, "writing", literal_type, value, _size(value), to_literal)

    def _judge(
        self, number: int, what: str, literal_type: Any, given: Any, size: int, convert: Callable[..., Any]
    ) -> None:
        told, cause = "", None
        with _Work(_WORK + _WORK_PER_BYTE * (size + literal_type.ByteSize())) as work:
            try:
                describe(literal_type)
                convert(given, literal_type, "x")
            except LiteralError:
                self.outcomes[f"{what}: refused"] += 1
            except BaseException as error:  # noqa: BLE001 - this is what is looked for
                told = f"{type(error).__name__}: {error}"
                cause = error
            else:
                self.outcomes[f"{what}: done"] += 1
        if work.deepest > MAX_FRAMES:
            told = told or f"{work.deepest} frames deep"
        if told:
            raise AssertionError(f"case {number}, {what}: {told}\n{_shown(literal_type)}\n{_shown(given)}") from cause

    def _mutated(self, message: Any) -> Any:
        """The message with something changed in it."""
        for _ in range(20):
            made = type(message)()
            made.CopyFrom(message)
            for _ in range(self._random.choice([1, 1, 1, 2, 5])):
                made = self._change(made)
            if _raw(made) != _raw(message):
                return made
        return made

    def _change(self, message: Any) -> Any:
        if self._random.random() < 0.4:
            return self._flipped(message)
        parts = list(_parts(message))
        part = self._random.choice(parts)
        draw = self._random.random()
        if draw < 0.3:
            like = [other for other in parts if other.DESCRIPTOR is part.DESCRIPTOR]
            part.CopyFrom(_copy(self._random.choice([*like, self._donor(part)])))
        elif draw < 0.4:
            part.Clear()
        else:
            self._field(part)
        return message

    def _donor(self, part: Any) -> Any:
        whole = self._random.choice(self._corpus.literals)[0 if self._random.random() < 0.5 else 1]
        like = [other for other in _parts(whole) if other.DESCRIPTOR is part.DESCRIPTOR]
        return self._random.choice(like) if like else type(part)()

    def _field(self, part: Any) -> None:
        """Give some field of the message, which may be another one of its oneof, another value."""
        fields = list(part.DESCRIPTOR.fields)
        if not fields:
            return
        field = self._random.choice(fields)
        made = getattr(part, field.name)
        if field.message_type is not None:
            if hasattr(made, "SetInParent"):
                made.SetInParent()
            elif hasattr(made, "add"):
                made.add()
            elif field.message_type.fields_by_name["value"].message_type is not None:
                made[self._text()].SetInParent()
            else:
                made[self._text()] = self._text()
        elif hasattr(made, "append"):
            made.append(self._scalar(field))
        else:
            setattr(part, field.name, self._scalar(field))

    def _scalar(self, field: Any) -> Any:
        kind = field.cpp_type
        if kind == FieldDescriptor.CPPTYPE_STRING:
            return self._random.randbytes(5) if field.type == FieldDescriptor.TYPE_BYTES else self._text()
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self._random.random() < 0.5
        if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return self._random.choice([0.0, -1.5, float("nan"), float("inf"), 1e308])
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return self._random.choice([value.number for value in field.enum_type.values] + [77])
        bits = 31 if kind in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32) else 63
        return self._random.choice([0, 1, 2, 999_999_999, 2**bits - 1])

    def _text(self) -> str:
        return self._random.choice([*_WORDS, "", "é", "\0", "x" * 300, "FlytePickle", "Typed Union", "int"])

    def _flipped(self, message: Any) -> Any:
        """Bytes changed until it is a message again."""
        raw = _raw(message)
        for _ in range(10):
            changed = bytearray(raw or b"\0\0")
            for _ in range(self._random.choice([1, 2, 4])):
                at = self._random.randrange(len(changed))
                draw = self._random.random()
                if draw < 0.6:
                    changed[at] = self._random.randrange(256)
                elif draw < 0.8:
                    del changed[at : at + self._random.randrange(1, 4)]
                else:
                    changed[at:at] = changed[at : at + self._random.randrange(1, 30)]
                changed = changed or bytearray(b"\0")
            try:
                made = type(message).FromString(bytes(changed))
            except (DecodeError, UnicodeDecodeError):
                # The second is how protobuf in Python says it.
                continue
            return made
        return message

    def _nested(self, literal: Any, literal_type: Any) -> tuple[Any, Any]:
        """Both put into lists, dicts and unions, up to too deep for us, but not for protobuf, which has 100 levels."""
        deepest = self._random.choice([4, 10, 60, 62, 64, 80])
        while _depth(literal) < deepest and _depth(literal_type) < deepest:
            outer, outer_type = literals_pb2.Literal(), types_pb2.LiteralType()
            shape = self._random.choice("ldu")
            if shape == "l":
                outer.collection.literals.add().CopyFrom(literal)
                outer_type.collection_type.CopyFrom(literal_type)
            elif shape == "d":
                outer.map.literals["k"].CopyFrom(literal)
                outer_type.map_value_type.CopyFrom(literal_type)
            else:
                outer.scalar.union.value.CopyFrom(literal)
                outer.scalar.union.type.CopyFrom(literal_type)
                outer_type.union_type.variants.add().CopyFrom(literal_type)
                outer_type.union_type.variants.add().simple = types_pb2.NONE
            literal, literal_type = outer, outer_type
        return literal, literal_type

    def _value(self, literal_type: Any, literal: Any) -> Any:
        """What the literal says, somewhat changed, or something else."""
        value: Any = None
        if self._random.random() < 0.7:
            try:
                value = from_literal(literal, literal_type)
            except LiteralError:
                value = self._anything(0)
        else:
            value = self._anything(0)
        return self._bent(value) if self._random.random() < 0.5 else value

    def _bent(self, value: Any) -> Any:
        if isinstance(value, dict) and value and self._random.random() < 0.8:
            made = dict(value)
            key = self._random.choice(list(made))
            draw = self._random.random()
            if draw < 0.2:
                del made[key]
            elif draw < 0.3:
                made[self._random.choice([1, 2.5, None, b"k", True, (1, "a"), self._text()])] = made[key]
            else:
                made[key] = self._bent(made[key])
            return made
        if isinstance(value, list) and value and self._random.random() < 0.8:
            items = list(value)
            at = self._random.randrange(len(items))
            items[at] = self._bent(items[at])
            return items
        return self._anything(0)

    def _anything(self, depth: int) -> Any:
        draw = self._random.randrange(24 if depth < 4 else 18)
        if draw == 0:
            return self._random.choice([2**63, -(2**63) - 1, 10**400, 0, -1])
        if draw == 1:
            return self._random.choice([float("nan"), float("inf"), -0.0, 1.5])
        if draw == 2:
            return self._random.choice(["\ud800", "", "x" * 1000, "RED", "item_0", "s3://b/f"])
        if draw == 3:
            return self._random.choice([True, None, b"\xff", bytearray(b"x"), memoryview(b"y")])
        if draw == 4:
            return datetime.datetime.max.replace(tzinfo=datetime.timezone(-datetime.timedelta(hours=9)))
        if draw == 5:
            return self._random.choice([datetime.date.min, datetime.timedelta.max, datetime.timedelta.min])
        if draw == 6:
            return self._random.choice([_Color.RED, _Color, object(), type, len, 1j, range(3), _Hostile()])
        if draw == 7:
            return self._random.choice([File("s3://b/f"), Dir("s3://b/d", hash="\ud800"), types_pb2.LiteralType()])
        if draw == 8:
            deep: Any = 1
            for _ in range(self._random.choice([40, 600, 3000])):
                deep = [deep] if self._random.random() < 0.5 else {"a": deep}
            return deep
        if draw == 9:
            loop: list[Any] = []
            loop.append({"a": loop})
            return loop
        if draw < 18:
            return self._random.choice([self._random.randrange(100), "a", 2.5, self._text()])
        if draw < 20:
            return [self._anything(depth + 1) for _ in range(self._random.randrange(4))]
        if draw < 21:
            return tuple(self._anything(depth + 1) for _ in range(self._random.randrange(4)))
        return {self._text(): self._anything(depth + 1) for _ in range(self._random.randrange(4))}


class _Hostile:
    """Says of itself nothing but errors."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


class _Work:
    """Counts calls of Python functions, which no clock disturbs, and stops what makes too many of them."""

    def __init__(self, budget: int) -> None:
        self._left = budget
        self._base = 0
        self.deepest = 0

    def __enter__(self) -> _Work:
        depth, frame = 0, sys._getframe()
        while frame.f_back is not None:
            depth, frame = depth + 1, frame.f_back
        self._base = self._depth = depth
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self._depth += 1
            self.deepest = max(self.deepest, self._depth - self._base)
            self._left -= 1
            if self._left < 0:
                sys.setprofile(None)
                raise AssertionError("takes too much work")
        elif event == "return":
            self._depth -= 1


def _parts(message: Message, depth: int = 0) -> Any:
    yield message
    if depth > 12:
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for key in sorted(value):
                    yield from _parts(value[key], depth + 1)
        elif isinstance(value, Message):
            yield from _parts(value, depth + 1)
        else:
            for item in value:
                yield from _parts(item, depth + 1)


def _depth(message: Message) -> int:
    """How many messages are in one another."""
    deepest, stack = 0, [(message, 1)]
    while stack:
        part, depth = stack.pop()
        deepest = max(deepest, depth)
        for field, value in part.ListFields():
            if field.message_type is None:
                continue
            if field.message_type.GetOptions().map_entry:
                inner = [each for each in value.values() if isinstance(each, Message)]
            else:
                inner = [value] if isinstance(value, Message) else list(value)
            stack.extend((each, depth + 1) for each in inner)
    return deepest


def _copy(message: Any) -> Any:
    made = type(message)()
    made.CopyFrom(message)
    return made


def _raw(message: Any) -> bytes:
    made: bytes = message.SerializeToString(deterministic=True)
    return made


def _shown(value: Any) -> str:
    try:
        return repr(value.SerializeToString() if isinstance(value, Message) else value)[:2000]
    except Exception as error:  # noqa: BLE001 - values are hostile
        return f"{type(value).__name__}, of which {error!r}"


def _size(value: Any) -> int:
    """About how many bytes there are in a value."""
    stack, size = [value], 0
    seen: set[int] = set()
    while stack:
        item = stack.pop()
        size += 8
        if isinstance(item, (str, bytes)):
            size += len(item)
        elif isinstance(item, (dict, list, tuple)) and id(item) not in seen:
            seen.add(id(item))
            stack.extend(item.values() if isinstance(item, dict) else item)
    return size
