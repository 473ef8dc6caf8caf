"""TriggerService. Schedules are kept and do not fire."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Optional

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.services import cron
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.state.query import Condition, Page, page
from flyte_lite.devbox.state.triggers import COLUMNS, DEFAULT_ORDER, REVISION_COLUMNS, TIES, Trigger, TriggerKey
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, task_definition_pb2
from flyte_lite.idl.flyteidl2.trigger import trigger_definition_pb2, trigger_service_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State
    from flyte_lite.devbox.state.tasks import TaskKey

_NO_ROWS = "sql: no rows in result set"


class TriggerService:
    """`flyteidl2.trigger.TriggerService`."""

    name = "flyteidl2.trigger.TriggerService"

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {
            "DeployTrigger": self.deploy_trigger,
            "GetTriggerDetails": self.get_trigger_details,
            "GetTriggerRevisionDetails": self.get_trigger_revision_details,
            "ListTriggers": self.list_triggers,
            "GetTriggerRevisionHistory": self.get_trigger_revision_history,
            "UpdateTriggers": self.update_triggers,
            "DeleteTriggers": self.delete_triggers,
        }

    def deploy_trigger(
        self, request: trigger_service_pb2.DeployTriggerRequest, _: Call
    ) -> trigger_service_pb2.DeployTriggerResponse:
        """Store a trigger, over one of the same name, deleted ones too. Neither its task nor its project need exist.

        Raises:
            InvalidArgumentError: Its cron expression is none.
            InternalError: No specification is given, or the trigger has another revision than the one given.
        """
        check_schedule(request.name.name, request.automation_spec)
        if not request.HasField("spec"):
            raise refusal(Code.INTERNAL, "proto: Marshal called with nil")
        made = new_trigger(key_of(request.name), request.spec, request.automation_spec, self._state.now())
        stored = self._state.triggers.deploy(made, request.revision)
        if stored is None:
            text = "optimistic lock failure: trigger was modified concurrently, please fetch latest and retry"
            raise refusal(Code.INTERNAL, text)
        return trigger_service_pb2.DeployTriggerResponse(trigger=_details(stored))

    def get_trigger_details(
        self, request: trigger_service_pb2.GetTriggerDetailsRequest, _: Call
    ) -> trigger_service_pb2.GetTriggerDetailsResponse:
        """A trigger as it is now; without the name of its task the first of that name.

        Raises:
            NotFoundError: There is none, or it is deleted.
        """
        return trigger_service_pb2.GetTriggerDetailsResponse(
            trigger=_details(get_trigger(self._state, key_of(request.name)))
        )

    def get_trigger_revision_details(
        self, request: trigger_service_pb2.GetTriggerRevisionDetailsRequest, _: Call
    ) -> trigger_service_pb2.GetTriggerRevisionDetailsResponse:
        """A trigger as it was.

        Raises:
            NotFoundError: It never had that revision.
        """
        key, revision = key_of(request.id.name), request.id.revision
        found = self._state.triggers.revision(key, revision)
        if found is None:
            raise refusal(Code.NOT_FOUND, f"trigger revision not found: {key}@{revision}: {_NO_ROWS}")
        return trigger_service_pb2.GetTriggerRevisionDetailsResponse(trigger=_details(found))

    def list_triggers(
        self, request: trigger_service_pb2.ListTriggersRequest, _: Call
    ) -> trigger_service_pb2.ListTriggersResponse:
        """Triggers, active ones first.

        Raises:
            InvalidArgumentError: The list request can't be read.
            InternalError: The real server's database would refuse a value.
        """
        wanted = page(request.request, COLUMNS, DEFAULT_ORDER, TIES, "triggers")
        found = self._state.triggers.page(wanted, *_scope(request))
        response = trigger_service_pb2.ListTriggersResponse(token=_token(len(found), wanted))
        for each in found:
            listed = response.triggers.add(active=each.active)
            _identify(listed.id, each)
            _fill_status(listed.status, each)
            listed.automation_spec.MergeFromString(each.automation_spec)
        return response

    def get_trigger_revision_history(
        self, request: trigger_service_pb2.GetTriggerRevisionHistoryRequest, _: Call
    ) -> trigger_service_pb2.GetTriggerRevisionHistoryResponse:
        """What a trigger was, newest first. Filters and sort keys are checked and nothing more.

        Raises:
            InvalidArgumentError: The list request can't be read.
        """
        wanted = page(request.request, REVISION_COLUMNS, DEFAULT_ORDER, TIES, "trigger revisions")
        found = self._state.triggers.revisions(key_of(request.name), wanted)
        response = trigger_service_pb2.GetTriggerRevisionHistoryResponse(token=_token(len(found), wanted))
        for each, action in found:
            revision = response.triggers.add()
            _identify(revision.id, each)
            _fill_status(revision.status, each)
            revision.action = trigger_definition_pb2.TriggerRevisionAction.ValueType(action)
            revision.created_at.FromMicroseconds(max(each.deployed_at, each.updated_at, each.deleted_at or 0))
        return response

    def update_triggers(
        self, request: trigger_service_pb2.UpdateTriggersRequest, _: Call
    ) -> trigger_service_pb2.UpdateTriggersResponse:
        """Switch triggers on or off; unknown names are passed over."""
        self._state.triggers.activate([key_of(name) for name in request.names], request.active, self._state.now())
        return trigger_service_pb2.UpdateTriggersResponse()

    def delete_triggers(
        self, request: trigger_service_pb2.DeleteTriggersRequest, _: Call
    ) -> trigger_service_pb2.DeleteTriggersResponse:
        """Delete triggers; unknown names are passed over."""
        self._state.triggers.delete([key_of(name) for name in request.names], self._state.now())
        return trigger_service_pb2.DeleteTriggersResponse()


def key_of(name: identifier_pb2.TriggerName) -> TriggerKey:
    """The name as the state has it."""
    return TriggerKey(name.project, name.domain, name.task_name, name.name)


def get_trigger(state: State, key: TriggerKey) -> Trigger:
    """The trigger.

    Raises:
        NotFoundError: There is none, or it is deleted.
    """
    found = state.triggers.get(key)
    if found is None:
        raise refusal(Code.NOT_FOUND, f"trigger not found: {key}: {_NO_ROWS}")
    return found


def check_schedule(name: str, automation: common_pb2.TriggerAutomationSpec) -> None:
    """Do nothing if the trigger can be scheduled so. Rates are not looked at.

    Raises:
        InvalidArgumentError: Its cron expression is none.
    """
    schedule = automation.schedule
    kind = schedule.WhichOneof("expression") if automation.WhichOneof("automation") == "schedule" else None
    if kind == "cron":
        expression = schedule.cron.expression
        if schedule.cron.timezone:
            expression = f"CRON_TZ={schedule.cron.timezone} {expression}"
    elif kind == "cron_expression":
        expression = schedule.cron_expression
    else:
        return
    try:
        cron.check(expression)
    except ValueError as error:
        text = f"trigger {_quoted(name)} has invalid cron expression: invalid cron expression {_quoted(expression)}"
        raise refusal(Code.INVALID_ARGUMENT, f"{text}: {error}") from error


def new_trigger(
    key: TriggerKey,
    spec: trigger_definition_pb2.TriggerSpec,
    automation: common_pb2.TriggerAutomationSpec,
    now: int,
) -> Trigger:
    """What is stored of a trigger. Only schedules count as automation."""
    kept = common_pb2.TriggerAutomationSpec()
    kept.CopyFrom(automation)
    scheduled = kept.WhichOneof("automation") == "schedule" and kept.schedule.WhichOneof("expression") is not None
    kept.type = common_pb2.TYPE_SCHEDULE if scheduled else common_pb2.TYPE_NONE
    return Trigger(
        *key,
        revision=1,
        active=spec.active,
        task_version=spec.task_version,
        automation_type=common_pb2.TriggerAutomationSpecType.Name(kept.type),
        deployed_at=now,
        updated_at=now,
        triggered_at=None,
        deleted_at=None,
        spec=spec.SerializeToString(),
        automation_spec=kept.SerializeToString(),
    )


def deploy_with_task(state: State, task: TaskKey, given: Iterable[task_definition_pb2.TaskTrigger]) -> None:
    """Make `given` the triggers of a task, in place of those that it has."""
    names = set()
    for each in given:
        names.add(each.name)
        spec = trigger_definition_pb2.TriggerSpec(
            active=each.spec.active, description=each.spec.description, task_version=task.version
        )
        if each.spec.HasField("run_spec"):
            spec.run_spec.CopyFrom(each.spec.run_spec)
        kind = each.spec.WhichOneof("input_wrapper")
        if kind is not None:
            getattr(spec, kind).CopyFrom(getattr(each.spec, kind))
        key = TriggerKey(task.project, task.domain, task.name, each.name)
        state.triggers.deploy(new_trigger(key, spec, each.automation_spec, state.now()), 0)
    others = [each.key for each in state.triggers.of_task(*task[:3]) if each.name not in names]
    state.triggers.delete(others, state.now())


def fill_summary(into: task_definition_pb2.TaskMetadata, triggers: list[Trigger]) -> None:
    """Fill what a task tells of its triggers: one by name, more by number."""
    if len(triggers) == 1:
        details = into.triggers_summary.details
        details.name = triggers[0].name
        details.active = triggers[0].active
        details.automation_spec.MergeFromString(triggers[0].automation_spec)
    elif triggers:
        into.triggers_summary.stats.total = len(triggers)
        into.triggers_summary.stats.active = sum(each.active for each in triggers)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _details(trigger: Trigger) -> trigger_definition_pb2.TriggerDetails:
    details = trigger_definition_pb2.TriggerDetails()
    _identify(details.id, trigger)
    details.spec.MergeFromString(trigger.spec)
    details.spec.active = trigger.active
    _fill_status(details.status, trigger)
    details.automation_spec.MergeFromString(trigger.automation_spec)
    return details


def _identify(id: identifier_pb2.TriggerIdentifier, trigger: Trigger) -> None:
    id.name.project, id.name.domain, id.name.task_name, id.name.name = trigger.key
    id.revision = trigger.revision


def _fill_status(into: trigger_definition_pb2.TriggerStatus, trigger: Trigger) -> None:
    into.deployed_at.FromMicroseconds(trigger.deployed_at)
    into.updated_at.FromMicroseconds(trigger.updated_at)
    if trigger.triggered_at is not None:
        into.triggered_at.FromMicroseconds(trigger.triggered_at)
    if trigger.deleted_at is not None:
        into.deleted_at.FromMicroseconds(trigger.deleted_at)


def _scope(request: trigger_service_pb2.ListTriggersRequest) -> list[Condition]:
    kind: Optional[str] = request.WhichOneof("scope_by")
    if kind == "project_id":
        project = request.project_id
        return [Condition("project = ? AND domain = ?", (project.name, project.domain))]
    if kind == "task_name":
        task = request.task_name
        return [Condition("project = ? AND domain = ? AND task_name = ?", (task.project, task.domain, task.name))]
    if kind == "task_id":
        id = request.task_id
        exact = (id.project, id.domain, id.name, id.version)
        return [Condition("project = ? AND domain = ? AND task_name = ? AND task_version = ?", exact)]
    return []


def _token(count: int, wanted: Page) -> str:
    # A full page has a token even if it is the last one.
    return str(wanted.offset + count) if count == wanted.limit else ""
