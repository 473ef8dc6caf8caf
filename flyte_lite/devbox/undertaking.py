"""One action on its way from QUEUED to its end: attempts, retries, timeout, abort, the cache.

What it tells the state is what the real executor tells the real server: an event of each phase of each attempt, and the
action's status. As there, an attempt that will be repeated stays RUNNING, and only the last one ends.
"""

from __future__ import annotations

import functools
import hashlib
import signal
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from flyte_lite.devbox.process import Job, WorkerProcess
from flyte_lite.devbox.state.actions import TERMINAL
from flyte_lite.devbox.state.logs import Line
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.core import catalog_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, run_pb2, task_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

    from flyte_lite.devbox.state import State
    from flyte_lite.devbox.state.actions import Action, ActionKey

    Phase: TypeAlias = phase_pb2.ActionPhase.ValueType
    CacheStatus: TypeAlias = catalog_pb2.CatalogCacheStatus.ValueType

# What clients are told of pods that are processes here.
NAMESPACE = "flyte"


class Failure(NamedTuple):
    """Why an attempt did not succeed.

    Attributes:
        code: In one word.
        message: In a sentence.
        user: True if it is the task's fault.
        phase: FAILED or TIMED_OUT.
    """

    code: str
    message: str
    user: bool = False
    phase: Phase = phase_pb2.ACTION_PHASE_FAILED


