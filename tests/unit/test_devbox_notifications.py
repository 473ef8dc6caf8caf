"""Notifications: which are due when, and what would be in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Optional

import pytest
from devbox_services import CALL, Services, creation

from flyte_lite.devbox import notifications
from flyte_lite.devbox.state import State
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.task import run_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

RUNNING, SUCCEEDED, FAILED, ABORTED, PAUSED = (
    phase_pb2.ACTION_PHASE_RUNNING,
    phase_pb2.ACTION_PHASE_SUCCEEDED,
    phase_pb2.ACTION_PHASE_FAILED,
    phase_pb2.ACTION_PHASE_ABORTED,
    phase_pb2.ACTION_PHASE_PAUSED,
)


@pytest.fixture
def box() -> Iterator[Services]:
    made = Services()
    made.state.actions.listen(notifications.Notifier(made.state).reached)
    made.deploy()
    yield made
    made.state.close()


def create(box: Services, spec: run_pb2.RunSpec, name: str = "r1") -> None:
    request = creation(name)
    request.run_spec.CopyFrom(spec)
    box.runs.create_run(request, CALL)


def hook(*phases: int, spec: Optional[run_pb2.RunSpec] = None, **fields: str) -> run_pb2.RunSpec:
    """With one more rule, of a request."""
    spec = spec or run_pb2.RunSpec()
    rule = spec.notification_rules.rules.add(on_phases=phases)  # type: ignore[arg-type]  # numbers of an enum
    for name, value in fields.items():
        setattr(rule.delivery_template.webhook, name, value)
    return spec


def told(box: Services) -> list[notifications.Notification]:
    return notifications.recorded(box.state)


def test_a_rule_is_due_at_each_phase_that_it_names(box: Services) -> None:
    create(box, hook(SUCCEEDED, FAILED, url="https://a.example"))

    box.tell(RUNNING)
    assert told(box) == []
    box.tell(FAILED)

    (one,) = told(box)
    assert (one.run_name, one.project, one.domain, one.phase) == ("r1", "flytesnacks", "development", "FAILED")
    assert datetime.now(timezone.utc) - one.at < timedelta(minutes=1)
    assert (one.rule_name, one.delivery_name, one.email) == ("", "", None)
    assert one.webhook is not None
    assert one.webhook.url == "https://a.example"


def test_a_phase_that_is_told_twice_is_reached_once(box: Services) -> None:
    create(box, hook(SUCCEEDED))

    box.tell(SUCCEEDED)
    box.tell(SUCCEEDED)
    # Older news, which changes nothing.
    box.tell(RUNNING)

    assert len(told(box)) == 1


def test_an_abort_is_an_end(box: Services) -> None:
    create(box, hook(ABORTED, spec=hook(SUCCEEDED)))
    box.tell(SUCCEEDED)
    request = run_service_pb2.AbortRunRequest(run_id=creation().run_id)
    box.runs.abort_run(request, CALL)
    box.runs.abort_run(request, CALL)

    assert [one.phase for one in told(box)] == ["SUCCEEDED", "ABORTED"]


def test_a_pause_can_be_waited_for(box: Services) -> None:
    create(box, hook(PAUSED))
    box.tell(PAUSED)

    assert [one.phase for one in told(box)] == ["PAUSED"]


def test_only_the_run_itself_counts(box: Services) -> None:
    create(box, hook(SUCCEEDED))
    box.child("child")

    box.tell(SUCCEEDED, "child")

    assert told(box) == []


def test_without_rules_nobody_is_told(box: Services) -> None:
    box.create()
    box.tell(SUCCEEDED)

    assert told(box) == []


def test_templates_are_filled_in(box: Services) -> None:
    text = "{{.Run.Project}}/{{ .Run.Domain }}/{{.Run.Name}} {{.Phase}}: {{.Error}} {{.Other}} {.Phase}"
    spec = hook(FAILED, url="https://a.example/{{.Run.Name}}", body_template=json.dumps({"text": text}))
    spec.notification_rules.rules[0].delivery_template.webhook.headers["X-Run"] = "{{.Run.Name}}"
    email = spec.notification_rules.rules[0].delivery_template.email
    email.to.add(address="somebody@example.com")
    email.inline.subject, email.inline.html_template, email.inline.text_template = "{{.Phase}}", "<b>{{.Phase}}", text
    create(box, spec)
    error = run_definition_pb2.ErrorInfo(message="no good", kind=run_definition_pb2.ErrorInfo.KIND_USER)
    box.event(FAILED, at=1, error_info=error)
    box.tell(FAILED)

    (one,) = told(box)

    filled = "flytesnacks/development/r1 FAILED: no good {{.Other}} {.Phase}"
    assert one.webhook is not None
    assert one.email is not None
    assert (one.webhook.url, json.loads(one.webhook.body_template)) == ("https://a.example/r1", {"text": filled})
    assert dict(one.webhook.headers) == {"X-Run": "r1"}
    assert one.email.to[0].address == "somebody@example.com"
    inline = one.email.inline
    assert (inline.subject, inline.html_template, inline.text_template) == ("FAILED", "<b>FAILED", filled)


def test_a_provider_s_template_is_given_its_data(box: Services) -> None:
    spec = hook(SUCCEEDED)
    provider = spec.notification_rules.rules[0].delivery_template.email.provider_template
    provider.template_id, provider.template_data["run"] = "t1", "{{.Run.Name}}"
    create(box, spec)
    box.tell(SUCCEEDED)

    (one,) = told(box)

    assert one.email is not None
    assert dict(one.email.provider_template.template_data) == {"run": "r1"}


def test_what_is_stored_on_a_server_has_a_name_only(box: Services) -> None:
    create(box, run_pb2.RunSpec(notification_rule_name="on-call"))
    named = hook(SUCCEEDED)
    named.notification_rules.rules[0].delivery_config_name = "slack"
    create(box, named, "r2")
    for run in ("r1", "r2"):
        box.tell(RUNNING, run=run)
        box.tell(SUCCEEDED, run=run)

    assert [(one.run_name, one.phase, *one[5:]) for one in told(box)] == [
        ("r1", "SUCCEEDED", "on-call", "", None, None),
        ("r2", "SUCCEEDED", "", "slack", None, None),
    ]


def test_they_are_shown_without_what_is_sent(box: Services) -> None:
    create(box, hook(SUCCEEDED, url="https://secret.example", body_template="secret"))
    create(box, hook(SUCCEEDED), "r2")
    for run in ("r1", "r2"):
        box.tell(SUCCEEDED, run=run)

    assert [repr(one) for one in told(box)] == [
        "<Notification: run 'r1' SUCCEEDED, by webhook>",
        "<Notification: run 'r2' SUCCEEDED, by nothing>",
    ]


def test_they_outlive_a_restart(tmp_path: Path) -> None:
    state = State(folder=tmp_path)
    box = Services(state=state)
    state.actions.listen(notifications.Notifier(state).reached)
    box.deploy()
    create(box, hook(SUCCEEDED))
    box.tell(SUCCEEDED)
    before = notifications.recorded(state)
    state.close()

    again = State(folder=tmp_path)

    assert notifications.recorded(again) == before
    assert len(before) == 1
    again.clear()
    assert notifications.recorded(again) == []
    again.close()


def test_it_is_there_when_the_phase_is(box: Services) -> None:
    """Whoever sees that a run has ended finds what was due."""
    create(box, hook(SUCCEEDED))
    seen = []
    box.state.actions.listen(lambda key, _: seen.append((key.run, len(told(box)))))

    box.tell(SUCCEEDED)

    assert seen == [("r1", 1)]
