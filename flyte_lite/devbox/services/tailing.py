"""The tail of an attempt's log: what was written so far, then what is written while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.record import NAMESPACE
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.run import action_key, log_event
from flyte_lite.devbox.state.actions import TERMINAL, ActionKey
from flyte_lite.devbox.state.logs import Line
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2 as pb
from flyte_lite.idl.flyteidl2.logs.dataplane import payload_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State
    from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

# How many lines are told of what was written before, if nobody knows when the container started.
REPLAYED = 1000
# How many lines a message holds at most.
BATCH = 100


class Tailing:
    """Reads logs for those who ask for them."""

    def __init__(self, state: State) -> None:
        self._state = state

    def tail_logs(self, request: pb.TailLogsRequest, call: Call) -> Iterator[pb.TailLogsResponse]:
        """The lines of an attempt: those that are there, then those that come, until it ends.

        Lines that came together are told together. As on the real server nothing is left out of what was written since
        the container started, so a caller who comes back after a lost connection is told all of it once more. Of an
        attempt whose process was started again without a word (a defect) only the present one's log is there.

        Raises:
            NotFoundError: The attempt does not run yet, was aborted or repeated, or nothing is known of it.
        """
        key, attempt = action_key(request), request.attempt
        told = log_event(self._state, key, attempt)
        changes = self._state.changes.about(key.topic)
        with self._state.database.transaction():
            since = changes.version
            if self._was_repeated(key, attempt) or not self._runs_here(key):
                pod = told.log_context.primary_pod_name
                raise refusal(Code.NOT_FOUND, f"pod {pod} not found in namespace {NAMESPACE}")
            known = start = self._state.logs.start(key, attempt)
            if not _start_is_known(told):
                known = max(start, self._state.logs.before_last(key, attempt, REPLAYED))
        while True:
            with self._state.database.transaction():
                # Another process in the place of this one has a log of its own.
                restart = self._state.logs.start(key, attempt)
                over = restart != start or self._is_over(key, attempt)
                last = None if restart == start else restart
                lines = self._state.logs.after(key, attempt, known, BATCH, last)
            if lines:
                known = lines[-1][0]
                yield _logged([line for _, line in lines])
            if len(lines) == BATCH:
                # There may be more; a caller who is gone need not have them all.
                call.pause(0)
            elif over:
                return
            else:
                since = call.wait(changes, since)

    def _runs_here(self, key: ActionKey) -> bool:
        # Others, which were driven over the wire, may tell of pods, but there are none.
        spec, _ = self._state.actions.specs(key)
        template = task_definition_pb2.TaskSpec.FromString(spec).task_template
        return self._state.bundles.has(template.metadata.code_bundle_uri)

    def _is_over(self, key: ActionKey, attempt: int) -> bool:
        told = self._state.events.newest(key, attempt)
        return told is None or told.phase in TERMINAL or self._was_repeated(key, attempt)

    def _was_repeated(self, key: ActionKey, attempt: int) -> bool:
        return self._state.events.newest(key, attempt + 1) is not None


def _start_is_known(told: run_definition_pb2.ActionEvent) -> bool:
    context = told.log_context
    return any(
        container.process.HasField("container_start_time")
        for pod in context.pods
        if pod.pod_name == context.primary_pod_name
        for container in pod.containers
        if container.container_name == pod.primary_container_name
    )


def _logged(lines: Sequence[Line]) -> pb.TailLogsResponse:
    response = pb.TailLogsResponse()
    logs = response.logs.add()
    for line in lines:
        # A terminal's carriage return before the end belongs to the end.
        text = line.text.rstrip("\r")
        logs.lines.add(message=text, originator=payload_pb2.USER).timestamp.FromMicroseconds(line.at)
    return response
