"""A server's list of runs that may change between two pages, paged by offset as the real one's is."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any, Optional

from fakes import FakeChannel

from flyte_lite._client import Client
from flyte_lite.errors import Code, InvalidArgumentError
from flyte_lite.idl.flyteidl2.common import list_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.remote import Run

RUNNING, SUCCEEDED, FAILED = 4, 5, 6
SECOND = 1_000_000
START = 1_700_000_000_000_000
_F = list_pb2.Filter
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class RunList:
    """Runs by name: time of creation in microseconds, and phase.

    Attributes:
        between: Called before each page with its number, from 0.
        unknown: Fields that filters may not name.
        lag: Microseconds by which rows show a later time than the one that is filtered by.
        pages: The requests that came.
    """

    def __init__(self, between: Optional[Callable[[int], None]] = None) -> None:
        self.created: dict[str, int] = {}
        self.phase: dict[str, int] = {}
        self.subject: dict[str, str] = {}
        self.between = between or (lambda page: None)
        self.unknown: set[str] = set()
        self.lag = 0
        self.timeless: set[str] = set()
        self.pages: list[list_pb2.ListRequest] = []

    def add(self, name: str, created: int, phase: int = RUNNING) -> None:
        self.created[name], self.phase[name] = START + created, phase

    def channel(self) -> FakeChannel:
        return FakeChannel().on("RunService/ListRuns", self.answer)

    def answer(self, request: run_service_pb2.ListRunsRequest) -> Any:
        asked = request.request
        self.between(len(self.pages))
        kept = list_pb2.ListRequest()
        kept.CopyFrom(asked)
        self.pages.append(kept)
        assert 0 < asked.limit <= 200, "the open-source server refuses it"
        names = list(self.created)
        for each in asked.filters:
            field = each.field.partition(".")[0]
            if field in self.unknown or (each.function == _F.EXISTS and "EXISTS" in self.unknown):
                return InvalidArgumentError(f"invalid filter field: {each.field}", Code.INVALID_ARGUMENT)
            names = [name for name in names if self._holds(name, each)]
        rows = sorted(names, key=lambda name: self._place(name, asked.sort_by), reverse=self._down(asked.sort_by))
        offset = int(asked.token or 0)
        page = rows[offset : offset + asked.limit]
        answer = run_service_pb2.ListRunsResponse(
            token=str(offset + len(page)) if offset + len(page) < len(rows) else ""
        )
        for name in page:
            action = answer.runs.add().action
            action.id.name, action.id.run.name = "a0", name
            action.id.run.project, action.id.run.domain = "p", "d"
            action.status.phase = self.phase[name]  # type: ignore[assignment]
            if name not in self.timeless:
                action.status.start_time.FromMicroseconds(self.created[name] + self.lag)
        return answer

    def _holds(self, name: str, asked: list_pb2.Filter) -> bool:
        if asked.field == "phase":
            assert asked.function == (_F.EQUAL if len(asked.values) == 1 else _F.VALUE_IN)
            return str(self.phase[name]) in asked.values
        if asked.field in ("created_by", "created_by_subject"):
            return self.subject.get(name) == asked.values[0]
        assert asked.field == "created_at", asked
        bound = datetime.datetime.fromisoformat(asked.values[0]) - _EPOCH
        at = bound // datetime.timedelta(microseconds=1)
        if asked.function == _F.GREATER_THAN_OR_EQUAL:
            return self.created[name] >= at
        if asked.function == _F.LESS_THAN_OR_EQUAL:
            return self.created[name] <= at
        assert asked.function == _F.LESS_THAN
        return self.created[name] < at

    def _place(self, name: str, sort: list_pb2.Sort) -> tuple[Any, ...]:
        return {"created_at": (self.created[name], name), "phase": (self.phase[name], name), "run_name": (name,)}[
            sort.key
        ]

    @staticmethod
    def _down(sort: list_pb2.Sort) -> bool:
        return sort.direction == list_pb2.Sort.DESCENDING


def names(found: Iterator[Any]) -> list[str]:
    return [each.name for each in found]


def runs(channel: FakeChannel) -> type[Run]:
    return Client._over(channel.session()).runs


def numbered(count: int, step: int = SECOND, phase: int = RUNNING) -> RunList:
    """r00000, r00001, ..., one every `step` microseconds."""
    kept = RunList()
    for nth in range(count):
        kept.add(f"r{nth:05}", nth * step, phase)
    return kept
