"""Every exception of flyte_lite, and `Code`, the Connect error code.

    FlyteLiteError
      BaseRuntimeError (also RuntimeError)       code, kind ("user" | "system" | "unknown"), worker: the official base
        InitializationError                      what `init` lacks or was given wrongly
          ConfigError                            a bad setting; says where it was read
          NotInitializedError                    a class was used before `init`
        RuntimeUserError                         a task failed because of its code or its inputs
          OOMError  TaskInterruptedError  PrimaryContainerNotFoundError  RetriesExhaustedError
          InvalidImageNameError  ImagePullBackOffError  ActionAbortedError  RunNotDoneError
          TaskTimeoutError                       MaxQueuedTimeExceededError, MaxRuntimeExceededError,
                                                 DeadlineExceededError: limits of a *run*, not of a call
          RemoteTaskNotFoundError  RemoteTaskUsageError  OptionError (also ValueError)
        RuntimeSystemError                       a task failed because of the platform
          UnionRpcError
            CallError                            one call to the server did not succeed
              CallTimeoutError (TimeoutError)    its deadline passed
              CanceledError                      canceled here, or by the server
              TransportError                     no well-formed answer came
                ConnectFailedError               nothing was sent: safe to repeat
                ConnectionLostError              the request may have taken effect
                TlsError                         the certificate or the handshake was refused
                EndpointError                    something answered that is not Flyte
                AnswerTooLargeError              the answer is over the limit set here
              RpcError                           the server answered with a code
                InvalidArgumentError  NotFoundError  AlreadyExistsError  PermissionDeniedError
                UnauthenticatedError  RateLimitedError  FailedPreconditionError  AbortedError
                UnimplementedError  InternalError  UnavailableError
        RuntimeUnknownError
        LogsNotYetAvailableError
      LiteralError (also TypeError, ValueError)  a value does not fit the declared type
        InputsError                              everything that is wrong with the inputs of one launch
      WaitTimeoutError (also TimeoutError)       we stopped waiting; the run goes on
      DevboxStateError                           the folder of a devbox's state can't be used

Names that the official SDK raises keep their names and their meaning. One class stands for one thing that a caller
would do differently; each of the sixteen codes stays reachable as `error.code`. No token, signature or secret is ever
part of a text here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Optional

__all__ = [
    "AbortedError",
    "ActionAbortedError",
    "AlreadyExistsError",
    "AnswerTooLargeError",
    "BaseRuntimeError",
    "CallError",
    "CallTimeoutError",
    "CanceledError",
    "Code",
    "ConfigError",
    "ConnectFailedError",
    "ConnectionLostError",
    "DeadlineExceededError",
    "DevboxStateError",
    "EndpointError",
    "ErrorDetail",
    "FailedPreconditionError",
    "FlyteLiteError",
    "ImagePullBackOffError",
    "InitializationError",
    "InputsError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidImageNameError",
    "LiteralError",
    "LogsNotYetAvailableError",
    "MaxQueuedTimeExceededError",
    "MaxRuntimeExceededError",
    "NotFoundError",
    "NotInitializedError",
    "OOMError",
    "OptionError",
    "PermissionDeniedError",
    "PrimaryContainerNotFoundError",
    "RateLimitedError",
    "RemoteTaskNotFoundError",
    "RemoteTaskUsageError",
    "RetriesExhaustedError",
    "RpcError",
    "RunNotDoneError",
    "RuntimeSystemError",
    "RuntimeUnknownError",
    "RuntimeUserError",
    "TaskInterruptedError",
    "TaskTimeoutError",
    "TlsError",
    "TransportError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnionRpcError",
    "WaitTimeoutError",
]


class Code(str, enum.Enum):
    """A Connect error code; `.value` is its name on the wire, and a `Code` equals that text."""

    CANCELED = "canceled"
    UNKNOWN = "unknown"
    INVALID_ARGUMENT = "invalid_argument"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    OUT_OF_RANGE = "out_of_range"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    DATA_LOSS = "data_loss"
    UNAUTHENTICATED = "unauthenticated"

    def __str__(self) -> str:
        return self.value

    # One text on every Python: before 3.12 a str enum formats now as its value, now as `Code.NAME`.
    def __format__(self, spec: str) -> str:
        return format(self.value, spec)


class ErrorDetail(NamedTuple):
    """One detail of an RPC error.

    Attributes:
        type: Full name of the message, such as `google.rpc.RetryInfo`.
        value: The message's bytes; types that are not known here are kept all the same.
    """

    type: str
    value: bytes


def _rebuild(cls: type[FlyteLiteError], args: tuple[Any, ...], state: dict[str, Any]) -> FlyteLiteError:
    # What is a TimeoutError too has OSError's layout, though the first `__new__` that Python finds may be another's.
    make: Any = OSError.__new__ if issubclass(cls, OSError) else cls.__new__
    error: FlyteLiteError = make(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class FlyteLiteError(Exception):
    """Base of everything that flyte_lite raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Constructors differ along the tree, so errors are pickled by what they hold, not by how they were made.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class BaseRuntimeError(FlyteLiteError, RuntimeError):
    """The official base: a code, whose fault it is, and where it happened.

    Attributes:
        code: What went wrong, in one word.
        kind: `"user"`, `"system"` or `"unknown"`.
        worker: Where it happened, if known.
        message: The text alone.
    """

    def __init__(self, code: str, kind: str, root_cause_message: str, worker: Optional[str] = None) -> None:
        super().__init__(root_cause_message)
        self.code = code
        self.kind = kind
        self.message = root_cause_message
        self.worker = worker


