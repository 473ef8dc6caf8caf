"""The tail of a log as somebody reads it who knows nothing of ours but messages."""

from __future__ import annotations

import time
from typing import Optional

from connect_stream import Stream
from devbox_client import Client

from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2 as pb

PATIENCE = 30.0


class Tail:
    """One TailLogs call, asked again while there is no log yet.

    Args:
        client: Of the devbox.
        run: Whose root action is meant.
        attempt: From 1.
        again: What a refusal begins with after which it is asked again.
    """

    def __init__(
        self, client: Client, run: str, attempt: int, again: tuple[str, ...] = ("no event", "no log context")
    ) -> None:
        self._address = client.box.endpoint.partition("//")[2]
        self._again = again
        self._request = pb.TailLogsRequest(attempt=attempt)
        id = self._request.action_id
        id.run.project, id.run.domain, id.run.name, id.name = "flytesnacks", "development", run, "a0"
        self._told: list[pb.TailLogsResponse] = []
        self._stream = self._open()

    def lines(self) -> list[str]:
        """Those that have come so far."""
        return [line.message for message in self.messages() for logs in message.logs for line in logs.lines]

    def messages(self) -> list[pb.TailLogsResponse]:
        """The messages that they came in."""
        self._told += self._stream.taken()
        return self._told

    def wait(self, count: int) -> list[str]:
        """The lines, as soon as there are so many."""
        end = time.monotonic() + PATIENCE
        while len(self.lines()) < count and time.monotonic() < end:
            self._go_on()
            time.sleep(0.005)
        return self.lines()

    def wait_for_end(self) -> str:
        """How it ended: "ended", "dropped", or the text of the refusal."""
        end = time.monotonic() + PATIENCE
        while (how := self._go_on()) is None:
            assert time.monotonic() < end, f"it goes on: {self.lines()[-3:]}"
            time.sleep(0.005)
        return how

    def close(self) -> None:
        """Leave it."""
        self._stream.close()

    def _go_on(self) -> Optional[str]:
        if not self._stream.ended:
            return None
        self.messages()
        self._stream.close()
        if self._stream.end_stream is None:
            return "dropped"
        refused: str = self._stream.end_stream.get("error", {}).get("message", "")
        if refused.startswith(self._again):
            time.sleep(0.02)
            self._stream = self._open()
            return None
        return refused or "ended"

    def _open(self) -> Stream:
        path = "/flyteidl2.dataproxy.DataProxyService/TailLogs"
        body = self._request.SerializeToString()
        return Stream(self._address, path, "proto", body, None, pb.TailLogsResponse.FromString)


def tail(client: Client, run: str, attempt: int = 1) -> Tail:
    """Begin to read the log of a run."""
    return Tail(client, run, attempt)
