"""The object model of `flyte.remote`: deployed tasks, runs and their actions.

Names are loaded when first used; importing this package loads neither requests nor protobuf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_lite.remote._action import Action as Action
    from flyte_lite.remote._action_details import ActionDetails as ActionDetails
    from flyte_lite.remote._auth_metadata import auth_metadata as auth_metadata
    from flyte_lite.remote._channel import create_channel as create_channel
    from flyte_lite.remote._data import ActionInputs as ActionInputs
    from flyte_lite.remote._data import ActionOutputs as ActionOutputs
    from flyte_lite.remote._filters import TimeFilter as TimeFilter
    from flyte_lite.remote._run import Run as Run
    from flyte_lite.remote._run_details import RunDetails as RunDetails
    from flyte_lite.remote._task import Task as Task
    from flyte_lite.remote._task_details import LazyEntity as LazyEntity
    from flyte_lite.remote._task_details import TaskDetails as TaskDetails

_MODULES = {
    "Action": "_action",
    "ActionDetails": "_action_details",
    "ActionInputs": "_data",
    "ActionOutputs": "_data",
    "LazyEntity": "_task_details",
    "Run": "_run",
    "RunDetails": "_run_details",
    "Task": "_task",
    "TaskDetails": "_task_details",
    "TimeFilter": "_filters",
    "auth_metadata": "_auth_metadata",
    "create_channel": "_channel",
}

__all__ = [
    "Action",
    "ActionDetails",
    "ActionInputs",
    "ActionOutputs",
    "LazyEntity",
    "Run",
    "RunDetails",
    "Task",
    "TaskDetails",
    "TimeFilter",
    "auth_metadata",
    "create_channel",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
