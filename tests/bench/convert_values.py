"""Mixed values to literals and back: `convert_values.py flyte_lite|flyte COUNT`.

Prints the milliseconds of writing and of reading all of them, how many they were, and a digest of what came back. Both
sides know the types beforehand; what is read is of the same classes, as a task receives it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import enum
import hashlib
import sys
import time
from typing import Any, Callable, Optional, Union

import pydantic

COUNT = int(sys.argv[2])
UTC = datetime.timezone.utc


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclasses.dataclass
class Layer:
    size: int
    name: str
    rate: float = 0.5


@dataclasses.dataclass
class Config:
    layers: list[Layer]
    color: Color
    started: datetime.datetime
    labels: dict[str, str]
    note: Optional[str] = None


class Point(pydantic.BaseModel):
    x: int
    y: float
    label: str = "p"


class Shape(pydantic.BaseModel):
    points: list[Point]
    color: Color
    seen: datetime.datetime


def mixed(nth: int) -> tuple[Any, Any]:
    """An annotation, and the `nth` value of it."""
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, 678900, UTC) + datetime.timedelta(seconds=nth)
    kinds: list[tuple[Any, Any]] = [
        (int, nth),
        (float, nth + 0.5),
        (str, f"value {nth}"),
        (bool, nth % 2 == 0),
        (datetime.datetime, when),
        (datetime.timedelta, datetime.timedelta(seconds=nth)),
        (list[int], list(range(nth % 20))),
        (list[list[float]], [[0.5, float(nth)], [], [1.5]]),
        (dict[str, str], {f"key {each}": f"value {nth}" for each in range(nth % 5)}),
        (dict, {"nth": nth, "nested": {"list": [1, 2.5, None, "x"]}}),
        (Optional[int], nth if nth % 3 else None),
        (list[Union[int, str]], [nth, str(nth), nth + 1]),
        (Color, Color.RED if nth % 2 else Color.GREEN),
        (tuple[int, str], (nth, "a")),
        (Layer, Layer(nth, "dense")),
        (Config, Config([Layer(nth, "dense"), Layer(1, "out", 0.1)], Color.RED, when, {"team": "a"})),
        (Point, Point(x=nth, y=0.5)),
        (Shape, Shape(points=[Point(x=nth, y=1.5), Point(x=1, y=2.5, label="q")], color=Color.GREEN, seen=when)),
    ]
    return kinds[nth % len(kinds)]


def ours() -> tuple[Callable[..., Any], Callable[..., Any]]:
    from flyte_lite._literals import from_literal, hydrate, to_literal
    from flyte_lite._literals.types import literal_type

    types = {annotation: literal_type(annotation) for annotation in ANNOTATIONS}

    def write(cases: list[tuple[Any, Any]]) -> list[Any]:
        return [to_literal(value, types[annotation], "x") for annotation, value in cases]

    def read(literals: list[tuple[Any, Any]]) -> list[Any]:
        return [hydrate(from_literal(literal, types[of], "x"), of, "x") for of, literal in literals]

    return write, read


def theirs() -> tuple[Callable[..., Any], Callable[..., Any]]:
    from flyte.types import TypeEngine

    types = {annotation: TypeEngine.to_literal_type(annotation) for annotation in ANNOTATIONS}

    async def write(cases: list[tuple[Any, Any]]) -> list[Any]:
        return [await TypeEngine.to_literal(value, annotation, types[annotation]) for annotation, value in cases]

    async def read(literals: list[tuple[Any, Any]]) -> list[Any]:
        return [await TypeEngine.to_python_value(literal, of) for of, literal in literals]

    # One loop for all of them: what the official SDK pays to be called from outside of one is not counted.
    return lambda cases: asyncio.run(write(cases)), lambda literals: asyncio.run(read(literals))


CASES = [mixed(nth) for nth in range(COUNT)]
# By what they say: `list[int]` is another object each time.
ANNOTATIONS = [annotation for annotation, _ in CASES[:18]]
write, read = (ours if sys.argv[1] == "flyte_lite" else theirs)()
# Warm: the classes have been met.
read([(of, literal) for (of, _), literal in zip(CASES[:100], write(CASES[:100]))])

started = time.perf_counter()
written = write(CASES)
wrote = time.perf_counter() - started
pairs = [(of, literal) for (of, _), literal in zip(CASES, written)]
started = time.perf_counter()
values = read(pairs)
took = time.perf_counter() - started
assert values == [value for _, value in CASES]
digest = hashlib.sha256(b"".join(literal.SerializeToString(deterministic=True) for literal in written)).hexdigest()
print(1000 * wrote, 1000 * took, len(values), digest)
