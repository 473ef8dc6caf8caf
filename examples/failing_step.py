"""A run of several steps fails: which step was it, why, and with which inputs?"""

import flyte_lite as flyte
from flyte_lite.devbox import Devbox
from flyte_lite.errors import RuntimeUserError

with Devbox() as box:

    @box.task(name="orders.parse", version="v1")
    def parse(line: str) -> int:
        return int(line)

    @box.task(name="orders.total", version="v1")
    def total(lines: list[str]) -> int:
        return sum(parse(line) for line in lines)  # each call is an action of its own

    with flyte.Client(box.endpoint, project="flytesnacks", domain="development") as client:
        run = client.run(client.tasks.get("orders.total", version="v1"), lines=["1", "2", "three"])
        run.wait(timeout=60)
        try:
            run.raise_for_status()
        except RuntimeUserError as error:
            print(f"{run.name} is {run.phase}: {error.code}")

        for action in client.actions.listall(run.name):
            print(" ", action.details().task_name, action.phase)

        failed = run.first_failure()
        print(f"{failed.task_name} failed with {failed.inputs()}: {failed.error_message}")
