"""Logs as the real server was recorded to tell them: each life that has one, played on a fake clock and read by us."""

from __future__ import annotations

import datetime
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from fakes import FakeChannel
from google.protobuf import json_format

from flyte_lite import errors
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote import Run

LIVES = json.loads((Path(__file__).parents[1] / "compat" / "lives" / "lives.json").read_text(encoding="utf-8"))["lives"]
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


class Life:
    """What was told of the root action of a life's first run, and when."""

    def __init__(self, life: dict[str, Any]) -> None:
        self._times = life["times"]
        self._details = life.get("details", [])
        mine = [event for event in life["timeline"] if event.get("run", "run") == "run" and event.get("action") == "a0"]
        self._polls = [event for event in mine if event.get("poll") == "RunService/GetActionDetails"]
        self._tails = [event for event in mine if event.get("stream") == "DataProxyService/TailLogs"]

    def lines(self) -> list[str]:
        """What was told while the run went on, of one attempt after the other."""
        live = [event for event in self._tails if "message" in event and "opened" not in event]
        live.sort(key=lambda event: event["attempt"])  # stable: in order within each
        return [
            line.get("message", "") for event in live for logs in event["message"]["logs"] for line in logs["lines"]
        ]

    def channel(self) -> FakeChannel:
        """A server that tells the same on a clock that begins with the life."""
        channel = FakeChannel()
        self._clock = channel.clock
        self._clock.now = 0.0
        channel.on("ClusterService/SelectCluster", errors.UnimplementedError("none", Code.UNIMPLEMENTED))
        channel.on("RunService/GetActionDetails", lambda _: self._told())
        return channel.on("DataProxyService/TailLogs", lambda request: list(self._tail(request.attempt)))

    def _now(self) -> float:
        return self._clock.now * 1000

    def _parsed(self, value: Any, message: Any) -> Any:
        def instant(match: re.Match[str]) -> str:
            ms = self._times[match[0]][0]
            return (START + datetime.timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

        text = re.sub(r"<time:\d+>", instant, json.dumps(value)).replace('"<duration>"', "0")
        plain = json.loads(text)
        plain.pop("task", None)
        return json_format.ParseDict(plain, message)

    def _told(self) -> Any:
        polls = [event for event in self._polls if event["ms"] <= self._now()] or self._polls[:1]
        told = polls[-1]["response"]
        if "code" in told:
            return errors.NotFoundError(told["message"], Code.NOT_FOUND)
        response = run_service_pb2.GetActionDetailsResponse()
        row = int(told["details"].strip("<details:>")) - 1
        response.details.CopyFrom(self._parsed(self._details[row], run_definition_pb2.ActionDetails()))
        return response

    def _has_ended(self, attempt: int) -> bool:
        details = self._told().details
        return details.status.phase > 4 or len(details.attempts) > attempt

    def _tail(self, attempt: int) -> Iterator[Any]:
        """What the server tells whoever asks now."""
        now = self._now()
        mine = [event for event in self._tails if event.get("attempt", 1) == attempt]
        live = [event for event in mine if "opened" not in event]
        refused = [event for event in live if _refusal(event) and event["ms"] <= now]
        if self._has_ended(attempt):
            refused = [event for event in mine if "opened" in event and _refusal(event)]
        elif any("message" in event and event["ms"] <= now for event in live):
            refused = []
        if refused:
            yield errors.NotFoundError(_refusal(refused[-1]) or "", Code.NOT_FOUND)
        for event in live:
            if not _refusal(event) and event["ms"] > self._now():
                yield lambda ms=event["ms"]: setattr(self._clock, "now", ms / 1000)
            if "message" in event:
                yield self._parsed(event["message"], dataproxy_service_pb2.TailLogsResponse())


def _refusal(event: dict[str, Any]) -> Optional[str]:
    error = event.get("end", {}).get("end_stream", {}).get("error")
    return error["message"] if error else None


WITH_LOGS = {life["name"]: life for life in LIVES if Life(life).lines()}


@pytest.mark.parametrize("name", WITH_LOGS)
def test_every_line_of_a_recorded_log_is_read_once(name: str) -> None:
    life = Life(WITH_LOGS[name])
    channel = life.channel()
    pb2 = run_definition_pb2.Run()
    pb2.action.id.name, pb2.action.id.run.name = "a0", "run"
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.LogGapWarning)

        assert list(Run(pb2, channel.session()).get_logs(timeout=600)) == life.lines()


def test_there_are_lives_to_read() -> None:
    assert {"slow_logs", "second_try", "parent"} <= set(WITH_LOGS)
