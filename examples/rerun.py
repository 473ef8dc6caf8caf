"""Run it again: with another input, or taking over what it had done before it failed."""

import tempfile
from pathlib import Path

import flyte_lite as flyte
from flyte_lite.devbox import Devbox

with Devbox() as box, tempfile.TemporaryDirectory() as folder:
    paper = Path(folder, "paper")

    @box.task(name="orders.fetch", version="v1")
    def fetch(day: int) -> int:
        print("fetching day", day)
        return day * 100

    @box.task(name="orders.report", version="v1")
    def report(day: int, paper: str) -> str:
        orders = fetch(day)
        if not Path(paper).exists():
            raise ConnectionError("the printer has no paper")
        return f"{orders} orders on day {day}"

    flyte.init(endpoint=box.endpoint, project="flytesnacks", domain="development")
    task = flyte.remote.Task.get("orders.report", version="v1")
    first = flyte.run(task, day=1, paper=str(paper))
    first.wait(timeout=60)
    print("the first is", first.phase)

    paper.touch()

    # What succeeded is not run again.
    recovered = flyte.rerun(first.name, recover=True)
    recovered.wait(timeout=60)
    print("recovered:", recovered.outputs()[0])
    for action in flyte.remote.Action.listall(recovered.name):
        print(" ", action.details().task_name, action.phase)

    # The same specification and inputs but one.
    again = flyte.rerun(first.name, day=2)
    again.wait(timeout=60)
    print("again:", again.outputs()[0])
