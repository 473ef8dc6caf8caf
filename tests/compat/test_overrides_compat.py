"""What is said otherwise of a task, and who is told of a run's end, make the messages that the official SDK makes."""

from __future__ import annotations

from typing import Any, Callable


def test_values_make_the_official_messages(compared: Callable[..., Any]) -> None:
    told = compared("compare_overrides.py")
    assert told["differ"] == []
    assert told["same"] > 400
    assert told["refused"] > 100
