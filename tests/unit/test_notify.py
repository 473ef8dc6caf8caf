"""Who is told of the end of a run: the values, what they refuse, and their place in a run specification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from flyte_lite import notify
from flyte_lite.errors import OptionError
from flyte_lite.idl.flyteidl2.task import run_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote._notifications import set_notifications

HOOK = "https://hooks.example.com/T0/secret"


def sent(*notifications: Any) -> Any:
    spec = run_pb2.RunSpec()
    set_notifications(spec, notifications)
    return spec.notification_rules.rules


def test_a_rule_of_the_server_goes_by_its_name() -> None:
    spec = run_pb2.RunSpec()

    set_notifications(spec, notify.NamedRule("oncall"))

    assert spec.notification_rule_name == "oncall"
    assert not spec.HasField("notification_rules")


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ("failed", [6]),
        (ActionPhase.SUCCEEDED, [5]),
        ((ActionPhase.ABORTED, "timed_out"), [7, 8]),
        (["succeeded", "failed"], [5, 6]),
        ("paused", [9]),
    ],
    ids=str,
)
def test_phases_go_by_their_numbers(given: Any, numbers: list[int]) -> None:
    (rule,) = sent(notify.NamedDelivery(given, "pager"))

    assert list(rule.on_phases) == numbers
    assert rule.delivery_config_name == "pager"


@pytest.mark.parametrize(
    "given", ["running", "recovered", "done", "", (), ("paused", "failed"), 5, None, (None,), "unknown"], ids=str
)
def test_phases_that_nobody_can_be_told_of(given: Any) -> None:
    with pytest.raises(ValueError, match="somebody can be told of succeeded, failed, aborted, timed_out") as caught:
        notify.NamedDelivery(given, "pager")

    assert f"on_phase is {given!r}" in str(caught.value)
    assert "paused alone" in str(caught.value)


def test_a_mail() -> None:
    (rule,) = sent(notify.Email("failed", "a@example.com", cc=["b@example.com"], bcc=("c@example.com",)))

    mail = rule.delivery_template.email
    assert [[each.address for each in those] for those in (mail.to, mail.cc, mail.bcc)] == [
        ["a@example.com"],
        ["b@example.com"],
        ["c@example.com"],
    ]
    assert mail.inline.subject == "Run {{.Run.Name}} {{.Phase}}"
    assert mail.inline.text_template.startswith("Run: {{.Run.Name}}\n")
    assert mail.inline.html_template == "No HTML body"
    (rich,) = sent(notify.Email("failed", ["a@example.com"], subject="s", body="b", html_body="<b>b</b>"))
    inline = rich.delivery_template.email.inline
    assert (inline.subject, inline.text_template, inline.html_template) == ("s", "b", "<b>b</b>")


@pytest.mark.parametrize(
    ("notification", "body"),
    [
        (notify.Slack("failed", HOOK, "hi"), {"text": "hi"}),
        (notify.Slack("failed", HOOK, "hi", blocks=[{"type": "divider"}]), {"blocks": [{"type": "divider"}]}),
        (
            notify.Slack("failed", HOOK),
            {"text": "Run: {{.Run.Name}} finished with phase {{.Phase}}\n | {{.Run.Project}}/{{.Run.Domain}}\n"},
        ),
        (notify.Teams("failed", HOOK, message="m"), {"title": "Run {{.Run.Name}} {{.Phase}}", "text": "m"}),
        (notify.Teams("failed", HOOK, card={"type": "AdaptiveCard"}), {"type": "AdaptiveCard"}),
        (
            notify.Webhook("failed", HOOK),
            {
                "run": "{{.Run.Name}}",
                "project": "{{.Run.Project}}",
                "domain": "{{.Run.Domain}}",
                "phase": "{{.Phase}}",
                "error": "{{.Error}}",
            },
        ),
        (notify.Webhook("failed", HOOK, body={}), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_requests(notification: notify.Notification, body: Mapping[str, Any]) -> None:
    (rule,) = sent(notification)

    request = rule.delivery_template.webhook
    assert (request.url, request.method) == (HOOK, 3)
    assert json.loads(request.body_template) == body


def test_a_webhook_s_method_and_headers() -> None:
    (rule,) = sent(notify.Webhook("failed", HOOK, method="PATCH", headers={"X-Key": "k"}))

    request = rule.delivery_template.webhook
    assert request.method == 9
    assert dict(request.headers) == {"X-Key": "k"}


@pytest.mark.parametrize(
    ("made", "given", "text"),
    [
        (notify.NamedRule, {"name": ""}, "name of a NamedRule is empty; give a text"),
        (notify.NamedDelivery, {"on_phase": "failed", "name": None}, "name of a NamedDelivery is NoneType"),
        (notify.Slack, {"on_phase": "failed", "webhook_url": ""}, "webhook_url of a Slack notification is empty"),
        (notify.Teams, {"on_phase": "failed", "webhook_url": 5}, "webhook_url of a Teams notification is int"),
        (notify.Webhook, {"on_phase": "failed", "url": ""}, "url of a Webhook is empty"),
        (notify.Webhook, {"on_phase": "failed", "url": "u", "method": "post"}, "method of a Webhook is 'post'; it is"),
        (notify.Email, {"on_phase": "failed", "recipients": ()}, "an Email needs recipients"),
        (notify.Email, {"on_phase": "failed", "recipients": ["a@b", ""]}, "recipients of an Email is"),
        (notify.Email, {"on_phase": "failed", "recipients": "a@b", "cc": [None]}, "cc of an Email is"),
        (notify.Email, {"on_phase": "failed", "recipients": 5}, "recipients of an Email is .* give addresses"),
        (notify.Email, {"on_phase": "failed", "recipients": "a@b", "subject": 5}, "subject of an Email is int"),
        (notify.Slack, {"on_phase": "failed", "webhook_url": "u", "message": 5}, "message of a Slack .* is int"),
        (notify.Slack, {"on_phase": "failed", "webhook_url": "u", "blocks": "b"}, "blocks of a Slack .* give a list"),
        (notify.Teams, {"on_phase": "failed", "webhook_url": "u", "title": None}, "title of a Teams .* is NoneType"),
        (notify.Webhook, {"on_phase": "failed", "url": "u", "headers": ["X-Key"]}, "headers of a Webhook is list"),
        (notify.Webhook, {"on_phase": "failed", "url": "u", "headers": {"X-Key": 5}}, "'X-Key' of headers .* is int"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_can_not_be_delivered(made: Any, given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        made(**given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("failed", "notifications is str; give a value of flyte_lite.notify"),
        (["failed"], "notifications has str; give values"),
        ([notify.NamedRule("r")], "the rule 'r' stands alone"),
        (notify.Notification("failed"), "Notification says when, but not how"),
        (notify.Slack("failed", HOOK, blocks=[{"a": object()}]), "must be JSON"),
    ],
    ids=["text", "texts", "rule in a list", "nothing to deliver", "no JSON"],
)
def test_what_is_no_notification(given: Any, text: str) -> None:
    with pytest.raises(OptionError, match=text):
        set_notifications(run_pb2.RunSpec(), given)


def test_none_of_them_is_none() -> None:
    spec = run_pb2.RunSpec()

    set_notifications(spec, ())

    assert not spec.HasField("notification_rules")


def test_addresses_are_no_part_of_a_repr() -> None:
    hook = notify.Webhook("failed", HOOK, headers={"X-Key": "secret"}, body={"token": "secret"})

    for each in (hook, notify.Slack("failed", HOOK), notify.Teams("failed", HOOK)):
        assert "secret" not in repr(each)
        assert "on_phase=" in repr(each)
    assert hook == notify.Webhook(("failed",), HOOK, headers={"X-Key": "secret"}, body={"token": "secret"})
    with pytest.raises(AttributeError):
        hook.url = "other"  # type: ignore[misc]
