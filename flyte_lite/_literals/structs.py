"""STRUCT: dicts without a type of values, all that has fields, and protobuf messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyte_lite._literals.binary import TAG, pack
from flyte_lite._literals.generic import fill_struct
from flyte_lite._literals.given import class_name, is_dict, is_instance
from flyte_lite._literals.kinds import Kind, Plan
from flyte_lite._literals.misfit import Misfit, clip, unexpected
from flyte_lite._literals.reading import Readers
from flyte_lite._literals.schema import Shape, metadata_of, pydantic, record_of
from flyte_lite._literals.shapes import unpacked
from flyte_lite._literals.writing import Writers

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Decoder, Encoder, Reader
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType


def _packed(literal: Literal) -> bool:
    scalar = literal.scalar
    which = scalar.WhichOneof("value")
    return (which == "binary" and scalar.binary.tag == TAG) or which == "generic"


def _read_dict(value: Any) -> Any:
    if type(value) is not dict:
        raise unexpected("dict", value)
    return value


def _dict_encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    strict = plan.strict

    def encode(value: Any, into: Literal) -> None:
        if type(value) is not dict and (strict or not is_dict(value)):
            raise unexpected("dict", value)
        into.scalar.binary.value = pack(value)
        into.scalar.binary.tag = TAG

    return encode


DICT = Kind(
    tag="Typed Dict",
    describe=lambda literal_type, plan: "dict",
    encoder=_dict_encoder,
    decoder=lambda literal_type, plan: lambda literal: unpacked("dict", literal, _read_dict),
    reader=lambda literal_type, plan: _read_dict,
    reads=_packed,
    exact=dict,
    holds=is_dict,
)


def _record(literal_type: LiteralType) -> tuple[Shape, bool]:
    schema = metadata_of(literal_type)
    found = record_of(literal_type, schema)
    if found is None:
        # Something that a schema describes, but not as fields: any dict will do.
        found = Shape("dict")
        found.items = found.keys = Shape()
    return found, pydantic(literal_type, schema)


def _record_encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    shape, by_pydantic = _record(literal_type)
    write = Writers(by_pydantic, plan.strict).of(shape)

    def encode(value: Any, into: Literal) -> None:
        into.scalar.binary.value = pack(write(value))
        into.scalar.binary.tag = TAG

    return encode


def _record_reader(literal_type: LiteralType, plan: Plan) -> Reader:
    shape, by_pydantic = _record(literal_type)
    return Readers(by_pydantic).of(shape)


def _record_decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
    read, name = _record_reader(literal_type, plan), _record_name(literal_type)
    return lambda literal: unpacked(name, literal, read)


def _record_name(literal_type: LiteralType) -> str:
    """The class that a struct was made of: the schema's title, without what the SDK wraps tuples and dicts in."""
    fields = literal_type.metadata.fields
    title = fields["title"].string_value if "title" in fields else ""
    if not title and "$ref" in fields:
        title = fields["$ref"].string_value.rpartition("/")[2]
    for wrapper in ("TupleWrapper_", "NamedTupleWrapper_", "TypedDictWrapper_"):
        title = title.removeprefix(wrapper)
    return clip(title) or "dict"


def _holds_fields(value: Any) -> bool:
    return is_dict(value) or is_instance(value)


def _record_kind(tag: str) -> Kind:
    return Kind(
        tag=tag,
        describe=lambda literal_type, plan: _record_name(literal_type),
        encoder=_record_encoder,
        decoder=_record_decoder,
        reader=_record_reader,
        reads=_packed,
        holds=_holds_fields,
        named=lambda value, literal_type: (
            (is_instance(value) or is_dict(value)) and class_name(value) == _record_name(literal_type)
        ),
    )


RECORD = _record_kind("Object-Dataclass-Transformer")
TUPLE = _record_kind("Tuple")
NAMED_TUPLE = _record_kind("NamedTuple")
TYPED_DICT = _record_kind("TypedDict")


def _message_name(literal_type: LiteralType) -> str:
    return clip(literal_type.metadata.fields["pb_type"].string_value.rpartition(".")[2]) or "a protobuf message"


def _message_encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    name = _message_name(literal_type)

    def encode(value: Any, into: Literal) -> None:
        descriptor = getattr(type(value), "DESCRIPTOR", None)
        if descriptor is not None and hasattr(descriptor, "full_name"):
            if descriptor.name != name:
                raise unexpected(name, value)
            value = _json_of(value)
            if not is_dict(value):
                raise Misfit(f"only messages whose JSON is an object can be sent, and that of {name} is none")
        elif plan.strict or not is_dict(value):
            raise unexpected(name, value)
        into.scalar.generic.SetInParent()
        fill_struct(into.scalar.generic, value)

    return encode


def _json_of(message: Any) -> Any:
    from google.protobuf import json_format

    try:
        return json_format.MessageToDict(message)
    except (json_format.Error, TypeError, ValueError, RecursionError) as error:
        raise Misfit(f"has no JSON: {clip(str(error))}") from None


MESSAGE = Kind(
    tag="Protobuf-Transformer",
    describe=lambda literal_type, plan: _message_name(literal_type),
    encoder=_message_encoder,
    decoder=lambda literal_type, plan: lambda literal: unpacked(_message_name(literal_type), literal, _read_dict),
    reader=lambda literal_type, plan: _read_dict,
    reads=lambda literal: literal.scalar.WhichOneof("value") == "generic",
    holds=is_dict,
)


def struct_kind(literal_type: LiteralType) -> Kind:
    """Which of these a STRUCT is: by the schema in its metadata."""
    fields = literal_type.metadata.fields
    if "pb_type" in fields:
        return MESSAGE
    if not fields:
        return DICT if literal_type.structure.tag in ("", "Typed Dict") else RECORD
    title = fields["title"].string_value if "title" in fields else ""
    return {"TupleWrapper": TUPLE, "NamedTupleWrapper": NAMED_TUPLE, "TypedDictWrapper": TYPED_DICT}.get(
        title.partition("_")[0] if "Wrapper_" in title else "", RECORD
    )
