"""Models of pydantic in tasks, given by callers and read back; we never import pydantic ourselves."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterator
from typing import Any, Optional, Union

import pydantic
import pydantic.v1
import pytest

from flyte_lite import Client, errors
from flyte_lite._literals import from_literal, hydrate, to_literal
from flyte_lite._literals.types import literal_type
from flyte_lite.devbox import Devbox
from flyte_lite.io import DataFrame, File
from flyte_lite.remote import Run


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Layer(pydantic.BaseModel):
    size: int = pydantic.Field(ge=1)
    color: Color = Color.RED


class Config(pydantic.BaseModel):
    name: str
    layers: list[Layer]
    best: Optional[Layer] = None
    colors: dict[str, Color] = {}
    when: Optional[datetime.datetime] = None
    data: Optional[File[str]] = None
    table: Optional[DataFrame] = None


class Tree(pydantic.BaseModel):
    value: int
    children: list[Tree] = []
    config: Optional[Config] = None


class Old(pydantic.v1.BaseModel):
    """A model of the first generation."""

    size: int
    color: Color = Color.RED


CONFIG = Config(
    name="net",
    layers=[Layer(size=1), Layer(size=2, color=Color.GREEN)],
    best=Layer(size=3),
    colors={"a": Color.GREEN},
    when=datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
    data=File("s3://b/f", hash="h"),
    table=DataFrame("s3://b/t", format="parquet"),
)


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="models.train", version="v1")
        def train(config: Config, either: Union[Layer, int]) -> Config:
            assert type(config) is Config
            assert all(type(layer) is Layer and type(layer.color) is Color for layer in config.layers)
            assert type(either) in (Layer, int)
            return config.model_copy(update={"name": f"{config.name} of {either!r}"})

        @box.task(name="models.grow", version="v1")
        def grow(tree: Tree) -> Tree:
            assert all(type(child) is Tree for child in tree.children)
            return Tree(value=tree.value + 1, children=[tree])

        yield box


@pytest.fixture
def client(box: Devbox) -> Iterator[Client]:
    with Client(box.endpoint, project="flytesnacks", domain="development") as client:
        yield client


def ran(client: Client, task: str = "models.train", **inputs: Any) -> Run:
    run = client.run(client.tasks.get(task, version="v1"), **inputs)
    run.wait(quiet=True, timeout=60)
    return run


@pytest.mark.parametrize(
    "config",
    [CONFIG, {**CONFIG.model_dump(), "colors": {"a": "GREEN"}, "layers": [{"size": 1}, {"size": 2, "color": "GREEN"}]}],
    ids=["model", "dict"],
)
def test_a_model_goes_in_and_comes_back(client: Client, config: Any) -> None:
    run = ran(client, config=config, either=Layer(size=9))

    wanted = CONFIG.model_copy(update={"name": f"net of {Layer(size=9)!r}"})
    assert run.typed_outputs({"o0": Config}) == {"o0": wanted}
    assert run.outputs()[0].layers[1].color == "GREEN"
    assert run.typed_inputs({"either": Union[Layer, int]}) == {"either": Layer(size=9)}


def test_a_model_that_contains_itself(client: Client) -> None:
    tree = Tree(value=1, children=[Tree(value=2, config=CONFIG)])

    run = ran(client, "models.grow", tree=tree)

    assert run.typed_outputs({"o0": Tree}) == {"o0": Tree(value=2, children=[tree])}


def test_what_is_wrong_in_a_model_has_its_path(client: Client) -> None:
    with pytest.raises(errors.InputsError, match=r"config.layers\[0\].size: expected int"):
        ran(client, config={"name": "n", "layers": [{"size": "x"}]}, either=1)
    run = ran(client, config={"name": "n", "layers": [{"size": 0}]}, either=1)
    with pytest.raises(errors.RuntimeUserError, match=r"config.layers\[0\].size: Input should be greater than"):
        run.outputs()


def test_a_model_of_the_first_generation() -> None:
    declared = literal_type(Old)

    read = from_literal(to_literal({"size": 3, "color": "GREEN"}, declared), declared)

    assert hydrate(read, Old) == Old(size=3, color=Color.GREEN)
    assert hydrate({"size": 3}, Optional[Old]) == Old(size=3)
    with pytest.raises(errors.LiteralError, match=r"v\.size: value is not a valid integer"):
        hydrate({"size": "x"}, Old, "v")


def test_a_field_of_a_model_takes_references_and_says_what_it_does_not_take() -> None:
    class Holder(pydantic.BaseModel):
        file: File[Any]

    assert Holder.model_validate({"file": {"path": "s3://b/f"}}).file == File("s3://b/f")
    assert Holder.model_validate_json(Holder(file=File("s3://b/f", hash="h")).model_dump_json()).file.hash == "h"
    for bad in (5, {"uri": "x"}, {}, {"path": 5}):
        with pytest.raises(pydantic.ValidationError, match="expected a File, or a dict of path, name, format, hash"):
            Holder.model_validate({"file": bad})
