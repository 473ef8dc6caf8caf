"""A devbox with many runs that nobody carries out, made all at once."""

from __future__ import annotations

from collections.abc import Iterable

from flyte_lite.devbox import Devbox
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.internal_run import InternalRunService
from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.idl.flyteidl2.workflow import internal_run_service_pb2

PROJECT, DOMAIN = "flytesnacks", "development"
RUNNING, SUCCEEDED = 4, 5
_NOBODY = Call({})


class ManyRuns:
    """Adds runs to a devbox, and ends them, past its services, which would take a call each.

    Args:
        step: Microseconds between the creation of two.
    """

    def __init__(self, box: Devbox, step: int = 10_000) -> None:
        self._state = box._state
        self._service = InternalRunService(box._state)
        self._step = step
        self._next = self._state.now() - 86_400_000_000

    def add(self, names: Iterable[str]) -> None:
        """Running ones, in this order."""
        request = internal_run_service_pb2.RecordActionRequest()
        request.task.SetInParent()
        id = request.action_id
        id.name, id.run.project, id.run.domain = "a0", PROJECT, DOMAIN
        with self._state.database.transaction():
            for name in names:
                id.run.name = name
                self._service.record_action(request, _NOBODY)
                key, now = ActionKey(PROJECT, DOMAIN, name, "a0"), self._state.now()
                self._state.actions.set_status(key, RUNNING, 1, 0, now, started_at=self._next)
                self._next += self._step

    def end(self, names: Iterable[str]) -> None:
        """They succeed."""
        with self._state.database.transaction():
            for name in names:
                key = ActionKey(PROJECT, DOMAIN, name, "a0")
                assert self._state.actions.set_status(key, SUCCEEDED, 1, 0, self._state.now())
