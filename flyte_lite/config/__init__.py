"""Settings, and where each came from: argument > environment > file > default. Nothing else reads them.

    config = flyte_lite.config.auto()          # a file that is looked for, and the environment
    print(config.explain())
    client = Client.from_config(config)

`init()` and `Client()` read arguments and the environment; `init_from_config()` and `Client.from_config()` read a file
as well. All are read anew each time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Union

from flyte_lite.config._config import Config
from flyte_lite.config._endpoint import Endpoint

if TYPE_CHECKING:
    from flyte_lite.config._explanation import Setting as Setting
    from flyte_lite.config._sections import ImageConfig as ImageConfig
    from flyte_lite.config._sections import LocalConfig as LocalConfig
    from flyte_lite.config._sections import PlatformConfig as PlatformConfig
    from flyte_lite.config._sections import TaskConfig as TaskConfig

__all__ = ["Config", "Endpoint", "ImageConfig", "LocalConfig", "PlatformConfig", "Setting", "TaskConfig", "auto"]

# What few need is loaded when it is used.
_MODULES = dict.fromkeys(("ImageConfig", "LocalConfig", "PlatformConfig", "TaskConfig"), "_sections")
_MODULES["Setting"] = "_explanation"


def auto(config_file: Union[str, os.PathLike[str], None] = None) -> Config:
    """See `Config.auto`.

    Args:
        config_file: None looks for one.

    Raises:
        ConfigError: A file or a variable can't be read.
    """
    return Config.auto(config_file)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
