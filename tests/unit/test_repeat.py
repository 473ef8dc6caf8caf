from __future__ import annotations

import subprocess
import sys
from typing import Any, Optional

import pytest

from flyte_lite._clock import Cancel, Deadline
from flyte_lite._repeat import repeat


class FakeClock:
    def __init__(self, cancel_at: Optional[float] = None) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.cancel_at = cancel_at

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float, cancel: Optional[Cancel] = None) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if cancel is not None and self.cancel_at is not None and self.now >= self.cancel_at:
            cancel.cancel()


class Doing:
    """Gives or raises one outcome after the other, and remembers which attempt it was told."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.numbers: list[int] = []

    def __call__(self, number: int) -> Any:
        self.numbers.append(number)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def until_done(number: int, value: Any, error: Optional[Exception]) -> Optional[float]:
    return None if value == "done" else float(number)


def test_what_succeeds_at_once_is_done_once() -> None:
    do, clock = Doing("done"), FakeClock()

    assert repeat(do, until_done, Deadline(clock, None)) == "done"
    assert (do.numbers, clock.slept) == ([1], [])


def test_values_and_errors_are_repeated_with_the_delays_that_were_decided() -> None:
    do, clock = Doing("no", ValueError("x"), "no", "done"), FakeClock()

    assert repeat(do, until_done, Deadline(clock, None)) == "done"
    assert do.numbers == [1, 2, 3, 4]
    assert clock.slept == [1.0, 2.0, 3.0]


def test_the_last_error_is_raised_as_it_is_once_the_decision_is_to_stop() -> None:
    last = KeyError("last")
    do = Doing(ValueError("first"), last)

    with pytest.raises(KeyError) as caught:
        repeat(do, lambda number, value, error: 1.0 if number < 2 else None, Deadline(FakeClock(), None))

    assert caught.value is last


def test_an_error_that_is_not_worth_it_is_raised_at_once() -> None:
    do = Doing(ValueError("x"))

    with pytest.raises(ValueError, match="x"):
        repeat(do, lambda *_: None, Deadline(FakeClock(), None))

    assert do.numbers == [1]


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_an_interrupt_is_never_repeated(attempts: int) -> None:
    do = Doing(*["no"] * (attempts - 1), KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        repeat(do, until_done, Deadline(FakeClock(), None))

    assert do.numbers == list(range(1, attempts + 1))


def test_after_the_deadline_what_ends_is_not_repeated() -> None:
    do, clock = Doing(*["no"] * 10), FakeClock()

    assert repeat(do, until_done, Deadline(clock, 3)) == "no"
    assert do.numbers == [1, 2, 3]
    assert clock.now == 3


def test_after_the_deadline_the_last_error_is_raised() -> None:
    do = Doing(*[ValueError(str(nth)) for nth in range(10)])

    with pytest.raises(ValueError, match="2"):
        repeat(do, until_done, Deadline(FakeClock(), 3))


def test_after_a_cancel_in_a_sleep_one_more_attempt_finds_out_why() -> None:
    cancel = Cancel()
    do, clock = Doing(*["no"] * 10), FakeClock(cancel_at=3)

    assert repeat(do, until_done, Deadline(clock, None, cancel)) == "no"
    assert do.numbers == [1, 2, 3]


def test_many_repeats_do_not_pile_up() -> None:
    do, clock = Doing(*["no"] * 3000, "done"), FakeClock()

    assert repeat(do, lambda n, value, error: None if value == "done" else 0.0, Deadline(clock, None)) == "done"
    assert len(do.numbers) == 3001


def test_tenacity_is_loaded_by_the_first_repeat_only() -> None:
    code = """
import sys
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._repeat import repeat
repeat(lambda n: n, lambda *_: None, Deadline(SYSTEM_CLOCK, None))
print("tenacity" in sys.modules)
repeat(lambda n: n, lambda n, *_: 0.0 if n < 2 else None, Deadline(SYSTEM_CLOCK, None))
print("tenacity" in sys.modules, "asyncio" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.split() == ["False", "True", "False"]
