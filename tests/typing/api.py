"""Never executed: what a user's type checker must know. mypy and pyright both read it."""

from __future__ import annotations

import datetime
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Optional

from typing_extensions import assert_type

import flyte_lite as flyte
from flyte_lite import Cancel, Client, DryRun, RunContext, errors
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.common import run_pb2 as common_run_pb2
from flyte_lite.idl.flyteidl2.core import literals_pb2
from flyte_lite.idl.flyteidl2.task import run_pb2, task_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.io import DataFrame, Dir, File
from flyte_lite.models import ActionPhase, CodeBundle, NativeInterface, PhaseTransitionInfo
from flyte_lite.remote import (
    Action,
    ActionDetails,
    ActionInputs,
    ActionOutputs,
    LazyEntity,
    Run,
    RunDetails,
    Task,
    TaskDetails,
    TimeFilter,
)


def front() -> None:
    client = flyte.init(endpoint="h", project="p", domain="d", org="o", insecure=True, timeout=None)
    assert_type(client, Client)
    assert_type(flyte.__version__, str)
    with Client("h", ca_cert_file_path="ca.pem", cancel=Cancel()) as other:
        assert_type(other, Client)
        assert_type(other.endpoint, str)
        assert_type(other.scoped(project="p2", timeout=5.0, cancel=Cancel()), Client)
        assert_type(other.runs, type[Run])
        assert_type(other.tasks, type[Task])
        assert_type(other.actions, type[Action])
        assert_type(other.runs.get("r1"), Run)
        assert_type(other.with_runcontext(name="r", labels={"a": "b"}), RunContext)


def settings() -> None:
    found = flyte.config.auto("config.yaml")
    assert_type(found, flyte.config.Config)
    assert_type(found.explain(), str)
    assert_type(found.settings(), tuple[flyte.config.Setting, ...])
    assert_type(found.platform.replace(endpoint="h"), flyte.config.PlatformConfig)
    assert_type(found.with_params(task=flyte.config.TaskConfig(project="p")), flyte.config.Config)
    assert_type(Client.from_config(found, project="p"), Client)
    assert_type(Client("h", config=Path("config.yaml")).config, flyte.config.Config)
    assert_type(flyte.init_from_config(Path("config.yaml"), project="p"), Client)
    assert_type(flyte.init_from_config(found), Client)
    assert_type(flyte.init_from_api_key("key"), Client)
    assert_type(flyte.init_passthrough("h"), dict[str, Any])
    assert_type(flyte.init_in_cluster(), dict[str, Any])


def channels() -> None:
    options = [("grpc.max_receive_message_length", 1000)]
    with flyte.remote.create_channel(
        "h", client_id="c", client_secret=lambda: "s", scopes=["a"], grpc_options=options, rpc_retries=1
    ) as channel:
        assert_type(Client(channel=channel, project="p"), Client)
        assert_type(flyte.init(channel=channel), Client)
    with flyte.remote.auth_metadata(("authorization", "Bearer x")):
        flyte.remote.Run.get("r1")


class Vault:
    """A store of a user's, who need not derive it from anything."""

    def get(self, service: str, name: str) -> Optional[str]:
        return None

    def set(self, service: str, name: str, value: str) -> None: ...

    def delete(self, service: str, name: str) -> None: ...


def token_stores() -> None:
    store: flyte.TokenStore = Vault()
    assert_type(Client("h", token_store=store), Client)
    assert_type(flyte.init(endpoint="h", token_store=Path("tokens")), Client)
    with flyte.remote.create_channel("h", token_store="keyring") as channel:
        assert_type(Client(channel=channel), Client)


