"""RPC errors as they travel: Connect's error JSON, and the codes that HTTP statuses stand for. No I/O.

Specification: connectrpc.com, "Error Codes", "Error" and "HTTP to Error Code".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from flyte_lite import errors
from flyte_lite._rpc.headers import unbase64
from flyte_lite.errors import Code, ErrorDetail

# What a bare HTTP status means when no RPC error came with it; everything else is unknown.
_CODE_OF_STATUS = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    **dict.fromkeys((429, 502, 503, 504), Code.UNAVAILABLE),
}

_CODES = {code.value: code for code in Code}


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
        if not isinstance(parsed, dict) or parsed.keys().isdisjoint(("code", "message", "details")):
            return None
        message = parsed.get("message")
        details = parsed.get("details")
        return cls(
            _CODES.get(parsed["code"]) if isinstance(parsed.get("code"), str) else None,
            message if isinstance(message, str) else "",
            tuple(filter(None, map(_detail, details))) if isinstance(details, list) else (),
        )

    def to_exception(self, headers: Mapping[str, list[str]], default: Code = Code.UNKNOWN) -> errors.CallError:
        """The exception to raise; `default` stands in for a code that is missing or not known."""
        code = self.code or default
        return errors.class_of(code)(self.message, code, details=self.details, headers=headers)


def _detail(item: Any) -> Optional[ErrorDetail]:
    kind, value = (item.get("type"), item.get("value")) if isinstance(item, dict) else ("", None)
    data = unbase64(value) if isinstance(kind, str) and isinstance(value, str) else None
    return None if data is None else ErrorDetail(str(kind).rpartition("/")[2], data)
