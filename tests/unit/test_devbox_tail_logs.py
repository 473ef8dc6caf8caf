"""DataProxyService.TailLogs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import pytest
from devbox_services import Impatient, Services, action_id, creation, task_id, told

from flyte_lite import errors
from flyte_lite.devbox.services.details import key_of
from flyte_lite.devbox.state.bundles import Bundle
from flyte_lite.devbox.state.logs import Line
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.logs.dataplane import payload_pb2
from flyte_lite.idl.flyteidl2.task import task_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

P = phase_pb2
RUNNING, SUCCEEDED, ABORTED = P.ACTION_PHASE_RUNNING, P.ACTION_PHASE_SUCCEEDED, P.ACTION_PHASE_ABORTED
KEY = key_of(action_id())
POD = run_definition_pb2.ActionEvent().log_context
POD.primary_pod_name = "r1-a0-0"


@pytest.fixture
def box() -> Iterator[Services]:
    made = Services()
    request = task_service_pb2.DeployTaskRequest(task_id=task_id())
    request.spec.task_template.metadata.code_bundle_uri = "s3://bundle"
    made.tasks.deploy_task(request, Impatient({}))
    made.state.bundles.put("s3://bundle", Bundle(b"", ""))
    made.runs.create_run(creation(), Impatient({}))
    yield made
    made.state.close()


def tail(box: Services, attempt: int = 1) -> Iterator[dataproxy_service_pb2.TailLogsResponse]:
    request = dataproxy_service_pb2.TailLogsRequest(action_id=action_id(), attempt=attempt)
    return box.data.handlers()["TailLogs"](request, Impatient({}))


def started(at: int) -> run_definition_pb2.ActionEvent:
    """An event whose pod has a container that started."""
    event = run_definition_pb2.ActionEvent(log_context=POD)
    pod = event.log_context.pods.add(pod_name=POD.primary_pod_name, primary_container_name="main")
    pod.containers.add(container_name="main").process.container_start_time.FromSeconds(at)
    return event


def write(box: Services, *lines: str, attempt: int = 1) -> None:
    box.state.logs.add(KEY, attempt, [Line(number, line) for number, line in enumerate(lines)])


def texts(messages: list[dataproxy_service_pb2.TailLogsResponse]) -> list[list[str]]:
    return [[line.message for line in message.logs[0].lines] for message in messages]


def test_lines_are_told_as_they_come_and_it_ends_with_the_attempt(box: Services) -> None:
    box.event(RUNNING, at=1, log_context=POD)
    write(box, "one", "two")
    stream = tail(box)
    assert texts([next(stream)]) == [["one", "two"]]
    write(box, "three", "four")
    assert texts([next(stream)]) == [["three", "four"]]
    write(box, "five")
    box.event(SUCCEEDED, at=2, log_context=POD)

    messages, ended = told(stream)

    assert (texts(messages), ended) == ([["five"]], True)


def test_a_line_has_its_time_and_is_the_user_s(box: Services) -> None:
    box.event(RUNNING, at=1, log_context=POD)
    write(box, "zero", "one")

    line = next(tail(box)).logs[0].lines[1]

    assert (line.timestamp.ToMicroseconds(), line.originator) == (1, payload_pb2.USER)


def test_all_of_them_are_told_again_to_whoever_comes_back(box: Services) -> None:
    write(box, *map(str, range(2345)))
    box.event(RUNNING, at=1, log_context=started(1).log_context)

    for _ in range(2):
        messages, ended = told(tail(box))

        assert [line for each in texts(messages) for line in each] == list(map(str, range(2345)))
        assert max(len(each) for each in texts(messages)) == 100
        assert not ended


def test_without_a_start_only_the_last_thousand_are_told(box: Services) -> None:
    write(box, *map(str, range(1050)))
    box.event(SUCCEEDED, at=2, log_context=POD)

    messages, ended = told(tail(box))

    assert [len(each) for each in texts(messages)] == [100] * 10
    assert texts(messages)[0][0] == "50"
    assert ended


@pytest.mark.parametrize("count", [999, 1000, 1001])
def test_a_thousand_are_a_thousand(box: Services, count: int) -> None:
    write(box, *map(str, range(count)))
    box.event(SUCCEEDED, at=2, log_context=POD)

    messages, _ = told(tail(box))

    assert texts(messages)[0][0] == str(max(0, count - 1000))


def test_a_process_that_was_started_again_has_a_log_of_its_own(box: Services) -> None:
    box.event(RUNNING, at=1, log_context=started(1).log_context)
    write(box, "one")
    stream = tail(box)
    assert texts([next(stream)]) == [["one"]]
    write(box, "two")
    box.state.logs.begin_anew(KEY, 1)
    write(box, "one", "two")

    messages, ended = told(stream)

    assert (texts(messages), ended) == ([["two"]], True)
    assert texts([next(tail(box))]) == [["one", "two"]]
    assert len(box.state.logs.of(KEY)) == 4


def test_lines_of_others_are_theirs(box: Services) -> None:
    box.event(RUNNING, at=1, log_context=POD)
    write(box, "mine")
    write(box, "the next attempt's", attempt=2)
    box.state.logs.add(key_of(action_id("child")), 1, [Line(1, "a child's")])

    assert texts([next(tail(box))]) == [["mine"]]


def test_a_carriage_return_is_part_of_a_line_s_end(box: Services) -> None:
    box.event(RUNNING, at=1, log_context=POD)
    write(box, "one\r", "10%\r20%", "")

    assert texts([next(tail(box))]) == [["one", "10%\r20%", ""]]


def test_there_is_no_attempt_0(box: Services) -> None:
    box.event(RUNNING, at=1, log_context=POD)

    with pytest.raises(errors.NotFoundError, match=r"no event found for action .* attempt 0"):
        next(tail(box, 0))


def test_it_stays_open_while_nothing_comes(box: Services) -> None:
    box.event(RUNNING, at=1, log_context=POD)

    assert told(tail(box)) == ([], False)


@pytest.mark.parametrize(
    ("phase", "text"),
    [(None, "no event found"), (RUNNING, "no log context found"), (ABORTED, "no log context found")],
)
def test_without_a_pod_there_is_no_log(box: Services, phase: Optional[int], text: str) -> None:
    write(box, "one")
    if phase is not None:
        box.event(phase, at=1)

    with pytest.raises(errors.NotFoundError, match=f"{text} for action .* attempt 1"):
        next(tail(box))


def test_the_log_of_an_attempt_that_was_repeated_is_gone(box: Services) -> None:
    box.event(RUNNING, at=1, log_context=POD)
    write(box, "one")
    stream = tail(box)
    next(stream)
    box.event(RUNNING, at=2, attempt=2, log_context=POD)

    assert told(stream) == ([], True)
    with pytest.raises(errors.NotFoundError, match="pod r1-a0-0 not found in namespace flyte"):
        next(tail(box))


def test_what_does_not_run_here_has_no_pod_whatever_is_told_of_it(box: Services) -> None:
    box.deploy(version="v2")
    box.runs.create_run(creation("r2", task_id(version="v2")), Impatient({}))
    event = run_definition_pb2.ActionEvent(id=action_id(run="r2"), attempt=1, phase=RUNNING, log_context=POD)
    box.state.events.add(event)
    request = dataproxy_service_pb2.TailLogsRequest(action_id=action_id(run="r2"), attempt=1)

    with pytest.raises(errors.NotFoundError, match="pod r1-a0-0 not found"):
        next(box.data.handlers()["TailLogs"](request, Impatient({})))
