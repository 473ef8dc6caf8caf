"""What is public is pinned, documented, and the documentation can be believed."""

from __future__ import annotations

import builtins
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest

import flyte_lite
from flyte_lite import errors
from flyte_lite.idl._pool import pool

PUBLIC = {
    "flyte_lite": "AMD_GPU APPLE_SILICON Backoff Cache Cancel Client Device DryRun GPU HABANA_GAUDI Neuron "
    "Resources RetryStrategy RunContext Secret TPU Timeout TokenStore __version__ as_completed config current_domain "
    "current_project errors init init_from_api_key init_from_config init_in_cluster init_passthrough io "
    "is_control_plane_available models notify remote rerun run union version "
    "wait_all with_runcontext",
    "flyte_lite.config": "Config Endpoint ImageConfig LocalConfig PlatformConfig Setting TaskConfig auto",
    "flyte_lite.devbox": "Devbox ExternalIssuer Issuer User group task trace",
    "flyte_lite.io": "DataFrame Dir File",
    "flyte_lite.models": "ActionPhase CodeBundle NativeInterface PhaseTransitionInfo",
    "flyte_lite.notify": "Email NamedDelivery NamedRule Notification Slack Teams Webhook",
    "flyte_lite.policies": "Backoff Cache CachePolicy RetryStrategy Timeout",
    "flyte_lite.remote": "Action ActionDetails ActionInputs ActionOutputs LazyEntity Run RunDetails Task TaskDetails "
    "TimeFilter auth_metadata create_channel",
    "flyte_lite.resources": "AMD_GPU APPLE_SILICON Device GPU HABANA_GAUDI Neuron Resources TPU",
    "flyte_lite.secret": "Secret",
    "flyte_lite.union": "RunContext init remote run with_runcontext",
    "flyte_lite.union.remote": "Run Task",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_these(module: str) -> None:
    loaded = importlib.import_module(module)

    assert sorted(loaded.__all__) == sorted(PUBLIC[module].split())
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []
    assert set(PUBLIC[module].split()) <= set(dir(loaded))


def test_what_is_not_there_is_an_attribute_error() -> None:
    for module in (flyte_lite, flyte_lite.remote, flyte_lite.union):
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            module.nothing  # noqa: B018


def documented() -> Iterator[tuple[str, Any]]:
    for module in (*PUBLIC, "flyte_lite.errors"):
        loaded = importlib.import_module(module)
        for name in loaded.__all__:
            thing = getattr(loaded, name)
            if inspect.ismodule(thing) or not callable(thing):
                continue
            yield f"{module}.{name}", thing
            if inspect.isclass(thing) and module != "flyte_lite.errors":
                for member, raw in vars(thing).items():
                    if not member.startswith("_") and (callable(raw) or isinstance(raw, (property, classmethod))):
                        yield f"{module}.{name}.{member}", raw


THINGS = dict(documented())


@pytest.mark.parametrize("place", THINGS)
def test_it_is_documented_and_names_only_what_there_is(place: str) -> None:
    text = inspect.getdoc(THINGS[place]) or ""

    assert text, "no docstring"
    for service, method in re.findall(r"(flyteidl2\.[\w.]+Service)/(\w+)", text):
        assert method in pool().FindServiceByName(service).methods_by_name.keys()  # noqa: SIM118 - protobuf 4.21
    for line in re.findall(r"Raises:\n((?:[ ]+.*\n?)+)", text):
        for names in re.findall(r"^ {4}((?:\w+(?:, )?)+)(?:, \.\.\.)?: ", line, flags=re.MULTILINE):
            for name in names.split(", "):
                assert hasattr(errors, name) or hasattr(builtins, name), name


# The names and signatures that the documents of the official SDK have.


class Documented(NamedTuple):
    """A line of `documented.txt`."""

    name: str
    kind: str
    parameters: tuple[str, ...]


def read_documented() -> tuple[list[str], list[Documented]]:
    later, names = [], []
    for line in (Path(__file__).parent / "documented.txt").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0] == "later":
            later.append(words[1])
        else:
            names.append(Documented(words[0], words[1], tuple(words[2:])))
    return later, names


LATER, DOCUMENTED = read_documented()


def is_of(line: Documented, name: str) -> bool:
    return name in line.name.split(".")


NOW = {f"{line.name} {line.kind}": line for line in DOCUMENTED if not any(is_of(line, name) for name in LATER)}


def what_is_wrong(line: Documented) -> str:
    """Why a script may fail that was written for the official name; "" if it will not."""
    module, _, rest = line.name.partition(".remote.")
    module, rest = (f"{module}.remote", rest) if rest else ("", "")
    if not module:
        parts = line.name.split(".")
        known = 2 if len(parts) > 2 and parts[1] in ("errors", "models", "config", "io") else 1
        module, rest = ".".join(parts[:known]), ".".join(parts[known:])
    try:
        thing: Any = importlib.import_module(module)
    except ImportError as error:
        return str(error)
    owner = None
    for part in rest.split("."):
        # What only instances have is annotated.
        if inspect.isclass(thing) and any(part in vars(base).get("__annotations__", {}) for base in thing.__mro__):
            return "" if line.kind == "property" else f"{part} is an attribute"
        if not hasattr(thing, part):
            return f"there is no {part}"
        owner, thing = thing, getattr(thing, part)
    if line.kind == "class":
        return "" if inspect.isclass(thing) else "it is no class"
    if inspect.isclass(owner) and line.kind != "callable":
        raw = next(vars(base)[part] for base in owner.__mro__ if part in vars(base))
        kinds = {property: "property", classmethod: "classmethod", staticmethod: "staticmethod"}
        kind = kinds.get(type(raw), "property" if isinstance(raw, cached_property) else "method")
        # What is called on the class may be called on an object of it, not the other way.
        if kind != line.kind and not (line.kind == "method" and kind == "classmethod"):
            return f"it is a {kind}, not a {line.kind}"
    if line.kind in ("property", "name"):
        return ""
    if not callable(thing) or inspect.iscoroutinefunction(thing) or inspect.isasyncgenfunction(thing):
        return "it can't simply be called"
    return what_is_wrong_with_parameters(line, thing) if line.parameters else ""


