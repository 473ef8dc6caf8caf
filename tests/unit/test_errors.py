from __future__ import annotations

import copy
import inspect
import pickle
from inspect import Parameter, signature
from typing import Any

import pytest

from flyte_lite import errors
from flyte_lite.errors import CallError, Code, ErrorDetail

CLASSES = [
    getattr(errors, name)
    for name in errors.__all__
    if inspect.isclass(getattr(errors, name)) and issubclass(getattr(errors, name), BaseException)
]


def make(kind: type[Exception]) -> Exception:
    """One of each, by filling in whatever its constructor asks for."""
    values: dict[str, Any] = {
        "message": "what happened",
        "problem": "what happened",
        "root_cause_message": "what happened",
        "code": Code.NOT_FOUND if issubclass(kind, CallError) else "Code",
        "kind": "user",
        "what": "Run",
        "task": "t",
        "problems": ["a", "b"],
        "signature": "(x: int)",
        "name": "r1",
        "phase": "running",
        "timeout": 5.0,
        "var": "x",
        "e": "no int",
        "package_name": "libfoo",
        "original_error": "what happened",
    }
    if kind.__init__ in (Exception.__init__, RuntimeError.__init__):
        return kind("what happened")
    named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    wanted = [p.name for p in signature(kind).parameters.values() if p.kind in named and p.default is p.empty]
    return kind(**{name: values[name] for name in wanted})


def test_everything_public_is_listed_and_nothing_twice() -> None:
    public = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__ and not name.startswith("_")
    }

    assert {name for name in errors.__all__ if inspect.isclass(getattr(errors, name))} == public
    assert len(errors.__all__) == len(set(errors.__all__))


@pytest.mark.parametrize("kind", CLASSES)
def test_each_is_one_of_ours_and_says_what_it_is_for(kind: type[Exception]) -> None:
    assert issubclass(kind, errors.FlyteLiteError)
    assert kind.__doc__
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_each_pickles_with_all_it_holds(kind: type[Exception], protocol: int) -> None:
    error = make(kind)
    if isinstance(error, CallError):
        error.details = (ErrorDetail("a.B", b"\0"),)
        error.headers = {"a": ["b"]}
        error.method, error.endpoint, error.attempts, error.elapsed, error.request_id = "S/M", "http://h:1", 2, 1.5, "i"

    for twin in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert str(twin) == str(error)
        assert twin.args == error.args
        assert vars(twin) == vars(error)


@pytest.mark.parametrize("kind", CLASSES)
def test_each_has_a_text(kind: type[Exception]) -> None:
    assert str(make(kind))


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (errors.BaseRuntimeError, RuntimeError),
        (errors.CallTimeoutError, TimeoutError),
        (errors.WaitTimeoutError, TimeoutError),
        (errors.OptionError, ValueError),
        (errors.LiteralError, TypeError),
        (errors.LiteralError, ValueError),
        (errors.InputsError, errors.LiteralError),
        (errors.ConfigError, errors.InitializationError),
        (errors.NotInitializedError, errors.InitializationError),
        (errors.CallError, errors.UnionRpcError),
        (errors.CallError, errors.RuntimeSystemError),
        (errors.InvalidArgumentError, errors.RuntimeUserError),
        (errors.AlreadyExistsError, errors.RuntimeUserError),
        (errors.MaxRuntimeExceededError, errors.TaskTimeoutError),
        (errors.DeadlineExceededError, errors.TaskTimeoutError),
        (errors.EndpointError, errors.TransportError),
        (errors.GPUFaultUserError, errors.GPUFaultError),
        (errors.GPUFaultUserError, errors.RuntimeUserError),
        (errors.GPUFaultSystemError, errors.GPUFaultError),
        (errors.GPUFaultSystemError, errors.RuntimeSystemError),
        (errors.ResourceExhaustedError, errors.SlowDownError),
        (errors.ActionNotFoundError, RuntimeError),
    ],
)
def test_each_is_caught_as_what_it_is(kind: type[Exception], also: type[Exception]) -> None:
    assert issubclass(kind, also)


