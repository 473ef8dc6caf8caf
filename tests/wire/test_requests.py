"""Requests against those of the official SDK: the same script, the same messages in the same order, and one list of
where we differ.

The data are what the official SDK sent for a line of script, and what it was answered. Here the line runs with our
`flyte` and `remote` in place of its own, the recorded answers are played back, and what we sent is compared, message by
message.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple, Union

import pytest
from fake_store import FakeStore, stored
from fakes import FakeChannel

from flyte_lite import _session, errors
from flyte_lite._rpc.wire_error import WireError
from flyte_lite._session import Scope, Session
from flyte_lite.idl import message_class
from flyte_lite.idl.flyteidl2.cluster import service_pb2 as cluster_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.task import task_service_pb2
from flyte_lite.idl.flyteidl2.trigger import trigger_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

DATA = json.loads((Path(__file__).parent / "data" / "requests.json").read_text(encoding="utf-8"))
SERVICES = {
    "ClusterService": cluster_pb2,
    "DataProxyService": dataproxy_service_pb2,
    "RunService": run_service_pb2,
    "TaskService": task_service_pb2,
    "TriggerService": trigger_service_pb2,
}

# Descriptors of old protobufs do not tell.
STREAMS = {"DataProxyService/TailLogs"}

# What a script uses that we do not have yet. When it works, `test_what_is_left_out_is_missing` asks for the line back.
NOT_YET = {
    r"\bR\.Trigger\b": "triggers",
}
PRELUDE = (
    "import datetime",
    "UTC = datetime.timezone.utc",
    "import flyte_lite as flyte",
    "import flyte_lite.remote as R",
    "import flyte_lite.notify",
    "from flyte_lite.io import DataFrame, Dir, File",
    "from flyte_lite.models import ActionPhase",
)

Sent = list[tuple[str, Any]]


class Difference(NamedTuple):
    """Where we do not send what the official SDK sends.

    `instead` gets what it sent and what we sent, and returns what we ought to have sent.
    """

    what: str
    instead: Callable[[Sent, Sent], Sent]
    reason: str


def named_here(official: Sent, ours: Sent) -> Sent:
    """The run's name in place of its project, in the calls that make a run without a given name."""
    wanted: Sent = []
    names = {message.run_id.name for method, message in ours if method == "RunService/CreateRun"}
    for method, message in official:
        if method in ("DataProxyService/UploadInputs", "RunService/CreateRun") and message.HasField("project_id"):
            place = message.project_id
            (name,) = names
            assert re.fullmatch(r"r[a-z0-9]{19}", name)
            message.run_id.org, message.run_id.project = place.organization, place.name
            message.run_id.domain, message.run_id.name = place.domain, name
            assert not message.HasField("project_id"), "they share a oneof"
        wanted.append((method, message))
    return wanted


def larger_pages(official: Sent, ours: Sent) -> Sent:
    """Lists without a limit in pages of 200, not 100."""
    for method, message in official:
        if method == "RunService/ListActions":
            assert message.request.limit == 100
            message.request.limit = 200
    return official


def whole_numbers(official: Sent, ours: Sent) -> Sent:
    """The phase RECOVERED, whose number has two digits."""
    for method, message in official:
        if method == "RunService/ListRuns":
            for asked in message.request.filters:
                if list(asked.values) == ["1", "0"]:
                    asked.values[:] = ["10"]
    return official


def one_to_blame(official: Sent, ours: Sent) -> Sent:
    """All that may be to blame in one list, and the details of the one that is."""
    methods = [method for method, _ in official]
    lists, details = "RunService/ListActions", "RunService/GetActionDetails"
    if methods[1:] != [lists, details, lists, details]:
        return official
    for _, message in (official[1], official[3]):
        (asked,) = message.request.filters
        asked.function, asked.values[:] = type(asked).VALUE_IN, ["6", "8", "7"]
    return [official[0], official[1], official[3], official[4]]


