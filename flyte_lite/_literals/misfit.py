"""What is wrong with a value, and where in it: gathered on the way up, told once at the door."""

from __future__ import annotations

import datetime
import enum
import json
import reprlib
import threading
from collections.abc import Iterable
from typing import Any, Callable, Optional, Union

from flyte_lite.errors import LiteralError

# A list of a million wrong items has one mistake in it, not a million.
SHOWN = 4
_WIDTH = 60


class Misfit(Exception):
    """A value does not fit its type; internal, becomes a `LiteralError` at the door.

    Args:
        text: What is wrong, or a function that says it: most misfits are of a variant that was only tried.
        hopeless: Nothing else need be tried. What is nested without end could be tried in so many ways that there would
            be no end to that either.
    """

    def __init__(self, text: Union[str, Callable[[], str]], hopeless: bool = False) -> None:
        super().__init__()
        self.hopeless = hopeless
        self._problems: list[tuple[list[str], Union[str, Callable[[], str]]]] = [([], text)]

    def at(self, piece: str) -> Misfit:
        """This misfit seen from one level further out; `piece` is such as `[3]`."""
        for path, _ in self._problems:
            path.append(piece)
        return self

    def joined(self, earlier: Optional[Misfit]) -> Misfit:
        """This misfit with all that went before it."""
        if earlier is not None:
            self._problems = earlier._problems + self._problems
            self.hopeless = self.hopeless or earlier.hopeless
        return self

    @property
    def full(self) -> bool:
        """There are more problems than anybody wants to read."""
        return len(self._problems) > SHOWN

    def error(self, path: str) -> LiteralError:
        """As the error that a caller sees, each path beginning with `path`."""
        told = [
            (path + "".join(reversed(pieces)), text if isinstance(text, str) else text())
            for pieces, text in self._problems[:SHOWN]
        ]
        if len(told) == 1:
            return LiteralError(told[0][1], told[0][0])
        more = ["and more"] if self.full else []
        return LiteralError("; ".join([f"{where}: {problem}" if where else problem for where, problem in told] + more))


def each(pairs: Iterable[tuple[Any, Any]], visit: Callable[[Any, Any], None]) -> None:
    """Visit every index or key with its element; what is wrong with some of them is raised as one misfit at the end."""
    rest = iter(pairs)
    key: Any = None
    wrong: Optional[Misfit] = None
    # The loop goes on where the last misfit stopped it, which is cheaper than to enter `try` for each element.
    while True:
        try:
            for key, element in rest:
                visit(key, element)
            break
        except Misfit as misfit:
            wrong = misfit.at(key_path(key)).joined(wrong)
            if wrong.full or wrong.hopeless:
                break
    if wrong is not None:
        raise wrong


class _Tries(threading.local):
    level = 0
    failed = 0


_tries = _Tries()
# A class in itself by way of a union can be tried in two ways on each level; that is cheap on some levels only.
_FREE_LEVELS, _MOST_TRIES = 8, 10_000


def first_fit(ways: Iterable[Callable[[Any], Any]], value: Any) -> Any:
    """What the first of some ways makes of a value.

    Raises:
        Misfit: None of them takes it; the misfit is that of the first.
    """
    if _tries.level == 0:
        _tries.failed = 0
    _tries.level += 1
    first: Optional[Misfit] = None
    try:
        for way in ways:
            try:
                return way(value)
            except Misfit as misfit:
                if misfit.hopeless:
                    raise
                first = first or misfit
                if _tries.level > _FREE_LEVELS:
                    _tries.failed += 1
                    if _tries.failed > _MOST_TRIES:
                        misfit.hopeless = True
                        raise
    finally:
        _tries.level -= 1
    raise first or Misfit("its type has no variants")


def unexpected(expected: str, value: object, why: str = "") -> Misfit:
    """`expected` names what would have fitted; `why` adds what is special about the value."""
    return Misfit(lambda: f"expected {expected}, got {show(value)}{why}")


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 5
        self.maxstring = self.maxother = _WIDTH

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write very long numbers in decimal.
        return repr(x) if x.bit_length() < 200 else f"{'-' if x < 0 else ''}(a number of {x.bit_length()} bits)"


_short = _Short().repr


def show(value: object) -> str:
    """A value for an error text, such as `str 'x'`: its class and a repr of at most 60 letters."""
    if value is None:
        return "None"
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, datetime.date):
        return f"{type(value).__name__} {value}"
    return f"{type(value).__name__} {clip(_short(value))}"


def clip(text: str) -> str:
    """`text`, shortened in the middle to 60 letters."""
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 23]}...{text[-20:]}"


def key_path(key: object) -> str:
    """The piece of a path for a key of a dict: `["a"]`."""
    return f"[{clip(json.dumps(key, ensure_ascii=False) if isinstance(key, str) else _short(key))}]"
