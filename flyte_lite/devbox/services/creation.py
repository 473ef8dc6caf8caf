"""What CreateRun makes of a request: a name, a task, inputs, a run specification, and one row."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.identity import caller
from flyte_lite.devbox.services.project import check_project
from flyte_lite.devbox.services.task import get_task, task_key
from flyte_lite.devbox.services.trigger import get_trigger
from flyte_lite.devbox.services.trigger import key_of as trigger_key
from flyte_lite.devbox.state.actions import Action, ActionKey
from flyte_lite.devbox.state.objects import PREFIX
from flyte_lite.devbox.state.tasks import TaskKey
from flyte_lite.devbox.state.triggers import Trigger
from flyte_lite.errors import Code, NotFoundError
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, run_pb2, task_definition_pb2
from flyte_lite.idl.flyteidl2.trigger import trigger_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State

MAX_NAME = 30
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_NAME_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
    " '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
# Older runtimes could not be told when a run started.
_KNOWS_START_TIME = (2, 3, 6)


class Creation:
    """Makes runs in a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(self, request: run_service_pb2.CreateRunRequest, call: Call) -> tuple[Action, bool]:
        """The run of that name, and whether this call made it. Its inputs are overwritten either way."""
        started_at = self._state.now()
        key = self._name(request)
        check_project(self._state, key.project)
        trigger = self._trigger(request)
        task, spec = self._task(request, trigger)
        run_spec = self._run_spec(request, trigger, spec, started_at)
        input_uri = self._inputs(request, trigger, key, spec, run_spec)
        identity = caller(call)
        action = Action(
            *key,
            parent="",
            grp="",
            action_type=run_definition_pb2.ACTION_TYPE_TASK,
            phase=phase_pb2.ACTION_PHASE_QUEUED,
            attempts=1,
            cache_status=0,
            created_at=self._state.now(),
            ended_at=None,
            duration_ms=None,
            run_source=run_definition_pb2.RunSource.Name(request.source),
            executed_by=None if identity is None else identity.SerializeToString(),
            created_by_subject=None if identity is None else identity.user.id.subject,
            task_project=None if task is None else task.project,
            task_domain=None if task is None else task.domain,
            task_name=None if task is None else task.name,
            task_version=None if task is None else task.version,
            task_type=spec.task_template.type,
            short_name=spec.short_name,
            environment=spec.environment.name,
            function_name="" if task is None else task.name,
            input_uri=input_uri,
            trigger_task_name=None if trigger is None else trigger.task_name,
            trigger_name=None if trigger is None else trigger.name,
            trigger_revision=None if trigger is None else trigger.revision,
            relation=run_spec.relation.SerializeToString() if run_spec.HasField("relation") else None,
        )
        new = self._state.actions.create(action, spec.SerializeToString(), run_spec.SerializeToString())
        if trigger is not None:
            self._state.triggers.fired(trigger.key, self._state.now())
        return (action if new else self._state.actions.get(key) or action), new

    def _name(self, request: run_service_pb2.CreateRunRequest) -> ActionKey:
        kind = request.WhichOneof("id")
        if kind == "project_id":
            generated = "r" + "".join(secrets.choice(_ALPHABET) for _ in range(19))
            return ActionKey(request.project_id.name, request.project_id.domain, generated)
        if kind is None:
            raise refusal(Code.INVALID_ARGUMENT, "invalid run ID type")
        run = request.run_id
        if len(run.name) > MAX_NAME:
            rule = f"must be no more than {MAX_NAME} characters"
            raise refusal(Code.INVALID_ARGUMENT, f'invalid run name "{run.name}": {rule}')
        if not re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", run.name):
            raise refusal(Code.INVALID_ARGUMENT, f'invalid run name "{run.name}": {_NAME_RULE}')
        return ActionKey(run.project, run.domain, run.name)

    def _trigger(self, request: run_service_pb2.CreateRunRequest) -> Trigger | None:
        if request.WhichOneof("task") != "trigger_name":
            return None
        # Inactive ones fire too, when they are asked to.
        try:
            return get_trigger(self._state, trigger_key(request.trigger_name))
        except NotFoundError as error:
            text = f'trigger "{request.trigger_name.name}" not found: {error.message}'
            raise refusal(Code.NOT_FOUND, text) from error

    def _task(
        self, request: run_service_pb2.CreateRunRequest, trigger: Trigger | None
    ) -> tuple[TaskKey | None, task_definition_pb2.TaskSpec]:
        kind = request.WhichOneof("task")
        if kind == "task_id" or trigger is not None:
            key = task_key(request.task_id)
            if trigger is not None:
                key = TaskKey(trigger.project, trigger.domain, trigger.task_name, trigger.task_version)
            # The real server says `unknown` here, not `not_found`.
            found = get_task(self._state, key, Code.UNKNOWN)
            return key, task_definition_pb2.TaskSpec.FromString(found.spec)
        if kind == "task_spec":
            template = request.task_spec.task_template
            if not template.HasField("id"):
                return None, request.task_spec
            id = template.id
            return TaskKey(id.project, id.domain, id.name, id.version), request.task_spec
        raise refusal(Code.INTERNAL, "failed to create task spec model: Marshal called with nil")

    def _run_spec(
        self,
        request: run_service_pb2.CreateRunRequest,
        trigger: Trigger | None,
        spec: task_definition_pb2.TaskSpec,
        started_at: int,
    ) -> run_pb2.RunSpec:
        run_spec = run_pb2.RunSpec()
        run_spec.CopyFrom(request.run_spec)
        if trigger is not None and not request.HasField("run_spec"):
            run_spec.CopyFrom(trigger_definition_pb2.TriggerSpec.FromString(trigger.spec).run_spec)
        if not run_spec.raw_data_storage.raw_data_prefix:
            run_spec.raw_data_storage.raw_data_prefix = PREFIX
        if _version(spec.task_template.metadata.runtime.version) >= _KNOWS_START_TIME:
            if request.HasField("run_start_time"):
                run_spec.run_start_time.CopyFrom(request.run_start_time)
            else:
                run_spec.run_start_time.FromMicroseconds(started_at)
        return run_spec

    def _inputs(
        self,
        request: run_service_pb2.CreateRunRequest,
        trigger: Trigger | None,
        key: ActionKey,
        spec: task_definition_pb2.TaskSpec,
        run_spec: run_pb2.RunSpec,
    ) -> str:
        if request.WhichOneof("input_wrapper") == "offloaded_input_data":
            return f"{request.offloaded_input_data.uri}/inputs.pb"
        if trigger is not None and request.WhichOneof("input_wrapper") is None:
            # What it has inline is left out: only addresses count.
            offloaded = trigger_definition_pb2.TriggerSpec.FromString(trigger.spec).offloaded_input_data.uri
            if offloaded:
                return f"{offloaded}/inputs.pb"
        base = storage_folder(run_spec.run_base_dir)
        inputs = with_defaults(request.inputs, spec)
        uri = f"{base}/{key.project}/{key.domain}/{key.run}/inputs/inputs.pb"
        self._state.objects.put(uri, inputs.SerializeToString())
        return uri


def with_defaults(given: common_pb2.Inputs, spec: task_definition_pb2.TaskSpec) -> common_pb2.Inputs:
    """Inputs, and after them the defaults of those that are not given."""
    inputs = common_pb2.Inputs()
    inputs.CopyFrom(given)
    names = {literal.name for literal in inputs.literals}
    for default in spec.default_inputs:
        if default.name not in names and default.parameter.HasField("default"):
            inputs.literals.add(name=default.name, value=default.parameter.default)
    return inputs


def storage_folder(base: str) -> str:
    """A folder of the object store without its last slash; the store itself if `base` is empty.

    Raises:
        InternalError: It is in another store.
    """
    folder = base.rstrip("/") or PREFIX
    if folder != PREFIX and not folder.startswith(PREFIX + "/"):
        raise refusal(Code.INTERNAL, f"failed to write inputs: {folder} is not in {PREFIX}")
    return folder


def _version(text: str) -> tuple[int, ...]:
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, match.groups())) if match else ()
