"""Find runs: the newest first, by phase, by task, by time, by label."""

from datetime import datetime, timedelta, timezone

import flyte_lite as flyte
from flyte_lite.devbox import Devbox

with Devbox() as box:

    @box.task(name="orders.import", version="v1")
    def import_orders(day: int) -> int:
        if day == 3:
            raise ValueError("there is no day 3")
        return day * 100

    with flyte.Client(box.endpoint, project="flytesnacks", domain="development") as client:
        task = client.tasks.get("orders.import", version="v1")
        for day in range(1, 6):
            client.with_runcontext(labels={"week": "47"}).run(task, day=day).wait()

        for run in client.runs.listall(sort_by=("created_at", "desc"), limit=3):
            print(run.name, run.phase)

        (failed,) = client.runs.listall(in_phase="failed", task_name="orders.import")
        print("failed:", failed.inputs(), failed.details().action_details.error_message)

        an_hour_ago = datetime.now(timezone.utc) - timedelta(hours=1)
        recent = client.runs.listall(created_at=flyte.remote.TimeFilter(after=an_hour_ago), limit=None)
        print(sum(run.phase == "succeeded" for run in recent), "of the last hour succeeded")
        print(len(list(client.runs.listall(with_labels={"week": "47"}))), "of week 47")
