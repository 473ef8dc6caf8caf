"""The table of kinds, and the doors that use it: a LiteralType becomes an encoder or a decoder, once a call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flyte_lite._literals import containers, enums, later, scalars, unions
from flyte_lite._literals.kinds import MAX_DEPTH, Kind
from flyte_lite._literals.misfit import Misfit
from flyte_lite.idl import own
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Decoder, Encoder
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

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
    ("simple", 7, ""): later.BINARY,
    ("simple", 8, ""): later.ERROR,
    ("simple", 9, ""): later.STRUCT,
    ("schema", 0, ""): later.FRAME,
    ("collection_type", 0, ""): containers.LIST,
    ("map_value_type", 0, ""): containers.DICT,
    ("blob", 0, ""): later.BLOB,
    ("enum_type", 0, ""): enums.ENUM,
    ("structured_dataset_type", 0, ""): later.FRAME,
    ("union_type", 0, ""): unions.UNION,
}


def kind_of(literal_type: LiteralType) -> Kind:
    """What there is to know about values of this type."""
    which = literal_type.WhichOneof("type") or ""
    number = literal_type.simple if which == "simple" else 0
    if which == "union_type" and _is_pickle(literal_type):
        return later.PICKLE
    found = _KINDS.get((which, number, literal_type.structure.tag)) or _KINDS.get((which, number, ""))
    return found or later.UNKNOWN


def _is_pickle(literal_type: LiteralType) -> bool:
    # The SDK writes a pickled type as a union of where the pickle may be; the tag is there only inside another union.
    return any(variant.structure.tag == "FlytePickle" for variant in literal_type.union_type.variants)


@dataclass(frozen=True)
class _Plan:
    """`kinds.Plan`, knowing how deep in the type it is."""

    strict: bool = False
    depth: int = 0

    def inner(self, strict: bool) -> _Plan:
        return replace(self, strict=strict)

    def encoder(self, literal_type: LiteralType) -> Encoder:
        return self.kind(literal_type).encoder(literal_type, self._deeper())

    def decoder(self, literal_type: LiteralType) -> Decoder:
        return self.kind(literal_type).decoder(literal_type, self._deeper())

    def describe(self, literal_type: LiteralType) -> str:
        if self.depth > MAX_DEPTH:
            return "..."
        return self.kind(literal_type).describe(literal_type, self._deeper())

    def kind(self, literal_type: LiteralType) -> Kind:
        return kind_of(literal_type)

    def _deeper(self) -> _Plan:
        if self.depth > MAX_DEPTH:
            raise Misfit(f"its type is nested more than {MAX_DEPTH} levels deep")
        return replace(self, depth=self.depth + 1)


if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Plan

    _: Plan = _Plan()


def to_literal(value: Any, literal_type: LiteralType, path: str = "") -> Literal:
    """Write a value as a literal of that type, with the bytes that the official SDK would write.

    Where the official SDK refuses what can only mean one thing, it is taken: an exact number for a float, any sequence
    for a list, a date for a datetime (its midnight in UTC), a member of any enum by its name. A naive datetime is UTC;
    an aware one is converted. A bool is never a number.

    Args:
        value: A plain value. A `DynamicEnum` that `from_literal` gave is one, too.
        literal_type: What the task declares.
        path: What the value is called, such as the name of an input; paths in errors begin with it.

    Raises:
        LiteralError: It does not fit; up to a few problems are told, each with its path inside the value. Or the type
            is nested more than `MAX_DEPTH` (30) levels deep, or values of it can't be written yet.
    """
    literal_type = own(literal_type, types_pb2.LiteralType)
    literal = literals_pb2.Literal()
    try:
        _Plan().encoder(literal_type)(value, literal)
    except Misfit as misfit:
        raise misfit.error(path) from None
    return literal


def from_literal(literal: Literal, literal_type: LiteralType, path: str = "") -> Any:
    """Read a literal as plain values: numbers, texts, None, aware UTC datetimes, timedeltas, lists, dicts.

    A member of an enum, or of a `typing.Literal`, is a `DynamicEnum`: a str with `.name` and `.value`. A date is a
    datetime at midnight, as the type on the wire is the same; only inside a union it is a date. Keys of dicts are
    sorted, as the wire keeps no order. A float that came for an int is truncated, as in the task.

    Args:
        literal: What came.
        literal_type: What the task declares.
        path: What the value is called; paths in errors begin with it.

    Raises:
        LiteralError: The literal is not of that type, or it is of a kind that can't be read yet; the text names it.
    """
    literal, literal_type = own(literal, literals_pb2.Literal), own(literal_type, types_pb2.LiteralType)
    try:
        return _Plan().decoder(literal_type)(literal)
    except Misfit as misfit:
        raise misfit.error(path) from None


def describe(literal_type: LiteralType) -> str:
    """How a person writes the type: `int`, `list[int]`, `dict[str, float]`, `int | None`, `Literal['a', 'b']`.

    An enum looks like a `Literal` of its names, as its class is not on the wire.
    """
    return _Plan().describe(literal_type)