class Undertaking:
    """Use `of` to make one."""

    def __init__(self, state: State, action: Action, spec: bytes, run_spec: bytes) -> None:
        self.key: ActionKey = action.key
        self._state = state
        self._action = action
        self._template = task_definition_pb2.TaskSpec.FromString(spec).task_template
        self._run_spec = run_pb2.RunSpec.FromString(run_spec)
        self._attempt = action.attempts
        # Guards what `abort` and `carry_out` have in common: the three below, and who tells the end.
        self._lock = threading.Lock()
        self._process: Optional[WorkerProcess] = None
        self._aborted = False
        self._abandoned = False

    @classmethod
    def of(cls, state: State, key: ActionKey) -> Optional[Undertaking]:
        """The undertaking of an action; None if it does not exist or has no function here."""
        action = state.actions.get(key)
        if action is None:
            return None
        made = cls(state, action, *state.actions.specs(key))
        return made if state.bundles.has(made._template.metadata.code_bundle_uri) else None

    def use_cache(self) -> bool:
        """End the action with outputs that are there from before; False if there are none, or they are not wanted."""
        renew = self._run_spec.overwrite_cache or self._run_spec.cache_config.overwrite_cache
        if renew or not self._template.metadata.discoverable:
            return False
        outputs = self._state.outcomes.get(self._cache_key(self._state.objects.get(self._action.input_uri) or b""))
        if outputs is None:
            return False
        self._state.objects.put(self._uri("outputs.pb"), outputs)
        self._tell(phase_pb2.ACTION_PHASE_SUCCEEDED, "cache hit", cache_status=catalog_pb2.CACHE_HIT)
        return True

    def is_over(self) -> bool:
        """True if the action has ended, by an abort for instance."""
        action = self._state.actions.get(self.key)
        return action is None or action.phase in TERMINAL

    def tell_queued(self) -> None:
        """Say that it waits for a worker."""
        self._tell(phase_pb2.ACTION_PHASE_QUEUED, "restarting task" if self._attempt > 1 else "task submitted to K8s")

    def tell_defect(self, error: Exception) -> None:
        """Say that the devbox itself failed."""
        self._fail(Failure("DevboxError", f"the devbox could not run it: {type(error).__name__}: {error}"))

    def abort(self) -> None:
        """End it because somebody wants that; safe at any time, also long after its end."""
        with self._lock:
            self._aborted = True
            if self._process is not None:
                # Whoever runs the process tells the end, once it has ended.
                self._process.stop()
            else:
                self._tell_aborted()

    def abandon(self) -> None:
        """Kill its process, and tell the state nothing any more."""
        with self._lock:
            self._abandoned = True
            if self._process is not None:
                self._process.stop(at_once=True)

    def carry_out(self) -> None:
        """Make attempts until one succeeds or none is left."""
        while True:
            started_at = self._state.now()
            with self._lock:
                if not self._is_wanted():
                    return
                job = self._job()
                if job is None:
                    self._fail(Failure("InputsNotFound", f"nothing is stored at {self._action.input_uri}"))
                    return
                running = functools.partial(self._tell_running, started_at)
                process = self._process = WorkerProcess(job, running, self._take_lines)
            self._tell(phase_pb2.ACTION_PHASE_INITIALIZING, "[|ContainerCreating]: |")
            outcome = self._outcome(process)
            with self._lock:
                self._process = None
                if not self._is_wanted():
                    self._tell_aborted()
                    return
                if isinstance(outcome, bytes):
                    self._succeed(job, outcome, started_at)
                    return
                if self._attempt > self._template.metadata.retries.retries:
                    self._fail(outcome, started_at)
                    return
                self._attempt += 1
                self.tell_queued()

    def _is_wanted(self) -> bool:
        return not (self._aborted or self._abandoned)

    def _job(self) -> Optional[Job]:
        bundle = self._state.bundles.get(self._template.metadata.code_bundle_uri)
        inputs = self._state.objects.get(self._action.input_uri)
        if bundle is None or inputs is None:
            return None
        key = self.key
        environment = {
            **{pair.key: pair.value for pair in self._template.container.env},
            **{pair.key: pair.value for pair in self._run_spec.envs.values},
            "RUN_NAME": key.run,
            "ACTION_NAME": key.name,
            "FLYTE_INTERNAL_EXECUTION_PROJECT": key.project,
            "FLYTE_INTERNAL_EXECUTION_DOMAIN": key.domain,
            "FLYTE_ATTEMPT_NUMBER": str(self._attempt - 1),
        }
        timeout = self._template.metadata.timeout.ToNanoseconds() / 1e9 or None
        path = [bundle.folder, *sys.path] if bundle.folder else sys.path
        parts = (bundle.pickled, inputs, self._template.interface.SerializeToString())
        return Job(path, parts, environment, timeout)

    def _outcome(self, process: WorkerProcess) -> Union[bytes, Failure]:
        try:
            ending = process.run()
        except OSError as error:
            return Failure("WorkerNotStarted", f"no worker could be started: {error}")
        if ending is None:
            return Failure("WorkerNotStarted", "it was stopped before its worker started")
        if ending.timed_out:
            allowed = self._template.metadata.timeout.ToNanoseconds() / 1e9
            text = f"the attempt took longer than the {allowed:g} s that the task allows"
            return Failure("MaxRuntimeExceededError", text, True, phase_pb2.ACTION_PHASE_TIMED_OUT)
        if ending.outputs is not None:
            return ending.outputs
        if ending.error is not None:
            return Failure(ending.error["code"], ending.error["message"], True)
        if ending.status < 0:
            return Failure("WorkerDied", f"the task's process was killed by {_signal_name(-ending.status)}")
        return Failure("WorkerDied", f"the task's process ended with exit code {ending.status} and told no result")

    def _succeed(self, job: Job, outputs: bytes, started_at: int) -> None:
        self._state.objects.put(self._uri("outputs.pb"), outputs)
        status: CacheStatus = catalog_pb2.CACHE_DISABLED
        if self._template.metadata.discoverable:
            # By what it was given: what is stored there may have been overwritten since.
            self._state.outcomes.put(self._cache_key(job.parts[1]), outputs)
            status = catalog_pb2.CACHE_POPULATED
        self._tell(phase_pb2.ACTION_PHASE_SUCCEEDED, started_at=started_at, cache_status=status)

    def _fail(self, failure: Failure, started_at: Optional[int] = None) -> None:
        kind = run_definition_pb2.ErrorInfo.KIND_USER if failure.user else run_definition_pb2.ErrorInfo.KIND_SYSTEM
        # Python's texts may hold halves of characters, protobuf's may not.
        code, message = (text.encode(errors="replace").decode() for text in (failure.code, failure.message))
        error = run_definition_pb2.ErrorInfo(message=message, kind=kind, code=code)
        self._tell(failure.phase, started_at=started_at, error=error)

    def _tell_running(self, started_at: int) -> None:
        self._tell(phase_pb2.ACTION_PHASE_RUNNING, started_at=started_at)

    def _tell_aborted(self) -> None:
        self._tell(phase_pb2.ACTION_PHASE_ABORTED, "aborted")

    def _take_lines(self, lines: list[str]) -> None:
        if not self._abandoned:
            now = self._state.now()
            self._state.logs.add(self.key, self._attempt, [Line(now, line) for line in lines])

    def _tell(
        self,
        phase: Phase,
        happened: str = "",
        *,
        started_at: Optional[int] = None,
        error: Optional[run_definition_pb2.ErrorInfo] = None,
        cache_status: CacheStatus = catalog_pb2.CACHE_DISABLED,
    ) -> None:
        # `started_at` is that of the process, if there is or was one whose log can be read.
        if self._abandoned:
            return
        now = self._state.now()
        event = run_definition_pb2.ActionEvent(attempt=self._attempt, phase=phase, cache_status=cache_status)
        event.id.run.project, event.id.run.domain, event.id.run.name, event.id.name = self.key
        event.updated_time.FromMicroseconds(now)
        event.reported_time.FromMicroseconds(now)
        event.outputs.output_uri = self._uri("outputs.pb")
        event.outputs.report_uri = self._uri("report.html")
        if error is not None:
            event.error_info.CopyFrom(error)
        if happened:
            event.cluster_events.add(message=happened).occurred_at.FromMicroseconds(now)
        if started_at is not None:
            pod = f"{self.key.run}-{self.key.name}-{self._attempt - 1}"
            event.log_context.primary_pod_name = pod
            context = event.log_context.pods.add(namespace=NAMESPACE, pod_name=pod, primary_container_name=pod)
            process = context.containers.add(container_name=pod).process
            process.container_start_time.FromMicroseconds(started_at)
            if phase != phase_pb2.ACTION_PHASE_RUNNING:
                process.container_end_time.FromMicroseconds(now)
        with self._state.database.transaction():
            self._state.events.add(event)
            present = self._state.actions.get(self.key)
            # An abort stands, though the real server would let a timeout that comes later replace it.
            if present is not None and present.phase != phase_pb2.ACTION_PHASE_ABORTED:
                self._state.actions.set_status(self.key, phase, self._attempt, cache_status, now)

    def _uri(self, file: str) -> str:
        prefix = self._run_spec.raw_data_storage.raw_data_prefix.rstrip("/")
        shard = hashlib.sha256("/".join(self.key).encode()).hexdigest()[:2]
        return "/".join([prefix, shard, *self.key, str(self._attempt), file])

    def _cache_key(self, inputs: bytes) -> str:
        metadata = self._template.metadata
        named: Mapping[str, bytes] = {
            literal.name: literal.value.SerializeToString(deterministic=True)
            for literal in common_pb2.Inputs.FromString(inputs).literals
            if literal.name not in metadata.cache_ignore_input_vars
        }
        key = hashlib.sha256()
        task = (self.key.project, self.key.domain, self._action.function_name, metadata.discovery_version)
        for part in (*map(str.encode, task), self._template.interface.SerializeToString(deterministic=True)):
            key.update(b"%d:%b" % (len(part), part))
        for name in sorted(named):
            key.update(b"%d:%b%d:%b" % (len(name.encode()), name.encode(), len(named[name]), named[name]))
        return key.hexdigest()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
