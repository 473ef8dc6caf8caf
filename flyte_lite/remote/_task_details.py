"""One deployed task in full: what it takes and gives, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

from flyte_lite._clock import Deadline
from flyte_lite._session import Session
from flyte_lite.errors import RemoteTaskUsageError
from flyte_lite.idl.flyteidl2.core import interface_pb2, tasks_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2
from flyte_lite.models import NativeInterface
from flyte_lite.remote import _deployed
from flyte_lite.remote._base import Resource

if TYPE_CHECKING:
    from flyte_lite.policies import Cache, RetryStrategy, Seconds, Timeout
    from flyte_lite.remote._overrides import Overrides, SecretRequest
    from flyte_lite.resources import Resources

AutoVersion = Literal["latest", "current"]

_MAX_INLINE_IO_BYTES = 10 * 1024 * 1024


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

    def override(self, **changes: Any) -> LazyEntity:
        """The same task, run otherwise; nothing is asked yet. See `TaskDetails.override`.

        Raises:
            RemoteTaskUsageError: Something can't be said otherwise of a deployed task.
            OptionError: A value is not what it must be.
        """
        from flyte_lite.remote._overrides import Overrides

        return LazyEntity(self.name, _Overridden(self, Overrides.of(self.name, changes)))

    def __getattr__(self, name: str) -> Any:
        # Only what TaskDetails has is worth a call; copy, pickle and inspect ask for much else.
        if name.startswith("_") or (not hasattr(TaskDetails, name) and name != "pb2"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.fetch(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RemoteTaskUsageError(
            f"task {self.name} runs on the server, so it can't be called here; use flyte_lite.run(task, ...)"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LazyEntity):
            return NotImplemented
        return (self.name, self._getter) == (other.name, other._getter)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return repr(self._found) if self._found is not None else f"{type(self).__name__}(name={self.name})"


class _Overridden:
    """Looks a task up and says some of it otherwise."""

    def __init__(self, task: LazyEntity, overrides: Overrides) -> None:
        self._task = task
        self._overrides = overrides

    def __call__(self, deadline: Optional[Deadline]) -> TaskDetails:
        return self._task._fetch_by(deadline)._overridden_by(self._overrides)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Overridden) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # nobody looks for one


class TaskDetails(Resource["task_definition_pb2.TaskDetails"]):
    """A deployed task with its specification.

    Attributes:
        pb2: `flyteidl2.task.TaskDetails`.
        overridden: True if something of it was said otherwise; it is launched by its specification then, not by name.
        overriden_queue: Where its runs wait for resources, if that was said; None leaves it to the server.
        max_inline_io_bytes: No effect: the runtime inside a task takes it from where the task was declared.
    """

    _message = "flyteidl2.task.TaskDetails"
    _shown = ("name", "version")
    _kept = _compared = ("max_inline_io_bytes", "overriden_queue", "overridden")

    def __init__(
        self,
        pb2: task_definition_pb2.TaskDetails,
        session: Optional[Session] = None,
        *,
        max_inline_io_bytes: int = _MAX_INLINE_IO_BYTES,
        overriden_queue: Optional[str] = None,
        overridden: bool = False,
    ) -> None:
        super().__init__(pb2, session)
        self.max_inline_io_bytes = max_inline_io_bytes
        self.overriden_queue = overriden_queue
        self.overridden = overridden

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
        where = (place.organization, place.name, place.domain)
        return LazyEntity(name, _deployed.Lookup(cls, session, where, name, version))

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

    @property
    def cache(self) -> Cache:
        """Whether its results are kept, and under which version."""
        from flyte_lite.policies import Cache

        metadata = self.pb2.spec.task_template.metadata
        return Cache(
            "disable" if not metadata.discoverable else "override" if metadata.discovery_version else "auto",
            version_override=metadata.discovery_version or None,
            serialize=metadata.cache_serializable,
            ignored_inputs=tuple(metadata.cache_ignore_input_vars),
            max_age=metadata.cache_max_age.ToTimedelta() if metadata.HasField("cache_max_age") else None,
        )

    @property
    def secrets(self) -> list[str]:
        """Names of the secrets that it is given."""
        return [secret.key for secret in self.pb2.spec.task_template.security_context.secrets]

    @property
    def resources(
        self,
    ) -> tuple[Sequence[tasks_pb2.Resources.ResourceEntry], Sequence[tasks_pb2.Resources.ResourceEntry]]:
        """What its container asks for, and the most that it gets; both are empty if a pod's specification says it."""
        resources = self.pb2.spec.task_template.container.resources
        return resources.requests, resources.limits

    @property
    def queue(self) -> Optional[str]:
        """Where its runs wait for resources, if `override` said so; None leaves it to the server."""
        return self.overriden_queue

    def override(
        self,
        *,
        short_name: Optional[str] = None,
        resources: Optional[Resources] = None,
        retries: Union[int, RetryStrategy] = 0,
        timeout: Union[Timeout, Seconds, None] = None,
        env_vars: Optional[Mapping[str, str]] = None,
        secrets: Optional[SecretRequest] = None,
        service_account: Optional[str] = None,
        max_inline_io_bytes: Optional[int] = None,
        cache: Union[Cache, Literal["disable"], None] = None,
        queue: Optional[str] = None,
        produces_artifacts: Optional[bool] = None,
        **kwargs: Any,
    ) -> TaskDetails:
        """The same task, run otherwise. What was said before stays, unless it is said again; None says nothing.

        Args:
            short_name: What its runs are shown as.
            resources: In place of the task's own, all of them.
            retries: Tries beside the first one; 0 leaves them as they are, `RetryStrategy(0)` has none.
            timeout: In place of the task's limits, all of them; a time alone is that of each attempt, 0 has none.
            env_vars: In place of the task's own variables, all of them. `with_runcontext(env_vars=...)` adds some.
            secrets: Names or `Secret`s, in place of the task's own, all of them.
            service_account: Kubernetes service account to run as.
            max_inline_io_bytes: No effect.
            cache: "disable", or `Cache("override", version_override=...)`.
            queue: Where its runs wait for resources; `with_runcontext(queue=...)` beats it.
            produces_artifacts: Whether outputs that the task declares as artifacts become some.
            **kwargs: There is nothing else.

        Raises:
            RemoteTaskUsageError: Something else is given, or the task has no container to change.
            OptionError: A value is not what it must be.
        """
        from flyte_lite.remote._overrides import Overrides

        given = {
            "short_name": short_name,
            "resources": resources,
            "retries": retries,
            "timeout": timeout,
            "env_vars": env_vars,
            "secrets": secrets,
            "service_account": service_account,
            "max_inline_io_bytes": max_inline_io_bytes,
            "cache": cache,
            "queue": queue,
            "produces_artifacts": produces_artifacts,
        }
        return self._overridden_by(Overrides.of(self.name, {**given, **kwargs}))

    def _overridden_by(self, overrides: Overrides) -> TaskDetails:
        made = self.__copy__()
        overrides.apply(made.pb2.spec)
        made.overridden = True
        if overrides.queue is not None:
            made.overriden_queue = overrides.queue
        if overrides.max_inline_io_bytes is not None:
            made.max_inline_io_bytes = overrides.max_inline_io_bytes
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RemoteTaskUsageError(
            f"task {self.name} runs on the server, so it can't be called here; use flyte_lite.run(task, ...)"
        )


def settled(task: Union[LazyEntity, TaskDetails], deadline: Deadline) -> TaskDetails:
    """The task itself; if it was not looked up yet that ends with `deadline`, not with that of the task's session."""
    return task._fetch_by(deadline) if isinstance(task, LazyEntity) else task
