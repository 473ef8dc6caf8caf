"""A server of one long log, whose streams break where a test wants. Its bytes are put into envelopes by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from chaos_server import ChaosServer, Peer, answer

from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote import Run

BATCH = 100
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"\x02\x00\x00\x00\x02{}"

Begin = Callable[[int], int]


def text(number: int) -> str:
    """What a line says; the next one may say the same."""
    return f"line {number // 2}"


def everything(written: int) -> int:
    """The open-source server tells all that there is, once it knows when the container began."""
    return 0


def last_thousand(written: int) -> int:
    """Until then, this."""
    return max(0, written - 1000)


class LogServer(ChaosServer):
    """A run with a log of so many lines, a thousand of which share a time.

    Args:
        count: Lines in all; the run has ended when they have been told for the first time.
        breaks: Before which line the streams break, one after the other.
        how: What breaks them, one after the other.
        begin: Where a stream begins, when so many lines are written.
        ahead: Lines that are written by the time that a stream is opened again, after those that were told.
    """

    def __init__(
        self,
        count: int,
        breaks: Sequence[int],
        how: Sequence[Callable[[Peer], None]],
        begin: Begin = everything,
        ahead: int = 500,
    ) -> None:
        super().__init__(self._answer)
        self._count = count
        self._breaks = list(zip(breaks, how))
        self._begin = begin
        self._ahead = ahead
        self._told = 0
        self._lock = threading.Lock()
        self.streams = 0

    def _answer(self, peer: Peer) -> None:
        while True:
            target = peer.read_request().target
            if target.endswith("GetActionDetails"):
                peer.send(answer(self._details(), headers="Content-Type: application/proto\r\n"))
            elif target.endswith("TailLogs"):
                self._tail(peer)
            else:
                error = b'{"code": "unimplemented"}'
                peer.send(answer(error, status="501 Not Implemented", headers="Content-Type: application/json\r\n"))

    def _details(self) -> bytes:
        response = run_service_pb2.GetActionDetailsResponse()
        ended = self._told >= self._count
        response.details.status.phase = phase_pb2.ACTION_PHASE_SUCCEEDED if ended else phase_pb2.ACTION_PHASE_RUNNING
        response.details.status.attempts = 1
        return response.SerializeToString()

    def _tail(self, peer: Peer) -> None:
        with self._lock:
            self.streams += 1
            end, spoil = self._breaks.pop(0) if self._breaks else (self._count, None)
            written = min(self._count, self._told + self._ahead) if self._told else 0
        peer.send(HEAD)
        for number in range(self._begin(written), end, BATCH):
            peer.send_chunk(self._envelope(number, min(number + BATCH, end)))
        self._told = max(self._told, end)
        if spoil is not None:
            spoil(peer)
            raise ConnectionError("that was it")
        peer.send_chunk(END)
        peer.send(b"0\r\n\r\n")

    def _envelope(self, begin: int, end: int) -> bytes:
        message = dataproxy_service_pb2.TailLogsResponse()
        logs = message.logs.add()
        for number in range(begin, end):
            logs.lines.add(message=text(number)).timestamp.seconds = 1_700_000_000 + number // 1000
        data = message.SerializeToString()
        return b"\x00" + len(data).to_bytes(4, "big") + data


def crash(peer: Peer) -> None:
    """What the client has not read by now is lost to it as well."""
    peer.reset()


def hang_up(peer: Peer) -> None:
    """Between two messages, without an end."""


def cut_in_an_envelope(peer: Peer) -> None:
    """In the middle of a message, whose chunk is whole."""
    peer.send_chunk(b"\x00\x00\x00\x10\x00abc")


def end_cleanly(peer: Peer) -> None:
    """As if that were all."""
    peer.send_chunk(END)
    peer.send(b"0\r\n\r\n")


def end_with_an_error(peer: Peer) -> None:
    """As a server does that is stopped."""
    error = b'{"error": {"code": "unavailable", "message": "it stops"}}'
    peer.send_chunk(b"\x02" + len(error).to_bytes(4, "big") + error)
    peer.send(b"0\r\n\r\n")


def the_run(runs: type[Run]) -> Run:
    """The run, as one that was found before."""
    pb2 = run_definition_pb2.Run()
    id = pb2.action.id
    id.run.project, id.run.domain, id.run.name, id.name = "p", "d", "r1", "a0"
    return runs(pb2)
