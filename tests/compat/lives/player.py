"""Plays a recorded life on a devbox: the same calls, watched in the same ways."""

from __future__ import annotations

import http.client
import itertools
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Optional
from urllib.parse import urlsplit

from connect_stream import Stream
from life_differences import QUEUED_FIRST, UNCHECKED, meant
from telling import by_action, distinct, errors, lines, names_of, out_of_order, plain, shown
from watcher import ENDS, EVERY, Watcher

SERVICES = {
    "RunService": "flyteidl2.workflow.RunService",
    "TaskService": "flyteidl2.task.TaskService",
    "DataProxyService": "flyteidl2.dataproxy.DataProxyService",
}
PATIENCE = 30.0
# Milliseconds between two questions of whoever recorded.
ASKED_EVERY = 50
# Seconds for which a stream that stays open is listened to.
LISTEN = 0.3


def _batches(events: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    for event in (each for each in events if "call" in each or "http" in each):
        if batch and event["ms"] - batch[-1]["ms"] >= ASKED_EVERY:
            yield batch
            batch = []
        batch.append(event)
    if batch:
        yield batch


class Player:
    """One life, once.

    Args:
        address: Host and port of the devbox.
        life: As it was recorded.
    """

    def __init__(self, address: str, life: Mapping[str, Any]) -> None:
        self._address = address
        # Of several pods some may have been seen being made, and others not.
        self._alone = {each["id"]["name"] for each in life.get("details", [])} <= {"a0"}
        saw = self._alone and "ACTION_PHASE_INITIALIZING" in json.dumps(life)
        self._life = {**life, "saw_it_being_made": saw}
        self._runs = {name: f"r{secrets.token_hex(8)}" for name in ("run", "run2", "run3")}
        self._watchers: dict[str, Watcher] = {}
        self._signed = ""
        self.asking = threading.Lock()

    def differences(self, until: Optional[Callable[[Mapping[str, Any]], bool]] = None) -> Iterator[str]:
        """What is told differently.

        Args:
            until: Which event is the first not to be played; None plays all.
        """
        events = self._life["timeline"]
        cut = next((index for index, event in enumerate(events) if until is not None and until(event)), len(events))
        try:
            for batch in _batches(events[:cut]):
                self._settle(batch[0])
                # What was done between two of the recorder's questions is done between two of ours.
                with self.asking:
                    for event in batch:
                        yield from self._play(event) if "call" in event else self._fetch(event)
            for name, watcher in self._watchers.items():
                self._until(watcher.ended)
                watcher.close()
                if "details" in self._life:
                    yield from self._lived(name, watcher, events[:cut], whole=cut == len(events))
            yield from self._afterwards([event for event in events[:cut] if "opened" in event])
        finally:
            for watcher in self._watchers.values():
                watcher.close()

    def final(self, name: str) -> Any:
        """A run's action as it is at last."""
        return self._watchers[name].polled["GetActionDetails"][-1]["details"]

    def call(self, rpc: str, request: Any) -> tuple[int, Any]:
        service, _, method = rpc.partition("/")
        connection = http.client.HTTPConnection(self._address, timeout=PATIENCE)
        try:
            body = json.dumps(request).encode()
            connection.request("POST", f"/{SERVICES[service]}/{method}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def stream(self, rpc: str, request: Any, deadline_ms: Optional[int] = None) -> Stream:
        service, _, method = rpc.partition("/")
        body = json.dumps(request).encode()
        return Stream(self._address, f"/{SERVICES[service]}/{method}", "json", body, deadline_ms, json.loads)

    def _play(self, event: Mapping[str, Any]) -> Iterator[str]:
        self._settle(event)
        status, response = self.call(event["call"], self._filled(event["request"]))
        expected, actual = self._plain(event["response"]), self._told(response)
        if (status, actual) != (event["status"], expected):
            yield f"{event['call']} at {event['ms']} ms answered {status} {shown(actual)}, not {shown(expected)}"
        if status == 200 and event["call"] == "DataProxyService/CreateDownloadLink":
            (self._signed,) = response["preSignedUrls"]["signedUrl"]
        if event["call"] == "RunService/CreateRun" and status == 200:
            name = event["request"]["runId"]["name"].strip("<>")
            if name not in self._watchers:
                self._watchers[name] = Watcher(self, self._runs[name])

    def _fetch(self, event: Mapping[str, Any]) -> Iterator[str]:
        # At the address that was given last; how the recorded store wrote its headers is its own affair.
        parts = urlsplit(self._signed)
        connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
        try:
            connection.request(event["http"], f"{parts.path}?{parts.query}")
            answer = connection.getresponse()
            body, kind = answer.read(), answer.headers["Content-Type"]
        finally:
            connection.close()
        told = (answer.status, kind, bool(body))
        expected = (event["status"], event["response_headers"]["content-type"], bool(event["response_body"]))
        if event["http"] == "HEAD" and meant(UNCHECKED, self._life["name"]):
            expected = (403, "application/xml", False)
        if told != expected:
            yield f"{event['http']} of what was signed answered {told}, not {expected}"

    def _settle(self, event: Mapping[str, Any]) -> None:
        # What had ended there by then has to end here, too; what had not gets the time to begin.
        for name, watcher in self._watchers.items():
            if self._had_ended(name, event["ms"]):
                self._until(watcher.ended)
            elif not self._alone:
                begun = self._had_begun(name, event["ms"])
                self._until(lambda watcher=watcher, begun=begun: watcher.running() >= begun)  # type: ignore[misc]

    def _had_begun(self, name: str, ms: int) -> int:
        told = [
            self._plain(event["response"])["details"]
            for event in self._life["timeline"]
            if event["ms"] < ms and event.get("run") == name and event.get("poll") == "RunService/GetActionDetails"
        ]
        return len({row["id"]["name"] for row in told if row["status"]["phase"] == "ACTION_PHASE_RUNNING"})

    def _had_ended(self, name: str, ms: int) -> bool:
        for event in self._life["timeline"]:
            if event["ms"] < ms and event.get("run") == name and "opened" not in event and "poll" in event:
                if event.get("action", "a0") != "a0":
                    continue
                details = event["response"].get("details", {})
                row = details.get("action", details) if isinstance(details, dict) else details
                row = self._plain(row)
                attempts = row.get("attempts") if isinstance(row, dict) else None
                if attempts and all(
                    str(each).endswith(ENDS) for each in (attempts[-1]["phase"], row["status"]["phase"])
                ):
                    return True
        return False

    def _until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not done() and time.monotonic() < end:
            time.sleep(EVERY)

    def _lived(self, name: str, watcher: Watcher, events: list[Mapping[str, Any]], whole: bool) -> Iterator[str]:
        of_all = [event for event in events if event.get("run") == name and "opened" not in event]
        mine = [event for event in of_all if event.get("action", "a0") == "a0"]
        order = distinct(self._plain(each) for each in self._life["details"])
        of_run = [each for each in order if each["id"] == self._told(watcher.id)]
        for rpc, key in (("WatchActionDetails", "details"), ("WatchActions", "enrichedActions")):
            stream = watcher.streams[rpc]
            seen = distinct(self._told(message[key]) for message in watcher.messages(rpc))
            there = distinct(
                self._plain(event["message"][key])
                for event in mine
                if event.get("stream") == f"RunService/{rpc}" and "message" in event
            )
            if key == "details":
                yield from self._in_order(f"{name}: {rpc}", seen, of_run, there, whole)
            else:
                yield from self._each_in_order(f"{name}: {rpc}", seen, there, whole)
            if whole and rpc == "WatchActionDetails" and (not stream.ended or stream.end_stream != {}):
                yield f"{name}: {rpc} ended with {stream.end_stream}"
        for rpc, told in watcher.polled.items():
            seen = distinct(self._told(each) for each in told)
            there = distinct(
                self._plain(event["response"]) for event in mine if event.get("poll") == f"RunService/{rpc}"
            )
            inside = {
                "GetRunDetails": lambda each: each["details"]["action"],
                "GetActionDetails": lambda each: each["details"],
            }
            if rpc in inside:
                seen = [inside[rpc](each) for each in seen if "details" in each]
                there = [inside[rpc](each) for each in there if "details" in each]
                yield from self._in_order(f"{name}: {rpc}", seen, of_run, there, whole)
            else:
                seen, there = ([each["actions"] for each in told] for told in (seen, there))
                yield from self._each_in_order(f"{name}: {rpc}", seen, there, whole)
        for child, told in watcher.called.items():
            mark = self._told(child)
            polls = [each for each in of_all if each.get("poll") and each.get("action") == mark]
            there = distinct(self._plain(each["response"]["details"]) for each in polls)
            rows = [each for each in order if each["id"]["name"] == mark]
            yield from self._in_order(f"{name}: {mark}", distinct(map(self._told, told)), rows, there, whole)
        yield from self._tailed(name, watcher, mine, whole)

    def _each_in_order(self, what: str, seen: list[Any], there: list[Any], whole: bool) -> Iterator[str]:
        # Those that run side by side go each at its own pace.
        told, expected = by_action(seen), by_action(there)
        if told.keys() != expected.keys():
            yield f"{what} told of {sorted(told)}, not of {sorted(expected)}"
            return
        for action, rows in told.items():
            yield from self._in_order(f"{what} of {action}", rows, expected[action], expected[action], whole)

    def _in_order(self, what: str, seen: list[Any], order: list[Any], there: list[Any], whole: bool) -> Iterator[str]:
        if not whole:
            # It ends in a way of its own, of which nothing was recorded.
            seen = [each for each in seen if not any(f"ACTION_PHASE_{end}" in json.dumps(each) for end in ENDS)]
        elif meant(QUEUED_FIRST, self._life["name"]):
            seen = [
                each
                for each in seen
                if '"phase": "ACTION_PHASE_QUEUED", "startTime": "<time>", "attempts": 1}' not in json.dumps(each)
            ]
        wrong = out_of_order(seen, order)
        if wrong is not None:
            yield f"{what} told {shown(wrong)}"
        if whole and there and (not seen or seen[-1] != there[-1]):
            yield f"{what} ended with {shown(seen[-1:])}, not {shown(there[-1])}"

    def _tailed(self, name: str, watcher: Watcher, mine: list[Mapping[str, Any]], whole: bool) -> Iterator[str]:
        tails = [event for event in mine if event.get("stream") == "DataProxyService/TailLogs"]
        for attempt in {event["attempt"] for event in tails} & set(watcher.tails):
            theirs = [event for event in tails if event["attempt"] == attempt]
            ours = watcher.tails[attempt]
            written = [message for tail in ours for message in tail.taken()]
            expected = lines(self._plain([event["message"] for event in theirs if "message" in event]))
            if not whole:
                expected = list(itertools.takewhile(lambda line: "traceback" not in line, expected))
                written = written if expected else []
            if lines(self._told(written))[: len(expected) if not whole else None] != expected:
                yield f"{name}: the log of attempt {attempt} is {lines(self._told(written))}, not {expected}"
            refused = errors(self._told([{"end_stream": tail.end_stream} for tail in ours]))
            there = errors(self._plain([event["end"] for event in theirs if "end" in event]))
            if out_of_order(refused, there) is not None:
                yield f"{name}: the log of attempt {attempt} was refused with {refused}, not {there}"

    def _afterwards(self, events: list[Mapping[str, Any]]) -> Iterator[str]:
        while events:
            first = events[0]
            told = [event for event in events if self._question(event) == self._question(first)]
            events = [event for event in events if self._question(event) != self._question(first)]
            end = next(event["end"] for event in told if "end" in event)
            request = self._request(first)
            if request is None:
                continue
            there: Any = self._plain([event["message"] for event in told if "message" in event])
            tails = first["stream"].endswith("TailLogs")
            expected = (lines(there) if tails else there, self._plain(end))
            # What is told at once may come too late for a short time on a busy machine, but not for a longer one.
            for seconds in (LISTEN, 20 * LISTEN):
                stream = self.stream(
                    first["stream"], request, int(seconds * 1000) if end["ended_by"] == "deadline" else None
                )
                stream.wait(ended=True)
                stream.close()
                came: Any = self._told(stream.taken())
                ended = {
                    "status": stream.status,
                    "ended_by": stream.ended_by,
                    "end_stream": self._told(stream.end_stream),
                }
                seen = (lines(came) if tails else came, ended)
                if seen == expected or end["ended_by"] != "deadline":
                    break
            if seen != expected:
                yield f"{first['stream']} after the end: {shown(seen)}, not {shown(expected)}"

    def _question(self, event: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(event.get(key) for key in ("stream", "run", "action", "attempt"))

    def _request(self, event: Mapping[str, Any]) -> Any:
        run = {"project": "flytesnacks", "domain": "development", "name": self._runs[event.get("run", "run")]}
        action = {"run": run, "name": event.get("action", "a0")}
        return {
            "WatchActionDetails": {"actionId": action},
            "WatchActions": {"runId": run},
            "WatchClusterEvents": {"id": action, "attempt": event.get("attempt", 1)},
            "TailLogs": {"actionId": action, "attempt": event.get("attempt", 1)},
        }[event["stream"].partition("/")[2]]

    def _filled(self, value: Any) -> Any:
        text = json.dumps(value)
        for name, stands_for in names_of(self._names()).items():
            text = text.replace(f"<{name}>", stands_for)
        return json.loads(text)

    def _names(self) -> dict[str, str]:
        children = itertools.chain.from_iterable(watcher.children() for watcher in self._watchers.values())
        return {**self._runs, **{f"child:{number}": name for number, name in enumerate(children, 1)}}

    def _plain(self, value: Any) -> Any:
        return plain(value, {}, self._life)

    def _told(self, value: Any) -> Any:
        return plain(value, names_of(self._names()), self._life)