def what_is_wrong_with_parameters(line: Documented, thing: Callable[..., Any]) -> str:
    ours = [each for each in inspect.signature(thing).parameters.values() if each.name not in ("self", "cls")]
    kinds = {each.kind for each in ours}
    any_position, any_name = inspect.Parameter.VAR_POSITIONAL in kinds, inspect.Parameter.VAR_KEYWORD in kinds
    placed = [each for each in ours if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    named = {each.name: each for each in ours if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)}
    only_placed = line.parameters.index("/") if "/" in line.parameters else 0
    wanted = [word for word in line.parameters if word != "/"]
    by_name, known = False, set()
    for place, word in enumerate(wanted):
        if word.startswith("*"):
            by_name = True
            if word != "*" and not (any_name if word.startswith("**") else any_position):
                return f"there is no {word}"
            continue
        name = word.rstrip("=?")
        if not by_name and (place < len(placed) or not any_position):
            if place >= len(placed) or (place >= only_placed and placed[place].name != name):
                return f"{name} is not number {place + 1} of {[each.name for each in placed]}"
            mine = placed[place]
        elif name in named:
            mine = named[name]
        elif any_name or (any_position and not by_name):
            continue
        else:
            return f"there is no {name}"
        known.add(mine.name)
        if word.endswith("=") and mine.default is mine.empty:
            return f"{name} has no default"
    needed = [each.name for each in (*placed, *named.values()) if each.default is each.empty and each.name not in known]
    return f"needs {needed}, which the official one does not" if needed else ""


@pytest.mark.parametrize("name", NOW)
def test_what_is_documented_is_there_and_called_the_same_way(name: str) -> None:
    assert what_is_wrong(NOW[name]) == ""


@pytest.mark.parametrize("name", LATER)
def test_what_is_to_come_is_not_whole_yet(name: str) -> None:
    """When it is, its line in `documented.txt` goes."""
    assert [line for line in DOCUMENTED if is_of(line, name) and what_is_wrong(line)] != []


def test_each_line_is_one() -> None:
    assert len(DOCUMENTED) == len(set(DOCUMENTED))
    assert len(NOW) > 200


class Ours:
    def by_place(self, a: int, b: int = 2, *, c: int = 3) -> None: ...

    def reordered(self, b: int, a: int = 2, *, c: int = 3) -> None: ...

    def renamed(self, x: int, b: int = 2, *, c: int = 3) -> None: ...

    def without_default(self, a: int, b: int, *, c: int = 3) -> None: ...

    def named_only(self, *, a: int, b: int = 2, c: int = 3) -> None: ...

    def needs_more(self, a: int, b: int = 2, *, c: int = 3, d: int) -> None: ...

    def shorter(self, a: int, b: int = 2) -> None: ...

    def longer(self, a: int, b: int = 2, d: int = 4, *, c: int = 3, e: int = 5) -> None: ...

    def taking_all(self, *args: int, **kwargs: int) -> None: ...


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("by_place", ""),
        ("longer", ""),
        ("taking_all", ""),
        ("reordered", "a is not number 1"),
        ("renamed", "a is not number 1"),
        ("without_default", "b has no default"),
        ("named_only", "a is not number 1"),
        ("needs_more", "needs ['d']"),
        ("shorter", "there is no c"),
    ],
)
def test_a_parameter_that_goes_away_is_noticed(method: str, wrong: str) -> None:
    line = Documented(f"Ours.{method}", "method", ("a", "b=", "*", "c="))

    found = what_is_wrong_with_parameters(line, getattr(Ours, method))

    assert found.startswith(wrong)
    assert bool(found) is bool(wrong)


@pytest.mark.parametrize(
    ("name", "kind", "wrong"),
    [
        ("flyte_lite.remote.Run.nothing", "method", "there is no nothing"),
        ("flyte_lite.remote.Nothing", "class", "there is no Nothing"),
        ("flyte_lite.nothing.remote.Run", "class", "No module"),
        ("flyte_lite.remote.Run.name", "method", "it is a property"),
        ("flyte_lite.remote.Run.sync", "property", "it is a method"),
        ("flyte_lite.remote.Run.sync", "classmethod", "it is a method"),
        ("flyte_lite.errors.Nothing", "class", "there is no Nothing"),
    ],
)
def test_a_name_that_goes_away_is_noticed(name: str, kind: str, wrong: str) -> None:
    assert what_is_wrong(Documented(name, kind, ())).startswith(wrong)
