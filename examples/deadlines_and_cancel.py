"""How long a call or a wait may take, and how another thread ends it."""

import threading

import flyte_lite as flyte
from flyte_lite.devbox import Devbox
from flyte_lite.errors import CanceledError, WaitTimeoutError

with Devbox() as box:

    @box.task(name="greetings.sleep", version="v1")
    def sleep(seconds: float) -> str:
        import time

        time.sleep(seconds)
        return "awake"

    with flyte.Client(box.endpoint, project="flytesnacks", domain="development", timeout=10) as client:
        run = client.run(client.tasks.get("greetings.sleep", version="v1"), seconds=60)

        try:
            run.wait(timeout=1)
        except WaitTimeoutError as error:
            print(error)

        cancel = flyte.Cancel()
        threading.Timer(0.5, cancel.cancel).start()
        try:
            client.scoped(cancel=cancel).runs.get(run.name).wait()
        except CanceledError as error:
            print("another thread ended the wait:", error.message)

        run.abort("the example is over")
        run.wait(timeout=10)
        print(run.name, "is", run.phase)
