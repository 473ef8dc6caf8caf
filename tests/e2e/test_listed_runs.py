"""Lists against a devbox: of runs that come and end meanwhile, of the steps of a run, of what is deployed."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from many_runs import DOMAIN, PROJECT, ManyRuns

from flyte_lite import Client
from flyte_lite.devbox import Devbox
from flyte_lite.errors import RuntimeUserError
from flyte_lite.remote import TimeFilter


@pytest.fixture(scope="module")
def steady() -> Iterator[Client]:
    """A devbox in which a few runs were made and have ended, and nothing happens any more."""
    with Devbox() as box, Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client:

        @box.task(name="steps.double", version="v1")
        def double(x: int) -> int:
            return 2 * x

        @box.task(name="steps.fail", version="v1")
        def fail(text: str) -> None:
            raise ValueError(text)

        @box.task(name="my_steps.double", version="v2")
        def other(x: int) -> int:
            return 2 * x

        double_task = client.tasks.get("steps.double", version="v1")
        first = client.with_runcontext(name="first", labels={"team": "ml"}).run(double_task, x=1)
        second = client.with_runcontext(name="second", labels={"team": "web", "tier": "1"}).run(double_task, x=2)
        broken = client.with_runcontext(name="broken").run(client.tasks.get("steps.fail", version="v1"), text="boom")
        for run in (first, second, broken):
            run.wait(timeout=60)
        yield client


def names(found: Any) -> list[str]:
    return [each.name for each in found]


def test_runs_are_listed_by_what_they_are(steady: Client) -> None:
    listall = steady.runs.listall

    assert names(listall()) == ["first", "second", "broken"]
    assert names(listall(sort_by=("created_at", "desc"))) == ["broken", "second", "first"]
    assert names(listall(in_phase="failed")) == ["broken"]
    assert names(listall(in_phase=("failed", "succeeded"), limit=2)) == ["first", "second"]
    assert names(listall(in_phase="recovered")) == []
    assert names(listall(task_name="steps.double")) == ["first", "second"]
    assert names(listall(task_name="steps.double", task_version="v2")) == []
    assert names(listall(project="nowhere")) == []
    assert names(listall(domain="production")) == []
    assert names(listall(paused_actions_only=True)) == []
    assert names(listall(created_by_subject="nobody")) == []


def test_runs_are_listed_by_time(steady: Client) -> None:
    listall = steady.runs.listall
    now = datetime.datetime.now(datetime.timezone.utc)
    ago = now - datetime.timedelta(hours=1)

    assert len(names(listall(created_at=TimeFilter(after=ago, before=now)))) == 3
    assert names(listall(created_at=TimeFilter(before=ago))) == []
    assert names(listall(updated_at=TimeFilter(after=now))) == []


def test_runs_are_listed_by_label_though_the_server_does_not_know_labels(steady: Client) -> None:
    listall = steady.runs.listall

    assert names(listall(with_labels={"team": "ml"})) == ["first"]
    assert names(listall(with_label_keys=["team"])) == ["first", "second"]
    assert names(listall(with_labels={"team": "web"}, with_label_keys=["tier"])) == ["second"]


def test_what_is_to_blame_is_found(steady: Client) -> None:
    blamed = steady.runs.get("broken").first_failure()

    assert blamed is not None
    assert (blamed.run_name, blamed.name) == ("broken", "a0")
    assert "boom" in blamed.error_message
    with pytest.raises(RuntimeUserError, match="boom"):
        blamed.raise_for_status()
    assert steady.runs.get("first").first_failure() is None


def test_actions_are_listed(steady: Client) -> None:
    (root,) = steady.actions.listall("broken")
    assert (root.run_name, root.name, root.phase) == ("broken", "a0", "failed")
    assert names(steady.actions.listall("broken", in_phase="succeeded")) == []
    assert names(steady.actions.listall("broken", parent_name="a0")) == []
    assert steady.actions.get(run_name="broken", name="a0").task_name == "steps.fail"


def test_the_steps_of_a_run_and_the_deepest_that_failed() -> None:
    with Devbox() as box, Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client:

        @box.task(name="deep.leaf", version="v1")
        def leaf(x: int) -> int:
            return 10 % x

        @box.task(name="deep.middle", version="v1")
        def middle(x: int) -> int:
            return leaf(x + 1) + leaf(x)

        @box.task(name="deep.top", version="v1")
        def top(x: int) -> int:
            return middle(x)

        run = client.run(client.tasks.get("deep.top", version="v1"), x=0)
        run.wait(timeout=60)

        steps = list(client.actions.listall(run.name))
        assert [step.task_name for step in (step.details() for step in steps)] == [
            "deep.top",
            "deep.middle",
            "deep.leaf",
            "deep.leaf",
        ]
        (child,) = client.actions.listall(run.name, parent_name="a0")
        assert child.name == steps[1].name
        assert [step.phase for step in client.actions.listall(run.name, parent_name=child.name)] == [
            "succeeded",
            "failed",
        ]
        blamed = run.first_failure()
        assert blamed is not None
        assert (blamed.task_name, blamed.name) == ("deep.leaf", steps[3].name)
        assert "modulo by zero" in blamed.error_message


def test_a_run_that_repeats_another_says_which() -> None:
    with Devbox() as box, Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client:

        @box.task(name="steps.double", version="v1")
        def double(x: int) -> int:
            return 2 * x

        client.with_runcontext(name="first").run(client.tasks.get("steps.double", version="v1"), x=1).wait(timeout=60)
        again = client.rerun("first")

        for shown in (client.actions.get(run_name=again.name), again.details().action_details):
            assert shown.relation is not None
            assert shown.relation.related_to.name == "first"


def test_tasks_are_listed(steady: Client) -> None:
    listall = steady.tasks.listall

    assert names(listall(sort_by=("name", "asc"))) == ["my_steps.double", "steps.double", "steps.fail"]
    assert names(listall(by_task_env="steps", sort_by=("name", "desc"))) == ["steps.fail", "steps.double"]
    (found,) = listall(by_task_name="my_steps.double")
    assert found.version == "v2"
    assert found.entrypoint is False
    assert found.url.endswith(f"/v2/domain/{DOMAIN}/project/{PROJECT}/tasks/my_steps.double")
    assert names(listall(limit=1)) == ["steps.double"]
    assert names(listall(entrypoint=True)) == []
    assert len(names(listall(entrypoint=False))) == 3


def test_what_is_listed_is_told_as_json(steady: Client) -> None:
    (found,) = steady.runs.listall(limit=1)

    assert found.to_dict()["action"]["id"]["run"]["name"] == "first"
    assert '"name": "first"' in found.to_json()
    assert "first" in found._repr_html_()


@pytest.mark.parametrize("in_phase", [None, "running"], ids=["all", "running"])
def test_none_of_ten_thousand_is_lost_and_none_comes_twice(in_phase: Optional[str]) -> None:
    changed(10_000, 500, 500, in_phase, step=10_000)


@pytest.mark.parametrize("in_phase", [None, "running"], ids=["all", "running"])
def test_none_is_lost_where_all_were_made_in_the_same_second(in_phase: Optional[str]) -> None:
    """As the real server shows those whose execution has begun."""
    changed(1_000, 100, 100, in_phase, step=0)


def changed(count: int, added: int, ended: int, in_phase: Optional[str], step: int) -> None:
    """List `count` runs while others come and some of these end."""
    with Devbox() as box, Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client:
        runs = ManyRuns(box, step)
        there = [f"r{nth:05}" for nth in range(count)]
        runs.add(there)
        fresh = iter([f"s{nth:05}" for nth in range(added)])
        # From the front, which is where rows that leave make others move up; every second one.
        ending = iter(there[: 2 * ended : 2])
        gone: set[str] = set()
        found = []
        every = count // 50
        for nth, run in enumerate(client.runs.listall(in_phase=in_phase, limit=None)):
            found.append(run.name)
            if nth % every == 0:
                runs.add(itertools.islice(fresh, added // 50))
                now_gone = list(itertools.islice(ending, ended // 50))
                runs.end(now_gone)
                gone.update(now_gone)
        assert (next(fresh, None), next(ending, None)) == (None, None), "all of it happened meanwhile"
        assert len(gone) == ended
        assert len(found) == len(set(found)), "none twice"
        wanted = set(there) if in_phase is None else set(there) - gone
        assert wanted - set(found) == set(), "none lost"
        assert len(names(client.runs.listall(limit=None))) == count + added