def not_believed(official: Sent, ours: Sent) -> Sent:
    """Whether the server looks at `entrypoint` at all, and if not, the task itself."""
    wanted: Sent = []
    for method, message in official:
        wanted.append((method, message))
        if method == "TaskService/ListTasks" and message.known_filters:
            opposite = type(message)()
            opposite.CopyFrom(message)
            opposite.request.Clear()
            opposite.request.limit = 1
            opposite.request.filters.add(field="name", values=["env.add"])
            opposite.request.filters.add(field="version", values=["v9"])
            opposite.known_filters[0].is_entrypoint = not message.known_filters[0].is_entrypoint
            task = task_service_pb2.GetTaskDetailsRequest()
            task.task_id.org, task.task_id.project, task.task_id.domain = "acme", "proj", "development"
            task.task_id.name, task.task_id.version = "env.add", "v9"
            wanted += [(method, opposite), ("TaskService/GetTaskDetails", task)]
    return wanted


def known_already(official: Sent, ours: Sent) -> Sent:
    """What `Run.get` and `Action.get` told of a run that has ended."""
    methods = [method for method, _ in official]
    by = {"DataProxyService/TailLogs", "DataProxyService/CreateDownloadLink"}
    asked = ["RunService/GetRunDetails", "RunService/GetActionDetails"]
    return [official[0], *official[2:]] if by & set(methods) and methods[:2] == asked else official


DIFFERENCES = [
    Difference(
        "a run without a given name is created under one that is made here",
        named_here,
        "a CreateRun whose answer is lost can then be repeated without making a second run; the server would take any "
        "name, and makes one only if there is none",
    ),
    Difference(
        "a list without a limit comes in pages of 200", larger_pages, "the most that the open-source server gives"
    ),
    Difference("the phase RECOVERED is asked for as 10", whole_numbers, "theirs asks for the phases 1 and 0"),
    Difference(
        "the first failure is found in one list and its details alone are asked for",
        one_to_blame,
        "timeouts and aborts are failures too, and details carry the whole task",
    ),
    Difference(
        "a list by `entrypoint` is not believed where the question makes no difference",
        not_believed,
        "the open-source server takes the question and does not look at it",
    ),
    Difference(
        "a finished run is not asked about before its log or its report is",
        known_already,
        "how often it was tried is known, and does not change any more",
    ),
]

# Answers to what the official SDK does not ask.
MORE: dict[str, dict[str, Any]] = {
    "task.listall_not_entrypoint": {"TaskService/GetTaskDetails": task_service_pb2.GetTaskDetailsResponse()},
}

# What a script has to catch, where the official SDK has another class for it; each of ours is one of its too.
EXCEPTIONS: dict[str, tuple[type[Exception], str]] = {
    "run.server_says_exists": (
        errors.AlreadyExistsError,
        "a RuntimeUserError, as there; it also tells method, endpoint and number of attempts",
    ),
    "run_read.get_missing": (errors.NotFoundError, "theirs is its RPC library's error, which we do not have"),
}

# What a script gets otherwise than from the official SDK.
VALUES: dict[str, tuple[Any, str]] = {
    "action.get_logs": (["hello"], "lines of a log are ready to be printed: no blank in front, no line end behind"),
    "run_read.get_logs": (["hello"], "the same"),
    "run_read.get_logs_options": (["hello"], "the same; and a line without a time does not get that of 1970"),
}


def missing_in(scenario: dict[str, Any]) -> list[str]:
    return [what for pattern, what in NOT_YET.items() if re.search(pattern, scenario["call"])]


COVERED = {scenario["id"]: scenario for scenario in DATA["scenarios"] if not missing_in(scenario)}
LEFT_OUT = {scenario["id"]: scenario for scenario in DATA["scenarios"] if missing_in(scenario)}


def message(full_name: str, row: int) -> Any:
    return message_class(full_name).FromString(base64.b64decode(DATA["messages"][row]))


