"""The tasks that one attempt calls: each call an action of the run, and its outcome the answer.

As on the real server, the name of such an action is made of the call: the same call of the same parent has the same
name in every run, and in every attempt of the parent. So an attempt that repeats an earlier one finds what that one
had: results are taken over, what still runs is waited for, and what has failed gets one more attempt.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Callable, Protocol

from flyte_lite.devbox.messages import ANSWER, CALL, CANCEL, TRACE, TRACED, message, parted, with_header
from flyte_lite.devbox.services.creation import storage_folder, with_defaults
from flyte_lite.devbox.services.details import fill_details
from flyte_lite.devbox.services.internal_run import recorded
from flyte_lite.devbox.services.run import data_uris
from flyte_lite.devbox.state.actions import TERMINAL, ActionKey
from flyte_lite.devbox.state.tasks import TaskKey
from flyte_lite.errors import NotFoundError
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.core import tasks_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, run_pb2, task_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import internal_run_service_pb2, run_definition_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flyte_lite.devbox.process import WorkerProcess
    from flyte_lite.devbox.record import Record
    from flyte_lite.devbox.slots import Slot
    from flyte_lite.devbox.state import State
    from flyte_lite.devbox.state.actions import Action

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# Letters of a name: as many as 128 bits take in base 36.
_LENGTH = 25
# How many actions may stand above one. Each has a process that waits, and a task that calls itself may have no end.
MAX_DEPTH = 50
_FAILED = (phase_pb2.ACTION_PHASE_FAILED, phase_pb2.ACTION_PHASE_TIMED_OUT)


class Executor(Protocol):
    """What carries actions out."""

    def submit(self, key: ActionKey) -> None:
        """Take up an action that was created."""
        ...

    def repeat(self, key: ActionKey) -> None:
        """Take up an action that has failed once more."""
        ...

    def abort(self, key: ActionKey) -> None:
        """End an action, and what it has called."""
        ...

    def listen(self, key: ActionKey, then: Callable[[], None]) -> None:
        """Call `then` once the action is over, from any thread."""
        ...


def call_hash(parent: str, template: tasks_pb2.TaskTemplate, inputs: common_pb2.Inputs, group: str) -> str:
    """What tells a call from others of a run: who calls which task, with which inputs, in which group.

    A task is told by its name, its interface and the version of its code, not by where it was deployed from.
    """
    metadata = template.metadata
    parts = [parent, group, template.id.name, metadata.discovery_version]
    told = [part.encode() for part in parts]
    told.append(template.interface.SerializeToString(deterministic=True))
    for literal in sorted(inputs.literals, key=lambda each: each.name):
        if literal.name not in metadata.cache_ignore_input_vars:
            told += [literal.name.encode(), literal.value.SerializeToString(deterministic=True)]
    made = hashlib.sha256()
    for part in told:
        made.update(b"%d:%b" % (len(part), part))
    return made.hexdigest()


def action_name(call: str, number: int) -> str:
    """The name of the action that a call is: of the first one like it, the second one, and so on.

    Args:
        call: Its `call_hash`.
        number: From 1.
    """
    rest = int.from_bytes(hashlib.sha256(f"{call}-{number}".encode()).digest()[:16], "big")
    letters = []
    for _ in range(_LENGTH):
        rest, digit = divmod(rest, len(_DIGITS))
        letters.append(_DIGITS[digit])
    return "".join(reversed(letters))


class Refused(Exception):
    """A call that makes no action.

    Args:
        told: Why, as its caller is answered.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(told["message"])
        self.told = told


