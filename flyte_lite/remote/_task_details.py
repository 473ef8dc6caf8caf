"""One deployed task in full: what it takes and gives, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Optional, Union

from flyte_lite._clock import Deadline
from flyte_lite._session import Session
from flyte_lite.errors import RemoteTaskUsageError
from flyte_lite.idl.flyteidl2.core import interface_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2  # noqa: F401 - in quotes below
from flyte_lite.models import NativeInterface
from flyte_lite.remote import _deployed
from flyte_lite.remote._base import Resource

AutoVersion = Literal["latest", "current"]


class LazyEntity:
    """A deployed task that is looked up when something of it is first needed, and never again.

    Every attribute of `TaskDetails` is one of this: `Task.get("a.b", version="v1").required_args`.

    Attributes:
        name: The task's full name.
    """

    def __init__(self, name: str, getter: Callable[[Optional[Deadline]], TaskDetails]) -> None:
        self.name = name
        self._getter = getter
        self._found: Optional[TaskDetails] = None

    def fetch(self) -> TaskDetails:
        """The task; asks the server the first time, so "latest" is settled then.

        Raises:
            RemoteTaskNotFoundError: There is no such task, or no such version.

        RPC:
            flyteidl2.task.TaskService/GetTaskDetails, after ListTasks for "latest"
        """
        return self._fetch_by(None)

    def _fetch_by(self, deadline: Optional[Deadline]) -> TaskDetails:
        if self._found is None:
            self._found = self._getter(deadline)
        return self._found

    def __getattr__(self, name: str) -> Any:
        # Only what TaskDetails has is worth a call; copy, pickle and inspect ask for much else.
        if name.startswith("_") or (not hasattr(TaskDetails, name) and name != "pb2"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.fetch(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RemoteTaskUsageError(
            f"task {self.name} runs on the server, so it can't be called here; use flyte_lite.run(task, ...)"
        )

    def __repr__(self) -> str:
        return repr(self._found) if self._found is not None else f"LazyEntity(name={self.name})"


class TaskDetails(Resource["task_definition_pb2.TaskDetails"]):
    """A deployed task with its specification.

    Attributes:
        pb2: `flyteidl2.task.TaskDetails`.
    """

    _message = "flyteidl2.task.TaskDetails"
    _shown = ("name", "version")

    @classmethod
    def get(
        cls,
        name: str,
        project: Optional[str] = None,
        domain: Optional[str] = None,
        version: Optional[str] = None,
        auto_version: Optional[AutoVersion] = None,
    ) -> LazyEntity:
        """The same as `Task.get`."""
        return cls._lazy(cls._current(), name, project, domain, version, auto_version)

    @classmethod
    def fetch(
        cls,
        name: str,
        project: Optional[str] = None,
        domain: Optional[str] = None,
        version: Optional[str] = None,
        auto_version: Optional[AutoVersion] = None,
    ) -> TaskDetails:
        """A deployed task, asked for now; see `Task.get`.

        Raises:
            RemoteTaskNotFoundError: There is no such task, or no such version.

        RPC:
            flyteidl2.task.TaskService/GetTaskDetails, after ListTasks for "latest"
        """
        return cls._lazy(cls._current(), name, project, domain, version, auto_version).fetch()

    @classmethod
    def _lazy(
        cls,
        session: Session,
        name: str,
        project: Optional[str],
        domain: Optional[str],
        version: Optional[str],
        auto_version: Optional[AutoVersion],
    ) -> LazyEntity:
        if (version is None) == (auto_version is None):
            raise ValueError(f'Task.get({name!r}) needs either version="..." or auto_version="latest"')
        if auto_version == "current":
            raise ValueError(
                'auto_version="current" means something only inside a running task; name a version, or "latest"'
            )
        if auto_version not in (None, "latest"):
            raise ValueError(f'auto_version is {auto_version!r}; the only one known here is "latest"')
        place = session.scope.project_id(project, domain)

        def getter(deadline: Optional[Deadline]) -> TaskDetails:
            return cls._make(_deployed.find(session, place, name, version, deadline or session.deadline()), session)

        return LazyEntity(name, getter)

    @property
    def name(self) -> str:
        """Full name."""
        return self.pb2.task_id.name

    @property
    def version(self) -> str:
        """Version."""
        return self.pb2.task_id.version

    @property
    def task_type(self) -> str:
        """Such as "python"."""
        return self.pb2.spec.task_template.type

    @property
    def default_input_args(self) -> tuple[str, ...]:
        """Names of the inputs that have a default, in order."""
        return tuple(item.name for item in self.pb2.spec.default_inputs)

    @property
    def required_args(self) -> tuple[str, ...]:
        """Names of the inputs that must be given, in order."""
        have = set(self.default_input_args)
        return tuple(entry.key for entry in self.typed_interface.inputs.variables if entry.key not in have)

    @property
    def typed_interface(self) -> interface_pb2.TypedInterface:
        """Inputs and outputs with their types, as a message."""
        return self.pb2.spec.task_template.interface

    @property
    def interface(self) -> NativeInterface:
        """Inputs and outputs in Python's terms."""
        # Whoever only launches the task needs none of this.
        import inspect

        from flyte_lite._literals import describe
        from flyte_lite._literals.interfaces import annotation_of, json_schema_of

        have = set(self.default_input_args)
        takes, gives = self.typed_interface.inputs.variables, self.typed_interface.outputs.variables
        listed = ", ".join(
            f"{entry.key}: {describe(entry.value.type)}{' = ...' if entry.key in have else ''}" for entry in takes
        )
        given = ", ".join(f"{entry.key}: {describe(entry.value.type)}" for entry in gives)
        return NativeInterface(
            {
                entry.key: (
                    annotation_of(entry.value.type),
                    NativeInterface.has_default if entry.key in have else inspect.Parameter.empty,
                )
                for entry in takes
            },
            {entry.key: annotation_of(entry.value.type) for entry in gives},
            json_schema={
                "type": "object",
                "properties": {entry.key: json_schema_of(entry.value.type) for entry in takes},
                "required": list(self.required_args),
            },
            text=f"({listed})" + (f" -> ({given})" if len(gives) > 1 else f" -> {given}" if given else ""),
        )

    @property
    def json_schema(self) -> dict[str, Any]:
        """The inputs as the JSON schema of an object: for forms, and for models that call tasks as tools."""
        return self.interface.json_schema

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RemoteTaskUsageError(
            f"task {self.name} runs on the server, so it can't be called here; use flyte_lite.run(task, ...)"
        )


def settled(task: Union[LazyEntity, TaskDetails], deadline: Deadline) -> TaskDetails:
    """The task itself; if it was not looked up yet that ends with `deadline`, not with that of the task's session."""
    return task._fetch_by(deadline) if isinstance(task, LazyEntity) else task
