"""What a list is asked for: phases, times, an order; in the words of the wire and, where a server lacks those, here."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union

from flyte_lite.idl.flyteidl2.common import list_pb2
from flyte_lite.models import ActionPhase

Row = TypeVar("Row")

Phases = Union[ActionPhase, str, Iterable[Union[ActionPhase, str]], None]
SortBy = Optional[tuple[str, Literal["asc", "desc"]]]

CREATED_AT = "created_at"


class TimeFilter(NamedTuple):
    """When something was made or changed. A time without a zone is local time.

    Attributes:
        after: At this time or later; None is ever since.
        before: Earlier than this time; None is until now.
    """

    after: Optional[datetime.datetime] = None
    before: Optional[datetime.datetime] = None


class Condition(Generic[Row]):
    """One thing that every row of a list must be.

    Attributes:
        ways: Filters that ask for it. With more than one way, or `everywhere` False, a server may refuse them; then the
            next one is tried, and after the last `here` looks.
        here: Whether a row is so; None if rows do not show it.
        everywhere: True if every server takes the first filter.
        rough: True if servers let more through than is meant, so that `here` looks again.
        passing: True if a row may cease to be so, and `here` tells.
    """

    def __init__(
        self,
        *ways: list_pb2.Filter,
        here: Optional[Callable[[Row], bool]] = None,
        everywhere: bool = True,
        rough: bool = False,
        passing: bool = False,
    ) -> None:
        self.ways = ways
        self.here = here
        self.everywhere = everywhere
        self.rough = rough
        self.passing = passing


def equal(field: str, value: str) -> list_pb2.Filter:
    """The field is this."""
    return list_pb2.Filter(function=list_pb2.Filter.EQUAL, field=field, values=[value])


def among(field: str, values: list[str]) -> list_pb2.Filter:
    """The field is one of these."""
    # The real server fails over VALUE_IN with one value, and over EQUAL with several.
    if len(values) == 1:
        return equal(field, values[0])
    return list_pb2.Filter(function=list_pb2.Filter.VALUE_IN, field=field, values=values)


def phases(in_phase: Phases, phase_of: Callable[[Row], int]) -> list[Condition[Row]]:
    """The phase is one of these; no condition if there are none.

    Args:
        in_phase: As a caller gave it.
        phase_of: A row's phase, as its number.

    Raises:
        ValueError: One is no phase.
    """
    if in_phase is None:
        return []
    given = tuple(in_phase) if isinstance(in_phase, Iterable) and not isinstance(in_phase, str) else (in_phase,)
    # In the order in which they came, each once: VALUE_IN with one value twice would still be two.
    numbers = list(dict.fromkeys(_phase(each).to_protobuf_value() for each in given))
    if not numbers:
        return []
    # Numbers as text, which is how the server compares them.
    asked = among("phase", [str(number) for number in numbers])
    return [Condition(asked, here=lambda row: phase_of(row) in numbers, passing=True)]


def _phase(given: Any) -> ActionPhase:
    if isinstance(given, str):
        text = given.value if isinstance(given, ActionPhase) else given
        name = text.strip().upper().replace("-", "_").replace(" ", "_")
        for prefix in ("ACTION_PHASE_", "PHASE_"):
            name = name.removeprefix(prefix)
        if name in ActionPhase.__members__ and name != "UNKNOWN":
            return ActionPhase[name]
    known = ", ".join(phase.value for phase in ActionPhase if phase is not ActionPhase.UNKNOWN)
    raise ValueError(f"in_phase has {given!r}; there is {known}")


def times(field: str, given: Optional[TimeFilter]) -> list[Condition[Any]]:
    """The time is within these bounds.

    Raises:
        ValueError: It is no `TimeFilter`, or a bound is no `datetime`.
    """
    if given is None:
        return []
    made: list[Condition[Any]] = []
    for name, function in (
        ("after", list_pb2.Filter.GREATER_THAN_OR_EQUAL),
        ("before", list_pb2.Filter.LESS_THAN),
    ):
        bound = getattr(given, name, given)
        if bound is None:
            continue
        if not isinstance(bound, datetime.datetime):
            raise ValueError(f"{field} is {given!r}; give a TimeFilter(after=, before=) of datetimes")
        try:
            at = bound.astimezone(datetime.timezone.utc).isoformat()
        except (OverflowError, ValueError) as error:
            raise ValueError(f"{field} has {bound!r}, which is in no year from 1 to 9999 in UTC") from error
        made.append(Condition(list_pb2.Filter(function=function, field=field, values=[at])))
    return made


class Order(NamedTuple):
    """How a list is sorted.

    Attributes:
        key: A column of the server's.
        ascending: Smallest first.
    """

    key: str
    ascending: bool

    @classmethod
    def of(cls, sort_by: SortBy) -> Order:
        """What a caller asks for; oldest first if it is None.

        Raises:
            ValueError: It is no pair of a key and a direction.
        """
        if sort_by is None:
            return cls(CREATED_AT, True)
        if not isinstance(sort_by, (tuple, list)) or len(sort_by) != 2:
            raise ValueError(f'sort_by is {sort_by!r}; give a pair such as ("created_at", "desc")')
        key, direction = sort_by
        if not isinstance(key, str) or not key:
            raise ValueError(f"sort_by has the key {key!r}; give the name of a column")
        if direction not in ("asc", "desc"):
            raise ValueError(f'sort_by has the direction {direction!r}; there is "asc" and "desc"')
        return cls(key, direction == "asc")

    def to_protobuf(self) -> list_pb2.Sort:
        """The message."""
        return list_pb2.Sort(
            key=self.key, direction=list_pb2.Sort.ASCENDING if self.ascending else list_pb2.Sort.DESCENDING
        )
