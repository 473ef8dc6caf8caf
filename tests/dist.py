"""Build the wheel, install it in a clean environment, and do the main job from an empty directory and HOME."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Source of one kind and the wire types; anything that does not belong there would be far larger.
MOST_WHEEL_BYTES = 900_000


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        subprocess.run([sys.executable, "-m", "build", "--outdir", str(place), str(ROOT)], check=True)
        (wheel,) = place.glob("*.whl")
        assert wheel.name.endswith("-py3-none-any.whl"), f"{wheel.name} is not pure Python"
        assert wheel.stat().st_size < MOST_WHEEL_BYTES, f"{wheel.name} has {wheel.stat().st_size} bytes"
        with zipfile.ZipFile(wheel) as content:
            names = set(content.namelist())
        assert {"flyte_lite/py.typed", "flyte_lite/idl/descriptors.bin"} <= names, "data files are missing"
        assert not [name for name in names if not name.startswith("flyte_lite")], "something else is in the wheel"
        venv.create(place / "venv", with_pip=True)
        scripts = place / "venv" / "bin"
        subprocess.run([scripts / "python", "-m", "pip", "install", "-q", f"{wheel}[devbox]"], check=True)
        home = place / "home"
        home.mkdir()
        environ = {**os.environ, "HOME": str(home)}
        environ.pop("PYTHONPATH", None)
        done = subprocess.run(
            [scripts / "flyte-lite", "demo"],
            cwd=home,
            env=environ,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        print(done.stdout)
        assert "hello Ada, hello Ada" in done.stdout, "the outputs of the run are missing"
        assert "FileNotFoundError" in done.stdout, "the error of the second run is missing"
        assert not list(home.rglob("*")), f"something was left behind: {list(home.rglob('*'))}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
