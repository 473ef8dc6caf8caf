"""Brings the proxies that the tests here go through into a folder; nothing is installed on the machine.

tinyproxy and nginx are of Debian, unpacked and not set up; mitmproxy is of PyPI, in an environment of its own. What
can't be had is said in a file in its place, and its tests are skipped with that reason.

    python tests/proxies/programs.py FOLDER
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = {"tinyproxy": "tinyproxy-bin", "nginx": "nginx"}
MITMPROXY = "mitmproxy>=9"
NAMES = (*PACKAGES, "mitmdump")
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
        raise Missing(f"{name} is not here: run python tests/proxies/programs.py {folder}")
    kind, _, rest = told.read_text().partition(" ")
    if kind != "at":
        raise Missing(f"{name} is not here: {rest}")
    return Path(rest)


def main(folder: Path) -> int:
    """Bring each, unless it is here already. Never fails: who has no network still has the other tests."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        with contextlib.suppress(Missing):
            path_of(name, folder)
            continue
        try:
            path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
            found = Path(path) if path else mitmdump(folder) if name == "mitmdump" else of_debian(name, folder)
            said = f"at {found}"
        except (Missing, OSError, subprocess.SubprocessError) as error:
            said = f"missing {' '.join(str(error).split())[-300:]}"
        (folder / name).write_text(said)
        print(f"proxies: {name} {said}", flush=True)
    return 0


def of_debian(name: str, folder: Path) -> Path:
    """The program out of Debian's package, which needs nothing but libraries that are everywhere."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Missing("no apt-get here")
    unpacked = folder / f"{name}.debian"
    unpacked.mkdir(exist_ok=True)
    try:
        run(["apt-get", "download", "-q", PACKAGES[name]], unpacked)
    except Missing:
        run(["apt-get", "update", "-q"], unpacked)
        run(["apt-get", "download", "-q", PACKAGES[name]], unpacked)
    (package,) = unpacked.glob("*.deb")
    run(["dpkg-deb", "-x", package.name, "."], unpacked)
    for place in ("usr/bin", "usr/sbin"):
        program = unpacked / place / name
        if program.exists():
            run([str(program), "-v"], unpacked)  # with the libraries of this machine?
            return program
    raise Missing(f"it is not in {package.name}")


def mitmdump(folder: Path) -> Path:
    """The program out of PyPI; it pins what it needs, so it shares nothing."""
    place = folder / "mitmproxy"
    venv.create(place, with_pip=True, clear=True)
    run([str(place / "bin" / "python"), "-m", "pip", "install", "-q", MITMPROXY], folder)
    return place / "bin" / "mitmdump"


def run(command: list[str], folder: Path) -> None:
    ran = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=MOST_SECONDS
    )
    if ran.returncode != 0:
        raise Missing(f"{command[0]} {command[1]}: {ran.stdout[-200:]}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
