"""A launch that was only prepared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flyte_lite._session import Session
from flyte_lite.errors import RemoteTaskUsageError
from flyte_lite.idl.flyteidl2.task import common_pb2, run_pb2, task_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.remote._data import ActionInputs
from flyte_lite.remote._run import Run


class DryRun(Run):
    """What `with_runcontext(dry_run=True).run(...)` would have made; nothing was sent that changes anything.

    It is a `Run` that does not exist, so it can't be waited for or asked for its outputs.

    Attributes:
        request: CreateRun as it would have been sent, but for the inputs.
        inputs: The inputs, with defaults, by name; their message is `inputs.pb2`.
        code_bundle: None: a deployed task has its code on the server.
    """

    _shown = ("name",)  # type: ignore[assignment]  # a tuple all the same

    code_bundle = None  # type: ignore[assignment]  # an attribute, as the official one is

    def __init__(
        self,
        request: run_service_pb2.CreateRunRequest,
        inputs: common_pb2.Inputs,
        spec: task_definition_pb2.TaskSpec,
    ) -> None:
        pb2 = run_definition_pb2.Run()
        pb2.action.id.run.CopyFrom(request.run_id)
        pb2.action.id.name = "a0"
        super().__init__(pb2, created=False)
        self.request = request
        self.inputs = ActionInputs(inputs, spec.task_template.interface)  # type: ignore[method-assign, assignment]
        self._spec = spec

    @property
    def task_spec(self) -> task_definition_pb2.TaskSpec:
        """The task's specification, with what was said otherwise of it."""
        return self._spec

    @property
    def run_spec(self) -> run_pb2.RunSpec:
        """The run's specification."""
        return self.request.run_spec

    @property
    def _session(self) -> Session:  # type: ignore[override]  # what asks the server gets to it by this
        raise RemoteTaskUsageError(
            f"run {self.name} was a dry run: it was not created, so the server knows nothing of it; "
            "leave dry_run out to create it"
        )

    def _lines(self) -> Iterable[tuple[str, object]]:
        # It has neither times nor a page.
        return (("name", self.name), ("task", self._spec.task_template.id.name))

    def __reduce__(self) -> tuple[Any, ...]:
        messages = (self.request, self.inputs.pb2, self._spec)  # type: ignore[attr-defined]
        return _revive, tuple(message.SerializeToString() for message in messages)


def _revive(request: bytes, inputs: bytes, spec: bytes) -> DryRun:
    return DryRun(
        run_service_pb2.CreateRunRequest.FromString(request),
        common_pb2.Inputs.FromString(inputs),
        task_definition_pb2.TaskSpec.FromString(spec),
    )
