"""How long a connection may be silent before the kernel asks whether the other side is still there."""

from __future__ import annotations

import socket
from typing import Optional

SocketOption = tuple[int, int, int]
_PROBES = 3
# gRPC's, where a caller names only the first wait.
_TIMEOUT = 20.0
# The same thing has a name on Linux and another on macOS.
_IDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))


def keepalive_options(seconds: Optional[float], timeout: Optional[float]) -> list[SocketOption]:
    """Options for each socket: probe after so many seconds of silence, give up that much later without an answer.

    The kernel counts whole seconds, and some count none of this; such an option is left out.

    Args:
        seconds: None leaves it to the kernel.
        timeout: None is 20 s after `seconds`, and else the kernel's.
    """
    options: list[SocketOption] = []
    if seconds is not None and _IDLE is not None:
        options.append((socket.IPPROTO_TCP, _IDLE, max(1, round(seconds))))
    if seconds is not None or timeout is not None:
        interval = (_TIMEOUT if timeout is None else timeout) / _PROBES
        for name, value in (("TCP_KEEPINTVL", max(1, round(interval))), ("TCP_KEEPCNT", _PROBES)):
            if hasattr(socket, name):
                options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options
