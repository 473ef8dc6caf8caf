"""Tasks: how a Python function is declared one, what is deployed of it, and how it travels to a worker."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union

from flyte_lite._literals.signatures import FunctionInterface, function_interface
from flyte_lite.devbox import leash
from flyte_lite.devbox._bundle import Named, Which, pickled
from flyte_lite.devbox.limits import Limits
from flyte_lite.devbox.state.bundles import Bundle
from flyte_lite.devbox.state.objects import PREFIX
from flyte_lite.devbox.state.tasks import TaskKey
from flyte_lite.idl.flyteidl2.core import identifier_pb2, tasks_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__flyte_lite_task__"
# The runtime whose behavior this one has; servers tell newer runtimes when their run started.
_RUNTIME = "2.12.1"
_IMAGE = "flyte_lite/devbox"


class Declaration(NamedTuple):
    """What is said of a task beside its function.

    Attributes:
        name: "" is the last part of its module's name, a dot, and the function's name.
        version: "" is made of the function's source: "v" and eight hexadecimal digits.
        retries: Attempts beside the first one.
        limits: In time and memory.
        cache: True keeps outputs by version and inputs; a text does so by that text instead of the version.
    """

    name: str = ""
    version: str = ""
    retries: int = 0
    limits: Limits = Limits()
    cache: Union[bool, str] = False

    @classmethod
    def of(cls, name: str, version: str, retries: int, limits: Limits, cache: Union[bool, str]) -> Declaration:
        """The declaration that a decorator's arguments mean.

        Raises:
            ValueError: `retries` is negative.
        """
        if retries < 0:
            raise ValueError(f"retries must be 0 or more, not {retries}")
        return cls(name, version, retries, limits, cache)


def task(
    *,
    name: str = "",
    version: str = "",
    retries: int = 0,
    timeout: Optional[Union[float, timedelta]] = None,
    queued_timeout: Optional[Union[float, timedelta]] = None,
    deadline: Optional[Union[float, timedelta]] = None,
    memory: Optional[Union[int, str]] = None,
    cache: Union[bool, str] = False,
) -> Callable[[F], F]:
    """Declare a function a task, for `Devbox.deploy`. The function itself stays as it is.

    Where a task calls another one, and both are deployed, that makes an action of the run; see `flyte_lite.devbox`.

    Args:
        name: Such as "greetings.hello"; by default the last part of the module's name (or the file's, without its
            ending), a dot, and the function's name.
        version: By default "v" and eight hexadecimal digits made of the function's source.
        retries: Attempts beside the first one.
        timeout: Seconds, or a timedelta, for each attempt; None is no limit.
        queued_timeout: Seconds, or a timedelta, that it may wait for a free worker.
        deadline: Seconds, or a timedelta, from being queued to the end, for all attempts together.
        memory: What it may take beside what Python itself needs, such as "512Mi" or a number of bytes; beyond that is
            a MemoryError in the task. Only where the system can limit it (not on macOS).
        cache: True keeps outputs by version and inputs; a text does so by that text, for all versions that name it.

    Raises:
        ValueError: `retries` is negative, or a limit is not above 0.
    """
    limits = Limits.declared(timeout, queued_timeout, deadline, memory)
    declaration = Declaration.of(name, version, retries, limits, cache)

    def declare(function: F) -> F:
        if leash.held() is not None:
            # This module was imported in a worker, where tasks are there to be called.
            from flyte_lite.devbox._child import ChildTask
            from flyte_lite.devbox._shape import Shape

            made: Any = ChildTask(*named(function, declaration), lambda: Shape.of(function))
            return made  # type: ignore[no-any-return]
        setattr(function, _MARK, declaration)
        return function

    return declare


class Deployable(NamedTuple):
    """A task, ready to be stored.

    Attributes:
        key: Its name.
        spec: What clients are told of it.
        bundle: What workers are sent.
        uses: The functions that went along, by value or as tasks.
    """

    key: TaskKey
    spec: task_definition_pb2.TaskSpec
    bundle: Bundle
    uses: frozenset[Callable[..., Any]]


def named(function: Callable[..., Any], declared: Declaration, home: str = "") -> Named:
    """What the task is called that a function was declared.

    Args:
        function: The function.
        declared: What was said of it.
        home: The first part of a default name; "" is the last part of the module's name, or that of the program's file.
    """
    name = declared.name or f"{home or _home(function)}.{function.__name__}"
    return Named(name, declared.version or f"v{_source_hash(function)}")


def no_task(_: Callable[..., Any]) -> None:
    """Tells of no function which task it is."""


def deployable(
    function: Callable[..., Any],
    declared: Declaration,
    project: str,
    domain: str,
    home: str = "",
    folder: str = "",
    which: Which = no_task,
    others: Iterable[Any] = (),
) -> Deployable:
    """Everything that is deployed of a function.

    Args:
        function: Annotated.
        declared: What was said of it.
        project: Where to.
        domain: Where to.
        home: The first part of a default name; "" is the last part of the module's name, or that of the program's file.
        folder: What workers put first in their module path; "" is nothing.
        which: Tells which other functions are tasks.
        others: Functions that it knows.

    Raises:
        LiteralError: Its interface can't be told from its annotations.
        TypeError: It can't be sent to another process.
    """
    task = named(function, declared, home)
    key = TaskKey(project, domain, *task)
    interface = function_interface(function)
    data, uses = pickled(function, interface, task, which, others)
    digest = base64.b32encode(hashlib.sha256(data).digest()[:16]).decode()
    uri = f"{PREFIX}/uploads/{project}/{domain}/{digest}/{task.name.rpartition('.')[2]}.pkl"
    return Deployable(key, _spec(function, declared, key, interface, uri), Bundle(data, folder), uses)


def declaration_of(function: Callable[..., Any]) -> Optional[Declaration]:
    """What was said of a function by `task`; None if nothing was."""
    return getattr(function, _MARK, None)


def declared_in(module: ModuleType) -> list[tuple[Callable[..., Any], Declaration]]:
    """The tasks that are declared in a module itself, in the order in which they stand there.

    Raises:
        ValueError: There are none.
    """
    found: list[tuple[Callable[..., Any], Declaration]] = [
        (value, getattr(value, _MARK))
        for value in vars(module).values()
        if inspect.isfunction(value) and hasattr(value, _MARK) and value.__module__ == module.__name__
    ]
    if not found:
        raise ValueError(
            f"no tasks are declared in {getattr(module, '__file__', None) or module.__name__}: put @task(...) of"
            " flyte_lite.devbox above a function"
        )
    return found


@contextmanager
def loaded(file: Path) -> Iterator[ModuleType]:
    """A Python file as a module, which other modules can't import, for the time of a `with`.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no such Python file: {file}")
    # A name that no other module has, as the file's may be that of any.
    name = f"_devbox_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(file.parent.resolve())
    sys.modules[name] = module
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(folder)
        del sys.modules[name]


