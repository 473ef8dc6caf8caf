"""A script made for union.remote: only its imports are others."""

from datetime import timedelta

from flyte_lite import union
from flyte_lite.devbox import Devbox
from flyte_lite.union.remote import Run, Task

with Devbox() as box:

    @box.task(name="orders.check", version="v1")
    def check(order: int) -> str:
        if order > 2:
            raise ValueError(f"order {order} is not known")
        return f"order {order} is fine"

    union.init(endpoint=box.endpoint, project="flytesnacks", domain="development")
    task = Task.get(name="orders.check")
    made = [union.run(task, order=order).run_id for order in (1, 3)]

    # By a name, by such a path, or by the address of its page in the console.
    run = Run.get(uri=f"flytesnacks/development/{made[0]}")
    run.wait(timeout=timedelta(minutes=5), poll_interval=timedelta(seconds=1))
    print(run.result()[0], "after", run.finished_at - run.started_at)

    for run in Run.search(limit=10):
        run.wait(timeout=60)
        print(run.run_id, f"failed: {run.error.message}" if run.error else f"gave {run.outputs[0]!r}")
