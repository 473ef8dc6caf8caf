"""`flyte-lite devbox`: a Flyte server until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import ssl
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Optional

from flyte_lite._console import fail, say
from flyte_lite.errors import DevboxStateError
from flyte_lite.idl.flyteidl2.core import types_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox import Devbox


# What the snippet gives a task, by the type of its input.
_VALUES = {types_pb2.INTEGER: "1", types_pb2.FLOAT: "1.0", types_pb2.STRING: '"Ada"', types_pb2.BOOLEAN: "True"}


def run(options: argparse.Namespace) -> int:
    """Serve until somebody ends it; 0 after SIGTERM, 1 if it could not start.

    Raises:
        KeyboardInterrupt: After Ctrl-C, with everything stopped.
    """
    try:
        with _signals_end_it() as told:
            return _serve(options, told)
    except _Terminated:
        return 0
    except (DevboxStateError, _Refused) as error:
        fail(str(error))
    except OSError as error:
        fail(f"can't listen on {options.host}:{options.port}: {error.strerror or error}")
    return 1


def _serve(options: argparse.Namespace, told: int) -> NoReturn:
    box, deployed = _start(options)
    try:
        # Whoever only wanted to know the endpoint may have left.
        with contextlib.suppress(BrokenPipeError):
            _introduce(box, deployed, _authority(options.certificate), options.auth)
        while True:
            # Not signal.pause(), which sleeps on if the signal came just before, or to another thread.
            os.read(told, 1)
    finally:
        box.close()


class _Terminated(BaseException):
    """SIGTERM came."""


class _Refused(Exception):
    """A file's tasks can't be deployed, or a certificate can't be shown."""


def _start(options: argparse.Namespace) -> tuple[Devbox, list[str]]:
    from flyte_lite.devbox import Devbox

    try:
        box = Devbox(
            options.host,
            options.port,
            workers=options.workers,
            state=options.state,
            certificate=options.certificate,
            private_key=options.private_key,
            auth=options.auth,
        )
    except ValueError as error:
        raise _Refused(str(error)) from error
    try:
        deployed = [task for file in options.tasks for task in _deploy(box, file)]
        box.start()
    except BaseException:
        box.close()
        raise
    return box, deployed


def _deploy(box: Devbox, file: str) -> list[str]:
    try:
        # What the file itself prints must not come before the endpoint.
        with contextlib.redirect_stdout(sys.stderr):
            return box.deploy(os.path.abspath(file))  # noqa: PTH100 - a text that ends like a file's name
    except (FileNotFoundError, IsADirectoryError):
        raise _Refused(f"no such Python file: {file}") from None
    except (Exception, SystemExit) as error:
        text = (
            str(error) if isinstance(error, ValueError) and file in str(error) else f"{type(error).__name__}: {error}"
        )
        raise _Refused(f"{file} can't be deployed: {text}".partition("\n")[0]) from error


def _authority(certificate: Optional[str]) -> Optional[Path]:
    """The file that a client must be told to trust: that of a certificate that nobody vouches for but itself."""
    if certificate is None:
        return None
    path = Path(certificate).expanduser().absolute()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    return path if context.get_ca_certs() else None


def _introduce(box: Devbox, deployed: Sequence[str], authority: Optional[Path], auth: bool) -> None:
    from flyte_lite.devbox._box import DOMAIN, PROJECT

    say(box.endpoint)
    say(f"project {PROJECT}, domain {DOMAIN}")
    for task in deployed:
        say(f"task {task}")
    server = f'endpoint="{box.endpoint}"'
    if auth:
        # The devbox's own, and good for nothing else.
        server = f'api_key="{box.issuer.api_key}"'
        say(f"program {box.issuer.client_id}, secret {box.issuer.client_secret}")
        variable = "" if authority is None else f"FLYTE_ADMIN_CACERTFILEPATH={shlex.quote(str(authority))} "
        say(f"people: {variable}flyte-lite login --endpoint {box.endpoint}")
    say("\nIn Python:\n\nimport flyte_lite as flyte\n")
    trust = "" if authority is None else f", ca_cert_file_path={str(authority)!r}"
    say(f'flyte.init({server}, project="{PROJECT}", domain="{DOMAIN}"{trust})')
    if deployed:
        name = deployed[0].rpartition(":")[0]
        spec = box.spec(deployed[0])
        have = {given.name for given in spec.default_inputs}
        given = "".join(
            f", {each.key}={_VALUES.get(each.value.type.simple, '...')}"
            for each in spec.task_template.interface.inputs.variables
            if each.key not in have
        )
        say(f'run = flyte.run(flyte.remote.Task.get("{name}", auto_version="latest"){given})')
        say("run.wait()\nprint(run.phase, run.outputs())")
    say("\nCtrl-C stops it.")


@contextlib.contextmanager
def _signals_end_it() -> Iterator[int]:
    # The file that has something to read once a signal came.
    ended = False

    def end(number: int, _: object) -> None:
        nonlocal ended
        # Once: a second one must not leave the work half done, which takes a second at most.
        if not ended:
            ended = True
            raise KeyboardInterrupt if number == signal.SIGINT else _Terminated

    told, tell = os.pipe()
    os.set_blocking(tell, False)
    before = signal.set_wakeup_fd(tell)
    handlers = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        signal.set_wakeup_fd(before)
        os.close(told)
        os.close(tell)
        for number, handler in handlers.items():
            signal.signal(number, handler)
