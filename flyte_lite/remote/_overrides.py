"""What may be said otherwise of a deployed task for a launch, and its place in the task's specification."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

from flyte_lite.errors import OptionError, RemoteTaskUsageError
from flyte_lite.idl.flyteidl2.core import literals_pb2, security_pb2, tasks_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2
from flyte_lite.policies import Cache, RetryStrategy, Seconds, Timeout
from flyte_lite.resources import Device, Resources
from flyte_lite.secret import Secret

if TYPE_CHECKING:
    from flyte_lite.idl.google.protobuf.duration_pb2 import Duration

# As clusters label them; others go by their own name.
_LABELS = {
    "A10": "nvidia-a10",
    "A100": "nvidia-tesla-a100",
    "A100_80G": "nvidia-a100-80gb",
    "A10G": "nvidia-a10g",
    "H100": "nvidia-tesla-h100",
    "L4": "nvidia-l4",
    "L40s": "nvidia-l40s",
    "RTX_PRO_4500": "nvidia-rtx-pro-4500",
    "RTX_PRO_6000": "nvidia-rtx-pro-6000",
    "T4": "nvidia-tesla-t4",
    "V100": "nvidia-tesla-v100",
    "V5E": "tpu-v5-lite-podslice",
    "V5P": "tpu-v5p-slice",
    "V6E": "tpu-v6e-slice",
}
_DEVICE_CLASSES = {"GPU": 0, "TPU": 1, "NEURON": 2, "AMD_GPU": 3, "HABANA_GAUDI": 4, "APPLE_SILICON": 5}
_CPU, _GPU, _MEMORY, _DISK = 1, 2, 3, 5
_IN_PODS = {_CPU: "cpu", _GPU: "gpu", _MEMORY: "memory", _DISK: "ephemeral-storage"}
_ENV_VAR, _FILE = 1, 2
_PRIMARY_CONTAINER = "primary_container_name"
# Variables of the task, not of its user, in the environment that the user replaces.
_OF_APPLE_SILICON = "_F_APPLE_SILICON_"

SecretRequest = Union[str, Secret, Sequence[Union[str, Secret]]]


class Overrides(NamedTuple):
    """What is said otherwise; None leaves it as the task has it. See `TaskDetails.override`."""

    short_name: Optional[str] = None
    resources: Optional[Resources] = None
    retries: Optional[RetryStrategy] = None
    timeout: Optional[Timeout] = None
    env_vars: Optional[Mapping[str, str]] = None
    secrets: Optional[tuple[Secret, ...]] = None
    service_account: Optional[str] = None
    max_inline_io_bytes: Optional[int] = None
    cache: Optional[Cache] = None
    queue: Optional[str] = None
    produces_artifacts: Optional[bool] = None

    @classmethod
    def of(cls, task: str, given: Mapping[str, Any]) -> Overrides:
        """What a caller gives, checked.

        Raises:
            RemoteTaskUsageError: Something can't be said otherwise of a deployed task.
            OptionError: A value is not what it must be.
        """
        for name in given:
            if name not in cls._fields:
                near = difflib.get_close_matches(name, cls._fields, n=1)
                raise RemoteTaskUsageError(
                    f"override of task {task}: {name} is not known"
                    + (f" (did you mean {near[0]}?)" if near else "")
                    + f"; a deployed task can be given another {', '.join(cls._fields)}"
                )
        # 0 is the official word for retries that nobody speaks of.
        values: dict[str, Any] = {
            name: value
            for name, value in given.items()
            if value is not None and not (name == "retries" and isinstance(value, int) and value == 0)
        }
        try:
            for name, read in _READERS.items():
                if name in values:
                    values[name] = read(values[name])
            for name, kind in _KINDS.items():
                if name in values and (
                    not isinstance(values[name], kind) or (kind is int and isinstance(values[name], bool))
                ):
                    raise ValueError(f"{name} is {values[name]!r}; give {_ARTICLES[kind]}")
        except ValueError as error:
            raise OptionError(f"override of task {task}: {error}") from error
        return cls(**values)

    def apply(self, spec: task_definition_pb2.TaskSpec) -> None:
        """Change a task's specification.

        Raises:
            RemoteTaskUsageError: The task has no container whose resources or environment could be changed.
        """
        template = spec.task_template
        if self.short_name is not None:
            spec.short_name = self.short_name
        if self.secrets is not None:
            del template.security_context.secrets[:]
            template.security_context.secrets.extend(_secret(secret) for secret in self.secrets)
        if self.service_account is not None:
            template.security_context.run_as.k8s_service_account = self.service_account
        if self.env_vars is not None or self.resources is not None:
            if template.HasField("container"):
                self._change_container(template)
            elif template.HasField("k8s_pod"):
                self._change_pod(template)
            else:
                raise RemoteTaskUsageError(
                    f"task {template.id.name} has no container, so it has neither resources nor an environment"
                )
        if self.resources is not None:
            extended = _extended(self.resources)
            template.ClearField("extended_resources")
            if extended is not None:
                template.extended_resources.CopyFrom(extended)
        self._change_metadata(template)

    def _change_container(self, template: tasks_pb2.TaskTemplate) -> None:
        container = template.container
        old = {item.key: item.value for item in container.env}
        new = dict(self.env_vars if self.env_vars is not None else old)
        new = {name: value for name, value in new.items() if not name.startswith(_OF_APPLE_SILICON)}
        new.update(_apple_silicon(old, new, self.resources, template.id.name))
        if new != old:
            del container.env[:]
            container.env.extend(literals_pb2.KeyValuePair(key=name, value=value) for name, value in new.items())
        if self.resources is not None:
            container.resources.CopyFrom(_container_resources(self.resources))

    def _change_pod(self, template: tasks_pb2.TaskTemplate) -> None:
        """Change the container that runs the task's code, in Kubernetes' own words."""
        from google.protobuf import json_format

        pod = json_format.MessageToDict(template.k8s_pod.pod_spec)
        containers = pod.get("containers", [])
        primary = template.config.get(_PRIMARY_CONTAINER) or template.k8s_pod.primary_container_name
        ours = [each for each in containers if each.get("name") == primary] or containers
        if len(ours) != 1:
            raise RemoteTaskUsageError(
                f"task {template.id.name} runs a pod without a container named {primary!r}, so which of its "
                f"{len(containers)} is meant can't be told"
            )
        (container,) = ours
        if self.env_vars is not None:
            container["env"] = [{"name": name, "value": value} for name, value in self.env_vars.items()]
        if self.resources is not None:
            wanted = _container_resources(self.resources)
            claims = (container.get("resources") or {}).get("claims")
            parts = {
                "requests": {_IN_PODS[entry.name]: entry.value for entry in wanted.requests},
                "limits": {_IN_PODS[entry.name]: entry.value for entry in wanted.limits},
                "claims": claims,
            }
            container["resources"] = {name: part for name, part in parts.items() if part}
        template.k8s_pod.pod_spec.Clear()
        json_format.ParseDict(pod, template.k8s_pod.pod_spec)

    def _change_metadata(self, template: tasks_pb2.TaskTemplate) -> None:
        metadata = template.metadata
        if self.produces_artifacts is not None:
            metadata.produces_artifacts = self.produces_artifacts
        if self.retries is not None:
            metadata.retries.CopyFrom(_retries(self.retries))
        if self.timeout is not None:
            metadata.ClearField("timeout")
            metadata.ClearField("timeouts")
            if self.timeout.max_runtime:
                _set(metadata.timeout, self.timeout.max_runtime)
            if self.timeout.max_queued_time:
                _set(metadata.timeouts.queued_timeout, self.timeout.max_queued_time)
            if self.timeout.deadline:
                _set(metadata.timeouts.deadline, self.timeout.deadline)
        if self.cache is not None:
            metadata.discoverable = self.cache.is_enabled()
            metadata.discovery_version = self.cache.get_version()
            metadata.cache_serializable = self.cache.serialize
            metadata.cache_ignore_input_vars[:] = self.cache.get_ignored_inputs()
            metadata.ClearField("cache_max_age")
            if self.cache.max_age is not None:
                _set(metadata.cache_max_age, self.cache.max_age)


def _read_cache(given: Any) -> Cache:
    cache = given if isinstance(given, Cache) else Cache(given)
    if cache.behavior == "auto":
        raise ValueError(
            'cache is "auto", which makes its version where the task is deployed; give '
            'Cache("override", version_override=...) or "disable"'
        )
    if cache.behavior == "override" and not cache.version_override:
        raise ValueError('cache is "override" without a version; give Cache("override", version_override=...)')
    return cache


def _read_secrets(given: Any) -> tuple[Secret, ...]:
    listed: Iterable[Any] = (given,) if isinstance(given, (str, Secret)) else given
    try:
        secrets = tuple(Secret(each) if isinstance(each, str) else each for each in listed)
    except TypeError:
        secrets = (None,)
    if not all(isinstance(each, Secret) for each in secrets):
        raise ValueError(f"secrets is {type(given).__name__}; give a name, a Secret, or a list of them")
    return secrets


def _read_env_vars(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ValueError(f"env_vars is {type(given).__name__}; give a dict of texts")
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str):
            # The value may be a password.
            raise ValueError(f"env_vars[{name!r}] is {type(value).__name__}; names and values are text")
    return dict(given)


_READERS: dict[str, Any] = {
    "cache": _read_cache,
    "env_vars": _read_env_vars,
    "retries": lambda given: given if isinstance(given, RetryStrategy) else RetryStrategy(given),
    "secrets": _read_secrets,
    "timeout": Timeout.of,
}
_KINDS: dict[str, type] = {
    "max_inline_io_bytes": int,
    "produces_artifacts": bool,
    "queue": str,
    "resources": Resources,
    "service_account": str,
    "short_name": str,
}
_ARTICLES = {int: "an int", bool: "True or False", str: "a text", Resources: "Resources"}


def _set(duration: Duration, time: Seconds) -> None:
    if isinstance(time, int):
        duration.FromSeconds(time)
    else:
        duration.FromTimedelta(time)


def _retries(strategy: RetryStrategy) -> literals_pb2.RetryStrategy:
    made = literals_pb2.RetryStrategy(retries=strategy.count)
    backoff = strategy.backoff
    if backoff is not None:
        _set(made.backoff.base, backoff.base)
        made.backoff.factor = backoff.factor
        if backoff.cap is not None:
            _set(made.backoff.cap, backoff.cap)
    return made


def _secret(secret: Secret) -> security_pb2.Secret:
    return security_pb2.Secret(
        group=secret.group or "",
        key=secret.key,
        mount_requirement=_ENV_VAR if secret.as_env_var else _FILE,  # type: ignore[arg-type]
        env_var=secret.as_env_var or "",
    )


def _container_resources(resources: Resources) -> tasks_pb2.Resources:
    made = tasks_pb2.Resources()
    device = resources.get_device()
    amounts: tuple[tuple[int, Any], ...] = (
        (_CPU, resources.cpu),
        (_MEMORY, resources.memory),
        (_GPU, None if device is None else device.quantity),
        (_DISK, resources.disk),
    )
    for name, amount in amounts:
        if amount is None:
            continue
        asked, most = amount if isinstance(amount, tuple) else (amount, None)
        made.requests.add(name=name, value=str(asked))
        if most is not None:
            made.limits.add(name=name, value=str(most))
    return made


def _extended(resources: Resources) -> Optional[tasks_pb2.ExtendedResources]:
    """What Kubernetes has no words for: which accelerator, and shared memory."""
    made = tasks_pb2.ExtendedResources()
    device, shared = resources.get_device(), resources.get_shared_memory()
    if device is not None and not isinstance(resources.gpu, int):
        made.gpu_accelerator.CopyFrom(_accelerator(device))
    if shared is not None:
        made.shared_memory.mount_path = "/dev/shm"  # noqa: S108 - where Linux has it
        made.shared_memory.mount_name = "flyte-shm"
        made.shared_memory.size_limit = shared
    return made if made.ListFields() else None


def _accelerator(device: Device) -> tasks_pb2.GPUAccelerator:
    if device.device is None:
        raise OptionError("gpu is a Device without a name; give it one, or give the number alone for any")
    made = tasks_pb2.GPUAccelerator(
        device=_LABELS.get(device.device, device.device),
        device_class=_DEVICE_CLASSES[device.device_class],  # type: ignore[arg-type]
    )
    if device.partition:
        made.partition_size = device.partition
    return made


def _apple_silicon(
    old: Mapping[str, str], new: Mapping[str, str], resources: Optional[Resources], task: str
) -> dict[str, str]:
    """The variables that send a task to the Mac of an official devbox, as they are after the change."""
    carried = {name: value for name, value in old.items() if name.startswith(_OF_APPLE_SILICON)}
    in_container = new.get("FLYTE_APPLE_SILICON_EXECUTION") == "container"
    if resources is not None:
        device = resources.get_device()
        if device is None or device.device_class != "APPLE_SILICON":
            return {}
        if not carried and not in_container:
            raise RemoteTaskUsageError(
                f"task {task} can't be moved to gpu='AppleSilicon' by an override: what is installed there is settled "
                "where the task is deployed; deploy it with that"
            )
    return {} if in_container else carried
