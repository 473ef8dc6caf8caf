"""Official names of what only running tasks, and tools that build and deploy, raise.

This client raises none of them. They are here so that what is written for the official SDK can be imported, caught and
compared.
"""

from __future__ import annotations

from typing import Union

from flyte_lite.errors._base import Coded, FlyteLiteError, RuntimeUserError


class ConditionAlreadyExistsError(Coded, RuntimeUserError):
    """The action has a condition of that name already."""


class ConditionFailedError(Coded, RuntimeUserError):
    """Waiting for a condition failed."""


class ConditionNotFoundError(Coded, RuntimeUserError):
    """There is no such condition."""


class ConditionTimedoutError(Coded, RuntimeUserError):
    """A condition was not signaled in time."""


class SlowDownError(Coded, RuntimeUserError):
    """The server wants fewer requests of a task."""


class ResourceExhaustedError(SlowDownError):
    """A quota of a task is used up. (A call's is `RateLimitedError`.)"""


class InlineIOMaxBytesBreached(Coded, RuntimeUserError):
    """Inputs or outputs are larger than the task allows to be sent inline."""


class OnlyAsyncIOSupportedError(Coded, RuntimeUserError):
    """Blocking I/O was used where only asynchronous I/O works."""


class SyncTaskCallInAsyncContextError(Coded, RuntimeUserError):
    """A task was called in a blocking way from within an asynchronous one."""


class TraceDoesNotAllowNestedTasksError(Coded, RuntimeUserError):
    """A task was called from within a traced function."""


class ParameterMaterializationError(Coded, RuntimeUserError):
    """The value of an app's parameter could not be had."""


class RestrictedTypeError(Coded, RuntimeUserError):
    """A type was used that tasks can't have."""

    _code = "RestrictedTypeUsage"


class DeploymentError(Coded, RuntimeUserError):
    """A task could not be deployed."""


class ImageBuildError(Coded, RuntimeUserError):
    """An image could not be built."""


class ModuleLoadError(Coded, RuntimeUserError):
    """A module with tasks could not be imported."""


class CodeBundleError(Coded, RuntimeUserError):
    """The code of a task could not be packed."""


class NotInTaskContextError(RuntimeUserError):
    """Something was asked for that only a running task has."""


class ActionNotFoundError(FlyteLiteError, RuntimeError):
    """There is no such action."""


class NonRecoverableError(RuntimeUserError):
    """A task raised it to say that trying again is no use."""

    def __init__(self, message: str, code: str = "NonRecoverableError") -> None:
        super().__init__(code, message)


class CustomError(RuntimeUserError):
    """A task's own error, with its class's name for a code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)

    @classmethod
    def from_exception(cls, e: Exception) -> CustomError:
        """One that has the name and the text of another exception, and that one for a cause."""
        made = cls(type(e).__name__, str(e))
        made.__cause__ = e
        return made


class RuntimeDataValidationError(RuntimeUserError):
    """A value could not be written for a task, or read by it."""

    def __init__(self, var: str, e: Union[Exception, str], task_name: str = "") -> None:
        super().__init__(
            "DataValidationError", f"variable {var}" + (f" of task {task_name}" if task_name else "") + f": {e}"
        )


class InvalidPackageError(RuntimeUserError):
    """An image was to have a system package that there is not.

    Attributes:
        package_name: The package.
        original_error: What its installer said.
    """

    def __init__(self, package_name: str, original_error: str) -> None:
        super().__init__("InvalidPackageError", f"system package {package_name!r} can't be installed: {original_error}")
        self.package_name = package_name
        self.original_error = original_error
