"""One action on its way from QUEUED to its end: attempts, retries, limits, abort, the cache.

What it tells the state is what the real executor tells the real server: an event of each phase of each attempt, and the
action's status. As there, an attempt that will be repeated stays RUNNING, and only the last one ends.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from flyte_lite.devbox.children import Children, Executor
from flyte_lite.devbox.failure import Failure, failure_of, past_deadline, ran_too_long, stopped, waited_too_long
from flyte_lite.devbox.limits import Limits
from flyte_lite.devbox.process import Ending, Job, WorkerProcess
from flyte_lite.devbox.record import Record, began_at
from flyte_lite.devbox.recovery import recovered_from
from flyte_lite.devbox.restart import Restart, restart
from flyte_lite.devbox.state.actions import TERMINAL
from flyte_lite.devbox.state.unfinished import depth, last_attempt
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.core import catalog_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, run_pb2, task_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.clock import DevboxClock
    from flyte_lite.devbox.defects import Defects
    from flyte_lite.devbox.reaper import Reaper
    from flyte_lite.devbox.record import CacheStatus, Phase
    from flyte_lite.devbox.slots import Slot
    from flyte_lite.devbox.state import State
    from flyte_lite.devbox.state.actions import Action, ActionKey

# Seconds between the endless restarts of the real executor.
_RESTART_AFTER = 0.5


class Surroundings(NamedTuple):
    """What all undertakings of an executor have in common."""

    state: State
    clock: DevboxClock
    reaper: Reaper
    defects: Defects
    executor: Executor


class Undertaking:
    """Use `of` to make one."""

    def __init__(self, given: Surroundings, action: Action, spec: bytes, run_spec: bytes) -> None:
        self.key: ActionKey = action.key
        self._given = given
        self._state = given.state
        self._action = action
        self._template = task_definition_pb2.TaskSpec.FromString(spec).task_template
        self._run_spec = run_pb2.RunSpec.FromString(run_spec)
        self._limits = Limits.of(self._template)
        self._record = Record(given.state, action.key, self._run_spec)
        last = last_attempt(given.state.database, action.key)
        self._attempt, self._told = last or (action.attempts, frozenset())
        # Those of an attempt under an earlier devbox, too.
        self.may_have_children = last is not None
        self.depth = depth(given.state.database, action.key) if action.parent else 0
        self._deadline_at: Optional[float] = None
        if self._limits.deadline is not None:
            past = (given.state.now() - action.created_at) / 1e6
            self._deadline_at = given.clock.monotonic() + self._limits.deadline - past
        # Guards what `abort` and `carry_out` have in common: the process, and who tells the end.
        self._lock = threading.Lock()
        self._process: Optional[WorkerProcess] = None
        self._aborted = False
        self._abandoned = False
        self._stopped = threading.Event()

    @classmethod
    def of(cls, given: Surroundings, key: ActionKey) -> Optional[Undertaking]:
        """The undertaking of an action; None if it does not exist or has no function here."""
        action = given.state.actions.get(key)
        if action is None or action.action_type != run_definition_pb2.ACTION_TYPE_TASK:
            return None
        made = cls(given, action, *given.state.actions.specs(key))
        return made if given.state.bundles.has(made._template.metadata.code_bundle_uri) else None

    def use_outputs_from_before(self) -> bool:
        """End the action with what it, or its like, gave already; False if there is nothing, or it is not wanted."""
        return self._recover() or self._use_cache()

    def is_orphan(self) -> bool:
        """True if what has called it has ended."""
        parent = self._state.actions.get(self.key._replace(name=self._action.parent)) if self._action.parent else None
        return parent is not None and parent.phase in TERMINAL

    def is_abandoned(self) -> bool:
        """True if nothing more is to be told of it."""
        return self._abandoned

    def is_over(self) -> bool:
        """True if the action has ended, by an abort for instance, or is not there any more."""
        action = self._state.actions.get(self.key)
        return action is None or action.phase in TERMINAL

    def restart(self) -> bool:
        """Take it up where an earlier devbox left it; True if it is to be queued, else all is done."""
        retries = self._template.metadata.retries.retries
        what = restart(self._action.phase, self._attempt, self._told, retries)
        if what is Restart.FAIL:
            # With its process, though that is gone: what it wrote is still there to be read.
            self._fail(stopped(self._attempt), began_at(self._state, self.key, self._attempt))
        elif what is Restart.ABORT:
            self._tell_aborted()
        elif what is Restart.REPEAT:
            self._attempt += 1
        return what in (Restart.QUEUE, Restart.REPEAT)

    def begin_anew(self) -> None:
        """Give it one more attempt after it has failed: what called it was repeated, and calls it again."""
        self._attempt += 1
        self.tell_queued()

    def tell_queued(self) -> None:
        """Say that it waits for a worker."""
        self._record.phase(
            self._attempt,
            phase_pb2.ACTION_PHASE_QUEUED,
            "restarting task" if self._attempt > 1 else "task submitted to K8s",
        )

    def tell_defect(self, error: Exception) -> None:
        """Say that the devbox itself failed."""
        self._fail(Failure("DevboxError", f"the devbox could not run it: {type(error).__name__}: {error}"))

    def expires_at(self) -> Optional[float]:
        """When it will have waited too long, on the devbox's clock, if it is queued now; None is never."""
        if self._given.defects.ignored_timeouts:
            return None
        queued = self._limits.queued
        ends = (None if queued is None else self._given.clock.monotonic() + queued, self._deadline_at)
        return min((end for end in ends if end is not None), default=None)

    def expire(self) -> None:
        """End it because it waited too long. Nobody may carry it out any more."""
        with self._lock:
            if self._is_wanted():
                self._fail(past_deadline(self._limits) if self._is_late() else waited_too_long(self._limits))

    def abort(self) -> bool:
        """End it because somebody wants that; safe at any time, also long after its end.

        Returns:
            True if it has ended, False if it has a process that is about to.
        """
        with self._lock:
            self._aborted = True
            self._stopped.set()
            if self._process is not None:
                # Whoever runs the process tells the end, once it has ended.
                self._process.stop()
                return False
            self._tell_aborted()
            return True

    def abandon(self) -> None:
        """Kill its process, and tell the state nothing any more."""
        with self._lock:
            self._abandoned = True
            self._record.close()
            self._stopped.set()
            if self._process is not None:
                self._process.stop(at_once=True)

    def carry_out(self, slot: Slot) -> None:
        """Make attempts until one succeeds or none is left.

        Args:
            slot: Its right to run; it is lent while it waits for what it has called.
        """
        tells = True
        while True:
            slot.hold()
            started_at = self._state.now()
            with self._lock:
                if not self._is_wanted():
                    return
                if self._is_late():
                    self._fail(past_deadline(self._limits))
                    return
                job = self._job()
                if job is None:
                    self._fail(Failure("InputsNotFound", f"nothing is stored at {self._action.input_uri}"))
                    return
                running = functools.partial(self._tell_running, started_at, tells)
                take_lines = functools.partial(self._record.lines, self._attempt)
                take_report = functools.partial(self._record.report, self._attempt)
                process = self._process = WorkerProcess(
                    job, running, take_lines, take_report, self._given.clock, self._given.reaper
                )
            if tells:
                self._record.phase(self._attempt, phase_pb2.ACTION_PHASE_INITIALIZING, "[|ContainerCreating]: |")
            children = Children(
                self._state, self._given.executor, self._action, self.depth, self._run_spec, self._record, slot, process
            )
            outcome = self._outcome(process, children)
            self.may_have_children = self.may_have_children or children.made
            with self._lock:
                self._process = None
                if not self._is_wanted():
                    self._tell_aborted()
                    return
                if isinstance(outcome, bytes):
                    self._tell_early(phase_pb2.ACTION_PHASE_SUCCEEDED, started_at)
                    self._succeed(job, outcome, started_at)
                    return
                tells = outcome.code != "WorkerDied" or not self._given.defects.endless_restarts
                if tells:
                    if outcome.final or self._attempt > self._template.metadata.retries.retries:
                        self._tell_early(outcome.phase, started_at, outcome.error_info())
                        self._fail(outcome, started_at)
                        return
                    with self._state.database.transaction():
                        if self._given.defects.recorded_failures:
                            self._fail(outcome, started_at)
                        self._attempt += 1
                        self.tell_queued()
            if not tells:
                self._record.restarted(self._attempt)
                self._stopped.wait(_RESTART_AFTER)

    def _recover(self) -> bool:
        source = recovered_from(self._state, self.key, self._run_spec)
        if source is None:
            return False
        with self._state.database.transaction():
            self._state.objects.put(self._record.outputs_uri(self._attempt), source.outputs)
            self._state.actions.set_recovered_from(self.key, source.id.SerializeToString())
            self._record.phase(self._attempt, phase_pb2.ACTION_PHASE_RECOVERED, "recovered")
        return True

    def _use_cache(self) -> bool:
        renew = self._run_spec.overwrite_cache or self._run_spec.cache_config.overwrite_cache
        if renew or not self._template.metadata.discoverable:
            return False
        outputs = self._state.outcomes.get(self._cache_key(self._state.objects.get(self._action.input_uri) or b""))
        if outputs is None:
            return False
        with self._state.database.transaction():
            self._state.objects.put(self._record.outputs_uri(self._attempt), outputs)
            self._record.phase(
                self._attempt, phase_pb2.ACTION_PHASE_SUCCEEDED, "cache hit", cache_status=catalog_pb2.CACHE_HIT
            )
        return True

    def _is_wanted(self) -> bool:
        return not (self._aborted or self._abandoned)

    def _is_late(self) -> bool:
        at = self._deadline_at
        return at is not None and not self._given.defects.ignored_timeouts and self._given.clock.monotonic() >= at

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
        path = [bundle.folder, *sys.path] if bundle.folder else sys.path
        parts = (bundle.pickled, inputs, self._template.interface.SerializeToString())
        return Job(path, parts, environment, self._ends_at(), self._limits.memory_bytes)

    def _ends_at(self) -> Optional[float]:
        if self._given.defects.ignored_timeouts:
            return None
        attempt = self._limits.attempt
        ends = (None if attempt is None else self._given.clock.monotonic() + attempt, self._deadline_at)
        return min((end for end in ends if end is not None), default=None)

    def _outcome(self, process: WorkerProcess, children: Children) -> Union[bytes, Failure]:
        try:
            ending: Optional[Ending] = process.run(children)
        except OSError as error:
            return Failure("WorkerNotStarted", f"no worker could be started: {error}")
        if ending is None:
            return Failure("WorkerNotStarted", "it was stopped before its worker started")
        if ending.timed_out:
            return past_deadline(self._limits) if self._is_late() else ran_too_long(self._limits)
        return failure_of(ending, self._limits) or ending.outputs or b""

    def _succeed(self, job: Job, outputs: bytes, started_at: int) -> None:
        status: CacheStatus = catalog_pb2.CACHE_DISABLED
        error = None
        without_cause = self._given.defects.failures_without_cause and not self._template.interface.outputs.variables
        if without_cause:
            error = run_definition_pb2.ErrorInfo()
        with self._state.database.transaction():
            self._state.objects.put(self._record.outputs_uri(self._attempt), outputs)
            if self._template.metadata.discoverable:
                # By what it was given: what is stored there may have been overwritten since.
                self._state.outcomes.put(self._cache_key(job.parts[1]), outputs)
                status = catalog_pb2.CACHE_POPULATED
            self._record.phase(
                self._attempt, phase_pb2.ACTION_PHASE_SUCCEEDED, started_at=started_at, cache_status=status, error=error
            )
            if without_cause:
                self._record.status(self._attempt, phase_pb2.ACTION_PHASE_FAILED)

    def _fail(self, failure: Failure, started_at: Optional[int] = None) -> None:
        self._record.phase(self._attempt, failure.phase, started_at=started_at, error=failure.error_info())

    def _tell_early(self, phase: Phase, started_at: int, error: Optional[run_definition_pb2.ErrorInfo] = None) -> None:
        if self._given.defects.late_statuses > 0:
            self._record.event(self._attempt, phase, started_at=started_at, error=error)
            self._stopped.wait(self._given.defects.late_statuses)

    def _tell_running(self, started_at: int, tells: bool) -> None:
        if tells:
            self._record.phase(self._attempt, phase_pb2.ACTION_PHASE_RUNNING, started_at=started_at)

    def _tell_aborted(self) -> None:
        self._record.phase(self._attempt, phase_pb2.ACTION_PHASE_ABORTED, "aborted")

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
