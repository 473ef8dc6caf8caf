"""RunService's streams. As on the real server they may end or be silent where one would not expect it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Optional

from flyte_lite.devbox._refusal import ConnectionDropped, refusal
from flyte_lite.devbox.services.action_tree import ActionFilter, ActionTree, Node
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.details import fill_action, fill_details, key_of
from flyte_lite.devbox.state.actions import DEFAULT_ORDER, ROOT, ROOTS, RUNS, TERMINAL, Action, ActionKey, Snapshot
from flyte_lite.devbox.state.instants import microseconds
from flyte_lite.devbox.state.query import Condition, Page
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2 as pb

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State

# No event has a greater number.
_ALL = 2**63 - 1
# How many a message may hold at most.
ACTIONS = 1000
EVENTS = 500
# How many runs a watcher of runs is told of at first.
RUNS_AT_FIRST = 101
# How many runs groups are made of, and how many of a group are named.
GROUPED = 1000
RECENT = 10
# Seconds between two messages about groups.
GROUPS_EVERY = 5.0


class Watching:
    """The handlers of the streams."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {
            "WatchActionDetails": self.watch_action_details,
            "WatchRunDetails": self.watch_run_details,
            "WatchActions": self.watch_actions,
            "WatchRuns": self.watch_runs,
            "WatchClusterEvents": self.watch_cluster_events,
            "WatchGroups": self.watch_groups,
        }

    def watch_action_details(
        self, request: pb.WatchActionDetailsRequest, call: Call
    ) -> Iterator[pb.WatchActionDetailsResponse]:
        """The action as it is, then again with each change, until its last attempt has ended.

        That is not when its status has: an event may come before the status, and an aborted action without an executor
        is watched for ever.

        Raises:
            NotFoundError: No such action.
        """
        key = _action_id(request, "action_id")
        changes = self._state.changes.about(key.topic)
        news: Optional[list[Snapshot]] = None
        since = 0
        while True:
            if news is None:
                # At first, and if so much happened that not all of it is kept.
                with self._state.database.transaction():
                    since = changes.version
                    action = self._state.actions.get(key)
                if action is None:
                    text = "failed to get action details: not_found: action not found: action not found"
                    raise refusal(Code.NOT_FOUND, text)
                news = [Snapshot(action, _ALL)]
            for snapshot in news:
                if snapshot.action.key != key:
                    continue
                response = self._details(snapshot)
                yield response
                attempts = response.details.attempts
                if attempts and attempts[-1].phase in TERMINAL:
                    return
            version = call.wait(changes, since)
            news, since = changes.since(since), version

    def watch_run_details(self, request: pb.WatchRunDetailsRequest, call: Call) -> Iterator[pb.WatchRunDetailsResponse]:
        """An empty message at once and with each status of the root action, and no end.

        Raises:
            NotFoundError: No such run.
        """
        key = _run_id(request)
        changes = self._state.changes.about(RUNS)
        with self._state.database.transaction():
            since = changes.version
            if self._state.actions.get(key) is None:
                raise refusal(Code.NOT_FOUND, f"run not found: {key.project}/{key.domain}/{key.run}")
        response = pb.WatchRunDetailsResponse()
        response.details.SetInParent()
        yield response
        while True:
            version = call.wait(changes, since)
            news, since = changes.since(since) or [], version
            for snapshot in news:
                if snapshot.action.key == key:
                    yield response

    def watch_actions(self, request: pb.WatchActionsRequest, call: Call) -> Iterator[pb.WatchActionsResponse]:
        """The actions that pass the filters, with their ancestors, then those that change; nothing where there is none.

        Raises:
            InvalidArgumentError: A filter is of another field or function.
            RpcError: The parent of an action is not there (`unknown`).
        """
        key = _run_id(request)
        tree = ActionTree(ActionFilter.of(request.filter))
        changes = self._state.changes.about(key.topic)
        since = 0
        news: Optional[list[Snapshot]] = None
        while True:
            if news is None:
                # At first, and if so much happened that not all of it is kept.
                with self._state.database.transaction():
                    since = changes.version
                    oldest_first = Page((), "created_at ASC, number ASC", None, 0)
                    actions = iter(self._state.actions.page(oldest_first, *_of_run(key))[0])
                while batch := list(islice(actions, ACTIONS)):
                    yield from self._told(tree.take(batch))
            for snapshot in news or ():
                yield from self._told(tree.take([snapshot.action]))
            version = call.wait(changes, since)
            news, since = changes.since(since), version

    def watch_runs(self, request: pb.WatchRunsRequest, call: Call) -> Iterator[pb.WatchRunsResponse]:
        """Runs that there are, then each of which a status came, also one that was passed over; new ones not at first.

        Only a project narrows it down.
        """
        scope, within = [ROOTS], None
        if request.WhichOneof("target") == "project_id":
            within = (request.project_id.name, request.project_id.domain)
            scope.append(Condition("project = ? AND domain = ?", within))
        changes = self._state.changes.about(RUNS)
        with self._state.database.transaction():
            since = changes.version
            found, _ = self._state.actions.page(Page((), DEFAULT_ORDER, RUNS_AT_FIRST, 0), *scope)
        if found:
            yield _runs(found)
        while True:
            version = call.wait(changes, since)
            news, since = changes.since(since) or [], version
            for snapshot in news:
                if within is None or snapshot.action[:2] == within:
                    yield _runs([snapshot.action])

    def watch_cluster_events(
        self, request: pb.WatchClusterEventsRequest, call: Call
    ) -> Iterator[pb.WatchClusterEventsResponse]:
        """The cluster's events of one attempt, until the action or the attempt has ended.

        Raises:
            NotFoundError: No such action.
        """
        key = _action_id(request, "id")
        changes = self._state.changes.about(key.topic)
        since, known = changes.version, 0
        while True:
            action = self._state.actions.get(key)
            if action is None:
                raise refusal(Code.NOT_FOUND, "action not found: action not found")
            ended = action.phase in TERMINAL
            while told := self._state.events.after(key, request.attempt, known, EVENTS):
                known = told[-1][0]
                ended = ended or any(event.phase in TERMINAL for _, event in told)
                response = pb.WatchClusterEventsResponse()
                for _, event in told:
                    response.cluster_events.extend(event.cluster_events)
                if response.cluster_events:
                    yield response
            if ended:
                return
            since = call.wait(changes, since)

    def watch_groups(self, request: pb.WatchGroupsRequest, call: Call) -> Iterator[pb.WatchGroupsResponse]:
        """Runs by task, all of them again every five seconds; once and no more if there is an end date."""
        scope = [ROOTS]
        if request.WhichOneof("scope_by") == "project_id":
            for column, value in (("project", request.project_id.name), ("domain", request.project_id.domain)):
                if value:
                    scope.append(Condition(f"{column} = ?", (value,)))
        if request.HasField("start_date"):
            scope.append(Condition("created_at >= ?", (microseconds(request.start_date),)))
        if request.HasField("end_date"):
            scope.append(Condition("created_at <= ?", (microseconds(request.end_date),)))
        newest_first = Page((), "created_at DESC, number DESC", GROUPED, 0)
        response = _groups(self._state.actions.page(newest_first, *scope)[0])
        yield response
        while not request.HasField("end_date"):
            call.pause(GROUPS_EVERY)
            response = _groups(self._state.actions.page(newest_first, *scope)[0])
            if response.task_groups:
                yield response

    def _details(self, snapshot: Snapshot) -> pb.WatchActionDetailsResponse:
        key = snapshot.action.key
        spec, _ = self._state.actions.specs(key)
        events = self._state.events.of(key, snapshot.events)
        response = pb.WatchActionDetailsResponse()
        fill_details(response.details, snapshot.action, events, spec)
        return response

    def _told(self, nodes: list[Node]) -> Iterator[pb.WatchActionsResponse]:
        if not nodes:
            return
        response = pb.WatchActionsResponse()
        for node in nodes:
            enriched = response.enriched_actions.add(meets_filter=node.shown)
            fill_action(enriched.action, node.action, self._spec(node.action))
            enriched.action.metadata.ClearField("action_type")
            if not node.action.duration_ms:
                enriched.action.status.ClearField("duration_ms")
            enriched.children_phase_counts.update(node.counts)
        yield response

    def _spec(self, action: Action) -> bytes:
        return b"" if action.task_name is not None else self._state.actions.specs(action.key)[0]


