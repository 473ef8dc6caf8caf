"""The command `flyte-lite`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Optional

from flyte_lite import _console
from flyte_lite._version import __version__
from flyte_lite.errors import FlyteLiteError


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command.

    Args:
        argv: Words after the program's name; None takes the process's.

    Returns:
        The exit status: 0 if it worked, 1 if not, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="flyte-lite", description="Flyte 2 from plain Python.")
    parser.add_argument("--version", action="version", version=f"flyte-lite {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    commands.add_parser(
        "demo", help="start a server of its own, run two tasks on it and show what happens; leaves nothing behind"
    )
    parser.parse_args(argv)
    from flyte_lite._cli import demo

    try:
        return demo.run()
    except FlyteLiteError as error:
        _console.fail(str(error))
        return 1
    except ModuleNotFoundError as error:
        # The devbox says what is missing and how to get it; anything else is a fault of ours.
        if "flyte_lite[devbox]" not in str(error):
            raise
        _console.fail(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
