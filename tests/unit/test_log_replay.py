"""A log that is told again, from anywhere, gives each line once."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from flyte_lite.idl.flyteidl2.logs.dataplane import payload_pb2
from flyte_lite.remote import _log_replay
from flyte_lite.remote._log_replay import LogReplay

Line = payload_pb2.LogLine


def line(text: str, at: int | None = None) -> Line:
    made = Line(message=text)
    if at is not None:
        made.timestamp.FromMicroseconds(at)
    return made


def log(count: int, *, together: int = 1, alike: int = 1) -> list[Line]:
    """Lines of which so many share a time, and so many in a row say the same."""
    return [line(f"line {number // alike}", 1 + number // together) for number in range(count)]


class Reader:
    """Reads a log in pieces, as a connection that is lost now and then gives it."""

    def __init__(self) -> None:
        self.replay = LogReplay()
        self.read: list[Line] = []

    def told(self, lines: Sequence[Line], *, batch: int = 7, ended: bool = False) -> Reader:
        self.replay.opened()
        for start in range(0, len(lines), batch):
            self.read += self.replay.fresh(lines[start : start + batch])
        if ended:
            self.read += self.replay.ended()
        return self


def texts(lines: Sequence[Line]) -> list[str]:
    return [line.message for line in lines]


@pytest.mark.parametrize("seen", [0, 1, 2, 40, 99, 100])
@pytest.mark.parametrize("begin", [0, 1, 30])
def test_what_was_read_is_not_given_again(seen: int, begin: int) -> None:
    lines = log(100)
    reader = Reader().told(lines[:seen])

    reader.told(lines[min(begin, seen and seen - 1) :])

    assert texts(reader.read) == texts(lines)
    assert not reader.replay.doubt


def test_lines_of_one_time_are_told_apart_by_their_order() -> None:
    lines = log(2000, together=2000)
    reader = Reader().told(lines[:1200])

    reader.told(lines[700:])

    assert texts(reader.read) == texts(lines)


def test_times_that_step_back_do_not_matter() -> None:
    lines = [line("a", 5), line("b", 3), line("c", 5), line("d", 4), line("e", 1)]
    reader = Reader().told(lines[:3])

    reader.told(lines[1:])

    assert (texts(reader.read), reader.replay.doubt) == (list("abcde"), False)


def test_equal_lines_are_counted() -> None:
    lines = [line("same", 1)] * 10
    reader = Reader().told(lines[:4])

    reader.told(lines)

    assert (len(reader.read), reader.replay.doubt) == (10, False)


def test_a_repetition_that_could_be_longer_or_shorter_is_in_doubt() -> None:
    """Two equal lines at its beginning are one that was read and a new one, or two that were read."""
    reader = Reader().told([line("start", 1), line("dot", 2), line("dot", 2)])

    reader.told([line("dot", 2), line("dot", 2), line("end", 3)])

    assert texts(reader.read) == ["start", "dot", "dot", "end"]
    assert reader.replay.doubt


def test_a_long_log_from_its_very_beginning_goes_on_where_it_was() -> None:
    lines = log(3 * _log_replay.KEPT, together=10_000, alike=3)
    seen = 2 * _log_replay.KEPT + 1

    reader = Reader().told(lines[:seen], batch=1000).told(lines, batch=100)

    assert len(reader.read) == len(lines)
    assert texts(reader.read) == texts(lines)
    assert not reader.replay.doubt


def test_a_long_log_from_its_last_lines_goes_on_where_it_was() -> None:
    lines = log(3 * _log_replay.KEPT, together=10_000)
    seen = 2 * _log_replay.KEPT

    reader = Reader().told(lines[:seen], batch=1000).told(lines[seen - 1000 :], batch=100)

    assert texts(reader.read) == texts(lines)
    assert not reader.replay.doubt


def test_another_log_that_begins_like_a_long_one_is_in_doubt() -> None:
    lines = log(2 * _log_replay.KEPT)
    other = lines[: _log_replay.SURE + 10] + [line("other", 10_000_000 + number) for number in range(len(lines))]

    reader = Reader().told(lines).told(other)

    assert reader.replay.doubt


def test_what_does_not_hang_together_with_what_was_read_is_in_doubt() -> None:
    lines = log(3000)
    reader = Reader().told(lines[:1000])

    reader.told(lines[1500:])

    assert texts(reader.read) == texts(lines[:1000] + lines[1500:])
    assert reader.replay.doubt


def test_without_a_common_line_the_older_ones_are_left_out() -> None:
    """As where a store keeps times less precisely than the stream told them."""
    reader = Reader().told([line("a", 1_001), line("b", 2_002)])

    reader.told([line("a", 1_000), line("b", 2_000), line("c", 3_000)])

    assert (texts(reader.read), reader.replay.doubt) == (["a", "b", "c"], True)


def test_lines_without_a_time_are_known_by_their_order_too() -> None:
    lines = [line(f"line {number}") for number in range(50)]

    reader = Reader().told(lines[:30]).told(lines[10:])

    assert (texts(reader.read), reader.replay.doubt) == (texts(lines), False)


def test_a_repetition_that_breaks_off_changes_nothing() -> None:
    lines = log(100)
    reader = Reader().told(lines[:50]).told(lines[:20]).told(lines[:49]).told(lines)

    assert (texts(reader.read), reader.replay.doubt) == (texts(lines), False)


def test_a_repetition_that_ends_before_what_was_read_is_behind() -> None:
    lines = log(100)
    reader = Reader().told(lines[:50])

    assert reader.told(lines[:20], ended=True).replay.behind
    assert not reader.told(lines, ended=True).replay.behind
    assert texts(reader.read) == texts(lines)


def test_the_beginning_of_a_long_log_is_behind_although_its_first_line_is_as_its_last() -> None:
    seen = [line("----", 1), *log(2 * _log_replay.KEPT), line("----", 1)]
    reader = Reader().told(seen)

    reader.told(seen[: _log_replay.SURE + 50], ended=True)

    assert reader.replay.behind
    assert len(reader.read) == len(seen)


def test_without_a_common_line_those_of_the_last_time_are_given() -> None:
    reader = Reader().told([line("a", 1), line("b", 2)])

    reader.told([line("older", 1), line("as old", 2), line("newer", 3)])

    assert texts(reader.read) == ["a", "b", "as old", "newer"]
    assert reader.replay.doubt


def test_lines_held_back_come_with_the_end() -> None:
    """Whether "q" is new can't be told until a third line is or is not there."""
    reader = Reader().told([line("p", 1), line("q", 1), line("p", 1)])
    told_again = [line("p", 1), line("q", 1)]

    assert len(reader.told(told_again).read) == 3
    assert texts(reader.told(told_again, ended=True).read) == ["p", "q", "p", "q"]
    assert reader.replay.doubt, "they may be the first two of three"


def test_what_follows_a_repetition_that_can_be_no_longer_is_in_no_doubt() -> None:
    reader = Reader().told([line("p", 1), line("q", 1), line("p", 1)])

    reader.told([line("p", 1), line("r", 2)], ended=True)

    assert texts(reader.read) == ["p", "q", "p", "r"]
    assert not reader.replay.doubt


@pytest.mark.parametrize("seed", range(60))
def test_any_log_with_any_breaks_arrives_once_each(seed: int) -> None:
    dice = random.Random(seed)
    lines = log(dice.randint(1, 400), together=dice.choice([1, 5, 1000]), alike=1)
    reader = Reader()
    while len(reader.read) < len(lines):
        written = dice.randint(len(reader.read), len(lines))
        window = dice.choice([len(lines), max(1, written - len(reader.read) + dice.randint(1, 30))])
        cut = dice.randint(0, written)
        reader.told(lines[max(0, written - window) : cut], batch=dice.randint(1, 50))

    assert texts(reader.read) == texts(lines)
    assert not reader.replay.doubt
