"""A launch with its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

from flyte_lite import _session
from flyte_lite._launch import run_spec
from flyte_lite._launch.creation import Creation
from flyte_lite._launch.options import Options
from flyte_lite._session import Session
from flyte_lite.errors import OptionError, RemoteTaskUsageError
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.remote._action_details import ROOT
from flyte_lite.remote._inputs import to_inputs
from flyte_lite.remote._run import Run
from flyte_lite.remote._task_details import LazyEntity, TaskDetails, settled

Deployed = Union[LazyEntity, TaskDetails]


class RunContext:
    """Options of a launch, which can be used for several; see `with_runcontext`."""

    def __init__(self, session: Optional[Session], options: Options) -> None:
        self._session = session
        self._options = options

    def __repr__(self) -> str:
        return f"RunContext({self._options!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunContext):
            return NotImplemented
        return self._session is other._session and self._options == other._options

    __hash__ = None  # type: ignore[assignment]  # it holds dicts

    def over(self, session: Session) -> RunContext:
        """The same options for a launch through another session."""
        return RunContext(session, self._options)

    def run(self, task: Deployed, /, *args: Any, **inputs: Any) -> Run:
        """Launch a deployed task and return at once; see `flyte_lite.run`."""
        if not isinstance(task, (LazyEntity, TaskDetails)):
            raise RemoteTaskUsageError(
                f"run takes a deployed task, Task.get(name, version=...), not {type(task).__name__}; "
                "flyte_lite deploys and runs no local code"
            )
        options = self._options
        session = self._session or _session.current("run")
        options.check()
        deadline = session.deadline()
        place = session.scope.project_id(options.project, options.domain)
        details = settled(task, deadline)
        made = to_inputs(details.name, details.pb2.spec, args, inputs, options.custom_context)
        spec = run_spec.fresh(options, details.queue, run_spec.spawning_run(place))
        request = run_service_pb2.CreateRunRequest(run_spec=spec)
        if details.overridden:
            request.task_spec.CopyFrom(details.pb2.spec)
        else:
            request.task_id.CopyFrom(details.pb2.task_id)
        creation = Creation(session, options, place, details.name, deadline)
        if options.dry_run:
            return creation.dry(request, made, details.pb2.spec)
        ignored = details.pb2.spec.task_template.metadata.cache_ignore_input_vars
        return creation.existing() or creation.make(request, made, ignored)

    def rerun(
        self,
        run_name: Union[str, Run],
        action_name: str = ROOT,
        recover: bool = False,
        force_rerun_actions: Optional[Sequence[str]] = None,
        allow_missing_source_outputs: bool = False,
        **inputs: Any,
    ) -> Run:
        """Run again what a run ran; see `flyte_lite.rerun`. What these options do not say is as it was there."""
        from flyte_lite._launch.source import Source

        options = self._options
        of_run = run_name._session if isinstance(run_name, Run) and self._session is None else None
        session = self._session or of_run or _session.current("rerun")
        options.check()
        forced = _checked_names(force_rerun_actions, recover)
        if recover and action_name != ROOT:
            raise OptionError(
                f"recover takes over a whole run, and action_name is {action_name!r}; give one of them: the actions "
                "that an action started have other names in a run of its own"
            )
        deadline = session.deadline()
        if isinstance(run_name, Run):
            source_id = run_name.pb2.action.id.run
            place = session.scope.project_id(options.project or source_id.project, options.domain or source_id.domain)
        else:
            source_id = session.scope.run_id(run_name)
            place = session.scope.project_id(options.project, options.domain)
        source = Source.find(session, source_id, action_name, deadline)
        spec = run_spec.inherited(options, source.run_spec, source.task, source_id, recover, forced)
        request = run_service_pb2.CreateRunRequest(run_spec=spec, task_spec=source.task)
        creation = Creation(session, options, place, f"{source_id.name}/{action_name}", deadline)
        made = source.inputs(session, inputs, options.custom_context, allow_missing_source_outputs, deadline)
        if options.dry_run:
            return creation.dry(request, made, source.task)
        ignored = source.task.task_template.metadata.cache_ignore_input_vars
        return creation.existing() or creation.make(request, made, ignored)


def _checked_names(force_rerun_actions: Optional[Sequence[str]], recover: bool) -> tuple[str, ...]:
    names = tuple(force_rerun_actions or ())
    if isinstance(force_rerun_actions, str) or not all(isinstance(name, str) for name in names):
        raise OptionError(f'force_rerun_actions is {force_rerun_actions!r}; give a list of names, such as ["a1"]')
    if names and not recover:
        raise OptionError("force_rerun_actions is about what recover=True takes over; without it all actions run again")
    return names
