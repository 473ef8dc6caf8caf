"""Runs that repeat others, tasks that are run otherwise than they say, and launches that are only prepared."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import flyte_lite as flyte
from flyte_lite import Client, _session, notify
from flyte_lite.devbox import Devbox
from flyte_lite.errors import (
    InputsError,
    MaxRuntimeExceededError,
    NotFoundError,
    OptionError,
    RemoteTaskUsageError,
    RetriesExhaustedError,
    RuntimeUserError,
)
from flyte_lite.remote import Run


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="again.hello", version="v1")
        def hello(name: str, times: int = 1) -> str:
            return ", ".join([f"hello {name}"] * times)

        @box.task(name="again.flaky", version="v1")
        def flaky(folder: str, failures: int) -> int:
            tries = len(list(Path(folder).iterdir()))
            (Path(folder) / str(tries)).touch()
            if tries < failures:
                raise ValueError(f"try {tries + 1}")
            return tries + 1

        @box.task(name="again.variable", version="v1")
        def variable(name: str) -> str:
            return os.environ.get(name, "not there")

        @box.task(name="again.sleep", version="v1")
        def sleep(seconds: float) -> str:
            time.sleep(seconds)
            return "awake"

        @box.task(name="again.step", version="v1")
        def step(n: int, folder: str) -> int:
            (Path(folder) / f"{n}-{time.time_ns()}").touch()
            if n == 2 and not (Path(folder) / "gate").exists():
                raise ValueError("too early")
            return 10 * n

        @box.task(name="again.whole", version="v1")
        def whole(folder: str) -> int:
            return step(1, folder) + step(2, folder)

        yield box


def task(client: Client, name: str) -> Any:
    return client.tasks.get(f"again.{name}", version="v1")


def ended(run: Run) -> Run:
    run.wait(quiet=True, timeout=60)
    return run


def steps(folder: Path, n: int) -> int:
    return len(list(folder.glob(f"{n}-*")))


def test_a_run_again_changes_what_is_said_and_nothing_else(client: Client) -> None:
    first = ended(client.with_runcontext(labels={"team": "a"}).run(task(client, "hello"), name="Ada", times=2))

    same, other = ended(client.rerun(first.name)), ended(client.rerun(first, times=3))

    assert same.outputs()[0] == "hello Ada, hello Ada"
    assert other.outputs()[0] == "hello Ada, hello Ada, hello Ada"
    assert other.inputs() == {"name": "Ada", "times": 3}
    assert len({first.name, same.name, other.name}) == 3
    spec = other.details().pb2.run_spec
    assert (spec.relation.related_to.name, spec.relation.relation_type) == (first.name, 1)
    assert dict(spec.labels.values) == {"team": "a"}
    assert other.details().task_name == "again.hello"


def test_a_run_again_of_a_run_again_comes_from_that_one(client: Client) -> None:
    first = ended(client.run(task(client, "hello"), name="Ada"))
    second = ended(client.with_runcontext(name=None, env_vars={"A": "1"}).rerun(first))

    third = ended(client.rerun(second))

    spec = third.details().pb2.run_spec
    assert spec.relation.related_to.name == second.name
    assert {item.key: item.value for item in spec.envs.values}["A"] == "1"


def test_the_default_session_repeats_runs_too(box: Devbox) -> None:
    try:
        with flyte.init(endpoint=box.endpoint, project="flytesnacks", domain="development"):
            first = ended(flyte.run(flyte.remote.Task.get("again.hello", auto_version="latest"), name="Ada"))

            again = ended(flyte.rerun(first.name, name="Grace"))

            assert again.outputs()[0] == "hello Grace"
            assert (flyte.current_project(), flyte.current_domain()) == ("flytesnacks", "development")
            assert flyte.is_control_plane_available()
            assert flyte.version() == flyte.__version__
    finally:
        _session.set_default(None)


def test_inputs_that_do_not_fit_are_told_and_nothing_runs(client: Client) -> None:
    first = ended(client.run(task(client, "hello"), name="Ada"))

    with pytest.raises(InputsError, match=r"tmes is unknown \(did you mean times\?\); times: expected int"):
        client.rerun(first, tmes=1, times="two")


def test_what_is_not_there_can_not_run_again(client: Client) -> None:
    with pytest.raises(NotFoundError):
        client.rerun("nosuchrun")
    first = ended(client.run(task(client, "hello"), name="Ada"))
    with pytest.raises(NotFoundError):
        client.rerun(first, "a99")


def test_recover_takes_over_what_succeeded(client: Client, tmp_path: Path) -> None:
    first = ended(client.run(task(client, "whole"), folder=str(tmp_path)))
    assert first.phase == "failed"
    (tmp_path / "gate").touch()

    again = ended(client.rerun(first, recover=True))

    again.raise_for_status()
    assert again.outputs()[0] == 30
    assert (steps(tmp_path, 1), steps(tmp_path, 2)) == (1, 2)
    assert again.details().pb2.run_spec.relation.relation_type == 2


def test_what_is_forced_runs_again_although_it_succeeded(client: Client, tmp_path: Path) -> None:
    first = ended(client.run(task(client, "whole"), folder=str(tmp_path)))
    (tmp_path / "gate").touch()
    done = [each.name for each in client.actions.listall(for_run_name=first.name) if each.phase == "succeeded"]

    ended(client.rerun(first, recover=True, force_rerun_actions=done)).raise_for_status()

    assert len(done) == 1
    assert (steps(tmp_path, 1), steps(tmp_path, 2)) == (2, 2)


def test_an_action_runs_alone(client: Client, tmp_path: Path) -> None:
    first = ended(client.run(task(client, "whole"), folder=str(tmp_path)))
    (child,) = [each for each in client.actions.listall(for_run_name=first.name) if each.phase == "succeeded"]

    alone = ended(client.rerun(first, action_name=child.name))

    assert alone.outputs()[0] == 10
    assert alone.details().task_name == "again.step"


def test_inputs_are_used_where_they_are_if_the_outputs_are_gone(box: Devbox, client: Client) -> None:
    first = ended(client.run(task(client, "hello"), name="Ada", times=2))
    missing = box.faults.on("DataProxyService/GetActionData")
    missing.fail("not_found", "outputs not found", times=2)

    with pytest.raises(RuntimeUserError, match="allow_missing_source_outputs=True"):
        client.rerun(first)
    again = ended(client.rerun(first, allow_missing_source_outputs=True))

    assert again.outputs()[0] == "hello Ada, hello Ada"


def test_more_retries_than_the_task_says(client: Client, tmp_path: Path) -> None:
    few, enough = tmp_path / "few", tmp_path / "enough"
    few.mkdir()
    enough.mkdir()

    failed = ended(client.run(task(client, "flaky").override(retries=1), folder=str(few), failures=2))
    passed = ended(
        client.run(task(client, "flaky").override(retries=flyte.RetryStrategy(2)), folder=str(enough), failures=2)
    )

    assert failed.phase == "failed"
    with pytest.raises((RuntimeUserError, RetriesExhaustedError), match="try 2"):
        failed.raise_for_status()
    assert passed.outputs()[0] == 3
    assert passed.details().action_details.attempts == 3


def test_a_shorter_time_than_the_task_says(client: Client) -> None:
    run = ended(client.run(task(client, "sleep").override(timeout=datetime.timedelta(seconds=1)), seconds=60))

    assert run.phase == "timed_out"
    with pytest.raises(MaxRuntimeExceededError):
        run.raise_for_status()


def test_variables_and_results_that_are_kept(client: Client) -> None:
    changed = task(client, "variable").override(
        env_vars={"GREETING": "hi"}, cache=flyte.Cache("override", version_override="v1")
    )

    first, second = ended(client.run(changed, name="GREETING")), ended(client.run(changed, name="GREETING"))
    plain = ended(client.run(task(client, "variable"), name="GREETING"))

    assert first.outputs()[0] == second.outputs()[0] == "hi"
    assert plain.outputs()[0] == "not there"
    assert [run.action.pb2.status.cache_status == 2 for run in (first, second)] == [False, True]


def test_a_dry_run_creates_nothing(box: Devbox, client: Client) -> None:
    asked = len([call for call in box.calls if call.rpc.endswith(("/CreateRun", "/UploadInputs"))])

    made = client.with_runcontext(dry_run=True, name="only-a-thought").run(task(client, "hello"), name="Ada")

    assert isinstance(made, flyte.DryRun)
    assert made.inputs == {"name": "Ada", "times": 1}
    assert made.task_spec.task_template.interface.inputs.variables[0].key == "name"
    assert made.run_spec == made.request.run_spec
    assert made.run_spec.cache_config.cache_lookup_scope == 1
    assert len([call for call in box.calls if call.rpc.endswith(("/CreateRun", "/UploadInputs"))]) == asked
    with pytest.raises(NotFoundError):
        client.runs.get("only-a-thought")


def test_notifications_are_kept_with_the_run(client: Client) -> None:
    told = (
        notify.Email("failed", "a@example.com"),
        notify.Slack(("failed", "aborted"), "https://hooks.example.com/x", "run failed"),
    )

    run = ended(client.with_runcontext(notifications=told).run(task(client, "hello"), name="Ada"))

    email, slack = run.details().pb2.run_spec.notification_rules.rules
    assert email.delivery_template.email.to[0].address == "a@example.com"
    assert list(slack.on_phases) == [6, 7]
    with pytest.raises(OptionError, match=r"give a value of flyte_lite\.notify"):
        client.with_runcontext(notifications="failed").run(task(client, "hello"), name="Ada")  # type: ignore[arg-type]


def test_what_a_deployed_task_says_and_is_told_can_be_read(client: Client) -> None:
    found = task(client, "hello").fetch()

    other = found.override(
        resources=flyte.Resources(cpu=(1, 2), memory="1Gi", shm="auto"),
        cache=flyte.Cache("override", version_override="v3", ignored_inputs="times"),
        secrets=[flyte.Secret("a-key"), "b"],
        queue="q",
    )

    assert (found.cache.behavior, found.secrets, found.queue) == ("disable", [], None)
    assert [len(each) for each in found.resources] == [0, 0]
    assert (other.cache.get_version(), other.cache.get_ignored_inputs()) == ("v3", ("times",))
    assert other.cache.is_enabled()
    assert (other.secrets, other.queue) == (["a-key", "b"], "q")
    assert [[entry.value for entry in each] for each in other.resources] == [["1", "1Gi"], ["2"]]
    run = ended(client.run(other, name="Ada"))
    sent = run.details().action_details.pb2.task.task_template
    assert sent.extended_resources.shared_memory.mount_name == "flyte-shm"
    assert sent.security_context.secrets[0].env_var == "A_KEY"
    assert run.details().pb2.run_spec.queue == "q"


@pytest.mark.parametrize(
    ("make", "name", "device_class"),
    [
        (lambda: flyte.GPU("A100", 2, "1g.5gb"), "nvidia-tesla-a100", 0),
        (lambda: flyte.TPU("V5E", "2x2"), "tpu-v5-lite-podslice", 1),
        (lambda: flyte.Neuron("Inf2"), "Inf2", 2),
        (lambda: flyte.AMD_GPU("MI300X"), "MI300X", 3),
        (lambda: flyte.HABANA_GAUDI("Gaudi1"), "Gaudi1", 4),
        (lambda: flyte.Device(1, "GPU", "made yesterday"), "made yesterday", 0),
        (lambda: "T4:1", "nvidia-tesla-t4", 0),
    ],
    ids=["GPU", "TPU", "Neuron", "AMD", "Gaudi", "any", "text"],
)
def test_a_task_can_be_given_another_device(client: Client, make: Any, name: str, device_class: int) -> None:
    changed = task(client, "hello").override(resources=flyte.Resources(gpu=make()))

    made = client.with_runcontext(dry_run=True).run(changed, name="Ada")

    assert isinstance(made, flyte.DryRun)
    accelerator = made.task_spec.task_template.extended_resources.gpu_accelerator
    assert (accelerator.device, accelerator.device_class) == (name, device_class)


def test_a_task_of_a_mac_stays_there(client: Client) -> None:
    assert flyte.Resources(gpu=flyte.APPLE_SILICON()).get_device() == flyte.Resources(gpu="AppleSilicon").get_device()
    with pytest.raises(RemoteTaskUsageError, match="can't be moved to gpu='AppleSilicon'"):
        task(client, "hello").override(resources=flyte.Resources(gpu=flyte.APPLE_SILICON())).fetch()


def test_waits_and_limits_are_sent_as_they_are_meant(client: Client) -> None:
    backoff = flyte.Backoff(datetime.timedelta(seconds=1), 2.0, datetime.timedelta(seconds=3))
    changed = task(client, "hello").override(
        retries=flyte.RetryStrategy(2, backoff), timeout=flyte.Timeout.of(60), secrets=flyte.Secret("k", group="g")
    )

    made = client.with_runcontext(dry_run=True).run(changed, name="Ada")

    assert isinstance(made, flyte.DryRun)
    metadata = made.task_spec.task_template.metadata
    assert (metadata.retries.retries, metadata.retries.backoff.factor, metadata.timeout.seconds) == (2, 2.0, 60)
    assert [backoff.compute_delay(n).seconds for n in range(3)] == [1, 2, 3]
    assert made.run_spec == made.request.run_spec
    assert flyte.Resources(shm="1Gi").get_shared_memory() == "1Gi"
    assert len({flyte.Secret("k").stable_hash(), flyte.Secret("k2").stable_hash()}) == 2
    assert flyte.version() == flyte.__version__
