"""Logs that are read while a devbox goes away, and while connections are lost."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

from devbox_outage import LONGEST, Outage

from flyte_lite import errors
from flyte_lite.models import ActionPhase


def read_through(folder: Path, seconds: float) -> None:
    """Read the log of a run while the devbox is away for so many seconds, and its task is interrupted by that."""
    with Outage(folder) as outage, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = outage.nap(4.0)
        lines = []
        for line in run.get_logs(timeout=LONGEST + seconds):
            if not lines:
                outage.begin(seconds, after=0.5)
            lines.append(line)
        late = time.monotonic() - outage.ended

        assert run.sync().phase is ActionPhase.SUCCEEDED
    before, after = lines[:-4], lines[-4:]
    # The task began anew, in another attempt; the first one's log is gone with it, and that is told.
    assert after == [f"asleep for {second} s" for second in range(4)]
    assert before
    assert before == after[: len(before)]
    assert [warning.category for warning in caught] == [errors.LogGapWarning]
    assert "attempt 1: its last lines can't be read any more" in str(caught[0].message)
    print(f"read to the end {late:.1f} s after an outage of {seconds:g} s")
    assert late < 20 + 0.1 * seconds
