"""A devbox that goes away and comes back: on the same folder and at the same address, with what it knew."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Callable, Optional, TypeVar

from flyte_lite import Client
from flyte_lite.devbox import Devbox
from flyte_lite.remote import Run

T = TypeVar("T")

LONGEST = 40.0
"""Seconds after which nothing more is expected."""
PLACE = {"project": "flytesnacks", "domain": "development"}


class Outage:
    """A devbox with `outage.nap`, a task that sleeps so many seconds and is repeated if it is interrupted.

        with Outage(tmp_path) as outage:
            run = outage.client.run(outage.task, 3.0)
            outage.begin(seconds=2.0, after=1.0)
            run.wait()

    Attributes:
        box: The devbox of now.
        client: Speaks to it, before and after.
        ended: When it was back last, on the clock of `time.monotonic`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "state"
        self._port = free_port()
        self.box = Devbox(port=self._port, state=self._folder)
        self.ended = 0.0
        self._back: list[threading.Thread] = []

        @self.box.task(name="outage.nap", version="v1", retries=9)
        def nap(seconds: float) -> str:
            for second in range(int(seconds)):
                print(f"asleep for {second} s")
                time.sleep(1)
            time.sleep(seconds % 1)
            return "awake"

    def __enter__(self) -> Outage:
        self.box.start()
        self.client = Client(self.box.endpoint, **PLACE)
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for thread in self._back:
            thread.join()
        self.client.close()
        self.box.close()

    def nap(self, seconds: float) -> Run:
        """A run that sleeps."""
        return self.client.run(self.client.tasks.get("outage.nap", version="v1"), seconds)

    def begin(self, seconds: float, after: float = 0.0) -> None:
        """Let it go away soon, and come back by itself."""

        def go() -> None:
            time.sleep(after)
            self.box.close()
            time.sleep(seconds)
            self.box = Devbox(port=self._port, state=self._folder)
            self.box.start()
            self.ended = time.monotonic()

        self._back.append(threading.Thread(target=go))
        self._back[-1].start()


def free_port() -> int:
    """A port that nobody has, nor gets by chance while the devbox is away: below those given to whoever connects."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def meanwhile(doings: dict[str, Callable[[], T]], outage: Callable[[], None]) -> dict[str, T]:
    """What comes of several things that are done side by side, and of an outage that begins once all of them have."""
    with ThreadPoolExecutor(len(doings)) as pool:
        begun: dict[str, Future[T]] = {name: pool.submit(do) for name, do in doings.items()}
        time.sleep(0.5)
        outage()
        return {name: future.result() for name, future in begun.items()}


def wait_through(folder: Path, seconds: float) -> None:
    """Wait, wait for all and watch, while the devbox is away for so many seconds."""
    with Outage(folder) as outage:
        runs = [outage.nap(2.0) for _ in range(3)]

        def wait() -> list[str]:
            runs[0].wait(timeout=LONGEST + seconds)
            return [runs[0].phase]

        def wait_all() -> list[str]:
            return [run.phase for run in outage.client.wait_all(runs[1:], timeout=LONGEST + seconds)]

        def watch() -> list[str]:
            return [details.phase for details in outage.client.runs.get(runs[0].name).watch(timeout=LONGEST + seconds)]

        seen = meanwhile({"wait": wait, "wait_all": wait_all, "watch": watch}, lambda: outage.begin(seconds, after=1.0))
        late = time.monotonic() - outage.ended

    assert seen["wait"] == ["succeeded"]
    assert seen["wait_all"] == ["succeeded"] * 2
    assert seen["watch"][-1] == "succeeded"
    # The naps were interrupted, so they began anew; the pace is that of a wait as long as the outage.
    print(f"all ended {late:.1f} s after an outage of {seconds:g} s; {seen['watch']}")
    assert late < 20 + 0.1 * seconds
