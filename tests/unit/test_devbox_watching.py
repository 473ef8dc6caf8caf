"""RunService's streams: where they begin, what they tell, where they end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from devbox_services import Impatient, Services, action_id, told

from flyte_lite import errors
from flyte_lite.devbox._refusal import ConnectionDropped
from flyte_lite.devbox.services import watching
from flyte_lite.devbox.services.details import key_of
from flyte_lite.devbox.state.changes import KEPT
from flyte_lite.idl.flyteidl2.common import list_pb2, phase_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2 as pb

P = phase_pb2
QUEUED, RUNNING, SUCCEEDED = P.ACTION_PHASE_QUEUED, P.ACTION_PHASE_RUNNING, P.ACTION_PHASE_SUCCEEDED
FAILED, ABORTED = P.ACTION_PHASE_FAILED, P.ACTION_PHASE_ABORTED
CALL = Impatient({})
RUN = action_id().run


@pytest.fixture
def box() -> Iterator[Services]:
    made = Services()
    made.deploy()
    made.create("r1")
    yield made
    made.state.close()


def details(box: Services, name: str = "a0") -> Any:
    return box.watching.watch_action_details(pb.WatchActionDetailsRequest(action_id=action_id(name)), CALL)


def phases(messages: list[pb.WatchActionDetailsResponse]) -> list[int]:
    return [message.details.status.phase for message in messages]


def test_an_action_is_told_at_once_and_with_each_change(box: Services) -> None:
    stream = details(box)
    assert phases([next(stream)]) == [QUEUED]
    box.tell(RUNNING)
    assert phases([next(stream)]) == [RUNNING]
    box.event(RUNNING, at=1)

    assert len(next(stream).details.attempts) == 1
    assert told(stream) == ([], False)


def test_the_end_of_the_last_attempt_ends_it_whatever_the_status(box: Services) -> None:
    box.event(SUCCEEDED, at=1)

    messages, ended = told(details(box))

    assert (phases(messages), ended) == ([QUEUED], True)


def test_an_older_attempt_that_ended_does_not_end_it(box: Services) -> None:
    box.event(FAILED, at=1)
    box.event(QUEUED, at=2, attempt=2)

    assert told(details(box))[1] is False


def test_an_abort_is_told_and_ends_nothing(box: Services) -> None:
    box.state.actions.abort(key_of(action_id()), "r", box.state.now())

    messages, ended = told(details(box))

    assert (phases(messages), ended) == ([ABORTED], False)


def test_a_status_that_is_passed_over_is_told_to_watchers_of_runs_alone(box: Services) -> None:
    box.tell(RUNNING)
    action, runs = details(box), box.watching.watch_runs(pb.WatchRunsRequest(), CALL)
    next(action)
    next(runs)
    box.tell(QUEUED)

    assert next(runs).runs[0].action.status.phase == RUNNING
    assert told(action) == ([], False)


def test_each_step_is_told_however_many_there_were_at_once(box: Services) -> None:
    stream = details(box)
    next(stream)
    with box.state.database.transaction():
        for at, phase in enumerate((RUNNING, SUCCEEDED)):
            box.event(phase, at=at + 1)
            box.tell(phase)

    messages, ended = told(stream)

    seen = [(message.details.status.phase, message.details.attempts[0].phase) for message in messages]
    assert (seen, ended) == ([(QUEUED, RUNNING), (RUNNING, RUNNING), (RUNNING, SUCCEEDED)], True)


def test_who_lags_too_far_behind_is_told_how_it_is_now(box: Services) -> None:
    stream = details(box)
    next(stream)
    for _ in range(KEPT + 1):
        box.tell(RUNNING)

    assert phases(told(stream)[0]) == [RUNNING]


def test_what_happens_elsewhere_tells_nothing(box: Services) -> None:
    box.create("r2")
    stream = details(box)
    next(stream)
    box.tell(RUNNING, run="r2")

    assert told(stream) == ([], False)


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("watch_action_details", pb.WatchActionDetailsRequest(action_id=action_id("nope"))),
        ("watch_run_details", pb.WatchRunDetailsRequest(run_id=action_id(run="nope").run)),
        ("watch_cluster_events", pb.WatchClusterEventsRequest(id=action_id("nope"), attempt=1)),
    ],
)
def test_what_is_not_there_is_not_found_when_it_opens(box: Services, rpc: str, request_: Any) -> None:
    with pytest.raises(errors.NotFoundError):
        next(getattr(box.watching, rpc)(request_, CALL))


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("watch_action_details", pb.WatchActionDetailsRequest()),
        ("watch_run_details", pb.WatchRunDetailsRequest()),
        ("watch_actions", pb.WatchActionsRequest()),
        ("watch_cluster_events", pb.WatchClusterEventsRequest()),
    ],
)
def test_no_id_drops_the_connection(box: Services, rpc: str, request_: Any) -> None:
    with pytest.raises(ConnectionDropped):
        next(getattr(box.watching, rpc)(request_, CALL))


def test_details_of_a_run_are_empty_and_never_end(box: Services) -> None:
    stream = box.watching.watch_run_details(pb.WatchRunDetailsRequest(run_id=RUN), CALL)
    assert next(stream).details == run_definition_pb2.RunDetails()
    box.tell(SUCCEEDED)

    messages, ended = told(stream)

    assert ([message.details for message in messages], ended) == ([run_definition_pb2.RunDetails()], False)


def tree(box: Services, *filters: list_pb2.Filter) -> Any:
    return box.watching.watch_actions(pb.WatchActionsRequest(run_id=RUN, filter=filters), CALL)


def shown(message: pb.WatchActionsResponse) -> list[tuple[str, bool, dict[int, int]]]:
    return [
        (each.action.id.name, each.meets_filter, dict(each.children_phase_counts)) for each in message.enriched_actions
    ]


def test_a_tree_is_told_whole_and_then_by_its_branches(box: Services) -> None:
    box.child("c1")
    stream = tree(box)
    assert shown(next(stream)) == [("a0", True, {QUEUED: 1}), ("c1", True, {})]

    box.child("c2", parent="c1")
    assert shown(next(stream)) == [("a0", True, {QUEUED: 2}), ("c1", True, {QUEUED: 1}), ("c2", True, {})]

    box.tell(RUNNING, "c2")
    assert shown(next(stream)) == [
        ("a0", True, {QUEUED: 1, RUNNING: 1}),
        ("c1", True, {QUEUED: 0, RUNNING: 1}),
        ("c2", True, {}),
    ]
    box.tell(RUNNING)
    assert shown(next(stream))[0][0] == "a0"
    assert told(stream) == ([], False)


PHASE_4 = list_pb2.Filter(field="PHASE", function=list_pb2.Filter.VALUE_IN, values=["4"])


def test_what_stops_matching_is_told_once_more_and_then_no_more(box: Services) -> None:
    box.child("c1")
    stream = tree(box, PHASE_4)
    box.tell(RUNNING, "c1")
    assert [each[:2] for each in shown(next(stream))] == [("a0", True), ("c1", True)]

    box.tell(SUCCEEDED, "c1")
    assert [each[:2] for each in shown(next(stream))] == [("a0", False), ("c1", False)]
    box.tell(FAILED, "c1")

    assert told(stream) == ([], False)


def test_an_ancestor_stays_for_another_match(box: Services) -> None:
    box.child("c1")
    box.child("c2")
    box.tell(RUNNING, "c1")
    box.tell(RUNNING, "c2")
    stream = tree(box, PHASE_4)
    next(stream)

    box.tell(SUCCEEDED, "c1")

    assert [each[:2] for each in shown(next(stream))] == [("a0", True), ("c1", False)]


def test_names_are_matched_in_the_last_part_of_the_task_s(box: Services) -> None:
    box.child("c1", task="zoo.Lion")
    name = list_pb2.Filter(field="NAME", function=list_pb2.Filter.CONTAINS_CASE_INSENSITIVE, values=["LIO", "x"])

    assert [each[:2] for each in shown(next(tree(box, name)))] == [("a0", True), ("c1", True)]
    name.values[0] = "zoo"
    assert told(tree(box, name)) == ([], False)


@pytest.mark.parametrize(
    ("field", "function", "values"),
    [
        ("PHASE", "EQUAL", ["4"]),
        ("phase", "VALUE_IN", ["4"]),
        ("NAME", "CONTAINS", ["a"]),
        ("PHASE", "VALUE_IN", ["x"]),
    ],
)
def test_other_filters_are_refused(box: Services, field: str, function: str, values: list[str]) -> None:
    wrong = list_pb2.Filter(field=field, function=list_pb2.Filter.Function.Value(function), values=values)

    with pytest.raises(errors.InvalidArgumentError):
        next(tree(box, wrong))


def test_a_child_without_its_parent_breaks_the_stream(box: Services) -> None:
    box.child("c5", parent="c4")

    with pytest.raises(errors.RpcError, match=r"parent node \[c4\] not found for action \[c5\]"):
        next(tree(box))


def test_an_unknown_run_has_no_actions_and_no_end(box: Services) -> None:
    request = pb.WatchActionsRequest(run_id=action_id(run="nope").run)

    assert told(box.watching.watch_actions(request, CALL)) == ([], False)


def test_many_actions_come_in_several_messages(box: Services) -> None:
    for number in range(watching.ACTIONS):
        box.child(f"c{number}")

    messages, _ = told(tree(box))

    assert [len(message.enriched_actions) for message in messages] == [1000, 2]


def test_new_runs_are_told_with_their_first_status(box: Services) -> None:
    stream = box.watching.watch_runs(pb.WatchRunsRequest(), CALL)
    assert [run.action.id.run.name for run in next(stream).runs] == ["r1"]
    box.create("r2")
    box.child("c1")
    box.tell(RUNNING, "c1")
    assert told(stream) == ([], False)

    stream = box.watching.watch_runs(pb.WatchRunsRequest(), CALL)
    next(stream)
    box.tell(RUNNING, run="r2")
    assert [run.action.id.run.name for run in next(stream).runs] == ["r2"]


def test_only_a_project_narrows_runs_down(box: Services) -> None:
    request = pb.WatchRunsRequest()
    request.task_id.name = "another"
    assert len(next(box.watching.watch_runs(request, CALL)).runs) == 1

    request.project_id.name = "another"
    assert told(box.watching.watch_runs(request, CALL)) == ([], False)


def cluster_events(box: Services, attempt: int = 1) -> Any:
    return box.watching.watch_cluster_events(pb.WatchClusterEventsRequest(id=action_id(), attempt=attempt), CALL)


def happened(text: str) -> list[run_definition_pb2.ClusterEvent]:
    return [run_definition_pb2.ClusterEvent(message=text)]


def test_cluster_events_come_once_until_the_attempt_has_ended(box: Services) -> None:
    box.event(QUEUED, at=1, cluster_events=happened("one"))
    box.event(RUNNING, at=2, cluster_events=happened("two"))
    stream = cluster_events(box)
    assert [event.message for event in next(stream).cluster_events] == ["one", "two"]
    box.event(SUCCEEDED, at=3, cluster_events=happened("three"))

    messages, ended = told(stream)

    assert ([message.cluster_events[0].message for message in messages], ended) == (["three"], True)


def test_an_attempt_without_events_is_silent_until_the_action_has_ended(box: Services) -> None:
    assert told(cluster_events(box, 2)) == ([], False)

    box.tell(SUCCEEDED)

    assert told(cluster_events(box, 2)) == ([], True)


def groups(box: Services, **request: Any) -> Any:
    return box.watching.watch_groups(pb.WatchGroupsRequest(**request), CALL)


def test_groups_count_the_runs_of_each_task(box: Services) -> None:
    box.create("r2")
    box.tell(FAILED, run="r2")

    message = next(groups(box))

    (group,) = message.task_groups
    assert message.sentinel
    assert (group.task_name, group.total_runs, group.average_failure_rate) == ("env.add", 2, 0.5)
    assert [status.run_name for status in group.recent_statuses] == ["r2", "r1"]
    assert {count.phase: count.count for count in group.phase_counts} == {FAILED: 1, QUEUED: 1}


def test_only_ten_runs_of_a_group_are_named(box: Services) -> None:
    for number in range(11):
        box.create(f"more{number}")

    (group,) = next(groups(box)).task_groups

    assert (group.total_runs, len(group.recent_statuses)) == (12, 10)


def test_groups_end_only_with_an_end_date(box: Services) -> None:
    past = pb.WatchGroupsRequest()
    past.end_date.FromSeconds(1)

    messages, ended = told(box.watching.watch_groups(past, CALL))

    assert (len(messages), len(messages[0].task_groups), ended) == (1, 0, True)
    assert told(groups(box))[1] is False
