"""Annotations that a task may have, and values of them: hypothesis draws both.

An annotation is drawn first, with classes made for it, and then values that are of it. Left out is what the official
SDK itself can't take or tell apart: enums with numbers that are no IntEnum, unions of two lists, dicts with other keys
than texts in tuples.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import itertools
import pathlib
import sys
import typing
import uuid
from typing import Any, Callable, Literal, NamedTuple, Optional, Union

import flyte.io
import pydantic
import typing_extensions
from hypothesis import strategies as st

Values = st.SearchStrategy[Any]


class Shape(NamedTuple):
    """An annotation and its values.

    Attributes:
        annotation: As a parameter of a task has it.
        values: Values that are of it.
        text: How it is written, with the fields of its classes.
    """

    annotation: Any
    values: Values
    text: str


Shapes = st.SearchStrategy[Shape]
Draw = Callable[[st.SearchStrategy[Any]], Any]

_numbers = itertools.count()
_FIELDS = ["a", "b_c", "size", "name", "Upper", "x1", "when", "kind", "value2", "label"]
_MEMBERS = ["RED", "GREEN", "low", "High", "A", "b", "none_", "X1"]
_WORDS = ["red", "green", "low", "x", "y z", "é", "", "10"]


def _fresh(word: str) -> str:
    # Two classes of one name would be one entry in a schema.
    return f"{word}{next(_numbers)}"


def _kept(cls: Any) -> Any:
    """The class as a name of this module, where the official SDK looks for it."""
    cls.__module__ = __name__
    setattr(sys.modules[__name__], cls.__name__, cls)
    return cls


_texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
_ints = st.one_of(st.integers(-200, 200), st.integers(-(2**63), 2**63 - 1))
_floats = st.floats()
_finite = st.floats(allow_nan=False, allow_infinity=False)
_zones = st.one_of(
    st.none(),
    st.just(datetime.timezone.utc),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))),
)
# Hypothesis adds the zones. Either end is still within the years 1 to 9999 with any of them.
_EARLIEST, _LATEST = datetime.datetime(1, 1, 3), datetime.datetime(9999, 12, 29)  # noqa: DTZ001
_datetimes = st.datetimes(_EARLIEST, _LATEST, timezones=_zones)
_field_datetimes = st.datetimes(_EARLIEST.replace(1900), _LATEST.replace(2100), timezones=_zones)
_spans = st.timedeltas(datetime.timedelta(days=-100_000), datetime.timedelta(days=100_000))
# What a float of seconds holds to the microsecond.
_short_spans = st.timedeltas(datetime.timedelta(days=-1000), datetime.timedelta(days=1000))
_plain = st.recursive(
    st.one_of(st.none(), st.booleans(), _ints, _finite, _texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_texts, inner, max_size=3)),
    max_leaves=6,
)

_SCALARS: list[tuple[Any, Values, str]] = [
    (int, _ints, "int"),
    (float, _floats, "float"),
    (str, _texts, "str"),
    (bool, st.booleans(), "bool"),
    (datetime.datetime, _datetimes, "datetime"),
    (datetime.date, st.dates(), "date"),
    (datetime.timedelta, _spans, "timedelta"),
]
# As fields of classes: on the way are texts and seconds.
_FIELD_SCALARS: list[tuple[Any, Values, str]] = [
    (int, _ints, "int"),
    (float, _finite, "float"),
    (str, _texts, "str"),
    (bool, st.booleans(), "bool"),
    (datetime.datetime, _field_datetimes, "datetime"),
    (datetime.date, st.dates(), "date"),
    (datetime.timedelta, _short_spans, "timedelta"),
    (datetime.time, st.times(), "time"),
    (uuid.UUID, st.uuids(), "UUID"),
    (decimal.Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=2), "Decimal"),
    (pathlib.Path, st.sampled_from(["/a/b", "c", "a/é.txt"]).map(pathlib.Path), "Path"),
]
_PICKLED: list[tuple[Any, Values, str]] = [
    (bytes, st.binary(max_size=20), "bytes"),
    (set, st.sets(_ints, max_size=4), "set"),
    (set[str], st.sets(_texts, max_size=4), "set[str]"),
    (frozenset[int], st.frozensets(_ints, max_size=4), "frozenset[int]"),
    (list, st.lists(_plain, max_size=3), "list"),
    (tuple, st.lists(_plain, max_size=3).map(tuple), "tuple"),
    (tuple[int, ...], st.lists(_ints, max_size=4).map(tuple), "tuple[int, ...]"),
    (complex, st.complex_numbers(allow_nan=False), "complex"),
    (uuid.UUID, st.uuids(), "UUID"),
    (decimal.Decimal, st.decimals(allow_nan=False), "Decimal"),
    (datetime.time, st.times(), "time"),
    (Any, _plain.filter(lambda value: value is not None), "Any"),
    (Literal[1, 2], st.sampled_from([1, 2]), "Literal[1, 2]"),
]
_paths = st.sampled_from(["s3://b/k/f.csv", "gs://b/é/x", "abfs://c@a/f.bin", "https://h/a/b.txt?x=1", "s3://b/d/"])
_hashes = st.sampled_from([None, "abc"])
_formats = st.sampled_from(["", "csv", "parquet"])
_REFERENCES: list[tuple[Any, Values, str]] = [
    (flyte.io.File, st.builds(flyte.io.File, path=_paths, format=_formats, hash=_hashes), "File"),
    (flyte.io.Dir, st.builds(flyte.io.Dir, path=_paths, format=_formats, hash=_hashes), "Dir"),
    (
        flyte.io.DataFrame,
        st.builds(flyte.io.DataFrame, uri=_paths, format=st.sampled_from(["csv", "parquet"]), hash=_hashes),
        "DataFrame",
    ),
]


def _of(choices: list[tuple[Any, Values, str]]) -> Shapes:
    return st.sampled_from([Shape(*choice) for choice in choices])


@st.composite
def enums(draw: Draw) -> Shape:
    """A class of members with texts, such texts themselves, or small numbers."""
    names = draw(st.lists(st.sampled_from(_MEMBERS), min_size=1, max_size=4, unique=True))
    word = draw(st.sampled_from(["Color", "Text", "Number"]))
    if word == "Number":
        values: list[Any] = draw(st.lists(st.integers(-9, 99), min_size=len(names), max_size=len(names), unique=True))
    else:
        values = draw(st.lists(st.sampled_from(_WORDS), min_size=len(names), max_size=len(names), unique=True))
    name, members = _fresh(word), list(zip(names, values))
    if word == "Number":
        cls = _kept(enum.IntEnum(name, members))
    else:
        cls = _kept(enum.Enum(name, members, type=str if word == "Text" else None))
    return Shape(cls, st.sampled_from(list(cls)), f"{name}{dict(members)}")


@st.composite
def choices(draw: Draw) -> Shape:
    """A `Literal` of texts."""
    words = draw(st.lists(st.sampled_from(_WORDS[:-2]), min_size=1, max_size=4, unique=True))
    return Shape(Literal[tuple(words)], st.sampled_from(words), f"Literal{words}")


def scalars() -> Shapes:
    """What is one primitive."""
    return st.one_of(_of(_SCALARS), enums())


def pickles() -> Shapes:
    """What no type on the wire stands for."""
    return _of(_PICKLED)


def references() -> Shapes:
    """What is stored elsewhere."""
    return _of(_REFERENCES)


def lists(inner: Shapes) -> Shapes:
    """Lists of it."""
    return inner.map(
        lambda shape: Shape(list[shape.annotation], st.lists(shape.values, max_size=4), f"list[{shape.text}]")
    )


def dicts(inner: Shapes) -> Shapes:
    """Dicts of it with texts as keys."""
    return inner.map(
        lambda shape: Shape(
            dict[str, shape.annotation],
            st.dictionaries(_texts, shape.values, max_size=3),
            f"dict[str, {shape.text}]",
        )
    )


def untyped_dicts() -> Shapes:
    """Dicts of whatever JSON and msgpack hold, or with keys that are no texts."""
    return st.sampled_from(
        [
            Shape(dict, st.dictionaries(_texts, _plain, max_size=4), "dict"),
            Shape(dict, st.dictionaries(_ints, _plain, max_size=3), "dict"),
            Shape(dict[int, str], st.dictionaries(_ints, _texts, max_size=3), "dict[int, str]"),
            Shape(
                dict[int, list[float]], st.dictionaries(_ints, st.lists(_finite, max_size=2)), "dict[int, list[float]]"
            ),
            Shape(dict[float, bool], st.dictionaries(_finite, st.booleans(), max_size=3), "dict[float, bool]"),
        ]
    )


@st.composite
def unions(draw: Draw, inner: Shapes) -> Shape:
    """An Optional, or a few members that a value tells apart: of each outer class one."""
    members: dict[str, Shape] = {}
    for shape in draw(st.lists(inner, min_size=1, max_size=3)):
        origin = typing.get_origin(shape.annotation) or shape.annotation
        family = (
            "list" if origin is list else "dict" if origin is dict or typing_extensions.is_typeddict(origin) else ""
        )
        if origin is tuple or (isinstance(origin, type) and issubclass(origin, tuple)):
            family = "list"
        members.setdefault(family or getattr(origin, "__name__", str(origin)), shape)
    shapes = [shape for shape in members.values() if typing.get_origin(shape.annotation) is not Union]
    if len(shapes) < 2 or draw(st.booleans()):
        shapes.append(Shape(type(None), st.none(), "None"))
    if len(shapes) < 2:
        shapes.append(Shape(int, _ints, "int"))
    return Shape(
        Union[tuple(shape.annotation for shape in shapes)],
        st.one_of(*(shape.values for shape in shapes)),
        f"({' | '.join(shape.text for shape in shapes)})",
    )


def optionals(inner: Shapes) -> Shapes:
    """It, or None."""
    return inner.map(
        lambda shape: Shape(Optional[shape.annotation], st.one_of(st.none(), shape.values), f"Optional[{shape.text}]")
    )


@st.composite
def _named(draw: Draw, inner: Shapes) -> dict[str, Shape]:
    names = draw(st.lists(st.sampled_from(_FIELDS), min_size=1, max_size=4, unique=True))
    return {name: draw(inner) for name in names}


def _text(name: str, fields: dict[str, Shape], defaults: dict[str, Any]) -> str:
    told = (
        f"{field}: {shape.text}" + (f" = {defaults[field]!r}" if field in defaults else "")
        for field, shape in fields.items()
    )
    return f"{name}({', '.join(told)})"


def _defaults(draw: Draw, fields: dict[str, Shape]) -> dict[str, Any]:
    """Of the last few fields, as far as a default of them can stand in a class."""
    defaults: dict[str, Any] = {}
    for name in reversed(list(fields)):
        if not draw(st.booleans()):
            break
        default = draw(fields[name].values)
        if not _is_simple(default):
            break
        defaults[name] = default
    return defaults


def _is_simple(value: Any) -> bool:
    if isinstance(value, (list, dict)):
        return not value
    return value is None or isinstance(value, (bool, int, float, str, enum.Enum))


@st.composite
def dataclass_shapes(draw: Draw, inner: Shapes) -> Shape:
    """A dataclass, some of its fields with defaults."""
    fields = draw(_named(inner))
    defaults = _defaults(draw, fields)
    made = []
    for field, shape in fields.items():
        if field not in defaults:
            made.append((field, shape.annotation))
        elif isinstance(defaults[field], (list, dict)):
            made.append((field, shape.annotation, dataclasses.field(default_factory=type(defaults[field]))))
        else:
            made.append((field, shape.annotation, dataclasses.field(default=defaults[field])))
    cls = _kept(dataclasses.make_dataclass(_fresh("Data"), made))
    values = st.builds(cls, **{field: shape.values for field, shape in fields.items()})
    return Shape(cls, values, _text(cls.__name__, fields, defaults))


@st.composite
def models(draw: Draw, inner: Shapes) -> Shape:
    """A pydantic model, some of its fields with defaults."""
    fields = draw(_named(inner))
    defaults = _defaults(draw, fields)
    made: dict[str, Any] = {field: (shape.annotation, defaults.get(field, ...)) for field, shape in fields.items()}
    cls = _kept(pydantic.create_model(_fresh("Model"), **made))
    values = st.builds(cls, **{field: shape.values for field, shape in fields.items()})
    return Shape(cls, values, _text(cls.__name__, fields, defaults))


@st.composite
def tuples(draw: Draw, inner: Shapes) -> Shape:
    """A tuple of a fixed length."""
    shapes = draw(st.lists(inner, min_size=1, max_size=4))
    return Shape(
        tuple[tuple(shape.annotation for shape in shapes)],
        st.tuples(*(shape.values for shape in shapes)),
        f"tuple[{', '.join(shape.text for shape in shapes)}]",
    )


@st.composite
def named_tuples(draw: Draw, inner: Shapes) -> Shape:
    """A `typing.NamedTuple`."""
    fields = draw(_named(inner))
    cls = _kept(NamedTuple(_fresh("Pair"), [(field, shape.annotation) for field, shape in fields.items()]))
    values = st.tuples(*(shape.values for shape in fields.values())).map(cls._make)
    return Shape(cls, values, _text(cls.__name__, fields, {}))


@st.composite
def typed_dicts(draw: Draw, inner: Shapes) -> Shape:
    """A `TypedDict` with all of its keys."""
    fields = draw(_named(inner))
    # pydantic wants those of `typing_extensions` on older Pythons.
    cls = _kept(
        typing_extensions.TypedDict(_fresh("Keys"), {field: shape.annotation for field, shape in fields.items()})
    )
    values = st.fixed_dictionaries({field: shape.values for field, shape in fields.items()})
    return Shape(cls, values, _text(cls.__name__, fields, {}))


def _leaf_fields() -> Shapes:
    return st.one_of(_of(_FIELD_SCALARS), enums(), choices(), _of(_REFERENCES[:2]))


def _fields(classes: Callable[[Shapes], Shapes], depth: int) -> Shapes:
    """What fields of such classes are of; in them are classes of the same kind, as deep as `depth`."""
    inner = _leaf_fields()
    for _ in range(depth):
        few = inner
        inner = st.one_of(
            few,
            lists(few),
            dicts(few),
            optionals(few),
            classes(few),
            st.just(Shape(Any, _plain, "Any")),
            _of([(dict[int, str], st.dictionaries(st.integers(-99, 99), _texts, max_size=3), "dict[int, str]")]),
        )
    return inner


def families() -> dict[str, Shapes]:
    """Strategies of annotations by what they are about."""
    single = st.one_of(scalars(), references(), _of(_PICKLED[:1]))
    leaves = st.one_of(single, untyped_dicts())
    fields = st.one_of(_leaf_fields(), lists(_of(_FIELD_SCALARS)), optionals(_of(_FIELD_SCALARS)))
    data = dataclass_shapes(st.one_of(_fields(dataclass_shapes, 2), tuples(fields), named_tuples(fields)))
    # Other classes inside a model, where members of enums go by their values.
    others = st.one_of(tuples(fields), named_tuples(fields), typed_dicts(fields), dataclass_shapes(fields))
    typed = models(st.one_of(_fields(models, 2), others, lists(others)))
    wrapped = st.one_of(tuples(fields), named_tuples(fields), typed_dicts(fields))
    few = st.one_of(leaves, dataclass_shapes(fields), models(fields), wrapped)
    members = st.one_of(few, few, lists(leaves), dicts(leaves))
    nested = st.one_of(lists(few), dicts(few), lists(lists(leaves)), dicts(lists(few)), lists(unions(members)))
    return {
        "scalars": st.one_of(scalars(), choices(), untyped_dicts()),
        "pickles": st.one_of(pickles(), lists(pickles()), dicts(pickles()), optionals(pickles())),
        "references": st.one_of(references(), lists(references()), dicts(references()), optionals(references())),
        "containers": nested,
        "unions": st.one_of(unions(members), optionals(members), dicts(unions(members))),
        "dataclasses": st.one_of(data, data, lists(data), optionals(data)),
        "models": st.one_of(typed, typed, lists(typed), optionals(typed)),
        "tuples": st.one_of(wrapped, tuples(st.one_of(single, wrapped, models(fields))), lists(wrapped)),
    }
