"""The object model of `union.remote` 0.1.0, over the same sessions: a script made for it changes its import only.

Nothing is done here a second time: a `Run` holds a `flyte_lite.remote.Run`, and a `Task` is a deployed task as
`flyte_lite.run` takes it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Optional, Union

from flyte_lite import _session
from flyte_lite import remote as _remote
from flyte_lite._clock import Deadline, is_length
from flyte_lite.errors import BaseRuntimeError, CallError
from flyte_lite.models import ActionPhase
from flyte_lite.remote import LazyEntity, TaskDetails
from flyte_lite.union._address import Address, Kind, address_of

if TYPE_CHECKING:
    from flyte_lite._session import Session
    from flyte_lite.remote._filters import SortBy

__all__ = ["Run", "Task"]

Length = Union[datetime.timedelta, float]

_NEWEST_FIRST: SortBy = ("created_at", "desc")


class Run:
    """A run of a task.

    What it tells of itself is as it was when last asked; `sync` and `wait` ask again.

    Args:
        run_id: Name of a run in the project and domain that `init` set. It is looked for when first needed.
        _outputs: What `outputs` gives without asking; None asks.

    Attributes:
        run_id: Its name.
    """

    def __init__(self, run_id: str, _outputs: Any = None) -> None:
        self.run_id = run_id
        self._outputs = _outputs
        self._run: Optional[_remote.Run] = None

    @classmethod
    def get(
        cls,
        uri: Optional[str] = None,
        name: Optional[str] = None,
        project: Optional[str] = None,
        domain: Optional[str] = None,
    ) -> Run:
        """A run by the address of its page, or by its name, as it is now.

        Args:
            uri: A URL of the web console, of either generation, or `org/project/domain/name`. It says all, so nothing
                else is given with it.
            name: The run's name.
            project: None takes the session's.
            domain: None takes the session's.

        Raises:
            ValueError: Neither or both of `uri` and `name` are given, or the uri is not that of a run on this server.
            NotFoundError: There is no such run, or the caller may not see it.

        RPC:
            flyteidl2.workflow.RunService/GetRunDetails
        """
        session = _session.current("Run")
        there = _wanted("run", session, uri, name, project, domain)
        session = session.scoped(org=there.org)
        run_id = session.scope.run_id(there.name, there.project, there.domain)
        return cls._over(_remote.Run._get_by(session, run_id, session.deadline()))

    @classmethod
    def search(cls, limit: Optional[int] = 100) -> Iterator[Run]:
        """Runs of the session's project and domain, the newest first.

        Args:
            limit: How many in all; None is all there are.

        Raises:
            ValueError: The limit is none.
            CallError: See `flyte_lite.errors`.

        RPC:
            flyteidl2.workflow.RunService/ListRuns
        """
        found = _remote.Run.bind(_session.current("Run")).listall(sort_by=_NEWEST_FIRST, limit=limit)
        return map(cls._over, found)

    @classmethod
    def _over(cls, run: _remote.Run) -> Run:
        made = cls(run.name)
        made._run = run
        return made

    def _found(self, deadline: Optional[Deadline] = None) -> _remote.Run:
        if self._run is None:
            session = _session.current("Run")
            run_id = session.scope.run_id(self.run_id)
            self._run = _remote.Run._get_by(session, run_id, deadline or session.deadline())
        return self._run

    @property
    def outputs(self) -> Any:
        """The outputs, in the order of the task's interface; see `flyte_lite.remote.Run.outputs`.

        Raises:
            RunNotDoneError: It has not ended; `wait` for it.
            RuntimeUserError, RuntimeSystemError, ...: It ended without outputs.

        RPC:
            flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        return self._found().outputs() if self._outputs is None else self._outputs

    def result(self) -> Any:
        """The same as `outputs`.

        Raises:
            RunNotDoneError: It has not ended; `wait` for it.
            RuntimeUserError, RuntimeSystemError, ...: It ended without outputs.

        RPC:
            flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        return self.outputs

    def get_typed_outputs(self, hints: Mapping[str, Any]) -> Any:
        """Some of the outputs as objects of your own classes; see `flyte_lite.remote.Run.typed_outputs`.

        Args:
            hints: Classes by name of the output, such as `{"o0": Config}`.

        Raises:
            RunNotDoneError: It has not ended; `wait` for it.
            RuntimeUserError, RuntimeSystemError, ...: It ended without outputs.
            KeyError: There is no output of that name.
            LiteralError: A value is not of the type that you name.

        RPC:
            flyteidl2.dataproxy.DataProxyService/GetActionData
        """
        return self._found().typed_outputs(hints)

    def exception(self) -> Optional[BaseRuntimeError]:
        """What the run failed of, as an exception that can be raised; None if it has not ended, or succeeded.

        Raises:
            CallError: The server could not be asked.

        RPC:
            flyteidl2.workflow.RunService/GetActionDetails
        """
        run = self._found()
        if not run.done():
            return None
        try:
            run.raise_for_status()
        except CallError:
            raise
        except BaseRuntimeError as error:
            return error.with_traceback(None)
        return None

    @property
    def error(self) -> Optional[BaseRuntimeError]:
        """The same as `exception()`: it has `message`, `code` and `kind`."""
        return self.exception()

    @property
    def started_at(self) -> Optional[datetime.datetime]:
        """When it began, in UTC; None if the server does not say."""
        return self._found().action.start_time

    @property
    def finished_at(self) -> Optional[datetime.datetime]:
        """When it ended, in UTC; None if it has not, or if the server does not say."""
        status = self._found().pb2.action.status
        # Servers tell an end of runs that go on.
        if not self.done() or not status.HasField("end_time"):
            return None
        return status.end_time.ToDatetime(tzinfo=datetime.timezone.utc)

    @property
    def is_running(self) -> bool:
        """True if it runs: it has left the queue and has not ended."""
        return self._found().phase is ActionPhase.RUNNING

    def done(self) -> bool:
        """True if it has ended, however it ended."""
        return self._found().done()

    def sync(self) -> Run:
        """Ask for the present state, keep it, and return this object.

        Raises:
            NotFoundError: The server does not know the run.

        RPC:
            flyteidl2.workflow.RunService/ListRuns
        """
        self._found().sync()
        return self

    def wait(
        self,
        timeout: Optional[Length] = None,
        poll_interval: Optional[Length] = None,
        sync_nodes: bool = True,
    ) -> Run:
        """Block until the run has ended, however it ended, and return this object; `exception` tells how.

        Args:
            timeout: Seconds, or a timedelta, to wait in all; None waits for ever.
            poll_interval: Seconds, or a timedelta, between two questions; None begins with 0.2 s and asks ever less
                often, see `flyte_lite.remote.Run.wait`.
            sync_nodes: It is here because `union.remote` has it: what is asked about the run's actions is always
                asked anew.

        Raises:
            ValueError: A length of time is none.
            WaitTimeoutError: `timeout` passed; the run goes on.
            CallError: The server could not be asked, for 5 minutes or for a reason that will not pass.

        RPC:
            flyteidl2.workflow.RunService/ListRuns
        """
        seconds, interval = _seconds("timeout", timeout), _seconds("poll_interval", poll_interval)
        if self._run is None:
            # Looking for it is a part of the waiting.
            session = _session.current("Run")
            deadline = Deadline(session.clock, seconds, session.cancel)
            self._found(session.part_of(deadline))
            seconds = deadline.left()
        self._found().wait(timeout=seconds, interval=interval)
        return self

    def cancel(self) -> None:
        """End the run; nothing happens if it has ended.

        RPC:
            flyteidl2.workflow.RunService/AbortRun
        """
        self._found().abort()

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, Run) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # its state changes

    def __repr__(self) -> str:
        return f"Run(run_id={self.run_id})" if self._run is None else repr(self._run)


class Task(LazyEntity):
    """A deployed task, for `flyte_lite.run` and `flyte_lite.union.run`; looked up when first needed.

    Args:
        name: Full name, such as `environment.task`. It is the version deployed last, in the session's project and
            domain.
    """

    def __init__(self, name: str) -> None:
        self._become(TaskDetails._lazy(_session.current("Task"), name, None, None, None, "latest"))

    @classmethod
    def get(
        cls,
        uri: Optional[str] = None,
        name: Optional[str] = None,
        project: Optional[str] = None,
        domain: Optional[str] = None,
    ) -> Task:
        """A deployed task by the address of its page, or by its name. Nothing is asked yet.

        It is the version deployed last when the task is first used, or the one whose page `uri` is.

        Args:
            uri: A URL of the web console, of either generation, or `org/project/domain/name`. It says all, so nothing
                else is given with it.
            name: Full name, such as `environment.task`.
            project: None takes the session's.
            domain: None takes the session's.

        Raises:
            ValueError: Neither or both of `uri` and `name` are given, or the uri is not that of a task on this server.
        """
        session = _session.current("Task")
        return cls._at(_wanted("task", session, uri, name, project, domain), session)

    @classmethod
    def search(cls, limit: Optional[int] = 100) -> Iterator[Task]:
        """Tasks deployed in the session's project and domain, the newest first.

        Hosted servers list every version; the open-source one lists the newest of each name.

        Args:
            limit: How many in all; None is all there are.

        Raises:
            ValueError: The limit is none.
            CallError: See `flyte_lite.errors`.

        RPC:
            flyteidl2.task.TaskService/ListTasks
        """
        session = _session.current("Task")
        found = _remote.Task.bind(session).listall(sort_by=_NEWEST_FIRST, limit=limit)
        return (cls._at(Address(task.name, version=task.version), session) for task in found)

    @classmethod
    def _at(cls, there: Address, session: Session) -> Task:
        made = cls.__new__(cls)
        made._become(
            TaskDetails._lazy(
                session.scoped(org=there.org),
                there.name,
                there.project,
                there.domain,
                there.version,
                None if there.version else "latest",
            )
        )
        return made

    def _become(self, found: LazyEntity) -> None:
        vars(self).update(vars(found))


def _wanted(
    kind: Kind,
    session: Session,
    uri: Optional[str],
    name: Optional[str],
    project: Optional[str],
    domain: Optional[str],
) -> Address:
    if (uri is None) == (name is None):
        raise ValueError(f"{kind.title()}.get needs either uri= or name=")
    if name is not None:
        return Address(name, project, domain)
    if project is not None or domain is not None:
        raise ValueError(f"{kind.title()}.get: the uri says project and domain; give it alone, or use name=")
    assert uri is not None
    return address_of(kind, uri, session)


def _seconds(what: str, length: Optional[Length]) -> Optional[float]:
    seconds = length.total_seconds() if isinstance(length, datetime.timedelta) else length
    if seconds is not None and not is_length(seconds):
        raise ValueError(f"{what} is {length!r}; give seconds or a timedelta, or None")
    return seconds
