"""Many runs on one devbox, in a process of its own: run as a script, it tells what it saw as one line of JSON."""

from __future__ import annotations

import gc
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Optional

from flyte_lite.devbox import Devbox

ROOT = str(Path(__file__).parents[1])
PLACE = {"project": "flytesnacks", "domain": "development"}
WORKERS = 4


def flood(runs: int, state: Optional[Path] = None) -> dict[str, Any]:
    """What a process saw that ran `runs` of them, all created at once, and then as many again."""
    words = [str(runs), *([str(state)] if state else [])]
    done = subprocess.run(
        [sys.executable, __file__, *words],
        env={**os.environ, "PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
        check=True,
    )
    seen: dict[str, Any] = json.loads(done.stdout)
    print({key: value for key, value in seen.items() if key not in ("begun", "ended")})
    return seen


def out_of_order(seen: dict[str, Any]) -> float:
    """The share of runs that were carried out at another time than it was their turn; in any other order, nearly all.

    Workers take them in order, and tell so a moment later, side by side. On a busy machine one may be held up in that
    moment, for as long as the others take for some runs.
    """
    begun, ended = seen["begun"], seen["ended"]
    order = sorted(range(len(begun)), key=begun.__getitem__)
    wrong = {run for place, run in enumerate(order) if abs(place - run) >= WORKERS}
    # None ends before one that came long before it has begun.
    wrong |= {run for run in range(WORKERS, len(order)) if ended[run] <= begun[run - WORKERS]}
    return len(wrong) / len(order)


def main() -> None:
    folder = sys.argv[2] if len(sys.argv) > 2 else None
    with Devbox(workers=WORKERS, state=folder) as box:

        @box.task(name="load.add", version="v1")
        def add(x: int) -> int:
            print(x)
            return x + 1

        load = Load(box)
        began = time.monotonic()
        begun, ended = load.batch(int(sys.argv[1]))
        took = time.monotonic() - began
        # What a long queue took for a while is there for the next one.
        before = measured({"children": 1})
        load.batch(int(sys.argv[1]))
        after = measured(before)
    print(json.dumps({"before": before, "after": after, "seconds": took, "begun": begun, "ended": ended}))


class Load:
    def __init__(self, box: Devbox) -> None:
        self._box = box
        self._connection = http.client.HTTPConnection(box.endpoint.partition("//")[2], timeout=30)
        self._number = 0

    def batch(self, count: int) -> tuple[list[str], list[str]]:
        """When each began and ended, in order of creation."""
        names = [self._create() for _ in range(count)]
        times = [self._times(name) for name in names]
        return [begun for begun, _ in times], [ended for _, ended in times]

    def _create(self) -> str:
        self._number += 1
        name = f"r{self._number}"
        literal = {"scalar": {"primitive": {"integer": str(self._number)}}}
        request = {
            "runId": {**PLACE, "name": name},
            "taskId": {**PLACE, "name": "load.add", "version": "v1"},
            "inputs": {"literals": [{"name": "x", "value": literal}]},
        }
        self._call("CreateRun", request)
        return name

    def _times(self, name: str) -> tuple[str, str]:
        end = time.monotonic() + 120
        while True:
            action = self._call("GetRunDetails", {"runId": {**PLACE, "name": name}})["details"]["action"]
            phase = action["status"]["phase"]
            if phase == "ACTION_PHASE_SUCCEEDED":
                (attempt,) = action["attempts"]
                return attempt["phaseTransitions"][1]["startTime"], attempt["endTime"]
            assert phase in ("ACTION_PHASE_QUEUED", "ACTION_PHASE_INITIALIZING", "ACTION_PHASE_RUNNING"), action
            assert time.monotonic() < end, action
            time.sleep(0.05)

    def _call(self, method: str, request: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        path = f"/flyteidl2.workflow.RunService/{method}"
        self._connection.request("POST", path, json.dumps(request), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        # Those are kept for tests, up to a limit of their own.
        self._box.calls.clear()
        return json.loads(body)


def measured(most: dict[str, int]) -> dict[str, int]:
    """What this process holds. Some of it ends a moment after its run, so no more than `most` is waited for."""
    time.sleep(0.5)
    end = time.monotonic() + 20
    while True:
        seen = _measured()
        if all(seen[what] <= most[what] for what in most if what != "kilobytes") or time.monotonic() > end:
            return seen
        time.sleep(0.1)


def _measured() -> dict[str, int]:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    parents = [_parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return {
        "kilobytes": resident,
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "children": parents.count(os.getpid()),
    }


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


if __name__ == "__main__":
    main()
