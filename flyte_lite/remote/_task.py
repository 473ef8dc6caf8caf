"""Deployed tasks, as lists show them."""

from __future__ import annotations

from typing import Optional

from flyte_lite.idl.flyteidl2.task import task_definition_pb2  # noqa: F401 - in quotes below
from flyte_lite.remote._base import Resource
from flyte_lite.remote._task_details import AutoVersion, LazyEntity, TaskDetails


class Task(Resource["task_definition_pb2.Task"]):
    """A deployed task, as lists show it.

    Attributes:
        pb2: `flyteidl2.task.Task`.
    """

    _message = "flyteidl2.task.Task"
    _shown = ("name", "version")

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

    @property
    def name(self) -> str:
        """Full name."""
        return self.pb2.task_id.name

    @property
    def version(self) -> str:
        """Version."""
        return self.pb2.task_id.version
