"""The values that say how a task runs: what they hold, and what they refuse where they are made."""

from __future__ import annotations

import datetime
import pickle
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import pytest

import flyte_lite as flyte
from flyte_lite.resources import Device

SECOND = datetime.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("gpu", "device"),
    [
        (None, None),
        (0, None),
        (2, Device(2, "GPU")),
        ("T4:1", Device(1, "GPU", "T4")),
        ("A100 80G:8", Device(8, "GPU", "A100_80G")),
        ("L4 shared:1", Device(1, "GPU", "L4 shared")),
        ("Trn1n:16", Device(16, "NEURON", "Trn1n")),
        ("MI300X:1", Device(1, "AMD_GPU", "MI300X")),
        ("Gaudi1:1", Device(1, "HABANA_GAUDI", "Gaudi1")),
        ("AppleSilicon", Device(1, "APPLE_SILICON", "AppleSilicon")),
        ("AppleSilicon:1", Device(1, "APPLE_SILICON", "AppleSilicon")),
        (Device(3, "GPU", "made yesterday"), Device(3, "GPU", "made yesterday")),
        (flyte.GPU("A100", 2, "1g.5gb"), Device(2, "GPU", "A100", "1g.5gb")),
        (flyte.GPU("RTX PRO 6000", 1), Device(1, "GPU", "RTX_PRO_6000")),
        (flyte.TPU("V5P", "2x2x1"), Device(1, "TPU", "V5P", "2x2x1")),
        (flyte.Neuron("Inf2"), Device(1, "NEURON", "Inf2")),
        (flyte.AMD_GPU("MI100"), Device(1, "AMD_GPU", "MI100")),
        (flyte.HABANA_GAUDI("Gaudi1"), Device(1, "HABANA_GAUDI", "Gaudi1")),
        (flyte.APPLE_SILICON(), Device(1, "APPLE_SILICON", "AppleSilicon")),
    ],
    ids=lambda value: str(value) if not isinstance(value, Device) else "device",
)
def test_accelerators(gpu: Any, device: Any) -> None:
    assert flyte.Resources(gpu=gpu).get_device() == device


@pytest.mark.parametrize(
    "given",
    [
        {"cpu": 2, "memory": "512Mi", "disk": "1Ti", "shm": "auto"},
        {"cpu": 0.5, "memory": "1.5G", "shm": "64Mi"},
        {"cpu": "500m", "memory": "1e9"},
        {"cpu": ("100m", 4), "memory": ("1Gi", "2Gi")},
        {},
    ],
    ids=str,
)
def test_amounts(given: dict[str, Any]) -> None:
    resources = flyte.Resources(**given)

    assert {name: value for name, value in vars(resources).items() if value is not None} == given
    assert resources.get_shared_memory() == {"auto": ""}.get(given.get("shm", ""), given.get("shm"))
    assert pickle.loads(pickle.dumps(resources)) == resources


