"""Cron expressions as the real server reads them: five fields or a descriptor, each with a time zone before it.

The texts are those of the library that it uses, which people read in answers.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from typing import NamedTuple

from flyte_lite.devbox._refusal import ConnectionDropped

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_EVERY = "@every "
_UNITS = ("ns", "us", "µs", "μs", "ms", "s", "m", "h")


class Bounds(NamedTuple):
    """What one field may hold."""

    low: int
    high: int
    names: Mapping[str, int] = {}


_FIELDS = (
    Bounds(0, 59),
    Bounds(0, 23),
    Bounds(1, 31),
    Bounds(1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    Bounds(0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


def check(expression: str) -> None:
    """Do nothing if it is a cron expression.

    Raises:
        ValueError: It is not one.
        ConnectionDropped: It is one at which the real server's handler panics.
    """
    if not expression:
        raise ValueError("empty spec string")
    if expression.startswith(("TZ=", "CRON_TZ=")):
        zone, blank, expression = expression.partition("=")[2].partition(" ")
        if not blank:
            raise ConnectionDropped("a time zone and nothing else")
        _check_zone(zone)
        expression = expression.strip()
    if expression.startswith("@"):
        _check_descriptor(expression)
        return
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {len(fields)}: [{' '.join(fields)}]")
    for field, bounds in zip(fields, _FIELDS):
        for part in field.split(","):
            if part:
                _check_range(part, bounds)


def _check_zone(name: str) -> None:
    if name in ("", "UTC", "Local"):
        return
    if ".." in name or name[0] in "/\\":
        raise ValueError(f"provided bad location {name}: time: invalid location name")
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"provided bad location {name}: unknown time zone {name}") from error


def _check_descriptor(descriptor: str) -> None:
    if descriptor in _DESCRIPTORS:
        return
    if not descriptor.startswith(_EVERY):
        raise ValueError(f"unrecognized descriptor: {descriptor}")
    problem = _duration_problem(descriptor[len(_EVERY) :])
    if problem:
        raise ValueError(f"failed to parse duration {descriptor}: {problem}")


def _duration_problem(text: str) -> str:
    # Go's time.ParseDuration: numbers, each with its unit; a lone 0 needs none.
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return ""
    if not rest:
        return f'time: invalid duration "{text}"'
    while rest:
        number = re.match(r"[0-9]*(?:\.[0-9]*)?", rest)
        if number is None or number[0] in ("", "."):
            return f'time: invalid duration "{text}"'
        rest = rest[number.end() :]
        unit = re.match(r"[^.0-9]*", rest)
        assert unit is not None
        if not unit[0]:
            return f'time: missing unit in duration "{text}"'
        if unit[0] not in _UNITS:
            return f'time: unknown unit "{unit[0]}" in duration "{text}"'
        rest = rest[unit.end() :]
    return ""


def _check_range(part: str, bounds: Bounds) -> None:
    span, *steps = part.split("/")
    low, *highs = span.split("-")
    if low in ("*", "?"):
        start, end = bounds.low, bounds.high
    else:
        start = end = _number(low, bounds.names)
        if len(highs) > 1:
            raise ValueError(f"too many hyphens: {part}")
        if highs:
            end = _number(highs[0], bounds.names)
    step = 1
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {part}")
    if steps:
        step = _number(steps[0], {})
        end = end if highs else bounds.high
    if start < bounds.low:
        raise ValueError(f"beginning of range ({start}) below minimum ({bounds.low}): {part}")
    if end > bounds.high:
        raise ValueError(f"end of range ({end}) above maximum ({bounds.high}): {part}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {part}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {part}")


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < 0:
        raise ValueError(f"negative number ({number}) not allowed: {text}")
    return number
