"""The actions of a run as one watcher sees them: which to show, and how their descendants are getting on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Optional

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.state.actions import Action
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.common import list_pb2


class Node:
    """One action.

    Attributes:
        action: As it was last seen.
        parent: None for a root.
        counts: How many descendants are in each phase, in the order in which phases were first seen; 0 stays.
        matches: Whether it passes the filters by itself.
        matching: How many descendants do.
        shown: Whether the watcher has it.
    """

    __slots__ = ("action", "counts", "matches", "matching", "parent", "shown")

    def __init__(self, action: Action, parent: Optional[Node]) -> None:
        self.action = action
        self.parent = parent
        self.counts: dict[int, int] = {}
        self.matches = False
        self.matching = 0
        self.shown = False

    def ancestors(self) -> Iterator[Node]:
        """Its parent, that one's parent, and so on."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


class ActionFilter(NamedTuple):
    """What a watcher asks for.

    Attributes:
        phases: Empty is all.
        name: A part of the task's short name, in lower case.
    """

    phases: frozenset[int]
    name: str

    @classmethod
    def of(cls, filters: Sequence[list_pb2.Filter]) -> ActionFilter:
        """Understand a request's filters.

        Raises:
            InvalidArgumentError: One is of another field or function, or a phase is no number.
        """
        phases: set[int] = set()
        name = ""
        for given in filters:
            allowed = {"PHASE": list_pb2.Filter.VALUE_IN, "NAME": list_pb2.Filter.CONTAINS_CASE_INSENSITIVE}
            if allowed.get(given.field) != given.function:
                known = given.function in list_pb2.Filter.Function.values()
                function = list_pb2.Filter.Function.Name(given.function) if known else given.function
                text = f"function {function} is not supported for filter {given.field}"
                raise refusal(Code.INVALID_ARGUMENT, text)
            if given.field == "NAME":
                name = given.values[0].lower() if given.values else name
                continue
            for value in given.values:
                try:
                    phases.add(int(value))
                except ValueError as error:
                    raise refusal(Code.INVALID_ARGUMENT, f"invalid phase value: {value}") from error
        return cls(frozenset(phases), name)

    def passes(self, action: Action) -> bool:
        """Whether the action itself is asked for."""
        name = (action.task_name or action.short_name).rpartition(".")[2] or action.name
        return (not self.phases or action.phase in self.phases) and self.name in name.lower()


class ActionTree:
    """What one watcher knows of a run.

    Args:
        wanted: The watcher's filters.
    """

    def __init__(self, wanted: ActionFilter) -> None:
        self._wanted = wanted
        self._nodes: dict[str, Node] = {}

    def take(self, actions: Iterable[Action]) -> list[Node]:
        """Take actions as they are now, parents first; the nodes to tell of, oldest first.

        A node that is not `shown` any more is told once. An ancestor of a match is shown, whatever it is itself.

        Raises:
            RpcError: The parent of one is not known (`unknown`).
        """
        touched: dict[str, Node] = {}
        for action in actions:
            for node in self._placed(action):
                touched[node.action.name] = node
        for node in touched.values():
            self._match(node)
        told = dict[str, Node]()
        for node in touched.values():
            for changed in self._show(node):
                told[changed.action.name] = changed
        return sorted(told.values(), key=lambda node: node.action.created_at)

    def _placed(self, action: Action) -> Iterator[Node]:
        node = self._nodes.get(action.name)
        if node is None:
            parent = self._nodes.get(action.parent) if action.parent else None
            if action.parent and parent is None:
                text = f"parent node [{action.parent}] not found for action [{action.name}]"
                raise refusal(Code.UNKNOWN, text)
            node = self._nodes[action.name] = Node(action, parent)
        else:
            for ancestor in node.ancestors():
                ancestor.counts[node.action.phase] -= 1
            node.action = action
        yield node
        for ancestor in node.ancestors():
            ancestor.counts[action.phase] = ancestor.counts.get(action.phase, 0) + 1
            yield ancestor

    def _match(self, node: Node) -> None:
        matches = self._wanted.passes(node.action)
        if matches != node.matches:
            node.matches = matches
            for ancestor in node.ancestors():
                ancestor.matching += 1 if matches else -1

    def _show(self, node: Node) -> Iterator[Node]:
        if node.matches:
            for ancestor in node.ancestors():
                if not ancestor.shown:
                    ancestor.shown = True
                    yield ancestor
            node.shown = True
            yield node
        elif node.shown:
            yield node
            if node.matching:
                return
            node.shown = False
            for ancestor in node.ancestors():
                if not ancestor.shown or ancestor.matching or ancestor.matches:
                    return
                ancestor.shown = False
                yield ancestor
