"""Runs live on the devbox as they did on the real server with its executor."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from life_differences import DIFFERENCES, OWN_END, OWN_ENDS, meant
from player import SERVICES, Player
from rig import deploy

from flyte_lite.devbox import Devbox

LIVES: list[Mapping[str, Any]] = json.loads(Path(__file__).with_name("lives.json").read_text())["lives"]
NOT_SERVED = ("DataProxyService/CreateUploadLocation",)


def applies(life: Mapping[str, Any]) -> bool:
    """Those whose calls are served."""
    calls = [event for event in life["timeline"] if "call" in event]
    return all(each["call"].partition("/")[0] in SERVICES and each["call"] not in NOT_SERVED for each in calls)


# What is missing for the lives that are not played.
LATER = {
    "uploads of files": ("uploads", "file_in_out"),
    "schedules that fire": ("schedule", "schedule_offloaded"),
    "SecretService": ("secrets", "secret_scopes"),
    "AppService": ("app",),
}

# In these, something happens to a run before its task has begun.
BEFORE_IT_RUNS = ("abort_queued", "same_name")

PLAYED = [life for life in LIVES if applies(life)]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with Devbox() as box:
        deploy(box)
        yield box.endpoint.partition("//")[2]


@pytest.fixture
def busy() -> Iterator[str]:
    """A devbox whose only worker has something else to do for three seconds: as slow to begin as pods are."""
    with Devbox(workers=1) as box:
        deploy(box)
        address = box.endpoint.partition("//")[2]
        place = {"project": "flytesnacks", "domain": "development"}
        task = {**place, "name": "rig.sleeper", "version": "v1"}
        seconds = {"name": "seconds", "value": {"scalar": {"primitive": {"floatValue": 3.0}}}}
        request = {"runId": {**place, "name": "first"}, "taskId": task, "inputs": {"literals": [seconds]}}
        assert Player(address, LIVES[0]).call("RunService/CreateRun", request)[0] == 200
        yield address


@pytest.mark.parametrize("life", PLAYED, ids=[life["name"] for life in PLAYED])
def test_it_is_told_as_by_the_real_server(life: Mapping[str, Any], request: pytest.FixtureRequest) -> None:
    player = Player(request.getfixturevalue("busy" if life["name"] in BEFORE_IT_RUNS else "address"), life)

    if meant(OWN_END, life["name"]):
        found = list(player.differences(until=lambda event: event.get("call") == "RunService/AbortRun"))
        error = player.final("run")["errorInfo"]
        assert (error["kind"], error["message"]) == OWN_ENDS[life["name"]]
    else:
        found = list(player.differences())

    assert not found, "\n" + "\n".join(found)


def test_the_others_wait_for_what_is_not_served_yet() -> None:
    """The rule leaves out what it is meant to, and no more."""
    left = {life["name"] for life in LIVES} - {life["name"] for life in PLAYED}
    assert left == {name for lives in LATER.values() for name in lives}
    assert {life for each in DIFFERENCES for life in each.lives} <= {life["name"] for life in PLAYED}
