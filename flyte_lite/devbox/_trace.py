"""`trace`: a function whose calls are told as steps of the run, though they run in the task's own process."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, TypeVar

from flyte_lite.devbox import _group, leash
from flyte_lite.devbox.messages import TRACE, TRACED, with_header

if TYPE_CHECKING:
    from flyte_lite.devbox._shape import Shape
    from flyte_lite.devbox.leash import Leash

    F = TypeVar("F", bound=Callable[..., Any])

_here: ContextVar[bool] = ContextVar("flyte_lite_trace", default=False)


def trace(function: F) -> F:
    """Tell each call of a function in a task as a step of the run, with its inputs and outputs; elsewhere just call it.

    When an attempt is repeated, what an earlier one has traced is not called again: its result is taken over. A call
    that raises is not told, and a traced function may call no tasks.

    Args:
        function: An ordinary function or an `async def`, annotated as a task's.
    """
    made: Any
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            begun = _begin(function, args, kwargs)
            if begun is None:
                return await function(*args, **kwargs)
            if not begun.found:
                with _within():
                    begun = begun.ended(await function(*args, **kwargs))
            return begun.result

        made = run_async
    else:

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            begun = _begin(function, args, kwargs)
            if begun is None:
                return function(*args, **kwargs)
            if not begun.found:
                with _within():
                    begun = begun.ended(function(*args, **kwargs))
            return begun.result

        made = run
    return made  # type: ignore[no-any-return]


def inside() -> bool:
    """Whether a traced function is running here."""
    return _here.get()


@contextmanager
def _within() -> Iterator[None]:
    before = _here.set(True)
    try:
        yield
    finally:
        _here.reset(before)


class _Begun(NamedTuple):
    # A call: with the result that an earlier attempt had, or one that is about to be made.
    holder: Leash
    shape: Shape
    header: Mapping[str, Any]
    inputs: bytes
    found: bool
    result: Any = None

    def ended(self, result: Any) -> _Begun:
        outputs = self.shape.outputs_of(result)
        parts = (self.inputs, outputs, self.shape.interface)
        header = {**self.header, "sizes": [len(part) for part in parts]}
        self.holder.tell(TRACED, with_header(header, b"".join(parts)))
        return self._replace(result=result)


def _begin(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Optional[_Begun]:
    holder = leash.held()
    if holder is None:
        return None
    shape = _shape(function)
    given = inspect.signature(function).bind(*args, **kwargs)
    given.apply_defaults()
    inputs = shape.inputs_of(given.args, given.kwargs)
    header = {"name": shape.name, "group": _group.present()}
    told, outputs = holder.ask(TRACE, header, inputs)
    found = bool(told["found"])
    result = shape.result_of(outputs, f"{shape.name}()") if found else None
    return _Begun(holder, shape, {**header, "action": told["action"]}, inputs, found, result)


@functools.cache
def _shape(function: Callable[..., Any]) -> Shape:
    from flyte_lite.devbox._shape import Shape

    return Shape.of(function)
