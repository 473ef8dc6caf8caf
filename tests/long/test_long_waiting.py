"""Waiting in full: five hundred runs at once, and a server that is away for two minutes."""

from __future__ import annotations

from pathlib import Path

from devbox_log_reader import read_through
from devbox_many import launch_and_wait
from devbox_outage import wait_through


def test_five_hundred_runs_are_waited_for_together() -> None:
    launch_and_wait(500)


def test_two_minutes_without_a_server_are_waited_out(tmp_path: Path) -> None:
    wait_through(tmp_path, 120.0)


def test_a_log_is_read_through_two_minutes_without_a_server(tmp_path: Path) -> None:
    read_through(tmp_path, 120.0)
