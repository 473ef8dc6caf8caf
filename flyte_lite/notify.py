"""Who is told when a run reaches a phase: `with_runcontext(notifications=notify.Slack(on_phase="failed", ...))`.

Texts are templates, filled in by the server: `{{.Run.Name}}`, `{{.Run.Project}}`, `{{.Run.Domain}}`, `{{.Phase}}` and
`{{.Error}}`. Only hosted servers send notifications; others keep them with the run. Addresses of webhooks, and
what is sent with them, may let their holder in, so they are no part of a repr.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Optional, Union, cast

from flyte_lite.models import ActionPhase

__all__ = ["Email", "NamedDelivery", "NamedRule", "Notification", "Slack", "Teams", "Webhook"]

_ENDS = (ActionPhase.SUCCEEDED, ActionPhase.FAILED, ActionPhase.ABORTED, ActionPhase.TIMED_OUT)
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")

_SUBJECT = "Run {{.Run.Name}} {{.Phase}}"
_BODY = "Run: {{.Run.Name}}\nProject/Domain: {{.Run.Project}}/{{.Run.Domain}}\nPhase: {{.Phase}}\nError: {{.Error}}\n"

Phases = Union[ActionPhase, str, Sequence[Union[ActionPhase, str]]]


@dataclasses.dataclass(frozen=True)
class NamedRule:
    """A rule that is kept on the server: phases and deliveries.

    Raises:
        ValueError: The name is empty.
    """

    name: str

    def __post_init__(self) -> None:
        _need("name of a NamedRule", self.name)


@dataclasses.dataclass(frozen=True)
class Notification:
    """What the others have in common. It delivers nothing by itself.

    Args:
        on_phase: Which end, or several: "succeeded", "failed", "aborted", "timed_out". "paused" stands alone.

    Raises:
        ValueError: There is no phase, one that nobody can be told of, or "paused" beside another.
    """

    on_phase: Phases

    def __post_init__(self) -> None:
        given = (self.on_phase,) if isinstance(self.on_phase, str) else self.on_phase
        try:
            phases = tuple(ActionPhase(phase) for phase in given)
        except (TypeError, ValueError):
            raise ValueError(_say_phases(self.on_phase)) from None
        if phases != (ActionPhase.PAUSED,) and (not phases or not set(phases) <= set(_ENDS)):
            raise ValueError(_say_phases(self.on_phase))
        self._set("on_phase", phases)

    @property
    def phases(self) -> tuple[ActionPhase, ...]:
        """The phases of `on_phase`, however they were given."""
        return cast("tuple[ActionPhase, ...]", self.on_phase)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


@dataclasses.dataclass(frozen=True)
class NamedDelivery(Notification):
    """A delivery that is kept on the server.

    Args:
        on_phase: See `Notification`.
        name: Of the delivery.

    Raises:
        ValueError: The name is empty, or see `Notification`.
    """

    name: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _need("name of a NamedDelivery", self.name)


@dataclasses.dataclass(frozen=True)
class Email(Notification):
    """A mail.

    Args:
        on_phase: See `Notification`.
        recipients: Addresses; one may be given alone.
        cc: Addresses that get a copy.
        bcc: Addresses that get a copy unseen by the others.
        subject: Template.
        body: Template of the plain text.
        html_body: Template of the same in HTML; None has none.

    Raises:
        ValueError: There is no recipient, an address or a text is none, or see `Notification`.
    """

    recipients: Union[Sequence[str], str]
    cc: Union[Sequence[str], str] = ()
    bcc: Union[Sequence[str], str] = ()
    subject: str = _SUBJECT
    body: str = _BODY
    html_body: Optional[str] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("recipients", "cc", "bcc"):
            given = getattr(self, name)
            addresses = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
            if not all(isinstance(address, str) and address for address in addresses):
                raise ValueError(f"{name} of an Email is {given!r}; give addresses")
            self._set(name, addresses)
        if not self.recipients:
            raise ValueError("an Email needs recipients")
        _check_texts("an Email", subject=self.subject, body=self.body, html_body=self.html_body or "")


@dataclasses.dataclass(frozen=True)
class Slack(Notification):
    """A message in a channel of Slack.

    Args:
        on_phase: See `Notification`.
        webhook_url: Address of Slack's incoming webhook.
        message: Template of the text; None has a text of its own, unless there are `blocks`.
        blocks: Of Slack's Block Kit, in place of the message.

    Raises:
        ValueError: There is no address, a text is none, or see `Notification`.
    """

    webhook_url: str = dataclasses.field(repr=False)
    message: Optional[str] = None
    blocks: Optional[Sequence[Mapping[str, Any]]] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _need("webhook_url of a Slack notification", self.webhook_url)
        _check_texts("a Slack notification", message=self.message or "")
        if self.blocks is not None:
            if isinstance(self.blocks, (str, Mapping)) or not isinstance(self.blocks, Iterable):
                raise ValueError(f"blocks of a Slack notification is {type(self.blocks).__name__}; give a list")
            self._set("blocks", tuple(self.blocks))
        elif self.message is None:
            text = "Run: {{.Run.Name}} finished with phase {{.Phase}}\n | {{.Run.Project}}/{{.Run.Domain}}\n"
            self._set("message", text)


@dataclasses.dataclass(frozen=True)
class Teams(Notification):
    """A message in a channel of Microsoft Teams.

    Args:
        on_phase: See `Notification`.
        webhook_url: Address of Teams' incoming webhook.
        title: Template.
        message: Template of the text; None has a text of its own, unless there is a `card`.
        card: An adaptive card, in place of title and message.

    Raises:
        ValueError: There is no address, a text is none, or see `Notification`.
    """

    webhook_url: str = dataclasses.field(repr=False)
    title: str = _SUBJECT
    message: Optional[str] = None
    card: Optional[Mapping[str, Any]] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _need("webhook_url of a Teams notification", self.webhook_url)
        _check_texts("a Teams notification", title=self.title, message=self.message or "")
        if self.message is None and self.card is None:
            self._set("message", _BODY)


@dataclasses.dataclass(frozen=True)
class Webhook(Notification):
    """An HTTP request to any address.

    Args:
        on_phase: See `Notification`.
        url: Template of the address.
        method: Of the request.
        headers: Templates by name.
        body: What is sent, as JSON; all texts in it are templates. None says which run, its phase and its error.

    Raises:
        ValueError: There is no address, no such method, a text is none, or see `Notification`.
    """

    url: str = dataclasses.field(repr=False)
    method: Literal["POST", "PUT", "PATCH", "GET", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"] = "POST"
    headers: Optional[Mapping[str, str]] = dataclasses.field(default=None, repr=False)
    body: Optional[Mapping[str, Any]] = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        _need("url of a Webhook", self.url)
        if self.method not in _METHODS:
            raise ValueError(f"method of a Webhook is {self.method!r}; it is one of {', '.join(_METHODS)}")
        if self.headers is not None:
            if not isinstance(self.headers, Mapping):
                raise ValueError(f"headers of a Webhook is {type(self.headers).__name__}; give a dict of texts")
            for name, value in self.headers.items():
                _check_texts("headers of a Webhook", **{f"the name {name!r}": name, f"{name!r}": value})
        if self.body is None:
            body = {"run": "{{.Run.Name}}", "project": "{{.Run.Project}}", "domain": "{{.Run.Domain}}"}
            self._set("body", {**body, "phase": "{{.Phase}}", "error": "{{.Error}}"})


def _need(what: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        # The value may be an address that lets its holder in.
        raise ValueError(f"{what} is {'empty' if value == '' else type(value).__name__}; give a text")


def _check_texts(of: str, **texts: object) -> None:
    for name, text in texts.items():
        if not isinstance(text, str):
            # The value may be an address or a key that lets its holder in.
            raise ValueError(f"{name} of {of} is {type(text).__name__}; give a text")


def _say_phases(given: object) -> str:
    return (
        f"on_phase is {given!r}; somebody can be told of {', '.join(_ENDS)}, one or several, "
        f"or of {ActionPhase.PAUSED} alone"
    )
