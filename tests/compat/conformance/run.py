"""Builds Connect's conformance runner, where there is Go, and holds our client program against every case it has.

Nothing is left out and nothing is forgiven: the runner's lists of cases to skip, or that may fail, stay unused.

    python tests/compat/conformance/run.py --bin FOLDER          # once, as CI does
    ... --times 20                                               # again and again
    ... --with br zstd                                           # more compressions, where the client has libraries
    ... --client /elsewhere/python                               # the client program under another interpreter
    ... 'Client Cancellation/**' -- --trace                      # some cases; more options of the runner
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

import grpc_tools
from grpc_tools import protoc

HERE = Path(__file__).parent
VERSION = "v1.0.5"
RUNNER = f"connectrpc.com/conformance/cmd/connectconformance@{VERSION}"
# How many there are of this version with conformance.yaml as it is; fewer would mean that some did not run.
CASES = 1788
MOST_SECONDS = 600


def arguments() -> argparse.Namespace:
    own, separator, further = sys.argv[1:], "--", []
    if separator in own:
        at = own.index(separator)
        own, further = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", help="run these cases only")
    parser.add_argument("--bin", type=Path, required=True, help="where the runner is, or is built")
    parser.add_argument("--client", default=sys.executable, help="interpreter of the client program")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--with", dest="compressions", nargs="+", default=[], metavar="COMPRESSION")
    parsed = parser.parse_args(own)
    parsed.further = further
    return parsed


def built(folder: Path) -> Optional[Path]:
    """The runner, built if it is not there yet; None without Go."""
    runner = folder.resolve() / "connectconformance"
    if runner.exists():
        said = subprocess.run([runner, "--version"], capture_output=True, text=True, check=True).stdout
        if said.split()[-1:] == [VERSION]:
            return runner
    if shutil.which("go") is None:
        return None
    print(f"conformance: building {RUNNER}", flush=True)
    went = subprocess.run(["go", "install", RUNNER], env={**os.environ, "GOBIN": str(runner.parent)})
    if went.returncode != 0:
        sys.exit("conformance: FAILED, nothing was tested: the runner can't be built; see above what Go says")
    return runner


def compiled(folder: Path) -> Path:
    """conformance.proto and what it imports, as descriptors."""
    path = folder / "descriptors.bin"
    wellknown = Path(grpc_tools.__file__).parent / "_proto"
    command = ["protoc", f"-I{HERE}", f"-I{wellknown}", "--include_imports", f"--descriptor_set_out={path}"]
    if protoc.main([*command, str(HERE / "conformance.proto")]) != 0:
        sys.exit("conformance: conformance.proto does not compile")
    return path


def configured(folder: Path, compressions: list[str]) -> Path:
    """conformance.yaml, with more compressions if there are any."""
    path = HERE / "conformance.yaml"
    if compressions:
        more = "".join(f", COMPRESSION_{name.upper()}" for name in compressions)
        text = re.sub(r"(compressions: \[.*)\]", rf"\1{more}]", path.read_text())
        path = folder / "conformance.yaml"
        path.write_text(text)
    return path


def run(command: list[str], expected: int) -> bool:
    """Whether all cases passed, and as many as expected (0: some)."""
    # A proxy is not what the runner's server is reached through.
    environ = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
    began = time.monotonic()
    ran = subprocess.run(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=MOST_SECONDS)
    said = ran.stdout.decode("utf-8", "replace")
    totals = re.search(r"Total cases: (\d+)\n(\d+) passed, (\d+) failed", said)
    total, passed = (int(totals[1]), int(totals[2])) if totals else (0, 0)
    well = ran.returncode == 0 and 0 < total == passed and expected in (0, total)
    if not well:
        print(said)
    wanted = f", though {expected} were expected" if expected not in (0, total) else ""
    seconds = time.monotonic() - began
    print(f"conformance: {passed} of {total} cases passed{wanted}, in {seconds:.0f} s", flush=True)
    return well


def main() -> int:
    args = arguments()
    runner = built(args.bin)
    if runner is None:
        print("conformance: SKIPPED, nothing was tested: the runner is built with Go, and there is no Go here")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        command = [str(runner), "--mode", "client", "--conf", str(configured(Path(folder), args.compressions))]
        for pattern in args.patterns:
            command += ["--run", pattern]
        command += [*args.further, "--", args.client, str(HERE / "client.py"), str(compiled(Path(folder)))]
        expected = 0 if args.patterns or args.compressions else CASES
        results = [run(command, expected) for _ in range(args.times)]
    if len(results) > 1:
        print(f"conformance: {results.count(True)} of {len(results)} runs without a failure")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
