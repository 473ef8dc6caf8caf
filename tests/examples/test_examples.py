"""Each example, and the README's own words, as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
README = (ROOT / "README.md").read_text()

SAID = {
    "channel.py": ["hello Ada", "project flytesnacks", "asked 1 time to make a run"],
    "child_tasks.py": [
        "total: 21.42\norders.total : succeeded, attempts: 1\n",
        "orders.price prices: succeeded, attempts: 1\n" * 3,
        "orders.price : failed, attempts: 3\nwith_tax : succeeded",
    ],
    "deadlines_and_cancel.py": ["gave up waiting for run", "another thread ended the wait", "is aborted"],
    "first_run.py": ["started r", "it says: hello Ada"],
    "failing_step.py": [
        "is failed: ValueError",
        "  orders.total failed\n  orders.parse succeeded\n",
        "orders.parse failed with {'line': 'three'}: invalid literal for int() with base 10: 'three'",
    ],
    "follow_logs.py": ["it says: counted 0\nit says: counted 1\n", "+00:00] counted 3"],
    "inputs_and_errors.py": [
        "- a is missing (float)",
        "- b: expected float, got str 'two'",
        "- c is unknown",
        "numbers.divid is not deployed",
        "ZeroDivisionError: float division by zero",
        "Traceback (most recent call last)",
    ],
    "override_resources.py": ["0.25 on the larger machine"],
    "reports.py": ["letters, with a heading: True"],
    "rerun.py": [
        "the first is failed",
        "recovered: 100 orders on day 1",
        "orders.fetch recovered",
        "again: 200 orders on day 2",
    ],
    "rich_values.py": [
        "as a record: 16 90.0",
        "as a class: Config(size=<Size.LARGE: 'large'>",
        "config.layers[0].units: expected int, got str 'many'",
    ],
    "sign_in.py": [
        "hello Ada with 2 tokens",
        "succeeded for a person, too",
        "nobody else is let in: UnauthenticatedError",
    ],
    "share_tokens.py": ["tokens for three processes: 1\nafter their time: 2"],
    "launch_once.py": ["was made now", "was there already"],
    "list_runs.py": [
        "failed: {'day': 3} there is no day 3",
        "4 of the last hour succeeded",
        "5 of week 47",
    ],
    "many_runs.py": [" succeeded", " failed", "0 -> 0\n1 -> 1\n2 -> 4\n3 -> 9\n4 -> failed\n5 -> 25\n"],
    "test_your_own_script.py": ["1 passed"],
    "union_script.py": ["order 1 is fine after 0:00:0", "failed: order 3 is not known", "gave 'order 1 is fine'"],
}


def run(folder: Path, *command: str, **environ: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**inherited, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_example_has_its_words_here() -> None:
    assert sorted(SAID) == [example.name for example in EXAMPLES]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_runs_as_it_stands(example: Path, tmp_path: Path) -> None:
    printed = run(tmp_path, str(example))

    assert [words for words in SAID[example.name] if words not in printed] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_short(example: Path) -> None:
    assert len(example.read_text().splitlines()) <= 45


def readme_block(first_words: str) -> str:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (found,) = [block for block in blocks if block.startswith(first_words)]
    return found


def test_the_readme_s_own_test_runs(tmp_path: Path) -> None:
    run(tmp_path, "-c", readme_block("from flyte_lite import Client"))


def test_the_readme_s_fault_does_what_it_says(tmp_path: Path) -> None:
    head, client, _ = readme_block("from flyte_lite import Client").partition('domain="development") as client:\n')
    body = 'task = client.tasks.get("greetings.hello", version="v1")\n' + readme_block("box.faults")

    run(tmp_path, "-c", head + client + textwrap.indent(body, " " * 8))


def test_the_readme_s_devbox_lets_in_who_signs_in(tmp_path: Path) -> None:
    imports = "from flyte_lite import Client\nfrom flyte_lite.devbox import Devbox\n"
    listed = "    print(list(client.runs.listall()), box.issuer.issued())\n"
    lines = readme_block("with Devbox(auth=True)").splitlines(keepends=True)

    printed = run(tmp_path, "-c", "".join([imports, *lines[:2], listed, *lines[2:], listed]))

    assert [line.count("'client_credentials': ") for line in printed.splitlines()] == [1, 1]
    assert "'client_credentials': 1" in printed.splitlines()[0]
    assert "'client_credentials': 2" in printed.splitlines()[1]


def test_the_readme_s_script_runs_on_a_devbox(tmp_path: Path) -> None:
    from flyte_lite.devbox import Devbox

    script = readme_block("import flyte_lite as flyte")
    with Devbox() as box:

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str) -> str:
            return f"hello {name}"

        printed = run(tmp_path, "-c", script.replace("http://localhost:8090", box.endpoint))

    assert printed.splitlines()[-1] == "hello Ada"


def test_the_demo_shows_what_the_readme_promises(tmp_path: Path) -> None:
    printed = run(tmp_path, "-m", "flyte_lite", "demo", HOME=str(tmp_path))

    for words in ("is queued", "is running", "is succeeded", "log: greeting Ada", "hello Ada, hello Ada", "is failed"):
        assert words in printed
    assert "RuntimeUserError: FileNotFoundError: no such file: /nowhere" in printed
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_told(tmp_path: Path) -> None:
    import flyte_lite

    assert run(tmp_path, "-m", "flyte_lite", "--version") == f"flyte-lite {flyte_lite.__version__}\n"
