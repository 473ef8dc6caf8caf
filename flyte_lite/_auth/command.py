"""Tokens that a command prints, such as `gcloud auth print-identity-token`."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from flyte_lite._auth.given import token_of
from flyte_lite._auth.provider import shown
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Deadline
from flyte_lite.errors import CallTimeoutError, CanceledError, Code, ConfigError, UnauthenticatedError

DEFAULT_SECONDS = 60.0
_MOST = 1024 * 1024
# How often it is looked whether the command has ended, though something that it started still has its output open.
_LOOK = 0.1


class Command:
    """A command whose output is a token.

    Args:
        argv: The program and its arguments; no shell reads them.
        environ: Added to ours.
        seconds: The most that it may take, if the call's deadline is not sooner.
        by_pipes: False lets it print into files that nobody else can open: on Windows nothing waits for two pipes.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environ: Optional[Mapping[str, str]] = None,
        seconds: float = DEFAULT_SECONDS,
        by_pipes: bool = os.name == "posix",
    ) -> None:
        if isinstance(argv, str) or not argv or not all(isinstance(word, str) for word in argv):
            raise ConfigError("a command is a list of words, such as ['gcloud', 'auth', 'print-identity-token']")
        self._argv = list(argv)
        self._environ = dict(environ or {})
        self._seconds = seconds
        self._by_pipes = by_pipes

    def __repr__(self) -> str:
        # No arguments: people put secrets there.
        return f"Command({self._name})"

    @property
    def _name(self) -> str:
        return shown(Path(self._argv[0]).name)

    def fetch(self, deadline: Deadline) -> Token:
        """See `TokenSource`."""
        return self.renew(None, deadline)

    def renew(self, old: Optional[Token], deadline: Deadline) -> Token:
        """See `TokenSource`."""
        now = Moment.now(deadline.clock)
        status, printed, said = self._run(deadline)
        text = printed.decode("utf-8", "replace").strip()
        known = [*text.split(), *(() if old is None else (old.value,)), *_arguments(self._argv)]
        complaint = shown(said.decode("utf-8", "replace"), [word for word in known if len(word) > 3])
        on_stderr = f"; it said on stderr: {complaint}" if complaint else ""
        if status:
            how = f"exit status {status}" if status > 0 else f"signal {-status}"
            raise UnauthenticatedError(
                f"the command {self._name} gave no token: it ended with {how}{on_stderr}",
                Code.UNAUTHENTICATED,
                sent=False,
            )
        token = token_of(text, now)
        if token is None:
            raise UnauthenticatedError(
                f"the command {self._name} gave no token: it printed "
                f"{'nothing' if not text else f'{len(printed)} bytes that no header can carry'}{on_stderr}",
                Code.UNAUTHENTICATED,
                sent=False,
            )
        return token

    def _run(self, deadline: Deadline) -> tuple[int, bytes, bytes]:
        limit = deadline.within(self._seconds)
        with contextlib.ExitStack() as held:
            files = [] if self._by_pipes else [held.enter_context(_file()) for _ in range(2)]
            process = self._start(*(files or (subprocess.PIPE, subprocess.PIPE)))
            try:
                printed, said = self._output(process, limit) if self._by_pipes else _output_in(files, process, limit)
                if printed is None:
                    if deadline.canceled:
                        raise CanceledError("the call was canceled", Code.CANCELED, sent=False)
                    raise CallTimeoutError(
                        f"the command {self._name} printed no token within {limit.seconds:g} s",
                        Code.DEADLINE_EXCEEDED,
                        sent=False,
                    )
                return process.wait(), printed, said
            except BaseException:
                # Ctrl-C too: it does not reach a group of its own.
                _kill(process)
                raise
            finally:
                for pipe in (process.stdout, process.stderr):
                    if pipe is not None:
                        pipe.close()

    def _start(self, stdout: Any, stderr: Any) -> subprocess.Popen[bytes]:
        environ = {**os.environ, **self._environ}
        argv = self._argv
        if sys.platform == "win32":
            import shutil

            # It finds programs by itself, but no scripts such as gcloud.cmd.
            argv = [shutil.which(argv[0], path=environ.get("PATH")) or argv[0], *argv[1:]]
        try:
            return subprocess.Popen(  # noqa: S603 - it is the caller's, and no shell is in it
                argv,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environ,
                # A group of its own, so that what it starts can be ended with it.
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its words hold a NUL"
            raise ConfigError(f"the command {self._name} can't be started: {reason}") from None

    def _output(self, process: subprocess.Popen[bytes], limit: Deadline) -> tuple[Optional[bytes], bytes]:
        """What it prints until it ends, on stdout and stderr; None if it does not end in time."""
        woken, wake = socket.socketpair()
        with woken, wake, selectors.DefaultSelector() as selector:
            wake.setblocking(False)

            def cancel() -> None:
                with contextlib.suppress(OSError):
                    wake.send(b"x")

            came: dict[Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
            for output in came:
                os.set_blocking(output.fileno(), False)
                selector.register(output, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            if limit.cancel is not None:
                limit.cancel.subscribe(cancel)
            try:
                over = False
                while not over:
                    left = limit.left()
                    if limit.canceled or left == 0.0:
                        return None, b""
                    # Once it has ended, what is there is all: who holds its output open now is somebody else.
                    pause = _LOOK if left is None else min(left, _LOOK)
                    if len(selector.get_map()) == 1:
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            process.wait(pause)
                    over = process.poll() is not None
                    ready = selector.select(0 if over else pause)
                    for key, _ in ready:
                        pipe: Any = key.fileobj
                        if pipe in came and not _read(pipe, came[pipe], to_end=over):
                            selector.unregister(pipe)
            finally:
                if limit.cancel is not None:
                    limit.cancel.unsubscribe(cancel)
            return bytes(came[process.stdout]), bytes(came[process.stderr])


def _arguments(argv: Sequence[str]) -> Iterator[str]:
    """What may be a secret in a command line: values of options, and what does not read like a word."""
    for before, word in zip(argv, argv[1:]):
        value = word.partition("=")[2] if word.startswith("-") else word
        if before.startswith("-") or value != word or not re.fullmatch("[a-z_-]+", value):
            yield value


def _file() -> Any:
    import tempfile

    return tempfile.TemporaryFile()


def _output_in(
    files: Sequence[Any], process: subprocess.Popen[bytes], limit: Deadline
) -> tuple[Optional[bytes], bytes]:
    """What it has printed into files when it ends, on stdout and stderr; None if it does not end in time."""
    while process.poll() is None:
        left = limit.left()
        if limit.canceled or left == 0.0:
            return None, b""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK if left is None else min(left, _LOOK))
    for file in files:
        file.seek(0)
    printed, said = (file.read(_MOST) for file in files)
    return printed, said


def _read(pipe: Any, into: bytearray, *, to_end: bool) -> bool:
    """Take what is there; False at its end. What is too much is read and thrown away.

    To the end is no further than a pipe holds: who writes on behind a command that has ended may never stop.
    """
    taken = 0
    while taken <= _MOST:
        try:
            piece = os.read(pipe.fileno(), 65536)
        except BlockingIOError:
            return True
        into += piece[: _MOST - len(into)]
        taken += len(piece)
        if not piece:
            return False
        if not to_end:
            break
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    # Once it was waited for, its number may be another's.
    if process.returncode is not None:
        return
    if sys.platform == "win32":
        # By the tree, as there are no groups: a script's program is not the one that was started.
        taskkill = str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe"))
        subprocess.run([taskkill, "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)  # noqa: S603
    else:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
