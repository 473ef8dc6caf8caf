"""Types: what a Python annotation is on the wire, and how a LiteralType is written by a person."""

from __future__ import annotations

import collections.abc
import datetime
import enum
import typing
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from flyte_lite import io
from flyte_lite._literals.classes import (
    UNIONS,
    annotated,
    constraints,
    dataclass_of,
    is_message,
    is_model,
    is_named_tuple,
    is_typed_dict,
    named,
    reference_of,
)
from flyte_lite._literals.dataclass_schema import dataclass_schema
from flyte_lite._literals.kinds import MAX_DEPTH
from flyte_lite._literals.misfit import Misfit
from flyte_lite._literals.model_schema import model_schema
from flyte_lite._literals.tuple_schema import named_tuple_schema, tuple_schema, typed_dict_schema
from flyte_lite._literals.values import describe
from flyte_lite.idl.flyteidl2.core import types_pb2

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

__all__ = ["describe", "literal_type"]


class _Made(NamedTuple):
    """A type, and the name of the official transformer by which a union says that a value is of it."""

    type: LiteralType
    tag: str


_SIMPLE: dict[type, tuple[int, str]] = {
    type(None): (0, "none"),
    int: (1, "int"),
    float: (2, "float"),
    str: (3, "str"),
    bool: (4, "bool"),
    datetime.datetime: (5, "datetime"),
    datetime.date: (5, "date"),
    datetime.timedelta: (6, "timedelta"),
}
_MODEL, _DATACLASS, _PICKLE = "Pydantic Transformer", "Object-Dataclass-Transformer", "FlytePickle"
# Tables in memory, which the official SDK stores as files by itself.
_FRAMES = {("pandas", "DataFrame"), ("pyarrow", "Table"), ("polars", "DataFrame"), ("polars", "LazyFrame")}


def literal_type(annotation: Any, path: str = "") -> LiteralType:
    """What the official SDK writes into an interface for a parameter so annotated.

    What no other type stands for is pickled, as there: `bytes`, `set`, `Any`, classes of every kind. Of what
    `Annotated` adds only pydantic's constraints are told. Two of `Literal['a', 'A']` stay
    two; the official SDK keeps the last.

    Args:
        annotation: A resolved annotation: no text, no forward reference.
        path: What is annotated; paths in errors begin with it.

    Raises:
        LiteralError: The annotation can't be passed to a task; the text says which and why.
    """
    try:
        # Only a whole input is an enum if it is annotated as a Literal; inside another type a Literal is pickled.
        if typing.get_origin(annotation) is typing.Literal:
            return _choice(annotation)
        return _type(annotation, 0).type
    except Misfit as misfit:
        raise misfit.error(path) from None


def _type(annotation: Any, depth: int) -> _Made:
    if depth > MAX_DEPTH:
        raise Misfit(f"an annotation nested more than {MAX_DEPTH} levels deep")
    if hasattr(annotation, "__metadata__"):
        return _annotated(annotation, depth)
    if annotation is None:
        annotation = type(None)
    origin = typing.get_origin(annotation)
    if origin in _GENERIC:
        return _GENERIC[origin](annotation, depth + 1)
    # In Python 3.9 and 3.10 list[int] passes for a class.
    cls = annotation if origin is None and isinstance(annotation, type) else None
    return (cls and _class(cls)) or _parametrized(annotation) or _pickle(annotation)


def _class(cls: type) -> Optional[_Made]:
    if issubclass(cls, enum.Enum):
        return _Made(_enum(_names(cls)), "DefaultEnumTransformer")
    if is_named_tuple(cls):
        return _Made(_struct(named_tuple_schema(cls), _MODEL), "NamedTuple")
    for base in cls.__mro__:
        if base in _SIMPLE:
            number, tag = _SIMPLE[base]
            return _Made(types_pb2.LiteralType(simple=number), tag)  # type: ignore[arg-type]  # the enum's own type
    if is_message(cls):
        # The module's name is the one in which protobuf's generated classes live.
        return _Made(_described({"pb_type": f"{cls.__module__}.{cls.__name__}"}), "Protobuf-Transformer")
    if (cls.__module__.partition(".")[0], cls.__name__) in _FRAMES:
        raise Misfit(f"a {named(cls)} can't be passed; store it and pass a flyte_lite.io.DataFrame")
    return None


def _parametrized(annotation: Any) -> Optional[_Made]:
    reference = reference_of(annotation)
    if reference is io.DataFrame:
        return _Made(
            types_pb2.LiteralType(structured_dataset_type=types_pb2.StructuredDatasetType()), "DataFrame Transformer"
        )
    if reference is not None:
        made = types_pb2.LiteralType(blob=types_pb2.BlobType())
        if reference is io.Dir:
            made.blob.dimensionality = types_pb2.BlobType.MULTIPART
        return _Made(made, reference.__name__)
    cls = typing.get_origin(annotation) or annotation
    if is_typed_dict(cls):
        return _Made(_struct(typed_dict_schema(annotation), _MODEL), "TypedDict")
    if is_model(cls):
        return _Made(_struct(model_schema(annotation), _MODEL), _MODEL)
    if dataclass_of(annotation) is not None:
        return _Made(_struct(dataclass_schema(annotation), _DATACLASS), _DATACLASS)
    if isinstance(cls, type) and issubclass(cls, dict):
        if typing.get_args(annotation):
            raise Misfit(f"values of {named(annotation)} can't be passed; declare a dict with the same types")
        return _Made(_msgpack(types_pb2.LiteralType(simple=types_pb2.STRUCT)), "Typed Dict")
    return None


