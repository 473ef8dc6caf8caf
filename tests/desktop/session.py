"""A desktop session without a screen: a message bus of its own, and on it GNOME's keyring as a Secret Service."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

import secretstorage
from jeepney import DBusAddress, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import DBusConnection, open_dbus_connection

PASSWORD = "what the keyring is opened with"
SECRETS = "org.freedesktop.secrets"
PROMPTER = "org.gnome.keyring.SystemPrompter"
_SECONDS = 20.0
# Nothing of the machine is started when somebody calls it, and nobody else listens.
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir={folder}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""
_STAY = "import os, sys; print(os.environ['DBUS_SESSION_BUS_ADDRESS'], flush=True); sys.stdin.read()"


class Session:
    """A session of one user, with a home of its own. Use it with `with`.

    Args:
        folder: For all that is stored; its path is short, as that of a socket must be.

    Attributes:
        environ: For a program of that user.
    """

    def __init__(self, programs: dict[str, Path], folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._keyring: Optional[subprocess.Popen[bytes]] = None
        for name in ("home", "data", "state", "run"):
            (folder / name).mkdir(mode=0o700)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "home"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
        }

    def __enter__(self) -> Session:
        (self._folder / "bus.conf").write_text(_BUS.format(folder=self._folder))
        daemon, config = self._programs["dbus-daemon"], self._folder / "bus.conf"
        self._bus = subprocess.Popen(
            [
                *(str(self._programs["dbus-run-session"]), f"--dbus-daemon={daemon}", f"--config-file={config}", "--"),
                *(sys.executable, "-IS", "-c", _STAY),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environ,
        )
        assert self._bus.stdout is not None
        self.address = self._bus.stdout.readline().decode().strip()
        assert self.address, "there is no message bus"
        self.environ["DBUS_SESSION_BUS_ADDRESS"] = self.address
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.kill_keyring()
        self._bus.communicate(timeout=_SECONDS)

    def start_keyring(self, password: Optional[str] = PASSWORD) -> None:
        """Start the Secret Service.

        Args:
            password: Opens what is stored, as at a login; None leaves it locked.
        """
        unlock = [] if password is None else ["--unlock"]
        program = str(self._programs["gnome-keyring-daemon"])
        self._keyring = subprocess.Popen(
            [program, "--foreground", "--components=secrets", *unlock],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environ,
        )
        assert self._keyring.stdin is not None
        with self._keyring.stdin as typed:
            typed.write((password or "").encode())
        with self._connected() as bus:
            self._until(lambda: bus.send_and_get_reply(message_bus.NameHasOwner(SECRETS)).body[0])
        if password is not None:
            # The name is there a little before what is stored is open.
            self._until(lambda: not self._locked())

    def kill_keyring(self) -> None:
        """As the system does it when memory is short."""
        if self._keyring is not None:
            self._keyring.kill()
            self._keyring.wait(_SECONDS)
            self._keyring = None
            if self._bus.poll() is None:
                with self._connected() as bus:
                    self._until(lambda: not bus.send_and_get_reply(message_bus.NameHasOwner(SECRETS)).body[0])

    def lock(self) -> None:
        """As a screen that is locked does."""
        with self._connected() as bus:
            secretstorage.get_default_collection(bus).lock()
        assert self._locked()

    def items(self) -> list[dict[str, str]]:
        """The attributes of everything that is stored."""
        with self._connected() as bus:
            return [dict(item.get_attributes()) for item in secretstorage.get_default_collection(bus).get_all_items()]

    @contextlib.contextmanager
    def stuck(self) -> Iterator[None]:
        """It is there, and says nothing."""
        assert self._keyring is not None
        self._keyring.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._keyring.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def nobody_answers(self) -> Iterator[None]:
        """A window asks for the password, and nobody looks at it."""
        with self._connected() as bus:
            taken = bus.send_and_get_reply(message_bus.RequestName(PROMPTER))
            assert taken.body[0] == 1, "somebody else asks"
            yield

    def run(self, *command: str, ok: bool = True, typed: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """A program of this user, to its end."""
        done = subprocess.run(
            command,
            cwd=self._folder / "home",
            env={**self.environ, **environ},
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0 or not ok, done.stderr
        return done

    def python(self, code: str, *arguments: str, **environ: str) -> str:
        """What a script of this user prints."""
        return self.run(sys.executable, "-c", code, *arguments, **environ).stdout

    @contextlib.contextmanager
    def started(self, *command: str, **environ: str) -> Iterator[Started]:
        """A program of this user, and a browser that only notes what it is to show."""
        program = Started(command, self._folder, {**self.environ, **environ})
        try:
            yield program
        finally:
            program.kill()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[DBusConnection]:
        with contextlib.closing(open_dbus_connection(self.address)) as bus:
            yield bus

    def _locked(self) -> bool:
        with self._connected() as bus:
            service = DBusAddress("/org/freedesktop/secrets", SECRETS, "org.freedesktop.Secret.Service")
            default = bus.send_and_get_reply(new_method_call(service, "ReadAlias", "s", ("default",))).body[0]
            return default == "/" or bool(secretstorage.Collection(bus, default).is_locked())

    def _until(self, there: Any) -> None:
        end = time.monotonic() + _SECONDS
        while not there():
            assert time.monotonic() < end, "the keyring is neither here nor gone"
            time.sleep(0.02)


class Started:
    """A program at work."""

    def __init__(self, command: tuple[str, ...], folder: Path, environ: dict[str, str]) -> None:
        self._shown = Path(tempfile.mkdtemp(dir=folder)) / "addresses"
        browser = self._shown.with_name("browser")
        browser.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$1\" >>{self._shown}\n")
        browser.chmod(0o700)
        self._process = subprocess.Popen(
            command,
            cwd=folder / "home",
            env={**environ, "BROWSER": str(browser)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def opened(self) -> str:
        """The address that it shows in the browser, once it does."""
        end = time.monotonic() + _SECONDS
        while not (self._shown.exists() and self._shown.read_text().endswith("\n")):
            assert self._process.poll() is None, self._process.communicate()
            assert time.monotonic() < end, "it shows nothing in the browser"
            time.sleep(0.02)
        (address,) = self._shown.read_text().splitlines()
        return address

    def shown(self, pattern: str) -> str:
        """What of stdout matches, once it is there, on however many lines."""
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line.rstrip("\n")
            found = re.search(pattern, said)
            if found:
                return found[0]
        raise AssertionError(f"it ended without {pattern!r}: {said}")

    def printed(self, line: str) -> str:
        """The next line on stderr with that text in it."""
        assert self._process.stderr is not None
        for said in self._process.stderr:
            if line in said:
                return said
        raise AssertionError(f"it ended without {line!r}")

    def asked(self, line: str) -> str:
        """The line on stdout with which it answers one on stdin."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def ended(self, typed: str = "") -> tuple[int, str, str]:
        """Its status, and what it printed on stdout and stderr, once it ends.

        Args:
            typed: What it is given to read before.
        """
        out, err = self._process.communicate(typed, timeout=_SECONDS)
        return self._process.returncode, out, err

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
