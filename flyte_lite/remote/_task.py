"""Deployed tasks, as lists show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Optional
from urllib.parse import quote

from flyte_lite.idl.flyteidl2.task import task_definition_pb2
from flyte_lite.remote import _deployed, _lists
from flyte_lite.remote._base import Resource
from flyte_lite.remote._filters import SortBy
from flyte_lite.remote._task_details import AutoVersion, LazyEntity, TaskDetails

if TYPE_CHECKING:
    from typing_extensions import Self


class Task(Resource["task_definition_pb2.Task"]):
    """A deployed task, as lists show it.

    Attributes:
        pb2: `flyteidl2.task.Task`.
    """

    _message = "flyteidl2.task.Task"
    _shown = ("name", "version")

    def _lines(self) -> Iterable[tuple[str, object]]:
        yield from (("name", self.name), ("version", self.version), ("link", self.url))

    @classmethod
    def get(
        cls,
        name: str,
        project: Optional[str] = None,
        domain: Optional[str] = None,
        version: Optional[str] = None,
        auto_version: Optional[AutoVersion] = None,
    ) -> LazyEntity:
        """A deployed task, to be run or looked at. Nothing is asked yet.

        Args:
            name: Full name, such as `environment.task`.
            project: None takes the session's.
            domain: None takes the session's.
            version: Exactly this one.
            auto_version: "latest" takes the one deployed last, when the task is first used.

        Raises:
            ValueError: Neither or both of `version` and `auto_version` are given, or the latter is not known here.
        """
        return TaskDetails._lazy(cls._current(), name, project, domain, version, auto_version)

    @classmethod
    def listall(
        cls,
        by_task_name: Optional[str] = None,
        by_task_env: Optional[str] = None,
        project: Optional[str] = None,
        domain: Optional[str] = None,
        sort_by: SortBy = None,
        limit: Optional[int] = 100,
        entrypoint: Optional[bool] = None,
    ) -> Iterator[Self]:
        """The deployed tasks of a project, asked for page by page while they are read. All that is given must hold.

        Hosted servers list every version; the open-source one lists the newest of each name.

        Args:
            by_task_name: Full name.
            by_task_env: Environment, the part of the name before its first dot.
            project: None takes the session's.
            domain: None takes the session's.
            sort_by: Such as ("name", "asc"); None is the one that was deployed first.
            limit: How many in all; None is all there are.
            entrypoint: Only tasks that are marked as entry points, or only those that are not. The open-source server
                does not look: each task that is left by the other conditions then costs a call of its own.

        Returns:
            An iterator. If a page can't be had, the tasks before it were given and the error is raised there.

        Raises:
            ValueError: The order or the limit is none.
            ConfigError: There is no project, or no domain.
            CallError: See `flyte_lite.errors`.

        RPC:
            flyteidl2.task.TaskService/ListTasks
        """
        session = cls._current()
        place = session.scope.project_id(project, domain)

        def is_entrypoint(id: task_definition_pb2.TaskIdentifier) -> bool:
            details = _deployed.find(session, place, id.name, id.version, session.deadline())
            return details.spec.task_template.metadata.is_entrypoint

        found = _lists.tasks(
            session,
            place,
            by_task_name=by_task_name,
            by_task_env=by_task_env,
            sort_by=sort_by,
            limit=limit,
            entrypoint=entrypoint,
            is_entrypoint=is_entrypoint,
        )
        return (cls._make(pb2, session) for pb2 in found)

    @property
    def name(self) -> str:
        """Full name."""
        return self.pb2.task_id.name

    @property
    def version(self) -> str:
        """Version."""
        return self.pb2.task_id.version

    @property
    def entrypoint(self) -> bool:
        """False: lists do not show it. `Task.get(...).pb2.spec.task_template.metadata.is_entrypoint` tells."""
        return False

    @property
    def url(self) -> str:
        """The task in the web console."""
        task = self.pb2.task_id
        path = "/".join(
            quote(part, safe="") for part in ("domain", task.domain, "project", task.project, "tasks", task.name)
        )
        return f"{self._session.console}/v2/{path}"
