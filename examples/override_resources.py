"""Run a deployed task with more memory, more tries or another limit of time than it was deployed with."""

import flyte_lite as flyte
from flyte_lite.devbox import Devbox

with Devbox() as box:

    @box.task(name="models.train", version="v1")
    def train(epochs: int) -> float:
        import os

        print("on", os.environ.get("DEVICE", "whatever there is"))
        return 1.0 / epochs

    with flyte.Client(box.endpoint, project="flytesnacks", domain="development") as client:
        task = client.tasks.get("models.train", version="v1")
        larger = task.override(
            resources=flyte.Resources(cpu=1, memory="512Mi"),
            retries=flyte.RetryStrategy(2),
            timeout=600,
            env_vars={"DEVICE": "the larger machine"},
        )

        run = client.run(larger, epochs=4)
        run.wait(timeout=60)
        print(run.outputs()[0], *run.get_logs())
