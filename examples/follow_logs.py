"""Read the log of a run while it runs: lines come as they are written, and the loop ends when the run does."""

import flyte_lite as flyte
from flyte_lite.devbox import Devbox

with Devbox() as box:

    @box.task(name="slow.count", version="v1")
    def count(to: int) -> int:
        import time

        for number in range(to):
            print("counted", number)
            time.sleep(0.2)
        return to

    with flyte.Client(box.endpoint, project="flytesnacks", domain="development") as client:
        run = client.run(client.tasks.get("slow.count", version="v1"), to=4)

        for line in run.get_logs(timeout=600):
            print("it says:", line)
        run.wait()

        run.show_logs(show_ts=True)  # again, all at once, with the times
