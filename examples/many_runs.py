"""Hundreds of runs at once: wait for all in a few calls, or take each as it ends."""

import flyte_lite as flyte
from flyte_lite.devbox import Devbox

with Devbox() as box:

    @box.task(name="numbers.square", version="v1")
    def square(n: int) -> int:
        if n == 4:
            raise ValueError("not this one")
        return n * n

    flyte.init(endpoint=box.endpoint, project="flytesnacks", domain="development")
    task = flyte.remote.Task.get("numbers.square", version="v1")

    runs = [flyte.run(task, n=n) for n in range(6)]
    for run in flyte.as_completed(runs, timeout=600):
        print(run.name, run.phase)

    # In the order in which they were given.
    for run in flyte.wait_all(runs, timeout=600):
        print(run.inputs()["n"], "->", run.outputs()[0] if run.phase == "succeeded" else run.phase)
