"""What was deployed to a devbox from Python: functions, as the tasks that they are called."""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional

from flyte_lite.devbox._bundle import Named
from flyte_lite.devbox._declare import Declaration, Deployable, declaration_of, deployable, named
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.tasks import TaskKey
from flyte_lite.idl.flyteidl2.task import task_definition_pb2


class Deployments:
    """The functions that were deployed, each under every name it has.

    Args:
        state: Where tasks are kept.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._deployed: dict[TaskKey, Deployable] = {}
        # How to deploy each of them once more, and what functions are called that were deployed.
        self._again: dict[TaskKey, Callable[[], object]] = {}
        self._named: dict[Any, dict[tuple[str, str], Named]] = {}

    def deploy(
        self,
        function: Callable[..., Any],
        declared: Declaration,
        project: str,
        domain: str,
        home: str = "",
        folder: str = "",
    ) -> TaskKey:
        """Deploy a function, and once more what has gone with it as something else.

        Args:
            function: The function.
            declared: What is said of it as a task.
            project: Where to.
            domain: Where to.
            home: The name of the file that it comes from, without its end; "" if it comes from a module.
            folder: Where that file is.

        Raises:
            LiteralError: The interface can't be told from the annotations.
            TypeError: The function can't be sent to another process.
            ValueError: There is no such project.
        """
        if not self._state.projects.exists(project):
            raise ValueError(f"there is no project {project!r} in this devbox")

        def which(other: Any) -> Optional[Named]:
            return self._which(other, project, domain, home if other.__module__ == function.__module__ else "")

        before = which(function)
        made = deployable(function, declared, project, domain, home, folder, which, list(self._named))
        task = Named(made.key.name, made.key.version)
        self._named.setdefault(function, {})[project, domain] = task
        self._deployed[made.key] = made
        self._again[made.key] = functools.partial(self.deploy, function, declared, project, domain, home, folder)
        self._store(made)
        if before != task:
            # It has gone with these as a function, or under another name.
            for key, other in list(self._deployed.items()):
                if function in other.uses and key != made.key:
                    self._again[key]()
        return made.key

    def spec(self, key: TaskKey) -> task_definition_pb2.TaskSpec:
        """What clients are told of a task that was deployed.

        Raises:
            KeyError: There is none of this name.
        """
        spec = task_definition_pb2.TaskSpec()
        spec.CopyFrom(self._deployed[key].spec)
        return spec

    def restore(self) -> None:
        """Put all of them into a state that was cleared."""
        for made in self._deployed.values():
            self._store(made)

    def _which(self, function: Any, project: str, domain: str, home: str) -> Optional[Named]:
        known = self._named.get(function, {})
        if known:
            return known.get((project, domain)) or next(reversed(list(known.values())))
        declared = declaration_of(function)
        return None if declared is None else named(function, declared, home)

    def _store(self, made: Deployable) -> None:
        spec = made.spec
        descriptions = (spec.documentation.short_description, spec.environment.description)
        with self._state.database.transaction():
            self._state.bundles.put(spec.task_template.metadata.code_bundle_uri, made.bundle)
            self._state.tasks.deploy(
                made.key, spec.SerializeToString(), spec.environment.name, descriptions, self._state.now()
            )
