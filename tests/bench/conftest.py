"""What the benchmarks share: a devbox in a process of its own, an environment for children, and the table.

Budgets are ratios between things measured in turns in the same run, because seconds mean little on somebody else's
machine. They are generous: they are there to catch what doubles, not what wobbles.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from measuring import DOMAIN, FOLDER, PROJECT, RUN, Table

from flyte_lite import Client


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    table = Table()
    yield table
    print(f"\n\n{table}\n")


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For children: nothing of this machine's settings, no reports home, and compiled modules that are kept."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLYTE_", "UCTL_")) and not name.lower().endswith("_proxy")
    }
    # tox forbids writing them; then each start would compile all that it imports.
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **inherited,
        "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled")),
        "HOME": str(tmp_path_factory.mktemp("home")),
        "NO_PROXY": "*",
        "DO_NOT_TRACK": "1",
        "FLYTE_DISABLE_TELEMETRY": "1",
        "FLYTE_DISABLE_SENTRY": "1",
    }


@pytest.fixture(scope="session")
def endpoint(environ: dict[str, str]) -> Iterator[str]:
    """A devbox that shares no interpreter with any caller, with a finished run in it."""
    with subprocess.Popen(
        [sys.executable, str(FOLDER / "serve_devbox.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        with Client(endpoint, project=PROJECT, domain=DOMAIN) as client:
            task = client.tasks.get("greetings.hello", version="v1")
            client.with_runcontext(name=RUN).run(task, name="Ada").wait(timeout=60)
        yield endpoint
        process.stdin.close()
        assert process.wait(10) == 0
