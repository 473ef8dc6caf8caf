"""All that is told of one run while it lives: by polls, by streams, by its log."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connect_stream import Stream
    from player import Player

ENDS = ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")
# Seconds between two questions.
EVERY = 0.02


class Watcher:
    """All that is told of one run while it lives: by polls, by streams, by its log."""

    def __init__(self, player: Player, run: str) -> None:
        self._player = player
        self._over = threading.Event()
        self.id = {"run": {"project": "flytesnacks", "domain": "development", "name": run}, "name": "a0"}
        self.polled: dict[str, list[Any]] = {"GetRunDetails": [], "GetActionDetails": [], "ListActions": []}
        self.streams = {
            "WatchActionDetails": player.stream("RunService/WatchActionDetails", {"actionId": self.id}),
            "WatchActions": player.stream("RunService/WatchActions", {"runId": self.id["run"]}),
        }
        self._taking = threading.Lock()
        self._taken: dict[str, list[Any]] = {rpc: [] for rpc in self.streams}
        self.tails: dict[int, list[Stream]] = {}
        # What is told of each action that it has called.
        self.called: dict[str, list[Any]] = {}
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._poll, self._tail)]
        for thread in self._threads:
            thread.start()

    def messages(self, rpc: str) -> list[Any]:
        """What a stream has told so far."""
        with self._taking:
            self._taken[rpc] += self.streams[rpc].taken()
            return list(self._taken[rpc])

    def children(self) -> list[str]:
        """Names of the actions that were called, in the order in which they came."""
        told = [row for message in self.messages("WatchActions") for row in message["enrichedActions"]]
        return list(dict.fromkeys(row["action"]["id"]["name"] for row in told if "parent" in row["action"]["metadata"]))

    def running(self) -> int:
        """How many actions have begun, or are over already."""
        response = self._player.call("RunService/ListActions", {"runId": self.id["run"]})[1]
        return sum(each["status"]["phase"].endswith(("RUNNING", *ENDS)) for each in response["actions"])

    def ended(self) -> bool:
        """True when the status and the last attempt have, and all that was called."""
        listed = self._player.call("RunService/ListActions", {"runId": self.id["run"]})[1]
        if not all(each["status"]["phase"].endswith(ENDS) for each in listed["actions"]):
            return False
        _, response = self._player.call("RunService/GetActionDetails", {"actionId": self.id})
        details = response.get("details", {})
        phases = [details.get("status", {}).get("phase"), *(each["phase"] for each in details.get("attempts", [])[-1:])]
        return len(phases) == 2 and all(str(phase).endswith(ENDS) for phase in phases)

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.streams["WatchActionDetails"].wait(ended=True)
        for stream in [*self.streams.values(), *(tail for tails in self.tails.values() for tail in tails)]:
            stream.close()

    def _poll(self) -> None:
        asks = {"GetRunDetails": {"runId": self.id["run"]}, "ListActions": {"runId": self.id["run"]}}
        while True:
            last = self._over.is_set()
            for rpc, told in self.polled.items():
                with self._player.asking:
                    told.append(self._player.call(f"RunService/{rpc}", asks.get(rpc, {"actionId": self.id}))[1])
            for name in self.children():
                request = {"actionId": {**self.id, "name": name}}
                with self._player.asking:
                    told = self._player.call("RunService/GetActionDetails", request)[1]
                self.called.setdefault(name, []).append(told["details"])
            if last:
                return
            self._over.wait(EVERY)

    def _tail(self) -> None:
        # Each attempt's log, asked for until there are lines or the life is over.
        attempt = 1
        while not self._over.is_set() and attempt < 9:
            tail = self._player.stream("DataProxyService/TailLogs", {"actionId": self.id, "attempt": attempt})
            self.tails.setdefault(attempt, []).append(tail)
            tail.wait(ended=True)
            if not (tail.end_stream or {}).get("error"):
                attempt += 1
            self._over.wait(EVERY)
