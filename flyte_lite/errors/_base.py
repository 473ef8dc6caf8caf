"""The trunk of the tree: what every error is, and whose fault a failure is."""

from __future__ import annotations

from typing import Any, ClassVar, Optional


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


class Coded(BaseRuntimeError):
    """What has one code, usually its own name, and is made of a text alone."""

    _code: ClassVar[str] = ""
    _kind: ClassVar[str] = "user"

    def __init__(self, message: str, *, worker: Optional[str] = None) -> None:
        BaseRuntimeError.__init__(self, self._code or type(self).__name__, self._kind, message, worker)


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
