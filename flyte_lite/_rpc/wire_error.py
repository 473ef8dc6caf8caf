"""RPC errors as they travel: Connect's error JSON, and the tables between codes and HTTP statuses. No I/O.

Both directions are here, so client and devbox can't disagree. Specification: connectrpc.com, "Error codes" and
"Error end-stream"; section "Unary-Response".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from flyte_lite import errors
from flyte_lite._rpc.headers import unbase64
from flyte_lite.errors import Code, ErrorDetail

_STATUS_OF_CODE = {
    Code.CANCELED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}

# What a bare HTTP status means when no RPC error came with it; everything else is unknown.
_CODE_OF_STATUS = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}

_CODES = {code.value: code for code in Code}

_CLASS_OF_CODE: dict[Code, type[errors.CallError]] = {
    Code.CANCELED: errors.CanceledError,
    Code.INVALID_ARGUMENT: errors.InvalidArgumentError,
    Code.DEADLINE_EXCEEDED: errors.CallTimeoutError,
    Code.NOT_FOUND: errors.NotFoundError,
    Code.ALREADY_EXISTS: errors.AlreadyExistsError,
    Code.PERMISSION_DENIED: errors.PermissionDeniedError,
    Code.RESOURCE_EXHAUSTED: errors.RateLimitedError,
    Code.FAILED_PRECONDITION: errors.FailedPreconditionError,
    Code.ABORTED: errors.AbortedError,
    Code.UNIMPLEMENTED: errors.UnimplementedError,
    Code.INTERNAL: errors.InternalError,
    Code.UNAVAILABLE: errors.UnavailableError,
    Code.UNAUTHENTICATED: errors.UnauthenticatedError,
}


def status_of(code: Code) -> int:
    """The HTTP status with which a Connect server sends `code`."""
    return _STATUS_OF_CODE[code]


def code_of_status(status: int) -> Code:
    """The code that a bare HTTP status stands for."""
    return _CODE_OF_STATUS.get(status, Code.UNKNOWN)


class WireError(NamedTuple):
    """An error as it is on the wire.

    Attributes:
        code: None if it was missing or is no code; then the HTTP status decides.
        message: "" if there was none.
        details: Undecoded.
    """

    code: Optional[Code]
    message: str = ""
    details: tuple[ErrorDetail, ...] = ()

    @classmethod
    def from_json(cls, body: bytes) -> Optional[WireError]:
        """Read Connect's error JSON; None if it is not such a thing: no object, or one that says nothing we know.

        Unknown keys are ignored, and a detail that can't be read is left out: neither may hide the code.
        """
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            return None
        return cls.from_object(parsed)

    @classmethod
    def from_object(cls, parsed: Any) -> Optional[WireError]:
        """The same from JSON already parsed, as the end of a stream holds it."""
        if not isinstance(parsed, dict):
            return None
        if not parsed.keys() & {"code", "message", "details"}:
            return None
        message = parsed.get("message")
        details = parsed.get("details")
        return cls(
            _CODES.get(parsed["code"]) if isinstance(parsed.get("code"), str) else None,
            message if isinstance(message, str) else "",
            tuple(_details(details)) if isinstance(details, list) else (),
        )

    def to_object(self) -> dict[str, Any]:
        """As JSON-ready Connect error object."""
        made: dict[str, Any] = {"code": (self.code or Code.UNKNOWN).value}
        if self.message:
            made["message"] = self.message
        if self.details:
            made["details"] = [
                {"type": detail.type, "value": base64.b64encode(detail.value).decode().rstrip("=")}
                for detail in self.details
            ]
        return made

    def to_json(self) -> bytes:
        """As the body of a unary Connect error."""
        return json.dumps(self.to_object(), ensure_ascii=False, separators=(",", ":")).encode()

    def to_exception(self, headers: Mapping[str, list[str]], default: Code = Code.UNKNOWN) -> errors.CallError:
        """The exception to raise; `default` stands in for a code that is missing or not known."""
        code = self.code or default
        kind = _CLASS_OF_CODE.get(code, errors.RpcError)
        return kind(self.message, code, details=self.details, headers=headers)


def _details(items: Sequence[Any]) -> list[ErrorDetail]:
    found = []
    for item in items:
        if (
            not isinstance(item, dict)
            or not isinstance(item.get("type"), str)
            or not isinstance(item.get("value"), str)
        ):
            continue
        value = unbase64(item["value"])
        if value is not None:
            found.append(ErrorDetail(item["type"].rpartition("/")[2], value))
    return found
