"""A server for the benchmarks that answers whatever is asked with a stream of small messages, each flushed by itself.

So each is a chunk of its own, which is what a client sees of that. Prints its address, and serves until its input ends.
It is only sockets and bytes made beforehand, written many at once, so that it takes next to nothing of the machine and
the client is what is measured.

    python serve_stream.py 5000        # messages a stream
"""

import socket
import struct
import sys
import threading

from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

SIZE = 100
BATCH = 500
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(payload):
    return b"%x\r\n%s\r\n" % (len(payload), payload)


def message():
    """The envelope of a message of `SIZE` bytes."""
    answer = run_service_pb2.WatchRunsResponse()
    run = answer.runs.add()
    run.action.id.run.name = "r"
    run.action.id.run.name *= 1 + SIZE - answer.ByteSize()
    assert answer.ByteSize() == SIZE
    return struct.pack(">BI", 0, SIZE) + answer.SerializeToString()


def read_request(connection):
    """True if there was one."""
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        if end:
            fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
            # Not every client knows how long its request will be.
            if body.endswith(b"0\r\n\r\n") or len(body) >= int(fields.get(b"content-length", sys.maxsize)):
                return True
        piece = connection.recv(65536)
        if not piece:
            return False
        received += piece


def serve(connection, messages):
    each = chunk(message())
    many = each * BATCH
    end = chunk(struct.pack(">BI", 2, 2) + b"{}") + b"0\r\n\r\n"
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while True:
            if not read_request(connection):
                return
            connection.sendall(HEAD)
            for _ in range(messages // BATCH):
                connection.sendall(many)
            connection.sendall(each * (messages % BATCH) + end)


def main():
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, int(sys.argv[1])), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
