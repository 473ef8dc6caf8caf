"""Notifications as a run specification holds them."""

from __future__ import annotations

import json
from typing import Any

from flyte_lite.errors import OptionError
from flyte_lite.idl.flyteidl2.notification import definition_pb2
from flyte_lite.idl.flyteidl2.task import run_pb2
from flyte_lite.notify import Email, NamedDelivery, NamedRule, Notification, Slack, Teams, Webhook

_JSON = {"Content-Type": "application/json"}
# A mail has both texts.
_NO_HTML = "No HTML body"


def set_notifications(spec: run_pb2.RunSpec, notifications: Any) -> None:
    """Put a rule, a notification or several of them into a run specification, in place of what it has.

    Raises:
        OptionError: They are something else.
    """
    if isinstance(notifications, NamedRule):
        spec.notification_rule_name = notifications.name
        return
    listed = (notifications,) if isinstance(notifications, Notification) else notifications
    if not isinstance(listed, (tuple, list)):
        raise OptionError(f"notifications is {type(listed).__name__}; give a value of flyte_lite.notify, or several")
    rules = [_rule(each) for each in listed]
    if rules:
        spec.notification_rules.CopyFrom(run_pb2.InlineRuleList(rules=rules))


def _rule(notification: Any) -> run_pb2.InlineRule:
    if isinstance(notification, NamedRule):
        raise OptionError(f"the rule {notification.name!r} stands alone: give it as notifications=, not in a list")
    if not isinstance(notification, Notification):
        raise OptionError(f"notifications has {type(notification).__name__}; give values of flyte_lite.notify")
    rule = run_pb2.InlineRule()
    for phase in notification.phases:
        rule.on_phases.append(phase.to_protobuf_value())  # type: ignore[arg-type]
    if isinstance(notification, NamedDelivery):
        rule.delivery_config_name = notification.name
    elif isinstance(notification, Email):
        rule.delivery_template.email.CopyFrom(_email(notification))
    else:
        rule.delivery_template.webhook.CopyFrom(_webhook(notification))
    return rule


def _email(mail: Email) -> definition_pb2.EmailDeliveryTemplate:
    made = definition_pb2.EmailDeliveryTemplate()
    for listed, addresses in ((made.to, mail.recipients), (made.cc, mail.cc), (made.bcc, mail.bcc)):
        for address in addresses:
            listed.add(address=address)
    made.inline.subject = mail.subject
    made.inline.text_template = mail.body
    made.inline.html_template = mail.html_body or _NO_HTML
    return made


def _webhook(notification: Notification) -> definition_pb2.WebhookDeliveryTemplate:
    body: Any
    if isinstance(notification, Slack):
        body = {"blocks": list(notification.blocks)} if notification.blocks else {"text": notification.message}
        return _request(notification.webhook_url, "POST", _JSON, body)
    if isinstance(notification, Teams):
        body = notification.card or {"title": notification.title, "text": notification.message}
        return _request(notification.webhook_url, "POST", _JSON, body)
    if isinstance(notification, Webhook):
        return _request(notification.url, notification.method, notification.headers or {}, notification.body)
    raise OptionError(f"{type(notification).__name__} says when, but not how: give an Email, Slack, Teams or Webhook")


def _request(url: str, method: str, headers: Any, body: Any) -> definition_pb2.WebhookDeliveryTemplate:
    try:
        text = json.dumps(body)
    except (TypeError, ValueError) as error:
        raise OptionError(f"what a notification sends must be JSON: {error}") from None
    return definition_pb2.WebhookDeliveryTemplate(
        url=url,
        method=definition_pb2.HttpMethod.Value(f"HTTP_METHOD_{method}"),
        headers=dict(headers),
        body_template=text,
    )
