"""Errors as Connect's servers write them.

Specification: connectrpc.com, "Error Codes" and "Error".
"""

from __future__ import annotations

import base64
import json
from typing import Any

from flyte_lite.errors import CallError, Code

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


def status_of(code: Code) -> int:
    """The HTTP status with which a unary call ends in `code`."""
    return _STATUS_OF_CODE[code]


def error_object(error: CallError) -> dict[str, Any]:
    """An error as it stands in JSON."""
    made: dict[str, Any] = {"code": error.code.value}
    if error.message:
        made["message"] = error.message
    if error.details:
        made["details"] = [
            {"type": detail.type, "value": base64.b64encode(detail.value).decode().rstrip("=")}
            for detail in error.details
        ]
    return made


def json_bytes(made: dict[str, Any]) -> bytes:
    """JSON as Go writes it: no spaces, and letters as they are."""
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()
