"""Lists, page by page: the one loop behind every `listall`.

Servers page by offset and hold no snapshot. Where rows leave a list while it is read (a run that ends is no running one
any more), all that follow move up, and the next offset passes some over. So a list in order of creation does not go on
at an offset: its next page begins at the time of the last row, and a little before, which nothing that happens
meanwhile can move. The rows that come again are known, and dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Generic, Optional, TypeVar

from flyte_lite.errors import CallError, Code, InternalError

Row = TypeVar("Row")
Send = Callable[[int, str], tuple[Sequence[Row], str]]

MOST = 200
"""Rows of a page at most; the open-source server refuses more."""
_SLACK = 2_000_000
"""Microseconds that a page begins before the last row: the open-source server moves a run's time of creation back by up
to a second when its execution begins, past the place where a reader stands."""
_OVERLAP = MOST // 2
"""Rows that may come again in a page, so that one is never mostly known; the last of those within the time above."""
_IDLE = 100
"""Pages in a row without anything new, after which a list is taken for endless."""
REFUSALS = (Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)
"""What a server answers that does not know a filter."""


def paginate(
    send: Send[Row],
    *,
    limit: Optional[int],
    key: Callable[[Row], Hashable],
    keep: Optional[Callable[[Row], bool]] = None,
    walk: Optional[Walk[Row]] = None,
) -> Iterator[Row]:
    """The rows of a list, page by page, each once.

    Args:
        send: Asks for one page, of so many rows, at a token ("" is the beginning); gives its rows and the next token,
            "" after the last page.
        limit: How many rows in all; None is all there are.
        key: What makes a row the same row.
        keep: Whether a row is wanted; those that are not do not count for `limit`.
        walk: How to go on by time, for a list in order of creation; None goes on by tokens alone and remembers every
            key.

    Returns:
        An iterator. If a page fails for good, the rows before it were given and the error is raised.

    Raises:
        ValueError: The limit is no number of rows.
    """
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise ValueError(f"limit is {limit!r}; give how many there may be in all, or None for all")
    return _rows(send, limit, key, keep, walk)


def _rows(
    send: Send[Row],
    wanted: Optional[int],
    key: Callable[[Row], Hashable],
    keep: Optional[Callable[[Row], bool]],
    walk: Optional[Walk[Row]],
) -> Iterator[Row]:
    seen: dict[Hashable, Optional[int]] = {}
    token, size, dropped = "", MOST, False
    tokens = _Tokens()
    while wanted is None or wanted > 0:
        again = 0 if walk is None else walk.overlap
        if wanted is not None:
            # Where rows are dropped here, nobody knows how many it takes.
            size = MOST if dropped else min(MOST, wanted + again)
        try:
            rows, following = send(size, token)
        except CallError as error:
            if walk is None or token or not walk.refused_by(error):
                raise
            token = walk.leave()
            continue
        if walk is not None and not token:
            instead = walk.instead(rows, any(key(row) in seen for row in rows))
            if instead is not None:
                token = instead
                continue
        fresh = False
        for row in rows:
            which = key(row)
            if which in seen:
                continue
            seen[which] = None if walk is None else walk.time_of(row)
            fresh = True
            if keep is not None and not keep(row):
                dropped = True
                continue
            yield row
            if wanted is not None:
                wanted -= 1
                if not wanted:
                    return
        if not following:
            return
        tokens.check(following, fresh)
        token = following if walk is None else walk.after(seen, following)
        if token != following:
            tokens.begin()


class _Tokens:
    """Notices a list that never ends. Its memory is two tokens, however long the list is."""

    def __init__(self) -> None:
        self._idle = 0
        self._kept = ""
        self._steps = 0
        self._power = 1

    def begin(self) -> None:
        """The next page has a new beginning, from which the same tokens may come."""
        self._kept = ""

    def check(self, token: str, fresh: bool) -> None:
        """Look at the token that a page gave.

        Raises:
            InternalError: The list goes in circles, or goes on without giving anything.
        """
        self._idle = 0 if fresh else self._idle + 1
        circle = not fresh and token == self._kept
        if circle or self._idle >= _IDLE:
            how = "in circles" if circle else f"on for {_IDLE} pages without anything new"
            raise InternalError(f"the server's list goes {how}, so no more of it can be read", Code.INTERNAL)
        # Brent's way to find a circle: keep one, and another one after twice as many.
        if fresh or self._steps == self._power:
            self._kept, self._steps = token, 0
            self._power = 1 if fresh else self._power * 2
        self._steps += 1


class Walk(Generic[Row]):
    """How a list in order of creation goes on: by time where that is sound, else by the server's tokens.

    That a page is where it should be shows in a row that has come before: all rows after that one are in it too. None
    comes if all of them have left the list meanwhile; then the same is asked without what they can leave by. If none
    comes even so, this server's time of creation is not what its rows show, and its tokens must do; and so they must
    for one that passes over the time that it is asked for.

    Args:
        microseconds: A row's time of creation since 1970; None if it does not show it.
        ascending: Oldest first.
        loosens: True if `loose` makes a difference.
        refused: Questions that the server does not take, which outlive the list.
        name: What this one is called there.

    Attributes:
        start: Where the next page begins, in microseconds since 1970; None is at its token.
        loose: True if it is to hold what has left the list, too.
        overlap: Rows of it that have come before, at most.
    """

    def __init__(
        self,
        microseconds: Callable[[Row], Optional[int]],
        *,
        ascending: bool,
        loosens: bool,
        refused: set[str],
        name: str,
    ) -> None:
        self.time_of = microseconds
        self.start: Optional[int] = None
        self.loose = False
        self.overlap = 0
        # How the next page is asked for if not from a time: a token means something only where it was given.
        self._last: tuple[Optional[int], bool, str] = (None, False, "")
        self._sign = 1 if ascending else -1
        # As a distance in the direction of the list: what comes before it may be forgotten.
        self._remembered = 0
        self._loosens = loosens
        self._refused = refused
        self._name = name
        self._active = name not in refused

    def refused_by(self, error: CallError) -> bool:
        """True if the server refuses to begin at a time."""
        if self.start is None or error.code not in REFUSALS:
            return False
        self._refused.add(self._name)
        return True

    def leave(self) -> str:
        """Go on by tokens alone from the last page on; the one to go on with."""
        self._active, self.overlap = False, 0
        self.start, self.loose, token = self._last
        return token

    def instead(self, rows: Sequence[Row], known: bool) -> Optional[str]:
        """Look at the first page of a new beginning: None if it is right, or the token to ask at in its place.

        Args:
            rows: Of it.
            known: One of them has come before.
        """
        if self.start is None or (known and not self._is_passed_over(rows)):
            return None
        if not known and self._loosens and not self.loose:
            self.loose = True
            return ""
        return self.leave()

    def _is_passed_over(self, rows: Sequence[Row]) -> bool:
        """Whether rows are there from so long before the beginning that they may be forgotten already."""
        times = [at for at in map(self.time_of, rows) if at is not None]
        return any(self._sign * at < self._remembered for at in times)

    def after(self, seen: dict[Hashable, Optional[int]], following: str) -> str:
        """The token of the next page; "" with `start` where it begins at a time.

        Args:
            seen: What came, in order, with its times. What can't come again is forgotten.
            following: The server's token.
        """
        if not self._active:
            return following
        if None in seen.values():
            self._active = False
            return following
        # As distances from the last row, so that one rule is for both directions.
        ordered = sorted((self._sign * at for at in seen.values() if at is not None), reverse=True)
        last = ordered[0]
        self._remembered = last - _SLACK
        self._forget(seen)
        begin = self._beginning(ordered)
        held = self._sign * self.start if self.start is not None else None
        last_page = (self.start, self.loose, following)
        if begin is None and self._loosens and not self.loose:
            # More rows of one time than a page takes: offsets must do among them, so nothing may leave.
            begin, self.loose = last, True
        elif begin is None or (held is not None and begin <= held):
            return following
        else:
            self.loose = False
        self.start, self._last = self._sign * begin, last_page
        self.overlap = sum(at >= begin for at in ordered)
        return ""

    @staticmethod
    def _beginning(ordered: list[int]) -> Optional[int]:
        """The time to begin at, so that few rows come again; None if the last rows are too many of one time."""
        near = ordered[0] - _SLACK
        if len(ordered) <= _OVERLAP or ordered[_OVERLAP] < near:
            return near
        later = [at for at in ordered[:_OVERLAP] if at > ordered[_OVERLAP]]
        return later[-1] if later else None

    def _forget(self, seen: dict[Hashable, Optional[int]]) -> None:
        for which in list(seen)[: -2 * MOST]:
            at = seen[which]
            if at is not None and self._sign * at >= self._remembered:
                return
            del seen[which]
