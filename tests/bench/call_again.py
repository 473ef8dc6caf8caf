"""One client that asks for the same run again and again.

For each number read it makes so many calls, and tells how many seconds they took: on the clock, and of the processor.
The bare clients send the same bytes as flyte_lite, and look at nothing of the answer but its status.
"""

import os
import sys
import time


def flyte_lite(endpoint, project, domain, name):
    from flyte_lite import Client

    get = Client(endpoint, project=project, domain=domain).runs.get
    return lambda: get(name)


def official(endpoint, project, domain, name):
    import flyte
    import flyte.remote

    flyte.init(endpoint=endpoint, insecure=True, project=project, domain=domain)
    return lambda: flyte.remote.Run.get(name)


def channel(endpoint, project, domain, name):
    from urllib.parse import urlsplit

    from flyte_lite._clock import SYSTEM_CLOCK, Deadline
    from flyte_lite._http.origin import Origin
    from flyte_lite._http.transport import Transport
    from flyte_lite._rpc.channel import Channel
    from flyte_lite._rpc.method import Method
    from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

    parts = urlsplit(endpoint)
    channel = Channel(Transport(), Origin(parts.scheme, parts.hostname, parts.port))
    method = Method(run_service_pb2, "RunService", "GetRunDetails")
    request = run_service_pb2.GetRunDetailsRequest.FromString(message(project, domain, name))
    return lambda: channel.unary(method, request, deadline=Deadline(SYSTEM_CLOCK, 30))


def message(project, domain, name):
    from flyte_lite.idl.flyteidl2.common import identifier_pb2
    from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

    run_id = identifier_pb2.RunIdentifier(project=project, domain=domain, name=name)
    return run_service_pb2.GetRunDetailsRequest(run_id=run_id).SerializeToString()


PATH = "/flyteidl2.workflow.RunService/GetRunDetails"
HEADERS = {"Content-Type": "application/proto", "Connect-Protocol-Version": "1"}


def adapter(endpoint, project, domain, name):
    import requests
    import requests.adapters

    adapter = requests.adapters.HTTPAdapter()
    # Header by header what the channel sends.
    headers = {
        **HEADERS,
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
        "Connect-Timeout-Ms": "30000",
        "User-Agent": "bare",
        "x-request-id": "0123456789abcdef0123456789abcdef",
    }
    prepared = requests.Request("POST", endpoint + PATH, headers, data=message(project, domain, name)).prepare()

    def call():
        answer = adapter.send(prepared)
        assert answer.status_code == 200
        assert answer.content

    return call


def urllib3(endpoint, project, domain, name):
    import urllib3

    pool = urllib3.connection_from_url(endpoint)
    body = message(project, domain, name)

    def call():
        assert pool.urlopen("POST", PATH, body=body, headers=HEADERS, retries=False).status == 200

    return call


def http_client(endpoint, project, domain, name):
    import http.client
    import urllib.parse

    parts = urllib.parse.urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    body = message(project, domain, name)

    def call():
        connection.request("POST", PATH, body, HEADERS)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200

    return call


def main(who, *args):
    call = globals()[who](*args)
    for line in sys.stdin:
        clock, processor = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            call()
        print(time.perf_counter() - clock, time.process_time() - processor, flush=True)
    # The official SDK's threads abort the interpreter now and then on its way out.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