def _spec(
    function: Callable[..., Any], declared: Declaration, key: TaskKey, interface: FunctionInterface, uri: str
) -> task_definition_pb2.TaskSpec:
    environment, _, short_name = key.name.rpartition(".")
    spec = task_definition_pb2.TaskSpec(short_name=short_name)
    spec.environment.name = environment
    documentation = inspect.getdoc(function) or ""
    spec.documentation.short_description = documentation.partition("\n")[0][:255]
    spec.documentation.long_description = documentation[:2048]
    types = {variable.key: variable.value for variable in interface.interface.inputs.variables}
    for name, default in interface.defaults.items():
        parameter = spec.default_inputs.add(name=name).parameter
        parameter.var.CopyFrom(types[name])
        parameter.default.CopyFrom(default)
    template = spec.task_template
    template.id.resource_type = identifier_pb2.TASK
    template.id.project, template.id.domain, template.id.name, template.id.version = key
    template.type = "python"
    template.interface.CopyFrom(interface.interface)
    template.container.image = _IMAGE
    metadata = template.metadata
    metadata.runtime.type = tasks_pb2.RuntimeMetadata.FLYTE_SDK
    metadata.runtime.version = _RUNTIME
    metadata.runtime.flavor = "python"
    metadata.retries.retries = declared.retries
    declared.limits.write(template)
    metadata.discoverable = bool(declared.cache)
    metadata.discovery_version = declared.cache if isinstance(declared.cache, str) else key.version
    metadata.code_bundle_uri = uri
    return spec


def _home(function: Callable[..., Any]) -> str:
    module = function.__module__ or "__main__"
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None)
        return Path(file).stem if file else "main"
    return module.rpartition(".")[2]


def _source_hash(function: Callable[..., Any]) -> str:
    function = inspect.unwrap(function)
    # What `inspect` finds for a function that is in no file may be the text of another one.
    if Path(function.__code__.co_filename).is_file():
        source = inspect.getsource(function).encode()
    else:
        source = b"".join(_pieces(function.__code__))
    return hashlib.sha256(source).hexdigest()[:8]


def _pieces(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr(code.co_names).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _pieces(constant)
        else:
            yield repr(constant).encode()