BAD: list[tuple[Any, dict[str, Any], str]] = [
    (flyte.Resources, {"cpu": -1}, "cpu is -1; give cores"),
    (flyte.Resources, {"cpu": float("nan")}, "cpu is nan"),
    (flyte.Resources, {"cpu": True}, "cpu is True"),
    (flyte.Resources, {"cpu": "two"}, "cpu is 'two'"),
    (flyte.Resources, {"cpu": (1,)}, "it has two parts"),
    (flyte.Resources, {"cpu": (1, None)}, "cpu is None"),
    (flyte.Resources, {"memory": 1024}, "memory is 1024; give an amount as Kubernetes writes it"),
    (flyte.Resources, {"memory": "512MB"}, "memory is '512MB'"),
    (flyte.Resources, {"memory": ("1Gi", None)}, "memory is None"),
    (flyte.Resources, {"disk": ("1Gi", "2Gi")}, "disk is"),
    (flyte.Resources, {"shm": "all"}, "shm is 'all'"),
    (flyte.Resources, {"gpu": "A100:9"}, r"gpu is 'A100:9'; give a number, a kind and a number"),
    (flyte.Resources, {"gpu": "A100"}, "gpu is 'A100'"),
    (flyte.Resources, {"gpu": "H900:1"}, "gpu is 'H900:1'"),
    (flyte.Resources, {"gpu": "T4:²"}, "gpu is"),
    (flyte.Resources, {"gpu": ("T4", 1)}, "gpu is"),
    (flyte.Resources, {"gpu": -1}, "gpu is -1"),
    (flyte.Resources, {"gpu": True}, "gpu is True"),
    (flyte.Device, {"quantity": 0, "device_class": "GPU"}, "quantity of a Device is 0"),
    (flyte.Device, {"quantity": 1, "device_class": "CPU"}, "device_class is 'CPU'; it is one of AMD_GPU, "),
    (flyte.Device, {"quantity": 2, "device_class": "APPLE_SILICON", "device": "AppleSilicon"}, "a Mac's GPU is one"),
    (flyte.Device, {"quantity": 1, "device_class": "GPU", "device": "AppleSilicon"}, "a Mac's GPU is one"),
    (flyte.GPU, {"device": "T5", "quantity": 1}, "there is no GPU 'T5' here; known are A10, "),
    (flyte.GPU, {"device": "T4", "quantity": 9}, "give 1 to 8 GPUs"),
    (flyte.GPU, {"device": "A100", "quantity": 1, "partition": "9g"}, "of a A100 there is 1g.5gb, "),
    (flyte.GPU, {"device": "T4 shared", "quantity": 1, "partition": "1g"}, "is a share already"),
    (flyte.TPU, {"device": "V1"}, "there is no TPU 'V1'"),
    (flyte.TPU, {"device": "V5E", "partition": "3x3"}, "of a V5E there is 1x1"),
    (flyte.Neuron, {"device": "Inf9"}, "there is no NEURON 'Inf9'"),
    (flyte.RetryStrategy, {"count": -1}, "count of a RetryStrategy is -1"),
    (flyte.RetryStrategy, {"count": 1.0}, "count of a RetryStrategy is 1.0; give an int"),
    (flyte.RetryStrategy, {"count": True}, "is True"),
    (flyte.RetryStrategy, {"count": 2**32}, "give an int"),
    (flyte.RetryStrategy, {"count": 1, "backoff": 5}, "backoff of a RetryStrategy is 5; give a Backoff"),
    (flyte.Backoff, {"base": 1}, "base of a Backoff is 1; give a datetime.timedelta"),
    (flyte.Backoff, {"base": -SECOND}, "not negative"),
    (flyte.Backoff, {"base": SECOND, "factor": 0.5}, "factor of a Backoff is 0.5; give a number of 1 or more"),
    (flyte.Backoff, {"base": SECOND, "factor": float("inf"), "cap": SECOND}, "factor"),
    (flyte.Backoff, {"base": SECOND, "factor": 2}, "needs a cap"),
    (flyte.Backoff, {"base": SECOND, "cap": 9}, "cap of a Backoff is 9"),
    (flyte.Timeout, {"max_runtime": 1.5}, "max_runtime of a Timeout is 1.5; give a datetime.timedelta or whole"),
    (flyte.Timeout, {"deadline": -1}, "deadline of a Timeout is -1"),
    (flyte.Timeout, {"max_queued_time": True}, "max_queued_time of a Timeout is True"),
    (flyte.Cache, {"behavior": "maybe"}, "behavior of a Cache is 'maybe'; it is one of auto, override, disable"),
    (flyte.Cache, {"behavior": True}, "behavior of a Cache is True"),
    (flyte.Cache, {"behavior": "auto", "max_age": -1}, "can't be negative"),
    (flyte.Secret, {"key": ""}, "give the name of a secret"),
    (flyte.Secret, {"key": "k", "mount": "/tmp"}, 'files of secrets are only in "/etc/flyte/secrets"'),
    (flyte.Secret, {"key": "a.b"}, "'A.B' can't be a variable's name"),
    (flyte.Secret, {"key": "k", "as_env_var": "lower"}, "'lower' can't be"),
]


