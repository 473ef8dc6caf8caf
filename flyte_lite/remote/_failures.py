"""What a failed action raises: error_info to the official exception classes."""

from __future__ import annotations

from typing import Any

from flyte_lite import errors
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.models import ActionPhase

_KIND_USER = 1
_KIND_SYSTEM = 2

_TIMEOUTS: dict[str, type[errors.TaskTimeoutError]] = {
    "QUEUED_TIMEOUT_EXCEEDED": errors.MaxQueuedTimeExceededError,
    "MaxQueuedTimeExceededError": errors.MaxQueuedTimeExceededError,
    "MAX_RUNTIME_EXCEEDED": errors.MaxRuntimeExceededError,
    "MaxRuntimeExceededError": errors.MaxRuntimeExceededError,
    "DEADLINE_EXCEEDED": errors.DeadlineExceededError,
    "DeadlineExceededError": errors.DeadlineExceededError,
    "TaskTimeoutError": errors.TaskTimeoutError,
}
_FAULT_KINDS = {1: "xid", 2: "sxid"}
_SEVERITIES = {1: "user", 2: "warn", 3: "critical"}
# Looked for anywhere in the code of a user's failure, in this order.
_USER_FAULTS: tuple[tuple[str, type[errors.BaseRuntimeError]], ...] = (
    ("OOM", errors.OOMError),
    ("Interrupted", errors.TaskInterruptedError),
    ("PrimaryContainerNotFound", errors.PrimaryContainerNotFoundError),
    ("RetriesExhausted", errors.RetriesExhaustedError),
    ("Unknown", errors.RuntimeUnknownError),
    ("InvalidImageName", errors.InvalidImageNameError),
    ("ImagePullBackOff", errors.ImagePullBackOffError),
)


def failure_of(details: run_definition_pb2.ActionDetails, name: str) -> errors.BaseRuntimeError:
    """The exception for an action that ended without a result.

    Args:
        details: As GetActionDetails told it; GetRunDetails leaves the error out on some servers.
        name: What it was, for texts, such as "run r1".
    """
    phase = ActionPhase.from_protobuf(details.status.phase)
    if phase is ActionPhase.ABORTED:
        reason = details.abort_info.reason
        return errors.ActionAbortedError(f"{name} was aborted" + (f": {reason}" if reason else ""))
    info = _error_info(details)
    if info is None:
        if phase is ActionPhase.TIMED_OUT:
            return errors.TaskTimeoutError(f"{name} timed out; the server does not say which limit it was")
        return errors.RuntimeSystemError(
            "UnknownRunFailure", f"{name} is {phase}, and the server does not say why; its log may"
        )
    message = info.message or f"{name} is {phase}"
    # "ServerCode|user's code": the second part is the exception's name.
    code = (info.code.partition("|")[2] or info.code).strip()
    if phase is ActionPhase.TIMED_OUT:
        return _TIMEOUTS.get(code, errors.TaskTimeoutError)(message)
    if info.kind == _KIND_SYSTEM:
        if code in errors.GPU_FAULT_CODES:
            return errors.GPUFaultSystemError(code, message, **_gpu_fault(info))
        return errors.RuntimeSystemError(code or "RuntimeSystemError", message)
    if info.kind != _KIND_USER:
        return errors.RuntimeUnknownError(code or "RuntimeUnknownError", message)
    if code in _TIMEOUTS:
        return _TIMEOUTS[code](message)
    if code in errors.GPU_FAULT_CODES:
        return errors.GPUFaultUserError(code, message, **_gpu_fault(info))
    if code in errors.APPLE_SILICON_ERRORS_BY_CODE:
        return errors.APPLE_SILICON_ERRORS_BY_CODE[code](message)
    for part, kind in _USER_FAULTS:
        if part.lower() in info.code.lower() if part == "OOM" else part in info.code:
            return kind(code, message)  # type: ignore[call-arg]  # all of them take code and text
    return errors.RuntimeUserError(code or "RuntimeUserError", message)


def _gpu_fault(info: run_definition_pb2.ErrorInfo) -> dict[str, Any]:
    """What is told of a GPU's fault. Nothing is read out of the text, which is for people."""
    if not info.HasField("gpu_fault"):
        return {}
    fault = info.gpu_fault
    return {
        "fault_kind": _FAULT_KINDS.get(fault.kind),
        "fault_code": fault.code or None,
        "fault_name": fault.name or None,
        "severity": _SEVERITIES.get(fault.severity),
        "gpu_uuid": fault.gpu_uuid or None,
        # 0 is the first one.
        "gpu_index": fault.gpu_index if fault.HasField("gpu_index") else None,
        "node": fault.node or None,
        "pci_bus_id": fault.pci_bus_id or None,
        "process": fault.process or None,
    }


def _error_info(details: run_definition_pb2.ActionDetails) -> run_definition_pb2.ErrorInfo | None:
    """The error of the action, or of its last attempt, where the server keeps it for timeouts and rare failures."""
    # Some are there and say nothing.
    told = [details.error_info, *(attempt.error_info for attempt in reversed(details.attempts))]
    return next((error for error in told if error.message or error.code), None)
