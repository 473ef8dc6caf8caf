"""What goes wrong, and how it is told: bad inputs before anything starts, failures of the task after it has run."""

import flyte_lite as flyte
from flyte_lite.devbox import Devbox
from flyte_lite.errors import InputsError, RemoteTaskNotFoundError, RuntimeUserError

with Devbox() as box:

    @box.task(name="numbers.divide", version="v1")
    def divide(a: float, b: float = 2.0) -> float:
        return a / b

    with flyte.Client(box.endpoint, project="flytesnacks", domain="development") as client:
        task = client.tasks.get("numbers.divide", version="v1")

        try:
            client.run(task, b="two", c=1)
        except InputsError as error:
            for problem in error.problems:
                print("-", problem)

        try:
            client.tasks.get("numbers.divid", auto_version="latest").fetch()
        except RemoteTaskNotFoundError as error:
            print(error)

        run = client.run(task, a=1, b=0)
        run.wait()
        try:
            run.raise_for_status()
        except RuntimeUserError as error:
            print(f"{run.name} is {run.phase}: {error.code}: {error.message}")
            print("\n".join(box.logs(run.name)))
