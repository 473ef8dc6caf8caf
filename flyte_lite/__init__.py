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
    from flyte_lite import notify as notify
    from flyte_lite import remote as remote
    from flyte_lite import union as union
    from flyte_lite._auth.store import TokenStore as TokenStore
    from flyte_lite._client import Client as Client
    from flyte_lite._client import current_domain as current_domain
    from flyte_lite._client import current_project as current_project
    from flyte_lite._client import is_control_plane_available as is_control_plane_available
    from flyte_lite._client import version as version
    from flyte_lite._clock import Cancel as Cancel
    from flyte_lite._init import init as init
    from flyte_lite._init import init_from_api_key as init_from_api_key
    from flyte_lite._init import init_from_config as init_from_config
    from flyte_lite._init import init_in_cluster as init_in_cluster
    from flyte_lite._init import init_passthrough as init_passthrough
    from flyte_lite._launch import RunContext as RunContext
    from flyte_lite._launch import rerun as rerun
    from flyte_lite._launch import run as run
    from flyte_lite._launch import with_runcontext as with_runcontext
    from flyte_lite._launch.dry_run import DryRun as DryRun
    from flyte_lite.policies import Backoff as Backoff
    from flyte_lite.policies import Cache as Cache
    from flyte_lite.policies import RetryStrategy as RetryStrategy
    from flyte_lite.policies import Timeout as Timeout
    from flyte_lite.remote._completion import as_completed as as_completed
    from flyte_lite.remote._completion import wait_all as wait_all
    from flyte_lite.resources import AMD_GPU as AMD_GPU
    from flyte_lite.resources import APPLE_SILICON as APPLE_SILICON
    from flyte_lite.resources import GPU as GPU
    from flyte_lite.resources import HABANA_GAUDI as HABANA_GAUDI
    from flyte_lite.resources import TPU as TPU
    from flyte_lite.resources import Device as Device
    from flyte_lite.resources import Neuron as Neuron
    from flyte_lite.resources import Resources as Resources
    from flyte_lite.secret import Secret as Secret

__all__ = [
    "AMD_GPU",
    "APPLE_SILICON",
    "Backoff",
    "Cache",
    "Cancel",
    "Client",
    "Device",
    "DryRun",
    "GPU",
    "HABANA_GAUDI",
    "Neuron",
    "Resources",
    "RetryStrategy",
    "RunContext",
    "Secret",
    "TPU",
    "Timeout",
    "TokenStore",
    "__version__",
    "as_completed",
    "config",
    "current_domain",
    "current_project",
    "errors",
    "init",
    "init_from_api_key",
    "init_from_config",
    "init_in_cluster",
    "init_passthrough",
    "io",
    "is_control_plane_available",
    "models",
    "notify",
    "remote",
    "rerun",
    "run",
    "union",
    "version",
    "wait_all",
    "with_runcontext",
]

_MODULES = {
    "AMD_GPU": "resources",
    "APPLE_SILICON": "resources",
    "Backoff": "policies",
    "Cache": "policies",
    "Cancel": "_clock",
    "Client": "_client",
    "Device": "resources",
    "DryRun": "_launch.dry_run",
    "GPU": "resources",
    "HABANA_GAUDI": "resources",
    "Neuron": "resources",
    "Resources": "resources",
    "RetryStrategy": "policies",
    "RunContext": "_launch",
    "Secret": "secret",
    "TPU": "resources",
    "Timeout": "policies",
    "TokenStore": "_auth.store",
    "as_completed": "remote._completion",
    "current_domain": "_client",
    "current_project": "_client",
    "init": "_init",
    "init_from_api_key": "_init",
    "init_from_config": "_init",
    "init_in_cluster": "_init",
    "init_passthrough": "_init",
    "is_control_plane_available": "_client",
    "rerun": "_launch",
    "run": "_launch",
    "version": "_client",
    "wait_all": "remote._completion",
    "with_runcontext": "_launch",
}
_SUBMODULES = {"config", "errors", "io", "models", "notify", "remote", "union"}


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
