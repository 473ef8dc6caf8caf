"""From nothing to the first answer: modules, milliseconds, memory, megabytes on disk."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from statistics import median

from measuring import DOMAIN, PEAK, PROJECT, RUN, Child, Table, in_turns
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import flyte_lite

IMPORT = """
import sys, time
before = set(sys.modules)
started = time.perf_counter()
import {module}
seconds = time.perf_counter() - started
new = set(sys.modules) - before
print(1000 * seconds, len(new), len([name for name in new if name.split(".")[0] == {module!r}]))
"""


def test_the_import_costs_next_to_nothing(environ: dict[str, str], table: Table) -> None:
    ours, theirs = (Child(environ, IMPORT.format(module=module)) for module in ("flyte_lite", "flyte"))
    in_turns([ours, theirs], 9)

    ms, own = ours.median(0), ours.median(2)
    table.add("import: ms", f"{ms:.2f} to {theirs.median(0):.0f}", "5 ms")
    table.add("import: modules of its own", f"{own:.0f} to {theirs.median(2):.0f}", "5")
    table.add("import: modules in all", f"{ours.median(1):.0f} to {theirs.median(1):.0f}")
    # In the quickest round: others at work on the machine only ever add.
    assert min(ours.column(0)) <= 5
    assert own <= 5


def test_the_object_model_alone_loads_neither_requests_nor_protobuf(environ: dict[str, str], table: Table) -> None:
    child = Child(
        environ,
        """
        import sys
        from flyte_lite.remote import Run
        print(*[name for name in ("requests", "urllib3", "google.protobuf", "tenacity") if name in sys.modules])
        """,
    )
    child.start()

    table.add(
        "from flyte_lite.remote import Run: loads", ", ".join(child.lines[0]) or "neither", "no requests, protobuf"
    )
    assert child.lines == [[]]


FIRST_CALL = (
    PEAK
    + """
import sys
import {module} as flyte
flyte.init(endpoint=sys.argv[1], insecure=True, project=sys.argv[2], domain=sys.argv[3])
import {module}.remote
assert flyte.remote.Run.get(sys.argv[4]).phase.value == "succeeded"
print(peak_kb() / 1024, len(sys.modules), flush=True)
# The official SDK's threads abort the interpreter now and then on its way out, which is not what is measured.
import os
os._exit(0)
"""
)


def test_the_first_answer_comes_soon_and_takes_little_memory(
    environ: dict[str, str], endpoint: str, table: Table
) -> None:
    args = (endpoint, PROJECT, DOMAIN, RUN)
    ours, theirs = (Child(environ, FIRST_CALL.format(module=module), *args) for module in ("flyte_lite", "flyte"))
    bare = Child(environ, PEAK + "print(peak_kb() / 1024)")
    in_turns([bare, ours, theirs], 15)

    table.add("bare interpreter: start, memory", f"{median(bare.ms):.0f} ms, {bare.median(0):.0f} MB")
    table.ratio("process start to first answer", ours.ms, theirs.ms, 1 / 3, "{:.0f} ms")
    table.ratio("peak memory by then", ours.column(0), theirs.column(0), 2 / 3, "{:.0f} MB")
    table.add("modules by then", f"{ours.median(1):.0f} to {theirs.median(1):.0f}")


MAIN_JOB = """
import sys
import flyte_lite as flyte
flyte.init(endpoint=sys.argv[1], project=sys.argv[2], domain=sys.argv[3])
run = flyte.run(flyte.remote.Task.get("greetings.hello", auto_version="latest"), name="Ada")
run.wait(quiet=True)
assert run.outputs()[0] == "hello Ada"
print("done", flush=True)
"""


def test_the_main_job_from_start_to_outputs(environ: dict[str, str], endpoint: str, table: Table) -> None:
    child = Child(environ, MAIN_JOB, endpoint, PROJECT, DOMAIN)
    in_turns([child], 5)

    table.add("process start to outputs of a run on the devbox", f"{median(child.ms):.0f} ms")


def test_it_installs_little(table: Table) -> None:
    ours, theirs = closure("flyte_lite"), closure("flyte")

    table.ratio("distributions installed", [len(ours)], [len(theirs)], 1 / 2)
    table.ratio("size of them", [sum(ours.values()) / 1e6], [sum(theirs.values()) / 1e6], 1 / 3, "{:.1f} MB")


def closure(root: str) -> dict[str, int]:
    """A distribution and all that it requires here, with the bytes of each, compiled modules not counted."""
    found: dict[str, int] = {}
    waiting = [root]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        distribution = importlib.metadata.distribution(name)
        paths = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
        if name == "flyte-lite":
            # Installed for development, its files are elsewhere.
            paths = list(Path(flyte_lite.__file__).parent.rglob("*"))
        found[name] = sum(path.stat().st_size for path in paths if path.is_file() and path.suffix != ".pyc")
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found
