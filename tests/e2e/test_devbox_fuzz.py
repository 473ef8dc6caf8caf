"""Requests that are nearly right do the devbox no harm. `tox -e long` sends ten times as many."""

from __future__ import annotations

from pathlib import Path

from devbox_fuzz import survives

SEED = 20261121
COUNT = 2000


def test_requests_that_are_nearly_right_do_no_harm(tmp_path: Path) -> None:
    survives(tmp_path / "state", SEED, COUNT)
