"""A task writes a page for people; whoever has the run reads or keeps it."""

import flyte_lite as flyte
from flyte_lite.devbox import Devbox, report

with Devbox() as box:

    @box.task(name="numbers.describe", version="v1")
    def describe(numbers: list[int]) -> int:
        report.log(f"<h1>{len(numbers)} numbers</h1>")
        report.get_tab("all").log(f"<p>{numbers}</p>")
        return sum(numbers)

    with flyte.Client(box.endpoint, project="flytesnacks", domain="development") as client:
        run = client.run(client.tasks.get("numbers.describe", version="v1"), numbers=[1, 2, 3])
        run.wait(timeout=60)
        page = run.get_report()
        print(len(page), "letters, with a heading:", "<h1>3 numbers</h1>" in page)  # or Path(...).write_text(page)
