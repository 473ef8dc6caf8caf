"""Why an attempt did not succeed, from how its process ended. Pure.

Codes are those that clients know classes of exceptions for, where there are any.
"""

from __future__ import annotations

import signal
from typing import NamedTuple, Optional

from flyte_lite.devbox.limits import Limits
from flyte_lite.devbox.process import Ending
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2


class Failure(NamedTuple):
    """Why an attempt did not succeed.

    Attributes:
        code: In one word.
        message: In a sentence.
        user: True if it is the task's fault.
        timed_out: True if one of its limits in time was reached.
        final: True if no retry may follow.
    """

    code: str
    message: str
    user: bool = False
    timed_out: bool = False
    final: bool = False

    @property
    def phase(self) -> phase_pb2.ActionPhase.ValueType:
        """What the action becomes if no retry follows."""
        return phase_pb2.ACTION_PHASE_TIMED_OUT if self.timed_out else phase_pb2.ACTION_PHASE_FAILED

    def error_info(self) -> run_definition_pb2.ErrorInfo:
        """As clients are told."""
        kind = run_definition_pb2.ErrorInfo.KIND_USER if self.user else run_definition_pb2.ErrorInfo.KIND_SYSTEM
        # Python's texts may hold halves of characters, protobuf's may not.
        code, message = (text.encode(errors="replace").decode() for text in (self.code, self.message))
        return run_definition_pb2.ErrorInfo(message=message, kind=kind, code=code)


def stopped(attempt: int) -> Failure:
    """The devbox stopped in the midst of it."""
    return Failure("DevboxStopped", f"the devbox stopped while attempt {attempt} ran")


def ran_too_long(limits: Limits) -> Failure:
    """The attempt's own limit was reached."""
    text = f"the attempt took longer than the {limits.attempt:g} s that the task allows"
    return Failure("MaxRuntimeExceededError", text, user=True, timed_out=True)


def waited_too_long(limits: Limits) -> Failure:
    """No worker was free in time."""
    text = f"it waited longer for a worker than the {limits.queued:g} s that the task allows"
    return Failure("MaxQueuedTimeExceededError", text, timed_out=True, final=True)


def past_deadline(limits: Limits) -> Failure:
    """The limit for all attempts together was reached."""
    text = f"it did not end within the {limits.deadline:g} s that the task allows for all attempts together"
    return Failure("DeadlineExceededError", text, user=True, timed_out=True, final=True)


def failure_of(ending: Ending, limits: Limits) -> Optional[Failure]:
    """What went wrong in a process that ended by itself; None if it told outputs."""
    if ending.outputs is not None:
        return None
    if ending.error is not None:
        code, message = ending.error["code"], ending.error["message"]
        if limits.memory is not None and ending.error["memory"]:
            told = f": {message}" if message else ""
            return Failure(
                "OOMKilled", f"the task needed more than the {limits.memory} of memory it may take{told}", True
            )
        return Failure(code, message, ending.error["user"])
    if ending.status >= 0:
        return Failure("WorkerDied", f"the task's process ended with exit code {ending.status} and told no result")
    text = f"the task's process was killed by {_signal_name(-ending.status)}"
    if limits.memory is not None and -ending.status == signal.SIGKILL:
        # Not by us, so most likely by a system that was short of memory, as in a container.
        return Failure("OOMKilled", f"{text}; it may take {limits.memory} of memory", True)
    return Failure("WorkerDied", text)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
