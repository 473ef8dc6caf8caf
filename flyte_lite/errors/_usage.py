"""What was asked for wrongly, too early or in the wrong place, found without or before the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from flyte_lite.errors._base import BaseRuntimeError, Coded, FlyteLiteError, RuntimeUserError


class InitializationError(BaseRuntimeError):
    """`init` is missing something, was given something wrong, or was not called."""


class ConfigError(InitializationError):
    """A setting is missing or bad; the text names the setting and where it was read."""

    def __init__(self, message: str, *, code: str = "ConfigError") -> None:
        super().__init__(code, "user", message)


class NotInitializedError(InitializationError):
    """A class of the object model was used before `init` and without a `Client`."""

    def __init__(self, what: str = "flyte_lite") -> None:
        super().__init__(
            "ClientNotInitializedError",
            "user",
            f"{what} was used before flyte_lite knows which server to talk to. Either call "
            "flyte_lite.init(endpoint=..., project=..., domain=...) once (or set FLYTE_ADMIN_ENDPOINT and call init()) "
            "or make a client = flyte_lite.Client(endpoint=...) and use its classes: client.runs, client.tasks.",
        )


class RunNotDoneError(Coded, RuntimeUserError):
    """The run has not finished, so it has no result yet; `wait()` first."""


class RemoteTaskNotFoundError(Coded, RuntimeUserError):
    """No deployed task has that name (and version) in that project and domain."""

    CODE = "RemoteTaskNotFoundError"


class RemoteTaskUsageError(Coded, RuntimeUserError):
    """A deployed task was used in a way that only a local function can be."""

    CODE = "RemoteTaskUsageError"


class OptionError(Coded, RuntimeUserError, ValueError):
    """An option of a launch is not what it must be; nothing was sent."""


class LogsNotYetAvailableError(Coded):
    """The action has not written a log yet."""

    _code = "LogsNotYetAvailable"
    _kind = "system"


class LiteralError(FlyteLiteError, TypeError, ValueError):
    """A value does not fit its declared type, or a literal can't be read as it.

    Attributes:
        path: Where in the value, such as `config.layers[3].size`; "" is the value itself.
        problem: What is wrong there, without the path.
    """

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.problem = problem
        self.path = path


class InputsError(LiteralError):
    """Everything that is wrong with the inputs of one launch; nothing was created.

    Attributes:
        problems: One sentence for each missing, unknown or mistyped input.
    """

    def __init__(self, task: str, problems: Sequence[str], signature: str) -> None:
        listed = "; ".join(problems)
        super().__init__(
            f"task {task} can't be run with these inputs: {listed}. It takes {signature}. Nothing was created."
        )
        self.problems = tuple(problems)


class WaitTimeoutError(FlyteLiteError, TimeoutError):
    """We stopped waiting; what was waited for goes on.

    Attributes:
        name: The run, or the action of which run, or how many of how many runs.
        phase: Its phase when last seen, or how many runs were in which; None if none was ever seen.
        timeout: Seconds that were waited.
        pending: Names of the runs that had not ended, if several were waited for.
        failure: Why the server could not be asked when the time was up; None if it could.
    """

    def __init__(
        self,
        name: str,
        phase: Optional[str],
        timeout: float,
        *,
        pending: Sequence[str] = (),
        failure: Optional[Exception] = None,
    ) -> None:
        if pending:
            some = ", ".join(pending[:5]) + (", ..." if len(pending) > 5 else "")
            seen, after = f"{some}; all in all {phase}", "They go on; wait_all() again, or abort() them."
        else:
            seen = f"it is {phase}" if phase else "its phase was never seen"
            after = "The run goes on; wait() again, or abort() it."
        failed = f"; the last question failed: {failure}" if failure is not None else ""
        super().__init__(f"gave up waiting for {name} after {timeout:g} s: {seen}{failed}. {after}")
        self.name = name
        self.phase = phase
        self.timeout = timeout
        self.pending = tuple(pending)
        self.failure = failure


class ConfigWarning(FlyteLiteError, UserWarning):
    """A setting is in a file or the environment, and does nothing; `warnings.simplefilter` can make it an error."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class LogGapWarning(FlyteLiteError, UserWarning):
    """Lines of a log may be missing between the last one and the next; `warnings.simplefilter` can make it an error."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class DevboxStateError(FlyteLiteError):
    """The folder of a devbox's state can't be used: somebody has it, or it is no such folder. The text says which."""
