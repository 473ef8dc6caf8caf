"""Rich values over a socket: what a caller gives, what the function gets, what comes back, and as what it is read."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import importlib.util
import pathlib
import uuid
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Optional, TypedDict, Union

import pytest

from flyte_lite import Client, errors
from flyte_lite.devbox import Devbox
from flyte_lite.io import DataFrame, Dir, File
from flyte_lite.remote import Run

NEEDS_MSGPACK = pytest.mark.skipif(importlib.util.find_spec("msgpack") is None, reason="msgpack is not installed")

UTC = datetime.timezone.utc


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Priority(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Pair(NamedTuple):
    left: int
    right: str


class Movie(TypedDict):
    title: str
    year: int


@dataclasses.dataclass
class Layer:
    size: int
    rate: float = 0.5


@dataclasses.dataclass
class Config:
    name: str
    layers: list[Layer]
    color: Color = Color.RED
    when: Optional[datetime.datetime] = None
    budget: datetime.timedelta = datetime.timedelta(minutes=1)
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    data: Optional[File[str]] = None
    best: Optional[Layer] = None
    price: decimal.Decimal = decimal.Decimal("0.10")
    where: pathlib.PurePosixPath = pathlib.PurePosixPath("/")  # noqa: RUF009


@dataclasses.dataclass
class Tree:
    value: int
    children: list[Tree] = dataclasses.field(default_factory=list)


class Summary(NamedTuple):
    total: int
    best: Layer


class Money:
    """A class of the user's that only a pickle can carry."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


@pytest.fixture(scope="module")
def box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="rich.train", version="v1")
        def train(config: Config, color: Color, pair: Pair, movie: Movie, both: tuple[int, Color]) -> Config:
            assert type(config) is Config, config
            assert all(type(layer) is Layer for layer in config.layers)
            assert config.color is Color.GREEN
            assert color is Color.RED
            assert type(pair) is Pair
            assert type(pair.left) is int
            assert movie == {"title": "M", "year": 1931}
            assert both == (3, Color.GREEN)
            return dataclasses.replace(config, name=f"{config.name} of {pair.right}", best=config.layers[-1])

        @box.task(name="rich.same", version="v1")
        def same(
            at: Optional[datetime.date],
            layers: dict[str, list[Layer]],
            either: Union[int, Layer, None],
            untyped: dict,  # type: ignore[type-arg]
            numbered: dict[int, Layer],
            raw: bytes,
            unique: set[int],
            anything: Any,
            priority: Priority,
            mode: Literal["fast", "slow"],
            file: File[str],
            folder: Dir[str],
            table: DataFrame,
            id: uuid.UUID,
            row: tuple[int, ...],
        ) -> tuple[
            Optional[datetime.date],
            dict[str, list[Layer]],
            Union[int, Layer, None],
            dict,  # type: ignore[type-arg]
            dict[int, Layer],
            bytes,
            set[int],
            Any,
            Priority,
            Literal["fast", "slow"],
            File[str],
            Dir[str],
            DataFrame,
            uuid.UUID,
            tuple[int, ...],
        ]:
            assert at is None or type(at) is datetime.date
            assert all(type(layer) is Layer for listed in layers.values() for layer in listed)
            assert either is None or type(either) in (int, Layer)
            assert all(type(number) is int and type(layer) is Layer for number, layer in numbered.items())
            assert (type(raw), type(unique), type(priority), type(mode)) == (bytes, set, Priority, str)
            assert (type(file), type(folder), type(table), type(id), type(row)) == (
                File,
                Dir,
                DataFrame,
                uuid.UUID,
                tuple,
            )
            return (
                *(at, layers, either, untyped, numbered, raw, unique, anything),
                *(priority, mode, file, folder, table, id, row),
            )

        @box.task(name="rich.summary", version="v1")
        def summary(layers: list[Layer]) -> Summary:
            return Summary(sum(layer.size for layer in layers), max(layers, key=lambda layer: layer.size))

        @box.task(name="rich.deep", version="v1")
        def deep(tree: Tree) -> Tree:
            return Tree(tree.value + 1, [deep_child for deep_child in [tree] if type(tree) is Tree])

        @box.task(name="rich.money", version="v1")
        def money(cents: int) -> Money:
            return Money(cents)

        @box.task(name="rich.wrong", version="v1")
        def wrong() -> Config:
            return {"name": "n", "layers": [{"size": "big"}]}  # type: ignore[return-value]

        yield box


def ran(client: Client, name: str, **inputs: Any) -> Run:
    run = client.run(client.tasks.get(name, version="v1"), **inputs)
    run.wait(quiet=True, timeout=60)
    return run


CONFIG = Config(
    name="net",
    layers=[Layer(3), Layer(4, 0.25)],
    color=Color.GREEN,
    when=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    weights={"a": 1.0},
    data=File("s3://bucket/data.csv", hash="h"),
)


