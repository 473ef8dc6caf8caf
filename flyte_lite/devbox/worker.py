"""What runs in a worker process: one attempt of one task.

The devbox starts a fresh interpreter, sends one job through its stdin and then holds that pipe open: when it closes,
the devbox is gone, and the worker kills its whole process group. Messages go back through a pipe of their own; stdout
and stderr are the task's. It imports little, because every attempt pays for it.

A job is one line of JSON (the module path, read by `BOOT`), another one that names the result pipe, the sizes of the
parts and a limit of memory, and then the parts. After it, the same pipe brings answers (`messages`, `leash`).
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Optional

from flyte_lite.devbox import leash
from flyte_lite.devbox.messages import ERROR, OUTPUTS, RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

# Letters of an error's text; whoever asks for a run is sent all of it.
MAX_MESSAGE = 1 << 16

# The module path comes first, because without it neither this module nor the user's might be found.
BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.stdin.buffer.readline());"
    " from flyte_lite.devbox.worker import main; main()"
)


def main() -> None:
    """Do the one job on stdin; the process may end after it."""
    stdin = sys.stdin.buffer
    header = json.loads(stdin.readline())
    parts = [stdin.read(size) for size in header["sizes"]]
    result = header["result_fd"]
    os.set_inheritable(result, False)
    devbox = leash.Leash(_leash(), result)
    leash.hold(devbox)
    try:
        outputs = _run(devbox, header["memory"], *parts)
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt end a task like any other exception.
        _limit_memory(None)
        _report(error)
        _flush_report()
        devbox.tell(ERROR, json.dumps(_error(error)).encode())
    else:
        _flush_report()
        devbox.tell(OUTPUTS, outputs)
    for stream in (sys.stdout, sys.stderr):
        # The task may have closed them, or put something else in their place.
        with suppress(Exception):
            stream.flush()


def _leash() -> int:
    # The task gets an empty stdin; what it starts gets neither end of the leash.
    answers = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it lives as long as the process
    return answers


def _limit_memory(limit: Optional[int]) -> None:
    # Beside what the interpreter and our own modules have taken by now; None takes the limit back, to tell of it.
    try:
        import resource
        from pathlib import Path

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        if limit is not None:
            statm = Path("/proc/self/statm")
            limit += int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0
        resource.setrlimit(resource.RLIMIT_AS, (most if limit is None else limit, most))
    except (ImportError, OSError, ValueError):
        # It is not to be had on this system, or a lower one holds already.
        return


def _run(devbox: leash.Leash, memory: Optional[int], pickled: bytes, inputs: bytes, interface: bytes) -> bytes:
    from flyte_lite.devbox._calling import call

    if memory is not None:
        _limit_memory(memory)
    # Made by the devbox, from a function of its own process.
    function, takes, gives, annotations, elsewhere = _Unpickler(io.BytesIO(pickled)).load()
    for module, name, other in elsewhere:
        if module in sys.modules:
            setattr(sys.modules[module], name, _Unpickler(io.BytesIO(other)).load())
    for cls, own in annotations:
        # What stood there as texts can't be resolved here, where the class came without its module.
        cls.__annotations__ = own
    for model in _models:
        model.model_rebuild(force=True)
    devbox.tell(RUNNING)
    return call(function, takes, gives, inputs, interface)


class _Unpickler(pickle.Unpickler):
    """With other tasks where their functions stood."""

    def persistent_load(self, pid: Any) -> Any:
        from flyte_lite.devbox._child import child_task

        return child_task(*pid)


# Models of pydantic that came, to be made whole when all of them are there.
_models: list[Any] = []


def set_model(cls: Any, state: tuple[Any, Any]) -> None:
    """Give a model that came by value what it had, but for what pydantic makes of its fields."""
    set_state, rest = state
    set_state(cls, rest)
    _models.append(cls)


def _flush_report() -> None:
    # It is only there if the task has used it, and what it can't tell must not keep us from telling the outcome.
    report = sys.modules.get("flyte_lite.devbox.report")
    if report is not None:
        with suppress(Exception):
            report.flush()


def _error(error: BaseException) -> Mapping[str, Any]:
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - its class may be the user's, and its __str__ may raise anything
        message = "(its text can't be had)"
    if isinstance(error, SystemExit):
        message = f"the task called sys.exit({message})"
    from flyte_lite.errors import BaseRuntimeError

    code, user = type(error).__name__, True
    if isinstance(error, BaseRuntimeError) and type(error.code) is str:
        # Of a task that this one has called, for instance: it stays what it was.
        code, user = error.code, error.kind != "system"
    return {
        "code": code,
        "message": message[:MAX_MESSAGE],
        "user": user,
        "memory": isinstance(error, MemoryError),
    }


def _report(error: BaseException) -> None:
    trace = error.__traceback__
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    # Nor does anybody want to see how another task was called.
    last, step = None, trace
    while step is not None:
        last = step if not _is_ours(step, "flyte_lite.devbox.") else last
        step = step.tb_next
    if last is not None:
        last.tb_next = None
    try:
        traceback.print_exception(type(error), error, trace)
    except Exception as second:  # noqa: BLE001 - the same
        # Nor may there be a stderr any more.
        with suppress(Exception):
            sys.stderr.write(f"{type(error).__name__}, which can't be printed: {type(second).__name__}\n")


def _is_ours(trace: TracebackType, where: str = "flyte_lite.") -> bool:
    return str(trace.tb_frame.f_globals.get("__name__", "")).startswith(where)
