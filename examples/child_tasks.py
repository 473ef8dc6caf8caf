"""A task that calls other tasks: each call is an action of the run, with its own inputs, outputs, attempts and log."""

from concurrent.futures import ThreadPoolExecutor

import flyte_lite as flyte
from flyte_lite.devbox import Devbox, group, trace

with Devbox() as box:

    @box.task(name="orders.price", version="v1", retries=2)
    def price(item: str) -> float:
        if item == "unicorn":
            raise LookupError(f"nobody sells a {item}")
        return len(item) * 1.5

    @trace  # runs in the process of the task that calls it, and is a step of the run all the same
    def with_tax(net: float) -> float:
        return round(net * 1.19, 2)

    @box.task(name="orders.total", version="v1")
    def total(items: list[str]) -> float:
        with group("prices"), ThreadPoolExecutor(8) as pool:
            net = sum(pool.map(price, items))
        try:
            price("unicorn")
        except flyte.errors.RuntimeUserError as error:
            print("goes on without it:", error)
        return with_tax(net)

    with flyte.Client(box.endpoint, project="flytesnacks", domain="development") as client:
        run = client.run(client.tasks.get("orders.total", version="v1"), items=["tea", "milk", "bread"])
        run.wait(timeout=60)
        print("total:", run.outputs()[0])

        for action in sorted(client.actions.listall(run.name), key=lambda action: action.start_time):
            details = action.details()
            name = details.task_name or details.metadata.trace.name
            print(f"{name} {details.metadata.group}: {details.phase}, attempts: {details.attempts}")
