"""list[T] and dict[str, T]. All elements are looked at, so that one error names every wrong one (up to a few).

What is taken beyond the official SDK: any sequence but a text for a list, any mapping for a dict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyte_lite._literals.given import is_dict, is_list
from flyte_lite._literals.kinds import Kind, Plan
from flyte_lite._literals.misfit import each, unexpected
from flyte_lite._literals.shapes import unpacked

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Decoder, Encoder, Reader
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType


__all__ = ["DICT", "LIST", "is_dict", "is_list"]


def _list_encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    encode_item = plan.encoder(literal_type.collection_type)
    strict = plan.strict

    def encode(value: Any, into: Literal) -> None:
        if type(value) is not list and (strict or not is_list(value)):
            raise unexpected("list", value)
        into.collection.SetInParent()
        add = into.collection.literals.add
        each(enumerate(value), lambda _, item: encode_item(item, add()))

    return encode


def _list_decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
    decode_item = plan.decoder(literal_type.collection_type)
    plain = _list_reader(literal_type, plan)

    def decode(literal: Literal) -> Any:
        if literal.WhichOneof("value") != "collection":
            return unpacked("list", literal, plain)
        made: list[Any] = []
        append = made.append
        each(enumerate(literal.collection.literals), lambda _, item: append(decode_item(item)))
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
        each(value.items(), lambda key, item: encode_item(item, literals[_key(key)]))

    return encode


def _key(key: Any) -> str:
    if type(key) is str and key.isascii():
        return key
    if not isinstance(key, str):
        raise unexpected("a str as key", key)
    try:
        key.encode()
    except UnicodeEncodeError:
        raise unexpected("a str as key", key, ", which is not valid Unicode") from None
    return str.__str__(key)


def _dict_decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
    decode_item = plan.decoder(literal_type.map_value_type)
    plain = _dict_reader(literal_type, plan)

    def decode(literal: Literal) -> Any:
        if literal.WhichOneof("value") != "map":
            return unpacked("dict", literal, plain)
        literals = literal.map.literals
        made: dict[str, Any] = {}
        # The wire keeps no order; sorted, the same literal always reads the same.
        pairs = ((key, literals[key]) for key in sorted(literals))
        each(pairs, lambda key, item: made.__setitem__(key, decode_item(item)))
        return made

    return decode


def _list_reader(literal_type: LiteralType, plan: Plan) -> Reader:
    read_item = plan.reader(literal_type.collection_type)

    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise unexpected("list", value)
        made: list[Any] = []
        each(enumerate(value), lambda _, item: made.append(read_item(item)))
        return made

    return read


def _dict_reader(literal_type: LiteralType, plan: Plan) -> Reader:
    read_item = plan.reader(literal_type.map_value_type)

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise unexpected("dict", value)
        made: dict[str, Any] = {}
        each(value.items(), lambda key, item: made.__setitem__(_key(key), read_item(item)))
        return made

    return read


LIST = Kind(
    tag="Typed List",
    describe=lambda literal_type, plan: f"list[{plan.describe(literal_type.collection_type)}]",
    encoder=_list_encoder,
    decoder=_list_decoder,
    reader=_list_reader,
    reads=lambda literal: literal.WhichOneof("value") == "collection",
    holds=is_list,
)
DICT = Kind(
    tag="Typed Dict",
    describe=lambda literal_type, plan: f"dict[str, {plan.describe(literal_type.map_value_type)}]",
    encoder=_dict_encoder,
    decoder=_dict_decoder,
    reader=_dict_reader,
    reads=lambda literal: literal.WhichOneof("value") == "map",
    holds=is_dict,
)
