"""`flyte-lite get config`: what is set, and where."""

from __future__ import annotations

import argparse
import json

from flyte_lite._console import say
from flyte_lite.config import Config


def run(options: argparse.Namespace) -> int:
    """Print every setting, secrets masked.

    Raises:
        ConfigError: A file or a variable can't be read.
    """
    config = Config.auto(options.config)
    if not options.json:
        say(config.explain())
        return 0
    settings = {setting.name: {"value": setting.value, "source": setting.source} for setting in config.settings()}
    file = None if config.source is None else str(config.source)
    say(json.dumps({"file": file, "searched": list(config.searched), "settings": settings}, indent=2))
    return 0
