"""Runs by the dozen, waited for together; tests/long has the same for five hundred."""

from __future__ import annotations

from devbox_many import launch_and_wait


def test_what_was_launched_together_is_waited_for_together() -> None:
    launch_and_wait(16)
