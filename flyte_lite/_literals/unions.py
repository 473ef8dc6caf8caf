"""Union and Optional: a value together with the type that it is of.

Which variant a value belongs to: the one of exactly its class; else the only one that would take it by the official
rules; else the only one that takes it by ours. Several are an error, because the task could not tell them apart either.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from flyte_lite._literals.given import is_dict, is_instance, is_list
from flyte_lite._literals.kinds import Kind, Plan
from flyte_lite._literals.misfit import Misfit, first_fit, show, unexpected
from flyte_lite._literals.shapes import misread
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Decoder, Encoder, Reader
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType


_TYPES_KEPT = 64


class _Variant(NamedTuple):
    kind: Kind
    type: LiteralType
    name: str
    strict: Encoder
    lenient: Encoder


def tagged(literal_type: LiteralType, plan: Plan, tag: str = "") -> LiteralType:
    """A variant's type as it stands beside a value: with its tag, without constraints that `Annotated` added."""
    made = bare(literal_type, plan)
    made.structure.tag = tag or literal_type.structure.tag or plan.kind(literal_type).tag
    return made


def bare(literal_type: LiteralType, plan: Plan) -> LiteralType:
    """The type as the official SDK rebuilds it from what it guesses."""
    made = types_pb2.LiteralType()
    which = literal_type.WhichOneof("type")
    if which == "collection_type":
        made.collection_type.CopyFrom(bare(literal_type.collection_type, plan))
    elif which == "map_value_type":
        made.map_value_type.CopyFrom(bare(literal_type.map_value_type, plan))
    elif which == "enum_type":
        made.enum_type.CopyFrom(literal_type.enum_type)
    elif which == "simple" and literal_type.simple != types_pb2.STRUCT:
        made.simple = literal_type.simple
    elif which == "union_type" and not literal_type.HasField("metadata"):
        made.union_type.variants.extend([tagged(variant, plan) for variant in literal_type.union_type.variants])
        made.union_type.SetInParent()
    else:
        made.CopyFrom(literal_type)
    return made


def _encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    strict = plan.strict
    variants = [_variant(variant, plan) for variant in literal_type.union_type.variants]
    exact: dict[type, _Variant] = {}
    for variant in variants:
        if variant.kind.exact is not None:
            exact.setdefault(variant.kind.exact, variant)
    enums = [variant for variant in variants if variant.type.WhichOneof("type") == "enum_type"]

    def encode(value: Any, into: Literal) -> None:
        union = into.scalar.union
        variant = exact.get(type(value))
        if variant is not None:
            variant.strict(value, union.value)
        else:
            variant = choose(value, union.value)
        union.type.CopyFrom(variant.type)

    def choose(value: Any, into: Literal) -> _Variant:
        # What is wrong inside a list is told only if a list could have been meant: by the one variant of that shape.
        inside: dict[int, Misfit] = {}
        # A member of a str enum is a text as well; what it was meant as is the enum.
        found = only(value, into, enums, True, inside) if enums and isinstance(value, enum.Enum) else None
        if found is None and (is_instance(value) or is_dict(value)):
            # Classes of the same fields are told apart by their names.
            alike = [variant for variant in variants if variant.kind.named(value, variant.type)]
            found = only(value, into, alike, True, inside) if len(alike) == 1 else None
        found = found or only(value, into, variants, True, inside)
        if found is None and not strict:
            plain = list(value) if is_list(value) else dict(value) if is_dict(value) else value
            if type(plain) is not type(value):
                # A tuple means what the same list would.
                found = only(plain, into, variants, True, inside)
            found = found or only(value, into, variants, False, inside)
        if found is None:
            raise inside.popitem()[1] if len(inside) == 1 else unexpected(plan.describe(literal_type), value)
        return found

    def only(
        value: Any, into: Literal, among: list[_Variant], strict: bool, inside: dict[int, Misfit]
    ) -> Optional[_Variant]:
        hits: list[_Variant] = []
        for number, variant in enumerate(among):
            target = literals_pb2.Literal() if hits else into
            try:
                (variant.strict if strict else variant.lenient)(value, target)
            except Misfit as misfit:
                if misfit.hopeless:
                    raise
                target.Clear()
                if variant.kind.holds(value):
                    inside[number] = misfit
            else:
                hits.append(variant)
        if len(hits) > 1:
            names = " and ".join(hit.name for hit in hits)
            raise Misfit(f"{show(value)} fits {names} alike, and the task could not tell which is meant")
        return hits[0] if hits else None

    return encode


