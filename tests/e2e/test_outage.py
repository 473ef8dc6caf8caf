"""A server that goes away in the middle of a wait; tests/long has the same for two minutes."""

from __future__ import annotations

from pathlib import Path

from devbox_outage import wait_through


def test_wait_wait_all_and_watch_go_on_by_themselves(tmp_path: Path) -> None:
    wait_through(tmp_path, 2.0)
