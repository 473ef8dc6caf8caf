"""How a function travels to a worker: by value, with what it uses of its module, and with other tasks as such."""

from __future__ import annotations

import inspect
import io
import sys
import threading
import types
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

import cloudpickle

from flyte_lite._literals.classes import is_model, own_annotations
from flyte_lite.devbox.worker import set_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flyte_lite._literals.signatures import FunctionInterface

# What pydantic makes of a model's fields. It refers to other models, and is made before these are whole again.
_BUILT = ("__pydantic_core_schema__", "__pydantic_validator__", "__pydantic_serializer__")

# cloudpickle keeps what goes by value in a table of the whole process.
_pickling = threading.Lock()


class Named(NamedTuple):
    """What names a task inside its project and domain."""

    name: str
    version: str


# Which task a function is; None if it is none.
Which = Callable[[Callable[..., Any]], Optional[Named]]


def pickled(
    function: Callable[..., Any], interface: FunctionInterface, task: Named, which: Which, others: Iterable[Any] = ()
) -> tuple[bytes, frozenset[Callable[..., Any]]]:
    """A function for a worker, and which functions have gone with it, by value or as the tasks they are.

    Args:
        function: The function.
        interface: What is told of it.
        task: What it is called; met once more on the way, it is that task.
        which: Tells which others are tasks.
        others: Functions that `which` knows. Where their modules are imported in the worker, they are tasks there.

    Raises:
        TypeError: It can't be sent.
    """
    # By value, together with what it uses of its own module: that module may not be importable in a worker (a test, a
    # notebook, a file), and must not be run once more there.
    module = sys.modules.get(function.__module__ or "")
    by_value = module is not None and module.__name__ != "__main__"
    with _pickling:
        if by_value:
            cloudpickle.register_pickle_by_value(module)
        try:
            with _bound(function, task, which):
                return _dumped(function, interface, task, which, others)
        except Exception as error:  # Objects that do not pickle raise whatever they like.
            raise TypeError(f"task {task.name} can't be sent to a worker: {error}") from error
        finally:
            if by_value:
                cloudpickle.unregister_pickle_by_value(module)


def _dumped(
    function: Callable[..., Any], interface: FunctionInterface, task: Named, which: Which, others: Iterable[Any]
) -> tuple[bytes, frozenset[Callable[..., Any]]]:
    classes = own_annotations([*interface.inputs.values(), *interface.outputs.values()])
    root = _twin(function) if inspect.isfunction(function) else function
    # Each by itself: a worker reads only those whose modules it has imported, and could perhaps not import the others.
    elsewhere = [
        (each.__module__, each.__name__, _stand_in(each, which))
        for each in others
        if _stands_alone(each, function.__module__)
    ]
    stream = io.BytesIO()
    pickler = _Pickler(stream, root, lambda met: task if met is function else which(met))
    pickler.dump((root, interface.inputs, interface.outputs, list(classes.items()), elsewhere))
    return stream.getvalue(), frozenset(pickler.met)


def _stand_in(function: Callable[..., Any], which: Which) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, None, which).dump(function)
    return stream.getvalue()


@contextmanager
def _bound(function: Any, task: Named, which: Which) -> Iterator[None]:
    # A decorator is called before its function has its name, by which it may call itself; or the name is still that
    # of an earlier version, as in a notebook.
    name = getattr(function, "__name__", "")
    names, code = getattr(function, "__globals__", {}), getattr(function, "__code__", None)
    before = names.get(name)
    earlier = which(before) if inspect.isfunction(before) and before is not function else None
    free = getattr(code, "co_freevars", ())
    cell = function.__closure__[free.index(name)] if name in free else None
    empty = cell is not None and _is_empty(cell)
    top = getattr(function, "__qualname__", "") == name and (
        name not in names or (earlier is not None and earlier.name == task.name)
    )
    if cell is not None and empty:
        cell.cell_contents = function
    if top:
        names[name] = function
    try:
        yield
    finally:
        if cell is not None and empty:
            del cell.cell_contents
        if top and before is None:
            del names[name]
        elif top:
            names[name] = before


def _is_empty(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return True
    return False


def _stands_alone(function: Any, module: Optional[str]) -> bool:
    # By its name in another module, where a worker that imports that finds it as it is written.
    home = getattr(function, "__module__", None) or "__main__"
    named = getattr(sys.modules.get(home), getattr(function, "__name__", ""), None)
    return home not in ("__main__", module) and named is function


def _twin(function: Any) -> Any:
    # What is to run is not the same object as what it calls by its own name, which is a task like any other.
    made = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    made.__dict__.update(function.__dict__)
    # Python 3.14 makes annotations when they are asked for.
    annotations = "__annotate__" if hasattr(function, "__annotate__") else "__annotations__"
    for name in ("__kwdefaults__", "__doc__", "__module__", "__qualname__", "__type_params__", annotations):
        if hasattr(function, name):
            setattr(made, name, getattr(function, name))
    return made


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """cloudpickle's, with other tasks as such, and for which models that refer to one another are not too much."""

    def __init__(self, stream: io.BytesIO, root: Optional[Callable[..., Any]], which: Which) -> None:
        super().__init__(stream)
        self._which = which
        self._pids: dict[Callable[..., Any], Any] = {}
        # What decorators have been put around is the task too.
        self._inside: set[Any] = {root}
        inner = getattr(root, "__wrapped__", None)
        while inner is not None:
            self._inside.add(inner)
            inner = getattr(inner, "__wrapped__", None)
        self.met: set[Callable[..., Any]] = set()

    def persistent_id(self, obj: Any) -> Any:
        """What the worker makes a stand-in of; None for all that is no other task."""
        if not inspect.isfunction(obj):
            return None
        self.met.add(obj)
        if obj in self._inside:
            return None
        if obj not in self._pids:
            task = self._which(obj)
            if task is None:
                return None
            from flyte_lite.devbox._shape import Shape

            self._pids[obj] = (task.name, task.version, Shape.of(obj))
        return self._pids[obj]

    def reducer_override(self, obj: Any) -> Any:
        """What cloudpickle makes of it, but for models."""
        made = super().reducer_override(obj)
        if not isinstance(made, tuple) or len(made) != 6 or is_model(obj) != 2:
            return made
        make, arguments, (attributes, slots), _, _, set_state = made
        kept = {name: value for name, value in attributes.items() if name not in _BUILT}
        return make, arguments, (set_state, (kept, slots)), None, None, set_model
