"""The command `flyte-lite`."""

from __future__ import annotations

import argparse
import os
import sys
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
        The exit status: 0 if it worked, 1 if not, 2 if the words make no sense, 130 after Ctrl-C, 141 if
        nobody reads its output any more. Of `doctor`, `login`, `logout` and `whoami` see their help.
    """
    parser = argparse.ArgumentParser(prog="flyte-lite", description="Flyte 2 from plain Python.")
    parser.add_argument("--version", action="version", version=f"flyte-lite {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    commands.add_parser(
        "demo", help="start a server of its own, run two tasks on it and show what happens; leaves nothing behind"
    )
    _add_devbox(commands)
    _add_doctor(commands)
    _add_get(commands)
    _add_login(commands)
    _add_logout(commands)
    _add_whoami(commands)
    options = parser.parse_args(argv)

    try:
        # A command is loaded when it is asked for.
        if options.command == "demo":
            from flyte_lite._cli import demo

            return demo.run()
        if options.command == "doctor":
            from flyte_lite._cli import doctor

            return doctor.run(options)
        if options.command == "get":
            from flyte_lite._cli import get

            return get.run(options)
        if options.command in ("login", "logout"):
            from flyte_lite._cli import login

            return login.run(options)
        if options.command == "whoami":
            from flyte_lite._cli import whoami

            return whoami.run(options)
        from flyte_lite._cli import devbox

        return devbox.run(options)
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
    except BrokenPipeError:
        # Whoever read the output has seen enough, such as `head`; what is still buffered must not fail at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _add_devbox(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "devbox",
        help="start a Flyte server on this machine, and deploy the tasks of Python files",
        description="Start a Flyte server on this machine. The first line of output is its endpoint. SIGTERM (exit"
        " status 0) and Ctrl-C (130) stop it within a second, and kill what runs.",
    )
    parser.add_argument("tasks", nargs="*", metavar="TASKS.py", help="a file whose tasks are deployed at the start")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="the port; any free one by default")
    parser.add_argument("--state", metavar="DIR", help="keep everything in this folder; in memory by default")
    parser.add_argument("--workers", type=_workers, metavar="N", help="how many attempts may run at a time")
    parser.add_argument(
        "--auth",
        action="store_true",
        help="let only those in who sign in, as a program or as a person; it says how",
    )
    parser.add_argument(
        "--certificate", metavar="FILE", help="speak TLS, with the certificate in this PEM file; plain http by default"
    )
    parser.add_argument("--private-key", metavar="FILE", help="its key in PEM, if that is in a file of its own")


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "doctor",
        help="find out why a server can't be used, and what to do about it",
        description="Take each step on the way to a server as calls do: the host's name, TCP, a proxy, TLS, Flyte,"
        " signing in, reading, and an upload, which leaves one small file (flyte-lite-doctor.txt) in the object store.",
        epilog="Exit status: 0 nothing is wrong, or what has to be mended: 2 the configuration, 3 name or network,"
        " 4 a proxy, 5 TLS, 6 what answers is not Flyte (or is down), 7 signing in, 8 reading (project, domain,"
        " rights), 9 uploading.",
    )
    _add_config(parser)
    parser.add_argument("--endpoint", metavar="ADDRESS", help="the server, instead of what is configured")
    parser.add_argument("--project", metavar="NAME", help="the project to read, and to upload to")
    parser.add_argument("--domain", metavar="NAME", help="its domain, such as development")
    parser.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="the most for each step (%(default)g)"
    )


def _add_get(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("get", help="show what there is")
    things = parser.add_subparsers(dest="thing", metavar="thing", required=True)
    _add_config(things.add_parser("config", help="every setting, and where it comes from; secrets are masked"))


def _add_login(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "login",
        help="sign in, and keep that for programs and for the official SDK",
        description="Sign in to a server with a browser, here or elsewhere, and keep what proves it, in the keyring"
        " unless told otherwise. Programs that nobody told anything else use it until `flyte-lite logout`, and so does"
        " the official SDK.",
        epilog="Exit status: 0 somebody signed in, and that is kept; 7 nobody did; 1 anything else went wrong, such as"
        " a login that could be kept nowhere.",
    )
    _add_server(parser)
    parser.add_argument(
        "--flow",
        choices=["browser", "device"],
        help="a browser of this machine, or a code that is typed in on another one; what is configured by default,"
        " and otherwise a browser, or where there is none a code if the server gives any",
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=300.0, metavar="SECONDS", help="the most that it may take (%(default)g)"
    )


def _add_logout(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "logout",
        help="forget a login",
        description="Remove a login from where it is kept, also what the official SDK keeps there, and tell the"
        " identity provider that it is over, if that can be reached and listens.",
        epilog="Exit status: 0 nothing is kept any more, 1 it could not be removed.",
    )
    _add_server(parser)
    parser.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="the most for telling it (%(default)g)"
    )


def _add_whoami(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "whoami",
        help="who this machine is to a server, and how that is known",
        description="Ask the server who calls, as programs with the same settings do. Nobody is asked to sign in. What"
        " counts is the first of these that there is: an argument, a variable of the environment (FLYTE_API_KEY,"
        " FLYTE_AUTH_COMMAND and so on), the config file, a login that is kept, and somebody who signs in when the"
        " server wants that.",
        epilog="Exit status: 0 somebody is signed in, 7 nobody is, 1 that could not be found out.",
    )
    _add_server(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="the most that it may take (%(default)g)"
    )


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="the config file; one is looked for by default")
    parser.add_argument("--endpoint", metavar="ADDRESS", help="the server, instead of what is configured")
    parser.add_argument(
        "--token-store",
        metavar="STORE",
        help="keyring, file (below the user's state folder), or the path of another folder; FLYTE_LITE_TOKEN_STORE says"
        " so for programs, too",
    )


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="the config file; one is looked for by default")
    parser.add_argument("--json", action="store_true", help="for programs")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text!r}")
    return seconds


def _port(text: str) -> int:
    return _number(text, 0, 65535)


def _workers(text: str) -> int:
    return _number(text, 1, 1000)


def _number(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"expected a number from {least} to {most}, got {text!r}")
    return int(text)
