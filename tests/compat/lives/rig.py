"""The tasks of the recorded lives, as they were on the real server."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Optional

from flyte_lite.devbox import Devbox, group, report, trace
from flyte_lite.errors import RuntimeUserError

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=timezone.utc)


def hello(name: str) -> str:
    return f"hello {name}"


def many(
    i: int = 3,
    f: float = 2.5,
    b: bool = True,
    s: str = "text",
    when: datetime = WHEN,
    span: timedelta = timedelta(seconds=3600, milliseconds=250),
    xs: list[int] = [1, 2, 3],  # noqa: B006 - a default of a task is a literal
    d: dict[str, int] = {"a": 1},  # noqa: B006
    maybe: Optional[int] = None,
) -> str:
    return str((i, f, b, s, when.isoformat(), span.total_seconds(), xs, d, maybe))


def divide(a: int, b: int) -> tuple[int, int]:
    return a // b, a % b


def nothing(n: int = 0) -> None:
    return None


@dataclass
class Point:
    x: float
    y: float = 0.5
    tags: list[str] = field(default_factory=list)


def move(p: Point, dx: float) -> Point:
    return Point(p.x + dx, p.y, [*p.tags, "moved"])


def chatty(lines: int = 50, seconds: float = 5.0) -> int:
    for number in range(lines):
        print(f"line {number}", file=sys.stderr if number % 10 == 9 else sys.stdout, flush=True)
        time.sleep(seconds / lines)
    return lines


def fail(text: str = "no good") -> str:
    raise ValueError(text)


def crash(code: int = 3) -> int:
    print("going", flush=True)
    os._exit(code)


def flaky() -> int:
    # The log of each attempt is to be read while it is there.
    time.sleep(0.5)
    raise RuntimeError(f"attempt {os.environ['FLYTE_ATTEMPT_NUMBER']}")


def second_try(text: str = "not yet") -> int:
    number = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    print(f"attempt number {number}", flush=True)
    # Its log is to be read while it is there.
    time.sleep(0.5)
    if number == 0:
        raise RuntimeError(text)
    return number


def cached(n: int) -> int:
    return n + 1


def sleeper(seconds: float = 60.0) -> str:
    time.sleep(seconds)
    return f"slept {seconds}"


def reporting(title: str = "Report") -> str:
    report.log(f"<h1>{title}</h1>", do_flush=True)
    return title


async def double(n: int) -> int:
    return 2 * n


async def parent(n: int) -> int:
    with group("children"):
        return sum(await asyncio.gather(double(n), double(n + 1)))


def leaf(n: int) -> int:
    if n < 0:
        raise ValueError(f"negative: {n}")
    return 10 * n


def branch(n: int) -> int:
    return leaf(n) + 1


def tree(n: int) -> int:
    return branch(n) + leaf(n) + leaf(n)


def forgiving(n: int) -> str:
    try:
        return str(leaf(n))
    except RuntimeUserError as error:
        return f"{type(error).__name__}: {error}"


def failing_parent(text: str = "child is bad") -> str:
    return fail(text)


def sleeping_parent(seconds: float = 60.0) -> str:
    return sleeper(seconds)


@trace
async def square(n: int) -> int:
    return n * n


async def traced(n: int) -> int:
    return await square(n)


def deploy(box: Devbox) -> None:
    """All of them, as version v1."""
    box.task(name="rig.hello", version="v1")(hello)
    box.task(name="rig.many", version="v1")(many)
    box.task(name="rig.divide", version="v1")(divide)
    box.task(name="rig.move", version="v1")(move)
    box.task(name="rig.nothing", version="v1")(nothing)
    box.task(name="rig.chatty", version="v1")(chatty)
    box.task(name="rig.fail", version="v1")(fail)
    box.task(name="rig.crash", version="v1")(crash)
    box.task(name="rig.flaky", version="v1", retries=2)(flaky)
    box.task(name="life.second_try", version="v1", retries=2)(second_try)
    box.task(name="rig.cached", version="v1", cache=True)(cached)
    box.task(name="rig.sleeper", version="v1")(sleeper)
    box.task(name="rig.reporting", version="v1")(reporting)
    box.task(name="rig.double", version="v1")(double)
    box.task(name="rig.parent", version="v1")(parent)
    box.task(name="rig.failing_parent", version="v1")(failing_parent)
    box.task(name="rig.sleeping_parent", version="v1")(sleeping_parent)
    box.task(name="rig.traced", version="v1")(traced)
    box.task(name="life.leaf", version="v1")(leaf)
    box.task(name="life.branch", version="v1")(branch)
    box.task(name="life.tree", version="v1")(tree)
    box.task(name="life.forgiving", version="v1")(forgiving)
