"""A Flyte server inside the package: for demos, for your tests and for ours.

    from flyte_lite.devbox import Devbox

    with Devbox() as box:
        @box.task(name="greetings.hello", version="v1")
        def hello(name: str) -> str:
            return f"hello {name}"

        ...  # any Flyte client, at box.endpoint

It needs `pip install 'flyte_lite[devbox]'`. Everything is loaded when first used, because each worker process imports
this package too and should start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_lite.devbox._box import Devbox
    from flyte_lite.devbox._declare import task
    from flyte_lite.devbox._group import group
    from flyte_lite.devbox._trace import trace

__all__ = ["Devbox", "group", "task", "trace"]

_HOME = {
    "Devbox": "flyte_lite.devbox._box",
    "group": "flyte_lite.devbox._group",
    "task": "flyte_lite.devbox._declare",
    "trace": "flyte_lite.devbox._trace",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