@NEEDS_MSGPACK
@pytest.mark.parametrize(
    ("config", "pair", "both"),
    [
        (CONFIG, Pair(1, "two"), (3, Color.GREEN)),
        (
            {
                "name": "net",
                "layers": [{"size": 3}, Layer(4, 0.25)],
                "color": Color.GREEN,
                "when": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
                "weights": {"a": 1},
                "data": File("s3://bucket/data.csv", hash="h"),
            },
            (1, "two"),
            (3, "GREEN"),
        ),
    ],
    ids=["objects", "dicts"],
)
def test_objects_and_dicts_arrive_as_the_classes_that_are_annotated(
    client: Client, config: Any, pair: Any, both: Any
) -> None:
    run = ran(
        client, "rich.train", config=config, color="RED", pair=pair, movie={"title": "M", "year": 1931}, both=both
    )

    expected = dataclasses.replace(CONFIG, name="net of two", best=Layer(4, 0.25))
    assert run.typed_outputs({"o0": Config}) == {"o0": expected}
    read = run.outputs()[0]
    assert (read.name, read["layers"][1].rate, read.best.size) == ("net of two", 0.25, 4)
    typed = run.typed_inputs({"pair": Pair, "movie": Movie, "color": Color, "both": tuple[int, Color]})
    assert typed == {
        "pair": (1, "two"),
        "movie": {"title": "M", "year": 1931},
        "color": Color.RED,
        "both": (3, Color.GREEN),
    }
    assert type(typed["pair"]) is Pair
    assert run.inputs()["config"].layers[0].size == 3
    migrated = run.typed_outputs({"o0": Config}, deserializers={Config: lambda plain: sorted(plain)[:2]})
    assert migrated == {"o0": ["best", "budget"]}
    assert list(run.output_literals()) == ["o0"]
    assert run.details().typed_outputs({"o0": Config}) == {"o0": expected}


ALL: dict[str, Any] = {
    "at": datetime.date(2026, 1, 2),
    "layers": {"a": [Layer(1)], "b": []},
    "either": Layer(2),
    "untyped": {"a": [1, None, {"b": 2.5}]},
    "numbered": {1: Layer(3)},
    "raw": b"\x00\xff",
    "unique": {1, 2},
    "anything": [1, ("two", {3})],
    "priority": Priority.HIGH,
    "mode": "fast",
    "file": File("s3://b/f", hash="h"),
    "folder": Dir("s3://b/d"),
    "table": DataFrame("s3://b/t", format="parquet"),
    "id": uuid.UUID(int=7),
    "row": (1, 2, 3),
}
TYPES = {
    "o0": Optional[datetime.date],
    "o1": dict[str, list[Layer]],
    "o2": Union[int, Layer, None],
    "o3": dict,
    "o4": dict[int, Layer],
    "o5": bytes,
    "o6": set[int],
    "o7": Any,
    "o8": Priority,
    "o9": Literal["fast", "slow"],
    "o10": File,
    "o11": Dir,
    "o12": DataFrame,
    "o13": uuid.UUID,
    "o14": tuple[int, ...],
}


@NEEDS_MSGPACK
@pytest.mark.parametrize(
    "changes", [{}, {"at": None, "either": None, "anything": None}, {"either": 5}], ids=["full", "none", "number"]
)
def test_a_value_of_each_type_goes_in_and_out_unchanged(client: Client, changes: dict[str, Any]) -> None:
    given = {**ALL, **changes}

    run = ran(client, "rich.same", **given)

    typed = run.typed_outputs(TYPES, pickles=("o13",))
    assert list(typed.values()) == list(given.values())
    assert [type(value) for value in typed.values()] == [type(value) for value in given.values()]


@NEEDS_MSGPACK
def test_one_output_that_needs_its_class_hides_no_other(client: Client) -> None:
    run = ran(client, "rich.same", **ALL)

    outputs = run.outputs()
    assert outputs.o5 == b"\x00\xff"
    assert outputs.o14 == (1, 2, 3)
    with pytest.raises(errors.LiteralError, match=r"o13: .*pickle"):
        outputs.o13  # noqa: B018
    with pytest.raises(errors.LiteralError, match=r"o13: .*pickle"):
        run.typed_outputs({"o13": uuid.UUID})


@NEEDS_MSGPACK
def test_a_named_tuple_names_the_outputs(client: Client) -> None:
    run = ran(client, "rich.summary", layers=[Layer(1), {"size": 5}])

    outputs = run.outputs()
    assert outputs.total == 6
    assert outputs.best == {"size": 5, "rate": 0.5}
    assert run.typed_outputs({"best": Layer}) == {"best": Layer(5)}


@NEEDS_MSGPACK
def test_a_class_that_contains_itself(client: Client) -> None:
    tree = Tree(1, [Tree(2, [Tree(3)]), Tree(4)])

    run = ran(client, "rich.deep", tree=tree)

    assert run.typed_outputs({"o0": Tree}) == {"o0": Tree(2, [tree])}


def test_an_object_that_only_its_pickle_holds_is_loaded_on_request(client: Client) -> None:
    run = ran(client, "rich.money", cents=5)

    with pytest.raises(errors.LiteralError, match="pickle"):
        run.outputs().o0  # noqa: B018
    assert run.typed_outputs({"o0": object}, pickles=["o0"])["o0"].cents == 5


def test_what_does_not_fit_is_told_with_its_path_before_anything_is_created(box: Devbox, client: Client) -> None:
    task = client.tasks.get("rich.train", version="v1")
    config = {"name": 5, "layers": [{"size": 1}, {"rate": "fast"}], "colour": "red"}

    with pytest.raises(errors.InputsError) as caught:
        client.run(task, config=config, color="BLUE", pair=(1, 2), both=(3, "GREEN"))

    told = str(caught.value)
    for path in ("config.name", "config.layers[1].rate", "color", "pair", "movie is missing"):
        assert path in told, told


def test_a_result_that_is_not_of_its_type_fails_the_run(client: Client) -> None:
    run = ran(client, "rich.wrong")

    with pytest.raises(errors.RuntimeUserError, match=r"its result.*layers\[0\].size"):
        run.outputs()


@NEEDS_MSGPACK
def test_fractions_and_counters_travel_as_pickles_of_python_itself(client: Client) -> None:
    run = ran(client, "rich.same", **{**ALL, "anything": [fractions.Fraction(1, 3), collections.Counter("aab")]})

    assert run.typed_outputs({"o7": list}, pickles=["o7"])["o7"] == [fractions.Fraction(1, 3), {"a": 2, "b": 1}]
