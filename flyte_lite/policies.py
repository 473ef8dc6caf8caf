"""How a task is tried again, for how long it may run, and whether its results are kept."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import math
from collections.abc import Sequence
from typing import Any, Literal, Optional, Protocol, Union

__all__ = ["Backoff", "Cache", "CachePolicy", "RetryStrategy", "Timeout"]

Seconds = Union[datetime.timedelta, int]

_NO_TIME = datetime.timedelta(0)


@dataclasses.dataclass(frozen=True)
class Backoff:
    """How long to wait before a task is tried again: before retry n, counted from 0, `base * factor**n`, at most `cap`.

    Args:
        base: Before the first retry.
        factor: 1 waits equally long each time.
        cap: The longest wait; needed if `factor` is above 1.

    Raises:
        ValueError: A time is negative or not a timedelta, `factor` is below 1, or there is no `cap` where it is needed.
    """

    base: datetime.timedelta
    factor: float = 1.0
    cap: Optional[datetime.timedelta] = None

    def __post_init__(self) -> None:
        for name in ("base", "cap"):
            value = getattr(self, name)
            if value is None and name == "cap":
                continue
            if not isinstance(value, datetime.timedelta) or value < _NO_TIME:
                raise ValueError(f"{name} of a Backoff is {value!r}; give a datetime.timedelta that is not negative")
        if not _is_number(self.factor) or not math.isfinite(self.factor) or self.factor < 1:
            raise ValueError(f"factor of a Backoff is {self.factor!r}; give a number of 1 or more")
        if self.factor > 1 and self.cap is None:
            raise ValueError("a Backoff with a factor above 1 needs a cap: the longest wait")

    def compute_delay(self, n: int) -> datetime.timedelta:
        """The wait before a retry.

        Args:
            n: 0 for the first one.

        Raises:
            ValueError: `n` is negative.
        """
        if n < 0:
            raise ValueError(f"n is {n}; retries are counted from 0")
        try:
            delay = self.base * self.factor**n
        except OverflowError:
            # It only grows without end where there is a cap.
            assert self.cap is not None
            return self.cap
        return delay if self.cap is None else min(delay, self.cap)


@dataclasses.dataclass
class RetryStrategy:
    """How often a task is tried again after a failure of its own code.

    Args:
        count: Tries beside the first one.
        backoff: The waits between them; None waits not at all.

    Raises:
        ValueError: `count` is negative or no int, or `backoff` is none.
    """

    count: int
    backoff: Optional[Backoff] = None

    def __post_init__(self) -> None:
        if not isinstance(self.count, int) or isinstance(self.count, bool) or not 0 <= self.count < 2**32:
            raise ValueError(f"count of a RetryStrategy is {self.count!r}; give an int of 0 or more")
        if self.backoff is not None and not isinstance(self.backoff, Backoff):
            raise ValueError(f"backoff of a RetryStrategy is {self.backoff!r}; give a Backoff")


@dataclasses.dataclass
class Timeout:
    """For how long a task may wait and run; a time that is None or 0 has no limit. Ints are seconds.

    Args:
        max_runtime: Of each attempt, once it runs.
        max_queued_time: Of each attempt, before it starts.
        deadline: From being queued first to the end, all attempts together.

    Raises:
        ValueError: A time is negative, or neither a timedelta nor an int.
    """

    max_runtime: Optional[Seconds] = None
    max_queued_time: Optional[Seconds] = None
    deadline: Optional[Seconds] = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and not _is_time(value):
                raise ValueError(
                    f"{field.name} of a Timeout is {value!r}; give a datetime.timedelta or whole seconds, not negative"
                )

    @classmethod
    def of(cls, given: Union[Timeout, Seconds]) -> Timeout:
        """The same, where a time alone means `max_runtime`.

        Raises:
            ValueError: It is neither.
        """
        return given if isinstance(given, Timeout) else cls(max_runtime=given)


class CachePolicy(Protocol):
    """What makes a cache's version of a task's code. The official SDK brings some; a client can't see that code."""

    def get_version(self, salt: str, params: Any) -> str:
        """The version.

        Args:
            salt: That of the `Cache`.
            params: What is known of the task.
        """
        ...


_BEHAVIORS = ("auto", "override", "disable")
_SAID_OTHERWISE = {
    **dict.fromkeys(("enable", "enabled", "on", "true", "yes"), "auto"),
    **dict.fromkeys(("off", "false", "no", "none"), "disable"),
}


@dataclasses.dataclass
class Cache:
    """Whether results of a task are kept and taken again for equal inputs.

    Args:
        behavior: "disable" keeps none; "override" keeps them under `version_override`; "auto" keeps them under a
            version that is made where the task is deployed, so it can't be chosen here.
        version_override: Results are taken again from the same version only.
        serialize: Of equal actions at the same time one runs, and the others wait for its result.
        ignored_inputs: Names of inputs that do not count; a single one may be given alone.
        salt: Makes other versions of the same code; only where "auto" makes one.
        policies: What makes the version; only where "auto" makes one.
        max_age: Results older than this do not count; an int is seconds, 0 takes any, None leaves it to the platform.

    Raises:
        ValueError: `behavior` is none of these, or `max_age` is negative.
        TypeError: `max_age` is no time.
    """

    behavior: Literal["auto", "override", "disable"]
    version_override: Optional[str] = None
    serialize: bool = False
    ignored_inputs: Union[tuple[str, ...], str] = ()
    salt: str = ""
    policies: Union[Sequence[CachePolicy], CachePolicy, None] = None
    max_age: Optional[Seconds] = None

    def __post_init__(self) -> None:
        said: Any = self.behavior
        if said not in _BEHAVIORS:
            said = _SAID_OTHERWISE.get(said.lower()) if isinstance(said, str) else None
            if said is None:
                raise ValueError(f"behavior of a Cache is {self.behavior!r}; it is one of {', '.join(_BEHAVIORS)}")
            self.behavior = said
        if self.max_age is not None:
            if not isinstance(self.max_age, (int, datetime.timedelta)) or isinstance(self.max_age, bool):
                raise TypeError(f"max_age of a Cache is {self.max_age!r}; give a datetime.timedelta or whole seconds")
            if isinstance(self.max_age, int):
                self.max_age = datetime.timedelta(seconds=self.max_age)
            if self.max_age < _NO_TIME:
                raise ValueError(f"max_age of a Cache is {self.max_age}; it can't be negative")

    def is_enabled(self) -> bool:
        """True if results are kept."""
        return self.behavior != "disable"

    def get_ignored_inputs(self) -> tuple[str, ...]:
        """Names of the inputs that do not count."""
        return (self.ignored_inputs,) if isinstance(self.ignored_inputs, str) else tuple(self.ignored_inputs)

    def get_version(self, params: Any = None) -> str:
        """The version that results are kept under; "" if none are.

        Args:
            params: What the policies get to know of the task.

        Raises:
            ValueError: There is neither a version nor a policy that makes one.
        """
        if not self.is_enabled():
            return ""
        if self.version_override is not None:
            return self.version_override
        policies: Any = self.policies or ()
        policies = policies if isinstance(policies, Sequence) else (policies,)
        if not policies or params is None:
            raise ValueError(
                "this Cache has no version: give version_override=, or ask with policies= and params. (A deployed "
                'task that is cached "auto" has its version on the server.)'
            )
        text = "".join(policy.get_version(self.salt, params) for policy in policies)
        return hashlib.sha256(text.encode()).hexdigest()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_time(value: object) -> bool:
    if isinstance(value, datetime.timedelta):
        return value >= _NO_TIME
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
