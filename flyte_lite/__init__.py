"""Flyte 2 from plain Python: blocking calls over HTTP/1.1, few dependencies, no threads, no event loop.

    import flyte_lite as flyte

    flyte.init(endpoint="http://localhost:8090", project="flytesnacks", domain="development")
    run = flyte.run(flyte.remote.Task.get("greetings.hello", auto_version="latest"), name="Ada")
    run.wait()
    print(run.outputs()[0])

Everything here is loaded when first used: the import itself costs next to nothing.
"""

from __future__ import annotations

from flyte_lite._version import __version__

# Not from typing, which takes longer to load than all of this package that an import loads.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from flyte_lite import config as config
    from flyte_lite import errors as errors
    from flyte_lite import io as io
    from flyte_lite import models as models
    from flyte_lite import remote as remote
    from flyte_lite import union as union
    from flyte_lite._client import Client as Client
    from flyte_lite._client import init as init
    from flyte_lite._clock import Cancel as Cancel
    from flyte_lite._launch import RunContext as RunContext
    from flyte_lite._launch import run as run
    from flyte_lite._launch import with_runcontext as with_runcontext
    from flyte_lite.remote._completion import as_completed as as_completed
    from flyte_lite.remote._completion import wait_all as wait_all

__all__ = [
    "Cancel",
    "Client",
    "RunContext",
    "__version__",
    "as_completed",
    "config",
    "errors",
    "init",
    "io",
    "models",
    "remote",
    "run",
    "union",
    "wait_all",
    "with_runcontext",
]

_MODULES = {
    "Cancel": "_clock",
    "Client": "_client",
    "RunContext": "_launch",
    "as_completed": "remote._completion",
    "init": "_client",
    "run": "_launch",
    "wait_all": "remote._completion",
    "with_runcontext": "_launch",
}
_SUBMODULES = {"config", "errors", "io", "models", "remote", "union"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
