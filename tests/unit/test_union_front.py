"""`flyte_lite.union` itself: how little it loads, and that it launches as the house does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from flyte_lite import _launch, union
from flyte_lite._init import init
from flyte_lite.errors import OptionError, RemoteTaskUsageError


def test_an_import_loads_next_to_nothing() -> None:
    code = "import sys; before = set(sys.modules); import flyte_lite.union; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert set(done.stdout.split()) <= {"flyte_lite", "flyte_lite._version", "flyte_lite.union", "__future__"}


def test_init_is_the_house_s() -> None:
    assert union.init is init


def test_options_are_those_of_the_house() -> None:
    context: Any = union.with_runcontext("nightly", "robot", labels={"team": "ml"})

    assert context._context == _launch.with_runcontext(name="nightly", service_account="robot", labels={"team": "ml"})
    with pytest.raises(TypeError, match="colour"):
        union.with_runcontext(colour="red")


def test_mistakes_are_told_as_by_the_house() -> None:
    with pytest.raises(RemoteTaskUsageError):
        union.run(print)  # type: ignore[arg-type]
    with pytest.raises(OptionError):
        union.with_runcontext(mode="local")
