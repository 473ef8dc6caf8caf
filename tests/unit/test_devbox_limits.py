"""Limits of tasks: declared, told in a template, and what comes of reaching them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, Optional

import pytest

from flyte_lite import errors
from flyte_lite.devbox import failure
from flyte_lite.devbox.failure import Failure, failure_of
from flyte_lite.devbox.limits import Limits
from flyte_lite.devbox.process import Ending
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.core import tasks_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.remote._failures import failure_of as client_s_view

LIMITS = Limits(1.5, 2.0, 3.0, "512Mi")


def test_limits_go_into_a_template_and_come_back() -> None:
    template = tasks_pb2.TaskTemplate()

    Limits.declared(timedelta(seconds=1.5), 2, timedelta(seconds=3), "512Mi").write(template)

    assert template.metadata.timeout.ToMilliseconds() == 1500
    assert template.metadata.timeouts.queued_timeout.ToMilliseconds() == 2000
    assert template.metadata.timeouts.deadline.ToMilliseconds() == 3000
    assert template.container.resources.limits[0].value == "512Mi"
    assert Limits.of(template) == LIMITS
    assert Limits.of(tasks_pb2.TaskTemplate()) == Limits()
    empty = tasks_pb2.TaskTemplate()
    Limits().write(empty)
    assert empty == tasks_pb2.TaskTemplate()


@pytest.mark.parametrize(
    ("amount", "number"),
    [
        ("512Mi", 512 << 20),
        (1000, 1000),
        ("1.5Gi", 3 << 29),
        ("2G", 2_000_000_000),
        ("7k", 7000),
        ("1Ki", 1024),
        ("1Pi", 1 << 50),
    ],
)
def test_amounts_of_memory(amount: Any, number: int) -> None:
    assert Limits.declared(memory=amount).memory_bytes == number


@pytest.mark.parametrize("amount", ["lots", "", "-1Mi", "0", 0, "5ki", "5 Mi", "5m"])
def test_what_is_no_amount(amount: Any) -> None:
    with pytest.raises(ValueError, match="memory must be an amount above 0"):
        Limits.declared(memory=amount)
    template = tasks_pb2.TaskTemplate()
    template.container.resources.limits.add(name=tasks_pb2.Resources.MEMORY, value=str(amount))
    assert Limits.of(template).memory_bytes is None


@pytest.mark.parametrize("name", ["timeout", "queued_timeout", "deadline"])
@pytest.mark.parametrize("seconds", [0, -1, timedelta(0), math.inf, math.nan])
def test_what_is_no_length_of_time(name: str, seconds: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be above 0 seconds"):
        Limits.declared(**{name: seconds})


def raised(what: Failure) -> errors.BaseRuntimeError:
    details = run_definition_pb2.ActionDetails()
    details.status.phase = what.phase
    details.attempts.add(attempt=1, phase=what.phase).error_info.CopyFrom(what.error_info())
    if what.phase == phase_pb2.ACTION_PHASE_FAILED:
        details.error_info.CopyFrom(what.error_info())
    return client_s_view(details, "run r")


@pytest.mark.parametrize(
    ("what", "kind", "text"),
    [
        (failure.ran_too_long(LIMITS), errors.MaxRuntimeExceededError, "longer than the 1.5 s"),
        (failure.waited_too_long(LIMITS), errors.MaxQueuedTimeExceededError, "for a worker than the 2 s"),
        (failure.past_deadline(LIMITS), errors.DeadlineExceededError, "within the 3 s"),
    ],
)
def test_limits_in_time_are_told_so_that_clients_know_them(what: Failure, kind: type[Exception], text: str) -> None:
    error = raised(what)

    assert type(error) is kind
    assert text in str(error)
    assert what.phase == phase_pb2.ACTION_PHASE_TIMED_OUT


def ending(status: int = 0, outputs: Optional[bytes] = None, **error: Any) -> Ending:
    return Ending(outputs, {"user": True, "memory": False, **error} if error else None, status, timed_out=False)


@pytest.mark.parametrize(
    ("how", "limits", "kind", "code", "text"),
    [
        (ending(code="ValueError", message="x"), LIMITS, errors.RuntimeUserError, "ValueError", "x"),
        (ending(code="MemoryError", message="", memory=True), LIMITS, errors.OOMError, "OOMKilled", "the 512Mi of"),
        (ending(code="_Array", message="no 9 G", memory=True), LIMITS, errors.OOMError, "OOMKilled", "take: no 9 G"),
        (ending(code="MemoryError", message="", memory=True), Limits(), errors.RuntimeUserError, "MemoryError", ""),
        (ending(-9), LIMITS, errors.OOMError, "OOMKilled", "killed by SIGKILL; it may take 512Mi of memory"),
        (ending(-9), Limits(), errors.RuntimeSystemError, "WorkerDied", "killed by SIGKILL"),
        (ending(-11), LIMITS, errors.RuntimeSystemError, "WorkerDied", "killed by SIGSEGV"),
        (ending(-60), Limits(), errors.RuntimeSystemError, "WorkerDied", "killed by signal 60"),
        (ending(3), LIMITS, errors.RuntimeSystemError, "WorkerDied", "exit code 3 and told no result"),
    ],
)
def test_every_end_of_a_process_has_its_reason(
    how: Ending, limits: Limits, kind: type[Exception], code: str, text: str
) -> None:
    found = failure_of(how, limits)

    assert found is not None
    error = raised(found)
    assert (type(error), error.code) == (kind, code)
    assert text in error.message


def test_outputs_count_whatever_the_process_did_then() -> None:
    assert failure_of(ending(-9, b""), LIMITS) is None
    assert failure_of(ending(1, b"outputs"), LIMITS) is None


def test_halves_of_characters_do_not_break_the_telling() -> None:
    found = failure_of(ending(code="Odd\ud800", message="\udfff"), Limits())

    assert found is not None
    assert (found.error_info().code, found.error_info().message) == ("Odd?", "?")
