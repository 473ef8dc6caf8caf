"""Lists: limits, tokens, filters and sort keys mean what they mean on the real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from flyte_lite import errors
from flyte_lite.devbox.state.database import Database
from flyte_lite.devbox.state.query import Column, page
from flyte_lite.idl.flyteidl2.common import list_pb2

COLUMNS = {
    "name": Column("name"),
    "size": Column("size", "integer"),
    "at": Column("at", "time"),
    "ghost": Column(""),
}
F = list_pb2.Filter
Found = Callable[[list_pb2.ListRequest], "list[str]"]
SECOND = 1_000_000
# 2026-01-02T03:04:05Z
NOON = 1767323045 * SECOND


@pytest.fixture
def found() -> Iterator[Found]:
    database = Database()
    database.run("CREATE TABLE thing (name TEXT, size INTEGER, at INTEGER)")
    rows = [("env.add", 1, NOON), ("env.sub", 2, NOON + SECOND // 2), ("ENV_add", None, None), (None, 4, NOON + SECOND)]
    for row in rows:
        database.run("INSERT INTO thing VALUES (?, ?, ?)", row)

    def select(request: list_pb2.ListRequest) -> list[str]:
        end, arguments = page(request, COLUMNS, "rowid", "rowid", "things").clause()
        return [str(name) for (name,) in database.all(f"SELECT name FROM thing{end}", arguments)]

    yield select
    database.close()


def filtered(field: str, function: F.Function.ValueType, *values: str) -> list_pb2.ListRequest:
    return list_pb2.ListRequest(filters=[F(field=field, function=function, values=values)])


def sorted_by(key: str, ascending: bool) -> list_pb2.ListRequest:
    direction = list_pb2.Sort.ASCENDING if ascending else list_pb2.Sort.DESCENDING
    return list_pb2.ListRequest(sort_by_fields=[list_pb2.Sort(key=key, direction=direction)])


@pytest.mark.parametrize(
    ("field", "function", "values", "names"),
    [
        ("name", F.EQUAL, ["env.add"], ["env.add"]),
        ("name", F.NOT_EQUAL, ["env.add"], ["env.sub", "ENV_add"]),
        ("name", F.VALUE_IN, ["env.add", "env.sub", "x"], ["env.add", "env.sub"]),
        ("name", F.CONTAINS, ["v.a"], ["env.add"]),
        ("name", F.CONTAINS, ["V.A"], []),
        ("name", F.CONTAINS, ["v_a%"], ["env.add"]),
        ("name", F.CONTAINS, [r"V\_a"], ["ENV_add"]),
        ("name", F.CONTAINS_CASE_INSENSITIVE, ["V.A"], ["env.add"]),
        ("name", F.ENDS_WITH, ["add"], ["env.add", "ENV_add"]),
        ("name", F.NOT_ENDS_WITH, ["add"], ["env.sub"]),
        ("size", F.GREATER_THAN, ["1"], ["env.sub", "None"]),
        ("size", F.GREATER_THAN_OR_EQUAL, ["1"], ["env.add", "env.sub", "None"]),
        ("size", F.LESS_THAN, ["2"], ["env.add"]),
        ("size", F.VALUE_IN, ["1", "4"], ["env.add", "None"]),
        ("at", F.EQUAL, ["2026-01-02T03:04:05Z"], ["env.add"]),
        ("at", F.EQUAL, ["2026-01-02T05:04:05.5+02:00"], ["env.sub"]),
        ("at", F.LESS_THAN_OR_EQUAL, ["2026-01-02T03:04:05.500000000Z"], ["env.add", "env.sub"]),
        ("at", F.GREATER_THAN, ["2026-01-02"], ["env.add", "env.sub", "None"]),
    ],
)
def test_a_filter_keeps_what_it_names(
    found: Found,
    field: str,
    function: F.Function.ValueType,
    values: list[str],
    names: list[str],
) -> None:
    assert found(filtered(field, function, *values)) == names


def test_filters_must_all_hold(found: Found) -> None:
    request = filtered("name", F.ENDS_WITH, "add")
    request.filters.add(field="size", function=F.EQUAL, values=["1"])

    assert found(request) == ["env.add"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (list_pb2.ListRequest(limit=201), "invalid limit: 201 (exceeds maximum of 200)"),
        (list_pb2.ListRequest(token="x"), 'invalid token: "x"'),
        (list_pb2.ListRequest(token="-1"), 'invalid token: "-1"'),
        (list_pb2.ListRequest(token="1.0"), 'invalid token: "1.0"'),
        (filtered("nope", F.EQUAL, "x"), "failed to convert filters: invalid filter field: nope"),
        (filtered("name", F.EXISTS, "x"), "failed to convert filters: unsupported filter function: EXISTS"),
        (filtered("name", F.NOT_EXISTS), "failed to convert filters: unsupported filter function: NOT_EXISTS"),
        (filtered("name", F.VALUE_NOT_IN, "x"), "failed to convert filters: unsupported filter function: VALUE_NOT_IN"),
        (filtered("name", F.EQUAL), "failed to convert filters: filter name has no values"),
        (sorted_by("nope", True), "invalid sort field: nope"),
        (sorted_by("", True), "invalid sort field: "),
    ],
)
def test_what_is_not_allowed_is_refused_with_the_servers_words(
    found: Found, request_: list_pb2.ListRequest, message: str
) -> None:
    with pytest.raises(errors.InvalidArgumentError) as caught:
        found(request_)

    assert caught.value.message == message


@pytest.mark.parametrize(
    "request_",
    [
        filtered("name", F.VALUE_IN, "lone"),
        filtered("name", F.EQUAL, "one", "two"),
        filtered("size", F.CONTAINS, "1"),
        filtered("size", F.EQUAL, "QUEUED"),
        filtered("at", F.EQUAL, "noon"),
        filtered("ghost", F.EQUAL, "1"),
        sorted_by("ghost", True),
    ],
)
def test_what_the_real_database_would_refuse_is_internal(found: Found, request_: list_pb2.ListRequest) -> None:
    with pytest.raises(errors.InternalError, match="failed to list things"):
        found(request_)


def test_absent_values_are_the_greatest(found: Found) -> None:
    assert found(sorted_by("size", ascending=False)) == ["ENV_add", "None", "env.sub", "env.add"]
    assert found(sorted_by("size", ascending=True)) == ["env.add", "env.sub", "None", "ENV_add"]


def test_the_older_sort_key_counts_only_without_the_newer_ones(
    found: Found,
) -> None:
    request = list_pb2.ListRequest(sort_by=list_pb2.Sort(key="size", direction=list_pb2.Sort.ASCENDING), limit=1)

    assert found(request) == ["env.add"]

    request.sort_by_fields.add(key="size")
    assert found(request) == ["ENV_add"]


def test_a_token_is_an_offset(found: Found) -> None:
    assert found(list_pb2.ListRequest(limit=2, token="+1")) == ["env.sub", "ENV_add"]
    assert found(list_pb2.ListRequest(token="99")) == []
