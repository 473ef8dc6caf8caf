"""`flyte-lite demo`: a server, three tasks, one run that works and one that does not, in a few seconds."""

from __future__ import annotations

import time

from flyte_lite._client import Client
from flyte_lite._console import say
from flyte_lite._version import __version__
from flyte_lite.errors import BaseRuntimeError
from flyte_lite.remote import Run


def run() -> int:
    """Show the main job end to end; 0 if all of it went as it should."""
    say(f"flyte-lite {__version__}: starting a devbox, a Flyte server inside this process ...")
    from flyte_lite.devbox import Devbox

    with Devbox() as box:

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str, times: int = 1) -> str:
            print(f"greeting {name}")
            time.sleep(0.5)
            return ", ".join([f"hello {name}"] * times)

        @box.task(name="greetings.statistics", version="v1")
        def statistics(values: list[float]) -> tuple[int, float]:
            return len(values), sum(values) / len(values)

        @box.task(name="greetings.broken", version="v1")
        def broken(path: str) -> str:
            raise FileNotFoundError(f"no such file: {path}")

        say(f"devbox at {box.endpoint}, project flytesnacks, domain development")
        say(f"deployed {hello.__name__}, {statistics.__name__} and {broken.__name__} as greetings.*")
        with Client(box.endpoint, project="flytesnacks", domain="development") as client:
            say('\n>>> run = flyte.run(Task.get("greetings.hello", auto_version="latest"), name="Ada", times=2)')
            good = client.run(client.tasks.get("greetings.hello", auto_version="latest"), name="Ada", times=2)
            _follow(good)
            for line in box.logs(good.name):
                say(f"    log: {line}")
            say(f"    outputs: {good.outputs()!r}")

            say('\n>>> run = flyte.run(Task.get("greetings.broken", version="v1"), path="/nowhere")')
            bad = client.run(client.tasks.get("greetings.broken", version="v1"), path="/nowhere")
            _follow(bad)
            try:
                bad.raise_for_status()
            except BaseRuntimeError as error:
                say(f"    {type(error).__name__}: {error.code}: {error.message}")
            else:
                say("    it should have failed")
                return 1
    say("\nThe devbox has stopped and left nothing behind.")
    return 0


def _follow(run: Run) -> None:
    say(f"    {run.name} is {run.phase}")
    run.wait(quiet=True, wait_for="running", timeout=60)
    if not run.done():
        say(f"    {run.name} is {run.phase}")
        run.wait(quiet=True, timeout=60)
    say(f"    {run.name} is {run.phase}")
