"""Launching deployed tasks: values to inputs, options to a run specification, one CreateRun that is safe to repeat."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

from flyte_lite._launch.context import Deployed, RunContext
from flyte_lite._launch.options import Options, check_unused
from flyte_lite.remote._run import Run

if TYPE_CHECKING:
    from flyte_lite._launch.options import Notifications

__all__ = ["Deployed", "RunContext", "rerun", "run", "with_runcontext"]


def run(task: Deployed, /, *args: Any, **inputs: Any) -> Run:
    """Launch a deployed task and return at once.

    Every keyword is an input of the task; options are on `with_runcontext`. Unknown, missing and mistyped inputs are
    all found before anything is created. The request carries a name made here, so a retry can't make a second run.

    Args:
        task: From `remote.Task.get`.
        *args: Inputs in the order of the task's interface. Tasks deployed by the official SDK have it sorted by name,
            whatever the function says, so names are the safer way.
        **inputs: Inputs by name.

    Returns:
        The run; `wait()` for it, then read `outputs()`.

    Raises:
        InputsError: The inputs do not fit the task; every problem is in the text.
        RemoteTaskNotFoundError: There is no such task.
        NotInitializedError: `init` was not called.
        CallError: See `flyte_lite.errors`. Where the answer to CreateRun was lost for good, the text names the run
            that may have been made.

    RPC:
        flyteidl2.workflow.RunService/CreateRun, after DataProxyService/UploadInputs
    """
    return RunContext(None, Options()).run(task, *args, **inputs)


def rerun(
    run_name: Union[str, Run],
    action_name: str = "a0",
    recover: bool = False,
    force_rerun_actions: Optional[Sequence[str]] = None,
    allow_missing_source_outputs: bool = False,
    **inputs: Any,
) -> Run:
    """Run again what a run ran, with its inputs and options, and return the new run at once.

    The task is the one that ran then, not one deployed since. The new run says where it comes from, in
    `details().pb2.run_spec.relation`. `with_runcontext(...).rerun(...)` changes options; `project` and `domain` of that
    are where the new run goes. An input whose name is one of the arguments here can't be changed.

    Args:
        run_name: The run, by name in the session's project, or as an object, which may be of any project; the new run
            goes to the same one.
        action_name: Another action than the root runs alone, as the root of the new run.
        recover: Take over the results of actions that succeeded. The open-source server does not know that: there all
            actions run again.
        force_rerun_actions: With `recover`, names of actions that run again although they succeeded. The actions that
            these started do so too only if they are named.
        allow_missing_source_outputs: Go on if the outputs of that run were removed from the store. Nobody can tell then
            whether its inputs are there; if not, the new run fails.
        **inputs: In place of those of that run, by name. Results that are taken over were made of the old ones.

    Raises:
        NotFoundError: There is no such run, or no such action of it.
        InputsError: The inputs do not fit the task; every problem is in the text.
        OptionError: The arguments do not go together, or the action runs no task.
        RuntimeUserError: The inputs of that run can't be had any more; the text says what to do. Its `code` is
            "SourceRunInputsUnavailableError" or "SourceRunOutputsUnavailableError".
        CallError: See `flyte_lite.errors`.

    RPC:
        flyteidl2.workflow.RunService/CreateRun, after RunService/GetRunDetails, DataProxyService/GetActionData and
        DataProxyService/UploadInputs
    """
    context = RunContext(None, Options())
    return context.rerun(run_name, action_name, recover, force_rerun_actions, allow_missing_source_outputs, **inputs)


def with_runcontext(
    mode: Optional[Literal["remote"]] = None,
    *,
    name: Optional[str] = None,
    service_account: Optional[str] = None,
    version: Optional[str] = None,
    copy_style: Literal["loaded_modules", "all", "none"] = "loaded_modules",
    dry_run: bool = False,
    copy_bundle_to: Optional[os.PathLike[str]] = None,
    interactive_mode: Optional[bool] = None,
    raw_data_path: Optional[str] = None,
    run_base_dir: Optional[str] = None,
    run_start_time: Optional[datetime.datetime] = None,
    overwrite_cache: bool = False,
    project: Optional[str] = None,
    domain: Optional[str] = None,
    env_vars: Optional[Mapping[str, str]] = None,
    labels: Optional[Mapping[str, str]] = None,
    annotations: Optional[Mapping[str, str]] = None,
    interruptible: Optional[bool] = None,
    log_level: Optional[int] = None,
    log_format: str = "console",
    user_log_level: Optional[int] = None,
    reset_root_logger: bool = False,
    disable_run_cache: bool = False,
    queue: Optional[str] = None,
    max_action_concurrency: Optional[int] = None,
    notifications: Optional[Notifications] = None,
    custom_context: Optional[Mapping[str, str]] = None,
    cache_lookup_scope: str = "global",
    preserve_original_types: bool = False,
    debug: bool = False,
    tracked: bool = False,
    tracked_strict: bool = False,
    _tracker: Any = None,
    idempotency_key: Optional[str] = None,
) -> RunContext:
    """Options for a launch: `with_runcontext(name="nightly").run(task, x=1)`.

    Args:
        mode: Only "remote", which is the default: nothing runs here.
        name: Of the run: 1 to 30 lower-case letters, digits and dashes; None makes one. Some servers answer a name
            that is taken with the run that has it; `Run.created` is None then.
        service_account: Kubernetes service account to run as.
        version: No effect: `Task.get` says which version of a deployed task is meant.
        copy_style: No effect: a deployed task has its code on the server.
        dry_run: Only prepare the launch: what comes back has `task_spec`, `run_spec`, `inputs` and `code_bundle`, which
            is None. The server is asked for the task, and nothing is created.
        copy_bundle_to: Refused: there is no code bundle to copy.
        interactive_mode: No effect: it is about how code is packed.
        raw_data_path: Where tasks put files, such as "s3://bucket/prefix"; None leaves it to the server.
        run_base_dir: Where inputs and metadata go; None leaves it to the server.
        run_start_time: No effect: the server says when the run started.
        overwrite_cache: Run again what is cached.
        project: Where the run goes; None takes the session's. The task may be of another.
        domain: Where the run goes; None takes the session's.
        env_vars: For its tasks.
        labels: Of the run.
        annotations: Of its Kubernetes objects.
        interruptible: Whether it may run on machines that can be taken away; None leaves it to the task.
        log_level: Of the official runtime in the tasks, as in `logging`; None is 30.
        log_format: "console" or "json".
        user_log_level: Of the tasks' own logger; None is 20.
        reset_root_logger: Whether the runtime may change the root logger.
        disable_run_cache: No effect: it is about runs on this machine; see `overwrite_cache`.
        queue: Where to wait for resources; beats the task's.
        max_action_concurrency: Actions at a time, parents included: 2 or more; None and 0 set no limit.
        notifications: Whom to tell about the end of the run: one or several values of `flyte_lite.notify`. Only hosted
            servers do; others keep it with the run.
        custom_context: Text that travels with the run to all its actions.
        cache_lookup_scope: "global" or "project-domain". A rerun that says "global" keeps the scope of its source.
        preserve_original_types: Only False: outputs that are data frames are references; see `typed_outputs`.
        debug: Start the task under the server's remote debugger.
        tracked: No effect: a run on the server is in the console anyway.
        tracked_strict: No effect, as `tracked`.
        idempotency_key: Launches with the same key, task, project and domain are one run, however often and from
            wherever they are tried; the later ones return it with `created` False.

    Raises:
        OptionError: Something is refused that would have no effect, at once; or, when `run` is called, an option is not
            what it must be.
    """
    check_unused(
        mode=mode,
        version=version,
        copy_style=copy_style,
        copy_bundle_to=copy_bundle_to,
        run_start_time=run_start_time,
        preserve_original_types=preserve_original_types,
    )
    return RunContext(
        None,
        Options(
            name=name,
            idempotency_key=idempotency_key,
            project=project,
            domain=domain,
            labels=labels or {},
            annotations=annotations or {},
            env_vars=env_vars or {},
            interruptible=interruptible,
            overwrite_cache=overwrite_cache,
            cache_lookup_scope=cache_lookup_scope,
            service_account=service_account,
            queue=queue,
            raw_data_path=raw_data_path,
            run_base_dir=run_base_dir,
            max_action_concurrency=max_action_concurrency,
            custom_context=custom_context or {},
            log_level=log_level,
            log_format=log_format,
            user_log_level=user_log_level,
            reset_root_logger=reset_root_logger,
            debug=debug,
            notifications=notifications,
            dry_run=dry_run,
        ),
    )
