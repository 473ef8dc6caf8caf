"""Notifications: recorded where the hosted service would send them. Nothing is ever sent.

A run's specification says whom to tell about which phases. The open-source server keeps it and does nothing with it; so
what the devbox does follows the documents: when a run reaches a phase that one of its rules names, each rule makes one
notification, with its templates filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple, Optional

from flyte_lite.devbox.state.actions import TERMINAL
from flyte_lite.devbox.state.notifications import Noted
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.notification import definition_pb2
from flyte_lite.idl.flyteidl2.task import run_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State
    from flyte_lite.devbox.state.actions import ActionKey
    from flyte_lite.idl.flyteidl2.notification.definition_pb2 import (
        DeliveryConfigTemplate,
        EmailDeliveryTemplate,
        WebhookDeliveryTemplate,
    )

_VARIABLE = re.compile(r"\{\{-?\s*\.([A-Za-z.]+)\s*-?\}\}")


class Notification(NamedTuple):
    """What would have been sent.

    Attributes:
        run_name: The run that it is about.
        project: Of that run.
        domain: Of that run.
        phase: What the run had reached, such as "FAILED".
        at: When.
        rule_name: The rule's name, if it is one that is stored on the server. The devbox stores none and can't know
            which phases such a rule names, so it takes every end of the run for one; "" for the run's own rules.
        delivery_name: The name of a way to deliver that is stored on the server; "" if the rule brought its own.
        webhook: The HTTP request, filled in; None if there is none.
        email: The mail, filled in; None if there is none.
    """

    run_name: str
    project: str
    domain: str
    phase: str
    at: datetime
    rule_name: str
    delivery_name: str
    webhook: Optional[WebhookDeliveryTemplate]
    email: Optional[EmailDeliveryTemplate]

    def __repr__(self) -> str:
        """Without what would be sent, and where to: that may hold secrets."""
        ways = [name for name in ("rule_name", "delivery_name", "webhook", "email") if getattr(self, name)]
        return f"<Notification: run {self.run_name!r} {self.phase}, by {' and '.join(ways) or 'nothing'}>"


def recorded(state: State) -> list[Notification]:
    """Those of all runs, oldest first."""
    return [_notification(noted) for noted in state.notifications.all()]


class Notifier:
    """Records what is due.

    Args:
        state: Where runs are, and where it is recorded.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def reached(self, key: ActionKey, phase: int) -> None:
        """Record what is due because a run has reached a phase, inside the transaction in which it does."""
        run_spec = run_pb2.RunSpec.FromString(self._state.actions.run_spec(key))
        for rule_name, delivery_name, delivery in _due(run_spec, phase):
            filled = None if delivery is None else _filled(delivery, self._values(key, phase)).SerializeToString()
            self._state.notifications.add(
                Noted(
                    key.project,
                    key.domain,
                    key.run,
                    phase,
                    self._state.now(),
                    rule_name,
                    delivery_name,
                    filled or b"",
                )
            )

    def _values(self, key: ActionKey, phase: int) -> Mapping[str, str]:
        action = self._state.actions.get(key)
        told = None if action is None else self._state.events.newest(key, action.attempts)
        return {
            "Run.Project": key.project,
            "Run.Domain": key.domain,
            "Run.Name": key.run,
            "Phase": _name(phase),
            "Error": "" if told is None else told.error_info.message,
        }


def _due(run_spec: run_pb2.RunSpec, phase: int) -> Iterator[tuple[str, str, Optional[DeliveryConfigTemplate]]]:
    # Name of the rule, name of the delivery, delivery.
    if run_spec.notification_rule_name and phase in TERMINAL:
        yield run_spec.notification_rule_name, "", None
    for rule in run_spec.notification_rules.rules:
        if phase in rule.on_phases:
            template = rule.delivery_template if rule.HasField("delivery_template") else None
            yield "", rule.delivery_config_name, template


def _filled(template: DeliveryConfigTemplate, values: Mapping[str, str]) -> DeliveryConfigTemplate:
    made = definition_pb2.DeliveryConfigTemplate()
    made.CopyFrom(template)
    if made.HasField("webhook"):
        webhook = made.webhook
        webhook.url, webhook.body_template = _text(webhook.url, values), _text(webhook.body_template, values)
        for name in list(webhook.headers):
            webhook.headers[name] = _text(webhook.headers[name], values)
    if made.email.HasField("inline"):
        inline = made.email.inline
        inline.subject = _text(inline.subject, values)
        inline.html_template = _text(inline.html_template, values)
        inline.text_template = _text(inline.text_template, values)
    if made.email.HasField("provider_template"):
        data = made.email.provider_template.template_data
        for name in list(data):
            data[name] = _text(data[name], values)
    return made


def _text(template: str, values: Mapping[str, str]) -> str:
    # As they are, whatever is around them; a variable that is not known stays, so that whoever looks sees it.
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), template)


def _name(phase: int) -> str:
    return phase_pb2.ActionPhase.Name(phase_pb2.ActionPhase.ValueType(phase))[len("ACTION_PHASE_") :]


def _notification(noted: Noted) -> Notification:
    delivery = definition_pb2.DeliveryConfigTemplate.FromString(noted.delivery)
    return Notification(
        noted.run,
        noted.project,
        noted.domain,
        _name(noted.phase),
        datetime.fromtimestamp(noted.at / 1e6, timezone.utc),
        noted.rule_name,
        noted.delivery_name,
        delivery.webhook if delivery.HasField("webhook") else None,
        delivery.email if delivery.HasField("email") else None,
    )
