"""Declaring tasks: names, versions, specifications, files, and what can't be one."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flyte_lite import errors
from flyte_lite.devbox import Devbox, task
from flyte_lite.devbox._declare import Declaration, deployable
from flyte_lite.devbox.state.tasks import Task, TaskKey
from flyte_lite.idl.flyteidl2.core import types_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2


@pytest.fixture
def box() -> Iterator[Devbox]:
    made = Devbox()
    yield made
    made.close()


def stored(box: Devbox, name: str, version: str) -> Task:
    found = box._state.tasks.get(TaskKey("flytesnacks", "development", name, version))
    assert found is not None
    return found


def spec_of(found: Task) -> task_definition_pb2.TaskSpec:
    return task_definition_pb2.TaskSpec.FromString(found.spec)


def test_a_declared_function_stays_what_it_is(box: Devbox) -> None:
    def add(x: int) -> int:
        return x + 1

    assert box.task(name="env.add", version="v1")(add) is add
    assert task(name="env.add")(add) is add
    assert add(1) == 2


def test_what_is_deployed_of_a_function(box: Devbox) -> None:
    @box.task(name="env.add", version="v1", retries=2, timeout=1.5, cache=True)
    def add(x: int, y: int = 7) -> int:
        """Adds.

        More of it.
        """
        return x + y

    spec = spec_of(stored(box, "env.add", "v1"))

    template = spec.task_template
    assert (spec.short_name, spec.environment.name) == ("add", "env")
    assert spec.documentation.short_description == "Adds."
    assert spec.documentation.long_description.endswith("More of it.")
    assert (template.id.name, template.id.version, template.type) == ("env.add", "v1", "python")
    assert template.metadata.retries.retries == 2
    assert template.metadata.timeout.ToMilliseconds() == 1500
    assert (template.metadata.discoverable, template.metadata.discovery_version) == (True, "v1")
    assert [variable.key for variable in template.interface.inputs.variables] == ["x", "y"]
    assert template.interface.outputs.variables[0].value.type.simple == types_pb2.INTEGER
    assert [default.name for default in spec.default_inputs] == ["y"]
    assert spec.default_inputs[0].parameter.default.scalar.primitive.integer == 7


def test_default_names_come_from_the_module_and_versions_from_the_source(box: Devbox) -> None:
    def add(x: int) -> int:
        return x + 1

    first = deployable(add, Declaration(), "p", "d").key

    def add(x: int) -> int:  # type: ignore[no-redef]
        return x + 2

    second = deployable(add, Declaration(), "p", "d").key
    third = deployable(add, Declaration(), "p", "d").key

    assert first.name == "test_devbox_declare.add"
    assert first.version[0] == "v"
    assert int(first.version[1:], 16) >= 0
    assert first.version != second.version == third.version


def test_a_file_is_deployed_with_the_modules_beside_it(box: Devbox, tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("WORD = 'hi'\n")
    file = tmp_path / "greetings.py"
    file.write_text(
        textwrap.dedent(
            """
            from __future__ import annotations
            import dataclasses, neighbour
            from flyte_lite.devbox import task

            @task(version="v1")
            def hello(name: str) -> str:
                return f"{neighbour.WORD} {helper(name)}"

            @task(name="other.bye", version="v2")
            def bye() -> None: ...

            def helper(name: str) -> str:
                return name
            """
        )
    )
    before = list(sys.path)

    assert box.deploy(str(file)) == ["greetings.hello:v1", "other.bye:v2"]

    assert sys.path == before
    assert "_devbox_greetings" not in sys.modules
    sys.modules.pop("neighbour")
    bundle = box._state.bundles.get(
        spec_of(stored(box, "greetings.hello", "v1")).task_template.metadata.code_bundle_uri
    )
    assert bundle is not None
    assert bundle.folder == str(tmp_path)


def test_a_module_is_deployed_by_itself_or_by_name(
    box: Devbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from flyte_lite.devbox import task\n@task(version='v1')\ndef one() -> int:\n    return 1\n"
    (tmp_path / "deployed_by_name.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))

    assert box.deploy("deployed_by_name") == ["deployed_by_name.one:v1"]
    assert box.deploy(sys.modules.pop("deployed_by_name")) == ["deployed_by_name.one:v1"]


def test_without_tasks_there_is_nothing_to_deploy(box: Devbox, tmp_path: Path) -> None:
    file = tmp_path / "empty.py"
    file.write_text("from flyte_lite.devbox import task\n")

    with pytest.raises(ValueError, match=r"no tasks are declared in .*empty\.py: put @task"):
        box.deploy(file)
    with pytest.raises(FileNotFoundError, match=r"gone\.py"):
        box.deploy(tmp_path / "gone.py")


def test_what_can_t_be_a_task(box: Devbox) -> None:
    lock = threading.Lock()

    def unsure(x) -> int:  # type: ignore[no-untyped-def]
        return 1

    def stuck(x: int) -> int:
        with lock:
            return x

    with pytest.raises(errors.LiteralError, match="x: has no annotation"):
        box.task(name="env.unsure")(unsure)
    with pytest.raises(TypeError, match=r"task env\.stuck can't be sent to a worker: .*lock"):
        box.task(name="env.stuck")(stuck)
    with pytest.raises(ValueError, match="retries must be 0 or more"):
        box.task(retries=-1)
    with pytest.raises(ValueError, match="timeout must be above 0"):
        task(timeout=0)
    with pytest.raises(ValueError, match="there is no project 'nope'"):
        box.task(project="nope")(test_without_tasks_there_is_nothing_to_deploy)
    with pytest.raises(ValueError, match="workers must be 1 or more"):
        Devbox(workers=0)


def helper_user(x: int) -> int:
    return helper(x)


def test_functions_travel_with_what_they_use_of_their_module() -> None:
    made = deployable(helper_user, Declaration(name="env.f"), "p", "d")

    # In another process, where this module is not to be had.
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)[0](20))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=made.bundle.pickled, capture_output=True, check=True, cwd="/"
    )

    assert done.stdout.strip() == b"41"
    assert pickle.loads(made.bundle.pickled)[1] == {"x": int}


def helper(x: int) -> int:
    return 2 * x + 1


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, flyte_lite.devbox.worker;"
        " print([name for name in ('cheroot', 'cloudpickle', 'sqlite3', 'requests', 'google') if name in sys.modules])"
    )
    root = str(Path(__file__).parents[2])

    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}); {code}"],
        capture_output=True,
        check=True,
        text=True,
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("missing", ["cheroot", "cloudpickle"])
def test_what_the_devbox_needs_is_named_if_it_is_missing(missing: str) -> None:
    root = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {root!r}); sys.modules[{missing!r}] = None; import flyte_lite.devbox._box"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)

    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: the devbox needs {missing}: pip install 'flyte_lite[devbox]'"
    )


def test_versions_of_functions_without_source_are_stable() -> None:
    source = "def f(x: int) -> int:\n    def g(y): return y + {}\n    return g(x)\n"

    def version(text: str) -> str:
        names: dict[str, object] = {"__name__": "__main__"}
        exec(text, names)
        function = names["f"]
        assert callable(function)
        return deployable(function, Declaration(name="env.f"), "p", "d").key.version

    assert version(source.format(1)) == version(source.format(1)) != version(source.format(2))


def test_what_clients_are_told_of_a_deployed_task(box: Devbox) -> None:
    @box.task(name="env.f", version="v1")
    def f(x: int, y: int = 1) -> int:
        return x + y

    told = box.spec("env.f:v1")

    assert told == spec_of(stored(box, "env.f", "v1"))
    assert [each.name for each in told.default_inputs] == ["y"]
    # It is a copy: what is done to it changes nothing there.
    told.Clear()
    assert box.spec("env.f:v1").default_inputs
    with pytest.raises(KeyError):
        box.spec("env.f:v2")
