"""The official SDK against our devbox, and each client against the other's runs.

The official SDK keeps threads of its own and reports home unless told not to, so it only lives in subprocesses here:
scripts that leave what they saw in `told`. Without it these tests fail: a skip would look like agreement.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import itertools
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Literal, NamedTuple, Optional, Union

import pytest

from flyte_lite import Client
from flyte_lite.devbox import Devbox, group, report, trace
from flyte_lite.errors import ActionAbortedError, RuntimeUserError
from flyte_lite.io import Dir, File
from flyte_lite.remote import Run

PROJECT, DOMAIN = "flytesnacks", "development"
UTC = datetime.timezone.utc

Script = Callable[..., Any]

BEGIN = f"""
import datetime, sys, time
import flyte
from flyte.remote import Action, ActionDetails, Project, Run, RunDetails, Task

flyte.init(endpoint=sys.argv[1], insecure=True, project={PROJECT!r}, domain={DOMAIN!r})
told = {{}}

def ended(name):
    while not Run.get(name).done():
        time.sleep(0.05)
    return Run.get(name)
"""
# Its threads abort the interpreter now and then on its way out, so these scripts do not take that way.
END = """
import os
print("told", repr(told), sep=chr(9), flush=True)
os._exit(0)
"""


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclasses.dataclass
class Layer:
    size: int
    color: Color = Color.RED


@dataclasses.dataclass
class Config:
    name: str
    layers: list[Layer]
    data: Optional[File] = None  # type: ignore[type-arg]
    when: Optional[datetime.datetime] = None


class Pair(NamedTuple):
    left: int
    right: str


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="values.rich", version="v1")
        def rich(
            config: Config,
            pair: Pair,
            both: tuple[int, Color],
            untyped: dict,  # type: ignore[type-arg]
            raw: bytes,
            folder: Dir[str],
        ) -> tuple[Config, Pair, tuple[int, Color], dict, bytes, Dir[str]]:  # type: ignore[type-arg]
            assert type(config) is Config
            assert [type(layer) for layer in config.layers] == [Layer] * len(config.layers)
            assert type(pair) is Pair
            assert type(both[1]) is Color
            return dataclasses.replace(config, name=config.name.upper()), pair, both, untyped, raw, folder

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str, times: int = 1) -> str:
            return ", ".join([f"hello {name}"] * times)

        @box.task(name="greetings.hello", version="v2")
        def hello_again(name: str, times: int = 1) -> str:
            return ", ".join([f"hello again {name}"] * times)

        @box.task(name="greetings.broken", version="v1")
        def broken(text: str) -> None:
            raise FileNotFoundError(text)

        @box.task(name="greetings.chatty", version="v1")
        def chatty() -> None:
            for number in range(3):
                print(f"line {number}|")

        @box.task(name="greetings.slowly", version="v1")
        def slowly(name: str) -> str:
            report.log(f"<p>greeting {name}</p>", do_flush=True)
            for number in range(5):
                print(f"line {number}|", flush=True)
                time.sleep(0.1)
            return name

        @box.task(name="greetings.sleep", version="v1")
        def sleep(seconds: float) -> None:
            time.sleep(seconds)

        @box.task(name="family.child", version="v1")
        def child(n: int) -> int:
            print(f"child {n}|")
            if n < 0:
                raise ValueError(f"negative: {n}")
            return 2 * n

        @trace
        def square(n: int) -> int:
            return n * n

        @box.task(name="family.parent", version="v1")
        def parent(n: int) -> int:
            with group("pair"):
                found = child(n) + child(n + 1)
            return found + square(n)

        @box.task(name="values.all", version="v1")
        def everything(
            i: int,
            f: float,
            s: str,
            b: bool,
            when: datetime.datetime,
            day: datetime.date,
            long: datetime.timedelta,
            nothing: None,
            items: list[int],
            deep: list[dict[str, list[float]]],
            table: dict[str, str],
            maybe: Optional[int],
            absent: Optional[int],
            number: Union[int, str],
            word: Union[int, str],
            color: Color,
            size: Literal["small", "large"],
        ) -> tuple[
            int,
            float,
            str,
            bool,
            datetime.datetime,
            datetime.date,
            datetime.timedelta,
            None,
            list[int],
            list[dict[str, list[float]]],
            dict[str, str],
            Optional[int],
            Optional[int],
            Union[int, str],
            Union[int, str],
            Color,
            Literal["small", "large"],
        ]:
            assert isinstance(color, Color)
            assert type(day) is datetime.date
            assert isinstance(f, float)
            return i, f, s, b, when, day, long, nothing, items, deep, table, maybe, absent, number, word, color, size

        yield box


@pytest.fixture
def client(box: Devbox) -> Iterator[Client]:
    with Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client:
        yield client


@pytest.fixture
def official(box: Devbox, tmp_path: Path) -> Script:
    """Run a script under the official SDK, and give what it put into `told`."""

    def run(script: str, *args: str) -> Any:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FLYTE_", "UCTL_")) and not name.lower().endswith("_proxy")
        }
        quiet = {"DO_NOT_TRACK": "1", "FLYTE_DISABLE_TELEMETRY": "1", "FLYTE_DISABLE_SENTRY": "1"}
        done = subprocess.run(
            [sys.executable, "-c", BEGIN + textwrap.dedent(script) + END, box.endpoint, *args],
            cwd=tmp_path,
            env={**inherited, **quiet, "NO_PROXY": "*", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("told\t"))
        return eval(line.partition("\t")[2], {"datetime": datetime})

    return run


def launched(client: Client, task: str, /, **inputs: Any) -> Run:
    run = client.run(client.tasks.get(task, version="v1"), **inputs)
    run.wait(timeout=60)
    return run


def test_it_lists_and_gets_our_runs(client: Client, official: Script) -> None:
    good = launched(client, "greetings.hello", name="Ada", times=2)
    bad = launched(client, "greetings.broken", text="no such file")

    told = official(
        """
        good, bad = sys.argv[2:]
        told["listed"] = {run.name: run.phase.value for run in Run.listall()}
        told["got"] = [(run.name, run.phase.value, run.done()) for run in map(Run.get, (good, bad))]
        told["details"] = [(run.task_name, run.done()) for run in map(RunDetails.get, (good, bad))]
        run = Run.get(good)
        told["inputs"], told["outputs"] = dict(run.inputs()), tuple(run.outputs())
        told["actions"] = [(action.name, action.phase.value) for action in Action.listall(for_run_name=good)]
        told["action"] = Action.get(run_name=bad, name="a0").phase.value
        told["attempts"] = ActionDetails.get(run_name=bad, name="a0").attempts
        told["failure"] = Run.get(bad).first_failure().error_info.message
        try:
            Run.get(bad).raise_for_status()
        except Exception as error:
            told["error"] = type(error).__name__, error.code, str(error)
        """,
        good.name,
        bad.name,
    )

    assert told["listed"].items() >= {good.name: "succeeded", bad.name: "failed"}.items()
    assert told["got"] == [(good.name, "succeeded", True), (bad.name, "failed", True)]
    assert told["details"] == [("greetings.hello", True), ("greetings.broken", True)]
    assert told["inputs"] == {"name": "Ada", "times": 2}
    assert told["outputs"] == ("hello Ada, hello Ada",)
    assert told["actions"] == [("a0", "succeeded")]
    assert told["action"] == "failed"
    assert told["attempts"] == 1
    with pytest.raises(RuntimeUserError) as caught:
        bad.raise_for_status()
    assert told["error"] == ("RuntimeUserError", caught.value.code, caught.value.message)
    assert told["failure"] == "no such file"


def test_its_lists_can_be_narrowed(client: Client, official: Script) -> None:
    good = launched(client, "greetings.hello", name="Grace")
    bad = launched(client, "greetings.broken", text="x")

    told = official(
        """
        from flyte.remote import TimeFilter
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        told["failed"] = {run.phase.value for run in Run.listall(in_phase=("failed",))}
        told["ended"] = {run.phase.value for run in Run.listall(in_phase=("failed", "succeeded"))}
        of_task = Run.listall(task_name="greetings.hello", task_version="v1")
        told["of a task"] = {run.action.task_name for run in of_task}
        told["limited"] = [run.name for run in Run.listall(limit=1, sort_by=("created_at", "desc"))]
        told["to come"] = [run.name for run in Run.listall(created_at=TimeFilter(after=soon))]
        """
    )

    assert told == {
        "failed": {"failed"},
        "ended": {"failed", "succeeded"},
        "of a task": {"greetings.hello"},
        "limited": [bad.name],
        "to come": [],
    }
    assert good.name != bad.name


def test_it_finds_our_tasks(client: Client, official: Script) -> None:
    told = official(
        """
        told["listed"] = {(task.name, task.version) for task in Task.listall()}
        told["named"] = [task.version for task in Task.listall(by_task_name="greetings.hello")]
        pinned = Task.get("greetings.hello", version="v1").fetch()
        told["pinned"] = pinned.name, pinned.version, tuple(pinned.required_args), tuple(pinned.default_input_args)
        told["latest"] = Task.get("greetings.hello", auto_version="latest").fetch().version
        told["interface"] = str(pinned.interface)
        try:
            Task.get("greetings.none", version="v1").fetch()
        except Exception as error:
            told["error"] = type(error).__name__
        told["projects"] = [project.pb2.id for project in Project.listall()]
        """
    )

    task = client.tasks.get("greetings.hello", version="v1").fetch()
    assert told["listed"] >= {("greetings.hello", "v2"), ("greetings.broken", "v1"), ("values.all", "v1")}
    assert sorted(told["named"]) in (["v1", "v2"], ["v2"])
    assert told["pinned"] == (task.name, task.version, task.required_args, task.default_input_args)
    assert told["latest"] == "v2"
    assert told["interface"].startswith("(name: str, times: int = ...) -> o0: str")
    assert told["error"] == "RemoteTaskNotFoundError"
    assert told["projects"] == [PROJECT]


VALUES = {
    "i": 2**53 + 1,
    "f": 0.5,
    "s": 'é\n"',
    "b": True,
    "when": datetime.datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    # A LiteralType does not tell a date from a datetime: the official SDK takes and both read only the latter.
    "day": datetime.datetime(2024, 2, 29, tzinfo=UTC),
    "long": datetime.timedelta(days=1, microseconds=5),
    "nothing": None,
    "items": [1, -2],
    "deep": [{"a": [1.0, 2.5]}, {}],
    "table": {"k": "v", "": ""},
    "maybe": 3,
    "absent": None,
    "number": 7,
    "word": "seven",
    # Nor does it have the class of an enum: names go over the wire, and an enum of its own making comes back.
    "color": "RED",
    "size": "small",
}
READ = """
import enum

