"""What is compared of what was told of a life: states, texts and ends, but no times, no counts, nothing of pods."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from life_differences import CODE, meant

from flyte_lite.devbox.state.objects import PREFIX

# Phases in which a pod may or may not have been seen by the real executor, which looks now and then.
_BEFORE = ("ACTION_PHASE_QUEUED", "ACTION_PHASE_INITIALIZING")
_TIME = re.compile(r"<time:\d+>|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_SHARD = re.compile(r"(<storage>|<s3>/flyte-data)/(?:<shard>|[0-9a-z]{2})/flytesnacks/")
# Who signed an address where and when.
_SIGNED = [
    (re.compile(r"https?://[^/]+/flyte-data/"), "<s3>/flyte-data/"),
    (re.compile(r"(X-Amz-Credential)=[a-z]+%2F(?:<amz-day>|\d{8})"), r"\1=<signer>%2F<amz-day>"),
    (re.compile(r"(X-Amz-Date)=(?:<amz-date>|\d{8}T\d{6}Z)"), r"\1=<amz-date>"),
    (re.compile(r"(X-Amz-Signature)=(?:<signature>|[0-9a-f]{64})"), r"\1=<signature>"),
]
# What the real executor says in the moment in which a pod was made and nothing is known of it; often missed.
_PENDING = "Demistify Pending"
_MAKING = "[|ContainerCreating]: |"
# Lines of the official runtime, its report of an error, and where in its files or ours the error came through.
_RUNTIME = re.compile(r"\[flyte\]|^(message: |kind: |worker: |, recoverable=|\]$|<frames>|Traceback |\s)")


def plain(value: Any, names: Mapping[str, str], life: Mapping[str, Any]) -> Any:
    """`value` without what is not compared.

    Args:
        value: What was told, by either side.
        names: Which names stand for which values; empty for what was recorded.
        life: Where marks such as `<details:3>` are looked up.
    """
    if isinstance(value, list):
        return [plain(each, names, life) for each in value]
    if isinstance(value, dict):
        return _message({key: plain(each, names, life) for key, each in value.items()}, _hidden(life))
    return _text(value, names, life) if isinstance(value, str) else value


def _hidden(life: Mapping[str, Any]) -> list[str]:
    # The executor looks at pods now and then: in some lives it saw this one being made, in others it did not.
    return [_PENDING] if life["saw_it_being_made"] else [_PENDING, _MAKING]


def _text(text: str, names: Mapping[str, str], life: Mapping[str, Any]) -> Any:
    row = re.fullmatch(r"<(details|watched):(\d+)>", text)
    if row:
        return plain(life[row[1]][int(row[2]) - 1], names, life)
    if text.startswith("<task-spec:"):
        return "<spec>"
    for name, stands_for in names.items():
        text = text.replace(stands_for, f"<{name}>")
    if not life["saw_it_being_made"] and text == "ACTION_PHASE_INITIALIZING":
        return "ACTION_PHASE_QUEUED"
    for pattern, plainly in _SIGNED:
        text = pattern.sub(plainly, text)
    # Go's own writing of messages holds one blank or two, as it pleases.
    return _SHARD.sub(r"\1/<shard>/flytesnacks/", _TIME.sub("<time>", text.replace("  ", " ")))


def _message(message: dict[str, Any], hidden: Sequence[str]) -> Any:
    message.pop("logInfo", None)
    if "kind" in message and meant(CODE, ""):
        message.pop("code", None)
    if "taskTemplate" in message:
        return "<spec>"
    # 0 is left out of lists, and a devbox may well take no time.
    if "durationMs" in message or ("endTime" in message and "phaseTransitions" not in message):
        message["durationMs"] = "<duration>"
    for key in ("actions", "enrichedActions"):
        # Children begin in the same whole second on the real server, so that their order is chance.
        if key in message:
            message[key].sort(key=lambda each: each.get("action", each)["id"]["name"])
    if "childrenPhaseCounts" in message:
        message["childrenPhaseCounts"] = _counts(message["childrenPhaseCounts"])
    if "clusterEvents" in message:
        message["clusterEvents"] = [
            each["message"] for each in message["clusterEvents"] if each["message"] not in hidden
        ]
    if "phaseTransitions" in message:
        # Whether a pod that is being made was seen, and so whether its log could be looked for, is chance.
        if message["phase"] in _BEFORE:
            for key in ("logsAvailable", "logContext"):
                message.pop(key, None)
        steps = [each["phase"] for each in message["phaseTransitions"]]
        message["phaseTransitions"] = distinct(steps)
    return message


def _counts(counts: dict[str, int]) -> dict[str, int]:
    # Zeros tell what was there before; and whether a pod was seen being made is chance.
    found = {phase: count for phase, count in counts.items() if count}
    made = found.pop("3", 0)
    return {**found, "1": found.get("1", 0) + made} if made else found


def by_action(messages: Iterable[list[Any]]) -> dict[str, list[Any]]:
    """The rows of messages that tell of several actions: of each action, those that differ, in order."""
    rows: dict[str, list[Any]] = {}
    for message in messages:
        for row in message:
            rows.setdefault(row.get("action", row)["id"]["name"], []).append(row)
    side_by_side = sum(_called(told) for told in rows.values()) > 1
    return {name: distinct(_uncounted(told) if side_by_side else told) for name, told in rows.items()}


def _called(rows: list[Any]) -> bool:
    return bool(rows[0].get("action", rows[0])["metadata"].get("group"))


def _uncounted(rows: list[Any]) -> list[Any]:
    # How many are in which phase depends on who is faster, but not how it ends.
    return [{key: value for key, value in row.items() if key != "childrenPhaseCounts"} for row in rows[:-1]] + rows[-1:]


def distinct(values: Iterable[Any]) -> list[Any]:
    """Without those that are like the one before."""
    found: list[Any] = []
    for value in values:
        if not found or found[-1] != value:
            found.append(value)
    return found


def out_of_order(seen: Sequence[Any], order: Sequence[Any]) -> Optional[Any]:
    """The first of `seen` that is not in `order`, or not after the one before; None if all are.

    The status of an action and its attempts move on apart from one another: each has to keep its own order.
    """
    for part in (_status, _attempts):
        place, places = 0, distinct(part(each) for each in order)
        for value in seen:
            while place < len(places) and places[place] != part(value):
                place += 1
            if place == len(places):
                return value
    return None


def _status(value: Any) -> Any:
    return {key: each for key, each in value.items() if key != "attempts"} if isinstance(value, dict) else value


def _attempts(value: Any) -> Any:
    return value.get("attempts") if isinstance(value, dict) else None


def lines(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a task itself wrote, of the messages of a tail."""
    told = [line.get("message") for message in messages for log in message["logs"] for line in log["lines"]]
    return [line.replace("flyte_lite.errors.", "flyte.errors.") for line in told if line and not _RUNTIME.search(line)]


def errors(ends: Iterable[Mapping[str, Any]]) -> list[str]:
    """Why tails ended at once, each reason once in a row; a pod that is being made is as good as none."""
    told = [end["end_stream"].get("error", {}).get("message", "") for end in ends if end.get("end_stream")]
    return distinct(each for each in told if each and not each.startswith("primary container"))


def names_of(runs: Mapping[str, str]) -> dict[str, str]:
    """What to replace in what the devbox tells."""
    return {**runs, "storage": PREFIX}


def shown(value: Any) -> str:
    """For a person."""
    return json.dumps(value)[:1500]
