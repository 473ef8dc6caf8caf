"""list[T] and dict[str, T]. All elements are looked at, so that one error names every wrong one (up to a few).

What is taken beyond the official SDK: any sequence but a text for a list, any mapping for a dict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from flyte_lite._literals.kinds import Kind, Plan
from flyte_lite._literals.misfit import Misfit, key_path, unexpected
from flyte_lite._literals.shapes import misread

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Decoder, Encoder
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType


def is_list(value: Any) -> bool:
    """An ordered thing of elements that are not letters or bytes."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def is_dict(value: Any) -> bool:
    """Something with keys and values."""
    return isinstance(value, Mapping)


def _list_encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    encode_item = plan.encoder(literal_type.collection_type)
    strict = plan.strict

    def encode(value: Any, into: Literal) -> None:
        if type(value) is not list and (strict or not is_list(value)):
            raise unexpected("list", value)
        into.collection.SetInParent()
        literals = into.collection.literals
        add = literals.add
        wrong: Optional[Misfit] = None
        items = iter(value)
        # The inner loop goes on where the last misfit stopped it; entering `try` for each item would cost more.
        while True:
            try:
                for item in items:
                    encode_item(item, add())
                break
            except Misfit as misfit:
                wrong = misfit.at(f"[{len(literals) - 1}]").joined(wrong)
                if wrong.full:
                    break
        if wrong is not None:
            raise wrong

    return encode


def _list_decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
    decode_item = plan.decoder(literal_type.collection_type)

    def decode(literal: Literal) -> list[Any]:
        if literal.WhichOneof("value") != "collection":
            raise misread("list", literal)
        made: list[Any] = []
        wrong: Optional[Misfit] = None
        items = iter(literal.collection.literals)
        while True:
            try:
                for item in items:
                    made.append(decode_item(item))
                break
            except Misfit as misfit:
                wrong = misfit.at(f"[{len(made)}]").joined(wrong)
                if wrong.full:
                    break
                made.append(None)
        if wrong is not None:
            raise wrong
        return made

    return decode


def _dict_encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    encode_item = plan.encoder(literal_type.map_value_type)
    strict = plan.strict

    def encode(value: Any, into: Literal) -> None:
        if type(value) is not dict and (strict or not is_dict(value)):
            raise unexpected("dict", value)
        into.map.SetInParent()
        literals = into.map.literals
        wrong: Optional[Misfit] = None
        key: Any = None
        items = iter(value.items())
        while True:
            try:
                for key, item in items:
                    encode_item(item, literals[key if type(key) is str and key.isascii() else _key(key)])
                break
            except Misfit as misfit:
                wrong = misfit.at(key_path(key)).joined(wrong)
                if wrong.full:
                    break
        if wrong is not None:
            raise wrong

    return encode


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise unexpected("a str as key", key)
    try:
        key.encode()
    except UnicodeEncodeError:
        raise unexpected("a str as key", key, ", which is not valid Unicode") from None
    return str.__str__(key)


def _dict_decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
    decode_item = plan.decoder(literal_type.map_value_type)

    def decode(literal: Literal) -> dict[str, Any]:
        if literal.WhichOneof("value") != "map":
            raise misread("dict", literal)
        literals = literal.map.literals
        made: dict[str, Any] = {}
        wrong: Optional[Misfit] = None
        # The wire keeps no order; sorted, the same literal always reads the same.
        for key in sorted(literals):
            try:
                made[key] = decode_item(literals[key])
            except Misfit as misfit:
                wrong = misfit.at(key_path(key)).joined(wrong)
                if wrong.full:
                    break
        if wrong is not None:
            raise wrong
        return made

    return decode


LIST = Kind(
    tag="Typed List",
    describe=lambda literal_type, plan: f"list[{plan.describe(literal_type.collection_type)}]",
    encoder=_list_encoder,
    decoder=_list_decoder,
    reads=lambda literal: literal.WhichOneof("value") == "collection",
    holds=is_list,
)
DICT = Kind(
    tag="Typed Dict",
    describe=lambda literal_type, plan: f"dict[str, {plan.describe(literal_type.map_value_type)}]",
    encoder=_dict_encoder,
    decoder=_dict_decoder,
    reads=lambda literal: literal.WhichOneof("value") == "map",
    holds=is_dict,
)