def _variant(literal_type: LiteralType, plan: Plan) -> _Variant:
    strictly = plan.inner(True).encoder(literal_type)
    # A strict plan stays strict all the way down; otherwise each union inside would double the work.
    leniently = strictly if plan.strict else plan.encoder(literal_type)
    name = plan.describe(literal_type)
    return _Variant(plan.kind(literal_type), tagged(literal_type, plan), name, strictly, leniently)


def _decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
    variants = [(variant, plan.kind(variant), plan.decoder(variant)) for variant in literal_type.union_type.variants]
    # By whole type first: two lists have the same tag. Then by tag, as the official SDK does.
    by_type = {_key(tagged(variant, plan)): decode for variant, _, decode in variants}
    by_tag: dict[str, list[Decoder]] = {}
    by_name: dict[tuple[str, str], list[Decoder]] = {}
    for variant, kind, decode_variant in variants:
        tag = variant.structure.tag or kind.tag
        by_tag.setdefault(tag, []).append(decode_variant)
        by_name.setdefault((tag, plan.describe(variant)), []).append(decode_variant)
    # Types repeat along a list, and rebuilding them is slow.
    seen: dict[bytes, list[Decoder]] = {}

    def decode(literal: Literal) -> Any:
        if literal.scalar.WhichOneof("value") != "union":
            # Written by somebody who knew the type of the value, but not that of the input.
            # What is packed could be of any variant: those that are packed themselves come first.
            alike = [decode_variant for _, kind, decode_variant in variants if kind.reads(literal)]
            return first(literal, alike or [decode_variant for _, _, decode_variant in variants])
        union = literal.scalar.union
        raw = union.type.SerializeToString(deterministic=True)
        readers = seen.get(raw)
        if readers is None:
            if len(seen) >= _TYPES_KEPT:
                seen.clear()
            readers = seen[raw] = candidates(union.type)
        if not readers:
            raise Misfit(f"expected {plan.describe(literal_type)}, got a value of type {plan.describe(union.type)}")
        return first(union.value, readers)

    def candidates(of: LiteralType) -> list[Decoder]:
        found = by_type.get(_key(tagged(of, plan)))
        tag = of.structure.tag or plan.kind(of).tag
        # By the name of its class next: the official client rebuilds the type and gets it a little different.
        return [found] if found else by_name.get((tag, plan.describe(of))) or by_tag.get(tag, [])

    def first(literal: Literal, readers: list[Decoder]) -> Any:
        if len(readers) == 1:
            return readers[0](literal)
        try:
            return first_fit(readers, literal)
        except Misfit as misfit:
            if misfit.hopeless:
                raise
        raise misread(plan.describe(literal_type), literal)

    return decode


def _key(literal_type: LiteralType) -> bytes:
    return literal_type.SerializeToString(deterministic=True)


def _describe(literal_type: LiteralType, plan: Plan) -> str:
    # As a dict: what two different classes became the same is named once.
    names = dict.fromkeys(plan.describe(variant) for variant in literal_type.union_type.variants)
    return " | ".join(names) or "Union[()]"


def _reader(literal_type: LiteralType, plan: Plan) -> Reader:
    readers = [plan.reader(variant) for variant in literal_type.union_type.variants]

    def read(value: Any) -> Any:
        # Nothing says here which variant is meant: the first that takes it as it is, as the task does.
        try:
            return first_fit(readers, value)
        except Misfit as misfit:
            if misfit.hopeless:
                raise
        raise unexpected(plan.describe(literal_type), value)

    return read


UNION = Kind(
    tag="Typed Union",
    describe=_describe,
    encoder=_encoder,
    decoder=_decoder,
    reader=_reader,
    reads=lambda literal: literal.scalar.WhichOneof("value") == "union",
)
