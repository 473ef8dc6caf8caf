"""What the devbox knows, kept in sqlite. SQL is nowhere else; protobuf messages go in and out as they are.

One module a thing kept. Every method is one transaction and may be called from any thread; what it did is visible to
every other call as soon as it returns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from flyte_lite._clock import SYSTEM_CLOCK, Clock
from flyte_lite.devbox.state.actions import Actions
from flyte_lite.devbox.state.bundles import Bundles
from flyte_lite.devbox.state.database import Database
from flyte_lite.devbox.state.events import Events
from flyte_lite.devbox.state.folder import Folder
from flyte_lite.devbox.state.logs import Logs
from flyte_lite.devbox.state.notifications import Notifications
from flyte_lite.devbox.state.objects import Objects
from flyte_lite.devbox.state.outcomes import Outcomes
from flyte_lite.devbox.state.projects import Projects
from flyte_lite.devbox.state.settings import SettingsTable
from flyte_lite.devbox.state.sign_ins import SignIns
from flyte_lite.devbox.state.tasks import Tasks
from flyte_lite.devbox.state.triggers import Triggers

__all__ = ["State"]


class State:
    """Everything that is kept.

    Args:
        clock: Where times of day come from.
        folder: Where it is kept; None is in memory.

    Raises:
        DevboxStateError: The folder can't be used.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, folder: Optional[Path] = None) -> None:
        self.clock = clock
        self.folder = None if folder is None else Folder(folder)
        try:
            self.database = Database(None if self.folder is None else self.folder.database)
        except BaseException:
            if self.folder is not None:
                self.folder.release()
            raise
        self.changes = self.database.changes
        self.projects = Projects(self.database)
        self.tasks = Tasks(self.database)
        self.triggers = Triggers(self.database)
        self.settings = SettingsTable(self.database)
        self.actions = Actions(self.database)
        self.events = Events(self.database, self.actions)
        self.logs = Logs(self.database)
        self.notifications = Notifications(self.database)
        self.objects = Objects(self.database, self.now)
        self.bundles = Bundles(self.database)
        self.outcomes = Outcomes(self.database)
        self.sign_ins = SignIns(self.database)
        self._begin()

    def now(self) -> int:
        """Microseconds since 1970, UTC: the unit of every time that is kept."""
        return int(self.clock.time() * 1_000_000)

    def clear(self) -> None:
        """Forget everything, and begin anew."""
        with self.database.transaction():
            self.database.clear()
            self._begin()

    def close(self) -> None:
        """Forget what is in memory, leave what is in a folder; later calls raise `sqlite3.ProgrammingError`."""
        self.database.close()
        if self.folder is not None:
            self.folder.release()

    def _begin(self) -> None:
        # Nothing happens if there is one.
        self.projects.create("flytesnacks", "flytesnacks", "", b"", self.now())
