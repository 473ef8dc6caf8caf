"""What a failed action raises, by its error information."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from flyte_lite import errors
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.models import ActionPhase
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
