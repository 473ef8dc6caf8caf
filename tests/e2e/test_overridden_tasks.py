"""A deployed task, said otherwise: the server has it as it was said, and runs it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import flyte_lite as flyte
from flyte_lite import Client, Device, Resources, Secret


def sent(client: Client, **changes: Any) -> Any:
    """The task's template as the server has it, after a run with these changes."""
    task = client.tasks.get("greetings.hello", version="v1").override(**changes)
    run = client.run(task, name="Ada")
    run.wait(timeout=60)
    assert run.outputs()[0] == "hello Ada"
    return run.details().action_details.pb2.task.task_template


@pytest.mark.parametrize(
    ("make", "device", "kind", "partition"),
    [
        (lambda: flyte.GPU("A100", 2, "1g.5gb"), "nvidia-tesla-a100", 0, "1g.5gb"),
        (lambda: flyte.TPU("V5E", "2x2"), "tpu-v5-lite-podslice", 1, "2x2"),
        (lambda: flyte.Neuron("Trn1"), "Trn1", 2, ""),
        (lambda: flyte.AMD_GPU("MI300X"), "MI300X", 3, ""),
        (lambda: flyte.HABANA_GAUDI("Gaudi1"), "Gaudi1", 4, ""),
        (lambda: Device(1, "GPU", "T5000"), "T5000", 0, ""),
    ],
    ids=["GPU", "TPU", "Neuron", "AMD_GPU", "HABANA_GAUDI", "Device"],
)
def test_accelerators(client: Client, make: Any, device: str, kind: int, partition: str) -> None:
    wanted = make()
    resources = Resources(gpu=wanted)
    assert resources.get_device() is wanted

    accelerator = sent(client, resources=resources).extended_resources.gpu_accelerator

    assert (accelerator.device, accelerator.device_class, accelerator.partition_size) == (device, kind, partition)


def test_a_mac_s_gpu_is_settled_where_the_task_is_deployed(client: Client) -> None:
    resources = Resources(gpu=flyte.APPLE_SILICON())

    with pytest.raises(flyte.errors.RemoteTaskUsageError, match="AppleSilicon"):
        sent(client, resources=resources)


def test_processors_memory_and_what_processes_share(client: Client) -> None:
    resources = Resources(cpu=(1, 2), memory="512Mi", disk="1Gi", shm="auto")

    template = sent(client, resources=resources)

    assert [(entry.name, entry.value) for entry in template.container.resources.requests] == [
        (1, "1"),
        (3, "512Mi"),
        (5, "1Gi"),
    ]
    assert [(entry.name, entry.value) for entry in template.container.resources.limits] == [(1, "2")]
    assert template.extended_resources.shared_memory.mount_path == "/dev/shm"
    assert Resources(shm="64Mi").get_shared_memory() == "64Mi"


def test_cache_retries_and_limits(client: Client) -> None:
    waits = flyte.Backoff(timedelta(seconds=1), factor=2, cap=timedelta(seconds=3))
    cache = flyte.Cache("override", version_override="v9", ignored_inputs="times", serialize=True, max_age=3600)

    metadata = sent(
        client,
        cache=cache,
        retries=flyte.RetryStrategy(3, waits),
        timeout=flyte.Timeout(max_runtime=60, max_queued_time=timedelta(minutes=2), deadline=600),
    ).metadata

    assert metadata.discoverable is cache.is_enabled() is True
    assert metadata.discovery_version == cache.get_version() == "v9"
    assert tuple(metadata.cache_ignore_input_vars) == cache.get_ignored_inputs() == ("times",)
    assert metadata.cache_serializable
    assert metadata.cache_max_age.seconds == 3600
    backoff = metadata.retries.backoff
    assert (metadata.retries.retries, backoff.base.seconds, backoff.factor, backoff.cap.seconds) == (3, 1, 2, 3)
    assert [waits.compute_delay(n).seconds for n in range(3)] == [1, 2, 3]
    assert (metadata.timeout.seconds, metadata.timeouts.queued_timeout.seconds) == (60, 120)
    assert metadata.timeouts.deadline.seconds == 600


def test_secrets(client: Client) -> None:
    token, file = Secret("token"), Secret("key", group="ssh", mount="/etc/flyte/secrets")

    secrets = sent(client, secrets=[token, file]).security_context.secrets

    assert [(each.group, each.key, each.env_var) for each in secrets] == [("", "token", "TOKEN"), ("ssh", "key", "")]
    assert token.stable_hash() == Secret("token", as_env_var="TOKEN").stable_hash() != file.stable_hash()


def test_what_was_said_otherwise_can_be_read(client: Client) -> None:
    task = client.tasks.get("greetings.hello", version="v1").override(
        resources=Resources(cpu=2, memory=("1Gi", "2Gi")),
        cache=flyte.Cache("override", version_override="v9"),
        secrets="token",
        queue="fast",
    )

    requests, limits = task.resources
    assert [entry.value for entry in requests] == ["2", "1Gi"]
    assert [entry.value for entry in limits] == ["2Gi"]
    assert task.cache.version_override == "v9"
    assert task.secrets == ["token"]
    assert task.queue == "fast"
    run = client.run(task, name="Ada")
    assert run.details().pb2.run_spec.queue == "fast"
    run.wait(timeout=60)
