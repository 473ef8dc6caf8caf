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
    return box.data.tail_logs(request, Impatient({}))


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
    assert texts([next(stream), next(stream)]) == [["three"], ["four"]]
    write(box, "five")
    box.event(SUCCEEDED, at=2, log_context=POD)

    messages, ended = told(stream)

    assert (texts(messages), ended) == ([["five"]], True)


def test_a_line_has_its_time_and_is_the_user_s(box: Services) -> None:
    box.event(RUNNING, at=1, log_context=POD)
    write(box, "zero", "one")

    line = next(tail(box)).logs[0].lines[1]

    assert (line.timestamp.ToMicroseconds(), line.originator) == (1, payload_pb2.USER)


def test_only_the_last_thousand_are_told_in_pieces(box: Services) -> None:
    write(box, *map(str, range(1050)))
    box.event(SUCCEEDED, at=2, log_context=POD)

    messages, ended = told(tail(box))

    assert [len(each) for each in texts(messages)] == [100] * 10
    assert texts(messages)[0][0] == "50"
    assert ended


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
        next(box.data.tail_logs(request, Impatient({})))
