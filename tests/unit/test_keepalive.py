"""When the kernel asks whether the other side is still there."""

from __future__ import annotations

import socket
from typing import Optional

import pytest

from flyte_lite._http.keepalive import keepalive_options

IDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))


@pytest.mark.parametrize(
    ("seconds", "timeout", "wanted"),
    [
        (None, None, {}),
        (30.0, 9.0, {IDLE: 30, socket.TCP_KEEPINTVL: 3, socket.TCP_KEEPCNT: 3}),
        (30.0, None, {IDLE: 30, socket.TCP_KEEPINTVL: 7, socket.TCP_KEEPCNT: 3}),
        (0.2, 0.2, {IDLE: 1, socket.TCP_KEEPINTVL: 1, socket.TCP_KEEPCNT: 3}),
        (None, 60.0, {socket.TCP_KEEPINTVL: 20, socket.TCP_KEEPCNT: 3}),
    ],
)
def test_the_kernel_counts_whole_seconds(
    seconds: Optional[float], timeout: Optional[float], wanted: dict[int, int]
) -> None:
    options = keepalive_options(seconds, timeout)

    assert {name: value for _, name, value in options} == wanted
    assert {level for level, _, _ in options} <= {socket.IPPROTO_TCP}
    with socket.socket() as sock:
        for option in options:
            sock.setsockopt(*option)