class _Coded(BaseRuntimeError):
    """An official class whose code is its own name, and whose constructor takes the text alone."""

    _kind: ClassVar[str] = "user"

    def __init__(self, message: str, *, code: Optional[str] = None, worker: Optional[str] = None) -> None:
        BaseRuntimeError.__init__(self, code or type(self).__name__, self._kind, message, worker)


class InitializationError(BaseRuntimeError):
    """`init` is missing something, was given something wrong, or was not called."""


class ConfigError(InitializationError):
    """A setting is missing or bad; the text names the setting and where it was read."""

    def __init__(self, message: str) -> None:
        super().__init__("ConfigError", "user", message)


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


class RuntimeUserError(BaseRuntimeError):
    """A task failed because of its code or its inputs."""

    def __init__(self, code: str, message: str, worker: Optional[str] = None) -> None:
        BaseRuntimeError.__init__(self, code, "user", message, worker)


class RuntimeSystemError(BaseRuntimeError):
    """A task failed because of the platform it ran on."""

    def __init__(self, code: str, message: str, worker: Optional[str] = None) -> None:
        BaseRuntimeError.__init__(self, code, "system", message, worker)


class RuntimeUnknownError(BaseRuntimeError):
    """A task failed, and nobody said whose fault it is."""

    def __init__(self, code: str, message: str, worker: Optional[str] = None) -> None:
        BaseRuntimeError.__init__(self, code, "unknown", message, worker)


class OOMError(RuntimeUserError):
    """The task used more memory than it had."""


class TaskInterruptedError(RuntimeUserError):
    """The task's machine was taken away (a spot instance, usually)."""


class PrimaryContainerNotFoundError(RuntimeUserError):
    """The task's pod has no container of the expected name."""


class RetriesExhaustedError(RuntimeUserError):
    """Every attempt failed."""


class InvalidImageNameError(RuntimeUserError):
    """The task's image name is not one."""


class ImagePullBackOffError(RuntimeUserError):
    """The task's image could not be pulled."""


class TaskTimeoutError(_Coded, RuntimeUserError):
    """A run or one of its actions took longer than the task allows."""


class MaxQueuedTimeExceededError(TaskTimeoutError):
    """It waited longer in the queue than the task allows."""


class MaxRuntimeExceededError(TaskTimeoutError):
    """One attempt ran longer than the task allows."""


class DeadlineExceededError(TaskTimeoutError):
    """All attempts together took longer than the task allows. (A call's deadline is `CallTimeoutError`.)"""


class ActionAbortedError(_Coded, RuntimeUserError):
    """Somebody aborted the run or the action."""


class RunNotDoneError(_Coded, RuntimeUserError):
    """The run has not finished, so it has no result yet; `wait()` first."""


class RemoteTaskNotFoundError(_Coded, RuntimeUserError):
    """No deployed task has that name (and version) in that project and domain."""

    CODE = "RemoteTaskNotFoundError"


class RemoteTaskUsageError(_Coded, RuntimeUserError):
    """A deployed task was used in a way that only a local function can be."""

    CODE = "RemoteTaskUsageError"


class OptionError(_Coded, RuntimeUserError, ValueError):
    """An option of a launch is not what it must be; nothing was sent."""


class LogsNotYetAvailableError(_Coded):
    """The action has not written a log yet."""

    _kind = "system"


class UnionRpcError(RuntimeSystemError):
    """Communication with the server failed (the official name for it)."""


