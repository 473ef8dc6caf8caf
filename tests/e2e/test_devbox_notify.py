"""From `flyte_lite.notify` to what would have been sent."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from flyte_lite import Client, notify
from flyte_lite.devbox import Devbox


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="notified.divide", version="v1")
        def divide(by: int) -> float:
            return 1 / by

        yield box


def test_each_end_makes_the_notifications_that_were_asked_for(box: Devbox) -> None:
    with Client(box.endpoint, project="flytesnacks", domain="development") as client:
        task = client.tasks.get("notified.divide", version="v1")
        asked = [
            notify.Slack(on_phase="failed", webhook_url="https://hooks.example/1", message="{{.Run.Name}}: {{.Error}}"),
            notify.Email(on_phase=["succeeded", "failed"], recipients=["somebody@example.com"]),
            notify.NamedDelivery(on_phase="succeeded", name="team"),
        ]
        good = client.with_runcontext(notifications=asked).run(task, by=1)
        good.wait(timeout=60)
        bad = client.with_runcontext(notifications=asked).run(task, by=0)
        bad.wait(timeout=60)
        quiet = client.run(task, by=1)
        quiet.wait(timeout=60)
        ruled = client.with_runcontext(notifications=notify.NamedRule("on-call")).run(task, by=1)
        ruled.wait(timeout=60)

    told = box.notifications

    assert [(one.run_name, one.phase, one.rule_name, one.delivery_name) for one in told] == [
        (good.name, "SUCCEEDED", "", ""),
        (good.name, "SUCCEEDED", "", "team"),
        (bad.name, "FAILED", "", ""),
        (bad.name, "FAILED", "", ""),
        (ruled.name, "SUCCEEDED", "on-call", ""),
    ]
    slack, email = told[2].webhook, told[0].email
    assert slack is not None
    assert email is not None
    assert slack.url == "https://hooks.example/1"
    assert json.loads(slack.body_template) == {"text": f"{bad.name}: division by zero"}
    assert email.to[0].address == "somebody@example.com"
    assert email.inline.subject == f"Run {good.name} SUCCEEDED"
    box.reset()
    assert box.notifications == []
