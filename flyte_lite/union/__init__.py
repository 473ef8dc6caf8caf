"""What scripts made for `union` 0.1.0 import, over the same sessions as all of flyte_lite.

    import flyte_lite.union as union
    from flyte_lite.union.remote import Run, Task

Names are loaded when first used.
"""

from __future__ import annotations

# Not from typing, which takes longer to load than all that an import of this loads.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from flyte_lite._init import init as init
    from flyte_lite.union import remote as remote
    from flyte_lite.union._launch import RunContext as RunContext
    from flyte_lite.union._launch import run as run
    from flyte_lite.union._launch import with_runcontext as with_runcontext

__all__ = ["RunContext", "init", "remote", "run", "with_runcontext"]

_MODULES = {
    "RunContext": "flyte_lite.union._launch",
    "init": "flyte_lite._init",
    "run": "flyte_lite.union._launch",
    "with_runcontext": "flyte_lite.union._launch",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "remote":
        return import_module(f"{__name__}.remote")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
