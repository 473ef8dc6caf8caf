"""Lists whose requests hold a `ListRequest`, asked for in the words that the server knows.

Some filters only hosted servers have. They are asked for; where a server refuses them, rows are looked through here,
and the session remembers it.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Optional, Protocol

from flyte_lite._clock import Deadline
from flyte_lite._session import Session
from flyte_lite.errors import CallError, Code
from flyte_lite.idl.flyteidl2.common import list_pb2
from flyte_lite.remote._filters import CREATED_AT, Condition, Order
from flyte_lite.remote._listing import REFUSALS, Walk, paginate

_log = logging.getLogger("flyte_lite")
# Of the year 9999.
_LAST_SECOND = 253_402_300_799
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Lister(Protocol):
    """What asks for a page of a list."""

    def __call__(self, request: list_pb2.ListRequest, deadline: Deadline) -> tuple[Sequence[Any], str]:
        """Its rows, and the token of the next one."""
        ...


def listing(
    session: Session,
    method: str,
    send: Lister,
    *,
    conditions: Sequence[Condition[Any]],
    order: Order,
    sort_keys: str,
    limit: Optional[int],
    key: Callable[[Any], Hashable],
    microseconds: Callable[[Any], Optional[int]],
    deadline: Optional[Deadline] = None,
) -> Iterator[Any]:
    """The rows of a list whose request holds a `ListRequest`; see `paginate`.

    Args:
        method: What asks, such as "ListRuns", for what the session remembers of this server.
        send: Asks for one page.
        conditions: All must hold.
        order: How it is sorted. In order of creation nothing is lost and nothing comes twice, whatever happens
            meanwhile; in any other a row whose place changes may be passed over.
        sort_keys: Those that the open-source server knows, with commas between.
        limit: How many rows in all; None is all there are.
        key: What makes a row the same row.
        microseconds: A row's time of creation since 1970.
        deadline: Of the whole list; None gives each page the session's timeout.

    Raises:
        ValueError: The limit is no number of rows.
    """
    walk: Optional[Walk[Any]] = None
    if order.key == CREATED_AT:
        walk = Walk(
            microseconds,
            ascending=order.ascending,
            loosens=any(condition.passing and condition.here for condition in conditions),
            refused=session.refused,
            name=f"{method} from {CREATED_AT}",
        )
    asking = _Asking(session, method, send, conditions, order, sort_keys, walk, deadline)
    return paginate(
        asking.page,
        limit=limit,
        key=key,
        keep=asking.keep if any(condition.here is not None for condition in conditions) else None,
        walk=walk,
    )


class _Asking:
    """The pages of one list, by the words that this server knows."""

    def __init__(
        self,
        session: Session,
        method: str,
        send: Lister,
        conditions: Sequence[Condition[Any]],
        order: Order,
        sort_keys: str,
        walk: Optional[Walk[Any]],
        deadline: Optional[Deadline],
    ) -> None:
        self._session = session
        self._method = method
        self._send = send
        self._conditions = conditions
        self._order = order
        self._sort_keys = sort_keys
        self._walk = walk
        self._deadline = deadline
        self._here: list[Callable[[Any], bool]] = []
        self._tried: list[str] = []
        self._unknown: set[str] = set()
        self._began = False

    def keep(self, row: Any) -> bool:
        """Whether a row of the last page is wanted."""
        return all(holds(row) for holds in self._here)

    def page(self, limit: int, token: str) -> tuple[Sequence[Any], str]:
        """One page. What the first one finds out of the server holds for all: offsets are those of one question."""
        if self._began:
            return self._ask(limit, token)
        self._unknown = set(self._session.refused)
        passing = False
        while True:
            try:
                page = self._ask(limit, token)
            except CallError as error:
                # Internal may be the words too, but it may as well pass.
                if not self._tried or error.code not in (*REFUSALS, Code.INTERNAL):
                    self._explain(error)
                    raise
                passing = passing or error.code is Code.INTERNAL
                self._unknown.update(self._tried)
                refused = ", ".join(self._tried)
                _log.debug("%s: refused by this server (%s), so it is asked otherwise", refused, error.code)
                continue
            self._began = True
            if not passing:
                self._session.refused.update(self._unknown)
            return page

    def _ask(self, limit: int, token: str) -> tuple[Sequence[Any], str]:
        request = list_pb2.ListRequest(
            limit=limit, token=token, sort_by=self._order.to_protobuf(), filters=[*self._filters(), *self._from()]
        )
        return self._send(request, self._deadline or self._session.deadline())

    def _filters(self) -> list[list_pb2.Filter]:
        """What to ask with. Sets what is to be looked for here, and what the server may not know."""
        filters = []
        self._here, self._tried = [], []
        for condition in self._conditions:
            loose = self._walk is not None and self._walk.loose and condition.passing
            if loose and condition.here is not None:
                self._here.append(condition.here)
                continue
            if condition.rough and condition.here is not None:
                self._here.append(condition.here)
            for way in condition.ways:
                if condition.everywhere:
                    filters.append(way)
                    break
                # All labels are one question.
                field = way.field.partition(".")[0]
                name = f"{self._method} by {field} {list_pb2.Filter.Function.Name(way.function)}"
                if name not in self._unknown:
                    filters.append(way)
                    self._tried.append(name)
                    break
            else:
                assert condition.here is not None
                self._here.append(condition.here)
        return filters

    def _from(self) -> list[list_pb2.Filter]:
        if self._walk is None or self._walk.start is None:
            return []
        at = _EPOCH + datetime.timedelta(microseconds=self._walk.start)
        function = (
            list_pb2.Filter.GREATER_THAN_OR_EQUAL if self._order.ascending else list_pb2.Filter.LESS_THAN_OR_EQUAL
        )
        return [list_pb2.Filter(function=function, field=CREATED_AT, values=[at.isoformat()])]

    def _explain(self, error: CallError) -> None:
        if error.code is Code.INVALID_ARGUMENT and self._order.key not in self._sort_keys.split(", "):
            raise ValueError(
                f"sort_by has the key {self._order.key!r}, by which this server does not sort; "
                f"the open-source server knows {self._sort_keys}"
            ) from error


def microseconds_of(timestamp: Any) -> Optional[int]:
    """A protobuf timestamp as microseconds since 1970; None if it is before that, or in no year that there is."""
    seconds = timestamp.seconds
    return int(seconds * 1_000_000 + timestamp.nanos // 1000) if 0 <= seconds <= _LAST_SECOND else None
