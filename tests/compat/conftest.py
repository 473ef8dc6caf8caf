"""What is held against something that we did not make: the official SDK, its types, the real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest


@pytest.fixture
def compared(tmp_path: Path) -> Callable[..., Any]:
    """Runs a script beside this file that compares both sides, without anybody's settings; what it tells, as JSON."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FLYTE_", "UCTL_"))}
    quiet = {"DO_NOT_TRACK": "1", "FLYTE_DISABLE_TELEMETRY": "1", "FLYTE_DISABLE_SENTRY": "1"}

    def run(script: str, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(Path(__file__).parent / script), *words],
            cwd=tmp_path,
            env={**inherited, **quiet, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
