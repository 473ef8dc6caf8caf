"""Lists as the real server makes them: filters, sort keys, limit and token of a request become the end of a query.

It allows only keys from a table, so nothing of a caller's text ever becomes SQL. Where PostgreSQL would stumble over a
value, so do we, with the same code.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from flyte_lite.devbox._refusal import refusal
from flyte_lite.errors import CallError, Code
from flyte_lite.idl.flyteidl2.common import list_pb2

if TYPE_CHECKING:
    Value = Union[str, int]

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class Column(NamedTuple):
    """A key that lists may be filtered and sorted by.

    Attributes:
        sql: The column; "" if the key is allowed but has no column, which the real server answers with internal.
        kind: "text", "integer", "boolean" or "time".
    """

    sql: str
    kind: str = "text"


class Condition(NamedTuple):
    """A piece of a WHERE clause and its arguments."""

    sql: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Page:
    """A list request, understood.

    Attributes:
        where: All must hold.
        order: What follows ORDER BY.
        limit: How many rows at most; None is no limit.
        offset: How many rows to skip.
    """

    where: tuple[Condition, ...]
    order: str
    limit: Union[int, None]
    offset: int

    def clause(self, *more: Condition, extra: int = 0) -> tuple[str, tuple[Any, ...]]:
        """The end of a SELECT, from WHERE on, asking for `extra` rows beyond the limit, and its arguments."""
        where, arguments = clause(*self.where, *more)
        limit = -1 if self.limit is None else self.limit + extra
        return f"{where} ORDER BY {self.order} LIMIT ? OFFSET ?", (*arguments, limit, self.offset)


def clause(*conditions: Condition) -> tuple[str, tuple[Any, ...]]:
    """All `conditions` as one WHERE clause and its arguments."""
    sql = " AND ".join(f"({condition.sql})" for condition in conditions) or "1"
    return f" WHERE {sql}", tuple(argument for condition in conditions for argument in condition.arguments)


def page(
    request: list_pb2.ListRequest, columns: Mapping[str, Column], default_order: str, ties: str, what: str
) -> Page:
    """Understand a `ListRequest`.

    Args:
        request: As it came; an absent one is an empty one.
        columns: The allowed keys.
        default_order: What follows ORDER BY if no sort key is given.
        ties: Appended to sort keys that are given.
        what: For texts of internal errors, such as "actions".

    Raises:
        InvalidArgumentError: Limit, token, a key or a function is not allowed.
        InternalError: The real server's database would refuse a value.
    """
    if request.limit > MAX_LIMIT:
        raise refusal(Code.INVALID_ARGUMENT, f"invalid limit: {request.limit} (exceeds maximum of {MAX_LIMIT})")
    # Go's Atoi: an optional sign and ASCII digits.
    if request.token and not re.fullmatch(r"\+?[0-9]+|-0+", request.token):
        raise refusal(Code.INVALID_ARGUMENT, f'invalid token: "{request.token}"')
    where = tuple(_filter(each, columns, what) for each in request.filters)
    return Page(
        where,
        _order(request, columns, default_order, ties, what),
        request.limit or DEFAULT_LIMIT,
        int(request.token or 0),
    )


def compare(column: Column, operator: str, values: Sequence[str], what: str) -> Condition:
    """`column operator value`, with the value read as the column's kind; `operator` "IN" takes several."""
    read = tuple(_read(column, value, what) for value in values)
    if operator == "IN":
        return Condition(f"{column.sql} IN ({', '.join('?' * len(read))})", read)
    return Condition(f"{column.sql} {operator} ?", read)


def sort_key(column: Column, ascending: bool) -> str:
    """One key of ORDER BY; absent values are the greatest, as in PostgreSQL."""
    way = "ASC" if ascending else "DESC"
    return f"({column.sql} IS NULL) {way}, {column.sql} {way}"


