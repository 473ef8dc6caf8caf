"""One client that lists all runs of a server again and again; for each number read, so many lists.

Tells how many runs came, how many seconds each list took, and the most memory that the process ever had, in kilobytes.

    python list_runs.py flyte_lite http://127.0.0.1:1234
"""

import os
import sys
import time

from measuring import PEAK

MEASURES = {}
exec(PEAK, MEASURES)


def flyte_lite(endpoint):
    from flyte_lite import Client

    listall = Client(endpoint, project="flytesnacks", domain="development").runs.listall
    return lambda: sum(1 for run in listall(limit=None) if run.name)


def official(endpoint):
    import flyte
    import flyte.remote

    flyte.init(endpoint=endpoint, insecure=True, project="flytesnacks", domain="development")
    # Its limit is a number.
    return lambda: sum(1 for run in flyte.remote.Run.listall(limit=10**9) if run.name)


def main(who, endpoint):
    read = globals()[who](endpoint)
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            count = read()
        print(count, (time.perf_counter() - began) / int(line), MEASURES["peak_kb"](), flush=True)
    # The official SDK's threads abort the interpreter now and then on its way out.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