# The official tree: what is caught there as one of these is so here.
OFFICIAL_TREE = {
    "RuntimeError": "ActionNotFoundError BaseRuntimeError",
    "BaseRuntimeError": (
        "GPUFaultError InitializationError LogsNotYetAvailableError RuntimeSystemError RuntimeUnknownError "
        "RuntimeUserError"
    ),
    "RuntimeSystemError": "UnionRpcError",
    "RuntimeUserError": (
        "ActionAbortedError AppleSiliconError CodeBundleError ConditionAlreadyExistsError "
        "ConditionFailedError ConditionNotFoundError ConditionTimedoutError CustomError DeploymentError "
        "ImageBuildError ImagePullBackOffError InlineIOMaxBytesBreached InvalidImageNameError "
        "InvalidPackageError ModuleLoadError NonRecoverableError NotInTaskContextError OOMError "
        "OnlyAsyncIOSupportedError ParameterMaterializationError PrimaryContainerNotFoundError "
        "RemoteTaskNotFoundError RemoteTaskUsageError RestrictedTypeError RetriesExhaustedError "
        "RuntimeDataValidationError SlowDownError SyncTaskCallInAsyncContextError TaskInterruptedError "
        "TaskTimeoutError TraceDoesNotAllowNestedTasksError"
    ),
    "GPUFaultError RuntimeUserError": "GPUFaultUserError",
    "GPUFaultError RuntimeSystemError": "GPUFaultSystemError",
    "TaskTimeoutError": "DeadlineExceededError MaxQueuedTimeExceededError MaxRuntimeExceededError",
    "SlowDownError": "ResourceExhaustedError",
    "AppleSiliconError": (
        "AppleSiliconBridgeUnreachableError AppleSiliconDaemonOOMError AppleSiliconDaemonStartFailedError "
        "AppleSiliconHostExecFailedError AppleSiliconModelNotFoundError AppleSiliconNotAvailableError"
    ),
}


@pytest.mark.parametrize(
    ("name", "bases"), [(name, bases.split()) for bases, names in OFFICIAL_TREE.items() for name in names.split()]
)
def test_each_is_caught_as_there(name: str, bases: list[str]) -> None:
    kind = getattr(errors, name)

    for base in bases:
        assert issubclass(kind, getattr(errors, base, RuntimeError))


# Constructors of the official SDK: how each class is made there, and what it then holds.
OFFICIAL = [
    (("GPUFaultError", "C", "user", "m", "w"), "C", "user", "m"),
    (("GPUFaultUserError", "C", "m", "w"), "C", "user", "m"),
    (("GPUFaultSystemError", "C", "m", "w"), "C", "system", "m"),
    (("AppleSiliconError", "m", "w"), "APPLE_SILICON_ERROR", "user", "m"),
    (("TaskTimeoutError", "m", "C"), "C", "user", "m"),
    (("TaskTimeoutError", "m"), "TaskTimeoutError", "user", "m"),
    (("MaxQueuedTimeExceededError", "m"), "MaxQueuedTimeExceededError", "user", "m"),
    (("NonRecoverableError", "m", "C"), "C", "user", "m"),
    (("NonRecoverableError", "m"), "NonRecoverableError", "user", "m"),
    (("CustomError", "C", "m"), "C", "user", "m"),
    (("NotInTaskContextError", "C", "m"), "C", "user", "m"),
    (("LogsNotYetAvailableError", "m"), "LogsNotYetAvailable", "system", "m"),
    (("RestrictedTypeError", "m"), "RestrictedTypeUsage", "user", "m"),
    (("SlowDownError", "m"), "SlowDownError", "user", "m"),
    (("RemoteTaskNotFoundError", "m"), errors.RemoteTaskNotFoundError.CODE, "user", "m"),
    (("RuntimeDataValidationError", "x", "bad", "t"), "DataValidationError", "user", "variable x of task t: bad"),
    (("RuntimeDataValidationError", "x", ValueError("bad")), "DataValidationError", "user", "variable x: bad"),
    (
        ("InvalidPackageError", "lib", "none"),
        "InvalidPackageError",
        "user",
        "system package 'lib' can't be installed: none",
    ),
    *[((cls.__name__, "m", "w"), code, "user", "m") for code, cls in errors.APPLE_SILICON_ERRORS_BY_CODE.items()],
]


