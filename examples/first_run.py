"""Launch a deployed task by name, wait for it, and read what came of it.

Runs on a devbox of its own, or on the server that FLYTE_ADMIN_ENDPOINT names (which then needs such a task).
"""

import os
from contextlib import ExitStack

import flyte_lite as flyte

with ExitStack() as stack:
    if "FLYTE_ADMIN_ENDPOINT" not in os.environ:
        from flyte_lite.devbox import Devbox

        box = stack.enter_context(Devbox())

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str) -> str:
            return f"hello {name}"

        os.environ["FLYTE_ADMIN_ENDPOINT"] = box.endpoint

    flyte.init(project="flytesnacks", domain="development")
    task = flyte.remote.Task.get("greetings.hello", auto_version="latest")

    run = flyte.run(task, name="Ada")
    print("started", run.name, "at", run.url)

    run.wait(timeout=600)
    run.raise_for_status()
    print("it says:", run.outputs()[0])
