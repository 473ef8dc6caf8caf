"""Types and JSON schemas of annotations: those that the official SDK deploys, and one list of where ours differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

DIFFERENCES = {
    "typing.Literal['A', 'a']": (
        "not the same",
        "the SDK upper-cases the texts of a Literal and loses one of two; both are declared",
    ),
    **dict.fromkeys(
        (f"a dataclass of <class '{cls}'>" for cls in ("complex", "range", "object")),
        (
            "taken there",
            "the SDK logs that it has no schema and raises when a value is written; here the deployment raises",
        ),
    ),
    "a tuple of <class '__main__.IntBox'>": (
        "not the same",
        "for the SDK, items of the generic class that it inherits from can be anything; here they are what is bound",
    ),
}


def test_annotations_have_the_official_types(tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FLYTE_", "UCTL_"))}
    quiet = {"DO_NOT_TRACK": "1", "FLYTE_DISABLE_TELEMETRY": "1", "FLYTE_DISABLE_SENTRY": "1"}

    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "compare_types.py")],
        cwd=tmp_path,
        env={**inherited, **quiet, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["differ"] == {text: how for text, (how, _) in DIFFERENCES.items()}
    assert told["same"] > 220
    assert all(len(reason) > 40 for _, reason in DIFFERENCES.values())