def launching() -> None:
    task = flyte.remote.Task.get("a.b", auto_version="latest")
    assert_type(task, LazyEntity)
    assert_type(task.fetch(), TaskDetails)
    assert_type(flyte.run(task, 1, name="Ada"), Run)
    context = flyte.with_runcontext(name="r", labels={"a": "b"}, idempotency_key=None)
    assert_type(context, RunContext)
    assert_type(context.run(task, mode="an input may be called mode"), Run)
    assert_type(flyte.rerun("r1", recover=True, force_rerun_actions=["a1"], x=1), Run)
    assert_type(context.rerun(flyte.remote.Run.get("r1"), "a1"), Run)
    dry = flyte.with_runcontext(dry_run=True).run(task)
    if isinstance(dry, DryRun):
        assert_type(dry.task_spec, task_definition_pb2.TaskSpec)
        assert_type(dry.run_spec, run_pb2.RunSpec)
    hook = flyte.notify.Slack(on_phase=(ActionPhase.FAILED, "aborted"), webhook_url="https://h", message="m")
    flyte.with_runcontext("remote", notifications=(hook, flyte.notify.Email("failed", "a@b.c")), copy_style="none")
    flyte.with_runcontext(notifications=flyte.notify.NamedRule("oncall"))


def changing_tasks() -> None:
    task = flyte.remote.Task.get("a.b", version="v1")
    assert_type(task.override(retries=3), LazyEntity)
    changed = task.fetch().override(
        resources=flyte.Resources(cpu=(1, 2), memory="1Gi", gpu=flyte.GPU("A100", 2)),
        retries=flyte.RetryStrategy(2, flyte.Backoff(datetime.timedelta(seconds=1))),
        timeout=flyte.Timeout(max_runtime=60),
        secrets=["a", flyte.Secret("b", as_env_var="B")],
        cache=flyte.Cache("override", version_override="v1"),
        env_vars={"A": "1"},
    )
    assert_type(changed, TaskDetails)
    assert_type(changed.cache, flyte.Cache)
    assert_type(changed.secrets, list[str])
    assert_type(changed.queue, Optional[str])


def scope() -> None:
    assert_type(flyte.current_project(), str)
    assert_type(flyte.current_domain(), str)
    assert_type(flyte.is_control_plane_available(), bool)
    assert_type(flyte.version(), str)


def reading(run: Run) -> None:
    assert_type(run.name, str)
    assert_type(run.phase, ActionPhase)
    assert_type(run.phase.is_terminal, bool)
    assert_type(run.done(), bool)
    assert_type(run.sync(), Run)
    run.wait(quiet=True, wait_for="running", timeout=5)
    run.wait(wait_for="logs-ready", interval=1, patience=600)
    run.action.wait(timeout=5)
    assert_type(list(run.watch(True, timeout=5)), list[ActionDetails])
    assert_type(list(run.action.watch(wait_for="running")), list[ActionDetails])
    assert_type(list(ActionDetails.watch(run.action.action_id)), list[ActionDetails])
    assert_type(flyte.wait_all([run, run.name], timeout=5), list[Run])
    assert_type([each.name for each in flyte.as_completed([run])], list[str])
    assert_type(run.get_debug_url(timeout=5), Optional[str])
    assert_type(run.get_logs(1, filter_system=True, timeout=5), Generator[str, None, None])
    assert_type([line.strip() for line in run.action.get_logs(show_ts=True)], list[str])
    run.show_logs(max_lines=5, raw=True)
    assert_type(run.get_report(attempt=1), str)
    assert_type(run.code_bundle(), Optional[CodeBundle])
    assert_type(run.action.download_code("code", extract=False), Path)
    assert_type(run.inputs(), ActionInputs)
    assert_type(run.outputs(), ActionOutputs)
    assert_type(run.outputs()[0], Any)
    assert_type(run.outputs()[:1], tuple[Any, ...])
    assert_type(run.details(), RunDetails)
    assert_type(run.details().action_details, ActionDetails)
    assert_type(run.action, Action)
    assert_type(run.created, Optional[bool])
    assert_type(run.pb2, run_definition_pb2.Run)
    assert_type(run.action.action_id, identifier_pb2.ActionIdentifier)
    run.abort("enough")
    run.raise_for_status()


