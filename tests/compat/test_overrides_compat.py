"""What is said otherwise of a task, and who is told of a run's end, make the messages that the official SDK makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_values_make_the_official_messages(tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FLYTE_", "UCTL_"))}
    quiet = {"DO_NOT_TRACK": "1", "FLYTE_DISABLE_TELEMETRY": "1", "FLYTE_DISABLE_SENTRY": "1"}

    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "compare_overrides.py")],
        cwd=tmp_path,
        env={**inherited, **quiet, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["differ"] == []
    assert told["same"] > 400
    assert told["refused"] > 100