class Children:
    """Those of one attempt. But for `_hear`, everything happens in the thread that stays with its process.

    Args:
        state: Where they are made.
        executor: Carries them out.
        parent: What calls them.
        depth: How many actions stand above it.
        run_spec: Of the run.
        record: Tells of the parent.
        slot: The parent's.
        process: The parent's.

    Attributes:
        made: Whether it has called any.
    """

    def __init__(
        self,
        state: State,
        executor: Executor,
        parent: Action,
        depth: int,
        run_spec: run_pb2.RunSpec,
        record: Record,
        slot: Slot,
        process: WorkerProcess,
    ) -> None:
        self.made = False
        self._state = state
        self._executor = executor
        self._parent = parent
        self._depth = depth
        self._folder = storage_folder(run_spec.run_base_dir)
        self._record = record
        self._slot = slot
        self._process = process
        self._calls: Counter[str] = Counter()
        self._waiting: dict[int, ActionKey] = {}
        self._over: deque[int] = deque()
        self._answers: list[bytes] = []
        # When traces began.
        self._begun: dict[str, int] = {}

    def take(self, kind: bytes, body: bytes) -> None:
        """A message of the worker."""
        header, rest = parted(body)
        if kind == CALL:
            self._call(header, rest)
        elif kind == CANCEL:
            self._cancel(header["number"])
        elif kind == TRACE:
            self._find_trace(header, rest)
        elif kind == TRACED:
            self._record_trace(header, rest)

    def attend(self) -> None:
        """Give the answers that there are, if the parent may go on."""
        while self._over:
            number = self._over.popleft()
            key = self._waiting.pop(number, None)
            if key is not None:
                self._answers.append(message(ANSWER, self._outcome(number, key)))
        if self._answers and self._slot.allows():
            self._process.send(b"".join(self._answers))
            self._answers.clear()

    def _call(self, header: Mapping[str, Any], given: bytes) -> None:
        number = header["number"]
        try:
            spec = self._spec(TaskKey(self._parent.project, self._parent.domain, header["name"], header["version"]))
        except Refused as refused:
            self._process.send(message(ANSWER, with_header({"number": number, "error": refused.told})))
            return
        inputs = with_defaults(common_pb2.Inputs.FromString(given), spec)
        key = self._key(spec.task_template, inputs, header["group"])
        with self._state.database.transaction():
            parent = self._state.actions.get(self._parent.key)
            if parent is None or parent.phase in TERMINAL:
                # It was aborted, and its process is about to be told.
                return
            before = self._state.actions.get(key)
            if before is None:
                self._make(key, spec, inputs, header["group"])
            if not self.made:
                self._record.status(0, phase_pb2.ACTION_PHASE_RUNNING)
        self.made = True
        self._waiting[number] = key
        if before is None:
            self._executor.submit(key)
        elif before.phase in _FAILED:
            self._executor.repeat(key)
        # Only now, so that nobody but what was called gets the slot.
        self._executor.listen(key, functools.partial(self._hear, number, self._slot.lend()))
        self.attend()

    def _find_trace(self, header: Mapping[str, Any], given: bytes) -> None:
        template = tasks_pb2.TaskTemplate()
        template.id.name, template.metadata.discovery_version = header["name"], "trace"
        key = self._key(template, common_pb2.Inputs.FromString(given), header["group"])
        before = self._state.actions.get(key)
        outputs = None if before is None else self._state.objects.get(before.outputs_uri)
        self._begun[key.name] = self._state.now()
        answer = {"number": header["number"], "action": key.name, "found": outputs is not None}
        self._process.send(message(ANSWER, with_header(answer, outputs or b"")))

    def _record_trace(self, header: Mapping[str, Any], parts: bytes) -> None:
        inputs_size, outputs_size, _ = header["sizes"]
        request = self._request(header["action"], header["group"])
        trace = request.trace
        trace.name = header["name"]
        trace.phase = phase_pb2.ACTION_PHASE_SUCCEEDED
        trace.start_time.FromMicroseconds(self._begun.pop(header["action"]))
        trace.end_time.FromMicroseconds(self._state.now())
        trace.outputs.output_uri = request.input_uri.replace("/inputs.pb", "/outputs.pb")
        trace.spec.interface.ParseFromString(parts[inputs_size + outputs_size :])
        with self._state.database.transaction():
            self._state.objects.put(request.input_uri, parts[:inputs_size])
            self._state.objects.put(trace.outputs.output_uri, parts[inputs_size : inputs_size + outputs_size])
            action, told = recorded(request, self._state.now())
            self._state.actions.create(action, told, None)

    def _hear(self, number: int, attempt: int) -> None:
        # In this order: an answer must not be there before its slot is asked for.
        self._slot.claim(attempt, self._process.poke)
        self._over.append(number)
        self._process.poke()

    def _cancel(self, number: int) -> None:
        # It hears of the end, as of any, but there is nobody to be told.
        key = self._waiting.pop(number, None)
        if key is not None:
            self._executor.abort(key)

    def _spec(self, task: TaskKey) -> task_definition_pb2.TaskSpec:
        if self._depth >= MAX_DEPTH:
            text = f"tasks may call one another {MAX_DEPTH} levels deep in a devbox, and {task.name} would be one more"
            raise Refused(_error("FAILED", "RecursionError", text, user=True))
        found = self._state.tasks.get(task)
        what = f"task {task.name} version {task.version}"
        caller = f"{self._parent.task_name} can't call it"
        if found is None:
            raise _missing(f"{what} is not deployed in {task.project}/{task.domain}, so {caller}")
        spec = task_definition_pb2.TaskSpec.FromString(found.spec)
        if not self._state.bundles.has(spec.task_template.metadata.code_bundle_uri):
            raise _missing(f"{what} has no function in this devbox, so {caller}: it was deployed over the wire")
        return spec

    def _key(self, template: tasks_pb2.TaskTemplate, inputs: common_pb2.Inputs, group: str) -> ActionKey:
        call = call_hash(self._parent.name, template, inputs, group)
        self._calls[call] += 1
        return self._parent.key._replace(name=action_name(call, self._calls[call]))

    def _make(self, key: ActionKey, spec: task_definition_pb2.TaskSpec, inputs: common_pb2.Inputs, group: str) -> None:
        request = self._request(key.name, group)
        self._state.objects.put(request.input_uri, inputs.SerializeToString())
        id = spec.task_template.id
        task = request.task
        task.id.project, task.id.domain, task.id.name, task.id.version = id.project, id.domain, id.name, id.version
        # What the real runtime tells of a task it calls, which it has from its own module and not from the server.
        task.spec.short_name = spec.short_name
        task.spec.task_template.CopyFrom(spec.task_template)
        task.spec.task_template.id.org = "local"
        action, told = recorded(request, self._state.now())
        self._state.actions.create(action, told, None)

    def _request(self, name: str, group: str) -> internal_run_service_pb2.RecordActionRequest:
        parent = self._parent
        uri = f"{self._folder}/{parent.project}/{parent.domain}/{parent.run}/{name}/inputs.pb"
        request = internal_run_service_pb2.RecordActionRequest(parent=parent.name, group=group, input_uri=uri)
        request.action_id.run.project, request.action_id.run.domain = parent.project, parent.domain
        request.action_id.run.name, request.action_id.name = parent.run, name
        return request

    def _outcome(self, number: int, key: ActionKey) -> bytes:
        header: dict[str, Any] = {"number": number, "error": None}
        with self._state.database.transaction():
            action = self._state.actions.get(key)
            if action is None:
                header["error"] = _error("FAILED", "DevboxError", f"action {key.name} is gone")
            elif action.phase == phase_pb2.ACTION_PHASE_ABORTED:
                text = f"Action {key.name} was aborted, aborting current Action {self._parent.name}"
                header["error"] = _error("ABORTED", "ActionAbortedError", text, user=True)
            elif action.phase in _FAILED:
                header["error"] = self._failure(action)
            else:
                try:
                    _, outputs_uri = data_uris(self._state, key)
                except NotFoundError as error:
                    # It was told over the wire that it has succeeded.
                    header["error"] = _error("FAILED", "DevboxError", f"action {key.name}: {error.message}")
                else:
                    return with_header(header, self._state.objects.get(outputs_uri) or b"")
        return with_header(header)

    def _failure(self, action: Action) -> Mapping[str, Any]:
        details = run_definition_pb2.ActionDetails()
        fill_details(details, action, self._state.events.of(action.key), b"")
        # Timeouts are told of the attempt alone; and a failure may have no cause at all (`defects`).
        errors = [details.error_info, *(attempt.error_info for attempt in reversed(details.attempts))]
        told = next((error for error in errors if error.message or error.code), None)
        phase = "TIMED_OUT" if action.phase == phase_pb2.ACTION_PHASE_TIMED_OUT else "FAILED"
        if told is None:
            return _error(phase, "UnknownRunFailure", f"action {action.name} failed, and nothing says why")
        return _error(phase, told.code, told.message, user=told.kind == run_definition_pb2.ErrorInfo.KIND_USER)


def _missing(text: str) -> Refused:
    return Refused(_error("NOT_FOUND", "RemoteTaskNotFoundError", text))


def _error(phase: str, code: str, message: str, user: bool = False) -> Mapping[str, Any]:
    return {"phase": phase, "code": code, "message": message, "user": user}
