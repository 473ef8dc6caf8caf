"""A launch that is only prepared; and what is taken of official options that say nothing of a deployed task."""

from __future__ import annotations

import datetime
import pickle
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeChannel
from launching import client, launchable

import flyte_lite as flyte
from flyte_lite.errors import InputsError, OptionError, RemoteTaskUsageError
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2


@pytest.fixture
def channel() -> FakeChannel:
    return launchable()


def prepared(channel: FakeChannel, **options: Any) -> flyte.DryRun:
    mine = client(channel)
    made = mine.with_runcontext(dry_run=True, **options).run(mine.tasks.get("env.add", version="v1"), x=1)
    assert isinstance(made, flyte.DryRun)
    return made


def test_it_asks_for_the_task_and_sends_nothing_else(channel: FakeChannel) -> None:
    made = prepared(channel, name="my-run", labels={"a": "b"})

    assert [name for name, _ in channel.calls] == ["TaskService/GetTaskDetails"]
    assert made.name == made.request.run_id.name == "my-run"
    assert made.inputs == {"x": 1, "y": "dflt", "z": None}
    assert dict(made.run_spec.labels.values) == {"a": "b"}
    assert made.task_spec.default_inputs[0].name == "y"
    assert made.request.task_id.version == "v1"
    assert made.code_bundle is None
    assert made.created is False


def test_what_is_wrong_is_found_all_the_same(channel: FakeChannel) -> None:
    mine = client(channel)

    with pytest.raises(InputsError, match="x is missing"):
        mine.with_runcontext(dry_run=True).run(mine.tasks.get("env.add", version="v1"))


def test_there_is_no_run_to_be_asked(channel: FakeChannel) -> None:
    made = prepared(channel, name="my-run")

    for ask in (made.wait, made.sync, made.outputs, made.abort, made.details, made.raise_for_status):
        with pytest.raises(RemoteTaskUsageError, match="run my-run was a dry run: it was not created"):
            ask()
    assert not made.done()
    assert "my-run" in repr(made)
    assert "my-run" in made._repr_html_()
    twin = pickle.loads(pickle.dumps(made))
    assert (twin.name, twin.inputs, twin.request) == (made.name, made.inputs, made.request)


def test_a_key_is_not_looked_up(channel: FakeChannel) -> None:
    assert prepared(channel, idempotency_key="k").name.startswith("k")
    assert channel.asked("RunService/GetRunDetails") == []


def test_an_overridden_task_is_shown_as_it_would_run(channel: FakeChannel) -> None:
    mine = client(channel)
    task = mine.tasks.get("env.add", version="v1").override(retries=7)

    made = mine.with_runcontext(dry_run=True).run(task, x=1)

    assert isinstance(made, flyte.DryRun)
    assert made.task_spec.task_template.metadata.retries.retries == 7
    assert made.request.task_spec == made.task_spec


def test_a_rerun_is_prepared_too(channel: FakeChannel) -> None:
    answer = run_service_pb2.GetRunDetailsResponse()
    answer.details.action.task.task_template.id.name = "env.add"
    channel.on("RunService/GetRunDetails", answer)
    channel.on("DataProxyService/GetActionData", dataproxy_service_pb2.GetActionDataResponse())

    made = client(channel).with_runcontext(dry_run=True).rerun("r1")

    assert isinstance(made, flyte.DryRun)
    assert made.run_spec.relation.related_to.name == "r1"
    assert channel.asked("RunService/CreateRun") == channel.asked("DataProxyService/UploadInputs") == []


def test_options_that_say_nothing_of_a_deployed_task_are_taken(channel: FakeChannel) -> None:
    plain = prepared(channel, name="r").request

    other = prepared(
        channel,
        name="r",
        mode="remote",
        version="v9",
        copy_style="none",
        interactive_mode=True,
        run_start_time=datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
        disable_run_cache=True,
        tracked=True,
        tracked_strict=True,
        _tracker=object(),
    ).request

    assert other == plain


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"mode": "local"}, "mode is 'local'; flyte_lite only launches deployed tasks"),
        ({"mode": "hybrid"}, "mode is 'hybrid'"),
        ({"version": 5}, "version is int 5; give a text"),
        ({"copy_style": "custom"}, "copy_style is 'custom'; it is one of loaded_modules, all, none"),
        ({"copy_bundle_to": Path("x")}, "copy_bundle_to is given, but a deployed task has its code on the server"),
        ({"run_start_time": "now"}, "run_start_time is str 'now'; give a datetime"),
        ({"preserve_original_types": True}, "gives data frames as references"),
    ],
    ids=str,
)
def test_options_whose_silence_would_surprise_are_refused_at_once(given: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        flyte.with_runcontext(**given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"dry_run": "no"}, "dry_run is str 'no'; give True or False"),
        ({"log_level": "DEBUG"}, "log_level is str 'DEBUG'; give an int"),
        ({"max_action_concurrency": 2**32}, "2 or more"),
        ({"notifications": "failed"}, "give a value of flyte_lite.notify"),
    ],
    ids=str,
)
def test_bad_values_are_refused_before_anything_is_created(
    channel: FakeChannel, given: dict[str, Any], text: str
) -> None:
    mine = client(channel)

    with pytest.raises(OptionError, match=text):
        mine.with_runcontext(**given).run(mine.tasks.get("env.add", version="v1"), x=1)
    assert channel.asked("RunService/CreateRun") == channel.asked("DataProxyService/UploadInputs") == []


def test_a_context_shows_what_was_said_but_no_secrets() -> None:
    hook = flyte.notify.Slack("failed", "https://hooks.example.com/secret")

    context = flyte.with_runcontext(name="n", env_vars={"TOKEN": "secret"}, queue="q", notifications=hook)

    assert repr(context) == "RunContext(name='n'; env_vars: TOKEN; queue='q'; notifications)"
    assert repr(flyte.with_runcontext()) == "RunContext()"
    assert context == flyte.with_runcontext(name="n", env_vars={"TOKEN": "secret"}, queue="q", notifications=hook)
    assert context != flyte.with_runcontext(name="n")


def test_the_front_knows_what_init_said() -> None:
    from flyte_lite import _session
    from flyte_lite.errors import InitializationError, NotInitializedError

    assert flyte.version() == flyte.__version__
    assert not flyte.is_control_plane_available()
    with pytest.raises(NotInitializedError, match="current_project was used before"):
        flyte.current_project()
    try:
        flyte.init(endpoint="http://h", project="p", domain="")
        assert flyte.is_control_plane_available()
        assert flyte.current_project() == "p"
        with pytest.raises(InitializationError, match=r"without a domain: give init\(domain=...\)") as caught:
            flyte.current_domain()
        assert caught.value.code == "DomainNotInitializedError"
    finally:
        _session.set_default(None)
