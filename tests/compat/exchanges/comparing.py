"""What came back against what the real server said; values that are never the same are compared by their marks."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

DAY = 86_400.0
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")
_TIME_MARK = re.compile(r"<time:\d+>")
# The text after it is Go's parser's.
_PARSER = "unmarshal message: "


class Comparison:
    """One scenario's names and times.

    Args:
        names: What stands for which value, such as "project" for the project that was made for the scenario.
        now: Seconds since 1970; times far from it were sent by the scenario and are compared as they are.
    """

    def __init__(self, names: Mapping[str, str], now: float) -> None:
        self.names = dict(names)
        self._now = now
        self._mark_of: dict[str, str] = {}
        self._time_of: dict[str, str] = {}

    def filled(self, value: Any, extra: Optional[Mapping[str, str]] = None) -> Any:
        """`value` with every `<name>` replaced by what it stands for."""
        names = {**self.names, **(extra or {})}
        return _texts(value, lambda text: re.sub(r"<(\w+)>", lambda found: names.get(found[1], found[0]), text))

    def marked(self, value: Any) -> Any:
        """`value` with what stands for a name replaced by `<name>`."""
        longest_first = sorted(self.names.items(), key=lambda item: -len(item[1]))

        def mark(text: str) -> str:
            for name, stands_for in longest_first:
                text = text.replace(stands_for, f"<{name}>")
            return text.replace("\u00a0", " ")

        return _texts(value, mark)

    def differences(self, expected: Any, actual: Any, path: str = "") -> Iterator[tuple[str, str]]:
        """Where `actual`, marked, is not what was expected, and how; empty if nowhere."""
        if isinstance(expected, dict) and isinstance(actual, dict):
            for key in sorted(expected.keys() | actual.keys()):
                here = f"{path}.{key}" if path else key
                if key not in actual:
                    yield here, f"is missing: {json.dumps(expected[key])[:200]}"
                elif key not in expected:
                    yield here, f"should not be there: {json.dumps(actual[key])[:200]}"
                else:
                    yield from self.differences(expected[key], actual[key], here)
        elif isinstance(expected, list) and isinstance(actual, list):
            if len(expected) != len(actual):
                yield path, f"has {len(actual)} elements, not {len(expected)}: {json.dumps(actual)[:600]}"
            for index, (one, other) in enumerate(zip(expected, actual)):
                yield from self.differences(one, other, f"{path}.{index}")
        elif not self._is(expected, actual):
            yield path, f"is {json.dumps(actual)[:300]}, not {json.dumps(expected)[:300]}"

    def _is(self, expected: Any, actual: Any) -> bool:
        if expected == "<any>":
            return True
        if not isinstance(expected, str) or not isinstance(actual, str):
            return bool(expected == actual and isinstance(expected, bool) == isinstance(actual, bool))
        if _TIME_MARK.fullmatch(expected):
            return self._is_recent(actual) and self._same_instant(expected, actual)
        if expected == "<duration>":
            return actual.isdigit() and actual != "0"
        if expected.startswith(_PARSER):
            return actual.startswith(_PARSER)
        return expected == actual

    def _is_recent(self, text: str) -> bool:
        found = _TIME.fullmatch(text)
        if found is None:
            return False
        at = datetime.datetime.fromisoformat(found[1]).replace(tzinfo=datetime.timezone.utc)
        return abs(at.timestamp() - self._now) < DAY

    def _same_instant(self, mark: str, time: str) -> bool:
        # Equal marks are the same instant, and different ones are not.
        return self._time_of.setdefault(mark, time) == time and self._mark_of.setdefault(time, mark) == mark


def picked(value: Any, path: str) -> Any:
    """What stands at `a.0.b`; None if nothing does."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


def masked(value: Any, paths: Sequence[str]) -> Any:
    """`value` with `<any>` at each path."""
    return _at(value, paths, lambda _: "<any>")


def in_order(value: Any, paths: Sequence[str]) -> Any:
    """`value` with the lists at each path sorted by their JSON; `*` stands for every element."""
    return _at(value, paths, lambda found: sorted(found, key=lambda each: json.dumps(each, sort_keys=True)))


def _at(value: Any, paths: Sequence[str], change: Any) -> Any:
    for path in paths:
        value = _changed(value, path.split("."), change)
    return value


def _changed(value: Any, parts: list[str], change: Any) -> Any:
    if not parts:
        return change(value)
    first, rest = parts[0], parts[1:]
    if isinstance(value, list):
        return [
            _changed(each, rest, change) if first in ("*", str(index)) else each for index, each in enumerate(value)
        ]
    if isinstance(value, dict) and first in value:
        return {**value, first: _changed(value[first], rest, change)}
    return value


def _texts(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_texts(each, change) for each in value]
    if isinstance(value, dict):
        return {change(key): _texts(each, change) for key, each in value.items()}
    return value
