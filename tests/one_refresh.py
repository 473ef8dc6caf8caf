"""Processes of many threads that call one server at the same moment, and share what is in a token store.

    with Crowd({"endpoint": ..., "token_store": ...}, processes=8, threads=32) as crowd:
        assert crowd.call() == []

Each process is this file: it gets the arguments of `create_channel` as JSON, and calls once with each of its threads
whenever it reads a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

MOST_SECONDS = 60.0


class Crowd:
    """See the module. Use it with `with`.

    Args:
        arguments: Of `create_channel`; what JSON can say.
        environ: Instead of what the environment says.
    """

    def __init__(
        self,
        arguments: Mapping[str, Any],
        *,
        processes: int = 8,
        threads: int = 32,
        environ: Optional[Mapping[str, str]] = None,
    ) -> None:
        here = Path(__file__).parent
        path = os.pathsep.join(filter(None, sys.path))
        self._processes = [
            subprocess.Popen(
                [sys.executable, str(here / "one_refresh.py"), str(threads), json.dumps(arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": path, **(environ or {})},
            )
            for _ in range(processes)
        ]

    def __enter__(self) -> Crowd:
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            try:
                process.wait(MOST_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()

    def call(self) -> list[str]:
        """Let all of them call; what went wrong, each once for every thread that it met."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        problems: list[str] = []
        for process in self._processes:
            assert process.stdout is not None
            problems += json.loads(process.stdout.readline() or '["it has ended"]')
        return problems


def main(threads: int, arguments: Mapping[str, Any]) -> None:
    from caller import GET

    from flyte_lite._clock import SYSTEM_CLOCK, Deadline
    from flyte_lite.idl.flyteidl2.project import project_service_pb2
    from flyte_lite.remote import create_channel

    channel = create_channel(**arguments)
    problems: list[str] = []
    together = threading.Barrier(threads)

    def call() -> None:
        together.wait()
        try:
            request = project_service_pb2.GetProjectRequest(id="flytesnacks")
            channel.unary(GET, request, deadline=Deadline(SYSTEM_CLOCK, MOST_SECONDS))
        except Exception as error:  # noqa: BLE001 - the test looks at it
            problems.append(f"{type(error).__name__}: {error}")

    print("ready", flush=True)
    for _ in sys.stdin:
        problems.clear()
        several = [threading.Thread(target=call) for _ in range(threads)]
        for thread in several:
            thread.start()
        for thread in several:
            thread.join()
        print(json.dumps(problems), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