@pytest.mark.parametrize(
    ("made", "given", "text"), BAD, ids=[f"{made.__name__}-{row}" for row, (made, *_) in enumerate(BAD)]
)
def test_what_can_not_be_meant_is_refused_where_it_is_said(made: Any, given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        made(**given)


def test_waits_grow_up_to_their_cap() -> None:
    backoff = flyte.Backoff(SECOND, 2.0, 10 * SECOND)

    assert [backoff.compute_delay(n) // SECOND for n in (0, 1, 2, 3, 4, 5000)] == [1, 2, 4, 8, 10, 10]
    assert flyte.Backoff(SECOND).compute_delay(5000) == SECOND
    with pytest.raises(ValueError, match="counted from 0"):
        backoff.compute_delay(-1)


def test_a_time_alone_is_that_of_an_attempt() -> None:
    limits = flyte.Timeout(deadline=9)

    assert flyte.Timeout.of(60) == flyte.Timeout(max_runtime=60)
    assert flyte.Timeout.of(SECOND) == flyte.Timeout(max_runtime=SECOND)
    assert flyte.Timeout.of(limits) is limits


class Policy:
    def get_version(self, salt: str, params: Any) -> str:
        return f"{salt}{params}"


def test_what_a_cache_says() -> None:
    kept = flyte.Cache("override", version_override="v1", ignored_inputs="x", max_age=60)

    assert kept.is_enabled()
    assert kept.get_version() == "v1"
    assert kept.get_ignored_inputs() == ("x",)
    assert kept.max_age == 60 * SECOND
    assert flyte.Cache("Off").behavior == "disable"  # type: ignore[arg-type]
    assert flyte.Cache("enabled").behavior == "auto"  # type: ignore[arg-type]
    assert flyte.Cache("disable").get_version() == ""
    assert not flyte.Cache("disable").is_enabled()
    assert flyte.Cache("auto", ignored_inputs=("a", "b")).get_ignored_inputs() == ("a", "b")
    with pytest.raises(TypeError, match="max_age of a Cache is '1h'"):
        flyte.Cache("auto", max_age="1h")  # type: ignore[arg-type]


def test_policies_make_the_version_of_a_cache() -> None:
    one = flyte.Cache("auto", policies=Policy(), salt="s")
    two = flyte.Cache("auto", policies=[Policy(), Policy()], salt="s")

    assert len(one.get_version("code")) == 64
    assert one.get_version("code") == flyte.Cache("auto", policies=[Policy()], salt="s").get_version("code")
    assert len({one.get_version("code"), one.get_version("other"), two.get_version("code")}) == 3
    for cache, params in ((flyte.Cache("auto"), "code"), (one, None)):
        with pytest.raises(ValueError, match="this Cache has no version: give version_override="):
            cache.get_version(params)


def test_where_a_secret_is_found() -> None:
    assert flyte.Secret("my-key").as_env_var == "MY_KEY"
    assert flyte.Secret("my-key", group="team-a").as_env_var == "TEAM_A_MY_KEY"
    assert flyte.Secret("my-key", as_env_var="TOKEN").as_env_var == "TOKEN"
    for mount in ("/etc/flyte/secrets", PurePosixPath("/etc/flyte/secrets"), PureWindowsPath("/etc/flyte/secrets")):
        secret = flyte.Secret("my-key", mount=mount)
        assert (str(secret.mount), secret.as_env_var) == ("/etc/flyte/secrets", None)


def test_a_secret_has_one_hash_in_every_process() -> None:
    # What the official SDK has for the same one.
    assert flyte.Secret("k", group="g").stable_hash()[:20] == "1dff3b702fe6c0c4b1f6"
    assert hash(flyte.Secret("k", group="g")) == hash(flyte.Secret("k", group="g"))
    assert len({flyte.Secret("k"), flyte.Secret("k"), flyte.Secret("k2")}) == 2
