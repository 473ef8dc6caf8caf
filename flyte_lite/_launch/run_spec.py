"""The specification of a run: made of the options of its launch, or taken over from another run and changed by them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Optional

from flyte_lite._launch.options import CACHE_SCOPES, Options
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.task import run_pb2, task_definition_pb2

_RERUN, _RECOVER, _SPAWN = 1, 2, 3
_EXECUTION = ("_U_ORG_NAME", "FLYTE_INTERNAL_EXECUTION_PROJECT", "FLYTE_INTERNAL_EXECUTION_DOMAIN")
_DEPLOYED, _EPHEMERAL = 1, 2
_SYS_PATH = "_F_SYS_PATH"


def fresh(
    options: Options, queue: Optional[str], parent: Optional[identifier_pb2.RunIdentifier] = None
) -> run_pb2.RunSpec:
    """The specification of a first run.

    Args:
        options: Of the launch.
        queue: The task's own, which an option beats.
        parent: The run whose task launches it; see `spawning_run`.
    """
    spec = run_pb2.RunSpec()
    # Both are there even if they are empty.
    spec.labels.SetInParent()
    spec.annotations.SetInParent()
    spec.queue = queue or ""
    _change(spec, options)
    _set_envs(spec, {}, options)
    if parent is not None:
        spec.relation.related_to.CopyFrom(parent)
        spec.relation.relation_type = _SPAWN  # type: ignore[assignment]
    return spec


def spawning_run(
    place: identifier_pb2.ProjectIdentifier, environ: Mapping[str, str] = os.environ
) -> Optional[identifier_pb2.RunIdentifier]:
    """The run in whose task this process is; None if it is in none, or in one of another place.

    Args:
        place: Where the new run goes. A server takes such relations within one project and domain only.
        environ: The variables that the executor gives to tasks.
    """
    name = environ.get("RUN_NAME", "")
    here = tuple(environ.get(variable, "") for variable in _EXECUTION)
    org = here[0] or place.organization
    if not name or not org or (org, *here[1:]) != (place.organization, place.name, place.domain):
        return None
    return identifier_pb2.RunIdentifier(org=org, project=place.name, domain=place.domain, name=name)


def inherited(
    options: Options,
    source: run_pb2.RunSpec,
    task: task_definition_pb2.TaskSpec,
    source_id: identifier_pb2.RunIdentifier,
    recover: bool,
    force_rerun_actions: Sequence[str],
) -> run_pb2.RunSpec:
    """The specification of a run that repeats another: all of that one's, and what the options say otherwise.

    Args:
        options: Of the launch.
        source: The other run's.
        task: What is run.
        source_id: The other run.
        recover: Whether what had succeeded is taken over.
        force_rerun_actions: Actions that run again all the same.
    """
    spec = run_pb2.RunSpec()
    spec.CopyFrom(source)
    # Of that run alone. The newer of two reruns comes from the run that it repeats, not from the first one.
    for field in ("relation", "related_to", "recover", "run_start_time"):
        spec.ClearField(field)
    envs = {item.key: item.value for item in source.envs.values}
    if _is_deployed(source, task):
        # The task has it itself; some kinds of pods are refused if it comes twice.
        envs.pop(_SYS_PATH, None)
    _change(spec, options)
    _set_envs(spec, envs, options)
    spec.relation.related_to.CopyFrom(source_id)
    spec.relation.relation_type = _RECOVER if recover else _RERUN  # type: ignore[assignment]
    if force_rerun_actions:
        spec.recover.force_rerun_actions.extend(force_rerun_actions)
    return spec


def _change(spec: run_pb2.RunSpec, options: Options) -> None:
    """Put what is said into a specification; what is not said stays as it is there."""
    spec.labels.values.update(options.labels)
    spec.annotations.values.update(options.annotations)
    if options.interruptible is not None:
        spec.interruptible.value = options.interruptible
    if options.overwrite_cache:
        spec.overwrite_cache = True
        spec.cache_config.overwrite_cache = True
    # "global" is also what nobody speaks of, so it does not change the scope that another run had.
    if options.cache_lookup_scope != "global" or not spec.cache_config.cache_lookup_scope:
        spec.cache_config.cache_lookup_scope = CACHE_SCOPES[options.cache_lookup_scope]  # type: ignore[assignment]
    if options.queue:
        spec.queue = options.queue
    if options.max_action_concurrency:
        spec.max_action_concurrency = options.max_action_concurrency
    if options.raw_data_path is not None:
        spec.raw_data_storage.raw_data_prefix = options.raw_data_path
    if options.run_base_dir is not None:
        spec.run_base_dir = options.run_base_dir
    if options.service_account is not None:
        spec.security_context.run_as.k8s_service_account = options.service_account
    if options.notifications is not None:
        # Most launches have none, and their values load much.
        from flyte_lite.remote._notifications import set_notifications

        set_notifications(spec, options.notifications)


def _set_envs(spec: run_pb2.RunSpec, envs: dict[str, str], options: Options) -> None:
    """Variables, with those that the official runtime takes its logging from."""
    said = dict(options.env_vars)
    log_format = None if options.log_format == "console" else options.log_format
    for name, level, usual in (
        ("LOG_LEVEL", options.log_level, "30"),
        ("LOG_FORMAT", log_format, "console"),
        ("USER_LOG_LEVEL", options.user_log_level, "20"),
    ):
        if level is not None:
            said.setdefault(name, str(level))
        elif name not in envs:
            said.setdefault(name, usual)
    if options.reset_root_logger:
        said.setdefault("FLYTE_RESET_ROOT_LOGGER", "1")
    if options.debug:
        said.setdefault("_F_E_VS", "1")
    del spec.envs.values[:]
    for name, value in {**envs, **said}.items():
        spec.envs.values.add(key=name, value=value)


def _is_deployed(source: run_pb2.RunSpec, task: task_definition_pb2.TaskSpec) -> bool:
    """Whether the task was deployed, rather than sent along with its first run."""
    if source.task_spec_source in (_DEPLOYED, _EPHEMERAL):
        return source.task_spec_source == _DEPLOYED
    # Some servers do not say; only tools that deploy put the variable into a task.
    template = task.task_template
    if template.HasField("container"):
        return any(item.key == _SYS_PATH for item in template.container.env)
    return f'"{_SYS_PATH}"' in str(template.k8s_pod.pod_spec)
