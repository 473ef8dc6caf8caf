"""Tasks: how a Python function is declared one, what is deployed of it, and how it travels to a worker."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import inspect
import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union

import cloudpickle

from flyte_lite._literals.classes import is_model, own_annotations
from flyte_lite._literals.signatures import FunctionInterface, function_interface
from flyte_lite.devbox.limits import Limits
from flyte_lite.devbox.state.bundles import Bundle
from flyte_lite.devbox.state.objects import PREFIX
from flyte_lite.devbox.state.tasks import TaskKey
from flyte_lite.devbox.worker import set_model
from flyte_lite.idl.flyteidl2.core import identifier_pb2, tasks_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__flyte_lite_task__"
# The runtime whose behavior this one has; servers tell newer runtimes when their run started.
_RUNTIME = "2.12.1"
_IMAGE = "flyte_lite/devbox"

# cloudpickle keeps what goes by value in a table of the whole process.
_pickling = threading.Lock()


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
        setattr(function, _MARK, declaration)
        return function

    return declare


class Deployable(NamedTuple):
    """A task, ready to be stored."""

    key: TaskKey
    spec: task_definition_pb2.TaskSpec
    bundle: Bundle


def deployable(
    function: Callable[..., Any], declared: Declaration, project: str, domain: str, home: str = "", folder: str = ""
) -> Deployable:
    """Everything that is deployed of a function.

    Args:
        function: Annotated.
        declared: What was said of it.
        project: Where to.
        domain: Where to.
        home: The first part of a default name; "" is the last part of the module's name, or that of the program's file.
        folder: What workers put first in their module path; "" is nothing.

    Raises:
        LiteralError: Its interface can't be told from its annotations.
        TypeError: It can't be sent to another process.
    """
    home = home or _home(function)
    name = declared.name or f"{home}.{function.__name__}"
    version = declared.version or f"v{_source_hash(function)}"
    key = TaskKey(project, domain, name, version)
    interface = function_interface(function)
    pickled = _pickle(function, interface, name)
    digest = base64.b32encode(hashlib.sha256(pickled).digest()[:16]).decode()
    uri = f"{PREFIX}/uploads/{project}/{domain}/{digest}/{name.rpartition('.')[2]}.pkl"
    return Deployable(key, _spec(function, declared, key, interface, uri), Bundle(pickled, folder))


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


# What pydantic makes of a model's fields. It refers to other models, and is made before these are whole again.
_BUILT = ("__pydantic_core_schema__", "__pydantic_validator__", "__pydantic_serializer__")


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """cloudpickle's, for which models of pydantic that refer to one another are too much."""

    def reducer_override(self, obj: Any) -> Any:
        made = super().reducer_override(obj)
        if not isinstance(made, tuple) or len(made) != 6 or is_model(obj) != 2:
            return made
        make, arguments, (attributes, slots), _, _, set_state = made
        kept = {name: value for name, value in attributes.items() if name not in _BUILT}
        return make, arguments, (set_state, (kept, slots)), None, None, set_model


def _pickle(function: Callable[..., Any], interface: FunctionInterface, name: str) -> bytes:
    # By value, together with what it uses of its own module: that module may not be importable in a worker (a test, a
    # notebook, a file), and must not be run once more there.
    module = sys.modules.get(function.__module__ or "")
    by_value = module is not None and module.__name__ != "__main__"
    with _pickling:
        if by_value:
            cloudpickle.register_pickle_by_value(module)
        try:
            classes = own_annotations([*interface.inputs.values(), *interface.outputs.values()])
            stream = io.BytesIO()
            _Pickler(stream).dump((function, interface.inputs, interface.outputs, list(classes.items())))
            return stream.getvalue()
        except Exception as error:  # Objects that do not pickle raise whatever they like.
            raise TypeError(f"task {name} can't be sent to a worker: {error}") from error
        finally:
            if by_value:
                cloudpickle.unregister_pickle_by_value(module)


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
