"""What the devbox knows, kept in sqlite. SQL is nowhere else; protobuf messages go in and out as they are.

One module a thing kept. Every method is one transaction and may be called from any thread; what it did is visible to
every other call as soon as it returns.
"""

from __future__ import annotations

from flyte_lite._clock import SYSTEM_CLOCK, Clock
from flyte_lite.devbox.state.actions import Actions
from flyte_lite.devbox.state.bundles import Bundles
from flyte_lite.devbox.state.database import Database
from flyte_lite.devbox.state.events import Events
from flyte_lite.devbox.state.logs import Logs
from flyte_lite.devbox.state.objects import Objects
from flyte_lite.devbox.state.outcomes import Outcomes
from flyte_lite.devbox.state.projects import Projects
from flyte_lite.devbox.state.tasks import Tasks

__all__ = ["State"]


class State:
    """Everything that is kept, in memory.

    Args:
        clock: Where times of day come from.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.database = Database()
        self.changes = self.database.changes
        self.projects = Projects(self.database)
        self.tasks = Tasks(self.database)
        self.actions = Actions(self.database)
        self.events = Events(self.database)
        self.logs = Logs(self.database)
        self.objects = Objects(self.database)
        self.bundles = Bundles(self.database)
        self.outcomes = Outcomes(self.database)
        self.projects.create("flytesnacks", "flytesnacks", "", b"", self.now())

    def now(self) -> int:
        """Microseconds since 1970, UTC: the unit of every time that is kept."""
        return int(self.clock.time() * 1_000_000)

    def close(self) -> None:
        """Forget everything. Calls that come later raise `sqlite3.ProgrammingError`."""
        self.database.close()
