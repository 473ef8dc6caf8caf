"""Launching deployed tasks: values to inputs, options to a run specification, one CreateRun that is safe to repeat."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional, Union

from flyte_lite import _session
from flyte_lite._clock import Deadline
from flyte_lite._literals.content_hash import content_hash
from flyte_lite._literals.misfit import show
from flyte_lite._rpc.method import Method
from flyte_lite._session import Route, Session
from flyte_lite.errors import (
    AlreadyExistsError,
    CallError,
    CallTimeoutError,
    CanceledError,
    Code,
    NotFoundError,
    OptionError,
    RemoteTaskUsageError,
    TransportError,
)
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, run_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote._action_details import summary
from flyte_lite.remote._inputs import to_inputs
from flyte_lite.remote._run import Run
from flyte_lite.remote._run_details import get_details
from flyte_lite.remote._task_details import LazyEntity, TaskDetails, settled

_UPLOAD_INPUTS: Method[dataproxy_service_pb2.UploadInputsRequest, dataproxy_service_pb2.UploadInputsResponse] = Method(
    # The same inputs are stored under the same name.
    dataproxy_service_pb2,
    "DataProxyService",
    "UploadInputs",
    safe=True,
)
_CREATE_RUN: Method[run_service_pb2.CreateRunRequest, run_service_pb2.CreateRunResponse] = Method(
    run_service_pb2, "RunService", "CreateRun"
)
_OPERATION_UPLOAD_INPUTS = 2

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST_NAME = 30
# The server's own alphabet for names: no vowels, so no words; no 0, 1, 3, so nothing to misread.
_NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"

_TEXTS = (
    "name",
    "idempotency_key",
    "project",
    "domain",
    "service_account",
    "queue",
    "raw_data_path",
    "run_base_dir",
    "log_format",
)
_FLAGS = ("interruptible", "overwrite_cache", "reset_root_logger", "debug")
_CACHE_SCOPES = {"global": 1, "project-domain": 2}

Deployed = Union[LazyEntity, TaskDetails]


@dataclasses.dataclass(frozen=True)
class RunContext:
    """Options of a launch; see `with_runcontext`."""

    session: Optional[Session]
    name: Optional[str] = None
    idempotency_key: Optional[str] = None
    project: Optional[str] = None
    domain: Optional[str] = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    env_vars: Mapping[str, str] = dataclasses.field(default_factory=dict)
    interruptible: Optional[bool] = None
    overwrite_cache: bool = False
    cache_lookup_scope: str = "global"
    service_account: Optional[str] = None
    queue: Optional[str] = None
    raw_data_path: Optional[str] = None
    run_base_dir: Optional[str] = None
    max_action_concurrency: Optional[int] = None
    custom_context: Mapping[str, str] = dataclasses.field(default_factory=dict)
    log_level: Optional[int] = None
    log_format: str = "console"
    user_log_level: Optional[int] = None
    reset_root_logger: bool = False
    debug: bool = False

    def over(self, session: Session) -> RunContext:
        """The same options for a launch through another session."""
        return dataclasses.replace(self, session=session)

    def run(self, task: Deployed, /, *args: Any, **inputs: Any) -> Run:
        """Launch a deployed task and return at once; see `flyte_lite.run`."""
        if not isinstance(task, (LazyEntity, TaskDetails)):
            raise RemoteTaskUsageError(
                f"run takes a deployed task, Task.get(name, version=...), not {type(task).__name__}; "
                "flyte_lite deploys and runs no local code"
            )
        session = self.session or _session.current("run")
        self._check()
        deadline = session.deadline()
        place = session.scope.project_id(self.project, self.domain)
        details = settled(task, deadline)
        inputs_pb2 = to_inputs(details, args, inputs, self.custom_context)
        name = self.name or (
            _keyed_name(self.idempotency_key, place, details.name) if self.idempotency_key else _new_name()
        )
        run_id = identifier_pb2.RunIdentifier(
            org=place.organization, project=place.name, domain=place.domain, name=name
        )
        if self.idempotency_key:
            try:
                return _existing(session, run_id, deadline, created=False)
            except NotFoundError:
                pass
        request = run_service_pb2.CreateRunRequest(run_id=run_id, task_id=details.pb2.task_id, run_spec=self._spec())
        ignored = details.pb2.spec.task_template.metadata.cache_ignore_input_vars
        self._add_inputs(session, request, inputs_pb2, ignored, deadline)
        return self._create(session, request, deadline)

    def _create(self, session: Session, request: run_service_pb2.CreateRunRequest, deadline: Deadline) -> Run:
        try:
            # The name is ours, so this request twice is this request once.
            reply = session.reply(_CREATE_RUN, request, deadline=deadline, repeatable=True)
        except AlreadyExistsError as error:
            if self.name is not None:
                raise
            # A name from the dice is only taken if our own first try took it.
            created = True if self.idempotency_key is None else None if error.attempts > 1 else False
            return _existing(session, request.run_id, deadline, created=created)
        except (TransportError, CallTimeoutError, CanceledError) as error:
            if error.sent:
                # The name was made here, so nobody else can tell how to find it.
                error.message += f"; the run may have been made all the same, as {request.run_id.name}"
            raise
        # Some servers answer a taken name with the run that has it, so for a name from outside only a key's
        # question beforehand tells.
        created = None if self.name is not None or (self.idempotency_key and reply.attempts > 1) else True
        return Run(reply.message.run, session, created=created)

    def _add_inputs(
        self,
        session: Session,
        request: run_service_pb2.CreateRunRequest,
        inputs: common_pb2.Inputs,
        ignored: Sequence[str],
        deadline: Deadline,
    ) -> None:
        upload = dataproxy_service_pb2.UploadInputsRequest(
            run_id=request.run_id, task_id=request.task_id, inputs=inputs, base_dir=self.run_base_dir or ""
        )
        route = Route(_OPERATION_UPLOAD_INPUTS, request.run_id.project, request.run_id.domain)
        try:
            stored = session.call(_UPLOAD_INPUTS, upload, deadline=deadline, route=route)
        except CallError as error:
            if error.code is not Code.UNIMPLEMENTED:
                raise
            # A server from before UploadInputs takes them along.
            request.inputs.CopyFrom(inputs)
        else:
            request.offloaded_input_data.CopyFrom(stored.offloaded_input_data)
            # The server hashes addresses; inputs that say what their content is are known by that wherever they are.
            hashed = content_hash(inputs, ignored)
            if hashed is not None:
                request.offloaded_input_data.inputs_hash = hashed

    def _check(self) -> None:
        for option in _TEXTS:
            text = getattr(self, option)
            if text is not None and not _is_text(text):
                raise OptionError(f"{option} is {show(text)}; give a text")
        for option in _FLAGS:
            if getattr(self, option) not in (True, False, None):
                raise OptionError(f"{option} is {show(getattr(self, option))}; give True or False")
        if not isinstance(self.max_action_concurrency, (int, type(None))):
            raise OptionError(f"max_action_concurrency is {show(self.max_action_concurrency)}; give an int")
        if self.name is not None and self.idempotency_key is not None:
            raise OptionError("give name= or idempotency_key=, not both: the key makes the name")
        if self.name is not None and (len(self.name) > _LONGEST_NAME or not _NAME.fullmatch(self.name)):
            raise OptionError(
                f"run name {self.name[:60]!r} ({len(self.name)} characters) is not one: it needs 1 to {_LONGEST_NAME} "
                "lower-case letters, digits and dashes, a letter first and no dash last"
            )
        if self.idempotency_key is not None and not self.idempotency_key:
            raise OptionError("idempotency_key is empty; give a text that is the same for each try of the same launch")
        if self.cache_lookup_scope not in _CACHE_SCOPES:
            raise OptionError(
                f"cache_lookup_scope is {self.cache_lookup_scope!r}; it is one of {', '.join(_CACHE_SCOPES)}"
            )
        if self.max_action_concurrency == 1 or (self.max_action_concurrency or 0) < 0:
            raise OptionError("max_action_concurrency counts parents too, so it must be 2 or more; None sets no limit")
        for option in ("labels", "annotations", "env_vars", "custom_context"):
            pairs = getattr(self, option)
            if not isinstance(pairs, Mapping):
                raise OptionError(f"{option} is {show(pairs)}; give a dict of texts")
            for key, value in pairs.items():
                if not _is_text(key) or not _is_text(value):
                    raise OptionError(f"{option}[{key!r}] is {show(value)}; names and values are text")

    def _spec(self) -> run_pb2.RunSpec:
        """The run specification, with the variables that the official runtime takes its logging from."""
        envs = dict(self.env_vars)
        envs.setdefault("LOG_LEVEL", str(30 if self.log_level is None else self.log_level))
        envs.setdefault("LOG_FORMAT", self.log_format)
        envs.setdefault("USER_LOG_LEVEL", str(20 if self.user_log_level is None else self.user_log_level))
        if self.reset_root_logger:
            envs.setdefault("FLYTE_RESET_ROOT_LOGGER", "1")
        if self.debug:
            envs.setdefault("_F_E_VS", "1")
        spec = run_pb2.RunSpec(
            labels=run_pb2.Labels(values=dict(self.labels)),
            annotations=run_pb2.Annotations(values=dict(self.annotations)),
            overwrite_cache=self.overwrite_cache,
            queue=self.queue or "",
            run_base_dir=self.run_base_dir or "",
            max_action_concurrency=self.max_action_concurrency or 0,
        )
        spec.cache_config.overwrite_cache = self.overwrite_cache
        spec.cache_config.cache_lookup_scope = _CACHE_SCOPES[self.cache_lookup_scope]  # type: ignore[assignment]
        for key, value in envs.items():
            spec.envs.values.add(key=key, value=value)
        if self.interruptible is not None:
            spec.interruptible.value = self.interruptible
        if self.raw_data_path is not None:
            spec.raw_data_storage.raw_data_prefix = self.raw_data_path
        if self.service_account is not None:
            spec.security_context.run_as.k8s_service_account = self.service_account
        return spec


def run(task: Deployed, /, *args: Any, **inputs: Any) -> Run:
    """Launch a deployed task and return at once.

    Every keyword is an input of the task; options are on `with_runcontext`. Unknown, missing and mistyped inputs are
    all found before anything is created. The request carries a name made here, so a retry can't make a second run.

    Args:
        task: From `remote.Task.get`.
        *args: Inputs in the order of the task's interface. Tasks deployed by the official SDK have it sorted by name,
            whatever the function says, so names are the safer way.
        **inputs: Inputs by name.

    Returns:
        The run; `wait()` for it, then read `outputs()`.

    Raises:
        InputsError: The inputs do not fit the task; every problem is in the text.
        RemoteTaskNotFoundError: There is no such task.
        NotInitializedError: `init` was not called.
        CallError: See `flyte_lite.errors`. Where the answer to CreateRun was lost for good, the text names the run
            that may have been made.

    RPC:
        flyteidl2.workflow.RunService/CreateRun, after DataProxyService/UploadInputs
    """
    return RunContext(None).run(task, *args, **inputs)


def with_runcontext(
    mode: Optional[Literal["remote"]] = None,
    *,
    name: Optional[str] = None,
    idempotency_key: Optional[str] = None,
    project: Optional[str] = None,
    domain: Optional[str] = None,
    labels: Optional[Mapping[str, str]] = None,
    annotations: Optional[Mapping[str, str]] = None,
    env_vars: Optional[Mapping[str, str]] = None,
    interruptible: Optional[bool] = None,
    overwrite_cache: bool = False,
    cache_lookup_scope: str = "global",
    service_account: Optional[str] = None,
    queue: Optional[str] = None,
    raw_data_path: Optional[str] = None,
    run_base_dir: Optional[str] = None,
    max_action_concurrency: Optional[int] = None,
    custom_context: Optional[Mapping[str, str]] = None,
    log_level: Optional[int] = None,
    log_format: str = "console",
    user_log_level: Optional[int] = None,
    reset_root_logger: bool = False,
    debug: bool = False,
) -> RunContext:
    """Options for a launch: `with_runcontext(name="nightly").run(task, x=1)`.

    Args:
        mode: Only "remote", which is the default.
        name: Of the run: 1 to 30 lower-case letters, digits and dashes; None makes one. Some servers answer a name
            that is taken with the run that has it; `Run.created` is None then.
        idempotency_key: Launches with the same key, task, project and domain are one run, however often and from
            wherever they are tried; the later ones return it with `created` False.
        project: Where the run goes; None takes the session's. The task may be of another.
        domain: Where the run goes; None takes the session's.
        labels: Of the run.
        annotations: Of its Kubernetes objects.
        env_vars: For its tasks.
        interruptible: Whether it may run on machines that can be taken away; None leaves it to the task.
        overwrite_cache: Run again what is cached.
        cache_lookup_scope: "global" or "project-domain".
        service_account: Kubernetes service account to run as.
        queue: Where to wait for resources.
        raw_data_path: Where tasks put files, such as "s3://bucket/prefix"; None leaves it to the server.
        run_base_dir: Where inputs and metadata go; None leaves it to the server.
        max_action_concurrency: Actions at a time, parents included: 2 or more; None sets no limit.
        custom_context: Text that travels with the run to all its actions.
        log_level: Of the official runtime in the tasks, as in `logging`; None is 30.
        log_format: "console" or "json".
        user_log_level: Of the tasks' own logger; None is 20.
        reset_root_logger: Whether the runtime may change the root logger.
        debug: Start the task under the server's remote debugger.

    Raises:
        OptionError: When `run` is called: an option is not what it must be.
    """
    if mode not in (None, "remote"):
        raise OptionError(f'mode is {mode!r}; flyte_lite only launches deployed tasks, so only "remote" is known')
    return RunContext(
        None,
        name=name,
        idempotency_key=idempotency_key,
        project=project,
        domain=domain,
        labels=labels or {},
        annotations=annotations or {},
        env_vars=env_vars or {},
        interruptible=interruptible,
        overwrite_cache=overwrite_cache,
        cache_lookup_scope=cache_lookup_scope,
        service_account=service_account,
        queue=queue,
        raw_data_path=raw_data_path,
        run_base_dir=run_base_dir,
        max_action_concurrency=max_action_concurrency,
        custom_context=custom_context or {},
        log_level=log_level,
        log_format=log_format,
        user_log_level=user_log_level,
        reset_root_logger=reset_root_logger,
        debug=debug,
    )


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character, as undecodable file names have
        return False
    return True


def _existing(
    session: Session, run_id: identifier_pb2.RunIdentifier, deadline: Deadline, *, created: Optional[bool]
) -> Run:
    details = get_details(session, run_id, deadline)
    return Run(run_definition_pb2.Run(action=summary(details.action)), session, created=created)


def _new_name() -> str:
    # From the system's randomness: processes that seed `random` alike must not share names.
    return "r" + "".join(secrets.choice(_NAME_LETTERS) for _ in range(19))


def _keyed_name(key: str, place: identifier_pb2.ProjectIdentifier, task: str) -> str:
    # Not of the version: a redeploy between two tries must not make a second run.
    parts = (key, place.organization, place.name, place.domain, task)
    digest = hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).digest()
    return "k" + base64.b32encode(digest).decode().lower()[: _LONGEST_NAME - 1]
