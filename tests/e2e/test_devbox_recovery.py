"""Runs that take over what another run has done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from devbox_client import Client

from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.common import run_pb2 as common_run_pb2
from flyte_lite.idl.flyteidl2.task import run_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

SUCCEEDED, FAILED, RECOVERED = (
    phase_pb2.ACTION_PHASE_SUCCEEDED,
    phase_pb2.ACTION_PHASE_FAILED,
    phase_pb2.ACTION_PHASE_RECOVERED,
)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Devbox() as box:

        @box.task(name="recovery.twice", version="v1")
        def twice(n: int) -> int:
            print("running")
            if n < 0:
                raise ValueError("negative")
            return 2 * n

        @box.task(name="recovery.step", version="v1")
        def step(n: int, gate: str) -> int:
            if n == 2 and not Path(gate).exists():
                raise ValueError("too early")
            return n

        @box.task(name="recovery.whole", version="v1")
        def whole(gate: str) -> int:
            return step(1, gate) + step(2, gate)

        yield Client(box)


def spec(source: str, kind: int = common_run_pb2.RELATION_TYPE_RECOVER, forced: Sequence[str] = ()) -> run_pb2.RunSpec:
    made = run_pb2.RunSpec()
    made.relation.relation_type = kind  # type: ignore[assignment]  # an enum's number
    made.relation.related_to.project, made.relation.related_to.domain = "flytesnacks", "development"
    made.relation.related_to.name = source
    made.recover.force_rerun_actions.extend(forced)
    return made


def run(client: Client, n: int, run_spec: run_pb2.RunSpec) -> run_definition_pb2.ActionDetails:
    return client.run("recovery.twice", run_spec, n=n)


def test_what_succeeded_is_taken_over_and_not_run(client: Client) -> None:
    first = client.run("recovery.twice", n=21).id.run.name

    again = run(client, 21, spec(first))

    assert again.status.phase == RECOVERED
    assert client.outputs(again) == {"o0": 42}
    assert client.box.logs(again.id.run.name) == []
    assert again.metadata.relation == spec(first).relation
    assert (again.metadata.recovered_from.run.name, again.metadata.recovered_from.name) == (first, "a0")
    assert [attempt.phase for attempt in again.attempts] == [RECOVERED]


def test_outputs_are_those_of_the_inputs_it_had(client: Client) -> None:
    first = client.run("recovery.twice", n=1).id.run.name

    assert client.outputs(run(client, 7, spec(first))) == {"o0": 2}
    assert client.outputs(run(client, 7, spec(first, forced=["a0"]))) == {"o0": 14}


def test_what_was_recovered_can_be_recovered(client: Client) -> None:
    first = client.run("recovery.twice", n=3).id.run.name
    second = run(client, 3, spec(first)).id.run.name

    third = run(client, 3, spec(second))

    assert (third.status.phase, third.metadata.recovered_from.run.name) == (RECOVERED, second)
    assert client.outputs(third) == {"o0": 6}


def test_what_failed_is_run(client: Client) -> None:
    first = client.run("recovery.twice", n=-1)
    assert first.status.phase == FAILED

    again = run(client, 5, spec(first.id.run.name))

    assert again.status.phase == SUCCEEDED
    assert not again.metadata.HasField("recovered_from")
    assert client.box.logs(again.id.run.name) == ["running"]


def test_a_source_that_is_not_there_gives_nothing(client: Client) -> None:
    assert run(client, 5, spec("nowhere")).status.phase == SUCCEEDED


def test_a_rerun_runs_and_tells_of_what(client: Client) -> None:
    first = client.run("recovery.twice", n=4).id.run.name

    again = run(client, 4, spec(first, common_run_pb2.RELATION_TYPE_RERUN))

    assert again.status.phase == SUCCEEDED
    assert again.metadata.relation.relation_type == common_run_pb2.RELATION_TYPE_RERUN
    assert not again.metadata.HasField("recovered_from")


def children(client: Client, run: str) -> dict[str, run_definition_pb2.Action]:
    request = run_service_pb2.ListActionsRequest()
    request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", run
    response = client.call("workflow.RunService/ListActions", request, run_service_pb2.ListActionsResponse)
    return {action.id.name: action for action in response.actions if action.id.name != "a0"}


def test_of_a_run_that_failed_only_what_failed_is_run_again(client: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first = client.run("recovery.whole", gate=str(gate))
    assert first.status.phase == FAILED
    done, failed = sorted(children(client, first.id.run.name).values(), key=lambda each: each.status.phase)
    assert (done.status.phase, failed.status.phase) == (SUCCEEDED, FAILED)
    gate.touch()

    again = client.run("recovery.whole", spec(first.id.run.name), gate=str(gate))

    assert again.status.phase == SUCCEEDED
    assert client.outputs(again) == {"o0": 3}
    phases = {name: child.status.phase for name, child in children(client, again.id.run.name).items()}
    assert phases == {done.id.name: RECOVERED, failed.id.name: SUCCEEDED}

    forced = client.run("recovery.whole", spec(first.id.run.name, forced=[done.id.name]), gate=str(gate))

    assert client.outputs(forced) == {"o0": 3}
    assert {child.status.phase for child in children(client, forced.id.run.name).values()} == {SUCCEEDED}