def plain(value):
    return value.value if isinstance(value, enum.Enum) else value

run = ended(name)
told["inputs"] = {key: plain(value) for key, value in run.inputs().items()}
told["outputs"] = [plain(value) for value in run.outputs()]
told["literals"] = run.inputs().pb2.SerializeToString(deterministic=True)
"""


def plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def test_it_reads_every_value_of_ours(client: Client, official: Script) -> None:
    run = launched(client, "values.all", **{**VALUES, "day": datetime.date(2024, 2, 29)})
    run.raise_for_status()

    told = official("name = sys.argv[2]" + READ, run.name)

    assert told["inputs"] == VALUES
    # It takes outputs in the interface's order, which is that of text: o0, o1, o10, o11, ..., o2.
    returned = {f"o{nth}": value for nth, value in enumerate(VALUES.values())}
    assert told["outputs"] == [returned[name] for name in sorted(returned)]


def test_we_read_every_value_of_its(client: Client, official: Script) -> None:
    script = f"name = flyte.run(Task.get('values.all', version='v1'), **{VALUES!r}).name" + READ + "told['name'] = name"

    told = official(script)

    run = client.runs.get(told["name"])
    assert {name: plain(value) for name, value in run.inputs().items()} == VALUES == told["inputs"]
    assert list(map(plain, run.outputs())) == list(VALUES.values())
    same = launched(client, "values.all", **VALUES)
    assert same.inputs().pb2.SerializeToString(deterministic=True) == told["literals"]


def test_options_of_a_launch_mean_the_same(client: Client, official: Script) -> None:
    options: dict[str, Any] = {
        "labels": {"team": "ml"},
        "annotations": {"note": "x"},
        "env_vars": {"A": "1"},
        "interruptible": False,
        "overwrite_cache": True,
        "queue": "q",
        "service_account": "sa",
        "max_action_concurrency": 4,
        "raw_data_path": "s3://bucket/raw",
        "cache_lookup_scope": "project-domain",
        "custom_context": {"c": "1"},
    }

    told = official(
        f"""
        run = flyte.with_runcontext(name="compat-theirs", **{options!r}).run(
            Task.get("greetings.hello", auto_version="latest"), name="Ada"
        )
        told["run"] = run.name, run.url
        ended(run.name)
        """
    )
    ours = client.with_runcontext(name="compat-ours", **options).run(
        client.tasks.get("greetings.hello", auto_version="latest"), name="Ada"
    )
    ours.wait(timeout=60)

    theirs = client.runs.get("compat-theirs")
    assert told["run"] == (theirs.name, theirs.url)
    specs = [run.details().pb2.run_spec for run in (ours, theirs)]
    for spec in specs:
        spec.ClearField("run_start_time")
    assert specs[0] == specs[1]
    assert ours.inputs().pb2 == theirs.inputs().pb2
    assert ours.outputs() == theirs.outputs() == ("hello again Ada",)


def test_each_aborts_the_runs_of_the_other(client: Client, official: Script) -> None:
    ours = client.run(client.tasks.get("greetings.sleep", version="v1"), seconds=60.0)

    told = official(
        """
        Run.get(sys.argv[2]).abort(reason="theirs")
        told["name"] = flyte.run(Task.get("greetings.sleep", version="v1"), seconds=60.0).name
        """,
        ours.name,
    )

    ours.wait(timeout=10)
    with pytest.raises(ActionAbortedError, match="theirs"):
        ours.raise_for_status()
    theirs = client.runs.get(told["name"])
    theirs.abort(reason="ours")
    told = official(
        """
        try:
            ended(sys.argv[2]).raise_for_status()
        except Exception as error:
            told["error"] = type(error).__name__, str(error)
        """,
        theirs.name,
    )
    assert told["error"][0] == "ActionAbortedError"
    assert told["error"][1].endswith("ours")


def test_it_waits_for_its_runs(box: Devbox, official: Script) -> None:
    box.calls.clear()
    told = official(
        """
        began = time.monotonic()
        run = flyte.run(Task.get("greetings.hello", version="v1"), name="Ada")
        run.wait(quiet=True)
        told["good"] = run.phase.value, tuple(run.outputs())
        bad = flyte.run(Task.get("greetings.broken", version="v1"), text="no such file")
        bad.wait(quiet=True)
        told["bad"] = bad.phase.value
        told["seconds"] = time.monotonic() - began
        """
    )

    assert told["good"] == ("succeeded", ("hello Ada",))
    assert told["bad"] == "failed"
    assert told["seconds"] < 20
    # As it does with the real server: the stream ends before the run's status does, and then it is opened once more.
    assert [rpc for rpc, _ in itertools.groupby(call.rpc for call in box.calls)][:8] == [
        "TaskService/GetTaskDetails",
        "ClusterService/SelectCluster",
        "DataProxyService/UploadInputs",
        "RunService/CreateRun",
        "RunService/WatchActionDetails",
        "RunService/GetRunDetails",
        "ClusterService/SelectCluster",
        "DataProxyService/GetActionData",
    ]
    for stream in box.calls.of("RunService/WatchActionDetails"):
        assert stream.headers["connect-content-encoding"] == "gzip"
        assert (stream.code, stream.dropped) == (None, False)


def test_it_reads_what_tasks_have_called(client: Client, official: Script) -> None:
    parent = client.tasks.get("family.parent", version="v1")
    good, bad = client.run(parent, n=3), client.run(parent, n=-3)
    good.wait()
    bad.wait()

    told = official(
        """
        import asyncio
        good, bad = sys.argv[2:]
        Run.get(good).wait(quiet=True)
        actions = sorted(Action.listall(for_run_name=good), key=lambda action: action.start_time)
        told["actions"] = [(action.parent_name, action.pb2.metadata.group, action.phase.value) for action in actions]
        details = [ActionDetails.get(run_name=good, name=action.name) for action in actions]
        told["names"] = [each.task_name for each in details]
        told["attempts"] = [each.attempts for each in details]

        async def data():
            return [(dict(await each.inputs()), tuple(await each.outputs())) for each in details]

        told["data"] = asyncio.run(data())
        failure = Run.get(bad).first_failure()
        told["failure"] = failure.action_id.name, failure.error_info.message
        try:
            Run.get(bad).raise_for_status()
        except Exception as error:
            told["error"] = type(error).__name__, error.code, str(error)
        """,
        good.name,
        bad.name,
    )

    group_of_two = ("a0", "pair", "succeeded")
    assert told["actions"] == [(None, "", "succeeded"), group_of_two, group_of_two, ("a0", "", "succeeded")]
    assert told["names"][:3] == ["family.parent", "family.child", "family.child"]
    assert told["attempts"] == [1, 1, 1, 1]
    assert told["data"] == [({"n": 3}, (23,)), ({"n": 3}, (6,)), ({"n": 4}, (8,)), ({"n": 3}, (9,))]
    assert told["failure"][1] == "negative: -3"
    assert told["error"] == ("RuntimeUserError", "ValueError", "negative: -3")
    failed = bad.first_failure()
    assert failed is not None
    assert told["failure"][0] == failed.name != "a0"


def test_it_tails_the_logs_of_its_runs(official: Script) -> None:
    told = official(
        """
        import contextlib, io
        run = flyte.run(Task.get("greetings.chatty", version="v1"))
        run.wait(quiet=True)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            run.show_logs(raw=True)
        told["printed"] = printed.getvalue()
        """
    )

    assert [line.strip() for line in told["printed"].split("|") if line.strip()] == ["line 0", "line 1", "line 2"]


def test_it_follows_the_log_of_a_run_and_reads_its_report(official: Script) -> None:
    told = official(
        """
        run = flyte.run(Task.get("greetings.slowly", version="v1"), name="Ada")
        told["lines"] = [line.strip() for line in run.get_logs()]
        run.wait(quiet=True)
        told["again"] = [line.strip() for line in run.get_logs(attempt=1)]
        told["report"] = run.get_report()
        try:
            run.get_report(attempt=2)
        except Exception as error:
            told["no report"] = str(error)
        """
    )

    assert told["lines"] == told["again"] == [f"line {number}|" for number in range(5)]
    assert "<p>greeting Ada</p>" in told["report"]
    assert told["no report"].startswith("attempt 2 not found for action [")


def test_it_recovers_runs(client: Client, official: Script) -> None:
    name = launched(client, "greetings.slowly", name="Ada").name

    told = official(
        """
        ended(sys.argv[2])
        for what, options in {
            "recovered": {"recover": True},
            "forced": {"recover": True, "force_rerun_actions": ["a0"]},
            "run again": {},
        }.items():
            run = flyte.rerun(sys.argv[2], **options)
            run.wait(quiet=True)
            details = RunDetails.get(run.name)
            relation = details.pb2.run_spec.relation
            told[what] = (str(details.pb2.action.status.phase), relation.related_to.name, relation.relation_type,
                run.outputs()[0])
        """,
        name,
    )

    assert told == {
        "recovered": ("10", name, 2, "Ada"),
        "forced": ("5", name, 2, "Ada"),
        "run again": ("5", name, 1, "Ada"),
    }


def test_it_understands_the_errors_of_the_devbox(client: Client, official: Script) -> None:
    name = launched(client, "greetings.hello", name="Ada").name

    told = official(
        """
        task = Task.get("greetings.hello", version="v1")
        for what, act in {
            "no such run": lambda: Run.get("none"),
            "no such project": lambda: flyte.with_runcontext(project="none").run(task, name="Ada"),
            "no name": lambda: flyte.with_runcontext(name="No Name").run(task, name="Ada"),
            "who": lambda: flyte.remote.User.get(),
            "no such list": lambda: list(Run.listall(with_labels={"team": "ml"})),
        }.items():
            try:
                told[what] = act()
            except Exception as error:
                told[what] = type(error).__name__, getattr(error.code, "value", error.code)
        # Flyte itself answers a name that is taken with the run that has it; only the hosted service refuses.
        told["taken"] = flyte.with_runcontext(name=sys.argv[2]).run(task, name="Grace").name
        """,
        name,
    )

    assert told == {
        "no such run": ("ConnectError", "not_found"),
        "no such project": ("RuntimeSystemError", "RunCreationError"),
        "no name": ("RuntimeUserError", "InvalidArgumentError"),
        "who": ("ConnectError", "unauthenticated"),
        "no such list": ("ConnectError", "invalid_argument"),
        "taken": name,
    }
    assert client.runs.get(name).inputs()["name"] == "Ada"


SCRIPT = """
import time
import {module} as flyte

