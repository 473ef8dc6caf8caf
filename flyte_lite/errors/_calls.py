"""Calls to the server that did not succeed."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

from flyte_lite.errors._base import RuntimeSystemError, RuntimeUserError


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


class UnionRpcError(RuntimeSystemError):
    """Communication with the server failed (the official name for it)."""


_SECRET_HEADERS = ("set-cookie", "location")


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
            Cookies and the address of a redirect are left out, because there are secrets in them.
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
        self.headers = headers or {}
        self.sent = sent
        self.method = ""
        self.endpoint = ""
        self.attempts = 1
        self.elapsed = 0.0
        self.request_id = ""

    @property
    def headers(self) -> Mapping[str, list[str]]:
        return self._headers

    @headers.setter
    def headers(self, headers: Mapping[str, list[str]]) -> None:
        self._headers = {name: values for name, values in headers.items() if name not in _SECRET_HEADERS}

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
