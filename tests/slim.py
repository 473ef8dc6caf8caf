"""What must not be there, and what must not be loaded: run where only the bare dependencies are installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

ABSENT = ("keyring", "yaml", "msgpack")
NEVER_BY_IMPORT = [
    "asyncio",
    "requests",
    "google.protobuf",
    "keyring",
    "tenacity",
    "msgpack",
    "yaml",
    "grpc",
    "httpx",
    "pydantic",
    "cryptography",
    "flyte",
    "flyteidl2",
]

IMPORT = "import sys, flyte_lite, flyte_lite.remote, flyte_lite.union.remote; print(*sys.modules)"
MAIN_JOB = """
import sys
import flyte_lite as flyte
flyte.init(endpoint=sys.argv[1], project="flytesnacks", domain="development")
run = flyte.run(flyte.remote.Task.get("slim.double", auto_version="latest"), x=21)
run.wait(timeout=60)
assert run.outputs()[0] == 42, run.outputs()
print(*sys.modules)
"""


def loaded(code: str, *args: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code, *args], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def main() -> int:
    faults = [
        f"{name} is installed; this environment must not have it" for name in ABSENT if importlib.util.find_spec(name)
    ]
    modules = loaded(IMPORT)
    faults += [f"an import loads {name}" for name in NEVER_BY_IMPORT if name in modules]

    from flyte_lite.devbox import Devbox

    with Devbox() as box:

        @box.task(name="slim.double", version="v1")
        def double(x: int) -> int:
            return 2 * x

        modules = loaded(MAIN_JOB, box.endpoint)
    faults += [f"init, run, wait and outputs load {name}" for name in ("asyncio", *ABSENT) if name in modules]
    print("\n".join(faults) or "slim: nothing is loaded that is not needed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
