"""What is public is pinned, documented, and the documentation can be believed."""

from __future__ import annotations

import builtins
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import flyte_lite
from flyte_lite import errors
from flyte_lite.idl._pool import pool

PUBLIC = {
    "flyte_lite": "AMD_GPU APPLE_SILICON Backoff Cache CachePolicy Cancel Client Device DryRun GPU HABANA_GAUDI Neuron "
    "Resources RetryStrategy RunContext Secret TPU Timeout __version__ as_completed config current_domain "
    "current_project errors init io is_control_plane_available models notify remote rerun run union version "
    "wait_all with_runcontext",
    "flyte_lite.config": "Config Endpoint",
    "flyte_lite.devbox": "Devbox task",
    "flyte_lite.io": "DataFrame Dir File",
    "flyte_lite.models": "ActionPhase CodeBundle NativeInterface PhaseTransitionInfo",
    "flyte_lite.notify": "Email NamedDelivery NamedRule Notification Slack Teams Webhook",
    "flyte_lite.policies": "Backoff Cache CachePolicy RetryStrategy Timeout",
    "flyte_lite.remote": "Action ActionDetails ActionInputs ActionOutputs LazyEntity Run RunDetails Task TaskDetails "
    "TimeFilter auth_metadata create_channel",
    "flyte_lite.resources": "AMD_GPU APPLE_SILICON Device GPU HABANA_GAUDI Neuron Resources TPU",
    "flyte_lite.secret": "Secret",
    "flyte_lite.union": "RunContext init remote run with_runcontext",
    "flyte_lite.union.remote": "Run Task",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_these(module: str) -> None:
    loaded = importlib.import_module(module)

    assert sorted(loaded.__all__) == sorted(PUBLIC[module].split())
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []
    assert set(PUBLIC[module].split()) <= set(dir(loaded))


def test_what_is_not_there_is_an_attribute_error() -> None:
    for module in (flyte_lite, flyte_lite.remote, flyte_lite.union):
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            module.nothing  # noqa: B018


def documented() -> Iterator[tuple[str, Any]]:
    for module in (*PUBLIC, "flyte_lite.errors"):
        loaded = importlib.import_module(module)
        for name in loaded.__all__:
            thing = getattr(loaded, name)
            if inspect.ismodule(thing) or not callable(thing):
                continue
            yield f"{module}.{name}", thing
            if inspect.isclass(thing) and module != "flyte_lite.errors":
                for member, raw in vars(thing).items():
                    if not member.startswith("_") and (callable(raw) or isinstance(raw, (property, classmethod))):
                        yield f"{module}.{name}.{member}", raw


THINGS = dict(documented())


@pytest.mark.parametrize("place", THINGS)
def test_it_is_documented_and_names_only_what_there_is(place: str) -> None:
    text = inspect.getdoc(THINGS[place]) or ""

    assert text, "no docstring"
    for service, method in re.findall(r"(flyteidl2\.[\w.]+Service)/(\w+)", text):
        assert method in pool().FindServiceByName(service).methods_by_name.keys()  # noqa: SIM118 - protobuf 4.21
    for line in re.findall(r"Raises:\n((?:[ ]+.*\n?)+)", text):
        for names in re.findall(r"^ {4}((?:\w+(?:, )?)+)(?:, \.\.\.)?: ", line, flags=re.MULTILINE):
            for name in names.split(", "):
                assert hasattr(errors, name) or hasattr(builtins, name), name
