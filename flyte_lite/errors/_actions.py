"""Why an action failed, as its server tells it."""

from __future__ import annotations

from typing import Any, ClassVar, Optional

from flyte_lite.errors._base import BaseRuntimeError, Coded, RuntimeSystemError, RuntimeUserError


class OOMError(RuntimeUserError):
    """The task used more memory than it had."""


class TaskInterruptedError(RuntimeUserError):
    """The task's machine was taken away (a spot instance, usually)."""


class PrimaryContainerNotFoundError(RuntimeUserError):
    """The task's pod has no container of the expected name."""


class RetriesExhaustedError(RuntimeUserError):
    """Every attempt failed."""


class InvalidImageNameError(RuntimeUserError):
    """The task's image name is not one."""


class ImagePullBackOffError(RuntimeUserError):
    """The task's image could not be pulled."""


class TaskTimeoutError(RuntimeUserError):
    """A run or one of its actions took longer than the task allows."""

    def __init__(self, message: str, code: str = "TaskTimeoutError", *, worker: Optional[str] = None) -> None:
        super().__init__(code, message, worker)


class MaxQueuedTimeExceededError(Coded, TaskTimeoutError):
    """It waited longer in the queue than the task allows."""


class MaxRuntimeExceededError(Coded, TaskTimeoutError):
    """One attempt ran longer than the task allows."""


class DeadlineExceededError(Coded, TaskTimeoutError):
    """All attempts together took longer than the task allows. (A call's deadline is `CallTimeoutError`.)"""


class ActionAbortedError(Coded, RuntimeUserError):
    """Somebody aborted the run or the action."""


class GPUFaultError(BaseRuntimeError):
    """A fault of a GPU, or of the switch between GPUs, ended the action: one `except` for both classes below.

    What the server did not tell is None, and a server may tell of such a failure without any of it.

    Attributes:
        fault_kind: "xid" for a fault of a GPU, "sxid" for one of a switch.
        fault_code: NVIDIA's number of it; the two kinds count apart.
        fault_name: Its name.
        severity: "user" if the program did it, "warn", or "critical" if the hardware did.
        gpu_uuid: Which GPU.
        gpu_index: Which GPU of its node, from 0.
        node: Name of the machine.
        pci_bus_id: Where in the machine.
        process: The process that did it.
    """

    def __init__(
        self,
        code: str,
        kind: str,
        message: str,
        worker: Optional[str] = None,
        *,
        fault_kind: Optional[str] = None,
        fault_code: Optional[int] = None,
        fault_name: Optional[str] = None,
        severity: Optional[str] = None,
        gpu_uuid: Optional[str] = None,
        gpu_index: Optional[int] = None,
        node: Optional[str] = None,
        pci_bus_id: Optional[str] = None,
        process: Optional[str] = None,
    ) -> None:
        # By name: the constructors that come next in the classes below take other arguments.
        BaseRuntimeError.__init__(self, code, kind, message, worker)
        self.fault_kind = fault_kind
        self.fault_code = fault_code
        self.fault_name = fault_name
        self.severity = severity
        self.gpu_uuid = gpu_uuid
        self.gpu_index = gpu_index
        self.node = node
        self.pci_bus_id = pci_bus_id
        self.process = process

    @property
    def xid(self) -> Optional[int]:
        """Number of a GPU's fault; None if it was a switch's, or is not known."""
        return self.fault_code if self.fault_kind == "xid" else None

    @property
    def sxid(self) -> Optional[int]:
        """Number of a switch's fault; None if it was a GPU's, or is not known."""
        return self.fault_code if self.fault_kind == "sxid" else None


class GPUFaultUserError(GPUFaultError, RuntimeUserError):
    """The program itself made the GPU fail, so it will again."""

    def __init__(self, code: str, message: str, worker: Optional[str] = None, **fault: Any) -> None:
        GPUFaultError.__init__(self, code, "user", message, worker, **fault)


class GPUFaultSystemError(GPUFaultError, RuntimeSystemError):
    """The GPU or its machine is broken; the platform has tried others already."""

    def __init__(self, code: str, message: str, worker: Optional[str] = None, **fault: Any) -> None:
        GPUFaultError.__init__(self, code, "system", message, worker, **fault)


GPU_FAULT_CODES: tuple[str, ...] = (
    "GpuXidError",
    "GpuFallenOffBus",
    "GpuEccUncorrectable",
    "GpuRowRemapPending",
    "GpuNvlinkError",
    "GpuGspError",
)
"""Codes of failures that are a `GPUFaultError`; the first one is for faults that have no code of their own."""


class AppleSiliconError(RuntimeUserError):
    """A task that asked for a Mac's GPU (`Resources(gpu="AppleSilicon")`, on an official devbox only) did not get it.

    Attributes:
        code_name: Code of the class.
        recoverable: Whether trying again can help.
    """

    code_name: ClassVar[str] = "APPLE_SILICON_ERROR"
    recoverable: ClassVar[bool] = True

    def __init__(self, message: str, worker: Optional[str] = None) -> None:
        super().__init__(self.code_name, message, worker)


class AppleSiliconNotAvailableError(AppleSiliconError):
    """There is no such GPU where the task runs."""

    code_name = "APPLE_SILICON_NOT_AVAILABLE"
    recoverable = False


class AppleSiliconHostExecFailedError(AppleSiliconError):
    """The task could not be started on the Mac."""

    code_name = "APPLE_SILICON_HOST_EXEC_FAILED"
    recoverable = False


class AppleSiliconDaemonStartFailedError(AppleSiliconError):
    """The Mac's model server did not start."""

    code_name = "APPLE_SILICON_DAEMON_START_FAILED"
    recoverable = False


class AppleSiliconDaemonOOMError(AppleSiliconError):
    """The process on the Mac used more memory than it had."""

    code_name = "APPLE_SILICON_DAEMON_OOM"


class AppleSiliconModelNotFoundError(AppleSiliconError):
    """The Mac's model server does not find the model, or can't load it."""

    code_name = "APPLE_SILICON_MODEL_NOT_FOUND"
    recoverable = False


class AppleSiliconBridgeUnreachableError(AppleSiliconError):
    """The task's container does not reach the Mac, or the Mac lost the task's process."""

    code_name = "APPLE_SILICON_BRIDGE_UNREACHABLE"


APPLE_SILICON_ERRORS_BY_CODE: dict[str, type[AppleSiliconError]] = {
    cls.code_name: cls
    for cls in (
        AppleSiliconNotAvailableError,
        AppleSiliconHostExecFailedError,
        AppleSiliconDaemonStartFailedError,
        AppleSiliconDaemonOOMError,
        AppleSiliconModelNotFoundError,
        AppleSiliconBridgeUnreachableError,
    )
}
"""The class of each code."""
