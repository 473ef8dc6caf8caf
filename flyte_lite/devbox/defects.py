"""The real executor's defects, which the devbox does not have unless a test wants them."""

from __future__ import annotations


class Defects:
    """What is wrong with the executor of the open-source server; all are off (or 0) at first, and after `Devbox.reset`.

        box.defects.endless_restarts = True

    A name that there is not is an AttributeError. They hold for attempts that begin while they are on.

    Attributes:
        endless_restarts: A task whose process dies without a word is started again and again: the run stays RUNNING in
            its first attempt and its log repeats, until it is aborted.
        ignored_timeouts: No limit in time is kept.
        failures_without_cause: A run of a task without outputs ends FAILED though its attempt SUCCEEDED, with an error
            that says nothing. The real one does so to about one in a hundred.
        late_statuses: Seconds by which an attempt is told to have ended before the action is, which is RUNNING until
            then; a stream of its details ends with the attempt. The real one takes 0.04.
        recorded_failures: An attempt that failed and is repeated is told to have FAILED, which ends streams, and the
            action has had its end: it is QUEUED and RUNNING again with an `end_time`, which stays whatever follows.
    """

    __slots__ = (
        "endless_restarts",
        "failures_without_cause",
        "ignored_timeouts",
        "late_statuses",
        "recorded_failures",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Switch all of them off."""
        self.endless_restarts = False
        self.ignored_timeouts = False
        self.failures_without_cause = False
        self.late_statuses = 0.0
        self.recorded_failures = False
