"""A run again: what is taken over from the other run, what is said otherwise, and what is refused."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from fakes import FakeChannel
from launching import a_task, client, existing, launchable, plain

import flyte_lite as flyte
from flyte_lite import _session
from flyte_lite.errors import (
    Code,
    InputsError,
    InvalidArgumentError,
    NotFoundError,
    NotInitializedError,
    OptionError,
    RuntimeUserError,
)
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.remote import Run


def done(spec: Optional[Any] = None, envs: Optional[dict[str, str]] = None) -> run_service_pb2.GetRunDetailsResponse:
    """A run of `env.add`, with options of its own."""
    answer = run_service_pb2.GetRunDetailsResponse()
    details = answer.details
    run = details.action.id.run
    run.project, run.domain, run.name = "p", "d", "r1"
    details.action.id.name = "a0"
    details.action.task.CopyFrom(a_task().details.spec)
    details.action.task.task_template.id.name = "env.add"
    if spec is not None:
        details.run_spec.CopyFrom(spec)
    for key, value in (envs or {}).items():
        details.run_spec.envs.values.add(key=key, value=value)
    return answer


def data(**values: int) -> dataproxy_service_pb2.GetActionDataResponse:
    answer = dataproxy_service_pb2.GetActionDataResponse()
    answer.inputs.context.add(key="c", value="old")
    for name, value in values.items():
        if name == "y":
            answer.inputs.literals.add(name=name).value.scalar.primitive.string_value = str(value)
        else:
            answer.inputs.literals.add(name=name).value.scalar.primitive.integer = value
    return answer


@pytest.fixture
def channel() -> FakeChannel:
    channel = launchable()
    channel.on("RunService/GetRunDetails", done())
    channel.on("DataProxyService/GetActionData", data(x=5, y=6))
    return channel


def created(channel: FakeChannel) -> Any:
    return channel.asked("RunService/CreateRun")[-1]


def uploaded(channel: FakeChannel) -> Any:
    return channel.asked("DataProxyService/UploadInputs")[-1]


def test_the_same_again(channel: FakeChannel) -> None:
    run = client(channel).rerun("r1")

    request = created(channel)
    assert run.name == request.run_id.name != "r1"
    assert run.created is True
    assert request.task_spec.task_template.id.name == "env.add"
    assert request.run_spec.relation.relation_type == 1
    related = request.run_spec.relation.related_to
    assert (related.project, related.domain, related.name) == ("p", "d", "r1")
    assert plain(uploaded(channel).inputs.literals) == {"x": 5, "y": "6"}
    assert [(item.key, item.value) for item in uploaded(channel).inputs.context] == [("c", "old")]
    assert uploaded(channel).task_spec == request.task_spec


def test_an_input_is_changed_and_the_others_stay(channel: FakeChannel) -> None:
    client(channel).with_runcontext(custom_context={"k": "new"}).rerun("r1", x=7)

    assert plain(uploaded(channel).inputs.literals) == {"x": 7, "y": "6", "z": None}
    assert {item.key: item.value for item in uploaded(channel).inputs.context} == {"c": "old", "k": "new"}


def test_context_alone_may_be_said_otherwise(channel: FakeChannel) -> None:
    client(channel).with_runcontext(custom_context={"k": "new"}).rerun("r1")

    (upload,) = channel.asked("DataProxyService/UploadInputs")
    assert {item.key: item.value for item in upload.inputs.context}["k"] == "new"


def test_if_all_inputs_are_given_the_old_ones_are_not_read(channel: FakeChannel) -> None:
    client(channel).rerun("r1", x=1, y="b", z=3)

    assert plain(uploaded(channel).inputs.literals) == {"x": 1, "y": "b", "z": 3}
    assert channel.asked("DataProxyService/GetActionData") == []


def test_an_input_that_the_interface_forgot_is_kept(channel: FakeChannel) -> None:
    channel.on("DataProxyService/GetActionData", data(x=5, old=9))

    client(channel).rerun("r1", x=6)

    assert plain(uploaded(channel).inputs.literals) == {"x": 6, "old": 9, "y": "dflt", "z": None}


def test_wrong_inputs_are_told_together_before_anything_is_read(channel: FakeChannel) -> None:
    with pytest.raises(InputsError, match=r"xx is unknown \(did you mean x\?\)") as caught:
        client(channel).rerun("r1", xx=1, y=5)

    assert "y: expected str" in str(caught.value)
    # What is not given is taken over.
    assert "missing" not in str(caught.value)
    assert [name for name, _ in channel.calls] == ["RunService/GetRunDetails"]
    with pytest.raises(InputsError, match="x: expected int"):
        client(channel).rerun("r1", x="a")
    assert channel.asked("RunService/CreateRun") == []


def test_options_of_the_source_stay_and_what_is_said_comes_on_top(channel: FakeChannel) -> None:
    spec: Any = done().details.run_spec
    spec.labels.values.update({"a": "1", "b": "1"})
    spec.annotations.values["n"] = "1"
    spec.queue, spec.run_base_dir, spec.max_action_concurrency = "q0", "s3://base", 7
    spec.raw_data_storage.raw_data_prefix = "s3://raw"
    spec.interruptible.value = True
    spec.cache_config.cache_lookup_scope = 2
    spec.security_context.run_as.k8s_service_account = "sa0"
    spec.notification_rule_name = "rule0"
    spec.relation.related_to.name = "r0"
    spec.relation.relation_type = 2
    spec.recover.force_rerun_actions.append("a9")
    spec.run_start_time.FromSeconds(5)
    channel.on("RunService/GetRunDetails", done(spec, {"OLD": "1", "LOG_LEVEL": "10", "LOG_FORMAT": "json"}))

    client(channel).rerun("r1")
    kept = created(channel).run_spec
    mine = client(channel).with_runcontext(
        labels={"b": "2"},
        annotations={"m": "2"},
        env_vars={"NEW": "2"},
        queue="q9",
        interruptible=False,
        overwrite_cache=True,
        max_action_concurrency=3,
        service_account="sa9",
        raw_data_path="s3://raw9",
        run_base_dir="s3://base9",
        log_level=50,
        reset_root_logger=True,
        debug=True,
        notifications=flyte.notify.NamedDelivery("failed", "pager"),
    )
    mine.rerun("r1")
    changed = created(channel).run_spec

    def envs(spec: Any) -> dict[str, str]:
        return {item.key: item.value for item in spec.envs.values}

    assert dict(kept.labels.values) == {"a": "1", "b": "1"}
    assert (kept.queue, kept.run_base_dir, kept.max_action_concurrency) == ("q0", "s3://base", 7)
    assert (kept.interruptible.value, kept.cache_config.cache_lookup_scope) == (True, 2)
    assert envs(kept) == {"OLD": "1", "LOG_LEVEL": "10", "LOG_FORMAT": "json", "USER_LOG_LEVEL": "20"}
    assert (kept.relation.related_to.name, kept.relation.relation_type) == ("r1", 1)
    assert not kept.HasField("recover")
    assert not kept.HasField("run_start_time")
    assert kept.notification_rule_name == "rule0"
    assert dict(changed.labels.values) == {"a": "1", "b": "2"}
    assert dict(changed.annotations.values) == {"n": "1", "m": "2"}
    assert envs(changed) == {
        "OLD": "1",
        "NEW": "2",
        "LOG_LEVEL": "50",
        "LOG_FORMAT": "json",
        "USER_LOG_LEVEL": "20",
        "FLYTE_RESET_ROOT_LOGGER": "1",
        "_F_E_VS": "1",
    }
    assert (changed.queue, changed.max_action_concurrency) == ("q9", 3)
    assert (changed.interruptible.value, changed.overwrite_cache, changed.cache_config.overwrite_cache) == (
        False,
        True,
        True,
    )
    assert changed.security_context.run_as.k8s_service_account == "sa9"
    assert changed.raw_data_storage.raw_data_prefix == "s3://raw9"
    # The server looks for the inputs where the specification says.
    assert changed.run_base_dir == uploaded(channel).base_dir == "s3://base9"
    assert changed.notification_rules.rules[0].delivery_config_name == "pager"


def test_inputs_go_where_the_source_had_them(channel: FakeChannel) -> None:
    spec = done().details.run_spec
    spec.run_base_dir = "s3://base"
    channel.on("RunService/GetRunDetails", done(spec))

    client(channel).rerun("r1")

    assert uploaded(channel).base_dir == "s3://base"


@pytest.mark.parametrize(
    ("source", "in_container", "in_pod", "kept"),
    [
        (1, False, False, False),
        (2, True, False, True),
        (0, True, False, False),
        (0, False, True, False),
        (0,) * 3 + (True,),
    ],
    ids=["deployed", "sent along", "seen in a container", "seen in a pod", "not seen"],
)
def test_paths_of_code_are_the_deployed_task_s_own(
    channel: FakeChannel, source: int, in_container: bool, in_pod: bool, kept: bool
) -> None:
    answer: Any = done(envs={"_F_SYS_PATH": "./src"})
    answer.details.run_spec.task_spec_source = source
    template = answer.details.action.task.task_template
    if in_container:
        template.container.env.add(key="_F_SYS_PATH", value="./src")
    if in_pod:
        template.k8s_pod.pod_spec.update({"containers": [{"env": [{"name": "_F_SYS_PATH", "value": "./src"}]}]})
    channel.on("RunService/GetRunDetails", answer)

    client(channel).rerun("r1")

    assert any(item.key == "_F_SYS_PATH" for item in created(channel).run_spec.envs.values) is kept


def test_recover(channel: FakeChannel) -> None:
    client(channel).rerun("r1", recover=True, force_rerun_actions=["a3", "a4"])

    spec = created(channel).run_spec
    assert spec.relation.relation_type == 2
    assert list(spec.recover.force_rerun_actions) == ["a3", "a4"]


def test_another_action_is_a_run_of_its_own(channel: FakeChannel) -> None:
    answer = run_service_pb2.GetActionDetailsResponse()
    answer.details.task.task_template.id.name = "env.child"
    answer.details.task.task_template.metadata.cache_ignore_input_vars.append("x")
    channel.on("RunService/GetActionDetails", answer)

    client(channel).rerun("r1", action_name="a3")

    assert created(channel).task_spec.task_template.id.name == "env.child"
    (asked,) = channel.asked("DataProxyService/GetActionData")
    assert (asked.action_id.name, asked.action_id.run.name) == ("a3", "r1")
    assert channel.asked("RunService/GetActionDetails")[0].action_id == asked.action_id


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"force_rerun_actions": ["a1"]}, "force_rerun_actions is about what recover=True takes over"),
        ({"recover": True, "force_rerun_actions": "a1"}, r"force_rerun_actions is 'a1'; give a list of names"),
        ({"recover": True, "force_rerun_actions": [1]}, "give a list of names"),
        ({"recover": True, "action_name": "a3"}, "recover takes over a whole run, and action_name is 'a3'"),
    ],
    ids=str,
)
def test_what_does_not_go_together(channel: FakeChannel, given: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        client(channel).rerun("r1", **given)
    assert channel.calls == []


def test_an_action_without_a_task_has_nothing_to_run(channel: FakeChannel) -> None:
    answer = run_service_pb2.GetActionDetailsResponse()
    answer.details.trace.SetInParent()
    channel.on("RunService/GetActionDetails", answer)

    with pytest.raises(OptionError, match="action a3 of run r1 runs no task, so there is nothing to run again"):
        client(channel).rerun("r1", "a3")


def test_bad_options_are_refused_before_any_call(channel: FakeChannel) -> None:
    with pytest.raises(OptionError, match="run name 'Nightly'"):
        client(channel).with_runcontext(name="Nightly").rerun("r1")
    assert channel.calls == []


def test_the_run_may_be_of_another_project_and_its_like_goes_there(channel: FakeChannel) -> None:
    elsewhere: Any = run_service_pb2.CreateRunResponse()
    run = elsewhere.run.action.id.run
    run.org, run.project, run.domain, run.name = "o", "p9", "d9", "r1"
    source = Run(elsewhere.run, channel.session())

    client(channel).rerun(source)
    there = created(channel)
    client(channel).with_runcontext(project="p2").rerun(source)
    other = created(channel)
    client(channel).with_runcontext(project="p2", domain="d2").rerun("r1")
    named = created(channel)

    for request in (there, other):
        assert request.run_spec.relation.related_to == run
    assert channel.asked("RunService/GetRunDetails")[0].run_id == run
    assert (there.run_id.project, there.run_id.domain) == ("p9", "d9")
    assert (other.run_id.project, other.run_id.domain) == ("p2", "d9")
    # By name it is looked for in the session's own project, wherever the new one goes.
    assert channel.asked("RunService/GetRunDetails")[2].run_id.project == "p"
    assert named.run_spec.relation.related_to.project == "p"
    assert (named.run_id.project, named.run_id.domain) == ("p2", "d2")


def test_a_run_brings_its_own_session(channel: FakeChannel) -> None:
    channel.on("RunService/GetRunDetails", existing)
    source = client(channel).runs.get("r1")
    channel.on("RunService/GetRunDetails", done())

    assert flyte.rerun(source, x=1).name == created(channel).run_id.name


def test_without_a_session_it_says_what_to_do() -> None:
    assert not _session.has_default()
    with pytest.raises(NotInitializedError, match="rerun was used before"):
        flyte.rerun("r1")


def gone(what: str) -> NotFoundError:
    return NotFoundError(f"{what} not found: s3://b/{what}.pb", Code.NOT_FOUND)


def test_inputs_that_are_gone_are_asked_for(channel: FakeChannel) -> None:
    channel.on("DataProxyService/GetActionData", gone("inputs"))

    with pytest.raises(RuntimeUserError, match="the inputs of run r1 are not in the store any more; give every") as it:
        client(channel).rerun("r1", allow_missing_source_outputs=True)

    assert it.value.code == "SourceRunInputsUnavailableError"
    assert isinstance(it.value.__cause__, NotFoundError)


def test_outputs_that_are_gone_are_no_reason_to_stop_if_one_says_so(channel: FakeChannel) -> None:
    channel.on("DataProxyService/GetActionData", gone("outputs"))
    uris = run_service_pb2.GetActionDataURIsResponse(inputs_uri="s3://b/p/d/r1/inputs/inputs.pb")
    channel.on("RunService/GetActionDataURIs", uris)

    with pytest.raises(RuntimeUserError, match="give allow_missing_source_outputs=True") as it:
        client(channel).rerun("r1")
    client(channel).rerun("r1", allow_missing_source_outputs=True)

    assert it.value.code == "SourceRunOutputsUnavailableError"
    offloaded = created(channel).offloaded_input_data
    # The folder, which CreateRun looks into; not the file.
    assert offloaded.uri == "s3://b/p/d/r1/inputs"
    assert offloaded.inputs_hash == "OjOyi0Iq9LU"
    assert channel.asked("DataProxyService/UploadInputs") == []


def test_inputs_that_can_not_be_read_can_not_be_changed_in_part(channel: FakeChannel) -> None:
    channel.on("DataProxyService/GetActionData", gone("outputs"))

    with pytest.raises(RuntimeUserError, match="the inputs of run r1 can't be read, so x can't take the place of some"):
        client(channel).rerun("r1", x=1, allow_missing_source_outputs=True)


def test_a_server_that_does_not_tell_where_they_are(channel: FakeChannel) -> None:
    channel.on("DataProxyService/GetActionData", gone("outputs"))
    channel.on("RunService/GetActionDataURIs", run_service_pb2.GetActionDataURIsResponse())

    with pytest.raises(NotFoundError, match="outputs not found"):
        client(channel).rerun("r1", allow_missing_source_outputs=True)


def test_other_troubles_are_told_as_they_are(channel: FakeChannel) -> None:
    channel.on("DataProxyService/GetActionData", InvalidArgumentError("no", Code.INVALID_ARGUMENT))

    with pytest.raises(InvalidArgumentError):
        client(channel).rerun("r1")


def test_a_key_makes_one_run_of_several_tries(channel: FakeChannel) -> None:
    def details(request: run_service_pb2.GetRunDetailsRequest) -> Any:
        if request.run_id.name == "r1":
            return done()
        return existing(request) if channel.asked("RunService/CreateRun") else gone("run")

    def answer(request: Any) -> Any:
        found = details(request)
        if isinstance(found, NotFoundError):
            raise found
        return found

    channel.on("RunService/GetRunDetails", answer)
    context = client(channel).with_runcontext(idempotency_key="k")

    first, second = context.rerun("r1"), context.rerun("r1")

    assert (first.created, second.created) == (True, False)
    assert first.name == second.name
    assert len(channel.asked("RunService/CreateRun")) == 1
