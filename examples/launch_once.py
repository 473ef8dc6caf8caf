"""A launch that may be tried any number of times: by a retried Lambda event, a cron job that overlaps, two machines."""

import flyte_lite as flyte
from flyte_lite.devbox import Devbox


def handler(event: dict, client: flyte.Client) -> str:
    # The event's own identity makes the run's name, so the same event is the same run.
    context = client.with_runcontext(idempotency_key=event["id"])
    run = context.run(client.tasks.get("orders.import", auto_version="latest"), day=event["day"])
    print(run.name, "was made now" if run.created else "was there already")
    return run.name


with Devbox() as box:

    @box.task(name="orders.import", version="v1")
    def import_orders(day: str) -> int:
        return len(day)

    with flyte.Client(box.endpoint, project="flytesnacks", domain="development") as client:
        event = {"id": "5f2c9d1e", "day": "2026-11-21"}
        first = handler(event, client)
        again = handler(event, client)
        assert first == again