@pytest.mark.parametrize(
    ("made", "code", "kind", "text"), OFFICIAL, ids=lambda value: value[0] if isinstance(value, tuple) else ""
)
def test_official_constructors(made: tuple[Any, ...], code: str, kind: str, text: str) -> None:
    name, *args = made
    error = getattr(errors, name)(*args)

    assert (error.code, error.kind, error.message, str(error)) == (code, kind, text, text)
    assert error.worker == ("w" if args[-1] == "w" else None)


def test_a_fault_of_a_gpu_holds_what_is_known_of_it() -> None:
    fault = errors.GPUFaultUserError("GpuXidError", "fell", fault_kind="xid", fault_code=31, gpu_index=0, node="n1")

    assert (fault.xid, fault.sxid, fault.gpu_index, fault.node, fault.severity) == (31, None, 0, "n1", None)
    twin = pickle.loads(pickle.dumps(fault))
    assert vars(twin) == vars(fault)
    assert errors.GPUFaultSystemError("c", "m", fault_kind="sxid", fault_code=5).sxid == 5
    assert errors.GPU_FAULT_CODES[0] == "GpuXidError"


def test_which_apple_silicon_errors_may_pass() -> None:
    assert {code for code, cls in errors.APPLE_SILICON_ERRORS_BY_CODE.items() if cls.recoverable} == {
        "APPLE_SILICON_DAEMON_OOM",
        "APPLE_SILICON_BRIDGE_UNREACHABLE",
    }


def test_a_task_s_own_error_keeps_its_cause() -> None:
    cause = KeyError("k")

    error = errors.CustomError.from_exception(cause)

    assert (error.code, error.message, error.__cause__) == ("KeyError", "'k'", cause)


def test_a_runs_deadline_is_no_calls_deadline() -> None:
    assert not issubclass(errors.DeadlineExceededError, errors.CallError)
    assert not issubclass(errors.CallTimeoutError, errors.TaskTimeoutError)


def test_nothing_was_sent_where_nothing_can_have_been_sent() -> None:
    assert [kind("x").sent for kind in (errors.ConnectFailedError, errors.TlsError, errors.ConnectionLostError)] == [
        False,
        False,
        True,
    ]


def test_a_text_holds_the_frame_but_neither_headers_nor_details() -> None:
    error = errors.UnauthenticatedError(
        "no token",
        Code.UNAUTHENTICATED,
        details=[ErrorDetail("a.B", b"hidden")],
        headers={"set-cookie": ["hidden"], "www-authenticate": ["hidden"]},
    )
    error.method = "S/M"

    assert str(error) == "S/M: unauthenticated: no token"
    assert "hidden" not in repr(error)


def test_one_attempt_is_not_worth_a_word() -> None:
    error = errors.NotFoundError("", Code.NOT_FOUND)
    assert str(error) == "not_found: no message"

    error.attempts, error.elapsed = 3, 1.25
    assert str(error) == "not_found: no message (after 3 attempts in 1.2 s)"


def test_codes_are_the_sixteen_of_connect() -> None:
    wanted = """canceled unknown invalid_argument deadline_exceeded not_found already_exists permission_denied
        resource_exhausted failed_precondition aborted out_of_range unimplemented internal unavailable data_loss
        unauthenticated"""
    assert [code.value for code in Code] == wanted.split()
    assert all(f"{code:>20}".strip() == code == code.value == str(code) for code in Code)