class CallError(UnionRpcError):
    """One call to the server did not succeed.

    Attributes:
        code: The `Code`; compares equal to its text on the wire.
        message: What was said, without the frame that `str()` puts around it.
        method: The RPC as `Service/Method`, or "" if it was none.
        endpoint: Whom we asked, as scheme, host and port.
        attempts: How often we tried.
        elapsed: Seconds from the first try to the end.
        request_id: The `x-request-id` that we sent, for the server's operators.
        details: What the server attached, undecoded.
        headers: The answer's headers and trailers by lower-case name, a list of values each; empty if none came.
        sent: False if the request surely never left, in none of the attempts, so that repeating it is safe.
    """

    def __init__(
        self,
        message: str,
        code: Code,
        *,
        details: Sequence[ErrorDetail] = (),
        headers: Optional[Mapping[str, list[str]]] = None,
        sent: bool = True,
    ) -> None:
        super().__init__(code, message)
        self.code: Code = code
        self.details = tuple(details)
        self.headers: dict[str, list[str]] = dict(headers or {})
        self.sent = sent
        self.method = ""
        self.endpoint = ""
        self.attempts = 1
        self.elapsed = 0.0
        self.request_id = ""

    def __str__(self) -> str:
        at = f" at {self.endpoint}" if self.endpoint else ""
        head = f"{self.method}{at}: " if self.method else ""
        tries = f" (after {self.attempts} attempts in {self.elapsed:.1f} s)" if self.attempts > 1 else ""
        asked = f" [request id {self.request_id}]" if self.request_id else ""
        return f"{head}{self.code}: {self.message or 'no message'}{tries}{asked}"


class CallTimeoutError(CallError, TimeoutError):
    """The call's deadline passed, here or on the server."""


class CanceledError(CallError):
    """The call was canceled, by a `Cancel` token or by the server."""


class TransportError(CallError):
    """No well-formed answer came."""


class ConnectFailedError(TransportError):
    """No connection could be made; nothing was sent, so repeating the call is safe."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Code.UNAVAILABLE, sent=False)


class ConnectionLostError(TransportError):
    """The connection broke before a whole answer came; the request may have taken effect."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Code.UNAVAILABLE)


class TlsError(TransportError):
    """The TLS handshake failed or the certificate is not trusted; nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Code.UNAVAILABLE, sent=False)


class EndpointError(TransportError):
    """What answered is not Flyte: a web page, a redirect, a proxy, another service."""


class AnswerTooLargeError(TransportError):
    """The answer is over the limit that this client sets; what the request did is done."""

    def __init__(self, message: str, headers: Optional[Mapping[str, list[str]]] = None) -> None:
        super().__init__(message, Code.RESOURCE_EXHAUSTED, headers=headers)


class RpcError(CallError):
    """The server answered with an error code."""


class InvalidArgumentError(RpcError, RuntimeUserError):
    """The server refused the request as wrong in itself."""


class NotFoundError(RpcError):
    """There is no such thing, or the caller may not see it."""


class AlreadyExistsError(RpcError, RuntimeUserError):
    """A thing of that name is there already."""


class PermissionDeniedError(RpcError):
    """The caller is known and may not do this."""


class UnauthenticatedError(RpcError):
    """The server wants credentials, or does not take those it got."""


class RateLimitedError(RpcError):
    """Too many requests, or a quota is used up (`resource_exhausted`)."""


class FailedPreconditionError(RpcError):
    """The thing is not in a state that allows this."""


class AbortedError(RpcError):
    """Somebody else changed the thing at the same time; read it again and repeat."""


class UnimplementedError(RpcError):
    """This server does not know the method."""


class InternalError(RpcError):
    """The server broke one of its own rules."""


class UnavailableError(RpcError):
    """The server, or something in front of it, can't answer now."""


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
        name: The run, or `run/action`.
        phase: Its phase when last seen; None if it was never seen.
        timeout: Seconds that were waited.
    """

    def __init__(self, name: str, phase: Optional[str], timeout: float) -> None:
        seen = f"it is {phase}" if phase else "its phase was never seen"
        super().__init__(
            f"gave up waiting for {name} after {timeout:g} s: {seen}. The run goes on; wait() again, or abort() it."
        )
        self.name = name
        self.phase = phase
        self.timeout = timeout


class DevboxStateError(FlyteLiteError):
    """The folder of a devbox's state can't be used: somebody has it, or it is no such folder. The text says which."""


_CLASSES: Mapping[Code, type[CallError]] = {
    Code.CANCELED: CanceledError,
    Code.INVALID_ARGUMENT: InvalidArgumentError,
    Code.DEADLINE_EXCEEDED: CallTimeoutError,
    Code.NOT_FOUND: NotFoundError,
    Code.ALREADY_EXISTS: AlreadyExistsError,
    Code.PERMISSION_DENIED: PermissionDeniedError,
    Code.RESOURCE_EXHAUSTED: RateLimitedError,
    Code.FAILED_PRECONDITION: FailedPreconditionError,
    Code.ABORTED: AbortedError,
    Code.UNIMPLEMENTED: UnimplementedError,
    Code.INTERNAL: InternalError,
    Code.UNAVAILABLE: UnavailableError,
    Code.UNAUTHENTICATED: UnauthenticatedError,
}


def class_of(code: Code) -> type[CallError]:
    """What is raised when a server answers with `code`."""
    return _CLASSES.get(code, RpcError)
