"""Values of generated types: what the official SDK writes we read, and what we write its tasks receive.

Each family of types is judged by a program of its own, see `compare_values.py`. The drawn types are the same each time;
`COMPAT_EXAMPLES=20000 COMPAT_SEED=1 tox -e compat -- tests/compat/test_values.py` draws more and others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Annotations of a family; of each there are up to five values.
EXAMPLES = int(os.environ.get("COMPAT_EXAMPLES") or 300)
SEED = os.environ.get("COMPAT_SEED", "")


@pytest.mark.parametrize(
    "family", ["scalars", "pickles", "references", "containers", "unions", "dataclasses", "models", "tuples"]
)
def test_generated_values_pass_both_ways(family: str, tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FLYTE_", "UCTL_"))}
    quiet = {"DO_NOT_TRACK": "1", "FLYTE_DISABLE_TELEMETRY": "1", "FLYTE_DISABLE_SENTRY": "1"}

    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            str(Path(__file__).parent / "compare_values.py"),
            family,
            str(EXAMPLES),
            *SEED.split(),
        ],
        cwd=tmp_path,
        env={**inherited, **quiet, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    print(f"{family}: {told}")
    # Drawing what both refuse would show nothing.
    assert told["types"] >= 0.9 * EXAMPLES
    assert told["taken by both"] >= 2 * EXAMPLES
