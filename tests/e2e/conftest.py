"""One devbox for all tests of a worker, with tasks that show what there is to show."""

from __future__ import annotations

import datetime
import enum
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Literal, Optional, Union

import pytest

from flyte_lite import Client
from flyte_lite.devbox import Devbox

PROJECT, DOMAIN = "flytesnacks", "development"


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@pytest.fixture(scope="session")
def box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str, times: int = 1) -> str:
            print(f"greeting {name}")
            return ", ".join([f"hello {name}"] * times)

        @box.task(name="numbers.divide", version="v1")
        def divide(a: float, b: float = 2.0) -> tuple[float, bool]:
            return a / b, a > b

        @box.task(name="greetings.nothing", version="v1")
        def nothing() -> None:
            print("did nothing")

        @box.task(name="greetings.sleep", version="v1")
        def sleep(seconds: float) -> str:
            time.sleep(seconds)
            return "awake"

        @box.task(name="greetings.crash", version="v1")
        def crash() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        @box.task(name="values.all", version="v1")
        def everything(
            i: int,
            f: float,
            s: str,
            b: bool,
            when: datetime.datetime,
            day: datetime.date,
            long: datetime.timedelta,
            items: list[list[int]],
            table: dict[str, float],
            maybe: Optional[str],
            either: Union[int, str],
            color: Color,
            size: Literal["small", "large"],
        ) -> tuple[
            int,
            float,
            str,
            bool,
            datetime.datetime,
            datetime.date,
            datetime.timedelta,
            list[list[int]],
            dict[str, float],
            Optional[str],
            Union[int, str],
            Color,
            str,
        ]:
            assert isinstance(color, Color)
            assert type(day) is datetime.date
            assert isinstance(f, float)
            return i, f, s, b, when, day, long, items, table, maybe, either, color, size

        yield box


@pytest.fixture
def client(box: Devbox) -> Iterator[Client]:
    with Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client:
        yield client


@pytest.fixture
def run_script(tmp_path: object) -> object:
    """Run a script in a process of its own and give what it printed."""

    def run(code: str, *args: str, **environ: str) -> str:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("FLYTE_")}
        done = subprocess.run(
            [sys.executable, "-c", code, *args],
            cwd=str(tmp_path),
            env={**inherited, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
