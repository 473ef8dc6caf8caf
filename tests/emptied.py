"""Empty each public method in turn, and see whether a test over a socket notices: `python tests/emptied.py [part ...]`.

In a copy of the package every public function of the object model begins with a question: is it the emptied one? One
run of tests/e2e finds which tests reach which functions. Then, for one function after another, those tests run with it
giving None, or nothing where it is a generator, the quickest first, until one of them fails. Functions that no test
misses are named at the end. With arguments only the functions whose names have one of these parts are emptied.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Optional
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("flyte_lite", "flyte_lite.remote", "flyte_lite.union", "flyte_lite.union.remote")
AT_ONCE = 2
FAILED = 1
"""What pytest answers if a test failed; what else it may answer proves nothing."""
HUNG = -1
FIRST = 3
MOST = 60
SLOWER, START = 5.0, 30.0
"""How many times as long as usual, and how many seconds more, tests may take: one that hangs has noticed."""

GATE = """
import os

_emptied = os.environ.get("EMPTIED")
_log = os.environ.get("EMPTIED_LOG")
_told = set()


def emptied(name):
    if _log:
        line = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0] + "\\t" + name + "\\n"
        if line not in _told:
            _told.add(line)
            with open(_log, "a") as log:
                log.write(line)
    return name == _emptied
"""


def function_of(member: Any) -> Any:
    """The function behind a method or a property; None if it is something else."""
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, functools.cached_property):
        member = member.func
    elif isinstance(member, (classmethod, staticmethod)):
        member = member.__func__
    member = inspect.unwrap(member) if callable(member) else member
    return member if inspect.isfunction(member) else None


def public_functions() -> Iterator[tuple[Path, str]]:
    """File and qualified name of every public function, method and property of the object model."""
    for module in MODULES:
        loaded = importlib.import_module(module)
        for name in loaded.__all__:
            thing = getattr(loaded, name)
            members = [thing]
            if inspect.isclass(thing):
                members = [
                    member
                    for base in thing.__mro__
                    if base.__module__.startswith("flyte_lite")
                    for name, member in vars(base).items()
                    if not name.startswith("_")
                ]
            for member in members:
                function = function_of(member)
                if function is not None and function.__module__.startswith("flyte_lite"):
                    yield Path(function.__code__.co_filename).relative_to(ROOT), function.__qualname__


class Gates(ast.NodeTransformer):
    """Puts the question at the beginning of the functions that are named."""

    def __init__(self, names: set[str], module: str) -> None:
        self._names, self._module, self._inside = names, module, [""]
        self.gated: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._inside.append(f"{self._inside[-1]}{node.name}.")
        self.generic_visit(node)
        self._inside.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        name = self._inside[-1] + node.name
        begin = 1 if ast.get_docstring(node) is not None else 0
        # What only says what others must do is empty already.
        if name in self._names and ast.unparse(node.body[begin:]) not in ("", "..."):  # type: ignore[arg-type]
            self.gated.append(f"{self._module}.{name}")
            question = ast.parse(f"def _():\n if _emptied({f'{self._module}.{name}'!r}): return None").body[0]
            assert isinstance(question, ast.FunctionDef)
            node.body[begin:begin] = question.body
        return node


def build(folder: Path) -> list[str]:
    """Copy package and tests, and put the questions in; gives the names that can be emptied."""
    for part in ("flyte_lite", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("setup.cfg", "README.md"):
        shutil.copy(ROOT / part, folder / part)
    (folder / "flyte_lite" / "_emptied.py").write_text(GATE)
    by_file: dict[Path, set[str]] = defaultdict(set)
    for path, name in public_functions():
        by_file[path].add(name)
    names = []
    for path, wanted in sorted(by_file.items()):
        module = ".".join(path.with_suffix("").parts)
        tree = ast.parse((folder / path).read_text())
        gates = Gates(wanted, module)
        gates.visit(tree)
        (place,) = [
            at for at, node in enumerate(tree.body) if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        ]
        tree.body[place + 1 : place + 1] = ast.parse("from flyte_lite._emptied import emptied as _emptied").body
        (folder / path).write_text(ast.unparse(ast.fix_missing_locations(tree)))
        names += sorted(set(gates.gated))
    return names


def pytest(folder: Path, *arguments: str, timeout: Optional[float] = None, **environ: str) -> int:
    """The exit code of a run of tests over the copy; `HUNG` if it takes too long."""
    try:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), **environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return HUNG


class Test(NamedTuple):
    """One test, and how many seconds it takes."""

    seconds: float
    name: str


def reach(folder: Path) -> tuple[dict[str, list[Test]], list[str]]:
    """Tests by the function that they reach, the quickest first, and those that fail as they are."""
    log, report = folder / "reached", folder / "report.xml"
    log.touch()
    pytest(folder, "-n", str(AT_ONCE), f"--junitxml={report}", "tests/e2e", EMPTIED_LOG=str(log))
    seconds: dict[str, float] = {}
    failing = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name']}"
        if case.find("failure") is None and case.find("error") is None:
            seconds[name] = float(case.attrib["time"])
        else:
            failing.append(name)
    found: dict[str, set[Test]] = defaultdict(set)
    for line in log.read_text().splitlines():
        test, _, name = line.rpartition("\t")
        if test in seconds:
            found[name].add(Test(seconds[test], test))
    return {name: sorted(tests) for name, tests in found.items()}, failing


def notice(folder: Path, name: str, tests: list[Test]) -> Optional[int]:
    """How these tests take it that the function is empty: `FAILED`, `HUNG`, or None if they notice nothing."""
    for some in (tests[:FIRST], tests[FIRST:MOST]):
        if not some:
            continue
        limit = START + SLOWER * sum(test.seconds for test in some)
        code = pytest(folder, "-x", *(test.name for test in some), timeout=limit, EMPTIED=name)
        if code in (FAILED, HUNG):
            return code
    return None


def main(parts: list[str]) -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        names = [name for name in build(folder) if not parts or any(part in name for part in parts)]
        tests, failing = reach(folder)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            noticed = list(pool.map(lambda name: notice(folder, name, tests.get(name, [])), names))
    told = dict(zip(names, noticed))
    unnoticed = [name for name in names if told[name] is None]
    for name in unnoticed:
        print(f"{name}: {'no test reaches it' if name not in tests else 'nobody misses it'}")
    for name in names:
        if told[name] == HUNG:
            print(f"{name}: a test waits for ever without it")
    took = time.monotonic() - began
    print(f"emptied {len(names)} public functions in {took:.0f} s: no test misses {len(unnoticed)} of them")
    for test in failing:
        print(f"left out, as it fails with nothing emptied: {test}")
    return 1 if unnoticed or failing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
