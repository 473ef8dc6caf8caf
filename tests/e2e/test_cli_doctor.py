"""`flyte-lite doctor` on a devbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flyte_lite._cli import main
from flyte_lite.devbox import Devbox

PLACE = ["--project", "flytesnacks", "--domain", "development"]


def test_a_devbox_is_well_and_takes_no_uploads_yet(
    box: Devbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    status = main(["doctor", "--json", "--endpoint", box.endpoint, *PLACE])

    report = json.loads(capsys.readouterr().out)
    assert (status, report["cause"], report["ok"]) == (0, "nothing", True)
    steps = {step["step"]: step["verdict"] for step in report["steps"]}
    assert {steps[name] for name in ("configuration", "name resolution", "TCP", "Connect", "read")} == {"ok"}
    # As long as its methods say so.
    assert steps["upload"] in ("skipped", "ok")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--project", "flytesnaks", "--domain", "development"], "project not found: flytesnaks"),
        (["--project", "flytesnacks", "--domain", "develop"], "it has development"),
    ],
)
def test_a_place_that_is_misspelt_is_named(
    words: list[str], said: str, box: Devbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--endpoint", box.endpoint, *words]) == 8

    assert said in " ".join(capsys.readouterr().out.split())


def test_its_faults_are_found(box: Devbox, capsys: pytest.CaptureFixture[str]) -> None:
    box.faults.on("RunService/ListRuns").fail("permission_denied")
    try:
        assert main(["doctor", "--endpoint", box.endpoint, *PLACE]) == 8
    finally:
        box.faults.clear()

    assert "read has to be mended first" in capsys.readouterr().out
