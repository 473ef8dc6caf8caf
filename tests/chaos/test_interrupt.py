"""Ctrl-C is a signal to a whole process, so it is sent to one: a child that calls, and tells what became of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from chaos_network import Network
from chaos_server import CERTIFICATES
from faults import FAULTS, behave

AT_ONCE = 0.5
"""In the best of some tries: a machine that is busy makes any of them late."""
TRIES = 5

CHILD = """
import json, sys, time
from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._http.origin import Origin
from flyte_lite._http.transport import Transport

origin, environ, authority, size, by_handler, streaming = json.loads(sys.argv[1])
transport = Transport(TlsPolicy(ca_file=authority), environ)
body = b"x" * size
if by_handler:
    import signal
    signal.signal(signal.SIGINT, lambda *_: cancel.cancel())

def call(seconds, body, cancel=None):
    deadline = Deadline(SYSTEM_CLOCK, seconds, cancel)
    if not streaming:
        return transport.exchange("POST", Origin(*origin), "/x", {}, body, deadline, 1 << 20).body
    pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))
    opened = transport.open("POST", Origin(*origin), "/x", {}, pieces, deadline, idle=15)
    return b"".join(iter(opened.read_some, b""))

def say(what):
    print(json.dumps([what, time.monotonic()]), flush=True)

for line in sys.stdin:
    cancel = Cancel()
    try:
        call(20, body, cancel)
        say("came to an end")
    except BaseException as error:
        say(type(error).__name__)
    sys.stdin.readline()
    transport.close()
    say(call(5, b"").decode())
    transport.close()
"""

POINTS = ("silent", "trickled body", "last body, then silence", "stalled upload", "stalled handshake", "stalled tunnel")


STREAM_POINTS = (
    "silent",
    "headers, then silence",
    "last body, then silence",
    "trickled endless body",
    "trickled chunks",
    "unfinished chunks",
    "stalled upload",
    "stalled handshake",
    "stalled tunnel",
)


def _interrupted(network: Network, by_handler: bool = False, streaming: bool = False) -> dict[str, Any]:
    """Each fault in turn in one child, as an interpreter takes half a second to start."""
    found: dict[str, Any] = {}
    points = STREAM_POINTS if streaming else POINTS
    for big in (False, True):
        names = [name for name in points if FAULTS[name].ways in network.way and (len(FAULTS[name].body) > 99) is big]
        size = len(FAULTS[names[0]].body)
        authority = str(CERTIFICATES / "authority.pem")
        arguments = [list(network.origin), network.environ, authority, size, by_handler, streaming]
        if by_handler:
            names = names[:1]
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for name in names:
                for _ in range(TRIES):
                    FAULTS[name].prepare(network)
                    network.server.reached.clear()
                    child.stdin.write("go\n")
                    assert network.server.reached.wait(20), name
                    time.sleep(0.05)
                    sent = time.monotonic()
                    child.send_signal(signal.SIGINT)
                    what, when = json.loads(child.stdout.readline())
                    behave(network)
                    child.stdin.write("again\n")
                    after, _ = json.loads(child.stdout.readline())
                    found[name] = (what, when - sent < AT_ONCE, after)
                    if found[name][1]:
                        break
            child.stdin.close()
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_ends_a_stuck_call_at_once_and_the_next_one_works(network: Network) -> None:
    found = _interrupted(network)

    assert found == {name: ("KeyboardInterrupt", True, "ok") for name in POINTS if FAULTS[name].ways in network.way}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_a_signal_handler_may_cancel_the_call_it_interrupts(plain: Network) -> None:
    found = _interrupted(plain, by_handler=True)

    assert found == {"silent": ("CanceledError", True, "ok"), "stalled upload": ("CanceledError", True, "ok")}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_ends_a_stuck_stream_at_once_and_the_next_one_works(network: Network) -> None:
    found = _interrupted(network, streaming=True)

    assert found == {
        name: ("KeyboardInterrupt", True, "ok") for name in STREAM_POINTS if FAULTS[name].ways in network.way
    }