def _msgpack(made: LiteralType) -> LiteralType:
    made.annotation.annotations.update({"cache-key-metadata": {"serialization-format": "msgpack"}})
    return made


def _struct(schema: dict[str, Any], tag: str) -> LiteralType:
    made = _msgpack(_described(schema))
    made.structure.tag = tag
    return made


def _described(schema: dict[str, Any]) -> LiteralType:
    made = types_pb2.LiteralType(simple=types_pb2.STRUCT)
    try:
        made.metadata.update(schema)
    except (ValueError, OverflowError) as error:  # a number or a text that no JSON can hold
        raise Misfit(f"its schema can't be written: {error}") from error
    return made


def _pickle(annotation: Any) -> _Made:
    if isinstance(annotation, (str, typing.ForwardRef)) or not (
        isinstance(annotation, type)
        or typing.get_origin(annotation) is not None
        or hasattr(annotation, "__supertype__")
        or type(annotation).__module__ in ("typing", "typing_extensions")
    ):
        raise Misfit(f"{named(annotation)} is no type")
    return _Made(_pickled(str(annotation)), _PICKLE)


def _pickled(name: str) -> LiteralType:
    made = types_pb2.LiteralType()
    stored, inline = made.union_type.variants.add(), made.union_type.variants.add()
    stored.blob.format = "PythonPickle"
    inline.simple = types_pb2.BINARY
    stored.structure.tag = inline.structure.tag = _PICKLE
    made.metadata.fields["python_class_name"].string_value = name
    return made


def _enum(values: Iterable[str]) -> LiteralType:
    return types_pb2.LiteralType(enum_type=types_pb2.EnumType(values=values))


def _names(annotation: type[enum.Enum]) -> list[str]:
    # Only what the official SDK takes, so that a task which works here works there.
    members = list(annotation)
    if not members:
        raise Misfit(f"the enum {annotation.__name__} has no members")
    if issubclass(annotation, enum.Flag):
        raise Misfit(f"{annotation.__name__} is a Flag, whose combinations have no name; pass an int")
    if not issubclass(annotation, enum.IntEnum) and not all(isinstance(member.value, str) for member in members):
        raise Misfit(f"the enum {annotation.__name__} has values that are no str; Flyte takes such only of an IntEnum")
    return [member.name for member in members]


def _choice(annotation: Any) -> LiteralType:
    values = typing.get_args(annotation)
    if not all(isinstance(value, str) for value in values):
        return _pickled("typing.Any")
    return _enum(dict.fromkeys(str.__str__(value) for value in values))


def _list(annotation: Any, depth: int) -> _Made:
    # `List` without an element type has the same origin.
    args = typing.get_args(annotation)
    if not args:
        raise Misfit("a List of nothing in particular can't be passed; say of what, such as list[int]")
    if args[0] is None:
        raise Misfit("a list of None can't be passed; Flyte has no such type")
    return _Made(types_pb2.LiteralType(collection_type=_type(args[0], depth).type), "Typed List")


def _dict(annotation: Any, depth: int) -> _Made:
    key, item = typing.get_args(annotation) or (Any, Any)
    if key is not str:
        return _Made(_msgpack(types_pb2.LiteralType(simple=types_pb2.STRUCT)), "Typed Dict")
    return _Made(types_pb2.LiteralType(map_value_type=_type(item, depth).type), "Typed Dict")


def _tuple(annotation: Any, depth: int) -> _Made:
    args = typing.get_args(annotation)
    # `tuple[()]` is () in one Python and ((),) in another.
    if not args or args == ((),) or Ellipsis in args:
        return _pickle(annotation)
    return _Made(_struct(tuple_schema(annotation), _MODEL), "Typed Tuple")


def _union(annotation: Any, depth: int) -> _Made:
    made = types_pb2.LiteralType()
    for member in typing.get_args(annotation):
        variant = _type(member, depth)
        variant.type.structure.tag = variant.tag
        made.union_type.variants.append(variant.type)
    return _Made(made, "Typed Union")


_GENERIC: dict[Any, Callable[[Any, int], _Made]] = {
    list: _list,
    dict: _dict,
    tuple: _tuple,
    **dict.fromkeys(UNIONS, _union),
}


def _annotated(annotation: Any, depth: int) -> _Made:
    inner = annotation.__origin__
    made = _type(inner, depth)
    if made.tag == _PICKLE:
        made.type.metadata.fields["python_class_name"].string_value = str(annotation)
    if reference_of(inner) is io.DataFrame:
        _add_columns(made.type, annotation.__metadata__, depth)
    _constrain(made.type, inner, annotation.__metadata__)
    return made


def _constrain(made: LiteralType, inner: Any, metadata: tuple[Any, ...]) -> None:
    extra = constraints(annotated(inner, metadata))
    if extra:
        made.metadata.update(extra)
    members = typing.get_args(inner)
    if typing.get_origin(inner) not in UNIONS or len(members) != len(made.union_type.variants):
        return
    # A constraint of an Optional is one of what may be there; what the whole union says is not said again.
    for member, variant in zip(members, made.union_type.variants):
        if member is not type(None):
            _constrain(variant, member, metadata)
            for key in extra:
                if key in variant.metadata:
                    del variant.metadata[key]


def _add_columns(made: LiteralType, metadata: tuple[Any, ...], depth: int) -> None:
    # A format, a dict of columns, or a class whose annotations are the columns.
    for said in metadata:
        if isinstance(said, str):
            made.structured_dataset_type.format = said
            continue
        columns = getattr(said, "__annotations__", said)
        for name, annotation in columns.items() if isinstance(columns, collections.abc.Mapping) else ():
            column = _type(annotation, depth + 1).type
            made.structured_dataset_type.columns.add(name=name, literal_type=column)
