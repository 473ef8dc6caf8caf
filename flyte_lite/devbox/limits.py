"""What a task may take: time to wait, time to run, memory. In a declaration, in a template, and back."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import NamedTuple, Optional, Union

from flyte_lite.idl.flyteidl2.core import tasks_pb2
from flyte_lite.idl.google.protobuf.duration_pb2 import Duration

_FACTORS = {
    "": 1,
    **{unit: 1000**power for power, unit in enumerate(("k", "M", "G", "T", "P"), 1)},
    **{unit: 1024**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)},
}


class Limits(NamedTuple):
    """Limits of a task; None is none.

    Attributes:
        attempt: Seconds that an attempt may run.
        queued: Seconds that it may wait for a worker.
        deadline: Seconds from being queued first to the end, with all attempts.
        memory: As Kubernetes writes it, such as "512Mi".
    """

    attempt: Optional[float] = None
    queued: Optional[float] = None
    deadline: Optional[float] = None
    memory: Optional[str] = None

    @classmethod
    def declared(
        cls,
        timeout: Optional[Union[float, timedelta]] = None,
        queued_timeout: Optional[Union[float, timedelta]] = None,
        deadline: Optional[Union[float, timedelta]] = None,
        memory: Optional[Union[int, str]] = None,
    ) -> Limits:
        """The limits that a decorator's arguments mean.

        Raises:
            ValueError: One is not above 0, or is no amount.
        """
        if memory is not None and not _bytes(str(memory)):
            raise ValueError(f"memory must be an amount above 0, such as '512Mi' or 2_000_000_000, not {memory!r}")
        return cls(
            _seconds("timeout", timeout),
            _seconds("queued_timeout", queued_timeout),
            _seconds("deadline", deadline),
            None if memory is None else str(memory),
        )

    @classmethod
    def of(cls, template: tasks_pb2.TaskTemplate) -> Limits:
        """Those that a template tells; what can't be understood is no limit."""
        metadata = template.metadata
        memory = [
            limit.value
            for limit in template.container.resources.limits
            if limit.name == tasks_pb2.Resources.MEMORY and _bytes(limit.value)
        ]
        return cls(
            _told(metadata.timeout),
            _told(metadata.timeouts.queued_timeout),
            _told(metadata.timeouts.deadline),
            memory[-1] if memory else None,
        )

    def write(self, template: tasks_pb2.TaskTemplate) -> None:
        """Tell them in a template."""
        metadata = template.metadata
        if self.attempt is not None:
            metadata.timeout.FromNanoseconds(round(self.attempt * 1e9))
        if self.queued is not None:
            metadata.timeouts.queued_timeout.FromNanoseconds(round(self.queued * 1e9))
        if self.deadline is not None:
            metadata.timeouts.deadline.FromNanoseconds(round(self.deadline * 1e9))
        if self.memory is not None:
            template.container.resources.limits.add(name=tasks_pb2.Resources.MEMORY, value=self.memory)

    @property
    def memory_bytes(self) -> Optional[int]:
        """The memory as a number."""
        return None if self.memory is None else _bytes(self.memory)


def _seconds(name: str, given: Optional[Union[float, timedelta]]) -> Optional[float]:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if seconds is not None and not 0 < seconds < math.inf:
        raise ValueError(f"{name} must be above 0 seconds, not {seconds:g}")
    return seconds


def _told(duration: Duration) -> Optional[float]:
    # Not protobuf's own conversion, which refuses what others may send.
    seconds = duration.seconds + duration.nanos / 1e9
    return seconds if seconds > 0 else None


def _bytes(amount: str) -> int:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMGTP]i?|Ki|)", amount)
    # Not "ki": Kubernetes does not know it.
    return int(float(match[1]) * _FACTORS.get(match[2], 0)) if match else 0
