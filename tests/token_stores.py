"""Stores of tokens for tests: in a dict, and as bad as they come."""

from __future__ import annotations

import json
from typing import Any, Optional


class DictStore:
    """A store that works, until `failure` is set.

    Attributes:
        kept: Value by service and name.
        failure: Raised by all methods whose names are in `fails`.
        asked: Method, service and name of each call, in order.
    """

    def __init__(self, kept: Optional[dict[tuple[str, str], str]] = None) -> None:
        self.kept = {} if kept is None else kept
        self.failure: Optional[BaseException] = None
        self.fails: tuple[str, ...] = ("get", "set", "delete")
        self.asked: list[tuple[str, str, str]] = []

    def get(self, service: str, name: str) -> Optional[str]:
        self._ask("get", service, name)
        return self.kept.get((service, name))

    def set(self, service: str, name: str, value: str) -> None:
        self._ask("set", service, name)
        self.kept[service, name] = value

    def delete(self, service: str, name: str) -> None:
        self._ask("delete", service, name)
        self.kept.pop((service, name), None)

    def _ask(self, method: str, service: str, name: str) -> None:
        self.asked.append((method, service, name))
        if self.failure is not None and method in self.fails:
            raise self.failure


class Ring:
    """A backend of keyring that works; what is too long for `room` is cut off."""

    def __init__(self, room: Optional[int] = None) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.room = room
        self.asked: list[str] = []

    def get_password(self, service: str, username: str) -> Optional[str]:
        self.asked.append("get")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.asked.append("set")
        self.kept[service, username] = password[: self.room]

    def delete_password(self, service: str, username: str) -> None:
        self.asked.append("delete")
        del self.kept[service, username]


def entry(access: Optional[str] = "a1", refresh: Optional[str] = "r1", **further: Any) -> str:
    """What a store has, as the official SDK writes it, and with further fields."""
    return json.dumps({"access_token": access, "refresh_token": refresh, **further})