def _run_id(request: Any) -> ActionKey:
    if not request.HasField("run_id"):
        raise ConnectionDropped("no run id")
    run = request.run_id
    return ActionKey(run.project, run.domain, run.name, ROOT)


def _action_id(request: Any, field: str) -> ActionKey:
    if not request.HasField(field) or not getattr(request, field).HasField("run"):
        raise ConnectionDropped("no action id")
    return key_of(getattr(request, field))


def _of_run(key: ActionKey) -> list[Condition]:
    return [Condition("project = ? AND domain = ? AND run = ?", key.topic)]


def _runs(actions: list[Action]) -> pb.WatchRunsResponse:
    response = pb.WatchRunsResponse()
    for action in actions:
        fill_action(response.runs.add().action, action)
    return response


def _groups(actions: list[Action]) -> pb.WatchGroupsResponse:
    by_task: dict[str, list[Action]] = {}
    for action in actions:
        by_task.setdefault(action.task_name or action.short_name or action.name, []).append(action)
    response = pb.WatchGroupsResponse(sentinel=True)
    for name, runs in by_task.items():
        group = response.task_groups.add(task_name=name, total_runs=len(runs))
        group.latest_run_time.FromMicroseconds(runs[0].created_at)
        counts: dict[int, int] = {}
        for run in runs:
            counts[run.phase] = counts.get(run.phase, 0) + 1
        for phase, count in counts.items():
            group.phase_counts.add(phase=phase_pb2.ActionPhase.ValueType(phase), count=count)
        group.average_failure_rate = counts.get(phase_pb2.ACTION_PHASE_FAILED, 0) / len(runs)
        for run in runs[:RECENT]:
            group.recent_statuses.add(run_name=run.run, phase=phase_pb2.ActionPhase.ValueType(run.phase))
    return response
