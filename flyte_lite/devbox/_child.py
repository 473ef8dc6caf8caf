"""In the worker: what stands for another task, so that calling it makes an action of its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable

from flyte_lite import errors
from flyte_lite.devbox import _group, _trace, leash
from flyte_lite.devbox._shape import BadInputs, Shape
from flyte_lite.devbox.messages import CALL

if TYPE_CHECKING:
    from flyte_lite.devbox.leash import Leash


class ChildTask:
    """A task that can be called as the function it was made of; each call is an action.

    Args:
        name: Of the task.
        version: Of the task.
        shape: What it takes and gives; asked for when it is called first.
    """

    def __init__(self, name: str, version: str, shape: Callable[[], Shape]) -> None:
        self._task = name
        self._version = version
        self._make_shape = shape

    def __repr__(self) -> str:
        return f"<task {self._task} {self._version}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it with these inputs, and wait for its result.

        Returns:
            What the task returned; if it is an `async def`, something to be awaited.

        Raises:
            ActionAbortedError: Somebody aborted it.
            InputsError: Inputs are missing, unknown or of the wrong type.
            LiteralError: Its outputs are not what its annotations say.
            RemoteTaskNotFoundError: It is not deployed where the caller runs.
            RuntimeSystemError: It failed, by fault of the devbox or the machine.
            RuntimeUserError: It failed, by its own fault.
            TaskTimeoutError: It took longer than it may.
            TraceDoesNotAllowNestedTasksError: It is called in a function with `@trace`.
        """
        holder = leash.held()
        if holder is None:
            raise RuntimeError(
                f"task {self._task} can be called in the task's own process only, not in one that the task has started"
            )
        if _trace.inside():
            raise errors.TraceDoesNotAllowNestedTasksError(
                f"task {self._task} is called in a function with @trace, which may call no tasks"
            )
        shape = self._shape
        try:
            inputs = shape.inputs_of(args, kwargs)
        except BadInputs as bad:
            raise errors.InputsError(self._task, bad.problems, f"{shape.name}{shape.signature()}") from None
        header = {"name": self._task, "version": self._version, "group": _group.present()}
        if shape.awaited:
            return self._awaited(holder, header, inputs)
        return self._result(*holder.ask(CALL, header, inputs))

    @property
    def __name__(self) -> str:
        return self._shape.name

    @property
    def __signature__(self) -> inspect.Signature:
        return self._shape.signature()

    @functools.cached_property
    def _shape(self) -> Shape:
        return self._make_shape()

    async def _awaited(self, holder: Leash, header: Mapping[str, Any], inputs: bytes) -> Any:
        import asyncio

        loop = asyncio.get_running_loop()
        came: asyncio.Future[tuple[Mapping[str, Any], bytes]] = loop.create_future()

        def set_result(*answer: Any) -> None:
            if not came.done():
                came.set_result(answer)

        def take(told: Mapping[str, Any], outputs: bytes) -> None:
            loop.call_soon_threadsafe(set_result, told, outputs)

        number = holder.begin(CALL, header, inputs, take)
        try:
            answer = await came
        except BaseException:
            holder.cancel(number)
            raise
        return self._result(*answer)

    def _result(self, header: Mapping[str, Any], outputs: bytes) -> Any:
        if header.get("error") is not None:
            raise error_of(**header["error"])
        return self._shape.result_of(outputs, f"task {self._task}")


def child_task(name: str, version: str, shape: Shape) -> ChildTask:
    """What stands for a task whose shape is known: a stand-in of a bundle."""
    return ChildTask(name, version, lambda: shape)


_TIMEOUTS: Mapping[str, type[errors.TaskTimeoutError]] = {
    each.__name__: each
    for each in (errors.MaxQueuedTimeExceededError, errors.MaxRuntimeExceededError, errors.DeadlineExceededError)
}


def error_of(phase: str, code: str, message: str, user: bool) -> Exception:
    """The exception for an action that ended without outputs.

    Args:
        phase: "FAILED", "TIMED_OUT", "ABORTED", or "NOT_FOUND" if there is no such task.
        code: In one word.
        message: Its text.
        user: Whether it is the task's own fault.
    """
    if phase == "NOT_FOUND":
        return errors.RemoteTaskNotFoundError(message)
    if phase == "ABORTED":
        return errors.ActionAbortedError(message)
    if phase == "TIMED_OUT":
        return _TIMEOUTS.get(code, errors.TaskTimeoutError)(message)
    if code == "OOMKilled":
        return errors.OOMError(code, message)
    return (errors.RuntimeUserError if user else errors.RuntimeSystemError)(code, message)
