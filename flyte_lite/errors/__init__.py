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
          AppleSiliconError                      AppleSiliconNotAvailableError, AppleSiliconHostExecFailedError,
                                                 AppleSiliconDaemonStartFailedError, AppleSiliconDaemonOOMError,
                                                 AppleSiliconModelNotFoundError, AppleSiliconBridgeUnreachableError
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
        GPUFaultError                            GPUFaultUserError (also RuntimeUserError) and
                                                 GPUFaultSystemError (also RuntimeSystemError)
        LogsNotYetAvailableError
      LiteralError (also TypeError, ValueError)  a value does not fit the declared type
        InputsError                              everything that is wrong with the inputs of one launch
      WaitTimeoutError (also TimeoutError)       we stopped waiting; the run goes on
      ConfigWarning (also UserWarning)           a setting does nothing: it is misspelt, or another one counts
      LogGapWarning (also UserWarning)           lines of a log may be missing; it is a warning, and the reading goes on
      DevboxStateError                           the folder of a devbox's state can't be used

What only running tasks and tools that deploy raise has its official name here all the same: ActionNotFoundError
CodeBundleError ConditionAlreadyExistsError ConditionFailedError ConditionNotFoundError ConditionTimedoutError
CustomError DeploymentError ImageBuildError InlineIOMaxBytesBreached InvalidPackageError ModuleLoadError
NonRecoverableError NotInTaskContextError OnlyAsyncIOSupportedError ParameterMaterializationError
ResourceExhaustedError RestrictedTypeError RuntimeDataValidationError SlowDownError SyncTaskCallInAsyncContextError
TraceDoesNotAllowNestedTasksError.

Names that the official SDK raises keep their names and their meaning. One class stands for one thing that a caller
would do differently; each of the sixteen codes stays reachable as `error.code`. No token, signature or secret is ever
part of a text here.
"""

from __future__ import annotations

from flyte_lite.errors._actions import (
    APPLE_SILICON_ERRORS_BY_CODE,
    GPU_FAULT_CODES,
    ActionAbortedError,
    AppleSiliconBridgeUnreachableError,
    AppleSiliconDaemonOOMError,
    AppleSiliconDaemonStartFailedError,
    AppleSiliconError,
    AppleSiliconHostExecFailedError,
    AppleSiliconModelNotFoundError,
    AppleSiliconNotAvailableError,
    DeadlineExceededError,
    GPUFaultError,
    GPUFaultSystemError,
    GPUFaultUserError,
    ImagePullBackOffError,
    InvalidImageNameError,
    MaxQueuedTimeExceededError,
    MaxRuntimeExceededError,
    OOMError,
    PrimaryContainerNotFoundError,
    RetriesExhaustedError,
    TaskInterruptedError,
    TaskTimeoutError,
)
from flyte_lite.errors._base import (
    BaseRuntimeError,
    FlyteLiteError,
    RuntimeSystemError,
    RuntimeUnknownError,
    RuntimeUserError,
)
from flyte_lite.errors._calls import (
    AbortedError,
    AlreadyExistsError,
    AnswerTooLargeError,
    CallError,
    CallTimeoutError,
    CanceledError,
    Code,
    ConnectFailedError,
    ConnectionLostError,
    EndpointError,
    ErrorDetail,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RpcError,
    TlsError,
    TransportError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnionRpcError,
)
from flyte_lite.errors._calls import (
    class_of as class_of,
)
from flyte_lite.errors._elsewhere import (
    ActionNotFoundError,
    CodeBundleError,
    ConditionAlreadyExistsError,
    ConditionFailedError,
    ConditionNotFoundError,
    ConditionTimedoutError,
    CustomError,
    DeploymentError,
    ImageBuildError,
    InlineIOMaxBytesBreached,
    InvalidPackageError,
    ModuleLoadError,
    NonRecoverableError,
    NotInTaskContextError,
    OnlyAsyncIOSupportedError,
    ParameterMaterializationError,
    ResourceExhaustedError,
    RestrictedTypeError,
    RuntimeDataValidationError,
    SlowDownError,
    SyncTaskCallInAsyncContextError,
    TraceDoesNotAllowNestedTasksError,
)
from flyte_lite.errors._usage import (
    ConfigError,
    ConfigWarning,
    DevboxStateError,
    InitializationError,
    InputsError,
    LiteralError,
    LogGapWarning,
    LogsNotYetAvailableError,
    NotInitializedError,
    OptionError,
    RemoteTaskNotFoundError,
    RemoteTaskUsageError,
    RunNotDoneError,
    WaitTimeoutError,
)

__all__ = [
    "APPLE_SILICON_ERRORS_BY_CODE",
    "AbortedError",
    "ActionAbortedError",
    "ActionNotFoundError",
    "AlreadyExistsError",
    "AnswerTooLargeError",
    "AppleSiliconBridgeUnreachableError",
    "AppleSiliconDaemonOOMError",
    "AppleSiliconDaemonStartFailedError",
    "AppleSiliconError",
    "AppleSiliconHostExecFailedError",
    "AppleSiliconModelNotFoundError",
    "AppleSiliconNotAvailableError",
    "BaseRuntimeError",
    "CallError",
    "CallTimeoutError",
    "CanceledError",
    "Code",
    "CodeBundleError",
    "ConditionAlreadyExistsError",
    "ConditionFailedError",
    "ConditionNotFoundError",
    "ConditionTimedoutError",
    "ConfigError",
    "ConfigWarning",
    "ConnectFailedError",
    "ConnectionLostError",
    "CustomError",
    "DeadlineExceededError",
    "DeploymentError",
    "DevboxStateError",
    "EndpointError",
    "ErrorDetail",
    "FailedPreconditionError",
    "FlyteLiteError",
    "GPUFaultError",
    "GPUFaultSystemError",
    "GPUFaultUserError",
    "GPU_FAULT_CODES",
    "ImageBuildError",
    "ImagePullBackOffError",
    "InitializationError",
    "InlineIOMaxBytesBreached",
    "InputsError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidImageNameError",
    "InvalidPackageError",
    "LiteralError",
    "LogGapWarning",
    "LogsNotYetAvailableError",
    "MaxQueuedTimeExceededError",
    "MaxRuntimeExceededError",
    "ModuleLoadError",
    "NonRecoverableError",
    "NotFoundError",
    "NotInTaskContextError",
    "NotInitializedError",
    "OOMError",
    "OnlyAsyncIOSupportedError",
    "OptionError",
    "ParameterMaterializationError",
    "PermissionDeniedError",
    "PrimaryContainerNotFoundError",
    "RateLimitedError",
    "RemoteTaskNotFoundError",
    "RemoteTaskUsageError",
    "ResourceExhaustedError",
    "RestrictedTypeError",
    "RetriesExhaustedError",
    "RpcError",
    "RunNotDoneError",
    "RuntimeDataValidationError",
    "RuntimeSystemError",
    "RuntimeUnknownError",
    "RuntimeUserError",
    "SlowDownError",
    "SyncTaskCallInAsyncContextError",
    "TaskInterruptedError",
    "TaskTimeoutError",
    "TlsError",
    "TraceDoesNotAllowNestedTasksError",
    "TransportError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnionRpcError",
    "WaitTimeoutError",
]

for _name in __all__:
    # Their address is this one, whatever module they are written in: in tracebacks, and in pickles.
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
