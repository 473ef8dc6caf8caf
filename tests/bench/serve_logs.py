"""A server for the benchmarks of a finished run with a long log: bytes made beforehand, and no more than that.

The log of its first attempt comes in messages of so many lines, as from a server that has them already; that of the
second, line by line, as from a task that runs. Prints its address, and serves until its input ends.

    python serve_logs.py 100000 100        # lines in all, and in a message
"""

import socket
import struct
import sys
import threading

from serve_stream import chunk

from flyte_lite.idl.flyteidl2.cluster import payload_pb2 as cluster_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\nTransfer-Encoding: chunked\r\n\r\n"
END = chunk(struct.pack(">BI", 2, 2) + b"{}") + b"0\r\n\r\n"


def log(lines, together):
    """The whole answer, in pieces."""
    pieces = [STREAM]
    for begin in range(0, lines, together):
        message = dataproxy_service_pb2.TailLogsResponse()
        logs = message.logs.add()
        for number in range(begin, min(begin + together, lines)):
            line = logs.lines.add(
                message=f"step {number}: loss 0.123, accuracy 0.456, 789 examples a second", originator=1
            )
            line.timestamp.seconds, line.timestamp.nanos = 1_700_000_000 + number // 1000, number % 1000 * 1_000_000
        data = message.SerializeToString()
        pieces.append(chunk(struct.pack(">BI", 0, len(data)) + data))
    return b"".join([*pieces, END])


def whole(message):
    data = message.SerializeToString()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)


def details():
    answer = run_service_pb2.GetActionDetailsResponse()
    answer.details.id.run.name, answer.details.id.name = "r1", "a0"
    answer.details.status.phase, answer.details.status.attempts = 5, 2
    return answer


def request(connection):
    """The target and the body of a request; None at the end."""
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        if end:
            fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
            # Not every client knows how long its request will be.
            if body.endswith(b"0\r\n\r\n") or len(body) >= int(fields.get(b"content-length", sys.maxsize)):
                return head.split(b" ", 2)[1], body
        piece = connection.recv(65536)
        if not piece:
            return None
        received += piece


def serve(connection, answers):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while True:
            asked = request(connection)
            if asked is None:
                return
            target, body = asked
            name = target.rpartition(b"/")[2].decode()
            # `attempt` is field 2, and the only number that is asked for.
            connection.sendall(answers[name + " 2" if name == "TailLogs" and b"\x10\x02" in body else name])


def main():
    lines, together = map(int, sys.argv[1:])
    answers = {
        "GetActionDetails": whole(details()),
        "SelectCluster": whole(cluster_pb2.SelectClusterResponse()),
        "TailLogs": log(lines, together),
        "TailLogs 2": log(lines, 1),
    }
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, answers), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
