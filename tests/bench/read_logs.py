"""One client that reads the log of one run; for each number read, that attempt's.

Tells how many lines came, and how many seconds that took.

    python read_logs.py flyte_lite http://127.0.0.1:1234
"""

import os
import sys
import time


def flyte_lite(endpoint):
    from flyte_lite import Client

    client = Client(endpoint, project="flytesnacks", domain="development")
    return client.actions.get(run_name="r1").get_logs


def official(endpoint):
    import flyte
    import flyte.remote

    flyte.init(endpoint=endpoint, insecure=True, project="flytesnacks", domain="development")
    return flyte.remote.Action.get(run_name="r1", name="a0").get_logs


def main(who, endpoint):
    get_logs = globals()[who](endpoint)
    for line in sys.stdin:
        began = time.perf_counter()
        count = sum(1 for text in get_logs(attempt=int(line)) if text)
        print(count, time.perf_counter() - began, flush=True)
    # The official SDK's threads abort the interpreter now and then on its way out.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
