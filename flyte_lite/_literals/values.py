"""The table of kinds, and the doors that use it: a LiteralType becomes an encoder or a decoder, once a call."""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flyte_lite._literals import containers, enums, failure, pickles, references, scalars, structs, unions
from flyte_lite._literals.kinds import MAX_DEPTH, Kind
from flyte_lite._literals.misfit import Misfit
from flyte_lite.idl import own
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Decoder, Encoder, Reader
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

_STRUCT = 9


def _unset(literal_type: LiteralType, plan: Plan) -> Any:
    raise Misfit("its declared type is empty or not known here, so no value can be of it")


_UNKNOWN = Kind(
    tag="",
    describe=lambda literal_type, plan: "(a type not known here)",
    encoder=_unset,
    decoder=_unset,
    reader=_unset,
    reads=lambda literal: False,
)

# By the field of the oneof, for `simple` with its number, and where one type is written in several ways by the name of
# the official transformer (`structure.tag`).
_KINDS: dict[tuple[str, int, str], Kind] = {
    ("simple", 0, ""): scalars.NONE,
    ("simple", 1, ""): scalars.INT,
    ("simple", 2, ""): scalars.FLOAT,
    ("simple", 3, ""): scalars.STR,
    ("simple", 4, ""): scalars.BOOL,
    ("simple", 5, ""): scalars.DATETIME,
    ("simple", 5, "date"): scalars.DATE,
    ("simple", 6, ""): scalars.TIMEDELTA,
    ("simple", 7, ""): pickles.PICKLE,
    ("simple", 8, ""): failure.ERROR,
    ("schema", 0, ""): references.FRAME,
    ("collection_type", 0, ""): containers.LIST,
    ("map_value_type", 0, ""): containers.DICT,
    ("enum_type", 0, ""): enums.ENUM,
    ("structured_dataset_type", 0, ""): references.FRAME,
    ("union_type", 0, ""): unions.UNION,
}


def kind_of(literal_type: LiteralType) -> Kind:
    """What there is to know about values of this type."""
    which = literal_type.WhichOneof("type") or ""
    number = literal_type.simple if which == "simple" else 0
    if number == _STRUCT:
        return structs.struct_kind(literal_type)
    if which == "blob":
        if literal_type.blob.format == "PythonPickle":
            return pickles.PICKLE
        return references.DIR if literal_type.blob.dimensionality else references.FILE
    if which == "union_type" and _is_pickle(literal_type):
        return pickles.PICKLE
    found = _KINDS.get((which, number, literal_type.structure.tag)) or _KINDS.get((which, number, ""))
    return found or _UNKNOWN


def _is_pickle(literal_type: LiteralType) -> bool:
    # The SDK writes a pickled type as a union of the two places where the pickle may be. Inside another union such a
    # union has the tag as well, so what counts is what its variants are.
    variants = literal_type.union_type.variants
    tags = [variant.structure.tag for variant in variants if variant.WhichOneof("type") in ("blob", "simple")]
    return len(variants) > 0 and tags == ["FlytePickle"] * len(variants)


class _Plan:
    """`kinds.Plan`, knowing how deep in the type it is."""

    __slots__ = ("depth", "pickles", "strict")

    def __init__(self, strict: bool = False, pickles: bool = False, depth: int = 0) -> None:
        self.strict = strict
        self.pickles = pickles
        self.depth = depth

    def inner(self, strict: bool) -> _Plan:
        return _Plan(strict, self.pickles, self.depth)

    def encoder(self, literal_type: LiteralType) -> Encoder:
        return self.kind(literal_type).encoder(literal_type, self._deeper())

    def decoder(self, literal_type: LiteralType) -> Decoder:
        return self.kind(literal_type).decoder(literal_type, self._deeper())

    def reader(self, literal_type: LiteralType) -> Reader:
        return self.kind(literal_type).reader(literal_type, self._deeper())

    def describe(self, literal_type: LiteralType) -> str:
        if self.depth > MAX_DEPTH:
            return "..."
        return self.kind(literal_type).describe(literal_type, self._deeper())

    def kind(self, literal_type: LiteralType) -> Kind:
        return kind_of(literal_type)

    def _deeper(self) -> _Plan:
        if self.depth > MAX_DEPTH:
            raise Misfit(f"its type is nested more than {MAX_DEPTH} levels deep")
        return _Plan(self.strict, self.pickles, self.depth + 1)


if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Plan

    _: Plan = _Plan()


# The same few types come again and again, and to understand a schema takes longer than to use it.
@lru_cache(maxsize=256)
def _encoder(raw: bytes) -> Encoder:
    return _Plan().encoder(types_pb2.LiteralType.FromString(raw))


