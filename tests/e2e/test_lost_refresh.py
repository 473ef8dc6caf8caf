"""Calls that end while a refresh token is under way: nobody is signed out for that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from caller import calling
from issuer import Issuer, Request

from flyte_lite import errors
from flyte_lite._clock import Cancel

PROGRAM = """
import json, sys
from caller import calling
from issuer import Issuer
from flyte_lite import errors
with Issuer() as unused:
    unused.port = int(sys.argv[1])
    with calling(unused, **json.loads(sys.argv[2])) as caller:
        try:
            caller.call(0.5)
        except errors.CallTimeoutError:
            print("left", flush=True)
            sys.stdin.readline()
"""


class Gate:
    """Before what an issuer answers to a refresh: used up it is already."""

    def __init__(self, issuer: Issuer) -> None:
        self.arrived, self.open = threading.Event(), threading.Event()
        self._answer: Any = issuer._token
        issuer._token = self._token  # type: ignore[method-assign]

    def _token(self, request: Request) -> dict[str, Any]:
        fields: dict[str, Any] = self._answer(request)
        if request.form["grant_type"] == "refresh_token":
            self.arrived.set()
            self.open.wait(60)
        return fields


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def gate(issuer: Issuer) -> Iterator[Gate]:
    gate = Gate(issuer)
    yield gate
    gate.open.set()


def settings(kind: str, folder: Path) -> dict[str, Any]:
    return {"auth_type": "DeviceFlow", "token_store": "memory" if kind == "memory" else str(folder / "tokens")}


@pytest.mark.parametrize("end", ["deadline", "cancel"])
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_call_that_ends_meanwhile_signs_nobody_out(
    issuer: Issuer, gate: Gate, tmp_path: Path, kind: str, end: str
) -> None:
    with calling(issuer, **settings(kind, tmp_path)) as caller:
        caller.call()
        issuer.revoke()
        if end == "deadline":
            with pytest.raises(errors.CallTimeoutError, match="call again, as its answer is still waited for"):
                caller.call(1.0)
        else:
            cancel = Cancel()

            def stop() -> None:
                gate.arrived.wait(60)
                cancel.cancel()

            threading.Thread(target=stop).start()
            with pytest.raises(errors.CanceledError):
                caller.call(60.0, cancel)
        assert gate.arrived.wait(60)
        gate.open.set()
        caller.call()

    assert len(issuer.to("/device")) == 1
    assert [request.form["grant_type"].rpartition(":")[2] for request in issuer.to("/token")] == [
        "device_code",
        "refresh_token",
    ]


def test_a_program_that_ends_meanwhile_leaves_the_answer_in_the_store(
    issuer: Issuer, gate: Gate, tmp_path: Path
) -> None:
    kept = settings("file", tmp_path)
    with calling(issuer, **kept) as caller:
        caller.call()
        (file,) = (tmp_path / "tokens").iterdir()
        file.write_text(json.dumps({**json.loads(file.read_text()), "expires_at": time.time() - 1}))
        issuer.revoke()
        path = os.pathsep.join(filter(None, sys.path))
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(issuer.port), json.dumps(kept)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "left\n"
        assert gate.arrived.wait(60)
        threading.Timer(0.3, gate.open.set).start()
        program.communicate("end\n", timeout=60)
        caller.call()

    assert len(issuer.to("/device")) == 1
    assert len(issuer.to("/token")) == 2
