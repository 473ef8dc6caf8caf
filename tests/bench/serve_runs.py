"""A server for the benchmarks that lists recorded runs again and again: bytes made beforehand, and no more than that.

A page is a slice of one long row of bytes, kept when it was asked for once. Prints its address, and serves until its
input ends.

    python serve_runs.py 10000        # runs in all
"""

import datetime
import gzip
import socket
import sys
import threading

from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

# A second between two, from here on.
FIRST = 1_700_000_000


def runs(count):
    """The bytes of `count` rows, and where each of them begins."""
    answer = run_service_pb2.ListRunsResponse()
    action = answer.runs.add().action
    id, metadata, status = action.id, action.metadata, action.status
    id.name, id.run.project, id.run.domain = "a0", "flytesnacks", "development"
    # What the real server shows of a run.
    metadata.executed_by.user.id.subject = "someone"
    metadata.action_type, metadata.environment_name, metadata.funtion_name = 1, "greetings", "hello"
    task = metadata.task
    task.id.project, task.id.domain, task.id.name, task.id.version = (
        "flytesnacks",
        "development",
        "greetings.hello",
        "v1",
    )
    task.task_type, task.short_name = "python", "hello"
    status.phase, status.attempts, status.cache_status, status.duration_ms = 5, 1, 1, 1488
    rows, offsets = [], [0]
    for nth in range(count):
        id.run.name = f"r{nth:019}"
        status.start_time.seconds = FIRST + nth
        status.end_time.seconds, status.end_time.nanos = FIRST + nth + 1, 488_000_000
        rows.append(answer.SerializeToString())
        offsets.append(offsets[-1] + len(rows[-1]))
    return b"".join(rows), offsets


class Pages:
    def __init__(self, count):
        self._rows, self._offsets = runs(count)
        self._count = count
        self._made = {}

    def answer(self, body):
        """The whole HTTP answer; made once, and then the same bytes each time."""
        request = run_service_pb2.ListRunsRequest.FromString(body).request
        begin = int(request.token or 0)
        for asked in request.filters:
            begin = self._at(asked.values[0])
        key = begin, request.limit
        if key not in self._made:
            end = min(self._count, begin + request.limit)
            token = run_service_pb2.ListRunsResponse(token=str(end) if end < self._count else "").SerializeToString()
            page = self._rows[self._offsets[begin] : self._offsets[end]] + token
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: {len(page)}\r\n\r\n"
            self._made[key] = head.encode() + page
        return self._made[key]

    @staticmethod
    def _at(time):
        return max(0, int(datetime.datetime.fromisoformat(time).timestamp()) - FIRST)


def serve(connection, pages):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    with connection:
        while True:
            while b"\r\n\r\n" not in received:
                piece = connection.recv(65536)
                if not piece:
                    return
                received += piece
            head, _, received = received.partition(b"\r\n\r\n")
            fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
            length = int(fields[b"content-length"])
            while len(received) < length:
                received += connection.recv(65536)
            body, received = received[:length], received[length:]
            if fields.get(b"content-encoding") == b"gzip":
                body = gzip.decompress(body)
            connection.sendall(pages.answer(body))


def main():
    pages = Pages(int(sys.argv[1]))
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, pages), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