_F = list_pb2.Filter
_OPERATORS = {
    _F.EQUAL: "=",
    _F.NOT_EQUAL: "<>",
    _F.GREATER_THAN: ">",
    _F.GREATER_THAN_OR_EQUAL: ">=",
    _F.LESS_THAN: "<",
    _F.LESS_THAN_OR_EQUAL: "<=",
    _F.VALUE_IN: "IN",
}
# Pattern around the value, negated?, without regard to case?
_PATTERNS = {
    _F.CONTAINS: ("%{}%", False, False),
    _F.CONTAINS_CASE_INSENSITIVE: ("%{}%", False, True),
    _F.ENDS_WITH: ("%{}", False, False),
    _F.NOT_ENDS_WITH: ("%{}", True, False),
}


def _filter(given: list_pb2.Filter, columns: Mapping[str, Column], what: str) -> Condition:
    if given.field not in columns:
        raise _unconvertible(f"invalid filter field: {given.field}")
    if given.function not in _OPERATORS and given.function not in _PATTERNS:
        known = given.function in _F.Function.values()
        raise _unconvertible(
            f"unsupported filter function: {_F.Function.Name(given.function) if known else given.function}"
        )
    if not given.values:
        raise _unconvertible(f"filter {given.field} has no values")
    column = columns[given.field]
    many = given.function == _F.VALUE_IN
    if not column.sql or many == (len(given.values) == 1):
        # The real server hands a lone value to a function for lists, and a list to one for lone values.
        raise refusal(Code.INTERNAL, f"failed to list {what}: can't compare {given.field} with {list(given.values)}")
    if given.function in _OPERATORS:
        return compare(column, _OPERATORS[given.function], given.values, what)
    if column.kind != "text":
        raise refusal(Code.INTERNAL, f"failed to list {what}: {given.field} is not a text")
    pattern, negated, fold = _PATTERNS[given.function]
    value = pattern.format(given.values[0])
    test = f"LIKE_PG(?, {f'LOWER({column.sql})' if fold else column.sql})"
    return Condition(f"NOT {test}" if negated else test, (value.lower() if fold else value,))


def _order(request: list_pb2.ListRequest, columns: Mapping[str, Column], default: str, ties: str, what: str) -> str:
    sorts = list(request.sort_by_fields)
    if not sorts and request.sort_by.key:
        sorts = [request.sort_by]
    if not sorts:
        return default
    keys = []
    for sort in sorts:
        if sort.key not in columns:
            raise refusal(Code.INVALID_ARGUMENT, f"invalid sort field: {sort.key}")
        if not columns[sort.key].sql:
            raise refusal(Code.INTERNAL, f"failed to list {what}: column {sort.key} does not exist")
        keys.append(sort_key(columns[sort.key], sort.direction == list_pb2.Sort.ASCENDING))
    return ", ".join([*keys, ties])


def _read(column: Column, value: str, what: str) -> Value:
    if column.kind == "text":
        return value
    try:
        if column.kind == "integer":
            return int(value)
        if column.kind == "boolean":
            return _boolean(value)
        return _microseconds(value)
    except ValueError as error:
        raise refusal(
            Code.INTERNAL, f"failed to list {what}: {value!r} is not a{'n' * (column.kind[0] == 'i')} {column.kind}"
        ) from error


def _boolean(text: str) -> int:
    # PostgreSQL takes any beginning that can't be another word's.
    word = text.strip().lower()
    for value, words in ((1, ("true", "yes", "on", "1")), (0, ("false", "no", "off", "0"))):
        if word and word != "o" and any(each.startswith(word) for each in words):
            return value
    raise ValueError(text)


def _microseconds(text: str) -> int:
    # Python reads "Z" only from 3.11 on, and before that no other number of decimals than 3 and 6.
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?)?(Z|z|[+-]\d\d:\d\d)?", text.strip())
    if match is None:
        raise ValueError(text)
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone is None or zone in "Zz" else zone
    at = datetime.datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{zone}")
    since = at - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return since // datetime.timedelta(microseconds=1) + int((fraction or "0").ljust(6, "0")[:6])


def _unconvertible(problem: str) -> CallError:
    return refusal(Code.INVALID_ARGUMENT, f"failed to convert filters: {problem}")
