"""What a failed action raises, by its error information."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from fakes import FakeChannel

from flyte_lite import errors
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import ActionDetails
from flyte_lite.remote._failures import failure_of

USER, SYSTEM, UNSPECIFIED = 1, 2, 0


def ended(
    phase: ActionPhase, kind: int = USER, code: str = "", message: str = "boom"
) -> run_definition_pb2.ActionDetails:
    details = run_definition_pb2.ActionDetails()
    details.status.phase = phase.to_protobuf_value()  # type: ignore[assignment]
    details.error_info.kind = kind  # type: ignore[assignment]
    details.error_info.code = code
    details.error_info.message = message
    return details


@pytest.mark.parametrize(
    ("kind", "code", "expected", "shown"),
    [
        (USER, "ValueError", errors.RuntimeUserError, "ValueError"),
        (USER, "", errors.RuntimeUserError, "RuntimeUserError"),
        (USER, "UserError|ValueError", errors.RuntimeUserError, "ValueError"),
        (USER, "OOMKilled", errors.OOMError, "OOMKilled"),
        (USER, "oomkilled", errors.OOMError, "oomkilled"),
        (USER, "Interrupted", errors.TaskInterruptedError, "Interrupted"),
        (USER, "RetriesExhausted|ValueError", errors.RetriesExhaustedError, "ValueError"),
        (USER, "PrimaryContainerNotFound", errors.PrimaryContainerNotFoundError, "PrimaryContainerNotFound"),
        (USER, "InvalidImageName", errors.InvalidImageNameError, "InvalidImageName"),
        (USER, "ImagePullBackOff", errors.ImagePullBackOffError, "ImagePullBackOff"),
        (USER, "QUEUED_TIMEOUT_EXCEEDED", errors.MaxQueuedTimeExceededError, "MaxQueuedTimeExceededError"),
        (USER, "MAX_RUNTIME_EXCEEDED", errors.MaxRuntimeExceededError, "MaxRuntimeExceededError"),
        (USER, "DEADLINE_EXCEEDED", errors.DeadlineExceededError, "DeadlineExceededError"),
        (USER, "MaxRuntimeExceededError", errors.MaxRuntimeExceededError, "MaxRuntimeExceededError"),
        (USER, "RetriesExhausted|DEADLINE_EXCEEDED", errors.DeadlineExceededError, "DeadlineExceededError"),
        (USER, "TaskTimeoutError", errors.TaskTimeoutError, "TaskTimeoutError"),
        (USER, "GpuXidError", errors.GPUFaultUserError, "GpuXidError"),
        (USER, "RetriesExhausted| GpuGspError ", errors.GPUFaultUserError, "GpuGspError"),
        (USER, "APPLE_SILICON_DAEMON_OOM", errors.AppleSiliconDaemonOOMError, "APPLE_SILICON_DAEMON_OOM"),
        (
            USER,
            "RetriesExhausted|APPLE_SILICON_NOT_AVAILABLE",
            errors.AppleSiliconNotAvailableError,
            "APPLE_SILICON_NOT_AVAILABLE",
        ),
        (USER, "UnknownCode", errors.RuntimeUnknownError, "UnknownCode"),
        (SYSTEM, "GpuFallenOffBus", errors.GPUFaultSystemError, "GpuFallenOffBus"),
        (SYSTEM, "DEADLINE_EXCEEDED", errors.RuntimeSystemError, "DEADLINE_EXCEEDED"),
        (SYSTEM, "OOMKilled", errors.RuntimeSystemError, "OOMKilled"),
        (UNSPECIFIED, "GpuXidError", errors.RuntimeUnknownError, "GpuXidError"),
        (SYSTEM, "", errors.RuntimeSystemError, "RuntimeSystemError"),
        (SYSTEM, "Evicted", errors.RuntimeSystemError, "Evicted"),
        (UNSPECIFIED, "", errors.RuntimeUnknownError, "RuntimeUnknownError"),
    ],
)
def test_failed(kind: int, code: str, expected: type[Exception], shown: str) -> None:
    error = failure_of(ended(ActionPhase.FAILED, kind, code), "run r1")

    assert type(error) is expected
    assert error.message == "boom"
    assert error.code == shown


@pytest.mark.parametrize(
    ("details", "expected", "text"),
    [
        (ended(ActionPhase.TIMED_OUT, code=""), errors.TaskTimeoutError, "boom"),
        (run_definition_pb2.ActionDetails(), errors.RuntimeSystemError, "the server does not say why"),
    ],
    ids=["timed out", "no reason"],
)
def test_other_ends(details: run_definition_pb2.ActionDetails, expected: type[Exception], text: str) -> None:
    error = failure_of(details, "run r1")

    assert type(error) is expected
    assert text in str(error)


@pytest.mark.parametrize("kind", [USER, SYSTEM, UNSPECIFIED])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("QUEUED_TIMEOUT_EXCEEDED", errors.MaxQueuedTimeExceededError),
        ("RetriesExhausted|MAX_RUNTIME_EXCEEDED", errors.MaxRuntimeExceededError),
        ("DEADLINE_EXCEEDED", errors.DeadlineExceededError),
        ("SomethingNew", errors.TaskTimeoutError),
    ],
)
def test_timed_out(kind: int, code: str, expected: type[Exception]) -> None:
    assert type(failure_of(ended(ActionPhase.TIMED_OUT, kind, code), "run r1")) is expected


def test_a_gpu_s_fault_is_told_with_all_that_is_known_of_it() -> None:
    details: Any = ended(ActionPhase.FAILED, SYSTEM, "GpuFallenOffBus")
    fault = details.error_info.gpu_fault
    fault.kind, fault.code, fault.name, fault.severity = 1, 79, "GPU has fallen off the bus", 3
    fault.gpu_uuid, fault.gpu_index, fault.node, fault.pci_bus_id = "GPU-1", 0, "n1", "0000:3b"
    fault.process = "python"

    error = failure_of(details, "run r1")

    assert isinstance(error, errors.GPUFaultSystemError)
    assert (error.xid, error.sxid, error.fault_name, error.severity) == (79, None, fault.name, "critical")
    assert (error.gpu_uuid, error.gpu_index, error.node) == ("GPU-1", 0, "n1")
    assert (error.pci_bus_id, error.process) == ("0000:3b", "python")


def test_what_is_not_told_of_a_gpu_s_fault_is_none() -> None:
    details: Any = ended(ActionPhase.FAILED, USER, "GpuNvlinkError")
    bare = failure_of(details, "run r1")
    details.error_info.gpu_fault.kind = 2
    switch = failure_of(details, "run r1")

    for error, kind in ((bare, None), (switch, "sxid")):
        assert isinstance(error, errors.GPUFaultUserError)
        assert error.fault_kind == kind
        assert (error.xid, error.sxid, error.severity, error.gpu_index, error.node) == (None,) * 5


@pytest.mark.parametrize(
    ("reason", "text"), [("too slow", "run r1 was aborted: too slow"), (None, "run r1 was aborted")]
)
def test_aborted(reason: Optional[str], text: str) -> None:
    details = run_definition_pb2.ActionDetails()
    details.status.phase = ActionPhase.ABORTED.to_protobuf_value()  # type: ignore[assignment]
    if reason:
        details.abort_info.reason = reason

    error = failure_of(details, "run r1")

    assert type(error) is errors.ActionAbortedError
    assert error.message == text


def test_the_error_of_the_last_attempt_stands_in_for_one_that_is_missing() -> None:
    details: Any = run_definition_pb2.ActionDetails()
    details.status.phase = ActionPhase.TIMED_OUT.to_protobuf_value()
    details.attempts.add().error_info.message = "first"
    details.attempts.add().error_info.message = "over 3 s"

    assert failure_of(details, "run r1").message == "over 3 s"


@pytest.mark.parametrize("phase", [ActionPhase.SUCCEEDED, ActionPhase.RECOVERED])
def test_what_was_recovered_is_a_success(phase: ActionPhase) -> None:
    details = run_definition_pb2.ActionDetails()
    details.status.phase = phase.to_protobuf_value()  # type: ignore[assignment]

    ActionDetails(details, FakeChannel().session()).raise_for_status()


def test_an_empty_error_information_is_none() -> None:
    error = failure_of(ended(ActionPhase.FAILED, message=""), "run r1")

    assert "does not say why" in error.message


def test_attempts_that_say_nothing_are_passed_over() -> None:
    details = run_definition_pb2.ActionDetails()
    details.status.phase = ActionPhase.FAILED.to_protobuf_value()  # type: ignore[assignment]
    details.attempts.add(attempt=1).error_info.CopyFrom(ended(ActionPhase.FAILED, SYSTEM, "Lost").error_info)
    details.attempts.add(attempt=2).error_info.SetInParent()

    assert failure_of(details, "run r").code == "Lost"
    details.attempts[0].ClearField("error_info")
    assert failure_of(details, "run r").code == "UnknownRunFailure"
