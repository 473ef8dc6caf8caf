"""Lists beside the official SDK's: the same call, on the same devbox, gives the same rows; or what we do better."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from flyte_lite import Client
from flyte_lite.devbox import Devbox

PROJECT, DOMAIN = "flytesnacks", "development"

CALLS = (
    "Run.listall()",
    "Run.listall(limit=2)",
    "Run.listall(sort_by=('created_at', 'desc'))",
    "Run.listall(sort_by=('updated_at', 'asc'))",
    "Run.listall(in_phase=('failed',))",
    "Run.listall(in_phase=(ActionPhase.SUCCEEDED, 'FAILED'))",
    "Run.listall(task_name='lists.double')",
    "Run.listall(task_name='lists.double', task_version='v2')",
    "Run.listall(project='elsewhere', domain='development')",
    "Run.listall(created_at=TimeFilter(after=hour_ago))",
    "Run.listall(created_at=TimeFilter(before=hour_ago))",
    "Run.listall(updated_at=TimeFilter(after=hour_ago, before=in_an_hour))",
    "Run.listall(paused_actions_only=True)",
    "Action.listall(for_run_name='parent')",
    "Action.listall(for_run_name='parent', in_phase=('failed',))",
    "Action.listall(for_run_name='parent', sort_by=('created_at', 'desc'))",
    "Task.listall()",
    "Task.listall(by_task_name='lists.double')",
    "Task.listall(sort_by=('name', 'desc'), limit=1)",
)
# What the open-source server does not know: there the official SDK fails, or is told too much.
BETTER = {
    "Run.listall(in_phase=('recovered',))": ("internal", []),
    "Run.listall(created_by_subject='nobody')": ("invalid_argument", []),
    "Run.listall(with_labels={'team': 'ml'})": ("invalid_argument", ["one"]),
    "Run.listall(with_label_keys=['team'])": ("invalid_argument", ["one", "two"]),
    "len(list(Action.listall(for_run_name='parent', parent_name='a0')))": ("invalid_argument", 1),
    "Task.listall(entrypoint=True)": (["lists.double", "lists.fail", "lists.parent", "my_lists.double"], []),
    "Task.listall(by_task_env='lists')": (
        ["lists.double", "lists.fail", "lists.parent", "my_lists.double"],
        ["lists.double", "lists.fail", "lists.parent"],
    ),
}

SCRIPT = """
import datetime, os, sys
if sys.argv[1] == "official":
    import flyte
    from flyte.models import ActionPhase
    from flyte.remote import Action, Run, Task, TimeFilter
    flyte.init(endpoint=sys.argv[2], insecure=True, project="flytesnacks", domain="development")
else:
    import flyte_lite
    from flyte_lite.models import ActionPhase
    from flyte_lite.remote import Action, Run, Task, TimeFilter
    flyte_lite.init(endpoint=sys.argv[2], project="flytesnacks", domain="development")
now = datetime.datetime.now()
hour_ago, in_an_hour = now - datetime.timedelta(hours=1), now + datetime.timedelta(hours=1)
told = {}
for call in sys.argv[3:]:
    try:
        found = eval(call)
        told[call] = found if isinstance(found, int) else [each.name for each in found]
    except Exception as error:
        told[call] = getattr(getattr(error, "code", error), "value", repr(error))
print("told", repr(told), sep=chr(9), flush=True)
# The official one's threads abort the interpreter now and then on its way out.
os._exit(0)
"""


def seen_by(who: str, endpoint: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, who, endpoint, *CALLS, *BETTER],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("told\t"))
    told: dict[str, Any] = ast.literal_eval(line.partition("\t")[2])
    return told


@pytest.fixture(scope="module")
def seen() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What each saw, the official one first."""
    with Devbox() as box, Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client:

        @box.task(name="lists.double", version="v1")
        def double(x: int) -> int:
            return 2 * x

        @box.task(name="lists.fail", version="v1")
        def fail(x: int) -> int:
            raise ValueError(x)

        @box.task(name="lists.parent", version="v1")
        def parent(x: int) -> int:
            return double(x)

        @box.task(name="my_lists.double", version="v1")
        def other(x: int) -> int:
            return 2 * x

        for name, task, labels in (
            ("one", "lists.double", {"team": "ml"}),
            ("two", "lists.double", {"team": "web"}),
            ("broken", "lists.fail", {}),
            ("parent", "lists.parent", {}),
        ):
            client.with_runcontext(name=name, labels=labels).run(client.tasks.get(task, version="v1"), x=1).wait(
                timeout=60
            )
        yield seen_by("official", box.endpoint), seen_by("ours", box.endpoint)


@pytest.mark.parametrize("call", CALLS)
def test_the_same_call_gives_the_same_rows(call: str, seen: tuple[dict[str, Any], dict[str, Any]]) -> None:
    theirs, ours = seen

    assert ours[call] == theirs[call]
    assert isinstance(ours[call], list)


@pytest.mark.parametrize("call", BETTER)
def test_what_the_server_does_not_know_is_found_here(call: str, seen: tuple[dict[str, Any], dict[str, Any]]) -> None:
    theirs, ours = seen
    official, better = BETTER[call]

    assert theirs[call] == official
    assert ours[call] == better


def test_most_calls_find_something(seen: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert sum(bool(rows) for rows in seen[1].values()) > 15