@lru_cache(maxsize=256)
def _decoder(raw: bytes, pickles: bool) -> Decoder:
    return _Plan(pickles=pickles).decoder(types_pb2.LiteralType.FromString(raw))


def _encoder_of(literal_type: LiteralType) -> Encoder:
    try:
        return _encoder(literal_type.SerializeToString())
    except Misfit:
        raise
    except Exception:  # noqa: BLE001  # protobuf's own limits, of which each implementation has others
        return _Plan().encoder(literal_type)


def _decoder_of(literal_type: LiteralType, pickles: bool) -> Decoder:
    try:
        return _decoder(literal_type.SerializeToString(), pickles)
    except Misfit:
        raise
    except Exception:  # noqa: BLE001  # protobuf's own limits, of which each implementation has others
        return _Plan(pickles=pickles).decoder(literal_type)


_DEEP = f"is nested more than {MAX_DEPTH} levels deep"


def to_literal(value: Any, literal_type: LiteralType, path: str = "") -> Literal:
    """Write a value as a literal of that type, with the bytes that the official SDK would write.

    Where the official SDK refuses what can only mean one thing, it is taken: an exact number for a float, any sequence
    for a list or tuple, a date for a datetime (its midnight in UTC), a member of any enum by its name, the address of a
    stored file for the file. A naive datetime is UTC; an aware one is converted. A bool is never a number.

    Instances of dataclasses, pydantic models and named tuples are taken by their fields, dicts in their place too. What
    a dict leaves out is filled in from the type. Inside of them a datetime is written with the offset that it has, or
    without one. Sets, bytes and what is declared as `Any` travel as pickles: those of Python's own classes are written.
    Nothing is uploaded: a `File`, `Dir` or `DataFrame` is only the address of what is stored already.

    Args:
        value: Any value that can be of the type. What `from_literal` gave is one, too.
        literal_type: What the task declares.
        path: What the value is called, such as the name of an input; paths in errors begin with it.

    Raises:
        LiteralError: It does not fit; up to a few problems are told, each with its path inside the value. Or the type
            is nested more than `MAX_DEPTH` (30) levels deep, an untyped value in it more than 511, or a class in itself
            more than 60.
    """
    literal_type = own(literal_type, types_pb2.LiteralType)
    literal = literals_pb2.Literal()
    try:
        _encoder_of(literal_type)(value, literal)
    except Misfit as misfit:
        raise misfit.error(path) from None
    except RecursionError:
        # Little of the stack was left to begin with.
        raise Misfit(_DEEP).error(path) from None
    return literal


def from_literal(literal: Literal, literal_type: LiteralType, path: str = "", *, pickles: Container[str] = ()) -> Any:
    """Read a literal as plain values: numbers, texts, None, aware UTC datetimes, timedeltas, lists, dicts.

    A member of an enum, or of a `typing.Literal`, is a `DynamicEnum`: a str with `.name` and `.value`. A date is a
    datetime at midnight, as the type on the wire is the same; only inside a union it is a date. Keys of dicts are
    sorted, as the wire keeps no order. A float that came for an int is truncated, as in the task.

    A dataclass, model, named tuple or typed dict is a `Record`, a tuple a tuple. Inside of them a value stays what
    stands on the wire: a datetime is its text, a member of an enum its value or name. A file, folder or table is a
    reference. Nothing is downloaded: a value that was offloaded, or pickled and stored, is an error with its address.

    Args:
        literal: What came.
        literal_type: What the task declares.
        path: What the value is called; paths in errors begin with it.
        pickles: Names of values, as in `path`, whose pickles may be loaded, which runs code of whoever wrote them.
            Those of plain data, such as bytes and sets, are read without loading them.

    Raises:
        LiteralError: The literal is not of that type, is stored elsewhere, or is a pickle that was not allowed.
    """
    literal, literal_type = own(literal, literals_pb2.Literal), own(literal_type, types_pb2.LiteralType)
    try:
        # A text holds each of its parts, which nobody has allowed.
        allowed = path == pickles if isinstance(pickles, str) else path in pickles
        return _decoder_of(literal_type, allowed)(literal)
    except Misfit as misfit:
        raise misfit.error(path) from None
    except RecursionError:
        raise Misfit(_DEEP).error(path) from None


def describe(literal_type: LiteralType) -> str:
    """How a person writes the type: `int`, `list[int]`, `dict[str, float]`, `int | None`, `Literal['a', 'b']`.

    An enum looks like a `Literal` of its names, as its class is not on the wire.
    """
    return _Plan().describe(literal_type)
