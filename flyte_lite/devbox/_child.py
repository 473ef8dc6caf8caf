"""In the worker: what stands for another task, so that calling it makes an action of its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from flyte_lite import errors
from flyte_lite._literals.signatures import function_interface
from flyte_lite.devbox import _group, leash
from flyte_lite.devbox._calling import read, written
from flyte_lite.devbox.messages import CALL
from flyte_lite.idl.flyteidl2.core import interface_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.leash import Leash
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType


class Shape(NamedTuple):
    """What a task takes and gives, as far as its callers need to know it.

    Attributes:
        name: Of the function.
        parameters: Name, kind, and whether it may be left out, in the order of the signature.
        interface: A `TypedInterface`, as bytes.
        inputs: Resolved annotations of its parameters.
        outputs: Resolved annotations of `o0`, `o1`, ..., in that order.
        result: The named tuple that it returns; None if it returns none.
        awaited: Whether calling it gives something to be awaited.
    """

    name: str
    parameters: Sequence[tuple[str, int, bool]]
    interface: bytes
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    result: Optional[type]
    awaited: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Shape:
        """That of a function.

        Raises:
            LiteralError: Its interface can't be told from its annotations.
        """
        told = function_interface(function)
        inner = inspect.unwrap(function)
        return cls(
            function.__name__,
            [
                (each.name, int(each.kind), each.default is not each.empty)
                for each in inspect.signature(inner).parameters.values()
            ],
            told.interface.SerializeToString(),
            told.inputs,
            told.outputs,
            told.result,
            inspect.iscoroutinefunction(inner),
        )


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
        """
        holder = leash.held()
        if holder is None:
            raise RuntimeError(
                f"task {self._task} can be called in the task's own process only, not in one that the task has started"
            )
        shape = self._shape
        inputs = self._inputs(args, kwargs)
        header = {"name": self._task, "version": self._version, "group": _group.present()}
        if shape.awaited:
            return self._awaited(holder, header, inputs)
        return self._result(*holder.ask(CALL, header, inputs))

    @property
    def __name__(self) -> str:
        return self._shape.name

    @property
    def __signature__(self) -> inspect.Signature:
        return _signature(self._shape)

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

    def _inputs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        shape = self._shape
        try:
            given = _signature(shape).bind(*args, **kwargs).arguments
        except TypeError as error:
            raise errors.InputsError(self._task, [str(error)], _described(shape)) from None
        types = _types(shape, outputs=False)
        made = common_pb2.Inputs()
        problems = []
        for name in (name for name in types if name in given):
            try:
                made.literals.add(name=name, value=written(given[name], types[name], name))
            except errors.LiteralError as error:
                problems.append(str(error))
        if problems:
            raise errors.InputsError(self._task, problems, _described(shape))
        return made.SerializeToString(deterministic=True)

    def _result(self, header: Mapping[str, Any], outputs: bytes) -> Any:
        if header.get("error") is not None:
            raise error_of(**header["error"])
        shape = self._shape
        values = read(common_pb2.Outputs.FromString(outputs).literals, _types(shape, outputs=True), shape.outputs)
        if not shape.outputs:
            return None
        missing = [name for name in shape.outputs if name not in values]
        if missing:
            raise errors.LiteralError(f"task {self._task} gave no {', '.join(missing)}")
        found = [values[name] for name in shape.outputs]
        if shape.result is not None:
            return shape.result(*found)
        return found[0] if len(found) == 1 else tuple(found)


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


def _signature(shape: Shape) -> inspect.Signature:
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect._ParameterKind(kind),
                annotation=shape.inputs[name],
                # Which it is, the devbox knows: it fills them in.
                default=... if optional else inspect.Parameter.empty,
            )
            for name, kind, optional in shape.parameters
        ]
    )


def _described(shape: Shape) -> str:
    return f"{shape.name}{_signature(shape)}"


def _types(shape: Shape, *, outputs: bool) -> dict[str, LiteralType]:
    interface = interface_pb2.TypedInterface.FromString(shape.interface)
    part = interface.outputs if outputs else interface.inputs
    return {variable.key: variable.value.type for variable in part.variables}
