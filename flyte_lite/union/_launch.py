"""Launching, as `union` 0.1.0 spells it: what comes back is a `union.remote.Run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from flyte_lite import _launch
from flyte_lite.union.remote import Run

if TYPE_CHECKING:
    from flyte_lite._launch import Deployed


class RunContext:
    """Options of a launch; see `with_runcontext`."""

    def __init__(self, context: _launch.RunContext) -> None:
        self._context = context

    def run(self, task: Deployed, /, *args: Any, **inputs: Any) -> Run:
        """Launch a deployed task and return at once; see `flyte_lite.run`."""
        return Run._over(self._context.run(task, *args, **inputs))


def run(task: Deployed, /, *args: Any, **inputs: Any) -> Run:
    """Launch a deployed task and return at once; see `flyte_lite.run`, which this is but for what it returns.

    Args:
        task: From `Task.get`.
        *args: Inputs in the order of the task's interface.
        **inputs: Inputs by name.

    Raises:
        InputsError: The inputs do not fit the task; every problem is in the text.
        RemoteTaskNotFoundError: There is no such task.
        CallError: See `flyte_lite.errors`.

    RPC:
        flyteidl2.workflow.RunService/CreateRun, after DataProxyService/UploadInputs
    """
    return Run._over(_launch.run(task, *args, **inputs))


def with_runcontext(name: Optional[str] = None, service_account: Optional[str] = None, **options: Any) -> RunContext:
    """Options for a launch: `with_runcontext(name="nightly").run(task, x=1)`.

    Args:
        name: Of the run; None makes one.
        service_account: Kubernetes service account to run as.
        **options: Any other of `flyte_lite.with_runcontext`.

    Raises:
        OptionError: When `run` is called: an option is not what it must be.
    """
    return RunContext(_launch.with_runcontext(name=name, service_account=service_account, **options))
