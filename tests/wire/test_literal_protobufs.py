"""Protobuf in C and in Python: the same values, the same bytes, the same errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("msgpack")

FOLDER = Path(__file__).parent


def lines_of(implementation: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "literal_digest.py")],
        env={
            **os.environ,
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation,
            # Sets of texts are shown in the order of their hashes.
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_both_implementations_of_protobuf_do_the_same() -> None:
    in_python = lines_of("python")
    in_c = lines_of("upb")

    assert (in_python[0], in_c[0]) == ("python", "upb")
    assert len(in_c) > 500
    assert in_c[1:] == in_python[1:]