def listing(client: Client) -> None:
    since = TimeFilter(after=datetime.datetime.now(datetime.timezone.utc))
    assert_type(client.runs.listall(), Iterator[Run])
    assert_type(next(Run.listall("failed", limit=None, sort_by=("created_at", "desc"), created_at=since)), Run)
    Run.listall(in_phase=(ActionPhase.FAILED, "aborted"), with_labels={"a": "b"}, with_label_keys=["c"])
    assert_type(client.actions.listall("r1", in_phase=["failed"], parent_name="a0"), Iterator[Action])
    assert_type(client.tasks.listall(by_task_env="env", entrypoint=True), Iterator[Task])
    assert_type(next(client.tasks.listall()).url, str)
    assert_type(Run.get("r1").first_failure(), Optional[ActionDetails])
    assert_type(Action.get(run_name="r1").relation, Optional[common_run_pb2.Relation])
    assert_type(since.after, Optional[datetime.datetime])


def timing(details: ActionDetails) -> None:
    assert_type(details.runtime, datetime.timedelta)
    assert_type(details.queued_time, Optional[datetime.timedelta])
    assert_type(details.phase_durations, dict[ActionPhase, datetime.timedelta])
    (step,) = details.get_phase_transitions(1)
    assert_type(step, PhaseTransitionInfo)
    assert_type(step.end_time, Optional[datetime.datetime])
    assert_type(step.duration, datetime.timedelta)
    assert_type(details.logs_available(), bool)


def failing() -> None:
    try:
        flyte.remote.Run.get("r1")
    except errors.NotFoundError as error:
        assert_type(error.code, errors.Code)
        assert_type(error.message, str)
        assert_type(error.attempts, int)
        assert_type(error.elapsed, float)
    except errors.WaitTimeoutError as error:
        assert_type(error.phase, Optional[str])


def references() -> None:
    file: File[str] = File("s3://b/f.csv", name="f", format="csv", hash=None)
    assert_type(file.path, str)
    assert_type(file.hash, Optional[str])
    assert_type(Dir[bytes]("s3://b/d").is_empty, bool)
    frame = DataFrame("s3://b/t", format="parquet", columns={"age": "int"})
    assert_type(frame.uri, Optional[str])
    assert_type(frame.columns, dict[str, str])


def values(run: Run, task: TaskDetails) -> None:
    assert_type(run.input_literals(), dict[str, literals_pb2.Literal])
    assert_type(run.output_literals(), dict[str, literals_pb2.Literal])
    made = {int: lambda plain: plain["a"]}
    assert_type(run.typed_inputs({"x": int, "y": Optional[str]}), dict[str, Any])
    assert_type(run.details().typed_outputs({"o0": int}, deserializers=made, pickles=("o0",)), dict[str, Any])
    assert_type(run.outputs().named_outputs, dict[str, Any])
    assert_type(task.interface, NativeInterface)
    assert_type(task.interface.get_input_types(), dict[str, Any])
    assert_type(task.json_schema, dict[str, Any])


def union_scripts() -> None:
    client = flyte.union.init(endpoint="h", project="p", domain="d")
    assert_type(client, Client)
    task = flyte.union.remote.Task.get(name="a.b")
    assert_type(task, flyte.union.remote.Task)
    assert_type(flyte.run(task, x=1), Run)
    run = flyte.union.with_runcontext(name="r", labels={"a": "b"}).run(task, x=1)
    assert_type(run, flyte.union.remote.Run)
    assert_type(run.wait(timeout=datetime.timedelta(seconds=1), poll_interval=2), flyte.union.remote.Run)
    assert_type(run.exception(), Optional[errors.BaseRuntimeError])
    assert_type(run.finished_at, Optional[datetime.datetime])
    assert_type(run.is_running, bool)
