"""Bound classes, and what every object of the model can do."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
from typing import Any, Callable

import pytest
from fakes import FakeChannel

from flyte_lite import _session
from flyte_lite._client import Client
from flyte_lite.errors import CallTimeoutError, ConfigError, NotInitializedError, OptionError, RuntimeUserError
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import Run, Task


@pytest.fixture(autouse=True)
def no_default() -> None:
    _session.set_default(None)


def details(name: str = "r1", phase: int = 4) -> run_service_pb2.GetRunDetailsResponse:
    answer = run_service_pb2.GetRunDetailsResponse()
    answer.details.action.id.name = "a0"
    answer.details.action.id.run.name = name
    answer.details.action.id.run.project = "p"
    answer.details.action.id.run.domain = "d"
    answer.details.action.status.phase = phase
    answer.details.run_spec.labels.values["team"] = "ml"
    return answer


def client(channel: FakeChannel) -> Client:
    return Client._over(channel.session())


def test_the_bound_class_makes_plain_objects() -> None:
    channel = FakeChannel().on("RunService/GetRunDetails", details())
    bound = client(channel).runs

    run = bound.get("r1")

    assert type(run) is Run
    assert isinstance(run, Run)
    assert issubclass(bound, Run)
    assert bound.__name__ == "Run"


def test_the_static_and_the_bound_spelling_are_one_implementation() -> None:
    channel = FakeChannel().on("RunService/GetRunDetails", details())
    _session.set_default(channel.session())

    assert Run.get("r1") == client(channel).runs.get("r1")
    assert channel.calls[0] == channel.calls[1]


def test_a_subclass_comes_back_as_itself() -> None:
    class Mine(Run):
        pass

    channel = FakeChannel().on("RunService/GetRunDetails", details())

    assert type(Mine.bind(channel.session()).get("r1")) is Mine


def test_an_object_keeps_the_session_it_came_through() -> None:
    first = (
        FakeChannel()
        .on("RunService/GetRunDetails", details())
        .on("RunService/AbortRun", run_service_pb2.AbortRunResponse())
    )
    run = client(first).runs.get("r1")
    _session.set_default(FakeChannel().session())

    run.abort("enough")

    assert first.asked("RunService/AbortRun")[0].reason == "enough"


def test_without_init_the_error_says_both_ways_out() -> None:
    with pytest.raises(NotInitializedError, match=r"Run was used before.*flyte_lite\.init\(.*Client\("):
        Run.get("r1")


def test_signatures_can_be_read_before_init() -> None:
    assert list(inspect.signature(Task.get).parameters) == ["name", "project", "domain", "version", "auto_version"]


@pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("bound", [True, False], ids=["bound", "plain"])
def test_a_copy_keeps_the_session_and_has_a_state_of_its_own(remake: Callable[[Run], Run], bound: bool) -> None:
    channel = FakeChannel().on("RunService/GetRunDetails", details())
    channel.on("RunService/AbortRun", run_service_pb2.AbortRunResponse())
    made = client(channel).runs.get("r1")
    run = client(channel).runs(made.pb2, created=True) if bound else made

    again = remake(run)
    again.pb2.action.status.phase = 5

    assert type(again) is Run
    assert again.created is run.created
    assert run.phase is ActionPhase.RUNNING
    again.abort("enough")
    assert channel.asked("RunService/AbortRun")[0].reason == "enough"


@pytest.mark.parametrize("bound", [True, False], ids=["bound", "plain"])
def test_objects_pickle_without_their_session(bound: bool) -> None:
    channel = FakeChannel().on("RunService/GetRunDetails", details())
    made = client(channel).runs.get("r1")
    run = client(channel).runs(made.pb2) if bound else made

    again = pickle.loads(pickle.dumps(run))

    assert type(again) is Run
    assert again.pb2 == run.pb2
    with pytest.raises(NotInitializedError):
        again.sync()


def test_a_message_of_somebody_else_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"expected flyteidl2\.workflow\.Run, got str"):
        Run("r1")  # type: ignore[arg-type]


def test_a_run_without_its_action_is_refused() -> None:
    with pytest.raises(RuntimeError, match="root action"):
        Run(run_definition_pb2.Run())


def test_what_a_run_shows() -> None:
    channel = FakeChannel().on("RunService/GetRunDetails", details())
    run = client(channel).runs.get("r1")

    assert run.name == "r1"
    assert run.phase is ActionPhase.RUNNING
    assert run.raw_phase == 4
    assert not run.done()
    assert run.action.start_time is None
    assert dict(run.pb2.labels) == {"team": "ml"}
    assert run.url == "http://console/v2/domain/d/project/p/runs/r1"
    assert repr(run) == "Run(name=r1, phase=running, url=http://console/v2/domain/d/project/p/runs/r1)"
    assert run.to_dict()["action"]["status"]["phase"] == "ACTION_PHASE_RUNNING"
    assert json.loads(run.to_json()) == run.to_dict()


def test_get_takes_another_project_and_domain() -> None:
    channel = FakeChannel().on("RunService/GetRunDetails", details())

    client(channel).runs.get("r1", project="p2", domain="d2")

    run_id = channel.calls[0][1].run_id
    assert (run_id.project, run_id.domain) == ("p2", "d2")


def test_a_scoped_client_shares_the_channel_and_changes_the_scope() -> None:
    channel = FakeChannel().on("RunService/GetRunDetails", details())
    whole = client(channel)

    whole.scoped(project="p2").runs.get("r1")
    whole.runs.get("r1")

    assert [request.run_id.project for _, request in channel.calls] == ["p2", "p"]


@pytest.mark.parametrize("timeout", [0, -1, math.nan, "3"])
def test_a_timeout_of_calls_is_above_0(timeout: Any) -> None:
    with pytest.raises(ConfigError, match="give seconds above 0, or None for no end"):
        Client("h", timeout=timeout)
    with pytest.raises(ConfigError, match="give seconds above 0, or None for no end"):
        client(FakeChannel()).scoped(timeout=timeout)


def test_details_are_asked_for_anew_until_the_run_has_ended() -> None:
    channel = FakeChannel().on("RunService/GetRunDetails", details(phase=4), details(phase=4), details(phase=5))
    run = client(channel).runs.get("r1")

    run.details()
    assert run.details().done()
    assert run.details() is run.details()
    assert run.phase is ActionPhase.SUCCEEDED
    assert len(channel.calls) == 3


@pytest.mark.parametrize("read", [Run.outputs, Run.inputs], ids=["outputs", "inputs"])
def test_what_takes_several_calls_has_one_deadline(read: Callable[[Run], Any]) -> None:
    channel = FakeChannel().on("RunService/GetRunDetails", details())
    run = client(channel).runs.get("r1")

    def slow(request: Any) -> run_service_pb2.GetRunDetailsResponse:
        channel.clock.now += 20
        return details(phase=5)

    channel.on("RunService/GetRunDetails", slow)

    def slower(request: Any) -> payload_pb2.SelectClusterResponse:
        channel.clock.now += 20
        return payload_pb2.SelectClusterResponse()

    channel.on("ClusterService/SelectCluster", slower)
    with pytest.raises(CallTimeoutError):
        read(run)
    assert channel.asked("DataProxyService/GetActionData") == []


def test_the_error_of_a_failed_run_is_asked_for_where_every_server_tells_it() -> None:
    told = run_service_pb2.GetActionDetailsResponse()
    told.details.CopyFrom(details(phase=6).details.action)
    told.details.error_info.kind = 1
    told.details.error_info.message = "division by zero"
    channel = FakeChannel().on("RunService/GetRunDetails", details(phase=6))
    channel.on("RunService/GetActionDetails", told)

    with pytest.raises(RuntimeUserError, match="division by zero"):
        client(channel).runs.get("r1").outputs()


@pytest.mark.parametrize(("phase", "calls"), [(4, 2), (5, 1)], ids=["running", "ended"])
def test_inputs_and_outputs_are_kept_once_they_can_not_change(phase: int, calls: int) -> None:
    channel = FakeChannel().on("RunService/GetRunDetails", details(phase=phase))
    channel.on("ClusterService/SelectCluster", payload_pb2.SelectClusterResponse())
    channel.on("DataProxyService/GetActionData", dataproxy_service_pb2.GetActionDataResponse())
    action = client(channel).runs.get("r1").details().action_details

    action.inputs()
    action.inputs()

    assert len(channel.asked("DataProxyService/GetActionData")) == calls


def test_aborting_what_is_not_there_is_no_error() -> None:
    from flyte_lite.errors import Code, NotFoundError

    channel = FakeChannel().on("RunService/GetRunDetails", details())
    channel.on("RunService/AbortRun", NotFoundError("gone", Code.NOT_FOUND))

    client(channel).runs.get("r1").abort()

    assert channel.asked("RunService/AbortRun")[0].reason == "Manually aborted from the SDK api."


def test_only_remote_mode_is_known() -> None:
    from flyte_lite import with_runcontext

    with pytest.raises(OptionError, match="only launches deployed tasks"):
        with_runcontext("local")  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", list(ActionPhase))
def test_phases_know_their_number_and_name(phase: ActionPhase) -> None:
    from flyte_lite.idl.flyteidl2.common import phase_pb2

    assert phase_pb2.ActionPhase.Value(phase.to_protobuf_name()) == phase.to_protobuf_value()
    assert ActionPhase.from_protobuf(phase.to_protobuf_value()) is phase
    assert f"{phase}" == str(phase) == phase.value == phase
