"""One client that reads a stream of small messages again and again, and tells how many a second came in each.

python read_stream.py flyte_lite http://127.0.0.1:1234
"""

import os
import sys
import time

STREAMS = 2


def flyte_lite(endpoint):
    from urllib.parse import urlsplit

    from flyte_lite._clock import SYSTEM_CLOCK, Deadline
    from flyte_lite._http.origin import Origin
    from flyte_lite._http.transport import Transport
    from flyte_lite._rpc.channel import Channel
    from flyte_lite._rpc.method import Method
    from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

    parts = urlsplit(endpoint)
    channel = Channel(Transport(), Origin(parts.scheme, parts.hostname, parts.port))
    method = Method(run_service_pb2, "RunService", "WatchRuns")
    request = run_service_pb2.WatchRunsRequest()
    return lambda: channel.server_stream(method, request, deadline=Deadline(SYSTEM_CLOCK, 60))


def connectrpc(endpoint):
    from flyteidl2.workflow import run_service_pb2
    from flyteidl2.workflow.run_service_connect import RunServiceClientSync

    client = RunServiceClientSync(endpoint, send_compression=None)
    request = run_service_pb2.WatchRunsRequest()
    return lambda: client.watch_runs(request, timeout_ms=60_000)


def main(who, endpoint):
    watch = globals()[who](endpoint)
    rates = []
    # The first one warms up.
    for _ in range(STREAMS + 1):
        count, began = 0, time.perf_counter()
        for message in watch():
            assert message.runs
            count += 1
        rates.append(count / (time.perf_counter() - began))
    print(*rates[1:], count, flush=True)
    # The native threads of one of them need no end.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
