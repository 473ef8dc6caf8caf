"""What the executor records of an action: an event of each phase of each attempt, the status, log lines."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Optional

from flyte_lite.devbox.state.logs import Line
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.core import catalog_pb2
from flyte_lite.idl.flyteidl2.task import run_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

    from flyte_lite.devbox.state import State
    from flyte_lite.devbox.state.actions import ActionKey

    Phase: TypeAlias = phase_pb2.ActionPhase.ValueType
    CacheStatus: TypeAlias = catalog_pb2.CatalogCacheStatus.ValueType

# What clients are told of pods that are processes here.
NAMESPACE = "flyte"
# Beside the outputs. Whether or not there will be one, its address is told from the first event on.
REPORT = "report.html"


class Record:
    """Tells about one action, until it is closed."""

    def __init__(self, state: State, key: ActionKey, run_spec: run_pb2.RunSpec) -> None:
        self._state = state
        self._key = key
        self._prefix = run_spec.raw_data_storage.raw_data_prefix.rstrip("/")
        self._closed = False

    def close(self) -> None:
        """Tell nothing any more."""
        self._closed = True

    def outputs_uri(self, attempt: int) -> str:
        """Where an attempt's outputs are."""
        return self._uri(attempt, "outputs.pb")

    def report(self, attempt: int, page: bytes) -> None:
        """A report that an attempt wrote, over what it wrote before."""
        if not self._closed:
            self._state.objects.put(self._uri(attempt, REPORT), page, "text/html")

    def lines(self, attempt: int, lines: list[str]) -> None:
        """Lines that an attempt wrote."""
        if not self._closed:
            now = self._state.now()
            self._state.logs.add(self._key, attempt, [Line(now, line) for line in lines])

    def restarted(self, attempt: int) -> None:
        """The process of an attempt has died, and another one takes its place without a word."""
        if not self._closed:
            self._state.logs.begin_anew(self._key, attempt)

    def status(self, attempt: int, phase: Phase) -> None:
        """The action's phase alone, without an event."""
        if not self._closed:
            self._state.actions.set_status(self._key, phase, attempt, catalog_pb2.CACHE_DISABLED, self._state.now())

    def phase(
        self,
        attempt: int,
        phase: Phase,
        happened: str = "",
        *,
        started_at: Optional[int] = None,
        error: Optional[run_definition_pb2.ErrorInfo] = None,
        cache_status: CacheStatus = catalog_pb2.CACHE_DISABLED,
    ) -> None:
        """A phase of an attempt, and with it of the action.

        Args:
            attempt: From 1.
            phase: The phase.
            happened: The text of a cluster event; "" is none.
            started_at: Of the process, if there is or was one whose log can be read.
            error: Why it failed.
            cache_status: What the cache had to do with it.
        """
        if self._closed:
            return
        with self._state.database.transaction():
            present = self._state.actions.get(self._key)
            if present is None:
                # Everything was forgotten meanwhile, and the next run of that name is another one.
                return
            now = self._state.now()
            self._add(now, attempt, phase, happened, started_at, error, cache_status)
            # An abort stands, though the real server would let a timeout that comes later replace it.
            late = present.phase == phase_pb2.ACTION_PHASE_ABORTED and (
                phase != present.phase or attempt == present.attempts
            )
            if not late:
                self._state.actions.set_status(self._key, phase, attempt, cache_status, now)

    def event(
        self, attempt: int, phase: Phase, *, started_at: int, error: Optional[run_definition_pb2.ErrorInfo] = None
    ) -> None:
        """A phase of an attempt alone; the action stays what it is."""
        if not self._closed:
            self._add(self._state.now(), attempt, phase, "", started_at, error, catalog_pb2.CACHE_DISABLED)

    def _add(
        self,
        now: int,
        attempt: int,
        phase: Phase,
        happened: str,
        started_at: Optional[int],
        error: Optional[run_definition_pb2.ErrorInfo],
        cache_status: CacheStatus,
    ) -> None:
        event = run_definition_pb2.ActionEvent(attempt=attempt, phase=phase, cache_status=cache_status)
        event.id.run.project, event.id.run.domain, event.id.run.name, event.id.name = self._key
        event.updated_time.FromMicroseconds(now)
        event.reported_time.FromMicroseconds(now)
        event.outputs.output_uri = self.outputs_uri(attempt)
        event.outputs.report_uri = self._uri(attempt, REPORT)
        if error is not None:
            event.error_info.CopyFrom(error)
        if happened:
            event.cluster_events.add(message=happened).occurred_at.FromMicroseconds(now)
        if started_at is not None:
            pod = f"{self._key.run}-{self._key.name}-{attempt - 1}"
            event.log_context.primary_pod_name = pod
            context = event.log_context.pods.add(namespace=NAMESPACE, pod_name=pod, primary_container_name=pod)
            process = context.containers.add(container_name=pod).process
            process.container_start_time.FromMicroseconds(started_at)
            if phase != phase_pb2.ACTION_PHASE_RUNNING:
                process.container_end_time.FromMicroseconds(now)
        self._state.events.add(event)

    def _uri(self, attempt: int, file: str) -> str:
        shard = hashlib.sha256("/".join(self._key).encode()).hexdigest()[:2]
        return "/".join([self._prefix, shard, *self._key, str(attempt), file])


def began_at(state: State, key: ActionKey, attempt: int) -> Optional[int]:
    """When the process of an attempt began, as it was told; None if it was not."""
    starts = [
        container.process.container_start_time.ToMicroseconds()
        for event in state.events.of(key)
        if event.attempt == attempt
        for pod in event.log_context.pods
        for container in pod.containers
    ]
    return starts[-1] if starts else None
