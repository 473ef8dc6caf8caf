"""A devbox that is killed at random moments loses nothing that it acknowledged, and leaves no process behind."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from devbox_client import alive, wait_for
from devbox_crash import MARK, ROOT, Load

linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="orphans are looked for in /proc")


@linux
def test_twenty_rounds_of_kill_9_under_load(tmp_path: Path) -> None:
    seed = int(os.environ.get("DEVBOX_CRASH_SEED") or secrets.randbelow(10**6))
    print(f"DEVBOX_CRASH_SEED={seed}")
    load = Load(tmp_path / "state", seed)

    load.rounds(20, told=21)
    load.finish()

    assert len(load.outputs) == len(load.runs)


@linux
@pytest.mark.parametrize(
    "body",
    [
        # One call into C that holds the interpreter's lock for minutes: no thread of the worker's can notice anything.
        "    import re; open(told, 'w').close(); re.match('(a+)+$', 'a' * 60 + 'b')",
        "    import os, signal; open(told, 'w').close(); os.kill(os.getpid(), signal.SIGSTOP)",
        "    import os, time; os.fork(); open(told, 'w').close(); time.sleep(60)",
    ],
    ids=["busy in C", "stopped", "forked"],
)
def test_no_process_outlives_a_killed_devbox(tmp_path: Path, body: str) -> None:
    code = (
        "import sys, time\n"
        "from flyte_lite.devbox import Devbox\n"
        "from flyte_lite import Client\n"
        "box = Devbox()\n"
        "@box.task(name='crash.stubborn', version='v1')\n"
        "def stubborn(told: str) -> None:\n"
        f"{body}\n"
        "with box:\n"
        "    client = Client(box.endpoint, project='flytesnacks', domain='development')\n"
        "    client.run(client.tasks.get('crash.stubborn', version='v1'), told=sys.argv[1])\n"
        "    time.sleep(60)\n"
    )
    load = Load(tmp_path, 0)
    environment = {**os.environ, "PYTHONPATH": ROOT, MARK: load.mark}
    told = tmp_path / "told"
    with subprocess.Popen([sys.executable, "-c", code, str(told)], env=environment) as devbox:
        try:
            assert wait_for(told.exists)
            # Itself, its worker at least, and the process that kills it.
            assert wait_for(lambda: len(load.orphans()) >= 3)
        finally:
            devbox.kill()

    assert wait_for(lambda: not load.orphans()), load.orphans()
    assert not alive(devbox.pid)