class Replay:
    """One scenario: what was sent then, and a channel that gives the answers of then.

    Attributes:
        sent: Method and request, in order.
        channel: Keeps what is sent now.
    """

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.sent: Sent = []
        self.channel = FakeChannel()
        self.channel.transport = FakeStore(stored(b"<html>report</html>"))
        self._call = scenario["call"]
        answers: dict[str, list[Any]] = {}
        for method, request, answer in scenario["requests"]:
            service, _, name = method.partition("/")
            described = SERVICES[service].DESCRIPTOR.services_by_name[service].methods_by_name[name]
            self.sent.append((method, message(described.input_type.full_name, request)))
            kind = described.output_type.full_name
            streams = method in STREAMS and isinstance(answer, list)
            answers.setdefault(method, []).append(
                [message(kind, row) for row in answer] if streams else self._answer(kind, answer)
            )
        for method, those in answers.items():
            self.channel.on(method, *those)
        for method, answered in MORE.get(scenario["id"], {}).items():
            self.channel.on(method, answered)

    @staticmethod
    def _answer(full_name: str, recorded: Union[dict[str, str], list[int]]) -> Any:
        if isinstance(recorded, list):
            return message(full_name, recorded[0])
        error = WireError.from_object(recorded)
        assert error is not None
        return error.to_exception({})

    def run(self) -> Any:
        """The value of the script's last line."""
        init = DATA["meta"]["init"]
        scope = Scope(init["org"], init["project"], init["domain"])
        _session.set_default(Session(self.channel, scope, "http://console"))  # type: ignore[arg-type]
        names: dict[str, Any] = {}
        for line in PRELUDE:
            with contextlib.suppress(ImportError):
                exec(line, names)
        script = ast.parse(self._call)
        last = script.body.pop()
        assert isinstance(last, ast.Expr)
        exec(compile(script, "<scenario>", "exec"), names)
        return eval(compile(ast.Expression(last.value), "<scenario>", "eval"), names)


@pytest.fixture(autouse=True)
def no_default_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Times without a zone are local, and they were recorded in this one.
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    _session.set_default(None)
    monkeypatch.undo()
    time.tzset()


def ran(name: str) -> tuple[Replay, Any]:
    """The scenario, run; its value or what it raised as it should have."""
    scenario = COVERED[name]
    replay = Replay(scenario)
    if "exception" not in scenario:
        return replay, replay.run()
    wanted = EXCEPTIONS[name][0] if name in EXCEPTIONS else getattr(errors, scenario["exception"]["type"])
    with pytest.raises(wanted) as caught:
        replay.run()
    return replay, caught.value


@pytest.mark.parametrize("name", COVERED)
def test_the_requests_are_the_official_ones(name: str) -> None:
    replay, _ = ran(name)

    wanted = replay.sent
    for difference in DIFFERENCES:
        wanted = difference.instead(wanted, replay.channel.calls)

    assert [method for method, _ in replay.channel.calls] == [method for method, _ in wanted]
    for (method, ours), (_, official) in zip(replay.channel.calls, wanted):
        assert ours == official, method


@pytest.mark.parametrize("name", [name for name in COVERED if not str(COVERED[name].get("result")).startswith("<")])
def test_the_script_gets_the_same_value_or_error(name: str) -> None:
    scenario = COVERED[name]
    _, value = ran(name)

    if "exception" in scenario:
        assert scenario["exception"]["message"] in str(value) or name in EXCEPTIONS
    else:
        assert repr(value) == (repr(VALUES[name][0]) if name in VALUES else scenario["result"])
        assert name not in VALUES or repr(value) != scenario["result"], "there is no difference any more"


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.what)
def test_each_difference_is_one(difference: Difference) -> None:
    """A line of the list that changes nothing would hide something one day."""
    for name in COVERED:
        replay, _ = ran(name)
        before = [(method, request.SerializeToString()) for method, request in replay.sent]
        if before != [(m, r.SerializeToString()) for m, r in difference.instead(replay.sent, replay.channel.calls)]:
            return
    pytest.fail("it makes no difference")


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_missing(name: str) -> None:
    with pytest.raises((AttributeError, NameError, TypeError)):
        Replay(LEFT_OUT[name]).run()


def test_each_rule_leaves_something_out() -> None:
    calls = "\n".join(scenario["call"] for scenario in DATA["scenarios"])

    assert [pattern for pattern in NOT_YET if not re.search(pattern, calls)] == []
    assert len(COVERED) > 20
