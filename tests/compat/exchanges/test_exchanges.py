"""The devbox answers what the real server answered, step by step, in JSON and in binary."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from exchange_differences import DIFFERENCES, MOST
from replayer import Replayer

from flyte_lite.devbox import Devbox

SCENARIOS: list[Mapping[str, Any]] = json.loads(Path(__file__).with_name("exchanges.json").read_text())["scenarios"]


def applies(scenario: Mapping[str, Any], codec: str) -> bool:
    # `slow` ones wait for a schedule to fire, and the devbox has no scheduler yet.
    if scenario.get("slow"):
        return False
    # Steps of kind `http` spell their bytes out, so a scenario of nothing else is the same in every codec.
    messages = any(step.get("kind") != "http" for step in scenario["steps"])
    return codec == "json" or (messages and not scenario.get("json_only"))


CASES = [(scenario, codec) for scenario in SCENARIOS for codec in ("json", "binary") if applies(scenario, codec)]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with Devbox() as box:
        yield box.endpoint.partition("//")[2]


@pytest.mark.parametrize(("scenario", "codec"), CASES, ids=[f"{each['name']}-{codec}" for each, codec in CASES])
def test_the_scenario_is_answered_as_by_the_real_server(scenario: Mapping[str, Any], codec: str, address: str) -> None:
    found = list(Replayer(address, scenario, codec == "binary").run())

    meant = {(each.step, each.path) for each in DIFFERENCES if each.scenario == scenario["name"]}
    texts = [f"step {step}, {_what(scenario['steps'][step])}: {path} {wrong}" for step, path, wrong in found]
    assert {(step, path) for step, path, _ in found} == meant, "\n".join(["", scenario["name"], *texts])


def test_few_differences_are_meant_and_each_has_a_reason() -> None:
    names = {scenario["name"] for scenario in SCENARIOS}

    assert len(DIFFERENCES) <= MOST
    assert all(each.reason and each.scenario in names for each in DIFFERENCES)


def _what(step: Mapping[str, Any]) -> str:
    return str(step.get("rpc") or step.get("path") or f"{step['kind']} {step.get('watch', '')}")
