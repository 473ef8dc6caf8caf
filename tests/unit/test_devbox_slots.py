"""Slots of the devbox's workers: who has one, who lends his, who is next."""

from __future__ import annotations

import threading

from flyte_lite.devbox.slots import Slots


class Told:
    """What was called, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self) -> None:
        self.names.append("free")


def made(count: int) -> tuple[Slots, Told]:
    told = Told()
    return Slots(count, threading.Condition(), told), told


def test_a_lent_slot_is_free_for_others() -> None:
    slots, told = made(1)
    first = slots.take()
    assert slots.free == 0

    first.lend()

    assert slots.free == 1
    assert told.names == ["free"]
    assert first.allows()


def test_it_is_had_back_once_nothing_is_waited_for() -> None:
    slots, told = made(1)
    first = slots.take()
    attempt = first.lend()
    first.lend()

    first.claim(attempt, lambda: told.names.append("first"))
    assert "first" not in told.names
    assert first.allows()
    first.claim(attempt, lambda: told.names.append("first"))

    assert told.names[-1] == "first"
    assert slots.free == 0
    assert first.allows()


def test_those_who_return_go_before_those_who_begin() -> None:
    slots, told = made(1)
    first = slots.take()
    attempt = first.lend()
    second = slots.take()
    told.names.clear()

    first.claim(attempt, lambda: told.names.append("first"))
    assert not first.allows()
    assert told.names == []
    second.close()

    assert told.names == ["first"]
    assert first.allows()
    assert slots.free == 0


def test_who_waits_anew_gives_up_his_place_in_the_row() -> None:
    slots, told = made(1)
    first = slots.take()
    attempt = first.lend()
    second = slots.take()
    first.claim(attempt, lambda: told.names.append("first"))
    told.names.clear()

    first.lend()
    second.close()

    assert first.allows()
    assert slots.free == 1
    assert told.names == ["free"]


def test_what_ends_after_its_caller_takes_no_slot() -> None:
    slots, told = made(2)
    first = slots.take()
    attempt = first.lend()
    first.close()

    first.claim(attempt, lambda: told.names.append("first"))

    assert slots.free == 2
    assert "first" not in told.names


def test_an_attempt_after_another_one_has_its_slot_again() -> None:
    slots, told = made(1)
    first = slots.take()
    earlier = first.lend()
    first.hold()
    assert slots.free == 0
    first.lend()

    # Of what the earlier attempt waited for.
    first.claim(earlier, lambda: told.names.append("earlier"))

    assert slots.free == 1
    assert "earlier" not in told.names


def test_closing_lets_nobody_wait() -> None:
    slots, _ = made(1)
    first = slots.take()
    first.lend()
    slots.take()
    slots.close()

    first.hold()

    assert not first.allows()
