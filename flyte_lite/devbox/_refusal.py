"""How the devbox refuses a call: the exceptions that its services raise and its wire turns into answers."""

from __future__ import annotations

from flyte_lite._rpc.wire_error import WireError
from flyte_lite.errors import CallError, Code


def refusal(code: Code, message: str) -> CallError:
    """The exception that answers a call with `code` and `message`."""
    return WireError(code, message).to_exception({})


class ConnectionDropped(Exception):
    """There is no answer at all: the connection is closed, as the real server does where its handler panics."""
