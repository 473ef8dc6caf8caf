"""What the lists of runs, actions and tasks are asked by, and what becomes of keys that only hosted servers know."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Optional

from flyte_lite._clock import Deadline
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.idl.flyteidl2.common import identifier_pb2, list_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2, task_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote._filters import Condition, Order, Phases, SortBy, TimeFilter, equal, phases, times
from flyte_lite.remote._list_request import listing, microseconds_of

_log = logging.getLogger("flyte_lite")

LIST_RUNS: Method[run_service_pb2.ListRunsRequest, run_service_pb2.ListRunsResponse] = Method(
    run_service_pb2, "RunService", "ListRuns"
)
_LIST_ACTIONS: Method[run_service_pb2.ListActionsRequest, run_service_pb2.ListActionsResponse] = Method(
    run_service_pb2, "RunService", "ListActions"
)
_LIST_TASKS: Method[task_service_pb2.ListTasksRequest, task_service_pb2.ListTasksResponse] = Method(
    task_service_pb2, "TaskService", "ListTasks"
)

_ACTION_KEYS = (
    "project, domain, run_name, phase, action_type, run_source, created_by_subject, trigger_task_name, trigger_name, "
    "trigger_revision, task_project, task_domain, task_name, task_version, function_name, created_at, updated_at, "
    "ended_at, duration_ms"
)
_TASK_KEYS = (
    "project, domain, name, version, environment, function_name, deployed_by, created_at, updated_at, trigger_name, "
    "total_triggers, active_triggers, env_description, short_description"
)

Labels = Callable[["run_definition_pb2.Run"], Mapping[str, str]]


def runs(
    session: Session,
    place: identifier_pb2.ProjectIdentifier,
    *,
    in_phase: Phases,
    task_name: Optional[str],
    task_version: Optional[str],
    created_by_subject: Optional[str],
    sort_by: SortBy,
    limit: Optional[int],
    created_at: Optional[TimeFilter],
    updated_at: Optional[TimeFilter],
    with_labels: Optional[Mapping[str, str]],
    with_label_keys: Optional[Iterable[str]],
    paused_actions_only: bool,
    labels_of: Labels,
    deadline: Optional[Deadline] = None,
) -> Iterator[run_definition_pb2.Run]:
    """The runs of a project; see `Run.listall`.

    Args:
        labels_of: Finds out the labels of a run whose row may not show them.
        deadline: Of the whole list; None gives each page the session's timeout.
    """
    conditions: list[Condition[Any]] = phases(in_phase, lambda run: run.action.status.phase)
    if task_name:
        conditions.append(Condition(equal("task_name", task_name)))
    if task_version:
        conditions.append(Condition(equal("task_version", task_version)))
    if created_by_subject:
        conditions.append(_created_by(created_by_subject))
    conditions += times("created_at", created_at) + times("updated_at", updated_at)
    if with_labels is not None and not isinstance(with_labels, Mapping):
        raise ValueError(f"with_labels is {with_labels!r}; give a dict of keys and values")
    if isinstance(with_label_keys, str):
        raise ValueError(f"with_label_keys is {with_label_keys!r}; give a list of keys")
    for name, value in (with_labels or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ValueError(f"with_labels has {name!r}: {value!r}; keys and values of labels are text")
        conditions.append(_label(name, value, labels_of))
    for name in with_label_keys or ():
        if not isinstance(name, str):
            raise ValueError(f"with_label_keys has {name!r}; keys of labels are text")
        conditions.append(_label(name, None, labels_of))

    def send(request: list_pb2.ListRequest, deadline: Deadline) -> tuple[Sequence[run_definition_pb2.Run], str]:
        answer = session.call(
            LIST_RUNS,
            run_service_pb2.ListRunsRequest(
                request=request, project_id=place, paused_actions_only=bool(paused_actions_only)
            ),
            deadline=deadline,
        )
        return answer.runs, answer.token

    return listing(
        session,
        "ListRuns",
        send,
        conditions=conditions,
        order=Order.of(sort_by),
        sort_keys=_ACTION_KEYS,
        limit=limit,
        key=lambda run: run.action.id.run.name,
        microseconds=lambda run: _created(run.action),
        deadline=deadline,
    )


def actions(
    session: Session,
    run: identifier_pb2.RunIdentifier,
    *,
    in_phase: Phases = None,
    parent_name: Optional[str] = None,
    sort_by: SortBy = None,
    limit: Optional[int] = None,
    created_at: Optional[TimeFilter] = None,
    updated_at: Optional[TimeFilter] = None,
    deadline: Optional[Deadline] = None,
) -> Iterator[run_definition_pb2.Action]:
    """The actions of a run; see `Action.listall`.

    Args:
        deadline: Of the whole list; None gives each page the session's timeout.
    """
    conditions: list[Condition[Any]] = phases(in_phase, lambda action: action.status.phase)
    if parent_name:
        conditions.append(
            Condition(
                equal("parent_name", parent_name),
                here=lambda action: action.metadata.parent == parent_name,
                everywhere=False,
            )
        )
    conditions += times("created_at", created_at) + times("updated_at", updated_at)

    def send(request: list_pb2.ListRequest, deadline: Deadline) -> tuple[Sequence[run_definition_pb2.Action], str]:
        answer = session.call(
            _LIST_ACTIONS, run_service_pb2.ListActionsRequest(request=request, run_id=run), deadline=deadline
        )
        return answer.actions, answer.token

    return listing(
        session,
        "ListActions",
        send,
        conditions=conditions,
        order=Order.of(sort_by),
        sort_keys=_ACTION_KEYS,
        limit=limit,
        key=lambda action: action.id.name,
        microseconds=_created,
        deadline=deadline,
    )


def tasks(
    session: Session,
    place: identifier_pb2.ProjectIdentifier,
    *,
    by_task_name: Optional[str],
    by_task_env: Optional[str],
    sort_by: SortBy,
    limit: Optional[int],
    entrypoint: Optional[bool],
    is_entrypoint: Callable[[task_definition_pb2.TaskIdentifier], bool],
) -> Iterator[task_definition_pb2.Task]:
    """The deployed tasks of a project; see `Task.listall`.

    Args:
        is_entrypoint: Finds out what rows do not show.
    """
    conditions: list[Condition[Any]] = []
    if by_task_name:
        conditions.append(Condition(equal("name", by_task_name)))
    if by_task_env:
        # There is no filter for the beginning of a name; and in this one the server takes % and _ for anything.
        beginning = f"{by_task_env}."
        inside = list_pb2.Filter(function=list_pb2.Filter.CONTAINS, field="name", values=[beginning])
        conditions.append(Condition(inside, here=lambda task: task.task_id.name.startswith(beginning), rough=True))

    def ask(
        request: list_pb2.ListRequest, wanted: Optional[bool], deadline: Deadline
    ) -> task_service_pb2.ListTasksResponse:
        made = task_service_pb2.ListTasksRequest(request=request, project_id=place)
        if wanted is not None:
            made.known_filters.add(is_entrypoint=wanted)
        return session.call(_LIST_TASKS, made, deadline=deadline)

    if entrypoint is not None:
        heeded = _Heeded(session, ask, bool(entrypoint))
        conditions.append(
            Condition(here=lambda task: heeded.by_server(task) or is_entrypoint(task.task_id) == bool(entrypoint))
        )

    def send(request: list_pb2.ListRequest, deadline: Deadline) -> tuple[Sequence[task_definition_pb2.Task], str]:
        answer = ask(request, entrypoint, deadline)
        return answer.tasks, answer.token

    return listing(
        session,
        "ListTasks",
        send,
        conditions=conditions,
        order=Order.of(sort_by),
        sort_keys=_TASK_KEYS,
        limit=limit,
        key=lambda task: (task.task_id.name, task.task_id.version),
        microseconds=lambda task: (
            microseconds_of(task.metadata.deployed_at) if task.metadata.HasField("deployed_at") else None
        ),
    )


class _Heeded:
    """Whether the server heeds the known filter for entry points. The open-source one takes it and looks away."""

    _NAME = "ListTasks by is_entrypoint"

    def __init__(
        self,
        session: Session,
        ask: Callable[[list_pb2.ListRequest, Optional[bool], Deadline], task_service_pb2.ListTasksResponse],
        wanted: bool,
    ) -> None:
        self._session = session
        self._ask = ask
        self._wanted = wanted
        self._heeded: Optional[bool] = None

    def by_server(self, task: task_definition_pb2.Task) -> bool:
        """False if rows must be looked at here.

        Args:
            task: One that it gave: if it is there for the opposite question, too, the question makes no difference.
        """
        if self._NAME in self._session.refused:
            return False
        if self._heeded is None:
            id = task.task_id
            request = list_pb2.ListRequest(limit=1, filters=[equal("name", id.name), equal("version", id.version)])
            opposite = self._ask(request, not self._wanted, self._session.deadline()).tasks
            self._heeded = not any(other.task_id == id for other in opposite)
            if not self._heeded:
                _log.debug("%s makes no difference to this server, so each task is looked at here", self._NAME)
                self._session.refused.add(self._NAME)
        return self._heeded


def _created(action: run_definition_pb2.Action) -> Optional[int]:
    # The open-source server shows the time of creation as that of the start.
    return microseconds_of(action.status.start_time) if action.status.HasField("start_time") else None


def _created_by(subject: str) -> Condition[run_definition_pb2.Run]:
    def here(run: run_definition_pb2.Run) -> bool:
        by = run.action.metadata.executed_by
        return subject in (by.user.id.subject, by.application.id.subject)

    # Hosted servers know the one key, the open-source one the other.
    return Condition(equal("created_by", subject), equal("created_by_subject", subject), here=here, everywhere=False)


def _label(name: str, value: Optional[str], labels_of: Labels) -> Condition[run_definition_pb2.Run]:
    """The run has the label, with this value if it is not None."""
    field = f"labels.{name}"

    def here(run: run_definition_pb2.Run) -> bool:
        labels = run.labels or labels_of(run)
        return name in labels and value in (None, labels[name])

    asked = equal(field, value) if value is not None else list_pb2.Filter(function=list_pb2.Filter.EXISTS, field=field)
    return Condition(asked, here=here, everywhere=False)