flyte.init(endpoint=sys.argv[1], insecure=True, project="flytesnacks", domain="development")
task = flyte.remote.Task.get("greetings.hello", auto_version="latest")
run = flyte.with_runcontext(labels={{"team": "ml"}}, env_vars={{"A": "1"}}).run(task, name="Ada", times=3)
while not flyte.remote.Run.get(run.name).done():
    time.sleep(0.05)
run = flyte.remote.Run.get(run.name)
run.raise_for_status()
told["phase"], told["value"] = run.phase.value, str(run.phase == "succeeded")
told["inputs"], told["outputs"] = dict(run.inputs()), tuple(run.outputs())
told["o0"] = run.outputs().named_outputs["o0"]
told["task"], told["action"] = run.details().task_name, run.action.name
bad = flyte.run(flyte.remote.Task.get("greetings.broken", version="v1"), text="no such file")
while not flyte.remote.Run.get(bad.name).done():
    time.sleep(0.05)
try:
    flyte.remote.Run.get(bad.name).raise_for_status()
except flyte.errors.RuntimeUserError as error:
    told["error"] = error.code, str(error)
"""


def test_a_script_changes_one_line(official: Script) -> None:
    theirs, ours = (official(SCRIPT.format(module=module)) for module in ("flyte", "flyte_lite"))

    assert ours == theirs
    assert ours["outputs"] == ("hello again Ada, hello again Ada, hello again Ada",)
    assert ours["error"] == ("FileNotFoundError", "no such file")


def test_it_gives_and_reads_what_has_fields(client: Client, official: Script) -> None:
    """Its own classes are made of the types that we deploy, and its literals reach the task."""
    told = official(
        """
        from flyte.io import Dir
        run = flyte.run(
            Task.get("values.rich", version="v1"),
            config={"name": "net", "layers": [{"size": 3, "color": "green"}], "when": "2026-01-02T03:04:05Z"},
            pair={"left": 1, "right": "r"}, both={"item_0": 2, "item_1": "GREEN"},
            untyped={"a": [1, None]}, raw=b"\\x00", folder=Dir(path="s3://b/d"),
        )
        run = ended(run.name)
        config, pair, both, untyped, raw, folder = run.outputs()
        told = {
            "run": run.name, "name": config.name, "layer": config.layers[0],
            "pair": pair.left, "both": both.item_0, "untyped": untyped, "raw": raw, "folder": folder.path,
        }
        """
    )

    run = client.runs.get(told.pop("run"))
    assert told == {
        "name": "NET",
        # It makes classes of its own for a field, but not for the elements of a list.
        "layer": {"size": 3, "color": "green"},
        "pair": 1,
        "both": 2,
        "untyped": {"a": [1, None]},
        "raw": b"\x00",
        "folder": "s3://b/d",
    }
    made = run.typed_outputs({"o0": Config, "o1": Pair, "o2": tuple[int, Color], "o4": bytes, "o5": Dir})
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert made == {
        "o0": Config("NET", [Layer(3, Color.GREEN)], when=when),
        "o1": Pair(1, "r"),
        "o2": (2, Color.GREEN),
        "o4": b"\x00",
        "o5": Dir("s3://b/d"),
    }
    assert run.typed_inputs({"config": Config})["config"].name == "net"
